"""Where a map differs from the right one: expected, got, and the difference as a heat map, side by side.

Of an array with more than two axes one slice along the last two is shown, the one with the worst element; of a long
axis the part around it. Elements that pass are pale; the others are darker the further away they are, on a logarithmic
scale, and crossed out where no number says how far. For RoI pooling the map that is pooled stands before the others,
with the region, and in it the bin of the worst element.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from refdet.core.check import Array
from refdet.pictures.measured_difference import Difference, drawable, short, window
from refdet.pictures.slide import BLACK, GREY, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, LogNorm
    from matplotlib.figure import Figure

MOST_CELLS = 48  # along an axis
MOST_NUMBERS = 6  # along an axis, for the values to be written into the cells
MOST_DISTANCES = 4  # in a row, likewise; and twice as many rows
LEAST = 1e-280  # of a logarithmic scale; matplotlib takes less for nothing
DECADES = 6  # of a scale of tolerances; beyond, it is wrong, and the number says nothing
FURTHEST = 1e305  # stands for infinitely far on a logarithmic scale, beyond its end
PASSES = "#EDEDED"
REGION_ALGORITHMS = ("roi_align", "roi_pool")


def draw_maps(
    figure: Figure, difference: Difference, *, algorithm: str, inputs: Mapping[str, Array], params: Mapping[str, Any]
) -> None:
    """Draw the slice with the worst element."""
    worst = difference.worst()
    has_region = algorithm in REGION_ALGORITHMS and {"x", "rois"} <= inputs.keys() and inputs["rois"].size > 0
    if has_region:
        figure.set_figheight(0.8 * figure.get_figheight())  # four panels are smaller than three
    panels = list(figure.subplots(1, 2 + difference.has_form + has_region, squeeze=False)[0])
    if has_region:
        _draw_region(panels.pop(0), difference, worst, inputs, params)
    parts = [_part(x, worst) for x in (difference.expected, difference.got)]
    values = np.concatenate([drawable(x[part]).ravel() for x, part in zip(_arrays(difference), parts, strict=True)])
    finite = values[np.isfinite(values)]
    limits = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    image = None
    for axes, word, x, part in zip(panels, ("expected", "got"), _arrays(difference), parts, strict=False):
        image = _draw_values(axes, x[part], limits)
        _label(axes, word, part)
    if image is not None:
        bar = figure.colorbar(image, ax=panels[:2], shrink=0.8, pad=0.02, aspect=25)
        bar.ax.yaxis.set_major_formatter(lambda value, _: short(value))
    if difference.has_form:
        _mark_wrong(panels[1], difference, parts[1])
        heat_map(figure, panels[2], difference, parts[1])


def _arrays(difference: Difference) -> tuple[Array, Array]:
    return difference.expected, difference.got


def heat_map(figure: Figure, axes: Axes, difference: Difference, part: tuple[int | slice, ...]) -> None:
    """Draw how far each element of a part is off."""
    measured = difference.measured()[part]
    norm, colours = _scale(difference)
    wrong = np.where(measured > difference.limit, np.minimum(measured, FURTHEST), np.nan)
    image = axes.imshow(wrong, norm=norm, cmap=colours, **_look(measured.shape))
    for i, j in np.argwhere(np.isinf(measured)).tolist():
        axes.text(j, i, "×", ha="center", va="center", color="white", fontsize=9, clip_on=True)
    if measured.shape[1] <= MOST_DISTANCES and measured.shape[0] <= 2 * MOST_DISTANCES:
        middle = float(np.sqrt(norm.vmin or 1) * np.sqrt(norm.vmax or 1))
        for i, j in np.argwhere(np.isfinite(measured) & (measured > 0)).tolist():
            colour = "white" if measured[i, j] > middle else BLACK
            axes.text(j, i, short(measured[i, j], 2), ha="center", va="center", fontsize=8, color=colour)
    _label(axes, "difference", part)
    beyond = bool(np.any(measured > (norm.vmax or np.inf)))
    bar = figure.colorbar(
        image, ax=axes, shrink=0.8, pad=0.02, aspect=25, extend="max" if beyond else "neither", extendfrac=0.06
    )
    bar.ax.yaxis.set_major_formatter(lambda value, _: short(value))
    bar.ax.yaxis.set_minor_formatter(lambda *_: "")
    bar.ax.minorticks_off()
    bar.set_label(difference.unit)


def _scale(difference: Difference) -> tuple[LogNorm, Colormap]:
    """Return a logarithmic scale from a power of ten to another over all that is wrong, and its colours."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap, LogNorm

    measured = difference.measured()
    wrong = measured[np.isfinite(measured) & (measured > difference.limit)]
    least = difference.limit or float(np.min(wrong, initial=np.inf))
    low = math.floor(math.log10(max(least, LEAST))) if math.isfinite(least) else 0
    high = math.ceil(math.log10(max(np.max(wrong, initial=0.0), LEAST)))
    if difference.limit:
        high = min(high, low + DECADES)
    colours = ListedColormap(colormaps["YlOrBr"](np.linspace(0.4, 1, 256)))
    return LogNorm(10.0**low, 10.0 ** max(high, low + 1)), colours.with_extremes(bad=PASSES, over=BLACK)


def _part(x: Array, worst: tuple[int, ...]) -> tuple[int | slice, ...]:
    """Return which two-dimensional part of an array is shown: around the worst element, as far as it is inside."""
    inside = [min(i, n - 1) for i, n in zip((*worst, *(0,) * x.ndim), x.shape, strict=False)]
    rows, columns = (window(inside[axis], x.shape[axis], MOST_CELLS) for axis in (x.ndim - 2, x.ndim - 1))
    return (*inside[:-2], rows, columns)


def _look(shape: tuple[int, ...]) -> dict[str, Any]:
    """Return how a map is drawn: with square cells, unless it is very narrow."""
    rows, columns = max(shape[0], 1), max(shape[1], 1)
    return {"aspect": "equal" if max(rows, columns) <= 4 * min(rows, columns) else "auto", "interpolation": "nearest"}


def _draw_values(axes: Axes, values: Array, limits: tuple[float, float]) -> Any:
    shown = drawable(values)
    image = axes.imshow(shown, cmap="viridis", vmin=limits[0], vmax=limits[1], **_look(values.shape))
    axes.set_facecolor("white")
    small = max(values.shape) <= MOST_NUMBERS
    middle = sum(limits) / 2
    for i, j in np.ndindex(values.shape):
        value = float(values[i, j])
        if small or not np.isfinite(value):
            colour = BLACK if not np.isfinite(value) or value > middle else "white"
            size = 8 if small else 6
            axes.text(j, i, short(value), ha="center", va="center", fontsize=size, color=colour, clip_on=True)
    return image


def _mark_wrong(axes: Axes, difference: Difference, part: tuple[int | slice, ...]) -> None:
    """Frame the wrong elements of a small map."""
    from matplotlib.patches import Rectangle

    measured = difference.measured()[part]
    if max(measured.shape) > 2 * MOST_NUMBERS:
        return
    for i, j in np.argwhere(measured > difference.limit).tolist():
        frame = Rectangle((j - 0.44, i - 0.44), 0.88, 0.88, fill=False, edgecolor=VERMILLION, linewidth=1.8)
        axes.add_patch(frame)


def _label(axes: Axes, word: str, part: tuple[int | slice, ...]) -> None:
    """Write what a panel shows, and the true indices along its axes."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_title(word, loc="left")
    for axis, shown in zip((axes.yaxis, axes.xaxis), part[-2:], strict=True):
        first = shown.start if isinstance(shown, slice) else 0
        axis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        axis.set_major_formatter(FuncFormatter(lambda tick, _, first=first: f"{tick + first:.0f}"))


def title_of(difference: Difference) -> str:
    """Return which slice of a tensor is shown.

    >>> title_of(Difference("y", np.zeros((2, 3, 4, 4)), np.zeros((2, 3, 4, 4)), None))
    'y[0, 0, :, :]'
    """
    leading = difference.worst()[:-2]
    return f"{difference.tensor}[{', '.join([*map(str, leading), ':', ':'])}]" if leading else difference.tensor


def _draw_region(
    axes: Axes, difference: Difference, worst: tuple[int, ...], inputs: Mapping[str, Array], params: Mapping[str, Any]
) -> None:
    """Draw the map that is pooled, and the region or regions in it."""
    from matplotlib.patches import Rectangle

    x, rois = inputs["x"], inputs["rois"]
    is_gradient = difference.tensor == "dx"
    n = worst[0] if is_gradient else int(rois[worst[0], 0])
    shown = rois[rois[:, 0] == n] if is_gradient else rois[worst[0] : worst[0] + 1]
    n = min(max(n, 0), len(x) - 1)
    axes.imshow(drawable(x[n, worst[1]]), cmap="Greys", **_look(x.shape[-2:]))
    _label(axes, "pooled map and region", (slice(0, None), slice(0, None)))
    shift = 0.5 if params.get("aligned") else 0.0  # pixel 0 is drawn from −0.5 to 0.5
    for roi in shown.astype(np.float64) * float(params.get("scale", 1.0)):
        x1, y1, x2, y2 = roi[1:] - shift
        if np.isfinite(roi).all():
            axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=VERMILLION, linewidth=2))
            if not is_gradient:
                axes.add_patch(_bin(np.array([x1, y1, x2, y2]), worst, difference.expected.shape, params))
    axes.autoscale_view()


def _bin(region: NDArray[np.float64], worst: tuple[int, ...], shape: tuple[int, ...], params: Mapping[str, Any]) -> Any:
    """Return the part of a region that the worst element stands for; regions are one pixel at least if not aligned."""
    from matplotlib.patches import Rectangle

    x1, y1, x2, y2 = region.tolist()
    least = -np.inf if params.get("aligned", False) else 1.0
    width, height = max(x2 - x1, least) / shape[-1], max(y2 - y1, least) / shape[-2]
    corner = (x1 + worst[-1] * width, y1 + worst[-2] * height)
    return Rectangle(corner, width, height, facecolor=VERMILLION, edgecolor=GREY, alpha=0.4)
