"""Which samples a step takes and which random numbers it draws: functions of the seed and the step alone.

    epoch e visits all n samples in the order of a permutation drawn from (seed, e)
    step s (from 0) takes the places s·B … s·B + B − 1 of the epochs one after the other
    its transforms draw from the generator of (seed, s), its losses from another one of (seed, s)

So a run can begin at any step without having done the steps before, and neither a thread that prepares batches ahead
nor an evaluation between two steps can change what is drawn. A batch may take its last samples from the next epoch.
The generators are NumPy's PCG64, seeded by SeedSequence(seed, spawn_key=(purpose, number)).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from refdet.core.check import Array
from refdet.data.batching import Transform, transformed
from refdet.data.sample import Sample, require_usable

PURPOSES = ("order", "transforms", "losses")


def generator(seed: int, purpose: str, number: int) -> np.random.Generator:
    """Return the generator of an epoch's order, or of a step's transforms or losses.

    >>> generator(0, "losses", 3).random() == generator(0, "losses", 3).random()
    True
    """
    key = (PURPOSES.index(purpose), number)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


@lru_cache(maxsize=4)
def epoch_order(n_samples: int, *, seed: int, epoch: int) -> Array:
    """Return the numbers 0 … n − 1 in the order in which an epoch visits the samples; not to be changed."""
    order = generator(seed, "order", epoch).permutation(n_samples)
    order.setflags(write=False)
    return order


def batch_indices(step: int, *, n_samples: int, batch_size: int, seed: int) -> list[int]:
    """Return the numbers of the samples that step `step`, from 0 on, takes.

    >>> steps = [batch_indices(s, n_samples=3, batch_size=2, seed=0) for s in range(3)]  # two epochs
    >>> sorted(steps[0] + steps[1][:1]), sorted(steps[1][1:] + steps[2])
    ([0, 1, 2], [0, 1, 2])
    """
    places = (divmod(place, n_samples) for place in range(step * batch_size, (step + 1) * batch_size))
    return [int(epoch_order(n_samples, seed=seed, epoch=epoch)[i]) for epoch, i in places]


def batches_from(
    step: int,
    samples: Sequence[Sample],
    *,
    n_steps: int,
    batch_size: int,
    seed: int,
    transform: Transform | None,
) -> Iterator[list[Sample]]:
    """Yield the batches of the steps `step`, …, n_steps − 1; refuse unusable boxes by the name of the picture."""

    def of_usable(sample: Sample, rng: np.random.Generator) -> Sample:
        return require_usable(sample) if transform is None else transform(require_usable(sample), rng)

    for s in range(step, n_steps):
        rng = generator(seed, "transforms", s)
        indices = batch_indices(s, n_samples=len(samples), batch_size=batch_size, seed=seed)
        yield [require_usable(transformed("train", samples, i, of_usable, rng)) for i in indices]
