"""A sequence whose items are made when they are asked for, each from its number alone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TypeVar, overload

from refdet.core.check import as_index

T = TypeVar("T")


class LazySequence(Sequence[T]):
    """`n` items, numbered from 0; a subclass says how item i is made. A slice makes all of its items."""

    def __init__(self, n: int) -> None:
        self._n = n

    @abstractmethod
    def _item(self, i: int) -> T:
        """Make item i, 0 ≤ i < n."""

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return [self._item(i) for i in range(*index.indices(self._n))]
        i = as_index(index)
        if i is None or not -self._n <= i < self._n:
            raise IndexError(f"{type(self).__name__}: there are {self._n} items, no item {index!r}")
        return self._item(i % self._n)
