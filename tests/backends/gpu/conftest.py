"""Numba's simulator, made to wait as a process should, where the tests run in it.

It waits for the threads of a block by asking them in turn whether they have ended, and holds Python's lock while it
asks: 5 ms, as long as Python lets it, for each of the thousands of times that it gets the lock.
"""

from __future__ import annotations

import os
import threading
import time

import pytest


@pytest.fixture(scope="session", autouse=True)
def _simulator_lets_its_threads_run() -> None:
    if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
        return
    from numba.cuda.simulator import kernel

    def is_alive(thread: threading.Thread) -> bool:
        time.sleep(0)  # gives Python's lock to whoever waits for it
        return threading.Thread.is_alive(thread)

    kernel.BlockThread.is_alive = is_alive
