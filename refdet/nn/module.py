"""A module: named parameters, named buffers and named parts, as a tree.

A `Parameter` is a tensor to be learned; a buffer is an array that belongs to the state but is not learned (running
statistics). Both are found by attribute, in the order in which they were set, and named by their path:
`features.0.weight`. A parameter or part inside a list, tuple or dict has no such path: every walk over the names
refuses that, and refuses a module that contains itself.

`state_dict` maps these names to arrays; `load_state_dict` is strict: it lists every missing, unexpected and misfitting
name at once and, if there is one, changes nothing.

Whether a forward pass is part of training is an argument, `training=`, as is the generator that dropout draws from,
`rng=`: no module remembers a mode.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array, shape_of
from refdet.nn.init import check_dtype


class Parameter(Tensor):
    """A leaf tensor that is learned; `requires_grad=False` freezes it."""

    __slots__ = ()

    def __init__(self, data: Any, *, requires_grad: bool = True) -> None:
        super().__init__(data, requires_grad=requires_grad)


class Module:
    """Base of all layers and networks: define `forward`, set parameters and parts as attributes."""

    def __init__(self) -> None:
        self._buffers: list[str] = []

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Compute the output; a subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def __call__(self, x: Tensor | Array, *, training: bool = False, rng: np.random.Generator | None = None) -> Tensor:
        """Compute the output for a tensor or an array."""
        return self.forward(x if isinstance(x, Tensor) else Tensor(x), training=training, rng=rng)

    def __repr__(self) -> str:
        return "\n".join(_tree(self, ()))

    def add_buffer(self, name: str, value: Array) -> None:
        """Make the array `value` part of the state under `name`, which must be new."""
        _check_initialised(self)
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"add_buffer: the name must be an identifier, got {name!r}")
        if hasattr(self, name):
            raise ValueError(f"add_buffer: {type(self).__name__} already has an attribute {name}")
        if not is_array(value):
            raise TypeError(f"add_buffer: {name} must be an array, got {type(value).__name__}")
        self._buffers.append(name)
        setattr(self, name, value)

    def parts(self) -> Iterator[tuple[str, Module]]:
        """Yield the modules among the attributes."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Yield every parameter of the tree with its path; one shared by two paths comes with the first of them."""
        seen: set[int] = set()
        for path, module in self.named_modules(prefix):
            for name, value in vars(module).items():
                if isinstance(value, Parameter) and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{path}{name}", value

    def parameters(self) -> list[Parameter]:
        """Return every parameter of the tree once."""
        return [parameter for _, parameter in self.named_parameters()]

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Array]]:
        """Yield every buffer of the tree with its path."""
        for path, module in self.named_modules(prefix):
            for name in module._buffers:
                yield f"{path}{name}", getattr(module, name)

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield this module and every part below it, each with its path, which is empty or ends with a dot."""
        yield from _walk(self, prefix, ())

    def state_dict(self) -> dict[str, Array]:
        """Return path → copy, for all parameters and buffers; a shared one comes under each of its paths."""
        return {
            f"{path}{name}": np.copy(_array(getattr(module, name)))
            for path, module in self.named_modules()
            for name in _own(module)
        }

    def load_state_dict(self, state: Mapping[str, Array], *, strict: bool = True) -> None:
        """Take over the arrays of `state`, converted to the dtype of this module.

        With `strict`, every name must be on both sides. Shape and kind must fit in any case: floats and integers
        convert to floats, integers to integers, booleans to booleans; float64 is rounded to float32. Otherwise one
        error names all that is wrong, and nothing is changed.
        """
        holders = {f"{path}{name}": (module, name) for path, module in self.named_modules() for name in _own(module)}
        problems = []
        if strict:
            problems += [f"missing {name}" for name in holders if name not in state]
            problems += [f"unexpected {name}" for name in state if name not in holders]
        loaded = {}
        for name, (module, attribute) in holders.items():
            if name not in state:
                continue
            here = _array(getattr(module, attribute))
            if problem := misfit(state[name], here):
                problems.append(f"{name} {problem}")
            else:
                loaded[name] = np.array(state[name], dtype=here.dtype)
        if problems:
            raise ValueError(f"load_state_dict: {type(self).__name__} does not fit the state: {'; '.join(problems)}")
        for name, array in loaded.items():
            module, attribute = holders[name]
            value = getattr(module, attribute)
            if isinstance(value, Parameter):
                value.data = array
            else:
                setattr(module, attribute, array)

    def zero_grad(self) -> None:
        """Forget the gradient of every parameter."""
        for parameter in self.parameters():
            parameter.grad = None

    def freeze(self) -> None:
        """Ask for no gradient of any parameter of the tree: optimisers leave them alone."""
        for parameter in self.parameters():
            parameter.requires_grad = False

    def unfreeze(self) -> None:
        """Ask for the gradient of every parameter of the tree."""
        for parameter in self.parameters():
            parameter.requires_grad = True

    def astype(self, dtype: Any) -> Module:
        """Round every parameter and floating-point buffer to float32 or float64, and return the module itself.

        Gradients are forgotten. The state of an optimiser keeps its dtype: its next step refuses, and says what to do.
        """
        target = check_dtype("astype", dtype)
        for _, module in list(self.named_modules()):
            for name in _own(module):
                value = getattr(module, name)
                if isinstance(value, Parameter):
                    value.data, value.grad = value.data.astype(target), None
                elif value.dtype.kind == "f":
                    setattr(module, name, value.astype(target))
        return self


def is_array(value: Any) -> bool:
    """Say whether `value` is an array of NumPy or of a library that has NumPy's dtypes; a Tensor is none."""
    return not isinstance(value, Tensor) and isinstance(getattr(value, "dtype", None), np.dtype)


def misfit(value: Any, like: Array) -> str | None:
    """Say why `value` cannot be loaded in the place of `like`, to follow its name; None if it can.

    >>> misfit(np.zeros(3), np.zeros(2))
    'has shape (3,), expected (2,)'
    """
    if not is_array(value):
        return f"is not an array but {type(value).__name__}"
    if shape_of(value) != shape_of(like):
        return f"has shape {shape_of(value)}, expected {shape_of(like)}"
    kinds = "b" if like.dtype.kind == "b" else "iuf"
    if value.dtype.kind not in kinds or not np.can_cast(value.dtype, like.dtype, "same_kind"):
        return f"has dtype {value.dtype}, which does not convert to {like.dtype}"
    return None


def _walk(module: Module, path: str, ancestors: tuple[Module, ...]) -> Iterator[tuple[str, Module]]:
    """Yield `module` and what is below it, after checking that its attributes can be found by name."""
    _check_initialised(module)
    if any(module is ancestor for ancestor in ancestors):
        raise ValueError(f"{type(module).__name__}: the module contains itself, as its part {path.removesuffix('.')}")
    for name, value in vars(module).items():
        if _hides_parts(value):
            raise TypeError(
                f"{type(module).__name__}: {path}{name} is a {type(value).__name__} that holds modules or parameters, "
                "which have no names there; use Sequential, or an attribute for each"
            )
    yield path, module
    for name, part in module.parts():
        yield from _walk(part, f"{path}{name}.", (*ancestors, module))


def _check_initialised(module: Module) -> None:
    if "_buffers" not in vars(module):
        raise RuntimeError(f"{type(module).__name__}: its __init__ must call super().__init__() first")


def _hides_parts(value: Any) -> bool:
    """Say whether `value` is a container with a module or parameter somewhere inside."""
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, (list, tuple, set, frozenset)):
        return False
    items: Collection[Any] = value
    return any(isinstance(item, (Module, Parameter)) or _hides_parts(item) for item in items)


def _tree(module: Module, ancestors: tuple[Module, ...]) -> list[str]:
    """Return the lines of `repr`: the shapes of the parameters, then the parts, indented."""
    own = [f"{name} {value.shape}" for name, value in vars(module).items() if isinstance(value, Parameter)]
    head = f"{type(module).__name__}({', '.join(own)}"
    if any(module is ancestor for ancestor in ancestors):
        return [f"{type(module).__name__}(...)"]
    lines = []
    for name, part in module.parts():
        first, *rest = _tree(part, (*ancestors, module))
        lines += [f"  ({name}): {first}", *(f"  {line}" for line in rest)]
    return [head, *lines, ")"] if lines else [f"{head})"]


def _own(module: Module) -> list[str]:
    """Name the attributes that are parameters or buffers of `module` itself."""
    return [name for name, value in vars(module).items() if isinstance(value, Parameter)] + module._buffers


def _array(value: Any) -> Array:
    array: Array = value.data if isinstance(value, Parameter) else value
    return array
