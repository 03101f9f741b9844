"""What a workload, a group of workloads and a target are.

A workload names a kernel, makes that kernel's inputs from a seed, and says how closely two answers must agree before
their times may be compared. A ratio is the time of the side under test over the time of the other: 0.5× is twice as
fast. The limits of a target are therefore all upper limits.

Inputs are drawn anew in the process of each side, perhaps by another release of NumPy, whose exp and log may differ in
the last bit. What a comparison would blow up, such as a coordinate, is therefore rounded to a grid when it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from refdet.core.check import Array

Inputs = Mapping[str, Array | None]  # by name, in the order of the kernel's positional arguments


class Work(NamedTuple):
    """What an effective rate is computed from: the work that the definition asks for, however it is done.

    A side that gets along with less, as Winograd's convolution does with fewer multiplications, has an effective rate
    above what it really computes, and possibly above the machine's peak.
    """

    flops: int  # floating-point additions, multiplications, comparisons
    bytes: int  # of the inputs, each read once, and of the outputs, each written once


@dataclass(frozen=True)
class Workload:
    """One call to time.

    `kernel` is the name that every side knows the work by. For `X.forward` the inputs are the arrays of op X and the
    residual is not kept; for `X.backward` they are the same arrays and then `dy`, and the forward pass that makes the
    residual is not timed; for any other kernel they are its positional arguments. `params` are complete.
    """

    name: str
    what: str
    kernel: str
    make_inputs: Callable[[np.random.Generator], Inputs]
    params: Mapping[str, Any]
    tolerance: float  # largest |Δ| over largest magnitude that still counts as the same answer
    count: int = 1  # how many times the group's sum contains it
    work: Callable[[Inputs], Work] | None = None  # None: how much work is needed depends on how it is done

    def inputs(self, seed: int) -> Inputs:
        """Return the inputs of this seed, the same in every process."""
        return self.make_inputs(np.random.default_rng(seed))


@dataclass(frozen=True)
class Target:
    """What `side` has to reach against `against`; a limit that is None is not part of it."""

    side: str
    against: str
    total: float | None = None  # of the summed times, each workload `count` times
    geometric_mean: float | None = None  # of the ratios, weighted by `count`
    each: float | None = None  # of every single workload
    peak_bytes: int | None = None  # of the memory that a call takes while it runs, its output included
    seconds: tuple[tuple[str, float], ...] = ()  # a workload, and how long one call of `side` may take


@dataclass(frozen=True)
class Group:
    """Workloads that are reported in one table, and what is asked of them."""

    name: str
    title: str
    workloads: tuple[Workload, ...]
    targets: tuple[Target, ...] = ()

    def __post_init__(self) -> None:
        names = [workload.name for workload in self.workloads]
        if len(set(names)) != len(names):
            raise ValueError(f"group {self.name}: a workload name occurs twice in {names}")
        unknown = {name for target in self.targets for name, _ in target.seconds} - set(names)
        if unknown:
            raise ValueError(f"group {self.name}: a target names {sorted(unknown)}, the workloads are {names}")

    def workload(self, name: str) -> Workload:
        """Return the workload of this name."""
        return next(workload for workload in self.workloads if workload.name == name)


def n_bytes(*arrays: Array | None) -> int:
    """Return how much memory arrays take together.

    >>> n_bytes(np.zeros(3), None, np.zeros(2, np.float32))
    32
    """
    return sum(array.nbytes for array in arrays if array is not None)
