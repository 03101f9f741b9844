"""Every picture of an algorithm can be read from the back row, and is written whole or not at all."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from refdet.core.check import Array
from refdet.pictures.algorithms import PICTURES, PictureError, write_picture
from refdet.pictures.nms import draw_nms
from refdet.pictures.slide import (
    DOTS_PER_INCH,
    NO_LETTER,
    SMALLEST,
    empty_slide,
    lacking_letters,
    settings,
    shortened,
    text_width,
)
from refdet.verify.catalogue import catalogue, public_functions

DRAWINGS = sorted(set(PICTURES.values()), key=lambda draw: draw.__name__)  # some algorithms share one


class Seen(NamedTuple):
    """A text as it is on the slide, in dots."""

    text: str
    size: float
    place: Bbox


class Slide(NamedTuple):
    """A picture, drawn once for all tests."""

    texts: list[Seen]  # the title and the source first
    pixels: Array  # (270, 480), a quarter of the size of the file


@pytest.fixture(scope="module", params=DRAWINGS, ids=lambda draw: draw.__name__)
def picture(request: pytest.FixtureRequest) -> Slide:
    draw: Callable[[Figure], None] = request.param
    with settings():
        figure = empty_slide()
        draw(figure)
        figure.draw_without_rendering()  # which puts legends and labels where they go
        seen = [
            Seen(text.get_text(), float(text.get_fontsize()), text.get_window_extent())
            for text in texts(figure)
            if text.get_text().strip() and text.get_visible()
        ]
        file = BytesIO()
        figure.savefig(file, format="png", dpi=DOTS_PER_INCH / 4)
    with Image.open(file) as opened:
        return Slide(seen, np.asarray(opened.convert("L"), dtype=float))


@pytest.fixture
def slide(picture: Slide) -> list[Seen]:
    """Return every text of a picture."""
    return picture.texts


def texts(figure: Figure) -> list[Text]:
    """Return every text but those of axes that are switched off."""
    found = list(figure.texts)
    for legend in figure.legends + [axes.get_legend() for axes in figure.axes]:
        found += legend.get_texts() if legend else []
    for axes in figure.axes:
        found += [child for child in axes.get_children() if isinstance(child, Text)]
        if axes.axison:
            found += [*axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label, axes.yaxis.label]
    return found


class TestNames:
    @pytest.mark.parametrize("name", ["traffic light", "W" * 200, "i" * 200, "a b " * 50, "猫" * 50])
    @pytest.mark.parametrize("width", [40, 150.5])
    def test_they_are_as_long_as_there_is_room(self, name: str, width: float) -> None:
        written = shortened(name, width, 16)
        assert text_width(written, 16) <= width
        if written != name:
            start, end = written.split("…")
            assert name.replace("猫", NO_LETTER).startswith(start)
            assert name.replace("猫", NO_LETTER).strip().endswith(end)
            widest = max(start + end, key=lambda letter: text_width(letter, 16))
            assert text_width(written + widest, 16) > width - 1  # no room for another letter

    def test_one_line_whole_if_possible(self) -> None:
        assert shortened("two\nlines\t$x$ ", 300, 16) == "two lines $x$"
        assert shortened("class number 30", text_width("class n…ber 30", 18), 18) == "class n…ber 30"
        assert shortened("", 5, 16) == ""
        thin = "stride"  # with … for its i it would be wider
        assert text_width("str…de", 16) > text_width(thin, 16)
        assert shortened(thin, text_width(thin, 16), 16) == thin

    def test_letters_that_the_font_lacks(self) -> None:
        assert lacking_letters(["café κύων", "猫 dog 🐶", "猫\n"]) == ["猫", "🐶"]
        assert shortened("猫 dog", 300, 16) == f"{NO_LETTER} dog"
        assert lacking_letters([NO_LETTER + "…"]) == []


def test_every_picture_is_of_an_algorithm() -> None:
    assert list(PICTURES) == sorted(PICTURES)
    assert PICTURES.keys() <= {*catalogue(), *public_functions()}


def test_no_text_is_small(slide: list[Seen]) -> None:
    assert len(slide) > 10
    assert min(seen.size for seen in slide) >= SMALLEST


def test_all_text_is_on_the_slide(slide: list[Seen]) -> None:
    for text, _, place in slide:
        assert 0 <= place.x0 <= place.x1 <= 1920, text
        assert 0 <= place.y0 <= place.y1 <= 1080, text


def test_no_two_texts_overlap(slide: list[Seen]) -> None:
    for (one, _, a), (other, _, b) in itertools.combinations(slide, 2):
        width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert width <= 1 or height <= 1, f"{one!r} and {other!r}"


def test_the_title_is_a_sentence_and_the_source_is_named(slide: list[Seen]) -> None:
    assert len(slide[0].text.split()) >= 5
    assert re.search(r"\(20\d\d\)", slide[1].text)


def test_there_is_content_on_both_sides(picture: Slide) -> None:
    pixels = picture.pixels
    assert pixels.shape == (270, 480)
    assert pixels[:, :240].std() > 15
    assert pixels[:, 240:].std() > 15
    assert np.mean(pixels == 255) > 0.4  # white, not black


def test_the_png_is_the_slide_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    write_picture("nms_from_iou", path)
    with Image.open(path) as opened:
        opened.verify()
    with Image.open(path) as opened:
        assert (opened.format, opened.size) == ("PNG", (1920, 1080))
        pixels = np.asarray(opened.convert("L").reduce(4), dtype=float)
    assert [file.name for file in tmp_path.iterdir()] == ["picture.png"]
    with settings():
        figure, file = empty_slide(), BytesIO()
        draw_nms(figure)
        figure.savefig(file, format="png")
    with Image.open(file) as opened:
        assert np.array_equal(pixels, np.asarray(opened.convert("L").reduce(4), dtype=float))


@pytest.mark.parametrize(("ending", "start"), [(".png", b"\x89PNG\r\n"), (".SVG", b"<?xml"), (".pdf", b"%PDF-")])
def test_the_same_bytes_every_time(ending: str, start: bytes, tmp_path: Path) -> None:
    """Under a user's settings, which are left as they were."""
    first, second = tmp_path / f"first{ending}", tmp_path / f"second{ending}"
    write_picture("nms", first)
    with matplotlib.rc_context({"font.size": 40, "axes.facecolor": "black"}):
        write_picture("nms", second)
        assert matplotlib.rcParams["font.size"] == 40
    assert first.read_bytes().startswith(start)
    assert first.read_bytes() == second.read_bytes()


def test_no_window_and_no_figure_is_left_behind() -> None:
    """`pyplot`, which keeps figures and picks a window system, is not even imported."""
    program = (
        "import sys, tempfile, pathlib\n"
        "from refdet.pictures.algorithms import write_picture\n"
        "assert 'matplotlib' not in sys.modules, 'imported before it is needed'\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    write_picture('match_ssd', pathlib.Path(folder, 'x.png'))\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


@pytest.mark.parametrize(
    ("algorithm", "name", "message"),
    [
        ("conv2d", "x.png", r"there is no picture of conv2d; these have one: anchor_grid, average_precision, base_"),
        ("nms", "x.jpg", r"the name of the file must end in \.png, \.svg, \.pdf, got .*x\.jpg"),
        ("nms", "x", r"must end in \.png, \.svg, \.pdf, got"),
        ("nms", "absent/x.png", r"there is no folder .*absent$"),
        ("nms", "file.txt/x.png", r"there is no folder .*file\.txt$"),
        ("nms", "folder.png", r"cannot write to .*folder\.png: Is a directory"),
    ],
)
def test_what_cannot_be_written(algorithm: str, name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(PictureError, match=message):
        write_picture(algorithm, tmp_path / name)
    assert {file.name for file in tmp_path.iterdir()} == {"file.txt", "folder.png"}


def test_a_failure_leaves_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "x.png"
    path.write_bytes(b"the old one")
    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(PictureError, match=r"cannot write to .*x\.png: No space left on device"):
        write_picture("match_ssd", path)
    assert path.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [path]
