"""coco_box_iou: the definition, its conventions, the same to the last bit as pycocotools, its errors."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.metrics.coco_box_iou import coco_box_iou, coco_box_iou_kernel
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import coco_box_iou as oracle

NAN = np.nan


def boxes(*rows: tuple[float, float, float, float]) -> Array:
    """Return (N, 4)."""
    return np.array(rows, np.float64).reshape(-1, 4)


def test_hand_example() -> None:
    """4 × 4 at (2, 3): the same; 1 × 1 of 16 + 16 − 1 at a corner; an edge; nothing."""
    iou = coco_box_iou(boxes((2, 3, 4, 4)), boxes((2, 3, 4, 4), (5, 6, 4, 4), (6, 3, 4, 4), (90, 3, 4, 4)))
    np.testing.assert_array_equal(iou, [[1, 1 / 31, 0, 0]])


def test_a_crowd_is_divided_by_the_detection() -> None:
    """2 × 2 are shared: of 4 × 4 + 2 × 2 − 4; of the 16 of the detection; and the other way round, all of it."""
    d, g = boxes((0, 0, 4, 4)), boxes((0, 0, 2, 2))
    np.testing.assert_array_equal(coco_box_iou(d, g), [[0.25]])
    np.testing.assert_array_equal(coco_box_iou(d, g, np.array([True])), [[0.25]])
    np.testing.assert_array_equal(coco_box_iou(g, d), [[0.25]])
    np.testing.assert_array_equal(coco_box_iou(g, d, np.array([True])), [[1.0]])


def test_without_area() -> None:
    """0, also for a box and itself, crowd or not."""
    flat = boxes((2, 3, 0, 4), (2, 3, 4, 0), (2, 3, 0, 0))
    for crowd in (False, True):
        np.testing.assert_array_equal(coco_box_iou(flat, flat, np.full(3, crowd)), np.zeros((3, 3)))


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    """Coordinates from a few values, so that boxes coincide, touch and are empty."""
    rng = np.random.default_rng(seed)
    values = np.array([0.0, 0.5, 1.0, 3.0, 3.0, 7.25, *([NAN] * data.draw(st.integers(0, 1)))])
    n, m = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 4))
    d, g = (in_layout(rng.choice(values, (k, 4)).astype(dtype), layout) for k in (n, m))
    crowd = in_layout(rng.random(m) < 0.5, layout)
    assert_agrees("coco_box_iou", oracle, [d, g, crowd], rng=rng, params={})


@pytest.mark.oracle
@given(seed=seeds)
def test_the_bits_of_pycocotools(seed: int) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(seed)
    start, size = rng.uniform(-30, 30, (2, 9, 2)), rng.exponential(30, (2, 9, 2)) * rng.integers(0, 2, (2, 9, 1))
    d, g = np.concatenate([start, size], axis=2)
    crowd = rng.random(9) < 0.5
    np.testing.assert_array_equal(coco_box_iou(d, g, crowd), coco.iou(d, g, crowd.tolist()))


def test_where_the_sum_rounds_up() -> None:
    """2⁵³ + 3 rounds to 2⁵³ + 4: 4 of 3 + 3 − 4 are shared. (The corners of these boxes are equal: IoU 1.)"""
    box = boxes((2.0**53, 0, 3, 1))
    np.testing.assert_array_equal(coco_box_iou(box, box), [[2.0]])


@pytest.mark.parametrize("batch", [(), (2,)])
def test_in_pieces(batch: tuple[int, ...]) -> None:
    """Some rows at a time give the same."""
    rng = np.random.default_rng(1)
    d, g = rng.uniform(0, 4, (*batch, 7, 4)), rng.uniform(0, 4, (*batch, 3, 4))
    whole = coco_box_iou(d, g)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.import_module("refdet.metrics.coco_box_iou"), "CHUNK_ELEMENTS", 24)
        np.testing.assert_array_equal(coco_box_iou(d, g), whole)


def test_a_batch() -> None:
    rng = np.random.default_rng(0)
    d, g, crowd = rng.uniform(0, 4, (3, 5, 4)), rng.uniform(0, 4, (3, 2, 4)), rng.random((3, 2)) < 0.5
    one_by_one = [coco_box_iou(*problem) for problem in zip(d, g, crowd, strict=True)]
    np.testing.assert_array_equal(coco_box_iou(d, g, crowd), one_by_one)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((boxes(), np.zeros((2, 5))), ValueError, r"coco_box_iou: ground_truths must have shape \(\.\.\., N, 4\), got"),
        ((np.zeros((2, 4), int), boxes()), TypeError, r"coco_box_iou: detections must be float32 or float64, got int"),
        ((boxes(), boxes(), np.zeros(0)), TypeError, r"coco_box_iou: crowd must be a boolean array, got float64"),
        ((boxes(), boxes(), [True]), TypeError, r"coco_box_iou: crowd must be an array, got list"),
        (
            (boxes(), boxes(), np.zeros(3, bool)),
            ValueError,
            r"coco_box_iou: .* must go together, got \(0, 4\), \(0, 4\)",
        ),
        ((np.zeros((2, 1, 4)), np.zeros((3, 1, 4))), ValueError, r"coco_box_iou: .* must go together"),
    ],
)
def test_bad_input(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        coco_box_iou(*arguments)


def test_the_kernel_needs_to_know_the_crowds() -> None:
    with pytest.raises(TypeError, match=r"coco_box_iou: crowd must be an array, got NoneType"):
        coco_box_iou_kernel(boxes(), boxes(), None)  # type: ignore[arg-type]
