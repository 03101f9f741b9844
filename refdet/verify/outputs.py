"""Answers that were written to a folder beforehand: the way in that needs no program of ours on the other side.

    FOLDER/ALGORITHM/NAME.safetensors    the answers to the case ALGORITHM/NAME, named as in the manifest; or .npz
    FOLDER/ALGORITHM/NAME.skip           or a text: why there are none

- An algorithm that has no file at all is skipped; where it has one, every other case without a file is an error.
- A file that cannot be read, or that is one of two for the same case, is an error of its own case.
- Files that belong to no case are named, and empty folders that belong to no algorithm. Links to folders are not
  followed.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from refdet.verify.foreign_text import one_line
from refdet.verify.question import Outcome, Question, Unavailable
from refdet.verify.tensor_files import FORMATS, TensorFileError, read_tensors

SKIP = ".skip"
MOST_NAMED = 20  # extra files; the rest is counted
LONGEST_REASON = 4096  # bytes of a .skip file that are read


def read_outputs(
    folder: Path, questions: Sequence[Question], *, known: Iterable[str] = ()
) -> tuple[list[Outcome], list[str]]:
    """Return what the folder answers to each question, and a sentence for each file that belongs to none.

    `known` are ids that may have files without being asked now: with a selection, those of the whole suite.
    Raises `Unavailable` where there is no such folder.
    """
    if not folder.is_dir():
        raise Unavailable(f"{folder} is no folder; write the answers to {folder / 'ALGORITHM' / 'CASE'}{FORMATS[0]}")
    files = sorted(_files_below(folder))
    answered = {PurePosixPath(file).parts[0] for file in files if "/" in file}
    present = frozenset(files)
    outcomes = [_outcome(folder, question, present, question.algorithm in answered) for question in questions]
    ids = sorted({*known, *(question.id for question in questions)})
    return outcomes, _problems(files, ids) + _empty_folders(folder, ids)


def _files_below(folder: Path) -> Iterable[str]:
    """Yield the path of every file, relative to the folder, with slashes."""
    for parent, _, names in os.walk(folder):
        for name in names:
            yield (Path(parent) / name).relative_to(folder).as_posix()


def _outcome(folder: Path, question: Question, present: frozenset[str], algorithm_answered: bool) -> Outcome:
    own = [question.id + suffix for suffix in (*FORMATS, SKIP) if question.id + suffix in present]
    if not own and not algorithm_answered:
        return Outcome(question.id, skipped=f"no outputs of {question.algorithm}")
    if not own:
        return Outcome(
            question.id,
            error=f"no file: write the answers to ALGORITHM/CASE{FORMATS[0]} (or {FORMATS[1]}), or the reason why "
            f"there are none to ALGORITHM/CASE{SKIP}",
        )
    if len(own) > 1:
        return Outcome(question.id, error=f"{' and '.join(own)} are both there; leave one of them")
    path = folder / own[0]
    if path.suffix == SKIP:
        return _skipped(question.id, path)
    try:
        return Outcome(question.id, answers=read_tensors(path))
    except TensorFileError as error:
        return Outcome(question.id, error=str(error))


def _skipped(case_id: str, path: Path) -> Outcome:
    try:
        if not path.is_file():  # a pipe, say, which might never end
            return Outcome(case_id, error=f"{path.name}: it is no regular file")
        with path.open("rb") as file:
            reason = one_line(file.read(LONGEST_REASON).decode("utf-8", "replace"))
    except OSError as error:
        return Outcome(case_id, error=f"{path.name}: {error.strerror or error}")
    return Outcome(case_id, skipped=reason or "no reason is given")


def _problems(files: Iterable[str], ids: Sequence[str]) -> list[str]:
    """Say of each file that belongs to no case what it might have been meant for."""
    expected = {case_id + suffix for case_id in ids for suffix in (*FORMATS, SKIP)}
    extra = [file for file in files if file not in expected]
    problems = [_extra_file(file, ids) for file in extra[:MOST_NAMED]]
    if len(extra) > MOST_NAMED:
        problems.append(f"{len(extra) - MOST_NAMED} more files belong to no case")
    return problems


def _empty_folders(folder: Path, ids: Sequence[str]) -> list[str]:
    """Say of each empty folder that is called like no algorithm which it might have been meant for."""
    algorithms = sorted({case_id.partition("/")[0] for case_id in ids})
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not any(path.iterdir()))
    return [
        f"{one_line(name)}/ is empty, and no algorithm is called so{_nearest(name, algorithms)}"
        for name in names
        if name not in algorithms
    ][:MOST_NAMED]


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; the nearest is {close[0]}" if close else ""


def _extra_file(file: str, ids: Sequence[str]) -> str:
    case_id = str(PurePosixPath(file).with_suffix(""))
    if case_id in ids:
        return f"{one_line(file)} is not read: answers are {' or '.join(FORMATS)} files, reasons to skip {SKIP} files"
    return f"{one_line(file)} belongs to no case{_nearest(case_id, ids)}"
