"""Whom `refdet conformance` asks: every adapter that can be asked.

A library answers in a process of its own, by `python -m refdet.verify.serve`: one that reads outside its memory, as
some do, then ends that process and not this one, and the crash lands on the case that was asked.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence

from refdet.cli.verify_sources import AdapterSource, OnCase, ProgramSource, Source
from refdet.verify.adapters import ADAPTERS, load_adapter
from refdet.verify.ask import question_of
from refdet.verify.ask_process import ask_process
from refdet.verify.protocol import Hello
from refdet.verify.question import Unavailable
from refdet.verify.suite import StoredCase, Suite
from refdet.verify.verdict import Report

LAST = "legacy"  # wrong on purpose
OURS = ("refdet", "legacy")  # no library's; they answer in this process


def known_implementations() -> list[str]:
    """Return the names of all adapters: refdet with each backend first, what is wrong on purpose last."""
    from refdet.verify import catalogue

    backends = [f"refdet:{name}" for name in sorted(catalogue.backends())]
    return ["refdet", *backends, *(name for name in ADAPTERS if name not in ("refdet", LAST)), LAST]


def interpreters(options: Iterable[str]) -> dict[str, str]:
    """Return the interpreter of each adapter that has one of its own; raises `LookupError`."""
    found: dict[str, str] = {}
    for option in options:
        name, equals, executable = option.partition("=")
        if not (name and equals and executable):
            raise LookupError(f"--python: write NAME=EXE, such as torchvision=/usr/bin/python3, got {option!r}")
        if name.partition(":")[0] not in ADAPTERS:
            raise LookupError(f"--python: no adapter is called {name!r}; there are {', '.join(ADAPTERS)}")
        if name in found:
            raise LookupError(f"--python: {name} is there twice; give it one interpreter")
        if shutil.which(executable) is None:
            raise LookupError(f"--python: there is no program {executable}")
        found[name] = executable
    return found


def open_sources(
    names: Sequence[str], elsewhere: Mapping[str, str], suite: Suite, time_limit: float
) -> tuple[list[Source], dict[str, str]]:
    """Return what can be asked, and of the others why they cannot; raises `LookupError` for an unknown name."""
    for name in elsewhere:
        if name not in names:
            raise LookupError(f"--python: {name} is not asked; add --adapter {name}")
    sources: list[Source] = []
    not_run: dict[str, str] = {}
    for name in dict.fromkeys(names):
        try:
            sources.append(_source(name, elsewhere.get(name), suite, time_limit))
        except Unavailable as reason:
            not_run[name] = without_places(str(reason))
    return sources, not_run


def _source(name: str, executable: str | None, suite: Suite, time_limit: float) -> Source:
    """Return how an adapter is asked; raises `Unavailable`."""
    if executable is not None:
        return _served(name, executable, suite, time_limit)
    adapter = load_adapter(name)
    base = name.partition(":")[0]
    if base in ADAPTERS and base not in OURS:
        return _served(name, sys.executable, suite, time_limit)
    return AdapterSource(suite, adapter, time_limit)


def without_places(text: str) -> str:
    """Return text without the folders that it names.

    >>> without_places("/usr/bin/python3: No module named 'refdet'")
    "python3: No module named 'refdet'"
    """
    return re.sub(r"(?<![\w.:/])/(?:[\w.+-]+/)+", "", text)


@dataclasses.dataclass
class ServedSource:
    """An adapter that another process serves, reported under its own name and versions."""

    program: ProgramSource
    name: str

    def report(self, cases: Sequence[StoredCase], on_case: OnCase) -> Report:
        """Ask all cases, and judge the answers."""
        report = self.program.report(cases, on_case)
        said = ", ".join(report.versions.values())
        pairs = [part.partition(" ") for part in said.split(", ") if part]
        return dataclasses.replace(
            report, implementation=self.name, versions={library: number for library, _, number in pairs}
        )


def _served(name: str, executable: str, suite: Suite, time_limit: float) -> Source:
    """Return the source once the program has said hello; raises `Unavailable`."""
    command = [executable, "-m", "refdet.verify.serve", name]
    said: list[Hello] = []
    first = question_of(next(suite.cases()))
    (outcome,) = ask_process(command, [first], suite, time_limit=time_limit, on_hello=said.append)
    if not said:
        raise Unavailable(f"{executable} cannot serve it: {outcome.error}")
    return ServedSource(ProgramSource(suite, shlex.join(command), time_limit), name)
