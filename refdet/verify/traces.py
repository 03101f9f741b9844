"""Stages: what refdet itself computes between the arguments and the answer of an algorithm in several steps.

The golden suite stores the stages of some cases beside their answers. An implementation that answers stages too is told
the first one that is wrong. Here they are made of refdet's own parts, in the backend in use, so that what a backend or
a deviation does to a part shows at the stage where that part comes in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.crf.filters import make_filter, split_features
from refdet.crf.mean_field import compatibility_transform, damp, mean_field_forward, message_passing
from refdet.detection.detections import detections_stages
from refdet.detection.rpn_proposals import rpn_proposals_stages
from refdet.metrics.average_precision import THRESHOLDS

Stages = dict[str, Array]


def stages_of(algorithm: str, arguments: Mapping[str, Array | None], params: Mapping[str, Any]) -> Stages:
    """Return the stages of an algorithm by name, in order; none where it has none."""
    tracer = TRACERS.get(algorithm)
    if tracer is None:
        return {}
    with np.errstate(all="ignore"):
        return tracer(*arguments.values(), **params)


def _rpn_proposals(*arrays: Any, **params: Any) -> Stages:
    stages = rpn_proposals_stages(*arrays, **params)
    return {name: x for name, x in stages._asdict().items() if x is not None}


def _detections(*arrays: Any, **params: Any) -> Stages:
    return detections_stages(*arrays, **params)._asdict()


def _mean_field(
    unary: Array,
    features: Array,
    compatibilities: Array,
    *,
    dimensions: tuple[int, ...],
    filters: tuple[str, ...],
    shape: tuple[int, int] | None,
    normalisation: tuple[str, ...],
    exclude_self: bool,
    iterations: int,
    damping: float,
) -> Stages:
    """Take every q from the forward pass in use, and go the steps of its first iteration by hand."""
    _, residual = mean_field_forward(
        unary,
        features,
        compatibilities,
        dimensions=dimensions,
        filters=filters,
        shape=shape,
        normalisation=normalisation,
        exclude_self=exclude_self,
        iterations=iterations,
        damping=damping,
        keep_residual=True,
    )
    if residual is None:
        raise ValueError("mean_field: the backend in use keeps no residual, so that there is nothing to trace")
    qs = [residual.updates[0]]
    for update in residual.updates[1:]:
        qs.append(damp(qs[-1], update, damping))
    stages = {"initial": qs[0]}
    if iterations:
        kernels = [
            make_filter(name, f, normalisation=how, exclude_self=exclude_self, shape=shape)
            for f, name, how in zip(split_features(features, dimensions), filters, normalisation, strict=True)
        ]
        messages = message_passing(kernels, qs[0])
        stages["messages"] = np.reshape(np.array(messages, qs[0].dtype), (len(messages), *qs[0].shape))
        stages["pairwise"] = compatibility_transform(messages, compatibilities, like=qs[0])
    return stages | {"iterates": np.stack(qs)}


def _average_precision(precision: Array, recall: Array, *, convention: str) -> Stages:
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    if convention in THRESHOLDS:
        reached = np.searchsorted(recall, THRESHOLDS[convention].astype(recall.dtype))
        return {"envelope": envelope, "interpolated": np.append(envelope, np.zeros(1, envelope.dtype))[reached]}
    widths = np.diff(recall, prepend=np.zeros(1, recall.dtype))
    if convention == "area":
        return {"envelope": envelope, "widths": widths, "heights": envelope}
    before = np.concatenate([precision[:1], precision[:-1]])
    return {"widths": widths, "heights": precision if convention == "step" else (before + precision) / 2}


TRACERS: dict[str, Callable[..., Stages]] = {
    "average_precision": _average_precision,
    "detections": _detections,
    "mean_field": _mean_field,
    "rpn_proposals": _rpn_proposals,
}
