"""Tables of IoU, boxes × ground truths, for the tests of the matchings; and thresholds that some of them equal."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.agreement import Array, in_layout


def draw_iou(data: st.DataObject, rng: np.random.Generator, dtype: str, layout: str) -> Array:
    """Return overlaps in tenths, many of them equal and many 0, and in some examples NaN."""
    shape = data.draw(st.integers(0, 8)), data.draw(st.integers(0, 4))
    tenths = rng.choice([0, 0, 1, 3, 4, 5, 7, 9, 10], shape).astype(dtype) / np.array(10, dtype)
    hole = rng.random(shape) < data.draw(st.sampled_from([0, 0, 0.2]))
    return in_layout(np.where(hole, np.array(np.nan, dtype), tenths), layout)


def draw_tenth(data: st.DataObject, dtype: str) -> float:
    """Return a threshold in tenths, exact in the dtype, as the oracle compares in float64."""
    return float(np.array(data.draw(st.integers(0, 10)), dtype) / np.array(10, dtype))
