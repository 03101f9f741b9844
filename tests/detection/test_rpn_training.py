"""What a region proposal network learns, on anchors that can be counted on the fingers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor
from refdet.detection.rpn import RPNOutput
from refdet.detection.rpn_settings import PAPER_RPN, RPNSettings
from refdet.detection.rpn_training import DrawnAnchors, RPNTargets, draw_anchors, drawn_anchors, rpn_losses, rpn_targets
from refdet.ops.softmax_cross_entropy import softmax_cross_entropy

SETTINGS = RPNSettings(sizes=((8.0,),))
ANCHORS = np.array([[0.0, 0, 8, 8], [4, 0, 12, 8], [8, 0, 16, 8], [16, 0, 24, 8]])


def test_labels_by_hand() -> None:
    """Overlaps with the object are 1, 1/3, 0 and 0: positive, neither, background."""
    targets = rpn_targets(ANCHORS, np.array([[0.0, 0, 8, 8]]), (8, 32), SETTINGS)
    assert targets.labels.tolist() == [1, -1, 0, 0]
    assert targets.matches.tolist() == [0, 0, 0, 0]


def test_best_anchor_is_positive_whatever_its_overlap() -> None:
    """A box of 2 × 8 at the right of anchor 3 overlaps it by a quarter, and no other."""
    targets = rpn_targets(ANCHORS, np.array([[22.0, 0, 24, 8]]), (8, 32), SETTINGS)
    assert targets.labels.tolist() == [0, 0, 0, 1]


def test_anchors_over_the_border_may_be_left_out() -> None:
    """x2 < W: the last anchor ends on the border of a picture 24 pixels wide."""
    settings = replace(SETTINGS, inside_only=True)
    boxes = np.array([[0.0, 0, 8, 8]])
    assert rpn_targets(ANCHORS, boxes, (9, 24), settings).labels.tolist() == [1, -1, 0, -1]
    assert rpn_targets(ANCHORS, boxes, (9, 25), settings).labels.tolist() == [1, -1, 0, 0]
    assert rpn_targets(ANCHORS, boxes, (8, 25), settings).labels.tolist() == [-1, -1, -1, -1]  # y2 = H
    assert rpn_targets(ANCHORS - [1, 0, 1, 0], boxes, (9, 25), settings).labels[0] == -1


def test_without_objects_all_is_background() -> None:
    targets = rpn_targets(ANCHORS, np.zeros((0, 4)), (8, 32), SETTINGS)
    assert targets.labels.tolist() == [0, 0, 0, 0]


def test_an_object_that_no_anchor_touches() -> None:
    """With torchvision's rule it makes a positive of every anchor without overlap; the guard forbids it."""
    far = np.array([[100.0, 100, 108, 108]])
    assert rpn_targets(ANCHORS, far, (8, 32), SETTINGS).labels.tolist() == [0, 0, 0, 0]
    assert rpn_targets(ANCHORS, far, (8, 32), replace(SETTINGS, guard_zero=False)).labels.tolist() == [1, 1, 1, 1]


def test_legacy_coordinates() -> None:
    """Both have 9 × 9 pixels, and share a column of nine: 9/153 with + 1; without it they only touch."""
    boxes, best = np.array([[8.0, 0, 16, 8]]), ANCHORS[:1]
    assert rpn_targets(best, boxes, (9, 32), replace(SETTINGS, coordinates=1)).labels.tolist() == [1]
    assert rpn_targets(best, boxes, (9, 32), SETTINGS).labels.tolist() == [0]


def test_draw_of_two_pictures() -> None:
    """At most half of four may be positive; the indices of the second picture follow those of the first."""
    settings = replace(SETTINGS, n_drawn=4)
    match = np.zeros(6, np.int64)
    first = RPNTargets(np.array([1, 1, 1, 0, 0, -1]), match)
    second = RPNTargets(np.array([0, -1, 1, 0, 0, 0]), match)
    seen = set()
    for seed in range(20):
        positives, negatives = draw_anchors([first, second], settings, rng=np.random.default_rng(seed))
        of_first = positives[positives < 6]
        assert len(of_first) == 2
        assert set(of_first) < {0, 1, 2}
        assert positives[positives >= 6].tolist() == [8]
        assert negatives[negatives < 6].tolist() == [3, 4]
        assert len(negatives) == 5
        assert set(negatives[2:]) < {6, 9, 10, 11}
        seen.add(tuple(positives))
    assert len(seen) == 3


def test_targets_of_the_positives_of_a_batch() -> None:
    """In the second picture anchor 1 is moved by a quarter of its width, and is twice as high."""
    none = RPNTargets(np.zeros(4, np.int64), np.full(4, -1))
    one = RPNTargets(np.array([-1, 1, 0, 0]), np.array([0, 1, 0, 0]))
    boxes = [np.zeros((0, 4)), np.array([[0.0, 0, 1, 1], [6, -4, 14, 12]])]
    drawn = drawn_anchors(ANCHORS, boxes, [none, one], np.array([5]), np.array([0, 7]), SETTINGS)
    np.testing.assert_allclose(drawn.deltas, [[0.25, 0, 0, math.log(2)]])


def output(logits: list[float], deltas: list[list[float]]) -> RPNOutput:
    tensor = Tensor(np.array([logits]), requires_grad=True)
    return RPNOutput(tensor, Tensor(np.array([deltas], float), requires_grad=True), ANCHORS, np.zeros(4, np.int64), 2)


def test_losses_by_hand() -> None:
    """Anchor 0 is positive, 2 and 3 are negative, 1 is not drawn.

    Objectness: −log σ(0) − log(1 − σ(0)) − log(1 − σ(log 3)) = log 2 + log 2 + log 4 = 4 log 2, over three anchors.
    Box, β = 1/9: a distance of 1/18 costs 9/2 · 1/324 = 1/72, one of 1 costs 1 − 1/18 = 17/18.
    """
    said = output([0.0, 50.0, 0.0, math.log(3)], [[1 / 18, 1, 0, 0], [9, 9, 9, 9], [9, 9, 9, 9], [9, 9, 9, 9]])
    drawn = DrawnAnchors(np.array([0]), np.array([2, 3]), np.zeros((1, 4)))
    losses = rpn_losses(said, drawn, SETTINGS)
    assert list(losses) == ["rpn_objectness", "rpn_box"]
    assert losses["rpn_objectness"].item() == pytest.approx(4 * math.log(2) / 3, rel=1e-14)
    assert losses["rpn_box"].item() == pytest.approx((1 / 72 + 17 / 18) / 3, rel=1e-14)

    losses["rpn_objectness"].backward()
    assert said.logits.grad is not None
    np.testing.assert_allclose(said.logits.grad, [[-0.5 / 3, 0, 0.5 / 3, 0.75 / 3]], rtol=1e-14)
    losses["rpn_box"].backward()
    assert said.deltas.grad is not None
    expected = np.zeros((1, 4, 4))
    expected[0, 0, :2] = 0.5 / 3, 1 / 3
    np.testing.assert_allclose(said.deltas.grad, expected, rtol=1e-14)


@pytest.mark.parametrize(("normaliser", "n"), [("drawn", 3), ("fixed", 256), ("positions", 2)])
def test_normalisers(normaliser: str, n: int) -> None:
    """Of one picture with two positions: the three anchors drawn, the 256 wanted, the positions."""
    said = output([0.0] * 4, [[0.0, 1, 0, 0]] + [[0.0, 0, 0, 0]] * 3)
    drawn = DrawnAnchors(np.array([0]), np.array([2, 3]), np.zeros((1, 4)))
    settings = replace(SETTINGS, class_normaliser=normaliser, box_normaliser=normaliser, box_weight=10.0, beta=0.0)
    losses = rpn_losses(said, drawn, settings)
    assert losses["rpn_objectness"].item() == pytest.approx(3 * math.log(2) / n)
    assert losses["rpn_box"].item() == pytest.approx(10 / n)


def test_balance_of_the_paper() -> None:
    """λ = 10 makes up for 2400 positions beside 256 anchors, so that both terms weigh about the same (§3.1.2)."""
    said = output([0.0] * 4, [[2.0, 0, 0, 0]] * 4)._replace(n_positions=2400)
    losses = rpn_losses(said, DrawnAnchors(np.array([0]), np.array([2]), np.zeros((1, 4))), PAPER_RPN)
    assert losses["rpn_objectness"].item() == pytest.approx(2 * math.log(2) / 256)
    assert losses["rpn_box"].item() == pytest.approx(10 * 1.5 / 2400)


def test_softmax_of_two_is_the_sigmoid_of_their_difference() -> None:
    """The loss of the 2k channels, as the paper has it, is that of f − b."""
    rng = np.random.default_rng(0)
    background, foreground = rng.standard_normal((2, 4))
    drawn = DrawnAnchors(np.array([1]), np.array([0, 3]), np.zeros((1, 4)))
    ours = rpn_losses(output((foreground - background).tolist(), [[0.0] * 4] * 4), drawn, SETTINGS)["rpn_objectness"]
    pairs = np.stack([background, foreground], axis=1)[[1, 0, 3]]
    assert ours.item() == pytest.approx(softmax_cross_entropy(pairs, np.array([1, 0, 0])).item(), rel=1e-13)


def test_normalisers_count_all_pictures() -> None:
    """Of two pictures: 2 · 256 anchors wanted, 2 · 2 positions."""
    logits, deltas = Tensor(np.zeros((2, 4))), Tensor(np.ones((2, 4, 4)))
    said = RPNOutput(logits, deltas, ANCHORS, np.zeros(4, np.int64), 2)
    drawn = DrawnAnchors(np.array([0, 5]), np.array([2]), np.zeros((2, 4)))
    settings = replace(SETTINGS, class_normaliser="fixed", box_normaliser="positions", beta=0.0)
    losses = rpn_losses(said, drawn, settings)
    assert losses["rpn_objectness"].item() == pytest.approx(3 * math.log(2) / 512)
    assert losses["rpn_box"].item() == pytest.approx(8 / 4)


def test_share_of_positives_is_cut_off() -> None:
    """0.3 of six are 1.8: one, and five negatives."""
    targets = RPNTargets(np.repeat([1, 0], 8), np.zeros(16, np.int64))
    settings = replace(SETTINGS, n_drawn=6, positive_fraction=0.3)
    positives, negatives = draw_anchors([targets], settings, rng=np.random.default_rng(0))
    assert (len(positives), len(negatives)) == (1, 5)


def test_targets_by_another_transform() -> None:
    """With + 1 anchor 0 is 9 wide and its object 18: log 2, and not log 17/8."""
    one = RPNTargets(np.array([1, 0, 0, 0]), np.zeros(4, np.int64))
    drawn = drawn_anchors(
        ANCHORS,
        [np.array([[0.0, 0, 17, 8]])],
        [one],
        np.array([0]),
        np.array([1]),
        replace(SETTINGS, transform="py-faster"),
    )
    np.testing.assert_allclose(drawn.deltas, [[0.5, 0, math.log(2), 0]])


def test_nothing_drawn_costs_nothing() -> None:
    none = np.zeros(0, np.int64)
    losses = rpn_losses(output([1.0] * 4, [[0.0] * 4] * 4), DrawnAnchors(none, none, np.zeros((0, 4))), SETTINGS)
    assert [loss.item() for loss in losses.values()] == [0.0, 0.0]
