"""`refdet detect`: find the objects in pictures, draw them, and say where they are."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from refdet.cli.messages import UsageProblem, complain, errors, on_a_line
from refdet.cli.output_files import identity, overwritten
from refdet.cli.output_folder import check_folder

if TYPE_CHECKING:
    from refdet.cli.detect_output import Found
    from refdet.core.check import Array
    from refdet.detection.detected import Detected
    from refdet.detection.model_file import LoadedModel

ENDING = ".detected.png"


def detect_objects(
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE...", help="Pictures: JPEG, PNG and what Pillow reads.", readable=False),
    ],
    model: Annotated[
        str | None,
        typer.Option(help="Which detector, if FILE does not say; their names: `refdet train -h`.", metavar="NAME"),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="A model.safetensors of `refdet train`, or a .pth of torchvision's.", metavar="FILE"),
    ] = None,
    score: Annotated[float, typer.Option(help="Objects below this score are left out.", metavar="S")] = 0.5,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the drawings; beside each picture by default.", metavar="DIR")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs, instead of a table.")] = False,
    backend: Annotated[
        str | None,
        typer.Option(help="What computes: reference, numba-cpu, ...; see `refdet backends`.", metavar="NAME"),
    ] = None,
) -> None:
    """Find the objects in pictures: classes, scores and boxes; masks and joints where the model has them.

    For each picture NAME.detected.png is written, with all of it drawn over the
    picture; a small picture is enlarged first. A table lists the objects.

    Without --weights the small models that come with refdet are used. They know
    the six shapes of refdet.data.Shapes, or its stick figures, and nothing else.
    For photographs give weights of torchvision's, which know COCO's 80 classes.

    Pictures are turned as the camera noted; grey ones, transparent ones and
    those of 16 bits are read too. What cannot be read is told in a sentence,
    and the other pictures are looked at all the same.

    Examples:

        refdet detect scene.png

        refdet detect *.jpg --weights runs/m/model.safetensors --out found

        refdet detect a.jpg --model maskrcnn_resnet50_fpn --weights mask.pth

        refdet detect a.png b.png --score 0.7 --json > found.json

    JSON: {"model", "weights", "score", "class_names", "joint_names" as far as
    they are known, "images": a list of {"file", "drawing", "width", "height", "objects":
    a list of {"class", "score", "box": x1 y1 x2 y2 in pixels, "mask": COCO's
    RLE, "joints": x y and score of each}}, "problems": a list of {"file",
    "problem"}}.

    After Ctrl-C, what was found until then is printed all the same, as a table
    or as JSON, and it is said how many of the pictures were looked at.

    Exit status: 0; 1 if a picture or FILE is not what it should be; 2 on wrong
    usage; 130 if interrupted.
    """
    from refdet.cli.model_choice import chosen_model, on_backend

    if not math.isfinite(score):
        _refuse(f"--score must be a finite number, got {score}")
    drawings = _drawings(images, out)

    from refdet.cli import detect_output

    with on_backend("detect", backend):
        loaded = chosen_model("detect", model, weights)
        found, problems = _detect_all(loaded, images, drawings, score)
    if as_json:
        detect_output.print_as_json(loaded, weights, score, found, problems)
    else:
        detect_output.show(found, score)
    n_done = len(found) + len(problems)
    if n_done < len(images):
        pictures = f"{len(images)} {'picture' if len(images) == 1 else 'pictures'}"
        complain(f"detect: stopped after {n_done} of {pictures}")
        raise typer.Exit(130)
    if problems:
        raise typer.Exit(1)


def _refuse(sentence: str) -> NoReturn:
    """Say what is wrong with the command line."""
    raise UsageProblem(f"detect: {sentence}")


def _drawings(images: Sequence[Path], out: Path | None) -> list[Path]:
    """Return where the drawing of each picture goes; no two go to the same place."""
    if out is not None:
        check_folder("detect: --out", out)
    drawings: list[Path] = []
    taken: set[str] = set()  # the files that the drawings are, whatever leads to them
    for image in images:
        folder = image.parent if out is None else out
        names = [image.stem, image.name, *(f"{image.name}-{i}" for i in range(2, len(images) + 1))]
        candidates = (folder / f"{name}{ENDING}" for name in names)
        drawings.append(next(path for path in candidates if os.path.realpath(path) not in taken))
        taken.add(os.path.realpath(drawings[-1]))
    return drawings


def _detect_all(
    loaded: LoadedModel, images: Sequence[Path], drawings: Sequence[Path], score: float
) -> tuple[list[Found], list[tuple[Path, str]]]:
    """Look at every picture, or until Ctrl-C; return what was found, and what was in the way."""
    from refdet.data import ImageError

    inputs = {identity(path) for path in images}
    all_found: list[Found] = []
    problems: list[tuple[Path, str]] = []
    with contextlib.suppress(KeyboardInterrupt), _progress(len(images)) as step:
        for image, drawing in zip(images, drawings, strict=True):
            step(on_a_line(image.name))
            try:
                if (file := identity(drawing)) is not None and file in inputs:
                    raise ImageError(f"{image}: {overwritten(drawing, 'one of the pictures')}; use --out")
                all_found.append(_detect_one(loaded, image, drawing, score))
            except ImageError as problem:
                problems.append((image, str(problem)))
                complain(problem)
    return all_found, problems


def _detect_one(loaded: LoadedModel, image: Path, drawing: Path, score: float) -> Found:
    """Look at a picture and draw what is found."""
    from refdet.cli.detect_output import found_in
    from refdet.data import ImageError, read_image

    try:
        pixels = read_image(image)
        detected = _sure_enough(_looked_at(loaded, image, pixels), score)
        found = found_in(image, drawing, pixels.shape[:2], detected, loaded.detector.class_names)
        _draw(loaded, pixels, detected, drawing)
    except MemoryError:
        raise ImageError(f"{image}: needs more memory than there is; make it smaller") from None
    return found


def _looked_at(loaded: LoadedModel, image: Path, pixels: Array) -> Detected:
    """Detect; what a model cannot look at, for it is too small or too large, is a problem of the picture."""
    from refdet.data import ImageError
    from refdet.detection.narrow import is_too_narrow

    H, W = pixels.shape[:2]
    try:
        return loaded.detector.detect(pixels)
    except ValueError as problem:
        if is_too_narrow(loaded.detector, pixels):
            raise ImageError(f"{image}: {W} × {H} pixels are too narrow for {loaded.model}; crop it") from problem
        raise ImageError(f"{image}: {loaded.model} cannot look at {W} × {H} pixels: {problem}") from problem
    except MemoryError:
        raise ImageError(f"{image}: {W} × {H} pixels need more memory than there is; make it smaller") from None


def _sure_enough(found: Detected, score: float) -> Detected:
    """Return the objects of that score or more."""
    from refdet.detection.detected import Detected

    chosen = found.scores >= score
    fields = (found.boxes, found.scores, found.classes, found.masks, found.joints, found.joint_scores)
    return Detected(*(None if field is None else field[chosen] for field in fields))  # type: ignore[arg-type]


def _draw(loaded: LoadedModel, pixels: Array, found: Detected, path: Path) -> None:
    from refdet.cli.detect_output import png
    from refdet.data.files import make_folder, write_bytes
    from refdet.data.images import ImageError
    from refdet.data.limbs import limbs_of
    from refdet.pictures.detected_objects import draw_objects

    drawn = draw_objects(pixels, found, loaded.detector.class_names, limbs=limbs_of(loaded.joint_names))
    make_folder(path.parent, ImageError)
    write_bytes(path, png(drawn), ImageError)


@contextlib.contextmanager
def _progress(n: int) -> Iterator[Callable[[str], object]]:
    """Show a bar on standard error, if that is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.file.isatty()) as bar:
        task, done = bar.add_task("", total=n), -1

        def step(name: str) -> None:
            nonlocal done
            done += 1
            bar.update(task, description=name, completed=done)

        yield step
