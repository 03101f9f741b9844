"""Truncated SVD: a matrix by hand, the error, the best rank, the counts of the paper, layers in a network."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.detection.roi_heads import BoxHead
from refdet.detection.truncated_svd import n_parameters, truncated_svd, two_layers, with_truncated_layers
from refdet.nn import Linear, Module


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_hand_example() -> None:
    """W = diag(3, 2): the best matrix of rank 1 is diag(3, 0), and 2 is lost."""
    factors = truncated_svd(np.diag([3.0, 2.0]), 1)
    np.testing.assert_allclose(factors.outer @ factors.inner, np.diag([3.0, 0.0]), atol=1e-15)
    assert factors.error == pytest.approx(2.0)
    assert factors.inner.shape == (1, 2)
    np.testing.assert_allclose(np.linalg.norm(factors.inner), 3.0)  # Σ is in the first layer, U alone in the second
    np.testing.assert_allclose(np.linalg.norm(factors.outer), 1.0)


@pytest.mark.parametrize("shape", [(7, 5), (5, 7)])
def test_the_error_is_the_next_singular_value(shape: tuple[int, int]) -> None:
    W = rng().normal(size=shape)
    sigma = np.sqrt(np.linalg.eigvalsh(W @ W.T if shape[0] < shape[1] else W.T @ W)[::-1])  # not by an SVD
    for t in range(1, 6):
        inner, outer, error = truncated_svd(W, t)
        difference = W - outer @ inner
        expected = sigma[t] if t < 5 else 0.0
        assert np.linalg.norm(difference, 2) == pytest.approx(expected, abs=1e-12)
        assert error == pytest.approx(expected, abs=1e-12)
        assert np.linalg.norm(difference) == pytest.approx(np.sqrt((sigma[t:] ** 2).sum()), abs=1e-12)


def test_no_other_matrix_of_that_rank_is_closer() -> None:
    """Alternating least squares from random starts ends nowhere better."""
    random = rng()
    W = random.normal(size=(6, 8))
    inner, outer, _ = truncated_svd(W, 2)
    best = np.linalg.norm(W - outer @ inner)
    for _ in range(5):
        right = random.normal(size=(2, 8))
        for _ in range(200):
            left = W @ np.linalg.pinv(right)
            right = np.linalg.pinv(left) @ W
        assert np.linalg.norm(W - left @ right) >= best - 1e-9


def test_rank_of_the_matrix_loses_nothing() -> None:
    random = rng()
    W = (random.normal(size=(9, 3)) @ random.normal(size=(3, 7))).astype(np.float32)
    inner, outer, error = truncated_svd(W, 3)
    np.testing.assert_allclose(outer @ inner, W, atol=1e-5)
    assert error < 1e-5
    assert inner.dtype == outer.dtype == np.float32


def test_counts_of_the_paper() -> None:
    """fc6 and fc7 of VGG-16 with t = 1024 and 256."""
    assert n_parameters(4096, 25088) == 102_760_448
    assert n_parameters(4096, 25088, 1024) == 29_884_416
    assert n_parameters(4096, 25088) / n_parameters(4096, 25088, 1024) == pytest.approx(3.44, abs=0.005)
    assert n_parameters(4096, 4096) / n_parameters(4096, 4096, 256) == 8


def test_two_layers() -> None:
    """The first has no bias, the second that of the layer; full rank gives its output, rank t loses at most σ ‖x‖."""
    layer = Linear(6, 4, rng=rng(), dtype=np.float64)
    assert layer.bias is not None
    layer.bias.data = np.array([1.0, 2.0, 3.0, 4.0])
    x = rng().normal(size=(5, 6))
    np.testing.assert_allclose(two_layers(layer, 4)(x).data, layer(x).data, atol=1e-12)
    thin = two_layers(layer, 2)
    assert {name: a.shape for name, a in thin.state_dict().items()} == {
        "L.weight": (2, 6),
        "U.weight": (4, 2),
        "U.bias": (4,),
    }
    np.testing.assert_array_equal(thin.state_dict()["U.bias"], layer.bias.data)
    lost = np.linalg.norm(thin(x).data - layer(x).data, axis=1)
    assert (lost <= truncated_svd(layer.weight.data, 2).error * np.linalg.norm(x, axis=1) + 1e-12).all()
    bare = two_layers(Linear(6, 4, bias=False, rng=rng()), 1)
    assert list(bare.state_dict()) == ["L.weight", "U.weight"]


def test_frozen_layers_stay_frozen() -> None:
    """Also after training of the copy: L and U are as frozen as the weights, the bias by itself."""
    for frozen in ("weight", "bias"):
        layer = Linear(6, 4, rng=rng())
        getattr(layer, frozen).requires_grad = False
        learns = {name: p.requires_grad for name, p in two_layers(layer, 2).named_parameters()}
        is_bias = frozen == "bias"
        assert learns == {"L.weight": is_bias, "U.weight": is_bias, "U.bias": not is_bias}


class Detector(Module):
    def __init__(self) -> None:
        super().__init__()
        self.box_head = BoxHead(2, 3, (8, 6), rng=rng())


def test_layers_of_a_network_are_replaced_in_a_copy() -> None:
    model = Detector()
    before = model.state_dict()
    x = rng().normal(size=(4, 2, 3, 3)).astype(np.float32)
    whole = with_truncated_layers(model, {"box_head.fc6": 8, "box_head.fc7": 6})
    np.testing.assert_allclose(whole.box_head(x).data, model.box_head(x).data, atol=1e-5)
    thin = with_truncated_layers(model, {"box_head.fc6": 3})
    shapes = {name: a.shape for name, a in thin.state_dict().items()}
    assert shapes["box_head.fc6.L.weight"] == (3, 18)
    assert shapes["box_head.fc6.U.weight"] == (8, 3)
    assert shapes["box_head.fc7.weight"] == (6, 8)
    assert sum(a.size for a in thin.state_dict().values()) == n_parameters(8, 18, 3) + 8 + 6 * 8 + 6
    for name, a in model.state_dict().items():
        np.testing.assert_array_equal(a, before[name])
    again = with_truncated_layers(Detector(), {"box_head.fc6": 3})
    again.load_state_dict(thin.state_dict())
    np.testing.assert_array_equal(again.box_head(x).data, thin.box_head(x).data)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"truncated_svd: rank must be at most 2 for a matrix \(2, 3\), got 3"):
        truncated_svd(np.zeros((2, 3)), 3)
    with pytest.raises(ValueError, match="truncated_svd: rank must be at least 1, got 0"):
        truncated_svd(np.zeros((2, 3)), 0)
    with pytest.raises(ValueError, match="truncated_svd: weight must be finite"):
        truncated_svd(np.array([[np.nan, 1.0]]), 1)
    with pytest.raises(ValueError, match=r"'box_head.fc8' must be a .* one of box_head.fc6, box_head.fc7"):
        with_truncated_layers(Detector(), {"box_head.fc8": 1})
    with pytest.raises(ValueError, match="'' must be a fully connected layer of Linear"):
        with_truncated_layers(Linear(3, 3, rng=np.random.default_rng(0)), {"": 2})
    with pytest.raises(TypeError, match="two_layers: layer must be a Linear, got Detector"):
        two_layers(Detector(), 1)  # type: ignore[arg-type]
