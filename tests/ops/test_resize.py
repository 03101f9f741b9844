"""Resizing: the definition, its gradient, the coordinate conventions, the borders, the errors."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.ops.interpolation import COORDINATES, ROUNDINGS
from refdet.ops.resize import resize_bicubic, resize_bilinear, resize_nearest
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds

OPS: dict[str, tuple[Callable[..., Tensor], dict[str, Any]]] = {
    "resize_nearest": (resize_nearest, {"rounding": "round_prefer_floor"}),
    "resize_bilinear": (resize_bilinear, {}),
    "resize_bicubic": (resize_bicubic, {"a": -0.5}),
}


def row(*values: float) -> np.ndarray[Any, Any]:
    return np.array(values, np.float64).reshape(1, 1, 1, -1)


@pytest.mark.parametrize(
    ("coordinates", "rounding", "picked"),
    [  # 5 → 2 pixels, r = 2.5: half_pixel coordinates are 0.75 and 3.25, asymmetric 0 and 2.5, corners 0 and 4
        ("half_pixel", "floor", [0, 3]),
        ("half_pixel", "ceil", [1, 4]),
        ("half_pixel", "round_prefer_floor", [1, 3]),
        ("half_pixel", "round_prefer_ceil", [1, 3]),
        ("asymmetric", "floor", [0, 2]),
        ("asymmetric", "ceil", [0, 3]),
        ("asymmetric", "round_prefer_floor", [0, 2]),  # a half goes down
        ("asymmetric", "round_prefer_ceil", [0, 3]),  # a half goes up
        ("align_corners", "floor", [0, 4]),
        ("align_corners", "round_prefer_ceil", [0, 4]),
    ],
)
def test_nearest_by_hand(coordinates: str, rounding: str, picked: list[float]) -> None:
    y = resize_nearest(row(0, 1, 2, 3, 4), (1, 2), coordinates=coordinates, rounding=rounding)
    np.testing.assert_array_equal(y.data.ravel(), picked)


@pytest.mark.parametrize(
    ("coordinates", "expected"),
    [
        ("half_pixel", [0, 0.25, 0.75, 1]),  # c = −¼, ¼, ¾, 1¼: the outer two are clamped
        ("asymmetric", [0, 0.5, 1, 1]),
        ("align_corners", [0, 1 / 3, 2 / 3, 1]),
    ],
)
def test_bilinear_by_hand(coordinates: str, expected: list[float]) -> None:
    np.testing.assert_allclose(
        resize_bilinear(row(0, 1), (1, 4), coordinates=coordinates).data.ravel(), expected, rtol=0, atol=1e-15
    )


def test_bilinear_is_separable() -> None:
    """The middle of four pixels is their mean; the middles of two are theirs."""
    x = np.array([[0.0, 4.0], [8.0, 20.0]])[None, None]
    y = resize_bilinear(x, 3, coordinates="align_corners")
    np.testing.assert_array_equal(y.data[0, 0], [[0, 2, 4], [4, 8, 12], [8, 14, 20]])


@pytest.mark.parametrize(("a", "far", "near"), [(-0.75, -0.09375, 0.59375), (-0.5, -0.0625, 0.5625)])
def test_bicubic_by_hand(a: float, far: float, near: float) -> None:
    """Halfway, k(½) = ½ − a/8 and k(1½) = a/8."""
    impulse = row(0, 0, 0, 1, 0, 0, 0)
    y = resize_bicubic(impulse, (1, 13), coordinates="align_corners", a=a).data.ravel()
    np.testing.assert_array_equal(y, [0, 0, 0, far, 0, near, 1, near, 0, far, 0, 0, 0])


def test_bicubic_borders_repeat_the_border_pixel() -> None:
    """At c = ½ of two pixels the taps are x0, x0, x1, x1 with weights a/8, ½ − a/8, ½ − a/8, a/8: the mean."""
    y = resize_bicubic(row(0, 1), (1, 3), coordinates="align_corners")
    np.testing.assert_array_equal(y.data.ravel(), [0, 0.5, 1])


def test_keys_reproduces_parabolas_and_the_other_slope_does_not() -> None:
    """a = −½ is third-order accurate (Keys 1981), so exact on x²."""
    x = row(*np.arange(8.0) ** 2)
    c = (np.arange(16) + 0.5) / 2 - 0.5
    inside = (c > 1) & (c < 6)
    np.testing.assert_allclose(resize_bicubic(x, (1, 16), a=-0.5).data.ravel()[inside], c[inside] ** 2, atol=1e-12)
    assert np.abs(resize_bicubic(x, (1, 16)).data.ravel() - c**2)[inside].max() > 0.01


@pytest.mark.parametrize("name", OPS)
@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(name: str, data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    def draw(low: int, high: int) -> int:
        return data.draw(st.integers(low, high))

    rng = np.random.default_rng(seed)
    height, width, size = draw(1, 6), draw(1, 6), (draw(1, 9), draw(1, 9))
    ratio = (height / size[0], width / size[1])
    if data.draw(st.booleans()):
        ratio = (data.draw(st.floats(0.1, 4)), data.draw(st.floats(0.1, 4)))
    params: dict[str, Any] = {"size": size, "ratio": ratio, "coordinates": data.draw(st.sampled_from(COORDINATES))}
    if name == "resize_nearest":
        params["rounding"] = data.draw(st.sampled_from(ROUNDINGS))
    if name == "resize_bicubic":
        params["a"] = data.draw(st.sampled_from([-0.75, -0.5, 0.0]))
    x = in_layout(rng.standard_normal((draw(0, 2), draw(0, 2), height, width)).astype(dtype), layout)
    assert_agrees(name, importlib.import_module(f"tests.oracles.{name}"), [x], rng=rng, params=params)


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("size", [(7, 9), (2, 3), (1, 1)])
def test_gradient(name: str, coordinates: str, size: tuple[int, int]) -> None:
    op, options = OPS[name]
    rng = np.random.default_rng(0)
    gradcheck(lambda x: op(x, size, coordinates=coordinates, **options), [rng.standard_normal((2, 3, 4, 5))], rng=rng)


def test_gradient_by_hand() -> None:
    """Each of two pixels is copied three and two times; a pixel that nothing reads gets 0."""
    x = Tensor(row(1, 2), requires_grad=True)
    resize_nearest(x, (1, 5)).backward(row(1, 10, 100, 1000, 10000))
    np.testing.assert_array_equal(x.grad, row(111, 11000))
    x = Tensor(row(1, 2, 3, 4), requires_grad=True)
    resize_nearest(x, (1, 2)).backward(row(1, 10))
    np.testing.assert_array_equal(x.grad, row(1, 0, 10, 0))
    x = Tensor(row(1, 2), requires_grad=True)
    resize_bilinear(x, (1, 4)).backward(row(1, 10, 100, 1000))  # weights of x0: 1, ¾, ¼, 0
    np.testing.assert_array_equal(x.grad, row(33.5, 1077.5))


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("coordinates", COORDINATES)
def test_the_same_size_changes_nothing(name: str, coordinates: str) -> None:
    op, options = OPS[name]
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 4)).astype(np.float32)
    np.testing.assert_array_equal(op(x, (5, 4), coordinates=coordinates, **options).data, x, strict=True)
    assert op(x, scale=1, coordinates=coordinates, **options).shape == x.shape


def test_scale_gives_the_ratio_and_not_only_the_size() -> None:
    """5 · 1.5 = 7.5 → 7 pixels, read 1/1.5 apart; asked for 7 pixels, they are read 5/7 apart."""
    x = row(0, 3, 6, 9, 12)
    by_scale = resize_bilinear(x, scale=(1, 1.5), coordinates="asymmetric").data.ravel()
    np.testing.assert_allclose(by_scale, [0, 2, 4, 6, 8, 10, 12], atol=1e-14)
    by_size = resize_bilinear(x, (1, 7), coordinates="asymmetric").data.ravel()
    np.testing.assert_allclose(by_size, np.minimum(np.arange(7) * 15 / 7, 12), atol=1e-14)
    corners = resize_bilinear(x, scale=(1, 1.5), coordinates="align_corners").data.ravel()
    np.testing.assert_allclose(corners, np.arange(7) * 2, atol=1e-14)


@pytest.mark.parametrize("n_out", range(2, 120))
def test_align_corners_meets_the_corners_exactly(n_out: int) -> None:
    """i·(n_in − 1)/(n_out − 1) is n_in − 1 at the end, not a rounding below it: its floor is the last pixel."""
    x = row(*range(8))
    assert resize_nearest(x, (1, n_out), coordinates="align_corners").data.ravel()[-1] == 7
    assert resize_bilinear(x, (1, n_out), coordinates="align_corners").data.ravel()[-1] == 7


def test_nan_reaches_the_outputs_whose_taps_touch_it() -> None:
    """Also with weight 0, as at integer coordinates, where the tap to the right has none."""
    x = row(0, 1, np.nan, 3, 4, 5)
    np.testing.assert_array_equal(np.isnan(resize_nearest(x, (1, 6)).data.ravel()), [0, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal(np.isnan(resize_bilinear(x, (1, 6)).data.ravel()), [0, 1, 1, 0, 0, 0])
    np.testing.assert_array_equal(np.isnan(resize_bicubic(x, (1, 6)).data.ravel()), [1, 1, 1, 1, 0, 0])
    np.testing.assert_array_equal(np.isnan(resize_bilinear(row(0, np.inf), (1, 2)).data.ravel()), [1, 1])  # 0 · ∞


@pytest.mark.parametrize("name", OPS)
def test_one_pixel_fills_any_size(name: str) -> None:
    op, options = OPS[name]
    for coordinates in COORDINATES:
        y = op(row(3), (5, 4), coordinates=coordinates, **options)
        np.testing.assert_allclose(y.data, np.full((1, 1, 5, 4), 3.0), rtol=1e-15)


@pytest.mark.parametrize("name", OPS)
def test_bad_input(name: str) -> None:
    op, options = OPS[name]
    image = np.ones((1, 1, 4, 4))
    cases: list[tuple[Callable[[], Tensor], str]] = [
        (lambda: op(image, **options), "give exactly one of size and scale, got size=None and scale=None"),
        (lambda: op(image, 2, scale=2, **options), "give exactly one of size and scale, got size=2 and scale=2"),
        (lambda: op(np.ones((4, 4)), 2, **options), r"x must have rank 4 \(N, C, H, W\), got rank 2"),
        (lambda: op(image, 0, **options), "size must be at least 1"),
        (lambda: op(image, (1, 2, 3), **options), "size must be an integer or 2 of them"),
        (lambda: op(image, scale=0.1, **options), "scale 0.1 turns 4 × 4 pixels into 0 × 0"),
        (lambda: op(image, scale=-1, **options), r"scale must lie in \(0, inf\)"),
        (lambda: op(image, scale=(1, 2, 3), **options), r"scale must be a number or \(vertical, horizontal\)"),
        (lambda: op(np.ones((1, 1, 0, 4)), 2, **options), r"x must have at least one pixel, got shape \(1, 1, 0, 4\)"),
        (
            lambda: op(image, 2, coordinates="corner", **options),
            "coordinates must be one of 'half_pixel', 'asymmetric'",
        ),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=f"{name}: {message}"):
            call()
    with pytest.raises(TypeError, match=f"{name}: x must be float32 or float64, got uint8"):
        op(image.astype(np.uint8), 2, **options)


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="resize_nearest: rounding must be one of 'floor', 'ceil'"):
        resize_nearest(row(1), 2, rounding="nearest")
    with pytest.raises(ValueError, match="resize_bicubic: a must be a finite number, got nan"):
        resize_bicubic(row(1), 2, a=np.nan)


@pytest.mark.parametrize(
    ("coordinates", "rounding"),
    [("asymmetric", "floor"), ("asymmetric", "ceil"), ("half_pixel", "round_prefer_ceil"), ("half_pixel", "floor")],
)
def test_nearest_is_exact_at_every_size(coordinates: str, rounding: str) -> None:
    """Against rational arithmetic: a coordinate that is a whole number, or a half, is met exactly."""
    half = Fraction(1, 2)
    for n_in in range(1, 60):
        x = np.arange(float(n_in))[None, None, None]
        for n_out in (1, 2, 49, 98, 3 * n_in, 7 * n_in, 60 - n_in):
            r = Fraction(n_in, n_out)
            c = [i * r if coordinates == "asymmetric" else (i + half) * r - half for i in range(n_out)]
            to_pixel = {"floor": math.floor, "ceil": math.ceil, "round_prefer_ceil": lambda u: math.floor(u + half)}
            expected = [min(max(to_pixel[rounding](u), 0), n_in - 1) for u in c]
            y = resize_nearest(x, (1, n_out), coordinates=coordinates, rounding=rounding)
            np.testing.assert_array_equal(y.data.ravel(), expected, err_msg=f"{n_in} → {n_out}")


def test_nearest_by_an_integer_scale_repeats_every_pixel_as_often() -> None:
    y = resize_nearest(np.arange(2.0)[None, None, None], scale=(1, 49))
    np.testing.assert_array_equal(y.data.ravel(), np.repeat([0.0, 1.0], 49))
