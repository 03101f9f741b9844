"""Every adapter of an installed library answers the suite: right, or different in a way that is named or explained.

The numbers are what is reached, so that an adapter which skips more than it did fails. A difference that goes away,
because the library changed, fails as well: then its explanation goes.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from refdet.verify.adapters import load_adapter
from refdet.verify.ask import ask_adapter, question_of
from refdet.verify.ask_process import ask_process
from refdet.verify.conformance import conformance_record, outdated, unexplained
from refdet.verify.explanations import read_explanations
from refdet.verify.question import Outcome
from refdet.verify.run import select_cases, verify
from refdet.verify.suite import load_suite
from refdet.verify.verdict import Report

CASES = select_cases(load_suite())
ROOT = Path(__file__).parents[3]
DEBIAN = "/usr/bin/python3"  # whose torchvision needs a torch of its own

# adapter: the module it needs, and how many algorithms and cases it answers right at least
LIBRARIES = {
    "torch": ("torch", 54, 250),
    "onnxruntime": ("onnxruntime", 46, 260),
    "opencv": ("cv2", 46, 230),
    "scipy": ("scipy", 8, 50),
    "skimage": ("skimage", 5, 16),
    "pycocotools": ("pycocotools", 6, 58),
    "faster-coco-eval": ("faster_coco_eval", 6, 50),
    "pydensecrf": ("pydensecrf", 3, 25),
}


def assert_as_known(report: Report, n_algorithms: int, n_passed: int) -> None:
    explanations = read_explanations()
    record = conformance_record(CASES, [report], {}, explanations, suite_version="", date="")
    assert unexplained(record) == []
    assert outdated(record, explanations) == []
    assert sum(verdict.kind != "SKIP" for verdict in report.verdicts) >= n_algorithms
    assert report.count("pass") >= n_passed


def report_of(name: str, outcomes: Iterable[Outcome]) -> Report:
    return verify(load_suite(), CASES, outcomes, implementation=name, versions={})


def served(name: str, executable: str) -> Report:
    """Ask in a process of its own: some of these libraries end it by reading outside their memory."""
    command = [executable, "-m", "refdet.verify.serve", name]
    return report_of(name, ask_process(command, [question_of(case) for case in CASES], load_suite()))


@pytest.mark.oracle
@pytest.mark.parametrize("name", LIBRARIES)
def test_library(name: str) -> None:
    module, n_algorithms, n_passed = LIBRARIES[name]
    pytest.importorskip(module, reason=f"{module}, which is compared with, is not installed")
    if name in ("onnxruntime", "opencv"):
        pytest.importorskip("onnx", reason="onnx, which writes the models to run, is not installed")
    assert_as_known(served(name, sys.executable), n_algorithms, n_passed)


@pytest.mark.oracle
def test_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers in the interpreter that has it: nothing that it imports needs more than torch and NumPy."""
    executable = sys.executable if importlib.util.find_spec("torchvision") else DEBIAN
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep))
    imports = [executable, "-c", "import torchvision"]
    if shutil.which(executable) is None or subprocess.run(imports, capture_output=True).returncode:
        pytest.skip("torchvision is not installed")
    assert_as_known(served("torchvision", executable), 16, 120)


@pytest.mark.parametrize("name", ["refdet", "refdet:numba-cpu"])
def test_refdet(name: str) -> None:
    if name != "refdet":
        pytest.importorskip("numba", reason="numba, which the backend needs, is not installed")
    questions = [question_of(case) for case in CASES]
    report = report_of(name, ask_adapter(load_adapter(name), questions))
    assert [r.id for r in report.results if r.verdict != "pass"] == []
    assert not any(r.not_answered for r in report.results)
