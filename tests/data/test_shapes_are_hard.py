"""Colours and connected components do not find the objects of the synthetic scenes, though they can find objects."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from refdet.core.check import Array
from refdet.data.shape_outlines import OUTLINES
from refdet.data.shapes import Shapes, tight_box
from refdet.metrics.voc import LabelledBoxes, ScoredBoxes, evaluate_voc
from tests.data.colour_threshold_detector import detect

Picture = tuple[Array, Array, Array, Array]  # image, boxes, classes, difficult flags


def easy_scenes(n: int) -> Iterator[Picture]:
    """Four outlines a picture, each alone in its quarter, of one colour on a grey ground."""
    rng = np.random.default_rng(0)
    outlines = list(OUTLINES.values())
    for _ in range(n):
        image, boxes, classes = np.full((128, 128, 3), 128, np.uint8), [], []
        for quarter in range(4):
            label, radius, angle = int(rng.integers(1, 7)), rng.uniform(12, 30), rng.uniform(0, 2 * np.pi)
            y0, x0 = 32 + 64 * (quarter // 2), 32 + 64 * (quarter % 2)
            y, x = (np.mgrid[:128, :128] + 0.5 - np.array([y0, x0])[:, None, None]) / radius
            u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
            mask = outlines[label - 1](u, v)
            image[mask] = rng.choice([0, 255], 3)
            boxes.append(tight_box(mask))
            classes.append(label)
        yield image, np.array(boxes, np.float64), np.array(classes), np.zeros(4, bool)


def hard_scenes(n: int) -> Iterator[Picture]:
    for scene in Shapes(n, seed=3):
        yield scene.image, scene.boxes.astype(np.float64), scene.classes, scene.difficult


def mean_average_precision(pictures: Iterator[Picture]) -> float:
    rows: list[list[Array]] = []
    n = 0
    for n, (image, boxes, classes, difficult) in enumerate(pictures, start=1):
        found, scores, labels = detect(image)
        rows.append([np.full(len(found), n), labels, scores, found, np.full(len(boxes), n), classes, boxes, difficult])
    columns = [np.concatenate(column) for column in zip(*rows, strict=True)]
    evaluation = evaluate_voc(
        ScoredBoxes(*columns[:4]), LabelledBoxes(*columns[4:]), images=range(1, n + 1), classes=range(1, 7)
    )
    return evaluation.mean_average_precision


def test_the_detector_finds_what_is_easy() -> None:
    """Or it would prove nothing that it fails."""
    assert mean_average_precision(easy_scenes(12)) > 0.75


def test_the_scenes_are_too_hard_for_it() -> None:
    assert mean_average_precision(hard_scenes(50)) < 0.35
