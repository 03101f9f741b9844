"""The example of pydensecrf's own repository: refdet's dense CRF reaches the segmentation that its authors stored.

A drawing over a photograph of 320 × 240 pixels: two labels, each right with probability 0.7, and void where nothing was
drawn. Five iterations with a smoothness kernel (θ = 3, weight 3) and an appearance kernel (θ = 80 and 13, weight 10),
normalised symmetrically. Its features are in the order (row, column, …), as `pydensecrf.utils` makes them.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.crf.compatibility import potts
from refdet.crf.dense import DenseCRF, GaussianPotential
from refdet.crf.features import bilateral_features, position_features
from refdet.crf.unary import unary_from_labels
from tests.real_data import real

VOID = 2
KERNEL_WEIGHTS = (3.0, 10.0)
ITERATIONS = 5


class Example(NamedTuple):
    image: Array  # (H, W, 3) uint8
    drawing: Array  # (H, W): 0, 1 or VOID
    segmentation: Array  # (H, W): 0 or 1


def example() -> Example:
    """Read the three pictures; the authors wrote their segmentation in the colours of the drawing."""
    from PIL import Image

    folder = real("crf")
    with Image.open(folder / "anno1.png") as picture:
        drawing, palette = np.asarray(picture), np.array(picture.getpalette()).reshape(-1, 3)
    with Image.open(folder / "im1.png") as picture:
        image = np.asarray(picture)
    with Image.open(folder / "out1.png") as picture:
        is_label = [np.all(np.asarray(picture) == palette[label], axis=2) for label in (0, 1)]
    assert np.all(is_label[0] ^ is_label[1])
    return Example(image, drawing, is_label[1].astype(int))


class Problem(NamedTuple):
    unary: Array
    features: tuple[Array, Array]


def problem(order: str) -> Problem:
    image, drawing, _ = example()
    unary = unary_from_labels(drawing.reshape(-1), 2, gt_probability=0.7, unsure=VOID)
    return Problem(
        unary, (position_features(drawing.shape, 3, order=order), bilateral_features(image, 80, 13, order=order))
    )


@functools.cache
def marginals(order: str) -> Array:
    """Return refdet's q, (H · W, 2)."""
    unary, features = problem(order)
    kernels = [GaussianPotential(f, potts(2, w)) for f, w in zip(features, KERNEL_WEIGHTS, strict=True)]
    q = DenseCRF(unary, kernels).infer(ITERATIONS).q
    q.setflags(write=False)
    return q


def marginals_of_pydensecrf(order: str) -> Array:
    densecrf = pytest.importorskip("pydensecrf.densecrf", reason="pydensecrf is not installed")
    unary, features = problem(order)
    crf = densecrf.DenseCRF(*unary.shape)
    crf.setUnaryEnergy(np.ascontiguousarray(unary.T, np.float32))
    for f, w in zip(features, KERNEL_WEIGHTS, strict=True):
        crf.addPairwiseEnergy(np.ascontiguousarray(f.T, np.float32), compat=w)
    q: Array = np.asarray(crf.inference(ITERATIONS)).T
    return q


@pytest.mark.real
def test_every_pixel_has_the_label_that_the_authors_gave_it() -> None:
    """All 76,800; the closest call has a margin of .0072 between its two labels, far above what rounding can do."""
    segmentation = example().segmentation
    q = marginals("yx")
    assert segmentation.size == 76_800
    np.testing.assert_array_equal(np.argmax(q, axis=1), segmentation.reshape(-1))
    assert np.min(np.abs(q[:, 0] - q[:, 1])) == pytest.approx(0.00723, rel=0.01)
    drawing = example().drawing
    assert np.count_nonzero((segmentation != drawing) & (drawing != VOID)) > 1000  # it is not the drawing, filled in


@pytest.mark.real
def test_the_order_of_the_features_shows() -> None:
    """With x before y the lattice has other cells, and 38 pixels near edges another label."""
    labels = np.argmax(marginals("xy"), axis=1)
    assert np.count_nonzero(labels != example().segmentation.reshape(-1)) == 38


@pytest.mark.oracle
@pytest.mark.real
@pytest.mark.parametrize("order", ["yx", "xy"])
def test_side_by_side(order: str) -> None:
    """What is left is the rounding of their float32."""
    theirs = marginals_of_pydensecrf(order)
    np.testing.assert_allclose(marginals(order), theirs, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(np.argmax(marginals(order), axis=1), np.argmax(theirs, axis=1))
