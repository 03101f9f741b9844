"""global_avg_pool2d and global_max_pool2d: the definitions, their gradients, ties, empties, errors."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.core.check import Array
from refdet.ops.avg_pool2d import avg_pool2d
from refdet.ops.global_pool import global_avg_pool2d, global_max_pool2d
from refdet.ops.max_pool2d import max_pool2d
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import global_avg_pool2d as avg_oracle
from tests.oracles import global_max_pool2d as max_oracle

NAN, INF = np.nan, np.inf


def plane(rows: list[list[float]]) -> Array:
    """Return (1, 1, H, W)."""
    return np.array(rows, np.float64)[None, None]


def test_hand_example() -> None:
    """Planes 0 1 2 3 and 7 6 5 4."""
    x = np.array([[[[0.0, 1.0], [2.0, 3.0]], [[7.0, 6.0], [5.0, 4.0]]]])
    np.testing.assert_array_equal(global_avg_pool2d(x).data, [[1.5, 5.5]])
    y, switches = global_max_pool2d(x)
    np.testing.assert_array_equal(y.data, [[3, 7]])
    np.testing.assert_array_equal(switches, [[3, 0]])
    assert switches.dtype == np.int64


def test_switches_cannot_be_changed_under_the_gradient() -> None:
    x = Tensor(np.arange(4.0).reshape(1, 1, 2, 2), requires_grad=True)
    _, switches = global_max_pool2d(x)
    with pytest.raises(ValueError, match="read-only"):
        switches[...] = 0


def test_gradients_by_hand() -> None:
    for pool, expected in (
        (global_avg_pool2d, [[2, 2], [2, 2]]),
        (lambda t: global_max_pool2d(t)[0], [[0, 0], [0, 8]]),
    ):
        x = Tensor(plane([[0, 1], [2, 3]]), requires_grad=True)
        pool(x).backward(np.array([[8.0]]))
        assert x.grad is not None
        np.testing.assert_array_equal(x.grad[0, 0], expected)


@pytest.mark.parametrize(
    ("algorithm", "oracle"), [("global_avg_pool2d", avg_oracle), ("global_max_pool2d", max_oracle)]
)
@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(
    algorithm: str, oracle: ModuleType, data: st.DataObject, seed: int, dtype: str, layout: str
) -> None:
    """Few different values, so that the maximum is often not alone; for the maximum also infinities and NaN."""
    rng = np.random.default_rng(seed)
    shape = [data.draw(st.integers(0, high)) for high in (2, 2, 4, 4)]
    specials = data.draw(st.lists(st.sampled_from([NAN, INF, -INF]))) if algorithm == "global_max_pool2d" else []
    x = in_layout(rng.choice([-1.0, 0.0, 1.0, 2.0, *specials], shape).astype(dtype), layout)
    assert_agrees(algorithm, oracle, [x], rng=rng, params={"keepdims": data.draw(st.booleans())})


@pytest.mark.parametrize("keepdims", [False, True])
def test_gradients(keepdims: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.permutation(2 * 3 * 4 * 5).astype(np.float64).reshape(2, 3, 4, 5)
    gradcheck(lambda t: global_avg_pool2d(t, keepdims=keepdims), [x], rng=rng)
    gradcheck(lambda t: global_max_pool2d(t, keepdims=keepdims)[0], [x], rng=rng)


def test_they_are_pooling_with_one_window() -> None:
    x = np.random.default_rng(0).integers(-3, 3, (2, 3, 4, 4)).astype(np.float64)
    np.testing.assert_array_equal(global_avg_pool2d(x, keepdims=True).data, avg_pool2d(x, 4).data)
    for ours, theirs in zip(global_max_pool2d(x, keepdims=True), max_pool2d(x, 4), strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def test_the_first_of_equal_maxima_wins() -> None:
    x = Tensor(plane([[0, 5], [5, 5]]), requires_grad=True)
    y, switches = global_max_pool2d(x)
    assert switches.item() == 1
    y.sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad[0, 0], [[0, 1], [0, 0]])


def test_the_first_nan_wins() -> None:
    x = Tensor(plane([[INF, NAN, 1, NAN]]), requires_grad=True)
    y, switches = global_max_pool2d(x)
    assert np.isnan(y.data.item())
    assert switches.item() == 1
    y.sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad[0, 0], [[0, 1, 0, 0]])
    assert np.isnan(global_avg_pool2d(plane([[1, NAN]])).data.item())


def test_minus_infinity_everywhere_has_a_switch() -> None:
    y, switches = global_max_pool2d(np.full((1, 1, 2, 2), -INF))
    assert (y.data.item(), switches.item()) == (-INF, 0)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("size", [(0, 0), (0, 3), (3, 0)])
def test_empty_planes(keepdims: bool, size: tuple[int, int]) -> None:
    shape = (2, 3, 1, 1) if keepdims else (2, 3)
    x = Tensor(np.zeros((2, 3, *size)), requires_grad=True)
    average = global_avg_pool2d(x, keepdims=keepdims)
    maximum, switches = global_max_pool2d(x, keepdims=keepdims)
    np.testing.assert_array_equal(average.data, np.full(shape, NAN))
    np.testing.assert_array_equal(maximum.data, np.full(shape, -INF))
    np.testing.assert_array_equal(switches, np.full(shape, -1))
    assert switches.dtype == np.int64
    (average + maximum).sum().backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape


def test_no_planes() -> None:
    for shape in ((0, 3), (2, 0)):
        x = np.zeros((*shape, 4, 4))
        assert global_avg_pool2d(x).shape == shape
        assert global_max_pool2d(x)[0].shape == global_max_pool2d(x)[1].shape == shape


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"global_avg_pool2d: x must have rank 4 \(N, C, H, W\), got rank 2"):
        global_avg_pool2d(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"global_max_pool2d: x must have rank 4 \(N, C, H, W\), got rank 5"):
        global_max_pool2d(np.ones((1, 1, 1, 2, 3)))
    with pytest.raises(TypeError, match="global_avg_pool2d: x must be float32 or float64, got int64"):
        global_avg_pool2d(np.ones((1, 1, 2, 2), int))
    with pytest.raises(TypeError, match="global_max_pool2d: x must be float32 or float64, got bool"):
        global_max_pool2d(np.ones((1, 1, 2, 2), bool))


def test_bad_gradient() -> None:
    x = Tensor(np.ones((1, 2, 4, 4)), requires_grad=True)
    for y in (global_avg_pool2d(x), global_max_pool2d(x)[0]):
        with pytest.raises(ValueError, match=r"must have shape \(1, 2\)"):
            y.backward(np.ones((1, 2, 1, 1)))


def test_the_mean_of_a_picture_stored_channels_last() -> None:
    """Added term by term along the slow axis, 0.1 would come out as 0.116."""
    x = np.full((1500, 1500, 3), 0.1, np.float32).transpose(2, 0, 1)[None]
    np.testing.assert_allclose(global_avg_pool2d(x).data, np.float32(0.1), rtol=1e-5)


def test_flags_are_truth_values() -> None:
    with pytest.raises(TypeError, match="global_avg_pool2d: keepdims must be True or False, got 'x'"):
        global_avg_pool2d(np.ones((1, 1, 2, 2)), keepdims="x")  # type: ignore[arg-type]
