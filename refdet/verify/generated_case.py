"""Compute what is stored of one case: its tensors, and its entry of the manifest.

Inputs are the case's; floats must be exact in float32. Answers are the case's `expected` where it has one (the oracle
must agree, within an ULP where the answer is not compared exactly), else the oracle's, in float64, rounded once. Floats
that are compared exactly must not change by that rounding.

refdet's own kernels answer every case too. Their verdict is recorded, and a failed one is reported; they are never
where a value comes from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.core.kernel import KERNELS, use_backend
from refdet.verify.case import STATUSES, TAGS, Algorithm, Bound, Case, Compare, Exact, Spread, Ulp
from refdet.verify.compare import compare_tensor
from refdet.verify.forward import forward_kernel, params_of, run_forward
from refdet.verify.params import encode_params
from refdet.verify.suite import tensor_bytes, tensor_hash
from refdet.verify.tolerances import GenerationError, answer, tolerances_of

INLINE_ELEMENTS = 64  # a case of at most so many, all tensors together, also stands in the manifest
CASE_BYTES = 256 * 1024
REFERENCE = "refdet reference, float32"
ONE_ULP = {"kind": "ulp", "ulps": 1, "floor": 2.0**-40}  # what two C libraries may differ by


@dataclass(frozen=True)
class GeneratedCase:
    """What is stored of one case."""

    entry: dict[str, Any]  # for the manifest
    tensors: dict[str, Array]  # in the manifest's order
    problem: str = ""  # why the reference does not agree, if it does not


def generate_case(algorithm: Algorithm, case: Case) -> GeneratedCase:
    """Compute one case: its tensors and its entry of the manifest."""
    try:
        _check_case(algorithm, case)
        inputs = _stored_inputs(algorithm, case)
        exact_answers = answer(algorithm, case)
        answers = {name: _rounded(name, value, case) for name, value in exact_answers.items()}
        _check_rules(case, answers)
        answers |= _known_answers(case, answers)
        tolerances = tolerances_of(algorithm, case, exact_answers, answers)
        verdict, problem = _ask_reference(algorithm, case, inputs, answers, tolerances)
        tensors = {**inputs, **answers, **tolerances}
        entry = _entry(algorithm, case, inputs, answers, tolerances, verdict)
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
    if isinstance(case.compare_of(name) if _has_rule(case, name) else None, Exact) and value.dtype.kind == "f":
        return _exactly(name, value, _dtype(name, value, case))
    with np.errstate(over="ignore", under="ignore"):
        return value.astype(_dtype(name, value, case))


def _has_rule(case: Case, name: str) -> bool:
    return not isinstance(case.compare, Mapping) or name in case.compare


def _check_rules(case: Case, answers: Mapping[str, Array]) -> None:
    if isinstance(case.compare, Mapping) and set(case.compare) != set(answers):
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
        mismatch = compare_tensor(ours[name], expected, _rule(case.compare_of(name)), tolerances.get(f"{name}.bound"))
        if mismatch:
            return "fail", f"the reference fails: {name}: {mismatch}"
    return "pass", ""


def reference_answer(
    algorithm: Algorithm,
    arguments: Mapping[str, Array | None],
    dy: Array | None,
    params: Mapping[str, Any],
    wanted: Iterable[str],
) -> dict[str, Array]:
    """Return what refdet's kernels answer, by name, with the gradients that are `wanted`."""
    wanted = set(wanted)
    with use_backend("reference"), np.errstate(all="ignore"):
        outputs, residual = run_forward(algorithm.name, arguments.values(), params, keep_residual=dy is not None)
        named = dict(zip(algorithm.outputs, outputs, strict=True))
        if dy is not None:
            needs = tuple(f"d{name}" in wanted for name in arguments)
            gradients = KERNELS[f"{algorithm.name}.backward"](residual, dy, needs=needs, **params)
            named |= {f"d{name}": dx for name, dx, needed in zip(arguments, gradients, needs, strict=True) if needed}
    return {name: np.asarray(value) for name, value in named.items() if value is not None}


def _rule(rule: Compare) -> dict[str, Any]:
    """Return the rule as the manifest has it."""
    if isinstance(rule, Bound):
        return {"kind": "bound", "n": rule.n}
    if isinstance(rule, Spread):
        return {"kind": "spread"}
    if isinstance(rule, Ulp):
        return {"kind": "ulp", "ulps": rule.ulps, "floor": float(rule.floor)}
    return {"kind": "exact"}


def _entry(
    algorithm: Algorithm,
    case: Case,
    inputs: Mapping[str, Array],
    answers: Mapping[str, Array],
    tolerances: Mapping[str, Array],
    verdict: str,
) -> dict[str, Any]:
    """Return the case's entry of the manifest."""
    tensors = {**inputs, **answers, **tolerances}
    inline = sum(x.size for x in tensors.values()) <= INLINE_ELEMENTS
    entry = {
        "id": f"{algorithm.name}/{case.name}",
        "algorithm": algorithm.name,
        "why": case.why,
        "spec": algorithm.reference,
        "params": encode_params(case.params),
        "arguments": list(case.arguments(algorithm)),
        "incoming_gradient": None if case.dy is None else algorithm.incoming_gradient,
        "tensors": [
            {
                "name": name,
                "role": "input"
                if name in inputs
                else "bound"
                if name in tolerances
                else "expected"
                if name in algorithm.outputs
                else "grad",
                "dtype": x.dtype.name,
                "shape": list(x.shape),
                "sha256": tensor_hash(x),
                **({"hex": tensor_bytes(x).hex()} if inline else {}),
            }
            for name, x in tensors.items()
        ],
        "compare": {name: _rule(case.compare_of(name)) for name in answers},
        "status": case.status,
        "tags": sorted(case.tags),
        "probes": [],
        "provenance": _provenance(algorithm, case, answers, verdict),
    }
    return entry | ({"status_reason": case.status_reason} if case.status_reason else {})


def _provenance(algorithm: Algorithm, case: Case, answers: Mapping[str, Array], verdict: str) -> dict[str, Any]:
    cross_checked: list[dict[str, Any]] = []
    if case.expected:
        cross_checked.append(
            {"implementation": algorithm.oracle_file, "tensors": sorted(case.expected), "verdict": "equal"}
        )
    if verdict:
        cross_checked.append({"implementation": REFERENCE, "tensors": sorted(answers), "verdict": verdict})
    return {
        "generator": {name: case.source if name in case.expected else algorithm.oracle_file for name in answers},
        "cross_checked": cross_checked,
    }
