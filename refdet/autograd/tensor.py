"""A tensor: an array that remembers how it was made, so that it can be differentiated.

    >>> x = Tensor(np.array([1.0, 2.0, 3.0]), requires_grad=True)
    >>> y = (x * x).sum()
    >>> y.backward()
    >>> x.grad
    array([2., 4., 6.])

Ops return tensors and change nothing: not their inputs, and not the arrays inside them. `requires_grad` marks a leaf
whose gradient is wanted; a result requires one if an input did and `no_grad` was not in force. `backward` adds to
`grad` of the leaves and then frees what the graph held, unless `retain_graph`.

A Python number takes the dtype of the tensor it meets; arrays and tensors of another dtype are refused, never promoted.
Comparisons, `==` too, are elementwise and give plain boolean arrays; a tensor is hashed by identity.

What an op saves for the gradient is the arrays themselves, not copies: an array inside a tensor must not be changed
between the forward and the backward pass. The gradients that come out are copies of the caller's own.
"""

from __future__ import annotations

import contextlib
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refdet.autograd.backpropagation import Node, pull_back
from refdet.core import elementwise, reduction, shaping
from refdet.core.check import Array, check_axis, is_array, shape_of
from refdet.core.elementwise import broadcast_shape, silently
from refdet.core.reduction import Axis

_gradients_enabled: ContextVar[bool] = ContextVar("refdet_gradients_enabled", default=True)


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    """Record no graph inside a `with` block: results need no gradient and nothing is kept for one.

    The setting belongs to the thread (a new thread records), and to whoever resumes a generator that yields inside the
    block.
    """
    token = _gradients_enabled.set(False)
    try:
        yield
    finally:
        _gradients_enabled.reset(token)


class Tensor:
    """An array and, if a gradient is wanted, how it was made."""

    __slots__ = ("__weakref__", "data", "grad", "node", "requires_grad")
    __array_ufunc__ = None  # `array + tensor` is the tensor's to answer

    def __init__(self, data: Any, *, requires_grad: bool = False) -> None:
        self.data: Array = as_array(data)
        if requires_grad and self.data.dtype.name not in ("float32", "float64"):
            raise TypeError(f"Tensor: only float32 and float64 data can require a gradient, got {self.data.dtype.name}")
        self.requires_grad = requires_grad
        self.grad: Array | None = None
        self.node: Node | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return shape_of(self.data)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return int(self.data.ndim)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(self.data.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the data."""
        return self.data.dtype

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a Tensor without axes")
        return self.shape[0]

    def __repr__(self) -> str:
        made = f", made by {self.node.op}" if self.node else ", requires_grad=True" if self.requires_grad else ""
        return f"Tensor({np.array2string(self.data, separator=', ', threshold=50)}, {self.dtype.name}{made})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self.requires_grad:
            raise TypeError(
                "a Tensor that requires a gradient does not turn into an array by itself; use .detach() or .data"
            )
        return np.array(self.data, dtype=dtype, copy=copy)

    def __bool__(self) -> bool:
        return bool(self.data)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def item(self) -> Any:
        """Return the only element as a Python number."""
        if self.size != 1:
            raise ValueError(f"item: needs a tensor of one element, got shape {self.shape}")
        return self.data.reshape(()).item()

    def numpy(self) -> Array:
        """Return the data as an array; refused while it requires a gradient (`detach` first)."""
        return np.asarray(self)

    def detach(self) -> Tensor:
        """Return a tensor of the same data that has no history and needs no gradient."""
        return Tensor(self.data)

    def backward(self, grad: Any = None, *, retain_graph: bool = False) -> None:
        """Add ∂(self · grad)/∂leaf to `grad` of every leaf; without `grad`, self must have one element."""
        dself = _seed("backward", self, grad)
        for leaf, dleaf in pull_back(self, dself, wanted=None, retain_graph=retain_graph):
            with silently():  # as_array: NumPy's sum of two arrays without axes is a scalar
                leaf.grad = np.copy(dleaf) if leaf.grad is None else as_array(leaf.grad + dleaf)

    # elementwise arithmetic

    def __add__(self, other: Any) -> Tensor:
        return apply(elementwise.add_forward, elementwise.add_backward, self, _operand(self, other))

    def __radd__(self, other: Any) -> Tensor:
        return _operand(self, other) + self

    def __sub__(self, other: Any) -> Tensor:
        return apply(elementwise.subtract_forward, elementwise.subtract_backward, self, _operand(self, other))

    def __rsub__(self, other: Any) -> Tensor:
        return _operand(self, other) - self

    def __mul__(self, other: Any) -> Tensor:
        return apply(elementwise.multiply_forward, elementwise.multiply_backward, self, _operand(self, other))

    def __rmul__(self, other: Any) -> Tensor:
        return _operand(self, other) * self

    def __truediv__(self, other: Any) -> Tensor:
        return apply(elementwise.divide_forward, elementwise.divide_backward, self, _operand(self, other))

    def __rtruediv__(self, other: Any) -> Tensor:
        return _operand(self, other) / self

    def __neg__(self) -> Tensor:
        return apply(elementwise.negative_forward, elementwise.negative_backward, self)

    def __pow__(self, exponent: float) -> Tensor:
        return apply(elementwise.power_forward, elementwise.power_backward, self, exponent=exponent)

    def __abs__(self) -> Tensor:
        return apply(elementwise.absolute_forward, elementwise.absolute_backward, self)

    def __matmul__(self, other: Any) -> Tensor:
        return apply(reduction.matmul_forward, reduction.matmul_backward, self, _operand(self, other))

    def __rmatmul__(self, other: Any) -> Tensor:
        return _operand(self, other) @ self

    def exp(self) -> Tensor:
        """Return eˣ."""
        return apply(elementwise.exp_forward, elementwise.exp_backward, self)

    def log(self) -> Tensor:
        """Return ln x."""
        return apply(elementwise.log_forward, elementwise.log_backward, self)

    def sqrt(self) -> Tensor:
        """Return √x."""
        return apply(elementwise.sqrt_forward, elementwise.sqrt_backward, self)

    def maximum(self, other: Any) -> Tensor:
        """Return the larger of both, elementwise; at a tie self takes the gradient."""
        return apply(elementwise.maximum_forward, elementwise.maximum_backward, self, _operand(self, other))

    def minimum(self, other: Any) -> Tensor:
        """Return the smaller of both, elementwise; at a tie self takes the gradient."""
        return apply(elementwise.minimum_forward, elementwise.minimum_backward, self, _operand(self, other))

    def astype(self, dtype: Any) -> Tensor:
        """Return the values rounded to float32 or float64; the gradient is rounded back.

        Data that cannot require a gradient, integers or float16 for instance, become what `dtype` says.
        """
        if self.data.dtype.name not in ("float32", "float64"):
            return Tensor(self.data.astype(np.dtype(dtype)))
        return apply(elementwise.cast_forward, elementwise.cast_backward, self, dtype=np.dtype(dtype).name)

    # comparisons

    def __lt__(self, other: Any) -> NDArray[np.bool_]:
        return self._compared(operator.lt, other)

    def __le__(self, other: Any) -> NDArray[np.bool_]:
        return self._compared(operator.le, other)

    def __gt__(self, other: Any) -> NDArray[np.bool_]:
        return self._compared(operator.gt, other)

    def __ge__(self, other: Any) -> NDArray[np.bool_]:
        return self._compared(operator.ge, other)

    def __eq__(self, other: Any) -> NDArray[np.bool_]:  # type: ignore[override]
        return self._compared(operator.eq, other)

    def __ne__(self, other: Any) -> NDArray[np.bool_]:  # type: ignore[override]
        return self._compared(operator.ne, other)

    __hash__ = object.__hash__

    def __contains__(self, value: Any) -> bool:
        return bool(np.any(self == value))

    def _compared(self, compare: Callable[[Any, Any], Any], other: Any) -> NDArray[np.bool_]:
        """Compare elementwise: a Python number as it is, anything else of the same dtype."""
        if not _is_number(other):
            other = other.data if isinstance(other, Tensor) else as_array(other)
            if other.dtype != self.dtype:
                raise TypeError(
                    f"comparison: x is {self.dtype.name} but y is {other.dtype.name}; convert one with astype"
                )
            broadcast_shape("comparison", self.data, other)
        result: NDArray[np.bool_] = compare(self.data, other)
        return result

    # reductions

    def sum(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """Return Σ x over `axis`."""
        return apply(reduction.sum_forward, reduction.sum_backward, self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """Return the mean over `axis`; NaN where there is nothing to average."""
        return apply(reduction.mean_forward, reduction.mean_backward, self, axis=axis, keepdims=keepdims)

    def max(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """Return the maximum over `axis`; the first one takes the gradient."""
        return apply(reduction.amax_forward, reduction.amax_backward, self, axis=axis, keepdims=keepdims)

    def min(self, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """Return the minimum over `axis`; the first one takes the gradient."""
        return -((-self).max(axis, keepdims=keepdims))

    # shape

    def reshape(self, *shape: int | tuple[int, ...]) -> Tensor:
        """Return the values, in row-major order, in another shape; one length may be −1."""
        return apply(shaping.reshape_forward, shaping.reshape_backward, self, shape=_one_tuple(shape))

    def flatten(self, start_axis: int = 0) -> Tensor:
        """Return the axes from `start_axis` on as one."""
        start = check_axis("flatten", start_axis, self.ndim)
        return self.reshape(*self.shape[:start], math.prod(self.shape[start:]))

    def transpose(self, *axes: int | tuple[int, ...] | None) -> Tensor:
        """Return x with its axes in the order `axes`, or reversed if none are given."""
        order = tuple(reversed(range(self.ndim))) if axes in ((), (None,)) else _one_tuple(axes)
        return apply(shaping.transpose_forward, shaping.transpose_backward, self, axes=order)

    @property
    def T(self) -> Tensor:  # noqa: N802  NumPy's name
        """The tensor with its axes reversed."""
        return self.transpose()

    def broadcast_to(self, *shape: int | tuple[int, ...]) -> Tensor:
        """Return x repeated to `shape`."""
        return apply(shaping.broadcast_to_forward, shaping.broadcast_to_backward, self, shape=_one_tuple(shape))

    def __getitem__(self, key: Any) -> Tensor:
        parts = key if isinstance(key, tuple) else (key,)
        if all(k is None or isinstance(k, (slice, EllipsisType)) or _is_index(k) for k in parts):
            return apply(shaping.index_forward, shaping.index_backward, self, key=key)
        # arrays and lists in the key are copied: the gradient reads where the value was read
        copied = tuple(k if k is None or isinstance(k, (slice, EllipsisType)) else _indices(k) for k in parts)
        return apply(shaping.gather_forward, shaping.gather_backward, self, key=copied)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))


def as_array(data: Any) -> Array:
    """Return `data` as an array in native byte order; another library's array type stays what it is."""
    if isinstance(data, Tensor):
        raise TypeError("Tensor: the data is already a Tensor; use detach() for one without history")
    if not isinstance(data, np.generic) and not isinstance(data, np.ndarray) and hasattr(data, "__array_function__"):
        array: Array = data
        return array
    if isinstance(data, np.ma.MaskedArray):
        raise TypeError("Tensor: a masked array would lose its mask; fill it first")
    try:
        array = np.asarray(data)
    except ValueError as error:  # a ragged list
        raise TypeError(f"Tensor: data must be numbers in a regular array ({error})") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"Tensor: data must be numbers, got {array.dtype} from {type(data).__name__}")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def as_tensor(op: str, name: str, x: Any) -> Tensor:
    """Return `x` itself or a tensor of it; a message about what it is not names the op and the argument."""
    if isinstance(x, Tensor):
        return x
    try:
        return Tensor(x)
    except TypeError as error:
        raise TypeError(f"{op}: {name}: {str(error).removeprefix('Tensor: ')}") from None


def apply(
    forward: Callable[..., tuple[Array, Any]],
    backward: Callable[..., Sequence[Array | None]],
    *inputs: Any,
    **params: Any,
) -> Tensor:
    """Run `forward` on the arrays in `inputs` and remember how `backward` pulls a gradient back to them."""
    return apply_with_extras(forward, backward, *inputs, **params)[0]


def apply_with_extras(
    forward: Callable[..., tuple[Any, Any]],
    backward: Callable[..., Sequence[Array | None]],
    *inputs: Any,
    **params: Any,
) -> tuple[Tensor, *tuple[Array, ...]]:
    """Do what `apply` does for several outputs, of which the first is differentiable; the others stay arrays."""
    tensors = tuple(x if x is None or isinstance(x, Tensor) else Tensor(x) for x in inputs)
    needs = tuple(x is not None and x.requires_grad and _gradients_enabled.get() for x in tensors)
    outputs, residual = forward(*(None if x is None else x.data for x in tensors), keep_residual=any(needs), **params)
    y, *extras = outputs if isinstance(outputs, tuple) else (outputs,)
    result = Tensor(y)
    if any(needs):
        op: str = getattr(forward, "name", forward.__name__).removesuffix(".forward")
        result.requires_grad = True
        result.node = Node(op, tensors, lambda dy: backward(residual, dy, needs=needs, **params))
    return result, *extras


def gradients(result: Tensor, inputs: Sequence[Tensor], grad: Any = None, *, retain_graph: bool = False) -> list[Array]:
    """Return ∂(result · grad)/∂x for each x of `inputs`, leaf or not; touch no `grad`; zeros where x has no part.

    Only the graph between the result and the inputs is walked, and freed. Where some of what the result was made from
    was freed before, nobody knows whether an input lay below, and that is an error.
    """
    if isinstance(inputs, Tensor):
        raise TypeError("gradients: inputs must be a sequence of tensors; write [x] for one")
    inputs = list(inputs)
    for i, x in enumerate(inputs):
        if not isinstance(x, Tensor) or not x.requires_grad:
            raise TypeError(f"gradients: inputs[{i}] must be a Tensor that requires a gradient, got {type(x).__name__}")
    dresult = _seed("gradients", result, grad)
    reached = {id(t): g for t, g in pull_back(result, dresult, wanted=inputs, retain_graph=retain_graph)}
    return [np.copy(reached[id(x)]) if id(x) in reached else np.zeros_like(x.data) for x in inputs]


def _seed(op: str, result: Tensor, grad: Any) -> Array:
    if not result.requires_grad:
        raise RuntimeError(f"{op}: this tensor was made from nothing that requires a gradient")
    if grad is None:
        if result.size != 1:
            raise ValueError(f"{op}: without `grad` the result must have one element, got shape {result.shape}")
        return np.ones_like(result.data)
    seed = _operand(result, grad).data
    if shape_of(seed) != result.shape or seed.dtype != result.dtype:
        raise ValueError(
            f"{op}: grad must have shape {result.shape} and dtype {result.dtype.name}, those of the result, "
            f"got {shape_of(seed)} and {seed.dtype.name}"
        )
    return seed


def _operand(tensor: Tensor, other: Any) -> Tensor:
    """Return `other` as a tensor; a Python number takes the dtype of the tensor it meets."""
    if isinstance(other, Tensor):
        return other
    if _is_number(other):
        return Tensor(np.full_like(tensor.data, other, shape=()))
    return Tensor(other)


def _is_number(x: object) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, np.generic)


def _indices(k: Any) -> Array:
    """Return a copy of an array or list of indices; an empty list holds integers, as in NumPy."""
    copied = np.copy(k)
    return copied if copied.size or is_array(k) else copied.astype(np.int64)


def _is_index(k: object) -> bool:
    return isinstance(k, (int, np.integer)) and not isinstance(k, bool)


def _one_tuple(lengths: tuple[Any, ...]) -> tuple[int, ...]:
    """Accept both `f(2, 3)` and `f((2, 3))`."""
    return tuple(lengths[0]) if len(lengths) == 1 and isinstance(lengths[0], (tuple, list, np.ndarray)) else lengths
