"""`refdet reproduce`: measure the claims of the decks again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refdet.cli.messages import UsageProblem, console, errors

if TYPE_CHECKING:
    from refdet.reproduce.segmentation import Verdict
    from refdet.reproduce.segmentation_scenes import Progress

EXPERIMENTS = ("segmentation",)
MINIATURE_MARK = "MINIATURE: the figures mean nothing"


def reproduce(
    experiment: Annotated[str, typer.Argument(metavar="EXPERIMENT", help="Which claims: segmentation.")],
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0 on.")] = 5,
    out: Annotated[
        Path, typer.Option(help="Folder for results and picture; made if need be.", metavar="FOLDER")
    ] = Path("reproduced"),
    miniature: Annotated[
        bool, typer.Option("--miniature", help="Run all the pieces in seconds; the figures mean nothing.")
    ] = False,
) -> None:
    """Measure claims of the decks again, on synthetic scenes, over several seeds.

    segmentation, about 13 minutes a seed: FCN-8s > FCN-16s > FCN-32s; fully
    connected CRF > grid CRF > unary alone; CRF-RNN trained end to end ≥ the CRF
    put on afterwards; learned ≥ Gaussian filters. Each claim is the mean of the
    paired differences of a score over the seeds, with Student's 95 % interval.
    A single seed has no interval, and there is no verdict on it.

    Results are written to FOLDER/segmentation.json after every seed. Run the
    same command again to go on where it was interrupted, or with more --seeds.

    Examples:

        refdet reproduce segmentation

        refdet reproduce segmentation --seeds 2 --out trial

        refdet reproduce segmentation --miniature --seeds 1

    Exit status: 0, whether the claims hold or not; 2 on wrong usage.
    """
    if experiment not in EXPERIMENTS:
        raise UsageProblem(f"reproduce: there is no experiment called {experiment!r}; there is {EXPERIMENTS[0]}")
    if out.exists() and not out.is_dir():
        raise UsageProblem(f"--out: {out} is a file; name a folder")

    from refdet.reproduce import segmentation
    from refdet.reproduce.segmentation_settings import FULL, MINIATURE

    settings = MINIATURE if miniature else FULL
    try:
        done = segmentation.read_records(out, settings)
        if finished := [seed for seed in sorted(done, key=int) if int(seed) < seeds]:
            typer.echo(f"{out / segmentation.RESULTS} already has the seeds {', '.join(finished)}", err=True)
        with _progress(seeds) as on_progress:
            records = segmentation.run(settings, seeds, out, on_progress)
    except segmentation.OtherExperimentError as error:
        raise UsageProblem(f"--out: {error}") from None
    except OSError as error:
        raise UsageProblem(f"--out: cannot write to {out}: {error.strerror}") from None
    verdicts = segmentation.verdicts(records)
    _show_scores(records, miniature=miniature)
    _show_claims(verdicts, miniature=miniature)
    picture = _draw(verdicts, records, out, miniature=miniature)
    console.print(f"results: {out / segmentation.RESULTS}\npicture: {picture}", highlight=False)


@contextmanager
def _progress(n_seeds: int) -> Iterator[Callable[[int, Progress], object]]:
    """Show, on a terminal, the stage with its loss and time left, and how much of all seeds is done."""
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    from refdet.reproduce.segmentation_settings import stage_share

    columns = (TextColumn("{task.description:<30}"), BarColumn(), TextColumn("{task.fields[note]:<10}"))
    with Bars(
        *columns, TimeRemainingColumn(), console=errors, transient=True, disable=not errors.file.isatty()
    ) as bars:
        whole = bars.add_task("", total=n_seeds, note="")
        stage_bar = bars.add_task("", total=None, note="")
        current, before = ("", -1), 0.0

        def on_progress(seed: int, progress: Progress) -> None:
            nonlocal current, before
            if current != (progress.stage, seed):
                before = seed if current[1] != seed else before + stage_share(current[0])
                current = progress.stage, seed
                bars.reset(stage_bar, description=progress.stage, total=progress.total, note="")
            note = "" if progress.loss is None else f"loss {progress.loss:.3f}"
            bars.update(stage_bar, completed=progress.done, note=note)
            share = stage_share(progress.stage) * progress.done / progress.total
            bars.update(whole, completed=before + share, description=f"seed {seed + 1} of {n_seeds}")

        yield on_progress


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
    from refdet.reproduce.segmentation_picture import interval, judgement, points

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
