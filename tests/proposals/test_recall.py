"""proposal_recall."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refdet.proposals.recall import proposal_recall


def test_hand_example() -> None:
    """Best IoUs: 1/2 (and 1/4) for the first object, 1 for the second, 0 for the third, in another picture."""
    proposals = [np.array([[0.0, 0, 2, 2], [0, 0, 4, 2], [7, 7, 9, 9]]), np.array([[0.0, 0, 2, 2]])]
    truths = [np.array([[0.0, 0, 4, 4], [7, 7, 9, 9]]), np.array([[7.0, 7, 9, 9]])]
    assert proposal_recall(proposals, truths, iou=0.5) == 2 / 3
    assert proposal_recall(proposals, truths, iou=0.51) == 1 / 3
    assert proposal_recall(proposals, truths) == 1 / 3


def test_one_proposal_may_find_two_objects() -> None:
    box = np.array([[0.0, 0, 2, 2]])
    assert proposal_recall([box], [np.repeat(box, 2, axis=0)]) == 1


def test_nothing_proposed_and_nothing_to_find() -> None:
    none, one = np.zeros((0, 4)), np.array([[0.0, 0, 2, 2]])
    assert proposal_recall([none], [one]) == 0
    assert math.isnan(proposal_recall([one], [none]))
    assert math.isnan(proposal_recall([], []))


def test_dtypes_may_differ() -> None:
    """0.1 of float32 lies above 0.1, and its box is smaller: in float64 the IoU is below 1, and finds nothing."""
    narrow, wide = np.array([[0.1, 0, 1, 1]], np.float32), np.array([[0.1, 0, 1, 1]])
    assert proposal_recall([narrow, wide], [wide, narrow], iou=1) == 0
    assert proposal_recall([narrow, wide], [wide, narrow], iou=0.999) == 1
    assert proposal_recall([narrow, wide], [narrow, wide], iou=1) == 1
    assert proposal_recall([narrow[:0], wide], [wide, narrow], iou=0.5) == 1 / 2


def test_bad_input() -> None:
    boxes = np.zeros((1, 4))
    with pytest.raises(TypeError, match=r"proposal_recall: proposals\[1\] must be float32 or float64, got int64"):
        proposal_recall([boxes, np.zeros((1, 4), int)], [boxes, boxes])
    with pytest.raises(ValueError, match=r"proposal_recall: truths\[0\] must have shape \(N, 4\)"):
        proposal_recall([boxes], [np.zeros((1, 5))])
    with pytest.raises(ValueError, match="proposals and truths must be of the same pictures, got 1 and 0 of them"):
        proposal_recall([np.zeros((0, 4))], [])
    with pytest.raises(TypeError, match="proposal_recall: proposals must be a sequence, got 3"):
        proposal_recall(3, [boxes])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="proposal_recall: truths must be a sequence, got None"):
        proposal_recall([boxes], None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="proposal_recall: iou must lie in"):
        proposal_recall([], [], iou=70)
