"""Deviations: named ways in which real implementations give a different answer to the same parameters.

A deviation is executable: it wraps reference bodies of kernels, and runs like a backend, so that whatever dispatches to
these kernels inherits it. The executables are in `golden/deviations/`, in the source tree alone; an installed suite has
what they say, in the manifest, and the answers that they give, as alternatives of the cases.

A key is `name=value`. Two keys with one name exclude each other: nobody suppresses at both > and ≥.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from refdet.core.kernel import KERNELS, Backend

Body = Callable[..., Any]
KEY = re.compile(r"[a-z0-9]+(\.[a-z0-9_]+)+=[a-z0-9_.-]+")


@dataclass(frozen=True)
class Deviation:
    """One way to differ, who differs so, and what to do about it."""

    key: str
    title: str  # fits on a line of a terminal
    effect: str  # what it does to answers
    who: tuple[str, ...]  # implementations that do it, each with its source
    change: str  # what to change to come to the canonical answer
    kernels: Mapping[str, Callable[[Body], Body]]  # by kernel name: reference body → deviating body

    def __post_init__(self) -> None:
        """Refuse a deviation that could not be reported."""
        if not KEY.fullmatch(self.key):
            raise ValueError(f"deviation: key must look like nms.cmp=ge, got {self.key!r}")
        if not (self.title and self.effect and self.who and self.change and self.kernels):
            raise ValueError(f"deviation {self.key}: title, effect, who, change and kernels must all be given")

    @property
    def name(self) -> str:
        """What comes before the equals sign."""
        return self.key.partition("=")[0]

    @property
    def algorithms(self) -> frozenset[str]:
        """The algorithms whose kernels it wraps."""
        return frozenset(name.removesuffix(".forward").removesuffix(".backward") for name in self.kernels)


@dataclass(frozen=True)
class Dialect:
    """The deviations of one library or one of its ancestors."""

    name: str
    title: str
    keys: tuple[str, ...]


def deviating(deviations: Iterable[Deviation]) -> Backend:
    """Return the reference with deviations, as a backend: of one kernel, those that come first are innermost."""
    bodies: dict[str, Body] = {}
    for deviation in deviations:
        for name, wrap in deviation.kernels.items():
            if name not in KERNELS:
                raise ValueError(f"deviation {deviation.key}: there is no kernel {name!r}")
            bodies[name] = wrap(bodies.get(name, KERNELS[name].reference))
    return Backend("deviating", bodies, "reference")


def compatible_sets(keys: Collection[str], largest: int) -> Iterator[frozenset[str]]:
    """Yield every set of 1 to `largest` keys of different names, small ones first, each size in alphabetical order.

    >>> [sorted(s) for s in compatible_sets(["nms.tie=last", "nms.cmp=ge", "nms.tie=none"], 2)]
    [['nms.cmp=ge'], ['nms.tie=last'], ['nms.tie=none'], ['nms.cmp=ge', 'nms.tie=last'], ['nms.cmp=ge', 'nms.tie=none']]
    """
    for size in range(1, largest + 1):
        for chosen in combinations(sorted(keys), size):
            if len({key.partition("=")[0] for key in chosen}) == size:
                yield frozenset(chosen)


def named(keys: Collection[str], deviations: Sequence[Deviation]) -> list[Deviation]:
    """Return the deviations with these keys, in the order of `deviations`."""
    if unknown := set(keys) - {d.key for d in deviations}:
        raise ValueError(f"there is no deviation {', '.join(sorted(unknown))}")
    return [d for d in deviations if d.key in keys]
