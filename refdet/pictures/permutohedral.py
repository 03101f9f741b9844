"""Filtering on the permutohedral lattice in the plane: a point among its three corners, the blur, and what it makes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refdet.core.check import Array
from refdet.crf.lattice import slice_scale
from refdet.crf.lattice_blur import lattice_blur
from refdet.crf.lattice_embed import axis_lengths, elevate_transposed, lattice_embed
from refdet.crf.lattice_index import lattice_index
from refdet.crf.lattice_slice import lattice_slice
from refdet.crf.lattice_splat import lattice_splat
from refdet.pictures.slide import (
    BLACK,
    BLUE,
    BODY,
    GREEN,
    GREY,
    HEADING,
    ORANGE,
    PALE,
    SMALLEST,
    VERMILLION,
    panel,
    table,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

D = 2  # dimensions, those of the slide
POINT = (0.5, 0.1)  # in standard deviations
COLOURS, INKS = (BLUE, ORANGE, GREEN), ("white", BLACK, "white")  # of vertices, by the remainder of their coordinates
REACH = 4  # steps in which vertices around the origin are stored, further than the blur reaches
LEFT, RIGHT, BOTTOM, TOP = -1.22, 2.02, -1.32, 1.72  # of the plane of the features that is shown
MIDDLES = (1.5, 6.3, 11.55)  # of the three pictures of hexagons
FRACTIONS = ("", "⅛", "¼", "⅜", "½", "⅝", "¾", "⅞")  # by eighths; 0.125 would be wider than its hexagon
SPREAD = 0.5 / math.cos(math.pi / 6)  # from the middle of a vertex's hexagon to its corners; neighbours are 1 apart


class Corners(NamedTuple):
    """The simplex around the point."""

    keys: list[tuple[int, int]]  # by colour: 0, 1, 2
    weights: list[float]
    places: Array  # (3, 2), in the plane of the features


class Blurred(NamedTuple):
    """Values on a lattice without holes."""

    places: Array  # (M, 2) of the vertices, in the plane of the features
    values: Array  # (M,)

    @property
    def support(self) -> Array:
        """The vertices that are reached."""
        return np.flatnonzero(self.values)

    @property
    def centre(self) -> float:
        """The value at the origin."""
        return float(self.values[np.argmin(np.sum(self.places**2, axis=1))])


def places_of(keys: Array) -> Array:
    """Return where vertices lie in the plane of the features, (M, 2): the inverse of elevating their keys.

    Elevating stretches every direction by √(2/3) (d + 1) and is a rotation else, so that its transpose undoes it when
    divided by the square of that.
    """
    coordinates = np.concatenate([keys, -keys.sum(axis=1, keepdims=True)], axis=1).astype(np.float64)
    stretched = axis_lengths(D)[0] * math.sqrt(2)  # c_0 is divided by √2
    places: Array = elevate_transposed(coordinates) / stretched**2
    return places


def corners() -> Corners:
    """Return the corners around the point, and what share of it each receives."""
    weights, keys = lattice_embed(np.array([POINT]))
    return Corners([(int(a), int(b)) for a, b in keys[0]], weights.data[0].tolist(), places_of(keys[0]))


def full_lattice() -> tuple[Array, Array]:
    """Return the keys of all vertices within `REACH` steps of the origin, and their neighbours."""
    steps = np.arange(-REACH, REACH + 1)
    i, j = (grid.ravel() for grid in np.meshgrid(steps, steps))
    keys = np.stack([2 * i - j, 2 * j - i], axis=1)[:, None]  # i steps along axis 0, j along axis 1
    vertices, _, neighbours = lattice_index(keys)
    return vertices, neighbours


def blurred(n_axes: int) -> Blurred:
    """Return what a 1 at the origin is after the blur along the first axes."""
    vertices, neighbours = full_lattice()
    z = np.zeros((len(vertices), 1))
    z[np.flatnonzero(~vertices.any(axis=1))] = 1
    return Blurred(places_of(vertices), lattice_blur(z, neighbours[:n_axes]).data[:, 0])


def own_response() -> float:
    """Return what the point receives of its own 1, splat, blurred on a lattice without holes, and sliced."""
    vertices, neighbours = full_lattice()
    weights, keys = lattice_embed(np.array([POINT]))
    ids = np.array([[np.flatnonzero((vertices == key).all(axis=1))[0] for key in keys[0]]])
    z = lattice_blur(lattice_splat(np.ones((1, 1)), weights, ids, len(vertices)), neighbours)
    return float(lattice_slice(z, weights, ids, scale=slice_scale(D)).data[0, 0])


def responses() -> list[tuple[float, float]]:
    """Return the distances at which vertices are reached, and how much of a vertex's 1 arrives there when sliced."""
    kernel = blurred(D + 1)
    by_distance = {
        round(float(np.hypot(*kernel.places[v])), 9): slice_scale(D) * float(kernel.values[v]) for v in kernel.support
    }
    return sorted(by_distance.items())


def draw_permutohedral(figure: Figure) -> None:
    """Draw the point among its corners on the left, the blur on the upper right, slicing below it."""
    write_title(
        figure,
        "The permutohedral lattice filters in three steps: splat, blur, slice",
        "Adams, Baek & Davis (2010); Krähenbühl & Koltun (2011); deck 004 · here in d = 2 dimensions",
    )
    _draw_splat(figure)
    _draw_blur(figure)
    _draw_slice(figure)


def _draw_splat(figure: Figure) -> None:
    from matplotlib.patches import Polygon

    found = corners()
    axes = figure.add_axes((0.055, 0.21, 0.335, 0.6))
    axes.set_title("1. Splat: to three corners", loc="left")
    axes.set_aspect("equal")
    axes.set_anchor("NW")
    axes.set_xlim(LEFT, RIGHT)
    axes.set_ylim(BOTTOM, TOP)
    _draw_lattice(axes, found)
    axes.add_patch(Polygon(found.places, facecolor=BLACK, alpha=0.08, edgecolor="none", zorder=1))
    axes.add_patch(Polygon(found.places, fill=False, edgecolor=BLACK, linewidth=3.5, zorder=3))
    for weight, (x, y), colour in zip(found.weights, found.places.tolist(), COLOURS, strict=True):
        axes.plot([POINT[0], x], [POINT[1], y], color=colour, linewidth=22 * weight, zorder=2)
    axes.plot(*POINT, "o", color=VERMILLION, markersize=18, markeredgecolor="white", markeredgewidth=2, zorder=5)
    middle = found.places.mean(axis=0)
    for key, weight, place in zip(found.keys, found.weights, found.places, strict=True):
        _write_corner(axes, key, weight, place, place - middle)
    axes.set_xticks(range(-1, 3), [_signed(tick) for tick in range(-1, 3)])
    axes.set_yticks(range(-1, 2), [_signed(tick) for tick in range(-1, 2)])
    axes.tick_params(labelsize=SMALLEST)
    axes.set_xlabel("features, in standard deviations", fontsize=SMALLEST)
    sum_of_weights = " + ".join(f"{weight:.2f}" for weight in found.weights)
    lines = [
        f"Red point ({POINT[0]:g}, {POINT[1]:g}): {sum_of_weights} = {sum(found.weights):g}",
        f"Number in a vertex: its key modulo {D + 1}",
    ]
    figure.text(0.03, 0.155, "\n".join(lines), va="top", fontsize=18, linespacing=1.5)


def _draw_lattice(axes: Axes, found: Corners) -> None:
    """Draw the triangles, and the vertices with their remainders, those of the point's simplex larger."""
    vertices, neighbours = full_lattice()
    places = places_of(vertices)
    for ahead, _ in neighbours:
        for v in np.flatnonzero(ahead >= 0):
            axes.plot(*places[[v, ahead[v]]].T, color=PALE, linewidth=2.5, zorder=1)
    for key, (x, y) in zip(vertices.tolist(), places.tolist(), strict=True):
        if not (LEFT < x < RIGHT and BOTTOM < y < TOP):
            continue
        remainder, size = key[0] % (D + 1), 30 if tuple(key) in found.keys else 22
        axes.plot(x, y, "o", color=COLOURS[remainder], markersize=size, markeredgecolor="white", zorder=4)
        axes.text(
            x, y, str(remainder), ha="center", va="center_baseline", color=INKS[remainder], fontweight="bold",
            fontsize=SMALLEST, zorder=5,
        )  # fmt: skip


def _write_corner(axes: Axes, key: tuple[int, int], weight: float, place: Array, outward: Array) -> None:
    """Write the key and the weight of a corner outside the triangle, where text needs more room beside than above."""
    from matplotlib.patheffects import withStroke

    x, y = (place + np.array([0.66, 0.34]) * outward / np.hypot(*outward)).tolist()
    text = f"key ({_signed(key[0])}, {_signed(key[1])})\nweight {weight:.2f}"
    halo = [withStroke(linewidth=5, foreground="white")]
    axes.text(x, y, text, ha="center", va="center", fontsize=18, path_effects=halo, zorder=6)


def _signed(number: int) -> str:
    return f"{number}".replace("-", "−")


def _draw_blur(figure: Figure) -> None:
    """Draw the values after each axis as hexagons on one scale, and what is known of the last of them."""
    axes = panel(figure, 0.42, 0.405, 0.57, 0.405, heading="2. Blur a single 1: add half of both neighbours")
    axes.set_aspect("equal")
    for n_axes, x in zip(range(1, D + 2), MIDDLES, strict=True):
        _draw_hexagons(axes, blurred(n_axes), x)
        axes.text(x, 3.1, f"{'then ' if n_axes > 1 else ''}along axis {n_axes - 1}", ha="center", va="center")
    for left, right in ((3.2, 3.9), (8.65, 9.2)):
        axes.annotate("", (right, 0), (left, 0), arrowprops={"arrowstyle": "-|>", "linewidth": 3, "color": GREY})
    axes.set_xlim(0, 13.9)
    axes.set_ylim(-2.55, 3.4)
    kernel = blurred(D + 1)
    known = (
        f"centre 1 + 2⁻ᵈ = {kernel.centre:g}",
        f"support 3ᵈ⁺¹ − 2ᵈ⁺¹ = {len(kernel.support)}",
        f"total 2ᵈ⁺¹ = {kernel.values.sum():g}",
    )
    figure.text(0.42, 0.375, "     ".join(known), va="center", fontsize=18)


def _draw_hexagons(axes: Axes, kernel: Blurred, x: float) -> None:
    """Draw every vertex that is reached as the part of the plane nearest to it, with its value."""
    from matplotlib import colormaps
    from matplotlib.patches import RegularPolygon

    for v in kernel.support:
        value, (dx, dy) = float(kernel.values[v]), kernel.places[v].tolist()
        colour = colormaps["Blues"](0.12 + 0.7 * value / 1.25)
        axes.add_patch(
            RegularPolygon((x + dx, dy), 6, radius=SPREAD, orientation=math.pi / 6, facecolor=colour, edgecolor="white")
        )
        ink = "white" if value >= 1 else BLACK
        axes.text(x + dx, dy, eighths(value), ha="center", va="center_baseline", color=ink, fontsize=HEADING)


def eighths(value: float) -> str:
    """Return a multiple of ⅛ above 0 as a whole number and a fraction."""
    whole, eighths = divmod(round(8 * value), 8)
    return f"{whole or ''}{FRACTIONS[eighths]}"


def _draw_slice(figure: Figure) -> None:
    """Write how far the filter is from the Gaussian, at the distances at which vertices lie."""
    heading = f"3. Slice: read the corners, times α = 1/(1 + 2⁻ᵈ) = {slice_scale(D):g}"
    axes = panel(figure, 0.42, 0.13, 0.57, 0.15, heading=heading)
    pairs = responses()
    rows = [
        ["distance of two vertices", *(f"{r:.3g}" for r, _ in pairs)],
        ["lattice:  α · value", *(f"{response:.2f}" for _, response in pairs)],
        ["Gaussian:  exp(−½ distance²)", *(f"{math.exp(-(r**2) / 2):.2f}" for r, _ in pairs)],
    ]
    table(axes, rows, (0.0, 0.6, 0.73, 0.86, 0.99), align="lrrrr", size=BODY)
    own = f"The red point, between vertices, receives {own_response():.2f} of its own 1, not all of it."
    figure.text(0.42, 0.085, own, va="center", fontsize=18)
