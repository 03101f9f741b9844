"""A program that answers questions over the protocol: started, greeted, kept in step, and started again.

- After a hang, a crash, or a line without end it is killed, and started again for the next question.
- A line that does not answer the open question is that question's error. The program then has a moment to come to its
  answer, after which both sides are in step again; otherwise it is started again.
- A program that does not come as far as its hello is not started again. One that once did may fail to start
  `MOST_FAILED_STARTS` times in a row.
"""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Callable, Sequence

from refdet.nn.checkpoint.errors import described
from refdet.verify.foreign_text import one_line
from refdet.verify.line_process import LineProcess, ProcessFailure
from refdet.verify.protocol import Hello, ProtocolError, Reply, encoded, hello_line, parse_hello, parse_reply

BYE_SECONDS = 5.0  # that a program has to end
IN_STEP_SECONDS = 1.0  # that it has to come to its answer after something else
MOST_FAILED_STARTS = 3
TWICE = "answered twice; one answer is due to each question"


class Respondent:
    """The program under test; `command` is split as a shell would, if it is a string, and no shell runs it."""

    def __init__(
        self,
        command: str | Sequence[str],
        suite_version: str,
        start_limit: float,
        on_hello: Callable[[Hello], None],
    ) -> None:
        self._command, self._suite_version = command, suite_version
        self._start_limit, self._on_hello = start_limit, on_hello
        self._process: LineProcess | None = None
        self._hello: Hello | None = None
        self._cannot_start = ""
        self._n_failed_starts = 0
        self._answered: int | None = None  # the last seq that this process answered
        self.late_problem = ""  # what came to light about the question before the last one

    @property
    def name(self) -> str:
        """What it calls itself."""
        return self._hello.name if self._hello else "the program"

    def offers(self, algorithm: str) -> bool:
        """Whether it wants to be asked; a program that does not start is asked, and fails."""
        if self._hello is None and not self._cannot_start:
            with contextlib.suppress(ProcessFailure):
                self._running()
        return self._hello is None or self._hello.algorithms is None or algorithm in self._hello.algorithms

    def ask(self, seq: int, line: bytes, time_limit: float) -> tuple[float, Reply]:
        """Return when the question was put, and the reply; on any error it is in step for the next question."""
        self.late_problem = ""
        if self._process is not None and (ending := self._process.ending()):
            self.late_problem = f"{ending} after its answer; it must wait for the next question until it is told bye"
            self.close()
        process = self._running()
        start = time.monotonic()
        process.send(line)
        try:
            reply = self._reply(process, seq, start + time_limit)
        except ProcessFailure:
            self.close()
            raise
        return start, reply

    def say_bye(self) -> None:
        """Ask it to end, and see whether it has more to say to the last question."""
        self.late_problem = ""
        if self._process is None:
            return
        self._process.send(encoded({"type": "bye"}))
        self._process.close_stdin()
        deadline = time.monotonic() + BYE_SECONDS
        with contextlib.suppress(ProcessFailure, ProtocolError):
            while True:
                if parse_reply(self._process.receive(deadline)).seq == self._answered:
                    self.late_problem = TWICE
        self.close()

    def close(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
        self._process = self._answered = None

    def _running(self) -> LineProcess:
        """Return the process, started and greeted if there is none."""
        if self._process is not None:
            return self._process
        if self._cannot_start:
            raise ProcessFailure(self._cannot_start)
        try:
            self._process = LineProcess(_arguments(self._command))
            self._process.send(hello_line(self._suite_version))
            hello = parse_hello(self._process.receive(time.monotonic() + self._start_limit))
        except (ProcessFailure, ProtocolError) as failure:
            self.close()
            self._n_failed_starts += 1
            sentence = f"did not come as far as its hello: it {failure}"
            if self._hello is None or self._n_failed_starts == MOST_FAILED_STARTS:
                self._cannot_start = sentence
            raise ProcessFailure(sentence) from failure
        self._n_failed_starts = 0
        if self._hello is None:
            self._on_hello(hello)
        self._hello = hello
        return self._process

    def _reply(self, process: LineProcess, seq: int, deadline: float) -> Reply:
        """Return the reply to the open question; raises `ProtocolError` if anything else came before it."""
        problem = ""
        while True:
            try:
                reply = parse_reply(process.receive(deadline))
                if reply.seq == seq:
                    break
                if reply.seq != self._answered:
                    raise ProtocolError(f"answered question {described(reply.seq)} when question {seq} was open")
                self.late_problem = TWICE
            except ProtocolError as error:
                problem = problem or str(error)
                deadline = min(deadline, time.monotonic() + IN_STEP_SECONDS)
            except ProcessFailure as failure:
                raise ProcessFailure(f"{problem}; then it {failure}" if problem else str(failure)) from failure
        self._answered = seq
        if problem:
            raise ProtocolError(problem)
        return reply


def _arguments(command: str | Sequence[str]) -> list[str]:
    try:
        arguments = shlex.split(command) if isinstance(command, str) else list(command)
    except ValueError as error:  # a quotation that does not end
        raise ProcessFailure(f"cannot be started: the command {one_line(str(command))!r} has {error}") from error
    if not arguments:
        raise ProcessFailure("cannot be started: the command is empty")
    return arguments
