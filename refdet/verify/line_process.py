"""A process that is spoken to in lines, and that may do anything: hang, crash, flood, or fall silent.

Its three pipes are served by one loop that never waits beyond a deadline, so that neither a full pipe nor a process
that reads nothing can block both sides. What is kept of its output is bounded: one line of at most `LONGEST_LINE`, and
the end of what it wrote to stderr. It gets a process group of its own, which is killed as a whole.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import IO

from refdet.verify.foreign_text import one_line

LONGEST_LINE = 16 << 20  # bytes
CHUNK = 1 << 16
LOG_BYTES = 2048  # of stderr that are kept
LOG_LINES = 3  # of these that are shown
LOG_SECONDS = 0.2  # for what is still in the pipe of a process that was killed
DYING_SECONDS = 1.0  # from the end of its output to the end of the process


class ProcessFailure(Exception):  # noqa: N818
    """The process did not say a line; the message goes on from "it ". `kill` is all that can follow."""


class LineProcess:
    """A child process, started at once. Raises `ProcessFailure` where that is impossible."""

    def __init__(self, command: Sequence[str]) -> None:
        if os.name != "posix":
            raise ProcessFailure(
                "cannot be spoken to: this system cannot wait for several pipes; write the answers to files instead"
            )
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:  # the latter: a NUL in the command
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ProcessFailure(
                f"cannot be started: {one_line(command[0], 80)!r}: {reason}; give the path of an executable file"
            ) from error
        self._outgoing = bytearray()
        self._incoming = bytearray()
        self._n_searched = 0  # bytes of it that hold no newline
        self._log = bytearray()
        self._close_when_sent = False
        self._selector = selectors.DefaultSelector()
        for stream in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(stream.fileno(), False)
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._selector.register(self._stderr, selectors.EVENT_READ)

    def send(self, line: bytes) -> None:
        """Begin to send a line; `receive` goes on with it."""
        self._outgoing += line + b"\n"
        self._watch_stdin()

    def close_stdin(self) -> None:
        """Say that nothing follows what has been sent."""
        self._close_when_sent = True
        self._watch_stdin()

    def receive(self, deadline: float) -> bytes:
        """Return its next line, without the newline, at `deadline` (of `time.monotonic`) at the latest."""
        start = time.monotonic()
        while (line := self._take_line()) is None:
            if len(self._incoming) > LONGEST_LINE:
                raise ProcessFailure(
                    f"wrote a line of more than {LONGEST_LINE} bytes; write large answers to the file that the "
                    "question names"
                )
            if not self._is_open(self._stdout):
                raise ProcessFailure(self._how_it_ended())
            if not self._serve_pipes(deadline):
                raise ProcessFailure(self._how_it_hangs(round(deadline - start, 1)))
        return line

    def ending(self) -> str:
        """Return how it ended; empty while it lives."""
        status = self._process.poll()
        if status is None:
            return ""
        return f"ended with exit status {status}" if status >= 0 else f"was ended by {_signal_name(-status)}"

    def kill(self) -> None:
        """End the process and all that it started; harmless where it has ended."""
        self._kill_group()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(DYING_SECONDS)
        self._selector.close()
        for stream in (self._stdin, self._stdout, self._stderr):
            with contextlib.suppress(OSError):
                stream.close()

    @property
    def _stdin(self) -> IO[bytes]:
        return _piped(self._process.stdin)

    @property
    def _stdout(self) -> IO[bytes]:
        return _piped(self._process.stdout)

    @property
    def _stderr(self) -> IO[bytes]:
        return _piped(self._process.stderr)

    def _take_line(self) -> bytes | None:
        end = self._incoming.find(b"\n", self._n_searched)
        if end < 0:
            self._n_searched = len(self._incoming)
            return None
        line = bytes(self._incoming[:end])
        del self._incoming[: end + 1]
        self._n_searched = 0
        return line

    def _serve_pipes(self, deadline: float) -> bool:
        """Wait until a pipe is ready, and serve it; False if the deadline comes first."""
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return False
        for key, _ in self._selector.select(remaining):
            if key.fileobj is self._stdin:
                self._write()
            else:
                self._read(key.fd)
        return True

    def _write(self) -> None:
        try:
            n_written = os.write(self._stdin.fileno(), self._outgoing[:CHUNK])
            del self._outgoing[:n_written]
        except BlockingIOError:
            return
        except OSError:  # it reads no more; its output will tell what became of it
            self._outgoing.clear()
        if not self._outgoing:
            self._selector.unregister(self._stdin)
            if self._close_when_sent:
                self._stdin.close()

    def _read(self, descriptor: int) -> None:
        stream = self._stdout if descriptor == self._stdout.fileno() else self._stderr
        try:
            chunk = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return
        if not chunk:
            self._selector.unregister(stream)
        elif stream is self._stdout:
            self._incoming += chunk
        else:
            self._log += chunk
            del self._log[:-LOG_BYTES]

    def _watch_stdin(self) -> None:
        if not self._stdin.closed and not self._is_open(self._stdin):
            self._selector.register(self._stdin, selectors.EVENT_WRITE)

    def _is_open(self, stream: IO[bytes]) -> bool:
        return stream in {key.fileobj for key in self._selector.get_map().values()}

    def _kill_group(self) -> None:
        # The group outlives its leader for as long as it has members.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _how_it_hangs(self, seconds: float) -> str:
        ending = self.ending()
        self._kill_group()
        if ending:
            return f"{ending} before it answered, and left its output open to a process that it started"
        begun = self._incoming[:80].decode("utf-8", "replace")
        if begun:
            return f"wrote {one_line(begun)!r} and no end of that line within {seconds:g} s; it was killed"
        if self._outgoing:
            return f"did not read its standard input for {seconds:g} s; it was killed"
        return (
            f"gave no answer within {seconds:g} s, and was killed; if it did answer, it must flush its standard "
            f"output after each line{self._last_words()}"
        )

    def _how_it_ended(self) -> str:
        deadline = time.monotonic() + DYING_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            self._serve_pipes(min(deadline, time.monotonic() + 0.01))
        ending = self.ending()
        self._kill_group()
        if not ending:
            return f"closed its standard output without an answer, and was killed{self._last_words()}"
        begun = self._incoming[:80].decode("utf-8", "replace")
        within = f", in the middle of the line {one_line(begun)!r}" if begun else ""
        return f"{ending} before it answered{within}{self._last_words()}"

    def _last_words(self) -> str:
        """Return the last lines that it wrote to stderr before it was killed, as the end of a sentence."""
        for stream in (self._stdin, self._stdout):
            if self._is_open(stream):
                self._selector.unregister(stream)
        deadline = time.monotonic() + LOG_SECONDS
        while self._is_open(self._stderr) and self._serve_pipes(deadline):
            pass
        lines = [line for line in self._log.decode("utf-8", "replace").splitlines() if line.strip()]
        return f"; its last words: {one_line(' / '.join(lines[-LOG_LINES:]))}" if lines else ""


def _piped(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ProcessFailure("was started without pipes")
    return stream


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
