"""The report as one page: what differs, what to change, and pictures of where.

The page needs nothing else: style and pictures are inside, nothing is loaded, and there are no scripts. It follows the
reader's choice of light or dark, and can be read on a telephone. Everything in it is escaped.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

from refdet.verify.report.words import (
    Habit,
    ambiguities,
    authors,
    common_error,
    counts,
    explanations,
    habits,
    headline,
    nearest,
    outcome,
    printable,
    skips,
    speaks,
    status_words,
    versions,
    wrong_element,
)
from refdet.verify.verdict import CaseResult, Report

TEMPLATE = "page.html.j2"
MOST_LISTED = 8  # habits, and algorithms of one, before the page begins
MOST_ROWS = 12  # of algorithms that pass; more are named without a row
MOST_CASES = 12  # of one algorithm that are shown in full
MOST_PICTURES = 80  # on a page: about 4 MB
MOST_OF_CASE = 2  # pictures of one case, the outputs before the gradients

Pictures = dict[str, list[tuple[str, str]]]  # by case: tensors, and their pictures as addresses


def html_page(report: Report, progress: Callable[[int, int], object] = lambda done, total: None) -> str:
    """Return the page; `progress` is told how many pictures are drawn, and of how many."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clean": printable, "authors": authors, "status": status_words, "parameters": _parameters}
    differing = [verdict for verdict in report.verdicts if verdict.bad]
    wanted = [
        (result, tensor)
        for verdict in differing
        for result in verdict.bad[:MOST_CASES]
        for tensor in list(result.mismatches)[:MOST_OF_CASE]
    ]
    found, pictures = habits(report), _pictures(wanted[:MOST_PICTURES], progress)
    asked = [verdict for verdict in report.verdicts if verdict.kind != "SKIP"]
    plain = [verdict for verdict in asked if verdict.kind == "PASS" and not verdict.bad]
    if len(plain) <= MOST_ROWS:
        plain = []
    strange = [verdict for verdict in asked if verdict.kind in ("UNKNOWN", "ERROR")]
    return environment.get_template(TEMPLATE).render(
        report=report,
        versions=versions(report),
        outcome=outcome(report),
        headline=headline(report),
        hint=common_error(report),
        nearest=nearest,
        counts=counts(report),
        speaks=speaks(report),
        habits=found,
        examples=_examples(found, pictures),
        ambiguities=ambiguities(report),
        strange=strange,
        only_named=bool(found) and not strange and not report.unexpected_passes,
        asked=asked,
        rows=[verdict for verdict in asked if verdict not in plain],
        plain=plain,
        differing=differing,
        anchors={verdict.algorithm: f"algorithm-{i}" for i, verdict in enumerate(report.verdicts)},
        pictures=pictures,
        n_undrawn=max(0, sum(len(r.mismatches) for r in report.results) - MOST_PICTURES)
        if len(wanted) > MOST_PICTURES
        else 0,
        skips=skips(report),
        most_cases=MOST_CASES,
        most_listed=MOST_LISTED,
        wrong_element=wrong_element,
        explanations=explanations,
    )


def _pictures(wanted: list[tuple[CaseResult, str]], progress: Callable[[int, int], object]) -> Pictures:
    """Draw what is wanted. An answer that cannot be drawn, whatever it holds, must not cost the page."""
    from refdet.pictures.differences import difference_picture

    pictures: Pictures = {}
    for i, (result, tensor) in enumerate(wanted):
        progress(i, len(wanted))
        try:
            content = difference_picture(result, tensor)
        except (ArithmeticError, IndexError, MemoryError, TypeError, ValueError):
            continue
        if content is not None:
            uri = f"data:image/png;base64,{base64.b64encode(content).decode()}"
            pictures.setdefault(result.id, []).append((tensor, uri))
    return pictures


def _examples(found: list[Habit], pictures: Pictures) -> dict[str, tuple[CaseResult, tuple[str, str]]]:
    """Return for each habit the case that shows it best, of those that have a picture, and the picture."""
    examples = {}
    for habit in found:
        drawn = [result for result in habit.best if result.id in pictures]
        if drawn:
            examples[habit.key] = (drawn[0], pictures[drawn[0].id][0])
    return examples


def _parameters(result: CaseResult) -> str:
    return ", ".join(f"{name} = {json.dumps(value)}" for name, value in result.params.items())
