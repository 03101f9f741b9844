"""A report as Markdown: a section for each comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from refdet.bench.peaks import Peaks
from refdet.bench.report import Report, warnings
from refdet.bench.results import GroupResult
from refdet.bench.wording import circumstances, conclusions, table


def to_markdown(report: Report) -> str:
    """Return where and how the report came about, and its sections."""
    parts = [bullets(circumstances(report)), bullets(f"**warning**: {line}" for line in warnings(report))]
    for result in report.results:
        parts += section(result, report.peaks, level=2)
    return joined(parts)


def section(result: GroupResult, peaks: Peaks | None, *, level: int, command: str = "") -> list[str]:
    """Return the parts of a section: heading, title, command, table, and what follows from it."""
    header, *rows = table(result, peaks)
    used = [i for i in range(len(header)) if i < 6 or any(row[i] for row in rows)]
    return [
        f"{'#' * level} {result.group.name}: {result.side} against {result.against}",
        f"{result.group.title}.",
        f"    {command}" if command else "",
        markdown_table([[line[i] for i in used] for line in (header, *rows)], n_left=2),
        bullets(conclusions(result)),
    ]


def markdown_table(lines: Sequence[Sequence[str]], *, n_left: int) -> str:
    """Return a table of which the first line is the header, and the first `n_left` columns are aligned to the left."""
    header, *rows = lines
    rule = [*["---"] * n_left, *["---:"] * (len(header) - n_left)]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in (header, rule, *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def bullets(lines: Iterable[str]) -> str:
    """Return a list."""
    return "\n".join(f"- {line}" for line in lines)


def joined(parts: Sequence[str]) -> str:
    """Return the parts that are not empty, as paragraphs."""
    return "\n\n".join(part for part in parts if part) + "\n"
