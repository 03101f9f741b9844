"""The boxes of a golden case: all on one side in one view, and regions over the map that they crop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from refdet.core.check import Array
from refdet.ops.roi_sampling import roi_sampling_points
from refdet.pictures.heat_maps import draw_heat_map
from refdet.pictures.slide import BLACK, BLUE, GREEN, GREY, PURPLE, VERMILLION, image_view, outline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from refdet.verify.suite import StoredCase

CORNERS = {
    "anchor_grid": ("base", "anchors"),
    "base_anchors": ("anchors",),
    "box_iou": ("boxes", "others"),
    "class_nms": ("boxes",),
    "clip_boxes": ("boxes", "clipped"),
    "decode_boxes": ("proposals", "boxes"),
    "encode_boxes": ("proposals", "targets"),
    "group_regions": ("boxes", "merged_boxes"),
    "large_enough": ("boxes",),
    "match_detections": ("boxes", "truths"),
    "nms": ("boxes",),
    "soft_nms": ("boxes",),
}  # by algorithm, the tensors whose rows are (x1, y1, x2, y2), in one system of coordinates
SIZES = {"coco_box_iou": ("detections", "ground_truths")}  # those whose rows are (x, y, width, height)
SURVIVORS = {"nms": "kept", "class_nms": "kept", "soft_nms": "indices", "large_enough": "kept"}
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE)
MOST_NUMBERED = 24  # boxes
MOST_MAPS = 2
FARTHEST = 1e6  # coordinates beyond this are not drawn

Picture = Callable[["Axes"], None]


def box_panels(case: StoredCase, names: Sequence[str]) -> Iterator[tuple[str, list[Picture]]]:
    """Yield a heading and pictures of what the tensors of these names say about boxes."""
    boxes = _boxes_of(case)
    if case.algorithm in ("roi_align", "roi_pool") and "rois" in names and len(case.tensors["rois"]):
        yield _regions(case)
    chosen = [name for name in boxes if name in names]
    if chosen and any(len(boxes[name]) for name in chosen):
        dashed = ["", " (dashed)"]
        heading = ", ".join(name + dashed[i % 2] for i, name in enumerate(chosen))
        yield (
            heading + _missing([box for name in chosen for box in boxes[name]]),
            [partial(_draw_boxes, case=case, names=chosen)],
        )
    survivors = SURVIVORS.get(case.algorithm)
    if survivors in names and len(case.tensors["boxes"]):
        yield f"in {survivors}; others dashed" + _missing(list(boxes["boxes"])), [partial(_draw_survivors, case=case)]


def _boxes_of(case: StoredCase) -> dict[str, Array]:
    """Return the tensors of boxes, as corners."""
    names = [name for name in CORNERS.get(case.algorithm, ()) if name in case.tensors]
    corners = {name: case.tensors[name].reshape(-1, 4) for name in names}  # a row may have a box for each class
    for name in SIZES.get(case.algorithm, ()):
        x = case.tensors[name]
        corners[name] = np.concatenate([x[:, :2], x[:, :2] + x[:, 2:]], axis=1)
    return corners


def _is_drawable(box: Array) -> bool:
    return bool(np.all(np.abs(box) <= FARTHEST))  # false for NaN


def _view(axes: Axes, boxes: Array) -> None:
    """Look at all boxes that can be drawn, with a margin."""
    drawable = np.array([box for box in boxes if _is_drawable(box)]).reshape(-1, 2, 2)
    low, high = (drawable.min(axis=(0, 1)), drawable.max(axis=(0, 1))) if drawable.size else (np.zeros(2), np.ones(2))
    margin = 0.06 * max(*(high - low), 1e-3)
    image_view(axes, low[0] - margin, high[0] + margin, low[1] - margin, high[1] + margin)
    axes.tick_params(labelsize=12)
    axes.locator_params(nbins=4)
    axes.set_anchor("NW")
    bounds = axes.get_position(original=True)
    room = 0.03  # for the numbers of the ticks
    axes.set_position((bounds.x0 + 0.6 * room, bounds.y0 + room, bounds.width - room, bounds.height - room))


def _draw_boxes(axes: Axes, *, case: StoredCase, names: Sequence[str]) -> None:
    boxes = _boxes_of(case)
    _view(axes, np.concatenate(list(boxes.values())))
    for i, name in enumerate(names):
        for k, (box, place) in enumerate(zip(boxes[name], _places(boxes[name], i % 2 == 1), strict=True)):
            text = str(k) if len(boxes[name]) <= MOST_NUMBERED else ""
            _draw_box(axes, box, COLOURS[i % 4], text, dashed=i % 2 == 1, at_end=i % 2 == 1, place=place)


def _draw_survivors(axes: Axes, *, case: StoredCase) -> None:
    boxes, survivors = case.tensors["boxes"], case.tensors[SURVIVORS[case.algorithm]]
    order = (np.flatnonzero(survivors) if survivors.dtype == bool else survivors).tolist()
    _view(axes, boxes)
    for k, (box, place) in enumerate(zip(boxes, _places(boxes, False), strict=True)):
        text = str(k) if len(boxes) <= MOST_NUMBERED else ""
        stays = k in order
        _draw_box(axes, box, BLUE if stays else GREY, text, dashed=not stays, at_end=False, place=place)


def _places(boxes: Array, at_end: bool) -> list[int]:
    """Return how many earlier boxes share the numbered corner of each box: their numbers stand side by side."""
    corners = [tuple(box[2:] if at_end else box[:2]) for box in boxes.tolist()]
    return [corners[:k].count(corner) for k, corner in enumerate(corners)]


def _draw_box(
    axes: Axes, box: Array, colour: str, text: str, *, dashed: bool, at_end: bool = False, place: int = 0
) -> None:
    if not _is_drawable(box):
        return
    style: dict[str, Any] = {"linestyle": "--", "zorder": 3} if dashed else {"zorder": 4}
    outline(axes, box, edgecolor=colour, linewidth=(1.8 if dashed else 2.6) if text else 1.2, **style)
    x, y = (box[2], box[3]) if at_end else (box[0], box[1])
    side, edge = ("right", "bottom") if at_end else ("left", "top")
    axes.annotate(
        text,
        (float(x), float(y)),
        xytext=(-3 - 20 * place, 3) if at_end else (3 + 20 * place, -3),
        textcoords="offset points",
        ha=side,
        va=edge,
        fontsize=13,
        color=colour,
    )


def _missing(boxes: Sequence[Array]) -> str:
    """Return the end of a heading, if some boxes are not finite, or too far away."""
    n_missing = sum(not _is_drawable(box) for box in boxes)
    return f"; {n_missing} not drawn" if n_missing else ""


def _regions(case: StoredCase) -> tuple[str, list[Picture]]:
    """Return the panel of the first channel of each image that is cropped, with its regions."""
    images = [int(n) for n in np.unique(case.tensors["rois"][:, 0])]
    shown = images[:MOST_MAPS]
    which = ", ".join(f"x[{n}, 0]" for n in shown)
    return f"rois on {which}", [partial(_draw_regions, case=case, image=n) for n in shown]


def _draw_regions(axes: Axes, *, case: StoredCase, image: int) -> None:
    x, params = case.tensors["x"], case.params
    plane = x[image, 0]
    draw_heat_map(axes, plane, float(np.max(np.abs(x[np.isfinite(x)]), initial=0.0)))
    H, W = plane.shape
    edges = [np.array([-0.5, -0.5, W - 0.5, H - 0.5])]
    regions = [roi[1:] for roi in case.tensors["rois"] if int(roi[0]) == image]
    for k, roi in enumerate(regions):
        colour = (BLACK, VERMILLION, GREEN, PURPLE)[k % 4]
        box = _on_map(case, roi)
        _draw_box(axes, box, colour, str(k), dashed=False)
        edges.append(box)
        if case.algorithm == "roi_align":
            names = ("output_size", "scale", "sampling_ratio", "aligned")
            ys, xs = roi_sampling_points(roi, **{name: params[name] for name in names})
            grid = np.stack(np.meshgrid(xs.ravel(), ys.ravel()), axis=-1).reshape(-1, 2)
            axes.plot(grid[:, 0], grid[:, 1], "o", color=colour, markersize=4, zorder=5)
    limits = np.clip(np.array(edges), -max(H, W), 2 * max(H, W))
    margin = 0.3
    left, right = min(limits[:, [0, 2]].ravel()) - margin, max(limits[:, [0, 2]].ravel()) + margin
    image_view(axes, left, right, min(limits[:, [1, 3]].ravel()) - margin, max(limits[:, [1, 3]].ravel()) + margin)


def _on_map(case: StoredCase, roi: Array) -> Array:
    """Return a region in pixels of the map, whose centres are whole numbers."""
    scaled = roi.astype(np.float64) * case.params["scale"]
    if case.algorithm == "roi_pool":
        corners = np.floor(np.abs(scaled) + 0.5) * np.sign(scaled)
        return np.asarray(corners + np.array([-0.5, -0.5, 0.5, 0.5]))  # whole pixels, the last included
    return np.asarray(scaled - 0.5 if case.params["aligned"] else scaled)
