"""The decks' tables on the R-CNN family as data, and which of their figures belongs to what is measured here.

`published.json` has the tables as the decks print them, each with its deck, its heading there and the paper; a cell
that a deck leaves blank is null. Every other figure is a place in a table, [table, row, column], so that no number is
written twice. The networks, the pictures and the machines of these figures are others than refdet's: it is their order
and their size that can be compared, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("published.json")


@cache
def published() -> Mapping[str, Any]:
    """Return the file."""
    content: Mapping[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return content


def figure(table: str, row: str, column: str) -> float:
    """Return a figure of a table.

    >>> figure("fast_speed", "seconds a picture", "R-CNN L")
    47.0
    """
    found = published()["tables"][table]
    value = found["rows"][row][found["columns"].index(column)]
    if value is None:
        raise ValueError(f"figure: the table {table!r} leaves {column!r} of {row!r} blank")
    return float(value)


def of_method(method: str, what: str) -> float | None:
    """Return what is published of a method, mAP in per cent or seconds a picture; None for nothing.

    >>> of_method("fast", "mAP"), of_method("sliding_window", "seconds")
    (66.9, None)
    """
    place = published()["methods"][method].get(what)
    return None if place is None else figure(*place)


def network_of(method: str) -> str:
    """Return on which network the figures of a method were measured.

    >>> network_of("fast"), network_of("rcnn")
    ('VGG-16', 'AlexNet')
    """
    network: str = published()["methods"][method]["network"]
    return network


def of_claim(claim: str) -> float:
    """Return what a claim came to: points of mAP by which one is better, or how many times faster it is.

    Where a deck prints that itself it is taken from there.

    >>> round(of_claim("faster_accuracy"), 1), round(of_claim("faster_speed"), 1)
    (3.0, 10.1)
    """
    found = published()["claims"][claim]
    if "printed" in found:
        return figure(*found["printed"])
    better, worse = figure(*found["better"]), figure(*found["worse"])
    return worse / better if found["as"] == "ratio" else better - worse


def decks_of_claim(claim: str) -> tuple[str, ...]:
    """Return the decks that a claim is from.

    >>> decks_of_claim("five_scales")
    ('000',)
    """
    found = published()["claims"][claim]
    return tuple(sorted({published()["tables"][found[side][0]]["deck"] for side in ("better", "worse")}))
