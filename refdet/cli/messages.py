"""How the commands speak: answers on standard output, everything else on standard error."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

console = Console(emoji=False)  # a name such as :cat: is no picture of one
errors = Console(stderr=True, emoji=False)


class UsageProblem(Exception):  # noqa: N818  not every exception is an error of the program
    """A mistake of the user's, as one sentence; the command ends with exit status 2."""


def unknown(what: str, name: str, known: Collection[str]) -> UsageProblem:
    """Return the problem that nothing is called `name`, with the names closest to it."""
    lower = name.lower()
    by_lower = {k.lower(): k for k in sorted(known)}  # of Lattice and lattice, the latter
    close = difflib.get_close_matches(lower, by_lower, n=3, cutoff=0.5)
    close += [k for k in by_lower if k not in close and lower and (lower in k or k in lower)]
    meant = " or ".join(by_lower[k] for k in close[:3])
    hint = f"; did you mean {meant}?" if meant else "; `refdet list` shows all of them"
    return UsageProblem(f"there is no {what} called {name!r}{hint}")


def on_a_line(text: object) -> str:
    r"""Return a path, or a text that has one in it, for a terminal: what is invisible in it becomes an escape.

    >>> on_a_line("red \x1b[31m\n.png")
    'red \\x1b[31m\\n.png'
    """
    from refdet.verify.report.words import printable

    return printable(str(text)).replace("\n", "\\n")


def complain(sentence: object) -> None:
    """Print a sentence about what is wrong, or should be known, to standard error."""
    typer.echo(f"refdet: {on_a_line(sentence)}", err=True)


def print_json(value: Any) -> None:
    """Print a value for a program to read, in ASCII, which every terminal and file can take."""
    typer.echo(json.dumps(value, indent=2))


def write_text(option: str, file: str, text: str) -> None:
    """Write what an option asks for: to standard output where the file is "-", else to the file, all or nothing.

    A device or a link, such as /dev/stdout, is written to in place, so that it stays what it is.
    """
    from refdet.nn.checkpoint.atomic_file import write_bytes_atomically

    if file == "-":
        typer.echo(text, nl=False)
        return
    path = Path(file)
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            path.write_text(text, encoding="utf-8")
        else:
            write_bytes_atomically(path, text.encode())
    except OSError as error:
        raise UsageProblem(f"{option}: cannot write {file}: {error.strerror}") from None
