"""Deviations of lattices, filters and inference in CRFs: one answer each that is computed by eye."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from golden.deviations import grid_crf, lattice, mean_field
from refdet.core.kernel import KERNELS, use_backend
from refdet.verify.deviation import deviating
from tests.golden._examples import Example, check

FAMILIES = (grid_crf, lattice, mean_field)
BY_KEY = {d.key: d for family in FAMILIES for d in family.DEVIATIONS}

CHAIN = np.array([[[1, 2, 3, -1], [-1, 0, 1, 2]]])
RING = np.concatenate([CHAIN, [[[3, -1, -1, -1], [-1, -1, -1, 0]]]])
PIXEL = np.ones((1, 1, 1))
E_HALF = np.exp(-0.5)
GAUSS: dict[str, Any] = {"sigma": (1.0, 1.0), "truncate": 1.0}
PARALLEL: dict[str, Any] = {
    "dimensions": (1,),
    "filters": ("exact",),
    "shape": None,
    "normalisation": ("none",),
    "exclude_self": False,
    "iterations": 1,
    "damping": 0.0,
}
LATTICE = {**PARALLEL, "filters": ("lattice",)}
AFTER, ALONE = {"normalisation": ("after",)}, {"exclude_self": True}
SWEEP: dict[str, Any] = {"dimensions": (1,), "normalisation": ("none",), "exclude_self": False, "sweeps": 1}
REWARD, SKEW = np.diag([-1.0, 0.0]), np.array([[2.0, 0.0], [4.0, 0.0]])
POTTS = 1 - np.eye(2)
INDIFFERENT = [0.0, 0.0]
LN_2, LN_4_3 = np.log(2), np.log(4 / 3)
LABELS: dict[str, Any] = {"n_labels": 2, "gt_probability": 0.75, "unsure": None, "dtype": "float64"}


def sigmoid(x: float) -> float:
    """Return the probability of the first of two labels whose logits differ by x."""
    return float(1 / (1 + np.exp(-x)))


def undecided(n_points: int, compatibility: Any) -> tuple[Any, ...]:
    """Return points at one place, none of which prefers a label."""
    return np.zeros((n_points, 2)), np.zeros((n_points, 1)), compatibility[None]


def first(*advantages: float) -> Any:
    """Return q of points where label 0 has these advantages."""
    return [[[sigmoid(x), sigmoid(-x)] for x in advantages]]


def graph(unary: Any, edges: Any = (), weights: Any = (), labels: Any = None) -> tuple[Any, ...]:
    """Return a Potts model."""
    arrays = np.array(unary, np.float64), np.array(edges, np.int64).reshape(-1, 2), np.array(weights, np.float64)
    return (*arrays, POTTS) if labels is None else (*arrays, POTTS, np.array(labels, np.int64))


PREFERRING = [[4.0, 0.0], INDIFFERENT]
S = sigmoid(1)

EXAMPLES = [
    Example("lattice.blur=quarter", "lattice_blur", ([[0.0], [8], [0], [2]], CHAIN), {"reverse": False},
            [[[2], [4], [2.5], [1]]]),
    Example("lattice.scale=one", "lattice_slice", ([[0.0], [4]], [[0.5, 0.5]], [[0, 1]]), {"scale": 0.5}, [[[2]]]),
    Example("lattice.keys=int16", "lattice_index", ([[[40000], [0]]],), {}, [[[40000 - 2**16], [0]], [[0, 1]]]),
    Example("lattice.numbers=as_they_come", "lattice_index", ([[[3], [0]]],), {}, [[[3], [0]], [[0, 1]]]),
    Example("lattice.neighbours=swapped", "lattice_index", ([[[0], [1]]],), {},
            [[[0], [1]], [[0, 1]], [[[-1, 0], [1, -1]], [[1, -1], [-1, 0]]]]),
    # the second step from 0 to 2 leads over 1, which is not in use
    Example("lattice.traversal=walk", "lattice_neighbourhood", ([[0], [2]],), {"size": 2, "traversal": "exact"},
            [[[0, 1]] + [[-1, -1]] * 4]),
    Example("kernel.distance=unsquared", "gaussian_kernel", ([[0.0], [2]],), {"exclude_self": False},
            [[[1, np.exp(-1)], [np.exp(-1), 1]]]),
    Example("gauss.sum=one", "truncated_gaussian", (PIXEL,), GAUSS, [PIXEL / (1 + 2 * E_HALF) ** 2]),
    Example("gauss.cut=nearest", "truncated_gaussian", ([[[1.0], [0], [0]]],), {**GAUSS, "truncate": 1.25},
            [[[[1], [E_HALF], [0]]]]),
    Example("gauss.edge=mirrored", "truncated_gaussian", (PIXEL,), GAUSS, [PIXEL * (1 + 2 * E_HALF) ** 2]),
    Example("gauss.middle=zero", "truncated_gaussian", (PIXEL,), GAUSS, [PIXEL * 0]),
    # two points at one place: a kernel of ones, of halves if normalised, or without its diagonal
    Example("crf.norm=none", "mean_field", undecided(2, REWARD), {**PARALLEL, **AFTER}, first(1, 1)),
    Example("crf.norm=after", "mean_field", undecided(2, REWARD), PARALLEL, first(0.5, 0.5)),
    Example("crf.norm=symmetric", "mean_field", undecided(2, REWARD), PARALLEL, first(0.5, 0.5)),
    Example("crf.self=included", "mean_field", undecided(2, REWARD), {**PARALLEL, **ALONE}, first(1, 1)),
    Example("crf.self=excluded", "mean_field", undecided(2, REWARD), PARALLEL, first(0.5, 0.5)),
    Example("crf.self=included", "gaussian_kernel", (np.zeros((2, 1)),), {"exclude_self": True}, [np.ones((2, 2))]),
    Example("crf.self=excluded", "gaussian_kernel", (np.zeros((2, 1)),), {"exclude_self": False}, [POTTS]),
    Example("crf.compatibility=reward", "mean_field", undecided(1, 2 * REWARD), PARALLEL, first(-1)),
    # the costs of the labels: (1, 2), (2, 1) in the mean of both, (3, 0) transposed
    Example("crf.compatibility=symmetrised", "mean_field", undecided(1, SKEW), PARALLEL, first(-1)),
    Example("crf.compatibility=transposed", "mean_field", undecided(1, SKEW), PARALLEL, first(-3)),
    Example("crf.unary=logits", "mean_field", ([[0.0, 2]], [[0.0]], SKEW[None]), {**PARALLEL, "iterations": 0},
            first(-2)),
    Example("crf.damping=none", "mean_field", undecided(1, 2 * REWARD), {**PARALLEL, "damping": 0.5}, first(1)),
    # a point alone on a vertex: ⅔ · 5/4, without ⅔, and over 4
    Example("crf.lattice_scale=one", "mean_field", undecided(1, 2 * REWARD), LATTICE, first(5 / 4)),
    Example("crf.lattice_blur=quarter", "mean_field", undecided(1, 2 * REWARD), LATTICE, first(5 / 24)),
    # the second of two points sees the first, at S
    Example("crf.norm=none", "mean_field_sequential", undecided(2, REWARD), {**SWEEP, **AFTER}, first(1, S + 0.5)),
    Example("crf.norm=after", "mean_field_sequential", undecided(2, 2 * REWARD), SWEEP, first(1, S + 0.5)),
    Example("crf.norm=symmetric", "mean_field_sequential", undecided(2, 2 * REWARD), SWEEP, first(1, S + 0.5)),
    Example("crf.self=included", "mean_field_sequential", undecided(2, REWARD), {**SWEEP, **ALONE}, first(1, S + 0.5)),
    Example("crf.self=excluded", "mean_field_sequential", undecided(2, 2 * REWARD), SWEEP, first(1, 2 * S)),
    Example("crf.compatibility=reward", "mean_field_sequential", undecided(1, 2 * REWARD), SWEEP, first(-1)),
    Example("crf.compatibility=symmetrised", "mean_field_sequential", undecided(1, SKEW), SWEEP, first(-1)),
    Example("crf.compatibility=transposed", "mean_field_sequential", undecided(1, SKEW), SWEEP, first(-3)),
    Example("crf.unary=logits", "mean_field_sequential", ([[0.0, 2]], [[0.0]], SKEW[None]), {**SWEEP, "sweeps": 0},
            first(-2)),
    Example("crf.at_once=yes", "mean_field_sequential", undecided(2, 2 * REWARD), {**SWEEP, **ALONE}, first(1, 1)),
    Example("crf.free_energy=whole_pairs", "free_energy", ([[0.5, 0.5]], [INDIFFERENT], [[1.0, 1.0]]), {}, [1 - LN_2]),
    Example("unary.floor=none", "unary_from_probabilities", ([[0.5, 0.25]],), {"floor": 0.5}, [[[LN_2, 2 * LN_2]]]),
    Example("unary.unsure=zero", "unary_from_labels", ([0, 1],), LABELS, [[[LN_2, LN_2], [LN_4_3, 2 * LN_2]]]),
    Example("unary.unsure=never", "unary_from_labels", ([0],), {**LABELS, "unsure": 0}, [[[LN_4_3, 2 * LN_2]]]),
    Example("icm.equals=lowest", "icm", graph([INDIFFERENT], labels=[1]), {"sweeps": 1}, [[0]]),
    Example("icm.update=at_once", "icm", graph([INDIFFERENT] * 2, [[0, 1]], [1], [0, 1]), {"sweeps": 1}, [[1, 0]]),
    Example("icm.start=unary", "icm", graph([[0, 4]] * 2, [[0, 1]], [8], [1, 1]), {"sweeps": 1}, [[0, 0]]),
    Example("alpha.tie=keep", "alpha_expansion", graph([[1, 0], INDIFFERENT], labels=[0, 0]),
            {"cycles": 9, "scale": 1e4}, [[1, 0], 0]),
    # of a preference of 4 an edge of 3 passes on 3, and the next, of 2, passes on 2
    Example("bp.normalise=mean", "belief_propagation", graph(PREFERRING, [[0, 1]], [3]),
            {"iterations": 1, "damping": 0.0}, [[1, 1], [[4, 0], [1.5, -1.5]]]),
    Example("bp.based_on=newest", "belief_propagation", graph([*PREFERRING, INDIFFERENT], [[0, 1], [1, 2]], [3, 2]),
            {"iterations": 1, "damping": 0.0}, [[1, 1, 1], [[4, 0], [3, 0], [2, 0]]]),
    Example("bp.damping=none", "belief_propagation", graph(PREFERRING, [[0, 1]], [3]),
            {"iterations": 1, "damping": 0.5}, [[1, 1], [[4, 0], [3, 0]]]),
]  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.key} {example.algorithm}")
def test_by_eye(example: Example) -> None:
    check(example, BY_KEY[example.key])


def test_every_deviation_has_an_example_for_every_kernel() -> None:
    others = {("lattice.reverse=never", "lattice_blur"), ("lattice.keys=int16", "lattice_embed")}
    all_of_them = {(d.key, a) for d in BY_KEY.values() for a in d.algorithms}
    assert {(e.key, e.algorithm) for e in EXAMPLES} == all_of_them - others
    assert len(BY_KEY) == sum(len(family.DEVIATIONS) for family in FAMILIES)


def test_keys_of_16_bits() -> None:
    """A point at 40000 on the line lies between vertices whose keys are beyond 2¹⁵: 2¹⁶ is lost of both."""
    features = np.array([[40000.0]])
    (_, keys), _ = KERNELS["lattice_embed.forward"](features, keep_residual=False)
    with use_backend(deviating([BY_KEY["lattice.keys=int16"]])):
        (_, short), _ = KERNELS["lattice_embed.forward"](features, keep_residual=False)
    assert keys.min() > 2**15
    assert (keys - short).ravel().tolist() == [2**16, 2**16]


GRADIENTS: list[tuple[str, str, Any, dict[str, Any]]] = [
    *((d.key, "truncated_gaussian", (4, 5, 2), {"sigma": (0.75, 1.5), "truncate": 1.3})
      for d in lattice.DEVIATIONS if "truncated_gaussian.backward" in d.kernels),
    ("kernel.distance=unsquared", "gaussian_kernel", (4, 2), {"exclude_self": False}),
    ("crf.self=included", "gaussian_kernel", (4, 2), {"exclude_self": True}),
    ("crf.self=excluded", "gaussian_kernel", (4, 2), {"exclude_self": False}),
]  # fmt: skip


@pytest.mark.parametrize(("key", "op", "shape", "params"), GRADIENTS)
def test_gradients_are_those_of_the_deviating_function(
    key: str, op: str, shape: tuple[int, ...], params: dict[str, Any]
) -> None:
    """A central difference along one direction."""
    x, direction = (f(np.arange(np.prod(shape))).reshape(shape) for f in (np.sin, np.cos))
    with use_backend(deviating([BY_KEY[key]])):
        y, residual = KERNELS[f"{op}.forward"](x, **params, keep_residual=True)
        dy = np.cos(3 * np.arange(y.size)).reshape(y.shape)
        (dx,) = KERNELS[f"{op}.backward"](residual, dy, needs=(True,), **params)
        above, below = (
            KERNELS[f"{op}.forward"](x + h * direction, **params, keep_residual=False)[0] for h in (1e-6, -1e-6)
        )
    assert_allclose(np.sum(dx * direction), np.sum(dy * (above - below)) / 2e-6, rtol=1e-6)


MEAN_FIELD_KEYS = [d.key for d in mean_field.DEVIATIONS if "mean_field.backward" in d.kernels]


@pytest.mark.parametrize("key", MEAN_FIELD_KEYS)
@pytest.mark.parametrize("kind", ["exact", "lattice"])
def test_gradients_of_mean_field(key: str, kind: str) -> None:
    """A central difference of the unaries and the compatibilities."""
    f = np.sin(np.arange(10.0)).reshape(5, 2)
    x = np.cos(np.arange(15.0)).reshape(5, 3), f, np.sin(1 + np.arange(9.0)).reshape(1, 3, 3)
    dq = np.cos(3 * np.arange(15.0)).reshape(5, 3)
    params = {**PARALLEL, "dimensions": (2,), "filters": (kind,), "iterations": 2, "damping": 0.25}
    for asked in ({}, AFTER, ALONE) if kind == "exact" else ({}, AFTER):
        given = {**params, **asked}
        with use_backend(deviating([BY_KEY[key]])):
            _, residual = KERNELS["mean_field.forward"](*x, **given, keep_residual=True)
            gradients = KERNELS["mean_field.backward"](residual, dq, needs=(True, False, True), **given)
            for which in (0, 2):
                direction = np.cos(np.arange(x[which].size) ** 2).reshape(x[which].shape)
                above, below = (
                    KERNELS["mean_field.forward"](
                        *(a + h * direction if a is x[which] else a for a in x), **given, keep_residual=False
                    )[0]
                    for h in (1e-6, -1e-6)
                )
                slope = np.sum(dq * (above - below)) / 2e-6
                assert_allclose(np.sum(gradients[which] * direction), slope, rtol=1e-5, atol=1e-9)


def test_blur_of_a_ring() -> None:
    """The second axis joins the ends; asked to go first, it comes second, and the opposite for the gradient."""
    z = np.array([[0.0], [8], [0], [0]])
    with use_backend(deviating([BY_KEY["lattice.reverse=never"]])):
        y, residual = KERNELS["lattice_blur.forward"](z, RING, reverse=True, keep_residual=True)
        dz, _ = KERNELS["lattice_blur.backward"](residual, z, needs=(True, False), reverse=False)
    assert y.ravel().tolist() == [4, 8, 4, 2]
    assert dz.ravel().tolist() == [4, 8, 4, 2]
