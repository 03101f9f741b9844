"""The harnesses in other languages: they pass, and what they are told to do wrong is found out."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from golden.deviations import all_deviations
from refdet.verify.ask import question_of
from refdet.verify.ask_process import ask_process
from refdet.verify.compare import compare_tensor
from refdet.verify.run import select_cases, verify
from refdet.verify.suite import StoredCase, load_suite

FOLDER = Path(__file__).parents[2] / "golden" / "harness"
STRICT = ("-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror")
ALGORITHMS = ("box_iou", "max_pool2d", "nms", "roi_align")
WRONG = {
    "box.plus1=yes": {"box_iou", "nms"},
    "maxpool.emptywin=0": {"max_pool2d"},
    "nms.cmp=ge": {"nms"},
    "nms.tie=last": {"nms"},
    "roi.max=weighted": {"roi_align"},
    "roi.min1=always": {"roi_align"},
    "roi.offset=0": {"roi_align"},
    "roi.sampling=adaptive": {"roi_align"},
}  # by key, the algorithms that it changes


@pytest.fixture(scope="module", params=["c++", "node"])
def harness(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the command that starts a harness."""
    if request.param == "node":
        if shutil.which("node") is None:
            pytest.skip("there is no node")
        return ["node", str(FOLDER / "refdet_harness.mjs")]
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no g++")
    program = tmp_path_factory.mktemp("harness") / "refdet_harness"
    subprocess.run([compiler, *STRICT, "-o", str(program), str(FOLDER / "refdet_harness.cpp")], check=True, timeout=120)
    return [str(program)]


@pytest.fixture(scope="module")
def cases() -> list[StoredCase]:
    return select_cases(load_suite(), ALGORITHMS)


def test_a_harness_passes(harness: list[str], cases: list[StoredCase]) -> None:
    outcomes = list(ask_process(harness, [question_of(case) for case in cases], load_suite()))
    assert [outcome.id for outcome in outcomes] == [case.id for case in cases]
    for case, outcome in zip(cases, outcomes, strict=True):
        assert outcome.answers is not None, f"{case.id}: {outcome.error or outcome.skipped}"
        expected = {t["name"] for t in case.entry["tensors"] if t["role"] == "expected"}
        assert outcome.answers.keys() == expected
        for name, y in outcome.answers.items():
            mismatch = compare_tensor(y, case.answers[name], case.rule(name), case.tolerance(name))
            assert mismatch is None, f"{case.id}: {name}: {mismatch}"
            assert y.dtype == case.answers[name].dtype


@pytest.mark.parametrize("key", WRONG)
def test_what_it_does_wrong_is_named(harness: list[str], cases: list[StoredCase], key: str) -> None:
    outcomes = ask_process([*harness, f"--wrong={key}"], [question_of(case) for case in cases], load_suite())
    report = verify(load_suite(), cases, outcomes, implementation="harness", versions={})
    found = {verdict.algorithm: (verdict.kind, verdict.deviations, verdict.also) for verdict in report.verdicts}
    assert found == {name: ("VARIANT", (key,), ()) if name in WRONG[key] else ("PASS", (), ()) for name in ALGORITHMS}


def test_two_mistakes_are_both_named(harness: list[str]) -> None:
    cases, wrong = select_cases(load_suite(), ["nms"]), ("box.plus1=yes", "nms.cmp=ge")
    outcomes = ask_process([*harness, *(f"--wrong={k}" for k in wrong)], map(question_of, cases), load_suite())
    (verdict,) = verify(load_suite(), cases, outcomes, implementation="harness", versions={}).verdicts
    assert (verdict.kind, verdict.deviations) == ("VARIANT", wrong)


def test_keys_are_those_of_the_suite(harness: list[str]) -> None:
    assert {deviation.key for deviation in all_deviations()} >= WRONG.keys()
    for arguments in (["--wrong=roi.offset=1"], ["--wrong="], ["--help"], ["--wrong=nms.cmp=ge", "more"]):
        result = subprocess.run([*harness, *arguments], capture_output=True, text=True, timeout=30)
        assert (result.returncode, result.stdout) == (2, "")
        assert {line.split()[0] for line in result.stderr.splitlines() if line.startswith("  ")} == WRONG.keys()


def talk(harness: list[str], *messages: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    """Return the exit status of a harness, and what it answers."""
    text = "".join(json.dumps(message) + "\n" for message in messages)
    result = subprocess.run(harness, input=text, capture_output=True, text=True, timeout=30)
    return result.returncode, [json.loads(line) for line in result.stdout.splitlines()]


def test_what_it_does_not_have_is_skipped_and_what_it_cannot_read_is_an_error(harness: list[str]) -> None:
    hello = {"type": "hello", "protocol": 1, "suite_version": "0.0.0"}
    unknown = {"type": "run", "seq": 1, "algorithm": "toString", "params": {}, "tensors": {}}
    place = {"file": '/there is/no "file" – 𝛿.safetensors', "key": "x"}
    unreadable = {"type": "run", "seq": 2, "algorithm": "nms", "params": {}, "tensors": {"boxes": place}}
    status, (_, skip, error) = talk(harness, hello, unknown, unreadable, {"type": "bye"})
    assert status == 0
    assert skip == {"type": "skip", "seq": 1, "reason": "this harness does not implement toString"}
    assert (error["type"], error["seq"]) == ("error", 2)
    assert place["file"] in error["message"]


def test_another_protocol_is_refused(harness: list[str]) -> None:
    status, answers = talk(harness, {"type": "hello", "protocol": 2, "suite_version": "0.0.0"})
    assert (status, answers) == (1, [])


def test_a_type_it_cannot_compute_with_is_skipped(harness: list[str], tmp_path: Path) -> None:
    header = b'{"x": {"dtype": "F64", "shape": [], "data_offsets": [0, 8]}}'
    file = tmp_path / "x.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    place = {"file": str(file), "key": "x"}
    run = {"type": "run", "seq": 3, "algorithm": "nms", "params": {}, "tensors": {"boxes": place}}
    assert talk(harness, run)[1] == [{"type": "skip", "seq": 3, "reason": "this harness has no F64"}]


def test_the_harnesses_can_be_read_in_one_sitting() -> None:
    for name, most in (("refdet_harness.cpp", 500), ("refdet_harness.mjs", 350)):
        lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
        assert len(lines) <= most
        assert max(map(len, lines)) <= 120
