"""Examples of deviations: what a kernel answers under one of them, worked out by eye."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from refdet.core.check import Array
from refdet.core.kernel import use_backend
from refdet.verify.catalogue import load_all
from refdet.verify.deviation import Deviation, deviating
from refdet.verify.forward import run_forward

load_all()


class Example(NamedTuple):
    """The first outputs that an algorithm has under a deviation."""

    key: str
    algorithm: str
    inputs: Sequence[Any]
    params: Mapping[str, Any]
    expected: Sequence[Any]


def answer(deviations: Sequence[Deviation], algorithm: str, inputs: Sequence[Any], params: Mapping[str, Any]) -> Any:
    """Return the outputs of an algorithm under deviations."""
    arrays = [None if x is None else np.asarray(x) for x in inputs]
    with use_backend(deviating(deviations)), np.errstate(all="ignore"):
        return run_forward(algorithm, arrays, dict(params))[0]


def check(example: Example, deviation: Deviation) -> None:
    """Raise AssertionError unless the deviation gives what is expected, and no deviation gives something else."""
    task = example.algorithm, example.inputs, example.params
    got: Sequence[Array] = answer([deviation], *task)[: len(example.expected)]
    canonical: Sequence[Array] = answer([], *task)
    for found, expected in zip(got, example.expected, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    same = [x.shape == y.shape and np.allclose(x, y, equal_nan=True) for x, y in zip(got, canonical, strict=False)]
    assert not all(same), "nothing deviates here"
