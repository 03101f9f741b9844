"""The slide of the experiment on the R-CNN family: its sentence, and that all of its text can be read."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from refdet.pictures.slide import SMALLEST
from refdet.reproduce.rcnn_claims import CLAIMS, verdicts
from refdet.reproduce.rcnn_picture import draw, example_scenes, message
from refdet.reproduce.rcnn_settings import MINIATURE
from tests.pictures.test_algorithms import texts
from tests.reproduce.full_disk import assert_keeps_the_old_slide
from tests.reproduce.rcnn_records import record, records

WIDE = records(
    record({"rcnn_boxes": 23.1, "faster": 0.0123, "sliding_window": 0.0567}, fast=0.999, rcnn_boxes=0.001, faster=1.0),
    record({"rcnn_boxes": 1.7, "faster": 0.0321}, (9.0, 1.0), fast=0.1, rcnn_boxes=0.9, spp_5=1.0, fast_svd=0.0),
)
ONE = records(record())


def test_the_sentence() -> None:
    assert message(verdicts(ONE), miniature=False) == "The R-CNN family: one seed alone judges no claim"
    assert message(verdicts(ONE), miniature=True) == "MINIATURE: a trial of all the pieces; its figures mean nothing"
    held = message(verdicts(records(record(), record())), miniature=False)
    assert held == "7 of 9 claims on the R-CNN family held over 2 seeds"  # not 20 times, nor box regression


def test_the_scenes_are_the_first_ones_of_the_test() -> None:
    names = [scene.name for scene in example_scenes(MINIATURE)]
    assert names == ["shapes 1000/4", "shapes 1000/5"]


@pytest.mark.parametrize(("found", "miniature"), [(WIDE, False), (ONE, False), (ONE, True)])
def test_the_slide_can_be_read(
    found: dict[str, object], miniature: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    judged = verdicts(found)
    draw(judged, found, example_scenes(MINIATURE), tmp_path / "x.png", miniature=miniature)
    (figure,) = drawn
    figure.draw_without_rendering()
    seen = [t for t in texts(figure) if t.get_text().strip() and t.get_visible()]
    assert sum("MINIATURE" in text.get_text() for text in seen) == miniature
    assert sum(text.get_text() == "no verdict" for text in seen) == len(CLAIMS) * (found is ONE)
    assert "146 ×" in [text.get_text() for text in seen]
    places = [(text.get_text(), text.get_window_extent()) for text in seen]
    assert all(float(text.get_fontsize()) >= SMALLEST for text in seen)
    for text, place in places:
        assert 0 <= place.x0 <= place.x1 <= 1920, text
        assert 0 <= place.y0 <= place.y1 <= 1080, text
    for (one, a), (other, b) in itertools.combinations(places, 2):
        width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert width <= 1 or height <= 1, f"{one!r} and {other!r}"


def test_a_full_disk_leaves_the_old_slide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = example_scenes(MINIATURE)
    assert_keeps_the_old_slide(lambda path: draw(verdicts(ONE), ONE, scenes, path), tmp_path, monkeypatch)
