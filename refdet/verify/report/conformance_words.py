"""What both conformance pages say, from the record of `refdet.verify.conformance` alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from refdet.verify.compare import Mismatch
from refdet.verify.report.words import VERBS, plural, wrong_element

LEGEND = {
    "PASS": "every required case that was answered is right; the number says how many cases are",
    "VARIANT": "wrong, but exactly as the named deviations have it",
    "UNKNOWN": "wrong in a way that no set of named deviations explains; the sections below say why",
    "ERROR": "a case brought no answer that could be compared",
    "SKIP": "not implemented, or not with these parameters",
}
MOST_SETS = 3  # of deviations that explain one case alone

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class NamedDifference:
    """One deviation, and where an implementation has it."""

    key: str
    text: Entry
    algorithms: tuple[str, ...]


@dataclass(frozen=True)
class UnnamedDifference:
    """Cases of one algorithm that differ for one reason, which no deviation has."""

    algorithm: str
    kind: str  # of the algorithm's verdict
    explanation: Entry | None
    cases: tuple[Entry, ...]


def environment(record: Entry) -> str:
    """Return where it ran."""
    about = record["environment"]
    return f"Python {about['python']}, NumPy {about['numpy']}, {about['system']} on {about['machine']}"


def versions(implementation: Entry) -> str:
    """Return the versions of what answered."""
    return ", ".join(f"{name} {number}" for name, number in implementation["versions"].items()) or "no version"


def right_of_answered(counts: Entry) -> str:
    """Return how many of the answered cases are right.

    >>> right_of_answered({"pass": 3, "wrong": 1, "error": 1, "skip": 7})
    '3 of 5'
    """
    answered = counts["pass"] + counts["wrong"] + counts["error"]
    return str(answered) if counts["pass"] == answered else f"{counts['pass']} of {answered}"


def summary(implementation: Entry) -> str:
    """Return how many algorithms have which verdict, and how many cases are right."""
    algorithms, cases = implementation["counts"]["algorithms"], implementation["counts"]["cases"]
    kinds = ", ".join(f"{algorithms[kind]} {word}" for kind, word in VERBS.items() if algorithms[kind])
    answered = cases["pass"] + cases["wrong"] + cases["error"]
    right = f"{cases['pass']} of {answered} answered cases are right"
    return f"{plural(sum(algorithms.values()), 'algorithm')}: {kinds}; {right}"


def named_differences(implementation: Entry, record: Entry) -> list[NamedDifference]:
    """Return the deviations of an implementation, each with the algorithms that show it."""
    algorithms: dict[str, list[str]] = {}
    for name, verdict in implementation["verdicts"].items():
        for key in verdict["deviations"]:
            algorithms.setdefault(key, []).append(name)
    texts = record["deviations"]
    return [NamedDifference(key, texts[key], tuple(names)) for key, names in sorted(algorithms.items())]


def unnamed_differences(implementation: Entry) -> list[UnnamedDifference]:
    """Return what no deviation of a verdict explains, cases with one explanation together."""
    found = []
    for name, verdict in implementation["verdicts"].items():
        groups: dict[str, list[Entry]] = {}
        for case in verdict["differences"]:
            if not case["named"]:
                groups.setdefault(str(case["explanation"]), []).append(case)
        found += [
            UnnamedDifference(name, verdict["kind"], cases[0]["explanation"], tuple(cases)) for cases in groups.values()
        ]
    return found


def case_lines(case: Entry) -> Iterator[str]:
    """Yield what is wrong with a case, a line for each tensor, or why there is no answer."""
    if case["verdict"] == "error":
        yield case["reason"]
    for tensor, mismatch in case["mismatches"].items():
        yield wrong_element(tensor, _mismatch(mismatch))


def alone(case: Entry) -> str:
    """Return the deviations that would explain the case if it were the only one, or nothing."""
    sets = [" with ".join(keys) for keys in case["explained_by"]]
    if not sets:
        return ""
    more = f", or {plural(len(sets) - MOST_SETS, 'other set')}" if len(sets) > MOST_SETS else ""
    return f"by itself this case is as {', or '.join(sets[:MOST_SETS])}{more} would have it"


def status(case: Entry) -> str:
    """Return why a case need not be right, if it need not."""
    return "" if case["status"] == "required" else str(case["status"])


def _mismatch(entry: Entry) -> Mismatch:
    """Return a mismatch whose NaN and infinities are numbers again."""
    numbers = {key: _number(entry[key]) for key in ("expected", "got", "tolerances")}
    index: Sequence[int] | None = entry["index"]
    place = None if index is None else tuple(index)
    return Mismatch(entry["sentence"], place, n_wrong=entry["n_wrong"], n_elements=entry["n_elements"], **numbers)


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) else value
