"""The conformance page as Markdown, as GitHub shows it, from the record of `refdet.verify.conformance` alone."""

from __future__ import annotations

from collections.abc import Iterator

from refdet.verify.explanations import KINDS as KINDS_OF_REASONS
from refdet.verify.report.conformance_words import (
    LEGEND,
    Entry,
    UnnamedDifference,
    alone,
    case_lines,
    environment,
    named_differences,
    right_of_answered,
    status,
    summary,
    unnamed_differences,
    versions,
)
from refdet.verify.report.markdown import code, escaped
from refdet.verify.report.words import authors, plural
from refdet.verify.verdict import KINDS


def conformance_markdown(record: Entry) -> str:
    """Return the page."""
    return "\n".join(_lines(record)).rstrip() + "\n"


def _lines(record: Entry) -> Iterator[str]:
    n_cases = sum(record["algorithms"].values())
    asked = f"{plural(n_cases, 'case')} of {plural(len(record['algorithms']), 'algorithm')}"
    yield "# Conformance"
    yield ""
    yield (
        f"What {plural(len(record['implementations']), 'implementation')} answered to the golden suite "
        f"{escaped(record['suite_version'])}: {asked}, "
        f"asked on {record['date']} ({escaped(environment(record))})."
    )
    yield (
        "`refdet conformance` wrote this page; [conformance.json](conformance.json) has all of it for a program, and "
        "[conformance.html](conformance.html) is the same page to look at. Minimal reproductions are in "
        "[errata.md](errata.md)."
    )
    yield ""
    yield from (f"- **{kind}**: {meaning}" for kind, meaning in LEGEND.items())
    yield ""
    kinds = "; ".join(f"*{kind}*: {meaning}" for kind, meaning in KINDS_OF_REASONS.items())
    yield f"What has no name has a reason, of one of these kinds. {kinds}."
    yield from _implementations(record)
    yield from _matrix(record)
    for implementation in record["implementations"]:
        yield from _section(implementation, record)


def _implementations(record: Entry) -> Iterator[str]:
    heads = " | ".join(kind.lower() for kind in KINDS)
    yield from (
        "",
        "## Implementations",
        "",
        f"| | versions | {heads} | cases right |",
        f"|---|---|{'--:|' * (len(KINDS) + 1)}",
    )
    for implementation in record["implementations"]:
        counts = implementation["counts"]
        cells = " | ".join(str(counts["algorithms"][kind]) for kind in KINDS)
        right = right_of_answered(counts["cases"])
        yield f"| {_link(implementation)} | {escaped(versions(implementation))} | {cells} | {right} |"
    if record["not_run"]:
        yield from ("", "Not asked:", "")
        yield from (f"- {escaped(entry['name'])}: {escaped(entry['reason'])}" for entry in record["not_run"])


def _matrix(record: Entry) -> Iterator[str]:
    implementations = record["implementations"]
    yield from ("", "## Verdicts", "", "An en dash is SKIP.", "")
    yield f"| | {' | '.join(_link(i) for i in implementations)} |"
    yield f"|---|{'---|' * len(implementations)}"
    for algorithm in record["algorithms"]:
        yield f"| {code(algorithm)} | {' | '.join(_cell(i['verdicts'].get(algorithm)) for i in implementations)} |"


def _cell(verdict: Entry | None) -> str:
    if verdict is None:
        return "–"
    keys = "<br>".join(code(key) for key in verdict["deviations"])
    kind = verdict["kind"] if verdict["kind"] == "PASS" else f"**{verdict['kind']}**"
    return f"{kind} {right_of_answered(verdict['counts'])}{'<br>' if keys else ''}{keys}"


def _link(implementation: Entry) -> str:
    return f"[{escaped(implementation['name'])}](#{_anchor(implementation)})"


def _anchor(implementation: Entry) -> str:
    """The name that GitHub gives the heading."""
    return "".join(c for c in str(implementation["name"]).lower() if c.isalnum() or c in "-_")


def _section(implementation: Entry, record: Entry) -> Iterator[str]:
    yield from ("", f"## {escaped(implementation['name'])}", "")
    yield f"{escaped(versions(implementation))}. {escaped(summary(implementation))}."
    for dialect in implementation["dialects"]:
        yield f"It speaks {code(dialect['name'])} ({escaped(dialect['title'])})."
    named, unnamed = named_differences(implementation, record), unnamed_differences(implementation)
    if not named and not unnamed:
        yield from ("", "Nothing that it answered differs.")
    if named:
        yield from ("", "### Differs as a named deviation", "")
    for difference in named:
        algorithms = ", ".join(map(code, difference.algorithms))
        yield f"- {code(difference.key)} **{escaped(difference.text['title'])}**: {algorithms}"
        yield from (f"  - {escaped(line)}" for line in _about(difference.text))
    if unnamed:
        yield from ("", "### Differs otherwise", "")
    for other in unnamed:
        yield from _unnamed(other)
    if implementation["skipped"]:
        yield from ("", "### Not asked", "")
        yield from (f"- {escaped(reason)}: {escaped(concerned)}" for reason, concerned in implementation["skipped"])


def _about(text: Entry) -> Iterator[str]:
    if text["effect"]:
        yield f"effect: {text['effect']}"
    if names := authors(text):
        yield f"who does it: {'; '.join(names)}"


def _unnamed(difference: UnnamedDifference) -> Iterator[str]:
    reason = "Not explained yet."
    if why := difference.explanation:
        reason = f"{escaped(why['reason'])} *({escaped(why['kind'])})*"
        if why["errata"]:
            reason += f" [Reproduction](errata.md#{why['errata']})."
    yield f"- {code(difference.algorithm)} (**{difference.kind}**). {reason}"
    for case in difference.cases:
        words = f" ({status(case)})" if status(case) else ""
        differs = "; ".join(code(line) for line in case_lines(case))
        yield f"  - {code(case['id'])}{words}: {differs}"
        if sets := alone(case):
            yield f"    - {escaped(sets)}"
