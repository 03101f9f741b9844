"""A sample of the mutation run, and the tool itself on mutants of a toy.

The full run is `make mutation`; see tests/mutation.
"""

from __future__ import annotations

import ast
import importlib.util
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.verify.generate import CORE, source_tree
from refdet.verify.suite import load_suite
from tests.mutation.__main__ import main
from tests.mutation.answers import Overtime, Question, time_limit
from tests.mutation.core import alone, irredundant, notices, topped_up
from tests.mutation.domain import refused
from tests.mutation.draws import differ
from tests.mutation.examine import Laboratory, Verdict
from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.operators import deletions, replacements
from tests.mutation.patch import LiveFile, live_files, patch_of
from tests.mutation.recipes import recipes
from tests.mutation.report import accepted, only_killers, page, rate_table, weak_packages
from tests.mutation.workers import run_all

SAMPLE = 40
SEED = 1
KINDS = ("exists", "provenance", "separates")

TOY = '''
"""A toy."""

LIMIT = 3


def count(n: int = 7) -> int:
    """Count up to n."""
    if n < 0:
        raise ValueError("n must not be below 0")
    i = 0
    while i < n:
        i += 1
    return i


def limited(n):
    return min(n, LIMIT)


def twice(n):
    return limited(n) + (lambda x: x * 1)(n)


def check_nothing(n):
    return n > 0
'''


@pytest.fixture(scope="module")
def sample(laboratory: Laboratory) -> list[str]:
    """Some mutants of all packages, always the same."""
    unexplained = sorted(laboratory.mutants.keys() - accepted().keys())
    return sorted(random.Random(SEED).sample(unexplained, SAMPLE))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_the_suite_kills_a_sample_of_mutants(laboratory: Laboratory, sample: list[str]) -> None:
    verdicts = [result for _, result in run_all(sample, laboratory.examine, n_workers=2)]
    told = [v for v in verdicts if isinstance(v, Verdict) and v.told_by]
    assert len(told) > SAMPLE / 2  # else nothing is measured
    survivors = [f"{v.id}: {v.before} -> {v.after}" for v in told if v.survives]
    assert not survivors, f"make mutation: no case kills {survivors}"


def test_without_its_cases_the_suite_kills_nothing(
    laboratory: Laboratory, sample: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = next(v for name in sample if (v := laboratory.examine(name)).killed_by and v.told_by)
    monkeypatch.setattr(laboratory, "_cases_of", lambda _: [])
    assert laboratory.examine(told.id).survives


def test_a_verdict_holds_as_long_as_the_file_and_the_cases_are_the_same(
    laboratory: Laboratory, sample: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = laboratory.blank(sample[0])
    assert laboratory.blank(sample[0]) == before
    monkeypatch.setattr(laboratory, "_cases_of", lambda _: [])
    assert laboratory.blank(sample[0]).cases != before.cases
    assert laboratory.blank(sample[0]).is_of(before)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_run_goes_on_where_it_was(
    laboratory: Laboratory,
    sample: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("tests.mutation.__main__.Laboratory", lambda *_: laboratory)
    few = [name for name in sample if name.startswith("boxes/")][:3]
    command = ["run", "--workers", "1", "--json", str(tmp_path / "verdicts.json"), "--files"]
    for names, n_left in ((few[:2], 2), (few, 1), (few, 0)):
        assert main([*command, *names]) == 0
        assert f"{len(laboratory.mutants)} mutants, {n_left} to examine" in capsys.readouterr().out
    assert main(["report", "--json", str(tmp_path / "verdicts.json"), "--markdown", str(tmp_path / "page.md")]) == 0
    assert "| boxes | 3 |" in (tmp_path / "page.md").read_text()


def test_every_accepted_survivor_is_a_mutant_and_has_a_reason(laboratory: Laboratory) -> None:
    assert accepted().keys() <= laboratory.mutants.keys()
    assert all(len(reason) > 20 for reason in accepted().values())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a > b", ["a >= b", "a <= b"]),
        ("a < b", ["a <= b", "a >= b"]),
        ("a == b", ["a != b"]),
        ("a is None", ["a is not None"]),
        ("a + b", ["a - b"]),
        ("a * b", ["a / b"]),
        ("a // b", ["a * b", "a / b", "-(-a // b)"]),
        ("a @ b", ["b @ a"]),
        ("a & b", ["a | b"]),
        ("a and b", ["a or b"]),
        ("not a", ["a"]),
        ("-a", ["a"]),
        ("3", ["4", "2"]),
        ("True", ["False"]),
        ("0.0", ["1.0"]),
        ("0.25", ["0.5", "0.0"]),
        ("'text'", []),
        ("np.floor(a)", ["np.ceil(a)", "a"]),
        ("np.rint(a)", ["np.floor(a)", "a"]),
        ("np.argmax(a)", ["np.argmin(a)"]),
        ("a.min()", ["a.max()"]),
        ("max(a, b)", ["min(a, b)"]),
        ("np.maximum(a, b)", ["np.minimum(a, b)"]),
        ("np.sum(a)", ["np.mean(a)"]),
        ("np.any(a)", ["np.all(a)"]),
        ("np.zeros(n)", ["np.ones(n)"]),
        ("np.abs(a)", ["a"]),
        ("np.argsort(a, kind='stable')", ["np.argsort(a)"]),
        ("np.where(c, a, b)", ["np.where(c, b, a)"]),
        ("range(n)", ["range(n + 1)", "range(n - 1)"]),
        ("f((a, b))", ["f((b, a))"]),
        ("x[a, b]", ["x[b, a]"]),
        ("a if c else b", ["a if True else b", "a if False else b"]),
    ],
)
def test_expressions_become(source: str, expected: list[str]) -> None:
    node = ast.parse(source, mode="eval").body
    assert [ast.unparse(found) for _, found in replacements(node)] == expected
    assert ast.unparse(node) == source


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x[a:b]", ["x[a + 1:b]", "x[a - 1:b]", "x[a:b + 1]", "x[a:b - 1]"]),
        ("x[::-1]", ["x[:]"]),
    ],
)
def test_slices_become(source: str, expected: list[str]) -> None:
    node = ast.parse(source, mode="eval").body
    assert isinstance(node, ast.Subscript)
    found = [ast.unparse(ast.Subscript(node.value, other)) for _, other in replacements(node.slice)]  # type: ignore[arg-type]
    assert found == expected


@pytest.mark.parametrize(("value", "expected"), [("0", ["1"]), ("1", ["0"]), ("-1", [])])
def test_an_axis_becomes_the_other(value: str, expected: list[str]) -> None:
    node = ast.parse(value, mode="eval").body
    found = [ast.unparse(other) for label, other in replacements(node, "axis") if label[0] != "n"]
    assert found == expected


def test_the_side_of_a_search_is_exchanged() -> None:
    assert [ast.unparse(other) for _, other in replacements(ast.Constant("left"), "side")] == ["'right'"]
    assert not list(replacements(ast.Constant("left"), "rounding"))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x += 1", ["pass"]),
        ("x[0] = y", ["pass"]),
        ("x = x + 1", ["pass"]),
        ("x = y", []),
        ("f(x)", ["pass"]),
        ("continue", ["pass"]),
        ("H, W = x", ["(W, H) = x"]),
        ("return x", []),
    ],
)
def test_statements_become(source: str, expected: list[str]) -> None:
    assert [ast.unparse(ast.fix_missing_locations(s)) for _, s in deletions(ast.parse(source).body[0])] == [
        text.replace("(W, H)", "W, H") for text in expected
    ]


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[tuple[dict[str, LiveFile], dict[str, Mutant]]]:
    """A module with mutants, imported."""
    path = tmp_path / "toy.py"
    path.write_text(TOY)
    spec = importlib.util.spec_from_file_location("toy", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["toy"] = module
    try:
        spec.loader.exec_module(module)
        yield live_files(tmp_path), {m.id: m for m in mutants_of(path, tmp_path)}
    finally:
        del sys.modules["toy"]


Toy = tuple[dict[str, LiveFile], dict[str, Mutant]]


def test_checks_defaults_and_refusals_are_not_mutated(toy: Toy) -> None:
    _, mutants = toy
    assert {m.function for m in mutants.values()} == {"LIMIT", "count", "limited", "twice"}
    assert not [m for m in mutants.values() if "raise" in m.before or "n < 0" in m.before or "7" in m.before]
    assert {m.split(":", 1)[1] for m in mutants if ":count:" in m} == {
        "count:0->1#1",
        "count:0->-1#1",
        "count:never#1",
        "count:Lt->LtE#1",
        "count:Lt->GtE#1",
        "count:Add->Sub=#1",
        "count:delete#1",
        "count:1->2#1",
        "count:1->0#1",
    }


def test_a_patch_is_seen_by_every_holder_and_taken_back(toy: Toy) -> None:
    live, mutants = toy
    module = live["toy.py"].module
    held = module.limited
    with patch_of(mutants["toy.py:limited:min->max#1"], live).applied():
        assert held(5) == module.limited(5) == 5
        assert module.twice(5) == 10
    with patch_of(mutants["toy.py:LIMIT:3->4#1"], live).applied():
        assert held(5) == 4
    with patch_of(mutants["toy.py:twice:1->2#1"], live).applied():  # inside a lambda
        assert module.twice(5) == 13
    assert held(5) == 3
    assert module.twice(5) == 8


def test_an_endless_loop_is_stopped(toy: Toy) -> None:
    live, mutants = toy
    start = time.monotonic()
    with (
        patch_of(mutants["toy.py:count:delete#1"], live).applied(),
        pytest.raises(Overtime),
        time_limit(0.2),
    ):
        live["toy.py"].module.count()
    assert time.monotonic() - start < 2
    assert live["toy.py"].module.count() == 7


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_process_that_hangs_or_dies_costs_its_task_alone() -> None:
    def work(task: str) -> object:
        if task == "b:hangs":
            time.sleep(60)
        if task == "c:dies":
            sys.exit(3)
        return task.upper()

    tasks = ["a:1", "a:2", "b:hangs", "c:dies", "d:3"]
    found = dict(run_all(tasks, work, n_workers=2, patience=1.0))
    assert found == {"a:1": "A:1", "a:2": "A:2", "b:hangs": None, "c:dies": None, "d:3": "D:3"}


def test_a_draw_is_the_same_every_time() -> None:
    assert recipes(20) == recipes.__wrapped__(20)
    assert len(set(map(str, recipes(20)))) > 10


def test_what_counts_as_a_difference() -> None:
    y = np.array([1.0, 1e-3, np.nan])
    assert not differ([y], [y * (1 + 1e-8)])
    assert differ([y], [y * (1 + 1e-5)])
    assert differ([y], [np.array([1.0, 1e-3, 0.0])])
    assert differ([y], [y[:2]])
    assert differ([y], [None])
    assert differ([np.array([1])], [np.array([2])])
    assert not differ([np.array([1], np.int32)], [np.array([1], np.int16)])
    assert differ([y.astype(np.float32)], [y])
    gone = np.array([1e-17, -1e-17])  # of a gradient that cancels
    assert differ([gone], [-gone])
    assert not differ([gone], [-gone], np.array([1.0]))


def test_the_report_counts_what_is_told_apart() -> None:
    verdicts = [
        Verdict("boxes/a.py:f:x#1", 1, "", "", killed_by=["a/one"], told_by="a#0"),
        Verdict("boxes/a.py:f:x#2", 1, "", "", killed_by=["a/one", "a/two"], told_by="a#0"),
        Verdict("boxes/a.py:f:x#3", 1, "", "", told_by="a#5"),
        Verdict("boxes/a.py:f:x#4", 1, "", "", killed_by=["a/three"]),
        Verdict("boxes/a.py:f:x#5", 1, "", ""),
    ]
    assert rate_table(verdicts).splitlines()[1].split() == ["boxes", "5", "3", "2", "66.67", "%", "1"]
    assert only_killers(verdicts) == {"a/one": 1, "a/three": 1}
    assert weak_packages(verdicts) == ["boxes", "all"]
    text = page(verdicts, {"boxes/a.py:f:x#3": "Nobody minds."}, "A core.")
    assert "| boxes | 5 | 3 | 2 | 66.67 % | 1 |" in text
    assert "- `boxes/a.py:f:x#3`, line 1\n\n  Nobody minds.\n" in text


def test_the_core_keeps_what_is_noticed_and_drops_the_largest_case_first() -> None:
    noticed: dict[str, set[tuple[str, ...]]] = {
        "large": {("kills", "1"), ("kills", "2"), ("kills", "3")},
        "first": {("kills", "1"), ("exists", "a")},
        "second": {("kills", "2"), ("separates", "a", "", "x=y")},
        "third": {("kills", "3")},
        "spare": {("kills", "3")},
    }
    sizes = {"large": 9, "first": 3, "second": 2, "third": 1, "spare": 5}
    kept = irredundant(noticed, sizes)
    assert kept == {"first", "second", "third"}
    assert alone(kept, noticed)["second"] == {"kills": 1, "separates": 1}
    # "spare" spoils the third case alone, "large" all but the second
    assert topped_up(kept, noticed, sizes, 4) == kept | {"spare"}


def test_a_case_separates_conventions_whose_answers_differ() -> None:
    cases = [case for case in load_suite().cases("large_enough") if case.probes]
    pairs = {notice for case in cases for notice in notices([case], [])[case.id] if notice[0] == "separates"}
    assert pairs
    assert all(a < b and algorithm == "large_enough" for _, algorithm, a, b in pairs)


def test_the_core_is_made_of_this_suite() -> None:
    lines = (source_tree() / CORE).read_text(encoding="utf-8").splitlines()
    core = [line for line in lines if not line.startswith("#")]
    noticed = notices(list(load_suite().cases()), [])
    assert core == sorted(core)
    assert len(core) >= 400
    assert set(core) <= set(noticed)
    of_all, of_core = (
        {kind: {n for name in names for n in noticed[name] if n[0] == kind} for kind in KINDS}
        for names in (noticed, core)
    )
    assert of_core["exists"] == of_all["exists"]
    assert of_core["provenance"] == of_all["provenance"]
    # a new case may separate more; `make mutation` then chooses again
    assert len(of_core["separates"]) >= 0.99 * len(of_all["separates"])


def test_draws_that_the_public_function_refuses_are_none() -> None:
    unary, edges, weights = np.zeros((2, 3)), np.array([[0, 1]]), np.array([1.0])
    metric = 1 - np.eye(3)
    far = metric.copy()
    far[0, 2] = far[2, 0] = 9  # farther than by way of label 1

    def question(compatibility: Array) -> Question:
        arguments = (unary, edges, weights, compatibility, np.zeros(2, np.int64))
        return Question("alpha_expansion", arguments, {"cycles": 1, "scale": 1.0}, None, (False,) * 5)

    assert not refused(question(metric))
    assert refused(question(far))
