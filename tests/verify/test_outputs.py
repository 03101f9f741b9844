"""Answers in a folder: each file is the outcome of its own case, and no file is overlooked."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from refdet.verify.ask import question_of
from refdet.verify.outputs import read_outputs
from refdet.verify.question import Outcome, Question, Unavailable
from refdet.verify.suite import load_suite
from refdet.verify.tensor_files import write_tensors

RELU = [question_of(case) for case in load_suite().cases("relu")]
ADD = [question_of(case) for case in load_suite().cases("add")]
ANSWER = {"y": np.array([1.0, 2.0])}


def answered(folder: Path, questions: list[Question], suffix: str = ".safetensors") -> None:
    for question in questions:
        path = folder / f"{question.id}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".npz":
            np.savez(path, y=ANSWER["y"])
        else:
            write_tensors(path, ANSWER)


def assert_answered(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        assert not outcome.error
        assert outcome.answers is not None
        np.testing.assert_array_equal(outcome.answers["y"], ANSWER["y"])


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_every_case_answered(tmp_path: Path, suffix: str) -> None:
    answered(tmp_path, RELU, suffix)
    outcomes, problems = read_outputs(tmp_path, RELU)
    assert [outcome.id for outcome in outcomes] == [question.id for question in RELU]
    assert_answered(outcomes)
    assert problems == []


def test_a_missing_file_is_an_error_and_a_missing_algorithm_a_skip(tmp_path: Path) -> None:
    answered(tmp_path, RELU[1:])
    outcomes, problems = read_outputs(tmp_path, RELU + ADD)
    assert outcomes[0].error == (  # the same for all, so that a report can put them together
        "no file: write the answers to ALGORITHM/CASE.safetensors (or .npz), or the reason why there are none to "
        "ALGORITHM/CASE.skip"
    )
    assert_answered(outcomes[1 : len(RELU)])
    assert {outcome.skipped for outcome in outcomes[len(RELU) :]} == {"no outputs of add"}
    assert problems == []


def test_a_skip_has_a_reason(tmp_path: Path) -> None:
    answered(tmp_path, RELU[3:])
    (tmp_path / f"{RELU[0].id}.skip").write_text("no NaN\n  in fixed point\x1b[31m\n")
    (tmp_path / f"{RELU[1].id}.skip").write_bytes(b"")
    (tmp_path / f"{RELU[2].id}.skip").write_bytes(b"\xff" * 100_000)
    outcomes, _ = read_outputs(tmp_path, RELU)
    assert outcomes[0].skipped == "no NaN in fixed point?[31m"
    assert outcomes[1].skipped == "no reason is given"
    assert len(outcomes[2].skipped) == 300
    assert_answered(outcomes[3:])


def test_a_file_that_cannot_be_read_is_an_error_of_its_own_case(tmp_path: Path) -> None:
    answered(tmp_path, RELU)
    path = tmp_path / f"{RELU[0].id}.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    os.unlink(tmp_path / f"{RELU[1].id}.safetensors")
    os.mkfifo(tmp_path / f"{RELU[1].id}.skip")
    os.unlink(tmp_path / f"{RELU[2].id}.safetensors")
    (tmp_path / f"{RELU[2].id}.skip").symlink_to("nowhere")
    outcomes, problems = read_outputs(tmp_path, RELU)
    assert outcomes[0].error.startswith(f"{path.name}: tensor 'y' ends at byte 16 of the data, which has 15 bytes")
    assert outcomes[1].error.endswith(".skip: it is no regular file")
    assert outcomes[2].error.endswith(".skip: it is no regular file")
    assert_answered(outcomes[3:])
    assert problems == []


def test_two_files_for_one_case(tmp_path: Path) -> None:
    answered(tmp_path, RELU)
    (tmp_path / f"{RELU[0].id}.skip").write_text("not yet")
    outcomes, _ = read_outputs(tmp_path, RELU)
    assert outcomes[0].error == f"{RELU[0].id}.safetensors and {RELU[0].id}.skip are both there; leave one of them"
    assert_answered(outcomes[1:])


def test_files_of_no_case_are_named(tmp_path: Path) -> None:
    answered(tmp_path, RELU)
    (tmp_path / "relu" / "emty.npz").write_bytes(b"")
    (tmp_path / "relu" / "image.pt").write_bytes(b"")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "notes\n.txt").write_text("")
    outcomes, problems = read_outputs(tmp_path, RELU)
    assert_answered(outcomes)
    assert problems == [
        "deep/er/notes .txt belongs to no case",
        "relu/emty.npz belongs to no case; the nearest is relu/empty",
        "relu/image.pt is not read: answers are .safetensors or .npz files, reasons to skip .skip files",
    ]


def test_an_empty_folder_of_no_algorithm_is_named(tmp_path: Path) -> None:
    answered(tmp_path, RELU)
    for name in ("rellu", "add", "§"):
        (tmp_path / name).mkdir()
    _, problems = read_outputs(tmp_path, RELU + ADD)
    assert problems == [
        "rellu/ is empty, and no algorithm is called so; the nearest is relu",
        "§/ is empty, and no algorithm is called so",
    ]


def test_files_of_known_cases_that_are_not_asked_are_no_problem(tmp_path: Path) -> None:
    answered(tmp_path, RELU)
    _, problems = read_outputs(tmp_path, RELU[:1], known=[question.id for question in RELU])
    assert problems == []
    _, problems = read_outputs(tmp_path, RELU[:1])
    assert len(problems) == len(RELU) - 1


def test_a_thousand_files_of_no_case_are_counted(tmp_path: Path) -> None:
    for i in range(1000):
        (tmp_path / f"{i:04}").write_text("")
    outcomes, problems = read_outputs(tmp_path, RELU)
    assert {outcome.skipped for outcome in outcomes} == {"no outputs of relu"}
    assert problems[0] == "0000 belongs to no case"
    assert problems[20:] == ["980 more files belong to no case"]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"absent is no folder; write the answers to .*/ALGORITHM/CASE\.safetensors"):
        read_outputs(tmp_path / "absent", RELU)
