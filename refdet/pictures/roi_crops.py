"""RoIPool and RoIAlign on one region of one map, and one point of RoIAlign, which is the example of deck 001."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refdet.core.check import Array
from refdet.ops.bins import bin_slices
from refdet.ops.roi_align import roi_align
from refdet.ops.roi_pool import roi_pool, round_half_away
from refdet.ops.roi_sampling import point_taps, roi_sampling_points
from refdet.pictures.slide import (
    BLACK,
    BLUE,
    BODY,
    GREY,
    ORANGE,
    PALE,
    SKY,
    SMALLEST,
    VERMILLION,
    image_view,
    outline,
    panel,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAP = np.arange(1.0, 101.0).reshape(1, 1, 10, 10)  # 10 · row + column + 1
SCALE = 1 / 20
ROI = (56.0, 63.0, 152.0, 135.0)  # in image coordinates; one of its sampling points is that of the deck
BINS = 2
SHOWN = [(x, y) for y in range(2, 9) for x in range(2, 10)]  # pixels of the map
POINT = (6.5, 5.8)  # x and y, in pixels of the map


class PointExample(NamedTuple):
    """The feature at one point, and the four pixels and weights that it is made of, upper left first."""

    pixels: list[tuple[int, int]]  # (x, y), as in the deck
    values: list[float]
    factors: list[tuple[float, float]]  # of x and of y, whose product is the weight
    feature: float


def point_example() -> PointExample:
    """Return what RoIAlign does at the deck's point."""
    x, y = POINT
    columns, rows = (point_taps(np.array([v]), 10, border="kernel") for v in (x, y))
    taps = [(k, l) for k in range(2) for l in range(2)]
    pixels = [(int(columns.pixels[0, l]), int(rows.pixels[0, k])) for k, l in taps]
    one_point = np.array([[0, x - 0.5, y - 0.5, x + 0.5, y + 0.5]])
    feature = roi_align(MAP, one_point, 1, sampling_ratio=1, aligned=False).data.item()
    return PointExample(
        pixels=pixels,
        values=[float(MAP[0, 0, j, i]) for i, j in pixels],
        factors=[(float(columns.weights[0, l]), float(rows.weights[0, k])) for k, l in taps],
        feature=float(feature),
    )


def pooled() -> tuple[Array, Array]:
    """Return the bins of RoIPool and of RoIAlign, both (2, 2)."""
    rois = np.array([[0.0, *ROI]])
    largest, _ = roi_pool(MAP, rois, BINS, scale=SCALE)
    mean = roi_align(MAP, rois, BINS, scale=SCALE, sampling_ratio=2, aligned=True)
    return largest.data[0, 0], mean.data[0, 0]


def snapped_bins() -> tuple[list[slice], list[slice]]:
    """Return the rows and the columns of the map in each bin of RoIPool."""
    x1, y1, x2, y2 = round_half_away(np.array(ROI) * SCALE).astype(int).tolist()
    rows, columns = ((y1, y2 - y1 + 1), (x1, x2 - x1 + 1))
    return (
        bin_slices(*rows, BINS, 10, convention="exact"),
        bin_slices(*columns, BINS, 10, convention="exact"),
    )


def draw_roi_crops(figure: Figure) -> None:
    """Draw RoIPool, RoIAlign, and one point, side by side."""
    x1, y1, x2, y2 = ROI
    write_title(
        figure,
        "RoIPool rounds the region to whole pixels; RoIAlign does not",
        "Girshick, Fast R-CNN (2015), §2.1; He et al., Mask R-CNN (2017), §3; deck 001 · "
        f"region ({x1:g}, {y1:g}, {x2:g}, {y2:g}) of the image, map at 1/20",
    )
    largest, mean = pooled()
    _draw_snapped(_map_panel(figure, 0.03, "RoIPool: bins of whole pixels"))
    _write_bins(figure, 0.03, largest, "largest\nof each bin")
    _draw_points(_map_panel(figure, 0.36, "RoIAlign: four points per bin"))
    _write_bins(figure, 0.36, mean, "mean of\nfour points")
    _draw_one_point(figure, 0.69)


def _map_panel(figure: Figure, left: float, heading: str) -> Axes:
    """Return axes with the pixels of the map around the region."""
    axes = panel(figure, left, 0.36, 0.29, 0.45, heading=heading)
    (x1, y1), (x2, y2) = SHOWN[0], SHOWN[-1]
    image_view(axes, x1 - 0.5, x2 + 0.5, y1 - 0.5, y2 + 0.5)
    for x, y in SHOWN:
        outline(axes, (x - 0.5, y - 0.5, x + 0.5, y + 0.5), edgecolor=PALE, linewidth=1.5)
    return axes


def _write_pixels(axes: Axes, pixels: Iterable[tuple[int, int]]) -> None:
    """Write the values of pixels (x, y) into them, legible over lines."""
    from matplotlib.patheffects import withStroke

    for x, y in pixels:
        halo = [withStroke(linewidth=4, foreground="white", alpha=0.7)]
        value = f"{MAP[0, 0, y, x]:.0f}"
        axes.text(x, y, value, ha="center", va="center", fontsize=SMALLEST, path_effects=halo)


def _region() -> Array:
    """Return the region in pixels of the map, whose centres are whole numbers."""
    return np.array(ROI) * SCALE - 0.5


def _draw_snapped(axes: Axes) -> None:
    rows, columns = snapped_bins()
    for p, row in enumerate(rows):
        for q, column in enumerate(columns):
            box = (column.start - 0.5, row.start - 0.5, column.stop - 0.5, row.stop - 0.5)
            outline(axes, box, fill=True, facecolor=(SKY, ORANGE)[(p + q) % 2], alpha=0.35, linewidth=0)
            outline(axes, box, edgecolor=BLACK)
    outline(axes, _region(), edgecolor=VERMILLION, linestyle="--", linewidth=4)
    _write_pixels(axes, SHOWN)
    axes.text(1.5, 8.6, "dashed: the region as given", color=VERMILLION, va="top", fontsize=18)


def _draw_points(axes: Axes) -> None:
    x1, y1, x2, y2 = _region()
    y, x = roi_sampling_points(ROI, output_size=BINS, scale=SCALE, sampling_ratio=2, aligned=True)
    outline(axes, (x1, y1, x2, y2), edgecolor=VERMILLION, linewidth=4)
    axes.plot([(x1 + x2) / 2] * 2, [y1, y2], color=VERMILLION, linewidth=4)
    axes.plot([x1, x2], [(y1 + y2) / 2] * 2, color=VERMILLION, linewidth=4)
    points_x, points_y = np.meshgrid(x, y)
    axes.plot(points_x.ravel(), points_y.ravel(), "o", color=BLUE, markersize=11, markeredgecolor="white")
    axes.plot(*POINT, "o", markerfacecolor="none", markeredgecolor=BLACK, markersize=18, markeredgewidth=2.5)
    _write_pixels(axes, point_example().pixels)


def _write_bins(figure: Figure, left: float, bins: Array, caption: str) -> None:
    axes = panel(figure, left + 0.12, 0.095, 0.15, 0.19)
    axes.set_xlim(0, BINS)
    axes.set_ylim(BINS, 0)
    for p, q in np.ndindex(BINS, BINS):
        outline(axes, (q, p, q + 1, p + 1), edgecolor=BLACK, linewidth=2)
        axes.text(q + 0.5, p + 0.5, f"{bins[p, q]:.3g}", ha="center", va="center", fontsize=24)
    figure.text(left, 0.19, caption, va="center", fontsize=BODY)


def _draw_one_point(figure: Figure, left: float) -> None:
    example = point_example()
    (x, y), (i0, j0) = POINT, example.pixels[0]
    axes = panel(figure, left, 0.36, 0.29, 0.45, heading=f"One point: x = {x}, y = {y}")
    image_view(axes, i0 - 0.5, i0 + 1.5, j0 - 0.5, j0 + 1.5)
    for (i, j), value, (of_x, of_y) in zip(example.pixels, example.values, example.factors, strict=True):
        pixel = (i - 0.5, j - 0.5, i + 0.5, j + 0.5)
        outline(axes, pixel, fill=True, facecolor=SKY, alpha=of_x * of_y, linewidth=0)
        outline(axes, pixel, edgecolor=GREY, linewidth=2)
        axes.text(i, j - 0.25, f"f({i}, {j}) = {value:.0f}", ha="center", va="center", fontsize=18)
        axes.text(i, j, f"× {of_x * of_y:.1f}", ha="center", va="center", fontsize=24, fontweight="bold")
    axes.plot(x, y, "o", color=BLUE, markersize=18, markeredgecolor="white")
    terms = [f"{fx:.1f} · {fy:.1f} · {v:.0f}" for v, (fx, fy) in zip(example.values, example.factors, strict=True)]
    lines = [f"   {terms[0]} + {terms[1]}", f"+ {terms[2]} + {terms[3]}", f"= {example.feature:.1f}"]
    figure.text(left, 0.29, "\n".join(lines), va="top", fontsize=BODY, linespacing=1.5)
