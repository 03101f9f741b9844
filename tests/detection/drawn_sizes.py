"""Whether a detector trains with pictures of several sizes: one is drawn for each, then the rest as with that one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.data.sample import Sample

SIZES = (32, 40, 56)
SEEDS = (0, 1, 3, 11)  # which draw each of the sizes

Losses = Callable[..., Mapping[str, Tensor]]  # (samples, *, rng)


def assert_sizes_are_drawn(losses_of: Callable[[Any], Losses], sample: Sample) -> None:
    """Compare the losses with several sizes to those with each one, which draws from where the first draw ended.

    Args:
        losses_of: returns the losses of a new detector of the same weights whose `Preparation.short` is given.
        sample: of which they are.
    """
    drawn = set()
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        size = SIZES[int(rng.integers(len(SIZES)))]
        drawn.add(size)
        expected = _values(losses_of(size), sample, rng)
        found = _values(losses_of(SIZES), sample, np.random.default_rng(seed))
        assert found == expected
        alone, in_a_tuple = (_values(losses_of(short), sample, np.random.default_rng(seed)) for short in (40, (40,)))
        assert alone == in_a_tuple
        assert found != alone or size == 40
    assert drawn == set(SIZES)


def _values(losses: Losses, sample: Sample, rng: np.random.Generator) -> dict[str, float]:
    return {name: float(loss.item()) for name, loss in losses([sample], rng=rng).items()}
