"""Compute what is stored of one case: its tensors, and its entry of the manifest.

Inputs are the case's; floats must be exact in float32. Answers are the case's `expected` where it has one (the oracle
must agree, within an ULP where the answer is not compared exactly), else the oracle's, in float64, rounded once. Floats
that are compared exactly must not change by that rounding.

refdet's own kernels answer every case too. Their verdict is recorded, and a failed one is reported; they are never
where a value comes from.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.core.kernel import KERNELS, Backend, use_backend
from refdet.verify.alternatives import Alternatives, Yardstick, alternatives_of
from refdet.verify.case import STATUSES, TAGS, Algorithm, Case, Exact
from refdet.verify.compare import compare_tensor
from refdet.verify.deviation import Deviation, Dialect, deviating, named
from refdet.verify.forward import forward_kernel, kernel_answers, params_of
from refdet.verify.manifest_entry import case_entry, rule_entry, tensors_by_role
from refdet.verify.tolerances import (
    GenerationError,
    answer,
    in_float64,
    stages,
    tolerances_of,
    within_transforms,
)

CASE_BYTES = 256 * 1024
ONE_ULP = {"kind": "ulp", "ulps": 1, "floor": 2.0**-40}  # what two C libraries may differ by


@dataclass(frozen=True)
class GeneratedCase:
    """What is stored of one case."""

    entry: dict[str, Any]  # for the manifest
    tensors: dict[str, Array]  # in the manifest's order
    problem: str = ""  # why the reference does not agree, if it does not


def generate_case(
    algorithm: Algorithm,
    case: Case,
    deviations: Sequence[Deviation] = (),
    dialects: Sequence[Dialect] = (),
    untold: Collection[frozenset[str]] = (),
) -> GeneratedCase:
    """Compute one case: its tensors and its entry of the manifest; `deviations` are those of its algorithm."""
    try:
        _check_case(algorithm, case)
        inputs = _stored_inputs(algorithm, case)
        exact_answers = answer(algorithm, case)
        answers = {name: _rounded(name, value, case) for name, value in exact_answers.items()}
        _check_rules(algorithm, case, answers)
        answers |= _known_answers(case, answers)
        case = within_transforms(algorithm, case, answers)
        tolerances = tolerances_of(algorithm, case, exact_answers, answers)
        verdict, problem = _ask_reference(algorithm, case, inputs, answers, tolerances)
        alternatives = (  # a reference that is wrong is wrong under deviations too
            Alternatives()
            if problem
            else _alternatives(algorithm, case, deviations, dialects, untold, inputs, answers, tolerances)
        )
        under_deviations = {
            f"{name}.{alternative.name}": x
            for alternative in alternatives.found
            for name, x in alternative.tensors.items()
        }
        trace = {name: x.astype(_dtype(name, x, case)) for name, x in stages(algorithm, case).items()}
        by_role = tensors_by_role(algorithm, inputs, answers, tolerances, under_deviations) | {"trace": trace}
        tensors = {name: x for role in by_role.values() for name, x in role.items()}
        entry = case_entry(algorithm, case, by_role, alternatives, verdict)
    except GenerationError as error:
        raise GenerationError(f"{algorithm.name}/{case.name}: {error}") from error
    n_bytes = sum(x.nbytes for x in tensors.values())
    if n_bytes > CASE_BYTES:
        raise GenerationError(f"{algorithm.name}/{case.name}: {n_bytes} bytes, more than {CASE_BYTES}")
    return GeneratedCase(entry, tensors, problem and f"{algorithm.name}/{case.name}: {problem}")


def _check_case(algorithm: Algorithm, case: Case) -> None:
    """Refuse what the author of a case got wrong, other than its numbers."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", case.name):
        raise GenerationError("a name consists of lower-case words and numbers, joined by hyphens")
    if not case.why.strip():
        raise GenerationError("it does not say why it exists")
    if set(case.tags) - TAGS:
        raise GenerationError(f"unknown tags {sorted(set(case.tags) - TAGS)}")
    if case.status not in STATUSES or (case.status != "required") != bool(case.status_reason):
        raise GenerationError(f"status must be one of {STATUSES}, with a reason unless it is 'required'")
    if bool(case.expected) != bool(case.source):
        raise GenerationError("`expected` and `source` come together")
    unknown = set(case.inputs) - set(algorithm.inputs or case.inputs)
    if unknown:
        raise GenerationError(f"{algorithm.name} has no input {', '.join(sorted(unknown))}")
    kernel = forward_kernel(algorithm.name)
    if kernel is not None and (wanted := params_of(kernel)) != set(case.params):
        raise GenerationError(f"params must be {sorted(wanted)}, got {sorted(case.params)}")


def _stored_inputs(algorithm: Algorithm, case: Case) -> dict[str, Array]:
    """Return the inputs as stored; refuse a float that this would change."""
    given = {name: x for name, x in case.arguments(algorithm).items() if x is not None}
    if case.dy is not None:
        if algorithm.incoming_gradient in given:
            raise GenerationError(f"two inputs are called {algorithm.incoming_gradient}")
        given[algorithm.incoming_gradient] = case.dy
    return {name: _exactly(name, np.asarray(x), _dtype(name, x, case)) for name, x in given.items()}


def _dtype(name: str, x: Array, case: Case) -> str:
    return case.dtypes.get(name, {"f": "float32", "b": "bool"}.get(x.dtype.kind, "int64"))


def _exactly(name: str, x: Array, dtype: str) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        converted = x.astype(dtype)
    if not np.array_equal(converted, x, equal_nan=x.dtype.kind == "f"):
        raise GenerationError(f"{name} is not exact in {dtype}")
    return converted


def _rounded(name: str, value: Array, case: Case) -> Array:
    if isinstance(case.compare_of(name) if _hasrule_entry(case, name) else None, Exact) and value.dtype.kind == "f":
        return _exactly(name, value, _dtype(name, value, case))
    with np.errstate(over="ignore", under="ignore"):
        return value.astype(_dtype(name, value, case))


def _hasrule_entry(case: Case, name: str) -> bool:
    return not isinstance(case.compare, Mapping) or name in case.compare


def _check_rules(algorithm: Algorithm, case: Case, answers: Mapping[str, Array]) -> None:
    if isinstance(case.compare, Mapping) and set(case.compare) - set(algorithm.stages) != set(answers):
        raise GenerationError(f"compare has rules for {sorted(case.compare)}, the answer is {sorted(answers)}")
    for name in answers:
        if answers[name].dtype.kind != "f" and not isinstance(case.compare_of(name), Exact):
            raise GenerationError(f"{name} holds integers, which are compared exactly")


def _known_answers(case: Case, answers: Mapping[str, Array]) -> dict[str, Array]:
    """Return `expected` as stored; the oracle must have come to the same."""
    known = {}
    for name, value in case.expected.items():
        if name not in answers:
            raise GenerationError(f"expected {name!r}, but the answer is {sorted(answers)}")
        known[name] = np.asarray(value).astype(answers[name].dtype)
        rule = {"kind": "exact"} if isinstance(case.compare_of(name), Exact) else ONE_ULP
        mismatch = compare_tensor(answers[name], known[name], rule)
        if mismatch:
            raise GenerationError(f"{name}: the oracle does not agree with what is known {case.source}: {mismatch}")
    return known


def _ask_reference(
    algorithm: Algorithm,
    case: Case,
    inputs: Mapping[str, Array],
    answers: Mapping[str, Array],
    tolerances: Mapping[str, Array],
) -> tuple[str, str]:
    """Return the verdict on refdet's own kernels, `"pass"`, `"fail"` or `""` where there are none, and the reason."""
    backward = KERNELS.get(f"{algorithm.name}.backward")
    if forward_kernel(algorithm.name) is None or (case.dy is not None and backward is None):
        return "", "there is no kernel to check it with"
    arguments = {name: inputs.get(name) for name in case.arguments(algorithm)}
    dy = inputs.get(algorithm.incoming_gradient)
    try:
        ours = reference_answer(algorithm, arguments, dy, case.params, answers)
    except Exception as error:  # a kernel that raises has failed, whatever it raises
        return "fail", f"the reference raises {type(error).__name__}: {error}"
    for name, expected in answers.items():
        if name not in ours:
            return "fail", f"the reference gives no {name}"
        rule = rule_entry(case.compare_of(name))
        mismatch = compare_tensor(ours[name], expected, rule, tolerances.get(f"{name}.bound"))
        if mismatch:
            return "fail", f"the reference fails: {name}: {mismatch}"
    return "pass", ""


def reference_answer(
    algorithm: Algorithm,
    arguments: Mapping[str, Array | None],
    dy: Array | None,
    params: Mapping[str, Any],
    wanted: Collection[str],
    *,
    backend: str | Backend = "reference",
) -> dict[str, Array]:
    """Return what refdet's kernels answer, by name, with the gradients that are `wanted`."""
    with use_backend(backend), np.errstate(all="ignore"):
        return kernel_answers(algorithm.name, algorithm.outputs, arguments, dy, params, wanted)


def _alternatives(
    algorithm: Algorithm,
    case: Case,
    deviations: Sequence[Deviation],
    dialects: Sequence[Dialect],
    untold: Collection[frozenset[str]],
    inputs: Mapping[str, Array],
    answers: Mapping[str, Array],
    tolerances: Mapping[str, Array],
) -> Alternatives:
    arguments = {name: inputs.get(name) for name in case.arguments(algorithm)}
    dy = inputs.get(algorithm.incoming_gradient)

    def under(keys: Collection[str]) -> tuple[dict[str, Array], dict[str, Array]]:
        """Answer with the deviations: floats from float64, integers from the stored type; and all from the latter."""
        backend = deviating(named(keys, deviations))
        try:
            stored = reference_answer(algorithm, arguments, dy, case.params, answers, backend=backend)
            wide = {name: in_float64(x) for name, x in arguments.items()}
            exact = reference_answer(algorithm, wide, in_float64(dy), case.params, answers, backend=backend)
        except Exception as error:  # a wrapper that raises is wrong, whatever it raises
            message = f"under {', '.join(sorted(keys))}: {type(error).__name__}: {error}"
            raise GenerationError(message) from error
        alike = all(exact[name].shape == x.shape for name, x in stored.items())
        with np.errstate(over="ignore", under="ignore"):
            theirs = {
                name: (exact if alike and x.dtype.kind == "f" else stored)[name].astype(answers[name].dtype)
                for name, x in stored.items()
            }
            return theirs, {name: x.astype(answers[name].dtype) for name, x in stored.items()}

    rules = {name: rule_entry(case.compare_of(name)) for name in answers}
    bounds = {name: tolerances.get(f"{name}.bound") for name in answers}
    bundles = [frozenset(dialect.keys) for dialect in dialects]
    return alternatives_of(deviations, under, Yardstick(answers, rules, bounds), bundles, untold)
