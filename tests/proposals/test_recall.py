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


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="proposals and truths must be of the same pictures, got 1 and 0 of them"):
        proposal_recall([np.zeros((0, 4))], [])
    with pytest.raises(ValueError, match="proposal_recall: iou must lie in"):
        proposal_recall([], [], iou=70)
