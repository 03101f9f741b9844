"""Known deviations, executable: one file per family, each with `DEVIATIONS`; bundles of them in `dialects.py`.

A file describes what an implementation does, and who does it; its wrappers do the same to refdet's reference. Whether
they really do what is claimed is what `tests/witnesses/` checks, with the library itself or with an independent
transcription of its source.
"""

from __future__ import annotations

import functools
import importlib
from pathlib import Path

from refdet.verify.deviation import Deviation, Dialect


@functools.cache
def all_deviations() -> tuple[Deviation, ...]:
    """Return every deviation, sorted by key."""
    families = sorted(p.stem for p in Path(__file__).parent.glob("*.py") if p.stem not in ("__init__", "dialects"))
    found = [d for family in families for d in importlib.import_module(f"{__name__}.{family}").DEVIATIONS]
    keys = [d.key for d in found]
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise ValueError(f"golden/deviations: defined twice: {', '.join(sorted(twice))}")
    return tuple(sorted(found, key=lambda d: d.key))


def all_dialects() -> tuple[Dialect, ...]:
    """Return every dialect, sorted by name."""
    from golden.deviations.dialects import DIALECTS

    return tuple(sorted(DIALECTS, key=lambda d: d.name))
