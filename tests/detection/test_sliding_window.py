"""The sliding-window detector: which windows there are, what is cut out, what is drawn, what is found."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array
from refdet.detection.detected import Detector
from refdet.detection.ground_truth import ground_truth
from refdet.detection.preparation import Preparation
from refdet.detection.sliding_window import SlidingWindow, WindowSettings, small_sliding_window, window_pyramid
from refdet.nn import SGD, Module
from refdet.ops import stack
from tests.detection.coloured_squares import CLASS_NAMES, coloured_square, without_objects
from tests.detection.drawn_sizes import Losses, assert_sizes_are_drawn

AS_IT_IS = Preparation(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
SMALL = WindowSettings(preparation=AS_IT_IS, sides=(8.0, 12.0), ratios=(1.0,), stride=0.5, crop=8, n_windows=12)


class Brightness(Module):
    """Scores of a crop, times a factor: 100 for the background, mean red less mean green, and the opposite."""

    def __init__(self, factor: float = 0.1) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        red, green = x[:, 0].mean(axis=(1, 2)), x[:, 1].mean(axis=(1, 2))
        return stack([red * 0 + 100.0, red - green, green - red], axis=1) * self.factor


def test_windows_against_the_definition() -> None:
    """Sides 8 and 6, twice as high as wide and square: 11 × 6 (11.3 × 5.7), 8 × 8, 8 × 4 (8.5 × 4.2), 6 × 6."""
    windows = window_pyramid((16, 20), sides=(8.0, 6.0), ratios=(2.0, 1.0), stride=0.4)
    expected = []
    for h, w, down, across in [(11, 6, 4, 2), (8, 8, 3, 3), (8, 4, 3, 2), (6, 6, 2, 2)]:
        for y in range(0, 16 - h + 1, down):
            for x in range(0, 20 - w + 1, across):
                expected.append([x, y, x + w, y + h])
    np.testing.assert_array_equal(windows, expected)
    assert window_pyramid((4, 4), sides=(5.0,), ratios=(1.0,), stride=0.5).shape == (0, 4)
    assert window_pyramid((4, 4), sides=(0.2,), ratios=(1.0,), stride=0.1).shape == (16, 4)  # at least 1 pixel


def test_crops_are_the_pixels_of_the_window() -> None:
    """A window of the size of the crop is copied; one of twice the size becomes means of 2 × 2 pixels."""
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16)).astype(np.float32)
    detector = SlidingWindow(CLASS_NAMES, Brightness(), settings=dataclasses.replace(SMALL, crop=4))
    windows = np.array([[3, 5, 7, 9], [8, 2, 16, 10]], np.float32)
    crops = detector.crops(images, windows, np.array([1, 0]))
    np.testing.assert_allclose(crops[0], images[1, :, 5:9, 3:7], rtol=1e-6)
    expected = images[0, :, 2:10, 8:16].reshape(3, 4, 2, 4, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(crops[1], expected, rtol=1e-6)


def test_the_loss_is_the_mean_cross_entropy_of_balanced_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = coloured_square(0)
    detector = SlidingWindow(CLASS_NAMES, Brightness(), settings=SMALL)
    seen = []
    crops_of = detector.crops

    def spy(*arguments: Array) -> Array:
        seen.append(arguments)
        return crops_of(*arguments)

    monkeypatch.setattr(detector, "crops", spy)
    losses = detector.losses([sample, coloured_square(1)], rng=np.random.default_rng(0))
    ((images, windows, pictures),) = seen
    assert (np.bincount(pictures) == 12).all()
    expected, n_objects = 0.0, 0
    for n in (0, 1):
        (truth,), label = coloured_square(n).boxes, n + 1
        for x1, y1, x2, y2 in windows[pictures == n]:
            w, h = min(x2, truth[2]) - max(x1, truth[0]), min(y2, truth[3]) - max(y1, truth[1])
            inter = max(w, 0) * max(h, 0)
            iou = inter / ((x2 - x1) * (y2 - y1) + (truth[2] - truth[0]) * (truth[3] - truth[1]) - inter)
            assert iou >= SMALL.positive or iou < SMALL.negative_high
            shown = label if iou >= SMALL.positive else 0
            n_objects += shown > 0
            crop = crops_of(images, np.array([[x1, y1, x2, y2]], np.float32), np.array([n]))[0]
            red, green = crop[0].mean(), crop[1].mean()
            scores = [10.0, 0.1 * (red - green), 0.1 * (green - red)]
            expected += math.log(sum(math.exp(s) for s in scores)) - scores[shown]
    assert 2 <= n_objects <= 12
    assert float(losses["class"]) == pytest.approx(expected / 24, rel=1e-5)


@pytest.mark.parametrize("labels", ["overlap", "centre"])
def test_the_object_itself_is_among_the_windows(labels: str) -> None:
    """Where the only window of the grid is grey, the object's own box, all red, alone can be drawn as an object."""
    settings = dataclasses.replace(SMALL, labels=labels, sides=(4.0,), stride=40.0, crop=4, n_windows=2)
    detector = SlidingWindow(CLASS_NAMES, Brightness(0.01), settings=settings)
    sample = coloured_square(0)
    sample.image[5:, 5:] = [230, 20, 20]  # all around the object: its border reads the pixels beyond
    assert detector.windows((32, 32)).tolist() == [[0, 0, 4, 4]]
    assert sample.boxes[0, :2].min() > 5
    red, green, _ = sample.image[:4, :4].mean(axis=(0, 1))
    scores = 0.01 * np.array([[100, red - green, green - red], [100, 210, -210]])  # of grey and of red
    cross_entropy = np.log(np.exp(scores).sum(axis=1)) - scores[[0, 1], [0, 1]]
    losses = detector.losses([sample], rng=np.random.default_rng(0))
    assert float(losses["class"]) == pytest.approx(cross_entropy.mean(), rel=1e-5)
    detector = SlidingWindow(CLASS_NAMES, Brightness(0.01), settings=dataclasses.replace(settings, include_truth=False))
    losses = detector.losses([sample], rng=np.random.default_rng(0))
    assert float(losses["class"]) == pytest.approx(cross_entropy[0], rel=1e-5)


def test_between_the_bands_a_window_is_left_out() -> None:
    """IoU 0.55, 0.45 and 0.35 with an object of 10 × 10."""
    detector = SlidingWindow(CLASS_NAMES, Brightness(), settings=SMALL)
    truth = ground_truth(
        dataclasses.replace(coloured_square(0), boxes=np.array([[0, 0, 10, 10]], np.float32)), n_classes=3
    )
    windows = np.array([[0, 0, 10, 5.5], [0, 0, 10, 4.5], [0, 0, 10, 3.5]], np.float32)
    assert detector.labels(windows, truth).tolist() == [1, -1, 0]


def test_share_of_windows_that_show_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most one of 12 windows overlaps the object by half or more, though several do."""
    detector = SlidingWindow(CLASS_NAMES, Brightness(), settings=dataclasses.replace(SMALL, positive_fraction=0.1))
    drawn: list[Array] = []

    def spy(images: Array, windows: Array, pictures: Array) -> Array:
        drawn.append(windows)
        return np.zeros((len(windows), 3, 8, 8), np.float32)

    monkeypatch.setattr(detector, "crops", spy)
    sample = dataclasses.replace(coloured_square(0), boxes=np.array([[8, 8, 20, 20]], np.float32))
    detector.losses([sample], rng=np.random.default_rng(0))
    truth = ground_truth(sample, n_classes=3)
    assert np.bincount(detector.labels(drawn[0], truth)).tolist() == [11, 1]
    windows = np.concatenate([detector.windows((32, 32)), truth.boxes])
    assert np.count_nonzero(detector.labels(windows, truth) > 0) > 1


def test_a_picture_without_objects_shows_background() -> None:
    detector = SlidingWindow(CLASS_NAMES, Brightness(), settings=SMALL)
    losses = detector.losses([without_objects(coloured_square(0))], rng=np.random.default_rng(0))
    assert np.isfinite(float(losses["class"]))
    assert float(losses["class"]) < 12  # of background windows most are grey: −log p = log(1 + 2/e¹⁰)


def test_it_finds_the_square() -> None:
    """The window that the square fills best, of all windows, and its class; scores are the softmax."""
    detector = SlidingWindow(CLASS_NAMES, Brightness(), settings=dataclasses.replace(SMALL, batch=7))
    assert isinstance(detector, Detector)
    image = np.full((32, 32, 3), 100, np.uint8)
    image[12:20, 8:16] = [230, 20, 20]
    found = detector.detect(image)
    np.testing.assert_array_equal(found.boxes[0], [8, 12, 16, 20])
    assert found.classes[0] == 1
    scores = np.exp([10.0 - 21.0, 0.0, -42.0])
    assert found.scores[0] == pytest.approx(1 / scores.sum(), rel=1e-5)
    assert (np.diff(found.scores) <= 0).all()
    at_once = SlidingWindow(CLASS_NAMES, Brightness(), settings=SMALL).detect(image)
    np.testing.assert_allclose(at_once.scores, found.scores, rtol=1e-6)
    np.testing.assert_array_equal(at_once.boxes, found.boxes)


def test_boxes_are_in_pixels_of_the_picture() -> None:
    """Twice as large for the network, and back."""
    settings = dataclasses.replace(SMALL, preparation=dataclasses.replace(AS_IT_IS, short=32))
    image = np.full((16, 20, 3), 100, np.uint8)
    image[4:8, 6:10] = [20, 230, 20]
    found = SlidingWindow(CLASS_NAMES, Brightness(), settings=settings).detect(image)
    np.testing.assert_array_equal(found.boxes[0], [6, 4, 10, 8])
    assert found.classes[0] == 2


def test_sizes_of_pictures_are_drawn_first() -> None:
    def of(short: Any) -> Losses:
        settings = dataclasses.replace(SMALL, preparation=Preparation(short=short), channels=(4, 8), hidden=8)
        return small_sliding_window(CLASS_NAMES, rng=np.random.default_rng(0), settings=settings).losses

    assert_sizes_are_drawn(of, coloured_square(0))


def test_a_picture_smaller_than_every_window() -> None:
    found = SlidingWindow(CLASS_NAMES, Brightness(), settings=SMALL).detect(np.zeros((5, 5, 3), np.uint8))
    assert found.boxes.shape == (0, 4)
    assert found.scores.shape == found.classes.shape == (0,)


def test_a_batch_without_windows_has_nothing_to_learn() -> None:
    rng = np.random.default_rng(0)
    settings = dataclasses.replace(SMALL, channels=(4, 8), hidden=8)
    detector = small_sliding_window(CLASS_NAMES, rng=rng, settings=settings)
    sample = without_objects(coloured_square(0))
    sample = dataclasses.replace(sample, image=sample.image[:5, :5])
    assert float(detector.losses([sample], rng=rng)["class"]) == 0


def test_the_loss_falls() -> None:
    rng = np.random.default_rng(0)
    settings = dataclasses.replace(SMALL, preparation=Preparation(), channels=(4, 8), hidden=8)
    detector = small_sliding_window(CLASS_NAMES, rng=rng, settings=settings)
    samples = [coloured_square(i) for i in range(4)]
    optimiser = SGD(detector.named_parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(25):
        loss = detector.losses(samples, rng=rng)["class"]
        detector.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss))
    assert losses[0] > 0.8
    assert max(losses[-5:]) < 0.25


def test_in_float64() -> None:
    settings = dataclasses.replace(SMALL, channels=(4, 8), hidden=8, batch_norm=False)
    double = small_sliding_window(CLASS_NAMES, rng=np.random.default_rng(0), settings=settings, dtype=np.float64)
    single = small_sliding_window(CLASS_NAMES, rng=np.random.default_rng(0), settings=settings)
    single.load_state_dict(double.state_dict())
    loss, rounded = (d.losses([coloured_square(0)], rng=np.random.default_rng(0))["class"] for d in (double, single))
    assert loss.dtype == np.float64
    assert float(rounded) == pytest.approx(float(loss), rel=1e-4)
    found = double.detect(coloured_square(0).image)
    assert found.boxes.dtype == found.scores.dtype == np.float32
    assert len(found) > 0


def test_an_object_whose_middle_is_outside_the_picture() -> None:
    """Its box is among the windows; what it shows there is background, whatever its mask says of other pixels."""
    masks = np.zeros((1, 32, 32), bool)
    masks[0, :, 24:] = True  # where column −6, counted from the right, would be
    sample = dataclasses.replace(coloured_square(0), boxes=np.array([[-16, 4, 4, 12]], np.float32), masks=masks)
    settings = dataclasses.replace(SMALL, labels="centre", sides=(4.0,), stride=40.0, crop=4, n_windows=2)
    detector = SlidingWindow(CLASS_NAMES, Brightness(), settings=settings)
    truth = ground_truth(sample, n_classes=3)
    assert detector.labels(truth.boxes, truth).tolist() == [0]
    assert np.isfinite(float(detector.losses([sample], rng=np.random.default_rng(0))["class"]))


def test_a_frozen_network_stays_as_it_is() -> None:
    """The loss is that of the network as at test, and no running statistics move; otherwise they do."""
    settings = dataclasses.replace(SMALL, channels=(4, 8), hidden=8)
    for frozen in (True, False):
        detector = small_sliding_window(CLASS_NAMES, rng=np.random.default_rng(0), settings=settings)
        if frozen:
            detector.freeze()
        before = detector.state_dict()
        detector.losses([coloured_square(0)], rng=np.random.default_rng(0))
        moved = {name for name, value in detector.state_dict().items() if not np.array_equal(value, before[name])}
        assert bool(moved) == (not frozen)
        assert all("running" in name or "num_batches" in name for name in moved)


def test_bad_input() -> None:
    detector = SlidingWindow(CLASS_NAMES, Brightness(), settings=SMALL)
    sample = coloured_square(0)
    wrong = dataclasses.replace(sample, classes=np.array([3]))
    with pytest.raises(ValueError, match="square 0: the class of object 0 must be one of 1 … 2, got 3"):
        detector.losses([wrong], rng=np.random.default_rng(0))
    wrong = dataclasses.replace(sample, boxes=np.full((1, 4), np.nan, np.float32))
    with pytest.raises(ValueError, match="square 0: object 0 must have a finite box"):
        detector.losses([wrong], rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="WindowSettings: labels must be one of 'overlap', 'centre', got 'middle'"):
        WindowSettings(labels="middle")
    with pytest.raises(ValueError, match="small_window_classifier: 3 poolings leave nothing of 7 pixels"):
        small_sliding_window(CLASS_NAMES, rng=np.random.default_rng(0), settings=WindowSettings(crop=7))
    with pytest.raises(ValueError, match="WindowSettings: ratios must lie in"):
        WindowSettings(ratios=(0.0,))
    wrong_numbers: dict[str, Any] = {"n_windows": -1, "positive_fraction": 3.0, "nms_threshold": 7.0, "pre_nms": -4}
    for name, value in wrong_numbers.items():
        with pytest.raises(ValueError, match=f"WindowSettings: {name} must "):
            dataclasses.replace(SMALL, **{name: value})


def test_lists_of_sides_and_ratios() -> None:
    listed = dataclasses.replace(SMALL, sides=list(SMALL.sides), ratios=list(SMALL.ratios))  # type: ignore[arg-type]
    detectors = [SlidingWindow(CLASS_NAMES, Brightness(), settings=s) for s in (SMALL, listed)]
    np.testing.assert_array_equal(detectors[1].windows((40, 50)), detectors[0].windows((40, 50)))
