"""The roofline: where both sides stand, that no number is written upon another, and that all of it is on the slide."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from refdet.bench.report import Report
from refdet.bench.results import GroupResult, Row, Timing
from refdet.bench.roofline import roofline_of
from refdet.bench.runner import Settings
from refdet.bench.workloads import Group, Work
from refdet.pictures.roofline import Measured, Roofline, draw_roofline, message
from refdet.pictures.slide import SMALLEST, empty_slide, settings
from tests.bench.fakes import TINY
from tests.bench.test_report import MACHINE, PEAKS, REPORT

TIMES = (Timing((0.5,), 1, None), Timing((2.0,), 1, None))


def drawn(roofline: Roofline) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with settings():
        figure = empty_slide()
        FigureCanvasAgg(figure)
        draw_roofline(figure, roofline)
        figure.canvas.draw()
        return figure


def texts(figure: Any) -> list[Any]:
    axes = [text for axes in figure.axes for text in axes.texts]
    return [text for text in [*figure.texts, *axes] if text.get_text()]


def many(n: int, groups: int = 3) -> Roofline:
    """Workloads of which many stand in nearly the same place."""
    rng = np.random.default_rng(0)
    points = [
        Measured(
            f"group{k * groups // n}", f"network/layer{k}", 10 ** rng.choice([0.5, 2.0, 2.02]), *rng.uniform(50, 90, 2)
        )
        for k in range(n)
    ]
    return Roofline(200.0, 20.0, tuple(points), ("ours", "theirs"), "a machine")


def test_rates_are_the_work_over_the_times() -> None:
    """Ten operations a byte; 10 GFLOP in 0.5 and 2 s. Of a group the first comparison with rates is shown."""
    row = Row(TINY.workloads[0], "ok", "", 0.0, TIMES, Work(10**10, 10**9))
    other = Group("other", "", (dataclasses.replace(TINY.workloads[1], name="x/y"),))
    results = [
        GroupResult(TINY, "a", "b", (Row(TINY.workloads[0], "skipped", "why"),)),
        GroupResult(TINY, "c", "d", (row, dataclasses.replace(row, work=None))),
        GroupResult(TINY, "e", "f", (row,)),
        GroupResult(other, "c", "g", (dataclasses.replace(row, workload=other.workloads[0]),)),
    ]
    roofline = roofline_of(Report(MACHINE, Settings(), results, PEAKS))
    assert roofline is not None
    assert roofline.measured == (Measured("tiny", "first", 10.0, 20.0, 5.0), Measured("other", "y", 10.0, 20.0, 5.0))
    assert (roofline.gflops, roofline.gbytes, roofline.sides) == (200.0, 20.0, ("c", "the others"))
    assert message(roofline) == "c is faster than the others on 2 of 2 workloads"


def test_nothing_is_drawn_without_rates_or_peaks() -> None:
    assert roofline_of(dataclasses.replace(REPORT, peaks=None)) is None
    assert roofline_of(dataclasses.replace(REPORT, results=[])) is None


def test_both_sides_stand_above_each_other_under_the_roof() -> None:
    point = Measured("g", "w", 4.0, 60.0, 30.0)
    (axes,) = drawn(Roofline(200.0, 20.0, (point,), ("a", "b"), "a machine")).axes
    lines = [np.array(line.get_xydata()) for line in axes.lines]
    roof = next(line for line in lines if len(line) == 3)
    assert roof[1].tolist() == [10.0, 200.0]  # 200 GFLOP/s at 20 GB/s: from 10 operations a byte on
    np.testing.assert_allclose(roof[0, 1], 20 * roof[0, 0])
    assert [[4.0, 30.0], [4.0, 60.0]] in [line.tolist() for line in lines]


@pytest.mark.parametrize("n", [1, 12, 44, 70])
def test_text_is_legible(n: int) -> None:
    """No number lies on another, nothing is smaller than a slide allows, and nothing leaves it."""
    from matplotlib.text import Text

    figure = drawn(many(n))
    renderer = figure.canvas.get_renderer()
    numbers = [text for text in figure.axes[0].texts if text.get_text().isdigit()]
    assert len(numbers) == n
    boxes = np.array([Text.get_window_extent(text, renderer).extents for text in numbers])  # without arrows
    if n <= 44:
        for i, box in enumerate(boxes):
            meets = (boxes[:, :2] < box[2:] - 1).all(axis=1) & (boxes[:, 2:] > box[:2] + 1).all(axis=1)
            assert np.flatnonzero(meets).tolist() == [i]
    if n <= 12:
        frame = figure.axes[0].bbox.extents
        assert (boxes[:, 1] >= frame[1]).all()
        assert (boxes[:, 3] <= frame[3]).all()
    for text in texts(figure):
        assert text.get_fontsize() >= SMALLEST
    width, height = figure.canvas.get_width_height()
    for text in figure.texts:
        extents = text.get_window_extent(renderer).extents
        assert (extents >= 0).all()
        assert (extents <= [width, height, width, height]).all()


def test_the_key_names_every_workload_as_far_as_there_is_room() -> None:
    said = [text.get_text() for text in texts(drawn(many(40)))]
    assert {f"network/layer{k}" for k in range(40)} <= {*said} or "…" in "".join(said)
    assert {"group0", "group1", "group2"} <= {*said}
    said = [text.get_text() for text in texts(drawn(many(70)))]
    (rest,) = [text for text in said if text.endswith(" more")]
    shown = sum("layer" in text for text in said)
    assert rest == f"and {70 - shown} more"
