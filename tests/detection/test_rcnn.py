"""R-CNN in miniature: the stages one by one, and that the pieces connect."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from refdet import nn
from refdet.core.check import Array
from refdet.data.sample import Sample
from refdet.detection.detected import Detector
from refdet.detection.hard_negative_mining import MiningSettings
from refdet.detection.preparation import Preparation
from refdet.detection.rcnn import RCNN, small_rcnn
from refdet.detection.rcnn_settings import RCNN_PAPER, RCNNSettings
from refdet.detection.region_warp import warp_regions
from refdet.features.backbones.vgg import vgg

NAMES = ("background", "red", "green", "blue")
TINY = RCNNSettings(
    blocks=((6, 1), (6, 1)),
    batch_norm=False,
    hidden=16,
    side=12,
    padding=2,
    n_windows=24,
    windows_at_once=7,
    fit_regions=None,
    mining=MiningSettings(C=0.01),
    pair_iou=0.5,
    ridge=1.0,
)


def picture(seed: int, *, classes: tuple[int, ...] = (1, 2), name: str = "") -> Sample:
    """Return 40 × 48 grey pixels with a bright square of the colour of each class, and proposals on and beside them."""
    rng = np.random.default_rng(seed)
    image = rng.integers(100, 110, (40, 48, 3)).astype(np.uint8)
    boxes = np.array([[3 + 22 * i, 8 + 4 * i, 19 + 22 * i, 24 + 4 * i] for i in range(len(classes))], np.float32)
    boxes = boxes.reshape(-1, 4)
    for (x1, y1, x2, y2), c in zip(boxes.astype(int).tolist(), classes, strict=True):
        image[y1:y2, x1:x2] = 20
        image[y1:y2, x1:x2, c - 1] = 240
    near = (boxes[:, None] + rng.integers(-3, 4, (len(boxes), 5, 4))).reshape(-1, 4)
    corners = rng.integers(0, 30, (12, 2))
    far = np.concatenate([corners, corners + rng.integers(5, 12, (12, 2))], axis=1)
    return Sample(
        name or f"picture {seed}",
        image,
        boxes,
        np.array(classes, np.int64),
        np.zeros(len(classes), bool),
        proposals=np.concatenate([near, far]).astype(np.float32),
    )


def tiny(seed: int = 0, **changes: Any) -> RCNN:
    return small_rcnn(NAMES, rng=np.random.default_rng(seed), settings=dataclasses.replace(TINY, **changes))


@pytest.fixture(scope="module")
def trained() -> tuple[RCNN, list[float]]:
    """Return a model after both stages, and the losses of the first."""
    model = tiny()
    samples = [picture(i, classes=classes) for i, classes in enumerate([(1, 2), (2, 3), (3, 1)])]
    optimiser = nn.Adam(model.network.named_parameters(), lr=0.01)
    losses = []
    for step in range(40):
        loss = model.losses(samples, rng=np.random.default_rng(step))["class"]
        losses.append(float(loss.data))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.fit(samples)
    return model, losses


def test_it_is_a_detector(trained: tuple[RCNN, list[float]]) -> None:
    assert isinstance(trained[0], Detector)


def test_the_loss_falls(trained: tuple[RCNN, list[float]]) -> None:
    losses = trained[1]
    assert losses[0] > 1
    assert np.mean(losses[-5:]) < 0.3


def test_it_finds_what_it_has_not_seen(trained: tuple[RCNN, list[float]]) -> None:
    """The two best detections of an unseen picture are its two objects."""
    from refdet.boxes.iou import box_iou

    model, unseen = trained[0], picture(77, classes=(3, 2))
    found = model.detect(unseen.image, unseen.proposals)
    assert (np.diff(found.scores) <= 0).all()
    assert sorted(found.classes[:2].tolist()) == [2, 3]
    order = np.argsort(-found.classes[:2])
    overlaps = np.diag(box_iou(found.boxes[:2][order], unseen.boxes))
    assert (overlaps > 0.5).all()


def test_box_regression_moves_boxes(trained: tuple[RCNN, list[float]]) -> None:
    """To a mean IoU with the objects that is higher, on the pictures that it learned from."""
    from refdet.boxes.iou import box_iou

    model, sample = trained[0], picture(0)
    assert sample.proposals is not None
    (features,) = model.layers(sample.image, sample.proposals[:10], ["pool"])
    overlaps = []
    for c, rows in ((1, slice(0, 5)), (2, slice(5, 10))):
        before = sample.proposals[rows].astype(np.float64)
        after = model.box_regressor.predict(features[rows], before, c)
        overlaps.append([box_iou(b, sample.boxes[[c - 1]].astype(np.float64)).mean() for b in (before, after)])
    assert np.mean(overlaps, axis=0)[1] > np.mean(overlaps, axis=0)[0] + 0.02


def test_options_of_detection(trained: tuple[RCNN, list[float]]) -> None:
    """Boxes as they are proposed without regression; probabilities with the softmax."""
    model, sample = trained[0], picture(5)
    original = model.settings
    try:
        model.settings = dataclasses.replace(original, regress=False, scores="softmax")
        found = model.detect(sample.image, sample.proposals)
        assert ((found.scores > 0.05) & (found.scores <= 1)).all()
        inside = np.clip(np.asarray(sample.proposals), 0, [48, 40, 48, 40])
        assert all((box == inside).all(axis=1).any() for box in found.boxes)
        model.settings = dataclasses.replace(original, regress=False)
        as_proposed = model.detect(sample.image, sample.proposals)
        model.settings = original
        regressed = model.detect(sample.image, sample.proposals)
    finally:
        model.settings = original
    assert all((box == inside).all(axis=1).any() for box in as_proposed.boxes)
    assert not all((box == inside).all(axis=1).any() for box in regressed.boxes)
    assert as_proposed.scores[0] == regressed.scores[0]
    assert as_proposed.scores.min() < 0  # margins


def test_the_state_holds_all(trained: tuple[RCNN, list[float]]) -> None:
    model, other, sample = trained[0], tiny(9), picture(6)
    other.load_state_dict(model.state_dict())
    mine, theirs = (m.detect(sample.image, sample.proposals) for m in (model, other))
    np.testing.assert_array_equal(mine.boxes, theirs.boxes)
    np.testing.assert_array_equal(mine.scores, theirs.scores)
    assert {"svm.weight", "svm.known", "svm.feature_scale", "box_regressor.weight"} <= set(model.state_dict())


def test_before_fit_it_has_the_scores_of_the_softmax() -> None:
    model, sample = tiny(), picture(0)
    assert sample.proposals is not None
    found = model.detect(sample.image, sample.proposals)
    (logits,) = model.layers(sample.image, sample.proposals, ["scores"])
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert found.scores[0] == pytest.approx(float(p[:, 1:].max()), rel=1e-5)


def test_it_is_deterministic() -> None:
    """The same seed draws the same windows; another draws others. `fit` draws nothing."""
    model, samples = tiny(), [picture(0), picture(1)]
    first, again, other = (float(model.losses(samples, rng=np.random.default_rng(s))["class"].data) for s in (1, 1, 2))
    assert first == again != other
    twin = tiny()
    model.fit(samples)
    twin.fit(samples)
    np.testing.assert_array_equal(model.svm.weight, twin.svm.weight)
    np.testing.assert_array_equal(model.box_regressor.weight, twin.box_regressor.weight)


def test_windows_are_warped_regions() -> None:
    """BGR less the mean over std, at the place of the network's channels; batches of 7 give what one batch gives."""
    preparation = Preparation(mean=(10.0, 20.0, 30.0), std=(2.0, 4.0, 8.0), order="BGR")
    model, sample = tiny(preparation=preparation), picture(2)
    assert sample.proposals is not None
    windows = model.windows(sample.image, sample.proposals)
    blue = sample.image[:, :, 2:].astype(np.float32)
    expected = warp_regions(blue, sample.proposals, side=12, padding=2, mean=[10.0])[..., 0] / 2
    np.testing.assert_allclose(windows[:, 0], expected, rtol=0, atol=1e-4)
    whole = model.network(windows).data
    np.testing.assert_allclose(model.layers(sample.image, sample.proposals, ["scores"])[0], whole, rtol=0, atol=1e-5)


def test_the_layers() -> None:
    """fc7 is what the last layer sees, fc6 what the one before it sees, pool what the first sees."""
    model, sample = tiny(), picture(2)
    pool, fc6, fc7, scores = model.layers(sample.image, sample.boxes, ["pool", "fc6", "fc7", "scores"])
    first, second, last = (model.network.classifier[i] for i in (0, 3, 6))
    np.testing.assert_allclose(np.maximum(first(pool).data, 0), fc6, rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.maximum(second(fc6).data, 0), fc7, rtol=0, atol=1e-6)
    np.testing.assert_allclose(last(fc7).data, scores, rtol=0, atol=1e-6)


def with_proposals(sample: Sample, boxes: Array) -> Sample:
    return dataclasses.replace(sample, proposals=np.asarray(boxes, np.float32).reshape(-1, 4))


def test_labels_of_fine_tuning() -> None:
    """IoU of exactly 0.5 is an object, less is background, and so is what R-CNN's machines ignore; objects are too."""
    sample = dataclasses.replace(picture(0, classes=(2,)), boxes=np.array([[0, 0, 10, 10]], np.float32))
    sample = with_proposals(sample, np.array([[0, 0, 10, 5], [0, 0, 10, 4], [30, 30, 35, 35]]))
    assert tiny().candidates(sample).classes.tolist() == [2, 0, 0, 2]
    difficult = dataclasses.replace(sample, difficult=np.array([True]))
    assert tiny().candidates(difficult).classes.tolist() == [2, 0, 0, 2]
    assert tiny(with_difficult=False).candidates(difficult).classes.tolist() == [-1, 0, 0, -1]


def test_a_quarter_of_the_windows_are_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 24 windows 6 show objects, drawn from both pictures together; each is seen with its own class."""
    import refdet.detection.rcnn as module

    model, drawn = tiny(mirror=False), []

    def cross_entropy(logits: Any, classes: Array) -> Any:
        drawn.append(classes)
        return logits.sum()

    monkeypatch.setattr(module, "softmax_cross_entropy", cross_entropy)
    monkeypatch.setattr(model, "windows", lambda image, boxes: np.zeros((len(boxes), 3, 12, 12), np.float32))
    model.losses([picture(0), picture(1, classes=(3, 3))], rng=np.random.default_rng(0))
    assert len(drawn[0]) == 24
    assert (drawn[0] > 0).sum() == 6
    assert 3 in drawn[0]


def test_half_of_the_windows_are_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny(n_windows=200, positive_fraction=0.5)
    seen: list[Array] = []
    hidden = model.hidden

    def keep(x: Array, **options: Any) -> dict[str, Any]:
        seen.append(x)
        return hidden(x, **options)

    monkeypatch.setattr(model, "hidden", keep)
    samples = [picture(i) for i in range(6)]
    model.losses(samples, rng=np.random.default_rng(0))
    model.settings = dataclasses.replace(model.settings, mirror=False)
    model.losses(samples, rng=np.random.default_rng(0))
    mirrored = (seen[0] == seen[1][:, :, :, ::-1]).all(axis=(1, 2, 3))
    same = (seen[0] == seen[1]).all(axis=(1, 2, 3))
    assert (mirrored | same).all()
    assert 0.35 < mirrored.mean() < 0.65


def test_without_proposals_or_objects() -> None:
    model, empty = tiny(), with_proposals(picture(0, classes=()), np.zeros((0, 4)))
    assert len(model.detect(empty.image, np.zeros((0, 4), np.float32))) == 0
    with pytest.raises(ValueError, match=r"no window can be drawn from picture 0: there are neither proposals nor"):
        model.losses([empty], rng=np.random.default_rng(0))
    only_objects = with_proposals(picture(1), np.zeros((0, 4)))
    assert np.isfinite(model.losses([empty, only_objects], rng=np.random.default_rng(0))["class"].data)
    model.fit([empty, picture(2)])
    assert model.svm.known.tolist() == [False, True, True, False]
    model.fit([empty])
    assert not model.svm.known.any()
    assert len(model.detect(empty.image, np.zeros((0, 4), np.float32))) == 0


def test_proposals_are_asked_for() -> None:
    model, sample = tiny(), picture(0)
    model.propose = lambda image: np.array([[0.0, 0, 20, 20]]) if image is sample.image else np.zeros((0, 4))
    found, expected = model.detect(sample.image), model.detect(sample.image, np.array([[0.0, 0, 20, 20]]))
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert len(found) > 0


def test_fit_looks_at_some_regions_of_each_picture() -> None:
    model, sample = tiny(fit_regions=4), picture(0)
    assert sample.proposals is not None
    regions = model.region_features(sample)
    np.testing.assert_array_equal(regions.boxes, sample.proposals[[0, 5, 11, 16]])  # of 22
    assert len(model.region_features(sample, with_regions=False).boxes) == 0
    done: list[int] = []
    model.fit([sample, picture(1)], progress=done.append)
    assert done == [1, 2]


def test_a_fit_that_was_interrupted_leaves_nothing_behind() -> None:
    """What was taken of the pictures before is not counted again by the next one."""
    samples = [picture(i, classes=(1, 2)) for i in range(3)]

    def interrupt(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    model, fresh = tiny(), tiny()
    with pytest.raises(KeyboardInterrupt):
        model.fit(samples, progress=interrupt)
    model.fit(samples)
    fresh.fit(samples)
    for name, array in fresh.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[name], array, err_msg=name)


@pytest.mark.parametrize(
    ("proposals", "problem"),
    [
        (np.zeros((2, 5)), r"RCNN.detect: proposals must have shape \(N, 4\), .*, got \(2, 5\)"),
        (np.zeros(4), r"RCNN.detect: proposals must have shape \(N, 4\)"),
        ([[0, 0, 4, 4]], "RCNN.detect: proposals must be an array"),
        (np.array([[0, 0, 4, np.inf]]), r"RCNN.detect: proposal 0 must be finite, got \[0.0, 0.0, 4.0, inf\]"),
    ],
)
def test_proposals_that_are_none(proposals: Any, problem: str) -> None:
    with pytest.raises((ValueError, TypeError), match=problem):
        tiny().detect(picture(0).image, proposals)


def test_bad_input() -> None:
    rng, network = np.random.default_rng(0), vgg([(2, 1)], 3, hidden=2, map_size=1, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="the network must have 4 outputs, one per class name, got 3"):
        RCNN(NAMES, network, TINY)
    with pytest.raises(TypeError, match="network must be a Classifier, got Sequential"):
        RCNN(NAMES, nn.Sequential(), TINY)  # type: ignore[arg-type]
    sample = dataclasses.replace(picture(0), proposals=None)
    with pytest.raises(ValueError, match="picture 0: has no proposals"):
        tiny().losses([sample], rng=rng)
    with pytest.raises(ValueError, match="the class of object 1 must be one of 1 … 3, got 9"):
        tiny().fit([dataclasses.replace(picture(0), classes=np.array([1, 9]))])
    with pytest.raises(ValueError, match="padding must be less than half of side, 12, got 6"):
        RCNNSettings(side=12, padding=6)
    with pytest.raises(ValueError, match="svm_layer must be one of 'pool', 'fc6', 'fc7', got 'fc8'"):
        RCNNSettings(svm_layer="fc8")
    with pytest.raises(TypeError, match=r"rng must be a numpy\.random\.Generator"):
        tiny().losses([picture(0)], rng=0)  # type: ignore[arg-type]


def test_the_numbers_of_the_paper() -> None:
    s = RCNN_PAPER
    assert (s.side, s.padding, s.n_windows, s.n_windows * s.positive_fraction, s.positive) == (227, 16, 128, 32, 0.5)
    assert (s.mining.C, s.mining.positive_weight, s.mining.bias_feature, s.mining.negative_below) == (1e-3, 2, 10, 0.3)
    assert (s.ridge, s.pair_iou, s.detection.nms_threshold, s.feature_norm) == (1000, 0.6, 0.3, 20)
