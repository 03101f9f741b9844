"""The entry point of the command line; `refdet.cli.commands` has the commands.

It imports next to nothing by itself: Ctrl-C while the commands, and what they are built with, are still being imported
ends the program as it does later, silently and with exit status 130.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refdet.cli.commands import Commands, app

__all__ = ["Commands", "app", "main"]


def main() -> None:
    """Run the command line."""
    try:
        from refdet.cli import commands

        commands.app(prog_name="refdet")
    except KeyboardInterrupt:  # before the command has begun
        sys.exit(130)


def __getattr__(name: str) -> Any:
    """Return the command line itself, which is imported for whoever asks for it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from refdet.cli import commands

    return getattr(commands, name)
