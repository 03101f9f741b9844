"""Why an implementation differs where no deviation has the name: the reasons that `refdet conformance` prints.

    [[explanation]]
    implementation = "onnxruntime"
    cases = ["sigmoid/saturation", "sigmoid/ord*"]  # cases, algorithms, or globs of either
    kind = "precision"
    reason = "An approximation with an absolute error, which is 0 below −18."
    errata = "onnxruntime-sigmoid"      # the section of docs/errata.md that reproduces it; may be absent

A reason is written down once a reproduction has established it. It names a difference for the reader; it changes no
verdict.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from refdet.verify.patterns import matches_any

FILE = Path(__file__).with_name("explanations.toml")
KINDS = {
    "bug": "against its documentation, or against the standard that it implements",
    "convention": "another legitimate choice",
    "precision": "a larger error than rounding the right answer",
    "undefined": "nobody defines what is right",
}


class ExplanationsError(Exception):
    """A file of explanations that is not what it should be."""


@dataclass(frozen=True)
class Explanation:
    """One reason, and what it explains."""

    implementation: str
    cases: tuple[str, ...]
    kind: str
    reason: str
    errata: str = ""

    def explains(self, implementation: str, case_id: str) -> bool:
        """Return whether it is about this implementation's answer to a case."""
        return implementation == self.implementation and matches_any(self.cases, case_id)


def read_explanations(path: Path = FILE) -> tuple[Explanation, ...]:
    """Return what a file says; raises `ExplanationsError`."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExplanationsError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # TOML and UTF-8
        raise ExplanationsError(f"{path} is not TOML: {error}") from error
    tables = content.pop("explanation", [])
    if content or not (isinstance(tables, list) and all(isinstance(table, dict) for table in tables)):
        raise ExplanationsError(f"{path} must hold tables called [[explanation]] and nothing else")
    return tuple(_explanation(f"{path}: explanation {i}", table) for i, table in enumerate(tables, start=1))


def explanation_of(explanations: Sequence[Explanation], implementation: str, case_id: str) -> Explanation | None:
    """Return the first one that is about an implementation's answer to a case."""
    return next((e for e in explanations if e.explains(implementation, case_id)), None)


def _explanation(where: str, table: dict[str, Any]) -> Explanation:
    known = [field.name for field in fields(Explanation)]
    for key in table:
        if key not in known:
            raise ExplanationsError(f"{where} has the key {key!r}; there are {', '.join(known)}")
    for key in known:
        value: Any = table.get(key, "" if key == "errata" else None)
        if key == "cases":
            right = isinstance(value, list) and bool(value) and all(isinstance(part, str) for part in value)
        else:
            right = isinstance(value, str)
        if not right:
            raise ExplanationsError(f"{where}: {key} must be {'a list of texts' if key == 'cases' else 'a text'}")
    if table["kind"] not in KINDS:
        raise ExplanationsError(f"{where}: kind must be one of {', '.join(KINDS)}, got {table['kind']!r}")
    return Explanation(**(table | {"cases": tuple(table["cases"])}))
