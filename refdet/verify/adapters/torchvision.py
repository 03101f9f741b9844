"""torchvision: boxes, suppression, cropping by regions, anchors, matchers, and what becomes of masks and keypoints.

Imports torch, torchvision and NumPy alone, so that it also answers in another interpreter: where torchvision is not
installed beside refdet, `python -m refdet.verify.serve torchvision` runs in one that has it. Where its documentation is
silent (in what precision the bins of RoIPool are found, what becomes of NaN) it is asked all the same.

`BoxCoder`, `Matcher`, `SSDMatcher` and `roi_heads` are not public, but what every detection model of torchvision runs.
"""

from __future__ import annotations

import math
from typing import Any

from refdet.verify.adapters import Adapter
from refdet.verify.adapters.table import import_library, need, no_argument, only, table_adapter
from refdet.verify.adapters.torch_tensors import REFUSALS, Call, Tensors, answering
from refdet.verify.question import Question

ADVICE = (
    "install it with: pip install torchvision; or ask the one of another Python 3.11 or newer: "
    'refdet verify --command "/usr/bin/python3 -m refdet.verify.serve torchvision"'
)
WITHOUT = (0.0, 0.0, 0.0, 0.0), (1.0, 1.0, 1.0, 1.0)  # mean and std that change nothing


def load(argument: str) -> Adapter:
    """Return the adapter of the installed torchvision, on the CPU and one thread."""
    no_argument("torchvision", argument)
    torch, torchvision = import_library("torch", ADVICE), import_library("torchvision", ADVICE)
    torch.set_num_threads(1)
    versions = {"torchvision": str(torchvision.__version__), "torch": str(torch.__version__)}
    return table_adapter("torchvision", versions, answering(torch, torchvision, CALLS), (*REFUSALS, AssertionError))


def _box_iou(torchvision: Any, t: Tensors, q: Question) -> Any:
    only("torchvision", q, offset=0)
    need(t["crowd"] is None, "torchvision has no crowd regions")
    iou = torchvision.ops.box_iou(t["boxes"], t["others"])
    if bool(iou.isnan().any()) and not any(bool(t[name].isnan().any()) for name in ("boxes", "others")):
        only("torchvision", q, empty="nan")
    return iou


def _nms(torchvision: Any, t: Tensors, q: Question) -> Any:
    only("torchvision", q, offset=0)
    return torchvision.ops.nms(t["boxes"], t["scores"], q.params["threshold"])


def _class_nms(torchvision: Any, t: Tensors, q: Question) -> Any:
    only("torchvision", q, offset=0)
    return torchvision.ops.batched_nms(t["boxes"], t["scores"], t["classes"], q.params["threshold"])


def _roi_align(torchvision: Any, t: Tensors, q: Question) -> Any:
    p = q.params
    only("torchvision", q, reduction="mean", border="kernel")
    need(t["x"].numel(), "torchvision reads outside a map without pixels, and ends the process")
    options = {name: p[name] for name in ("output_size", "sampling_ratio", "aligned")}
    return torchvision.ops.roi_align(t["x"], t["rois"], spatial_scale=p["scale"], **options)


def _roi_pool(torchvision: Any, t: Tensors, q: Question) -> Any:
    """The operator below `torchvision.ops.roi_pool`, which drops the switches."""
    import torch

    height, width = q.params["output_size"]
    y, switches = torch.ops.torchvision.roi_pool(t["x"], t["rois"], q.params["scale"], height, width)
    return {"y": y, "switches": switches}


def _clip_boxes(torchvision: Any, t: Tensors, q: Question) -> Any:
    only("torchvision", q, convention="continuous")
    return torchvision.ops.clip_boxes_to_image(t["boxes"], (q.params["height"], q.params["width"]))


def _large_enough(torchvision: Any, t: Tensors, q: Question) -> Any:
    only("torchvision", q, convention="torchvision")
    kept = torchvision.ops.remove_small_boxes(t["boxes"], q.params["min_size"])
    flags = t["boxes"].new_zeros(len(t["boxes"])).bool()
    flags[kept] = True
    return flags


def _convert_boxes(torchvision: Any, t: Tensors, q: Question) -> Any:
    return torchvision.ops.box_convert(t["boxes"], q.params["source"], q.params["target"])


def _box_coder(torchvision: Any, q: Question) -> Any:
    p = q.params
    only("torchvision", q, convention="continuous", mean=WITHOUT[0], std=WITHOUT[1])
    clamp = p.get("clamp")
    return torchvision.models.detection._utils.BoxCoder(p["weights"], math.inf if clamp is None else clamp)


def _encode_boxes(torchvision: Any, t: Tensors, q: Question) -> Any:
    return _box_coder(torchvision, q).encode_single(t["targets"], t["proposals"])


def _decode_boxes(torchvision: Any, t: Tensors, q: Question) -> Any:
    return _box_coder(torchvision, q).decode_single(t["deltas"], t["proposals"])


def _base_anchors(torchvision: Any, t: Tensors, q: Question) -> Any:
    only("torchvision", q, convention="torchvision")
    generator = torchvision.models.detection.anchor_utils.AnchorGenerator
    return generator((q.params["sizes"],), (q.params["ratios"],)).cell_anchors[0].double()


def _anchor_grid(torchvision: Any, t: Tensors, q: Question) -> Any:
    only("torchvision", q, offset=0.0)
    generator = torchvision.models.detection.anchor_utils.AnchorGenerator()
    generator.cell_anchors = [t["base"]]
    return generator.grid_anchors([q.params["size"]], [q.params["stride"]])[0]


def _default_boxes(torchvision: Any, t: Tensors, q: Question) -> Any:
    """Its scales are the smaller sizes of all maps and then the last of the larger ones, as shares of the image."""
    p = q.params
    only("torchvision", q, order="caffe", clip=["none", "size"])
    need(p["min_sizes"][1:] == p["max_sizes"][:-1], "torchvision's larger size is the smaller one of the next map")
    generator = torchvision.models.detection.anchor_utils.DefaultBoxGenerator(
        [list(ratios) for ratios in p["ratios"]],
        scales=[size / p["image_size"] for size in (*p["min_sizes"], p["max_sizes"][-1])],
        steps=list(p["steps"]),
        clip=p["clip"] == "size",
    )
    centred = generator._grid_default_boxes([[n, n] for n in p["map_sizes"]], [p["image_size"]] * 2)
    return torchvision.ops.box_convert(centred, "cxcywh", "xyxy").double()


def _matcher(torchvision: Any, t: Tensors, high: float, low: float, *, force_best: bool) -> Any:
    """Return labels as torchvision's RPN reads them, −1 is background and −2 between the thresholds, and matches.

    The matcher begins with the best ground truth of every box, and then forgets that of the boxes which are not
    positive; for those it is found as in that first step.
    """
    overlaps = t["iou"].T
    found = torchvision.models.detection._utils.Matcher(high, low, force_best)(overlaps)
    return (found >= 0).long() - (found == -2).long(), found.where(found >= 0, overlaps.max(dim=0).indices)


def _match_rpn(torchvision: Any, t: Tensors, q: Question) -> Any:
    p = q.params
    only("torchvision", q, comparison=">=")
    untouched = p["force_best"] and bool((t["iou"] == 0).all(dim=0).any())
    need(not (p["guard_zero"] and untouched), "torchvision has no guard against a best IoU of 0")
    need(t["inside"] is None, "torchvision does not leave out anchors across the boundary")
    labels, found = _matcher(torchvision, t, p["positive"], p["negative"], force_best=p["force_best"])
    return {"labels": labels, "matches": found}


def _match_rcnn(torchvision: Any, t: Tensors, q: Question) -> Any:
    p = q.params
    only("torchvision", q, comparison=">=", negative_low=0.0)
    labels, found = _matcher(torchvision, t, p["positive"], p["negative_high"], force_best=False)
    return {"labels": labels, "matches": found}


def _match_ssd(torchvision: Any, t: Tensors, q: Question) -> Any:
    only("torchvision", q, convention="torchvision")
    return torchvision.models.detection._utils.SSDMatcher(q.params["threshold"])(t["iou"].T).clamp(min=-1)


def _paste_masks(torchvision: Any, t: Tensors, q: Question) -> Any:
    """It leaves the comparison to the caller, and says ≥."""
    only("torchvision", q, convention="torchvision")
    need(bool(t["boxes"].isfinite().all()), "torchvision makes integers of boxes that are not finite")
    heads = torchvision.models.detection.roi_heads
    return heads.paste_masks_in_image(t["masks"][:, None], t["boxes"], q.params["size"])[:, 0] >= q.params["threshold"]


def _encode_keypoints(torchvision: Any, t: Tensors, q: Question) -> Any:
    joints = t["joints"].new_zeros((*t["visible"].shape, 3))
    joints[..., :2], joints[..., 2] = t["joints"], t["visible"]
    heads = torchvision.models.detection.roi_heads
    positions, valid = heads.keypoints_to_heatmap(joints, t["boxes"], q.params["side"])
    return {"positions": positions, "valid": valid > 0}


def _decode_keypoints(torchvision: Any, t: Tensors, q: Question) -> Any:
    only("torchvision", q, convention="torchvision")
    need(bool(t["boxes"].isfinite().all()), "torchvision makes integers of boxes that are not finite")
    joints, scores = torchvision.models.detection.roi_heads.heatmaps_to_keypoints(t["logits"], t["boxes"])
    return {"joints": joints[..., :2], "joint_scores": scores}


CALLS: dict[str, Call] = {
    "anchor_grid": _anchor_grid,
    "base_anchors": _base_anchors,
    "box_iou": _box_iou,
    "class_nms": _class_nms,
    "clip_boxes": _clip_boxes,
    "convert_boxes": _convert_boxes,
    "decode_boxes": _decode_boxes,
    "decode_keypoints": _decode_keypoints,
    "default_boxes": _default_boxes,
    "encode_boxes": _encode_boxes,
    "encode_keypoints": _encode_keypoints,
    "large_enough": _large_enough,
    "match_rcnn": _match_rcnn,
    "match_rpn": _match_rpn,
    "match_ssd": _match_ssd,
    "nms": _nms,
    "paste_masks": _paste_masks,
    "roi_align": _roi_align,
    "roi_pool": _roi_pool,
}
