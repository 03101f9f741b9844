"""The experiment on segmentation as one slide: some test scenes under every method, and what the claims came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.nn.checkpoint.atomic_file import write_atomically
from refdet.pictures import slide
from refdet.reproduce import wording
from refdet.reproduce.segmentation import SCORES, Verdict
from refdet.reproduce.wording import interval, judgement, points

COLUMNS = {
    "image": "picture",
    "truth": "truth",
    "fcn_32s": "FCN-32s",
    "fcn_16s": "FCN-16s",
    "fcn_8s": "FCN-8s",
    "grid": "grid CRF",
    "dense": "dense CRF",
    "crf_rnn": "CRF-RNN",
    "learned": "learned",
}
# The background, then the classes in the order of `refdet.data.shapes.CLASS_NAMES`.
LABEL_COLOURS = (slide.PALE, slide.VERMILLION, slide.GREEN, slide.BLUE, slide.ORANGE, slide.PURPLE, slide.SKY)
SOURCE = "synthetic scenes, small networks in NumPy; claims of deck 004: FCN, CRF-RNN, learned filters"


def coloured_labels(label_map: Array) -> Array:
    """Return (H, W, 3) in [0, 1]: the colour of each pixel's label."""
    from matplotlib.colors import to_rgb

    return np.array([to_rgb(colour) for colour in LABEL_COLOURS])[label_map]


def draw(
    verdicts: Sequence[Verdict],
    means: Mapping[str, float],
    examples: Mapping[str, Array],
    path: Path,
    *,
    miniature: bool = False,
) -> None:
    """Write the slide, all or nothing.

    Args:
        verdicts: on the claims.
        means: method → mean IU over the seeds, written below the method's name.
        examples: for every column the pictures (n, H, W, 3) or label maps (n, H, W) of the same scenes.
        path: of the PNG.
        miniature: whether the run was one that only tries the pieces, so that nothing is judged.
    """
    with slide.settings():
        figure = slide.empty_slide()
        slide.write_title(figure, message(verdicts, miniature=miniature), SOURCE)
        _draw_scenes(figure, means, examples)
        _draw_claims(figure, verdicts, miniature=miniature)
        write_atomically(path, lambda file: figure.savefig(file, format="png"))


def message(verdicts: Sequence[Verdict], *, miniature: bool) -> str:
    """Return in one sentence how many claims held, or why none is judged."""
    n_seeds = verdicts[0].difference.n
    if miniature:
        return wording.MINIATURE
    if n_seeds == 1:
        return "Segmentation: one seed alone judges no claim"
    return f"{sum(v.holds for v in verdicts)} of {len(verdicts)} claims on segmentation held over {n_seeds} seeds"


def _draw_scenes(figure: Any, means: Mapping[str, float], examples: Mapping[str, Array]) -> None:
    left, right, top, bottom, gap = 0.03, 0.97, 0.81, 0.40, 0.006
    n_rows = len(examples["image"])
    width = (right - left + gap) / len(COLUMNS)
    height = (top - bottom) / n_rows
    for column, (name, heading) in enumerate(COLUMNS.items()):
        x = left + column * width
        figure.text(x, 0.86, heading, fontsize=slide.SMALLEST, fontweight="bold", va="center")
        note = f"{100 * means[name]:.1f} % IU" if name in means else ""
        figure.text(x, 0.83, note, fontsize=slide.SMALLEST, color=slide.GREY, va="center")
        for row, picture in enumerate(examples[name]):
            axes = slide.panel(figure, x, top - (row + 1) * height, width - gap, height - gap)
            axes.imshow(picture if picture.ndim == 3 else coloured_labels(picture), interpolation="nearest")


def _draw_claims(figure: Any, verdicts: Sequence[Verdict], *, miniature: bool) -> None:
    rows = [("claim", "score", "paired difference", "95 % interval", "")]
    for verdict in verdicts:
        score = SCORES[verdict.claim.score]
        difference = points(verdict.difference.mean)
        judged = judgement(verdict, miniature=miniature)
        rows.append((str(verdict.claim), score, difference, interval(verdict), judged))
    axes = slide.panel(figure, 0.03, 0.06, 0.94, 0.33)
    slide.table(axes, rows, (0.0, 0.33, 0.66, 0.86, 0.90), align="llrrl", size=slide.SMALLEST)
