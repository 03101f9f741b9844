"""Convolutions against torch, values and gradients, and onnxruntime, values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet import ops
from tests.onnx_node import run_in_onnxruntime
from tests.torch_agreement import assert_same_as_torch

pytestmark = pytest.mark.oracle

CASES: list[dict[str, Any]] = [
    {"kernel": (3, 3)},
    {"kernel": (1, 1)},
    {"kernel": (2, 4), "padding": (1, 2)},
    {"kernel": (3, 2), "stride": (2, 3), "dilation": (2, 1), "groups": 2},
    {"kernel": (1, 1), "stride": (4, 3)},
    {"kernel": (5, 5), "padding": (2, 2), "stride": (2, 2), "groups": 4},
]


def random_layer(rng: np.random.Generator, case: dict[str, Any], *, transposed: bool) -> tuple[Any, Any, Any]:
    groups = case.get("groups", 1)
    x = rng.standard_normal((2, 4, 9, 11))
    weight = rng.standard_normal((4, 8 // groups, *case["kernel"]) if transposed else (8, 4 // groups, *case["kernel"]))
    return x, weight, rng.standard_normal(8)


def options_of(case: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in case.items() if name != "kernel"}


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
def test_torch(torch: Any, name: str, case: dict[str, Any]) -> None:
    arrays = random_layer(np.random.default_rng(0), case, transposed=name == "conv_transpose2d")
    ours, theirs = getattr(ops, name), getattr(torch.nn.functional, name)
    options = options_of(case)
    assert_same_as_torch(lambda *a: ours(*a, **options), lambda *a: theirs(*a, **options), arrays)


@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((1, 0), (0, 2))], ids=["none", "asymmetric"])
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("op_type", ["Conv", "ConvTranspose"])
def test_onnxruntime(op_type: str, case: dict[str, Any], padding: Any) -> None:
    transposed = op_type == "ConvTranspose"
    x, weight, bias = (
        a.astype(np.float32) for a in random_layer(np.random.default_rng(1), case, transposed=transposed)
    )
    options = {**options_of(case), "padding": padding}
    (top, bottom), (left, right) = padding
    (theirs,) = run_in_onnxruntime(
        op_type,
        x,
        weight,
        bias,
        strides=options.get("stride", (1, 1)),
        dilations=options.get("dilation", (1, 1)),
        group=options.get("groups", 1),
        pads=[top, left, bottom, right],
    )
    ours = (ops.conv_transpose2d if transposed else ops.conv2d)(x, weight, bias, **options)
    np.testing.assert_allclose(ours.data, theirs, atol=5e-5)


@pytest.mark.parametrize(("ours", "theirs"), [("same_upper", "SAME_UPPER"), ("same_lower", "SAME_LOWER")])
@pytest.mark.parametrize("stride", [1, 2])
def test_same_padding_of_onnxruntime(ours: str, theirs: str, stride: int) -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((1, 2, 8, 7)).astype(np.float32)
    weight = rng.standard_normal((3, 2, 4, 3)).astype(np.float32)
    (expected,) = run_in_onnxruntime("Conv", x, weight, strides=(stride, stride), auto_pad=theirs)
    np.testing.assert_allclose(ops.conv2d(x, weight, stride=stride, padding=ours).data, expected, atol=1e-5)
