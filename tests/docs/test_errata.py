"""Every reproduction on the errata page gives what it shows, where the stated version of the library is installed."""

from __future__ import annotations

import doctest
import importlib.metadata
import importlib.util
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from refdet.verify.explanations import KINDS, read_explanations
from refdet.verify.suite import load_suite
from tests.torchvision_process import NOT_INSTALLED, PYTHON

PAGE = (Path(__file__).parents[2] / "docs" / "errata.md").read_text(encoding="utf-8")
SETUP = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
HEADING = re.compile(r'^### <a id="([a-z0-9-]+)"></a>(.+)$', flags=re.MULTILINE)
ABOUT = re.compile(r"^(\S+) (\d[\w.]*) · (\w+)(?: · (.+))?$")
MODULES = {"opencv": "cv2", "pydensecrf2": "pydensecrf"}  # where a library's module has another name
DISTRIBUTIONS = {"opencv": ("opencv-contrib-python-headless", "opencv-python-headless", "opencv-python")}
ELSEWHERE = "torchvision"  # not installed beside the torch that other entries are about
SERVED = f"""
import doctest, json, sys
try:
    import numpy as np, torchvision
except ImportError:
    sys.exit({NOT_INSTALLED})
failures = {{"version": torchvision.__version__}}
for name, source in json.load(sys.stdin).items():
    told = []
    test = doctest.DocTestParser().get_doctest(source, {{"np": np}}, name, name, 0)
    doctest.DocTestRunner(verbose=False).run(test, out=told.append)
    failures[name] = "".join(told)
json.dump(failures, sys.stdout)
"""


@dataclass(frozen=True)
class Entry:
    """One section of the page."""

    anchor: str
    library: str
    version: str
    kind: str
    cases: tuple[str, ...]
    source: str


def entries() -> list[Entry]:
    found = []
    headings = list(HEADING.finditer(PAGE))
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        text = PAGE[heading.end() : following.start() if following else len(PAGE)]
        about = ABOUT.match(text.strip().splitlines()[0])
        assert about, f"{heading[1]}: write LIBRARY VERSION · KIND · CASES below the heading"
        library, version, kind, cases = about.groups()
        blocks = re.findall(r"```pycon\n(.*?)```", text, flags=re.DOTALL)
        found.append(
            Entry(heading[1], library, version, kind, tuple(re.findall("`(.+?)`", cases or "")), "".join(blocks))
        )
    return found


ENTRIES = entries()
IDS = [entry.anchor for entry in ENTRIES]


def failures_of(source: str, names: dict[str, Any], anchor: str) -> str:
    """Return what a doctest says of the examples that do not give what they show."""
    told: list[str] = []
    test = doctest.DocTestParser().get_doctest(source, names, anchor, "docs/errata.md", 0)
    doctest.DocTestRunner(verbose=False).run(test, out=told.append)
    return "".join(told)


def skip_other_version(entry: Entry, installed: str) -> None:
    if re.split(r"[+a-z]", installed)[0] != entry.version:
        pytest.skip(f"the entry is about {entry.library} {entry.version}, and {installed} is installed")


def installed_version(library: str) -> str:
    for name in DISTRIBUTIONS.get(library, (library,)):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    pytest.skip(f"{library}, which the entry is about, is not installed")


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")  # of the libraries
@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.library != ELSEWHERE], ids=lambda e: str(e.anchor))
def test_reproduction(entry: Entry) -> None:
    skip_other_version(entry, installed_version(entry.library))
    names: dict[str, Any] = {}
    runs = [name for name in ("ort", "dnn", "evaluator", "model") if re.search(rf"\b{name}\b", entry.source)]
    if runs:
        needed = {"ort": "onnxruntime", "dnn": "cv2"}
        for module in ("onnx", *(needed[name] for name in runs if name in needed)):
            pytest.importorskip(module, reason=f"{module}, which the entry uses, is not installed")
        exec(SETUP[0], names)
    else:
        import numpy

        names |= {"np": numpy, "f": numpy.float32, "nan": numpy.nan, "inf": numpy.inf}
    assert failures_of(entry.source, names, entry.anchor) == ""


@pytest.fixture(scope="module")
def in_another_interpreter() -> dict[str, str]:
    """What the entries about torchvision give in the interpreter that has it."""
    absent = f"torchvision, which the entry is about, is not installed for {PYTHON}"
    if not Path(PYTHON).exists():
        pytest.skip(absent)
    sources = {entry.anchor: entry.source for entry in ENTRIES if entry.library == ELSEWHERE}
    run = subprocess.run([PYTHON, "-c", SERVED], input=json.dumps(sources), capture_output=True, text=True)
    if run.returncode == NOT_INSTALLED:
        pytest.skip(absent)
    assert run.returncode == 0, run.stderr
    found: dict[str, str] = json.loads(run.stdout)
    return found


@pytest.mark.oracle
@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.library == ELSEWHERE], ids=lambda e: str(e.anchor))
def test_reproduction_in_another_interpreter(entry: Entry, in_another_interpreter: dict[str, str]) -> None:
    skip_other_version(entry, in_another_interpreter["version"])
    assert in_another_interpreter[entry.anchor] == ""


def test_the_form_of_the_page() -> None:
    assert len(SETUP) == 1
    assert len(set(IDS)) == len(IDS) >= 30
    assert not [entry.anchor for entry in ENTRIES if entry.kind not in KINDS]
    assert not [entry.anchor for entry in ENTRIES if ">>> " not in entry.source]


def test_the_cases_exist() -> None:
    named = {case for entry in ENTRIES for case in entry.cases}
    assert named <= set(load_suite().ids)


def test_explanations_lead_to_entries_about_their_cases() -> None:
    by_anchor = {entry.anchor: entry for entry in ENTRIES}
    for explanation in read_explanations():
        if explanation.errata:
            entry = by_anchor[explanation.errata]
            assert set(explanation.cases) <= set(entry.cases), f"{entry.anchor} does not name {explanation.cases}"
            assert entry.kind == explanation.kind
