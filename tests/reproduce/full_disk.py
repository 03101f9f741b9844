"""A disk that is full while a slide is written, whatever draws it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
from matplotlib.figure import Figure


def assert_keeps_the_old_slide(draw: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(figure: Figure, file: BinaryIO, **_: str) -> None:
        file.write(b"half a picture")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Figure, "savefig", full)
    (tmp_path / "x.png").write_bytes(b"the old one")
    with pytest.raises(OSError, match=r"No space left on device: '.*x\.png'"):
        draw(tmp_path / "x.png")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x.png", b"the old one")]
