"""Training in turns: who learns when, from what it starts, and that all else keeps every bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.data.sample import Sample
from refdet.detection.alternating_training import (
    AlternatingStep,
    Losses,
    WithRPNProposals,
    alternating_steps,
    rpn_proposals_of,
    train_alternating,
)
from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.preparation import Preparation
from refdet.detection.small_detectors import small_faster_rcnn
from refdet.nn import SGD
from tests.detection.tiny_detectors import CLASS_NAMES, TINY_RPN, picture, tiny

SAMPLES = [picture(), picture("b.jpg", boxes=[(2, 2, 20, 22)], classes=[2])]


def detector(seed: int = 0) -> FasterRCNN:
    return small_faster_rcnn(CLASS_NAMES, rng=np.random.default_rng(seed), settings=tiny(batch_norm=True))


def fresh(part: str) -> Mapping[str, Array]:
    """Return the state of a part of another network: what a part begins from."""
    state: Mapping[str, Array] = getattr(detector(9), part).state_dict()
    return state


class Recorder:
    """Train with two steps of gradient descent, and remember what was before and after each turn."""

    def __init__(self) -> None:
        self.turns: list[tuple[AlternatingStep, dict[str, Array], dict[str, Array], Sequence[Sample]]] = []

    def __call__(self, step: AlternatingStep, model: FasterRCNN, samples: Sequence[Sample], losses: Losses) -> None:
        before = model.state_dict()
        optimiser = SGD(model.named_parameters(), lr=0.05)
        for seed in range(2):
            found = losses([samples[seed]], rng=np.random.default_rng(seed))
            assert set(found) == ({"rpn_objectness", "rpn_box"} if step.losses == "rpn" else {"class", "box"})
            model.zero_grad()
            a, b = found.values()
            (a + b).backward()
            optimiser.step()
        self.turns.append((step, before, model.state_dict(), samples))


def changed(before: Mapping[str, Array], after: Mapping[str, Array]) -> set[str]:
    """Return the parts of which any bit is another."""
    return {name.split(".")[0] for name in before if before[name].tobytes() != after[name].tobytes()}


@pytest.mark.parametrize(
    ("policy", "learn"),
    [
        ("paper", [{"backbone", "rpn"}, {"backbone", "roi_heads"}, {"rpn"}, {"roi_heads"}]),
        ("deck", [{"rpn"}, {"backbone", "roi_heads"}, {"rpn"}, {"roi_heads"}]),
    ],
)
def test_tables_of_what_learns(policy: str, learn: list[set[str]]) -> None:
    """What is frozen stays bit-identical, the statistics of batch normalisation too; what learns does change."""
    model, train = detector(), Recorder()
    always = "backbone.features.0.weight"
    first = dict(model.named_parameters())[always]
    first.requires_grad = False
    train_alternating(model, SAMPLES, initialise=fresh, train=train, policy=policy)
    assert [changed(before, after) for _, before, after, _ in train.turns] == learn
    for _, before, after, _ in train.turns:
        np.testing.assert_array_equal(before[always], after[always])
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == [always]

    begins_anew = [turn[1] for turn in train.turns]
    for part in ("backbone", "rpn", "roi_heads"):
        for name, value in fresh(part).items():
            np.testing.assert_array_equal(begins_anew[0][f"{part}.{name}"], value)
            if policy == "paper":
                np.testing.assert_array_equal(begins_anew[1][f"{part}.{name}"], value)
    for turn, following in zip(train.turns, train.turns[1:], strict=False):
        if not following[0].anew:
            assert not changed(turn[2], following[1])


def test_second_stage_learns_from_proposals_of_the_step_before() -> None:
    """Those are made before its network begins anew."""
    model, train = detector(), Recorder()
    train_alternating(model, SAMPLES, initialise=fresh, train=train)
    assert train.turns[0][3][0].proposals is None
    for i in (1, 3):
        before = detector()
        before.load_state_dict(train.turns[i - 1][2])
        for given, sample in zip(train.turns[i][3], SAMPLES, strict=True):
            np.testing.assert_array_equal(given.proposals, rpn_proposals_of(before, sample.image))
            assert given.name == sample.name


def test_proposals_of_all_anchors() -> None:
    """No cut before the suppression, though testing has one of 6; in pixels of the picture, not of 64 × 64."""
    settings = tiny(rpn=replace(TINY_RPN, pre_nms=(60, 6)), preparation=Preparation(short=64))
    model = small_faster_rcnn(CLASS_NAMES, rng=np.random.default_rng(0), settings=settings)
    many, few = (WithRPNProposals(model, SAMPLES, n=n)[0].proposals for n in (2000, 3))
    assert many is not None
    assert few is not None
    assert len(few) == 3
    assert few.dtype == np.float32
    assert len(many) > 10
    np.testing.assert_array_equal(many[:3], few)
    assert many.min() >= 0
    assert 31 < many.max() <= 32


def test_proposals_of_the_last_of_several_sizes() -> None:
    found, expected = (
        rpn_proposals_of(
            small_faster_rcnn(
                CLASS_NAMES, rng=np.random.default_rng(0), settings=tiny(preparation=Preparation(short=short))
            ),
            SAMPLES[0].image,
        )
        for short in ((32, 64), 64)
    )
    np.testing.assert_array_equal(found, expected)


def test_what_changes_a_frozen_array_is_refused() -> None:
    def meddles(step: AlternatingStep, model: FasterRCNN, samples: Sequence[Sample], losses: Losses) -> None:
        if step.number == 3:
            weight = model.roi_heads.box_predictor.cls_score.weight
            weight.data = np.nextafter(weight.data, 1, dtype=np.float32)

    model = detector()
    with pytest.raises(RuntimeError, match=r"step 3 changed roi_heads.box_predictor.cls_score.weight"):
        train_alternating(model, SAMPLES, initialise=fresh, train=meddles)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_published_numbers_of_steps() -> None:
    assert [step.n_published for step in alternating_steps()] == [80_000, 40_000, 80_000, 40_000]
    with pytest.raises(ValueError, match="policy"):
        alternating_steps("both")
