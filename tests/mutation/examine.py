"""One mutant: the cases that kill it, and the draw that tells it apart."""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from refdet.core.check import Array
from refdet.verify.catalogue import load_all
from refdet.verify.compare import compare_tensor
from refdet.verify.suite import StoredCase, Suite, data_root, package_root
from tests.mutation.answers import Overtime, Question, answers_of, quietly, read_only, time_limit, unchecked
from tests.mutation.draws import Draw, Draws, differ
from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.patch import NO_PATCH, LiveFile, Patch, live_files, patch_of
from tests.mutation.reach import Reach, absolute_names, lines_run

PACKAGES = ("boxes", "ops", "metrics", "crf", "masks", "features", "detection", "proposals")
FIRST_DRAWS = 50  # for a mutant that is killed: usually enough
TRACED_DRAWS = 25  # to see which functions an algorithm runs that no case of it does
REMEMBERED = 6  # algorithms whose draws a process keeps
MAX_OVERTIMES = 2  # a mutant that is too slow on so many cases is not run on the rest


@dataclass
class Verdict:
    """What came out for one mutant."""

    id: str
    line: int
    before: str
    after: str
    source: str = ""  # a hash of the file it is in
    cases: str = ""  # a hash of the cases that run its statement
    algorithms: list[str] = field(default_factory=list)  # that reach its function
    reached_by: int = 0  # cases
    killed_by: list[str] = field(default_factory=list)
    told_by: str = ""  # the draw that tells it apart: algorithm#number
    draws: int = 0  # that were made
    seconds: float = 0.0  # of processor time
    note: str = ""

    @property
    def package(self) -> str:
        """`boxes`, `ops`, ..."""
        return self.id.split("/", 1)[0]

    def is_of(self, other: Verdict) -> bool:
        """Whether this is about the mutant of the other verdict, with the file as it was there."""
        return (self.source, self.before, self.after) == (other.source, other.before, other.after)

    @property
    def survives(self) -> bool:
        """Whether it is told apart, and killed by no case."""
        return bool(self.told_by) and not self.killed_by


class Laboratory:
    """The suite, the mutants, and who reaches them."""

    def __init__(self, packages: Sequence[str] = PACKAGES, suite: Path | None = None, n_draws: int = 2000) -> None:
        load_all()
        self.n_draws = n_draws
        stored = list(Suite(suite or data_root()).cases())
        self.cases = {case.id: case for case in stored}
        for case in stored:
            for x in case.tensors.values():
                read_only(x)
        self._questions = {case.id: question_of(case) for case in stored}
        self._answers = {case.id: list(case.answers.items()) for case in stored}
        self._hashes = {case.id: _hash(case) for case in stored}
        self._seconds: dict[str, float] = {}
        self._draws: OrderedDict[str, Draws] = OrderedDict()
        root = package_root()
        self.live = live_files(root)
        mutated = {name: file for name, file in self.live.items() if name.split("/")[0] in packages}
        self._files = absolute_names(mutated)
        self.reach = self._trace(mutated)
        self._sources = {name: _digest((root / name).read_text(encoding="utf-8")) for name in mutated}
        self.mutants: dict[str, Mutant] = {}
        self._algorithms: dict[str, list[str]] = {}
        for name in sorted(mutated, key=lambda name: (packages.index(name.split("/")[0]), name)):
            for mutant in mutants_of(root / name, root):
                algorithms = sorted({run.split("/")[0] for run in self.reach.of_function(mutant)})
                patch = patch_of(mutant, self.live) if algorithms else None
                if patch is not None and (patch.codes or patch.bindings):
                    self.mutants[mutant.id] = mutant
                    self._algorithms[mutant.id] = algorithms

    def _trace(self, mutated: dict[str, LiveFile]) -> Reach:
        """Run every case once, and some draws of every algorithm."""
        runs = []
        with quietly(), unchecked():
            for case_id, question in self._questions.items():
                start = time.process_time()
                answers_of(question)
                self._seconds[case_id] = time.process_time() - start
                runs.append((case_id, lines_run(lambda q=question: answers_of(q), self._files)))  # type: ignore[misc]
        for algorithm in sorted({case.algorithm for case in self.cases.values()}):
            lines = {line for run, ls in runs if run.split("/")[0] == algorithm for line in ls}
            if lines:  # else it runs nothing of these packages
                drawn = self.draws(algorithm).first(TRACED_DRAWS)
                runs += [(f"{algorithm}/#{draw.number}", draw.lines) for draw in drawn]
        return Reach(mutated, runs)

    def draws(self, algorithm: str) -> Draws:
        """Return the draws of an algorithm, remembered for a while."""
        if algorithm not in self._draws:
            stored = [case for case in self.cases.values() if case.algorithm == algorithm]
            self._draws[algorithm] = Draws(algorithm, stored, 2 * self.n_draws, self._files)
            if len(self._draws) > REMEMBERED:
                self._draws.popitem(last=False)
        self._draws.move_to_end(algorithm)
        return self._draws[algorithm]

    def blank(self, mutant_id: str) -> Verdict:
        """Return what is known of a mutant before it is examined."""
        mutant = self.mutants[mutant_id]
        cases = self._cases_of(mutant)
        return Verdict(
            mutant.id,
            mutant.first_line,
            mutant.before,
            mutant.after,
            source=self._sources[mutant.file],
            cases=_digest("".join(self._hashes[name] for name in cases)),
            algorithms=self._algorithms[mutant.id],
            reached_by=len(cases),
        )

    def examine(self, mutant_id: str, known: Verdict | None = None) -> Verdict:
        """Run the cases that reach a mutant, and draws until one tells it apart, unless that is `known`."""
        mutant, verdict = self.mutants[mutant_id], self.blank(mutant_id)
        start = time.process_time()
        with quietly(), unchecked():
            self._ask_cases(mutant, verdict)
        if known is not None and known.is_of(verdict):
            verdict.told_by, verdict.draws = known.told_by, known.draws
        if not verdict.told_by and verdict.draws < self.n_draws:
            self._ask_draws(mutant, verdict)
        verdict.seconds = round(time.process_time() - start, 3)
        return verdict

    def _ask_cases(self, mutant: Mutant, verdict: Verdict) -> None:
        overtimes = 0
        for case_id in self._cases_of(mutant):
            try:
                with patch_of(mutant, self.live).applied(), time_limit(1 + 20 * self._seconds[case_id]):
                    passes = self._passes(case_id, answers_of(self._questions[case_id]))
            except Overtime:
                passes, overtimes, verdict.note = False, overtimes + 1, "overtime"
            except (Exception, SystemError):  # a kernel that raises gives no answer
                passes = False
            if not passes:
                verdict.killed_by.append(case_id)
            if overtimes == MAX_OVERTIMES:
                return

    def _cases_of(self, mutant: Mutant) -> list[str]:
        return [run for run in self.reach.of_lines(mutant) if run in self._questions]

    def _passes(self, case_id: str, answers: Sequence[Array | None]) -> bool:
        case = self.cases[case_id]
        given = [y for y in answers if y is not None]
        if len(given) != len(self._answers[case_id]):
            return False
        return all(
            compare_tensor(y, expected, case.rule(name), case.tolerance(name)) is None
            for y, (name, expected) in zip(given, self._answers[case_id], strict=True)
        )

    def _ask_draws(self, mutant: Mutant, verdict: Verdict) -> None:
        """Ask the draws of the algorithms that reach the function, each the same number, a few of each first."""
        algorithms, verdict.draws = verdict.algorithms, 0
        share = -(-self.n_draws // len(algorithms))
        first = min(share, max(5, FIRST_DRAWS // len(algorithms)))
        patch, lines = patch_of(mutant, self.live), self.reach.lines(mutant)
        for low, high in ((0, first), (first, share)):
            for algorithm in algorithms:
                for i, draw in enumerate(self.draws(algorithm).first(high)):
                    if i < low:
                        continue
                    verdict.draws += 1
                    if draw.lines.isdisjoint(lines):
                        continue
                    if tells(patch, draw) and not tells(NO_PATCH, draw) and tells(patch, draw):
                        verdict.told_by = f"{algorithm}#{draw.number}"
                        return


def tells(patch: Patch, draw: Draw) -> bool:
    """Whether the answer to a draw is another under a patch, or none at all.

    A single difference may have other reasons, such as a lack of memory: who asks makes sure that the original still
    gives its answer, and asks again.
    """
    try:
        with quietly(), unchecked(), patch.applied(), time_limit(2.0):
            return differ(answers_of(draw.question), draw.answers, draw.question.dy)
    except (Exception, Overtime):
        return True


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _hash(case: StoredCase) -> str:
    """Return a hash of what a case asks and expects."""
    tensors = [(t["name"], t["role"], t["sha256"]) for t in case.entry["tensors"]]
    return _digest(json.dumps([case.id, tensors, case.entry["params"], case.entry["compare"]], sort_keys=True))


def question_of(case: StoredCase) -> Question:
    """Return what a stored case asks."""
    wanted = {t["name"] for t in case.entry["tensors"] if t["role"] == "grad"}
    needs = tuple(f"d{name}" in wanted for name in case.entry["arguments"])
    return Question(case.algorithm, case.arguments, case.params, case.incoming_gradient, needs)
