"""What the command line says where something is wrong: one sentence, and nothing else."""

from __future__ import annotations

from typing import Any


def said(result: Any, status: int) -> str:
    """Return standard error of a run with that exit status: one sentence, and nothing on standard output."""
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("refdet: ")
    return str(result.stderr)
