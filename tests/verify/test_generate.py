"""How the suite is made: what is refused, what tolerances come out, and that nothing changes by itself."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from refdet.core.kernel import KERNELS
from refdet.verify import generate as generate_module
from refdet.verify.case import Algorithm, Bound, Case, Exact, Spread, Ulp
from refdet.verify.catalogue import load_all
from refdet.verify.compare import error_bound
from refdet.verify.generate import Generation, case_module, case_names, generate, write
from refdet.verify.generated_case import GeneratedCase, generate_case
from refdet.verify.regeneration import differences
from refdet.verify.self_check import self_check
from refdet.verify.suite import MANIFEST, Suite, SuiteError, data_root
from refdet.verify.tolerances import GenerationError, answer
from tests.oracles import exp, linear, multiply, power

load_all()
MULTIPLY = Algorithm("multiply", multiply, ("x", "y"), ("z",), "z = x y")
QUICK = ["batch_norm", "exp", "max_pool2d"]  # between them all classes but bound


def product(x: Any, y: Any, compare: Any = None, **more: Any) -> Case:
    compare = Exact() if compare is None else compare
    return Case("a-case", "A reason.", {"x": np.array(x), "y": np.array(y)}, compare, **more)


@pytest.fixture(scope="module")
def generation() -> Generation:
    """What several tests read; they are of one group, so that one process computes it."""
    return generate(QUICK)


def test_a_case() -> None:
    generated = generate_case(MULTIPLY, product([2.0, 3.0], [0.5, 4.0], dy=np.array([1.0, 2.0])))
    assert not generated.problem
    entry, tensors = generated.entry, generated.tensors
    assert list(tensors) == ["x", "y", "dz", "z", "dx", "dy"]
    assert [t["role"] for t in entry["tensors"]] == ["input", "input", "input", "expected", "grad", "grad"]
    np.testing.assert_array_equal(tensors["z"], [1, 12])
    np.testing.assert_array_equal(tensors["dx"], [0.5, 8])
    np.testing.assert_array_equal(tensors["dy"], [2, 6])
    assert all(x.dtype == np.float32 for x in tensors.values())
    assert entry["id"] == "multiply/a-case"
    assert entry["incoming_gradient"] == "dz"
    assert entry["tensors"][3]["hex"] == "0000803f00004041"
    assert entry["provenance"] == {
        "generator": dict.fromkeys(("z", "dx", "dy"), "tests/oracles/multiply.py"),
        "cross_checked": [
            {"implementation": "refdet reference, float32", "tensors": ["dx", "dy", "z"], "verdict": "pass"}
        ],
    }


def test_what_is_known_is_stored_and_the_oracle_must_agree() -> None:
    known = {"expected": {"z": np.array([12.0])}, "source": "by hand"}
    entry = generate_case(MULTIPLY, product([3.0], [4.0], **known)).entry
    assert entry["provenance"]["generator"] == {"z": "by hand"}
    assert entry["provenance"]["cross_checked"][0] == {
        "implementation": "tests/oracles/multiply.py",
        "tensors": ["z"],
        "verdict": "equal",
    }
    with pytest.raises(GenerationError, match=r"multiply/a-case: z: the oracle does not agree .* by hand: .* is 15"):
        generate_case(MULTIPLY, product([3.0], [5.0], **known))


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        (product([0.1], [1.0]), "x is not exact in float32"),
        (product([2.0**-80], [2.0**-80]), "z is not exact in float32"),
        (product([1.0 + 2.0**-23], [1.0 + 2.0**-23]), "z is not exact in float32"),
        (dataclasses.replace(product([1.0], [1.0]), name="Upper case"), "lower-case words and numbers"),
        (dataclasses.replace(product([1.0], [1.0]), why=" "), "it does not say why it exists"),
        (product([1.0], [1.0], tags=("nice",)), r"unknown tags \['nice'\]"),
        (product([1.0], [1.0], status="optional"), "with a reason unless it is 'required'"),
        (product([1.0], [1.0], status_reason="none"), "with a reason unless it is 'required'"),
        (product([1.0], [1.0], expected={"z": np.ones(1)}), "`expected` and `source` come together"),
        (
            product([1.0], [1.0], expected={"w": np.ones(1)}, source="by hand"),
            r"expected 'w', but the answer is \['z'\]",
        ),
        (product([1.0], [1.0], params={"axis": 1}), r"params must be \[\], got \['axis'\]"),
        (product([1.0], [1.0], {"w": Exact()}), r"compare has rules for \['w'\], the answer is \['z'\]"),
        (Case("a-case", "A reason.", {"x": np.ones(1), "w": np.ones(1)}, Exact()), "multiply has no input w"),
        (product([1.0], [1.0], Bound(2, {"z": np.ones(2)})), r"the tolerances have shape \(2,\), not \(1,\)"),
        (product([1.0], [1.0], Bound(2, {"z": np.array([np.inf])})), "a tolerance is not finite"),
        (product([1.0], [1.0], Spread(lambda rng: {})), "z: an evaluation must return it in float32"),
        (product(np.ones((40000,)), np.ones((40000,))), "480000 bytes, more than 262144"),
    ],
)
def test_what_an_author_may_not_get_wrong(case: Case, sentence: str) -> None:
    with pytest.raises(GenerationError, match=sentence):
        generate_case(MULTIPLY, case)


def test_two_cases_of_one_name() -> None:
    module = ModuleType("double")
    module.ALGORITHM, module.cases = MULTIPLY, lambda: [product([1.0], [1.0])] * 2  # type: ignore[attr-defined]
    with pytest.raises(GenerationError, match="multiply/a-case: two cases have this name"):
        generate_module.generate_algorithm(module)


def test_integers_are_exact_or_nothing() -> None:
    case = next(c for c in case_module("max_pool2d").cases() if c.name == "non-overlapping")
    with pytest.raises(GenerationError, match="switches holds integers, which are compared exactly"):
        generate_case(case_module("max_pool2d").ALGORITHM, dataclasses.replace(case, compare=Ulp(1, 0.0)))


def test_scale_is_the_sum_of_magnitudes_rounded_up() -> None:
    """y = 1·⅓ − 1·⅓ + bias, where ⅓ is rounded: S = ⅓ + ⅓ + 2⁻³⁰ does not fit float32 and must not come out smaller."""
    third = np.float32(1 / 3)
    algorithm = Algorithm("linear", linear, ("x", "weight", "bias"))
    inputs = {"x": np.array([1.0, -1.0]), "weight": np.array([[third, third]]), "bias": np.array([2.0**-30])}
    tensors = generate_case(algorithm, Case("a-case", "A reason.", inputs, Bound(4))).tensors
    exact = 2 * float(third) + 2.0**-30
    assert tensors["y"] == np.float32(2.0**-30)
    assert float(tensors["y.bound"][0]) > exact
    assert float(tensors["y.bound"][0]) == np.nextafter(np.float32(exact), np.float32(1))


def test_gradients_have_scales_of_their_own() -> None:
    rng = np.random.default_rng(0)
    x, w, dy = (rng.standard_normal(shape).astype(np.float32) for shape in ((3, 4), (2, 4), (3, 2)))
    algorithm = Algorithm("linear", linear, ("x", "weight", "bias"))
    case = Case("a-case", "A reason.", {"x": x, "weight": w, "bias": None}, Bound(6), dy=dy)
    tensors = generate_case(algorithm, case).tensors
    np.testing.assert_allclose(tensors["y.bound"], np.abs(x) @ np.abs(w).T, rtol=1e-6)
    np.testing.assert_allclose(tensors["dx.bound"], np.abs(dy) @ np.abs(w), rtol=1e-6)
    np.testing.assert_allclose(tensors["dweight.bound"], np.abs(dy).T @ np.abs(x), rtol=1e-6)


def test_spread_is_sixteen_times_the_largest_deviation_with_floors() -> None:
    """Evaluations off by 2⁻¹² at one element, never at the other three: the mean, a quarter of it, is their floor."""
    ones, off = np.ones(4, np.float32), 2.0**-12

    def evaluate(rng: np.random.Generator) -> dict[str, Any]:
        return {"z": ones + np.array([rng.choice([-off, 0, off]), 0, 0, 0], np.float32)}

    tensors = generate_case(MULTIPLY, product(ones, ones, Spread(evaluate))).tensors
    np.testing.assert_array_equal(tensors["z.bound"], [16 * off, 4 * off, 4 * off, 4 * off])
    exact = generate_case(MULTIPLY, product(ones, ones, Spread(lambda rng: {"z": ones}))).tensors
    np.testing.assert_array_equal(exact["z.bound"], np.full(4, 8 * 2.0**-23))  # half an ulp of 1, sixteen times


def test_a_failing_reference_is_reported_and_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = KERNELS["multiply.forward"]
    monkeypatch.setattr(wrong, "reference", lambda x, y, *, keep_residual: (x + y, None))
    generated = generate_case(MULTIPLY, product([3.0], [4.0]))
    assert generated.problem == "multiply/a-case: the reference fails: z: element [0] is 7.0, expected 12.0"
    assert generated.entry["provenance"]["cross_checked"][0]["verdict"] == "fail"
    np.testing.assert_array_equal(generated.tensors["z"], [12])


def test_a_reference_that_raises_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KERNELS["multiply.forward"], "reference", lambda x, y, *, keep_residual: 1 / 0)
    problem = generate_case(MULTIPLY, product([3.0], [4.0])).problem
    assert problem == "multiply/a-case: the reference raises ZeroDivisionError: division by zero"


def test_a_missing_kernel_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(KERNELS, "multiply.forward")
    generated = generate_case(MULTIPLY, product([3.0], [4.0]))
    assert generated.problem == "multiply/a-case: there is no kernel to check it with"
    assert generated.entry["provenance"]["cross_checked"] == []


def test_kernels_and_cases_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    assert generate_module._kernels_without_cases() == []
    monkeypatch.setattr(generate_module, "case_names", lambda: [*sorted(set(case_names()) - {"relu"}), "unheard_of"])
    assert generate_module._kernels_without_cases() == [
        "relu: its kernels have no golden cases",
        "unheard_of: has golden cases but no kernel",
    ]


def test_the_backend_in_force_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference is asked, whatever REFDET_BACKEND says."""
    monkeypatch.setenv("REFDET_BACKEND", "no-such-backend")
    assert not generate_case(MULTIPLY, product([3.0], [4.0])).problem


def test_bytes_do_not_depend_on_the_run(generation: Generation) -> None:
    assert generate(QUICK).files == generation.files


def test_the_stored_suite_is_what_the_cases_say(generation: Generation) -> None:
    assert generation.problems == []
    ours = {**generation.manifest, "suite_version": Suite(data_root()).version}
    assert differences(dataclasses.replace(generation, manifest=ours), data_root(), QUICK) == []


def test_files_have_no_metadata(generation: Generation) -> None:
    for name, content in generation.files.items():
        if name != MANIFEST:
            assert "__metadata__" not in json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])


def test_written_and_read_back(generation: Generation, tmp_path: Path) -> None:
    (tmp_path / "old.inputs.safetensors").write_bytes(b"")
    write(generation, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == generation.files.keys()
    suite = Suite(tmp_path)
    for case in suite.cases():
        for name, x in generation.tensors[case.id].items():
            np.testing.assert_array_equal(case.tensors[name], x)
            assert case.tensors[name].shape == x.shape
    assert differences(generation, tmp_path) == []


def test_one_algorithm_again_keeps_the_others(generation: Generation, tmp_path: Path) -> None:
    write(generation, tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    write(generate(["exp"], stored=Suite(tmp_path).manifest), tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@functools.cache
def generated_once(name: str) -> list[GeneratedCase]:
    """Return the cases of an algorithm, which come out the same every time."""
    return generate_module.generate_algorithm(case_module(name))


class TestDifferences:
    """Each writes a suite that differs in one thing, and asks what `--check` says."""

    def of(self, generation: Generation, tmp_path: Path, case_id: str, **tensors: Any) -> list[str]:
        """Store `generation` with other tensors in one case, hashes right, and compare."""
        name = case_id.split("/")[0]
        of_algorithm = copy.deepcopy(generated_once(name))
        generated = next(g for g in of_algorithm if g.entry["id"] == case_id)
        generated.tensors.update(tensors)
        from refdet.verify.suite import tensor_hash

        for t in generated.entry["tensors"]:
            t["sha256"] = tensor_hash(generated.tensors[t["name"]])
        files = generate_module._tensor_files(name, of_algorithm)
        entries = [generated.entry, *(e for e in generation.manifest["cases"] if e["id"] != case_id)]
        manifest = generate_module._manifest(entries, {**generation.files, **files}, {})
        manifest["files"].pop(MANIFEST)
        stored = {**generation.files, **files, MANIFEST: generate_module._json_bytes(manifest)}
        write(dataclasses.replace(generation, files=stored, manifest=manifest), tmp_path)
        return differences(generation, tmp_path)

    def test_exact_by_the_smallest_step(self, generation: Generation, tmp_path: Path) -> None:
        y = np.nextafter(generation.tensors["max_pool2d/non-overlapping"]["y"], np.float32(9))
        (found,) = self.of(generation, tmp_path, "max_pool2d/non-overlapping", y=y)
        assert found.startswith("max_pool2d/non-overlapping: y: element [0, 0, 0, 0] is 5.0000004768")

    def test_the_sign_of_a_zero(self, generation: Generation, tmp_path: Path) -> None:
        dx = generation.tensors["max_pool2d/non-overlapping"]["dx"] * np.float32(-1) * np.float32(-1)
        dx[0, 0, 0, 0] = -0.0
        (found,) = self.of(generation, tmp_path, "max_pool2d/non-overlapping", dx=dx)
        assert found == "max_pool2d/non-overlapping: dx: a zero changed its sign"

    def test_one_ulp_is_the_c_library(self, generation: Generation, tmp_path: Path) -> None:
        y = np.nextafter(generation.tensors["exp/both-signs"]["y"], np.float32(np.inf))
        assert self.of(generation, tmp_path, "exp/both-signs", y=y) == []

    def test_two_ulps_are_not(self, generation: Generation, tmp_path: Path) -> None:
        y = np.nextafter(generation.tensors["exp/both-signs"]["y"], np.float32(np.inf))
        (found,) = self.of(generation, tmp_path, "exp/both-signs", y=np.nextafter(y, np.float32(np.inf)))
        assert "2 tolerances away" in found
        assert found.endswith("(one tolerance is 1 ULP)")

    def test_inputs_are_exact_in_every_class(self, generation: Generation, tmp_path: Path) -> None:
        x = np.nextafter(generation.tensors["exp/both-signs"]["x"], np.float32(np.inf))
        (found,) = self.of(generation, tmp_path, "exp/both-signs", x=x)
        assert found.startswith("exp/both-signs: x: element [0]")

    @pytest.mark.parametrize(("factor", "passes"), [(0.26, True), (3.9, True), (0.24, False), (4.1, False)])
    def test_a_measured_tolerance(self, generation: Generation, tmp_path: Path, factor: float, passes: bool) -> None:
        case_id = "batch_norm/maps-training-torch"
        bound = generation.tensors[case_id]["y.bound"] * np.float32(factor)
        found = self.of(generation, tmp_path, case_id, **{"y.bound": bound})
        assert found == ([] if passes else [f"{case_id}: y.bound: the spread changed by more than a factor of 4"])

    def test_cases_that_are_gone_or_new(self, generation: Generation, tmp_path: Path) -> None:
        write(generation, tmp_path)
        kept = {**generation.manifest, "cases": generation.manifest["cases"][1:]}
        gone = differences(dataclasses.replace(generation, manifest=kept), tmp_path)
        first = generation.manifest["cases"][0]["id"]
        assert gone == [f"{first}: stored, but no longer generated"]
        (tmp_path / MANIFEST).write_text(json.dumps(kept))
        assert differences(generation, tmp_path) == [f"{first}: not in the stored suite"]

    def test_a_changed_text_and_a_stray_file(self, generation: Generation, tmp_path: Path) -> None:
        write(generation, tmp_path)
        manifest = json.loads((tmp_path / MANIFEST).read_text())
        manifest["cases"][0]["why"] = "No reason."
        manifest["suite_version"] = "9.9.9"
        (tmp_path / MANIFEST).write_text(json.dumps(manifest))
        (tmp_path / "stray.inputs.safetensors").write_bytes(b"")
        text, version, stray = differences(generation, tmp_path)
        assert text.startswith(f"{manifest['cases'][0]['id']}: why is 'No reason.', generated ")
        assert version.startswith("manifest.json: suite_version is '9.9.9', generated ")
        assert stray == "stray.inputs.safetensors: a file that the manifest does not list"

    def test_a_damaged_file(self, generation: Generation, tmp_path: Path) -> None:
        write(generation, tmp_path)
        path = tmp_path / "exp.answers.safetensors"
        path.write_bytes(path.read_bytes()[:-1] + b"\xff")
        found = differences(generation, tmp_path)
        assert found
        assert all(f.startswith("exp/") and "the SHA-256 of" in f for f in found)


def test_without_a_source_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate_module, "package_root", lambda: tmp_path / "refdet")
    with pytest.raises(GenerationError, match="needs refdet's source tree"):
        case_names()


def test_too_large_a_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate_module, "SUITE_BYTES", 1000)
    with pytest.raises(GenerationError, match=r"the suite has \d+ bytes, more than 1000"):
        generate(["negative"])


def test_a_module_must_be_about_its_algorithm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_module("exp"), "ALGORITHM", Algorithm("power", power, ("x",)))
    with pytest.raises(
        GenerationError, match=r"golden/cases/exp\.py: ALGORITHM must be the algorithm 'exp', got 'power'"
    ):
        case_module("exp")


@pytest.mark.parametrize("name", case_names())
def test_random_cases(name: str) -> None:
    """Complete params, float64 input, and three ways to compute that agree."""
    module = case_module(name)
    signature = {p for c in module.cases() for p in c.params}
    for seed in range(5):
        rng = np.random.default_rng(seed)
        case = module.random_case(rng)
        assert set(case.params) == signature
        assert {x.dtype for x in case.inputs.values() if x is not None and x.dtype.kind == "f"} <= {np.dtype("float64")}
        assert answer(module.ALGORITHM, case)
        assert self_check(module, np.random.default_rng(seed)).passed


def test_the_oracle_is_asked_in_float64() -> None:
    """e¹ to sixteen digits, from an input in float32."""
    algorithm = Algorithm("exp", exp, ("x",))
    y = answer(algorithm, Case("a-case", "A reason.", {"x": np.ones(1, np.float32)}, Exact()))["y"]
    np.testing.assert_array_equal(y, [2.718281828459045])


def test_rounding_errors_of_every_bound_are_few() -> None:
    """γ_n is meant for sums of at most some thousand terms."""
    for case in Suite(data_root()).manifest["cases"]:
        for rule in case["compare"].values():
            if rule["kind"] == "bound":
                assert error_bound(rule["n"], np.dtype(np.float32)) < 1e-4, case["id"]


def test_the_stored_suite_is_whole() -> None:
    """Every case can be read, every hash is right."""
    try:
        n_cases = sum(1 for _ in Suite(data_root()).cases())
    except SuiteError as error:
        pytest.fail(str(error))
    assert n_cases == len(Suite(data_root()).ids)
