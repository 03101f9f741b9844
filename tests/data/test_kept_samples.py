"""Samples that are kept: the same arrays come back, and nothing is made twice."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from refdet.data import Sample, Shapes, StickFigures
from refdet.data.kept_samples import KeptSamples
from refdet.data.lazy_sequence import LazySequence


class Counting(LazySequence[Sample]):
    """Figures that count how often they are asked for."""

    n_asked = 0

    def _item(self, i: int) -> Sample:
        self.n_asked += 1
        return StickFigures(len(self), seed=0, size=(32, 32))[i]


@pytest.mark.parametrize("kind", [Shapes, StickFigures])
def test_the_same_arrays_come_back(kind: type[Shapes] | type[StickFigures]) -> None:
    samples = kind(3, seed=5, size=(48, 35))  # a number of pixels that fills no byte
    kept = KeptSamples(samples)
    for _ in range(2):
        for expected, got in zip(samples, kept, strict=True):
            for field in dataclasses.fields(Sample):
                before, after = getattr(expected, field.name), getattr(got, field.name)
                if field.name == "label_map":
                    assert after is None
                elif isinstance(before, np.ndarray):
                    assert before.dtype == after.dtype
                    assert np.array_equal(before, after)
                else:
                    assert before == after


def test_each_is_asked_for_once() -> None:
    samples = Counting(2)
    kept = KeptSamples(samples)
    assert samples.n_asked == 0
    first = kept[1]
    assert first.masks is not None
    first.masks[:] = True  # a copy
    again = kept[1]
    assert again.masks is not None
    assert not again.masks.all()
    assert samples.n_asked == 1


def test_no_more_than_so_many_are_kept() -> None:
    """Of three the two that were asked for first."""
    samples = Counting(3)
    kept = KeptSamples(samples, most=2)
    for i, n_asked in ((2, 1), (0, 2), (1, 3), (2, 3), (0, 3), (1, 4), (1, 5)):
        assert kept[i].name == f"stick figures 0/{i}"
        assert samples.n_asked == n_asked
    with pytest.raises(ValueError, match="KeptSamples: most must be at least 0, got -1"):
        KeptSamples(samples, most=-1)


def test_no_objects_and_no_masks() -> None:
    none = np.zeros(0, np.int64)
    boxes, image = np.zeros((0, 4), np.float32), np.zeros((5, 6, 3), np.uint8)
    empty = Sample("empty", image, boxes, none, none == 0, masks=np.zeros((0, 5, 6), np.bool_))
    without = Sample("without", image, boxes, none, none == 0)
    kept = KeptSamples([empty, without])
    assert kept[0].masks is not None
    assert kept[0].masks.shape == (0, 5, 6)
    assert kept[1].masks is None
