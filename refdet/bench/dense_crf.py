"""Inference in a fully connected CRF to time: from an image and unary energies to marginals and labels.

Images of MSRC-21's size, 320 × 213, with its 21 labels, and 10 iterations of mean field, the setting of Krähenbühl &
Koltun, "Efficient inference in fully connected CRFs with Gaussian edge potentials" (2011); deck 004. Making features
and lattices is part of it. The weights of the two kernels are those of pydensecrf's example; their normalisation is
symmetric, the arithmetic float32.

The image is drawn. A label holds the pixels where its field, one of 21 smooth random ones, is the largest; it has a
colour, which is shaded smoothly and made noisy, just enough for a lattice of about 7,700 vertices in the 5 dimensions
of the appearance kernel (photographs of this size have several hundred to several thousand). The unary energies are
those of a classifier that is right at three pixels of four, and wrong in patches.

Work is counted for N pixels, L labels and a lattice of V vertices in d dimensions: an iteration splats and slices with
2 · N · (d + 1) · L operations each, blurs with 4 · V · (d + 1) · L, and multiplies by two compatibility matrices with
4 · N · L². What it takes to build the lattices, to normalise and to exponentiate is left out.
"""

from __future__ import annotations

import numpy as np

from refdet.bench.workloads import Group, Inputs, Target, Work, Workload, n_bytes
from refdet.core.check import Array

INFER = "DenseCRF.infer"  # what the sides know it by; it is no kernel but calls many

SHAPE, N_LABELS, ITERATIONS = (213, 320), 21, 10
THETA_SMOOTHNESS, WEIGHT_SMOOTHNESS = 3, 3
THETA_POSITION, THETA_COLOUR, WEIGHT_APPEARANCE = 60, 20, 10

NOISE = 9.2  # of 255


def inputs(rng: np.random.Generator, *, shape: tuple[int, int] = SHAPE) -> Inputs:
    """Draw an image, (H, W, 3) uint8, and unary energies, (H · W, 21) float32."""
    labels = np.argmax(_smooth(rng, shape, N_LABELS, cell=60), axis=2)
    colours = rng.uniform(30, 225, (N_LABELS, 3))[labels]
    colours += 12 * _smooth(rng, shape, 3, cell=30) + NOISE * rng.standard_normal((*shape, 3))
    scores = 3 * np.eye(N_LABELS)[labels] + 0.5 * rng.standard_normal((*shape, N_LABELS))
    scores += 1.5 * _smooth(rng, shape, N_LABELS, cell=8)
    energies = np.log(np.sum(np.exp(scores), axis=2, keepdims=True)) - scores  # −log of the softmax
    return {
        "image": np.clip(np.rint(colours), 0, 255).astype(np.uint8),
        "unary": energies.reshape(-1, N_LABELS).astype(np.float32),
    }


def _smooth(rng: np.random.Generator, shape: tuple[int, int], n: int, *, cell: int) -> Array:
    """Return n fields, (H, W, n): standard normal at every `cell` pixels, and linear in between."""
    rows, columns = (
        np.maximum(0, 1 - np.abs(np.arange(size)[:, None] / cell - np.arange(size // cell + 2))) for size in shape
    )
    knots = rng.standard_normal((n, rows.shape[1], columns.shape[1]))
    return np.moveaxis(rows @ knots @ columns.T, 0, 2)


def _work(inputs: Inputs) -> Work:
    from refdet.crf.features import bilateral_features, position_features
    from refdet.crf.lattice import Lattice

    image, unary = np.asarray(inputs["image"]), np.asarray(inputs["unary"])
    N, L = unary.shape
    flops = 4 * N * L**2
    positions = position_features(image.shape[:2], THETA_SMOOTHNESS)
    for features in (positions, bilateral_features(image, THETA_POSITION, THETA_COLOUR)):
        d = features.shape[-1]
        flops += 4 * (d + 1) * L * (N + Lattice(features).n_vertices)
    return Work(ITERATIONS * flops, n_bytes(image, unary, unary) + 8 * N)


CRF = Group(
    "crf",
    "Mean field in a fully connected CRF with two lattices, from image and energies to labels, float32",
    (Workload("crf/msrc-21", "320 × 213, 21 labels, 10 iterations", INFER, inputs, {}, 2e-5, work=_work),),
    (
        Target("reference", "pydensecrf", total=6.0, peak_bytes=10**9),
        Target("numba-cpu", "pydensecrf", total=1 / 3),
        Target("numba-cuda", "pydensecrf", total=1.0),
    ),
)
