"""Run-length encoded masks as large as photographs, with empty runs; and what is refused before it is read."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.masks.rle import RLE, rle_decode_kernel, rle_encode_kernel
from refdet.masks.rle_iou import ragged, rle_iou_kernel
from tests.backends.cpu.difficult_boxes import assert_identical

pytest.importorskip("numba")

from refdet_numba.cpu.rle import rle_decode, rle_encode
from refdet_numba.cpu.rle_iou import rle_iou

SIZES = [(480, 640), (33, 65), (1, 70), (70, 1), (1, 1), (0, 3), (3, 0)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("density", [0, 0.01, 0.5, 1])
def test_there_and_back(size: tuple[int, int], density: float) -> None:
    mask = np.random.default_rng(0).random(size) < density
    counts = rle_encode(mask)
    assert_identical(counts, rle_encode_kernel.reference(mask))
    assert_identical(rle_encode(np.asfortranarray(mask)), counts)
    decoded = rle_decode(counts, size=size)
    assert_identical(decoded, mask)
    assert decoded.strides == rle_decode_kernel.reference(counts, size=size).strides


def masks(n: int, seed: int) -> list[RLE]:
    """Return masks of rectangles with holes, some of them empty; every third has two empty runs in the middle."""
    rng, found = np.random.default_rng(seed), []
    for i in range(n):
        mask = np.zeros((60, 70), bool)
        (top, left), (h, w) = rng.integers(0, 40, 2), rng.integers(0, 30, 2)
        mask[top : top + h, left : left + w] = rng.random(mask[top : top + h, left : left + w].shape) < 0.8
        counts = rle_encode_kernel.reference(mask)
        if i % 3 == 0:
            counts = np.insert(counts, [len(counts) // 2] * 2, 0)
        found.append(RLE(counts, mask.shape))
    return found


@pytest.mark.parametrize("few", [0, 2**62])
def test_overlaps_of_many_masks(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On several threads, and on one."""
    monkeypatch.setattr(importlib.import_module("refdet_numba.cpu.rle_iou"), "FEW_STEPS", few)
    d, g = masks(60, 0), masks(25, 1)
    crowd = np.random.default_rng(0).random(25) < 0.3
    for some, others in ((d, g), (d[:1], g), (d[:0], g), (d, g[:0])):
        for flags in (None, crowd[: len(others)]):
            arrays = (*ragged(some), *ragged(others), flags)
            assert_identical(rle_iou(*arrays, size=(60, 70)), rle_iou_kernel.reference(*arrays, size=(60, 70)))


@pytest.mark.parametrize("counts", [[-1, 7], [3, 4], [3, 2], [2**62, 2**62, 2**62, 2**62]])
def test_runs_that_do_not_fill_the_mask_are_refused(counts: list[int]) -> None:
    with pytest.raises(ValueError, match="rle_decode: counts must be at least 0 and sum to H·W = 6"):
        rle_decode(np.array(counts), size=(2, 3))


@pytest.mark.parametrize("starts", [[0, 4], [-1, 3], [0, 2, 1, 3]])
def test_masks_outside_of_the_counts_are_refused(starts: list[int]) -> None:
    counts, good = np.array([1, 2, 3]), np.array([0, 3])
    bad: Array = np.array(starts)
    with pytest.raises(ValueError, match="rle_iou: starts must ascend from 0 to the number of counts, 3"):
        rle_iou(counts, bad, counts, good, None, size=(2, 3))
    with pytest.raises(ValueError, match="rle_iou: other_starts must ascend"):
        rle_iou(counts, good, counts, bad, None, size=(2, 3))
