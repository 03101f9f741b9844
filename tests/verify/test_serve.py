"""The other side of the protocol: any adapter, in any interpreter, asked through lines."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.verify.adapters import Adapter
from refdet.verify.ask import question_of
from refdet.verify.ask_process import ask_process
from refdet.verify.compare import compare_tensor
from refdet.verify.protocol import Hello, ProtocolError, encoded, hello_line, run_line
from refdet.verify.question import Question, Skipped
from refdet.verify.serve import question_of_request, serve
from refdet.verify.suite import StoredCase, load_suite
from refdet.verify.tensor_files import read_tensors

ROOT = Path(__file__).parents[2]
SUITE = load_suite()
DEBIAN_PYTHON = "/usr/bin/python3"

# An implementation as a user writes it. It prints, which must not disturb.
MODULE = """
import numpy as np
from refdet.verify.question import Skipped
__version__ = "0.7"
print("loading")

def answer(question):
    print("asked", question.id, flush=True)
    if question.id == "relu/empty":
        raise Skipped("nothing to do")
    if question.id == "relu/image":
        raise ArithmeticError("out of\\nmultipliers")
    x = question.arguments["x"]
    return {"y": np.where(x < 0, 0, x), "unanswered": None}
"""


def answer(question: Question) -> Mapping[str, Array]:
    if question.algorithm == "add":
        raise Skipped("no sums here")
    x = question.arguments["x"]
    assert x is not None
    return {"y": np.maximum(x, 0)}


def run(case: StoredCase, answer_file: Path, seq: int = 7) -> bytes:
    return run_line(seq, question_of(case), case.entry, SUITE.root, answer_file)


def served(lines: list[bytes], adapter: Adapter | None = None) -> list[dict[str, Any]]:
    replies = io.BytesIO()
    serve(adapter or Adapter("mine", {"lib": "1.2", "other": "3"}, answer), lines, replies)
    return [json.loads(line) for line in replies.getvalue().splitlines()]


def test_a_conversation(tmp_path: Path) -> None:
    relu, add = next(SUITE.cases("relu")), next(SUITE.cases("add"))
    file = tmp_path / "7.safetensors"
    replies = served([hello_line("0.4.0"), run(relu, file), run(add, file, 8), encoded({"type": "bye"}), b"never read"])
    assert replies == [
        {"type": "hello", "protocol": 1, "name": "mine", "version": "lib 1.2, other 3"},
        {"type": "result", "seq": 7},
        {"type": "skip", "seq": 8, "reason": "no sums here"},
    ]
    np.testing.assert_array_equal(read_tensors(file)["y"], relu.answers["y"])


def test_the_question_arrives_as_it_was(tmp_path: Path) -> None:
    for case in SUITE.cases():
        asked = question_of(case)
        got = question_of_request(json.loads(run(case, tmp_path / "y")))
        assert (got.id, got.algorithm, got.outputs, got.gradients, got.stages) == (
            asked.id,
            asked.algorithm,
            asked.outputs,
            asked.gradients,
            asked.stages,
        )
        np.testing.assert_equal(got.params, asked.params)
        np.testing.assert_equal(dict(got.arguments), dict(asked.arguments))
        assert list(got.arguments) == list(asked.arguments)
        np.testing.assert_equal(got.incoming_gradient, asked.incoming_gradient)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda question: {"y": np.array([1j])}, "TypeError: y must be an array of numbers"),
        (lambda question: np.zeros(3), "TypeError: the answer must map names to arrays"),
        (lambda question: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda question: {"y": np.zeros(1, np.longdouble)}, "TensorFileError: tensor 'y' is"),
    ],
)
def test_what_the_implementation_does_wrong_is_its_reply(tmp_path: Path, wrong: Any, message: str) -> None:
    relu = next(SUITE.cases("relu"))
    (reply,) = served([run(relu, tmp_path / "7.safetensors")], Adapter("mine", {}, wrong))
    assert (reply["type"], reply["seq"]) == ("error", 7)
    assert message in reply["message"]


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"type": "hello", "protocol": 2}, "speaks protocol 2; this is protocol 1"),
        ({"type": "hello"}, "speaks protocol None; this is protocol 1"),
        ({"type": "stop"}, "of type 'stop'; requests are hello, run and bye"),
        ({"type": ["run"]}, "of type a list; requests are"),
    ],
)
def test_requests_that_are_refused(request_: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ProtocolError, match=sentence):
        served([encoded(request_)])


def test_a_question_that_lacks_something_is_an_error_of_its_own() -> None:
    (reply,) = served([encoded({"type": "run", "seq": 3})])
    assert reply == {"type": "error", "seq": 3, "message": "KeyError: 'tensors'"}


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_relu.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return "my_relu:answer"


@pytest.mark.parametrize("python", [sys.executable, DEBIAN_PYTHON])
def test_asked_from_end_to_end(module: str, python: str) -> None:
    if subprocess.run([python, "-c", "import numpy"], capture_output=True).returncode:
        pytest.skip(f"{python} has no NumPy")
    cases, heard = list(SUITE.cases("relu")), list[Hello]()
    command = f"{python} -m refdet.verify.serve {module}"
    outcomes = list(ask_process(command, [question_of(case) for case in cases], SUITE, on_hello=heard.append))
    assert heard == [Hello("my_relu:answer", "my_relu 0.7", None)]
    for case, outcome in zip(cases, outcomes, strict=True):
        assert outcome.skipped == ("nothing to do" if case.id == "relu/empty" else "")
        broken = case.id == "relu/image"
        assert outcome.error == ("the program says: ArithmeticError: out of multipliers" if broken else "")
        if outcome.answers is not None:
            assert compare_tensor(outcome.answers["y"], case.answers["y"], case.rule("y")) is None
    assert sum(outcome.answers is not None for outcome in outcomes) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "usage: python -m refdet.verify.serve ADAPTER"),
        (["nobody"], "no adapter is called 'nobody'; there are"),
        (["no_such_module:answer"], "the module 'no_such_module' does not import"),
    ],
)
def test_an_adapter_that_is_not_there(module: str, arguments: list[str], sentence: str) -> None:
    command = [sys.executable, "-m", "refdet.verify.serve", *arguments]
    (outcome,) = ask_process(command, [question_of(next(SUITE.cases("relu")))], SUITE)
    assert "ended with exit status 2 before it answered; its last words: " in outcome.error
    assert sentence in outcome.error


def test_a_line_that_is_no_request_ends_it(module: str) -> None:
    command = [sys.executable, "-m", "refdet.verify.serve", module]
    ended = subprocess.run(command, input=b"hello?\n", capture_output=True)
    assert ended.returncode == 2
    assert ended.stdout == b""
    assert b"refdet.verify.serve: the asking side wrote a line that is not JSON: 'hello?'" in ended.stderr
