"""What a fully connected CRF makes of the labels of an image: over it, side by side, and how inference converged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refdet.core.check import Array
from refdet.pictures.slide import (
    BLACK,
    BLUE,
    BODY,
    GREEN,
    GREY,
    HEADING,
    INCHES,
    ORANGE,
    PURPLE,
    SKY,
    SMALLEST,
    TITLE,
    VERMILLION,
    WIDTH,
    image_view,
    panel,
    percent,
    shortened,
    text_width,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UNSURE = -1
OPACITY = 0.55  # of the labels over the image
FAINTEST = 32  # colours count as different when a channel differs by as much
STRIPES = 60  # how many of them cross an image where it has no label
FEW = (BLUE, ORANGE, GREEN, VERMILLION, SKY, PURPLE, "#F0E442")  # the last is Okabe and Ito's yellow
MOST_SHOWN = 4  # labels in the table below the pictures
STILL = 0.05  # inference has converged when no probability changes by more in an iteration

# Of the slide of before and after, as shares of its width and height.
HIGHEST, COLUMN_GAP, NARROWEST = 0.61, 0.03, 0.1  # side by side; the last is what a heading needs
WIDEST_ROW, ROW_GAP, LEAST_ROW = 0.84, 0.02, 0.05  # one below the other, to the right of the headings


@dataclass(frozen=True, eq=False)
class CrfRefinement:
    """The labels of an image before and after, and how inference went."""

    image: Array  # (H, W, 3) uint8
    before: Array  # (H, W) integers; UNSURE where nothing was known
    after: Array  # (H, W) integers
    palette: Array  # (L, 3) uint8
    free_energies: Array  # (iterations + 1,)
    changes: Array  # (iterations,), the largest |Δq| of each
    parameters: str  # those of the kernels, in one line
    details: tuple[str, ...] = ()  # the others, those of most interest first; written as far as there is room

    @property
    def n_unsure(self) -> int:
        """How many pixels had no label."""
        return int(np.count_nonzero(self.before == UNSURE))

    @property
    def n_changed(self) -> int:
        """How many of the others have another label now."""
        return int(np.count_nonzero((self.before != UNSURE) & (self.before != self.after)))

    def counts(self, labels: Array) -> Array:
        """Return how many pixels have each label, (L,)."""
        return np.bincount(labels[labels != UNSURE], minlength=len(self.palette))


def label_palette(n_labels: int, given: Array | None = None) -> Array:
    """Return colours for labels, (L, 3) uint8.

    They are the given ones if those can be told apart; else of up to seven labels those of the slides, and of more
    labels VOC's, which spread the bits of a label over the channels: its lowest three are the highest bits of red,
    green and blue, the next three those below, and so on. After 256 labels the colours begin anew.

    >>> label_palette(8)[:4].tolist()
    [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    """
    if given is not None and len(given) >= n_labels and _can_be_told_apart(given[:n_labels]):
        return given[:n_labels]
    if n_labels <= len(FEW):
        return np.array([list(bytes.fromhex(colour[1:])) for colour in FEW[:n_labels]], np.uint8)
    labels = np.arange(n_labels)[:, None] % 256  # (L, 1)
    channels = np.arange(3)  # (3,)
    palette = np.zeros((n_labels, 3), np.int64)
    for place in range(8):
        palette |= ((labels >> (3 * place + channels)) & 1) << (7 - place)
    return palette.astype(np.uint8)


def _can_be_told_apart(colours: Array) -> bool:
    apart = np.abs(colours[:, None].astype(np.int64) - colours).max(axis=2)
    np.fill_diagonal(apart, FAINTEST)
    return bool((apart >= FAINTEST).all())


def overlay(image: Array, labels: Array, palette: Array) -> Array:
    """Return the image with labels over it, (H, W, 3) uint8: a tint, a thin dark outline, stripes where unsure."""
    H, W = labels.shape
    stripe = max(2, max(H, W) // STRIPES)
    is_stripe = np.add.outer(np.arange(H), np.arange(W)) // stripe % 2 == 0
    stripes = np.where(is_stripe, 255, 128)[:, :, None]
    colours = np.where((labels == UNSURE)[:, :, None], stripes, palette[labels])
    mixed = (1 - OPACITY) * image + OPACITY * colours
    mixed[outlines(labels)] *= 0.3
    return np.rint(mixed).astype(np.uint8)


def outlines(labels: Array) -> Array:
    """Return which pixels have another label than the one to their right or below them, (H, W)."""
    differs = np.zeros(labels.shape, bool)
    differs[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    differs[:-1] |= labels[:-1] != labels[1:]
    return differs


def message(r: CrfRefinement) -> str:
    """Return in one sentence what has become of the labels."""
    n_sure = r.before.size - r.n_unsure
    changed = f"{percent(r.n_changed / n_sure)} of the labels change" if n_sure else "No pixel had a label"
    return f"{changed}, {percent(r.n_unsure / r.before.size)} of the pixels had none" if r.n_unsure else changed


def draw_before_after(figure: Figure, r: CrfRefinement) -> None:
    """Draw the labels over the image before and after, the image itself if there is room, and the labels' shares."""
    write_title(figure, _fitting(message(r)), footer(r, "Krähenbühl & Koltun (2011)"))
    H, W = r.before.shape
    layout = best_layout(W / H)
    pictures = {"Image": r.image, "Before": overlay(r.image, r.before, r.palette)}
    pictures["After"] = overlay(r.image, r.after, r.palette)
    if layout.n < 3:
        del pictures["Image"]
    for i, (heading, picture) in enumerate(pictures.items()):
        if layout.is_stacked:
            top = 0.87 - i * (max(layout.height, LEAST_ROW) + ROW_GAP)
            figure.text(0.03, top, heading, va="top", fontsize=HEADING)
            axes = panel(figure, 0.97 - WIDEST_ROW, top - layout.height, layout.width, layout.height)
        else:
            left = 0.03 + i * (layout.width + COLUMN_GAP)
            axes = panel(figure, left, 0.83 - layout.height, layout.width, layout.height, heading=heading)
        image_view(axes, -0.5, W - 0.5, -0.5, H - 0.5)
        axes.imshow(picture)
    _draw_shares(figure, r)


class Layout(NamedTuple):
    """How pictures of one size stand on the slide; lengths as shares of its width and height."""

    is_stacked: bool  # one below the other, with the headings beside them; else side by side, headings above
    n: int  # 2, or 3 with the image itself
    width: float
    height: float


def best_layout(aspect: float) -> Layout:
    """Return the layout in which pictures, `aspect` times as wide as high, are largest; with the image if it fits.

    >>> best_layout(4 / 3)[:2], best_layout(0.5)[:2], best_layout(4)[:2]
    ((False, 2), (False, 3), (True, 2))
    """
    to_height = INCHES[0] / INCHES[1] / aspect
    layouts = []
    for n in (3, 2):
        width = min(HIGHEST / to_height, (0.94 - (n - 1) * COLUMN_GAP) / n)
        layouts.append(Layout(False, n, width, width * to_height))
        height = min((0.65 - (n - 1) * ROW_GAP) / n, WIDEST_ROW * to_height)
        layouts.append(Layout(True, n, height / to_height, height))
    largest = max(layout.height for layout in layouts)
    best = next(layout for layout in layouts if layout.height > 0.999 * largest)
    return best if best.is_stacked else best._replace(width=max(best.width, NARROWEST))


def footer(r: CrfRefinement, source: str) -> str:
    """Return two lines: the source with the kernels, then how inference went with as many details as there is room."""
    second = progress(r)
    for detail in r.details:
        if text_width(f"{second} · {detail}", SMALLEST) > 0.94 * WIDTH:
            break
        second = f"{second} · {detail}"
    return f"{source} · {r.parameters}\n{second}"


def progress(r: CrfRefinement) -> str:
    """Return how many iterations there were, and whether anything still moved in the last."""
    n = len(r.changes)
    if not n:
        return "no iteration"
    return f"{n} {'iteration' if n == 1 else 'iterations'}, last change {last_change(r)}"


def last_change(r: CrfRefinement) -> str:
    """Return the largest change of a probability in the last iteration, and what to do if it is above `STILL`."""
    change = float(r.changes[-1])
    return f"{change:.3g}{' (not converged; more --iterations)' if change > STILL else ''}"


def _fitting(sentence: str) -> str:
    return shortened(sentence, 0.94 * WIDTH, TITLE, weight="bold")


def _draw_shares(figure: Figure, r: CrfRefinement) -> None:
    """Write the shares of the labels before and after, of the most frequent ones, beside their colours."""
    before, after = r.counts(r.before), r.counts(r.after)
    shown = np.argsort(-np.maximum(before, after), kind="stable")[:MOST_SHOWN]
    shown = shown[np.maximum(before, after)[shown] > 0]
    entries = [
        (
            tuple(r.palette[k] / 255),
            f"label {k}",
            f"{percent(before[k] / r.before.size)} → {percent(after[k] / r.after.size)}",
        )
        for k in np.sort(shown).tolist()
    ]
    axes = panel(figure, 0.03, 0.075, 0.94, 0.11)
    axes.set_xlim(0, MOST_SHOWN + 2)
    axes.set_ylim(0, 1)
    for i, (colour, name, share) in enumerate(entries):
        _swatch(axes, i, name, share, facecolor=colour)
    n = len(entries)
    if r.n_unsure:
        _swatch(axes, n, "unsure", f"{percent(r.n_unsure / r.before.size)} → 0 %", facecolor="white", hatch="//")
    others = np.count_nonzero(before + after) - n
    if others:
        axes.text(n + (r.n_unsure > 0), 0.72, f"and {others} more", va="center", fontsize=18)


def _swatch(axes: Axes, x: float, name: str, share: str, **style: object) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((x, 0.3), 0.18, 0.55, edgecolor=BLACK, **style))  # type: ignore[arg-type]
    axes.text(x + 0.22, 0.72, name, va="center", fontsize=18)
    axes.text(x + 0.22, 0.3, share, va="center", fontsize=18)


def convergence(r: CrfRefinement) -> str:
    """Return in one sentence what the free energy does."""
    energies = r.free_energies.tolist()
    n = len(energies) - 1
    if not n:
        return f"No iteration: the free energy of the unaries is {energies[0]:,.6g}"
    verb = "falls" if energies[-1] < energies[0] else "rises" if energies[-1] > energies[0] else "stays as it was"
    plural = "iteration" if n == 1 else "iterations"
    sentence = f"The free energy {verb} in {n} {plural}"
    return sentence if verb != "falls" or not rises(r) else f"{sentence}, but not in each"


def rises(r: CrfRefinement) -> bool:
    """Return whether the free energy rises in some iteration by more than rounding makes it."""
    energies = r.free_energies.astype(np.float64)
    return bool((np.diff(energies) > 1e-5 * np.abs(energies).max()).any())


def draw_free_energy(figure: Figure, r: CrfRefinement) -> None:
    """Draw the free energy after each iteration, and how much the marginals still moved in it."""
    write_title(figure, _fitting(convergence(r)), footer(r, "Krähenbühl & Koltun (2011, 2013)"))
    n = len(r.changes)
    energies = _curve_axes(figure, 0.12, "Free energy F(Q)", n)
    energies.plot(range(n + 1), r.free_energies, "o-", color=BLUE, linewidth=4, markersize=10)
    energies.margins(y=0.15)
    heights = _ticks(*energies.get_ylim(), whole=False)
    energies.set_yticks(heights, [_number(height) for height in heights])
    for i, side, offset in ((0, "left", 14), (n, "right", 0))[: 1 + (n > 0)]:
        energy, above = float(r.free_energies[i]), _is_free_above(r.free_energies, i)
        height, edge = (18, "baseline") if above else (-18, "top")
        energies.annotate(_number(energy), (i, energy), (offset, height), textcoords="offset points", ha=side, va=edge)
    changes = _curve_axes(figure, 0.61, "Largest change of a probability", n)
    changes.plot(range(1, n + 1), r.changes, "s-", color=ORANGE, linewidth=4, markersize=10)
    changes.set_ylim(0, 1.05)
    changes.set_yticks(np.linspace(0, 1, 6))


def _is_free_above(energies: Array, i: int) -> bool:
    """Return whether the curve leaves room above its first point, or its last, so that a number can stand there."""
    step = energies[:2] if i == 0 else energies[-2:]
    return bool(step[0] >= step[-1]) == (i == 0)


def _curve_axes(figure: Figure, left: float, heading: str, n: int) -> Axes:
    axes = figure.add_axes((left, 0.2, 0.36, 0.59))
    axes.set_title(heading, loc="left")
    axes.set_xlabel("iteration", fontsize=BODY)
    axes.set_xlim(-0.04 * max(n, 1), 1.04 * max(n, 1))
    axes.set_xticks(_ticks(0, n, whole=True))
    axes.grid(color=GREY, alpha=0.25, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _ticks(low: float, high: float, *, whole: bool) -> list[float]:
    """Return up to eight round numbers from low to high."""
    from matplotlib.ticker import MaxNLocator

    ticks = MaxNLocator(nbins=7, integer=whole, min_n_ticks=1).tick_values(low, high)
    return [float(tick) for tick in ticks if low <= tick <= high]


def _number(x: float) -> str:
    """Return a number of any size in few letters."""
    return f"{x:,.0f}" if 1e3 <= abs(x) < 1e9 else f"{x:.4g}"
