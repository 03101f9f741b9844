"""The report as JUnit XML, for continuous integration: a suite for each algorithm, a test for each case.

| case | element |
|---|---|
| required and wrong, or a known failure that passes | `failure` |
| required and without an answer to compare | `error` |
| skipped; or wrong, but known, optional or undefined | `skipped`, with what was found |

The verdict on an algorithm and its deviations are properties of its suite. What belongs to no case stands in the
`system-err` of a suite without tests, called `refdet verify`.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from refdet.verify.report.words import case_message, outcome, printable, status_words
from refdet.verify.verdict import AlgorithmVerdict, CaseResult, Report


def junit_xml(report: Report) -> str:
    """Return the report as an XML document."""
    passes = set(report.unexpected_passes)
    root = Element("testsuites", {"name": printable(report.implementation)})
    suites = [_suite(verdict, report, passes) for verdict in report.verdicts]
    if report.problems or report.is_vacuous:
        suites.append(_remarks(report))
    root.extend(suites)
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in suites)))
    root.set("time", f"{report.seconds:.3f}")
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _suite(verdict: AlgorithmVerdict, report: Report, unexpected_passes: set[str]) -> Element:
    suite = Element("testsuite", {"name": printable(verdict.algorithm)})
    properties = SubElement(suite, "properties")
    facts = [("suite_version", report.suite_version), ("implementation", report.implementation)]
    facts += [("verdict", verdict.kind), ("deviations", " ".join(verdict.deviations)), ("note", verdict.note)]
    for name, value in facts:
        if value:
            SubElement(properties, "property", {"name": name, "value": printable(value)})
    tests = [_test(result, result.id in unexpected_passes, verdict, report) for result in verdict.results]
    suite.extend(tests)
    suite.set("tests", str(len(tests)))
    for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(sum(test.find(tag) is not None for test in tests)))
    suite.set("time", f"{sum(result.seconds or 0 for result in verdict.results):.3f}")
    if report.started:
        suite.set("timestamp", printable(report.started))
    return suite


def _test(result: CaseResult, passes_unexpectedly: bool, verdict: AlgorithmVerdict, report: Report) -> Element:
    name = printable(result.id.partition("/")[2] or result.id)
    test = Element(
        "testcase",
        {"classname": printable(result.algorithm), "name": name, "time": f"{result.seconds or 0:.3f}"},
    )
    message = printable(case_message(result))
    first_line = message.partition("\n")[0]
    if passes_unexpectedly:
        _child(test, "failure", "it is listed as a known failure, and passes", "unexpected pass")
    elif result.failed and result.verdict == "wrong":
        _child(test, "failure", first_line, verdict.kind, _details(result, message, verdict, report))
    elif result.failed:
        _child(test, "error", first_line, "no answer", message)
    elif result.verdict == "skip":
        _child(test, "skipped", first_line)
    elif result.is_bad:
        _child(test, "skipped", f"{status_words(result)}: {first_line}")
    return test


def _details(result: CaseResult, message: str, verdict: AlgorithmVerdict, report: Report) -> str:
    """Return the whole of what is known of a wrong case, in lines."""
    lines = [message, f"why: {result.why}" if result.why else ""]
    lines += [f"{key}: {report.text(key)['title']}. {report.text(key)['change']}" for key in verdict.deviations]
    return printable("\n".join(line for line in lines if line))


def _child(test: Element, tag: str, message: str, kind: str = "", text: str = "") -> None:
    child = SubElement(test, tag, {"message": message, **({"type": kind} if kind else {})})
    child.text = text or None


def _remarks(report: Report) -> Element:
    """Return what concerns no case; that nothing was answered is an error."""
    suite = Element("testsuite", {"name": "refdet verify", "tests": "0", "failures": "0", "errors": "0"})
    if report.is_vacuous:
        suite.set("tests", "1")
        suite.set("errors", "1")
        test = SubElement(suite, "testcase", {"classname": "refdet verify", "name": "answers"})
        _child(test, "error", outcome(report), "no answers")
    SubElement(suite, "system-err").text = printable("\n".join(report.problems)) or None
    return suite
