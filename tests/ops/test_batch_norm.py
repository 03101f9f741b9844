"""batch_norm: the statistics, the running estimates of both conventions, the gradients, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck, gradients
from refdet.ops.batch_norm import batch_norm
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import batch_norm as oracle

HAND = np.array([[0.0, 10.0], [2.0, 10.0], [4.0, 16.0], [6.0, 20.0]])
# channel 0: mean 3, deviations −3, −1, 1, 3, variance 20/4 = 5, unbiased 20/3
# channel 1: mean 14, deviations −4, −4, 2, 6, variance 72/4 = 18, unbiased 72/3 = 24


def test_hand_example() -> None:
    weight, bias = np.array([2.0, 1.0]), np.array([0.0, 100.0])
    y, mean, var = batch_norm(HAND, weight, bias, None, None, training=True, eps=4)
    expected = np.array([[-3, -4], [-1, -4], [1, 2], [3, 6]]) * weight / np.sqrt([5 + 4, 18 + 4]) + bias
    np.testing.assert_allclose(y.data, expected, rtol=1e-15)
    assert mean is None
    assert var is None


def test_running_estimates_by_hand() -> None:
    """From mean (0, 0) and variance (1, 1): a quarter of the way to 3, 14 and 20/3, 24, or to 5, 18."""
    old_mean, old_var = np.zeros(2), np.ones(2)
    options: dict[str, Any] = {"training": True}
    y, mean, var = batch_norm(HAND, None, None, old_mean, old_var, momentum=0.25, convention="torch", **options)
    np.testing.assert_allclose(mean, [0.75, 3.5], rtol=1e-15)  # type: ignore[arg-type]
    np.testing.assert_allclose(var, [0.75 + 20 / 12, 0.75 + 6], rtol=1e-15)  # type: ignore[arg-type]
    y_onnx, mean, var = batch_norm(HAND, None, None, old_mean, old_var, momentum=0.75, convention="onnx", **options)
    np.testing.assert_allclose(mean, [0.75, 3.5], rtol=1e-15)  # type: ignore[arg-type]
    np.testing.assert_allclose(var, [0.75 + 5 / 4, 0.75 + 18 / 4], rtol=1e-15)  # type: ignore[arg-type]
    np.testing.assert_array_equal(y.data, y_onnx.data)
    np.testing.assert_array_equal(old_mean, [0, 0])
    np.testing.assert_array_equal(old_var, [1, 1])


@pytest.mark.parametrize(("convention", "keeps", "replaces"), [("torch", 0.0, 1.0), ("onnx", 1.0, 0.0)])
def test_the_ends_of_momentum(convention: str, keeps: float, replaces: float) -> None:
    old_mean, old_var = np.array([7.0, 8.0]), np.array([5.0, 6.0])
    for momentum, expected in ((keeps, old_mean), (replaces, [3.0, 14.0])):
        _, mean, _ = batch_norm(
            HAND, None, None, old_mean, old_var, training=True, momentum=momentum, convention=convention
        )
        np.testing.assert_array_equal(mean, expected)


def test_inference_by_hand() -> None:
    """(x − 1)/√(3 + 1) and (x − 10)/√(12 + 4); the estimates come back as they were."""
    mean, var = np.array([1.0, 10.0]), np.array([3.0, 12.0])
    y, _, _ = batch_norm(HAND[:, :1], None, None, mean[:1], var[:1], training=False, eps=1)
    np.testing.assert_array_equal(y.data.ravel(), [-0.5, 0.5, 1.5, 2.5])
    y, _, _ = batch_norm(HAND[:, 1:], None, None, mean[1:], var[1:], training=False, eps=4)
    np.testing.assert_array_equal(y.data.ravel(), [0, 0, 1.5, 2.5])
    _, new_mean, new_var = batch_norm(HAND, None, None, mean, var, training=False)
    assert new_mean is mean
    assert new_var is var


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    training, convention = data.draw(st.booleans()), data.draw(st.sampled_from(["torch", "onnx"]))
    least = (2 if convention == "torch" else 1) if training else 0
    C = data.draw(st.integers(0, 4))
    shape = [data.draw(st.integers(least, 3)), C, *data.draw(st.lists(st.integers(min(least, 1), 3), max_size=2))]
    has_weight, has_bias = data.draw(st.booleans()), data.draw(st.booleans())
    x = 3 * rng.standard_normal(shape) + 1
    weight, bias, mean = (rng.standard_normal(C) for _ in range(3))
    var = 0.5 + rng.random(C)
    arrays = (x, weight if has_weight else None, bias if has_bias else None, mean, var)
    inputs = [None if a is None else in_layout(a.astype(dtype), layout) for a in arrays]
    params = {
        "training": training,
        "momentum": data.draw(st.sampled_from([0.0, 0.1, 0.9, 1.0])),
        "eps": data.draw(st.sampled_from([1e-2, 1.0])),
        "convention": convention,
    }
    differentiable = [True, True, True, False, False]
    assert_agrees("batch_norm", oracle, inputs, rng=rng, params=params, differentiable=differentiable)


def test_training_does_not_need_running_estimates() -> None:
    x = Tensor(HAND, requires_grad=True)
    results = []
    for running in ((None, None), (np.zeros(2), np.ones(2))):
        y, _, _ = batch_norm(x, None, None, *running, training=True)
        results.append((y.data, *gradients(y, [x], HAND**2)))
    np.testing.assert_array_equal(results[0], results[1])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4, 2)])
def test_gradient(training: bool, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    mean, var = rng.standard_normal(3), 0.5 + rng.random(3)
    gradcheck(
        lambda x, w, b: batch_norm(x, w, b, mean, var, training=training)[0],
        [rng.standard_normal(shape), rng.standard_normal(3), rng.standard_normal(3)],
        rng=rng,
    )
    gradcheck(
        lambda x: batch_norm(x, None, None, mean, var, training=training)[0], [rng.standard_normal(shape)], rng=rng
    )


def test_a_frozen_layer_is_affine() -> None:
    """Inference: dx = γ/√(σ² + ε)·dy; while training, a constant dy has no effect on x at all."""
    x = Tensor(HAND, requires_grad=True)
    weight = np.array([2.0, 4.0])
    batch_norm(x, weight, None, np.zeros(2), np.array([3.0, 15.0]), training=False, eps=1)[0].sum().backward()
    np.testing.assert_array_equal(x.grad, np.ones((4, 2)))
    (dx,) = gradients(batch_norm(x, weight, None, None, None, training=True)[0].sum(), [x])
    np.testing.assert_allclose(dx, np.zeros((4, 2)), atol=1e-15)


def test_two_passes_survive_a_large_mean() -> None:
    """Variance 1 around a mean of 1e4 in float32, where Σx²/m − μ² has no correct digit."""
    x = np.array([[9999.0], [10001.0]] * 50, np.float32)
    y, _, _ = batch_norm(x, None, None, None, None, training=True)
    np.testing.assert_allclose(y.data.ravel(), [-1, 1] * 50, rtol=1e-5)


def test_a_constant_channel_gives_the_bias() -> None:
    y, _, _ = batch_norm(np.full((4, 1), 7.0), np.array([3.0]), np.array([2.0]), None, None, training=True)
    np.testing.assert_array_equal(y.data, np.full((4, 1), 2.0))


def test_one_value_per_channel_under_onnx_gives_the_bias() -> None:
    y, mean, var = batch_norm(
        np.array([[7.0]]), np.array([3.0]), np.array([2.0]), np.zeros(1), np.ones(1), training=True, momentum=0.5,
        convention="onnx",
    )  # fmt: skip
    assert [y.data.item(), mean, var] == [2.0, 3.5, 0.5]


def test_inference_of_an_empty_batch_is_empty() -> None:
    y, _, _ = batch_norm(np.ones((0, 2, 3)), None, None, np.zeros(2), np.ones(2), training=False)
    assert y.shape == (0, 2, 3)


def test_nan_stays_in_its_channel() -> None:
    x = HAND.copy()
    x[0, 0] = np.nan
    y, mean, _ = batch_norm(x, None, None, np.zeros(2), np.ones(2), training=True)
    np.testing.assert_array_equal(np.isnan(y.data), [[True, False]] * 4)
    np.testing.assert_array_equal(np.isnan(mean), [True, False])  # type: ignore[arg-type]


ONE, TWO, THREE = np.ones(1), np.ones(2), np.ones(3)
NO_VALUES = "training needs at least 1 value per channel, got 0"


@pytest.mark.parametrize(
    ("x", "arrays", "options", "message"),
    [
        (THREE, (None,) * 4, {}, r"x must have rank 2 or more \(N, C, ...\), got rank 1"),
        (HAND, (THREE, None, None, None), {}, r"weight must have shape \(2,\) \(one per channel of x\), got \(3,\)"),
        (HAND, (None, THREE, None, None), {}, r"bias must have shape \(2,\)"),
        (HAND, (None, None, THREE, TWO), {}, r"running_mean must have shape \(2,\)"),
        (HAND, (None, None, TWO, THREE), {}, r"running_var must have shape \(2,\)"),
        (HAND, (None, None, TWO, None), {}, "running_mean and running_var must be given together"),
        (HAND, (None,) * 4, {"training": False}, "running_mean and running_var must be given when training=False"),
        (HAND, (None,) * 4, {"eps": 0.0}, r"eps must lie in \(0, inf\), got 0.0"),
        (HAND, (None,) * 4, {"momentum": 1.5}, r"momentum must lie in \[0, 1\], got 1.5"),
        (HAND, (None,) * 4, {"momentum": None}, "momentum must be a finite number, got None"),
        (HAND, (None,) * 4, {"convention": "caffe"}, "convention must be one of 'torch', 'onnx', got 'caffe'"),
        (HAND[:1], (None,) * 4, {}, "training needs at least 2 values per channel under convention 'torch', got 1"),
        (HAND[:0], (None,) * 4, {"convention": "onnx"}, NO_VALUES),
        (np.ones((2, 3, 0)), (None,) * 4, {"convention": "onnx"}, NO_VALUES),
        (HAND[:0], (None,) * 4, {}, "training needs at least 2 values per channel under convention 'torch', got 0"),
    ],
)
def test_bad_input(x: Any, arrays: tuple[Any, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"batch_norm: {message}"):
        batch_norm(x, *arrays, **{"training": True, **options})


def test_bad_types() -> None:
    with pytest.raises(TypeError, match="batch_norm: x is float64 but running_mean is float32"):
        batch_norm(HAND, None, None, np.zeros(2, np.float32), np.ones(2), training=False)
    with pytest.raises(TypeError, match="batch_norm: training must be True or False, got 1"):
        batch_norm(HAND, None, None, None, None, training=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="batch_norm: x must be float32 or float64, got int64"):
        batch_norm(np.ones((3, 2), int), None, None, None, None, training=True)


def test_long_float32_channels_keep_their_mean() -> None:
    """200000 values a channel, one constant: its deviations are what rounding of the mean leaves, not 0.064 σ."""
    x = np.stack([np.full(200_000, 100.1), np.arange(200_000) % 2], axis=1).astype(np.float32)
    y, *_ = batch_norm(x, None, None, None, None, training=True)
    assert np.abs(y.data[:, 0]).max() < 0.01
    np.testing.assert_allclose(y.data[:2, 1], [-1, 1], rtol=1e-4)


def test_a_picture_stored_channels_last_gives_the_same_statistics() -> None:
    x = (np.random.default_rng(0).standard_normal((1, 200, 200, 3)) + 1000).astype(np.float32).transpose(0, 3, 1, 2)
    y, *_ = batch_norm(x, None, None, None, None, training=True)
    contiguous, *_ = batch_norm(np.ascontiguousarray(x), None, None, None, None, training=True)
    np.testing.assert_allclose(y.data, contiguous.data, atol=1e-3)
    np.testing.assert_allclose(y.data.mean(axis=(0, 2, 3), dtype=np.float64), 0, atol=1e-4)
