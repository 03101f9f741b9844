"""Tests that need the compiled code of all kernels come last; see tests/groups.py."""

from __future__ import annotations

import pytest

from tests.groups import NEED_ALL_CODE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move them to the end."""
    last = [item for item in items if item.path.stem in NEED_ALL_CODE]
    items[:] = [item for item in items if item not in last] + last
