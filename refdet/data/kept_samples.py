"""Samples that are made or read once and kept in memory, for pictures that cost more to make than to keep.

Masks are kept as bits, and label maps are not kept: a scene of `refdet.data.Shapes`, which takes 13 ms to paint, has
60 kB instead of 250 kB. What comes back is a `Sample` with the same arrays: new ones for the masks each time, while the
others are shared and not to be written into.

No more than `MOST_KEPT` samples are kept, 1.3 GB of such scenes: the first that are asked for. The others are made anew
each time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from refdet.core.check import Array, integer
from refdet.data.lazy_sequence import LazySequence
from refdet.data.sample import Sample

MOST_KEPT = 20_000  # samples
FIELDS = [field.name for field in dataclasses.fields(Sample) if field.name not in ("masks", "label_map")]


class _Kept(NamedTuple):
    sample: Sample  # without masks
    bits: Array | None
    shape: tuple[int, ...]  # of the masks

    @classmethod
    def of(cls, sample: Sample) -> _Kept:
        plain = Sample(**{name: getattr(sample, name) for name in FIELDS})
        if sample.masks is None:
            return cls(plain, None, ())
        return cls(plain, np.packbits(sample.masks.ravel()), sample.masks.shape)

    def unpacked(self) -> Sample:
        if self.bits is None:
            return self.sample
        bits = np.unpackbits(self.bits, count=int(np.prod(self.shape)))
        return dataclasses.replace(self.sample, masks=bits.view(np.bool_).reshape(self.shape))


class KeptSamples(LazySequence[Sample]):
    """The samples, of which the first `most` that are asked for are made once.

    >>> from refdet.data.shapes import Shapes
    >>> scenes = KeptSamples(Shapes(3, seed=0))
    >>> scenes[2].name, scenes[2].masks.shape == Shapes(3, seed=0)[2].masks.shape
    ('shapes 0/2', True)
    """

    def __init__(self, samples: Sequence[Sample], *, most: int = MOST_KEPT) -> None:
        super().__init__(len(samples))
        self._samples, self._most = samples, integer("KeptSamples", "most", most, low=0)
        self._kept: dict[int, _Kept] = {}

    def _item(self, i: int) -> Sample:
        kept = self._kept.get(i)
        if kept is None:
            kept = _Kept.of(self._samples[i])
            if len(self._kept) < self._most:
                self._kept[i] = kept
        return kept.unpacked()
