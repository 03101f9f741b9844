"""lattice_convolve: the definition, its gradient, missing taps, a convolution of an image, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet import ops
from refdet.autograd import Tensor, gradcheck
from refdet.crf.lattice_blur import lattice_blur
from refdet.crf.lattice_convolve import lattice_convolve, lattice_convolve_forward
from refdet.crf.lattice_index import lattice_index
from refdet.crf.lattice_neighbourhood import lattice_neighbourhood, tap_offsets
from tests.agreement import Array, assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import lattice_convolve as oracle

LINE = np.array([[0, 1, 2], [-1, 0, 1], [1, 2, -1]])  # three vertices in a row: itself, the one before, the one after
NAN, INF = np.nan, np.inf


def test_hand_example() -> None:
    z = Tensor(np.array([[1.0], [2.0], [3.0]]), requires_grad=True)
    weight = Tensor(np.array([[[1.0, 10.0, 100.0]]]), requires_grad=True)
    y = lattice_convolve(z, weight, LINE)
    np.testing.assert_array_equal(y.data, [[201], [312], [23]])
    y.backward(np.array([[1.0], [0.0], [2.0]]))
    np.testing.assert_array_equal(z.grad, [[1], [120], [2]])
    np.testing.assert_array_equal(weight.grad, [[[7, 4, 2]]])


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    """Any taps, repeats among them."""
    rng = np.random.default_rng(seed)
    M, T, groups = (data.draw(st.integers(low, 4)) for low in (0, 0, 1))
    C, O = groups * data.draw(st.integers(0, 2)), groups * data.draw(st.integers(0, 2))
    z = in_layout(rng.standard_normal((M, C)).astype(dtype), layout)
    weight = in_layout(rng.standard_normal((O, C // groups, T)).astype(dtype), layout)
    taps = in_layout(rng.integers(-1, max(M, 1), (T, M)), layout)
    assert_agrees("lattice_convolve", oracle, [z, weight, taps], rng=rng, params={"groups": groups})


@pytest.mark.parametrize("groups", [1, 2])
def test_gradient(groups: int) -> None:
    rng = np.random.default_rng(0)
    vertices = np.unique(tap_offsets(2, 2), axis=0)[rng.random(19) < 0.7]
    taps = lattice_neighbourhood(vertices)
    inputs = [rng.standard_normal((len(vertices), 4)), rng.standard_normal((2, 4 // groups, 7))]
    gradcheck(lambda z, weight: lattice_convolve(z, weight, taps, groups=groups), inputs, rng=rng)


def test_a_row_of_vertices_is_a_row_of_pixels() -> None:
    """One dimension without holes. Taps are itself, before, after; those of the image before, itself, after."""
    rng = np.random.default_rng(1)
    z, weight = rng.standard_normal((9, 4)), rng.standard_normal((6, 2, 3))
    taps = lattice_neighbourhood(np.arange(9)[:, None])
    image, kernel = z.T[None, :, None], weight[:, :, None, [1, 0, 2]]
    expected = ops.conv2d(image, kernel, padding=((0, 0), (1, 1)), groups=2).data[0, :, 0].T
    np.testing.assert_allclose(lattice_convolve(z, weight, taps, groups=2).data, expected, atol=1e-14)


def test_three_passes_of_a_blur_in_one() -> None:
    """d = 2 without holes: 1 and ½ along three axes are 5/4 at the centre and 3/4, 1/2, 1/4 … around it."""
    vertices = np.unique(tap_offsets(2, 5), axis=0)
    _, _, neighbours = lattice_index(vertices[:, None])
    taps = lattice_neighbourhood(vertices, size=2)
    origin = np.flatnonzero(np.all(vertices == 0, axis=1))
    weight = lattice_blur(np.eye(len(vertices))[origin].T, neighbours).data[taps[:, origin[0]], 0]
    inside = np.all(lattice_neighbourhood(vertices, size=3) >= 0, axis=0)  # no pass meets the edge
    z = np.random.default_rng(2).standard_normal((len(vertices), 2))
    convolved = lattice_convolve(z, weight * np.ones((2, 1, 1)), taps, groups=2).data
    np.testing.assert_allclose(convolved[inside], lattice_blur(z, neighbours).data[inside], atol=1e-14)
    assert np.sum(inside) == 19


def test_groups_do_not_see_each_other() -> None:
    rng = np.random.default_rng(3)
    z, weight = rng.standard_normal((3, 4)), rng.standard_normal((6, 2, 3))
    apart = [lattice_convolve(z[:, 2 * g :][:, :2], weight[3 * g :][:3], LINE).data for g in range(2)]
    np.testing.assert_allclose(lattice_convolve(z, weight, LINE, groups=2).data, np.hstack(apart), atol=1e-15)


def test_a_missing_tap_adds_nothing_whatever_its_weight() -> None:
    z, weight = np.array([[1.0], [2.0]]), np.array([[[1.0, INF]], [[1.0, NAN]]])
    np.testing.assert_array_equal(lattice_convolve(z, weight, np.array([[0, 1], [-1, -1]])).data, [[1, 1], [2, 2]])


def test_a_nan_reaches_whom_it_is_a_tap_of() -> None:
    z = np.array([[NAN], [0.0], [5.0]])
    np.testing.assert_array_equal(lattice_convolve(z, np.array([[[1.0, 0.0, 0.0]]]), LINE).data, [[NAN], [NAN], [5]])


def test_float32_accumulates_in_float32() -> None:
    """2²⁴ + 1 + 1 = 2²⁴, one tap after the other."""
    z = np.array([[2.0**24], [1.0], [1.0]], np.float32)
    y = lattice_convolve(z, np.ones((1, 1, 3), np.float32), np.array([[0, 0, 0], [1, 1, 1], [2, 2, 2]]))
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y.data, np.full((3, 1), 2.0**24))


@pytest.mark.parametrize(
    ("shapes", "groups", "message"),
    [
        (((3,), (1, 1, 3), (3, 3)), 1, r"z must have rank 2 \(M, C\), got rank 1"),
        (((3, 1), (1, 3), (3, 3)), 1, r"weight must have rank 3 \(O, C/groups, T\), got rank 2"),
        (((3, 1), (1, 1, 3), (3,)), 1, r"taps must have rank 2 \(T, M\), got rank 1"),
        (((3, 2), (1, 1, 3), (3, 3)), 1, "weight has 1 input channels, z has 2"),
        (((3, 4), (2, 1, 3), (3, 3)), 2, "weight has 1 input channels in each of 2 groups, z has 4"),
        (((3, 3), (2, 1, 3), (3, 3)), 2, "groups must divide the 3 channels of z and the 2 of the output, got 2"),
        (((3, 1), (1, 1, 3), (2, 3)), 1, r"taps must have shape \(3, 3\) \(taps of weight, rows of z\), got \(2, 3\)"),
        (((4, 1), (1, 1, 3), (3, 3)), 1, r"taps must have shape \(3, 4\)"),
        (((3, 1), (1, 1, 3), (3, 3)), 0, "groups must be at least 1, got 0"),
    ],
)
def test_bad_shapes(shapes: tuple[tuple[int, ...], ...], groups: int, message: str) -> None:
    z, weight, taps = (np.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match=f"lattice_convolve: {message}"):
        lattice_convolve(z, weight, taps.astype(int), groups=groups)


def bad_dtypes() -> list[tuple[Array, Array, Array, str]]:
    z, weight = np.zeros((3, 1)), np.zeros((1, 1, 3))
    return [
        (z.astype(int), weight, LINE, "z must be float32 or float64, got int64"),
        (z, weight.astype(np.float32), LINE, "z is float64 but weight is float32"),
        (z, weight, LINE.astype(float), "taps must be an integer array, got float64"),
    ]


@pytest.mark.parametrize(("z", "weight", "taps", "message"), bad_dtypes())
def test_bad_dtypes(z: Array, weight: Array, taps: Array, message: str) -> None:
    with pytest.raises(TypeError, match=f"lattice_convolve: {message}"):
        lattice_convolve(z, weight, taps)


@pytest.mark.parametrize("bad", [-2, 3])
def test_taps_outside_the_lattice(bad: int) -> None:
    taps = LINE.copy()
    taps[1, 2] = bad
    with pytest.raises(
        ValueError, match=rf"lattice_convolve: taps must lie in \[-1, 3\) for 3 vertices, got taps\[1, 2\] = {bad}"
    ):
        lattice_convolve(np.zeros((3, 1)), np.zeros((1, 1, 3)), taps)


def test_the_kernel_refuses_what_the_op_refuses() -> None:
    arguments: list[Any] = [np.zeros((3, 2)), np.zeros((1, 1, 3)), LINE]
    with pytest.raises(ValueError, match="weight has 1 input channels, z has 2"):
        lattice_convolve_forward(*arguments, groups=1, keep_residual=False)


def test_bad_gradient() -> None:
    y = lattice_convolve(Tensor(np.zeros((3, 1)), requires_grad=True), np.zeros((2, 1, 3)), LINE)
    with pytest.raises(ValueError, match=r"must have shape \(3, 2\)"):
        y.backward(np.zeros((3, 1)))
