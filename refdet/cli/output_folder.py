"""Folders that a command writes to."""

from __future__ import annotations

import os
from pathlib import Path

from refdet.cli.messages import UsageProblem


def check_folder(option: str, folder: Path) -> None:
    """Refuse a folder that cannot be made or written to.

    This comes before anything is read or computed; the folder itself is made when it is needed.

    Args:
        option: the command and its option, with which the sentence begins, such as "detect: --out".
        folder: what the option names; it need not exist, nor those above it.
    """
    try:
        above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    except OSError as error:  # such as a name that is too long
        raise UsageProblem(f"{option}: cannot write to {folder}: {error.strerror}") from None
    if not above.is_dir():
        raise UsageProblem(f"{option}: {above} is a file, not a folder")
    if not os.access(above, os.W_OK):
        raise UsageProblem(f"{option}: cannot write to {above}: Permission denied")
