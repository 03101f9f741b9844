"""Every picture of an algorithm can be read from the back row, and is written whole or not at all."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from refdet.pictures.algorithms import PICTURES, PictureError, write_picture
from refdet.pictures.slide import SMALLEST, empty_slide, settings
from refdet.verify.catalogue import catalogue

DRAWINGS = sorted(set(PICTURES.values()), key=lambda draw: draw.__name__)  # some algorithms share one


class Seen(NamedTuple):
    """A text as it is on the slide, in dots."""

    text: str
    size: float
    place: Bbox


@pytest.fixture(scope="module", params=DRAWINGS, ids=lambda draw: draw.__name__)
def slide(request: pytest.FixtureRequest) -> list[Seen]:
    """Return every text of a picture, its title and its source first."""
    draw: Callable[[Figure], None] = request.param
    with settings():
        figure = empty_slide()
        draw(figure)
        figure.draw_without_rendering()  # which puts legends and labels where they go
        return [
            Seen(text.get_text(), float(text.get_fontsize()), text.get_window_extent())
            for text in texts(figure)
            if text.get_text().strip() and text.get_visible()
        ]


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


def test_every_picture_is_of_an_algorithm() -> None:
    assert list(PICTURES) == sorted(PICTURES)
    assert PICTURES.keys() <= catalogue().keys()


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


@pytest.mark.parametrize("algorithm", sorted({draw.__name__: name for name, draw in PICTURES.items()}.values()))
def test_the_png_is_a_slide_with_content_on_both_sides(algorithm: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    write_picture(algorithm, path)
    with Image.open(path) as opened:
        opened.verify()
    with Image.open(path) as opened:
        assert (opened.format, opened.size) == ("PNG", (1920, 1080))
        pixels = np.asarray(opened.convert("L"), dtype=float)
    assert pixels[:, :960].std() > 15
    assert pixels[:, 960:].std() > 15
    assert np.mean(pixels == 255) > 0.4  # white, not black
    assert [file.name for file in tmp_path.iterdir()] == ["picture.png"]


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
