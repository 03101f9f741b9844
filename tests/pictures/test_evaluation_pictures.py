"""The pictures of `refdet eval`: what they say, that nothing of it is cut off, and that there may be nothing to say."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from refdet.core.check import Array
from refdet.metrics import Detections, GroundTruths
from refdet.metrics.error_types import ERRORS, OUTCOMES, ErrorTypes, error_types
from refdet.pictures import class_confusion, precision_recall_curves
from refdet.pictures import error_types as error_picture
from refdet.pictures.precision_recall_curves import PrecisionRecallCurves
from refdet.pictures.slide import empty_slide, settings

COCO_NAMES = ("person", "traffic light", "baseball glove", "potted plant", "hair drier", "tennis racket")


LONG_NAMES = (200 * "W", "a name of many words that goes on " * 6, "line\nbreak $\\foo$ " * 10)


def curves(
    n_classes: int, n_thresholds: int, *, absent: tuple[int, ...] = (), names: tuple[str, ...] = COCO_NAMES
) -> PrecisionRecallCurves:
    """Return curves that fall from 1 to 0, each class a little later; the k-th class has k + 1 objects."""
    recalls = np.linspace(0, 1, 101)
    last = np.linspace(0.1, 0.9, n_classes)[None, None, :] * np.linspace(1, 0.4, n_thresholds)[:, None, None]
    precision = (recalls[None, :, None] <= last).astype(float)
    precision[:, :, list(absent)] = np.nan
    names = tuple(itertools.islice(itertools.cycle(names), n_classes))
    thresholds = tuple(np.linspace(0.5, 0.95, n_thresholds).tolist())
    with np.errstate(invalid="ignore"):
        ap = precision.mean(axis=(0, 1)) if n_classes else np.zeros(0)
    convention = "Lin et al., COCO (2014), keypoints, 100 detections per image and class"
    return PrecisionRecallCurves(recalls, precision, thresholds, names, np.arange(1, n_classes + 1), ap, convention)


def matrix(n_classes: int) -> Array:
    rng = np.random.default_rng(n_classes)
    found: Array = rng.poisson(0.5, (n_classes + 1, n_classes + 1)) + 60 * np.eye(n_classes + 1, dtype=int)
    found[0, 0] = 0
    return found


def errors(**counts: int) -> tuple[ErrorTypes, Array]:
    """Return errors with so many of each outcome, in this order of scores, and costs in the order of ERRORS."""
    outcomes = np.repeat([OUTCOMES.index(name) for name in counts], list(counts.values())).astype(np.int8)
    costs = {name: 0.1 / (1 + i) for i, name in enumerate((*ERRORS, "false positives", "false negatives"))}
    return ErrorTypes(outcomes, np.ones(3, bool), 0.5, costs, 0.5, 0.1), np.linspace(1, 0, len(outcomes))


def draw_curves(*arguments: Any, **options: Any) -> Callable[[Figure], None]:
    return lambda figure: precision_recall_curves.draw_precision_recall_curves(figure, curves(*arguments, **options))


def draw_matrix(n_classes: int, names: tuple[str, ...] = COCO_NAMES) -> Callable[[Figure], None]:
    names = ("background", *itertools.islice(itertools.cycle(names), n_classes))
    return lambda figure: class_confusion.draw_class_confusion(
        figure, matrix(n_classes), names, threshold=0.5, min_score=0.05
    )


def draw_errors(**counts: int) -> Callable[[Figure], None]:
    return lambda figure: error_picture.draw_error_types(figure, *errors(**counts))


MANY = {"correct": 400, "localisation": 300, "classification": 2, "both": 1, "duplicate": 2, "background": 3}
DRAWINGS = {
    "80 classes, 10 thresholds": draw_curves(80, 10, absent=(3, 7)),
    "20 classes, 1 threshold": draw_curves(20, 1),
    "1 class": draw_curves(1, 10),
    "no class with objects": draw_curves(2, 10, absent=(0, 1)),
    "no class": draw_curves(0, 10),
    "12 long names": draw_curves(12, 10, names=LONG_NAMES),
    "3 long names in the title": draw_curves(3, 1, names=LONG_NAMES),
    "1 long name": draw_curves(1, 1, names=LONG_NAMES),
    "matrix of 80": draw_matrix(80),
    "matrix of 20 long names": draw_matrix(20, LONG_NAMES),
    "matrix of 13 long names": draw_matrix(13, LONG_NAMES),
    "matrix of 4 long names": draw_matrix(4, LONG_NAMES),
    "matrix of 20": draw_matrix(20),
    "matrix of 1": draw_matrix(1),
    "matrix of 0": draw_matrix(0),
    "errors": draw_errors(**MANY),
    "one detection": draw_errors(background=1),
    "no detections": draw_errors(),
}


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_all_text_is_on_the_slide_and_apart(draw: Callable[[Figure], None]) -> None:
    """Numbers may touch their neighbours in the tight cells of a matrix; whatever has letters may not."""
    with settings():
        figure = empty_slide()
        draw(figure)
        figure.draw_without_rendering()
        hidden = _hidden(figure)
        texts = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible() and t not in hidden]
        places = [t.get_window_extent() for t in texts]
    for text, place in zip(texts, places, strict=True):
        assert 0 <= place.x0 <= place.x1 <= 1920, text
        assert 0 <= place.y0 <= place.y1 <= 1080, text
    words = [(t.get_text(), p) for t, p in zip(texts, places, strict=True) if re.search("[^0-9.]", t.get_text())]
    assert len(words) >= 2
    for (one, a), (other, b) in itertools.combinations(words, 2):
        width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert width <= 1 or height <= 2, f"{one!r} and {other!r}"


def _hidden(figure: Figure) -> set[Text]:
    """Return the texts that are not drawn: matplotlib keeps ticks beyond the limits, and axes that are switched off."""
    hidden: set[Text] = set()
    for axes in figure.axes:
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            if not axes.axison:
                hidden.add(axis.label)
            for tick in axis.get_major_ticks() + axis.get_minor_ticks():
                if not axes.axison or not min(limits) <= tick.get_loc() <= max(limits):
                    hidden |= {tick.label1, tick.label2}
    return hidden


class TestCurves:
    def test_the_title(self) -> None:
        message = precision_recall_curves.message
        many = curves(2, 10, absent=(0,))
        first, last = (many.precision[t, :, 1].mean() for t in (0, -1))
        assert message(many) == f"AP is {many.mean:.3f}: {first:.3f} at IoU 0.50, {last:.3f} at IoU 0.95"
        assert message(curves(2, 1)) == "Mean AP is 0.505: from 0.109 (person) to 0.901 (traffic light)"
        assert message(curves(1, 1)) == "AP of person is 0.109"
        long_names = message(curves(2, 1, names=("cat", 50 * "long ")))
        assert re.fullmatch(r"Mean AP is 0\.505: from 0\.109 \(cat\) to 0\.901 \(lon.*….*ng\)", long_names)
        assert message(curves(1, 1, absent=(0,))) == "There is nothing to find, and so no precision over recall"

    def test_classes_are_ordered_by_average_precision(self) -> None:
        assert curves(4, 1, absent=(2,)).classes.tolist() == [3, 1, 0]

    def test_the_mean_leaves_out_what_is_absent(self) -> None:
        assert curves(3, 1, absent=(0,)).mean == pytest.approx(curves(3, 1).average_precision[1:].mean())
        assert math.isnan(curves(2, 1, absent=(0, 1)).mean)

    def test_six_best_and_six_worst(self) -> None:
        figure = empty_slide()
        draw_curves(20, 1)(figure)
        titles = [axes.get_title(loc="left") for axes in figure.axes[1:]]
        assert [int(title.split("(")[1][:-1]) for title in titles] == [20, 19, 18, 17, 16, 15, 6, 5, 4, 3, 2, 1]

    def test_the_lines_are_the_curves(self) -> None:
        figure = empty_slide()
        data = curves(3, 10)
        precision_recall_curves.draw_precision_recall_curves(figure, data)
        assert np.allclose([np.asarray(line.get_ydata()) for line in figure.axes[0].lines], data.precision.mean(axis=2))
        assert np.array_equal([np.asarray(line.get_ydata()) for line in figure.axes[1].lines], data.precision[:, :, 2])


class TestConfusion:
    counts: Array = np.array([[0, 9, 9], [5, 3, 2], [0, 1, 9]])

    def test_the_title(self) -> None:
        assert class_confusion.message(self.counts, 0.5) == "From score 0.5: 25 % of 20 objects missed, 15 % misnamed"
        assert class_confusion.message(np.diag([0, 300]), 0) == "From score 0: 0 % of 300 objects missed, 0 % misnamed"
        rare = np.array([[0, 0], [1, 999]])
        assert class_confusion.message(rare, 0.5).startswith("From score 0.5: < 1 % of 1000 objects missed")
        assert class_confusion.message(np.array([[0, 7], [0, 0]]), 0.5) == "There are no objects, and 7 false alarms"

    def test_confusions_in_order(self) -> None:
        found = class_confusion.confusions(np.array([[0, 0, 0, 0], [0, 90, 2, 1], [0, 3, 9, 0], [1, 2, 0, 5]]))
        assert [(c.true, c.predicted, c.n_objects) for c in found] == [(2, 1, 3), (3, 1, 2), (1, 2, 2), (1, 3, 1)]
        assert found[0].share == 3 / 12

    def test_the_classes_that_are_confused_are_shown(self) -> None:
        n = 30
        found = np.diag(np.full(n + 1, 10))
        found[0, 0] = 0
        found[28, 30] = found[5, 6] = 4
        shown = class_confusion.shown_classes(found)
        assert len(shown) == class_confusion.MOST_SHOWN
        assert {5, 6, 28, 30} <= set(shown.tolist())
        assert 0 not in shown
        assert shown.tolist() == sorted(shown)

    def test_the_cells_are_shares_of_rows_and_the_background_is_last(self) -> None:
        figure = empty_slide()
        class_confusion.draw_class_confusion(
            figure, self.counts, ("background", "cat", "dog"), threshold=0.5, min_score=0.5
        )
        shares = np.asarray(figure.axes[0].images[0].get_array())
        assert np.allclose(shares, [[0.3, 0.2, 0.5], [0.1, 0.9, 0], [0.5, 0.5, np.nan]], equal_nan=True)
        assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["cat", "dog", "false alarm"]
        assert "(18 in all)" in [text.get_text() for text in figure.axes[0].texts]


class TestErrors:
    def test_the_title(self) -> None:
        found, _ = errors(correct=1)
        assert error_picture.message(found) == "Without errors of classification AP would be 60.0, not 50.0"
        assert error_picture.message(errors()[0]) == "AP is 0.0, as there are no detections"
        free = ErrorTypes(found.outcomes, found.is_missed, 1.0, dict.fromkeys(found.costs, 0.0), 0.5, 0.1)
        assert error_picture.message(free) == "AP is 100.0, and no type of error alone is to blame"
        nothing = ErrorTypes(found.outcomes, found.is_missed, math.nan, dict.fromkeys(found.costs, math.nan), 0.5, 0.1)
        assert error_picture.message(nothing) == "There is nothing to find, and so nothing to lose"

    def test_shares_of_the_best_detections(self) -> None:
        """Right, ignored, badly placed, right: the ignored one is not counted."""
        outcomes = np.array(
            [OUTCOMES.index(name) for name in ("localisation", "correct", "ignored", "correct")], np.int8
        )
        found = ErrorTypes(outcomes, np.zeros(0, bool), 0.5, errors()[0].costs, 0.5, 0.1)
        n, shares = error_picture.ranked_shares(found, np.array([0.7, 0.9, 0.8, 0.6]))
        assert n.tolist() == [1, 2, 3]
        assert np.allclose(shares[:2], [[1, 1 / 2, 2 / 3], [0, 1 / 2, 1 / 3]])
        assert not shares[2:].any()

    def test_the_bars_are_the_costs(self) -> None:
        figure = empty_slide()
        found, scores = errors(**MANY)
        error_picture.draw_error_types(figure, found, scores)
        widths = [patch.get_width() for patch in figure.axes[0].patches]  # type: ignore[attr-defined]
        assert np.allclose(widths, [100 * cost for cost in found.costs.values()])

    def test_definitions_have_the_thresholds(self) -> None:
        truths = GroundTruths(*(np.array([1]),) * 3, np.array([[0.0, 0, 9, 9]]), np.array([81.0]), np.array([False]))
        found = Detections.of_boxes([1], [1], [0.9], [[0, 0, 9, 9]])
        strict = error_types(truths, found, category_ids=[1], threshold=0.75, background_threshold=0.2)
        assert error_picture.definitions(strict)["localisation"] == "overlap 0.2 to 0.75 with its class"
        assert error_picture.definitions(strict).keys() == strict.costs.keys()
