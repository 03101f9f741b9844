"""The conformance page as HTML, from the record of `refdet.verify.conformance` alone.

Like the page of one verification it needs nothing else: its style is inside, nothing is loaded, and nothing runs.
"""

from __future__ import annotations

from pathlib import Path

from refdet.verify.explanations import KINDS as KINDS_OF_REASONS
from refdet.verify.report import conformance_words as words
from refdet.verify.report.words import authors, printable
from refdet.verify.verdict import KINDS

TEMPLATE = "conformance.html.j2"


def conformance_html(record: words.Entry) -> str:
    """Return the page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clean": printable,
        "authors": authors,
        "versions": words.versions,
        "summary": words.summary,
        "right": words.right_of_answered,
        "status": words.status,
        "alone": words.alone,
        "lines": words.case_lines,
        "unnamed": words.unnamed_differences,
    }
    implementations = record["implementations"]
    return environment.get_template(TEMPLATE).render(
        record=record,
        implementations=implementations,
        environment=words.environment(record),
        n_cases=sum(record["algorithms"].values()),
        kinds=KINDS,
        legend=words.LEGEND,
        kinds_of_reasons=KINDS_OF_REASONS,
        named={i["name"]: words.named_differences(i, record) for i in implementations},
        anchors={i["name"]: f"implementation-{n}" for n, i in enumerate(implementations)},
    )
