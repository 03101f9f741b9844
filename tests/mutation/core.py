"""The core tier: golden cases that together notice all that the whole suite notices, hardly one of them to spare.

What a case notices:

- mutants that it kills;
- pairs of conventions that it separates: two sets of deviations of its algorithm, the empty one among them, under which
  its stored answers differ;
- that its algorithm has a case, and that a kernel has one whose answer was found by hand or taken from a paper or a
  library, if some case of the suite has.

From the whole suite cases are taken away, the largest first, as long as others notice everything that they do. Of what
remains every case notices something that no other does. If these are fewer than wanted, others come back: those that
leave the most cases indispensable, and of these the smallest.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from refdet.verify.suite import StoredCase
from tests.mutation.examine import Verdict

LEAST_CASES = 400
HEADER = """\
# The core tier of the golden suite, a case a line, made by `make mutation`: see tests/mutation/core.py.
# These cases kill every mutant, and separate every pair of conventions, that the whole suite does.
"""

Notice = tuple[str, ...]  # what a case notices: its kind, and what


@dataclass(frozen=True)
class Core:
    """The chosen cases, and what each of them alone notices."""

    cases: tuple[str, ...]
    alone: Mapping[str, Counter[str]]  # by case: how much of each kind
    n_missed: int  # mutants and pairs of conventions that only other cases notice

    @property
    def share(self) -> float:
        """The share of cases that kill a mutant, or separate two conventions, as no other of the core does."""
        needed = [name for name in self.cases if self.alone[name]["kills"] or self.alone[name]["separates"]]
        return len(needed) / max(len(self.cases), 1)


def choose(cases: Sequence[StoredCase], verdicts: Iterable[Verdict], least: int = LEAST_CASES) -> Core:
    """Choose the core among the cases of a suite."""
    noticed = notices(cases, verdicts)
    sizes = {case.id: sum(x.nbytes for x in case.tensors.values()) for case in cases}
    found = irredundant(noticed, sizes)
    found = topped_up(found, noticed, sizes, least)
    return _core(found, noticed)


def stored_core(cases: Sequence[StoredCase], verdicts: Iterable[Verdict], path: Path) -> Core:
    """Return the core that was written, as the suite and the verdicts are now."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return _core({line for line in lines if line and not line.startswith("#")}, notices(cases, verdicts))


def _core(found: Collection[str], noticed: Mapping[str, Collection[Notice]]) -> Core:
    seen = {notice for name in found for notice in noticed[name]}
    n_missed = len({notice for every in noticed.values() for notice in every} - seen)
    return Core(tuple(sorted(found)), alone(found, noticed), n_missed)


def notices(cases: Sequence[StoredCase], verdicts: Iterable[Verdict]) -> dict[str, set[Notice]]:
    """Return what every case notices."""
    found: dict[str, set[Notice]] = {case.id: _own(case) for case in cases}
    for verdict in verdicts:
        for case_id in verdict.killed_by:
            if case_id in found:
                found[case_id].add(("kills", verdict.id))
    by_algorithm: defaultdict[str, list[StoredCase]] = defaultdict(list)
    for case in cases:
        by_algorithm[case.algorithm].append(case)
    for group in by_algorithm.values():
        empty: frozenset[str] = frozenset()
        conventions = sorted({empty}.union(*(case.alternatives for case in group)), key=sorted)
        for case in group:
            found[case.id] |= _separated(case, conventions)
    return found


def _own(case: StoredCase) -> set[Notice]:
    """Return that there is the case, and the kernels whose answer in it does not come from the oracle."""
    generators = case.entry["provenance"]["generator"]
    elsewhere = {t["role"] for t in case.entry["tensors"] if generators.get(t["name"], "tests/")[:6] != "tests/"}
    return {("exists", case.algorithm)} | {("provenance", case.algorithm, role) for role in elsewhere}


def _separated(case: StoredCase, conventions: Sequence[frozenset[str]]) -> set[Notice]:
    """Return the pairs of conventions under which the stored answers differ."""
    groups: defaultdict[int, list[str]] = defaultdict(list)
    for keys in conventions:
        group = _answer_under(case, keys)
        if group is not None:
            groups[group].append(" ".join(sorted(keys)))
    return {
        ("separates", case.algorithm, *sorted((a, b)))
        for ours, theirs in itertools.combinations(groups.values(), 2)
        for a in ours
        for b in theirs
    }


def _answer_under(case: StoredCase, keys: frozenset[str]) -> int | None:
    """Return a number that stands for the answer under deviations, 0 for the canonical one; None if it is not known."""
    touched = keys & case.probes
    if not touched:
        return 0
    answers = case.alternatives.get(touched)
    if answers is None:
        return None
    return 0 if all(answers[name] is x for name, x in case.answers.items()) else id(answers)


def irredundant(noticed: Mapping[str, Collection[Notice]], sizes: Mapping[str, int]) -> set[str]:
    """Take cases away, the largest first, that notice nothing which the remaining ones do not."""
    counts = Counter(notice for found in noticed.values() for notice in found)
    kept = set(noticed)
    for name in sorted(noticed, key=lambda name: (-sizes[name], name)):
        if all(counts[notice] > 1 for notice in noticed[name]):
            kept.remove(name)
            counts.subtract(noticed[name])
    return kept


def topped_up(
    kept: set[str], noticed: Mapping[str, Collection[Notice]], sizes: Mapping[str, int], least: int
) -> set[str]:
    """Add cases until there are as many as wanted, each the one that makes the fewest others dispensable."""
    kept = set(kept)
    while len(kept) < min(least, len(noticed)):
        once = alone(kept, noticed)
        counts = Counter(notice for name in kept for notice in noticed[name])
        owner = {notice: name for name in kept for notice in noticed[name] if counts[notice] == 1}

        def spoilt(name: str, owner: Mapping[Notice, str] = owner, once: Mapping[str, Counter[str]] = once) -> int:
            lost = Counter(owner[notice] for notice in noticed[name] if notice in owner)
            return sum(n >= sum(once[other].values()) for other, n in lost.items())

        kept.add(min(sorted(set(noticed) - kept), key=lambda name: (spoilt(name), sizes[name], name)))
    return kept


def alone(kept: Collection[str], noticed: Mapping[str, Collection[Notice]]) -> dict[str, Counter[str]]:
    """Return how much of each kind every case notices that no other of them does."""
    counts = Counter(notice for name in kept for notice in noticed[name])
    return {name: Counter(notice[0] for notice in noticed[name] if counts[notice] == 1) for name in kept}


def write_core(core: Core, path: Path) -> None:
    """Write the ids, sorted, below a comment."""
    path.write_text(HEADER + "".join(f"{name}\n" for name in core.cases), encoding="utf-8")
