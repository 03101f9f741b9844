"""A kernel of a backend held against its reference, on golden cases and on random ones."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from refdet.core.kernel import KERNELS
from refdet.verify.case import Algorithm, Case
from refdet.verify.catalogue import algorithm_of
from refdet.verify.generate import case_module
from tests.agreement import in_layout

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}  # relative to the largest magnitude, plus one


def inputs_of(algorithm: Algorithm, case: Case, dtype: str, layout: str) -> Iterator[Any]:
    for x in case.arguments(algorithm).values():
        if x is None:
            yield None
        else:
            yield in_layout(x.astype(dtype) if x.dtype.kind == "f" else x, layout)


def assert_same(actual: Any, expected: Any, what: str) -> None:
    """Integers exactly, floats within rounding; tuples and residuals element by element."""
    if isinstance(expected, tuple):
        assert len(actual) == len(expected), what
        for a, e in zip(actual, expected, strict=True):
            assert_same(a, e, what)
    elif expected is None:
        assert actual is None, what
    elif expected.dtype.kind in "iub":
        assert actual.dtype == expected.dtype, what
        np.testing.assert_array_equal(actual, expected, err_msg=what)
    else:
        name = expected.dtype.newbyteorder("=").name
        assert actual.dtype.newbyteorder("=").name == name, what
        finite = np.abs(expected[np.isfinite(expected)])
        np.testing.assert_allclose(
            actual, expected, rtol=0, atol=TOLERANCE[name] * (1 + np.max(finite, initial=0)), err_msg=what
        )


def assert_parity(
    body: Callable[..., Any],
    kernel: str,
    cases: Iterable[Case],
    *,
    dtype: str = "float32",
    layout: str = "contiguous",
    seed: int = 0,
) -> None:
    """Give `body` and the reference of `kernel` the same cases and compare answers and residuals."""
    reference = KERNELS[kernel].reference
    assert body is not reference
    algorithm, rng = cases_of(kernel).ALGORITHM, np.random.default_rng(seed)
    forward = None if kernel == algorithm_of(kernel) else KERNELS[f"{algorithm_of(kernel)}.forward"].reference
    for case in cases:
        inputs = list(inputs_of(algorithm, case, dtype, layout))
        what = f"{kernel} on {case.name}"
        if forward is None:
            assert_same(answer(body, inputs, case.params, what), reference(*inputs, **case.params), what)
            continue
        expected = forward(*inputs, keep_residual=True, **case.params)
        if kernel.endswith(".backward"):
            y = expected[0][0] if isinstance(expected[0], tuple) else expected[0]
            dy = in_layout(rng.standard_normal(y.shape).astype(dtype), layout)
            needs = tuple(
                x is not None and x.dtype.kind == "f" and name not in without_gradient(case)
                for name, x in zip(case.arguments(algorithm), inputs, strict=True)
            )
            arguments, options = (expected[1], dy), {"needs": needs, **case.params}
            assert_same(answer(body, arguments, options, what), reference(*arguments, **options), what)
        else:
            assert_same(answer(body, inputs, {"keep_residual": True, **case.params}, what), expected, what)
            assert body(*inputs, keep_residual=False, **case.params)[1] is None, what


def answer(body: Callable[..., Any], arguments: Sequence[Any], options: Mapping[str, Any], what: str) -> Any:
    """Return what `body` answers; its arguments must stay as they were."""
    before = pickle.dumps(arguments)
    answered = body(*arguments, **options)
    assert pickle.dumps(arguments) == before, f"{what}: an argument was written to"
    return answered


def cases_of(kernel: str) -> ModuleType:
    """Return the module of golden cases of the kernel's algorithm: `ALGORITHM`, `cases()` and `random_case(rng)`."""
    return case_module(algorithm_of(kernel))


def without_gradient(case: Case) -> tuple[str, ...]:
    """Return the inputs that the algorithm refuses a gradient of, for these parameters."""
    return ("features",) if "truncated" in case.params.get("filters", ()) else ()
