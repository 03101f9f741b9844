"""dropout: both conventions, expectation, p = 0 and 1, determinism, gradient, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.core.kernel import KERNELS
from refdet.ops.dropout import dropout
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import dropout as oracle

conventions = pytest.mark.parametrize("convention", ["inverted", "original"])


def kernel_forward(x: Any, keep: Any, **params: Any) -> Any:
    return KERNELS["dropout.forward"](x, keep, keep_residual=False, **params)[0]


def test_hand_example() -> None:
    """p = 1/4: the kept are divided by 3/4 in training, or all multiplied by it at inference."""
    x, keep = np.array([3.0, 6.0, 9.0]), np.array([True, False, True])
    inverted, original = {"p": 0.25, "convention": "inverted"}, {"p": 0.25, "convention": "original"}
    np.testing.assert_array_equal(kernel_forward(x, keep, training=True, **inverted), [4, 0, 12])
    np.testing.assert_array_equal(kernel_forward(x, keep, training=False, **inverted), [3, 6, 9])
    np.testing.assert_array_equal(kernel_forward(x, keep, training=True, **original), [3, 0, 9])
    np.testing.assert_array_equal(kernel_forward(x, keep, training=False, **original), [2.25, 4.5, 6.75])


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    shape = data.draw(st.lists(st.integers(0, 4), max_size=4))
    params: dict[str, Any] = {
        "p": data.draw(st.sampled_from([0.0, 0.1, 0.5, 1.0])),
        "training": data.draw(st.booleans()),
        "convention": data.draw(st.sampled_from(["inverted", "original"])),
    }
    x = in_layout(rng.standard_normal(shape).astype(dtype), layout)
    keep = in_layout(np.asarray(rng.random(shape) >= params["p"]), layout)
    assert_agrees("dropout", oracle, [x, keep], rng=rng, params=params)


@conventions
@pytest.mark.parametrize("training", [True, False])
def test_gradient(convention: str, training: bool) -> None:
    def drop(x: Tensor) -> Tensor:
        return dropout(x, p=0.3, rng=np.random.default_rng(7), training=training, convention=convention)

    rng = np.random.default_rng(0)
    gradcheck(drop, [rng.standard_normal((4, 5))], rng=rng)


@conventions
def test_expectation_in_training_is_the_output_at_inference(convention: str) -> None:
    """The mean of 100,000 ones: standard error 0.0016 (original), 0.0021 (inverted)."""
    x = np.ones(100_000)
    trained = dropout(x, p=0.4, rng=np.random.default_rng(0), training=True, convention=convention).data
    inferred = dropout(x, p=0.4, training=False, convention=convention).data
    np.testing.assert_allclose(inferred, 1 if convention == "inverted" else 0.6)
    assert abs(trained.mean() - inferred.mean()) < 0.01
    kept = trained[trained != 0]
    np.testing.assert_allclose(kept, 1 / 0.6 if convention == "inverted" else 1)


def test_the_draw() -> None:
    """A unit is kept where its draw is at least p; one draw per element, row-major, the same for both dtypes."""
    draws = np.random.default_rng(3).random((4, 5))
    for dtype in ("float32", "float64"):
        y = dropout(np.ones((4, 5), dtype), p=0.5, rng=np.random.default_rng(3), training=True).data
        np.testing.assert_array_equal(y, np.where(draws >= 0.5, 2, 0))
        assert y.dtype == dtype


def test_a_draw_equal_to_p_keeps_the_unit() -> None:
    draw = float(np.random.default_rng(3).random())
    y = dropout(np.ones(1), p=draw, rng=np.random.default_rng(3), training=True, convention="original")
    assert y.item() == 1


def test_the_generator_is_all_the_state() -> None:
    x, rng = np.ones(50), np.random.default_rng(5)
    first, second = (dropout(x, p=0.5, rng=rng, training=True).data for _ in range(2))
    assert (first != second).any()
    np.testing.assert_array_equal(dropout(x, p=0.5, rng=np.random.default_rng(5), training=True).data, first)


def test_inference_draws_nothing() -> None:
    rng = np.random.default_rng(5)
    dropout(np.ones(3), p=0.5, rng=rng, training=False)
    assert rng.random() == np.random.default_rng(5).random()


@conventions
def test_p_of_0_keeps_everything(convention: str) -> None:
    x = np.array([1.0, np.inf, -2.0])
    for training in (True, False):
        y = dropout(x, p=0, rng=np.random.default_rng(0), training=training, convention=convention)
        np.testing.assert_array_equal(y.data, x)


@conventions
def test_p_of_1_gives_zeros_without_a_warning(convention: str) -> None:
    x = Tensor(np.array([1.0, np.inf, np.nan]), requires_grad=True)
    y = dropout(x, p=1, rng=np.random.default_rng(0), training=True, convention=convention)
    np.testing.assert_array_equal(y.data, [0, 0, 0])
    y.backward(np.array([np.inf, 1.0, 1.0]))
    np.testing.assert_array_equal(x.grad, [0, 0, 0])
    inferred = dropout(x, p=1, training=False, convention=convention).data
    np.testing.assert_array_equal(inferred, x.data if convention == "inverted" else [0, 0, 0])


def test_a_removed_unit_is_zero_whatever_it_held() -> None:
    keep = np.array([False, False, True])
    y = kernel_forward(np.array([np.inf, np.nan, 1.0]), keep, p=0.5, training=True, convention="inverted")
    np.testing.assert_array_equal(y, [0, 0, 2])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"p": 0.5, "training": True}, TypeError, "rng must be a numpy.random.Generator when training, got NoneType"),
        ({"p": 0.5, "training": True, "rng": 0}, TypeError, "rng must be a numpy.random.Generator .* got int"),
        ({"p": 1.5, "training": False}, ValueError, r"p must lie in \[0, 1\], got 1.5"),
        ({"p": -0.1, "training": False}, ValueError, r"p must lie in \[0, 1\], got -0.1"),
        ({"p": float("nan"), "training": False}, ValueError, "p must be a finite number"),
        ({"p": 0.5, "training": 1}, TypeError, "training must be True or False, got 1"),
        ({"p": 0.5, "training": False, "convention": "x"}, ValueError, "convention must be one of 'inverted', 'origi"),
    ],
)
def test_bad_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"dropout: {message}"):
        dropout(np.ones(3), **options)


def test_bad_arrays() -> None:
    params: dict[str, Any] = {"p": 0.5, "training": True, "convention": "inverted"}
    with pytest.raises(TypeError, match="dropout: x must be float32 or float64, got int64"):
        dropout(np.arange(3), p=0.5, training=False)
    with pytest.raises(TypeError, match="dropout: keep must be a boolean array, got int64"):
        kernel_forward(np.ones(3), np.ones(3, int), **params)
    with pytest.raises(ValueError, match=r"dropout: keep must have shape \(3,\) \(the shape of x\), got \(2,\)"):
        kernel_forward(np.ones(3), np.ones(2, bool), **params)
    with pytest.raises(ValueError, match="dropout: keep must be given when training"):
        kernel_forward(np.ones(3), None, **params)
