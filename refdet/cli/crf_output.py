"""What `refdet crf` writes into its folder, and what it says.

labels.png        the label of every pixel: with a palette, or beyond 256 labels as 16-bit grey values
overlay.png       the image with the labels over it, pixel for pixel
before_after.png  the labels before and after, side by side or, of a wide image, one above the other
free_energy.png   the free energy after each iteration, and the largest change of a probability in it
crf.json          figures, in this order:

    versions       of refdet, numpy and python
    image, unary   the paths as they were given
    kind           what the unary file holds: "labels", "colours" (numbered as labels) or "probabilities"
    width, height  of the image, in pixels
    parameters     by the names of their options; confidence and unsure are null for probabilities
    colours        of the labels 0, 1 …, as #rrggbb
    pixels         how many there are; of these
    unsure         had no label before, and
    changed        had another one than after
    counts         before and after: how many pixels have each label
    free_energies  at the start and after each iteration
    changes        the largest change of a probability in each iteration
    files          the pictures
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

import refdet
from refdet.cli.messages import UsageProblem, complain, on_a_line
from refdet.core.check import Array
from refdet.nn.checkpoint.atomic_file import write_bytes_atomically
from refdet.pictures.crf_refinement import (
    CrfRefinement,
    draw_before_after,
    draw_free_energy,
    last_change,
    overlay,
    rises,
)
from refdet.pictures.slide import empty_slide, percent, settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image as PillowImage

PICTURES = ("labels.png", "overlay.png", "before_after.png", "free_energy.png")
FIGURES = "crf.json"
FILES = (*PICTURES, FIGURES)
OF_A_PALETTE = 256


def write(found: CrfRefinement, about: dict[str, Any], folder: Path) -> None:
    """Make all files, then write them, each all or nothing, so that a failure leaves those of an earlier run."""
    contents = (
        label_map(found.after, found.palette),
        picture(overlay(found.image, found.after, found.palette)),
        _slide(draw_before_after, found),
        _slide(draw_free_energy, found),
        (json.dumps(to_json(found, about), indent=2, allow_nan=False) + "\n").encode(),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in zip(FILES, contents, strict=True):
            write_bytes_atomically(folder / name, content)
    except OSError as error:
        raise UsageProblem(f"crf: --out: cannot write to {folder}: {error.strerror}") from None


def label_map(labels: Array, palette: Array) -> bytes:
    """Return a PNG whose stored values are the labels, in the colours of the palette if it has room for them."""
    from PIL import Image

    if len(palette) > OF_A_PALETTE:
        return _png(Image.fromarray(labels.astype(np.uint16)))
    image = Image.fromarray(labels.astype(np.uint8), mode="L")
    image.putpalette(palette.tobytes())
    return _png(image)


def picture(pixels: Array) -> bytes:
    """Return a PNG of (H, W, 3) uint8."""
    from PIL import Image

    return _png(Image.fromarray(pixels))


def _png(image: PillowImage) -> bytes:
    file = BytesIO()
    image.save(file, format="png")
    return file.getvalue()


def _slide(draw: Callable[[Figure, CrfRefinement], None], found: CrfRefinement) -> bytes:
    with settings():
        figure, file = empty_slide(), BytesIO()
        draw(figure, found)
        figure.savefig(file, format="png")
    return file.getvalue()


def to_json(found: CrfRefinement, about: dict[str, Any]) -> dict[str, Any]:
    """Return all figures; `about` is what was given: image, unary, kind and parameters."""
    H, W = found.after.shape
    return {
        "versions": {"refdet": refdet.__version__, "numpy": np.__version__, "python": platform.python_version()},
        "image": about["image"],
        "unary": about["unary"],
        "kind": about["kind"],
        "width": W,
        "height": H,
        "parameters": about["parameters"],
        "colours": [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in found.palette.tolist()],
        "pixels": H * W,
        "unsure": found.n_unsure,
        "changed": found.n_changed,
        "counts": {
            "before": found.counts(found.before).tolist(),
            "after": found.counts(found.after).tolist(),
        },
        "free_energies": found.free_energies.tolist(),
        "changes": found.changes.tolist(),
        "files": list(PICTURES),
    }


def show(found: CrfRefinement, folder: Path) -> None:
    """Print what has become of the labels to standard output, and what should be known to standard error."""
    if rises(found):
        complain("warning: the free energy does not fall in every iteration; --damping 0.5 may help")
    n, unsure, changed = found.after.size, found.n_unsure, found.n_changed
    typer.echo(f"pixels: {n:,}, labels: {len(found.palette):,}")
    sure = n - unsure
    typer.echo(f"changed: {changed:,} of {sure:,} labels ({percent(changed / sure) if sure else '0 %'})")
    if unsure:
        typer.echo(f"new: {unsure:,} labels of pixels that had none")
    first, last = found.free_energies[[0, -1]].tolist()
    n_iterations = len(found.changes)
    plural = "iteration" if n_iterations == 1 else "iterations"
    typer.echo(f"free energy: {first:,.7g} → {last:,.7g} in {n_iterations} {plural}")
    if n_iterations:
        typer.echo(f"largest change of a probability in the last iteration: {last_change(found)}")
    typer.echo(f"written to {on_a_line(folder)}: {', '.join(FILES)}")
