"""`refdet reproduce`: measure the claims of the decks again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from refdet.cli.messages import UsageProblem, complain, console, errors, on_a_line

if TYPE_CHECKING:
    from refdet.reproduce.progress import Progress
    from refdet.reproduce.result_file import Records

EXPERIMENTS = ("segmentation", "rcnn")


def reproduce(
    experiment: Annotated[str, typer.Argument(metavar="EXPERIMENT", help="Which claims: segmentation or rcnn.")],
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
    put on afterwards; learned ≥ Gaussian filters.

    rcnn, hours a seed, with the backend numba-cpu: Fast R-CNN ≥ 20 times faster
    than R-CNN at no lower mAP, Faster R-CNN faster than Fast with proposals; box
    regression, fine-tuning, five scales and truncated SVD. R-CNN itself runs for
    the first seeds only. The decks' figures stand beside.

    Each claim is the mean of the paired differences over the seeds, with
    Student's 95 % interval. A single seed has no interval, and there is no
    verdict on it.

    Results are written to FOLDER/segmentation.json after every seed, and to
    FOLDER/rcnn.json after every part of one. Run the same command again to go on
    where it was interrupted, or with more --seeds.

    Examples:

        refdet reproduce segmentation

        refdet reproduce segmentation --seeds 2 --out trial

        refdet reproduce segmentation --miniature --seeds 1

        REFDET_BACKEND=numba-cpu refdet reproduce rcnn

    Exit status: 0, whether the claims hold or not; 2 on wrong usage; 130 when interrupted.
    """
    if experiment not in EXPERIMENTS:
        raise UsageProblem(
            f"reproduce: there is no experiment called {experiment!r}; there are {' and '.join(EXPERIMENTS)}"
        )
    if out.exists() and not out.is_dir():
        raise UsageProblem(f"--out: {out} is a file; name a folder")

    from refdet.reproduce.result_file import OtherExperimentError
    from refdet.training import Interrupted
    from refdet.training.interruption import Interruption

    chosen = (_segmentation if experiment == "segmentation" else _rcnn)(out, miniature)
    try:
        if finished := [seed for seed in chosen.finished() if int(seed) < seeds]:
            typer.echo(f"{on_a_line(chosen.results)} already has the seeds {', '.join(finished)}", err=True)
        with (
            _progress(seeds, chosen.stage_seconds) as on_progress,
            Interruption(lambda sentence: None) as interruption,
            interruption.at_once(),
        ):
            records = chosen.run(seeds, on_progress)
    except OtherExperimentError as error:
        raise UsageProblem(f"--out: {error}") from None
    except OSError as error:
        raise UsageProblem(f"--out: cannot write to {out}: {error.strerror}") from None
    except KeyboardInterrupt as stop:
        where = f"{str(stop) or 'interrupted'}; the same command again goes on from what is finished"
        complain(stop if isinstance(stop, Interrupted) else where)
        raise typer.Exit(130) from None
    picture = chosen.show(records)
    places = f"results: {on_a_line(chosen.results)}\npicture: {on_a_line(picture)}"
    console.print(places, markup=False, highlight=False)


class _Experiment(NamedTuple):
    """What differs between the experiments."""

    results: Path
    finished: Callable[[], list[str]]  # the seeds of which everything is there
    run: Callable[[int, Callable[[int, Progress], object]], Records]
    stage_seconds: Mapping[str, float]
    show: Callable[[Mapping[str, Any]], Path]  # the tables, and the path of the picture


def _segmentation(out: Path, miniature: bool) -> _Experiment:
    from refdet.cli.reproduce_segmentation import show
    from refdet.reproduce import segmentation
    from refdet.reproduce.segmentation_settings import FULL, MINIATURE, STAGE_SECONDS

    settings = MINIATURE if miniature else FULL
    return _Experiment(
        out / segmentation.RESULTS,
        lambda: sorted(segmentation.read_records(out, settings), key=int),
        lambda n_seeds, on_progress: segmentation.run(settings, n_seeds, out, on_progress),
        STAGE_SECONDS,
        lambda records: show(records, out, miniature=miniature),
    )


def _rcnn(out: Path, miniature: bool) -> _Experiment:
    from refdet.cli.reproduce_rcnn import show
    from refdet.reproduce import rcnn
    from refdet.reproduce.rcnn_settings import FULL, MINIATURE, STAGE_SECONDS

    settings = MINIATURE if miniature else FULL
    return _Experiment(
        out / rcnn.RESULTS,
        lambda: rcnn.finished_seeds(rcnn.read_records(out, settings), settings),
        lambda n_seeds, on_progress: rcnn.run(settings, n_seeds, out, on_progress),
        STAGE_SECONDS,
        lambda records: show(records, out, settings, miniature=miniature),
    )


@contextmanager
def _progress(n_seeds: int, stage_seconds: Mapping[str, float]) -> Iterator[Callable[[int, Progress], object]]:
    """Show, on a terminal, the stage with its loss and time left, and how much of all seeds is done."""
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    of_seed = sum(stage_seconds.values())

    def share(stage: str) -> float:
        """Return which part of the time of a seed a stage takes; 0 for one that is not known."""
        return stage_seconds.get(stage, 0) / of_seed

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
                before = seed if current[1] != seed else before + share(current[0])
                current = progress.stage, seed
                bars.reset(stage_bar, description=progress.stage, total=progress.total, note="")
            note = "" if progress.loss is None else f"loss {progress.loss:.3f}"
            bars.update(stage_bar, completed=progress.done, note=note)
            done = before + share(progress.stage) * progress.done / progress.total
            bars.update(whole, completed=done, description=f"seed {seed + 1} of {n_seeds}")

        yield on_progress
