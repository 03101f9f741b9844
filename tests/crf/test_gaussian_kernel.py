"""gaussian_kernel: the definition, its gradient, its diagonal, its size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.crf.gaussian_kernel import gaussian_kernel
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import gaussian_kernel as oracle


def test_hand_example() -> None:
    """(0, 0), (3, 4) and (3, 0): distances 5, 3 and 4."""
    K = gaussian_kernel(np.array([[0.0, 0], [3, 4], [3, 0]])).data
    e = np.exp(np.array([[0, -25, -9], [-25, 0, -16], [-9, -16, 0]]) / 2)
    np.testing.assert_allclose(K, e, rtol=1e-15)


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    n, d = data.draw(st.integers(0, 6)), data.draw(st.integers(0, 4))
    features = rng.choice([-1.5, 0.0, 0.25, 2.0], (n, d)) + data.draw(st.sampled_from([0, 1000]))
    features = np.where(rng.random((n, d)) < data.draw(st.sampled_from([0, 0, 0.1])), np.nan, features)
    params = {"exclude_self": data.draw(st.booleans())}
    assert_agrees("gaussian_kernel", oracle, [in_layout(features.astype(dtype), layout)], rng=rng, params=params)


@pytest.mark.parametrize("exclude_self", [False, True])
def test_gradient(exclude_self: bool) -> None:
    rng = np.random.default_rng(1)
    gradcheck(lambda f: gaussian_kernel(f, exclude_self=exclude_self), [rng.standard_normal((7, 3))], rng=rng)


def test_symmetric_and_positive_semidefinite() -> None:
    """To the last bit, also where |f|² is much larger than the distances."""
    K = gaussian_kernel((1e4 + np.random.default_rng(0).standard_normal((40, 5))).astype(np.float32)).data
    np.testing.assert_array_equal(K, K.T)
    np.testing.assert_array_equal(np.diag(K), np.ones(40))
    assert np.linalg.eigvalsh(K.astype(np.float64)).min() > -1e-6


def test_only_the_diagonal_is_excluded() -> None:
    """Other points at the same place stay."""
    np.testing.assert_array_equal(gaussian_kernel(np.zeros((2, 3)), exclude_self=True).data, [[0, 1], [1, 0]])


def test_a_gradient_moves_both_points() -> None:
    f = Tensor(np.array([[0.0], [1.0]]), requires_grad=True)
    gaussian_kernel(f).backward(np.array([[0.0, 1.0], [0.0, 0.0]]))
    assert f.grad is not None
    np.testing.assert_allclose(f.grad, np.exp(-0.5) * np.array([[1.0], [-1.0]]))


def test_far_points_are_strangers() -> None:
    """The square of the distance is infinite; no warning, and no NaN."""
    f = Tensor(np.array([[0.0], [1e30]], np.float32), requires_grad=True)
    K = gaussian_kernel(f)
    np.testing.assert_array_equal(K.data, np.eye(2))
    K.backward(np.ones((2, 2), np.float32))
    assert f.grad is not None
    np.testing.assert_array_equal(f.grad, [[0.0], [0.0]])


def test_nan_and_infinity_stay_with_their_point() -> None:
    K = gaussian_kernel(np.array([[0.0], [np.inf], [np.nan], [0.0]]), exclude_self=True).data
    np.testing.assert_array_equal(K[np.ix_([0, 3], [0, 3])], [[0, 1], [1, 0]])
    np.testing.assert_array_equal(K[1], [0, 0, np.nan, 0])
    np.testing.assert_array_equal(K[2], [np.nan, np.nan, 0, np.nan])


def test_too_many_points() -> None:
    message = r"gaussian_kernel: .* N = 5001 takes 100,040,004 bytes; at most 5000 points"
    with pytest.raises(ValueError, match=message):
        gaussian_kernel(np.zeros((5001, 2), np.float32))
    with pytest.raises(ValueError, match="N = 5 takes 200 bytes; at most 4 points"):
        gaussian_kernel(np.zeros((5, 2)), max_points=4)
    assert gaussian_kernel(np.zeros((4, 2)), max_points=4).shape == (4, 4)


@pytest.mark.parametrize(
    ("features", "options", "error", "message"),
    [
        (np.zeros(3), {}, ValueError, r"features must have rank 2 \(N, d\), got rank 1"),
        (np.zeros((2, 2), int), {}, TypeError, "features must be float32 or float64, got int64"),
        (np.zeros((2, 2)), {"exclude_self": 1}, TypeError, "exclude_self must be True or False, got 1"),
        (np.zeros((2, 2)), {"max_points": 2.5}, TypeError, "max_points must be an integer"),
    ],
)
def test_bad_input(features: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"gaussian_kernel: {message}"):
        gaussian_kernel(features, **options)
