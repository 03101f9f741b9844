"""The groups of workloads that `refdet bench` knows, and how a name becomes a group or another object.

A name with a colon, `package.module:attribute`, stands for an object outside this list.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from refdet.bench import boxes, convolution, dense_crf, detectors, evaluation, proposals, regions
from refdet.bench.workloads import Group

GROUPS = {
    group.name: group
    for group in (
        convolution.VGG16,
        convolution.OTHER,
        convolution.BACKWARD,
        regions.ROI,
        boxes.NMS,
        boxes.IOU,
        proposals.PROPOSALS,
        dense_crf.CRF,
        detectors.DETECTORS,
        evaluation.COCO,
    )
}


def find_group(name: str) -> Group:
    """Return the group called `name`, or raise a LookupError that lists what there is."""
    if name in GROUPS:
        return GROUPS[name]
    if ":" in name:
        group = load_attribute(name)
        if isinstance(group, Group):
            return group
        raise LookupError(f"{name} is not a group of workloads but a {type(group).__name__}")
    raise LookupError(f"no group of workloads named {name!r}; there are: {', '.join(GROUPS)}")


def load_attribute(name: str) -> Any:
    """Return the object that `package.module:attribute` names, or raise a LookupError."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise LookupError(f"cannot load {name!r}: {error}") from None
