"""`refdet demo`: see three implementations verified, the library check itself, and a convnet see."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refdet.cli.messages import UsageProblem, console, on_a_line
from refdet.cli.output_files import Input, check_not_read

if TYPE_CHECKING:
    from refdet.core.check import Array
    from refdet.verify.verdict import Report

REFERENCE, ACCELERATED, LEGACY = "refdet", "refdet:numba-cpu", "legacy"
PAGES = {LEGACY: "verify.html", REFERENCE: "verify_refdet.html", ACCELERATED: "verify_numba-cpu.html"}
PICTURE = "feature_maps.png"
TIME_LIMIT = 30.0  # seconds for one answer
WIDE = 120  # columns of a terminal that has room for shapes


def demo(
    output: Annotated[
        Path, typer.Option(help="Folder for the pages and the picture; made if it does not exist.")
    ] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random inputs.")] = 0,
    image: Annotated[
        Path | None, typer.Option(help="A photograph of your own, instead of the cat that scikit-image ships.")
    ] = None,
) -> None:
    """Verify three implementations, check every op, and draw what a convnet sees in a photograph.

    First the golden suite is asked of the reference, of the accelerated backend if it is installed, and of an
    implementation as it was written in 2015, whose habits are named: verify.html shows them. Then random input is drawn
    for every op and compared three ways: values with scalar loops written from the definition, gradients with the same
    loops, and gradients with central differences. Then a small convnet runs, whose weights are written down instead of
    learned, and feature_maps.png is written.

    Examples:

        refdet demo

        refdet demo --image holiday.jpg --output pictures
    """
    results = [output / name for name in (*PAGES.values(), PICTURE)]
    check_not_read("demo: --output", results, [Input("--image", image)], "give another folder")
    photograph, title = _photograph(image)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageProblem(f"demo: --output: cannot write to {output}: {error.strerror}") from None
    conforms = _verify(output)
    all_passed = _check_every_op(seed)
    _draw(photograph, title, output)
    if not (conforms and all_passed):
        raise typer.Exit(1)


def _verify(output: Path) -> bool:
    """Write a page for each implementation, and name habits; return whether those conform that should."""
    from rich.markup import escape
    from rich.status import Status

    from refdet.cli.messages import write_text
    from refdet.verify.question import Unavailable
    from refdet.verify.report.html import html_page
    from refdet.verify.report.terminal import summary

    reports: dict[str, Report] = {}
    for name, page in PAGES.items():
        try:
            with Status(f"asking {name}", console=console):
                reports[name] = _asked(name)
                text = html_page(reports[name])
        except (LookupError, Unavailable) as reason:
            console.print(f"{name}: not here ({escape(str(reason.args[0] if reason.args else reason))})")
            continue
        write_text("demo: --output", str(output / page), text)
        if name == LEGACY:
            console.print(f"Report page: {on_a_line(output / page)}", markup=False, highlight=False, soft_wrap=True)
        console.print(f"[bold]{name}[/bold]", highlight=False)
        for part in summary(reports[name]):
            console.print(part)
    console.print()
    return not any(report.failed for name, report in reports.items() if name != LEGACY)


def _asked(name: str) -> Report:
    """Verify an implementation with all cases of the suite."""
    from refdet.cli.verify_sources import open_source
    from refdet.verify.run import select_cases
    from refdet.verify.suite import load_suite

    suite = load_suite()
    return open_source(name, None, None, suite, TIME_LIMIT).report(select_cases(suite), lambda case_id: None)


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


def _photograph(image: Path | None) -> tuple[Array, str]:
    """Return the picture as (H, W, 3) uint8, and what it shows; refuse one that is too small for the network."""
    from refdet.data import ImageError, read_image
    from refdet.features.edge_net import SMALLEST_SIDE

    if image is None:
        from skimage.data import chelsea

        return chelsea(), "a photograph"
    pixels = read_image(image)
    H, W = pixels.shape[:2]
    if min(H, W) < SMALLEST_SIDE:
        least = f"{SMALLEST_SIDE} × {SMALLEST_SIDE}"
        raise ImageError(
            f"{image}: {W} × {H} pixels are too few for the network, which needs {least}; give a larger one"
        )
    return pixels, image.name


def _draw(photograph: Array, title: str, output: Path) -> None:
    from refdet.data import ImageError
    from refdet.pictures.feature_maps import draw_feature_maps

    path = output / PICTURE
    H, W = photograph.shape[:2]
    try:
        draw_feature_maps(photograph / 255, path, title=title)
    except OSError as error:
        raise UsageProblem(f"demo: --output: cannot write to {output}: {error.strerror}") from None
    except MemoryError:
        raise ImageError(f"{title}: {W} × {H} pixels need more memory than there is; make it smaller") from None
    console.print(f"What an edge-detecting convnet sees: {on_a_line(path)}", markup=False)
