"""Dialects: which deviations come together, and where."""

from __future__ import annotations

from refdet.verify.deviation import Dialect

DIALECTS: list[Dialect] = []
