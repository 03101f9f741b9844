"""`refdet golden`: make the golden suite, check it, show a case of it, or write it in other formats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refdet.cli.command import Command
from refdet.cli.golden_export import export
from refdet.cli.golden_show import show
from refdet.cli.messages import UsageProblem, console, errors, on_a_line, unknown

if TYPE_CHECKING:
    from refdet.verify.generate import Generation

golden = typer.Typer(no_args_is_help=True)
golden.command(cls=Command)(show)
golden.command(cls=Command)(export)


@golden.callback()
def _golden() -> None:
    """Show a case of the golden suite, write the suite in other formats, make it, or check it.

    Examples:

        refdet golden show nms/no-boxes

        refdet golden export --to npz golden_npz

        refdet golden generate --check
    """


@golden.command(cls=Command)
def generate(
    algorithms: Annotated[
        list[str] | None, typer.Argument(metavar="[ALGORITHM]...", help="All of them by default.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing: compare with what is stored, and exit with 1 if it differs.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="Folder of the suite; golden/data by default.")] = None,
) -> None:
    """Compute every golden answer from the cases in golden/cases, by the oracles in tests/oracles.

    It needs the source tree. Exit status 1 also where refdet's own kernels fail a case, or a kernel has no cases.

    Examples:

        refdet golden generate

        refdet golden generate conv2d linear

        refdet golden generate --check
    """
    from refdet.verify.generate import SourceTreeError, case_names, source_tree, write
    from refdet.verify.suite import data_folder

    try:
        root = output or data_folder(source_tree())
    except SourceTreeError as error:
        raise UsageProblem(str(error)) from error
    for name in algorithms or ():
        if name not in case_names():
            raise unknown("algorithm with golden cases", name, case_names())
    generation = _generate(algorithms or None, root)
    failed = list(generation.problems)
    if check:
        from refdet.verify.regeneration import differences

        failed += differences(generation, root, algorithms or None)
    else:
        try:
            write(generation, root)
        except OSError as error:
            raise UsageProblem(f"cannot write to {root}: {error.strerror}") from error
    for sentence in failed:
        errors.print(sentence, markup=False, highlight=False, soft_wrap=True)
    _summarise(generation, root, check, len(failed))
    if failed:
        raise typer.Exit(1)


def _generate(algorithms: list[str] | None, root: Path) -> Generation:
    """Compute the cases under a progress bar."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from refdet.verify.catalogue import load_all
    from refdet.verify.generate import case_names, generate
    from refdet.verify.suite import MANIFEST, read_manifest

    load_all()
    stored: dict[str, Any] | None = read_manifest(root) if algorithms and (root / MANIFEST).is_file() else None
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.file.isatty()) as bar:
        task = bar.add_task("", total=len(algorithms or case_names()))
        begun = iter(range(len(algorithms or case_names()) + 1))
        return generate(
            algorithms,
            stored=stored,
            progress=lambda name: bar.update(task, description=name, completed=next(begun)),
        )


def _summarise(generation: Generation, root: Path, check: bool, n_failed: int) -> None:
    from refdet.verify.report.words import plural

    n_cases, n_algorithms = len(generation.tensors), len({case_id.split("/")[0] for case_id in generation.tensors})
    n_bytes = sum(file["bytes"] for file in generation.manifest["files"].values())
    what = f"{plural(n_cases, 'case')} of {plural(n_algorithms, 'algorithm')}"
    verdict = plural(n_failed, "difference") if n_failed else "as stored"
    place = on_a_line(root)
    done = f": {verdict} ({place})" if check else f" written to {place}; the suite's tensors have {n_bytes} bytes"
    console.print(f"{what}{done}", markup=False, highlight=False, soft_wrap=True)
