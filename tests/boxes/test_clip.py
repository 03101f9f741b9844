"""clip_boxes: the three conventions, the border, unusual numbers, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.boxes.clip import CONVENTIONS, clip_boxes, clip_boxes_kernel
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import clip_boxes as oracle

conventions = st.sampled_from(CONVENTIONS)
EVERYWHERE = np.array([[-5.0, -5.0, 99.0, 99.0]])


@pytest.mark.parametrize(
    ("convention", "clipped"),
    [("continuous", [0, 0, 20, 10]), ("legacy", [0, 0, 19, 9]), ("matlab", [1, 1, 20, 10])],
)
def test_hand_example(convention: str, clipped: list[float]) -> None:
    """An image 10 high and 20 wide."""
    np.testing.assert_array_equal(clip_boxes(EVERYWHERE, height=10, width=20, convention=convention), [clipped])


@given(data=st.data(), convention=conventions, seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, convention: str, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    values = np.array([-np.inf, -2.0, -0.5, 0.0, 0.5, 1.0, 2.0, 4.5, 5.0, 6.0, 7.0, 9.0, np.inf, np.nan])
    boxes = in_layout(rng.choice(values, (data.draw(st.integers(0, 5)), 4)).astype(dtype), layout)
    least = 0 if convention == "continuous" else 1
    params = {
        "height": data.draw(st.integers(least, 7)),
        "width": data.draw(st.integers(least, 7)),
        "convention": convention,
    }
    assert_agrees("clip_boxes", oracle, [boxes], rng=rng, params=params)


@given(convention=conventions, seed=seeds)
def test_clipping_twice_changes_nothing_more(convention: str, seed: int) -> None:
    boxes = np.random.default_rng(seed).uniform(-9, 30, (6, 4))
    once = clip_boxes(boxes, height=10, width=20, convention=convention)
    np.testing.assert_array_equal(clip_boxes(once, height=10, width=20, convention=convention), once)


def test_what_lies_inside_stays() -> None:
    inside = np.array([[0.0, 0.0, 20.0, 10.0], [1.25, 2.5, 3.0, 4.0]])
    np.testing.assert_array_equal(clip_boxes(inside, height=10, width=20), inside)


def test_a_box_beyond_the_image_becomes_empty_on_its_border() -> None:
    np.testing.assert_array_equal(clip_boxes(np.array([[30.0, 3, 40, 8]]), height=10, width=20), [[20, 3, 20, 8]])


def test_infinities_are_clipped_and_nan_is_not() -> None:
    boxes = np.array([[-np.inf, np.nan, np.inf, 4.0]])
    np.testing.assert_array_equal(clip_boxes(boxes, height=10, width=20), [[0, np.nan, 20, 4]])


def test_an_image_without_pixels() -> None:
    np.testing.assert_array_equal(clip_boxes(EVERYWHERE, height=0, width=0), np.zeros((1, 4)))


def test_sizes_of_numpy_keep_the_dtype() -> None:
    boxes = EVERYWHERE.astype(">f4")
    clipped = clip_boxes(boxes, height=np.int64(10), width=np.int64(20))  # type: ignore[arg-type]
    assert clipped.dtype == np.dtype("=f4")


@pytest.mark.parametrize(
    ("boxes", "options", "error", "message"),
    [
        (np.zeros((2, 8)), {}, ValueError, r"clip_boxes: boxes must have shape \(N, 4\), .*, got \(2, 8\)"),
        (np.zeros((2, 4), int), {}, TypeError, "clip_boxes: boxes must be float32 or float64, got int64"),
        (EVERYWHERE, {"height": -1}, ValueError, "clip_boxes: height must be at least 0, got -1"),
        (EVERYWHERE, {"width": -20}, ValueError, "clip_boxes: width must be at least 0, got -20"),
        (EVERYWHERE, {"width": 10**400}, ValueError, "clip_boxes: width must fit into int64, got one of 1329 bits"),
        (EVERYWHERE, {"width": 2.5}, TypeError, "clip_boxes: width must be an integer, got 2.5"),
        (EVERYWHERE, {"width": 0, "convention": "legacy"}, ValueError, "width must be at least 1, got 0"),
        (EVERYWHERE, {"height": 0, "convention": "matlab"}, ValueError, "height must be at least 1, got 0"),
        (EVERYWHERE, {"convention": "caffe"}, ValueError, "convention must be one of .*'matlab', got 'caffe'"),
    ],
)
def test_bad_input(boxes: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        clip_boxes(boxes, **{"height": 10, "width": 20, **options})


def test_the_kernel_refuses_what_the_function_refuses() -> None:
    with pytest.raises(ValueError, match="clip_boxes: height must be at least 0"):
        clip_boxes_kernel(EVERYWHERE, height=-1, width=5, convention="continuous")
    with pytest.raises(ValueError, match="clip_boxes: width must fit into int64"):
        clip_boxes_kernel(EVERYWHERE, height=1, width=10**400, convention="continuous")
