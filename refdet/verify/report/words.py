"""What all reports say in the same words: counts, the element that is wrong, and text that comes from elsewhere.

Names, reasons and error texts come from implementations under test, which may send anything. `printable` lets nothing
through that moves a cursor, hides text, or is no character of XML.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from refdet.core.check import Array
from refdet.verify.compare import Mismatch
from refdet.verify.outputs import MOST_NAMED
from refdet.verify.verdict import AlgorithmVerdict, CaseResult, Report

VERBS = {"PASS": "pass", "VARIANT": "variant", "UNKNOWN": "unknown", "ERROR": "error", "SKIP": "skipped"}
DIFFERS = ("VARIANT", "UNKNOWN", "ERROR")
LONGEST_LIST = 6  # cases named in a sentence; the others are counted
GLANCE, LARGEST_GLANCE = 24, 64  # numbers of input, and of output, that a picture shows well
MANY = 1e6  # tolerances, beyond which their number says no more
MOST_NAMES = 12  # algorithms, likewise
LONGEST_ROW = 8  # numbers of one row of an input
LEAST_COMMON = 3  # algorithms that must fail with one error before it is said to be common


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
    if mismatch.tolerances == float("inf"):
        return "beyond any tolerance"
    if mismatch.tolerances >= MANY:
        return "more than a million tolerances"
    return f"{mismatch.tolerances:{'.3g' if mismatch.tolerances < 100 else ',.0f'}} tolerances"


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
    """Return the sets of deviations that give the very answer of a case, but for those that contain another."""
    return ", or by ".join(" with ".join(sorted(keys)) for keys in result.minimal_explanations)


def nearest(verdict: AlgorithmVerdict) -> str:
    """Return which deviations explain most of the cases of an algorithm that has no name, and what they leave over."""
    if not verdict.nearest:
        return ""
    of_id = {result.id: result for result in verdict.bad}
    wrong = [_slip(of_id[case_id]) for case_id in verdict.left_over if case_id in of_id]
    right = [case_id for case_id in verdict.left_over if case_id not in of_id]
    parts = [
        f"{' with '.join(verdict.nearest)} explain{_s(len(verdict.nearest))} {verdict.n_near} of "
        f"{plural(verdict.count('wrong'), 'wrong case')}"
    ]
    parts += [f"left over: {listing(wrong)}"] if wrong else []
    parts += (
        [f"right, and otherwise with {'it' if len(verdict.nearest) == 1 else 'them'}: {listing(right)}"]
        if right
        else []
    )
    return "; ".join(parts)


def _slip(result: CaseResult) -> str:
    """Return the id of a wrong case, and the dtypes if nothing else is known to be wrong."""
    if not result.is_dtype_alone:
        return result.id
    dtypes = sorted({str(result.got[name].dtype) for name in result.mismatches if name in result.got})
    return f"{result.id} (dtype {', '.join(dtypes)})"


def given(result: CaseResult) -> str:
    """Return what a case was asked about if that is short, else the rows that belong to its first wrong element."""
    if result.n_given <= GLANCE:
        return ", ".join(f"{name} = {_on_a_line(x)}" for name, x in result.inputs.items())
    for name, mismatch in result.mismatches.items():
        answer = result.expected.get(name)
        if mismatch.index and answer is not None and answer.dtype.kind == "f":
            row = mismatch.index[0]
            rows = {n: x for n, x in result.inputs.items() if x.ndim in (1, 2) and len(x) == len(answer)}
            return ", ".join(
                f"{n}[{row}] = {_on_a_line(x[row])}" for n, x in rows.items() if x[row].size <= LONGEST_ROW
            )
    return ""


def _on_a_line(x: Array) -> str:
    return f"[{', '.join(map(_on_a_line, x))}]" if x.ndim else str(x[()])


def common_error(report: Report) -> str:
    """Return a hint if one error explains why most algorithms have no answer: it is the adapter's then."""
    asked = [verdict for verdict in report.verdicts if verdict.kind != "SKIP"]
    algorithms: dict[str, set[str]] = {}
    for verdict in asked:
        for result in verdict.results:
            if result.verdict == "error":
                algorithms.setdefault(_without_name(result), set()).add(verdict.algorithm)
    reason, concerned = max(algorithms.items(), key=lambda item: len(item[1]), default=("", set[str]()))
    if len(concerned) < LEAST_COMMON or 2 * len(concerned) <= len(asked):
        return ""
    return (
        f"{len(concerned)} of {plural(len(asked), 'algorithm')} fail with one error ({reason}): look for it where the "
        "question is read, before the algorithms; golden/README.md says what is asked"
    )


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
    """Return the dialects that are recognised, between which the answers do not decide; or nothing."""
    names = [f"{name} ({title})" if (title := report.dialect_titles.get(name)) else name for name in report.dialects]
    return f"speaks {' or '.join(names)}" if names else ""


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
    strays = f"; {stray}" if (stray := _strays(report)) else ""
    if reasons:
        return f"failed: {' and '.join(reasons)}{strays}"
    if n := n_excused(report):
        return f"conforms but for {plural(n, 'known failure')}{strays}"
    return f"conforms on every required case that was answered{strays}"


def n_excused(report: Report) -> int:
    """Return how many required cases are bad, and known to be."""
    return sum(result.known and result.is_bad and result.status == "required" for result in report.results)


def _strays(report: Report) -> str:
    """Return how much belongs to no case."""
    n = len(report.problems)
    if n == 1:
        return "1 file or folder belongs to no case"
    return f"{n if n <= MOST_NAMED else f'more than {MOST_NAMED}'} files or folders belong to no case" if n else ""


@dataclass(frozen=True)
class Habit:
    """A named deviation that was found, and where."""

    key: str
    verdicts: tuple[AlgorithmVerdict, ...]  # of the algorithms that have it, alone or beside others

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(verdict.algorithm for verdict in self.verdicts)

    @property
    def cases(self) -> tuple[CaseResult, ...]:
        """The cases that show it: those of which it explains the answer, those it explains alone first.

        Where no case says what explains it, all that are wrong.
        """
        bad = [result for verdict in self.verdicts for result in verdict.bad]
        shown = [result for result in bad if any(self.key in keys for keys in result.explained_by)]
        return tuple(sorted(shown or bad, key=self._doubt))

    @property
    def best(self) -> tuple[CaseResult, ...]:
        """The same, those first of which a picture says most: a few boxes, or a region and its bins."""
        return tuple(sorted(self.cases, key=lambda result: (self._doubt(result), _clutter(result))))

    def _doubt(self, result: CaseResult) -> tuple[bool, bool]:
        """Return whether it takes others to explain the answer, and whether others do so without it."""
        return frozenset({self.key}) not in result.explained_by, any(self.key not in k for k in result.explained_by)


def _clutter(result: CaseResult) -> tuple[bool, bool, float]:
    """Return whether a case need not be right, whether it is neither map nor scene, and how far from simple it is."""
    boxes = result.inputs.get("boxes")
    is_scene = "kept" in result.mismatches and boxes is not None and len(boxes) > 1
    shape = next((result.expected[name].shape for name in result.mismatches if name in result.expected), ())
    is_map = len(shape) >= 2 and min(shape[-2:]) > 1 and math.prod(shape) <= LARGEST_GLANCE
    size = sum(x.size for x in result.inputs.values())
    return result.status != "required", not (is_map or is_scene), abs(math.log2((size + 1) / GLANCE))


def habits(report: Report) -> list[Habit]:
    """Return the deviations that were found, each once, with all of its algorithms."""
    found: dict[str, list[AlgorithmVerdict]] = {}
    for verdict in report.of_kind("VARIANT"):
        for key in verdict.deviations:
            found.setdefault(key, []).append(verdict)
    return [Habit(key, tuple(verdicts)) for key, verdicts in found.items()]


def beside_habits(verdict: AlgorithmVerdict) -> list[CaseResult]:
    """Return the bad cases of a variant that do not show its deviations: rounded too much, not answered, unnamed."""
    found = frozenset(verdict.deviations)
    return [result for result in verdict.bad if not any(keys <= found for keys in result.explained_by)]


def ambiguities(report: Report) -> list[tuple[str, str]]:
    """Return algorithms of which other sets of deviations explain the answers as well, each with these sets."""
    return [
        (verdict.algorithm, ", or by ".join(" with ".join(keys) for keys in verdict.also))
        for verdict in report.of_kind("VARIANT")
        if verdict.also
    ]


def headline(report: Report) -> str:
    """Return in one sentence what was found: how many algorithms agree, and whether the difference has names."""
    answered = [verdict for verdict in report.verdicts if verdict.kind != "SKIP"]
    if not answered or report.is_vacuous:
        return "Nothing was answered, so that nothing is known."
    n_of = {kind: sum(verdict.kind == kind for verdict in answered) for kind in ("PASS", *DIFFERS)}
    if len(answered) == 1:
        return f"The only algorithm that was answered {_alone(answered[0], len(habits(report)))}."
    if n_of["PASS"] == len(answered):
        return f"All {len(answered)} algorithms that were answered agree."
    parts = [f"{n_of['PASS'] or 'None'} of {len(answered)} algorithms {'agree' if n_of['PASS'] > 1 else 'agrees'}"]
    if n_of["VARIANT"]:
        n_others = len(answered) - n_of["PASS"]
        if n_others > n_of["VARIANT"]:
            which = f"{n_of['VARIANT']}{' more' if n_of['PASS'] else ''}"
        else:
            which = f"all {n_others}" if not n_of["PASS"] else "the other" + (f" {n_others}" if n_others > 1 else "")
        parts.append(f"{plural(len(habits(report)), 'named habit')} explain{_s(len(habits(report)))} {which}")
    if n := n_of["UNKNOWN"]:
        parts.append(f"{n} differ{_s(n)} in no known way")
    if n := n_of["ERROR"]:
        parts.append(f"{n} brought no answer to compare")
    return f"{'; '.join(parts)}."


def _alone(verdict: AlgorithmVerdict, n_habits: int) -> str:
    """Return what is said of the only algorithm."""
    explained = f"differs; {plural(n_habits, 'named habit')} explain{_s(n_habits)} it"
    return {"PASS": "agrees", "VARIANT": explained, "UNKNOWN": "differs in no known way"}.get(
        verdict.kind, "brought no answer to compare"
    )


def _s(n: int) -> str:
    """The ending of a verb."""
    return "s" if n == 1 else ""


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
