"""The picture: curves where their values are, in their colours, with their names; and no reason to stop a run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from refdet.core.check import Array
from refdet.pictures import slide
from refdet.training import EvaluationLine, History, Progress, StepLine
from refdet.training.curves import EVALUATION, LOSSES, RATES, draw_curves, message, points_of, running_mean
from tests.training.tiny_run import bits, run


def history(n: int, *, evaluated: bool = True) -> History:
    """Return n steps of constant losses 2 and 1, a rate of 0.5, and an evaluation that stays at 0.75."""
    steps = [StepLine(i + 1, i / 10, 0.5, 3.0, {"class": 2.0, "box": 1.0}, 20.0, i / 20) for i in range(n)]
    evaluations = [EvaluationLine(i + 1, {"mAP": 0.75, "none": math.nan}, i / 20) for i in range(0, n, 7)]
    return History(steps, evaluations if evaluated else [])


def pixels(path: Path) -> Array:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def near(picture: Array, place: tuple[float, float, float, float], height: float) -> Array:
    """Return the pixels (9, W, 3) around a height, in fractions of the axes at a place, over their middle half."""
    left, bottom, width, tall = place
    row = round(picture.shape[0] * (1 - bottom - height * tall))
    columns = slice(*(round(picture.shape[1] * (left + share * width)) for share in (0.25, 0.75)))
    return picture[row - 4 : row + 5, columns]


def has_line(strip: Array, colour: str) -> bool:
    """Say whether the colour is there in every column."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((np.abs(strip - wanted).max(axis=2) <= 40).any(axis=0).all())


def test_curves_are_where_their_values_are(tmp_path: Path) -> None:
    """Losses are drawn up to 1.05 times the largest, rates up to 1.1 times, shares up to 1."""
    draw_curves(history(60), tmp_path / "curves.png", n_steps=100)
    picture = pixels(tmp_path / "curves.png")
    assert picture.shape == (1080, 1920, 3)
    for value, colour in ((3, slide.BLACK), (2, slide.BLUE), (1, slide.VERMILLION)):
        assert has_line(near(picture, LOSSES, value / (1.05 * 3)), colour), value
        assert not has_line(near(picture, LOSSES, (value - 0.5) / (1.05 * 3)), colour), value
    assert has_line(near(picture, RATES, 1 / 1.1), slide.BLACK)
    assert has_line(near(picture, EVALUATION, 0.75), slide.BLUE)
    names = picture[:, round(1920 * (LOSSES[0] + LOSSES[2])) + 10 : round(1920 * 0.62)]
    for colour in (slide.BLACK, slide.BLUE, slide.VERMILLION):  # total, class, box
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(names - wanted).max(axis=2) <= 40).sum() > 100, colour


def test_a_wide_range_is_logarithmic(tmp_path: Path) -> None:
    """From 0.01 / 1.5 to 1.05 · 100.01: 1 lies where its logarithm says."""
    steps = [StepLine(i, i, 0.1, 100.01, {"a": 100.0, "b": 0.01}, 20.0, i) for i in range(1, 30)]
    for line in steps:
        line.losses["c"] = 1.0  # type: ignore[index]
    draw_curves(History(steps), tmp_path / "curves.png", n_steps=30)
    low, high = math.log(0.01 / 1.5), math.log(1.05 * 100.01)
    picture = pixels(tmp_path / "curves.png")
    assert has_line(near(picture, LOSSES, -low / (high - low)), slide.GREEN)
    assert has_line(near(picture, LOSSES, (math.log(0.01) - low) / (high - low)), slide.VERMILLION)


def test_a_short_run_is_drawn_step_by_step() -> None:
    """2000 steps at most, each a point of its own; an absent loss is none."""
    lines = history(2000).steps
    lines[1] = StepLine(2, 0.1, 0.25, 7.0, {"class": 7.0}, 20.0, 0.05)
    points = points_of(lines)
    assert points.size == 1
    np.testing.assert_array_equal(points.steps, np.arange(1, 2001))
    np.testing.assert_array_equal(points.rates, [0.5, 0.25, *[0.5] * 1998])
    assert list(points.losses) == ["total", "class", "box"]
    np.testing.assert_array_equal(points.losses["total"], [3, 7, *[3] * 1998])
    np.testing.assert_array_equal(points.losses["class"], [2, 7, *[2] * 1998])
    np.testing.assert_array_equal(points.losses["box"], [1, math.nan, *[1] * 1998])


def test_a_long_run_is_drawn_as_means() -> None:
    """Of 9 steps in at most 4 points: three steps each. Of one loss there is no total."""
    values = [1.0, 2, 6, 4, 4, 7, 0, 0, 3]
    lines = [StepLine(i + 1, i, value / 8, value, {"a": value}, 1.0, i) for i, value in enumerate(values)]
    points = points_of(lines, most=4)
    assert (points.size, list(points.losses)) == (3, ["a"])
    np.testing.assert_array_equal(points.steps, [2, 5, 8])
    np.testing.assert_array_equal(points.losses["a"], [3, 5, 1])
    np.testing.assert_array_equal(points.rates, [3 / 8, 5 / 8, 1 / 8])
    last_alone = points_of(lines[:4], most=2)  # two and two
    np.testing.assert_array_equal(last_alone.losses["a"], [1.5, 5])
    np.testing.assert_array_equal(points_of(lines[:7], most=4).losses["a"], [1.5, 5, 5.5, 0])


@pytest.mark.parametrize(("n", "n_points", "caption"), [(2000, 2000, "every step"), (4001, 1334, "means of 3 steps")])
def test_no_line_has_more_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int, n_points: int, caption: str
) -> None:
    """The evaluations, of which there are a seventh as many, are drawn as they are."""
    from matplotlib.axes import Axes

    drawn, said, plot, write_title = list[int](), list[str](), Axes.plot, slide.write_title

    def counted(axes: Axes, *arguments: Any, **options: Any) -> Any:
        drawn.append(len(arguments[0]))
        return plot(axes, *arguments, **options)

    def heard(figure: Any, title: str, source: str) -> None:
        said.append(source)
        write_title(figure, title, source)

    monkeypatch.setattr(Axes, "plot", counted)
    monkeypatch.setattr(slide, "write_title", heard)
    draw_curves(history(n), tmp_path / "curves.png", n_steps=n)
    assert drawn == [n_points] * 7 + [len(range(0, n, 7))] * 2  # three losses, thin and thick; rates; two evaluations
    assert f"thin: {caption}, thick: running mean" in said[0]
    strip = near(pixels(tmp_path / "curves.png"), LOSSES, 2 / (1.05 * 3))
    assert has_line(strip, slide.BLUE)


@pytest.mark.parametrize("n", [0, 1])
def test_short_runs_are_drawn(tmp_path: Path, n: int) -> None:
    draw_curves(history(n), tmp_path / "curves.png", n_steps=9)
    picture = pixels(tmp_path / "curves.png")
    assert (picture[:160] < 60).all(axis=2).sum() > 2000  # the title
    assert ((picture[200:] < 60).all(axis=2).sum() > 2000) == (n > 0)  # axes


def test_the_title_says_what_became_of_the_loss() -> None:
    steps = [StepLine(i + 1, i, 0.1, loss, {"a": loss}, 1.0, i) for i, loss in enumerate([4.0, 3.0, 2.0, 1.25])]
    assert message(History(steps), 8) == "Step 4 of 8: loss 4 → 1.25"
    assert message(History(steps), 4) == "4 steps: loss 4 → 1.25"
    assert message(History(steps[:1]), 4) == "Step 1 of 4: loss 4"


def test_the_running_mean_by_its_definition() -> None:
    values = np.random.default_rng(0).random(23)
    for half in (0, 1, 4, 40):
        expected = [np.mean(values[max(i - half, 0) : i + half + 1]) for i in range(23)]
        np.testing.assert_allclose(running_mean(values, half), expected, atol=1e-12)


def test_a_run_draws_as_it_goes_and_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def draw(history: History, path: Path, *, n_steps: int) -> None:
        drawn.append(len(history.steps))

    monkeypatch.setattr("refdet.training.run_folder.draw_curves", draw)
    run(tmp_path / "always", draw_every=0)
    run(tmp_path / "rarely", draw_every=1000)
    run(tmp_path / "never", draw_every=None)
    assert drawn == [*range(8), 7, 7]


def test_a_picture_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    said = []

    class Hearing(Progress):
        def say(self, sentence: str) -> None:
            said.append(sentence)

    (tmp_path / "curves.png").mkdir()
    model, result = run(tmp_path, draw_every=1000, progress=Hearing())
    assert result.finished
    assert bits(model) == bits(run()[0])
    assert len(said) == 1
    assert "the curves cannot be drawn: " in said[0]
