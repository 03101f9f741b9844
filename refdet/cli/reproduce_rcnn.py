"""What `refdet reproduce rcnn` shows: tables of the detectors and of the claims beside the decks', and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refdet.cli.messages import console

if TYPE_CHECKING:
    from rich.table import Table

    from refdet.reproduce.rcnn_claims import Summary, Verdict
    from refdet.reproduce.rcnn_settings import Settings

MINIATURE_MARK = "MINIATURE: the figures mean nothing"


def show(records: Mapping[str, Any], out: Path, settings: Settings, *, miniature: bool) -> Path:
    """Print the tables, draw the picture and return its path."""
    from refdet.reproduce.rcnn import PICTURE
    from refdet.reproduce.rcnn_claims import summaries
    from refdet.reproduce.rcnn_claims import verdicts as verdicts_of
    from refdet.reproduce.rcnn_picture import draw, example_scenes

    verdicts = verdicts_of(records)
    rows = summaries(records)
    _show_accuracy(rows, miniature=miniature)
    _show_speed(rows, miniature=miniature)
    _show_claims(verdicts, miniature=miniature)
    path = out / PICTURE
    draw(verdicts, records, example_scenes(settings), path, miniature=miniature)
    return path


def _show_accuracy(rows: Sequence[Summary], *, miniature: bool) -> None:
    title = "How good the detectors are: mAP in % on the test scenes, and as published"
    table = _table(title, "published: VOC 2007 test, on the network that is named", miniature=miniature)
    table.add_column("detector")
    for heading in ("seeds", "mean", "lowest", "highest", "published"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("on", no_wrap=True)
    for row in rows:
        shares = (row.mean, row.lowest, row.highest, row.published_mean)
        table.add_row(row.name, str(row.n), *(_percent(share) for share in shares), row.published_network)
    console.print(table)


def _show_speed(rows: Sequence[Summary], *, miniature: bool) -> None:
    title = "How fast they are: seconds a picture at test, and as published"
    table = _table(title, "+ proposals: with the search for them; published: other machines", miniature=miniature)
    table.add_column("detector")
    for heading in ("seconds", "+ proposals", "published", "+ proposals"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        times = (row.seconds, row.with_proposals, row.published_seconds, row.published_with)
        if row.seconds is not None:
            table.add_row(row.name, *(seconds(x) for x in times))
    console.print(table)


def _table(title: str, caption: str, *, miniature: bool) -> Table:
    from rich.table import Table

    return Table(title=f"{MINIATURE_MARK}\n{title}" if miniature else title, caption=caption)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def seconds(value: float | None) -> str:
    """Return seconds in two digits.

    >>> seconds(0.00123), seconds(0.198), seconds(47.0), seconds(None)
    ('0.0012', '0.20', '47', '')
    """
    return "" if value is None else f"{value:.0f}" if value >= 10 else f"{value:#.2g}"


def _show_claims(verdicts: Sequence[Verdict], *, miniature: bool) -> None:
    from refdet.reproduce.rcnn_claims import row_in_words

    title = "Claims: paired differences in points of mAP, or how many times faster"
    if miniature:
        caption = "no verdict: a miniature run only tries the pieces"
    elif all(verdict.difference.n == 1 for verdict in verdicts):
        caption = "no verdict: an interval needs two seeds at least; --seeds 2 or more adds them"
    else:
        caption = "a ≥ b on mAP holds where the mean is at least 0, all others where the whole interval is beyond"
    table = _table(title, caption, miniature=miniature)
    table.add_column("claim")
    for heading in ("seeds", "mean", "95 % interval", "published", "verdict"):
        table.add_column(heading, justify="right", no_wrap=True)
    for verdict in verdicts:
        table.add_row(*row_in_words(verdict, miniature=miniature))
    console.print(table)
