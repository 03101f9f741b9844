"""evaluate equals pycocotools: on hundreds of small data sets, and on the files that it is published with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refdet.metrics.coco import evaluate_coco
from refdet.metrics.records import Detections
from tests.agreement import seeds
from tests.metrics.coco_data_sets import DataSet, data_set
from tests.metrics.coco_files import read_ground_truths, read_results
from tests.metrics.pycocotools_side import evaluate_with_pycocotools
from tests.real_data import real

TOLERANCE = 1e-12
# pycocotools' own demonstrations, evaluated on these files: AP to AR-large, to three digits
PUBLISHED = {
    "bbox": (0.505, 0.697, 0.573, 0.586, 0.519, 0.501, 0.387, 0.594, 0.595, 0.640, 0.566, 0.564),
    "segm": (0.320, 0.562, 0.299, 0.387, 0.310, 0.327, 0.268, 0.415, 0.417, 0.469, 0.377, 0.381),
}


def assert_equal(
    data: DataSet,
    kind: str,
    *,
    max_detections: Sequence[int] | None = None,
    areas: Mapping[str, tuple[float, float]] | None = None,
    sigmas: Sequence[float] | None = None,
    convention: str = "ids-are-names",
) -> None:
    """Compare precision, recall and scores of every category; and the statistics where both have the same."""
    settings: dict[str, Any] = {
        "image_ids": data.image_ids,
        "category_ids": data.category_ids,
        "kind": kind,
        "max_detections": max_detections,
        "areas": areas,
    } | ({} if sigmas is None else {"sigmas": sigmas})
    ours = evaluate_coco(data.ground_truths, data.detections, convention=convention, **settings)
    theirs = evaluate_with_pycocotools(data.ground_truths, data.detections, **settings)
    for name in ("precision", "recall", "scores"):
        np.testing.assert_allclose(getattr(ours, name), theirs.eval[name], rtol=0, atol=TOLERANCE, err_msg=name)
    if len(theirs.stats):
        np.testing.assert_allclose(list(ours.stats.values()), theirs.stats, rtol=0, atol=TOLERANCE)


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["bbox", "segm", "keypoints"])
@settings(max_examples=200)
@given(seed=seeds)
def test_random_data_sets(kind: str, seed: int) -> None:
    assert_equal(data_set(np.random.default_rng(seed), kind), kind)


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["bbox", "segm", "keypoints"])
@settings(max_examples=50)
@given(seed=seeds, limits=st.sampled_from([(1, 2, 5), (1,), (3, 4)]))
def test_other_settings(kind: str, seed: int, limits: tuple[int, ...]) -> None:
    """More detections than count, areas that meet at 64 pixels, three kinds of keypoints, an annotation of id 0."""
    data = data_set(np.random.default_rng(seed), kind, n_keypoints=3, first_id=0)
    areas = {"all": (0.0, 1e10), "tiny": (0.0, 64.0), "other": (64.0, 1024.0)}
    sigmas = (0.1, 0.05, 0.2) if kind == "keypoints" else None
    assert_equal(data, kind, max_detections=limits, areas=areas, sigmas=sigmas, convention="pycocotools")


@pytest.mark.oracle
def test_more_than_a_hundred_detections() -> None:
    """240 in one image and category, many of equal score: those behind the hundredth would match, and do not count."""
    rng = np.random.default_rng(5)
    data = data_set(rng, "bbox")
    truths = data.ground_truths
    rows = rng.integers(0, len(truths), 240)
    image_ids, category_ids = np.full(240, truths.image_ids[0]), np.full(240, truths.category_ids[0])
    boxes = truths.boxes_xywh[rows] + rng.choice([0, 0, 3, 9], (240, 4))
    detections = Detections.of_boxes(image_ids, category_ids, rng.choice([0.2, 0.4, 0.6], 240), boxes)
    assert_equal(data._replace(detections=detections), "bbox")


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["bbox", "segm", "keypoints"])
def test_without_detections_or_ground_truths(kind: str) -> None:
    data = data_set(np.random.default_rng(8), kind)
    assert min(len(data.ground_truths), len(data.detections)) > 0
    assert_equal(data._replace(detections=data.detections.select([])), kind)
    assert_equal(data._replace(ground_truths=data.ground_truths.select([])), kind)


def real_data(kind: str) -> DataSet:
    """Return the 100 images of COCO 2014 with the detections that pycocotools is demonstrated with."""
    folder = real("coco")
    truths, task, sizes = read_ground_truths(folder / "instances_val2014_100.json")
    results = "fakebbox" if kind == "bbox" else "fakesegm"
    detections = read_results(folder / f"instances_val2014_{results}100_results.json")
    assert len(sizes) == len(task.image_ids) == 100
    return DataSet(truths, detections, task.image_ids, task.category_ids)


@pytest.mark.real
@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_the_published_statistics(kind: str) -> None:
    data = real_data(kind)
    evaluation = evaluate_coco(
        data.ground_truths, data.detections, image_ids=data.image_ids, category_ids=data.category_ids, kind=kind
    )
    assert tuple(round(value, 3) for value in evaluation.stats.values()) == PUBLISHED[kind]


@pytest.mark.real
@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_real_data(kind: str) -> None:
    assert_equal(real_data(kind), kind)
