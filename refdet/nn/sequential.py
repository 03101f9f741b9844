"""Modules one after another."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import overload

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.nn.module import Module


class Sequential(Module):
    """Modules one after another, named by their position or, if given by keyword, by their keyword.

    `net[0]` is a module; `net[:3]` is a Sequential that shares the modules and keeps their names.
    """

    def __init__(self, *modules: Module, **named: Module) -> None:
        super().__init__()
        for name, module in [(str(i), module) for i, module in enumerate(modules)] + list(named.items()):
            if not isinstance(module, Module):
                raise TypeError(f"Sequential: part {name} must be a Module, got {type(module).__name__}")
            if not (name.isidentifier() or (name.isascii() and name.isdecimal())):
                raise ValueError(f"Sequential: the name of a part must be an identifier or digits, got {name!r}")
            if hasattr(self, name):
                raise ValueError(f"Sequential: a part cannot be named {name}, which is an attribute of every Module")
            setattr(self, name, module)

    def __len__(self) -> int:
        return sum(1 for _ in self.parts())

    def __iter__(self) -> Iterator[Module]:
        return (module for _, module in self.parts())

    @overload
    def __getitem__(self, key: int) -> Module: ...
    @overload
    def __getitem__(self, key: slice) -> Sequential: ...
    def __getitem__(self, key: int | slice) -> Module | Sequential:
        parts = list(self.parts())
        if isinstance(key, slice):
            return Sequential(**dict(parts[key]))
        if isinstance(key, bool) or not hasattr(key, "__index__"):
            raise TypeError(f"Sequential: the position must be an integer or a slice, got {key!r}")
        i = operator.index(key)
        if not -len(parts) <= i < len(parts):
            raise IndexError(f"Sequential: position {i} does not exist among {len(parts)} parts")
        return parts[i][1]

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Pass x through all parts in order."""
        for _, module in self.parts():
            x = module(x, training=training, rng=rng)
        return x
