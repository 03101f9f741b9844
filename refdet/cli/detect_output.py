"""What `refdet detect` prints: a table of the objects, or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from refdet.cli.messages import console, on_a_line
from refdet.core.check import Array
from refdet.detection.detected import Detected
from refdet.masks.rle import RLE, rle_area, rle_encode
from refdet.masks.rle_string import rle_to_string

if TYPE_CHECKING:
    from refdet.detection.model_file import LoadedModel


@dataclass(frozen=True, eq=False)
class Found:
    """What was found in one picture, small enough to be kept until the last picture has been looked at."""

    image: Path
    drawing: Path
    size: tuple[int, ...]  # (height, width)
    objects: Detected  # without masks
    masks: tuple[RLE, ...] | None  # of the objects
    names: Sequence[str]  # of the class of each object


def found_in(image: Path, drawing: Path, size: tuple[int, ...], objects: Detected, class_names: Sequence[str]) -> Found:
    """Return what was found in a picture, with its masks as COCO keeps them: a byte for each pixel is too much."""
    masks = None if objects.masks is None else tuple(rle_encode(mask) for mask in objects.masks)
    names = [class_names[c] for c in objects.classes.tolist()]
    return Found(image, drawing, size, replace(objects, masks=None), masks, names)


def png(pixels: Array) -> bytes:
    """Return a PNG of (H, W, 3) uint8."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(pixels).save(file, format="png")
    return file.getvalue()


def show(found: Sequence[Found], score: float) -> None:
    """Print a table of the objects of all pictures, the surest of each first."""
    from rich.table import Table
    from rich.text import Text

    if not found:
        return
    n = sum(len(f.objects) for f in found)
    pictures = f"{len(found)} {'picture' if len(found) == 1 else 'pictures'}"
    table = Table(title=f"{n} {'object' if n == 1 else 'objects'} of score {score:g} or more in {pictures}")
    has_masks = any(f.masks is not None for f in found)
    has_joints = any(f.objects.joints is not None for f in found)
    table.add_column("picture", overflow="fold")
    table.add_column("class", overflow="fold")
    headings = ("score", "x1", "y1", "x2", "y2", *["pixels"] * has_masks, *["joints"] * has_joints)
    for heading in headings:
        table.add_column(heading, justify="right")
    for f in found:
        for i, name in enumerate(f.names):
            row = [f"{f.objects.scores[i]:.3f}", *(f"{x:.1f}" for x in f.objects.boxes[i].tolist())]
            if has_masks:
                row.append("" if f.masks is None else str(rle_area(f.masks[i])))
            if has_joints:
                row.append("" if f.objects.joints is None else str(f.objects.joints.shape[1]))
            table.add_row(Text("" if i else on_a_line(f.image)), Text(on_a_line(name)), *row)
        if not f.names:
            table.add_row(Text(on_a_line(f.image)), "–", *[""] * len(headings))
    console.print(table, crop=False)
    console.print(
        "drawn: ", ", ".join(on_a_line(f.drawing) for f in found), sep="", highlight=False, soft_wrap=True, markup=False
    )


def print_as_json(
    loaded: LoadedModel,
    weights: Path | None,
    score: float,
    found: Sequence[Found],
    problems: Sequence[tuple[Path, str]],
) -> None:
    """Print everything as one JSON document; the help of the command says what is in it.

    It is in ASCII, which every standard output takes. A name that is not UTF-8 is told as Python has it: its byte b is
    the code U+DC00 + b, which `os.fsencode` turns back.
    """
    typer.echo(
        json.dumps(
            {
                "model": loaded.model,
                "weights": None if weights is None else str(weights),
                "score": score,
                "class_names": list(loaded.detector.class_names),
                "joint_names": list(loaded.joint_names),
                "images": [
                    {
                        "file": str(f.image),
                        "drawing": str(f.drawing),
                        "width": f.size[1],
                        "height": f.size[0],
                        "objects": [_object(f, i) for i in range(len(f.objects))],
                    }
                    for f in found
                ],
                "problems": [{"file": str(path), "problem": sentence} for path, sentence in problems],
            },
            indent=2,
        )
    )


def _object(f: Found, i: int) -> dict[str, Any]:
    """Return one object; mask and joints are there where the model looks for them."""
    found = f.objects
    told: dict[str, Any] = {"class": f.names[i], "score": float(found.scores[i]), "box": found.boxes[i].tolist()}
    if f.masks is not None:
        rle = f.masks[i]
        told["mask"] = {"size": list(rle.size), "counts": rle_to_string(rle)}
    if found.joints is not None:
        sure = found.joint_scores
        told["joints"] = [
            [*joint, None if sure is None else float(sure[i, k])] for k, joint in enumerate(found.joints[i].tolist())
        ]
    return told
