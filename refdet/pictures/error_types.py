"""What a detector does wrong, what each type of error costs, and how far down the ranking the errors begin."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from refdet.core.check import Array
from refdet.metrics.error_types import ERRORS, OUTCOMES, ErrorTypes
from refdet.pictures.slide import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    SMALLEST,
    VERMILLION,
    percent,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "correct": BLUE,
    "classification": PURPLE,
    "localisation": ORANGE,
    "both": GREEN,
    "duplicate": SKY,
    "background": VERMILLION,
    "missed": BLACK,
    "false positives": GREY,
    "false negatives": GREY,
}
SUBJECTS = {
    "classification": "errors of classification",
    "localisation": "errors of localisation",
    "both": "errors of class and place",
    "duplicate": "duplicates",
    "background": "detections of background",
    "missed": "missed objects",
}
STACKED = ("correct", "localisation", "classification", "both", "duplicate", "background")  # from below


def definitions(errors: ErrorTypes) -> dict[str, str]:
    """Return what each type of error is, in a few words."""
    t_f, t_b = f"{errors.threshold:g}", f"{errors.background_threshold:g}"
    return {
        "classification": f"overlap ≥ {t_f} with another class",
        "localisation": f"overlap {t_b} to {t_f} with its class",
        "both": f"overlap {t_b} to {t_f} with another class",
        "duplicate": "its object has a better detection",
        "background": f"overlap ≤ {t_b} with everything",
        "missed": "an object that no detection is about",
        "false positives": "every wrong detection",
        "false negatives": "every object without its detection",
    }


def message(errors: ErrorTypes) -> str:
    """Return in one sentence what the errors say."""
    if math.isnan(errors.average_precision):
        return "There is nothing to find, and so nothing to lose"
    if not len(errors.outcomes):
        return "AP is 0.0, as there are no detections"
    worst = max(ERRORS, key=lambda name: errors.costs[name])
    before, cost = 100 * errors.average_precision, 100 * errors.costs[worst]
    if cost <= 0:
        return f"AP is {before:.1f}, and no type of error alone is to blame"
    return f"Without {SUBJECTS[worst]} AP would be {before + cost:.1f}, not {before:.1f}"


def ranked_shares(errors: ErrorTypes, scores: Array) -> tuple[Array, Array]:
    """Return n = 1, 2 ... and what share of the n best detections each of STACKED has, (len(STACKED), n)."""
    places = [OUTCOMES.index(name) for name in STACKED]
    rows = np.flatnonzero(np.isin(errors.outcomes, places))
    outcomes = errors.outcomes[rows[np.argsort(-scores[rows], kind="stable")]]
    n = np.arange(1, len(outcomes) + 1)
    return n, np.cumsum(outcomes == np.array(places)[:, None], axis=1) / n


def draw_error_types(figure: Figure, errors: ErrorTypes, scores: Array) -> None:
    """Draw the costs as bars, and beside them the shares of the best detections; `scores` are of all detections."""
    write_title(
        figure,
        message(errors),
        "Types and oracles: Bolya et al., TIDE (2020), §2, after Hoiem et al. (2012). "
        f"AP × 100 at overlap {errors.threshold:g}, COCO's matching.",
    )
    _draw_costs(figure, errors)
    _draw_ranking(figure, errors, scores)


def _draw_costs(figure: Figure, errors: ErrorTypes) -> None:
    axes = figure.add_axes((0.305, 0.15, 0.235, 0.67))
    axes.set_title("AP lost to errors of each type alone", loc="left", x=-1.17)
    names = (*ERRORS, "false positives", "false negatives")
    counts, meanings = errors.counts, definitions(errors)
    costs = [0.0 if math.isnan(c) else 100 * c for c in (errors.costs[name] for name in names)]
    longest = max(costs) or 1.0
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "center"}
    y = np.arange(len(names)) + np.where(np.arange(len(names)) < len(ERRORS), 0, 0.5)
    for place, name, cost in zip(y, names, costs, strict=True):
        axes.barh(place, cost, height=0.62, color=COLOURS[name])
        axes.text(cost + 0.02 * longest, place, f"{cost:.1f}", va="center", fontsize=18)
        count = f"  {counts[name]:,}" if name in counts else ""
        axes.text(-0.03, place - 0.17, f"{name}{count}", fontsize=18, fontweight="bold", **beside)
        axes.text(-0.03, place + 0.24, meanings[name], fontsize=SMALLEST, color=GREY, **beside)
    axes.axhline((y[len(ERRORS) - 1] + y[len(ERRORS)]) / 2, xmin=-1.17, color=GREY, linewidth=1, clip_on=False)
    axes.set_xlim(0, 1.2 * longest)
    axes.set_ylim(y[-1] + 0.5, -0.5)
    axes.set_yticks([])
    axes.set_xlabel("points of AP")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_ranking(figure: Figure, errors: ErrorTypes, scores: Array) -> None:
    axes = figure.add_axes((0.62, 0.15, 0.215, 0.67))
    axes.set_title("What the best detections are", loc="left")
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    axes.spines[["top", "right"]].set_visible(False)
    n, shares = ranked_shares(errors, scores)
    if not len(n):
        axes.text(0.5, 0.5, "no detections", ha="center", transform=axes.transAxes)
        axes.set_xticks([])
        return
    x, y = (np.array([1, 2]), np.repeat(shares, 2, axis=1)) if len(n) == 1 else (n, shares)
    axes.stackplot(x, y, colors=[COLOURS[name] for name in STACKED], edgecolor="white", linewidth=0.8)
    if len(n) > 50:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlim(x[0], x[-1])
    axes.set_xlabel("detections, highest scores first")
    _label_shares(axes, shares[:, -1])


def _label_shares(axes: Axes, last: Array) -> None:
    """Write the name of each layer beside its end, far enough from its neighbours to be read."""
    middle = np.cumsum(last) - last / 2
    there = np.flatnonzero(last > 0)
    places = middle[there].copy()
    for i in range(1, len(there)):
        places[i] = max(places[i], places[i - 1] + 0.05)
    places -= max(0.0, float(places[-1]) - 0.99)
    for k, place in zip(there, places, strict=True):
        name = STACKED[k]
        axes.text(
            1.03,
            place,
            f"{name} {percent(last[k])}",
            transform=axes.transAxes,
            va="center",
            fontsize=SMALLEST,
            color=COLOURS[name],
            fontweight="bold",
        )
