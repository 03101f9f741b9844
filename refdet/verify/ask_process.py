"""Ask a program over its standard input and output (`protocol.py` has the lines).

Every question gets exactly one outcome, in order, whatever the program does, and what it does wrong lands on the
question that was open (`respondent.py`). A second answer, or an end without being told bye, makes an error of the
answer before it: that is why an outcome is handed on when the next one is there.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from refdet.core.check import Array
from refdet.verify.line_process import ProcessFailure
from refdet.verify.protocol import Hello, ProtocolError, Reply, decode_tensors, run_line
from refdet.verify.question import Outcome, Question
from refdet.verify.respondent import Respondent
from refdet.verify.suite import Suite
from refdet.verify.tensor_files import TensorFileError, read_tensors


def ask_process(
    command: str | Sequence[str],
    questions: Iterable[Question],
    suite: Suite,
    *,
    time_limit: float = 30.0,
    start_limit: float = 60.0,
    on_hello: Callable[[Hello], None] = lambda hello: None,
) -> Iterator[Outcome]:
    """Yield the outcome of each question, all of which are cases of `suite`.

    - command: the program and its arguments; a string is split as a shell would, and no shell runs it.
    - time_limit: seconds for one answer; `start_limit`: for the hello.
    - on_hello: is given what the program says of itself, once, before the first outcome; never, if it says nothing.
    """
    entries = {entry["id"]: entry for entry in suite.manifest["cases"]}
    with (
        tempfile.TemporaryDirectory(prefix="refdet-verify-", ignore_cleanup_errors=True) as scratch,
        contextlib.closing(Respondent(command, suite.version, start_limit, on_hello)) as respondent,
    ):
        held: list[Outcome] = []  # the last question that was asked, and what was skipped since
        for seq, question in enumerate(questions, start=1):
            if not respondent.offers(question.algorithm):
                held.append(Outcome(question.id, skipped=f"{respondent.name} does not implement {question.algorithm}"))
                continue
            answer_file = Path(scratch) / f"{seq}.safetensors"
            line = run_line(seq, question, entries[question.id], suite.root, answer_file)
            outcome = _ask(respondent, seq, line, question.id, answer_file, time_limit)
            yield from _released(held, respondent.late_problem)
            held = [outcome]
        respondent.say_bye()
        yield from _released(held, respondent.late_problem)


def _ask(respondent: Respondent, seq: int, line: bytes, case_id: str, answer_file: Path, time_limit: float) -> Outcome:
    """Return the outcome of one question."""
    try:
        start, reply = respondent.ask(seq, line, time_limit)
    except (ProcessFailure, ProtocolError) as failure:
        return Outcome(case_id, error=f"the program {failure}")
    outcome = Outcome(case_id, seconds=time.monotonic() - start)
    if reply.type == "skip":
        return replace(outcome, skipped=reply.text or "no reason is given")
    if reply.type == "error":
        return replace(outcome, error=f"the program says: {reply.text or 'an error'}")
    try:
        return replace(outcome, answers=_answers(reply, answer_file))
    except TensorFileError as error:
        return replace(outcome, error=f"the answer cannot be read: {error}")
    finally:
        with contextlib.suppress(OSError):  # not there, or no file
            answer_file.unlink()


def _answers(reply: Reply, answer_file: Path) -> Mapping[str, Array]:
    if reply.tensors is None:
        if not answer_file.exists():
            raise TensorFileError('there are neither tensors in the line nor the file that "answer" names')
        return read_tensors(answer_file)
    if answer_file.exists():
        raise TensorFileError("there are tensors in the line and in the file; write one of them")
    return decode_tensors(reply.tensors)


def _released(held: list[Outcome], late_problem: str) -> Iterator[Outcome]:
    """Yield outcomes that are final now; `late_problem` is the first one's, the only one that was asked."""
    for i, outcome in enumerate(held):
        if i == 0 and late_problem and not outcome.error:
            outcome = Outcome(outcome.id, error=f"the program {late_problem}")
        yield outcome
