"""`refdet list`: which algorithms there are."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refdet.cli.messages import UsageProblem, console, print_json

if TYPE_CHECKING:
    from refdet.verify.catalogue import Entry

WIDE = 120  # columns of a terminal that has room for file names


def list_algorithms(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the table of the README.")] = False,
) -> None:
    """List every algorithm, its kernels, where they run, and its golden cases.

    A kernel is portable if its reference runs on the arrays of any backend. A wide terminal shows the files too.

    Examples:

        refdet list

        refdet list --json | jq '.[].algorithm'
    """
    from refdet.verify.catalogue import backends, catalogue
    from refdet.verify.suite import load_suite

    if as_json and as_markdown:
        raise UsageProblem("list: --json and --markdown cannot both be printed; choose one")
    tables = {name: table for name, table in backends().items() if not isinstance(table, str)}
    rows = [_row(entry, tables, load_suite().manifest["cases"]) for entry in catalogue().values()]
    if as_json:
        print_json(rows)
    elif as_markdown:
        typer.echo(catalogue_as_markdown(rows))
    else:
        _print_table(rows)


def _print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table

    wide = console.width >= WIDE
    table = Table(title=f"{len(rows)} algorithms", title_justify="left")
    table.add_column("algorithm", no_wrap=True)
    for heading in ("gradient", "portable", "backends"):
        table.add_column(heading)
    table.add_column("cases", justify="right")
    if wide:
        table.add_column("source", no_wrap=True)
    for row in rows:
        cells = [row["algorithm"], *_marks(row), ", ".join(_backends_of(row)), str(row["cases"])]
        table.add_row(*cells, *([row["source"]] if wide else []))
    console.print(table)


def catalogue_as_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of the README."""
    header = ["algorithm", "what it does", "gradient", "portable", "backends", "golden cases"]
    lines = [header, ["---", "---", "---", "---", "---", "---:"]]
    for row in rows:
        link = f"[{row['algorithm']}]({row['source']})"
        what = row["what"].replace("|", "\\|")
        lines.append([link, what, *_marks(row), ", ".join(_backends_of(row)), str(row["cases"])])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _marks(row: Mapping[str, Any]) -> tuple[str, str]:
    """Say whether there is a gradient, and whether all kernels are portable."""
    has_gradient = any(kernel.endswith(".backward") for kernel in row["kernels"])
    return "yes" if has_gradient else "", "yes" if row["portable"] else ""


def _backends_of(row: Mapping[str, Any]) -> list[str]:
    return [name for name, kernels in row["backends"].items() if kernels]


def _row(entry: Entry, tables: Mapping[str, Mapping[str, Any]], cases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    kernels = [kernel.name for kernel in entry.kernels]
    return {
        "algorithm": entry.name,
        "what": (inspect.getdoc(entry.op.function if entry.op else entry.kernels[0]) or "").split("\n")[0],
        "kernels": kernels,
        "portable": entry.portable,
        "backends": {name: [k for k in kernels if k in table] for name, table in tables.items()},
        "cases": sum(case["algorithm"] == entry.name for case in cases),
        "op": entry.op.name if entry.op else None,
        "source": entry.source_file,
    }
