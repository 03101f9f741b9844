"""A report for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refdet.bench.report import Report, warnings
from refdet.bench.wording import circumstances, conclusions, table

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 140  # columns of a terminal that has room for everything
LEFT_OUT = ("what", "count", "effective rates", "of the peak", "difference")  # where there is less


def print_report(report: Report, console: Console) -> None:
    """Print a table for each comparison, what follows from it, and then where and how it came about."""
    from rich.table import Table
    from rich.text import Text

    for result in report.results:
        header, *rows = table(result, report.peaks)
        grid = Table(title=f"{result.group.name}: {result.group.title}", title_justify="left")
        shown = [i for i, name in enumerate(header) if name not in LEFT_OUT or console.width >= WIDE]
        for i in shown:
            grid.add_column(header[i], justify="left" if i < 2 else "right", no_wrap=i == 0, overflow="fold")
        for cells in rows:
            grid.add_row(*(Text(cells[i]) for i in shown))
        console.print(grid)
        for line in conclusions(result):
            console.print(Text(line))
        console.print()
    for line in circumstances(report):
        console.print(Text(line))
    for line in warnings(report):
        console.print(Text(f"warning: {line}"), style="yellow")
