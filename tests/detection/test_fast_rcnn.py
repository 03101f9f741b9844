"""Fast R-CNN: its losses by hand, targets and their normalisation, detections step by step, and what may be empty."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor, no_grad
from refdet.boxes import class_nms, decode_boxes, encode_boxes
from refdet.core.check import Array
from refdet.detection.detected import Detector
from refdet.detection.fast_rcnn import FAST_RCNN_HEAD, FastRCNN, distinct_crops, folded
from refdet.detection.multi_scale_roi_align import CropSettings
from refdet.detection.preparation import Preparation
from refdet.detection.roi_training import Regions
from refdet.detection.small_fast_rcnn import SmallFastRCNNSettings, small_fast_rcnn
from refdet.detection.truncated_svd import with_truncated_layers
from refdet.detection.vgg_fast_rcnn import VGGFastRCNNSettings, fastrcnn_vgg16
from refdet.nn import SGD
from tests.detection.coloured_squares import CLASS_NAMES, coloured_square, without_objects
from tests.detection.drawn_sizes import SIZES, assert_sizes_are_drawn

HEAD = dataclasses.replace(
    SmallFastRCNNSettings().head, crops=CropSettings("pool"), negative_low=0.1, side=2, n_drawn=8
)
TINY = SmallFastRCNNSettings(blocks=((4, 1), (6, 1), (8, 1)), scales=None, head=HEAD, fc=(8, 8))


def tiny(seed: int = 0, **changed: Any) -> FastRCNN:
    """Return a network of stride 4 whose last layers are not nearly 0."""
    rng = np.random.default_rng(seed)
    model = small_fast_rcnn(CLASS_NAMES, rng=rng, settings=dataclasses.replace(TINY, **changed))
    predictor = model.roi_heads.box_predictor
    for layer in (predictor.cls_score, predictor.bbox_pred):
        layer.weight.data = rng.normal(0, 0.3, layer.weight.shape).astype(np.float32)
    return model


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def a_sixth_more_at_each_side(boxes: Array) -> Array:
    """Return what the small Fast R-CNN crops for regions: they and a third more."""
    x1, y1, x2, y2 = boxes.T
    w, h = x2 - x1, y2 - y1
    return np.stack([x1 - w / 6, y1 - h / 6, x2 + w / 6, y2 + h / 6], axis=1).astype(np.float32)


def smooth_l1(x: float) -> float:
    return x * x / 2 if abs(x) < 1 else abs(x) - 0.5


def test_the_numbers_of_the_paper() -> None:
    """§2.3: 64 regions of each picture, a quarter of them objects; IoU ≥ 0.5, and in [0.1, 0.5); λ = β = 1; NMS 0.3."""
    s = FAST_RCNN_HEAD
    assert (s.n_drawn, s.positive_fraction, s.rounding) == (64, 0.25, "round")
    assert (s.positive, s.negative_low, s.negative_high) == (0.5, 0.1, 0.5)
    assert (s.box_weight, s.beta, s.side, s.crops.crop) == (1.0, 1.0, 7, "pool")
    assert (s.nms_threshold, s.pre_nms, s.clamp) == (0.3, 100, None)


def test_losses_by_hand() -> None:
    """Two regions of picture 0 and one of picture 1, of which one is an object: both losses over three regions."""
    model = tiny(target_mean=(0.1, 0.0, 0.0, -0.1), target_std=(0.5, 0.5, 0.25, 0.25))
    samples = [coloured_square(0), coloured_square(1)]
    prepared = model.preparation(samples)
    truths = [model.truth(sample) for sample in samples]
    near = samples[1].boxes + np.array([2, 0, 0, 0], np.float32)
    regions = [
        Regions(np.array([[0, 0, 9, 9], [20, 4, 31, 30]], np.float32), np.array([0, 0]), np.array([0, 0])),
        Regions(near, np.array([2]), np.array([0])),
    ]
    maps = model.backbone.maps(Tensor(prepared.images), training=False, rng=None)
    losses = model.region_losses(maps, regions, truths, prepared)
    crops = model.roi_heads.features(maps, (4,), [a_sixth_more_at_each_side(r.boxes) for r in regions], 2)
    logits, deltas = (x.data.astype(float) for x in model.roi_heads.box_output(crops))
    cross_entropy = [math.log(sum(math.exp(x) for x in row)) - row[c] for row, c in zip(logits, (0, 0, 2), strict=True)]
    assert float(losses["class"]) == pytest.approx(sum(cross_entropy) / 3, rel=1e-5)
    (x1, y1, x2, y2), (X1, Y1, X2, Y2) = near[0].tolist(), samples[1].boxes[0].tolist()
    w, h = x2 - x1, y2 - y1
    t = [
        ((X1 + X2) / 2 - (x1 + x2) / 2) / w,
        ((Y1 + Y2) / 2 - (y1 + y2) / 2) / h,
        math.log((X2 - X1) / w),
        math.log((Y2 - Y1) / h),
    ]
    mean, std = (0.1, 0.0, 0.0, -0.1), (0.5, 0.5, 0.25, 0.25)
    box = sum(smooth_l1(deltas[2, 8 + i] - (t[i] - mean[i]) / std[i]) for i in range(4))
    assert float(losses["box"]) == pytest.approx(box / 3, rel=1e-4)


def test_regions_are_drawn_as_in_the_paper() -> None:
    """At most a quarter of 8 regions show objects, the rest background of IoU ≥ 0.1; the object itself takes part."""
    model, sample = tiny(), coloured_square(0)
    truth = model.truth(sample)
    x1, _, x2, _ = sample.boxes[0]
    shifts = np.arange(20, dtype=np.float32)[:, None] * np.array([1, 0, 1, 0], np.float32)  # IoU falls from 1 to 0
    proposals = np.concatenate([sample.boxes + shifts, sample.boxes - shifts])
    drawn = model.draw(proposals, truth, rng=rng())
    w = float(x2 - x1)
    shift = np.abs(drawn.boxes[:, 0] - x1)
    iou = np.maximum(w - shift, 0) / (w + np.minimum(shift, w))
    assert len(drawn.boxes) == 8
    assert np.count_nonzero(drawn.classes == 1) == 2
    assert (iou[drawn.classes == 1] >= 0.5).all()
    assert ((iou[drawn.classes == 0] >= 0.1) & (iou[drawn.classes == 0] < 0.5)).all()
    alone = model.draw(np.zeros((0, 4), np.float32), truth, rng=rng())
    np.testing.assert_array_equal(alone.boxes, sample.boxes)
    assert alone.classes.tolist() == [1]


def test_targets_of_the_training_set() -> None:
    """Mean and std of a class over all candidates with IoU ≥ 0.5, the objects included; of one without: 0 and 1."""
    model = tiny()
    samples = [coloured_square(i) for i in (0, 2, 4)]  # all red
    model.fit_targets(samples)
    expected = []
    for sample in samples:
        assert sample.proposals is not None
        for box in [*sample.proposals, *sample.boxes]:
            truth = sample.boxes[0]
            w = min(box[2], truth[2]) - max(box[0], truth[0])
            h = min(box[3], truth[3]) - max(box[1], truth[1])
            inter = max(w, 0) * max(h, 0)
            sizes = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, truth)]
            if inter / (sum(sizes) - inter) >= 0.5:
                expected.append(encode_boxes(box[None].astype(float), truth[None].astype(float))[0])
    assert len(expected) >= 9
    np.testing.assert_allclose(model.target_mean.reshape(3, 4)[1], np.mean(expected, axis=0), atol=1e-6)
    np.testing.assert_allclose(model.target_std.reshape(3, 4)[1], np.std(expected, axis=0), atol=1e-6)
    np.testing.assert_array_equal(model.target_mean.reshape(3, 4)[[0, 2]], np.zeros((2, 4)))
    np.testing.assert_array_equal(model.target_std.reshape(3, 4)[[0, 2]], np.ones((2, 4)))
    again = tiny(seed=1)
    again.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(again.target_std, model.target_std)


def test_sizes_of_pictures_are_drawn_first() -> None:
    assert_sizes_are_drawn(lambda short: tiny(preparation=Preparation(short=short)).losses, coloured_square(0))


def test_targets_and_detections_have_the_last_size() -> None:
    several, last = (tiny(preparation=Preparation(short=short)) for short in (SIZES, SIZES[-1]))
    sample = coloured_square(0)
    for model in (several, last):
        model.fit_targets([sample, coloured_square(1)])
    np.testing.assert_array_equal(several.target_mean, last.target_mean)
    np.testing.assert_array_equal(several.target_std, last.target_std)
    found, expected = (model.detect(sample.image, sample.proposals) for model in (several, last))
    assert len(found) > 0
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_dropout_of_the_small_one() -> None:
    head = tiny(dropout=0.25).roi_heads.box_head
    assert head.dropout.p == 0.25  # type: ignore[attr-defined]
    assert tiny().roi_heads.box_head.dropout is None  # type: ignore[attr-defined]


def test_targets_that_are_all_the_same() -> None:
    """Of the objects themselves all targets are 0: so is their std, and 1 is taken instead."""
    model = tiny()
    model.fit_targets([dataclasses.replace(coloured_square(0), proposals=np.zeros((0, 4), np.float32))])
    np.testing.assert_array_equal(model.target_mean, np.zeros(12))
    np.testing.assert_array_equal(model.target_std, np.ones(12))


def naive_detections(model: FastRCNN, image: Array, proposals: Array) -> list[tuple[float, int, list[float]]]:
    """Return (score, class, box), region by region and class by class."""
    H, W = image.shape[:2]
    with no_grad():
        maps = model.backbone.maps(Tensor(model.preparation.picture(image).images), training=False, rng=None)
    found = []
    for c in (1, 2):
        boxes, scores = [], []
        for proposal in proposals:
            with no_grad():
                crop = model.roi_heads.features(maps, (4,), [a_sixth_more_at_each_side(proposal[None])], 2)
                logits, deltas = (x.data[0].astype(float) for x in model.roi_heads.box_output(crop))
            p = np.exp(logits) / np.exp(logits).sum()
            rows = slice(4 * c, 4 * c + 4)
            t = deltas[rows] * model.target_std[rows] + model.target_mean[rows]
            x1, y1, x2, y2 = decode_boxes(proposal[None].astype(float), t[None])[0]
            box = [min(max(x1, 0), W), min(max(y1, 0), H), min(max(x2, 0), W), min(max(y2, 0), H)]
            if p[c] > 0.05 and box[2] - box[0] >= 0.01 and box[3] - box[1] >= 0.01:
                boxes.append(box)
                scores.append(p[c])
        kept = class_nms(np.array(boxes).reshape(-1, 4), np.array(scores), np.full(len(scores), c), 0.3)
        found += [(float(scores[i]), c, boxes[i]) for i in kept.tolist()]
    return sorted(found, reverse=True)


@pytest.mark.parametrize("merge_duplicates", [True, False])
def test_detections_step_by_step(merge_duplicates: bool) -> None:
    model = tiny(seed=3, merge_duplicates=merge_duplicates, target_mean=(0.1, 0.0, 0.2, 0.0))
    assert isinstance(model, Detector)
    sample = coloured_square(3)
    assert sample.proposals is not None
    proposals = np.concatenate([sample.proposals, sample.proposals + 0.4])
    found = model.detect(sample.image, proposals)
    expected = naive_detections(model, sample.image, proposals)
    assert len(found) == len(expected) > 3
    assert found.classes.tolist() == [c for _, c, _ in expected]
    np.testing.assert_allclose(found.scores, [score for score, _, _ in expected], atol=1e-5)
    np.testing.assert_allclose(found.boxes, [box for _, _, box in expected], atol=1e-3)


def test_merging_duplicates_changes_nothing() -> None:
    """Also where a corner lies halfway between two pixels of the map: 2 / 4 and 10 / 4 are rounded away from 0."""
    model, image = tiny(), coloured_square(0).image
    corners = np.random.default_rng(1).integers(0, 12, (40, 2)) * 2
    boxes = np.concatenate([corners, corners + np.random.default_rng(2).integers(1, 5, (40, 2)) * 2], axis=1)
    boxes = boxes.astype(np.float32)
    first, inverse = distinct_crops(boxes, 4)
    assert len(first) < 40
    assert (np.sort(first) == first).all()
    away = np.floor(np.abs(boxes) / 4 + 0.5) * np.sign(boxes)
    for i, j in enumerate(first[inverse].tolist()):
        assert (away[i] == away[j]).all()
        assert j == min(k for k in range(40) if (away[k] == away[i]).all())
    maps = model.backbone.maps(Tensor(model.preparation.picture(image).images), training=False, rng=None)
    merged = model.output(maps, boxes)
    model.merge_duplicates = False
    for a, b in zip(merged, model.output(maps, boxes), strict=True):
        np.testing.assert_allclose(a.data, b.data, atol=1e-6)


def test_detections_in_pixels_of_the_picture() -> None:
    """The released code clips at the last pixel of the picture as it was given, 31, and not of one twice as large."""
    image = coloured_square(0).image
    for frame, last in (("picture", 31.0), ("batch", 31.5)):
        head = dataclasses.replace(HEAD, clip="legacy", frame=frame)
        model = tiny(head=head, preparation=Preparation(short=64), target_mean=(0.0, 0.0, 0.5, 0.5))
        found = model.detect(image, np.array([[2, 2, 30, 30]], np.float32))
        assert len(found) > 0
        assert found.boxes[:, 2:].tolist() == [[last, last]] * len(found)
    assert FAST_RCNN_HEAD.frame == "picture"


def test_in_float64() -> None:
    model = small_fast_rcnn(CLASS_NAMES, rng=rng(), settings=TINY, dtype=np.float64)
    again = small_fast_rcnn(CLASS_NAMES, rng=rng(), settings=TINY)
    again.load_state_dict(model.state_dict())
    sample = coloured_square(0)
    losses, rounded = (m.losses([sample], rng=rng()) for m in (model, again))
    for name, loss in losses.items():
        assert loss.dtype == np.float64
        assert float(rounded[name]) == pytest.approx(float(loss), rel=1e-4)
    found, rounded_found = (m.detect(sample.image, sample.proposals) for m in (model, again))
    assert found.boxes.dtype == found.scores.dtype == np.float32
    assert len(found) > 0
    np.testing.assert_allclose(rounded_found.scores, found.scores, rtol=1e-4)


def test_folding_changes_no_detection() -> None:
    model = tiny(target_mean=(0.1, -0.1, 0.2, 0.0))
    sample = coloured_square(1)
    new = folded(model)
    np.testing.assert_array_equal(new.target_mean, np.zeros(12))
    np.testing.assert_array_equal(new.target_std, np.ones(12))
    np.testing.assert_allclose(model.target_mean, np.tile([0.1, -0.1, 0.2, 0.0], 3), atol=1e-7)
    W, b = (model.roi_heads.box_predictor.state_dict()[f"bbox_pred.{name}"] for name in ("weight", "bias"))
    std = np.tile(np.array([0.1, 0.1, 0.2, 0.2], np.float32), 3)
    np.testing.assert_allclose(new.roi_heads.box_predictor.bbox_pred.weight.data, W * std[:, None])
    np.testing.assert_allclose(new.roi_heads.box_predictor.state_dict()["bbox_pred.bias"], b * std + model.target_mean)
    before, after = (m.detect(sample.image, sample.proposals) for m in (model, new))
    np.testing.assert_allclose(after.boxes, before.boxes, atol=1e-4)
    np.testing.assert_array_equal(after.scores, before.scores)


def test_difficult_objects_need_not_be_learned() -> None:
    sample = dataclasses.replace(coloured_square(0), difficult=np.array([True]))
    for learned in (True, False):
        loss = tiny(with_difficult=learned).losses([sample], rng=rng())["class"]
        assert (float(loss) > 0) == learned  # without it there is nothing to draw


def test_without_proposals_it_searches() -> None:
    model, sample = tiny(), coloured_square(0)
    asked = []

    def propose(image: Array) -> Array:
        asked.append(image)
        return np.asarray(sample.proposals)

    model.propose = propose
    found, given = model.detect(sample.image), model.detect(sample.image, sample.proposals)
    assert len(asked) == 1
    np.testing.assert_array_equal(found.boxes, given.boxes)
    assert len(found) > 0


def test_no_proposals_and_one() -> None:
    model, sample = tiny(), coloured_square(0)
    nothing = model.detect(sample.image, np.zeros((0, 4), np.float32))
    assert nothing.boxes.shape == (0, 4)
    assert nothing.scores.shape == nothing.classes.shape == (0,)
    one = model.detect(sample.image, np.array([[4.0, 4.0, 20.0, 20.0]]))
    expected = naive_detections(model, sample.image, np.array([[4, 4, 20, 20]], np.float32))
    np.testing.assert_allclose(one.scores, [score for score, _, _ in expected], atol=1e-5)


def test_nothing_to_draw() -> None:
    """Without objects there is neither foreground nor, at 0 < 0.1, background: losses and gradients are 0."""
    model = tiny()
    losses = model.losses([without_objects(coloured_square(0))], rng=rng())
    assert {name: float(x) for name, x in losses.items()} == {"class": 0.0, "box": 0.0}
    (losses["class"] + losses["box"]).backward()
    assert not any(np.any(p.grad) for p in model.parameters() if p.grad is not None)
    both = model.losses([without_objects(coloured_square(0)), coloured_square(1)], rng=rng())
    assert float(both["class"]) > 0


@pytest.mark.parametrize("crop", ["pool", "align"])
def test_the_loss_falls(crop: str) -> None:
    model = small_fast_rcnn(
        CLASS_NAMES,
        rng=rng(),
        settings=dataclasses.replace(TINY, head=dataclasses.replace(HEAD, crops=CropSettings(crop))),
    )
    samples, random = [coloured_square(i) for i in range(2)], rng()
    optimiser = SGD(model.named_parameters(), lr=0.05, momentum=0.9)
    sums = []
    for _ in range(30):
        losses = model.losses(samples, rng=random)
        loss = losses["class"] + losses["box"]
        model.zero_grad()
        loss.backward()
        optimiser.step()
        sums.append(float(loss))
    assert sums[0] > 1.0
    assert np.mean(sums[-5:]) < 0.5 * sums[0]


def test_truncated_layers_of_full_rank_detect_the_same() -> None:
    model, sample = tiny(), coloured_square(0)
    whole = with_truncated_layers(model, {"roi_heads.box_head.fc6": 8, "roi_heads.box_head.fc7": 8})
    before, after = (m.detect(sample.image, sample.proposals) for m in (model, whole))
    np.testing.assert_allclose(after.scores, before.scores, atol=1e-5)
    np.testing.assert_allclose(after.boxes, before.boxes, atol=1e-3)


def test_on_vgg_16() -> None:
    """A narrow VGG-16 of stride 16 on a picture enlarged to 64: conv1 and conv2 stay, all else gets a gradient."""
    settings = VGGFastRCNNSettings(width=1 / 64, head=dataclasses.replace(FAST_RCNN_HEAD, n_drawn=8))
    preparation = dataclasses.replace(settings.preparation, short=64)
    model = fastrcnn_vgg16(CLASS_NAMES, rng=rng(), settings=dataclasses.replace(settings, preparation=preparation))
    assert model.backbone.strides == (16,)
    assert model.state_dict()["roi_heads.box_head.fc6.weight"].shape == (64, 8 * 49)
    losses = model.losses([coloured_square(0), coloured_square(1)], rng=rng())
    (losses["class"] + losses["box"]).backward()
    assert model.roi_heads.box_head.dropout.p == 0.5  # type: ignore[attr-defined]
    assert not model.with_difficult
    still = [name for name, p in model.named_parameters() if p.grad is None]
    assert still == [f"backbone.features.{i}.{kind}" for i in (0, 2, 5, 7) for kind in ("weight", "bias")]


def test_bad_input() -> None:
    model, sample = tiny(), coloured_square(0)
    with pytest.raises(ValueError, match="square 0: has no proposals"):
        model.losses([dataclasses.replace(sample, proposals=None)], rng=rng())
    with pytest.raises(ValueError, match="square 0: the class of object 0 must be one of 1 … 2, got 5"):
        model.losses([dataclasses.replace(sample, classes=np.array([5]))], rng=rng())
    with pytest.raises(TypeError, match=r"FastRCNN.losses: rng must be a numpy.random.Generator"):
        model.losses([sample], rng=0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="FastRCNN: backbone must be a Module, got object"):
        FastRCNN(CLASS_NAMES, object(), model.roi_heads, model.preparation)  # type: ignore[arg-type]


def test_several_maps() -> None:
    """Regions find theirs by strides that double; RoI pooling of several maps merges nothing."""
    pooled = dataclasses.replace(TINY, scales=(1.0, 0.5), early=2, head=dataclasses.replace(HEAD, side=4))
    with pytest.raises(ValueError, match="FastRCNN: merge_duplicates must be False for RoI pooling of several maps"):
        small_fast_rcnn(CLASS_NAMES, rng=rng(), settings=pooled)
    small_fast_rcnn(CLASS_NAMES, rng=rng(), settings=dataclasses.replace(pooled, merge_duplicates=False))
    with pytest.raises(ValueError, match=r"strides of the backbone must double from map to map, got \(2, 8\)"):
        small_fast_rcnn(
            CLASS_NAMES, rng=rng(), settings=dataclasses.replace(pooled, scales=(1.0, 0.25), merge_duplicates=False)
        )
