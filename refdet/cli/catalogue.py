"""`refdet list` and `refdet explain`: what there is, and how it is defined."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refdet.cli.messages import UsageProblem, console, print_json, unknown

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


def explain(
    name: Annotated[
        str,
        typer.Argument(help="An algorithm, kernel, file or function: nms, conv2d.backward, anchors, permutohedral."),
    ],
    code: Annotated[bool, typer.Option("--code", help="Print the source as well.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Draw it as well, into this .png, .svg or .pdf.")] = None,
) -> None:
    """Explain one algorithm: equation, conventions, how to call it, and its golden cases.

    Examples:

        refdet explain max_pool2d

        refdet explain max_pool2d --code

        refdet explain nms --picture nms.png
    """
    from rich.rule import Rule
    from rich.syntax import Syntax

    from refdet.verify.suite import load_suite

    entries = _entries_of(name)
    if not entries:
        _explain_function(name, code, picture)
        return
    if picture is not None:
        _draw(entries[0].name, picture)
    file, module = entries[0].source_file, entries[0].module
    for i, entry in enumerate(entries):
        console.print(Rule(f"{entry.name}: {file}, line {entry.first_line}", align="left"))
        if i == 0:
            _print_text(inspect.getdoc(module) or "")
        if entry.op is not None:
            console.print(Rule(f"how to call {entry.op.name}", align="left"))
            _print_text(_call(entry.op.function))
            _print_text(inspect.getdoc(entry.op.function) or "")
        console.print(Rule("kernels", align="left"))
        _print_kernels(entry)
        cases = [case for case in load_suite().manifest["cases"] if case["algorithm"] == entry.name]
        console.print(Rule(f"{len(cases)} golden cases", align="left"))
        _print_cases(cases)
    if code:
        console.print(Rule(file, align="left"))
        console.print(Syntax(inspect.getsource(module), "python", background_color="default"))
    if picture is not None:
        console.print(Rule("picture", align="left"))
        _print_text(f"written to {picture}")


def _entries_of(name: str) -> list[Entry]:
    """Return the algorithm of that name; those of the file of that name; or none, if it is that of a function."""
    from refdet.verify.catalogue import algorithm_of, catalogue, public_functions

    entries = catalogue()
    last = name.split(".")[-1] if name.startswith("refdet.") else algorithm_of(name)
    if last in entries:
        return [entries[last]]
    in_file = [entry for entry in entries.values() if entry.module.__name__.split(".")[-1] == last]
    if not in_file and _function_named(last) is None:
        raise unknown("algorithm", name, {*entries, *public_functions()})
    return in_file


def _function_named(name: str) -> str | None:
    """Return the public function of that name, or the only one whose name begins with it: permutohedral_filter."""
    from refdet.verify.catalogue import public_functions

    functions = public_functions()
    if name in functions:
        return name
    beginning = [function for function in functions if function.startswith(f"{name}_")]
    return beginning[0] if len(beginning) == 1 else None


def _explain_function(name: str, code: bool, picture: Path | None) -> None:
    """Explain what is no algorithm of the catalogue but built from those, such as selective_search."""
    from rich.rule import Rule
    from rich.syntax import Syntax

    from refdet.verify.catalogue import public_functions

    full_name, function = public_functions()[_function_named(name.split(".")[-1]) or name]
    if picture is not None:
        _draw(function.__name__, picture)
    module = inspect.getmodule(function)
    file = f"{function.__module__.replace('.', '/')}.py"
    console.print(Rule(f"{function.__name__}: {file}, line {inspect.getsourcelines(function)[1]}", align="left"))
    _print_text(inspect.getdoc(module) or "")
    console.print(Rule(f"how to call {full_name}", align="left"))
    _print_text(_call(function))
    _print_text(inspect.getdoc(function) or "")
    if code and module is not None:
        console.print(Rule(file, align="left"))
        console.print(Syntax(inspect.getsource(module), "python", background_color="default"))


def _draw(algorithm: str, path: Path) -> None:
    from refdet.pictures.algorithms import PictureError, write_picture

    try:
        write_picture(algorithm, path)
    except PictureError as problem:
        raise UsageProblem(f"--picture: {problem}") from None


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


def _call(function: Callable[..., Any]) -> str:
    """Return the signature, one parameter a line."""
    lines = [f"{function.__name__}("]
    keyword_only = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            lines.append("    *,")
            keyword_only = True
        star = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        lines.append(f"    {star}{parameter.name}: {parameter.annotation}{default},")
    return "\n".join([*lines, ")", ""])


def _print_text(text: str) -> None:
    """Print text as it is written."""
    console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)


def _print_kernels(entry: Entry) -> None:
    from refdet.verify.catalogue import backends

    for kernel in entry.kernels:
        where = [name for name, table in backends().items() if not isinstance(table, str) and kernel.name in table]
        notes = (["portable"] if kernel.portable else []) + [f"replaced by {name}" for name in where]
        _print_text(f"{kernel.name}{' (' + ', '.join(notes) + ')' if notes else ''}: {inspect.getdoc(kernel) or ''}")


def _print_cases(cases: Sequence[Mapping[str, Any]]) -> None:
    for case in cases:
        kinds = ", ".join(sorted({rule["kind"] for rule in case["compare"].values()}))
        status = "" if case["status"] == "required" else f", {case['status']}: {case['status_reason']}"
        _print_text(f"{case['id']} ({kinds}{status})")
        _print_text(f"    {case['why']}")
