"""Stages: refdet's own are those of the oracle; of a wrong one it is said which; deviations show where they come in."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.core.kernel import Backend, use_backend
from refdet.verify.adapters import load_adapter
from refdet.verify.ask import question_of
from refdet.verify.case import Algorithm
from refdet.verify.catalogue import load_all
from refdet.verify.compare import compare_tensor
from refdet.verify.deviation import deviating, named
from refdet.verify.diagnose import judge
from refdet.verify.forward import kernel_answers
from refdet.verify.generate import all_deviations, case_module, case_names, generate, generate_algorithm
from refdet.verify.generated_case import generate_case
from refdet.verify.question import Outcome
from refdet.verify.suite import StoredCase
from refdet.verify.traces import TRACERS, stages_of


def traced_cases() -> Iterator[StoredCase]:
    """Generate the traced cases anew, without alternatives, so that nothing depends on what is stored."""
    load_all()
    for name in sorted(TRACERS):
        module = case_module(name)
        for case in module.cases():
            if case.traced:
                generated = generate_case(module.ALGORITHM, case)
                yield StoredCase(generated.entry, generated.tensors)


CASES = {case.id: case for case in traced_cases()}


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> StoredCase:
    return CASES[request.param]


def stages_in(case: StoredCase) -> list[str]:
    return [t["name"] for t in case.entry["tensors"] if t["role"] == "trace"]


def own_stages(case: StoredCase, backend: str | Backend = "reference") -> dict[str, Array]:
    with use_backend(backend):
        return stages_of(case.algorithm, question_of(case).arguments, case.params)


def first_wrong(case: StoredCase, backend: str | Backend) -> str:
    """Return the first wrong stage of refdet with another backend, if its answer is wrong."""
    question = question_of(case)
    with use_backend(backend), np.errstate(all="ignore"):
        answers = kernel_answers(case.algorithm, question.outputs, question.arguments, None, question.params, ())
    return judge(case, Outcome(case.id, answers | own_stages(case, backend))).first_stage


def under(*keys: str) -> Backend:
    return deviating(named(keys, all_deviations()))


def wrong(x: Array) -> Array:
    """Return x with its first element changed; of another shape where it has none."""
    if not x.size:
        return np.zeros((1, *x.shape), x.dtype)
    changed = x.copy()
    changed.flat[0] = (
        ~changed.flat[0] if x.dtype.kind == "b" else 5 if np.isnan(changed.flat[0]) else 7 + changed.flat[0]
    )
    return changed


def test_every_algorithm_with_stages_has_a_tracer_and_traced_cases() -> None:
    with_stages = {name for name in case_names() if case_module(name).ALGORITHM.stages}
    assert with_stages == set(TRACERS) == {case.algorithm for case in CASES.values()}
    for name in with_stages:
        algorithm: Algorithm = case_module(name).ALGORITHM
        stored = {stage for case in CASES.values() if case.algorithm == name for stage in stages_in(case)}
        assert stored == set(algorithm.stages), name


def test_own_stages_are_those_of_the_oracle(case: StoredCase) -> None:
    found = own_stages(case)
    assert list(found) == stages_in(case)
    for name, x in found.items():
        mismatch = compare_tensor(x, case.tensors[name], case.rule(name), case.tolerance(name))
        assert mismatch is None, f"{name}: {mismatch}"
        assert x.dtype == case.tensors[name].dtype, name


def test_the_first_wrong_stage_is_named(case: StoredCase) -> None:
    """Whichever stage is changed, and the answer with it: that one is named, also where later ones are wrong too."""
    right = {**case.answers, **{name: case.tensors[name] for name in stages_in(case)}}
    output = next(iter(case.answers))
    spoilt = {**right, output: wrong(right[output])}
    assert judge(case, Outcome(case.id, right)).verdict == "pass"
    assert judge(case, Outcome(case.id, spoilt)).first_stage == ""
    for i, stage in enumerate(stages_in(case)):
        later = {name: wrong(right[name]) for name in stages_in(case)[i:]}
        result = judge(case, Outcome(case.id, {**spoilt, **later}))
        assert (result.verdict, result.first_stage) == ("wrong", stage)
        assert judge(case, Outcome(case.id, {**spoilt, stage: wrong(right[stage])})).first_stage == stage


@pytest.mark.parametrize(
    ("case_id", "key", "stage"),
    [
        ("rpn_proposals/all-steps", "code.plus1=py-faster", "decoded"),
        ("rpn_proposals/all-steps", "box.clip=w-1", "clipped"),
        ("rpn_proposals/py-faster", "box.min_size=gt", "large"),
        ("rpn_proposals/levels", "nms.batched=agnostic", "kept"),
        ("detections/all-steps", "code.plus1=py-faster", "decoded"),
        ("detections/all-steps", "box.clip=w-1", "clipped"),
        ("detections/sides-below-the-least-go", "box.min_size=gt", "candidates"),
        ("detections/all-steps", "nms.batched=agnostic", "kept"),
        ("mean_field/exact-symmetric", "crf.unary=logits", "initial"),
        ("mean_field/exact-symmetric", "crf.compatibility=reward", "iterates"),
    ],
)
def test_a_deviation_shows_where_it_comes_in(case_id: str, key: str, stage: str) -> None:
    assert first_wrong(CASES[case_id], under(key)) == stage


def test_the_adapter_answers_stages() -> None:
    case = CASES["rpn_proposals/topk-first-loses-the-place"]
    answers = load_adapter("refdet").answer(question_of(case))
    assert list(answers) == ["boxes", "proposal_scores", *stages_in(case)]
    assert stages_of("nms", {}, {}) == {}


def test_a_pipeline_inherits_the_deviations_of_its_parts() -> None:
    """As probes of its cases, each with its own answer; and each deviation says that the pipeline is concerned."""
    original = case_module("rpn_proposals")
    module = ModuleType("one_case")
    module.ALGORITHM = original.ALGORITHM  # type: ignore[attr-defined]
    module.cases = lambda: [c for c in original.cases() if c.name == "all-steps"]  # type: ignore[attr-defined]
    (generated,) = generate_algorithm(module)
    case, keys = StoredCase(generated.entry, generated.tensors), {"box.clip=w-1", "code.plus1=py-faster", "nms.cmp=ge"}
    assert keys <= case.probes
    legacy = case.alternatives[frozenset({"code.plus1=py-faster"})]
    assert compare_tensor(legacy["boxes"], case.answers["boxes"], case.rule("boxes")) is not None
    described = generate(["exp"]).manifest["deviations"]
    assert all({"rpn_proposals", "detections"} <= set(described[key]["algorithms"]) for key in keys - {"nms.cmp=ge"})
    assert {"nms", "rpn_proposals"} <= set(described["nms.cmp=ge"]["algorithms"])
    assert "rpn_proposals" not in described["crf.unary=logits"]["algorithms"]
