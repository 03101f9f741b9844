"""`refdet golden export`: golden cases in a container that another language reads without effort."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from refdet.cli.messages import UsageProblem, console, errors, on_a_line


class Container(StrEnum):
    """The formats; their names are those of `refdet.verify.export.FORMATS`."""

    NPZ = "npz"
    JSON = "json"
    BIN = "bin"
    C_HEADER = "c-header"


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, or an earlier export to replace.")],
    to: Annotated[Container, typer.Option("--to", help="The format; see above.")],
    select: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Cases or algorithms, such as nms or 'roi_*/deck*'; may be repeated."),
    ] = None,
) -> None:
    """Write the golden cases in another format, one file or folder per case, and an index.json of all.

    npz        NAME.npz with the arrays inputs/x, answers/y, tolerances/y.bound

    json       NAME.json with everything of a case: elements as hexadecimal bytes, and as decimals to look at

    bin        NAME/x.bin: nothing but the elements, little-endian, in row-major order; index.json has their shapes

    c-header   NAME.h for C99: static const arrays of hexadecimal floats, parameters as macros

    NAME is the id of the case, ALGORITHM/CASE. The folder appears whole, or not at all.

    Examples:

        refdet golden export --to npz golden_npz

        refdet golden export --to c-header --select nms --select "roi_align/*" firmware/golden
    """
    from rich.progress import track

    from refdet.verify.export import ExportError, check_replaceable
    from refdet.verify.export import export as write_export
    from refdet.verify.patterns import matches_any, unmatched
    from refdet.verify.report.words import plural
    from refdet.verify.suite import load_suite

    suite = load_suite()
    for pattern in unmatched(select or (), suite.ids):
        raise UsageProblem(f"--select: no golden case matches {pattern!r}; `refdet list` shows the algorithms")
    ids = [case_id for case_id in suite.ids if not select or matches_any(select, case_id)]
    ticks = track(ids, "exporting", console=errors, transient=True, disable=not errors.file.isatty())
    try:
        check_replaceable(folder.resolve())
        n_files = write_export(map(suite.case, ticks), to.value, folder, suite_version=suite.version)
    except ExportError as problem:
        raise UsageProblem(str(problem)) from None
    except OSError as error:
        raise UsageProblem(f"cannot write to {folder}: {error.strerror}") from error
    what = f"{plural(len(ids), 'case')} in {plural(n_files, 'file')}, written to {on_a_line(folder)}"
    console.print(what, markup=False, highlight=False, soft_wrap=True)
