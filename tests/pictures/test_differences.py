"""Pictures of where answers differ: how differences are measured, and that every form of answer can be drawn."""

from __future__ import annotations

from io import BytesIO

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from refdet.core.check import Array
from refdet.pictures import differences
from refdet.pictures.difference_boxes import draw_kept
from refdet.pictures.difference_maps import draw_maps, title_of
from refdet.pictures.differences import difference_picture
from refdet.pictures.measured_difference import Difference
from refdet.verify.verdict import CaseResult
from tests.verify.report.sample import nms_case, roi_case, wrong

INF, NAN = np.inf, np.nan


def difference(got: Array, expected: Array, allowed: Array | None = None) -> Difference:
    return Difference("y", np.asarray(expected), np.asarray(got), allowed)


def picture(result: CaseResult, tensor: str = "y") -> Image.Image:
    content = difference_picture(result, tensor)
    assert content is not None
    return Image.open(BytesIO(content))


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_differences_are_measured_in_tolerances() -> None:
    expected = np.array([1.0, 1.0, 1.0, 1.0])
    found = difference(np.array([1.0, 1.5, 3.0, 1.0]), expected, np.array([0.5, 0.5, 0.5, 0.0])).measured()
    assert found.tolist() == [0, 1, 4, 0]


def test_without_tolerances_the_distance_itself_is_shown() -> None:
    found = difference(np.array([1, 5]), np.array([2, 5]))
    assert found.measured().tolist() == [1, 0]
    assert (found.unit, found.limit) == ("distance", 0.0)


def test_what_is_no_number_is_infinitely_far() -> None:
    expected = np.array([NAN, INF, INF, 1.0, NAN])
    found = difference(np.array([NAN, INF, -INF, NAN, 1.0]), expected, np.ones(5))
    assert found.measured().tolist() == [0, 0, INF, INF, INF]
    assert found.worst() == (2,)


def test_zero_tolerance_is_infinitely_exceeded() -> None:
    assert difference(np.array([2.0]), np.array([1.0]), np.zeros(1)).measured().tolist() == [INF]


def test_the_slice_with_the_worst_element_is_shown() -> None:
    expected = np.zeros((2, 3, 4, 4))
    got = expected.copy()
    got[0, 1, 0, 0], got[1, 2, 3, 1] = 1, -5
    found = difference(got, expected)
    assert title_of(found) == "y[1, 2, :, :]"
    figure = Figure()
    draw_maps(figure, found, algorithm="conv2d", inputs={}, params={})
    assert [axes.get_title(loc="left") for axes in figure.axes][:3] == ["expected", "got", "difference"]
    assert texts(figure).count("−5") == 1
    assert texts(figure).count("5") == 1  # as a distance


def test_elements_that_pass_are_pale() -> None:
    expected = np.zeros((3, 3))
    got = np.array([[0, 0.5, 2], [0, 0, 0], [NAN, 0, 0]])
    figure = Figure()
    draw_maps(figure, difference(got, expected, np.ones((3, 3))), algorithm="conv2d", inputs={}, params={})
    shown = figure.axes[2].images[0].get_array()
    assert shown is not None
    assert np.ma.getmaskarray(shown).tolist() == [[True, True, False], [True] * 3, [False, True, True]]
    assert "×" in texts(figure)  # the NaN that should not be there
    assert len(figure.axes[1].patches) == 2  # both wrong elements are framed


def test_the_pooled_map_stands_before_the_pooled_ones() -> None:
    case = roi_case()
    found = Difference("y", case.expected["y"], case.got["y"], case.allowed["y"])
    figure = Figure()
    draw_maps(figure, found, algorithm=case.algorithm, inputs=case.inputs, params=case.params)
    assert figure.axes[0].get_title(loc="left") == "pooled map and region"
    region, bin_of_worst = figure.axes[0].patches
    assert isinstance(region, Rectangle)
    assert isinstance(bin_of_worst, Rectangle)
    assert region.get_bbox().bounds == (1, 1, 4, 4)
    assert bin_of_worst.get_bbox().bounds == (2, 2, 1, 1)  # of element 1, 1: the NaN


def test_kept_boxes_are_told_apart_by_words() -> None:
    case = nms_case()
    figure = Figure()
    draw_kept(figure, Difference("kept", case.expected["kept"], case.got["kept"], None), case.inputs)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["expected: keeps 0, 3", "got: keeps 0, 1, 3"]
    assert "1  0.8  should go" in texts(figure)
    draw_kept(other := Figure(), Difference("kept", np.array([0, 3]), np.array([3]), None), case.inputs)
    assert "0  0.9  missing" in texts(other)


@pytest.mark.parametrize(
    ("got", "remark"), [([3, 0], "the same boxes in another order"), ([0, 3, 9, -1], "there is no box 9, -1")]
)
def test_other_orders_and_boxes_that_do_not_exist(got: list[int], remark: str) -> None:
    figure = Figure()
    draw_kept(figure, Difference("kept", np.array([0, 3]), np.array(got), None), nms_case().inputs)
    assert figure.axes[1].get_xlabel() == remark


EYE = np.eye(4, dtype=np.float32)
PAIRS: dict[str, tuple[Array, Array]] = {
    "number": (np.array(2.0), np.array(1.0)),
    "vector": (np.arange(5.0), np.ones(5)),
    "long vector": (np.arange(5000.0), np.zeros(5000)),
    "integers": (np.arange(3), np.array([2, 1, 0])),
    "truth": (np.array([True, False]), np.array([True, True])),
    "truth map": (EYE.astype(bool), ~EYE.astype(bool)),
    "map": (EYE, EYE + 1),
    "one row": (np.ones((1, 1, 1, 7)), np.zeros((1, 1, 1, 7))),
    "tall map": (np.zeros((900, 4)), np.ones((900, 4))),
    "five axes": (np.zeros((2, 1, 2, 3, 3)), np.ones((2, 1, 2, 3, 3))),
    "not a number": (np.full((3, 3), NAN), np.full((3, 3), INF)),
    "one that is not": (np.where(EYE == 1, NAN, EYE), EYE),
    "vector of none": (np.full(3, NAN), np.array([INF, -INF, 0])),
    "huge": (np.full((3, 3), 1e308), np.full((3, 3), -1e308)),
    "huge vector": (np.full(3, 1.7e308), np.full(3, -1.7e308)),
    "tiny": (np.full((3, 3), 5e-324), np.zeros((3, 3))),
    "tiny vector": (np.full(3, 5e-324), np.zeros(3)),
    "too long": (np.zeros(7), np.zeros(5)),
    "nothing": (np.zeros(0), np.zeros(3)),
    "too much": (np.zeros(3), np.zeros(0)),
    "map of another shape": (np.zeros((1, 2, 5, 3)), np.zeros((1, 2, 3, 5))),
    "fewer channels": (np.zeros((1, 1, 3, 3)), np.ones((1, 2, 3, 3))),
    "fewer axes": (np.zeros(9), np.zeros((3, 3))),
    "half precision": (np.zeros((3, 3), np.float16), np.zeros((3, 3), np.float32)),
    "big-endian": (np.zeros((3, 3), ">f4"), np.ones((3, 3), np.float32)),
}


@pytest.fixture
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw with few dots, which is faster."""
    monkeypatch.setattr(differences, "DOTS_PER_INCH", 25)


@pytest.mark.usefixtures("_coarse")
@pytest.mark.parametrize("name", PAIRS)
def test_every_form_of_answer_can_be_drawn(name: str) -> None:
    got, expected = PAIRS[name]
    picture(wrong("conv2d/x", {"y": (got, expected)}))


@pytest.mark.usefixtures("_coarse")
@pytest.mark.parametrize("name", ["number", "map", "not a number", "vector of none", "huge", "huge vector", "tiny"])
def test_every_form_of_tolerance_can_be_drawn(name: str) -> None:
    got, expected = PAIRS[name]
    picture(wrong("conv2d/x", {"y": (got, expected)}, rule={"kind": "ulp", "ulps": 4, "floor": 1e-9}))


@pytest.mark.usefixtures("_coarse")
@pytest.mark.parametrize(
    ("tensor", "got", "expected"),
    [
        ("boxes", np.zeros((2, 4)), np.ones((2, 4))),
        ("boxes", np.full((2, 4), NAN), np.array([[0, 0, 1, 1], [NAN, 0, INF, 1]])),
        ("boxes", np.zeros((900, 4)), np.arange(3600.0).reshape(900, 4)),
        ("boxes", np.zeros((3, 4)), np.ones((2, 4))),
        ("boxes", np.zeros((2, 12)), np.ones((2, 12))),
        ("kept", np.array([NAN, 1]), np.array([0, 1])),
        ("kept", np.array([], int), np.array([0])),
        ("kept", np.array([True, False, True]), np.array([True, True, True])),
    ],
)
def test_boxes_of_every_kind_can_be_drawn(tensor: str, got: Array, expected: Array) -> None:
    boxes = np.array([[0, 0, 1, 1], [NAN, 0, 1, 1], [3, 3, 2, 2]])
    picture(wrong("nms/x", {tensor: (got, expected)}, inputs={"boxes": boxes}), tensor)


@pytest.mark.usefixtures("_coarse")
def test_regions_beside_the_map_can_be_drawn() -> None:
    case = roi_case()
    for tensor, roi in (("y", [0, NAN, 0, 1, 1]), ("y", [7, -50, -50, -40, 90]), ("dx", [0, 2, 2, 2, 2])):
        inputs = {"x": case.inputs["x"], "rois": np.array([roi], np.float32)}
        pair = {tensor: (case.got[tensor], case.expected[tensor])}
        picture(wrong("roi_align/x", pair, inputs=inputs, params={"aligned": False, "scale": 0.5}), tensor)


def test_nothing_to_see_is_no_picture() -> None:
    assert difference_picture(wrong("exp/x", {"y": (np.zeros(0), np.zeros((0, 2)))}), "y") is None
    assert difference_picture(wrong("exp/x", {}), "y") is None


@pytest.mark.usefixtures("_coarse")
def test_settings_of_the_user_have_no_influence() -> None:
    case = roi_case()
    plain = difference_picture(case, "y")
    with mpl.rc_context({"font.size": 33, "image.cmap": "jet", "axes.facecolor": "red"}):
        assert difference_picture(case, "y") == plain
        assert mpl.rcParams["font.size"] == 33
