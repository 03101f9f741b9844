"""Every test of the command line sees a terminal of one width, whatever it runs in."""

from __future__ import annotations

import pytest

from refdet.cli.messages import console


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_width", 200)
    monkeypatch.setattr(console, "_height", 50)
