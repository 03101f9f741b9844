"""A bar on standard error for one thing after another, where it can be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from refdet.cli.messages import errors, on_a_line

# begin something; then say how much of it is done, and of how much
Begin = Callable[[str], Callable[[int, int], object]]


@contextmanager
def progress_bar() -> Iterator[Begin]:
    """Show a bar on standard error, if that is a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.file.isatty()) as bar:

        def begin(what: str) -> Callable[[int, int], object]:
            for finished in bar.task_ids:
                bar.remove_task(finished)
            task = bar.add_task(on_a_line(what), total=None)
            return lambda done, total: bar.update(task, completed=done, total=total or None)

        yield begin
