"""The tensors of tolerances that the classes bound and spread store beside an answer.

- S of a `Bound`: `scale` of the rule where it is given, else what the oracle makes of the absolute values of its
  inputs, which is Σ|terms| for sums of products.
- Tolerances of a `Spread`: 16 · max(d, mean of d, ulp(ŷ)/2), where d is the largest distance of 16 float32 evaluations
  from the float64 answer, element by element. Its mean over the tensor and half an ulp are floors for the elements on
  which the evaluations were lucky.

Both are rounded up to float32.

An exact sum of an algorithm that transforms may compute, Fourier's above all, is not held to the last bit: what they
round is a few u of the largest S, which is far below the smallest step between two dyadic sums.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from refdet.core.check import Array
from refdet.verify.case import Algorithm, Bound, Case, Compare, Exact, Spread, Ulp
from refdet.verify.compare import unit_in_last_place

N_EVALUATIONS = 16
SPREADS = 16
TRANSFORMED = 2.0**-20  # 16 u; a Fourier transform in float32 of the suite's convolutions errs by at most 2⁻²³ of max S


class GenerationError(Exception):
    """A case is not what it should be; the message names it."""


def answer(algorithm: Algorithm, case: Case) -> dict[str, Array]:
    """Return the oracle's outputs and gradients by name, in float64."""
    arguments = case.arguments(algorithm)
    arrays = [in_float64(x) for x in arguments.values()]
    with np.errstate(all="ignore"):
        outputs = algorithm.oracle.forward(*arrays, **case.params)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        named = dict(zip(algorithm.outputs, outputs, strict=True))
        if case.dy is not None:
            gradients = algorithm.oracle.backward(*arrays, dy=in_float64(case.dy), **case.params)
            named |= {f"d{name}": dx for name, dx in zip(arguments, gradients, strict=True)}
    return {name: np.asarray(value) for name, value in named.items() if value is not None}


def stages(algorithm: Algorithm, case: Case) -> dict[str, Array]:
    """Return the oracle's stages by name, in order, in float64; none where the case is not traced."""
    if not case.traced:
        return {}
    arrays = [in_float64(x) for x in case.arguments(algorithm).values()]
    with np.errstate(all="ignore"):
        found = algorithm.oracle.stages(*arrays, **case.params)
    unexpected = [name for name in found if name not in algorithm.stages]
    if unexpected or not found:
        raise GenerationError(f"the oracle's stages must be among {algorithm.stages}, got {tuple(found)}")
    return {name: np.asarray(found[name]) for name in algorithm.stages if name in found}


def tolerances_of(
    algorithm: Algorithm, case: Case, exact: Mapping[str, Array], answers: Mapping[str, Array]
) -> dict[str, Array]:
    """Return the tensors of the rules that need one, called like the answer with `.bound` after it."""
    rules = {name: case.compare_of(name) for name in answers}
    scales = _scales(algorithm, case, rules)
    deviations = _deviations(case, exact, rules)
    tolerances = {}
    for name, rule in rules.items():
        if isinstance(rule, Bound):
            tolerances[name] = scales[name]
        elif isinstance(rule, Spread):
            half_ulp = unit_in_last_place(answers[name]) / 2
            floor = np.maximum(half_ulp, np.mean(deviations[name]) if deviations[name].size else 0.0)
            tolerances[name] = SPREADS * np.maximum(deviations[name], floor)
    for name, tolerance in tolerances.items():
        if tolerance.shape != answers[name].shape:
            raise GenerationError(f"{name}: the tolerances have shape {tolerance.shape}, not {answers[name].shape}")
        if not np.all(np.isfinite(tolerance) | ~np.isfinite(answers[name])):
            raise GenerationError(f"{name}: a tolerance is not finite")
    return {f"{name}.bound": _rounded_up(tolerance) for name, tolerance in tolerances.items()}


def within_transforms(algorithm: Algorithm, case: Case, answers: Mapping[str, Array]) -> Case:
    """Return the case with `Ulp(1, 2⁻²⁰ · max S)` in place of `Exact`, for floats that transforms may compute."""
    exact = {name: isinstance(case.compare_of(name), Exact) and answers[name].dtype.kind == "f" for name in answers}
    if not algorithm.by_transform or not any(exact.values()):
        return case
    bounds: dict[str, Compare] = {name: Bound(1) for name in answers if exact[name]}
    scales = _scales(algorithm, case, bounds)
    floors = {name: TRANSFORMED * np.max(S, where=np.isfinite(S), initial=0.0) for name, S in scales.items()}
    rules = {name: Ulp(1, float(floors[name])) if exact[name] else case.compare_of(name) for name in answers}
    return dataclasses.replace(case, compare=rules)


def _scales(algorithm: Algorithm, case: Case, rules: Mapping[str, Compare]) -> dict[str, Array]:
    """Return S for every tensor with a `Bound`."""
    bounds = {name: rule for name, rule in rules.items() if isinstance(rule, Bound)}
    given = {name: np.asarray(rule.scale[name]) for name, rule in bounds.items() if name in rule.scale}
    if given.keys() == bounds.keys():
        return given
    magnitudes = dataclasses.replace(
        case,
        inputs={name: _magnitude(x) for name, x in case.inputs.items()},
        dy=_magnitude(case.dy) if any(name not in algorithm.outputs for name in bounds.keys() - given.keys()) else None,
    )
    return answer(algorithm, magnitudes) | given


def _magnitude(x: Array | None) -> Array | None:
    return np.abs(x) if x is not None and x.dtype.kind == "f" else x


def _deviations(case: Case, exact: Mapping[str, Array], rules: Mapping[str, Compare]) -> dict[str, Array]:
    """Return, for every tensor with a `Spread`, the largest distance of a float32 evaluation from the exact answer."""
    spreads = {name: rule for name, rule in rules.items() if isinstance(rule, Spread)}
    deviations = {name: np.zeros(exact[name].shape) for name in spreads}
    for rule in {id(rule): rule for rule in spreads.values()}.values():
        for i in range(N_EVALUATIONS):
            with np.errstate(all="ignore"):
                evaluation = rule.evaluate(np.random.default_rng(i))
            for name in (n for n, r in spreads.items() if r is rule):
                if name not in evaluation or evaluation[name].dtype != np.float32:
                    raise GenerationError(f"{name}: an evaluation must return it in float32")
                distance = np.abs(evaluation[name].astype(np.float64) - exact[name])
                deviations[name] = np.maximum(deviations[name], np.where(np.isfinite(exact[name]), distance, 0.0))
    return deviations


def _rounded_up(x: Array) -> Array:
    """Return the smallest float32 that is not below x."""
    with np.errstate(over="ignore"):
        rounded = x.astype(np.float32)
    return np.where(rounded < x, np.nextafter(rounded, np.float32(np.inf)), rounded)


def in_float64(x: Array | None) -> Array | None:
    """Return floats in float64, anything else as it is."""
    return x.astype(np.float64) if x is not None and x.dtype.kind == "f" else x
