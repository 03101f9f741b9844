"""The page: well formed, self-contained, escaped, and with a picture where the answers differ."""

from __future__ import annotations

import base64
import dataclasses
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from refdet.pictures import differences
from refdet.verify.report.html import MOST_CASES, MOST_PICTURES, MOST_ROWS, html_page
from refdet.verify.report.words import printable
from refdet.verify.verdict import AlgorithmVerdict, CaseResult, Report
from tests.verify.report.sample import NASTY, nasty_report, passed, passing_report, sample_report, wrong

VOID = {"meta", "img"}
LOADING = {"src", "srcset", "data", "action", "poster", "background", "xlink:href"}


class Page(HTMLParser):
    """Reads a page; checks that what is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.texts).split())

    @property
    def pictures(self) -> list[Image.Image]:
        data = [value.partition("base64,")[2] for name, value in self.attributes if name == "src"]
        return [Image.open(BytesIO(base64.b64decode(content))) for content in data]


@pytest.fixture(scope="module")
def text() -> str:
    return html_page(sample_report())


def test_the_page_shows_everything(text: str) -> None:
    page = Page(text)
    for expected in (
        "mine and the golden suite 0.4.0",
        "failed: 4 required cases are wrong or without answer",
        "It speaks detectron1 (Detectron and its descendants) .",
        "Subtract 0.5 from the scaled corners before the bins are made.",
        "torchvision, roi_align with aligned=False",
        "boxes[0, 2]: expected 10.0, got 11.0 (nothing is tolerated); 4 of 12 elements are wrong",
        "aligned = true, output_size = [4, 4], scale = 1.0",
        "smooth_l1/kink (optional)",
        "mine has no … relu, tanh",
        "nms/old.safetensors answers no case",
    ):
        assert expected in page.words


def test_pictures_are_inside(text: str) -> None:
    page = Page(text)
    assert len(page.pictures) == 7  # boxes, kept, y and dx, loss; and two habits show theirs
    for picture in page.pictures:
        assert picture.format == "PNG"
        assert picture.width == 1440
        assert len(np.unique(np.asarray(picture.convert("L")))) > 16  # something is drawn


def test_the_page_begins_with_what_to_change(text: str) -> None:
    page = Page(text)
    assert page.words.index("2 named habits explain 2 more; 1 differs in no known way; 1 brought no answer") < 200
    for number, key, algorithm in ((1, "box.plus1=1", "nms"), (2, "roi.offset=0", "roi_align")):
        assert f"{number}. {key} in {algorithm}" in page.words
        assert f"habit-{number}" in page.ids
    assert "To look into: decode_boxes , soft_nms ." in page.words
    assert "roi_align is explained as well by roi.sampling=fixed with roi.min1=1 ." in page.words
    assert page.words.index("Compute widths as x2 - x1.") < page.words.index("Named habits")


def test_a_habit_of_several_algorithms_is_described_once() -> None:
    verdicts = [AlgorithmVerdict(name, "VARIANT", ("box.plus1=1",), failed=True) for name in ("box_iou", "nms")]
    page = Page(html_page(dataclasses.replace(sample_report(), verdicts=tuple(verdicts))))
    assert "1. box.plus1=1 in box_iou , nms" in page.words
    assert page.words.count("Detectron, utils/boxes.py") == 1


def test_many_algorithms_that_pass_take_no_row_each() -> None:
    verdicts = [AlgorithmVerdict(f"exp{i}", "PASS", results=(passed(f"exp{i}/x"),)) for i in range(MOST_ROWS + 1)]
    page = Page(html_page(dataclasses.replace(passing_report(), verdicts=tuple(verdicts))))
    assert "table" not in page.tags
    assert f"PASS {MOST_ROWS + 1} algorithms, on every case that was answered: exp0 1 exp1 1" in page.words


def test_links_lead_to_their_algorithms(text: str) -> None:
    page = Page(text)
    targets = {value for name, value in page.attributes if name == "href"}
    assert targets
    assert targets <= {f"#{name}" for name in page.ids}
    assert len(page.ids) == len(set(page.ids))


@pytest.fixture
def _one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a picture that is made in no time for all of them."""
    monkeypatch.setattr(differences, "difference_picture", lambda result, tensor: b"picture")


@pytest.mark.usefixtures("_one_picture")
@pytest.mark.parametrize("report", [sample_report(), nasty_report(), passing_report()])
def test_nothing_is_loaded_and_nothing_runs(report: Report) -> None:
    page = Page(html_page(report))
    assert not {"script", "iframe", "link", "object", "embed", "base", "form"} & set(page.tags)
    assert all(value.startswith("data:image/png;base64,") for name, value in page.attributes if name in LOADING)
    assert all(value.startswith("#") for name, value in page.attributes if name == "href")
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    style = html_page(report).partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


@pytest.mark.usefixtures("_one_picture")
def test_foreign_text_is_shown_as_it_is() -> None:
    text = html_page(nasty_report())
    assert "<script" not in text
    assert "<img src=http" not in text
    assert "\x1b" not in text
    assert " ".join(printable(NASTY).split()) in Page(text).words
    text.encode()  # no halves of surrogate pairs


@pytest.mark.usefixtures("_one_picture")
def test_many_cases_do_not_make_the_page_too_long() -> None:
    pair = (np.zeros(2), np.ones(2))
    results = tuple(wrong(f"exp/{i}", {"y": pair}) for i in range(MOST_CASES + 3))
    verdicts = tuple(AlgorithmVerdict(f"exp{i}", "UNKNOWN", failed=True, results=results) for i in range(2))
    told: list[tuple[int, int]] = []
    report = dataclasses.replace(sample_report(), verdicts=verdicts)
    page = Page(html_page(report, lambda done, total: told.append((done, total))))
    assert told == [(i, 2 * MOST_CASES) for i in range(2 * MOST_CASES)]
    assert len(told) < MOST_PICTURES
    assert "and 3 more: exp/12 , exp/13 , exp/14" in page.words


def test_an_answer_that_cannot_be_drawn_does_not_cost_the_page() -> None:
    case = wrong("exp/x", {"y": (np.zeros(2), np.ones(2))})
    odd = dataclasses.replace(case, got={"y": np.array(["a", None], dtype=object)})
    verdict = AlgorithmVerdict("exp", "UNKNOWN", failed=True, results=(odd,))
    page = Page(html_page(dataclasses.replace(sample_report(), verdicts=(verdict,))))
    assert page.pictures == []
    assert "exp/x" in page.words


def test_an_answer_too_large_to_be_drawn_does_not_cost_the_page() -> None:
    huge = np.broadcast_to(np.float32(1), (1 << 22, 1 << 22))
    case = wrong("exp/x", {"y": (huge, np.ones(2, np.float32))})
    verdict = AlgorithmVerdict("exp", "UNKNOWN", failed=True, results=(case,))
    assert Page(html_page(dataclasses.replace(sample_report(), verdicts=(verdict,)))).pictures == []


def test_the_page_tells_the_nearest_habit_and_an_error_of_the_adapter() -> None:
    case = wrong("nms/x", {"y": (np.ones(1), np.zeros(1))})
    near = AlgorithmVerdict("nms", "UNKNOWN", failed=True, results=(case, case), nearest=("a.b=c",), n_near=2)
    failing = [
        AlgorithmVerdict(
            name, "ERROR", failed=True, results=(CaseResult(f"{name}/x", name, "required", "error", "no"),)
        )
        for name in ("add", "exp", "log")
    ]
    report = dataclasses.replace(sample_report(), verdicts=(near, *failing))
    page = Page(html_page(report))
    assert "Nearest: a.b=c explains 2 of 2 wrong cases." in page.words
    assert "3 of 4 algorithms fail with one error (no): look for it" in page.words
