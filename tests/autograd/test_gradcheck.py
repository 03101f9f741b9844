"""The gradient check finds wrong gradients, and says which."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.autograd import GradientMismatchError, Tensor, check_gradients, differentiable, gradcheck
from refdet.autograd.tensor import apply
from refdet.core.check import Array
from refdet.core.kernel import KERNELS


def _cube(x: Array, *, keep_residual: bool) -> tuple[Array, Array]:
    return x**3, x


def test_a_wrong_factor_is_found() -> None:
    def wrong(x: Tensor) -> Tensor:
        return apply(_cube, lambda x, dy, needs: (2.999 * x**2 * dy,), x)

    with pytest.raises(
        GradientMismatchError, match=r"gradient of input 0: .* by central differences, .* relative error"
    ):
        gradcheck(wrong, [np.array([1.0, 2.0])], rng=np.random.default_rng(0))


def test_a_nan_is_found() -> None:
    def broken(x: Tensor) -> Tensor:
        return apply(_cube, lambda x, dy, needs: (dy * np.nan,), x)

    with pytest.raises(GradientMismatchError, match="nan"):
        gradcheck(broken, [np.array([1.0])], rng=np.random.default_rng(0))


def test_both_sides_are_returned_for_every_input() -> None:
    checks = check_gradients(lambda x, y: x * y * y, [np.array([2.0]), np.array([3.0])], rng=np.random.default_rng(0))
    assert [c.i_input for c in checks] == [0, 1]
    for c in checks:
        assert c.numeric == pytest.approx(c.analytic, rel=1e-8)
        assert c.error < 1e-8


def test_float32_is_refused() -> None:
    with pytest.raises(TypeError, match="input 0 must be float64, got float32"):
        gradcheck(lambda x: x * 2, [np.ones(2, np.float32)], rng=np.random.default_rng(0))


def test_a_gradient_of_the_wrong_shape_names_its_op() -> None:
    x = Tensor(np.ones(3), requires_grad=True)
    y = apply(_cube, lambda x, dy, needs: (dy[:2],), x)
    message = r"backward of _cube: gradient of shape \(2,\) and dtype float64 for input 0 of shape \(3,\)"
    with pytest.raises(ValueError, match=message):
        y.sum().backward()


def test_kernels_that_do_not_pair() -> None:
    with pytest.raises(ValueError, match=r"'add.forward' and 'exp.backward' do not pair"):
        differentiable(KERNELS["add.forward"], KERNELS["exp.backward"])


def test_what_cannot_be_checked_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(TypeError, match="gradcheck: input 0 must be an array, got list"):
        gradcheck(lambda x: x, [[1.0]], rng=rng)  # type: ignore[list-item]
    with pytest.raises(TypeError, match="gradcheck: the function must return a Tensor, got ndarray"):
        gradcheck(lambda x: x.data, [np.ones(2)], rng=rng)
    seed: Any = 0
    with pytest.raises(TypeError, match=r"gradcheck: rng must be a numpy\.random\.Generator .*, got int"):
        gradcheck(lambda x: x, [np.ones(2)], rng=seed)
    with pytest.raises(ValueError, match="gradcheck: step must lie in"):
        gradcheck(lambda x: x, [np.ones(2)], rng=rng, step=0.0)
