"""Kernels flagged portable run, forward and backward, on an array type that refuses to become NumPy's.

A kernel that they call and that is not portable is brought to the host and back, as a backend without it does.

Their input is that of the golden cases: kinks, ties, empties and all conventions included. Each result must have the
bits of the NumPy run.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from refdet.core.kernel import KERNELS, use_backend
from refdet.verify.case import Case
from refdet.verify.catalogue import algorithm_of, catalogue
from refdet.verify.generate import case_module
from tests.duck import DUCKS, DuckArray, unwrapped, values_of, wrapped

PORTABLE = [name for name, entry in catalogue().items() if entry.portable]


def on_both(function: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, Any]:
    """Return the result on NumPy arrays and that on duck arrays."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # overflow in the overflow cases
        here = function(*arguments, **options)
        with use_backend(DUCKS):
            return here, function(*wrapped(arguments), **options)


def assert_same_bits(there: Any, here: Any, what: str) -> None:
    if here is None:
        assert there is None, what
        return
    if isinstance(here, tuple):
        assert isinstance(there, tuple), what
        assert len(there) == len(here), what
        for t, h in zip(there, here, strict=True):
            assert_same_bits(t, h, what)
        return
    if isinstance(here, (np.ndarray, np.generic)):
        assert isinstance(there, DuckArray), f"{what}: left the device"
        values = values_of(there)
        assert values.dtype == here.dtype, what
        np.testing.assert_array_equal(values, here, err_msg=what)
        return
    assert there == here, what


@pytest.mark.parametrize("algorithm", PORTABLE)
def test_runs_on_any_array_type(algorithm: str) -> None:
    module = case_module(algorithm)
    cases: list[Case] = [*module.cases(), module.random_case(np.random.default_rng(0))]
    for case in cases:
        inputs = tuple(case.arguments(module.ALGORITHM).values())
        if algorithm in KERNELS:
            here, there = on_both(KERNELS[algorithm].reference, inputs, dict(case.params))
            assert_same_bits(there, here, f"{algorithm}/{case.name}")
            continue
        forward, backward = KERNELS[f"{algorithm}.forward"], KERNELS[f"{algorithm}.backward"]
        here, there = on_both(forward.reference, inputs, {**case.params, "keep_residual": True})
        (outputs, residual), (outputs_there, residual_there) = here, there
        assert_same_bits(outputs_there, outputs, f"{algorithm}/{case.name}: forward")
        if case.dy is None:
            continue
        needs = tuple(x is not None and x.dtype.kind == "f" for x in inputs)
        dy = case.dy.astype(next(x.dtype for x in inputs if x is not None and x.dtype.kind == "f"))
        with np.errstate(all="ignore"):
            expected = backward.reference(residual, dy, needs=needs, **case.params)
            got = backward.reference(residual_there, DuckArray(dy), needs=needs, **case.params)
        assert_same_bits(got, expected, f"{algorithm}/{case.name}: backward")
        # a residual holds nothing but arrays of the input's type
        assert_same_bits(residual_there, residual, f"{algorithm}/{case.name}: residual")


def test_all_elementwise_kernels_are_portable() -> None:
    """What a device needs to run without a copy through the host: arithmetic, shapes, reductions, products."""
    required = {
        "add", "subtract", "multiply", "divide", "power", "negative", "exp", "log", "sqrt", "absolute", "maximum",
        "minimum", "cast", "sum", "mean", "amax", "matmul", "reshape", "transpose", "broadcast_to", "index", "concat",
        "stack", "pad", "linear", "relu", "leaky_relu", "sigmoid", "tanh", "softmax", "log_softmax", "dropout",
        "batch_norm", "l2_normalize", "local_response_norm", "softmax_cross_entropy", "smooth_l1", "l1",
        "squared_error", "hinge", "binary_cross_entropy_with_logits", "global_avg_pool2d", "decode_boxes", "clip_boxes",
        "large_enough", "top_k", "rpn_proposals", "detections",
    }  # fmt: skip
    assert required <= set(PORTABLE), sorted(required - set(PORTABLE))


def test_the_duck_refuses_conversion() -> None:
    """The test's own tool: whatever leaves the device is noticed."""
    duck = DuckArray(np.ones(3))
    with pytest.raises(TypeError, match="refuses to become a NumPy array"):
        np.asarray(duck)
    with pytest.raises(TypeError):
        iter(duck)
    assert isinstance(duck + 1.0, DuckArray)
    assert isinstance(np.sum(duck), DuckArray)
    assert unwrapped((duck, [duck]))[0] is duck._values
    assert algorithm_of("conv2d.backward") == "conv2d"
