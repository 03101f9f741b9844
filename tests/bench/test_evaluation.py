"""The evaluation of COCO as a workload: both sides compute the same, on data of the kind that is described."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from refdet.bench.agreement import compare
from refdet.bench.drawn_masks import N_NUMBERS, draw_masks
from refdet.bench.evaluation import COCO, N_DETECTIONS, N_MASKS, SIDE, inputs, inputs_with_masks
from refdet.bench.sides import RefdetSide, Side, Unsupported, open_side
from refdet.bench.workloads import Workload
from refdet.core.check import Array
from refdet.masks import rle_decode
from refdet.masks.rle import RLE
from tests.bench import small


def test_the_data_are_what_they_are_said_to_be() -> None:
    drawn: dict[str, Array] = {
        name: x for name, x in inputs(np.random.default_rng(0), n_images=200, n_objects=1440).items() if x is not None
    }
    assert (len(drawn["boxes"]), len(drawn["truth_boxes"])) == (200 * N_DETECTIONS, 1440)
    assert (np.bincount(drawn["images"])[1:] == N_DETECTIONS).all()
    areas = drawn["truth_boxes"][:, 2] * drawn["truth_boxes"][:, 3]
    assert 0.35 < (areas < 32**2).mean() < 0.45
    assert 0 < drawn["is_crowd"].mean() < 0.03
    first, tenth = (np.count_nonzero(drawn["truth_categories"] == k) for k in (1, 10))
    assert first > 5 * tenth > 0
    assert len(np.unique(drawn["scores"])) < 1001  # ties


def test_masks_fill_their_boxes() -> None:
    """Every column of the box has one run, which lies in the box; the waves take at most 40 % of the height away."""
    rng = np.random.default_rng(0)
    boxes = np.array([[0.0, 0, 40, 30], [10.5, 20.25, 31.5, 7.25], [600, 600, 40, 40], [3, 4, 0.5, 0.5]])
    counts, starts = draw_masks(boxes, rng.random((4, N_NUMBERS)), SIDE)
    assert (counts[np.setdiff1d(np.arange(len(counts)), starts)] > 0).all()  # only a first count may be 0
    for (x, y, w, h), i, j in zip(boxes.tolist(), starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        mask = rle_decode(RLE(counts[i:j], (SIDE, SIDE)))
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert (columns[0], columns[-1] + 1) == (np.floor(x), np.ceil(x + w))
        assert rows[0] >= np.floor(y)
        assert rows[-1] < np.ceil(y + h)
        assert (np.diff(mask.astype(int), axis=0, prepend=0) == 1).sum(axis=0).max() == 1
        assert mask.sum() >= 0.4 * w * h


def test_masks_of_what_was_found_are_like_those_of_the_objects() -> None:
    drawn = {n: np.asarray(x) for n, x in inputs_with_masks(np.random.default_rng(0), n_images=9, n_objects=60).items()}
    assert len(drawn["starts"]) == 9 * N_MASKS + 1
    assert len(drawn["truth_starts"]) == 60 + 1
    for prefix in ("", "truth_"):
        totals = np.add.reduceat(drawn[prefix + "counts"], drawn[prefix + "starts"][:-1])
        assert (totals == SIDE**2).all()


def outputs(side: Side, workload: Workload) -> list[Array]:
    runnable = side.prepare(workload, workload.inputs(0))
    return runnable.outputs(runnable.call())


@pytest.mark.oracle
@pytest.mark.parametrize("workload", small.COCO.workloads, ids=lambda workload: workload.name)
@pytest.mark.parametrize("library", ["pycocotools", "faster-coco-eval"])
def test_both_sides_agree(library: str, workload: Workload) -> None:
    module = library.replace("-", "_")
    pytest.importorskip(module, reason=f"{library}, which is compared with, is not installed")
    ours, theirs = outputs(RefdetSide("reference"), workload), outputs(open_side(library, 1), workload)
    assert compare(ours, theirs, workload.tolerance).problem is None
    assert (ours[0] > 0.1).any()
    assert compare([1.001 * y for y in ours], theirs, workload.tolerance).problem is not None


@pytest.mark.oracle
@pytest.mark.parametrize("library", ["pycocotools", "faster-coco-eval"])
def test_libraries_say_what_they_cannot_do(library: str) -> None:
    module = library.replace("-", "_")
    pytest.importorskip(module, reason=f"{library}, which is compared with, is not installed")
    workload = dataclasses.replace(COCO.workloads[0], kernel="conv2d.forward")
    with pytest.raises(Unsupported, match=rf"{library} has no conv2d\.forward"):
        open_side(library, 1).prepare(workload, {})
