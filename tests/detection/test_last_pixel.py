"""The detectors of py-faster-rcnn and fast-rcnn count the last pixel within, and speak of half-open boxes outside.

Expected values are by hand, from the formulae of those programs; the picture of 100 × 80 is enlarged to 250 × 200.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.data.sample import Sample
from refdet.detection.alternating_training import rpn_proposals_of
from refdet.detection.last_pixel import to_half_open, to_last_pixel
from refdet.detection.roi_training import candidate_regions, region_deltas
from refdet.detection.rpn import Proposals
from refdet.detection.vgg_fast_rcnn import VGGFastRCNNSettings, fastrcnn_vgg16
from refdet.detection.vgg_faster_rcnn import PyFasterSettings, fasterrcnn_vgg16

CLASS_NAMES = ("background", "square")
NARROW: dict[str, Any] = {"blocks": ((64, 1),) * 5, "width": 1 / 64, "hidden": 64}
SCALE = 2.5
INSIDE, WHOLE = (40, 40, 60, 60), (0, 0, 100, 80)  # half-open


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def certain(net: Any) -> Any:
    """Return the detector, which now takes every region for an object and leaves it where it is."""
    net.preparation = dataclasses.replace(net.preparation, short=200)
    predictor = net.roi_heads.box_predictor
    for layer in (predictor.cls_score, predictor.bbox_pred):
        layer.weight.data = np.zeros_like(layer.weight.data)
    assert predictor.cls_score.bias is not None
    predictor.cls_score.bias.data = np.array([0, 3], np.float32)
    return net


def faster() -> Any:
    return certain(fasterrcnn_vgg16(CLASS_NAMES, rng=rng(), settings=PyFasterSettings(**NARROW)))


def fast() -> Any:
    return certain(fastrcnn_vgg16(CLASS_NAMES, rng=rng(), settings=VGGFastRCNNSettings(**NARROW)))


def scene(*boxes: Any, proposals: Any = ()) -> Sample:
    at, ones = np.array(boxes, np.float32).reshape(-1, 4), np.ones(len(boxes), np.int64)
    given = np.array(proposals, np.float32).reshape(-1, 4)
    return Sample("scene", np.full((80, 100, 3), 128, np.uint8), at, ones, ones == 0, proposals=given)


def test_there_and_back() -> None:
    boxes = np.array([INSIDE, WHOLE, (7, 8, 8, 9), (7.5, 8, 7.75, 20)])
    last = np.array([(40, 40, 59, 59), (0, 0, 99, 79), (7, 8, 7, 8), (7.5, 8, 7.5, 19)])  # none ends before it begins
    np.testing.assert_array_equal(to_last_pixel(boxes, 1), last)
    np.testing.assert_array_equal(to_half_open(last[:3], 1), boxes[:3])
    assert to_last_pixel(boxes.astype(np.float32), 1).dtype == np.float32
    assert to_last_pixel(boxes, 0) is boxes
    np.testing.assert_array_equal(to_half_open(boxes, 0), boxes)


def test_what_is_known_is_counted_before_it_is_enlarged() -> None:
    """py-faster-rcnn reads 40 … 59 and multiplies by its scale; fast-rcnn leaves what it reads in the picture."""
    sample = scene(INSIDE, WHOLE)
    assert fast().truth(sample).boxes.tolist() == [[40, 40, 59, 59], [0, 0, 99, 79]]
    assert faster().see_known([sample])[1][0].boxes.tolist() == [[100, 100, 147.5, 147.5], [0, 0, 247.5, 197.5]]


def test_fast_rcnn_labels_regions_in_the_picture() -> None:
    """20 × 10 of 20 × 20 pixels are half of them; in the batch 48.5 × 23.5 of 48.5 × 48.5 would be less."""
    net = fast()
    sample = scene((0, 0, 20, 20), proposals=[(0, 0, 20, 10)])
    candidates = candidate_regions(net.training_proposals(sample), net.truth(sample), net.roi_heads.settings)
    assert candidates.classes.tolist() == [1, 1]


def test_crops_of_fast_rcnn_are_of_the_enlarged_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    net, cropped = fast(), list[Array]()
    features = net.roi_heads.features

    def noted(maps: Any, strides: Any, boxes: Any, side: int, context: float) -> Any:
        cropped.extend(boxes)
        return features(maps, strides, boxes, side, context)

    monkeypatch.setattr(net.roi_heads, "features", noted)
    net.losses([scene(INSIDE, proposals=[INSIDE])], rng=rng())
    assert np.unique(cropped[0], axis=0).tolist() == [[100, 100, 147.5, 147.5]]


def test_faster_rcnn_finds_what_py_faster_rcnn_does() -> None:
    """t = 0 makes 40 … 59 one of 40 … 60, because its decoding leaves the pixel that it added; 0 … 100 is clipped."""
    net = faster()
    for last, found in (((100, 100, 147.5, 147.5), (40, 40, 61, 61)), ((0, 0, 247.5, 197.5), WHOLE)):
        proposal = Proposals(np.array([last], np.float32), np.ones(1, np.float32))
        net.rpn.proposals = lambda *_, p=proposal, **__: [p]
        assert net.detect(scene().image).boxes.tolist() == [list(found)]


@pytest.mark.parametrize("box", [INSIDE, WHOLE, (99, 79, 100, 80)])
def test_fast_rcnn_leaves_a_proposal_where_it_is(box: tuple[int, ...]) -> None:
    assert fast().detect(scene().image, np.array([box], np.float32)).boxes.tolist() == [list(box)]


def test_targets_by_hand() -> None:
    """20 pixels are 19 from first to last in Fast R-CNN and 20 in Faster R-CNN, which adds 1 in the batch: 48.5."""
    sample = scene((44, 40, 64, 62), proposals=[INSIDE])
    one = fast()
    truth = one.truth(sample)
    regions = candidate_regions(one.training_proposals(sample), truth, one.roi_heads.settings)
    deltas = region_deltas(regions, truth, one.roi_heads.settings)
    expected = np.array([4 / 19, 1 / 19, 0, math.log(21 / 19)])
    np.testing.assert_allclose(deltas, np.stack([expected, np.zeros(4)]), rtol=1e-5)
    two = faster()
    seen, (truth,) = two.see_known([sample])
    proposals = two.in_batch(sample.proposals, seen.prepared, 0)
    deltas = region_deltas(candidate_regions(proposals, truth, two.roi_heads.settings), truth, two.roi_heads.settings)
    w, h = 19 * SCALE + 1, 21 * SCALE + 1
    expected = np.array([4 * SCALE / w, SCALE / w, 0, math.log(h / w)]) / (0.1, 0.1, 0.2, 0.2)
    np.testing.assert_allclose(deltas, np.stack([expected, np.zeros(4)]), rtol=1e-5, atol=1e-7)


def test_one_pixel_has_no_width_in_fast_rcnn() -> None:
    """Its transform would be the logarithm of 0: such proposals and objects are left out; Faster R-CNN learns them."""
    one = fast()
    sample = scene(INSIDE, proposals=[(5, 5, 6, 20), INSIDE])
    assert all(np.isfinite(loss.data) for loss in one.losses([sample], rng=rng()).values())
    assert one.training_proposals(sample).tolist() == [[40, 40, 59, 59]]
    thin = scene((5, 5, 6, 20), INSIDE, (5, 5, 25, 6), proposals=[INSIDE])
    assert one.truth(thin).boxes.tolist() == [[40, 40, 59, 59]]
    losses = one.losses([thin], rng=rng())
    assert all(np.isfinite(loss.data) for loss in losses.values())
    losses = faster().losses([thin], rng=rng())
    assert all(np.isfinite(loss.data) for loss in losses.values())


def test_proposals_for_training_in_turns() -> None:
    """They leave the first stage half-open, and enter the second as the first found them."""
    net = faster()
    image = scene().image
    prepared = net.preparation.picture(image)
    within: Array = rpn_proposals_of(net, image, n=20)
    assert len(within) == 20
    ends = [249 / SCALE + 1, 199 / SCALE + 1]  # they were clipped at the last pixels of the batch
    np.testing.assert_allclose(within[:, 2:].max(axis=0), ends, rtol=1e-6)
    sample = dataclasses.replace(scene(INSIDE), proposals=within)
    counted = net.in_batch(sample.proposals, prepared, 0)
    np.testing.assert_allclose(counted[:, 2:].max(axis=0), [249, 199], rtol=1e-6)
