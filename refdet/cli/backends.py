"""`refdet backends`: what is installed, and what it replaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from refdet.cli.messages import console, print_json


def backends(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show the installed backends, which kernels each replaces, and where the others run.

    A kernel that a backend lacks runs its reference: on the backend's own arrays where it is portable, else after a
    round trip through the host. Choose a backend by REFDET_BACKEND=NAME, or in Python by `with use_backend("NAME")`.

    Examples:

        refdet backends

        refdet backends --json
    """
    from refdet.verify import catalogue

    kernels = [kernel for entry in catalogue.catalogue().values() for kernel in entry.kernels]
    rows = [_row(name, table, kernels) for name, table in {"reference": {}, **catalogue.backends()}.items()]
    if as_json:
        print_json(rows)
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"{len(kernels)} kernels", title_justify="left")
    table.add_column("backend")
    table.add_column("replaces", overflow="fold")
    table.add_column("runs the reference", justify="right")
    table.add_column("after a round trip", justify="right")
    for row in rows:
        if row["problem"]:
            table.add_row(row["name"], escape(f"does not load: {row['problem']}"), "", "")
        else:
            replaced = ", ".join(row["replaces"]) or "nothing"
            table.add_row(row["name"], replaced, str(len(row["reference"])), str(len(row["round_trip"])))
    console.print(table)


def _row(name: str, table: Mapping[str, Any] | str, kernels: list[Any]) -> dict[str, Any]:
    if isinstance(table, str):
        return {"name": name, "problem": table, "replaces": [], "reference": [], "round_trip": []}
    lacking = [kernel for kernel in kernels if kernel.name not in table]
    own_arrays = "array.to_host" in table
    round_trip = [kernel.name for kernel in lacking if own_arrays and not kernel.portable]
    return {
        "name": name,
        "problem": None,
        "replaces": [kernel.name for kernel in kernels if kernel.name in table],
        "reference": [kernel.name for kernel in lacking if kernel.name not in round_trip],
        "round_trip": round_trip,
    }
