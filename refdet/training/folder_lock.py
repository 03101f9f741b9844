"""One run in a folder at a time: a lock on the folder itself, which ends with the process at the latest.

Where the system or the file system has no `flock`, nothing is locked.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from refdet.training.errors import TrainingError


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Hold the folder's lock, which ends with the process at the latest."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingError(
                f"train: another run is going on in {path}; wait for it or name another folder"
            ) from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(descriptor)
