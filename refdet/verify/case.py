"""What a golden case is, before its answer is computed.

`golden/cases/X.py` describes algorithm X by an `Algorithm` and a list of `Case`s: named inputs and the reason each
exists. The answers come from the naive oracle in `tests/oracles/`, evaluated in float64 on inputs that are exact in
float32, and rounded once; or from the case itself, where they were worked out by hand or printed in a paper. They never
come from refdet.

How an answer is compared is part of the case. The rule: every correct implementation passes, whatever its order of
summation, tiling, fused multiply-adds or fast algorithm, and every error of convention fails.

Tensor names. Inputs and outputs have the names that the `Algorithm` gives them. The gradient that comes in is called
"d" + the first output, and the gradient of an input "d" + that input: z = x · y has the answers z, dx and dy, the last
two given dz.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from refdet.core.check import Array

# What a case is about; the vocabulary is closed, so that a program may select by it.
TAGS = frozenset(
    {
        "border",  # the edge of the image, where windows are clipped
        "broadcast",  # operands of different shapes
        "convention",  # implementations differ here, and a parameter says which one is meant
        "deck",  # a number or layer printed in one of the lecture decks
        "dilation",
        "dyadic",  # exact in float32 in any order of summation
        "empty",  # no elements along some axis, or nothing to average
        "fast-path",  # large enough for Winograd and the like
        "groups",
        "hand",  # small enough to be worked out by hand
        "inf",
        "kink",  # the derivative does not exist here, and the value it is given is part of the definition
        "nan",
        "overflow",  # a formula written down carelessly leaves the range of float32
        "padding",
        "rounding",  # rounding to an integer or to a shorter type
        "stride",
        "tie",  # equal candidates
    }
)
STATUSES = ("required", "optional", "undefined")


@dataclass(frozen=True)
class Exact:
    """Every element equal (±0 are equal): indices, maxima, and sums of dyadic numbers that are exact in any order."""


@dataclass(frozen=True)
class Bound:
    """|y − ŷ| ≤ γ_n · S with γ_n = n·u/(1 − n·u), S = Σ|terms|: any order of summation; S is stored beside the answer.

    S is what the oracle makes of the absolute values of its inputs, unless `scale` gives it by tensor name.
    """

    # Rounding errors that can meet in one element: one per term of the sum (its product, and its addition to the
    # rest, of which there is one less), one for each further operation, and one for the rounding of what is stored.
    n: int
    scale: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Spread:
    """|y − ŷ| ≤ 16 times the spread of float32 evaluations in permuted orders, measured when the case is generated."""

    evaluate: Callable[[np.random.Generator], Mapping[str, Array]]  # one float32 evaluation, by tensor name


@dataclass(frozen=True)
class Ulp:
    """|y − ŷ| ≤ max(ulps · ulp(ŷ), floor): transcendental functions."""

    ulps: int
    floor: float


Compare = Exact | Bound | Spread | Ulp
STAGE_RULE = Ulp(256, 1e-5)


@dataclass(frozen=True)
class Algorithm:
    """What every case of one algorithm shares."""

    name: str  # its kernels are `name.forward` and `name.backward`; or the one kernel `name`, without a gradient
    oracle: ModuleType  # `forward(*inputs, **params)`, and `backward(*inputs, dy=dy, **params)` where it has a gradient
    inputs: tuple[str, ...]  # names in the kernel's order; empty where it takes any number of arrays
    outputs: tuple[str, ...] = ("y",)
    reference: str = ""  # deck and paper
    stages: tuple[str, ...] = ()  # what comes between inputs and outputs, in order; the oracle's `stages` gives it
    composes: tuple[str, ...] = ()  # algorithms whose kernels its own runs, and whose deviations it inherits
    by_transform: bool = False  # whether it may be computed by Fourier transforms, which round even exact sums

    @property
    def incoming_gradient(self) -> str:
        """The name of the tensor that holds the gradient of the first output."""
        return f"d{self.outputs[0]}"

    @property
    def oracle_file(self) -> str:
        """The oracle's path in the source tree."""
        return f"{self.oracle.__name__.replace('.', '/')}.py"


@dataclass(frozen=True)
class Case:
    """One idea: inputs, complete params, and why it exists."""

    name: str  # never renamed or reused; the id is `algorithm/name`
    why: str
    inputs: Mapping[str, Array | None]
    compare: Compare | Mapping[str, Compare]  # one for all tensors, or by tensor name
    params: Mapping[str, Any] = field(default_factory=dict)
    dy: Array | None = None  # gradient of the first output; with it, the gradients of the inputs are part of the answer
    expected: Mapping[str, Array] = field(default_factory=dict)  # what is known from elsewhere, by tensor name
    source: str = ""  # where `expected` comes from: "by hand", a paper, a deck
    tags: tuple[str, ...] = ()
    status: str = "required"  # or "optional", "undefined", with `status_reason`
    status_reason: str = ""
    dtypes: Mapping[str, str] = field(default_factory=dict)  # by tensor name; else floats are float32, integers int64
    traced: bool = (
        False  # whether the stages are stored: they say where an answer begins to be wrong, not whether it is
    )

    def compare_of(self, tensor: str) -> Compare:
        """Return how the tensor of that name is compared."""
        return self.compare[tensor] if isinstance(self.compare, Mapping) else self.compare

    def compare_stage(self, stage: str, x: Array) -> Compare:
        """Return how a stage is compared: as `compare` says by its name, else `STAGE_RULE`; integers exactly."""
        if isinstance(self.compare, Mapping) and stage in self.compare:
            return self.compare[stage]
        return STAGE_RULE if x.dtype.kind == "f" else Exact()

    def arguments(self, algorithm: Algorithm) -> dict[str, Array | None]:
        """Return the inputs in the kernel's order, `None` where one is absent."""
        if not algorithm.inputs:
            return dict(self.inputs)
        return {name: self.inputs.get(name) for name in algorithm.inputs}
