"""A case's entry of the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refdet.core.check import Array
from refdet.verify.alternatives import Alternatives
from refdet.verify.case import Algorithm, Bound, Case, Compare, Spread, Ulp
from refdet.verify.params import encode_params
from refdet.verify.suite import tensor_bytes, tensor_hash

INLINE_ELEMENTS = 64  # a case of at most so many, these tensors together, also stands in the manifest
INLINE_ROLES = ("input", "expected", "grad", "bound")
REFERENCE = "refdet reference, float32"


def rule_entry(rule: Compare) -> dict[str, Any]:
    """Return the rule as the manifest has it."""
    if isinstance(rule, Bound):
        return {"kind": "bound", "n": rule.n}
    if isinstance(rule, Spread):
        return {"kind": "spread"}
    if isinstance(rule, Ulp):
        return {"kind": "ulp", "ulps": rule.ulps, "floor": float(rule.floor)}
    return {"kind": "exact"}


def tensors_by_role(
    algorithm: Algorithm,
    inputs: Mapping[str, Array],
    answers: Mapping[str, Array],
    tolerances: Mapping[str, Array],
    under_deviations: Mapping[str, Array],
) -> dict[str, Mapping[str, Array]]:
    return {
        "input": inputs,
        "expected": {name: x for name, x in answers.items() if name in algorithm.outputs},
        "grad": {name: x for name, x in answers.items() if name not in algorithm.outputs},
        "bound": tolerances,
        "alt": under_deviations,
    }


def case_entry(
    algorithm: Algorithm,
    case: Case,
    by_role: Mapping[str, Mapping[str, Array]],
    alternatives: Alternatives,
    verdict: str,
) -> dict[str, Any]:
    """Return the case's entry of the manifest."""
    stored = {role: tensors for role, tensors in by_role.items() if role != "alt"}  # those stand in the alternatives
    is_small = sum(x.size for role in INLINE_ROLES for x in by_role[role].values()) <= INLINE_ELEMENTS
    answers = [*by_role["expected"], *by_role["grad"]]
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
                "role": role,
                "dtype": x.dtype.name,
                "shape": list(x.shape),
                "sha256": tensor_hash(x),
                **({"hex": tensor_bytes(x).hex()} if is_small and role in INLINE_ROLES else {}),
            }
            for role, tensors in stored.items()
            for name, x in tensors.items()
        ],
        "compare": {name: rule_entry(case.compare_of(name)) for name in answers}
        | {name: rule_entry(case.compare_stage(name, x)) for name, x in by_role["trace"].items()},
        "status": case.status,
        "tags": sorted(case.tags),
        "probes": list(alternatives.probes),
        "alternatives": [
            {
                "name": alternative.name,
                "tensors": sorted(alternative.tensors),
                "deviations": [sorted(keys) for keys in alternative.sets],
            }
            for alternative in alternatives.found
        ],
        "provenance": _provenance(algorithm, case, answers, verdict),
    }
    return entry | ({"status_reason": case.status_reason} if case.status_reason else {})


def _provenance(algorithm: Algorithm, case: Case, answers: Sequence[str], verdict: str) -> dict[str, Any]:
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
