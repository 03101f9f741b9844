"""Which questions run which lines: the cases that can notice a mutant at all."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tests.mutation.mutants import Mutant
from tests.mutation.patch import LiveFile

Lines = frozenset[tuple[str, int]]  # file, line


def lines_run(function: Callable[[], object], files: Mapping[str, str]) -> Lines:
    """Return the lines of `files` (names by absolute path) that a call runs, and the first line of each function."""
    found: set[tuple[str, int]] = set()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        file = files.get(frame.f_code.co_filename)
        if file is None:
            return None
        found.add((file, frame.f_lineno if event == "line" else frame.f_code.co_firstlineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return frozenset(found)


class Reach:
    """Who runs what."""

    def __init__(self, live: dict[str, LiveFile], runs: Iterable[tuple[str, Lines]]) -> None:
        """`runs` are the names of questions with the lines that each runs."""
        self._live = live
        self._by_line: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
        for name, lines in runs:
            for line in lines:
                self._by_line[line].append(name)

    def of_lines(self, mutant: Mutant) -> list[str]:
        """Return who runs the statement of a mutant."""
        return self._any(self.lines(mutant))

    def of_function(self, mutant: Mutant) -> list[str]:
        """Return who runs any line of the function of a mutant, or of any function that reads its constant."""
        if mutant.constant:
            return self._any(self.lines(mutant))
        code = _find(self._live[mutant.file].code, mutant.function.split("."))
        return self._any((mutant.file, line) for line in _lines_of(code)) if code else []

    def lines(self, mutant: Mutant) -> Lines:
        """Return the lines one of which must be run for a mutant to be noticed."""
        if mutant.constant:
            return frozenset(line for lines in self._readers(mutant) for line in lines)
        return frozenset((mutant.file, line) for line in range(mutant.first_line, mutant.last_line + 1))

    def _any(self, lines: Iterable[tuple[str, int]]) -> list[str]:
        found: dict[str, None] = {}
        for line in lines:
            if line in self._by_line:
                found |= dict.fromkeys(self._by_line[line])
        return sorted(found)

    def _readers(self, mutant: Mutant) -> Iterable[list[tuple[str, int]]]:
        original = vars(self._live[mutant.file].module)[mutant.function]
        for file, live in self._live.items():
            if vars(live.module).get(mutant.function) is original:
                for code in _nested(live.code):
                    if mutant.function in code.co_names and code is not live.code:
                        yield [(file, line) for line in _lines_of(code)]


def absolute_names(live: dict[str, LiveFile]) -> dict[str, str]:
    """Return the names of files by absolute path."""
    return {str(Path(str(file.module.__file__))): name for name, file in live.items()}


def _find(code: CodeType, names: list[str]) -> CodeType | None:
    for name in names:
        inner = [c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == name]
        if not inner:
            return None
        code = inner[0]
    return code


def _nested(code: CodeType) -> Iterable[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _lines_of(code: CodeType) -> set[int]:
    return {line for c in _nested(code) for _, _, line in c.co_lines() if line is not None} - {code.co_firstlineno}
