"""SPP-net: pyramids against a window-by-window computation, scales, the stages of its training, what is saved."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor, no_grad
from refdet.core.check import Array
from refdet.data.sample import Sample
from refdet.data.transforms import resize
from refdet.detection.detected import Detector
from refdet.detection.preparation import Preparation
from refdet.detection.spp_net import SPPNet, small_spp_net, window_pyramids
from refdet.detection.spp_settings import FIVE_SCALES, PAPER_SCALES, SPP_PAPER, SPPSettings
from refdet.features.backbones.maps import OneMap
from refdet.features.backbones.zf import zf_features
from refdet.features.window_projection import PAPER_SIDE, project_windows
from refdet.nn import SGD
from tests.detection.coloured_squares import CLASS_NAMES, coloured_square, without_objects
from tests.detection.drawn_sizes import SIZES, assert_sizes_are_drawn

TINY = SPPSettings(
    blocks=((4, 1), (6, 1)),
    preparation=Preparation(std=(127.5, 127.5, 127.5)),
    scales=(32,),
    target_side=12.0,
    projection="paper",
    levels=(1, 2),
    fc=(8, 8),
    sampling=dataclasses.replace(SPPSettings().sampling, n_drawn=8),
    crop_sizes=(12, 16),
    box_levels=(2,),
    ridge=1.0,
)


def tiny(seed: int = 0, **changed: Any) -> SPPNet:
    return small_spp_net(CLASS_NAMES, rng=np.random.default_rng(seed), settings=dataclasses.replace(TINY, **changed))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def naive_pyramid(part: Array, levels: tuple[int, ...]) -> list[float]:
    """Return the largest response of every bin of a part (C, h, w) of a map: level by level, channel by channel."""
    C, h, w = part.shape
    return [
        max(
            part[c, y, x]
            for y in range(math.floor(i * h / k), math.ceil((i + 1) * h / k))
            for x in range(math.floor(j * w / k), math.ceil((j + 1) * w / k))
        )
        for k in levels
        for c in range(C)
        for i in range(k)
        for j in range(k)
    ]


def test_pyramids_of_windows() -> None:
    """Every window of a map of 5 × 7 responses, those with fewer responses than bins included; negative maxima too."""
    x = rng().normal(-1, 1, (1, 2, 5, 7))
    windows = [(x1, y1, x2, y2) for y1 in range(5) for y2 in range(y1 + 1, 6) for x1 in (0, 2, 6) for x2 in (3, 7)]
    windows = [w for w in windows if w[2] > w[0]]
    pyramids = window_pyramids(x, np.array(windows), (3, 1, 2))
    expected = [naive_pyramid(x[0, :, y1:y2, x1:x2], (3, 1, 2)) for x1, y1, x2, y2 in windows]
    np.testing.assert_array_equal(pyramids, expected)
    assert window_pyramids(x, np.zeros((0, 4), np.int64), (1, 2)).shape == (0, 10)


def test_the_pyramid_of_the_paper() -> None:
    """{1, 2, 3, 6} are 50 bins, 12 800 numbers of 256 channels."""
    assert SPPSettings().levels == (1, 2, 3, 6)
    window = np.array([[0, 0, 6, 6]])
    assert window_pyramids(np.zeros((1, 256, 6, 6)), window, SPPSettings().levels).shape == (1, 12_800)


def test_the_numbers_of_the_paper() -> None:
    """ZF-5 with a 64th of its channels: stride 16, 50 bins, o₀ = 21; 224 of 688 pixels are 14 × 14 responses."""
    s = SPP_PAPER
    assert (PAPER_SCALES, s.scales, s.target_side, s.crop_sizes) == (
        (480, 576, 688, 864, 1200),
        (688,),
        224,
        (180, 224),
    )
    assert (s.fc, s.dropout, s.ridge, s.pair_iou, s.box_levels) == ((4096, 4096), 0.5, 4000, 0.5, s.levels)
    small = dataclasses.replace(s, fc=(8, 8), scales=(64,), sampling=TINY.sampling)
    backbone = OneMap(zf_features(width=1 / 64, rng=rng()))
    model = SPPNet(CLASS_NAMES, backbone, small, rng=rng())
    assert model.backbone.strides == (16,)
    assert (s.projection, s.margin, model._first_centre) == ("released", 6.5, 21)
    assert model.fc6.weight.shape == (8, 50 * 4)
    sample = coloured_square(0)
    model.losses([sample], rng=rng())["class"].backward()
    assert len(model.detect(sample.image, sample.proposals)) > 0


def test_dropout_of_both_layers() -> None:
    """In training half of each layer is 0, and the rest twice as large; otherwise nothing is dropped."""
    plain, model = tiny(fc=(400, 400)), tiny(fc=(400, 400), dropout=0.5)
    x = np.abs(rng().normal(size=(1, plain.fc6.weight.shape[1]))).astype(np.float32)
    whole, dropped = plain.hidden(x), model.hidden(x, training=True, rng=rng())
    np.testing.assert_array_equal(model.hidden(x)["fc7"].data, whole["fc7"].data)
    left = dropped["fc6"].data != 0
    assert left.sum() / np.count_nonzero(whole["fc6"].data) == pytest.approx(0.5, abs=0.1)
    np.testing.assert_allclose(dropped["fc6"].data[left], 2 * whole["fc6"].data[left], rtol=1e-6)
    again = model.hidden(x, training=True, rng=np.random.default_rng(1))["fc7"].data
    assert not np.array_equal(again == 0, dropped["fc7"].data == 0)


def naive_pyramids(model: SPPNet, image: Array, boxes: Array, scale: int) -> Array:
    """Return the pyramids of boxes at one scale: resize, one map for each box, project, slice, pool."""
    rows = []
    sample = without_objects(coloured_square(0))
    size = (image.shape[0] * scale // 32, image.shape[1] * scale // 32)
    resized = resize(dataclasses.replace(sample, image=image, proposals=boxes), size)
    assert resized.proposals is not None
    for box in resized.proposals:
        prepared = model.settings.preparation([dataclasses.replace(resized, proposals=None)])
        with no_grad():
            x = model.backbone.maps(Tensor(prepared.images), training=False, rng=None)[0].data[0]
        ((x1, y1, x2, y2),) = project_windows(box[None], stride=2, size=(x.shape[1], x.shape[2]))
        rows.append(naive_pyramid(x[:, y1:y2, x1:x2], model.settings.levels))
    return np.array(rows)


@pytest.mark.parametrize("scale", [32, 48])
def test_one_map_serves_all_windows(scale: int) -> None:
    model, sample = tiny(scales=(scale,)), coloured_square(0)
    assert sample.proposals is not None
    boxes = np.concatenate([sample.proposals, sample.proposals[:2]])  # some twice
    np.testing.assert_allclose(
        model.pyramids(sample.image, boxes), naive_pyramids(model, sample.image, boxes, scale), rtol=1e-4, atol=1e-5
    )


def test_each_window_is_seen_at_its_scale() -> None:
    """Aiming at 12 × 12 with scales 16, 32 and 64 of a side of 32: windows of 24, 12 and 6 pixels."""
    model, image = tiny(scales=(16, 32, 64)), coloured_square(0).image
    no_area = [8, 8, 8, 14]  # of no use to anybody, but no reason to stop; seen at the first scale
    boxes = np.array([[4, 4, 28, 28], [8, 8, 20, 20], [8, 10, 14, 16], no_area, [0, 0, 32, 32]], np.float32)
    found = model.pyramids(image, boxes)
    for row, scale in enumerate((16, 32, 64, 16, 16)):
        expected = naive_pyramids(model, image, boxes[row : row + 1], scale)
        np.testing.assert_allclose(found[row : row + 1], expected, rtol=1e-4, atol=1e-5)


def test_the_released_choice_of_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    """|s − round(208 · 375 / side)| by hand: 975, 780, 650, 520 and 433 pixels; the paper's rule differs in two."""
    sides, seen = (80, 100, 120, 150, 180), {}
    boxes = np.array([[0, 0, side, side] for side in sides], np.float32)

    def note(self: SPPNet, image: Array, boxes: Array, scale: int) -> Array:
        seen.update(dict.fromkeys(boxes[:, 2].astype(int).tolist(), scale))
        return np.zeros((len(boxes), self.fc6.weight.shape[1]))

    monkeypatch.setattr(SPPNet, "_pyramids_at", note)
    for choice, scales in (("released", (864, 864, 688, 480, 480)), ("paper", (1200, 864, 688, 576, 480))):
        model = tiny(scales=PAPER_SCALES, target_side=float(PAPER_SIDE), scale_choice=choice)
        model.pyramids(np.zeros((375, 500, 3), np.uint8), boxes)
        assert tuple(seen[side] for side in sides) == scales
    assert SPP_PAPER.scale_choice == "released"


def test_at_one_of_five_scales_every_object_is_about_as_large() -> None:
    """Of 10 to 100 pixels in a picture of 128, at the scale where |area − 28²| is least: 20 to 35 pixels."""
    seen = np.outer(np.arange(10.0, 101.0), FIVE_SCALES) / 128
    chosen = np.abs(seen**2 - SPPSettings().target_side ** 2).argmin(axis=1)
    at_its_scale = np.take_along_axis(seen, chosen[:, None], axis=1)
    assert at_its_scale.min() == pytest.approx(19.5, abs=0.1)
    assert at_its_scale.max() == pytest.approx(34.5, abs=0.1)


def test_fine_tuning_by_hand() -> None:
    """The mean cross-entropy of the windows drawn; only the fully connected layers get a gradient."""
    model, samples = tiny(), [coloured_square(0), coloured_square(1)]
    drawn = [model._drawn(sample, random) for random in (rng(),) for sample in samples]
    losses = model.losses(samples, rng=rng())
    expected = []
    for sample, (boxes, classes) in zip(samples, drawn, strict=True):
        assert (classes > 0).any()
        x = naive_pyramids(model, sample.image, boxes, 32)
        for layer in (model.fc6, model.fc7):
            x = np.maximum(x @ layer.weight.data.T + layer.state_dict()["bias"], 0)
        logits = x @ model.cls_score.weight.data.T + model.cls_score.state_dict()["bias"]
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        expected += (-log_p[np.arange(len(classes)), classes]).tolist()
    assert float(losses["class"]) == pytest.approx(np.mean(expected), rel=1e-5)
    losses["class"].backward()
    learning = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert learning == {"fc6", "fc7", "cls_score"}


def train(model: SPPNet, losses: Any, n_steps: int) -> list[float]:
    random, samples = rng(), [coloured_square(i) for i in range(4)]
    optimiser = SGD(model.named_parameters(), lr=0.05, momentum=0.9)
    found = []
    for _ in range(n_steps):
        loss = losses(samples, rng=random)["class"]
        model.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(float(loss))
    return found


@pytest.fixture(scope="module")
def trained() -> tuple[SPPNet, dict[str, Array], list[list[float]]]:
    """Return a net after all stages, its state after the first, and the losses of the two."""
    model = tiny()
    pretraining = train(model, model.pretraining_losses, 30)
    after_pretraining = model.state_dict()
    model.freeze_convolutions()
    fine_tuning = train(model, model.losses, 15)
    model.fit([coloured_square(i) for i in range(10)])
    return model, after_pretraining, [pretraining, fine_tuning]


def test_stages(trained: tuple[SPPNet, dict[str, Array], list[list[float]]]) -> None:
    """The loss falls in both; the second leaves the backbone's bits, running statistics too, and moves the rest."""
    model, before, (pretraining, fine_tuning) = trained
    assert pretraining[0] > 0.9
    assert np.mean(pretraining[-5:]) < 0.6 * pretraining[0]
    assert np.mean(fine_tuning[-5:]) < 0.9 * fine_tuning[0]
    start, after = tiny().state_dict(), model.state_dict()
    for name, value in before.items():
        moved = not np.array_equal(value, after[name])
        assert moved == (not name.startswith("backbone.")), name
        if name.startswith("backbone."):
            assert not np.array_equal(value, start[name]), name


def test_machines_know_red_from_green(trained: tuple[SPPNet, dict[str, Array], list[list[float]]]) -> None:
    model = trained[0]
    assert isinstance(model, Detector)
    assert model.svm.known.tolist() == [False, True, True]
    right = 0
    for i in range(10, 20):
        sample = coloured_square(i)
        found = model.detect(sample.image, sample.proposals)
        right += bool(len(found)) and int(found.classes[0]) == int(sample.classes[0])
    assert right >= 9


def test_what_is_fitted_is_saved(trained: tuple[SPPNet, dict[str, Array], list[list[float]]]) -> None:
    """Another net with the arrays of the state detects the same, to the bit."""
    model, sample = trained[0], coloured_square(20)
    again = tiny(seed=1)
    again.load_state_dict(model.state_dict())
    a, b = (m.detect(sample.image, sample.proposals) for m in (model, again))
    assert len(a) > 0
    for name in ("boxes", "scores", "classes"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_box_regressors_move_the_boxes(trained: tuple[SPPNet, dict[str, Array], list[list[float]]]) -> None:
    """A detection is a proposal as its regressor moves it, from the 2 × 2 bins, the last 24 columns of the pyramid."""
    model, sample = trained[0], coloured_square(21)
    boxes = np.asarray(sample.proposals)[:1]
    columns = model.pyramids(sample.image, boxes)[:, 6:]
    assert columns.shape == (1, 24)
    found = model.detect(sample.image, boxes)
    for box, c in zip(found.boxes, found.classes, strict=True):
        moved = model.box_regressor.predict(columns, boxes, int(c))
        np.testing.assert_allclose(box, np.clip(moved[0], 0, 32), rtol=1e-5)
        assert np.abs(moved - boxes).max() > 1e-3
    assert len(found) == 2


def test_before_the_machines_and_on_demand_it_detects_by_softmax(
    trained: tuple[SPPNet, dict[str, Array], list[list[float]]],
) -> None:
    sample = coloured_square(0)
    asked = tiny(scores="softmax", regress=False)
    asked.load_state_dict(trained[0].state_dict())
    for model in (tiny(), asked):
        check_softmax(model, sample)


def check_softmax(model: SPPNet, sample: Sample) -> None:
    boxes = np.asarray(sample.proposals)[:1]
    found = model.detect(sample.image, boxes)
    with no_grad():
        logits = model.cls_score(model.hidden(model.pyramids(sample.image, boxes))["fc7"]).data[0].astype(float)
    p = np.exp(logits) / np.exp(logits).sum()
    order = 1 + np.argsort(-p[1:])
    order = order[p[order] > 0.05]
    assert found.classes.tolist() == order.tolist()
    assert len(order)
    np.testing.assert_allclose(found.scores, p[order], rtol=1e-5)
    np.testing.assert_allclose(found.boxes, np.repeat(boxes, len(order), axis=0), rtol=1e-6)


@pytest.mark.parametrize("scales", [(32,), (16, 32)])
def test_no_proposals(trained: tuple[SPPNet, dict[str, Array], list[list[float]]], scales: tuple[int, ...]) -> None:
    none = np.zeros((0, 4), np.float32)
    model = tiny(scales=scales)
    for state in (None, trained[0].state_dict()):
        if state is not None:
            model.load_state_dict(state)
        found = model.detect(coloured_square(0).image, none)
        assert found.boxes.shape == (0, 4)
        assert len(found.scores) == len(found.classes) == 0


def test_nothing_to_draw() -> None:
    model = tiny()
    for losses in (model.losses, model.pretraining_losses):
        loss = losses([without_objects(coloured_square(0))], rng=rng())["class"]
        assert float(loss) == 0.0
        loss.backward()


def test_bad_input() -> None:
    sample = dataclasses.replace(coloured_square(0), proposals=None)
    with pytest.raises(ValueError, match="square 0: has no proposals"):
        tiny().losses([sample], rng=rng())
    with pytest.raises(TypeError, match=r"SPPNet\.fit: samples are looked at twice; pass a list or the like"):
        tiny().fit(iter([coloured_square(0)]))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="SPPSettings: scales must not be empty"):
        tiny(scales=())
    with pytest.raises(ValueError, match=r"SPPSettings: box_levels must be some of levels, \(1, 2\), got \(3,\)"):
        tiny(box_levels=(3,))
    with pytest.raises(ValueError, match="SPPSettings: svm_layer must be one of 'pyramid', 'fc6', 'fc7', got 'fc8'"):
        tiny(svm_layer="fc8")


def test_difficult_objects() -> None:
    """They need not be learned in stages 1 and 2, and are known to the machines and box regressors as such."""
    sample = dataclasses.replace(coloured_square(0), difficult=np.array([True]))
    for learned in (True, False):
        model = tiny(with_difficult=learned)
        for losses in (model.losses, model.pretraining_losses):
            assert (float(losses([sample], rng=rng())["class"]) > 0) == learned
        assert model.region_features(sample).difficult.tolist() == [True]


def test_crops_of_all_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = tiny(), set()
    maps = model.backbone.maps

    def spy(x: Tensor, **options: Any) -> Any:
        seen.add(x.shape[2:])
        return maps(x, **options)

    monkeypatch.setattr(model.backbone, "maps", spy)
    for seed in range(10):
        model.pretraining_losses([coloured_square(0)], rng=np.random.default_rng(seed))
    assert seen == {(12, 12), (16, 16)}


def test_the_longer_side_has_no_limit() -> None:
    """A picture of 8 × 300 with a shorter side of 32 is 1200 wide: the window at its end has responses of its own."""
    model = tiny()
    image = np.zeros((8, 300, 3), np.uint8)
    image[:, 296:] = 255
    ends = model.pyramids(image, np.array([[0, 0, 8, 8], [292, 0, 300, 8]], np.float32))
    window = model.pyramids(np.ascontiguousarray(image[:, -40:]), np.array([[32, 0, 40, 8]], np.float32))
    np.testing.assert_allclose(ends[1:], window, rtol=1e-4, atol=1e-5)
    assert np.abs(ends[0] - ends[1]).max() > 0.1


def test_the_first_stage_draws_sizes_of_pictures() -> None:
    """And one of the sizes of crops before, which here is no choice. The second stage has `scales`."""
    assert_sizes_are_drawn(
        lambda short: tiny(preparation=Preparation(short=short), crop_sizes=(12,)).pretraining_losses,
        coloured_square(0),
    )
    several, one = (tiny(preparation=Preparation(short=short)) for short in (SIZES, None))
    found, expected = (model.losses([coloured_square(0)], rng=rng())["class"] for model in (several, one))
    assert float(found) == float(expected)


def test_in_float64() -> None:
    model = small_spp_net(CLASS_NAMES, rng=rng(), settings=TINY, dtype=np.float64)
    again = tiny()
    again.load_state_dict(model.state_dict())
    sample = coloured_square(0)
    model.freeze_convolutions()  # so that its statistics are those of the other
    again.freeze_convolutions()
    for ours, theirs in ((model.pretraining_losses, again.pretraining_losses), (model.losses, again.losses)):
        loss = ours([sample], rng=rng())["class"]
        assert loss.dtype == np.float64
        assert float(theirs([sample], rng=rng())["class"]) == pytest.approx(float(loss), rel=1e-4)
    found = model.detect(sample.image, sample.proposals)
    assert found.boxes.dtype == found.scores.dtype == np.float32
    np.testing.assert_allclose(again.detect(sample.image, sample.proposals).scores, found.scores, rtol=1e-4)


def test_released_projection_begins_where_the_backbone_does() -> None:
    """The backbone's first response is centred at 1.5, counted from 1: two convolutions that pad, a pooling of two.

    With o = ½ pixels 9 to 20, counted from 1, go to ⌊(9 − 1.5 + ½)/2 + ½⌋ + 1 = 5 and ⌈(20 − 1.5 − ½)/2 − ½⌉ + 1 = 10.
    """
    model, sample = tiny(projection="released", margin=0.5), coloured_square(0)
    prepared = model.settings.preparation([sample])
    with no_grad():
        x = model.backbone.maps(Tensor(prepared.images), training=False, rng=None)[0].data[0]
    expected = naive_pyramid(x[:, 4:10, 4:10], model.settings.levels)
    found = model.pyramids(sample.image, np.array([[8, 8, 20, 20]], np.float32))
    np.testing.assert_allclose(found, [expected], rtol=1e-4, atol=1e-5)


def test_a_frozen_backbone_stays_in_the_first_stage_too() -> None:
    """Neither its weights nor its running statistics change, whichever losses are trained."""
    model = tiny()
    model.freeze_convolutions()
    before = model.state_dict()
    losses = model.pretraining_losses([coloured_square(0)], rng=rng())
    losses["class"].backward()
    assert not any(p.requires_grad or p.grad is not None for p in model.backbone.parameters())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
