"""Which cases a pattern names: an id, an algorithm, or a glob of either."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase


def matches(pattern: str, case_id: str) -> bool:
    """Return whether a pattern names a case; `*` stands for anything, `/` included.

    >>> [matches(pattern, "nms/no-boxes") for pattern in ("nms", "nms/no-*", "*nms", "no-boxes", "")]
    [True, True, True, False, False]
    """
    return fnmatchcase(case_id, pattern) or fnmatchcase(case_id.partition("/")[0], pattern)


def matches_any(patterns: Iterable[str], case_id: str) -> bool:
    """Return whether one of the patterns names a case."""
    return any(matches(pattern, case_id) for pattern in patterns)


def unmatched(patterns: Iterable[str], case_ids: Collection[str]) -> list[str]:
    """Return the patterns that name none of the cases."""
    return [pattern for pattern in patterns if not any(matches(pattern, case_id) for case_id in case_ids)]
