"""convert_boxes: every pair of layouts, the way back, unusual boxes, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.boxes.convert import LAYOUTS, convert_boxes
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import convert_boxes as oracle

SAME_BOX = {"xyxy": [10.0, 20.0, 31.0, 60.0], "xywh": [10.0, 20.0, 21.0, 40.0], "cxcywh": [20.5, 40.0, 21.0, 40.0]}
box_layouts = st.sampled_from(LAYOUTS)


@pytest.mark.parametrize("source", LAYOUTS)
@pytest.mark.parametrize("target", LAYOUTS)
def test_hand_example(source: str, target: str) -> None:
    """A box from (10, 20) to (31, 60): 21 wide, 40 high, around (20.5, 40)."""
    converted = convert_boxes(np.array([SAME_BOX[source]]), source=source, target=target)
    np.testing.assert_array_equal(converted, [SAME_BOX[target]])


@given(source=box_layouts, target=box_layouts, seed=seeds, n=st.integers(0, 5), dtype=dtypes, layout=layouts)
def test_against_the_definition(source: str, target: str, seed: int, n: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    boxes = rng.choice(np.array([-3.5, -0.25, 0.0, 1.0, 2.5, 7.0, np.nan, np.inf]), (n, 4), p=[0.15] * 6 + [0.05] * 2)
    boxes = in_layout(boxes.astype(dtype), layout)
    assert_agrees("convert_boxes", oracle, [boxes], rng=rng, params={"source": source, "target": target})


@given(there=box_layouts, back=box_layouts, seed=seeds)
def test_there_and_back(there: str, back: str, seed: int) -> None:
    """Exactly, for corners at multiples of 1/4."""
    boxes = np.random.default_rng(seed).integers(-400, 400, (5, 4)) / 4
    other = convert_boxes(boxes, source=back, target=there)
    np.testing.assert_array_equal(convert_boxes(other, source=there, target=back), boxes)


def test_a_box_that_runs_backwards_has_a_negative_width() -> None:
    backwards = np.array([[5.0, 7.0, 1.0, 9.0]])
    np.testing.assert_array_equal(convert_boxes(backwards, source="xyxy", target="xywh"), [[5, 7, -4, 2]])


def test_what_overflows_is_infinite() -> None:
    far = np.array([[-1.5e308, 1.5e308, 1.5e308, 1.5e308]])
    np.testing.assert_array_equal(convert_boxes(far, source="xyxy", target="cxcywh"), [[0, np.inf, np.inf, 0]])


def test_nan_stays_on_its_axis() -> None:
    boxes = np.array([[np.nan, 0.0, 4.0, 2.0]])
    np.testing.assert_array_equal(convert_boxes(boxes, source="xyxy", target="cxcywh"), [[np.nan, 1, np.nan, 2]])
    np.testing.assert_array_equal(convert_boxes(boxes, source="xywh", target="xyxy"), [[np.nan, 0, np.nan, 2]])


@pytest.mark.parametrize("source", LAYOUTS)
@pytest.mark.parametrize("target", LAYOUTS)
def test_the_result_is_an_array_of_its_own(source: str, target: str) -> None:
    boxes = np.array([SAME_BOX[source]], ">f4")
    converted = convert_boxes(boxes, source=source, target=target)
    assert not np.shares_memory(boxes, converted)
    assert converted.dtype == np.dtype("=f4")


@pytest.mark.parametrize(
    ("boxes", "source", "target", "error", "message"),
    [
        (np.zeros(4), "xyxy", "xywh", ValueError, r"convert_boxes: boxes must have shape \(N, 4\), .*, got \(4,\)"),
        (np.zeros((2, 3)), "xyxy", "xywh", ValueError, r"got \(2, 3\)"),
        (np.zeros((2, 4), int), "xyxy", "xywh", TypeError, "boxes must be float32 or float64, got int64"),
        (np.zeros((2, 4)), "yxyx", "xywh", ValueError, "source must be one of 'xyxy', 'xywh', 'cxcywh', got 'yxyx'"),
        (np.zeros((2, 4)), "xyxy", "XYWH", ValueError, "target must be one of 'xyxy', 'xywh', 'cxcywh', got 'XYWH'"),
    ],
)
def test_bad_input(boxes: Any, source: str, target: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        convert_boxes(boxes, source=source, target=target)
