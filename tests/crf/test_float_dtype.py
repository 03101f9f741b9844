"""float_dtype, and that everything a CRF is built of can be had in the dtype of a network's output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.crf.alpha_expansion import alpha_expansion
from refdet.crf.compatibility import diagonal, potts, pydensecrf_compatibility, symmetric
from refdet.crf.contrast_weights import contrast_weights
from refdet.crf.dense import DenseCRF, GaussianPotential
from refdet.crf.features import bilateral_features, position_features
from refdet.crf.float_dtype import float_dtype
from refdet.crf.grid import grid_edges
from refdet.crf.unary import unary_from_labels, unary_from_probabilities

THIRDS = np.array([[1, 2], [2, 1]]) / 3
BUILDERS: dict[str, Callable[..., Array]] = {
    "unary_from_labels": lambda **o: unary_from_labels(np.array([1]), 3, **o),
    "position_features": lambda **o: position_features((2, 2), 3, **o),
    "bilateral_features": lambda **o: bilateral_features(np.full((1, 2, 3), 7, np.uint8), 3, 3, **o),
    "potts": lambda **o: potts(2, 1 / 3, **o),
    "diagonal": lambda **o: diagonal(THIRDS[0], **o),
    "symmetric": lambda **o: symmetric(THIRDS, **o),
    "pydensecrf_compatibility of a number": lambda **o: pydensecrf_compatibility(1 / 3, 2, **o),
    "pydensecrf_compatibility of a vector": lambda **o: pydensecrf_compatibility(THIRDS[0], 2, **o),
    "pydensecrf_compatibility of a matrix": lambda **o: pydensecrf_compatibility(THIRDS, 2, **o),
}


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_every_builder_takes_a_dtype_however_it_is_said(build: Callable[..., Array]) -> None:
    """float64 unless asked; float32 is that, rounded; the byte order is the native one."""
    exact = build()
    assert exact.dtype == np.float64
    for dtype in ("float32", np.float32, np.dtype("float32"), np.zeros(1, ">f4").dtype):
        made = build(dtype=dtype)
        assert made.dtype == np.float32
        np.testing.assert_array_equal(made, exact.astype(np.float32))
    np.testing.assert_array_equal(build(dtype=np.float64), exact)


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
@pytest.mark.parametrize("dtype", ["float16", "int64", np.int64, np.dtype(bool), 4, object])
def test_no_other_dtype(build: Callable[..., Array], dtype: Any) -> None:
    with pytest.raises(ValueError, match=r"^[a-z_]+: dtype must be one of 'float32', 'float64', got "):
        build(dtype=dtype)


def test_none_is_the_dtype_of_what_is_given() -> None:
    """For builders that are given an array; the others have nothing to go by."""
    for given, expected in (("float32", "float32"), (">f4", "float32"), ("float64", "float64"), ("uint8", "float64")):
        assert float_dtype("f", None, like=np.zeros(1, given)) == np.dtype(expected)
    assert bilateral_features(np.zeros((1, 1, 1), np.float32), 1, 1, dtype="float64").dtype == np.float64
    with pytest.raises(ValueError, match=r"^potts: dtype must be one of 'float32', 'float64', got None"):
        potts(2, dtype=None)  # type: ignore[arg-type]


def test_a_float32_network_and_an_8_bit_picture_make_a_crf() -> None:
    """Nothing is converted by hand but the colours of the grid's weights."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (4, 5, 3)).astype(np.uint8)
    unary = unary_from_probabilities(rng.dirichlet(np.ones(3), 20).astype(np.float32))
    mu = potts(3, 2, dtype=unary.dtype)
    kernels = [
        GaussianPotential(position_features((4, 5), 3, dtype=unary.dtype), mu),
        GaussianPotential(bilateral_features(image, 30, 13, dtype=unary.dtype), mu),
    ]
    assert DenseCRF(unary, kernels).infer(2).q.dtype == np.float32

    edges, lengths = grid_edges((4, 5), 8)
    weights = contrast_weights(image.reshape(20, 3).astype(unary.dtype), edges, lengths)
    labels, energy = alpha_expansion(unary, edges, weights, mu)
    assert energy <= alpha_expansion(unary, edges, weights, mu, cycles=0)[1]
    assert labels.shape == (20,)
