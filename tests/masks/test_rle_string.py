"""The text of run-length encoded masks: by hand, there and back, the COCO API, text that is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.masks.rle import RLE
from refdet.masks.rle_string import rle_from_string, rle_to_string

runs = st.lists(
    st.one_of(st.integers(0, 40), st.integers(0, 10**6), st.sampled_from([15, 16, 31, 32, 512])), min_size=1
)


def of(counts: list[int]) -> RLE:
    """Return a mask one pixel wide with these runs."""
    return RLE(np.array(counts, np.int64), (sum(counts), 1))


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ([0], "0"),
        ([15], "?"),  # 48 + 15, the largest number of one character
        ([16], "`0"),  # 16 has the sign bit of five set: 48 + 32 + 16, then 0
        ([1, 2, 3, 4], "1232"),  # the fourth is written as 4 − 2
        ([9, 9, 9, 4, 9], "999K0"),  # 4 − 9 = −5 = 27 − 32: 48 + 27; then 9 − 9
        ([9, 40, 9, 0], "9X19hN"),  # −40 = 24 − 2·32: 48 + 32 + 24 − 32·… is "h", then −2 = 30 − 32, "N"
    ],
)
def test_by_hand(counts: list[int], text: str) -> None:
    assert rle_to_string(of(counts)) == text
    back = rle_from_string(text, (sum(counts), 1))
    np.testing.assert_array_equal(back.counts, counts)
    assert back.size == (sum(counts), 1)
    assert back.counts.dtype == np.int64


@given(counts=runs)
def test_there_and_back(counts: list[int]) -> None:
    text = rle_to_string(of(counts))
    np.testing.assert_array_equal(rle_from_string(text, (sum(counts), 1)).counts, counts)
    np.testing.assert_array_equal(rle_from_string(text.encode(), (sum(counts), 1)).counts, counts)


@pytest.mark.oracle
@given(counts=runs)
def test_against_pycocotools(counts: list[int]) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    theirs = coco.frPyObjects({"size": [sum(counts), 1], "counts": counts}, sum(counts), 1)
    assert rle_to_string(of(counts)) == theirs["counts"].decode()


def test_no_runs() -> None:
    nothing = RLE(np.zeros(0, np.int64), (0, 4))
    assert rle_to_string(nothing) == ""
    assert rle_from_string("", (0, 4)).counts.shape == (0,)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("3 2", ValueError, r"rle_from_string: ' ' at 1 is not a character of this encoding"),
        ("3é", ValueError, r"rle_from_string: 'é' is not a character of this encoding"),
        ("3`", ValueError, r"rle_from_string: the text ends in the middle of a number"),
        ("`" * 12 + "0", ValueError, r"rle_from_string: a number of more than 12 characters"),
        ("32", ValueError, r"rle_from_string: the counts of the text must sum to H·W = 6 .*, got 5"),
        ("6O", ValueError, r"rle_from_string: the text has a negative count, -1"),
        (32, TypeError, r"rle_from_string: text must be str or bytes, got int"),
    ],
)
def test_bad_text(text: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        rle_from_string(text, (2, 3))
