"""linear, activations, softmax, dropout and the normalisations against torch, onnxruntime and ONNX's own evaluator.

Where a library is known to answer otherwise, the test says so and states its answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.autograd import Tensor
from refdet.core.kernel import KERNELS
from refdet.ops.activations import leaky_relu, relu, sigmoid, tanh
from refdet.ops.batch_norm import batch_norm
from refdet.ops.dropout import dropout
from refdet.ops.l2_normalize import l2_normalize
from refdet.ops.linear import linear
from refdet.ops.local_response_norm import local_response_norm
from refdet.ops.softmax import log_softmax, softmax
from tests.onnx_node import run_in_onnx, run_in_onnxruntime
from tests.torch_agreement import assert_same_as_torch

pytestmark = pytest.mark.oracle


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_linear_in_torch(torch: Any, rng: np.random.Generator) -> None:
    inputs = [rng.standard_normal(shape) for shape in ((2, 3, 7), (5, 7), (5,))]
    assert_same_as_torch(linear, torch.nn.functional.linear, inputs)


def test_activations_in_torch(torch: Any, rng: np.random.Generator) -> None:
    """At 0 as well: torch's subgradients are 0 and the slope, too."""
    x = np.concatenate([rng.standard_normal(50), [0.0, -0.0, 1e4, -1e4, np.inf, -np.inf]])
    F = torch.nn.functional
    assert_same_as_torch(relu, torch.relu, [x])
    assert_same_as_torch(lambda t: leaky_relu(t, negative_slope=0.1), lambda t: F.leaky_relu(t, 0.1), [x])
    assert_same_as_torch(sigmoid, torch.sigmoid, [x])
    assert_same_as_torch(tanh, torch.tanh, [x])


def test_relu_of_nan_in_torch(torch: Any) -> None:
    """Both keep the NaN. The gradient differs: torch blocks where x ≤ 0, so a NaN lets it pass; ours needs x > 0."""
    x, leaf = Tensor(np.array([np.nan]), requires_grad=True), torch.tensor([np.nan], requires_grad=True)
    y, y_torch = relu(x), torch.relu(leaf)
    assert np.isnan(y.data[0])
    assert y_torch.isnan().item()
    y.backward(np.array([2.0]))
    y_torch.backward(torch.tensor([2.0]))
    assert x.grad is not None
    assert (x.grad[0], leaf.grad.item()) == (0, 2)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_softmax_in_torch(torch: Any, rng: np.random.Generator, axis: int) -> None:
    x = rng.standard_normal((3, 4, 5))
    x[0, 0, 0], x[1, 1, 1], x[2, 2, 2] = 1e4, -1e4, -np.inf
    assert_same_as_torch(lambda t: softmax(t, axis=axis), lambda t: torch.softmax(t, axis), [x])
    finite = np.maximum(x, -1e4)
    assert_same_as_torch(lambda t: log_softmax(t, axis=axis), lambda t: torch.log_softmax(t, axis), [finite])
    rows = np.array([[-np.inf, -np.inf], [np.inf, 0.0]])
    np.testing.assert_array_equal(softmax(rows, axis=1).data, torch.softmax(torch.tensor(rows), 1).numpy())
    np.testing.assert_array_equal(log_softmax(rows, axis=1).data, torch.log_softmax(torch.tensor(rows), 1).numpy())


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_dropout_in_torch(torch: Any, rng: np.random.Generator, p: float) -> None:
    """Torch draws its own units; with those, the "inverted" kernels agree with it."""
    x, dy = rng.standard_normal((20, 5)), rng.standard_normal((20, 5))
    leaf = torch.tensor(x, requires_grad=True)
    torch.manual_seed(0)
    y_torch = torch.nn.functional.dropout(leaf, p, training=True)
    y_torch.backward(torch.tensor(dy))
    keep = y_torch.detach().numpy() != 0
    params: dict[str, Any] = {"p": p, "training": True, "convention": "inverted"}
    y, residual = KERNELS["dropout.forward"](x, keep, keep_residual=True, **params)
    dx, _ = KERNELS["dropout.backward"](residual, dy, needs=(True, False), **params)
    np.testing.assert_allclose(y, y_torch.detach().numpy(), rtol=1e-14)
    np.testing.assert_allclose(dx, leaf.grad.numpy(), rtol=1e-14)
    np.testing.assert_array_equal(dropout(x, p=p, training=False).data, x)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9])
def test_local_response_norm_in_torch(torch: Any, rng: np.random.Generator, size: int) -> None:
    assert_same_as_torch(
        lambda t: local_response_norm(t, size=size, alpha=0.7, beta=0.75, k=1.5, convention="torch"),
        lambda t: torch.nn.functional.local_response_norm(t, size, alpha=0.7, beta=0.75, k=1.5),
        [3 * rng.standard_normal((2, 7, 3, 2))],
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4, 2)])
def test_batch_norm_in_torch(torch: Any, rng: np.random.Generator, training: bool, shape: tuple[int, ...]) -> None:
    mean, var = rng.standard_normal(3), 0.5 + rng.random(3)
    mean_torch, var_torch = torch.tensor(mean.copy()), torch.tensor(var.copy())
    new: list[Any] = []

    def ours(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        y, *new[:] = batch_norm(x, weight, bias, mean, var, training=training, momentum=0.3)
        return y

    def theirs(x: Any, weight: Any, bias: Any) -> Any:
        return torch.nn.functional.batch_norm(x, mean_torch, var_torch, weight, bias, training, momentum=0.3)

    assert_same_as_torch(ours, theirs, [rng.standard_normal(s) for s in (shape, (3,), (3,))])
    np.testing.assert_allclose(new[0], mean_torch.numpy(), rtol=1e-14)
    np.testing.assert_allclose(new[1], var_torch.numpy(), rtol=1e-14)


def test_batch_norm_of_one_value_per_channel_in_torch(torch: Any) -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        torch.nn.functional.batch_norm(torch.ones(1, 3), None, None, training=True)
    with pytest.raises(ValueError, match="at least 2 values per channel"):
        batch_norm(np.ones((1, 3)), None, None, None, None, training=True)


@pytest.mark.parametrize("eps", [1e-12, 1.5])
def test_l2_normalize_in_torch(torch: Any, rng: np.random.Generator, eps: float) -> None:
    x = rng.standard_normal((3, 4, 5))
    x[0, :, 0] = 0
    assert_same_as_torch(
        lambda t: l2_normalize(t, eps=eps, convention="clamp"),
        lambda t: torch.nn.functional.normalize(t, dim=1, eps=eps),
        [x],
    )


def test_l2_normalize_outside_in_torch(torch: Any, rng: np.random.Generator) -> None:
    """The formula of the SSD ports; away from x = 0, where torch's √ gives NaN."""
    assert_same_as_torch(
        lambda x, s: l2_normalize(x, s, eps=0.5, convention="outside"),
        lambda x, s: s[None, :, None] * x / (x.pow(2).sum(dim=1, keepdim=True).sqrt() + 0.5),
        [rng.standard_normal((3, 4, 5)), rng.standard_normal(4)],
    )


def test_elementwise_in_onnxruntime(rng: np.random.Generator) -> None:
    x = np.concatenate([3 * rng.standard_normal(500), [0.0, 1e4, -1e4]]).astype(np.float32)
    cases: list[tuple[str, dict[str, Any], Tensor]] = [
        ("Relu", {}, relu(x)),
        ("LeakyRelu", {"alpha": 0.1}, leaky_relu(x, negative_slope=0.1)),
        ("Sigmoid", {}, sigmoid(x)),
        ("Tanh", {}, tanh(x)),
    ]
    for op, attributes, y in cases:
        (expected,) = run_in_onnxruntime(op, x, **attributes)
        np.testing.assert_allclose(y.data, expected, rtol=2e-6, atol=3e-7, err_msg=op)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_softmax_in_onnxruntime(rng: np.random.Generator, axis: int) -> None:
    x = (10 * rng.standard_normal((3, 4, 5))).astype(np.float32)
    x[0, 0, 0], x[1, 1, 1] = 1e4, -1e4
    (y,) = run_in_onnxruntime("Softmax", x, axis=axis)
    np.testing.assert_allclose(softmax(x, axis=axis).data, y, rtol=1e-5, atol=1e-7)
    (y,) = run_in_onnxruntime("LogSoftmax", x, axis=axis)
    np.testing.assert_allclose(log_softmax(x, axis=axis).data, y, rtol=1e-5, atol=1e-6)


def test_linear_in_onnxruntime(rng: np.random.Generator) -> None:
    x, weight, bias = (rng.standard_normal(shape).astype(np.float32) for shape in ((6, 40), (9, 40), (9,)))
    (y,) = run_in_onnxruntime("Gemm", x, weight, bias, transB=1)
    np.testing.assert_allclose(linear(x, weight, bias).data, y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_local_response_norm_in_onnxruntime(rng: np.random.Generator, size: int) -> None:
    x = (3 * rng.standard_normal((2, 7, 3, 2))).astype(np.float32)
    (y,) = run_in_onnxruntime("LRN", x, size=size, alpha=0.7, beta=0.75, bias=1.5)
    ours = local_response_norm(x, size=size, alpha=0.7, beta=0.75, k=1.5, convention="onnx")
    np.testing.assert_allclose(ours.data, y, rtol=1e-5, atol=1e-6)


def test_onnxruntime_refuses_an_even_window() -> None:
    with pytest.raises(Exception, match="size_ % 2 == 1"):
        run_in_onnxruntime("LRN", np.ones((1, 4, 2, 2), np.float32), size=4)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6])
def test_local_response_norm_in_onnx(rng: np.random.Generator, size: int) -> None:
    """ONNX's own evaluator knows even windows: one more channel after than before.

    Up to onnx 1.23 it takes the number of channels from the batch axis (onnx issue 7805), so here N = C.
    """
    x = (3 * rng.standard_normal((7, 7, 3, 2))).astype(np.float32)
    (y,) = run_in_onnx("LRN", x, size=size, alpha=0.7, beta=0.75, bias=1.5)
    options: dict[str, Any] = {"size": size, "alpha": 0.7, "beta": 0.75, "k": 1.5}
    np.testing.assert_allclose(local_response_norm(x, convention="onnx", **options).data, y, rtol=1e-5, atol=1e-6)
    if size % 2 == 0:
        assert abs(local_response_norm(x, convention="torch", **options).data - y).max() > 0.1


def test_batch_norm_in_onnxruntime(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    weight, bias, mean = (rng.standard_normal(3).astype(np.float32) for _ in range(3))
    var = (0.5 + rng.random(3)).astype(np.float32)
    (y,) = run_in_onnxruntime("BatchNormalization", x, weight, bias, mean, var, epsilon=1e-3)
    ours, _, _ = batch_norm(x, weight, bias, mean, var, training=False, eps=1e-3)
    np.testing.assert_allclose(ours.data, y, rtol=1e-5, atol=1e-6)


def test_batch_norm_training_in_onnx(rng: np.random.Generator) -> None:
    """training_mode: the running variance follows the biased one, and momentum is the share of the old estimate."""
    x = rng.standard_normal((2, 3, 2, 2)).astype(np.float32)
    weight, bias, mean = (rng.standard_normal(3).astype(np.float32) for _ in range(3))
    var = (0.5 + rng.random(3)).astype(np.float32)
    attributes: dict[str, Any] = {"epsilon": 1e-3, "momentum": 0.7, "training_mode": 1}
    expected = run_in_onnx("BatchNormalization", x, weight, bias, mean, var, n_outputs=3, **attributes)
    options: dict[str, Any] = {"training": True, "momentum": 0.7, "eps": 1e-3, "convention": "onnx"}
    y, new_mean, new_var = batch_norm(x, weight, bias, mean, var, **options)
    for ours, theirs in zip((y.data, new_mean, new_var), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)  # type: ignore[arg-type]
