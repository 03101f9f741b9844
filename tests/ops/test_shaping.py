"""The public shaping functions: the friendlier arguments, the gradients, the errors; every kernel is paired."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refdet.autograd import PAIRS, Tensor, gradcheck
from refdet.core import elementwise, reduction
from refdet.core import shaping as shaping_kernels
from refdet.core.kernel import KERNELS
from refdet.ops import arithmetic, shaping

IMAGE = np.arange(12.0).reshape(1, 1, 3, 4)


def test_every_kernel_pair_of_the_core_is_differentiable() -> None:
    modules = {module.__name__ for module in (elementwise, reduction, shaping_kernels)}
    names = {name.removesuffix(".forward") for name, k in KERNELS.items() if k.__module__ in modules and "for" in name}
    assert len(names) == 25
    for name in names:
        assert (PAIRS[name].forward, PAIRS[name].backward) == (KERNELS[f"{name}.forward"], KERNELS[f"{name}.backward"])
    assert arithmetic._cast is PAIRS["cast"]
    assert shaping._gather is PAIRS["gather"]


def test_crop() -> None:
    np.testing.assert_array_equal(shaping.crop(IMAGE, top=1, left=2, height=2, width=1).data, [[[[6], [10]]]])
    assert shaping.crop(IMAGE, top=3, left=0, height=0, width=4).shape == (1, 1, 0, 4)
    x = Tensor(IMAGE, requires_grad=True)
    shaping.crop(x, top=0, left=1, height=1, width=2).sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad[0, 0], [[0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("padding", "per_axis"),
    [
        (1, ((0, 0), (0, 0), (1, 1), (1, 1))),
        ((1, 2), ((0, 0), (0, 0), (1, 1), (2, 2))),
        (((1, 0), (0, 2)), ((0, 0), (0, 0), (1, 0), (0, 2))),
        (((0, 1), (2, 0), (1, 0), (0, 2)), ((0, 1), (2, 0), (1, 0), (0, 2))),
        ([[1, 0], [0, 2]], ((0, 0), (0, 0), (1, 0), (0, 2))),
    ],
)
@pytest.mark.parametrize("border", ["constant", "edge"])
def test_the_forms_of_padding(padding: Any, per_axis: Any, border: Any) -> None:
    np.testing.assert_array_equal(shaping.pad(IMAGE, padding, border=border).data, np.pad(IMAGE, per_axis, border))


def test_pad_by_hand() -> None:
    x = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(shaping.pad(x, ((1, 2),), value=-np.inf).data, [-np.inf, 1, 2, 3, -np.inf, -np.inf])
    np.testing.assert_array_equal(shaping.pad(x, ((1, 2),), border="edge").data, [1, 1, 2, 3, 3, 3])
    np.testing.assert_array_equal(shaping.pad(x, ((1, 2),), border="reflect").data, [2, 1, 2, 3, 2, 1])
    assert shaping.pad(np.array(5.0), ()).item() == 5
    np.testing.assert_array_equal(
        shaping.pad(x.astype("float32"), ((1, 0),), value=0.1).data[0], np.float32(0.1), strict=True
    )


def test_index_and_take() -> None:
    np.testing.assert_array_equal(shaping.index(IMAGE, (0, 0, slice(None), -1)).data, [3, 7, 11])
    np.testing.assert_array_equal(shaping.index(IMAGE, IMAGE > 9).data, [10, 11])
    np.testing.assert_array_equal(
        shaping.take(IMAGE[0, 0], np.array([[2, 0], [-1, 2]]), axis=0).data[:, :, 0], [[8, 0], [8, 8]]
    )
    x = Tensor(np.array([1.0, 2.0, 3.0]), requires_grad=True)
    shaping.take(x, np.array([2, 2, 0]), axis=-1).backward(np.array([1.0, 10.0, 100.0]))
    np.testing.assert_array_equal(x.grad, [100, 0, 11])
    assert shaping.take(x, np.zeros((0, 2), int), axis=0).shape == (0, 2)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("reshape", lambda x: shaping.reshape(x, (3, -1))),
        ("transpose", lambda x: shaping.transpose(x, (2, 0, 1))),
        ("reverse", shaping.transpose),
        ("broadcast_to", lambda x: shaping.broadcast_to(x, (2, 2, 3, 4))),
        ("index", lambda x: shaping.index(x, (..., slice(None, None, -2), None))),
        ("gather", lambda x: shaping.index(x, (slice(None), np.array([0, 2, 2])))),
        ("take", lambda x: shaping.take(x, np.array([[3, 0], [3, 3]]), axis=2)),
        ("crop", lambda x: shaping.crop(x, top=1, left=1, height=2, width=2)),
        ("constant", lambda x: shaping.pad(x, ((1, 0), (2, 3), (0, 1)), value=7.0)),
        ("edge", lambda x: shaping.pad(x, (2, 3), border="edge")),
        ("reflect", lambda x: shaping.pad(x, ((1, 2), (3, 0)), border="reflect")),
        ("concat", lambda x: shaping.concat([x, x * x], axis=1)),
        ("stack", lambda x: shaping.stack([x, x * x], axis=-1)),
    ],
)
def test_gradient(name: str, function: Callable[[Tensor], Tensor]) -> None:
    rng = np.random.default_rng(0)
    gradcheck(function, [rng.standard_normal((2, 3, 4))], rng=rng)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: shaping.crop(np.ones(3), top=0, left=0, height=1, width=1), "crop: x must have at least two axes"),
        (
            lambda: shaping.crop(IMAGE, top=2, left=0, height=2, width=4),
            r"crop: rows 2 … 4 of x, which has 3 \(shape \(1, 1, 3, 4\)\)",
        ),
        (lambda: shaping.crop(IMAGE, top=0, left=4, height=1, width=1), "crop: columns 4 … 5 of x, which has 4"),
        (lambda: shaping.crop(IMAGE, top=-1, left=0, height=1, width=1), r"\(top, left\) must be at least 0"),
        (lambda: shaping.crop(IMAGE, top=0, left=0, height=-1, width=1), r"\(height, width\) must be at least 0"),
        (lambda: shaping.pad(np.ones(3), 1), r"padding must be \(before, after\) for each of the 1 axes of x"),
        (lambda: shaping.pad(IMAGE, ((1, 1), (1, 1), (1, 1))), "for each of the 4 axes of x, or, for the two last"),
        (lambda: shaping.pad(IMAGE, "valid"), "got 'valid'"),
        (lambda: shaping.pad(IMAGE, -1), "padding must be at least 0"),
        (lambda: shaping.pad(IMAGE, 1, border="edge", value=2.0), "only a constant border takes a value"),
        (lambda: shaping.pad(IMAGE, 1, border="zeros"), "border must be one of 'constant', 'edge', 'reflect'"),
        (
            lambda: shaping.take(IMAGE, np.array([0, 3]), axis=2),
            r"indices must lie in \[−3, 3\) for axis 2 .* got 0 … 3",
        ),
        (lambda: shaping.take(IMAGE, np.array([0]), axis=4), "take: axis 4 does not exist"),
        (lambda: shaping.concat([], axis=0), "concat: needs at least one input"),
        (lambda: shaping.stack([], axis=0), "stack: needs at least one input"),
        (lambda: shaping.reshape(IMAGE, (5, -1)), "reshape: x has 12 elements"),
    ],
)
def test_bad_input(call: Callable[[], Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_bad_types() -> None:
    with pytest.raises(TypeError, match="take: indices must be an integer array, got float64"):
        shaping.take(IMAGE, np.array([1.0]), axis=0)
    with pytest.raises(TypeError, match="pad: value must be a number, got 'a'"):
        shaping.pad(IMAGE, 1, value="a")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="crop"):
        shaping.crop(IMAGE, top=0.5, left=0, height=1, width=1)  # type: ignore[arg-type]


def test_what_the_public_ops_are_given_is_named() -> None:
    x = np.arange(3.0)
    nothing: Any = None
    np.testing.assert_array_equal(shaping.take(x, Tensor(np.array([2, 0])), axis=0).data, [2, 0])
    with pytest.raises(TypeError, match="take: indices must be an integer array, got None"):
        shaping.take(x, nothing, axis=0)
    with pytest.raises(TypeError, match="concat: needs a sequence of tensors or arrays, got NoneType"):
        shaping.concat(nothing, axis=0)
    with pytest.raises(TypeError, match="stack: input 1: data must be numbers"):
        shaping.stack([x, nothing], axis=0)
    assert shaping.transpose(x, 0).shape == (3,)  # type: ignore[arg-type]
    assert shaping.index(x, []).shape == (0,)
    with pytest.raises(IndexError, match=r"index: the key .* does not fit x"):
        shaping.index(x, slice(None, None, 0))
