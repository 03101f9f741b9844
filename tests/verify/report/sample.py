"""A report with something of everything, and with names that try to break out of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.verify.compare import compare_tensor, tolerance_of
from refdet.verify.verdict import AlgorithmVerdict, CaseResult, Report

NASTY = "<script>alert('x')</script> & \x1b[31m\x00 | `tick` \ud800 ]]> <img src=http://evil.example/x.png>"
TEXTS: dict[str, dict[str, Any]] = {
    "roi.offset=0": {
        "title": "samples half a pixel too far to the lower right",
        "effect": "The region is not shifted by half a pixel, so that every sample lies half a pixel off.",
        "who": ["Detectron, roi_align_op.cc", "torchvision, roi_align with aligned=False"],
        "change": "Subtract 0.5 from the scaled corners before the bins are made.",
        "algorithms": ["roi_align"],
    },
    "box.plus1=1": {
        "title": "a box from 0 to 9 is 10 wide",
        "effect": "Widths and heights are x2 - x1 + 1, so that overlaps of small boxes are larger.",
        "who": ["Detectron, utils/boxes.py"],
        "change": "Compute widths as x2 - x1.",
        "algorithms": ["box_iou", "nms"],
    },
}


def wrong(
    case_id: str,
    tensors: Mapping[str, tuple[Array, Array]],
    *,
    rule: Mapping[str, Any] | None = None,
    stored: Array | None = None,
    **about: Any,
) -> CaseResult:
    """Return a wrong case from (got, expected) by tensor."""
    rule = rule or {"kind": "exact"}
    pairs = tensors.items()
    return CaseResult(
        case_id,
        case_id.partition("/")[0],
        **{"status": "required", "verdict": "wrong", **about},
        mismatches={name: m for name, (got, exp) in pairs if (m := compare_tensor(got, exp, rule, stored))},
        got={name: got for name, (got, _) in pairs},
        expected={name: exp for name, (_, exp) in pairs},
        allowed={} if rule["kind"] == "exact" else {name: tolerance_of(e, rule, stored) for name, (_, e) in pairs},
    )


def passed(case_id: str, **about: Any) -> CaseResult:
    """Return a right case."""
    return CaseResult(case_id, case_id.partition("/")[0], **{"status": "required", "verdict": "pass", **about})


def roi_case() -> CaseResult:
    """A RoI pooling case with half a pixel's difference, and a gradient that is wrong in one element."""
    y, x = np.mgrid[0:4, 0:4].astype(np.float32)
    image = np.arange(64, dtype=np.float32).reshape(1, 1, 8, 8)
    expected = (8 * (y + 1) + x + 1.5)[None, None]
    got = expected + 4.5
    got[0, 0, 1, 1] = np.nan
    dx = np.zeros((1, 1, 8, 8), np.float32)
    return wrong(
        "roi_align/half-pixel",
        {"y": (got, expected), "dx": (dx + np.eye(8, dtype=np.float32), dx)},
        rule={"kind": "ulp", "ulps": 4, "floor": 1e-6},
        why="A region whose corners lie between pixels: without the shift every sample is half a pixel off.",
        inputs={"x": image, "rois": np.array([[0, 1.5, 1.5, 5.5, 5.5]], np.float32)},
        params={"aligned": True, "output_size": [4, 4], "scale": 1.0},
        explained_by=(frozenset({"roi.offset=0"}),),
    )


def nms_case() -> CaseResult:
    """A suppression case in which one box too many is kept."""
    return wrong(
        "nms/iou-equal-to-the-threshold",
        {"kept": (np.array([0, 1, 3]), np.array([0, 3]))},
        why="IoU is exactly the threshold.",
        inputs={
            "boxes": np.array([[0, 0, 10, 10], [0, 0, 10, 5], [2, 1, 11, 11], [20, 4, 30, 12]], np.float32),
            "scores": np.array([0.9, 0.8, 0.7, 0.6], np.float32),
        },
        explained_by=(frozenset({"box.plus1=1"}),),
        tags=("convention", "tie"),
    )


def sample_report() -> Report:
    """Return a report with every kind of verdict."""
    decoded = np.array([[0, 0, 10, 10], [5, 5, 25, 20], [30, 2, 40, 30]], np.float32)
    shifted = decoded + np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0]], np.float32)
    loss = np.array([1.0, np.inf, 3.0], np.float32)
    return Report(
        "0.4.0",
        "mine",
        {"mine": "1.2", "rustc": "1.90"},
        (
            AlgorithmVerdict("add", "PASS", results=(passed("add/one", seconds=0.25),), note="outputs only"),
            AlgorithmVerdict(
                "decode_boxes",
                "UNKNOWN",
                failed=True,
                results=(
                    wrong("decode_boxes/corners", {"boxes": (shifted, decoded)}, why="Corners.", first_stage="centres"),
                    passed("decode_boxes/empty"),
                ),
            ),
            AlgorithmVerdict(
                "nms",
                "VARIANT",
                ("box.plus1=1",),
                failed=True,
                results=(nms_case(), passed("nms/one-box")),
            ),
            AlgorithmVerdict("relu", "SKIP", results=(skip("relu/nan", "mine has no relu"),)),
            AlgorithmVerdict("tanh", "SKIP", results=(skip("tanh/nan", "mine has no tanh"),)),
            AlgorithmVerdict(
                "roi_align",
                "VARIANT",
                ("roi.offset=0",),
                also=(("roi.sampling=fixed", "roi.min1=1"),),
                failed=True,
                results=(roi_case(), skip("roi_align/max", "only the mean")),
            ),
            AlgorithmVerdict(
                "smooth_l1",
                "PASS",
                results=(
                    wrong("smooth_l1/kink", {"loss": (loss + 1, loss)}, status="optional", why="At the kink."),
                    passed("smooth_l1/zero"),
                ),
            ),
            AlgorithmVerdict(
                "soft_nms",
                "ERROR",
                failed=True,
                results=(CaseResult("soft_nms/one", "soft_nms", "required", "error", NASTY, why=NASTY),),
            ),
        ),
        dialects=("detectron1",),
        problems=("nms/old.safetensors answers no case",),
        started="2026-01-02T03:04:05+00:00",
        seconds=1.5,
        deviations=TEXTS,
        dialect_titles={"detectron1": "Detectron and its descendants"},
    )


def skip(case_id: str, reason: str) -> CaseResult:
    """Return a skipped case."""
    return CaseResult(case_id, case_id.partition("/")[0], "required", "skip", reason)


def passing_report() -> Report:
    """Return a report in which nothing is wrong."""
    whole = sample_report()
    return dataclasses.replace(whole, verdicts=whole.verdicts[:1], dialects=(), problems=())


def nasty_report() -> Report:
    """Return a report in which every text tries to break out."""
    case = wrong(f"nms/{NASTY}", {"y": (np.zeros(2), np.ones(2))}, why=NASTY, first_stage=NASTY, reason=NASTY)
    verdicts = (
        AlgorithmVerdict("nms", "UNKNOWN", failed=True, results=(case,), note=NASTY),
        AlgorithmVerdict("relu", "SKIP", results=(skip("relu/x", NASTY),)),
        AlgorithmVerdict("tanh", "VARIANT", (NASTY,), also=((NASTY,),), failed=True, results=(roi_case(),)),
    )
    return Report(NASTY, NASTY, {NASTY: NASTY}, verdicts, (NASTY,), (NASTY,), (NASTY,), NASTY)
