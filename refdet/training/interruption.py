"""Ctrl-C and SIGTERM, put off until they can be obeyed without losing anything.

The first signal is remembered, and the loop asks for it between two steps, a search for proposals between two pictures.
Inside `at_once()` there is nothing to finish, and it raises KeyboardInterrupt at once. The second signal raises
KeyboardInterrupt wherever the program is. A signal that the program was started to ignore, as by `nohup` or in the
background of a script, stays ignored. Python lets only the main thread take signals; in any other nothing is put off.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
NOTICE = "finishing this {} and saving; Ctrl-C again leaves at once"


class Interruption:
    """What came of the two signals while its `with` block runs; their handlers of before are put back after it.

    Args:
        notice: is told, in the middle of anything, that the first signal was heard.
        piece: what is finished before the signal is obeyed, in words.
    """

    def __init__(self, notice: Callable[[str], object], *, piece: str = "step") -> None:
        self.cause: str | None = None  # the first signal, in words
        self._notice, self._piece = notice, piece
        self._at_once = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            heeded = [number for number in NAMES if signal.getsignal(number) != signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._hear) for number in heeded}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: set by another language

    def _hear(self, number: int, frame: FrameType | None) -> None:
        first = self.cause is None
        self.cause = self.cause or NAMES[signal.Signals(number)]
        if self._at_once or not first:
            raise KeyboardInterrupt(self.cause)
        self._notice(NOTICE.format(self._piece))

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Obey the first signal where it comes, one that has come already too."""
        self._at_once = True
        try:
            if self.cause is not None:
                raise KeyboardInterrupt(self.cause)
            yield
        finally:
            self._at_once = False
