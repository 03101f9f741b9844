"""Deviations of pasted masks and coded joints: one answer each that is computed by eye."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from golden.deviations import keypoints, pasting
from tests.golden._examples import Example, check

FAMILIES = (keypoints, pasting)
BY_KEY = {d.key: d for family in FAMILIES for d in family.DEVIATIONS}

SEEN = [[True]]
FULL = [[[1.0, 1.0], [1.0, 1.0]]]
D2: dict[str, Any] = {"size": (1, 6), "convention": "detectron2", "threshold": 0.5}
D1 = {**D2, "convention": "detectron1"}
PEAK = [[[[0.0, 0, 0], [0, 4, 2], [0, 0, 0]]]]  # −4 − 4 and −2 are curvatures, (2 − 0)/2 the slope along the row


def row(*pixels: int) -> list[Any]:
    """Return one picture of one row."""
    return [np.array([[pixels]], bool)]


def bar(x1: float, x2: float) -> tuple[Any, ...]:
    """Return a full mask in a box that is tall, so that columns alone decide."""
    return FULL, [[x1, -8.0, x2, 8.0]]


EXAMPLES = [
    # [2, 4] grows to [1, 5], of which pixels 1 to 5 read ½ and more in 2 to 4; by their centres pixels 2 and 3 do
    Example("mask.paste=centres", "paste_masks", bar(2, 4), D1, row(0, 0, 1, 1, 0, 0)),
    Example("mask.paste=whole_pixels", "paste_masks", bar(2, 4), D2, row(0, 0, 1, 1, 1, 0)),
    # [2.25, 3.75] grows to [1.5, 4.5], pixels 1 to 4 for 4 cells; rounded to even it is [2, 4], where ½ and ½ are read
    Example("mask.paste=rounded", "paste_masks", bar(2.25, 3.75), {**D1, "threshold": 0.75}, row(0, 0, 0, 0, 0, 0)),
    # the box rounds to [2, 4], beyond which there is nothing, though ¼ is left there
    Example("mask.paste=box", "paste_masks", bar(1.75, 4.25), {**D2, "threshold": 0.125}, row(0, 0, 1, 1, 0, 0)),
    # a pixel whose centre is on the edge, half a cell from the first cell's centre, is ½
    Example("mask.cmp=gt", "paste_masks", bar(1.5, 5.5), D2, row(0, 0, 1, 1, 1, 0)),
    # the box grows to [½, 2¾], pixels 0 to 2 for a cell in its frame
    Example("mask.cmp=ge", "paste_masks", ([[[0.5]]], [[1.25, 1.25, 2, 2]]), {**D1, "size": (3, 3)},
            [[[[0, 0, 0], [0, 1, 0], [0, 0, 0]]]]),
    Example(
        "keypoint.scale=float32",
        "encode_keypoints",
        (np.array([[[23, 0]]], np.float32), SEEN, np.array([[0, 0, 46, 46]], np.float32)),
        {"side": 28},
        [[[13]], SEEN],
    ),
    Example(
        "keypoint.scale=reciprocal",
        "encode_keypoints",
        (np.array([[[7, 0]]], np.float32), SEEN, np.array([[0, 0, 49, 49]], np.float32)),
        {"side": 28},
        [[[3]], SEEN],
    ),
    # (5, 3) of 8 × 8 is at (2½, 1½): column 3 and row 2 of four
    Example("keypoint.place=nearest", "encode_keypoints", ([[[5.0, 3.0]]], SEEN, [[0.0, 0, 8, 8]]), {"side": 4},
            [[[11]], SEEN]),
    Example("keypoint.place=nearest", "encode_keypoints", ([[[0.5, 4.0]]], SEEN, [[0.0, 0, 8, 8]]), {"side": 4},
            [[[0]], [[False]]]),
    Example("keypoint.thin=own_side", "decode_keypoints", (PEAK, [[5.0, 0, 5.5, 3]]), {"convention": "torchvision"},
            [[[[5.25, 1.5]]]]),
    # δ = 1/6 to the right, where the quadratic is 4 + 1/6 − 6/72
    Example("keypoint.peak=quadratic", "decode_keypoints", (PEAK, [[0.0, 0, 3, 3]]), {"convention": "torchvision"},
            [[[[1.5 + 1 / 6, 1.5]]], [[4 + 1 / 12]]]),
]  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.key)
def test_by_eye(example: Example) -> None:
    check(example, BY_KEY[example.key])


def test_each_has_an_example() -> None:
    assert {example.key for example in EXAMPLES} == set(BY_KEY)
    assert len(BY_KEY) == sum(len(family.DEVIATIONS) for family in FAMILIES)
