"""Real data that nobody here made: in the folder that REFDET_REAL_DATA names, else beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DEFAULT = Path(__file__).parents[2] / "shared" / "real"


def real(name: str) -> Path:
    """Return a folder of the real data, or skip the test, saying that it is absent."""
    path = Path(os.environ.get("REFDET_REAL_DATA", DEFAULT)) / name
    if not path.exists():
        pytest.skip(f"the real data {name!r} is not there; REFDET_REAL_DATA names the folder that holds it")
    return path
