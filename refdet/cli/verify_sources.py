"""Where the answers of `refdet verify` come from: an adapter, a program, or a folder."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from refdet.verify.adapters import Adapter, load_adapter
from refdet.verify.ask import ask_adapter, question_of
from refdet.verify.ask_process import ask_process
from refdet.verify.outputs import read_outputs
from refdet.verify.protocol import Hello
from refdet.verify.question import Outcome, Question
from refdet.verify.run import verify
from refdet.verify.suite import StoredCase, Suite
from refdet.verify.verdict import Report

OnCase = Callable[[str], object]  # told the id of each case that is done


class Source(Protocol):
    """What can be asked."""

    def report(self, cases: Sequence[StoredCase], on_case: OnCase) -> Report:
        """Ask all cases, and judge the answers."""


def open_source(
    adapter: str | None, command: str | None, outputs: Path | None, suite: Suite, time_limit: float
) -> Source:
    """Return the source that was asked for, refdet itself by default; raise what `load_adapter` raises."""
    if command is not None:
        return ProgramSource(suite, command, time_limit)
    if outputs is not None:
        return FolderSource(suite, outputs)
    return AdapterSource(suite, load_adapter(adapter or "refdet"), time_limit)


@dataclass
class AdapterSource:
    """An implementation in this process."""

    suite: Suite
    adapter: Adapter
    time_limit: float

    def report(self, cases: Sequence[StoredCase], on_case: OnCase) -> Report:
        """Ask all cases, and judge the answers."""
        outcomes = ask_adapter(self.adapter, _questions(cases), time_limit=self.time_limit)
        return verify(
            self.suite,
            cases,
            _told(outcomes, on_case),
            implementation=self.adapter.name,
            versions=self.adapter.versions,
        )


@dataclass
class ProgramSource:
    """A program that speaks the protocol; until it says its name, it is called like its file."""

    suite: Suite
    command: str
    time_limit: float

    def report(self, cases: Sequence[StoredCase], on_case: OnCase) -> Report:
        """Ask all cases, and judge the answers."""
        said: list[Hello] = []
        outcomes = ask_process(
            self.command, _questions(cases), self.suite, time_limit=self.time_limit, on_hello=said.append
        )
        file_name = Path(shlex.split(self.command)[0]).name
        report = verify(self.suite, cases, _told(outcomes, on_case), implementation=file_name, versions={})
        for hello in said:
            report = dataclasses.replace(
                report, implementation=hello.name, versions={hello.name: hello.version} if hello.version else {}
            )
        return report


@dataclass
class FolderSource:
    """Answers that were written beforehand."""

    suite: Suite
    folder: Path

    def report(self, cases: Sequence[StoredCase], on_case: OnCase) -> Report:
        """Read the answers to all cases, and judge them."""
        outcomes, problems = read_outputs(self.folder, _questions(cases), known=self.suite.ids)
        name = self.folder.resolve().name
        report = verify(self.suite, cases, _told(outcomes, on_case), implementation=name, versions={})
        return dataclasses.replace(report, problems=tuple(problems))


def _questions(cases: Sequence[StoredCase]) -> list[Question]:
    return [question_of(case) for case in cases]


def _told(outcomes: Iterable[Outcome], on_case: OnCase) -> Iterator[Outcome]:
    """Yield outcomes, and tell of each."""
    for outcome in outcomes:
        on_case(outcome.id)
        yield outcome
