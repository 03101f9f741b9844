"""object_keypoint_similarity: the definition, its conventions, pycocotools, its errors."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.metrics.object_keypoint_similarity import COCO_SIGMAS, object_keypoint_similarity
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import object_keypoint_similarity as oracle

BOX, AREA = np.array([[0.0, 0, 4, 4]]), np.array([2.0])


def of(detection: Any, truth: Any, *, area: float = 2.0) -> float:
    """Compare two poses whose keypoints have (2σ)² = 1; the box of the truth is [0, 4]²."""
    d, g = np.array([detection], np.float64), np.array([truth], np.float64)
    return float(object_keypoint_similarity(d, g, BOX, np.array([area]), sigmas=(0.5,) * len(detection)).item())


def test_hand_example() -> None:
    """One is met, one is off by 2: e = 4/1/2/2 = 1; with four times the area, 1/4."""
    detection, truth = [[5, 5, 1], [8, 9, 1]], [[5, 5, 2], [8, 7, 1]]
    assert of(detection, truth) == pytest.approx((1 + math.exp(-1)) / 2, rel=1e-15)
    assert of(detection, truth, area=8.0) == pytest.approx((1 + math.exp(-0.25)) / 2, rel=1e-15)


def test_only_labelled_keypoints_count() -> None:
    assert of([[5, 5, 0], [80, 9, 0]], [[5, 5, 2], [1, 1, 0]]) == 1
    assert of([[5, 5, 0], [80, 9, 0]], [[5, 5, 0], [80, 9, 1]]) == 1
    assert of([[5, 5, 9], [800, 9, 9]], [[5, 5, 1], [1, 1, 1]]) == 0.5


def test_without_labels_the_box_decides() -> None:
    """Three times the box is [−4, 8]²; (10, 8) is 2 outside, (−6, 10) off by 2 twice."""
    nothing = np.zeros((2, 3))
    assert of([[-4, -4, 0], [8, 8, 0]], nothing) == 1
    assert of([[10, 8, 0], [8, 8, 0]], nothing) == pytest.approx((1 + math.exp(-1)) / 2, rel=1e-15)
    assert of([[-6, 10, 0], [8, 8, 0]], nothing) == pytest.approx((1 + math.exp(-2)) / 2, rel=1e-15)


def test_without_area() -> None:
    assert of([[5, 5, 0], [8, 8, 0]], [[5, 5, 2], [8, 7, 2]], area=0.0) == 0.5


def test_no_keypoints() -> None:
    assert np.isnan(object_keypoint_similarity(np.zeros((1, 0, 3)), np.zeros((1, 0, 3)), BOX, AREA, sigmas=()))


def test_nan() -> None:
    """In a keypoint that counts, NaN; in one that is not labelled it is not read."""
    nan = math.nan
    assert of([[5, 5, nan], [nan, 9, 0]], [[5, 5, 2], [nan, nan, 0]]) == 1
    assert math.isnan(of([[5, 5, 0], [nan, 9, 0]], [[5, 5, 2], [8, 9, 1]]))
    assert math.isnan(of([[5, 5, 0], [8, 9, 0]], [[5, 5, 2], [8, nan, 1]]))
    assert math.isnan(of([[5, 5, 0], [nan, 9, 0]], np.zeros((2, 3))))


def test_in_pieces() -> None:
    """Some rows at a time give the same."""
    rng = np.random.default_rng(1)
    d, g, areas = poses(rng, 7, 2), poses(rng, 3, 2), rng.uniform(1, 9, 3)
    arguments, sigmas = (d, g, rng.uniform(0, 9, (3, 4)), areas), (0.5, 1.0)
    whole = object_keypoint_similarity(*arguments, sigmas=sigmas)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.import_module("refdet.metrics.object_keypoint_similarity"), "CHUNK_ELEMENTS", 24)
        np.testing.assert_array_equal(object_keypoint_similarity(*arguments, sigmas=sigmas), whole)


def test_sigmas_of_coco() -> None:
    """Seventeen, left and right equal; hips are the least certain."""
    assert len(COCO_SIGMAS) == 17
    assert COCO_SIGMAS[1::2] == COCO_SIGMAS[2::2]
    assert max(COCO_SIGMAS) == COCO_SIGMAS[11] == pytest.approx(0.107)


def poses(rng: np.random.Generator, n: int, k: int) -> Array:
    points = rng.integers(0, 30, (n, k, 3)) / 2
    points[:, :, 2] = rng.integers(0, 3, (n, k)) * (rng.random((n, 1)) < 0.7)
    return points


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    k, n, m = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    arrays: list[Array | None] = [
        in_layout(x.astype(dtype), layout)
        for x in (poses(rng, n, k), poses(rng, m, k), rng.integers(0, 9, (m, 4)), rng.integers(0, 50, m))
    ]
    sigmas = tuple(rng.choice([0.125, 0.5, 2.0], k).tolist())
    assert_agrees("object_keypoint_similarity", oracle, arrays, rng=rng, params={"sigmas": sigmas})


@pytest.mark.oracle
@given(seed=seeds)
def test_against_pycocotools(seed: int) -> None:
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    rng = np.random.default_rng(seed)
    d, g, boxes, areas = poses(rng, 4, 17), poses(rng, 3, 17), rng.uniform(0, 9, (3, 4)), rng.uniform(0, 90, 3)
    evaluation = cocoeval.COCOeval(iouType="keypoints")
    evaluation._dts = {(1, 1): [{"score": 1.0, "keypoints": points.ravel()} for points in d]}
    evaluation._gts = {
        (1, 1): [
            {"keypoints": points.ravel(), "bbox": box, "area": area}
            for points, box, area in zip(g, boxes, areas, strict=True)
        ]
    }
    np.testing.assert_allclose(
        object_keypoint_similarity(d, g, boxes, areas), evaluation.computeOks(1, 1), rtol=0, atol=1e-14
    )


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"sigmas": (0.5,)}, ValueError, r"detections must have shape \(1, 1, 3\) \(.*one sigma per keypoint\), got"),
        ({"sigmas": (0.5, 0.0)}, ValueError, r"sigmas must lie in \(0, inf\), got 0.0"),
        ({"detections": np.zeros((1, 6))}, ValueError, r"detections must have rank 3 \(N, K, 3\), got rank 2"),
        ({"areas": np.zeros(2)}, ValueError, r"areas must have shape \(1,\) \(one area per ground truth\), got \(2,\)"),
        ({"boxes_xywh": np.zeros((1, 3))}, ValueError, r"boxes_xywh must have shape \(1, 4\)"),
        ({"areas": np.zeros(1, np.float32)}, TypeError, r"detections is float64 but areas is float32"),
    ],
)
def test_bad_input(changed: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {
        "detections": np.zeros((1, 2, 3)),
        "ground_truths": np.zeros((1, 2, 3)),
        "boxes_xywh": BOX,
        "areas": AREA,
        "sigmas": (0.5, 0.5),
    }
    with pytest.raises(error, match=f"object_keypoint_similarity: {message}"):
        object_keypoint_similarity(**{**arguments, **changed})
