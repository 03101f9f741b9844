"""The experiment on the R-CNN family as one slide: how good and how fast the detectors are, and the claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from refdet.data.sample import Sample
from refdet.data.shapes import CLASS_NAMES, Shapes
from refdet.nn.checkpoint.atomic_file import write_atomically
from refdet.pictures import slide
from refdet.reproduce import wording
from refdet.reproduce.rcnn import N_EXAMPLES
from refdet.reproduce.rcnn_claims import Summary, Verdict, row_in_words, summaries
from refdet.reproduce.rcnn_settings import Settings

COLUMNS = {"truth": "truth", "fast": "Fast", "faster": "Faster"}
# In the order of `CLASS_NAMES`; nothing is of the first.
CLASS_COLOURS = (slide.PALE, slide.VERMILLION, slide.GREEN, slide.BLUE, slide.ORANGE, slide.PURPLE, slide.SKY)
SOURCE = "synthetic scenes, small networks in NumPy; published: VOC 2007, decks 000 and 004"
FIRST_ROW, ROW, BOTTOM = 0.815, 0.041, 0.45  # of the detectors and the scenes, in shares of the slide's height


def example_scenes(settings: Settings) -> list[Sample]:
    """Return the first test scenes of the first seed."""
    n, size = settings.n_train + min(N_EXAMPLES, settings.n_test), (settings.side, settings.side)
    scenes = Shapes(n, seed=settings.first_scenes, size=size)
    return [scenes[i] for i in range(settings.n_train, n)]


def draw(
    verdicts: Sequence[Verdict],
    records: Mapping[str, Any],
    scenes: Sequence[Sample],
    path: Path,
    *,
    miniature: bool = False,
) -> None:
    """Write the slide, all or nothing.

    Args:
        verdicts: on the claims.
        records: of the seeds; the first has detections of the scenes.
        scenes: the first test scenes of the first seed.
        path: of the PNG.
        miniature: whether the run was one that only tries the pieces, so that nothing is judged.
    """
    with slide.settings():
        figure = slide.empty_slide()
        slide.write_title(figure, message(verdicts, miniature=miniature), SOURCE)
        _draw_methods(figure, summaries(records))
        _draw_scenes(figure, records["0"], scenes)
        _draw_claims(figure, verdicts, miniature=miniature)
        write_atomically(path, lambda file: figure.savefig(file, format="png"))


def message(verdicts: Sequence[Verdict], *, miniature: bool) -> str:
    """Return in one sentence how many claims held, or why none is judged."""
    if miniature:
        return wording.MINIATURE
    judged = [v for v in verdicts if v.difference.n > 1]
    if not judged:
        return "The R-CNN family: one seed alone judges no claim"
    n_seeds = {v.difference.n for v in judged}
    held = sum(v.holds for v in judged)
    seeds = f"{max(n_seeds)} seeds" if len(n_seeds) == 1 else f"{min(n_seeds)} to {max(n_seeds)} seeds"
    return f"{held} of {len(judged)} claims on the R-CNN family held over {seeds}"


def _draw_methods(figure: Any, rows: Sequence[Summary]) -> None:
    """Draw a row for each detector: bars of mAP and of seconds, on a logarithmic scale, beside what is published."""
    timed = [row.with_proposals for row in rows if row.with_proposals]
    least, most = (min(timed) / 2, max(timed) * 1.5) if timed else (0.1, 1.0)
    headings = (
        (0.03, "left", "detector"),
        (0.25, "left", "mAP in %"),
        (0.47, "right", "published"),
        (0.495, "left", "s, with proposals"),
    )
    for x, side, text in headings:
        figure.text(x, 0.86, text, fontsize=slide.SMALLEST, fontweight="bold", va="center", ha=side)
    quality = slide.panel(figure, 0.25, FIRST_ROW - (len(rows) - 0.5) * ROW, 0.07, len(rows) * ROW)
    speed = slide.panel(figure, 0.495, FIRST_ROW - (len(rows) - 0.5) * ROW, 0.10, len(rows) * ROW)
    for axes in (quality, speed):
        axes.set_ylim(len(rows) - 0.5, -0.5)
    quality.set_xlim(0, 1)
    speed.set_xscale("log")
    speed.set_xlim(least, most)
    for i, row in enumerate(rows):
        y = FIRST_ROW - i * ROW
        write = {"fontsize": slide.SMALLEST, "va": "center"}
        figure.text(0.03, y, row.name, **write)
        if row.mean is not None:
            quality.barh(i, row.mean, height=0.7, color=slide.BLUE)
            figure.text(0.255 + 0.07 * row.mean, y, f"{100 * row.mean:.1f}", **write)
        if row.published_mean is not None:
            text = f"{row.published_network} {100 * row.published_mean:.1f}"
            figure.text(0.47, y, text, ha="right", color=slide.GREY, **write)
        if row.with_proposals:
            speed.barh(i, row.with_proposals - least, left=least, height=0.7, color=slide.ORANGE)
            share = np.log(row.with_proposals / least) / np.log(most / least)
            figure.text(0.50 + 0.10 * float(share), y, f"{row.with_proposals:.2g}", **write)


def _draw_scenes(figure: Any, record: Mapping[str, Any], scenes: Sequence[Sample]) -> None:
    """Draw the objects of some scenes, as many of the surest detections of two detectors, and the classes' colours."""
    left, top, gap = 0.665, FIRST_ROW + ROW / 2, 0.006
    width, height = (0.97 - left + gap) / len(COLUMNS), (top - BOTTOM - 0.02) / N_EXAMPLES
    found = {name: boxes for part in record["parts"].values() for name, boxes in part.get("examples", {}).items()}
    for column, (name, heading) in enumerate(COLUMNS.items()):
        x = left + column * width
        figure.text(x, 0.86, heading, fontsize=slide.SMALLEST, fontweight="bold", va="center")
        for i, scene in enumerate(scenes):
            axes = slide.panel(figure, x, top - (i + 1) * height, width - gap, height - gap)
            axes.imshow(scene.image, interpolation="nearest")
            truth = np.concatenate([scene.boxes, scene.classes[:, None]], axis=1).tolist()
            for *box, c in truth if name == "truth" else found.get(name, [[]] * len(scenes))[i]:
                slide.outline(axes, box, edgecolor=CLASS_COLOURS[int(c)], linewidth=2.5, clip_on=True)
    for i, (name, colour) in enumerate(zip(CLASS_NAMES[1:], CLASS_COLOURS[1:], strict=True)):
        x, y = left + i % len(COLUMNS) * width, BOTTOM - 0.035 * (i // len(COLUMNS))
        figure.text(x, y, name, color=colour, fontsize=slide.SMALLEST, fontweight="bold", va="center")


def _draw_claims(figure: Any, verdicts: Sequence[Verdict], *, miniature: bool) -> None:
    rows = [("claim, in points of mAP or times faster", "seeds", "mean", "95 % interval", "published", "")]
    rows += [row_in_words(verdict, miniature=miniature) for verdict in verdicts]
    axes = slide.panel(figure, 0.03, 0.06, 0.94, 0.33)
    slide.table(axes, rows, (0.0, 0.47, 0.56, 0.75, 0.87, 0.90), align="lrrrrl", size=slide.SMALLEST)
