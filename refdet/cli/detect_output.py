"""What `refdet detect` prints: a table of the objects, or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from refdet.cli.messages import console, print_json
from refdet.core.check import Array
from refdet.detection.detected import Detected
from refdet.masks.rle import rle_encode
from refdet.masks.rle_string import rle_to_string

if TYPE_CHECKING:
    from refdet.detection.model_file import LoadedModel


@dataclass(frozen=True, eq=False)
class Found:
    """What was found in one picture."""

    image: Path
    drawing: Path
    size: tuple[int, ...]  # (height, width)
    objects: Detected
    names: Sequence[str]  # of the class of each object


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
    has_masks = any(f.objects.masks is not None for f in found)
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
                row.append("" if f.objects.masks is None else str(np.count_nonzero(f.objects.masks[i])))
            if has_joints:
                row.append("" if f.objects.joints is None else str(f.objects.joints.shape[1]))
            table.add_row(Text("" if i else str(f.image)), Text(name), *row)
        if not f.names:
            table.add_row(Text(str(f.image)), "–", *[""] * len(headings))
    console.print(table, crop=False)
    console.print(
        "drawn: ", ", ".join(str(f.drawing) for f in found), sep="", highlight=False, soft_wrap=True, markup=False
    )


def print_as_json(
    loaded: LoadedModel,
    weights: Path | None,
    score: float,
    found: Sequence[Found],
    problems: Sequence[tuple[Path, str]],
) -> None:
    """Print everything as one JSON document; the help of the command says what is in it."""
    print_json(
        {
            "model": loaded.model,
            "weights": None if weights is None else str(weights),
            "score": score,
            "class_names": list(loaded.detector.class_names),
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
        }
    )


def _object(f: Found, i: int) -> dict[str, Any]:
    """Return one object; mask and joints are there where the model looks for them."""
    found = f.objects
    told: dict[str, Any] = {"class": f.names[i], "score": float(found.scores[i]), "box": found.boxes[i].tolist()}
    if found.masks is not None:
        rle = rle_encode(found.masks[i])
        told["mask"] = {"size": list(rle.size), "counts": rle_to_string(rle)}
    if found.joints is not None:
        sure = found.joint_scores
        told["joints"] = [
            [*joint, None if sure is None else float(sure[i, k])] for k, joint in enumerate(found.joints[i].tolist())
        ]
    return told
