"""Pictures of golden cases: every case has one, and it shows what is in the case."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from refdet.pictures.golden_case import draw_case, write_case_picture
from refdet.pictures.golden_case_boxes import CORNERS, SIZES, SURVIVORS
from refdet.pictures.heat_maps import draw_heat_map
from refdet.pictures.slide import empty_slide, settings
from refdet.verify.suite import StoredCase, load_suite


def drawn(case_id: str) -> Figure:
    return drawn_case(load_suite().case(case_id))


def drawn_case(case: StoredCase) -> Figure:
    with settings():
        figure = empty_slide()
        draw_case(figure, case)
    return figure


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def numbers(figure: Figure) -> list[list[str]]:
    """Return the numbers in each axes, row by row."""
    return [[text.get_text() for text in axes.texts] for axes in figure.axes]


def outlines(figure: Figure) -> list[list[tuple[tuple[float, float, float, float], bool]]]:
    """Return the outlines in each axes that has some: corners, and whether the line is whole."""
    found = []
    for axes in figure.axes:
        boxes = [p for p in axes.patches if isinstance(p, Rectangle) and not p.get_fill()]
        if boxes:
            corners = [(b.get_x(), b.get_y(), b.get_x() + b.get_width(), b.get_y() + b.get_height()) for b in boxes]
            found.append([(c, b.get_linestyle() in ("-", "solid")) for c, b in zip(corners, boxes, strict=True)])
    return found


def test_given_is_left_and_expected_right() -> None:
    figure = drawn("max_pool2d/non-overlapping")
    for text in (
        "Given",
        "Expected",
        "x float32 (1, 1, 2, 4)",
        "switches int64 (1, 1, 1, 2)",
        "dx float32 (1, 1, 2, 4)",
    ):
        assert text in texts(figure)
    middle = [axes.get_position().x0 < 0.5 for axes in figure.axes]
    assert middle == [True, True, False, False, False]  # x, dy; y, switches, dx
    case = load_suite().case("max_pool2d/non-overlapping")
    assert numbers(figure)[0] == [f"{v:g}" for v in case.tensors["x"].ravel()]
    assert numbers(figure)[3] == [str(v) for v in case.tensors["switches"].ravel()]


def test_boxes_that_are_kept_have_whole_lines() -> None:
    case = load_suite().case("nms/a-victim-suppresses-nobody")
    given, expected = outlines(drawn_case(case))
    assert [corners for corners, _ in given] == [tuple(box) for box in case.tensors["boxes"].tolist()]
    kept = case.tensors["kept"].tolist()
    assert [i for i, (_, whole) in enumerate(expected) if whole] == sorted(kept)


def test_regions_lie_on_the_map_where_it_is_sampled() -> None:
    figure = drawn("roi_align/aligned")
    case = load_suite().case("roi_align/aligned")
    ((corners, _),) = outlines(figure)[0]
    assert corners == tuple((case.tensors["rois"][0, 1:] - 0.5).tolist())
    (points,) = figure.axes[0].lines
    xs, ys = np.asarray(points.get_xdata()), np.asarray(points.get_ydata())
    assert len(xs) == 4  # 2 × 2 in the only bin
    x1, y1, x2, y2 = corners
    assert sorted(zip(xs.tolist(), ys.tolist(), strict=True)) == [
        (x1 + a * (x2 - x1), y1 + b * (y2 - y1)) for a in (0.25, 0.75) for b in (0.25, 0.75)
    ]


def test_what_is_not_finite_is_said() -> None:
    figure = drawn("max_pool2d/nan-wins")
    assert "NaN" in numbers(figure)[0]
    assert "boxes; 1 not drawn" in texts(drawn("nms/a-nan-coordinate-suppresses-nothing"))


def test_empty_tensors_say_so() -> None:
    figure = drawn("nms/no-boxes")
    assert texts(figure).count("no elements") == 3  # boxes, scores, kept
    assert not figure.axes


def test_numbers_that_do_not_fit_are_left_out() -> None:
    with settings():
        figure = empty_slide()
        axes = figure.add_axes((0, 0, 0.2, 0.2))
        draw_heat_map(axes, np.full((60, 60), 0.123), 1.0)
        assert not axes.texts
        other = figure.add_axes((0.5, 0, 0.4, 0.4))
        draw_heat_map(other, np.array([[1.0, np.inf], [-0.5, 0.0]]), 1.0)
        assert [text.get_text() for text in other.texts] == ["1", "∞", "−0.5", "0"]
        (infinite,) = other.patches
        assert isinstance(infinite, Rectangle)
        assert infinite.get_xy() == (0.5, -0.5)


def test_the_tables_name_tensors_that_exist() -> None:
    suite = load_suite()
    tensors: dict[str, dict[str, list[int]]] = {}
    for entry in suite.manifest["cases"]:
        for tensor in entry["tensors"]:
            tensors.setdefault(entry["algorithm"], {})[tensor["name"]] = tensor["shape"]
    for algorithm, names in {**CORNERS, **SIZES}.items():
        assert all(len(tensors[algorithm][name]) == 2 and tensors[algorithm][name][1] % 4 == 0 for name in names)
    for algorithm, name in SURVIVORS.items():
        assert len(tensors[algorithm][name]) == 1


ALGORITHMS = sorted({entry["algorithm"] for entry in load_suite().manifest["cases"]})


@pytest.mark.parametrize("algorithm", sorted({*CORNERS, *SIZES, "roi_align", "roi_pool", *ALGORITHMS[::4]}))
def test_cases_of_all_kinds_can_be_drawn(algorithm: str) -> None:
    ids = [case_id for case_id in load_suite().ids if case_id.startswith(f"{algorithm}/")]
    figure = drawn(ids[len(ids) // 2])
    assert {"Given", "Expected"} <= set(texts(figure))
    for axes in figure.axes:
        bounds = axes.get_position()
        assert 0 <= bounds.x0 < bounds.x1 <= 1
        assert 0 <= bounds.y0 < bounds.y1 <= 1


def test_the_file_is_the_same_every_time(tmp_path: Path) -> None:
    case = load_suite().case("box_iou/quarters")
    for name in ("a.png", "b.png"):
        write_case_picture(case, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
