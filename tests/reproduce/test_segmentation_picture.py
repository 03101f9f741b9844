"""The slide of the experiment on segmentation: its sentence, and that all of its text can be read."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from refdet.pictures.slide import SMALLEST
from refdet.reproduce.paired import PairedDifference
from refdet.reproduce.segmentation import CLAIMS, METHODS, Verdict
from refdet.reproduce.segmentation_picture import COLUMNS, draw, message
from refdet.reproduce.wording import interval, judgement
from tests.pictures.test_algorithms import texts
from tests.reproduce.full_disk import assert_keeps_the_old_slide

SEVERAL = PairedDifference(0.1, 0.05, 0.15, 5)
ONE = PairedDifference(0.1, -math.inf, math.inf, 1)


def verdicts(difference: PairedDifference) -> list[Verdict]:
    return [Verdict(claim, difference) for claim in CLAIMS]


@pytest.mark.parametrize(
    ("difference", "miniature", "sentence", "judged"),
    [
        (SEVERAL, False, "9 of 9 claims on segmentation held over 5 seeds", "held"),
        (SEVERAL._replace(mean=-0.1, low=-0.2), False, "0 of 9 claims on segmentation held over 5 seeds", "not held"),
        (ONE, False, "Segmentation: one seed alone judges no claim", "no verdict"),
        (SEVERAL, True, "MINIATURE: a trial of all the pieces; its figures mean nothing", "no verdict"),
        (ONE, True, "MINIATURE: a trial of all the pieces; its figures mean nothing", "no verdict"),
    ],
)
def test_the_sentence_and_the_verdicts(
    difference: PairedDifference, miniature: bool, sentence: str, judged: str
) -> None:
    judgements = verdicts(difference)
    assert message(judgements, miniature=miniature) == sentence
    assert {judgement(v, miniature=miniature) for v in judgements} == {judged}


def test_one_seed_has_no_interval() -> None:
    (verdict, *_) = verdicts(ONE)
    assert interval(verdict) == "none"
    assert interval(verdict._replace(difference=SEVERAL)) == "+5.0 … +15.0"


@pytest.mark.parametrize("difference", [SEVERAL._replace(mean=-1.0, low=-1.0, high=1.0), ONE])
@pytest.mark.parametrize("miniature", [False, True])
def test_the_slide_can_be_read(
    difference: PairedDifference, miniature: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    examples = {name: np.zeros((3, 8, 8), np.uint8) for name in ("truth", *METHODS)}
    examples["image"] = np.zeros((3, 8, 8, 3), np.uint8)
    draw(verdicts(difference), dict.fromkeys(METHODS, 1.0), examples, tmp_path / "x.png", miniature=miniature)
    (figure,) = drawn
    figure.draw_without_rendering()
    seen = [t for t in texts(figure) if t.get_text().strip() and t.get_visible()]
    assert sum("MINIATURE" in text.get_text() for text in seen) == miniature
    assert sum(text.get_text() == "no verdict" for text in seen) == len(CLAIMS) * (miniature or difference.n == 1)
    places = [(text.get_text(), text.get_window_extent()) for text in seen]
    assert all(float(text.get_fontsize()) >= SMALLEST for text in seen)
    for text, place in places:
        assert 0 <= place.x0 <= place.x1 <= 1920, text
        assert 0 <= place.y0 <= place.y1 <= 1080, text
    for (one, a), (other, b) in itertools.combinations(places, 2):
        width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert width <= 1 or height <= 1, f"{one!r} and {other!r}"


def test_a_full_disk_leaves_the_old_slide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = {name: np.zeros((1, 8, 8), np.uint8) for name in COLUMNS}
    assert_keeps_the_old_slide(lambda path: draw(verdicts(ONE), {}, examples, path), tmp_path, monkeypatch)
