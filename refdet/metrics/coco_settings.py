"""What a COCO evaluation is asked for: its settings, made canonical, with the defaults of COCO.

Lin et al., "Microsoft COCO: common objects in context" (2014); cocodataset.org/#detection-eval and #keypoints-eval;
`Params` of the COCO API, `cocoeval.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from refdet.core.check import Array, check_choice, check_number, integer, integers, sequence
from refdet.metrics.coco_evaluation import Range
from refdet.metrics.coco_match import COCO_THRESHOLDS

KINDS = ("bbox", "segm", "keypoints")
CONVENTIONS = ("ids-are-names", "pycocotools")
# 0, 0.01 ... 1 as the evaluation computes them; ten differ from the float next to k/100
COCO_RECALLS = tuple(np.linspace(0, 1, 101).tolist())
COCO_AREAS: dict[str, Range] = {
    "all": (0, 1e5**2),
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, 1e5**2),
}
COCO_MAX_DETECTIONS = {"bbox": (1, 10, 100), "segm": (1, 10, 100), "keypoints": (20,)}


class Settings(NamedTuple):
    """The settings of one evaluation."""

    kind: str
    image_ids: Array  # ascending
    category_ids: Array  # (K,) ascending
    iou_thresholds: tuple[float, ...]  # T
    recall_thresholds: tuple[float, ...]  # R
    max_detections: tuple[int, ...]  # M, ascending
    areas: dict[str, Range]  # A


def canonical_settings(
    *,
    kind: str,
    image_ids: Sequence[int],
    category_ids: Sequence[int],
    iou_thresholds: Sequence[float] | None,
    recall_thresholds: Sequence[float] | None,
    max_detections: Sequence[int] | None,
    areas: Mapping[str, Range] | None,
) -> Settings:
    """Check the settings and fill in those that are None."""
    check_choice("evaluate_coco", "kind", kind, KINDS)
    return Settings(
        kind,
        canonical_ids("evaluate_coco", "image_ids", image_ids),
        canonical_ids("evaluate_coco", "category_ids", category_ids),
        _fractions("iou_thresholds", COCO_THRESHOLDS if iou_thresholds is None else iou_thresholds),
        _fractions("recall_thresholds", COCO_RECALLS if recall_thresholds is None else recall_thresholds),
        _numbers_of_detections(COCO_MAX_DETECTIONS[kind] if max_detections is None else max_detections),
        _ranges(_default_areas(kind) if areas is None else areas),
    )


def canonical_ids(op: str, name: str, values: Sequence[int]) -> Array:
    """Return ids in ascending order; refuse what is no integer, and an id that comes twice."""
    listed = sequence(op, name, values)
    found = np.sort(np.array(integers(op, name, listed, count=len(listed), low=-(2**63)), np.int64))
    repeated = found[1:][found[1:] == found[:-1]]
    if repeated.size:
        raise ValueError(f"{op}: {name} must be different, got {repeated[0]} more than once")
    return found


def number_of_detections(op: str, value: int) -> int:
    """Return how many detections of each image and category are looked at; refuse anything but a positive integer."""
    return integer(op, "max_detections", value, low=1)


def _fractions(name: str, values: Sequence[float]) -> tuple[float, ...]:
    """Return numbers in [0, 1]."""
    return tuple(check_number("evaluate_coco", name, v, low=0, high=1) for v in sequence("evaluate_coco", name, values))


def _numbers_of_detections(values: Sequence[int]) -> tuple[int, ...]:
    """Return positive integers in ascending order, each of them once."""
    listed = sequence("evaluate_coco", "max_detections", values)
    if not listed:
        raise ValueError("evaluate_coco: max_detections must hold at least one number")
    return tuple(sorted(set(integers("evaluate_coco", "max_detections", listed, count=len(listed), low=1))))


def _default_areas(kind: str) -> dict[str, Range]:
    """Return COCO's ranges; small persons have no keypoints."""
    return {name: bounds for name, bounds in COCO_AREAS.items() if kind != "keypoints" or name != "small"}


def _ranges(areas: Mapping[str, Range]) -> dict[str, Range]:
    """Return the ranges with their ends as floats, in their order."""
    if not isinstance(areas, Mapping):
        raise TypeError(f"evaluate_coco: areas must be a mapping of names to ranges, got {type(areas).__name__}")
    if not areas:
        raise ValueError("evaluate_coco: areas must hold at least one range")
    ranges = {}
    for name, bounds in areas.items():
        ends = sequence("evaluate_coco", f"areas[{name!r}]", bounds)
        if len(ends) != 2:
            raise ValueError(f"evaluate_coco: areas[{name!r}] must be a pair (low, high), got {bounds!r}")
        low = check_number("evaluate_coco", f"areas[{name!r}]", ends[0])
        ranges[str(name)] = (low, check_number("evaluate_coco", f"areas[{name!r}]", ends[1], low=low))
    return ranges
