"""Anchors over a picture, and which of them a region proposal network learns from as what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refdet.boxes.anchors import anchor_grid, base_anchors
from refdet.boxes.iou import box_iou
from refdet.boxes.match_rpn import match_rpn
from refdet.core.check import Array
from refdet.data.shapes import Scene, make_scene
from refdet.pictures.slide import (
    BLACK,
    BLUE,
    BODY,
    GREY,
    HEADING,
    ORANGE,
    PALE,
    image_view,
    outline,
    panel,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.typing import LineStyleType

SCENE = (0, 231)  # seed and number: two objects of different sizes, side by side
SIZE, STRIDE = (192, 256), 16
SIZES, RATIOS = (32, 64, 128), (0.5, 1.0, 2.0)
POSITIVE, NEGATIVE = 0.7, 0.3
STYLES: dict[int, tuple[str, LineStyleType]] = {1: (BLUE, "-"), -1: (ORANGE, "--"), 0: (GREY, ":")}  # by label


@dataclass(frozen=True)
class LabelledAnchors:
    """What the picture shows: H × W positions with S sizes × R ratios each."""

    scene: Scene
    anchors: Array  # (H, W, S, R, 4)
    best: Array  # (H, W, S, R), the highest IoU with any object
    labels: Array  # (H, W, S, R): 1, 0 or −1

    @property
    def forced(self) -> Array:
        """Which anchors are positive only because they are the best of some object."""
        forced: Array = (self.labels == 1) & (self.best < POSITIVE)
        return forced

    def count(self, label: int) -> int:
        """Return the number of anchors with that label."""
        return int(np.count_nonzero(self.labels == label))

    def busiest_position(self) -> tuple[int, int]:
        """Return the row and column with the most positives, of these the one with the most that are ignored."""
        positives, ignored = (np.count_nonzero(self.labels == label, axis=(2, 3)) for label in (1, -1))
        row, column = divmod(int(np.argmax(positives * 100 + ignored)), self.labels.shape[1])
        return row, column


def labelled_anchors() -> LabelledAnchors:
    """Return the anchors of the scene with their labels."""
    scene = make_scene(*SCENE, size=SIZE)
    H, W = SIZE[0] // STRIDE, SIZE[1] // STRIDE
    anchors = anchor_grid(base_anchors(SIZES, RATIOS), (H, W), STRIDE, offset=0.5)
    iou = box_iou(anchors, scene.boxes.astype(np.float64))
    labels, _ = match_rpn(iou, positive=POSITIVE, negative=NEGATIVE)
    shape = (H, W, len(SIZES), len(RATIOS))
    best = np.max(iou, axis=1, initial=0)
    return LabelledAnchors(scene, anchors.reshape(*shape, 4), best.reshape(shape), labels.reshape(shape))


def draw_anchor_labels(figure: Figure) -> None:
    """Draw the anchors at one position over the scene, and the labels of all, shape by shape."""
    labelled = labelled_anchors()
    write_title(
        figure,
        f"Of {labelled.labels.size} anchors, {labelled.count(1)} are positive",
        "Ren et al., Faster R-CNN (2015), §3.1.2; decks 000 and 001 · "
        f"{SIZE[1]} × {SIZE[0]} pixels, a position every {STRIDE}; anchors that leave the image count",
    )
    _draw_scene(figure, labelled)
    _draw_legend(figure, labelled)
    _draw_maps(figure, labelled)


def _draw_scene(figure: Figure, labelled: LabelledAnchors) -> None:
    H, W = SIZE
    axes = panel(figure, 0.03, 0.23, 0.44, 0.59, heading="The nine anchors at one position (+)")
    axes.imshow(_faded(labelled.scene), extent=(0, W, H, 0))
    image_view(axes, 0, W, 0, H)
    y, x = np.mgrid[STRIDE / 2 : H : STRIDE, STRIDE / 2 : W : STRIDE]
    axes.plot(x.ravel(), y.ravel(), ".", color=GREY, markersize=4)
    for box in labelled.scene.boxes:
        outline(axes, box, edgecolor=BLACK, linewidth=4)
    row, column = labelled.busiest_position()
    at_position = zip(labelled.anchors[row, column].reshape(-1, 4), labelled.labels[row, column].ravel(), strict=True)
    for anchor, label in sorted(at_position, key=lambda pair: (0, -1, 1).index(pair[1])):  # positives in front
        colour, line = STYLES[int(label)]
        outline(axes, anchor, edgecolor=colour, linestyle=line, linewidth=3.5, clip_on=True)
    axes.plot((column + 0.5) * STRIDE, (row + 0.5) * STRIDE, "+", color=BLACK, markersize=20, markeredgewidth=4)


def _faded(scene: Scene) -> Array:
    """Return the picture in light grey, with its objects in pale colours."""
    image = scene.image.astype(np.float64) / 255
    background = 0.8 + 0.2 * image.mean(axis=2, keepdims=True)
    return np.where(np.any(scene.masks, axis=0)[..., None], 0.35 + 0.65 * image, background)


def _draw_legend(figure: Figure, labelled: LabelledAnchors) -> None:
    from matplotlib.lines import Line2D

    names = {
        1: f"{labelled.count(1)} positive: IoU ≥ {POSITIVE:g}, or (★) the best of an object",
        -1: f"{labelled.count(-1)} ignored",
        0: f"{labelled.count(0)} negative: IoU < {NEGATIVE:g} with every object",
    }
    keys = [Line2D([], [], color=STYLES[label][0], linestyle=STYLES[label][1], linewidth=4) for label in names]
    figure.legend(keys, names.values(), loc="lower left", bbox_to_anchor=(0.02, 0.055), frameon=False, fontsize=BODY)


def _draw_maps(figure: Figure, labelled: LabelledAnchors) -> None:
    """Draw one map of labels per shape of anchor, each position a cell."""
    from matplotlib.colors import ListedColormap

    colours = ListedColormap([ORANGE, PALE, BLUE])  # −1, 0, 1
    figure.text(0.545, 0.851, "The labels at all positions, shape by shape", fontsize=HEADING, va="center")
    for i, size in enumerate(SIZES):
        for j, ratio in enumerate(RATIOS):
            axes = panel(figure, 0.57 + 0.14 * j, 0.58 - 0.215 * i, 0.132, 0.18)
            axes.imshow(labelled.labels[:, :, i, j], cmap=colours, vmin=-1, vmax=1)
            rows, columns = np.nonzero(labelled.forced[:, :, i, j])
            axes.plot(columns, rows, "*", color="white", markersize=9, markeredgewidth=0)
            for box in labelled.scene.boxes:
                outline(axes, box / STRIDE - 0.5, edgecolor=BLACK, linewidth=2)
            if i == 0:
                axes.set_title(f"h/w = {ratio:g}", fontsize=18)
            if j == 0:
                axes.text(-0.05, 0.5, f"s = {size}", rotation=90, ha="right", va="center", transform=axes.transAxes)
