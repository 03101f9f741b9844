"""Nothing is half there: every algorithm has kernels, a documented op, an oracle, tests, and golden cases."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from refdet.autograd.differentiable import PAIRS
from refdet.core.kernel import KERNELS
from refdet.verify import catalogue as catalogue_module
from refdet.verify.catalogue import Entry, algorithm_of, backends, catalogue
from refdet.verify.suite import Suite, data_root

ROOT = Path(__file__).parents[1]
CATALOGUE = catalogue()
CASES = Suite(data_root()).manifest["cases"]


def of_refdet() -> set[str]:
    return {name for name, kernel in KERNELS.items() if kernel.reference.__module__.startswith("refdet.")}


def test_every_kernel_is_in_it() -> None:
    assert {kernel.name for entry in CATALOGUE.values() for kernel in entry.kernels} == of_refdet()
    assert list(CATALOGUE) == sorted(CATALOGUE)


@pytest.fixture(params=list(CATALOGUE.values()), ids=list(CATALOGUE))
def entry(request: pytest.FixtureRequest) -> Entry:
    found: Entry = request.param
    return found


def test_a_pair_or_single(entry: Entry) -> None:
    """`X.forward` and `X.backward`, paired for tensors; or one kernel `X`."""
    names = [kernel.name for kernel in entry.kernels]
    if names != [entry.name]:
        assert names == [f"{entry.name}.forward", f"{entry.name}.backward"]
        assert (PAIRS[entry.name].forward, PAIRS[entry.name].backward) == entry.kernels


def test_a_kernel_says_what_it_does(entry: Entry) -> None:
    for kernel in entry.kernels:
        assert inspect.getdoc(kernel.reference), kernel.name


def test_a_public_op_that_is_documented_with_an_example(entry: Entry) -> None:
    assert entry.op is not None
    documentation = inspect.getdoc(entry.op.function) or ""
    assert len(documentation.splitlines()[0]) <= 120
    assert ">>> " in documentation, f"{entry.op.name} has no doctest"
    package, _, name = entry.op.name.rpartition(".")
    assert getattr(importlib.import_module(package), name) is entry.op.function


def test_a_file_that_begins_with_its_equation_or_conventions(entry: Entry) -> None:
    assert len((inspect.getdoc(entry.module) or "").splitlines()) >= 3


def test_an_oracle(entry: Entry) -> None:
    assert (ROOT / "tests" / "oracles" / f"{entry.name}.py").is_file()


def test_a_test_file_that_names_it(entry: Entry) -> None:
    _, folder, stem = entry.module.__name__.split(".")
    path = ROOT / "tests" / folder / f"test_{stem}.py"
    assert path.is_file()
    assert re.search(rf"\b{entry.name}\b", path.read_text(encoding="utf-8")), f"{path} does not mention {entry.name}"


def test_golden_cases_and_one_of_independent_source(entry: Entry) -> None:
    cases = [case for case in CASES if case["algorithm"] == entry.name]
    assert len(cases) >= 2
    independent = [
        case["id"]
        for case in cases
        if any(not source.startswith("tests/oracles/") for source in case["provenance"]["generator"].values())
    ]
    assert independent, "no expected value comes from elsewhere than the oracle"
    assert all(
        any("refdet" in check["implementation"] for check in case["provenance"]["cross_checked"]) for case in cases
    ), "the stored verdict on the reference is missing"


def test_gradients_have_golden_cases(entry: Entry) -> None:
    if len(entry.kernels) == 2:
        assert any(case["incoming_gradient"] for case in CASES if case["algorithm"] == entry.name)


def test_where_it_is(entry: Entry) -> None:
    path = ROOT / entry.source_file
    line = path.read_text(encoding="utf-8").splitlines()[entry.first_line - 1]
    assert line.startswith("@kernel("), line


def test_names() -> None:
    assert [algorithm_of(n) for n in ("conv2d.forward", "conv2d.backward", "nms", "lattice.blur")] == [
        "conv2d",
        "conv2d",
        "nms",
        "lattice.blur",
    ]
    assert CATALOGUE["gather"].op == CATALOGUE["index"].op
    assert CATALOGUE["add"].portable
    assert not CATALOGUE["conv2d"].portable


def test_a_kernel_without_an_op_has_none() -> None:
    assert catalogue_module._public_op("no_such_op", {}) is None


def test_a_backend_that_does_not_load_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> object:
        raise ImportError(f"no driver for {name}")

    monkeypatch.setattr(catalogue_module, "entry_points", lambda group: [SimpleNamespace(name="broken")])
    monkeypatch.setattr(catalogue_module, "find_backend", load)
    assert backends() == {"broken": "no driver for broken"}
