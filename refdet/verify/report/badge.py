"""The report as a badge: a word or two for a README.

As JSON it is what shields.io reads from an address (schema version 1 of its endpoint badge); as SVG it needs nobody
else. Colours are shields.io's; the words say everything that the colour does.
"""

from __future__ import annotations

import json
from xml.sax.saxutils import escape

from refdet.verify.report.words import habits, n_excused, plural, printable
from refdet.verify.verdict import Report

COLOURS = {
    "brightgreen": "#2c7d12",
    "yellowgreen": "#5d6b00",
    "orange": "#b4470f",
    "red": "#c0392b",
    "lightgrey": "#6b6b6b",
}  # white reads on all
HEIGHT, PADDING, FONT_SIZE = 20, 6, 11
NARROW, WIDE = "ijltfrI.,:;|!' ()[]-1/", "mwMW%@"  # letters of 4 and of 10 pixels in Verdana at 11; the others have 7


def badge_json(report: Report) -> str:
    """Return what shields.io's endpoint badge reads."""
    label, message, colour = badge(report)
    content = {"schemaVersion": 1, "label": label, "message": message, "color": colour}
    return json.dumps(content) + "\n"


def badge(report: Report) -> tuple[str, str, str]:
    """Return the label, the message, and the name of the colour."""
    answered = [verdict for verdict in report.verdicts if verdict.kind != "SKIP"]
    n_failed = sum(verdict.failed for verdict in answered)
    label = printable(f"refdet {report.suite_version}")
    if not answered:
        return label, "nothing answered", "lightgrey"
    message = f"{len(answered) - n_failed}/{len(answered)} algorithms"
    if report.dialects:
        message += f", {' or '.join(report.dialects)}"
    unexplained = any(verdict.failed and verdict.kind != "VARIANT" for verdict in answered)
    if habits(report) and not report.dialects and not unexplained:
        message += f", {plural(len(habits(report)), 'habit')}"
    if n := n_excused(report):
        message += f", {plural(n, 'known failure')}"
    colour = ("yellowgreen" if n else "brightgreen") if not report.failed else "orange"
    if report.failed and (unexplained or not n_failed):
        colour = "red"
    return label, printable(message), colour


def badge_svg(report: Report) -> str:
    """Return a badge drawn here."""
    label, message, colour = badge(report)
    left, right = (_width(text) + 2 * PADDING for text in (label, message))
    spoken = escape(f"{label}: {message}", {'"': "&quot;"})
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{HEIGHT}" role="img" aria-label="{spoken}">
<title>{spoken}</title>
<clipPath id="round"><rect width="{left + right}" height="{HEIGHT}" rx="3"/></clipPath>
<g clip-path="url(#round)">
<rect width="{left}" height="{HEIGHT}" fill="#444"/>
<rect x="{left}" width="{right}" height="{HEIGHT}" fill="{COLOURS[colour]}"/>
</g>
<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="{FONT_SIZE}">
{_text(label, PADDING)}
{_text(message, left + PADDING)}
</g>
</svg>
"""


def _text(text: str, x: int) -> str:
    """Return a text as wide as it was measured, whatever the font."""
    return f'<text x="{x}" y="14" textLength="{_width(text)}">{escape(text)}</text>'


def _width(text: str) -> int:
    return sum(4 if letter in NARROW else 10 if letter in WIDE else 7 for letter in text)
