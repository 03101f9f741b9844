"""`refdet eval --model`: let a detector look at the test pictures of a data set, and judge what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from refdet.cli.messages import UsageProblem, complain, console, errors

if TYPE_CHECKING:
    from refdet.data import Sample
    from refdet.detection.detected import Detector
    from refdet.training.detector_scores import DetectorScores


def evaluate_model(
    model: str | None,
    weights: Path | None,
    data: str | None,
    test_size: int | None,
    backend: str | None,
    sigmas: Sequence[float] | None,
    json_file: str | None,
    *,
    leave_out_unusable: bool = False,
) -> None:
    """Evaluate and print; see `refdet eval --help`."""
    from refdet.cli import eval_model_output
    from refdet.cli.model_choice import chosen_model, on_backend, usual_data
    from refdet.cli.train_data import open_data
    from refdet.data.limbs import same_joints

    if model is None and weights is None:
        raise UsageProblem("eval: --data needs a detector to look at it: --model or --weights")
    with on_backend("eval", backend):
        loaded = chosen_model("eval", model, weights)
        text = data or usual_data(loaded.model)
        detector = loaded.detector
        opened = open_data(
            "eval",
            text,
            needs=_judged(loaded.model, text),
            test_size=test_size,
            class_names=detector.class_names,
            for_test_alone=True,
            leave_out_unusable=leave_out_unusable,
        )
        joint_names = opened.joint_names if "joints" in _judged(loaded.model, text) else ()
        _check_sigmas(sigmas, joint_names)
        if joint_names and loaded.joint_names and not same_joints(joint_names, loaded.joint_names):
            raise UsageProblem(
                f"eval: the model finds the joints {_few(loaded.joint_names)}; {text} has {_few(joint_names)}"
            )
        scores = _scores(detector, opened.test, sigmas, text)
    about = {"model": loaded.model, "weights": None if weights is None else str(weights), "data": text}
    eval_model_output.show_scores(scores, errors if json_file == "-" else console)
    if json_file is not None:
        eval_model_output.write_json(scores, about, json_file)


def _scores(detector: Detector, samples: Sequence[Sample], sigmas: Sequence[float] | None, data: str) -> DetectorScores:
    """Look at every picture and judge what is found; whatever is in the way is told, with the picture's name."""
    from refdet.data import CocoError, ImageError, VocError
    from refdet.training.detector_scores import evaluate_detector

    n, n_done = len(samples), 0
    with _progress(n) as show:

        def progress(done: int, total: int) -> None:
            nonlocal n_done
            n_done = done
            show(done, total)

        try:
            return evaluate_detector(detector, samples, progress=progress, sigmas=sigmas)
        except (ImageError, VocError, CocoError):
            raise
        except ValueError as problem:  # of a picture that the detector cannot look at, or of its objects
            raise ImageError(f"eval: {problem}") from problem
        except MemoryError:  # what fills the memory is let go as this block ends
            pass
        except KeyboardInterrupt:
            complain(f"eval: stopped after {n_done} of {_pictures(n)}; nothing is judged")
            raise typer.Exit(130) from None
    if n_done == n:
        raise ImageError(f"eval: to judge {_pictures(n)} takes more memory than there is; take fewer by --test-size")
    raise ImageError(
        f"eval: {_name(samples, n_done, data)} needs more memory than there is; make it smaller or leave it out"
    )


def _name(samples: Sequence[Sample], i: int, data: str) -> str:
    """Return the name of a sample; its number, where not even the picture can be read."""
    try:
        return samples[i].name
    except MemoryError:
        return f"picture {i + 1} of {len(samples)} of {data}"


def _pictures(n: int) -> str:
    return f"{n} {'picture' if n == 1 else 'pictures'}"


def _judged(model: str, data: str) -> tuple[str, ...]:
    """Return what can be judged beside boxes: what the model finds, as far as the data has it."""
    from refdet.detection.model_names import find_model

    found = find_model(model).learns_from
    return () if data.startswith("voc:") else tuple(field for field in found if field in ("masks", "joints"))


def _check_sigmas(sigmas: Sequence[float] | None, joint_names: Sequence[str]) -> None:
    """Refuse sigmas that are too many, too few, or for nothing, before the detector looks at anything."""
    from refdet.training.joint_sigmas import sigmas_of

    n_joints = len(joint_names)
    if sigmas is not None and n_joints == 0:
        raise UsageProblem("eval: --sigmas is for joints, and here are none to judge")
    if sigmas is not None and len(sigmas) != n_joints:
        raise UsageProblem(f"eval: --sigmas: each of the {n_joints} joints needs a sigma, got {len(sigmas)}")
    if sigmas is None and n_joints and sigmas_of(joint_names) is None:
        raise UsageProblem(
            f"eval: each of the {n_joints} joints needs a sigma, and their names are not COCO's; "
            "give yours with --sigmas"
        )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" … ({len(names)})" if len(names) > 3 else "")


@contextmanager
def _progress(n: int) -> Iterator[Callable[[int, int], object]]:
    """Show a bar on standard error, if that is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("looking at pictures"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.file.isatty()) as bar:
        task = bar.add_task("", total=n)
        yield lambda done, total: bar.update(task, completed=done, total=total)
