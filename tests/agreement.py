"""What every op must show against its oracle, and the array layouts in which it must show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from refdet.core.kernel import KERNELS
from refdet.verify.forward import run_forward

Array = NDArray[Any]

TOLERANCE = {"float32": 2e-5, "float64": 1e-11}  # relative to the largest magnitude of the tensor, plus one
LAYOUTS = ("contiguous", "fortran", "strided", "reversed", "big-endian", "read-only")

dtypes = st.sampled_from(["float32", "float64"])
layouts = st.sampled_from(LAYOUTS)
seeds = st.integers(0, 2**32 - 1)


def in_layout(x: Array, layout: str) -> Array:
    """Return the values of `x` in another memory layout."""
    if layout == "fortran":
        return np.asfortranarray(x) if x.ndim else x
    if layout == "strided":
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype) if x.ndim else x
        if x.ndim:
            wide[..., ::2] = x
        return wide[..., ::2] if x.ndim else x
    if layout == "reversed":
        return np.ascontiguousarray(x[..., ::-1])[..., ::-1] if x.ndim else x
    if layout == "big-endian":
        return x.astype(x.dtype.newbyteorder(">"))
    if layout == "read-only":
        x = x.copy()
        x.flags.writeable = False
    return x


def assert_agrees(
    algorithm: str,
    oracle: ModuleType,
    inputs: Sequence[Array | None],
    *,
    rng: np.random.Generator,
    params: Mapping[str, Any],
    differentiable: Sequence[bool] | None = None,
    tolerance: Mapping[str, float] = TOLERANCE,
) -> None:
    """Compare `X.forward` and `X.backward`, or the single kernel `X`, with the oracle's: all outputs, all gradients.

    Also: inputs unchanged, backward twice equal, dtype kept, no residual when none is asked for. `differentiable` says
    which inputs have a gradient; by default those of floating-point dtype.
    """
    before = [None if x is None else x.copy() for x in inputs]
    floats = [x.dtype for x in inputs if x is not None and x.dtype.kind == "f"]
    float_dtype = floats[0] if floats else np.dtype("float64")
    bound = tolerance[float_dtype.newbyteorder("=").name]

    outputs, residual = run_forward(algorithm, inputs, params, keep_residual=True)
    assert run_forward(algorithm, inputs, params)[1] is None
    expected = oracle.forward(*inputs, **params)
    expected = expected if isinstance(expected, tuple) else (expected,)
    assert len(outputs) == len(expected)
    for i, (y, y_expected) in enumerate(zip(outputs, expected, strict=True)):
        if y is None and y_expected is None:
            continue
        assert_close(y, y_expected, float_dtype, bound, f"{algorithm} output {i}")

    if f"{algorithm}.backward" in KERNELS:
        needs = tuple(
            x is not None and x.dtype.kind == "f" and (differentiable is None or differentiable[i])
            for i, x in enumerate(inputs)
        )
        assert outputs[0] is not None
        dy = rng.standard_normal(outputs[0].shape).astype(float_dtype)
        expected_gradients = oracle.backward(*inputs, dy=dy, **params)
        gradients, again = (KERNELS[f"{algorithm}.backward"](residual, dy, needs=needs, **params) for _ in range(2))
        assert len(gradients) == len(inputs)
        for i, (dx, dx_again, dx_expected) in enumerate(zip(gradients, again, expected_gradients, strict=True)):
            if needs[i]:
                assert_close(dx, dx_expected, float_dtype, bound, f"{algorithm} gradient of input {i}")
            if dx is not None:
                np.testing.assert_array_equal(dx, dx_again, err_msg=f"{algorithm}: second backward differs")
    for x, x_before in zip(inputs, before, strict=True):
        if x is not None:
            np.testing.assert_array_equal(x, x_before, err_msg=f"{algorithm}: input changed")


def assert_close(actual: Any, expected: Any, float_dtype: np.dtype[Any], bound: float, what: str) -> None:
    """Integers and booleans exactly; floats within `bound` of the largest finite magnitude, in the dtype asked for."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, expected {expected.shape}"
    if expected.dtype.kind in "iub":
        assert actual.dtype.kind == expected.dtype.kind, f"{what}: {actual.dtype}"
        np.testing.assert_array_equal(actual, expected, err_msg=what)
        return
    assert actual.dtype.newbyteorder("=") == float_dtype.newbyteorder("="), f"{what}: {actual.dtype}"
    finite = np.abs(expected[np.isfinite(expected)])
    scale = 1.0 + (float(finite.max()) if finite.size else 0.0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=bound * scale, err_msg=what)
