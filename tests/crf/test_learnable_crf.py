"""LearnableCRF: its vector and the names in it, its marginals and their gradients, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.autograd import Tensor, gradcheck
from refdet.crf.learnable_crf import CRFImage, LearnableCRF, LearnableKernel
from refdet.crf.learned_matrix import LearnedMatrix
from refdet.crf.mean_field import mean_field
from refdet.ops.shaping import concat


def test_the_vector_is_ordered_and_named() -> None:
    crf = LearnableCRF(
        [
            LearnableKernel(LearnedMatrix.potts(2, 5), scale=LearnedMatrix.diagonal([6.0, 7])),
            LearnableKernel(np.eye(2), scale=LearnedMatrix.full([[8.0, 9]])),
            LearnableKernel(LearnedMatrix.diagonal([3.0, 4])),
        ],
        unary=LearnedMatrix.multiple(np.eye(2), 2),
    )
    np.testing.assert_array_equal(crf.start, [2, 5, 3, 4, 6, 7, 8, 9])
    names = {name: (part.start, part.stop) for name, part in crf.slices.items()}
    assert names == {
        "unary": (0, 1),
        "compatibility[0]": (1, 2),
        "compatibility[2]": (2, 4),
        "scale[0]": (4, 6),
        "scale[1]": (6, 8),
    }
    moved = crf.at(np.arange(8.0))
    np.testing.assert_array_equal(moved.start, np.arange(8))
    np.testing.assert_array_equal(crf.start, [2, 5, 3, 4, 6, 7, 8, 9])
    matrices = {name: matrix.data.tolist() for name, matrix in moved.matrices().items()}
    assert matrices == {
        "unary": [[0, 0], [0, 0]],
        "compatibility[0]": [[0, 1], [1, 0]],
        "compatibility[1]": [[1, 0], [0, 1]],
        "compatibility[2]": [[2, 0], [0, 3]],
        "scale[0]": [[4, 0], [0, 5]],
        "scale[1]": [[6, 7]],
    }


def test_marginals_are_those_of_mean_field() -> None:
    rng = np.random.default_rng(0)
    unary, position, colour = rng.standard_normal((7, 3)), rng.random((7, 2)), rng.random((7, 3))
    crf = LearnableCRF(
        [
            LearnableKernel(LearnedMatrix.potts(3, 2), filter="exact", normalisation="none"),
            LearnableKernel(np.eye(3), scale=LearnedMatrix.diagonal([1.0, 2, 3]), normalisation="after"),
        ],
        unary=LearnedMatrix.multiple(np.eye(3), 0.5),
        iterations=3,
        damping=0.25,
    )
    expected = mean_field(
        unary / 2,
        [position, colour * np.array([1.0, 2, 3])],
        [2 * (1 - np.eye(3)), np.eye(3)],
        filters=["exact", "lattice"],
        normalisation=["none", "after"],
        iterations=3,
        damping=0.25,
    )
    image = CRFImage(unary, [position, colour])
    np.testing.assert_allclose(crf.marginals(image).data, expected.data, rtol=1e-13)
    narrow = CRFImage(unary.astype("f4"), [position.astype("f4"), colour.astype("f4")])
    assert crf.marginals(narrow).dtype == np.float32
    np.testing.assert_allclose(crf.marginals(narrow).data, expected.data, rtol=2e-5)


def test_logistic_unary_without_kernels() -> None:
    x, weights = np.array([[1.0, 2.0], [1.0, -1.0]]), np.array([[0.0, 0.0], [np.log(3), 0.0]])
    q = LearnableCRF(unary=LearnedMatrix.full(weights)).marginals(CRFImage(x))
    np.testing.assert_allclose(q.data, [[0.75, 0.25], [0.75, 0.25]])


@pytest.mark.parametrize("filter_name", ["exact", "lattice", "truncated"])
@pytest.mark.parametrize("normalisation", ["none", "before", "after", "symmetric"])
def test_gradients_of_everything(filter_name: str, normalisation: str) -> None:
    """Logistic unary, all compatibilities, and for filters that know their features both kinds of scale."""
    rng = np.random.default_rng(1)
    grid = np.stack([np.tile(np.arange(4), 3), np.repeat(np.arange(3), 4)], axis=1) / 1.5
    scaled = filter_name != "truncated"
    features = [rng.standard_normal((12, 2)) if scaled else grid for _ in range(3)]
    compatibilities = [
        LearnedMatrix.potts(3),
        LearnedMatrix.diagonal([-1.0, -2, 1]),
        LearnedMatrix.symmetric(rng.standard_normal((3, 3))),
    ]
    scales = [LearnedMatrix.diagonal([1.0, 0.5]), LearnedMatrix.full(rng.standard_normal((3, 2))), None]
    kernels = [
        LearnableKernel(mu, scale=scale if scaled else None, filter=filter_name, normalisation=normalisation)
        for mu, scale in zip(compatibilities, scales, strict=True)
    ]
    crf = LearnableCRF(kernels, unary=LearnedMatrix.full(rng.standard_normal((3, 4))), iterations=3)
    image = CRFImage(rng.standard_normal((12, 4)), features, shape=(3, 4))
    gradcheck(lambda vector: crf.marginals(image, vector), [crf.start], rng=rng)
    for part in crf.slices.values():  # each by itself, lest a large one hide a small one

        def marginals(block: Tensor, part: slice = part) -> Tensor:
            before, after = Tensor(crf.start[: part.start]), Tensor(crf.start[part.stop :])
            return crf.marginals(image, concat([before, block, after], axis=0))

        gradcheck(marginals, [crf.start[part]], rng=rng)


def anything(value: Any) -> Any:
    """Return what a caller without a type checker may pass."""
    return value


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: LearnableCRF([LearnableKernel(np.eye(2), filter="lattic")]),
            ValueError,
            "LearnableKernel: filter must be one of 'exact', 'truncated', 'lattice', got 'lattic'",
        ),
        (
            lambda: LearnableCRF([LearnableKernel(np.eye(2), normalisation="norm")]),
            ValueError,
            "LearnableKernel: normalisation must be one of",
        ),
        (
            lambda: LearnableCRF(anything(LearnableKernel(np.eye(2)))),
            TypeError,
            r"LearnableCRF: kernels must be .*, got a single one; write \[\.\.\.\]$",
        ),
        (lambda: LearnableCRF(iterations=-1), ValueError, "LearnableCRF: iterations must be at least 0"),
        (lambda: LearnableCRF(damping=1), ValueError, "LearnableCRF: damping must be smaller than 1"),
        (
            lambda: LearnableCRF(
                [
                    LearnableKernel(np.eye(2), filter="truncated"),
                    LearnableKernel(np.eye(2), scale=LearnedMatrix.diagonal([1.0])),
                ]
            ),
            ValueError,
            "LearnableCRF: beside a filter 'truncated', .* no scale can be learned",
        ),
        (
            lambda: LearnableCRF(anything([LearnedMatrix.potts(2)])),
            TypeError,
            "every kernel must be a LearnableKernel, got Lear",
        ),
        (lambda: LearnableCRF(exclude_self=anything(1)), TypeError, "LearnableCRF: exclude_self must be"),
        (
            lambda: LearnableCRF([LearnableKernel(anything(None))]),
            TypeError,
            r"LearnableCRF: compatibility\[0\]: .* hold numbers",
        ),
        (
            lambda: LearnableCRF([LearnableKernel(np.eye(2), scale=np.full((1, 1), np.nan))]),
            ValueError,
            r"LearnableCRF: scale\[0\]: .* must be finite, got nan at \(0, 0\)",
        ),
    ],
)
def test_bad_crf(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


POINTS = np.zeros((4, 2))


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        ((POINTS, [POINTS]), TypeError, "LearnableCRF.marginals: an image must be a CRFImage, got tuple"),
        (CRFImage(POINTS[0], [POINTS]), ValueError, r"unary must have rank 2 \(N, L\)"),
        (CRFImage(POINTS.astype(int), [POINTS]), TypeError, "unary must be float32 or float64"),
        (CRFImage(POINTS), ValueError, "features must be one array for each of 1 kernels, got 0"),
        (CRFImage(POINTS[:, :1], [POINTS]), ValueError, r"unary must have shape \(4, 2\) .* matrix U"),
        (CRFImage(POINTS, [POINTS[:3]]), ValueError, "unary has 4 rows but features have 3: rows are points"),
        (CRFImage(POINTS, [POINTS[:, :1]]), ValueError, r"features\[0\] must have shape \(4, 2\)"),
        (
            CRFImage(POINTS, [POINTS.astype("f4")]),
            TypeError,
            "unary is float64 but features is float32; .* take dtype=unary",
        ),
        (CRFImage(POINTS, [POINTS * np.nan]), ValueError, "features must be finite"),
    ],
)
def test_bad_image(image: Any, error: type[Exception], message: str) -> None:
    kernel = LearnableKernel(LearnedMatrix.potts(2), scale=LearnedMatrix.diagonal([1.0, 1.0]))
    crf = LearnableCRF([kernel], unary=LearnedMatrix.full(np.eye(2)))
    with pytest.raises(error, match=message):
        crf.marginals(image)


def test_bad_parameters() -> None:
    crf = LearnableCRF([LearnableKernel(LearnedMatrix.potts(3), scale=LearnedMatrix.diagonal([1.0, 1.0]))])
    image = CRFImage(np.zeros((4, 3)), [POINTS])
    with pytest.raises(ValueError, match=r"matrices: parameters must have shape \(3,\)"):
        crf.marginals(image, np.zeros(2))
    with pytest.raises(ValueError, match=r"at: parameters must be finite, got nan at 2, of 'scale\[0\]'"):
        crf.at(np.array([0, 0, np.nan]))
    with pytest.raises(TypeError, match="start is float64 but parameters is float32"):
        crf.marginals(image, np.zeros(3, np.float32))
    two_labels = CRFImage(np.zeros((4, 2)), [POINTS])
    with pytest.raises(ValueError, match=r"compatibility\[0\] must have shape \(2, 2\) \(L × L for 2 labels\)"):
        crf.marginals(two_labels)
