"""encode_boxes and decode_boxes: the deck's equations, three conventions, scales, clamp, round trips, errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.boxes.transform import (
    CONVENTIONS,
    SCALE_CLAMP,
    decode_boxes,
    decode_boxes_kernel,
    encode_boxes,
    encode_boxes_kernel,
)
from refdet.core.check import Array
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import decode_boxes as decode_oracle
from tests.oracles import encode_boxes as encode_oracle

P, B = np.array([[0.0, 0, 10, 20]]), np.array([[2.0, 1, 14, 31]])
ONES, ZEROS = (1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 0.0)

conventions = st.sampled_from(CONVENTIONS)
scales = st.fixed_dictionaries(
    {
        "weights": st.sampled_from([ONES, (10.0, 10.0, 5.0, 5.0)]),
        "mean": st.sampled_from([ZEROS, (0.5, -0.25, 0.0, 1.0)]),
        "std": st.sampled_from([ONES, (0.1, 0.1, 0.2, 0.2)]),
    }
)


def some_boxes(rng: np.random.Generator, n: int) -> Array:
    """Return boxes whose sides lie between 1 and 9, at multiples of 1/4."""
    start = rng.integers(-40, 40, (n, 2)) / 4
    return np.concatenate([start, start + rng.integers(4, 36, (n, 2)) / 4], axis=1)


@pytest.mark.parametrize(
    ("convention", "deltas"),
    [
        ("continuous", [0.3, 0.3, 0.18232156, 0.40546511]),  # 3/10, 6/20, ln(12/10), ln(30/20)
        ("py-faster", [3 / 11, 6 / 21, 0.167054, 0.389465]),  # ln(13/11), ln(31/21)
        ("detectron1", [3 / 11, 6 / 21, 0.167054, 0.389465]),
    ],
)
def test_encode_by_hand(convention: str, deltas: list[float]) -> None:
    np.testing.assert_allclose(encode_boxes(P, B, convention=convention), [deltas], atol=5e-7)


def test_decode_as_the_deck_writes_it() -> None:
    """b_x = p_x + p_w t_x, b_w = p_w exp(t_w): centre (5, 10) to (5 + 10 · 0.2, 10 − 20 · 0.1), size to 20 × 10."""
    deltas = np.array([[0.2, -0.1, math.log(2), math.log(0.5)]])
    np.testing.assert_allclose(decode_boxes(P, deltas), [[7 - 10, 8 - 5, 7 + 10, 8 + 5]], rtol=1e-15)


@pytest.mark.parametrize(
    ("convention", "box"),
    [("continuous", [0, 0, 9, 9]), ("py-faster", [0, 0, 10, 10]), ("detectron1", [0, 0, 9, 9])],
)
def test_no_correction(convention: str, box: list[float]) -> None:
    """Faster R-CNN adds 1 to a width and does not take it back."""
    np.testing.assert_array_equal(
        decode_boxes(np.array([[0.0, 0, 9, 9]]), np.zeros((1, 4)), convention=convention), [box]
    )


@given(convention=conventions, scale=scales, seed=seeds, n=st.integers(0, 5), dtype=dtypes, layout=layouts)
def test_encode_against_the_definition(
    convention: str, scale: dict[str, Any], seed: int, n: int, dtype: str, layout: str
) -> None:
    """Sometimes with an empty target, an empty proposal, or a NaN: the kernel computes on."""
    rng = np.random.default_rng(seed)
    proposals, targets = some_boxes(rng, n), some_boxes(rng, n)
    if n and rng.random() < 0.3:
        (proposals if rng.random() < 0.5 else targets)[0, 2] = rng.choice([np.nan, targets[0, 0], proposals[0, 0]])
    arrays = [in_layout(x.astype(dtype), layout) for x in (proposals, targets)]
    assert_agrees("encode_boxes", encode_oracle, arrays, rng=rng, params={"convention": convention, **scale})


@given(
    data=st.data(), convention=conventions, scale=scales, seed=seeds, n=st.integers(0, 4), dtype=dtypes, layout=layouts
)
def test_decode_against_the_definition(
    data: st.DataObject, convention: str, scale: dict[str, Any], seed: int, n: int, dtype: str, layout: str
) -> None:
    rng = np.random.default_rng(seed)
    deltas = rng.integers(-16, 16, (n, 4 * data.draw(st.integers(0, 3)))) / 8
    if deltas.size and rng.random() < 0.2:
        deltas[0, rng.integers(4)] = np.nan
    arrays = [in_layout(x.astype(dtype), layout) for x in (some_boxes(rng, n), deltas)]
    clamp = data.draw(st.sampled_from([None, SCALE_CLAMP, 0.5, -1.0]))
    params = {"convention": convention, **scale, "clamp": clamp}
    assert_agrees("decode_boxes", decode_oracle, arrays, rng=rng, params=params)


@given(convention=conventions, scale=scales, seed=seeds)
def test_there_and_back(convention: str, scale: dict[str, Any], seed: int) -> None:
    """Decoding undoes encoding; in Faster R-CNN up to the pixel that it adds."""
    rng = np.random.default_rng(seed)
    proposals, targets = some_boxes(rng, 6), some_boxes(rng, 6)
    deltas = encode_boxes(proposals, targets, convention=convention, **scale)
    decoded = decode_boxes(proposals, deltas, convention=convention, **scale)
    gained = np.array([0, 0, 1, 1]) if convention == "py-faster" else 0
    np.testing.assert_allclose(decoded, targets + gained, rtol=0, atol=1e-12)


@given(seed=seeds)
def test_moving_and_scaling_both_boxes_changes_nothing(seed: int) -> None:
    """To the last bit, for a scale that is a power of two."""
    rng = np.random.default_rng(seed)
    proposals, targets, shift = some_boxes(rng, 6), some_boxes(rng, 6), np.tile(rng.integers(-99, 99, 2), 2)
    deltas = encode_boxes(proposals, targets)
    np.testing.assert_array_equal(encode_boxes(4 * proposals + shift, 4 * targets + shift), deltas)


def test_weights_are_one_over_std() -> None:
    """(10, 10, 5, 5) and (0.1, 0.1, 0.2, 0.2): multiplied or divided, encoded and decoded."""
    weights, std = (10.0, 10.0, 5.0, 5.0), (0.1, 0.1, 0.2, 0.2)
    deltas = encode_boxes(P, B, weights=weights)
    np.testing.assert_allclose(deltas, encode_boxes(P, B) * np.array(weights), rtol=1e-15)
    np.testing.assert_allclose(deltas, encode_boxes(P, B, std=std), rtol=1e-15)
    np.testing.assert_allclose(decode_boxes(P, deltas, std=std), decode_boxes(P, deltas, weights=weights), rtol=1e-15)


def test_the_order_of_weights_mean_and_std() -> None:
    """t = (0.25, −0.5, 0, 0): (t · 2 − 1)/4 on the way there; (δ · 4 + 1)/2 on the way back."""
    scale: dict[str, Any] = {"weights": [2] * 4, "mean": [1] * 4, "std": [4] * 4}
    p, b = np.array([[0.0, 0, 8, 8]]), np.array([[2.0, -4, 10, 4]])
    deltas = encode_boxes(p, b, **scale)
    np.testing.assert_array_equal(deltas, [[-0.125, -0.5, -0.25, -0.25]])
    np.testing.assert_array_equal(decode_boxes(p, deltas, **scale), b)


def test_the_clamp_is_detectrons() -> None:
    assert SCALE_CLAMP == 4.135166556742356
    assert math.exp(SCALE_CLAMP) == pytest.approx(62.5, rel=1e-15)


def test_the_clamp_limits_growth_alone() -> None:
    """t_w is cut at ln 62.5, t_h = −9 and t_x = 9 are not."""
    x1, y1, x2, y2 = decode_boxes(np.array([[0.0, 0, 8, 8]]), np.array([[9.0, 0, 9, -9]]), clamp=SCALE_CLAMP)[0]
    assert (x1 + x2) / 2 == pytest.approx(4 + 72)
    assert x2 - x1 == pytest.approx(8 * 62.5)
    assert y2 - y1 == pytest.approx(8 * math.exp(-9))


def test_the_clamp_comes_after_weights_and_std() -> None:
    """δ = 9 with a weight of 5 is t = 1.8, which is below the limit."""
    for scale in ({"weights": (10, 10, 5, 5)}, {"std": (0.1, 0.1, 0.2, 0.2)}):
        box = decode_boxes(np.array([[0.0, 0, 8, 8]]), np.array([[0.0, 0, 9, 9]]), clamp=SCALE_CLAMP, **scale)[0]
        assert box[2] - box[0] == pytest.approx(8 * math.exp(1.8))


def test_classes_lie_side_by_side() -> None:
    """K transforms in a row give what they give one by one."""
    rng = np.random.default_rng(0)
    proposals, deltas = some_boxes(rng, 3), rng.standard_normal((3, 12))
    together = decode_boxes(proposals, deltas)
    for k in range(3):
        one = np.s_[:, 4 * k : 4 * k + 4]
        np.testing.assert_array_equal(together[one], decode_boxes(proposals, deltas[one]))


@pytest.mark.parametrize(
    ("name", "row", "box", "size"),
    [
        ("targets", 1, [3.0, 0, 3, 5], "width 0 and height 5"),
        ("targets", 0, [0.0, 4, 3, 1], "width 3 and height -3"),
        ("proposals", 1, [3.0, 0, 3, 5], "width 0 and height 5"),
    ],
)
def test_boxes_without_area_are_refused_by_row(name: str, row: int, box: list[float], size: str) -> None:
    pair = {"proposals": np.tile(P, (2, 1)), "targets": np.tile(P, (2, 1))}
    pair[name][row] = box
    with pytest.raises(ValueError, match=f"encode_boxes: row {row} of {name} has {size}; both must be positive"):
        encode_boxes(pair["proposals"], pair["targets"])


def test_a_single_pixel_has_area_where_x2_lies_inside() -> None:
    pixel = np.array([[3.0, 3, 3, 3]])
    np.testing.assert_array_equal(encode_boxes(pixel, pixel, convention="py-faster"), np.zeros((1, 4)))
    with pytest.raises(ValueError, match="row 0 of proposals has width 0"):
        encode_boxes(pixel, pixel)


def test_the_kernel_reads_no_values() -> None:
    """Where the function refuses it gives what the equations give, silently: ln 0, ln of a negative number, 0/0."""
    square = np.array([[0.0, 0, 8, 8]])
    scale: dict[str, Any] = {"convention": "continuous", "weights": ONES, "mean": ZEROS, "std": ONES}
    nothing, backwards = np.array([[4.0, 0, 4, 8]]), np.array([[8.0, 0, 0, 8]])
    np.testing.assert_array_equal(encode_boxes_kernel(square, nothing, **scale), [[0, 0, -np.inf, 0]])
    np.testing.assert_array_equal(encode_boxes_kernel(square, backwards, **scale), [[0, 0, np.nan, 0]])
    np.testing.assert_array_equal(encode_boxes_kernel(nothing, nothing, **scale), [[np.nan, 0, np.nan, 0]])


def test_nan_passes() -> None:
    target = np.array([[np.nan, 0, 8, 8]])
    np.testing.assert_array_equal(encode_boxes(np.array([[0.0, 0, 8, 8]]), target), [[np.nan, 0, np.nan, 0]])


def test_an_exponential_beyond_the_largest_float() -> None:
    box = decode_boxes(np.array([[0.0, 0, 8, 8]], np.float32), np.array([[0, 0, 100, 0]], np.float32))
    np.testing.assert_array_equal(box, [[-np.inf, 0, np.inf, 8]])


def test_numbers_of_numpy_keep_the_dtype() -> None:
    p, d = P.astype(">f4"), np.zeros((1, 4), ">f4")
    scale: dict[str, Any] = {"weights": np.full(4, 2.0), "mean": np.zeros(4), "std": [np.float64(2)] * 4}
    assert encode_boxes(p, p, **scale).dtype == np.dtype("=f4")
    assert decode_boxes(p, d, clamp=np.float64(4), **scale).dtype == np.dtype("=f4")


@pytest.mark.parametrize(
    ("proposals", "targets", "options", "error", "message"),
    [
        (P[0], B, {}, ValueError, r"encode_boxes: proposals must have shape \(N, 4\), .*, got \(4,\)"),
        (P, np.tile(B, (2, 1)), {}, ValueError, r"targets must have shape \(1, 4\) \(one target per proposal\)"),
        (P.astype(int), B, {}, TypeError, "proposals must be float32 or float64, got int64"),
        (P, B.astype("f4"), {}, TypeError, "proposals is float64 but targets is float32"),
        (P, B, {"convention": "legacy"}, ValueError, "convention must be one of 'continuous', .*, got 'legacy'"),
        (P, B, {"weights": (1, 1)}, ValueError, "weights must be four numbers, for x, y, w and h, got"),
        (P, B, {"weights": 1.0}, TypeError, "encode_boxes: weights must be a sequence, got 1.0"),
        (P, B, {"weights": (1, 1, 0, 1)}, ValueError, r"weights must lie in \(0, inf\), got 0"),
        (P, B, {"std": (1, 1, -1, 1)}, ValueError, r"std must lie in \(0, inf\), got -1"),
        (P, B, {"mean": (0, 0, np.nan, 0)}, ValueError, "mean must be a finite number, got nan"),
    ],
)
def test_bad_input_to_encode(
    proposals: Any, targets: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        encode_boxes(proposals, targets, **options)


@pytest.mark.parametrize(
    ("proposals", "deltas", "options", "error", "message"),
    [
        (P, np.zeros((1, 6)), {}, ValueError, r"deltas must have shape \(R, 4K\) with R = 1, .*, got \(1, 6\)"),
        (P, np.zeros((2, 4)), {}, ValueError, r"deltas must have shape \(R, 4K\) with R = 1, .*, got \(2, 4\)"),
        (P, np.zeros(4), {}, ValueError, r"decode_boxes: deltas must have rank 2 \(R, 4K\), got rank 1"),
        (P, np.zeros((1, 4), int), {}, TypeError, "deltas must be float32 or float64, got int64"),
        (P, np.zeros((1, 4)), {"convention": "caffe"}, ValueError, "convention must be one of"),
        (P, np.zeros((1, 4)), {"std": (0, 1, 1, 1)}, ValueError, "std must lie in"),
        (P, np.zeros((1, 4)), {"clamp": np.inf}, ValueError, "clamp must be a finite number, got inf"),
    ],
)
def test_bad_input_to_decode(
    proposals: Any, deltas: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        decode_boxes(proposals, deltas, **options)


def test_the_kernels_refuse_what_the_functions_refuse() -> None:
    scale: dict[str, Any] = {"convention": "continuous", "weights": ONES, "mean": ZEROS, "std": (0.0, 1.0, 1.0, 1.0)}
    with pytest.raises(ValueError, match="encode_boxes: std must lie in"):
        encode_boxes_kernel(P, B, **scale)
    with pytest.raises(ValueError, match="decode_boxes: std must lie in"):
        decode_boxes_kernel(P, B, **scale, clamp=None)
