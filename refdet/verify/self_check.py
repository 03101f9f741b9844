"""Check an algorithm on random input: its values against the naive oracle, its gradients against central differences.

The input is what `random_case` of `golden/cases/X.py` draws, in float64 and away from kinks. Three numbers come out,
each relative to the largest magnitude involved: how far the values are from the oracle's, how far the gradients are
from the oracle's, and how far ⟨Jᵀ v, u⟩ is from ⟨v, J u⟩ by central differences (see `refdet.autograd.gradcheck`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from refdet.autograd import PAIRS, check_gradients
from refdet.autograd.tensor import Tensor
from refdet.core.check import Array
from refdet.verify.case import Algorithm, Case
from refdet.verify.generated_case import reference_answer
from refdet.verify.tolerances import answer

ORACLE_TOLERANCE = 1e-11  # float64 rounding through at most a few thousand terms
NUMERIC_TOLERANCE = 1e-6  # truncation and cancellation of central differences with step 1e-6


@dataclass(frozen=True)
class SelfCheck:
    """The errors of one algorithm on one random input."""

    algorithm: str
    shapes: str
    value_error: float
    gradient_error: float
    numeric_error: float

    @property
    def passed(self) -> bool:
        """Whether all errors are what rounding explains."""
        return (
            max(self.value_error, self.gradient_error) <= ORACLE_TOLERANCE and self.numeric_error <= NUMERIC_TOLERANCE
        )


def self_check(module: ModuleType, rng: np.random.Generator) -> SelfCheck:
    """Check the algorithm whose cases `module` holds on a random input."""
    algorithm: Algorithm = module.ALGORITHM
    case: Case = module.random_case(rng)
    arguments = case.arguments(algorithm)
    expected = answer(algorithm, case)
    ours = reference_answer(algorithm, arguments, case.dy, case.params, expected)
    gradients = [name for name in expected if name not in algorithm.outputs]
    return SelfCheck(
        algorithm.name,
        ", ".join(" × ".join(map(str, x.shape)) or "scalar" for x in arguments.values() if x is not None),
        max((relative_error(ours[name], expected[name]) for name in expected if name not in gradients), default=0.0),
        max((relative_error(ours[name], expected[name]) for name in gradients), default=0.0),
        _numeric_error(algorithm, case, [name[1:] for name in gradients], rng),
    )


def relative_error(actual: Array, expected: Array) -> float:
    """Return max |actual − expected| / (1 + max |expected|); infinite where the shapes or the NaNs differ.

    Integers and booleans are equal, or infinitely far apart.
    """
    if expected.dtype.kind != "f":
        return 0.0 if np.array_equal(actual, expected) else float("inf")
    if actual.shape != expected.shape or not np.array_equal(np.isnan(actual), np.isnan(expected)):
        return float("inf")
    same = (actual == expected) | np.isnan(expected)  # infinities of one sign are equal, and their difference is NaN
    difference = np.where(same, 0.0, np.abs(np.subtract(actual, expected, where=~same, out=np.zeros(actual.shape))))
    finite = np.abs(expected[np.isfinite(expected)])
    return float(np.max(difference, initial=0.0) / (1 + np.max(finite, initial=0.0)))


def _numeric_error(algorithm: Algorithm, case: Case, differentiable: Sequence[str], rng: np.random.Generator) -> float:
    if not differentiable:
        return 0.0
    arguments = case.arguments(algorithm)

    def function(*tensors: Tensor) -> Tensor:
        replaced = {**arguments, **dict(zip(differentiable, tensors, strict=True))}
        return PAIRS[algorithm.name](*replaced.values(), **case.params)

    inputs = [x for name in differentiable if (x := arguments[name]) is not None]
    return max((check.error for check in check_gradients(function, inputs, rng=rng)), default=0.0)
