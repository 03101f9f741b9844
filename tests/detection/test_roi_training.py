"""What the second stage learns, by hand and by a loop over regions."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor
from refdet.detection.ground_truth import GroundTruth
from refdet.detection.roi_settings import PY_FASTER_HEAD, TORCHVISION_HEAD, HeadSettings
from refdet.detection.roi_training import Regions, box_losses, candidate_regions, draw_regions, region_deltas

TRUTH = GroundTruth(np.array([[0, 0, 8, 8], [20, 0, 28, 8]], np.float32), np.array([2, 1]), None, None, None)
NOTHING = GroundTruth(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), None, None, None)
PROPOSALS = np.array([[0, 0, 8, 4], [0, 0, 8, 3], [22, 0, 28, 8], [40, 0, 48, 8]], np.float32)


def test_candidates_by_hand() -> None:
    """Overlaps: exactly ½, 3/8, 3/4, none; then the objects themselves."""
    found = candidate_regions(PROPOSALS, TRUTH, HeadSettings())
    assert found.classes.tolist() == [2, 0, 1, 0, 2, 1]
    assert found.matches.tolist() == [0, 0, 1, 0, 0, 1]
    np.testing.assert_array_equal(found.boxes[4:], TRUTH.boxes)
    fast = candidate_regions(PROPOSALS, TRUTH, replace(HeadSettings(), negative_low=0.1))
    assert fast.classes.tolist() == [2, 0, 1, -1, 2, 1]


def test_legacy_coordinates() -> None:
    """With + 1 a region of 9 × 5 pixels overlaps one of 9 × 10 by exactly ½; without, 8 × 4 and 8 × 9, by less."""
    truth = TRUTH._replace(boxes=np.array([[0, 0, 8, 9]], np.float32), classes=np.array([2]))
    region = np.array([[0, 0, 8, 4]], np.float32)
    for coordinates, label in ((1, 2), (0, 0)):
        found = candidate_regions(region, truth, replace(HeadSettings(), coordinates=coordinates))
        assert found.classes.tolist() == [label, 2]


def test_without_objects_all_is_background() -> None:
    assert candidate_regions(PROPOSALS, NOTHING, HeadSettings()).classes.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(("settings", "n_objects"), [(PY_FASTER_HEAD, 32), (TORCHVISION_HEAD, 128)])
def test_a_quarter_are_objects(settings: HeadSettings, n_objects: int) -> None:
    classes = np.repeat([3, 0, -1], [300, 600, 50])
    regions = Regions(np.zeros((950, 4)), classes, np.zeros(950, np.int64))
    chosen = draw_regions(regions, settings, rng=np.random.default_rng(0))
    assert len(set(chosen.tolist())) == len(chosen) == settings.n_drawn
    assert (np.diff(chosen) > 0).all()
    assert np.bincount(classes[chosen]).tolist() == [settings.n_drawn - n_objects, 0, 0, n_objects]


def test_rounding_of_the_quarter() -> None:
    regions = Regions(np.zeros((40, 4)), np.repeat([1, 0], 20), np.zeros(40, np.int64))
    for rounding, n in (("round", 4), ("floor", 3)):  # of 3.5
        settings = HeadSettings(n_drawn=14, rounding=rounding)
        chosen = draw_regions(regions, settings, rng=np.random.default_rng(0))
        assert np.count_nonzero(regions.classes[chosen]) == n


def test_transforms_are_scaled_alike_by_both_conventions() -> None:
    """py-faster divides by (0.1, 0.1, 0.2, 0.2), torchvision multiplies by (10, 10, 5, 5); widths are 9 and 8."""
    found = Regions(PROPOSALS[2:4], np.array([1, 0]), np.array([1, 0]))
    theirs = region_deltas(found, TRUTH, TORCHVISION_HEAD)
    np.testing.assert_allclose(theirs, [[-10 / 6, 0, 5 * math.log(8 / 6), 0]], rtol=1e-6)
    legacy = region_deltas(found, TRUTH, PY_FASTER_HEAD)
    np.testing.assert_allclose(legacy, [[-10 / 7, 0, 5 * math.log(9 / 7), 0]], rtol=1e-6)


def test_losses_are_those_of_a_loop_over_regions() -> None:
    rng = np.random.default_rng(0)
    logits, deltas, targets = rng.standard_normal((5, 3)), rng.standard_normal((5, 12)), rng.standard_normal((3, 4))
    classes, beta = np.array([2, 0, 1, 0, 1]), 0.7
    losses = box_losses(
        Tensor(logits), Tensor(deltas), classes, targets, replace(HeadSettings(), beta=beta, box_weight=3.0)
    )
    of_class, of_box, objects = 0.0, 0.0, iter(targets)
    for r, u in enumerate(classes.tolist()):
        of_class -= math.log(math.exp(logits[r, u]) / sum(math.exp(x) for x in logits[r]))
        if u >= 1:
            for t, v in zip(deltas[r, 4 * u : 4 * u + 4], next(objects), strict=True):
                d = abs(t - v)
                of_box += d * d / (2 * beta) if d < beta else d - beta / 2
    assert losses["class"].item() == pytest.approx(of_class / 5, rel=1e-13)
    assert losses["box"].item() == pytest.approx(3 * of_box / 5, rel=1e-13)


def test_only_the_transform_of_the_own_class_learns() -> None:
    logits, deltas = Tensor(np.zeros((2, 3))), Tensor(np.zeros((2, 12)), requires_grad=True)
    box_losses(logits, deltas, np.array([1, 0]), np.full((1, 4), 5.0), HeadSettings())["box"].backward()
    assert deltas.grad is not None
    assert np.flatnonzero(deltas.grad).tolist() == [4, 5, 6, 7]


def test_no_regions_cost_nothing() -> None:
    none = np.zeros(0, np.int64)
    logits, deltas = Tensor(np.zeros((0, 3)), requires_grad=True), Tensor(np.zeros((0, 12)), requires_grad=True)
    losses = box_losses(logits, deltas, none, np.zeros((0, 4)), HeadSettings())
    assert [loss.item() for loss in losses.values()] == [0.0, 0.0]


def test_settings_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValueError, match="frame"):
        HeadSettings(frame="photo")
    with pytest.raises(ValueError, match="HeadSettings: mask_convention must be one of 'torchvision', 'detectron2'"):
        HeadSettings(mask_convention="coco")
    with pytest.raises(ValueError, match=r"HeadSettings: mask_threshold must lie in \(0, 1\], got 0"):
        HeadSettings(mask_threshold=0)
    refused: tuple[tuple[str, Any, str], ...] = (
        ("paste", "x", "must be one of 'detectron2', 'detectron1', 'torchvision', got 'x'"),
        ("decode_joints", "x", "must be one of"),
        ("clip", "x", "must be one of"),
        ("coordinates", 2, "must be 0 or 1, got 2"),
        ("coordinates", 0.5, "must be 0 or 1, got 0.5"),
        ("side", 0, "must be at least 1, got 0"),
        ("mask_side", 0, "must be at least 1, got 0"),
        ("nms_threshold", 2, r"must lie in \[0, 1\], got 2"),
        ("negative_low", 0.5, "must be less than negative_high, 0.5, or no region is background, got 0.5"),
        ("beta", -1.0, r"must lie in \[0, inf\), got -1.0"),
        ("pre_nms", -1, "must be at least 0, got -1"),
    )
    for field, value, problem in refused:
        with pytest.raises(ValueError, match=f"HeadSettings: {field} {problem}"):
            replace(HeadSettings(), **{field: value})
