"""What all reports say in the same words: counts, the element that is wrong, and text that comes from elsewhere.

Names, reasons and error texts come from implementations under test, which may send anything. `printable` lets nothing
through that moves a cursor, hides text, or is no character of XML.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from refdet.verify.compare import Mismatch
from refdet.verify.verdict import AlgorithmVerdict, CaseResult, Report

VERBS = {"PASS": "pass", "VARIANT": "variant", "UNKNOWN": "unknown", "ERROR": "error", "SKIP": "skipped"}
LONGEST_LIST = 6  # cases named in a sentence; the others are counted
MOST_NAMES = 12  # algorithms, likewise


def printable(text: str) -> str:
    r"""Return text with everything invisible but spaces and line ends written as an escape.

    >>> printable("red: \x1b[31m")
    'red: \\x1b[31m'
    """
    lines = text.replace("\r\n", "\n").replace("\t", "    ")
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in lines)


def plural(n: int, noun: str) -> str:
    """Return a number of things.

    >>> plural(1, "case"), plural(2, "case")
    ('1 case', '2 cases')
    """
    return f"{n} {noun}{'' if n == 1 else 's'}"


def listing(names: Sequence[str], most: int = LONGEST_LIST) -> str:
    """Return names with commas between them, the last ones counted where there are many.

    >>> listing(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def number(value: float | int | None) -> str:
    """Return a number as it is compared, with the fewest digits that give it back."""
    return "nothing" if value is None else repr(value)


def distance(mismatch: Mismatch) -> str:
    """Return how far the first wrong element is off."""
    if mismatch.tolerances is None:
        return "nothing is tolerated"
    return "beyond any tolerance" if mismatch.tolerances == float("inf") else f"{mismatch.tolerances:.3g} tolerances"


def element(tensor: str, index: tuple[int, ...]) -> str:
    """Return how an element is written.

    >>> element("y", (0, 3)), element("ap", ())
    ('y[0, 3]', 'ap')
    """
    return f"{tensor}[{', '.join(map(str, index))}]" if index else tensor


def wrong_element(tensor: str, mismatch: Mismatch) -> str:
    """Return what is wrong with a tensor, in one line."""
    if mismatch.index is None:
        return f"{tensor}: {mismatch.sentence}"
    others = f"; {mismatch.n_wrong} of {mismatch.n_elements} elements are wrong" if mismatch.n_elements > 1 else ""
    return (
        f"{element(tensor, mismatch.index)}: expected {number(mismatch.expected)}, got {number(mismatch.got)} "
        f"({distance(mismatch)}){others}"
    )


def case_message(result: CaseResult) -> str:
    """Return what is to be said of a case that does not pass, in one line for each tensor."""
    if result.verdict != "wrong":
        return result.reason
    lines = [wrong_element(tensor, mismatch) for tensor, mismatch in result.mismatches.items()]
    if result.first_stage:
        lines.append(f"first stage that differs: {result.first_stage}")
    if result.explained_by:
        lines.append(f"explained by {explanations(result)}")
    return "\n".join(lines) or result.reason


def explanations(result: CaseResult) -> str:
    """Return the sets of deviations that give the very answer of a case."""
    return ", or by ".join(" with ".join(sorted(keys)) for keys in result.explained_by)


def status_words(result: CaseResult) -> str:
    """Return why a bad case is no failure, if it is none."""
    if result.known:
        return "known failure"
    return "" if result.status == "required" else result.status


def versions(report: Report) -> str:
    """Return what answered: the implementation, and the versions of what is behind it."""
    behind = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    return f"{report.implementation} ({behind})" if behind else report.implementation


def counts(report: Report) -> str:
    """Return how many algorithms have which verdict, and how many cases."""
    kinds = [f"{len(found)} {word}" for kind, word in VERBS.items() if (found := report.of_kind(kind))]
    answered = report.count("pass") + report.count("wrong") + report.count("error")
    return (
        f"{plural(len(report.verdicts), 'algorithm')}: {', '.join(kinds) or 'none asked'}; "
        f"{report.count('pass')} of {answered} answered cases pass"
    )


def speaks(report: Report) -> str:
    """Return the dialects that are recognised, or nothing."""
    names = [f"{name} ({title})" if (title := report.dialect_titles.get(name)) else name for name in report.dialects]
    return f"speaks {' and '.join(names)}" if names else ""


def outcome(report: Report) -> str:
    """Return whether the verification failed, and why, in one sentence."""
    if report.is_vacuous:
        return "failed: no case was answered"
    n_failed = sum(result.failed for result in report.results)
    reasons = []
    if n_failed:
        reasons.append(
            f"{plural(n_failed, 'required case')} {'is' if n_failed == 1 else 'are'} wrong or without answer"
        )
    if report.unexpected_passes:
        reasons.append(f"{plural(len(report.unexpected_passes), 'known failure')} passed")
    return f"failed: {' and '.join(reasons)}" if reasons else "conforms on every required case that was answered"


@dataclass(frozen=True)
class Variant:
    """Algorithms that one set of deviations explains."""

    keys: tuple[str, ...]
    verdicts: tuple[AlgorithmVerdict, ...]

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(verdict.algorithm for verdict in self.verdicts)

    @property
    def cases(self) -> tuple[CaseResult, ...]:
        """The cases that show it."""
        return tuple(result for verdict in self.verdicts for result in verdict.bad)

    @property
    def also(self) -> tuple[str, ...]:
        """Other sets that explain one of the algorithms as well."""
        return tuple(dict.fromkeys(" with ".join(keys) for verdict in self.verdicts for keys in verdict.also))


def variants(report: Report) -> list[Variant]:
    """Return the variants, algorithms with the same deviations together, in the order of the algorithms."""
    groups: dict[tuple[str, ...], list[AlgorithmVerdict]] = {}
    for verdict in report.of_kind("VARIANT"):
        groups.setdefault(verdict.deviations, []).append(verdict)
    return [Variant(keys, tuple(verdicts)) for keys, verdicts in groups.items()]


def by_reason(results: Iterable[CaseResult]) -> Iterator[tuple[str, list[CaseResult]]]:
    """Yield the reasons of results, each with its cases, the most frequent first."""
    groups: dict[str, list[CaseResult]] = {}
    for result in results:
        groups.setdefault(result.reason, []).append(result)
    yield from sorted(groups.items(), key=lambda group: -len(group[1]))


def skips(report: Report) -> list[tuple[str, str]]:
    """Return the reasons why cases were skipped, each with what it concerns.

    Reasons that differ in the name of the algorithm alone are one: "torch has no ...".
    """
    whole = {verdict.algorithm for verdict in report.verdicts if verdict.count("skip") == len(verdict.results)}
    groups: dict[str, list[CaseResult]] = {}
    for result in report.results:
        if result.verdict == "skip":
            groups.setdefault(_without_name(result), []).append(result)
    most_first = sorted(groups.items(), key=lambda group: -len(group[1]))
    return [(_common_reason(reason, results), _concerned(results, whole)) for reason, results in most_first]


def _common_reason(reason: str, results: Sequence[CaseResult]) -> str:
    """Return a reason without the algorithm's name if there are several, else as it was given."""
    is_one = len({result.reason for result in results}) == 1
    return results[0].reason or "no reason given" if is_one else reason


def _without_name(result: CaseResult) -> str:
    words = (result.reason or "no reason given").split(" ")
    return " ".join("…" if word.strip(".,:;'\"") == result.algorithm else word for word in words)


def _concerned(results: Sequence[CaseResult], whole: set[str]) -> str:
    """Return what the results are of: algorithms as a whole, or single cases."""
    n_of: dict[str, int] = {}
    for result in results:
        n_of[result.algorithm] = n_of.get(result.algorithm, 0) + 1
    names = [name if name in whole else f"{name} ({plural(n, 'case')})" for name, n in n_of.items()]
    return listing(names, most=MOST_NAMES)


def authors(text: Mapping[str, object]) -> list[str]:
    """Return who has a deviation."""
    who = text.get("who", ())
    return [str(name) for name in who] if isinstance(who, (list, tuple)) else [str(who)]
