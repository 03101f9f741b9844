"""`refdet demo`: see the library check itself, and see a convnet see."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refdet.cli.messages import UsageProblem, console

WIDE = 120  # columns of a terminal that has room for shapes


def demo(
    output: Annotated[Path, typer.Option(help="Folder for the picture; made if it does not exist.")] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random inputs.")] = 0,
    image: Annotated[
        Path | None, typer.Option(help="A photograph of your own, instead of the cat that scikit-image ships.")
    ] = None,
) -> None:
    """Check every op against its naive oracle and its numeric gradient, and draw what a convnet sees in a photograph.

    The first part draws random input for every op and compares three ways: values with scalar loops written from the
    definition, gradients with the same loops, and gradients with central differences. The second part runs a small
    convnet, whose weights are written down instead of learned, and writes feature_maps.png.

    Examples:

        refdet demo

        refdet demo --image holiday.jpg --output pictures
    """
    photograph, title = _photograph(image)
    all_passed = _check_every_op(seed)
    _draw(photograph, title, output)
    if not all_passed:
        raise typer.Exit(1)


def _check_every_op(seed: int) -> bool:
    """Print the table, one row per op, and return whether all rows pass."""
    import numpy as np
    from rich.progress import track
    from rich.table import Table

    from refdet.verify.catalogue import load_all
    from refdet.verify.generate import SourceTreeError, case_module, case_names
    from refdet.verify.self_check import self_check

    load_all()
    try:
        names = case_names()
    except SourceTreeError:
        console.print(
            "The naive oracles come with the source tree, not with the installed package: no table of checks."
        )
        return True
    checks = [
        self_check(case_module(name), np.random.default_rng([seed, i]))
        for i, name in enumerate(track(names, "checking every op", console=console, transient=True))
    ]
    table = Table(title="Every op on random float64 input", caption="errors relative to the largest magnitude")
    wide = console.width >= WIDE
    table.add_column("op", no_wrap=True)
    if wide:
        table.add_column("shapes of the input")
    for heading in ("values:\noracle", "gradients:\noracle", "gradients:\ndifferences"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for check in checks:
        errors = (check.value_error, check.gradient_error, check.numeric_error)
        verdict = "[green]ok[/green]" if check.passed else "[red]FAILS[/red]"
        table.add_row(
            check.algorithm, *([check.shapes] if wide else []), *(f"{e:.0e}" if e else "0" for e in errors), verdict
        )
    console.print(table)
    n_passed = sum(check.passed for check in checks)
    console.print(f"{n_passed} of {len(checks)} ops agree with their oracles and their numeric gradients.")
    return n_passed == len(checks)


def _photograph(image: Path | None) -> tuple[object, str]:
    """Return the picture as (H, W, 3) in [0, 1], and what it shows."""
    import numpy as np

    if image is None:
        from skimage.data import chelsea

        return chelsea() / 255, "a photograph"
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(image) as opened:
            return np.asarray(opened.convert("RGB")) / 255, image.name
    except FileNotFoundError:
        raise UsageProblem(f"--image: there is no file {image}") from None
    except (UnidentifiedImageError, OSError) as error:
        raise UsageProblem(f"--image: {image} is not a picture that can be read ({error})") from None


def _draw(photograph: object, title: str, output: Path) -> None:
    from refdet.pictures.feature_maps import draw_feature_maps

    try:
        output.mkdir(parents=True, exist_ok=True)
        path = output / "feature_maps.png"
        draw_feature_maps(photograph, path, title=title)  # type: ignore[arg-type]
    except OSError as error:
        raise UsageProblem(f"--output: cannot write to {output}: {error.strerror}") from None
    console.print(f"What an edge-detecting convnet sees: {path}")
