"""box_iou: the definition, its conventions, its properties, COCO's code, its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.boxes import iou as module
from refdet.boxes.iou import box_iou, box_iou_kernel
from refdet.core.check import Array
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import box_iou as oracle

NAN, INF = np.nan, np.inf


def boxes(*rows: tuple[float, float, float, float]) -> Array:
    """Return (N, 4)."""
    return np.array(rows, np.float64).reshape(-1, 4)


def uneven_boxes(rng: np.random.Generator, n: int) -> Array:
    """Return boxes of any size whose coordinates need all digits."""
    start = rng.uniform(-50, 50, (n, 2))
    return np.concatenate([start, start + rng.exponential(20, (n, 2))], axis=1)


def test_hand_example() -> None:
    """Areas 81 and 81: an edge in common; a corner of 4 × 4, 16/146."""
    iou = box_iou(boxes((0, 0, 9, 9)), boxes((9, 0, 18, 9), (5, 5, 14, 14)))
    np.testing.assert_allclose(iou, [[0, 0.109589]], atol=5e-7)


def test_the_same_where_x2_is_the_last_pixel() -> None:
    """Areas 100 and 100: a column of 10 pixels, 10/190; a corner of 5 × 5, 25/175."""
    iou = box_iou(boxes((0, 0, 9, 9)), boxes((9, 0, 18, 9), (5, 5, 14, 14)), offset=1)
    np.testing.assert_allclose(iou, [[0.0526316, 0.142857]], atol=5e-7)


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    """Coordinates from a few values, so that boxes coincide, touch, are empty, and run backwards."""
    rng = np.random.default_rng(seed)
    unusual = data.draw(st.lists(st.sampled_from([NAN, INF, -INF]), max_size=1))
    values = np.array([-1.0, 0.0, 0.5, 1.0, 3.0, 3.0, 7.25, *unusual])
    n, m = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 4))
    p, q = (in_layout(rng.choice(values, (k, 4)).astype(dtype), layout) for k in (n, m))
    crowd = in_layout(rng.random(m) < 0.5, layout) if data.draw(st.booleans()) else None
    params = {"offset": data.draw(st.sampled_from([0, 1])), "empty": data.draw(st.sampled_from(["zero", "nan"]))}
    assert_agrees("box_iou", oracle, [p, q, crowd], rng=rng, params=params)


@given(seed=seeds, dtype=dtypes, offset=st.sampled_from([0, 1]))
def test_properties(seed: int, dtype: str, offset: int) -> None:
    """Symmetric, in [0, 1], 1 for the same box: to the last bit."""
    rng = np.random.default_rng(seed)
    p, q = uneven_boxes(rng, 6).astype(dtype), uneven_boxes(rng, 5).astype(dtype)
    iou = box_iou(p, q, offset=offset)
    np.testing.assert_array_equal(iou, box_iou(q, p, offset=offset).T)
    assert np.all((iou >= 0) & (iou <= 1))
    np.testing.assert_array_equal(np.diag(box_iou(p, p, offset=offset)), np.ones(6))


@given(seed=seeds)
def test_moving_and_doubling_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, q = (np.sort(rng.integers(0, 40, (5, 2, 2)), axis=1).reshape(5, 4).astype(np.float64) for _ in range(2))
    shift = np.tile(rng.integers(-9, 9, 2), 2)
    np.testing.assert_array_equal(box_iou(2 * p + shift, 2 * q + shift), box_iou(p, q))


@given(seed=seeds)
def test_the_offset_is_the_half_open_box(seed: int) -> None:
    """[x1, x2] with both pixels inside is [x1, x2 + 1) in continuous coordinates."""
    rng = np.random.default_rng(seed)
    p, q = (rng.integers(0, 12, (5, 4)).astype(np.float64) for _ in range(2))
    one_more = np.array([0, 0, 1, 1])
    np.testing.assert_array_equal(box_iou(p, q, offset=1), box_iou(p + one_more, q + one_more))


def test_a_box_inside_another() -> None:
    """Its share of the outer area: 2 · 3 of 10 · 10."""
    assert box_iou(boxes((0, 0, 10, 10)), boxes((4, 5, 6, 8))).item() == 0.06


def test_two_empty_boxes() -> None:
    """A point and itself, two different points, a line and a box around it."""
    point, other, square = (1.0, 1, 1, 1), (5.0, 5, 5, 5), (0.0, 0, 2, 2)
    p, q = boxes(point), boxes(point, other, square)
    np.testing.assert_array_equal(box_iou(p, q), [[0, 0, 0]])
    np.testing.assert_array_equal(box_iou(p, q, empty="nan"), [[NAN, NAN, 0]])


def test_boxes_that_run_backwards_are_empty() -> None:
    """(4, 4, 0, 0) has two negative sides, whose product is not an area."""
    backwards = boxes((4, 4, 0, 0), (4, 0, 0, 4))
    np.testing.assert_array_equal(box_iou(backwards, boxes((0, 0, 4, 4), (0, 0, 8, 8))), np.zeros((2, 2)))
    assert np.all(np.isnan(box_iou(backwards, backwards, empty="nan")))


def test_the_offset_makes_backwards_by_one_empty() -> None:
    """x2 = x1 is one pixel, x2 = x1 − 1 none."""
    assert box_iou(boxes((3, 3, 3, 3)), boxes((3, 3, 3, 3)), offset=1).item() == 1
    assert box_iou(boxes((3, 3, 2, 3)), boxes((3, 3, 3, 3)), offset=1).item() == 0


def test_a_crowd_divides_by_the_box() -> None:
    """Half of the box lies in the region; its own column, not its row, is the crowd's."""
    p, q = boxes((0, 0, 4, 4)), boxes((2, 0, 100, 4), (2, 0, 100, 4))
    np.testing.assert_array_equal(box_iou(p, q, crowd=np.array([True, False])), [[0.5, 8 / (16 + 392 - 8)]])
    np.testing.assert_array_equal(box_iou(q, p, crowd=np.array([True])), np.full((2, 1), 8 / 392))


def test_a_box_inside_a_crowd_is_all_of_it() -> None:
    assert box_iou(boxes((1, 1, 2, 2)), boxes((0, 0, 100, 100)), crowd=np.array([True])).item() == 1


def test_nan_reaches_its_row_and_column_only() -> None:
    p = boxes((0, 0, 4, 4), (NAN, 0, 4, 4))
    np.testing.assert_array_equal(box_iou(p, p), [[1, NAN], [NAN, NAN]])
    np.testing.assert_array_equal(box_iou(p, p, crowd=np.array([True, True]), empty="nan"), [[1, NAN], [NAN, NAN]])


def test_areas_beyond_the_largest_float() -> None:
    """Silently: a finite part of an infinite area is 0, an infinite part of it NaN."""
    p = np.array([[0, 0, 1e30, 1e30]], np.float32)
    np.testing.assert_array_equal(box_iou(p, np.array([[0, 0, 1, 1], [0, 0, 1e30, 1e30]], np.float32)), [[0, NAN]])


def test_areas_that_round_to_zero() -> None:
    """10⁻³⁰ · 10⁻³⁰ is 0 in float32, and the box as good as empty; 10¹⁹ · 10¹⁹ is finite, twice that is not."""
    for side, dtype, iou in ((1e-30, "f4", 0), (1e-30, "f8", 1), (1.5e19, "f4", 0), (1.5e19, "f8", 1)):
        p = np.array([[0, 0, side, side]], dtype)
        assert box_iou(p, p).item() == iou


def test_no_temporary_is_larger_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 sides of 3 × 10 pairs at a time; one row if that is more."""
    sizes, maximum = [], np.maximum

    def recorded(a: Array, b: Array) -> Array:
        sizes.append(np.broadcast(a, b).size)
        return maximum(a, b)

    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 60)
    monkeypatch.setattr(np, "maximum", recorded)
    box_iou(np.zeros((7, 4)), np.zeros((10, 4)))
    assert max(sizes) == 60
    box_iou(np.zeros((7, 4)), np.zeros((100, 4)))
    assert max(sizes) == 200


def test_without_boxes() -> None:
    assert box_iou(np.zeros((0, 4), np.float32), np.zeros((3, 4), np.float32)).shape == (0, 3)
    assert box_iou(np.zeros((2, 4)), np.zeros((0, 4)), crowd=np.zeros(0, bool)).shape == (2, 0)
    assert box_iou(np.zeros((0, 4), np.float32), np.zeros((0, 4), np.float32)).dtype == np.float32


@pytest.mark.parametrize("elements", [1, 5, 12, 1000])
def test_chunks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch, elements: int) -> None:
    rng = np.random.default_rng(0)
    p, q, crowd = uneven_boxes(rng, 7), uneven_boxes(rng, 5), np.arange(5) == 2
    whole = box_iou(p, q, crowd=crowd)
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", elements)
    np.testing.assert_array_equal(box_iou(p, q, crowd=crowd), whole)


def test_the_result_has_the_byte_order_of_the_machine() -> None:
    p = boxes((0, 0, 4, 4)).astype(">f4")
    assert box_iou(p, p).dtype == np.dtype("=f4")
    assert box_iou(p, p, offset=np.int64(1)).dtype == np.dtype("=f4")  # type: ignore[arg-type]


@pytest.mark.oracle
def test_against_coco() -> None:
    """pycocotools takes (x, y, w, h), computes in float64, and divides by the detection's area for a crowd."""
    mask = pytest.importorskip("pycocotools.mask", reason="pycocotools, which is compared with, is not installed")
    rng = np.random.default_rng(0)
    p, q = (rng.integers(0, 12, (n, 4)).astype(np.float64) for n in (40, 30))  # every other box runs backwards
    crowd = rng.random(30) < 0.3
    size = np.array([[-1.0, 0, 1, 0], [0, -1, 0, 1]]).T  # (x2 − x1, y2 − y1)
    detections, truths = (np.concatenate([b[:, :2], b @ size], axis=1) for b in (p, q))
    theirs = mask.iou(detections, truths, crowd.astype(np.uint8).tolist())
    np.testing.assert_allclose(box_iou(p, q, crowd=crowd), theirs, rtol=1e-15, atol=0)


GOOD = boxes((0, 0, 1, 1))


@pytest.mark.parametrize(
    ("p", "q", "options", "error", "message"),
    [
        (GOOD[0], GOOD, {}, ValueError, r"box_iou: boxes must have shape \(N, 4\), .*, got \(4,\)"),
        (GOOD, np.zeros((2, 5)), {}, ValueError, r"box_iou: others must have shape \(N, 4\), .*, got \(2, 5\)"),
        (GOOD.astype(int), GOOD, {}, TypeError, "boxes must be float32 or float64, got int64"),
        (GOOD, GOOD.astype("f2"), {}, TypeError, "others must be float32 or float64, got float16"),
        (GOOD, GOOD.astype("f4"), {}, TypeError, "boxes is float64 but others is float32"),
        ([[0, 0, 1, 1]], GOOD, {}, TypeError, "boxes must be an array, got list"),
        (GOOD, GOOD, {"offset": 2}, ValueError, r"offset must be 0 \(width x2 - x1\) or 1 .*, got 2"),
        (GOOD, GOOD, {"offset": True}, ValueError, "offset must be 0"),
        (GOOD, GOOD, {"offset": 0.5}, ValueError, "offset must be 0"),
        (GOOD, GOOD, {"empty": "one"}, ValueError, "empty must be one of 'zero', 'nan', got 'one'"),
        (GOOD, GOOD, {"crowd": np.array([0])}, TypeError, "crowd must be a boolean array, got int64"),
        (GOOD, GOOD, {"crowd": [True]}, TypeError, "crowd must be an array, got list"),
        (GOOD, GOOD, {"crowd": np.ones(2, bool)}, ValueError, r"crowd must have shape \(1,\) \(one flag per row"),
    ],
)
def test_bad_input(p: Any, q: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        box_iou(p, q, **options)


def test_the_kernel_refuses_what_the_function_refuses() -> None:
    with pytest.raises(ValueError, match="box_iou: empty must be one of"):
        box_iou_kernel(GOOD, GOOD, None, offset=0, empty="0")
