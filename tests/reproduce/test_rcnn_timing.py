"""Timing side by side: the order of the calls, medians over rounds, means over pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor, no_grad
from refdet.core.check import Array
from refdet.data.sample import Sample
from refdet.data.shapes import CLASS_NAMES
from refdet.detection.multi_scale_roi_align import CropSettings
from refdet.detection.roi_heads import BoxHead
from refdet.detection.small_fast_rcnn import SmallFastRCNNSettings, small_fast_rcnn
from refdet.reproduce.progress import Progress
from refdet.reproduce.rcnn_timing import heads_side_by_side, seen_by_the_layers, side_by_side


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


@pytest.mark.parametrize("scales", [None, (1.0,)])
def test_the_layers_alone_see_what_detection_shows_them(
    monkeypatch: pytest.MonkeyPatch, scales: tuple[float, ...] | None
) -> None:
    whole = SmallFastRCNNSettings()
    crops, context = (CropSettings("align"), 4 / 3) if scales else (CropSettings("pool"), 1.0)
    head = replace(whole.head, side=4, crops=crops, context=context)
    settings = replace(whole, blocks=((4, 1), (4, 1)), early=1, scales=scales, head=head, fc=(8, 8))
    model = small_fast_rcnn(CLASS_NAMES, rng=np.random.default_rng(0), settings=settings)
    sample, forward = picture("1"), BoxHead.fully_connected
    seen: list[Array] = []

    def watched(head: BoxHead, x: Tensor, **options: Any) -> Tensor:
        seen.append(x.data)
        return forward(head, x, **options)

    monkeypatch.setattr(BoxHead, "fully_connected", watched)
    model.detect(sample.image, sample.proposals)
    with no_grad():
        found = heads_side_by_side({"fast": model}, [sample], rounds=1, on_progress=lambda progress: None)
    assert list(found) == ["fast"]
    assert found["fast"] > 0
    in_detection, *timed = seen
    assert len(timed) == 2
    for x in (*timed, seen_by_the_layers(model, sample).data):
        np.testing.assert_array_equal(x, in_detection)
    assert in_detection.shape == ((3, 4, 2, 2) if scales else (2, 4, 4, 4))  # two boxes fall on the same pixels
