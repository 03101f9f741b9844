"""Proposals and detections whose boxes are decoded, clipped, measured or compared as libraries do it that differ.

The chains of steps are those of the definition; each step is the plain function that is a witness by itself.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses import box_coding, overlap
from tests.witnesses._witness import Witness

Options = dict[str, Any]
Rank = tuple[float, int, int]  # minus the score, then what settles ties
LIMITS = {"continuous": (0, 0), "legacy": (0, 1), "matlab": (1, 0)}  # the first place, and what the last lacks
PLAIN: Options = {"weights": (1.0,) * 4, "mean": (0.0,) * 4, "std": (1.0,) * 4}


@dataclasses.dataclass(frozen=True)
class Steps:
    """How the steps deviate: options of the functions that they are."""

    decode: Options = dataclasses.field(default_factory=dict)
    clip: str = ""  # a convention, whichever was asked
    large: Options = dataclasses.field(default_factory=dict)
    overlap: Options = dataclasses.field(default_factory=dict)

    def decoded(self, proposals: Any, deltas: Any, params: Options) -> Any:
        """Return the boxes, as many for each proposal as it has deltas."""
        params = {**PLAIN, **params, "convention": params["transform_convention"]}
        question = _asked("decode_boxes", params, proposals=proposals, deltas=deltas)
        return box_coding.decode(question, **self.decode)["boxes"].reshape(len(proposals), deltas.shape[1] // 4, 4)

    def clipped(self, boxes: Any, params: Options) -> Any:
        """Return the boxes cut off at the border."""
        left, less = LIMITS[self.clip or params["clip_convention"]]
        flat = _asked("clip_boxes", params, boxes=boxes.reshape(-1, 4))
        return overlap.clip(flat, left=left, less=less)["clipped"].reshape(boxes.shape)

    def is_large(self, box: Any, least: float, convention: str) -> bool:
        """Say whether both sides are long enough."""
        question = _asked("large_enough", {"min_size": least, "convention": convention}, boxes=np.array([box]))
        return bool(overlap.keep_large(question, **self.large)["kept"][0])

    def suppress(self, order: Sequence[Any], box: Callable[[Any], Any], group: Callable[[Any], int], p: Options) -> Any:
        """Return what is kept of the candidates, which come best first and suppress their own group only."""
        options = {"offset": p["offset"], **self.overlap}
        kept: list[Any] = []
        for one in order:
            rivals = (box(other) for other in kept if group(other) == group(one))
            if not any(overlap.overlap(rival, box(one), **options) > p["nms_threshold"] for rival in rivals):
                kept.append(one)
        return kept


def propose(question: Question, *, steps: Steps) -> dict[str, Any]:
    """Answer `rpn_proposals`."""
    params, given = dict(question.params), question.arguments
    scores, levels = given["scores"], given["levels"]
    assert scores is not None
    level = [0] * len(scores) if levels is None else [int(one) for one in levels]
    decoded = steps.decoded(given["anchors"], given["deltas"], params)[:, :1].reshape(-1, 4)
    clipped = steps.clipped(decoded, params)

    def best(candidates: list[int]) -> list[int]:
        ranked = sorted(candidates, key=lambda i: (-float(scores[i]), i))
        places = {i: sum(level[j] == level[i] for j in ranked[:n]) for n, i in enumerate(ranked)}
        return [i for i in ranked if params["pre_nms"] is None or places[i] < params["pre_nms"]]

    candidates = [i for i in range(len(scores)) if np.isfinite(decoded[i]).all() and math.isfinite(scores[i])]
    if params["order"] == "topk_first":
        candidates = best(candidates)
    candidates = [i for i in candidates if steps.is_large(clipped[i], params["min_size"], params["size_convention"])]
    if params["order"] == "filter_first":
        candidates = best(candidates)
    kept = steps.suppress(candidates, lambda i: tuple(clipped[i]), lambda i: level[i], params)[: params["post_nms"]]
    return {"boxes": clipped[kept].reshape(-1, 4), "proposal_scores": scores[kept].astype(np.float64)}


def detect(question: Question, *, steps: Steps) -> dict[str, Any]:
    """Answer `detections`."""
    params, given = dict(question.params), question.arguments
    scores = given["scores"]
    assert scores is not None
    columns = list(range(scores.shape[1]))
    classes = {"first": columns[1:], "last": columns[:-1], "none": columns}[params["background"]]
    blocks = steps.decoded(given["proposals"], given["deltas"], params)
    n_blocks = blocks.shape[1]
    block = {c: n if n_blocks == len(classes) else c if n_blocks == len(columns) else 0 for n, c in enumerate(classes)}
    decoded = blocks[:, [block[c] for c in classes]]
    clipped = steps.clipped(decoded, params)
    candidates = []
    for r in range(len(scores)):
        if not (np.isfinite(decoded[r]).all() and np.isfinite(scores[r]).all()):
            continue
        for n, c in enumerate(classes):
            least = params["min_size"]
            is_large = least is None or steps.is_large(clipped[r, n], least, "torchvision")
            if float(scores[r, c]) > params["score_threshold"] and is_large:
                candidates.append((r, n))

    def rank(pair: tuple[int, int]) -> Rank:
        return -float(scores[pair[0], classes[pair[1]]]), *pair

    ranked = sorted(candidates, key=rank)
    entering = [
        pair
        for n, pair in enumerate(ranked)
        if params["pre_nms"] is None or sum(other[1] == pair[1] for other in ranked[:n]) < params["pre_nms"]
    ]
    kept = steps.suppress(entering, lambda pair: tuple(clipped[pair]), lambda pair: pair[1], params)
    kept = kept[: params["post_nms"]]
    return {
        "boxes": np.array([clipped[pair] for pair in kept], dtype=np.float64).reshape(-1, 4),
        "detection_scores": np.array([-rank(pair)[0] for pair in kept], dtype=np.float64),
        "classes": np.array([classes[n] for _, n in kept], dtype=np.int64),
    }


def detect_with(background: str, question: Question) -> dict[str, Any]:
    """Answer `detections` with the background where it always is."""
    always = {**question.params, "background": background}
    return detect(dataclasses.replace(question, params=always), steps=Steps())


def _asked(algorithm: str, params: Options, **arguments: Any) -> Question:
    return Question("", algorithm, params, arguments, None, (), ())


DEVIATING: dict[str, Steps] = {
    "box.clip=from1": Steps(clip="matlab"),
    "box.clip=w": Steps(clip="continuous"),
    "box.clip=w-1": Steps(clip="legacy"),
    "box.min_size=gt": Steps(large={"comparison": ">"}),
    "box.plus1=no": Steps(large={"offset": 0}, overlap={"offset": 0}),
    "box.plus1=yes": Steps(large={"offset": 1}, overlap={"offset": 1}),
    "code.clamp=always": Steps(decode={"clamp": "always"}),
    "code.clamp=both": Steps(decode={"clamp": "both"}),
    "code.clamp=none": Steps(decode={"clamp": "none"}),
    "code.form=corners": Steps(decode={"form": "corners"}),
    "code.order=yx": Steps(decode={"order": "yx"}),
    "code.plus1=detectron1": Steps(decode={"convention": "detectron1"}),
    "code.plus1=no": Steps(decode={"convention": "continuous"}),
    "code.plus1=py-faster": Steps(decode={"convention": "py-faster"}),
}

CONFORMING = [("rpn_proposals", partial(propose, steps=Steps())), ("detections", partial(detect, steps=Steps()))]

SOURCE = "the steps of the definition, one of them as the witness of this deviation by itself"
WITNESSES = [
    *(Witness(key, "rpn_proposals", SOURCE, partial(propose, steps=steps)) for key, steps in DEVIATING.items()),
    Witness("box.min_size=ge", "rpn_proposals", SOURCE, partial(propose, steps=Steps(large={"comparison": ">="}))),
    *(Witness(key, "detections", SOURCE, partial(detect, steps=steps)) for key, steps in DEVIATING.items()),
    Witness("box.empty=one", "detections", SOURCE, partial(detect, steps=Steps(overlap={"both_empty": 1.0}))),
    Witness("cls.background=first", "detections", "torchvision's roi_heads.py", partial(detect_with, "first")),
    Witness("cls.background=last", "detections", "Detectron2's fast_rcnn.py", partial(detect_with, "last")),
]
