"""The parent's end of a side: starts its process, asks, waits no longer than allowed, and says what went wrong."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Protocol

from refdet.bench.sides import Unsupported

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")

# glibc then keeps freed memory instead of giving it back to the system. Otherwise each call may pay for fresh pages, or
# not, depending on what was freed before: with torch a 1×1 convolution took 0.6 or 2.6 ms for that reason alone.
ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}


class SideError(Exception):
    """A side crashed, hung, answered nonsense, or raised; the message says which side and how."""


class Contestant(Protocol):
    """What the runner asks; `Process` in earnest, something scripted in the tests."""

    name: str

    def ask(self, request: str, **details: Any) -> dict[str, Any]:
        """Return the answer, or raise `Unsupported` or `SideError`."""
        ...

    def greeting(self) -> dict[str, Any]:
        """Return the versions and threads that the side stated, empty if it never started."""
        ...

    def close(self) -> None:
        """End the process."""
        ...


class Process:
    """A side in a process of its own, started at the first question, and again after a crash.

    The number of threads and the allocator's settings are in the environment before any library is imported. The
    process may be another interpreter's, which then finds this refdet, and of what is installed beside it nothing.

    The time limit is for each answer. It begins anew with each piece of news, which is that a function is compiled;
    `on_news` is told.
    """

    def __init__(
        self,
        name: str,
        group: str,
        *,
        threads: int,
        time_limit: float,
        device: str = "cpu",
        executable: str | None = None,
        on_news: Callable[[str], None] = lambda news: None,
    ) -> None:
        self.name = name
        self._command = [executable or sys.executable, "-m", "refdet.bench.worker", name, group, str(threads), device]
        self._environment = side_environment(threads)
        self._elsewhere = executable is not None
        self._on_news = on_news
        self._time_limit = time_limit
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._stderr: IO[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._greeting: dict[str, Any] = {}
        self._cannot_start: str | None = None

    def ask(self, request: str, **details: Any) -> dict[str, Any]:
        process = self._process or self._start()
        try:
            _stdin(process).write(json.dumps({"request": request, **details}) + "\n")
            _stdin(process).flush()
        except OSError:
            raise SideError(f"{self.name}: {self._obituary()}") from None
        return self._answer(request)

    def greeting(self) -> dict[str, Any]:
        return self._greeting

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(OSError):
                _stdin(process).close()
            try:
                process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _start(self) -> subprocess.Popen[str]:
        if self._cannot_start is not None:
            raise SideError(self._cannot_start)
        self.close()
        environment = self._environment
        if self._elsewhere:
            self._folder = tempfile.TemporaryDirectory(prefix="refdet-alone-")
            environment = with_refdet_alone(environment, Path(self._folder.name))
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the process lives
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=environment,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            self._cannot_start = f"{self.name}: cannot start {self._command[0]}: {error.strerror}"
            self.close()
            raise SideError(self._cannot_start) from None
        self._lines = queue.Queue()
        threading.Thread(target=_read_lines, args=(self._process, self._lines), daemon=True).start()
        try:
            self._greeting = self._answer("start")
        except SideError as error:
            self._cannot_start = str(error)  # and would not the next time either
            self.close()
            raise
        return self._process

    def _answer(self, request: str) -> dict[str, Any]:
        while "news" in (answer := self._next(request)):
            self._on_news(f"{self.name}: {answer['news']}")
        if "skip" in answer:
            raise Unsupported(f"{self.name}: {answer['skip']}")
        if "error" in answer:
            raise SideError(f"{self.name}: {answer['error']}")
        return answer

    def _next(self, request: str) -> dict[str, Any]:
        """Return the next line, read; wait no longer than the time limit."""
        try:
            line = self._lines.get(timeout=self._time_limit)
        except queue.Empty:
            self._kill()
            raise SideError(f"{self.name}: no answer to {request!r} within {self._time_limit:g} s; ended") from None
        if line is None:
            raise SideError(f"{self.name}: {self._obituary()}")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            self._kill()
            raise SideError(f"{self.name}: answered {request!r} with {line.strip()[:80]!r}, which is no JSON object")
        return answer

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
        self.close()

    def _obituary(self) -> str:
        """Say how the process ended, with the last line that it wrote to stderr; the next question starts another."""
        process, stderr = self._process, self._stderr
        if process is None or stderr is None:
            return "the process is gone"
        try:
            status = process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._kill()
            return "closed its output without ending; ended"
        stderr.seek(0)
        lines = stderr.read().decode("utf-8", "replace").strip().splitlines()
        self.close()
        how = f"exit status {status}" if status >= 0 else f"signal {_signal_name(-status)}"
        return f"crashed with {how}" + (f": {lines[-1].strip()[:200]}" if lines else "")


def side_environment(threads: int) -> dict[str, str]:
    """Return the environment of a process that computes on so many threads."""
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), **ALLOCATOR}
    environment.pop("REFDET_BACKEND", None)
    return environment


def with_refdet_alone(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """Return an environment in which Python finds this refdet, through a link in `folder`, before what it has itself.

    The folder that refdet lies in may hold everything that is installed for this interpreter, which is not for another.
    """
    import refdet

    (folder / "refdet").symlink_to(Path(refdet.__file__).parent, target_is_directory=True)
    path = [str(folder), environment.get("PYTHONPATH", "")]
    return {**environment, "PYTHONPATH": os.pathsep.join(filter(None, path)), "PYTHONDONTWRITEBYTECODE": "1"}


def _read_lines(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    """Hand on what the process says; None marks the end."""
    if process.stdout is not None:
        with process.stdout as stdout:
            for line in stdout:
                lines.put(line)
    lines.put(None)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _stdin(process: subprocess.Popen[str]) -> IO[str]:
    if process.stdin is None:
        raise SideError("the process was started without a way to ask it")
    return process.stdin
