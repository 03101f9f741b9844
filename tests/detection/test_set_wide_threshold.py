"""Thresholds of a set of pictures: by hand, at ties, against the walk of the published code, and in a detector."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.detection.detected import Detected
from refdet.detection.hard_negative_mining import MiningSettings
from refdet.detection.machines_on_regions import MachinesOnRegions
from refdet.detection.rcnn import small_rcnn
from refdet.detection.rcnn_settings import RCNNSettings
from refdet.detection.region_detections import DetectionSettings, detect_regions
from refdet.detection.set_wide_threshold import set_wide_thresholds
from refdet.detection.spp_net import small_spp_net
from refdet.detection.spp_settings import SPPSettings
from tests.agreement import seeds
from tests.detection.coloured_squares import CLASS_NAMES, coloured_square
from tests.oracles import set_wide_threshold as oracle

INF, NAN = np.inf, np.nan


def of_one_class(*pictures: list[float]) -> list[Array]:
    """Return the scores (R, 2) of pictures of which column 1 is given; the background is surer than all."""
    return [np.array([[99.0, score] for score in column]).reshape(-1, 2) for column in pictures]


def threshold(*pictures: list[float], **options: Any) -> float:
    background, of_class = set_wide_thresholds(of_one_class(*pictures), **options).tolist()
    assert background == -INF
    return float(of_class)


# by hand


def test_hand_values() -> None:
    """Of 9 8 7 6 and 3 2 1, in two pictures, 2·n may stay."""
    pictures = [9.0, 6, 8, 7], [2.0, 3, 1]
    assert [threshold(*pictures, per_picture=n) for n in (1, 2, 3, 4)] == [8, 6, 2, -INF]
    assert [threshold(*pictures, per_picture=n, top_per_class=2) for n in (1, 2)] == [8, -INF]
    assert [threshold(*pictures, per_picture=1, top_per_class=k) for k in (0, 1, 2, 3, None)] == [-INF, -INF, 8, 8, 8]


def test_the_numbers_of_the_paper() -> None:
    """Of a picture 100 scores count, here 200 … 101, of which 40 stay for each picture: of two pictures 80."""
    scores = list(map(float, range(1, 201)))
    assert threshold(scores) == 200 - 39
    assert threshold(scores, [0.0] * 100) == 200 - 79
    assert threshold(scores, []) == 200 - 79
    assert threshold(scores, [], []) == -INF  # 120 may stay, and 100 are there
    assert threshold(scores, [-x for x in scores[:21]], []) == -20  # 121 are there


def test_as_many_as_may_stay_all_stay() -> None:
    assert threshold([3.0, 2], [1.0], per_picture=1) == 2
    assert threshold([3.0], [1.0], per_picture=1) == -INF
    assert threshold([], [], per_picture=1) == -INF


def test_ties() -> None:
    """Copies count one by one; all that equal the threshold stay, in both pictures and in either order of these."""
    pictures = of_one_class([5, 4], [4, 4, 3])
    for ordered in (pictures, pictures[::-1]):
        at_least = set_wide_thresholds(ordered, per_picture=1)
        assert at_least[1] == 4
        assert [detections(scores, at_least).scores.tolist() for scores in pictures] == [[5, 4], [4, 4]]


def test_the_published_walk_loses_what_comes_after_the_threshold_and_equals_it() -> None:
    """The first picture raises the threshold to 4; the 4 of the second must be above it, and is not."""
    pictures = of_one_class([5, 4, 4], [4])
    (_, kept), thresholds, raised_by = oracle.forward(pictures, n_classes=2, top_per_class=100, per_picture=1)
    assert (kept, thresholds[1], raised_by[1]) == ({(0, 0, 1), (0, 1, 1), (0, 2, 1)}, 4, 0)
    assert detections(pictures[1], set_wide_thresholds(pictures, per_picture=1)).scores.tolist() == [4]


def test_what_is_not_finite_never_counts() -> None:
    """Neither towards the threshold nor among the best of the picture; a class of −∞ alone has no threshold."""
    assert threshold([INF, NAN, 3, -INF, 2, 1], per_picture=2) == 2
    assert threshold([INF, NAN, 3, -INF, 2, 1], per_picture=2, top_per_class=3) == 2
    assert threshold([INF, NAN, 3, -INF, 2], per_picture=2) == -INF
    assert threshold([-INF] * 5, per_picture=1) == -INF


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_and_an_iterator(dtype: type[np.floating]) -> None:
    thresholds = set_wide_thresholds((x.astype(dtype) for x in of_one_class([0.1, 0.2])), per_picture=1)
    assert thresholds.dtype == dtype
    assert thresholds[1] == dtype(0.2)


@pytest.mark.parametrize("K", [0, 1])
def test_no_class(K: int) -> None:
    np.testing.assert_array_equal(set_wide_thresholds([np.zeros((3, K)), np.zeros((0, K))]), np.full(K, -INF))


# against the walk of the published code


def detections(scores: Array, at_least: Array, *, top_per_class: int | None = 100) -> Detected:
    """Return what is found among regions 10 pixels apart, so that nothing is suppressed."""
    x = 10.0 * np.arange(len(scores))
    boxes = np.stack([x, np.zeros_like(x), x + 8, np.full_like(x, 8)], axis=1)
    settings = DetectionSettings(top_per_class=top_per_class)
    return detect_regions(scores, boxes, (8, 1000), settings=settings, at_least=at_least)


def kept(pictures: list[Array], thresholds: Array, top_per_class: int) -> set[tuple[int, int, int]]:
    """Return the (picture, region, class) that are detected."""
    found = [detections(scores, thresholds, top_per_class=top_per_class) for scores in pictures]
    return {
        (i, round(x / 10), c)
        for i, detected in enumerate(found)
        for x, c in zip(detected.boxes[:, 0].tolist(), detected.classes.tolist(), strict=True)
    }


@given(
    seeds,
    st.lists(st.integers(0, 7), min_size=1, max_size=6),
    st.integers(1, 3),
    st.integers(1, 6),
    st.integers(1, 4),
    st.booleans(),
)
def test_it_keeps_what_the_published_walk_keeps(
    seed: int, n_regions: list[int], n_classes: int, top_per_class: int, per_picture: int, with_ties: bool
) -> None:
    """The same regions where all scores differ; with ties also those that equal a threshold that earlier ones set."""
    rng = np.random.default_rng(seed)
    n = sum(n_regions)
    flat = np.stack([rng.integers(0, 4, n) if with_ties else rng.permutation(n) for _ in range(n_classes)], axis=1)
    flat = np.where(rng.random(flat.shape) < 0.1, rng.choice([NAN, INF, -INF], flat.shape), flat)
    pictures = np.split(flat, np.cumsum(n_regions)[:-1])

    numbers = {"top_per_class": top_per_class, "per_picture": per_picture}
    thresholds = set_wide_thresholds(pictures, **numbers)
    by_class, of_walk, raised_by = oracle.forward(pictures, n_classes=n_classes, **numbers)
    np.testing.assert_array_equal(thresholds, of_walk)
    ours, published = kept(pictures, thresholds, top_per_class), set(chain.from_iterable(by_class))
    assert published <= ours
    more = ours - published
    assert with_ties or not more
    assert all(pictures[i][r, c] == of_walk[c] and i > raised_by[c] for i, r, c in more)


# in a detector

MINING = MiningSettings(C=1.0)
TINY_RCNN = RCNNSettings(
    blocks=((6, 1), (6, 1)),
    batch_norm=False,
    hidden=16,
    side=12,
    padding=2,
    mining=MINING,
    detection=DetectionSettings(),
)
TINY_SPP = SPPSettings(
    blocks=((4, 1), (6, 1)),
    scales=(32,),
    target_side=12.0,
    projection="paper",
    levels=(1, 2),
    box_levels=(2,),
    fc=(8, 8),
    mining=MINING,
    detection=DetectionSettings(),
)


def rcnn(**changed: Any) -> MachinesOnRegions:
    settings = dataclasses.replace(TINY_RCNN, **changed)
    return small_rcnn(CLASS_NAMES, rng=np.random.default_rng(0), settings=settings)


def spp_net(**changed: Any) -> MachinesOnRegions:
    settings = dataclasses.replace(TINY_SPP, **changed)
    return small_spp_net(CLASS_NAMES, rng=np.random.default_rng(0), settings=settings)


@pytest.mark.parametrize("make", [rcnn, spp_net])
def test_a_detector_and_its_set(make: Callable[..., MachinesOnRegions]) -> None:
    """Of 4 pictures with 12 proposals, the 5 best of each class and picture count, and 2·4 of each class may stay."""
    model = make(detection=DetectionSettings(top_per_class=5, nms_threshold=1.0))
    samples, done = [coloured_square(i) for i in range(4)], list[int]()
    model.fit(samples)
    at_least = model.thresholds_of_set(samples, per_picture=2, progress=done.append)
    assert done == [1, 2, 3, 4]

    margins = [model.svm.score(model.region_features(s).features) for s in samples]
    for c in (1, 2):
        eighth = sorted(chain.from_iterable(sorted(m[:, c])[-5:] for m in margins))[-8]
        assert at_least[c] == pytest.approx(eighth, rel=1e-4)
    without = [model.detect(s.image, s.proposals) for s in samples]
    found = [model.detect(s.image, s.proposals, at_least=at_least) for s in samples]
    assert sum(map(len, without)) == 4 * 2 * 5
    for all_of_picture, detected in zip(without, found, strict=True):
        stays = all_of_picture.scores >= at_least[all_of_picture.classes]
        np.testing.assert_array_equal(detected.boxes, all_of_picture.boxes[stays])
        np.testing.assert_array_equal(detected.classes, all_of_picture.classes[stays])
    assert np.bincount(np.concatenate([d.classes for d in found])).tolist() == [0, 8, 8]


def test_a_detector_has_the_numbers_of_the_paper_and_its_own_way_to_score_and_propose() -> None:
    """An untrained one scores by the softmax, of which 50 proposals give more than 40; it finds them itself."""
    proposals = np.array([[i, i, i + 8, i + 8] for i in np.linspace(0, 20, 50)])
    model, sample = rcnn(), dataclasses.replace(coloured_square(0), proposals=None)
    model.propose = lambda image: proposals
    at_least = model.thresholds_of_set([sample])
    seen = model.see_regions(sample.image, proposals.astype(np.float32))
    odds = np.exp(seen.logits.astype(np.float64))
    np.testing.assert_allclose(
        at_least[1:], np.sort(odds / odds.sum(axis=1, keepdims=True), axis=0)[-40, 1:], rtol=1e-5
    )
    assert at_least[0] == -INF


# bad input


def test_bad_input() -> None:
    scores = of_one_class([1.0])
    with pytest.raises(ValueError, match="set_wide_thresholds: scores must be of at least one picture, got none"):
        set_wide_thresholds([])
    with pytest.raises(ValueError, match="set_wide_thresholds: scores must be of at least one picture, got none"):
        rcnn().thresholds_of_set([])
    with pytest.raises(ValueError, match=r"set_wide_thresholds: scores of picture 0 must have rank 2 \(R, K\), got ra"):
        set_wide_thresholds(scores[0])
    with pytest.raises(
        ValueError,
        match=r"scores of picture 1 must have shape \(3, 2\) \(a column per class, as in the .*\), got \(3, 4",
    ):
        set_wide_thresholds([*scores, np.zeros((3, 4))])
    with pytest.raises(
        TypeError, match="set_wide_thresholds: scores of picture 0 must be float32 or float64, got int64"
    ):
        set_wide_thresholds([np.zeros((3, 2), np.int64)])
    with pytest.raises(ValueError, match="set_wide_thresholds: per_picture must be at least 1, got 0"):
        set_wide_thresholds(scores, per_picture=0)
    with pytest.raises(ValueError, match="set_wide_thresholds: top_per_class must be at least 0, got -1"):
        set_wide_thresholds(scores, top_per_class=-1)
    with pytest.raises(TypeError, match=r"set_wide_thresholds: per_picture must be an integer, got 1\.5"):
        set_wide_thresholds(scores, per_picture=1.5)  # type: ignore[arg-type]
