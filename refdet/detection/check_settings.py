"""What the settings of both stages refuse when they are made, not first after hours of training."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from refdet.core.check import as_index, check_choice, check_number, integer


def check_settings(
    op: str,
    settings: Any,
    *,
    choices: Mapping[str, Collection[str]],
    counts: Collection[str],
    shares: Collection[str],
    amounts: Collection[str],
) -> None:
    """Refuse settings by the name of the field.

    Args:
        op: what they are called in the sentence.
        settings: a dataclass; its `coordinates` must be 0 or 1.
        choices: field → what it must be one of.
        counts: fields that must be integers of at least 1.
        shares: fields that must lie in 0 … 1.
        amounts: fields that must be numbers of at least 0.
    """
    for name, allowed in choices.items():
        check_choice(op, name, getattr(settings, name), allowed)
    for name in counts:
        integer(op, name, getattr(settings, name), low=1)
    for name in shares:
        check_number(op, name, getattr(settings, name), low=0, high=1)
    for name in amounts:
        check_number(op, name, getattr(settings, name), low=0)
    if as_index(settings.coordinates) not in (0, 1):
        raise ValueError(f"{op}: coordinates must be 0 or 1, got {settings.coordinates!r}")
