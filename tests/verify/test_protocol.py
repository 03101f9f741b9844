"""A program that is asked over the protocol may do anything: it costs the case in question, and no other."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet.verify import line_process, respondent
from refdet.verify.ask import question_of
from refdet.verify.ask_process import ask_process
from refdet.verify.protocol import (
    Hello,
    ProtocolError,
    decode_tensors,
    parse_hello,
    parse_reply,
    run_line,
)
from refdet.verify.question import Outcome
from refdet.verify.suite import load_suite
from refdet.verify.tensor_files import TensorFileError

SUITE = load_suite()
RELU = [question_of(case) for case in SUITE.cases("relu")]
ADD = [question_of(case) for case in SUITE.cases("add")]
SECOND = RELU[1].id

# A program that answers each question with its own number. A test replaces some of its functions.
PROGRAM = """
import json, os, signal, subprocess, sys, time

def say(**message):
    sys.stdout.write(json.dumps(message) + "\\n")
    sys.stdout.flush()

def answer(seq):
    say(type="result", seq=seq, tensors={"y": {"dtype": "int64", "shape": [], "hex": seq.to_bytes(8, "little").hex()}})

def hello():
    say(type="hello", protocol=1, name="odd", version="1.2", algorithms=["relu"])

def misbehave(request):
    pass

def bye():
    sys.exit()

BEHAVIOUR

for line in sys.stdin:
    request = json.loads(line)
    if request["type"] == "hello":
        hello()
    elif request["type"] == "bye":
        bye()
    elif request["id"] == "SECOND":
        misbehave(request)
    else:
        answer(request["seq"])
"""

Ask = Callable[..., list[Outcome]]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """Ask a program with that behaviour the cases of relu; afterwards neither files nor processes must be left."""
    monkeypatch.setattr(respondent, "BYE_SECONDS", 0.5)
    monkeypatch.setattr(respondent, "IN_STEP_SECONDS", 0.3)
    monkeypatch.setattr(line_process, "DYING_SECONDS", 0.3)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setenv("STARTS", str(tmp_path / "starts"))
    program = tmp_path / "program.py"

    def ask_with(behaviour: str = "", questions: Any = RELU, **options: Any) -> list[Outcome]:
        count = "open(os.environ['STARTS'], 'a').write(f'{os.getpid()}\\n')\n"
        program.write_text(PROGRAM.replace("SECOND", SECOND).replace("BEHAVIOUR", count + behaviour))
        command = [sys.executable, "-S", "-W", "ignore", str(program)]
        return list(ask_process(command, questions, SUITE, **{"time_limit": 0.5, "start_limit": 5.0} | options))

    yield ask_with
    assert list(scratch.iterdir()) == []
    assert living_members(set(starts(tmp_path))) == []


def starts(tmp_path: Path) -> list[int]:
    """The ids of the processes that were started."""
    path = tmp_path / "starts"
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []


def living_members(groups: set[int]) -> list[str]:
    """The processes in these groups that still run, as Linux tells it; those killed take a moment to go."""
    for _ in range(100):
        states = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                state, _, group = path.read_text().rpartition(")")[2].split()[:3]
                if int(group) in groups and state not in "ZX":
                    states.append(path.read_text())
        if not states:
            break
        time.sleep(0.01)
    return states


def assert_answered(outcomes: list[Outcome], *seqs: int) -> None:
    """The outcomes of these questions are their own answers."""
    for seq in seqs:
        outcome = outcomes[seq - 1]
        assert not outcome.error
        assert outcome.answers is not None
        assert outcome.answers["y"] == seq
        assert outcome.seconds is not None


def assert_second_fails(outcomes: list[Outcome], sentence: str) -> None:
    assert [outcome.id for outcome in outcomes] == [question.id for question in RELU]
    assert_answered(outcomes, 1, 3, 4)
    assert outcomes[1].answers is None
    assert outcomes[1].error.startswith("the program ")
    assert sentence in outcomes[1].error
    assert outcomes[1].error.isprintable()


def test_a_program_that_answers(ask: Ask, tmp_path: Path) -> None:
    heard: list[Hello] = []
    outcomes = ask("misbehave = lambda request: answer(request['seq'])", [*ADD, *RELU, *ADD], on_hello=heard.append)
    assert heard == [Hello("odd", "1.2", ("relu",))]
    assert [outcome.id for outcome in outcomes] == [question.id for question in [*ADD, *RELU, *ADD]]
    assert {outcome.skipped for outcome in [*outcomes[:5], *outcomes[9:]]} == {"odd does not implement add"}
    assert_answered(outcomes, 6, 7, 8, 9)
    assert len(starts(tmp_path)) == 1


MISBEHAVIOUR = {
    "hang": ("time.sleep(60)", "gave no answer within 0.5 s, and was killed; if it did answer, it must flush"),
    "partial line, then hang": (
        "print('{\"type\":', end='', flush=True); time.sleep(60)",
        "no end of that line within",
    ),
    "exit": (
        "print('deep\\ntrouble', file=sys.stderr); sys.exit(3)",
        "exit status 3 before it answered; its last words",
    ),
    "exception": ("1 / 0", "ZeroDivisionError: division by zero"),
    "signal": ("os.kill(os.getpid(), signal.SIGSEGV)", "was ended by SIGSEGV before it answered"),
    "stdout closed": ("os.close(1); time.sleep(60)", "closed its standard output without an answer"),
    "partial line, then exit": ("print('half', end='', flush=True); os._exit(0)", "in the middle of the line 'half'"),
    "garbage, then hang": ("print('hm', flush=True); time.sleep(60)", "not JSON: 'hm'; standard output is for answers"),
    "garbage, then exit": ("print('hm', flush=True); os._exit(1)", "; then it ended with exit status 1"),
    "no UTF-8": ("os.write(1, b'\\xff\\n'); time.sleep(60)", "wrote a line that is not UTF-8"),
    "no object": ("print(7, flush=True); time.sleep(60)", "no JSON object: '7'"),
    "deep": ("print('[' * 100_000, flush=True); time.sleep(60)", "not JSON"),
    "other seq": ("answer(99); time.sleep(60)", "answered question 99 when question 2 was open"),
    "no seq": ("say(type='result'); time.sleep(60)", "answered with seq None; it must be the number"),
    "unknown type": ("say(type='\\x1b[2J', seq=2); time.sleep(60)", "answers are result, skip or error"),
    "a line without end": ("while True: os.write(1, b'x' * 65536)", "a line of more than 16777216 bytes"),
    "flood of lines": ("while True: os.write(1, b'x\\n' * 9999)", "not JSON: 'x'"),
    "flood of stderr, then hang": ("while True: os.write(2, b'x\\n' * 9999)", "its last words: x / x / x"),
    "reads nothing more": ("os.close(0); time.sleep(60)", "gave no answer"),
    "child that holds the pipes": (
        "subprocess.Popen(['sleep', '60']); sys.stdout.flush(); os._exit(4)",
        "ended with exit status 4 before it answered, and left its output open to a process that it started",
    ),
}


@pytest.mark.parametrize(("behaviour", "sentence"), MISBEHAVIOUR.values(), ids=MISBEHAVIOUR)
def test_started_again_after_what_cannot_be_trusted(ask: Ask, tmp_path: Path, behaviour: str, sentence: str) -> None:
    outcomes = ask(f"def misbehave(request):\n    {behaviour}")
    assert_second_fails(outcomes, sentence)
    assert len(starts(tmp_path)) == 2


IN_STEP = {
    "garbage": ("print('hm'); answer(2)", "wrote a line that is not JSON: 'hm'; standard output is for answers alone"),
    "much garbage": ("print('\\n' * 5000); answer(2)", "not JSON: ''"),
    "other seq": ("answer(99); answer(2)", "answered question 99 when question 2 was open"),
    "future seq": ("answer(3); answer(2)", "answered question 3 when question 2 was open"),
    "answered twice": ("answer(2); answer(2)", "answered twice; one answer is due to each question"),
    "answered thrice": ("answer(2); answer(2); answer(2)", "answered twice"),
    "keys that come twice": ('print(\'{"seq": 1, "seq": 2}\'); answer(2)', "not JSON"),
}


@pytest.mark.parametrize(("behaviour", "sentence"), IN_STEP.values(), ids=IN_STEP)
def test_kept_where_it_comes_to_its_answer(ask: Ask, tmp_path: Path, behaviour: str, sentence: str) -> None:
    outcomes = ask(f"def misbehave(request): {behaviour}")
    assert_second_fails(outcomes, sentence)
    assert len(starts(tmp_path)) == 1


def test_a_second_answer_to_the_last_question(ask: Ask) -> None:
    outcomes = ask("def misbehave(request): answer(2); answer(2)", RELU[:2])
    assert_answered(outcomes, 1)
    assert "answered twice" in outcomes[1].error


def test_a_second_answer_that_comes_late(ask: Ask) -> None:
    """It lands on the question that it answers, though the next one is open by then, and skips lie between."""
    behaviour = "def misbehave(request):\n    answer(2)\n    if not os.fork(): time.sleep(0.1); answer(2); os._exit(0)"
    slow = "\nfast = answer\ndef answer(seq):\n    if seq > 2: time.sleep(0.3)\n    fast(seq)"
    outcomes = ask(behaviour + slow, [*RELU[:2], ADD[0], *RELU[2:]])
    assert_answered(outcomes, 1, 4, 5)
    assert "answered twice" in outcomes[1].error
    assert outcomes[2].skipped


def test_a_program_that_ends_after_its_answer(ask: Ask, tmp_path: Path) -> None:
    """Whether that is seen before or after the next question is put, it is seen, and the rest is answered."""
    slow = "\nfast = answer\ndef answer(seq):\n    if seq == 1: time.sleep(0.1)\n    fast(seq)"
    outcomes = ask("def misbehave(request): answer(2); os._exit(7)" + slow)
    assert_answered(outcomes, 1, 4)
    assert "ended with exit status 7" in outcomes[1].error + outcomes[2].error
    assert len(starts(tmp_path)) == 2


def test_what_reads_nothing_blocks_nobody(ask: Ask, tmp_path: Path) -> None:
    """The question is larger than the pipe."""
    huge = dataclasses.replace(RELU[2], outputs=("y" * (1 << 20),))
    outcomes = ask("def misbehave(request): answer(2); time.sleep(60)", [RELU[0], RELU[1], huge, RELU[3]])
    assert_answered(outcomes, 1, 2, 4)
    assert "did not read its standard input for 0.5 s" in outcomes[2].error
    assert len(starts(tmp_path)) == 2


def test_a_line_without_end_takes_little_memory(ask: Ask) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ask("def misbehave(request):\n    while True: os.write(1, b'x' * (1 << 20))", time_limit=20.0)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # KiB
    assert grown < 100 << 10


def test_megabytes_on_stderr_do_no_harm(ask: Ask) -> None:
    outcomes = ask("def misbehave(request): sys.stderr.write('x' * 8_000_000); answer(2)", time_limit=10.0)
    assert_answered(outcomes, 1, 2, 3, 4)


def test_what_is_left_of_the_process_group_is_killed(ask: Ask, tmp_path: Path) -> None:
    """The fixture looks for members of the group; this grandchild would stay for a minute."""
    ask("def misbehave(request): subprocess.Popen(['sleep', '60']); answer(2)")
    assert len(starts(tmp_path)) == 1


def test_every_case_may_hang(ask: Ask, tmp_path: Path) -> None:
    outcomes = ask("def answer(seq): time.sleep(60)\nmisbehave = answer", time_limit=0.2)
    assert len(outcomes) == len(RELU)
    assert all("no answer within 0.2 s" in outcome.error for outcome in outcomes)
    assert len(starts(tmp_path)) == len(RELU)


def test_bye_is_ignored(ask: Ask) -> None:
    start = time.monotonic()
    outcomes = ask("misbehave = lambda request: answer(2)\nbye = lambda: time.sleep(60)")
    assert_answered(outcomes, 1, 2, 3, 4)
    assert time.monotonic() - start < 5


NO_HELLO = {
    "silence": ("def hello(): pass", "it gave no answer within 0.5 s"),
    "another protocol": ("def hello(): say(type='hello', protocol=2)", "it speaks protocol 2; this is protocol 1"),
    "a banner": ("print('Welcome', flush=True)", "it wrote a line that is not JSON: 'Welcome'"),
    "an answer": ("def hello(): answer(1)", "the first line must be its hello"),
    "no name": ("def hello(): say(type='hello', protocol=1)", "whose name is None; it must be a string"),
    "no list": (
        "def hello(): say(type='hello', protocol=1, name='odd', algorithms='relu')",
        "algorithms that are no list of names",
    ),
    "an import that fails": ("import no_such_module", "No module named 'no_such_module'"),
}


@pytest.mark.parametrize(("behaviour", "sentence"), NO_HELLO.values(), ids=NO_HELLO)
def test_without_hello_every_case_fails_and_it_is_started_once(
    ask: Ask, tmp_path: Path, behaviour: str, sentence: str
) -> None:
    heard: list[Hello] = []
    outcomes = ask(behaviour, start_limit=0.5, on_hello=heard.append)
    assert [outcome.id for outcome in outcomes] == [question.id for question in RELU]
    assert all(outcome.error.startswith("the program did not come as far as its hello: it ") for outcome in outcomes)
    assert all(sentence in outcome.error for outcome in outcomes)
    assert heard == []
    assert len(starts(tmp_path)) == 1


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("/no/such/program --fast", "'/no/such/program': No such file or directory; give the path"),
        (["/etc/passwd"], "'/etc/passwd': Permission denied"),
        ("'never closed", "No closing quotation"),
        ("  ", "the command is empty"),
        (["a\0b"], "embedded null byte"),
    ],
)
def test_a_command_that_cannot_be_started(command: Any, sentence: str) -> None:
    outcomes = list(ask_process(command, RELU, SUITE))
    assert len(outcomes) == len(RELU)
    assert all("cannot be started" in outcome.error and sentence in outcome.error for outcome in outcomes)


def test_after_three_failed_starts_in_a_row_it_is_not_started_again(ask: Ask, tmp_path: Path) -> None:
    behaviour = (
        "first = open(os.environ['STARTS']).read().count('\\n') == 1\n"
        "if not first: sys.exit('no licence')\n"
        "def answer(seq): os._exit(1)"
    )
    outcomes = ask(behaviour, [*RELU, *RELU])
    assert "exit status 1 before it answered" in outcomes[0].error
    assert all("its last words: no licence" in outcome.error for outcome in outcomes[1:])
    assert len(starts(tmp_path)) == 4


def test_no_shell_runs_the_command(tmp_path: Path) -> None:
    list(ask_process(f"{sys.executable} -c 'pass' ; touch {tmp_path}/harm", RELU[:1], SUITE))
    assert list(tmp_path.iterdir()) == []


def test_without_algorithms_it_is_asked_everything(ask: Ask) -> None:
    outcomes = ask(
        "def hello(): say(type='hello', protocol=1, name='odd')\nmisbehave = lambda r: answer(2)", RELU[:3] + ADD
    )
    assert_answered(outcomes, *range(1, 9))


def test_skip_and_error(ask: Ask) -> None:
    for behaviour, skipped, error in [
        ("say(type='skip', seq=2, reason='no\\n int4')", "no int4", ""),
        ("say(type='skip', seq=2)", "no reason is given", ""),
        ("say(type='error', seq=2, message='out of \\ud800 memory')", "", "the program says: out of ? memory"),
        ("say(type='error', seq=2)", "", "the program says: an error"),
        (
            "say(type='error', seq=2, message=7); say(type='skip', seq=2)",
            "",
            "the program wrote a line whose message is 7; it must be a string",
        ),
    ]:
        outcomes = ask(f"def misbehave(request): {behaviour}")
        assert_answered(outcomes, 1, 3, 4)
        assert (outcomes[1].skipped, outcomes[1].error) == (skipped, error)


ANSWER_FILE = """
def misbehave(request):
    header = json.dumps({"y": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    content = len(header).to_bytes(8, "little") + header + bytes.fromhex("0000c07f")
"""


def test_an_answer_in_the_file(ask: Ask) -> None:
    """It is NaN, which is passed on like any other number."""
    outcomes = ask(ANSWER_FILE + "    open(request['answer'], 'wb').write(content)\n    say(type='result', seq=2)")
    assert_answered(outcomes, 1, 3, 4)
    assert outcomes[1].answers is not None
    np.testing.assert_array_equal(outcomes[1].answers["y"], np.array([np.nan], np.float32))


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        ("say(type='result', seq=2)", 'neither tensors in the line nor the file that "answer" names'),
        ("open(request['answer'], 'wb').write(content); answer(2)", "in the line and in the file; write one of them"),
        (
            "open(request['answer'], 'wb').write(content[:-1]); say(type='result', seq=2)",
            "2.safetensors: tensor 'y' ends",
        ),
        ("os.mkfifo(request['answer']); say(type='result', seq=2)", "no regular file"),
        ("os.mkdir(request['answer']); os.chmod(request['answer'], 0); say(type='result', seq=2)", "cannot be read"),
        (
            "say(type='result', seq=2, tensors={'y': {'dtype': 'int64', 'shape': [], 'hex': '00'}})",
            "needs 8 bytes and has 1",
        ),
    ],
)
def test_an_answer_that_cannot_be_read(ask: Ask, tmp_path: Path, behaviour: str, sentence: str) -> None:
    outcomes = ask(ANSWER_FILE + "    " + behaviour)
    assert_answered(outcomes, 1, 3, 4)
    assert outcomes[1].error.startswith("the answer cannot be read: ")
    assert sentence in outcomes[1].error
    assert len(starts(tmp_path)) == 1


def test_abandoned_in_the_middle(ask: Ask, tmp_path: Path) -> None:
    ask(questions=[])  # writes the program, which hangs at the second question
    outcomes = ask_process([sys.executable, "-S", str(tmp_path / "program.py")], RELU, SUITE, time_limit=0.5)
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]


def test_the_question_as_a_line() -> None:
    case = SUITE.case("conv2d/above-fast-path-thresholds")
    question = question_of(case)
    message = json.loads(run_line(7, question, case.entry, SUITE.root, Path("/tmp/7.safetensors")))
    assert message["params"] == case.entry["params"]
    assert message["arguments"] == case.entry["arguments"]
    assert message["absent"] == [name for name, x in question.arguments.items() if x is None] != []
    assert message["tensors"].keys() == {name for name, x in question.arguments.items() if x is not None}
    source = message["tensors"][case.entry["arguments"][0]]
    assert Path(source["file"]).is_absolute()
    assert source["key"] == f"above-fast-path-thresholds/{case.entry['arguments'][0]}"
    assert message["incoming_gradient"] is None
    assert message["gradients"] == []


@pytest.mark.parametrize("dtype", ["float32", "F32"])
def test_a_type_in_a_line_may_be_called_as_in_a_file(dtype: str) -> None:
    decoded = decode_tensors({"y": {"dtype": dtype, "shape": [1], "hex": "0000803f"}})
    np.testing.assert_array_equal(decoded["y"], np.ones(1, np.float32), strict=True)


@pytest.mark.parametrize(
    ("tensor", "sentence"),
    [
        (7, "is 7; it needs dtype, shape and hex"),
        ({"dtype": "bfloat16", "shape": [1], "hex": "0000"}, "has the dtype 'bfloat16'; write one of bool"),
        ({"dtype": "bfloat16", "shape": [1], "hex": "0000"}, "uint64, float32, float64$"),
        ({"dtype": "float32", "shape": [1], "hex": "0000803"}, "two hexadecimal digits for each byte"),
        ({"dtype": "float32", "shape": [1], "hex": "0000803g"}, "two hexadecimal digits"),
        ({"dtype": "float32", "shape": [1], "hex": 803}, "two hexadecimal digits"),
        ({"dtype": "float32", "shape": [2], "hex": "0000803f"}, "needs 8 bytes and has 4"),
        ({"dtype": "float32", "shape": [-1], "hex": "0000803f"}, "no list of sizes"),
        ({"dtype": "float32", "shape": None, "hex": "0000803f"}, "no list of sizes"),
        ({"dtype": "bool", "shape": [1], "hex": "02"}, "neither 0 nor 1"),
    ],
)
def test_tensors_in_a_line_are_checked(tensor: Any, sentence: str) -> None:
    with pytest.raises(TensorFileError, match=sentence):
        decode_tensors({"y": tensor})


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b'{"type": []}',
        b'{"type": "result", "seq": true}',
        b'{"type": "result", "seq": 1.0}',
        b'{"type": "result", "seq": 1, "tensors": []}',
        b'{"type": "skip", "seq": 1, "reason": {}}',
        b"\xff\xfe",
        b"9" * 5000,
    ],
)
def test_lines_that_are_no_reply(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_reply(line)
    with pytest.raises(ProtocolError):
        parse_hello(line)
