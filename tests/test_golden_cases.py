"""Every stored case, answered by refdet's reference in float32; and every comparison seen to reject a wrong answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.core.kernel import KERNELS, use_backend
from refdet.verify.catalogue import load_all
from refdet.verify.compare import compare_tensor, error_bound, unit_in_last_place
from refdet.verify.forward import run_forward
from refdet.verify.suite import StoredCase, Suite, data_root
from tests.fast_convolutions import F2, F4, winograd

SUITE = Suite(data_root())
LINEAR = ("conv2d", "conv_transpose2d", "linear", "matmul")
load_all()


def reference_answers(case: StoredCase, arguments: Any = None, dy: Array | None = None) -> dict[str, Array]:
    """Return outputs and gradients by name, from kernels called with nothing but what is stored."""
    arguments = case.arguments if arguments is None else arguments
    dy = case.incoming_gradient if dy is None else dy
    names = case.entry["arguments"]
    tensors = case.entry["tensors"]
    with use_backend("reference"), np.errstate(all="ignore"):
        outputs, residual = run_forward(case.algorithm, arguments, case.params, keep_residual=dy is not None)
        kept = [y for y in outputs if y is not None]
        named = dict(zip([t["name"] for t in tensors if t["role"] == "expected"], kept, strict=True))
        if dy is not None:
            wanted = {t["name"] for t in tensors if t["role"] == "grad"}
            needs = tuple(f"d{name}" in wanted for name in names)
            gradients = KERNELS[f"{case.algorithm}.backward"](residual, dy, needs=needs, **case.params)
            named |= {f"d{name}": dx for name, dx, needed in zip(names, gradients, needs, strict=True) if needed}
    return {name: np.asarray(value) for name, value in named.items()}


@pytest.mark.parametrize("case_id", SUITE.ids)
def test_the_reference_passes(case_id: str) -> None:
    case = SUITE.case(case_id)
    answers = reference_answers(case)
    assert answers.keys() == case.answers.keys()
    for name, expected in case.answers.items():
        mismatch = compare_tensor(answers[name], expected, case.rule(name), case.tolerance(name))
        assert mismatch is None, f"{name}: {mismatch}"


@pytest.mark.parametrize("case_id", SUITE.ids)
def test_a_wrong_answer_is_rejected(case_id: str) -> None:
    """Each answer, changed in its last element by a little more than is tolerated, or in its class, or its shape."""
    case = SUITE.case(case_id)
    for name, expected in case.answers.items():
        rule, tolerance = case.rule(name), case.tolerance(name)
        assert compare_tensor(expected, expected, rule, tolerance) is None
        assert compare_tensor(expected[..., None], expected, rule, tolerance) is not None
        if not expected.size:
            continue
        wrong = expected.astype(np.float64) if expected.dtype.kind == "f" else expected.copy()
        last = np.unravel_index(expected.size - 1, expected.shape)
        wrong[last] = moved(expected, rule, tolerance)[last]
        mismatch = compare_tensor(wrong, expected, rule, tolerance)
        assert mismatch is not None, f"{name}: {wrong[last]} passes for {expected[last]}"
        assert mismatch.index == tuple(int(i) for i in last)
        assert mismatch.n_wrong == 1
        if expected.dtype.kind == "f":
            wrong[last] = 0.0 if np.isnan(expected[last]) else np.nan
            assert compare_tensor(wrong, expected, rule, tolerance) is not None


def moved(expected: Array, rule: Any, tolerance: Array | None) -> Array:
    """Return `expected` moved by 1.01 tolerances, or by an ulp where nothing is tolerated; infinities by their sign."""
    if expected.dtype.kind == "b":
        return np.asarray(~expected)
    if expected.dtype.kind != "f":
        return np.asarray(expected + 1)
    step = unit_in_last_place(expected)
    if rule["kind"] == "bound":
        assert tolerance is not None
        step = 1.01 * error_bound(rule["n"], expected.dtype) * tolerance.astype(np.float64)
    elif rule["kind"] == "spread":
        assert tolerance is not None
        step = 1.01 * tolerance.astype(np.float64)
    elif rule["kind"] == "ulp":
        step = 1.01 * np.maximum(rule["ulps"] * step, rule["floor"])
    step = np.where(step > 0, step, 2.0**-149)
    at = np.where(np.isnan(expected), 0.0, -expected.astype(np.float64))
    return np.where(np.isfinite(expected), expected.astype(np.float64) + step, at)


@pytest.mark.parametrize("case_id", [i for i in SUITE.ids if i.split("/")[0] in LINEAR])
def test_dyadic_sums_are_exact_in_any_order(case_id: str) -> None:
    """Every partial sum is a multiple of one unit and below 2²⁴ of it, so that float32 holds it."""
    case = SUITE.case(case_id)
    if {rule["kind"] for rule in case.entry["compare"].values()} != {"exact"} or not case.arguments[0].size:  # type: ignore[union-attr]
        return
    incoming, (first, second) = case.entry["incoming_gradient"], case.entry["arguments"][:2]
    factors = {"y": (first, second), "z": (first, second), "dbias": (incoming,)}
    factors |= {f"d{first}": (incoming, second), f"d{second}": (incoming, first)}
    magnitudes = [None if x is None else np.abs(x.astype(np.float64)) for x in case.arguments]
    dy = case.incoming_gradient
    sums = reference_answers(case, magnitudes, None if dy is None else np.abs(dy.astype(np.float64)))
    for name, sum_of_magnitudes in sums.items():
        unit = float(np.prod([smallest_unit(case.tensors[factor]) for factor in factors[name]]))
        if name == "y" and "bias" in case.tensors:
            unit = min(unit, smallest_unit(case.tensors["bias"]))
        assert sum_of_magnitudes.max(initial=0) < 2**24 * unit, name


def smallest_unit(x: Array) -> float:
    """Return the largest power of two of which every element is a multiple, at most 1."""
    unit = 1.0
    while np.any(x.astype(np.float64) / unit % 1):
        unit /= 2
    return unit


@pytest.mark.parametrize("transforms", [F2, F4], ids=["F(2x2)", "F(4x4)"])
@pytest.mark.parametrize("name", ["three-by-three-exact", "eight-channels-rounded", "above-fast-path-thresholds"])
def test_winograd_passes(name: str, transforms: tuple[Any, Any, Any]) -> None:
    """The rule of the suite: a correct fast algorithm passes, forward and in the gradient of the input."""
    case = SUITE.case(f"conv2d/{name}")
    x, weight, bias = case.arguments
    assert x is not None
    assert weight is not None
    y = winograd(x, weight, transforms) + (np.float32(0) if bias is None else bias[:, None, None])
    assert compare_tensor(y, case.answers["y"], case.rule("y"), case.tolerance("y")) is None
    if case.incoming_gradient is not None:
        turned = np.ascontiguousarray(weight.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1])
        dx = winograd(case.incoming_gradient, turned, transforms)
        assert compare_tensor(dx, case.answers["dx"], case.rule("dx"), case.tolerance("dx")) is None


CONVENTIONS: dict[str, dict[str, tuple[Any, ...]]] = {
    "avg_pool2d": {
        "convention": ("torch", "caffe"),
        "count_include_pad": (True, False),
        "ceil_mode": (True, False),
    },
    "batch_norm": {"convention": ("torch", "onnx"), "training": (True, False)},
    "dropout": {"convention": ("inverted", "original"), "training": (True, False)},
    "hinge": {"power": (1, 2), "reduction": ("mean", "sum", "none")},
    "l1": {"reduction": ("mean", "sum", "none")},
    "l2_normalize": {"convention": ("inside", "outside", "clamp")},
    "local_response_norm": {"convention": ("paper", "torch", "onnx")},
    "max_pool2d": {"convention": ("torch", "caffe"), "ceil_mode": (True, False)},
    "max_unpool2d": {"overlap": ("add", "last")},
    "pad": {"border": ("constant", "edge", "reflect")},
    "resize_bicubic": {"coordinates": ("half_pixel", "asymmetric", "align_corners"), "a": (-0.5, -0.75)},
    "resize_bilinear": {"coordinates": ("half_pixel", "asymmetric", "align_corners")},
    "resize_nearest": {
        "coordinates": ("half_pixel", "asymmetric", "align_corners"),
        "rounding": ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"),
    },
    "smooth_l1": {"reduction": ("mean", "sum", "none")},
    "softmax_cross_entropy": {"normalize": ("valid", "weight", "full", "batch", "sum", "none")},
    "squared_error": {"reduction": ("mean", "sum", "none")},
}
PAIRS = [
    (algorithm, parameter, stored, used)
    for algorithm, parameters in CONVENTIONS.items()
    for parameter, values in parameters.items()
    for stored in values
    for used in values
    if stored != used
]


@pytest.mark.parametrize(("algorithm", "parameter", "stored", "used"), PAIRS)
def test_an_error_of_convention_fails(algorithm: str, parameter: str, stored: Any, used: Any) -> None:
    """Whoever computes by one convention what is asked by the other fails a case, in the forward pass alone."""
    cases = [case for case in SUITE.cases(algorithm) if case.params[parameter] == stored]
    assert cases, f"no case has {parameter}={stored!r}"
    for case in cases:
        try:
            with np.errstate(all="ignore"):
                outputs, _ = run_forward(algorithm, case.arguments, {**case.params, parameter: used})
        except ValueError:
            continue  # the other convention refuses the question
        answers = dict(zip(case.answers, outputs, strict=False))
        for name, answer in answers.items():
            if answer is not None and compare_tensor(
                np.asarray(answer), case.answers[name], case.rule(name), case.tolerance(name)
            ):
                return
    pytest.fail(f"all cases of {parameter}={stored!r} pass with {used!r}")
