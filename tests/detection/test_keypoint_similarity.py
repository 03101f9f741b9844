"""decode_keypoints_by_similarity: the definition, object keypoint similarity, symmetries; ties and NaN; the errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.detection.keypoint_coding import decode_keypoints
from refdet.detection.keypoint_similarity import decode_keypoints_by_similarity
from refdet.metrics.object_keypoint_similarity import object_keypoint_similarity
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import decode_keypoints_by_similarity as oracle

sides, odd = st.integers(1, 6), st.sampled_from([1, 3, 5])
SQUARE, AREA = np.array([[0.0, 0, 4, 4]]), np.array([0.5])  # with σ = ½ a pixel away is worth exp(−1)


def places_of(box: Array, m: int) -> Array:
    """Return the middles of the places, (m · m, 2), row after row."""
    at = (np.arange(m) + 0.5) / m
    x, y = (box[i] + at * (box[i + 2] - box[i]) for i in (0, 1))
    return np.stack([np.tile(x, m), np.repeat(y, m)], axis=1)


def expected_similarities(logits: Array, box: Array, area: float, sigma: float, finer: int = 1) -> Array:
    """Return E of every place, (fm · fm,): its metric to every place of the map, weighted by the softmax."""
    truths, found = (poses_at(places_of(box, f * len(logits))) for f in (1, finer))
    n = len(truths)
    similarities = object_keypoint_similarity(found, truths, np.zeros((n, 4)), np.full(n, area), sigmas=(sigma,))
    chances = np.exp(logits - logits.max()).ravel()
    expected: Array = similarities @ (chances / chances.sum())
    return expected


def poses_at(places: Array) -> Array:
    """Return poses (n, 1, 3) of one visible joint each."""
    poses = np.ones((len(places), 1, 3))
    poses[:, 0, :2] = places
    return poses


def a_question(seed: int, m: int, dtype: str = "float64", finer: int = 1) -> tuple[list[Array], tuple[float, ...]]:
    """Return maps, boxes and areas of two detections of two joints, and sigmas, such that rounding decides nothing."""
    rng = np.random.default_rng(seed)
    while True:
        start, size = rng.uniform(-8, 8, (2, 2)), rng.uniform(0.5, 9, (2, 2)) * rng.choice([-1, 1, 1], (2, 2))
        arrays = [
            rng.uniform(-2, 2, (2, 2, m, m)) * rng.choice([0.5, 2]),
            np.concatenate([start, start + size], axis=1),
            np.abs(size[:, 0] * size[:, 1]) * rng.uniform(0.2, 2, 2) * rng.choice([0, 1, 1, 1], 2),
        ]
        sigmas = tuple(rng.uniform(0.02, 0.5, 2).tolist())
        arrays = [x.astype(dtype) for x in arrays]
        if m == 1 or is_clear(arrays, sigmas, finer):
            return arrays, sigmas


def is_clear(arrays: list[Array], sigmas: tuple[float, ...], finer: int) -> bool:
    """Say whether no two places of a map have nearly the largest E."""
    logits, boxes, areas = (x.astype(np.float64) for x in arrays)
    largest = [
        np.sort(expected_similarities(logits[d, k], boxes[d], float(areas[d]), sigmas[k], finer))[-2:]
        for d, k in np.ndindex(logits.shape[:2])
    ]
    return all(second < (1 - 1e-6) * first for second, first in largest)


def test_hand_example() -> None:
    """Of 0.4, 0.25 and 0.35 side by side the middle, where a neighbour is worth exp(−½); the first, where exp(−8)."""
    logits = np.full((1, 2, 4, 4), -np.inf)
    logits[0, :, 1, :3] = np.log([0.4, 0.25, 0.35])
    joints, scores = decode_keypoints_by_similarity(logits, SQUARE, np.array([1.0]), sigmas=(0.5, 0.125))
    assert joints.tolist() == [[[1.5, 1.5], [0.5, 1.5]]]
    assert scores[0, 0] == pytest.approx(0.25 + 0.75 * np.exp(-0.5), rel=1e-14)
    assert scores[0, 1] == pytest.approx(0.4 + 0.25 * np.exp(-8) + 0.35 * np.exp(-32), rel=1e-14)


@given(seed=seeds, m=sides, finer=odd, dtype=dtypes, layout=layouts)
def test_decoding_is_as_defined(seed: int, m: int, finer: int, dtype: str, layout: str) -> None:
    arrays, sigmas = a_question(seed, m, dtype, finer)
    inputs = [in_layout(x, layout) for x in arrays]
    params = {"sigmas": sigmas, "finer": finer}
    assert_agrees("decode_keypoints_by_similarity", oracle, inputs, rng=np.random.default_rng(seed), params=params)


@given(seed=seeds, m=sides, finer=odd)
def test_no_other_place_is_expected_to_be_more_similar(seed: int, m: int, finer: int) -> None:
    """The score is what the metric of that one joint comes to on average, where the joint is drawn from the softmax."""
    (logits, boxes, areas), sigmas = a_question(seed, m, finer=finer)
    joints, scores = decode_keypoints_by_similarity(logits, boxes, areas, sigmas=sigmas, finer=finer)
    for d, k in np.ndindex(2, 2):
        expected = expected_similarities(logits[d, k], boxes[d], float(areas[d]), sigmas[k], finer)
        assert scores[d, k] == pytest.approx(expected.max(), rel=1e-12)
        place = places_of(boxes[d], finer * m)[expected.argmax()]
        np.testing.assert_allclose(joints[d, k], place, rtol=0, atol=1e-12)


@given(seed=seeds, m=sides)
def test_the_finer_the_more_similar(seed: int, m: int) -> None:
    """Nine times as many places hold those of three times as many, which hold those of the map."""
    (logits, boxes, areas), sigmas = a_question(seed, m)
    scores = [decode_keypoints_by_similarity(logits, boxes, areas, sigmas=sigmas, finer=f)[1] for f in (1, 3, 9)]
    assert (np.diff(scores, axis=0) >= -1e-9).all()


def test_between_two_places() -> None:
    """A pixel apart, and as likely: with a wide similarity in the middle, with a narrow one at the first."""
    logits = np.full((1, 2, 4, 4), -np.inf)
    logits[0, :, 1, 1:3] = 0
    joints, scores = decode_keypoints_by_similarity(logits, SQUARE, np.ones(1), sigmas=(4.0, 1 / 64), finer=9)
    np.testing.assert_allclose(joints[0, 0, 1], 1.5, atol=1e-12)
    assert abs(joints[0, 0, 0] - 2) < 1 / 9  # 2 itself is between two of the nine places
    assert scores[0, 0] > np.exp(-(0.56**2) / 64 / 2)
    np.testing.assert_allclose(joints[0, 1], [1.5, 1.5], atol=1e-12)
    assert scores[0, 1] == pytest.approx(0.5)


@given(seed=seeds, m=sides)
def test_without_area_it_is_the_largest_logit(seed: int, m: int) -> None:
    """As `decode_keypoints` has it in a box of as many pixels as places, and its share of the softmax."""
    rng = np.random.default_rng(seed)
    logits = rng.permuted(np.arange(6.0 * m * m).reshape(2, 3, m * m), axis=2).reshape(2, 3, m, m) / 8
    corner = rng.integers(-50, 50, (2, 2))
    boxes = np.concatenate([corner, corner + m], axis=1).astype(np.float64)
    joints, scores = decode_keypoints_by_similarity(logits, boxes, np.zeros(2), sigmas=(0.025, 0.5, 4.0))
    theirs, shares = decode_keypoints(logits, boxes, convention="detectron2")
    np.testing.assert_allclose(joints, theirs, rtol=0, atol=1e-12)
    np.testing.assert_allclose(scores, shares, rtol=1e-12)


@given(seed=seeds, m=sides)
def test_mirrored_and_transposed(seed: int, m: int) -> None:
    """A mirrored map mirrors the joint within the box; one in a box from right to left leaves it where it was."""
    (logits, boxes, areas), sigmas = a_question(seed, m)
    joints, scores = decode_keypoints_by_similarity(logits, boxes, areas, sigmas=sigmas)
    middles = boxes[:, None, :2] + boxes[:, None, 2:] - joints
    for maps, order, expected in (
        (logits[..., ::-1], [0, 1, 2, 3], np.stack([middles[..., 0], joints[..., 1]], axis=2)),
        (logits[..., ::-1, :], [0, 1, 2, 3], np.stack([joints[..., 0], middles[..., 1]], axis=2)),
        (logits[..., ::-1], [2, 1, 0, 3], joints),
        (logits[..., ::-1, :], [0, 3, 2, 1], joints),
        (logits.swapaxes(2, 3), [1, 0, 3, 2], joints[..., ::-1]),
    ):
        found, sure = decode_keypoints_by_similarity(maps, boxes[:, order], areas, sigmas=sigmas)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
        np.testing.assert_allclose(sure, scores, rtol=1e-12)


@given(seed=seeds, m=sides, factor=st.sampled_from([0.25, 0.7, 3.0, 16.0]))
def test_elsewhere_and_larger(seed: int, m: int, factor: float) -> None:
    """A box moved and enlarged takes its joints along, with the area of the object or else with its sigmas."""
    (logits, boxes, areas), sigmas = a_question(seed, m)
    joints, scores = decode_keypoints_by_similarity(logits, boxes, areas, sigmas=sigmas)
    step = np.array([3.0, -5])
    moved = factor * (boxes + np.tile(step, 2))
    wider = tuple(factor * s for s in sigmas)
    for area, spread in ((factor**2 * areas, sigmas), (areas, wider)):
        found, sure = decode_keypoints_by_similarity(logits, moved, area, sigmas=spread)
        np.testing.assert_allclose(found, factor * (joints + step), rtol=0, atol=1e-10)
        np.testing.assert_allclose(sure, scores, rtol=1e-10)


@pytest.mark.parametrize("area", [0.0, 0.5, 1e4])
def test_only_differences_of_logits_count(area: float) -> None:
    """Eighths, so that adding thousands is exact."""
    logits = np.random.default_rng(5).integers(-16, 16, (1, 2, 5, 5)) / 8
    logits[0, [0, 1], [3, 1], [2, 4]] = 3
    answers = [
        decode_keypoints_by_similarity(logits + more, SQUARE, np.array([area]), sigmas=(0.5, 0.25))
        for more in (0.0, 4096.0, -4096.0)
    ]
    for joints, scores in answers[1:]:
        np.testing.assert_array_equal(joints, answers[0][0])
        np.testing.assert_array_equal(scores, answers[0][1])


def test_scores_fall_from_one_to_the_probability() -> None:
    """The larger the area, the more similar is a place to those around it."""
    (logits, boxes, _), sigmas = a_question(2, 5)
    scores = [
        decode_keypoints_by_similarity(logits, boxes, np.full(2, area), sigmas=sigmas)[1]
        for area in (1e9, 1e3, 10.0, 1.0, 0.1, 0.0)
    ]
    assert np.all(np.diff(scores, axis=0) <= 0)
    np.testing.assert_allclose(scores[0], 1, atol=1e-4)
    chances = np.exp(logits - logits.max(axis=(2, 3), keepdims=True))
    np.testing.assert_allclose(scores[-1], 1 / chances.sum(axis=(2, 3)), rtol=1e-12)


def test_float32_is_float64_rounded() -> None:
    arrays, sigmas = a_question(4, 6, "float32")
    narrow = decode_keypoints_by_similarity(*arrays, sigmas=sigmas)
    wide = decode_keypoints_by_similarity(*(x.astype(np.float64) for x in arrays), sigmas=sigmas)
    for x, y in zip(narrow, wide, strict=True):
        assert x.dtype == np.float32
        np.testing.assert_array_equal(x, y.astype(np.float32))


def test_the_first_of_equals() -> None:
    logits = np.zeros((1, 3, 4, 4))
    logits[0, 0, [2, 1], [0, 3]] = 1
    logits[0, 1, 3, [2, 1]] = 1
    joints, scores = decode_keypoints_by_similarity(logits, SQUARE, np.zeros(1), sigmas=(0.5,) * 3)
    assert joints.tolist() == [[[3.5, 1.5], [1.5, 3.5], [0.5, 0.5]]]
    assert scores[0, 2] == 1 / 16


def test_places_that_coincide() -> None:
    """A point, and a box of no width, whose rows hold ¾ and ¼ of the probability."""
    logits = np.full((2, 1, 4, 4), -np.inf)
    logits[:, 0, [1, 2, 2, 2], [1, 0, 1, 3]] = 0
    boxes = np.array([[5.0, 3, 5, 3], [5, 0, 5, 4]])
    joints, scores = decode_keypoints_by_similarity(logits, boxes, np.zeros(2), sigmas=(0.5,))
    assert joints.tolist() == [[[5, 3]], [[5, 2.5]]]
    assert scores.tolist() == [[1], [0.75]]


def test_a_probability_of_zero() -> None:
    """−∞ is as any logit that is far below the others."""
    logits = np.random.default_rng(6).normal(0, 2, (1, 4, 5, 5))
    logits[0, :, ::2, 1:3] = -np.inf
    low = np.where(np.isinf(logits), -1e5, logits)
    answers = [decode_keypoints_by_similarity(x, SQUARE, AREA, sigmas=(0.5,) * 4) for x in (logits, low)]
    for x, y in zip(*answers, strict=True):
        assert np.isfinite(x).all()
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_maps_without_a_softmax(dtype: str) -> None:
    """NaN for each of them, and for no other joint of the detection."""
    logits = np.zeros((1, 6, 4, 4), dtype)
    logits[0, 0, 3, 3] = np.nan
    logits[0, 1, 0, 2] = np.inf
    logits[0, 2] = -np.inf
    logits[0, 3] = np.nan
    logits[0, 4] = np.inf
    logits[0, 5, 1, 3] = 900
    joints, scores = decode_keypoints_by_similarity(logits, SQUARE.astype(dtype), AREA.astype(dtype), sigmas=(0.5,) * 6)
    assert np.isnan(joints[0, :5]).all()
    assert np.isnan(scores[0, :5]).all()
    assert joints[0, 5].tolist() == [3.5, 1.5]
    assert scores[0, 5] == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_boxes_and_areas_that_are_not_finite(bad: float) -> None:
    """NaN for both joints of the detection, and for no other detection."""
    boxes, areas = np.repeat(SQUARE, 7, axis=0), np.full(7, 0.5)
    boxes[range(4), range(4)] = bad
    areas[4], areas[5] = bad, -1e-30
    logits = np.zeros((7, 2, 4, 4))
    logits[:, :, 1, 2] = 900
    joints, scores = decode_keypoints_by_similarity(logits, boxes, areas, sigmas=(0.5, 0.25))
    assert np.isnan(joints[:6]).all()
    assert np.isnan(scores[:6]).all()
    assert joints[6].tolist() == [[2.5, 1.5]] * 2
    assert scores[6].tolist() == [1, 1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("D", "K"), [(0, 3), (2, 0), (0, 0)])
def test_no_detections_and_no_joints(D: int, K: int, dtype: str) -> None:
    arrays = [np.zeros(shape, dtype) for shape in ((D, K, 4, 4), (D, 4), (D,))]
    joints, scores = decode_keypoints_by_similarity(*arrays, sigmas=(0.5,) * K)
    assert (joints.shape, scores.shape) == ((D, K, 2), (D, K))
    assert joints.dtype == scores.dtype == dtype


LOGITS, SIGMAS = np.zeros((1, 2, 4, 4)), (0.5, 0.25)


@pytest.mark.parametrize(
    ("logits", "boxes", "areas", "sigmas", "message"),
    [
        (LOGITS[0], SQUARE, AREA, SIGMAS, r"logits must have rank 4 \(D, K, m, m\), got rank 3"),
        (
            LOGITS[..., :3],
            SQUARE,
            AREA,
            SIGMAS,
            r"maps of logits must be square and have a place, got .*\(1, 2, 4, 3\)",
        ),
        (LOGITS[..., :0, :0], SQUARE, AREA, SIGMAS, "maps of logits must be square and have a place"),
        (LOGITS, np.zeros((2, 4)), AREA, SIGMAS, r"boxes must have 1 rows, one per detection, got \(2, 4\)"),
        (LOGITS, SQUARE[0], AREA, SIGMAS, r"boxes must have shape \(N, 4\), .*, got \(4,\)"),
        (LOGITS, SQUARE[:, :3], AREA, SIGMAS, r"boxes must have shape .*, got \(1, 3\)"),
        (LOGITS, SQUARE, np.zeros(2), SIGMAS, r"areas must have 1 rows, one per detection, got \(2,\)"),
        (LOGITS, SQUARE, AREA[:, None], SIGMAS, r"areas must have rank 1 \(D\), got .*\(1, 1\)"),
        (LOGITS, SQUARE, np.array(1.0), SIGMAS, r"areas must have rank 1 \(D\)"),
        (LOGITS.astype(int), SQUARE, AREA, SIGMAS, "logits must be float32 or float64, got int64"),
        (LOGITS.astype(np.float32), SQUARE, AREA, SIGMAS, "logits is float32 but boxes is float64"),
        (LOGITS, SQUARE, AREA.astype(np.float32), SIGMAS, "logits is float64 but areas is float32"),
        (LOGITS, SQUARE, None, SIGMAS, "areas must be an array.*NoneType"),
        (LOGITS, SQUARE, AREA, (0.5,), "sigmas must be 2 numbers, one per joint, got 1"),
        (LOGITS, SQUARE, AREA, (0.5, 0.0), r"sigmas must lie in \(0, inf\), got 0.0"),
        (LOGITS, SQUARE, AREA, (0.5, -1), r"sigmas must lie in \(0, inf\), got -1"),
        (LOGITS, SQUARE, AREA, (np.nan, 0.5), "sigmas must be a finite number, got nan"),
        (LOGITS, SQUARE, AREA, 0.5, "sigmas must be a sequence, got 0.5"),
    ],
)
def test_bad_input(logits: Array, boxes: Array, areas: Any, sigmas: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^decode_keypoints_by_similarity: .*{message}"):
        decode_keypoints_by_similarity(logits, boxes, areas, sigmas=sigmas)


@pytest.mark.parametrize(
    ("finer", "message"),
    [
        (2, "finer must be odd, so that the middles of places stay middles, got 2"),
        (0, "finer must be at least 1, got 0"),
        (1.5, "finer must be an integer, got 1.5"),
    ],
)
def test_bad_finer(finer: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^decode_keypoints_by_similarity: {message}"):
        decode_keypoints_by_similarity(LOGITS, SQUARE, AREA, sigmas=SIGMAS, finer=finer)
