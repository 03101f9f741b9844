"""The routes of conv2d.forward, at sizes that reach every border of their blocks, against the reference in float64.

The bound is that of a sum of n products in any order, (n + 1) · u · Σ |w| · |x| (Higham 2002, section 3.1), where every
tap is read as it is; of Winograd's transforms, the same with the largest Σ |w| · |x| of the map.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.core.kernel import KERNELS
from refdet.ops.conv2d import conv2d_forward
from refdet.ops.correlation import Geometry
from refdet.verify.catalogue import load_all
from tests.agreement import Array, in_layout

pytest.importorskip("numba")

from refdet_numba.cpu import direct_plan, small_maps, three_by_three
from refdet_numba.cpu.conv2d import forward
from refdet_numba.cpu.direct import correlate_directly
from refdet_numba.cpu.three_by_three import correlate_as_3x3

load_all()
SAME_3 = ((1, 1), (1, 1))
NONE = ((0, 0), (0, 0))

# x, weight, stride, padding, dilation, groups
DIRECT = {
    "rows of whole vectors": ((2, 3, 23, 32), (8, 3, 3, 3), (1, 1), SAME_3, (1, 1), 1),
    "rows whose last vector is moved back": ((1, 3, 19, 41), (6, 3, 3, 3), (1, 1), SAME_3, (1, 1), 1),
    "7 by 7, stride 2": ((1, 3, 61, 64), (16, 3, 7, 7), (2, 2), ((3, 3), (3, 3)), (1, 1), 1),
    "11 by 11, stride 4": ((1, 3, 75, 79), (17, 3, 11, 11), (4, 4), NONE, (1, 1), 1),
    "columns, a whole number of vectors": ((1, 70, 17, 17), (40, 70, 3, 3), (2, 2), SAME_3, (1, 1), 1),
    "columns, sums in a buffer": ((3, 40, 15, 13), (21, 40, 3, 3), (1, 1), SAME_3, (1, 1), 1),
    "columns, more outputs than the buffer holds": ((1, 5, 43, 67), (300, 5, 1, 1), (1, 1), NONE, (1, 1), 1),
    "fewer outputs than a vector": ((2, 9, 3, 5), (5, 9, 3, 3), (1, 1), SAME_3, (1, 1), 1),
    "one output": ((1, 20, 6, 7), (33, 20, 6, 7), (1, 1), NONE, (1, 1), 1),
    "1 by 1 in place": ((2, 130, 12, 16), (20, 130, 1, 1), (1, 1), NONE, (1, 1), 1),
    "1 by 1 in place, groups": ((1, 130, 12, 16), (20, 65, 1, 1), (1, 1), NONE, (1, 1), 2),
    "1 by 1, stride 2": ((1, 64, 27, 56), (48, 64, 1, 1), (2, 2), NONE, (1, 1), 1),
    "1 by 1 with padding": ((1, 8, 16, 16), (8, 8, 1, 1), (1, 1), ((0, 1), (2, 0)), (1, 1), 1),
    "groups of four": ((2, 16, 30, 28), (16, 4, 3, 3), (1, 1), SAME_3, (1, 1), 4),
    "depthwise": ((1, 12, 31, 29), (12, 1, 3, 3), (1, 1), SAME_3, (1, 1), 12),
    "depthwise, small map, two outputs each": ((2, 5, 7, 7), (10, 1, 5, 5), (1, 1), ((2, 2), (2, 2)), (1, 1), 5),
    "stride larger than the kernel": ((1, 4, 50, 51), (7, 4, 2, 1), (3, 5), NONE, (1, 1), 1),
    "padding larger than the kernel": ((1, 4, 9, 20), (7, 4, 2, 3), (1, 2), ((5, 4), (7, 3)), (1, 1), 1),
    "stride and dilation": ((1, 6, 40, 45), (8, 6, 3, 4), (2, 3), ((0, 3), (5, 1)), (3, 2), 1),
    "stride a multiple of the dilation": ((1, 6, 40, 45), (8, 3, 3, 3), (2, 4), SAME_3, (4, 2), 2),
    "rows wider than all planes": ((1, 2, 4, 6000), (4, 2, 3, 9), (1, 2), SAME_3, (1, 1), 1),
}
AS_3X3 = {
    "3 by 3, groups": ((2, 32, 18, 21), (32, 16, 3, 3), (1, 1), ((1, 2), (0, 1)), (1, 1), 2),
    "dilated": ((2, 16, 23, 26), (24, 16, 3, 3), (1, 1), ((2, 1), (3, 3)), (2, 3), 1),
    "5 by 5, groups": ((1, 32, 27, 29), (32, 16, 5, 5), (1, 1), ((2, 2), (1, 3)), (1, 1), 2),
    "11 by 11, stride 4": ((1, 3, 91, 79), (16, 3, 11, 11), (4, 4), NONE, (1, 1), 1),
    "6 by 5, stride 2 and 1": ((2, 8, 33, 31), (16, 8, 6, 5), (2, 1), SAME_3, (1, 1), 1),
}
SMALL_MAPS = {
    "one vector of images": ((16, 8, 6, 6), (8, 8, 3, 3), (1, 1), SAME_3, (1, 1), 1),
    "several blocks, the last one not full": ((135, 11, 3, 5), (9, 11, 3, 3), (1, 1), SAME_3, (1, 1), 1),
    "no padding, two channels of the last ones": ((18, 26, 7, 4), (17, 26, 2, 4), (1, 1), NONE, (1, 1), 1),
    "more padding than kernel": ((31, 9, 2, 3), (8, 9, 3, 3), (1, 1), ((3, 4), (5, 2)), (1, 1), 1),
}


def arguments(case: Any, dtype: str) -> tuple[tuple[Array, Array, Array], dict[str, Any]]:
    x, weight, *params = case
    rng = np.random.default_rng(0)
    arrays = (rng.standard_normal(x), rng.standard_normal(weight), rng.standard_normal(weight[0]))
    return tuple(a.astype(dtype) for a in arrays), dict(
        zip(("stride", "padding", "dilation", "groups"), params, strict=True)
    )


def expected(arrays: Any, params: dict[str, Any]) -> tuple[Array, Array]:
    """Return y and the bound of its rounding errors in the arrays' dtype."""
    body = KERNELS["conv2d.forward"].reference
    double = [a.astype("f8") for a in arrays]
    y, magnitude = (body(*inputs, keep_residual=False, **params)[0] for inputs in (double, [abs(a) for a in double]))
    unit = np.finfo(arrays[0].dtype).eps / 2
    return y, (np.prod(arrays[1].shape[1:]) + 2) * unit * magnitude


def geometry_of(arrays: Any, params: dict[str, Any]) -> Geometry:
    return Geometry(arrays[1].shape[2:], params["stride"], params["padding"], params["dilation"], params["groups"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", DIRECT.values(), ids=DIRECT)
def test_direct(case: Any, dtype: str) -> None:
    arrays, params = arguments(case, dtype)
    y, bound = expected(arrays, params)
    actual = correlate_directly(*arrays, y.shape[2:], geometry_of(arrays, params))
    assert actual.dtype == dtype
    assert np.all(np.abs(actual - y) <= bound)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", AS_3X3.values(), ids=AS_3X3)
def test_rewritten_as_3x3(case: Any, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(three_by_three, "pays", lambda *shapes: True)
    arrays, params = arguments(case, dtype)
    y, bound = expected(arrays, params)
    actual = correlate_as_3x3(*arrays, y.shape[2:], geometry_of(arrays, params))
    assert actual is not None
    assert actual.dtype == dtype
    assert np.max(np.abs(actual - y)) <= np.max(bound)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", SMALL_MAPS.values(), ids=SMALL_MAPS)
def test_small_maps(case: Any, dtype: str) -> None:
    (x, weight, bias), params = arguments(case, dtype)
    y, bound = expected((x, weight, bias), params)
    channels = (x.shape[1], weight.shape[0])
    assert small_maps.small_maps_pay(len(x), channels, y.shape[2:], geometry_of((x, weight), params))
    actual = small_maps.correlate_small_maps(x, weight, bias, params["padding"])
    assert actual is not None
    assert actual.dtype == dtype
    assert np.all(np.abs(actual - y) <= bound)


def test_every_route_is_taken() -> None:
    """Plans of every kind: by rows and by columns, sums in y and in a buffer, x in place, several parts and blocks."""
    plans = []
    for x, weight, stride, padding, dilation, groups in DIRECT.values():
        params: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        y = conv2d_forward(np.zeros(x), np.zeros(weight), None, keep_residual=False, **params)[0]
        geometry = Geometry(weight[2:], stride, padding, dilation, groups)
        plans.append(direct_plan.plan(x[0], x[2:], weight, y.shape[2:], geometry, 4))
    assert {bool(p.sums) for p in plans} == {p.in_place for p in plans} == {True, False}
    assert max(p.parts for p in plans) > 1
    assert max(p.vectors.size for p in plans) > 1
    assert any(p.channels < case[1][1] for p, case in zip(plans, DIRECT.values(), strict=True))


@pytest.mark.parametrize("layout", ["big-endian", "read-only", "strided", "reversed", "fortran"])
def test_layouts(layout: str) -> None:
    arrays, params = arguments(DIRECT["1 by 1, stride 2"], "float32")
    y, bound = expected(arrays, params)
    actual, residual = forward(*(in_layout(a, layout) for a in arrays), keep_residual=True, **params)
    assert np.all(np.abs(actual - y) <= bound)
    assert residual is not None
    assert actual.dtype == np.float32


@pytest.mark.parametrize(
    "case",
    [
        DIRECT["depthwise"],
        AS_3X3["dilated"],
        ((1, 64, 32, 32), (64, 64, 3, 3), (1, 1), SAME_3, (1, 1), 1),
        ((16, 8, 12, 12), (8, 8, 3, 3), (1, 1), SAME_3, (1, 1), 1),
    ],
)
def test_infinities_stay_where_they_are_read(case: Any) -> None:
    """One infinite pixel makes the outputs infinite that read it with a weight of the same sign, and no others."""
    (x, weight, bias), params = arguments(case, "float32")
    x[0, 3, 9, 9] = np.inf
    body = KERNELS["conv2d.forward"].reference
    wanted = body(x, weight, bias, keep_residual=False, **params)[0]
    actual = forward(x, weight, bias, keep_residual=False, **params)[0]
    np.testing.assert_array_equal(np.isfinite(actual), np.isfinite(wanted))
    np.testing.assert_array_equal(actual[~np.isfinite(actual)], wanted[~np.isfinite(wanted)])


def test_without_bias_and_without_channels() -> None:
    params: dict[str, Any] = {"stride": (1, 1), "padding": NONE, "dilation": (1, 1), "groups": 1}
    y, _ = forward(np.ones((2, 0, 4, 4)), np.ones((3, 0, 3, 3)), np.arange(3.0), keep_residual=False, **params)
    np.testing.assert_array_equal(y, np.broadcast_to(np.arange(3.0)[:, None, None], (2, 3, 2, 2)))
    y, _ = forward(np.ones((1, 1, 4, 4)), np.ones((3, 1, 3, 3)), None, keep_residual=False, **params)
    np.testing.assert_array_equal(y, np.full((1, 3, 2, 2), 9.0))
