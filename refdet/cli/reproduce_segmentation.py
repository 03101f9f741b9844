"""What `refdet reproduce segmentation` shows: two tables and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from refdet.cli.messages import console

if TYPE_CHECKING:
    from refdet.reproduce.segmentation import Verdict

MINIATURE_MARK = "MINIATURE: the figures mean nothing"


def show(records: Mapping[str, Any], out: Path, *, miniature: bool) -> Path:
    """Print the tables, draw the picture and return its path."""
    from refdet.reproduce import segmentation

    verdicts = segmentation.verdicts(records)
    _show_scores(records, miniature=miniature)
    _show_claims(verdicts, miniature=miniature)
    return _draw(verdicts, records, out, miniature=miniature)


def _show_scores(records: Mapping[str, Any], *, miniature: bool) -> None:
    from rich.table import Table

    from refdet.reproduce.segmentation import METHODS

    n = len(records)
    title = f"Segmentation of the test scenes, in per cent, mean of {n} seed{'s' if n > 1 else ''}"
    table = Table(title=f"{MINIATURE_MARK}\n{title}" if miniature else title)
    table.add_column("method", no_wrap=True)
    for heading in ("mean IU", "lowest", "highest", "pixel accuracy\n(Global)", "mean accuracy\n(Avg)"):
        table.add_column(heading, justify="right")
    for method, name in METHODS.items():
        scores = [record["scores"][method] for record in records.values()]
        mean_ius = [s["mean_iu"] for s in scores]
        accuracies = (fmean(s["pixel_accuracy"] for s in scores), fmean(s["mean_accuracy"] for s in scores))
        figures = (fmean(mean_ius), min(mean_ius), max(mean_ius), *accuracies)
        table.add_row(name, *(f"{100 * figure:.1f}" for figure in figures))
    console.print(table)


def _show_claims(verdicts: list[Verdict], *, miniature: bool) -> None:
    from rich.table import Table

    from refdet.reproduce.segmentation import SCORES
    from refdet.reproduce.wording import interval, judgement, points

    title = "Claims: paired differences in points of a per cent"
    if miniature:
        caption = "no verdict: a miniature run only tries the pieces"
    elif verdicts[0].difference.n == 1:
        caption = "no verdict: an interval needs two seeds at least; --seeds 2 or more adds them"
    else:
        caption = "a > b holds where the whole interval lies above 0, a ≥ b where the mean is at least 0"
    table = Table(title=f"{MINIATURE_MARK}\n{title}" if miniature else title, caption=caption)
    table.add_column("claim", no_wrap=True)
    table.add_column("score")
    for heading in ("mean", "95 % interval", "verdict"):
        table.add_column(heading, justify="right")
    for verdict in verdicts:
        score, difference = SCORES[verdict.claim.score], points(verdict.difference.mean)
        judged = judgement(verdict, miniature=miniature)
        table.add_row(str(verdict.claim), score, difference, interval(verdict), judged)
    console.print(table)


def _draw(verdicts: list[Verdict], records: Mapping[str, Any], out: Path, *, miniature: bool) -> Path:
    """Write the picture and return its path."""
    import numpy as np

    from refdet.reproduce import segmentation
    from refdet.reproduce.segmentation_picture import draw

    path = out / segmentation.PICTURE
    means = {
        method: fmean(record["scores"][method]["mean_iu"] for record in records.values())
        for method in segmentation.METHODS
    }
    with np.load(out / segmentation.EXAMPLES) as examples:
        draw(verdicts, means, examples, path, miniature=miniature)
    return path
