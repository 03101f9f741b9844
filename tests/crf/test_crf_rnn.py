"""CRF-as-RNN: mean field by a literal loop, pydensecrf, gradients through all iterations, both conventions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet import nn, ops
from refdet.autograd import Tensor, gradcheck
from refdet.crf.crf_rnn import CRF_RNN_MULTIPLIERS, CRFasRNN
from refdet.crf.features import bilateral_features, position_features
from refdet.crf.lattice import permutohedral_filter
from refdet.crf.mean_field import mean_field_forward
from tests.agreement import Array

THETAS: dict[str, Any] = {"theta_alpha": 10.0, "theta_beta": 20.0, "theta_gamma": 2.0}


def scene(seed: int = 0, size: tuple[int, int] = (6, 8), L: int = 3) -> tuple[Array, Array]:
    """Return logits (1, L, H, W) and an image (H, W, 3) of two halves with some noise."""
    rng = np.random.default_rng(seed)
    image = np.where(np.arange(size[1])[:, None] < size[1] // 2, 60, 180) + rng.integers(0, 20, (*size, 3))
    return rng.standard_normal((1, L, *size)), image.astype(np.uint8)


def probabilities(logits: Any) -> Array:
    """Return the softmax over the labels as (N, L), a row for each pixel."""
    q: Array = ops.softmax(logits, axis=1).data[0]
    return q.reshape(logits.shape[1], -1).T


def randomise(layer: nn.Module, seed: int = 1) -> None:
    rng = np.random.default_rng(seed)
    for parameter in layer.parameters():
        parameter.data = parameter.data + 0.2 * rng.standard_normal(parameter.shape)


def test_the_literal_loop() -> None:
    """Label by label and pixel by pixel what each of the five steps says, with matrices that are not symmetric."""
    logits, image = scene(size=(3, 4))
    layer = CRFasRNN(3, **THETAS, iterations=3, dtype="float64")
    randomise(layer)
    kernels = [
        permutohedral_filter(np.eye(12), features).data
        for features in (position_features((3, 4), 2.0), bilateral_features(image, 10.0, 20.0))
    ]
    unary = logits[0].reshape(3, 12).T
    h = unary.copy()
    for _ in range(3):
        q = np.exp(h) / np.exp(h).sum(axis=1, keepdims=True)
        h = np.zeros((12, 3))
        for i in range(12):
            means = [sum(K[i, j] * q[j] for j in range(12)) / (sum(K[i]) + 1e-20) for K in kernels]
            weighted = layer.spatial_weight.data @ means[0] + layer.bilateral_weight.data @ means[1]
            h[i] = unary[i] - layer.compatibility.data @ weighted
    np.testing.assert_allclose(layer(logits, image).data[0].reshape(3, 12).T, h, atol=1e-13)


def test_it_is_mean_field() -> None:
    """ψ = −U, μ⁽ᵐ⁾ = μ W⁽ᵐ⁾, normalisation after."""
    logits, image = scene(1)
    layer = CRFasRNN(3, **THETAS, iterations=4, dtype="float64")
    randomise(layer)
    features = np.hstack([position_features((6, 8), 2.0), bilateral_features(image, 10.0, 20.0)])
    mu = layer.compatibility.data
    q, _ = mean_field_forward(
        -logits[0].reshape(3, 48).T,
        features,
        np.stack([mu @ layer.spatial_weight.data, mu @ layer.bilateral_weight.data]),
        dimensions=(2, 5),
        filters=("lattice", "lattice"),
        shape=None,
        normalisation=("after", "after"),
        exclude_self=False,
        iterations=4,
        damping=0.0,
        keep_residual=False,
    )
    np.testing.assert_allclose(probabilities(layer(logits, image)), q, atol=1e-13)


@pytest.mark.oracle
@pytest.mark.parametrize("iterations", [1, 5])
def test_pydensecrf(iterations: int) -> None:
    """W_s = w_1 I, W_b = w_2 I, μ = −I: its NORMALIZE_AFTER with compat w_1 and w_2. N is a multiple of 4."""
    densecrf = pytest.importorskip("pydensecrf.densecrf")
    logits, image = scene(2, size=(18, 20), L=4)
    crf = densecrf.DenseCRF2D(20, 18, 4)
    crf.setUnaryEnergy(np.ascontiguousarray(-logits[0].reshape(4, -1), np.float32))
    options = {"kernel": densecrf.DIAG_KERNEL, "normalization": densecrf.NORMALIZE_AFTER}
    crf.addPairwiseGaussian(sxy=2, compat=3, **options)
    crf.addPairwiseBilateral(sxy=10, srgb=20, rgbim=image, compat=5, **options)
    expected = np.array(crf.inference(iterations)).T
    for dtype in ("float32", "float64"):
        layer = CRFasRNN(4, **THETAS, iterations=iterations, spatial_weight=3, bilateral_weight=5, dtype=dtype)
        q = probabilities(layer(logits.astype(dtype), image))
        np.testing.assert_allclose(q, expected, rtol=0, atol=2e-5)


def test_initial_values_are_the_authors() -> None:
    layer = CRFasRNN(3)
    np.testing.assert_array_equal(layer.spatial_weight.data, 3 * np.eye(3))
    np.testing.assert_array_equal(layer.bilateral_weight.data, 5 * np.eye(3))
    np.testing.assert_array_equal(layer.compatibility.data, -np.eye(3))
    np.testing.assert_array_equal(CRFasRNN(3, convention="pytorch").compatibility.data, np.eye(3))
    assert (layer.theta_alpha, layer.theta_beta, layer.theta_gamma) == (160, 3, 3)
    assert (layer.iterations, layer.training_iterations) == (10, 5)


def test_both_conventions_begin_alike_and_differ_by_a_sign() -> None:
    logits, image = scene(3)
    caffe, pytorch = (CRFasRNN(3, **THETAS, convention=name, dtype="float64") for name in ("caffe", "pytorch"))
    np.testing.assert_array_equal(caffe(logits, image).data, pytorch(logits, image).data)
    randomise(caffe)
    state = caffe.state_dict()
    pytorch.load_state_dict(state | {"compatibility": -state["compatibility"]})
    np.testing.assert_allclose(caffe(logits, image).data, pytorch(logits, image).data, atol=1e-13)


def test_iterations_in_training_and_after() -> None:
    logits, image = scene(4)

    def layer(n: int) -> CRFasRNN:
        return CRFasRNN(3, **THETAS, iterations=n, dtype="float64")

    default = CRFasRNN(3, **THETAS, dtype="float64")
    np.testing.assert_array_equal(default(logits, image, training=True).data, layer(5)(logits, image).data)
    np.testing.assert_array_equal(default(logits, image).data, layer(10)(logits, image).data)
    np.testing.assert_array_equal(layer(0)(logits, image).data, logits)


@pytest.mark.parametrize("convention", ["caffe", "pytorch"])
def test_gradient_through_five_iterations(convention: str) -> None:
    """Logits, both kernel weights and the compatibility; the filters are constants."""
    logits, image = scene(5, size=(4, 5))
    layer = CRFasRNN(3, **THETAS, convention=convention, dtype="float64")
    randomise(layer)
    parameters = [p.data for p in (layer.spatial_weight, layer.bilateral_weight, layer.compatibility)]

    def refined(u: Tensor, *weights: Any) -> Tensor:
        layer.spatial_weight, layer.bilateral_weight, layer.compatibility = weights
        return layer(u, image, training=True)

    gradcheck(refined, [logits, *parameters], rng=np.random.default_rng(6))


def test_gradients_add_up_over_the_iterations() -> None:
    """Of one parameter used in both of two iterations: the sum of its gradients as two separate ones."""
    logits, image = scene(6)
    layer = CRFasRNN(3, **THETAS, iterations=2, dtype="float64")
    layer(logits, image).sum().backward()
    (layer(logits, image)[0, 0] ** 2).sum().backward()
    total = layer.compatibility.grad
    layer.zero_grad()
    shared = layer.compatibility
    separate = [nn.Parameter(shared.data.copy()) for _ in range(2)]
    uses = iter([*separate, *separate])
    layer.compatibility_transform = lambda weighted: weighted @ next(uses).T  # type: ignore[method-assign]
    layer(logits, image).sum().backward()
    (layer(logits, image)[0, 0] ** 2).sum().backward()
    first, second = (p.grad for p in separate)
    assert total is not None
    assert first is not None
    assert second is not None
    np.testing.assert_allclose(total, first + second, rtol=1e-11, atol=1e-11)
    assert np.max(np.abs(first)) > 1e-3


def test_the_network_below_receives_its_gradient() -> None:
    """A convolution on the image, the layer, a cross-entropy: the gradient of the weights by differences."""
    _, image = scene(7, size=(4, 5))
    rng = np.random.default_rng(8)
    x, labels = image.transpose(2, 0, 1)[None] / 255, rng.integers(0, 3, (1, 4, 5))
    layer = CRFasRNN(3, **THETAS, dtype="float64")

    def loss(weight: Tensor, bias: Tensor) -> Tensor:
        return ops.softmax_cross_entropy(layer(ops.conv2d(x, weight, bias, padding=1), image, training=True), labels)

    gradcheck(loss, [rng.standard_normal((3, 3, 3, 3)), rng.standard_normal(3)], rng=rng)


def test_trained_end_to_end_the_loss_falls() -> None:
    _, image = scene(9)
    labels = np.broadcast_to(np.arange(8) // 4, (1, 6, 8))
    x = image.transpose(2, 0, 1)[None].astype(np.float32) / 255
    conv, layer = nn.Conv2d(3, 2, 3, padding=1, rng=np.random.default_rng(10)), CRFasRNN(2, **THETAS)
    parameters = [*conv.named_parameters("conv."), *layer.named_parameters("crf.")]
    optimiser = nn.SGD(parameters, lr=0.1)
    losses = []
    for _ in range(5):
        loss = ops.softmax_cross_entropy(layer(conv(x), image, training=True), labels)
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.8 * losses[0]


def test_samples_are_independent() -> None:
    scenes = [scene(seed) for seed in (11, 12)]
    layer = CRFasRNN(3, **THETAS, iterations=2, dtype="float64")
    logits, images = np.concatenate([u for u, _ in scenes]), [image for _, image in scenes]
    separate = [layer(u, image).data for u, image in scenes]
    np.testing.assert_array_equal(layer(logits, images).data, np.concatenate(separate))
    np.testing.assert_array_equal(layer(logits, np.stack(images)).data, np.concatenate(separate))
    assert layer(logits[:0], []).shape == (0, 3, 6, 8)


def test_colours_of_any_kind() -> None:
    logits, image = scene(13)
    layer = CRFasRNN(3, **THETAS, iterations=2, dtype="float64")
    np.testing.assert_array_equal(layer(logits, image).data, layer(logits, image.astype(np.float64)).data)


def test_only_differences_of_colours_count() -> None:
    """Less the mean is as good, but for the cells of the lattice that the points fall into."""
    logits, image = scene(13)
    layer = CRFasRNN(3, **THETAS, iterations=2, dtype="float64")
    less_mean = image - image.mean(axis=(0, 1))
    found, expected = (probabilities(layer(logits, x)) for x in (less_mean, image))
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_divided_colours_with_theta_in_their_unit() -> None:
    """By 255: with θ_β divided too they are what they were."""
    logits, image = scene(13)
    layer = CRFasRNN(3, **THETAS, iterations=1)
    unit = CRFasRNN(3, **(THETAS | {"theta_beta": 20 / 255}), iterations=1)
    x = logits.astype(np.float32)
    np.testing.assert_allclose(unit(x, image.astype(np.float32) / 255).data, layer(x, image).data, atol=1e-3)


def test_it_follows_the_edges_of_the_image() -> None:
    """Unaries that are sure at one pixel of each half: with the colours of the halves, all pixels take its label."""
    logits, image = np.zeros((1, 2, 6, 8)), np.zeros((6, 8, 3))
    image[:, 4:] = 200
    logits[0, 0, 3, 1] = logits[0, 1, 3, 6] = 8
    labels = np.argmax(CRFasRNN(2, **THETAS, dtype="float64")(logits, image).data[0], axis=0)
    np.testing.assert_array_equal(labels, np.broadcast_to(np.arange(8) // 4, (6, 8)))


def test_multipliers_name_the_parameters() -> None:
    layer = CRFasRNN(2)
    assert sorted(CRF_RNN_MULTIPLIERS) == sorted(name for name, _ in layer.named_parameters())
    nn.SGD(layer.named_parameters(), lr=1e-13, multipliers=CRF_RNN_MULTIPLIERS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_labels": 0}, "n_labels must be at least 1"),
        ({"theta_beta": 0.0}, r"theta_beta must lie in \(0"),
        ({"iterations": -1}, "iterations must be at least 0"),
        ({"convention": "keras"}, "convention must be one of 'caffe', 'pytorch', got 'keras'"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"CRFasRNN: {message}"):
        CRFasRNN(**{"n_labels": 2} | options)


@pytest.mark.parametrize(
    ("shape", "images", "message"),
    [
        ((3, 6, 8), np.zeros((6, 8, 3)), r"logits must have rank 4 \(N, L, H, W\)"),
        ((1, 2, 6, 8), np.zeros((6, 8, 3)), "logits must have 3 labels"),
        ((1, 3, 6, 8), np.zeros((8, 6, 3)), r"images\[0\] must be an array of shape \(6, 8, 3\), got \(8, 6, 3\)"),
        ((1, 3, 6, 8), np.zeros((3, 6, 8)), r"got \(3, 6, 8\); move its channels last, with transpose\(1, 2, 0\)"),
        ((1, 3, 6, 8), np.zeros((1, 3, 6, 8)), r"images\[0\] must be an array of .*; move its channels last"),
        ((2, 3, 6, 8), np.zeros((6, 8, 3)), "images must be one for each of 2 samples, got 1"),
        ((1, 3, 6, 8), np.full((6, 8, 3), np.nan), "features must be finite"),
    ],
)
def test_bad_input(shape: tuple[int, ...], images: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CRFasRNN(3, dtype="float64")(np.zeros(shape), images)


def test_bad_dtype() -> None:
    with pytest.raises(TypeError, match="CRFasRNN: parameters is float32 but logits is float64"):
        CRFasRNN(3)(*scene())


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (None, "images must be an array or a list of them, got NoneType"),
        ([None], r"images\[0\] must be an array of integers or floats, got NoneType"),
        (np.zeros((6, 8, 3), bool), r"images\[0\] must be an array of integers or floats, got bool"),
        (np.zeros((6, 8, 3), complex), r"images\[0\] must be an array of integers or floats, got complex128"),
        ("cat", "images must be an array or a list of them, got str"),
    ],
)
def test_images_of_no_kind(images: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"CRFasRNN: {message}"):
        CRFasRNN(3, dtype="float64")(np.zeros((1, 3, 6, 8)), images)
