"""Tensors: what they are, what they refuse, and how gradients flow through a graph."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refdet.autograd import Tensor, gradcheck, gradients, no_grad
from refdet.autograd.tensor import apply


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values, float), requires_grad=True)


def grad(x: Tensor) -> np.ndarray[Any, Any]:
    assert x.grad is not None
    return x.grad


def test_chain_rule_by_hand() -> None:
    """L = Σ (x² + 3x): dL/dx = 2x + 3."""
    x = leaf(1, 2, -1)
    (x * x + 3 * x).sum().backward()
    np.testing.assert_array_equal(grad(x), [5, 7, 1])


def test_a_tensor_used_twice_receives_both_gradients() -> None:
    x = leaf(2)
    y = x * x  # used twice below
    (y * y + y).sum().backward()  # d(x⁴ + x²) = 4x³ + 2x = 36
    np.testing.assert_array_equal(grad(x), [36])


def test_gradients_add_up_over_calls() -> None:
    x = leaf(1, 2)
    for _ in range(2):
        (x * 3).sum().backward()
    np.testing.assert_array_equal(grad(x), [6, 6])


def test_a_graph_deeper_than_the_recursion_limit() -> None:
    x = leaf(1)
    y = x
    for _ in range(10 * sys.getrecursionlimit()):
        y = y + 1.0
    y.backward()
    np.testing.assert_array_equal(grad(x), [1])
    del y  # taking the graph apart must not recurse either


def test_backward_frees_the_graph_unless_told_to_keep_it() -> None:
    x = leaf(3)
    y = x * x
    z = y.exp()
    kept = weakref.ref(y)
    del y
    z.backward(retain_graph=True)
    assert kept() is not None
    z.backward()
    gc.collect()
    assert kept() is None
    with pytest.raises(RuntimeError, match="the graph below a result of exp was freed by an earlier backward"):
        z.backward()


@pytest.mark.parametrize(
    "backward",
    [
        lambda z, x, w: z.backward(),
        lambda z, x, w: gradients(z, [x]),
        lambda z, x, w: gradients(z, [w]),  # which could have been below y as well
    ],
)
def test_what_was_freed_is_missed_by_whatever_stands_on_it(
    backward: Callable[[Tensor, Tensor, Tensor], object],
) -> None:
    x, w = leaf(3), leaf(5)
    y = x * 2
    z = w * (y * 3)  # half of the gradient would go through y, of which nobody knows any longer that it was 2x
    y.backward()
    x.grad = None
    with pytest.raises(RuntimeError, match="the graph below a result of multiply was freed by an earlier backward"):
        backward(z, x, w)
    assert x.grad is w.grad is None
    np.testing.assert_array_equal(gradients(z, [y]), [[15]])  # for which nothing below y is needed


def test_no_grad_keeps_nothing() -> None:
    x = leaf(1)
    with no_grad():
        y = x * 2
    assert not y.requires_grad
    assert y.node is None
    with pytest.raises(RuntimeError, match="made from nothing that requires a gradient"):
        y.backward()
    assert (x * 2).requires_grad  # the block has ended


def test_detach_cuts_the_graph() -> None:
    x = leaf(2)
    (x * x.detach()).backward()
    np.testing.assert_array_equal(grad(x), [2])


def test_gradients_of_any_tensor_leave_grad_alone() -> None:
    x, unused = leaf(1, 2), leaf(5)
    y = x * x
    loss = (y * 3).sum()
    dy, dx, dunused = gradients(loss, [y, x, unused])
    np.testing.assert_array_equal(dy, [3, 3])
    np.testing.assert_array_equal(dx, [6, 12])
    np.testing.assert_array_equal(dunused, [0])
    assert x.grad is None


def test_seed_gradient() -> None:
    x = leaf(1, 2)
    y = x * x
    with pytest.raises(ValueError, match=r"without `grad` the result must have one element, got shape \(2,\)"):
        y.backward()
    with pytest.raises(ValueError, match=r"backward: grad must have shape \(2,\) and dtype float64"):
        y.backward(np.ones(3))
    y.backward(np.array([1.0, 10.0]))
    np.testing.assert_array_equal(grad(x), [2, 40])


def test_inputs_without_gradient_get_none() -> None:
    x, constant = leaf(1), Tensor(np.array([2.0]))
    (x * constant).backward()
    assert constant.grad is None


def test_python_numbers_take_the_dtype_of_the_tensor() -> None:
    x = Tensor(np.ones(2, np.float32), requires_grad=True)
    for y in (x + 1, 1.5 * x, x / 3, 2 - x, 1 / x, x**2, -x, x.maximum(0.5)):
        assert y.dtype == np.float32
        y.backward(np.ones(2, np.float32), retain_graph=True)
    assert grad(x).dtype == np.float32


def test_mixed_dtypes_are_refused() -> None:
    with pytest.raises(TypeError, match="add: x is float32 but y is float64"):
        Tensor(np.ones(2, np.float32)) + np.ones(2)
    y = Tensor(np.ones(2, np.float32), requires_grad=True)
    (y.astype(np.float64) + np.ones(2)).sum().backward()
    assert grad(y).dtype == np.float32


def test_arrays_on_the_left_are_answered_by_the_tensor() -> None:
    x = leaf(1, 2)
    y = np.array([10.0, 20.0]) - x
    assert isinstance(y, Tensor)
    np.testing.assert_array_equal(y.data, [9, 18])
    np.testing.assert_array_equal((np.eye(2) @ x).data, [1, 2])


def test_comparisons_are_plain_arrays() -> None:
    x = leaf(1, 2, 3)
    for result, expected in (
        (x > 2, [0, 0, 1]),
        (x >= 2, [0, 1, 1]),
        (x < 2, [1, 0, 0]),
        (x <= 2, [1, 1, 0]),
        (x == 2, [0, 1, 0]),
        (x != np.array([1.0, 0.0, 3.0]), [0, 1, 0]),
    ):
        assert isinstance(result, np.ndarray)
        np.testing.assert_array_equal(result, np.array(expected, bool))
    assert 2.0 in x
    assert 5.0 not in x
    assert len({id(key) for key in {x: 0}}) == 1  # hashed by identity


def test_comparisons_neither_truncate_nor_promote() -> None:
    np.testing.assert_array_equal(Tensor(np.arange(3)) < 1.5, [True, True, False])
    with pytest.raises(TypeError, match="comparison: x is float64 but y is float32"):
        leaf(1) < np.ones(1, np.float32)  # noqa: B015
    with pytest.raises(ValueError, match="comparison: shapes do not broadcast together"):
        leaf(1, 2) < leaf(1, 2, 3)  # noqa: B015


def test_gradients_belong_to_the_caller() -> None:
    """They share memory neither with each other nor with what was passed in, and can be written to."""
    x, y, seed = leaf(1, 2), leaf(3, 4), np.array([1.0, 1.0])
    (x + y).backward(seed)
    seed[:] = 7
    grad(x)[:] = 5
    np.testing.assert_array_equal(grad(y), [1, 1])
    z = leaf(1, 2)
    z.sum().backward()
    grad(z)[0] = 3
    first, second = gradients(z, [z, z], np.ones(2))
    assert not np.shares_memory(first, second)
    scalar = Tensor(3.0, requires_grad=True)
    (scalar * scalar).backward()
    assert isinstance(scalar.grad, np.ndarray)


def test_gradients_refuses_what_it_cannot_answer() -> None:
    x = leaf(1, 2)
    loss = (x * x).sum()
    with pytest.raises(TypeError, match=r"gradients: inputs must be a sequence of tensors; write \[x\]"):
        gradients(loss, x)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"inputs\[1\] must be a Tensor that requires a gradient, got ndarray"):
        gradients(loss, [x, x.data])  # type: ignore[list-item]
    np.testing.assert_array_equal(gradients(loss, iter([x]))[0], [2, 4])  # type: ignore[arg-type]


def test_gradients_walk_no_further_than_asked() -> None:
    x = leaf(1, 2)
    y = x * x
    z = (y * 3).sum()
    gradients(z, [y])
    y.sum().backward()  # what lies below y was not freed
    np.testing.assert_array_equal(grad(x), [2, 4])


def test_an_error_on_the_way_leaves_the_graph_whole() -> None:
    fail = [True]

    def backward(x: Any, dy: Any, needs: Any) -> Any:
        if fail[0]:
            raise KeyboardInterrupt
        return (dy,)

    x = leaf(1, 2)
    y = (apply(lambda x, keep_residual: (x, x), backward, x) * 2).sum()
    with pytest.raises(KeyboardInterrupt):
        y.backward()
    assert x.grad is None
    fail[0] = False
    y.backward()
    np.testing.assert_array_equal(grad(x), [2, 2])


def test_the_gradient_of_a_tensor_without_axes_is_an_array_every_time() -> None:
    x = Tensor(3.0, requires_grad=True)
    for expected in (6, 12):
        (x * x).backward()
        assert isinstance(x.grad, np.ndarray)
        np.testing.assert_array_equal(x.grad, expected)


@pytest.mark.filterwarnings("error")
def test_gradients_that_add_up_to_infinity_do_so_silently() -> None:
    x = leaf(1)
    for _ in range(2):
        (x * 1 + x).backward(np.array([1e308]))
    np.testing.assert_array_equal(grad(x), [np.inf])


def test_a_key_changed_afterwards_does_not_matter() -> None:
    x, key = leaf(1, 2, 3), np.array([0, 0])
    y = x[key]
    key[:] = 2
    y.sum().backward()
    np.testing.assert_array_equal(grad(x), [2, 0, 0])


def test_keys_that_do_not_fit_say_so() -> None:
    x = leaf(1, 2, 3)
    with pytest.raises(IndexError, match=r"index: the key 5 does not fit x of shape \(3,\)"):
        x[5]
    with pytest.raises(IndexError, match=r"gather: the key .* does not fit x of shape \(3,\)"):
        x[np.array([True, False])]
    assert x[True].shape == (1, 3)  # as NumPy has it
    for nothing in (np.zeros(0), np.zeros((2, 0)), np.zeros(0, np.float32), Tensor(np.zeros(0))):
        with pytest.raises(IndexError, match=r"gather: the key .* does not fit x of shape \(3,\): arrays used as ind"):
            x[nothing]
    empty: list[Any] = []
    assert (x[empty].shape, x[[empty]].shape, x[np.zeros(0, int)].shape) == ((0,), (1, 0), (0,))


def test_conversion_to_an_array_is_refused_where_a_gradient_would_be_lost() -> None:
    x = leaf(1)
    with pytest.raises(TypeError, match="does not turn into an array by itself"):
        np.asarray(x)
    np.testing.assert_array_equal(np.asarray(x.detach()), [1])
    assert x.item() == float(x) == 1.0
    with pytest.raises(ValueError, match=r"item: needs a tensor of one element, got shape \(2,\)"):
        leaf(1, 2).item()


def test_what_a_tensor_can_hold() -> None:
    assert Tensor([[1.0, 2.0]]).shape == (1, 2)
    assert Tensor(np.ones(2, ">f4")).dtype.isnative
    assert (len(Tensor(np.zeros((3, 2)))), Tensor(2.0).ndim, Tensor(np.zeros((2, 3))).size) == (3, 0, 6)
    assert isinstance(Tensor(np.ones(3)).sum().data, np.ndarray)  # not a NumPy scalar
    with pytest.raises(TypeError, match="only float32 and float64 data can require a gradient, got int64"):
        Tensor(np.arange(3), requires_grad=True)
    with pytest.raises(TypeError, match="only float32 and float64 data can require a gradient, got float16"):
        Tensor(np.ones(2, np.float16), requires_grad=True)
    with pytest.raises(TypeError, match="a masked array would lose its mask"):
        Tensor(np.ma.masked_equal([1.0, 2.0], 2.0))
    with pytest.raises(TypeError, match="must be numbers in a regular array"):
        Tensor([[1.0], [1.0, 2.0]])
    np.testing.assert_array_equal(Tensor(np.arange(3)).astype(np.float32).data, np.arange(3, dtype=np.float32))
    for dtype in (np.float16, np.longdouble, np.bool_):
        converted = Tensor(np.array([1, 0], dtype)).astype("float32")
        assert converted.dtype == np.float32
        np.testing.assert_array_equal(converted.data, [1, 0])
    assert (Tensor(2**53 + 1).item(), int(Tensor(3.0))) == (2**53 + 1, 3)
    with pytest.raises(TypeError, match="data must be numbers"):
        Tensor(["a"])
    with pytest.raises(TypeError, match="already a Tensor"):
        Tensor(Tensor(1.0))


def test_repr_shows_values_and_origin() -> None:
    assert repr(leaf(1, 2)) == "Tensor([1., 2.], float64, requires_grad=True)"
    assert repr(leaf(1, 2).exp()).endswith("float64, made by exp)")


def test_shape_methods() -> None:
    x = Tensor(np.arange(24.0).reshape(2, 3, 4), requires_grad=True)
    assert x.reshape(4, -1).shape == x.reshape((4, 6)).shape == (4, 6)
    assert x.flatten(1).shape == x.flatten(-2).shape == (2, 12)
    with pytest.raises(ValueError, match="flatten: axis 5 does not exist"):
        x.flatten(5)
    assert Tensor(np.ones(3)).broadcast_to(2, 3).shape == (2, 3)
    assert x.transpose(2, 0, 1).shape == (4, 2, 3)
    assert x.T.shape == (4, 3, 2)
    assert x[:, 1].shape == (2, 4)
    assert x[..., None, -1].shape == (2, 3, 1)
    assert x[np.array([0, 0, 1])].shape == (3, 3, 4)
    assert x[x > 20].shape == (3,)
    assert [row.shape for row in x] == [(3, 4), (3, 4)]


def test_repeated_gather_adds() -> None:
    x = leaf(1, 2, 3)
    x[np.array([0, 0, 2])].sum().backward()
    np.testing.assert_array_equal(grad(x), [2, 0, 1])


def test_ties_of_max_go_to_the_first() -> None:
    x = Tensor(np.array([[1.0, 3.0], [3.0, 0.0]]), requires_grad=True)
    x.max().backward()
    np.testing.assert_array_equal(grad(x), [[0, 1], [0, 0]])


def test_composite_gradient() -> None:
    rng = np.random.default_rng(0)
    inputs = [rng.uniform(0.5, 2, shape) for shape in ((3, 4), (4, 2), (2,))]

    def function(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        z = (x @ w - b).exp()
        return (z / z.sum(axis=1, keepdims=True)).log().mean(axis=0) + x[1:, :2].sqrt().min(axis=0) ** 3

    gradcheck(function, inputs, rng=rng)


def test_one_seed_gives_the_same_bits() -> None:
    def run() -> bytes:
        rng = np.random.default_rng(0)
        x = Tensor(rng.standard_normal((50, 50)).astype(np.float32), requires_grad=True)
        y = x
        for _ in range(5):
            y = (y @ x * 0.01).exp() * 0.01 + x
        y.sum().backward()
        return grad(x).tobytes()

    assert run() == run()
