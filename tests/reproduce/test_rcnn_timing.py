"""Timing side by side: the order of the calls, medians over rounds, means over pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor, no_grad
from refdet.core.check import Array
from refdet.data.sample import Sample
from refdet.data.shapes import CLASS_NAMES
from refdet.detection.roi_heads import BoxOutput
from refdet.detection.small_fast_rcnn import SmallFastRCNNSettings, small_fast_rcnn
from refdet.reproduce.progress import Progress
from refdet.reproduce.rcnn_timing import crops_of, heads_side_by_side, side_by_side


def picture(name: str) -> Sample:
    none = np.zeros(0, np.int64)
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    boxes = np.array([[0, 0, 16, 16], [0.4, 0, 16, 16.4], [4, 8, 30, 30]], np.float32)
    return Sample(name, image, boxes[:0], none, none == 0, proposals=boxes)


def test_in_turns_on_every_picture_after_a_first_look() -> None:
    calls: list[str] = []

    def method(name: str) -> Callable[[Sample], object]:
        return lambda sample: calls.append(name + sample.name)

    told: list[Progress] = []
    samples = [picture("1"), picture("2")]
    side_by_side({"a": method("a"), "b": method("b")}, samples, rounds=2, stage="s", on_progress=told.append)
    assert calls == ["a1", "b1", "a1", "b1", "a1", "b1", "a2", "b2", "a2", "b2"]
    assert told == [Progress("s", 1, 2), Progress("s", 2, 2)]


def test_the_mean_over_pictures_of_the_median_over_rounds() -> None:
    now = 0.0
    costs = iter([100, 100, 1, 10, 2, 20, 90, 30, 4, 10, 4, 10, 4, 10])  # the first two are not timed

    def method(sample: Sample) -> None:
        nonlocal now
        now += next(costs)

    found = side_by_side({"a": method, "b": method}, [picture("1"), picture("2")], rounds=3, clock=lambda: now)
    assert found == {"a": (2 + 4) / 2, "b": (20 + 10) / 2}


def test_the_heads_alone_see_the_crops_that_detection_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_fast_rcnn(
        CLASS_NAMES, rng=np.random.default_rng(0), settings=SmallFastRCNNSettings(blocks=((4, 1), (4, 1)), fc=(8, 8))
    )
    sample, output = picture("1"), model.roi_heads.box_output
    seen: list[Array] = []

    def watched(crops: Tensor) -> BoxOutput:
        seen.append(crops.data)
        return output(crops)

    monkeypatch.setattr(model.roi_heads, "box_output", watched)
    model.detect(sample.image, sample.proposals)
    with no_grad():
        found = heads_side_by_side({"fast": model}, [sample], rounds=1, on_progress=lambda progress: None)
    assert list(found) == ["fast"]
    assert found["fast"] > 0
    in_detection, *timed = seen
    assert len(timed) == 2
    for crops in (*timed, crops_of(model, sample).data):
        np.testing.assert_array_equal(crops, in_detection)
    assert len(in_detection) == 2  # two boxes fall on the same pixels of the map
