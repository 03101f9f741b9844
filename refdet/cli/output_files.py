"""Files that a command writes: where they can be written, and that they take the place of nothing that it reads."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from refdet.cli.messages import UsageProblem

STANDARD_OUTPUT = "-"
OF_VOC = ("*.xml", "*.txt")  # annotations and lists, or results
OF_DATA = (*OF_VOC, "annotations/*.json", "*.jpg", "*.jpeg", "*.png")
OF_ANSWERS = ("*.safetensors", "*.npz")
OF_A_SUITE = ("manifest.json", "*.safetensors")


class Input(NamedTuple):
    """What a command reads."""

    name: str  # of the option or the argument
    path: Path | str | None
    of_folder: tuple[str, ...] = ()  # if it is a folder: which of the files in it are read


def check_files(command: str, written: Mapping[str, str | None], read: Iterable[Input] = ()) -> None:
    """Refuse files that cannot be written, or that are read, before anything is read or computed.

    Args:
        command: its name, with which the sentence begins.
        written: by option, the file that it names; "-" is standard output.
        read: what may not be overwritten.
    """
    given = {option: file for option, file in written.items() if file is not None}
    by_place: dict[str, str] = {}
    for option, file in given.items():
        other = by_place.setdefault(file if file == STANDARD_OUTPUT else os.path.realpath(file), option)
        if other != option:
            raise UsageProblem(f"{command}: {other} and {option} both name {file}; give each a file of its own")
    paths = {option: Path(file) for option, file in given.items() if file != STANDARD_OUTPUT}
    for option, path in paths.items():
        try:
            problem = _why_not(path)
        except OSError as error:  # such as a name that is too long
            problem = f"cannot write {path}: {error.strerror}"
        if problem:
            raise UsageProblem(f"{command}: {option}: {problem}")
    inputs = list(read)
    for option, path in paths.items():
        check_not_read(f"{command}: {option}", [path], inputs, "name another file")


def _why_not(path: Path) -> str:
    """Return why a file cannot be written; nothing if it can."""
    if not path.parent.is_dir():
        return f"there is no folder {path.parent.absolute()}"
    if path.is_dir():
        return f"{path} is a folder; name a file"
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        return f"cannot write {path}: Permission denied"
    return ""


def check_not_read(option: str, results: Iterable[Path], read: Iterable[Input], way_out: str) -> None:
    """Refuse results that would take the place of a file that is read, which may be somebody's work.

    It is the same file by whatever path, or link, it is named.

    Args:
        option: the command and its option, with which the sentence begins.
        results: the files that would be written.
        read: what may not be overwritten.
        way_out: what to do instead.
    """
    inputs = [given for given in read if given.path is not None]
    files = {identity(given.path or ""): given.name for given in inputs}
    for result in results:
        found = identity(result)
        if found is None:  # nothing is there
            continue
        if found in files:
            raise UsageProblem(f"{option}: {overwritten(result, f'{files[found]} itself')}; {way_out}")
        for given in inputs:
            if given.of_folder and _is_inside(result, Path(given.path or ""), given.of_folder):
                what = f"one of the files of {given.name}"
                raise UsageProblem(f"{option}: {overwritten(result, what)}; {way_out}")


def overwritten(result: Path, what: str) -> str:
    """Say that a result would take the place of something that is read."""
    return f"{result} is {what} and would be overwritten"


def identity(path: Path | str) -> tuple[int, int] | None:
    """Return what tells a file from all others, whatever path or link leads to it; None where there is no file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # such as links in a circle; ValueError: a path with a NUL in it
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


def _is_inside(path: Path, folder: Path, patterns: Iterable[str]) -> bool:
    """Whether a file, or what it links to, is one of the folder's that match a pattern."""
    root = os.path.realpath(folder)
    for place in (Path(os.path.realpath(path.parent), path.name), Path(os.path.realpath(path))):
        if place.is_relative_to(root) and any(place.relative_to(root).match(pattern) for pattern in patterns):
            return True
    return False
