"""DenseCRF: what it reports, when the free energy falls and when it does not, its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.crf.compatibility import potts
from refdet.crf.dense import DenseCRF, GaussianPotential, Progress
from refdet.crf.features import bilateral_features, position_features
from refdet.crf.mean_field import mean_field
from refdet.crf.mean_field_sequential import mean_field_sequential
from tests.agreement import LAYOUTS, in_layout, seeds
from tests.crf.problems import SHAPE, counting_backend, picture


def unaries(n: int, L: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(0, 3, (n, L))


def two_points(mu: Array, preference: float, *, exclude_self: bool) -> DenseCRF:
    """Return two points at the same place, of which each prefers another label: a checkerboard of 1 × 2."""
    unary = np.array([[0.0, preference], [preference, 0.0]])
    return DenseCRF(unary, [GaussianPotential(np.zeros((2, 1)), mu, "exact", "none")], exclude_self=exclude_self)


def on_the_picture(mu: Array, how: str = "symmetric") -> DenseCRF:
    """Return the model of the paper on the small picture: truncated positions, a bilateral lattice."""
    kernels = [
        GaussianPotential(position_features(SHAPE, 3.0), 0.5 * mu, "truncated", how),
        GaussianPotential(bilateral_features(picture(), 10, 20), mu, "lattice", how),
    ]
    return DenseCRF(unaries(SHAPE[0] * SHAPE[1], len(mu)), kernels, shape=SHAPE)


def test_it_is_mean_field_with_a_record() -> None:
    mu = potts(3, 2)
    crf = on_the_picture(mu)
    found = crf.infer(4, damping=0.1)
    q = mean_field(
        crf.unary,
        [k.features for k in crf.kernels],
        [k.compatibility for k in crf.kernels],
        filters=["truncated", "lattice"],
        shape=SHAPE,
        iterations=4,
        damping=0.1,
    )
    np.testing.assert_array_equal(found.q, q.data)
    np.testing.assert_array_equal(found.labels(), q.data.argmax(axis=1))
    assert found.free_energies.shape == (5,)
    three = crf.infer(3, damping=0.1)
    np.testing.assert_array_equal(found.free_energies[:4], three.free_energies)
    np.testing.assert_array_equal(found.changes[-1], np.abs(found.q - three.q).max())


def test_sequential_is_the_sequential_function() -> None:
    rng = np.random.default_rng(1)
    unary, f, mu = rng.standard_normal((6, 2)), rng.standard_normal((6, 2)), rng.standard_normal((2, 2))
    for how in ("none", "before", "after", "symmetric"):
        crf = DenseCRF(unary, [GaussianPotential(f, mu, "exact", how)])
        expected = mean_field_sequential(unary, [f], [mu], normalisation=how, sweeps=3)
        np.testing.assert_allclose(crf.infer(3, schedule="sequential").q, expected, rtol=1e-12)


def test_the_first_free_energy_by_hand() -> None:
    """q = ½: F = 2 (−ln 2) + ½ Σ_i Σ_l ½ p with p = 3 · ½ from the other point."""
    F = two_points(potts(2, 3), 0.0, exclude_self=True).infer(0).free_energies
    np.testing.assert_allclose(F, [-2 * np.log(2) + 0.5 * 2 * 1.5])


def test_a_change_may_be_a_loss() -> None:
    """One of three labels loses what the two others gain: the largest |Δq| is its loss."""
    loss = GaussianPotential(np.zeros((1, 1)), np.diag([1.0, 0.0, 0.0]), "exact", "none")
    found = DenseCRF(np.zeros((1, 3)), [loss], exclude_self=False).infer(1)
    now = 1 / (1 + 2 * np.exp(1 / 3))
    np.testing.assert_allclose(found.q, [[now, (1 - now) / 2, (1 - now) / 2]])
    np.testing.assert_allclose(found.changes, [1 / 3 - now])


def test_progress_is_reported_after_every_iteration() -> None:
    reports: list[Progress] = []
    found = on_the_picture(potts(2)).infer(3, on_iteration=reports.append)
    assert [(r.iteration, r.iterations) for r in reports] == [(1, 3), (2, 3), (3, 3)]
    assert [r.free_energy for r in reports] == found.free_energies[1:].tolist()
    assert [r.change for r in reports] == found.changes.tolist()


def test_it_can_be_ended_early() -> None:
    """Here after the second iteration; an exception of any other kind is the caller's."""

    def enough(progress: Progress) -> None:
        if progress.iteration == 2:
            raise StopIteration

    crf = on_the_picture(potts(2))
    found, two = crf.infer(5, on_iteration=enough), crf.infer(2)
    np.testing.assert_array_equal(found.q, two.q)
    np.testing.assert_array_equal(found.free_energies, two.free_energies)
    np.testing.assert_array_equal(found.changes, two.changes)


def test_the_self_term_is_left_out_where_it_can_be() -> None:
    """By default j ≠ i, as in the paper, if all filters are exact; an approximate one has the term in, and so has K."""
    unary, f = unaries(6, 2), np.random.default_rng(3).standard_normal((6, 2))
    exact, lattice = (GaussianPotential(f, potts(2, 2), name) for name in ("exact", "lattice"))

    def q(*kernels: GaussianPotential, exclude_self: bool | None = None) -> Array:
        return DenseCRF(unary, kernels, exclude_self=exclude_self).infer(3).q

    np.testing.assert_array_equal(q(exact), q(exact, exclude_self=True))
    np.testing.assert_array_equal(q(exact, lattice), q(exact, lattice, exclude_self=False))
    assert np.max(np.abs(q(exact) - q(exact, exclude_self=False))) > 0.01
    with pytest.raises(ValueError, match="DenseCRF: exclude_self needs the filter 'exact', got 'lattice'"):
        q(exact, lattice, exclude_self=True)


def test_it_runs_on_the_backend_in_use() -> None:
    """The model of the paper, 10 iterations: each filter once to measure n, and once for each of 11 free energies."""
    plain = on_the_picture(potts(3)).infer(10)
    with counting_backend() as calls:
        found = on_the_picture(potts(3)).infer(10)
    np.testing.assert_array_equal(found.q, plain.q)
    np.testing.assert_array_equal(found.free_energies, plain.free_energies)
    assert calls == {
        "truncated_gaussian.forward": 12,
        "lattice_embed.forward": 1,
        "lattice_index": 1,
        "lattice_splat.forward": 12,
        "lattice_blur.forward": 12,
        "lattice_slice.forward": 12,
        "softmax.forward": 11,
        "free_energy": 11,
    }
    with counting_backend() as calls:
        two_points(potts(2), 1.0, exclude_self=True).infer(3, schedule="sequential")
    assert calls == {"gaussian_kernel.forward": 1, "softmax.forward": 1 + 3 * 2, "free_energy": 4}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_of_the_arrays_does_not_matter(layout: str) -> None:
    unary, f = unaries(12, 3).astype(np.float32), position_features((3, 4), 2.0, dtype="float32")
    mu = potts(3, 2, dtype="float32")
    arrays = unary, f, mu
    q, in_order = (
        DenseCRF(u, [GaussianPotential(g, nu), GaussianPotential(g, nu, "truncated")], shape=(3, 4)).infer(3).q
        for u, g, nu in ([in_layout(x, layout) for x in arrays], arrays)
    )
    np.testing.assert_allclose(q, in_order, rtol=1e-5)
    assert q.dtype == np.dtype("float32")
    assert q.flags.f_contiguous  # always held by label


@pytest.mark.parametrize("huge", [1e4, 1e30, 3e38])
def test_energies_that_are_certain(huge: float) -> None:
    """No warning, and no NaN: labels with an energy this large have q = 0, and 0 log 0 = 0."""
    unary = np.zeros((4, 2), np.float32)
    unary[[0, 1], [0, 1]] = huge
    f = np.zeros((4, 1), np.float32)
    found = DenseCRF(unary, [GaussianPotential(f, potts(2, 2, dtype="float32"), "exact")]).infer(3)
    np.testing.assert_array_equal(found.q[:2], [[0, 1], [1, 0]])
    np.testing.assert_allclose(found.q[2:], 0.5)
    assert np.all(np.isfinite(found.free_energies))


@pytest.mark.parametrize("schedule", ["parallel", "sequential"])
def test_no_kernel_no_dispute(schedule: str) -> None:
    """Without pairs the softmax of −ψ is the minimum, F = −log Z, and stays."""
    unary = unaries(5, 3)
    found = DenseCRF(unary, []).infer(2, schedule=schedule)
    np.testing.assert_allclose(found.free_energies, -np.sum(np.log(np.sum(np.exp(-unary), axis=1))))
    np.testing.assert_array_equal(found.changes, [0, 0])


@given(data=st.data(), seed=seeds)
def test_the_free_energy_falls_where_theory_says_so(data: st.DataObject, seed: int) -> None:
    """Positive semidefinite K with its self term, −w I, Potts, or any −A Aᵀ + constant; a symmetric normalisation."""
    rng = np.random.default_rng(seed)
    n, L = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 4))
    kernels = []
    for _ in range(data.draw(st.integers(1, 2))):
        w = data.draw(st.sampled_from([0.3, 3.0, 30.0]))
        A = rng.standard_normal((L, L))
        mu = data.draw(st.sampled_from([potts(L, w), -w * np.eye(L), 5 - w * A @ A.T]))
        f = data.draw(st.sampled_from([0.1, 1.0])) * rng.standard_normal((n, 2))
        kernels.append(GaussianPotential(f, mu, "exact", data.draw(st.sampled_from(["none", "symmetric"]))))
    F = DenseCRF(3 * rng.standard_normal((n, L)), kernels, exclude_self=False).infer(5).free_energies
    assert np.all(np.diff(F) <= 1e-12 * (1 + np.abs(F[1:])))


def test_it_falls_with_the_lattice_too() -> None:
    F = on_the_picture(potts(4, 3)).infer(10).free_energies
    assert np.all(np.diff(F) <= 1e-9)
    assert F[-1] < F[0] - 1


def test_repulsion_oscillates_with_period_two() -> None:
    """μ = +3 I: all points leave the label that all the others have, together. Damping, or turns, cure it."""
    kernels = two_points(3 * np.eye(2), 0.0, exclude_self=False).kernels
    crf = DenseCRF(np.array([[0.0, 0.1], [0.0, 0.1]]), kernels, exclude_self=False)
    found = crf.infer(60)
    assert found.changes[-1] > 0.9
    np.testing.assert_allclose(found.free_energies[-1], found.free_energies[-3])
    assert np.max(np.diff(found.free_energies)) > 0.1
    damped = crf.infer(60, damping=0.75)
    assert damped.changes[-1] < 1e-6
    assert damped.free_energies[-1] < found.free_energies.min() + 1e-9


def test_a_checkerboard_without_self_term_oscillates() -> None:
    """Potts, but each of two points sees the other only, and takes its label as the other takes its own."""
    found = two_points(potts(2, 6), 0.5, exclude_self=True).infer(40)
    assert found.changes[-1] > 0.9
    np.testing.assert_allclose(found.free_energies[-1], found.free_energies[-3])
    with_self = two_points(potts(2, 6), 0.5, exclude_self=False).infer(40)
    assert np.all(np.diff(with_self.free_energies) <= 1e-12)
    by_turns = two_points(potts(2, 6), 0.5, exclude_self=True).infer(40, schedule="sequential")
    assert by_turns.changes[-1] < 1e-6
    assert by_turns.labels()[0] == by_turns.labels()[1]


def test_it_cleans_up_a_noisy_labelling() -> None:
    """A fifth of the pixels of two regions are mislabelled; the edge of the picture holds the regions apart."""
    truth = (np.indices(SHAPE)[1] > 10).astype(np.int64).ravel()
    rng = np.random.default_rng(0)
    noisy = np.where(rng.random(truth.size) < 0.2, 1 - truth, truth)
    unary = np.where(np.arange(2) == noisy[:, None], -np.log(0.7), -np.log(0.3))
    kernels = [
        GaussianPotential(position_features(SHAPE, 2.0), potts(2, 1)),
        GaussianPotential(bilateral_features(picture(), 10, 20), potts(2, 4)),
    ]
    labels = DenseCRF(unary, kernels).infer(10).labels()
    assert np.mean(noisy != truth) > 0.15
    assert np.mean(labels != truth) < 0.02


def test_equal_probabilities_give_the_first_label() -> None:
    np.testing.assert_array_equal(DenseCRF(np.zeros((3, 4)), []).infer(2).labels(), [0, 0, 0])


def test_float32_stays_float32() -> None:
    f = position_features((4, 5), 2.0, dtype="float32")
    kernels = [GaussianPotential(f, potts(2, dtype="float32"))]
    found = DenseCRF(unaries(20, 2).astype(np.float32), kernels).infer(2)
    assert {x.dtype.name for x in (found.q, found.free_energies, found.changes)} == {"float32"}


def test_no_points_and_no_iterations() -> None:
    found = DenseCRF(np.zeros((0, 2)), [GaussianPotential(np.zeros((0, 3)), potts(2))]).infer(2)
    np.testing.assert_array_equal(found.free_energies, [0, 0, 0])
    np.testing.assert_array_equal(found.changes, [0, 0])
    assert DenseCRF(np.zeros((2, 2)), []).infer(0).changes.shape == (0,)


GOOD = np.zeros((6, 2))


@pytest.mark.parametrize(
    ("unary", "potential", "options", "message"),
    [
        (np.zeros((2, 3, 2)), {}, {}, r"unary must have rank 2 \(N, L\), got rank 3"),
        (GOOD * [1, np.nan], {}, {}, "unary must be finite, got nan for label 1 at point 0"),
        (GOOD - np.inf, {}, {}, "unary must be finite, got -inf for label 0 at point 0"),
        (GOOD, {"features": GOOD[:5]}, {}, "unary has 6 rows but features have 5: rows are points$"),
        (GOOD.T, {}, {}, "unary has 2 rows but features have 6: rows are points; unary may be transposed"),
        (GOOD, {"features": GOOD.T}, {}, "unary has 6 rows but features have 2: .*; features may be transposed"),
        (GOOD, {"features": GOOD * np.nan}, {}, r"features must be finite, got \[nan, nan\] at point 0"),
        (GOOD, {"compatibility": potts(3)}, {}, r"compatibility must have shape \(2, 2\) \(L × L\), got \(3, 3\)"),
        (GOOD, {"compatibility": potts(2) * np.nan}, {}, "compatibility must be finite, got nan for the labels"),
        (GOOD, {}, {"exclude_self": True}, "exclude_self .* the lattice's response at the point itself is not 1"),
        (GOOD, {"filter": "truncated"}, {}, "a truncated filter needs shape"),
        (GOOD, {"filter": "truncated"}, {"shape": (2, 3)}, "a truncated filter needs the features"),
    ],
)
def test_bad_models(unary: Array, potential: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"DenseCRF: {message}"):
        DenseCRF(unary, [GaussianPotential(**({"features": GOOD, "compatibility": potts(2)} | potential))], **options)


def test_a_potential_refuses_names_that_do_not_exist() -> None:
    with pytest.raises(
        ValueError, match="GaussianPotential: filter must be one of 'exact', 'truncated', 'lattice', got"
    ):
        GaussianPotential(GOOD, potts(2), "box")
    with pytest.raises(
        ValueError, match="GaussianPotential: normalisation must be one of 'none', 'before', 'after', 's"
    ):
        GaussianPotential(GOOD, potts(2), normalisation="mean")


def test_too_many_points_for_a_matrix() -> None:
    n = 213 * 320
    with pytest.raises(ValueError, match=r"DenseCRF: .* N = 68160 takes 37,166,284,800 bytes; at most"):
        DenseCRF(np.zeros((n, 2)), [GaussianPotential(np.zeros((n, 2)), potts(2), "exact")])


def test_bad_inference() -> None:
    crf = DenseCRF(GOOD, [GaussianPotential(GOOD, potts(2))])
    with pytest.raises(ValueError, match=r"DenseCRF.infer: the sequential schedule needs .* 'exact' .*, got 'lattice'"):
        crf.infer(schedule="sequential")
    with pytest.raises(ValueError, match=r"DenseCRF.infer: damping is for the parallel schedule, got 0.5"):
        DenseCRF(GOOD, []).infer(schedule="sequential", damping=0.5)
    with pytest.raises(ValueError, match=r"DenseCRF.infer: schedule must be one of 'parallel', 'sequential'"):
        crf.infer(schedule="random")
    with pytest.raises(ValueError, match=r"DenseCRF.infer: iterations must be at least 0"):
        crf.infer(-1)
    with pytest.raises(ValueError, match=r"DenseCRF.infer: damping must be smaller than 1"):
        crf.infer(damping=1.0)


def test_what_is_no_kernel() -> None:
    one = GaussianPotential(GOOD, potts(2))
    with pytest.raises(TypeError, match=r"DenseCRF: kernels must be .*, got a single one; write \[\.\.\.\]$"):
        DenseCRF(GOOD, one)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="DenseCRF: kernels must be a sequence, got <generator"):
        DenseCRF(GOOD, (one for _ in range(2)))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="DenseCRF: kernels must be GaussianPotentials, got tuple"):
        DenseCRF(GOOD, [(GOOD, potts(2))])  # type: ignore[list-item]


def test_mixed_dtypes() -> None:
    builders = "position_features, bilateral_features, potts and their like take dtype=unary.dtype"
    with pytest.raises(TypeError, match=f"DenseCRF: unary is float64 but features is float32; {builders}"):
        DenseCRF(GOOD, [GaussianPotential(GOOD.astype(np.float32), potts(2))])
    with pytest.raises(TypeError, match=f"DenseCRF: unary is float32 but compatibility is float64; {builders}"):
        DenseCRF(GOOD.astype(np.float32), [GaussianPotential(GOOD.astype(np.float32), potts(2))])
    with pytest.raises(TypeError, match="DenseCRF: features must be float32 or float64, got int64"):
        DenseCRF(GOOD, [GaussianPotential(GOOD.astype(np.int64), potts(2))])
