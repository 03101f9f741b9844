"""Every kernel of every installed backend gives what the reference gives, on every golden case and on random input.

The loop goes over the backend's own table and calls both sides by name, so the reference is never compared with itself;
and the kernels that a backend must have are listed here, so an empty table cannot pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from refdet.core.kernel import KERNELS
from refdet.ops.max_pool2d import MaxPool2dResidual
from refdet.verify.case import Algorithm, Case
from refdet.verify.catalogue import algorithm_of, backends, load_all
from refdet.verify.generate import case_module
from tests.agreement import in_layout

REQUIRED = {"numba-cpu": {"max_pool2d.forward", "max_pool2d.backward"}}
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}  # relative to the largest magnitude, plus one

load_all()
TABLES = {name: table for name, table in backends().items() if not isinstance(table, str)}
REPLACED = [(name, kernel) for name, table in TABLES.items() for kernel in sorted(table) if kernel in KERNELS]


@pytest.mark.parametrize("backend", sorted(REQUIRED))
def test_required_kernels_are_there(backend: str) -> None:
    table = backends()[backend]
    assert not isinstance(table, str), f"{backend} does not load: {table}"
    assert REQUIRED[backend] <= set(table)


@pytest.mark.parametrize("backend", sorted(TABLES))
def test_a_backend_replaces_kernels_that_exist(backend: str) -> None:
    unknown = set(TABLES[backend]) - set(KERNELS) - {"array.to_host", "array.to_device"}
    assert not unknown


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


@pytest.mark.parametrize("layout", ["contiguous", "strided", "big-endian", "read-only"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("backend", "kernel"), REPLACED)
def test_same_answers_and_residuals(backend: str, kernel: str, dtype: str, layout: str) -> None:
    body, reference = TABLES[backend][kernel], KERNELS[kernel].reference
    assert body is not reference
    module = case_module(algorithm_of(kernel))
    rng = np.random.default_rng(0)
    is_single = kernel == algorithm_of(kernel)
    forward = KERNELS[kernel if is_single else f"{algorithm_of(kernel)}.forward"]
    for case in [*module.cases(), *(module.random_case(rng) for _ in range(5))]:
        inputs = list(inputs_of(module.ALGORITHM, case, dtype, layout))
        what = f"{backend}: {kernel} on {case.name}"
        if is_single:
            assert_same(body(*inputs, **case.params), reference(*inputs, **case.params), what)
            continue
        expected = forward.reference(*inputs, keep_residual=True, **case.params)
        if kernel.endswith(".backward"):
            y = expected[0][0] if isinstance(expected[0], tuple) else expected[0]
            dy = in_layout(rng.standard_normal(y.shape).astype(dtype), layout)
            needs = tuple(x is not None and x.dtype.kind == "f" for x in inputs)
            arguments, options = (expected[1], dy), {"needs": needs, **case.params}
            assert_same(body(*arguments, **options), reference(*arguments, **options), what)
        else:
            assert_same(body(*inputs, keep_residual=True, **case.params), expected, what)
            assert body(*inputs, keep_residual=False, **case.params)[1] is None, what


def test_a_switch_outside_its_plane_is_refused_before_compiled_code_writes_there() -> None:
    residual = MaxPool2dResidual(np.zeros((1, 1, 2, 2)), np.array([[[[10**9]]]]))
    params = {"kernel_size": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
    with pytest.raises(IndexError, match="max_pool2d: a switch of 1000000000 lies outside a plane of 4 pixels"):
        TABLES["numba-cpu"]["max_pool2d.backward"](
            residual, np.ones((1, 1, 1, 1)), needs=(True,), ceil_mode=False, convention="torch", **params
        )
