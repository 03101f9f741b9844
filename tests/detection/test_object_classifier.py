"""Objects cut out for a classifier: squares around them, background beside them, and that it learns."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.detection.object_classifier import CropsOfObjects, ObjectClassifier, begin_windows_as
from refdet.detection.preparation import Preparation
from refdet.detection.rcnn import small_rcnn
from refdet.detection.rcnn_settings import RCNNSettings
from refdet.features.backbones.vgg import vgg_features
from refdet.nn import SGD
from tests.detection.coloured_squares import coloured_square, without_objects
from tests.detection.drawn_sizes import assert_sizes_are_drawn

AS_IT_IS = Preparation(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
STILL = CropsOfObjects(side=8, square=True, stretch=0.0, shift=0.0, background=0.0, sampling_ratio=1)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def classifier(crops: CropsOfObjects = STILL, **options: Any) -> ObjectClassifier:
    features = vgg_features([(4, 1), (8, 1)], rng=rng(), dtype=options.get("dtype", np.float32))
    return ObjectClassifier(3, features, crops=crops, rng=rng(), **options)


def turned(crop: Array) -> list[Array]:
    """Return the eight ways in which a crop (3, S, S) can be mirrored and turned by right angles."""
    return [np.rot90(x, k, axes=(1, 2)) for x in (crop, crop[:, :, ::-1]) for k in range(4)]


def test_the_crop_is_the_square_around_the_object() -> None:
    """A box of 4 × 8 in a square of 8 × 8 pixels, as many as the crop has: its own pixels, mirrored or turned."""
    sample = dataclasses.replace(coloured_square(0), boxes=np.array([[12, 6, 16, 14]], np.float32))
    expected = sample.image[6:14, 10:18].transpose(2, 0, 1)
    seen = set()
    for seed in range(40):
        crops, classes, _ = classifier(preparation=AS_IT_IS).cut_out([sample], rng=rng(seed))
        assert classes.tolist() == [1]
        found = [i for i, x in enumerate(turned(expected)) if np.array_equal(x, crops[0])]
        assert len(found) == 1
        seen.add(found[0])
    assert len(seen) == 8


def test_without_square_the_crop_is_the_box() -> None:
    """The two sides of a box of 4 × 8 pixels are resized to 4: of every two rows, the mean."""
    sample = dataclasses.replace(coloured_square(0), boxes=np.array([[12, 6, 16, 14]], np.float32))
    expected = sample.image[6:14, 12:16].astype(float).reshape(4, 2, 4, 3).mean(axis=1).transpose(2, 0, 1)
    crops = (
        classifier(dataclasses.replace(STILL, square=False, side=4), preparation=AS_IT_IS)
        .cut_out([sample], rng=rng())
        .images
    )
    assert sum(np.allclose(x, crops[0]) for x in turned(expected)) == 1


def test_boxes_are_stretched_and_moved_side_by_side() -> None:
    net = classifier(CropsOfObjects(context=1.25, stretch=0.2, shift=0.1))  # context comes later
    boxes = np.tile(np.array([[10, 20, 20, 28]], np.float32), (500, 1))
    x1, y1, x2, y2 = net._around(boxes, rng()).T
    for low, high, side, middle in ((x1, x2, 10, 15), (y1, y2, 8, 24)):
        sides = (high - low) / side
        assert (sides.min(), sides.max()) == (pytest.approx(0.8, abs=0.01), pytest.approx(1.2, abs=0.01))
        ways = np.abs((low + high) / 2 - middle) / (high - low)
        assert 0.09 < ways.max() <= 0.1 + 1e-5
    assert np.corrcoef(x2 - x1, y2 - y1)[0, 1] < 0.2


def test_what_lies_outside_is_the_mean_colour() -> None:
    """The square of a box at the left border reaches 4 pixels beyond it; half of the crop, on some side, is 0."""
    sample = dataclasses.replace(coloured_square(0), boxes=np.array([[0, 8, 8, 16]], np.float32))
    crops = (
        classifier(dataclasses.replace(STILL, context=2.0, side=16), preparation=AS_IT_IS)
        .cut_out([sample], rng=rng())
        .images
    )
    empty = (crops[0] == 0).all(axis=0)
    assert empty.sum() == 16 * 4
    assert any(empty_side.all() for empty_side in (empty[:4], empty[-4:], empty[:, :4], empty[:, -4:]))


def test_squares_are_stretched_and_moved_within_limits() -> None:
    net = classifier(CropsOfObjects(square=True, context=1.25, stretch=0.2, shift=0.1))  # context comes later
    boxes = np.tile(np.array([[10, 20, 20, 28]], np.float32), (500, 1))
    x1, y1, x2, y2 = net._around(boxes, rng()).T
    side = x2 - x1
    np.testing.assert_allclose(side, y2 - y1, rtol=1e-5)
    assert (side.min(), side.max()) == (pytest.approx(8, abs=0.1), pytest.approx(12, abs=0.1))
    for middle, centre in (((x1 + x2) / 2, 15), ((y1 + y2) / 2, 24)):
        ways = np.abs(middle - centre) / side
        assert 0.09 < ways.max() <= 0.1 + 1e-5
        assert abs((middle - centre).mean()) < 0.1


def test_background_near_objects_and_anywhere() -> None:
    """One object: as many pieces as asked for, of half to twice its sides, IoU < 0.5, in the picture and not tiny."""
    net = classifier(dataclasses.replace(STILL, background=400.0))
    box = np.array([[20, 16, 32, 26]], np.float32)
    pieces = net._beside(box, (90, 120), rng()).astype(float)
    assert len(pieces) > 390  # of four places drawn, hardly ever does none fit
    x1, y1, x2, y2 = pieces.T
    assert x1.min() >= 0
    assert y1.min() >= 0
    assert x2.max() <= 120
    assert y2.max() <= 90
    for sides, side in ((x2 - x1, 12), (y2 - y1, 10)):
        assert sides.min() >= 4
        assert 1.9 * side < sides.max() <= 2 * side + 1e-4
    inter = np.maximum(np.minimum(x2, 32) - np.maximum(x1, 20), 0) * np.maximum(
        np.minimum(y2, 26) - np.maximum(y1, 16), 0
    )
    iou = inter / ((x2 - x1) * (y2 - y1) + 120 - inter)
    assert 0.45 < iou.max() < 0.5
    inside = (x1 > 0) & (y1 > 0) & (x2 < 120) & (y2 < 90)  # the centre of what is not cut is where it was drawn
    is_near = (np.abs((x1 + x2) / 2 - 26) <= 12) & (np.abs((y1 + y2) / 2 - 21) <= 10)
    n_near = len(pieces) // 2
    assert is_near[:n_near][inside[:n_near]].all()
    assert is_near[n_near:].mean() < 0.2


def test_pieces_of_background_for_each_object() -> None:
    boxes = np.array([[4, 4, 12, 12], [20, 20, 30, 30], [40, 8, 52, 20]], np.float32)
    for background, n in ((0.0, 0), (1.0, 3), (2.0, 6), (0.4, 1)):
        net = classifier(dataclasses.replace(STILL, background=background))
        assert len(net._beside(boxes, (64, 64), rng())) == n
    everywhere = np.array([[0, 0, 5, 5]], np.float32)  # of which a piece of 4 × 4 or more is 16/25 or more
    assert len(classifier(dataclasses.replace(STILL, background=40.0))._beside(everywhere, (5, 5), rng())) == 0


def test_crops_that_are_refused() -> None:
    with pytest.raises(ValueError, match="CropsOfObjects: background must lie in"):
        CropsOfObjects(background=-1.0)
    features = vgg_features([(4, 1), (4, 1), (4, 1)], rng=rng())
    with pytest.raises(ValueError, match=r"ObjectClassifier: crops.side must be enough for all poolings, got 3"):
        ObjectClassifier(3, features, crops=CropsOfObjects(side=3), rng=rng())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loss_is_the_mean_cross_entropy(dtype: type) -> None:
    net = classifier(dataclasses.replace(STILL, background=1.0), dtype=dtype)
    samples = [coloured_square(0), coloured_square(1)]
    crops, classes, _ = net.cut_out(samples, rng=rng())
    assert classes.tolist() == [1, 0, 2, 0]
    loss = net.losses(samples, rng=rng())["class"]
    assert loss.dtype == dtype
    logits = net(crops, training=True).data.astype(float)
    expected = [math.log(np.exp(row).sum()) - row[c] for row, c in zip(logits, classes, strict=True)]
    assert float(loss) == pytest.approx(np.mean(expected), rel=1e-5)


def test_sizes_of_pictures_are_drawn_first() -> None:
    crops = CropsOfObjects(side=8)
    assert_sizes_are_drawn(
        lambda short: classifier(crops, preparation=Preparation(short=short)).losses, coloured_square(0)
    )


def test_pictures_without_objects_cost_nothing() -> None:
    """A step on them alone changes nothing, and does not fail."""
    net = classifier()
    loss = net.losses([without_objects(coloured_square(0))], rng=rng())["class"]
    assert float(loss) == 0.0
    loss.backward()
    assert not any(np.any(p.grad) for p in net.parameters() if p.grad is not None)


def test_the_loss_falls() -> None:
    net, samples, random = classifier(CropsOfObjects(side=8)), [coloured_square(i) for i in range(4)], rng()
    optimiser, losses = SGD(net.named_parameters(), lr=0.02, momentum=0.9), []
    for _ in range(80):
        loss = net.losses(samples, rng=random)["class"]
        net.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss))
    assert losses[0] > 0.8
    assert np.mean(losses[-5:]) < 0.5 * losses[0]


def test_frozen_features_stay_as_they_are() -> None:
    """Their running statistics too, whether or not the last layer learns; otherwise they move."""
    for frozen in (True, False):
        features = vgg_features([(4, 1), (8, 1)], batch_norm=True, rng=rng())
        net = ObjectClassifier(3, features, crops=STILL, rng=rng())
        if frozen:
            net.features.freeze()
        before = net.state_dict()
        loss = net.losses([coloured_square(0)], rng=rng())["class"]
        assert loss.requires_grad
        moved = {name for name, value in net.state_dict().items() if not np.array_equal(value, before[name])}
        assert bool(moved) == (not frozen)


def test_an_rcnn_begins_as_the_classifier() -> None:
    """Its windows are named alike; layers of another width do not fit."""
    blocks = ((4, 1), (8, 1))
    net = ObjectClassifier(3, vgg_features(blocks, batch_norm=True, rng=rng(1)), fc=(6, 6), crops=STILL, rng=rng(2))
    settings = RCNNSettings(blocks=blocks, hidden=6, side=8, padding=0)
    network = small_rcnn(("background", "a", "b"), rng=rng(), settings=settings).network
    begin_windows_as(network, net)
    x = rng(3).standard_normal((5, 3, 8, 8)).astype(np.float32)
    expected = net(x, training=False, rng=None).data
    np.testing.assert_allclose(network(x, training=False, rng=None).data, expected, atol=1e-6)
    wider = small_rcnn(("background", "a", "b"), rng=rng(), settings=dataclasses.replace(settings, hidden=7)).network
    with pytest.raises(ValueError, match=r"weight has shape \(6, 128\), expected \(7, 128\)"):
        begin_windows_as(wider, net)
