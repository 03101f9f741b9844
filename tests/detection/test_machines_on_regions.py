"""Machines on regions behind a network that says of a region what colour it has: what they learn and what they find."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.detection.hard_negative_mining import MiningSettings
from refdet.detection.machines_on_regions import MachineSettings, MachinesOnRegions, SeenRegions
from refdet.detection.svm_head import RegionFeatures
from tests.detection.coloured_squares import CLASS_NAMES, coloured_square, without_objects

EAGER = MachineSettings(mining=MiningSettings(C=1.0), ridge=1.0, norm_pictures=2)


class Colours(MachinesOnRegions):
    """Features are the mean colours of a region; the logits of every class are equal."""

    def __init__(self, **changed: Any) -> None:
        super().__init__(CLASS_NAMES, dataclasses.replace(EAGER, **changed), None)
        self.add_machines(3, 4, dtype=np.float64)
        self.shown: list[int] = []

    def see_regions(self, image: Array, boxes: Array) -> SeenRegions:
        self.shown.append(len(boxes))
        rows = [image[y1:y2, x1:x2].mean(axis=(0, 1)) / 255 for x1, y1, x2, y2 in boxes.astype(int).tolist()]
        colours = np.array(rows).reshape(-1, 3)
        return SeenRegions(colours, boxes.astype(np.float64) / 32, np.zeros((len(boxes), len(CLASS_NAMES))))


def test_a_detector_must_see_regions() -> None:
    with pytest.raises(TypeError, match="see_regions"):
        MachinesOnRegions(CLASS_NAMES, EAGER, None)  # type: ignore[abstract]


def test_it_learns_and_finds() -> None:
    """The best detection of an unseen picture is its square, with its class; scores are margins."""
    model, done = Colours(), list[int]()
    model.fit([coloured_square(i) for i in range(6)], progress=done.append)
    assert done == [1, 2, 3, 4, 5, 6]
    assert model.svm.known.tolist() == [False, True, True]
    for i in range(6, 10):
        sample = coloured_square(i)
        found = model.detect(sample.image, sample.proposals)
        assert found.classes[0] == sample.classes[0]


def test_two_walks_over_the_pictures() -> None:
    """Of 6 pictures every third shows its regions in the first walk, for the mean norm; in the second all do."""
    model, samples = Colours(), [coloured_square(i) for i in range(6)]
    model.fit(samples)
    n_regions = [len(np.asarray(sample.proposals)) for sample in samples]
    first = [n_regions[0], 0, 0, n_regions[3], 0, 0]
    assert model.shown == [n + 1 for n in first + n_regions]  # and its object


def test_until_a_machine_is_known_the_softmax_scores() -> None:
    """Three equal logits: a third, at the boxes as they are; on demand also afterwards."""
    sample = coloured_square(0)
    boxes = np.asarray(sample.proposals)[:1]
    before, without, asked = Colours(), Colours(), Colours(scores="softmax", regress=False)
    without.fit([without_objects(sample)])
    asked.fit([sample])
    for model in (before, without, asked):
        found = model.detect(sample.image, boxes)
        assert found.scores.tolist() == pytest.approx([1 / 3, 1 / 3])
        np.testing.assert_array_equal(found.boxes, np.repeat(boxes, 2, axis=0))
    assert len(Colours(softmax_threshold=0.4).detect(sample.image, boxes)) == 0


def test_box_regressors_look_at_their_own_layer_or_at_the_same() -> None:
    model, sample = Colours(), coloured_square(0)
    regions = model.region_features(sample)
    expected = np.concatenate([np.asarray(sample.proposals), sample.boxes]) / 32
    np.testing.assert_allclose(regions.for_regressors(), expected)
    same = RegionFeatures(*regions[:6])
    np.testing.assert_array_equal(same.for_regressors(), np.concatenate([same.features, same.truth_features]))


def test_bad_input() -> None:
    sample = dataclasses.replace(coloured_square(0), proposals=None)
    with pytest.raises(ValueError, match="square 0: has no proposals"):
        Colours().region_features(sample, with_regions=False)
    with pytest.raises(ValueError, match="MachineSettings: scores must be one of 'machines', 'softmax', got 'both'"):
        MachineSettings(scores="both")
    with pytest.raises(ValueError, match="MachineSettings: norm_pictures must be"):
        MachineSettings(norm_pictures=0)
