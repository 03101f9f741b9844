"""linear, activations, softmax, dropout and the normalisations against torch, onnxruntime and ONNX's own evaluator.

Where a library is known to answer otherwise, the test says so and states its answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refdet.autograd import Tensor, gradients
from refdet.core.kernel import KERNELS
from refdet.ops.activations import leaky_relu, relu, sigmoid, tanh
from refdet.ops.batch_norm import batch_norm
from refdet.ops.dropout import dropout
from refdet.ops.l2_normalize import l2_normalize
from refdet.ops.linear import linear
from refdet.ops.local_response_norm import local_response_norm
from refdet.ops.softmax import log_softmax, softmax

pytestmark = pytest.mark.oracle

Array = NDArray[Any]


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="torch is not installed")


@pytest.fixture
def onnx() -> Any:
    return pytest.importorskip("onnx", reason="onnx is not installed")


@pytest.fixture
def onnxruntime() -> Any:
    return pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def assert_same_as_torch(
    torch: Any,
    ours: Callable[..., Tensor],
    theirs: Callable[..., Any],
    inputs: list[Array],
    rng: np.random.Generator,
) -> None:
    """Compare the output and the gradient of every input, in float64."""
    tensors = [Tensor(x, requires_grad=True) for x in inputs]
    leaves = [torch.tensor(x, requires_grad=True) for x in inputs]
    y, y_torch = ours(*tensors), theirs(*leaves)
    np.testing.assert_allclose(y.data, y_torch.detach().numpy(), rtol=1e-12, atol=1e-13)
    dy = rng.standard_normal(y.shape)
    y_torch.backward(torch.tensor(dy))
    for dx, leaf in zip(gradients(y, tensors, dy), leaves, strict=True):
        np.testing.assert_allclose(dx, leaf.grad.numpy(), rtol=1e-11, atol=1e-12)


def test_linear_in_torch(torch: Any, rng: np.random.Generator) -> None:
    inputs = [rng.standard_normal(shape) for shape in ((2, 3, 7), (5, 7), (5,))]
    assert_same_as_torch(torch, linear, torch.nn.functional.linear, inputs, rng)


def test_activations_in_torch(torch: Any, rng: np.random.Generator) -> None:
    """At 0 as well: torch's subgradients are 0 and the slope, too."""
    x = np.concatenate([rng.standard_normal(50), [0.0, -0.0, 1e4, -1e4, np.inf, -np.inf]])
    F = torch.nn.functional
    assert_same_as_torch(torch, relu, torch.relu, [x], rng)
    assert_same_as_torch(torch, lambda t: leaky_relu(t, negative_slope=0.1), lambda t: F.leaky_relu(t, 0.1), [x], rng)
    assert_same_as_torch(torch, sigmoid, torch.sigmoid, [x], rng)
    assert_same_as_torch(torch, tanh, torch.tanh, [x], rng)


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
    assert_same_as_torch(torch, lambda t: softmax(t, axis=axis), lambda t: torch.softmax(t, axis), [x], rng)
    finite = np.maximum(x, -1e4)
    assert_same_as_torch(
        torch, lambda t: log_softmax(t, axis=axis), lambda t: torch.log_softmax(t, axis), [finite], rng
    )
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
        torch,
        lambda t: local_response_norm(t, size=size, alpha=0.7, beta=0.75, k=1.5, convention="torch"),
        lambda t: torch.nn.functional.local_response_norm(t, size, alpha=0.7, beta=0.75, k=1.5),
        [3 * rng.standard_normal((2, 7, 3, 2))],
        rng,
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

    assert_same_as_torch(torch, ours, theirs, [rng.standard_normal(s) for s in (shape, (3,), (3,))], rng)
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
        torch,
        lambda t: l2_normalize(t, eps=eps, convention="clamp"),
        lambda t: torch.nn.functional.normalize(t, dim=1, eps=eps),
        [x],
        rng,
    )


def test_l2_normalize_outside_in_torch(torch: Any, rng: np.random.Generator) -> None:
    """The formula of the SSD ports; away from x = 0, where torch's √ gives NaN."""
    assert_same_as_torch(
        torch,
        lambda x, s: l2_normalize(x, s, eps=0.5, convention="outside"),
        lambda x, s: s[None, :, None] * x / (x.pow(2).sum(dim=1, keepdim=True).sqrt() + 0.5),
        [rng.standard_normal((3, 4, 5)), rng.standard_normal(4)],
        rng,
    )


def one_node(onnx: Any, op: str, inputs: list[Array], n_outputs: int = 1, **attributes: Any) -> Any:
    """Return a model of a single node, opset 17."""
    helper = onnx.helper
    names, outputs = [f"x{i}" for i in range(len(inputs))], [f"y{i}" for i in range(n_outputs)]
    values = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for name, x in zip(names, inputs, strict=True)
    ]
    results = [helper.make_tensor_value_info(name, values[0].type.tensor_type.elem_type, None) for name in outputs]
    graph = helper.make_graph([helper.make_node(op, names, outputs, **attributes)], op, values, results)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run_onnxruntime(onnx: Any, onnxruntime: Any, op: str, inputs: list[Array], **attributes: Any) -> Array:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # an expected refusal is not to print
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        one_node(onnx, op, inputs, **attributes).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    y: Array = session.run(None, {f"x{i}": x for i, x in enumerate(inputs)})[0]
    return y


def run_onnx(onnx: Any, op: str, inputs: list[Array], n_outputs: int = 1, **attributes: Any) -> list[Array]:
    reference = pytest.importorskip("onnx.reference", reason="onnx has no reference evaluator")
    outputs: list[Array] = reference.ReferenceEvaluator(one_node(onnx, op, inputs, n_outputs, **attributes)).run(
        None, {f"x{i}": x for i, x in enumerate(inputs)}
    )
    return outputs


def test_elementwise_in_onnxruntime(onnx: Any, onnxruntime: Any, rng: np.random.Generator) -> None:
    x = np.concatenate([3 * rng.standard_normal(500), [0.0, 1e4, -1e4]]).astype(np.float32)
    for op, attributes, y in (
        ("Relu", {}, relu(x)),
        ("LeakyRelu", {"alpha": 0.1}, leaky_relu(x, negative_slope=0.1)),
        ("Sigmoid", {}, sigmoid(x)),
        ("Tanh", {}, tanh(x)),
    ):
        expected = run_onnxruntime(onnx, onnxruntime, op, [x], **attributes)
        np.testing.assert_allclose(y.data, expected, rtol=2e-6, atol=3e-7, err_msg=op)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_softmax_in_onnxruntime(onnx: Any, onnxruntime: Any, rng: np.random.Generator, axis: int) -> None:
    x = (10 * rng.standard_normal((3, 4, 5))).astype(np.float32)
    x[0, 0, 0], x[1, 1, 1] = 1e4, -1e4
    y = run_onnxruntime(onnx, onnxruntime, "Softmax", [x], axis=axis)
    np.testing.assert_allclose(softmax(x, axis=axis).data, y, rtol=1e-5, atol=1e-7)
    y = run_onnxruntime(onnx, onnxruntime, "LogSoftmax", [x], axis=axis)
    np.testing.assert_allclose(log_softmax(x, axis=axis).data, y, rtol=1e-5, atol=1e-6)


def test_linear_in_onnxruntime(onnx: Any, onnxruntime: Any, rng: np.random.Generator) -> None:
    x, weight, bias = (rng.standard_normal(shape).astype(np.float32) for shape in ((6, 40), (9, 40), (9,)))
    y = run_onnxruntime(onnx, onnxruntime, "Gemm", [x, weight, bias], transB=1)
    np.testing.assert_allclose(linear(x, weight, bias).data, y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_local_response_norm_in_onnxruntime(onnx: Any, onnxruntime: Any, rng: np.random.Generator, size: int) -> None:
    x = (3 * rng.standard_normal((2, 7, 3, 2))).astype(np.float32)
    y = run_onnxruntime(onnx, onnxruntime, "LRN", [x], size=size, alpha=0.7, beta=0.75, bias=1.5)
    ours = local_response_norm(x, size=size, alpha=0.7, beta=0.75, k=1.5, convention="onnx")
    np.testing.assert_allclose(ours.data, y, rtol=1e-5, atol=1e-6)


def test_onnxruntime_refuses_an_even_window(onnx: Any, onnxruntime: Any) -> None:
    with pytest.raises(Exception, match="size_ % 2 == 1"):
        run_onnxruntime(onnx, onnxruntime, "LRN", [np.ones((1, 4, 2, 2), np.float32)], size=4)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6])
def test_local_response_norm_in_onnx(onnx: Any, rng: np.random.Generator, size: int) -> None:
    """ONNX's own evaluator knows even windows: one more channel after than before.

    Up to onnx 1.23 it takes the number of channels from the batch axis (onnx issue 7805), so here N = C.
    """
    x = (3 * rng.standard_normal((7, 7, 3, 2))).astype(np.float32)
    (y,) = run_onnx(onnx, "LRN", [x], size=size, alpha=0.7, beta=0.75, bias=1.5)
    options: dict[str, Any] = {"size": size, "alpha": 0.7, "beta": 0.75, "k": 1.5}
    np.testing.assert_allclose(local_response_norm(x, convention="onnx", **options).data, y, rtol=1e-5, atol=1e-6)
    if size % 2 == 0:
        assert abs(local_response_norm(x, convention="torch", **options).data - y).max() > 0.1


def test_batch_norm_in_onnxruntime(onnx: Any, onnxruntime: Any, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    weight, bias, mean = (rng.standard_normal(3).astype(np.float32) for _ in range(3))
    var = (0.5 + rng.random(3)).astype(np.float32)
    y = run_onnxruntime(onnx, onnxruntime, "BatchNormalization", [x, weight, bias, mean, var], epsilon=1e-3)
    ours, _, _ = batch_norm(x, weight, bias, mean, var, training=False, eps=1e-3)
    np.testing.assert_allclose(ours.data, y, rtol=1e-5, atol=1e-6)


def test_batch_norm_training_in_onnx(onnx: Any, rng: np.random.Generator) -> None:
    """training_mode: the running variance follows the biased one, and momentum is the share of the old estimate."""
    x = rng.standard_normal((2, 3, 2, 2)).astype(np.float32)
    weight, bias, mean = (rng.standard_normal(3).astype(np.float32) for _ in range(3))
    var = (0.5 + rng.random(3)).astype(np.float32)
    attributes: dict[str, Any] = {"epsilon": 1e-3, "momentum": 0.7, "training_mode": 1}
    expected = run_onnx(onnx, "BatchNormalization", [x, weight, bias, mean, var], 3, **attributes)
    options: dict[str, Any] = {"training": True, "momentum": 0.7, "eps": 1e-3, "convention": "onnx"}
    y, new_mean, new_var = batch_norm(x, weight, bias, mean, var, **options)
    for ours, theirs in zip((y.data, new_mean, new_var), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)  # type: ignore[arg-type]
