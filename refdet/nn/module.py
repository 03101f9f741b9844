"""A module: named parameters, named buffers and named parts, as a tree.

A `Parameter` is a tensor to be learned; a buffer is an array that belongs to the state but is not learned (running
statistics). Both are found by attribute, in the order in which they were set, and named by their path:
`features.0.weight`.

`state_dict` maps these names to arrays; `load_state_dict` is strict: it lists every missing, unexpected and mis-shaped
name at once and, if there is one, changes nothing.

Whether a forward pass is part of training is an argument, `training=`, as is the generator that dropout draws from,
`rng=`: no module remembers a mode.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array, shape_of


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

    def add_buffer(self, name: str, value: Array) -> None:
        """Make the array `value` part of the state under `name`."""
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
        yield prefix, self
        for name, part in self.parts():
            yield from part.named_modules(f"{prefix}{name}.")

    def state_dict(self) -> dict[str, Array]:
        """Return path → copy, for all parameters and buffers; a shared one comes under each of its paths."""
        return {
            f"{path}{name}": np.copy(_array(getattr(module, name)))
            for path, module in self.named_modules()
            for name in _own(module)
        }

    def load_state_dict(self, state: Mapping[str, Array], *, strict: bool = True) -> None:
        """Take over the arrays of `state`, converted to the dtype of this module.

        With `strict`, every name must be on both sides. A shape must fit in any case. Otherwise one error names all
        that is wrong, and nothing is changed.
        """
        holders = {f"{path}{name}": (module, name) for path, module in self.named_modules() for name in _own(module)}
        problems = []
        if strict:
            problems += [f"missing {name}" for name in holders if name not in state]
            problems += [f"unexpected {name}" for name in state if name not in holders]
        for name, (module, attribute) in holders.items():
            here = _array(getattr(module, attribute))
            if name in state and shape_of(state[name]) != shape_of(here):
                problems.append(f"{name} has shape {shape_of(state[name])}, expected {shape_of(here)}")
        if problems:
            raise ValueError(f"load_state_dict: {type(self).__name__} does not fit the state: {'; '.join(problems)}")
        for name, (module, attribute) in holders.items():
            if name in state:
                value = getattr(module, attribute)
                loaded = np.array(state[name], dtype=_array(value).dtype)
                if isinstance(value, Parameter):
                    value.data = loaded
                else:
                    setattr(module, attribute, loaded)

    def zero_grad(self) -> None:
        """Forget the gradient of every parameter."""
        for parameter in self.parameters():
            parameter.grad = None

    def freeze(self) -> None:
        """Ask for no gradient of any parameter of the tree: optimisers leave them alone."""
        for parameter in self.parameters():
            parameter.requires_grad = False

    def astype(self, dtype: Any) -> Module:
        """Round every parameter and floating-point buffer to `dtype`, and return the module itself."""
        for _, module in self.named_modules():
            for name in _own(module):
                value = getattr(module, name)
                if isinstance(value, Parameter):
                    value.data, value.grad = value.data.astype(dtype), None
                elif value.dtype.kind == "f":
                    setattr(module, name, value.astype(dtype))
        return self


def _own(module: Module) -> list[str]:
    """Name the attributes that are parameters or buffers of `module` itself."""
    return [name for name, value in vars(module).items() if isinstance(value, Parameter)] + module._buffers


def _array(value: Any) -> Array:
    array: Array = value.data if isinstance(value, Parameter) else value
    return array
