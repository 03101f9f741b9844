"""mean_field: the formula, its steps, its gradients, its conventions, and pydensecrf."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.core.check import Array
from refdet.crf.compatibility import potts, pydensecrf_compatibility
from refdet.crf.features import bilateral_features, position_features
from refdet.crf.filters import FILTERS
from refdet.crf.mean_field import (
    compatibility_transform,
    damp,
    initialise,
    local_update,
    mean_field,
    mean_field_backward,
    mean_field_forward,
    normalise,
)
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.crf.problems import NORMALISATIONS, SHAPE, counting_backend, picture, random_crf
from tests.oracles import mean_field as oracle

COMPATIBILITIES: dict[str, Any] = {
    "scalar": 0.75,
    "vector": np.array([-1.0, -0.5, 0.25, -2.0]),
    "matrix": np.array([[-2, 0.5, 1, 0], [0, -1, 0.25, 0.5], [0.5, 0.5, -1.5, 0], [1, 0, 0.75, -0.5]]),
}


def softmax(rows: Array) -> Array:
    powers = np.exp(rows - rows.max(axis=-1, keepdims=True))
    probabilities: Array = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def random_model(seed: int, n: int = 9, L: int = 3) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, L)), rng.standard_normal((n, 3)), rng.standard_normal((L, L))


@pytest.mark.parametrize("exclude_self", [False, True])
def test_the_formula_of_the_deck_by_double_loop(exclude_self: bool) -> None:
    """Q_i(l) = 1/Z_i exp(−ψ_i(l) − Σ_l' μ(l, l') Σ_m w_m Σ_j k_m(f_i, f_j) Q_j(l')), two kernels, three updates."""
    unary, f, mu = random_model(0)
    weights, features = (0.5, 1.25), (f, f[:, :1])
    Q = softmax(-unary)
    for _ in range(3):
        energy = unary.copy()
        for i, label in np.ndindex(unary.shape):
            for other in range(3):
                messages = 0.0
                for w, g in zip(weights, features, strict=True):
                    for j in range(len(unary)):
                        if j != i or not exclude_self:
                            messages += w * np.exp(-0.5 * np.sum((g[i] - g[j]) ** 2)) * Q[j, other]
                energy[i, label] += mu[label, other] * messages
        Q = softmax(-energy)
    q = mean_field(
        unary,
        features,
        [w * mu for w in weights],
        filters="exact",
        normalisation="none",
        exclude_self=exclude_self,
        iterations=3,
    )
    np.testing.assert_allclose(q.data, Q, rtol=1e-10)


def test_the_steps() -> None:
    """One point, two labels: 1/4 and 3/4, then each of the steps by hand."""
    q = initialise(np.log([[4.0, 4 / 3]]))
    np.testing.assert_allclose(q, [[0.25, 0.75]])
    mu = np.array([[1.0, 2.0], [3.0, 4.0]])
    pairwise = compatibility_transform([np.array([[8.0, 16.0]])], [mu], like=q)
    np.testing.assert_array_equal(pairwise, [[8 + 32, 24 + 64]])
    logits = local_update(np.array([[1.0, 2.0]]), pairwise)
    np.testing.assert_array_equal(logits, [[-41, -90]])
    np.testing.assert_allclose(normalise(np.log([[1.0, 3.0]])), [[0.25, 0.75]])
    np.testing.assert_array_equal(damp(np.array([4.0]), np.array([8.0]), 0.25), [7])


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    filters = tuple(data.draw(st.lists(st.sampled_from(FILTERS), max_size=2)))
    *arrays, params = random_crf(
        rng,
        filters,
        dtype,
        iterations=data.draw(st.integers(0, 3)),
        damping=data.draw(st.sampled_from([0.0, 0.25])),
        exclude_self=all(name == "exact" for name in filters) and data.draw(st.booleans()),
    )
    inputs = [in_layout(x, layout) for x in arrays]
    differentiable = (True, "truncated" not in filters, True)
    assert_agrees("mean_field", oracle, inputs, rng=rng, params=params, differentiable=differentiable)


@pytest.mark.parametrize("how", NORMALISATIONS)
@pytest.mark.parametrize("name", ["exact", "lattice"])
def test_gradients_by_finite_differences(name: str, how: str) -> None:
    """Of the unaries, of the features of both kernels, and of both compatibilities."""
    rng = np.random.default_rng(5)
    unary, f, mu = random_model(6)
    line, other = rng.standard_normal((9, 1)), rng.standard_normal((3, 3))

    def infer(u: Tensor, f: Tensor, g: Tensor, mu: Tensor, nu: Tensor) -> Tensor:
        return mean_field(u, [f, g], [mu, nu], filters=name, normalisation=how, iterations=3, damping=0.2)

    gradcheck(infer, [unary, f, line, mu, other], rng=rng)


def test_gradients_of_a_truncated_kernel() -> None:
    rng = np.random.default_rng(7)
    grid = position_features((3, 4), 1.3)

    def infer(u: Tensor, mu: Tensor) -> Tensor:
        return mean_field(u, [grid], [mu], filters="truncated", shape=(3, 4), iterations=3)

    gradcheck(infer, [rng.standard_normal((12, 2)), rng.standard_normal((2, 2))], rng=rng)


def test_the_gradient_of_the_features_is_that_of_the_filter_and_not_of_its_transpose() -> None:
    """On a lattice with holes the order of the blur matters; each feature is checked alone."""
    rng = np.random.default_rng(8)
    unary, f, mu = random_model(9, n=12)
    v = rng.standard_normal((12, 3))
    leaf = Tensor(f, requires_grad=True)
    options: dict[str, Any] = {"normalisation": "none", "iterations": 1}
    mean_field(unary, [leaf], [mu], **options).backward(v)
    numeric, step = np.zeros_like(f), 1e-6
    for index in np.ndindex(f.shape):
        h = np.zeros_like(f)
        h[index] = step
        ahead, behind = (mean_field(unary, [f + s * h], [mu], **options).data for s in (1, -1))
        numeric[index] = np.sum(v * (ahead - behind)) / (2 * step)
    assert leaf.grad is not None
    np.testing.assert_allclose(leaf.grad, numeric, atol=1e-7)


def test_potts_is_a_reward_of_equal_labels() -> None:
    """w (1 − I) and −w I differ by a constant; in any column of μ another one may be added."""
    unary, f, _ = random_model(10)
    expected = mean_field(unary, [f], [potts(3, 2)]).data
    for mu in (-2 * np.eye(3), potts(3, 2) + np.array([1.0, -7.0, 0.5])):
        np.testing.assert_allclose(mean_field(unary, [f], [mu]).data, expected, rtol=1e-12)


def test_the_rows_of_mu_belong_to_the_label_that_is_updated() -> None:
    """μ(0, 1) = 5 alone: label 0 pays where the other point has label 1, and label 1 never pays."""
    unary = np.array([[0.0, 0.0], [50.0, 0.0]])  # point 1 has label 1
    mu = np.array([[0.0, 5.0], [0.0, 0.0]])
    same = [np.zeros((2, 1))]
    q = mean_field(unary, same, [mu], filters="exact", normalisation="none", exclude_self=True, iterations=1).data
    np.testing.assert_allclose(q[0], softmax(np.array([-5.0, 0.0])))


def test_no_iterations_and_no_kernels() -> None:
    unary, f, mu = random_model(11)
    np.testing.assert_array_equal(mean_field(unary, [f], [mu], iterations=0).data, softmax(-unary))
    np.testing.assert_array_equal(mean_field(unary, [], [], iterations=3).data, softmax(-unary))


def test_no_points() -> None:
    empty = np.zeros((0, 3))
    for name in ("exact", "lattice"):
        assert mean_field(empty, [np.zeros((0, 2))], [potts(3)], filters=name).shape == (0, 3)
    for shape in ((0, 5), (3, 0), (0, 0)):
        q = mean_field(empty, [np.zeros((0, 2))], [potts(3)], filters="truncated", shape=shape)
        assert q.shape == (0, 3)


def test_huge_energies_do_not_overflow() -> None:
    unary = np.array([[1e30, -1e30], [0.0, 1.0]], np.float32)
    q = mean_field(unary, [np.zeros((2, 1), np.float32)], [potts(2, 1, dtype="float32")], filters="exact").data
    np.testing.assert_array_equal(q[0], [0, 1])
    assert np.all(np.isfinite(q))


def test_energies_beyond_the_dtype() -> None:
    """ψ + p overflows to ±∞, without a warning: +∞ cannot be; where all cannot, or one has −∞, there is no answer."""
    unary, same = np.array([[3e38, 0], [3e38, 3e38]], np.float32), np.zeros((2, 1), np.float32)
    for sign, expected in ((1, [[0, 1], [np.nan, np.nan]]), (-1, [[np.nan, np.nan], [np.nan, np.nan]])):
        mu = np.full((2, 2), sign * 3e38, np.float32)
        options: dict[str, Any] = {"filters": "exact", "normalisation": "none", "iterations": 1}
        np.testing.assert_array_equal(mean_field(sign * unary, [same], [mu], **options).data, expected)
        assert np.all(np.isnan(mean_field(sign * unary, [same], [mu], exclude_self=False, **options).data))


def test_a_nan_spreads_as_far_as_the_filter() -> None:
    """Pixels 0 … 9 of a row with θ = ½, so that the radius is 2; one message, then another."""
    unary = np.zeros((10, 2))
    unary[0, 1] = np.nan
    row = position_features((1, 10), 0.5)
    for iterations, reached in ((0, 1), (1, 3), (2, 5)):
        q = mean_field(
            unary, [row], [potts(2)], filters="truncated", normalisation="none", shape=(1, 10), iterations=iterations
        )
        np.testing.assert_array_equal(np.isnan(q.data), np.repeat(np.arange(10)[:, None] < reached, 2, axis=1))


def test_the_self_term_is_left_out_where_it_can_be() -> None:
    unary, f, mu = random_model(15)
    for filters, expected in (("exact", True), ("lattice", False), (["exact", "lattice"], False)):
        by_default, stated = (
            mean_field(unary, [f, f], [mu, mu], filters=filters, exclude_self=exclude_self).data
            for exclude_self in (None, expected)
        )
        np.testing.assert_array_equal(by_default, stated)


def test_the_kernels_have_references_inside_whatever_the_backend() -> None:
    unary, f, mu = random_model(16)
    expected = mean_field(unary, [f, f], [mu, mu], filters=["exact", "lattice"]).data
    with counting_backend() as calls:
        leaves = [Tensor(x, requires_grad=True) for x in (unary, f, mu)]
        q = mean_field(leaves[0], [leaves[1]] * 2, [leaves[2]] * 2, filters=["exact", "lattice"])
        q.backward(np.ones_like(unary))
    np.testing.assert_array_equal(q.data, expected)
    inside = {name: n for name, n in calls.items() if not name.startswith(("concat", "stack"))}
    assert inside == {"mean_field.forward": 1, "mean_field.backward": 1}


def test_damping_mixes_the_old_with_the_new() -> None:
    unary, f, mu = random_model(12)
    old, new = (mean_field(unary, [f], [mu], iterations=t).data for t in (0, 1))
    q = mean_field(unary, [f], [mu], iterations=1, damping=0.75).data
    np.testing.assert_allclose(q, 0.75 * old + 0.25 * new)


def test_iterations_continue_one_another() -> None:
    """Gradients add up over the iterations: those of the same parameters in each."""
    unary, f, mu = random_model(13)
    q = np.asarray(mean_field(unary, [f], [mu], iterations=2).data)
    residual = mean_field_forward(unary, f, mu[None], **_params(iterations=2), keep_residual=True)[1]
    assert residual is not None
    np.testing.assert_array_equal(residual.updates[2], q)
    np.testing.assert_array_equal(residual.updates[1], mean_field(unary, [f], [mu], iterations=1).data)


def _params(**given: Any) -> dict[str, Any]:
    """Return the parameters of the kernel for one lattice of three features."""
    return {
        "dimensions": (3,),
        "filters": ("lattice",),
        "shape": None,
        "normalisation": ("symmetric",),
        "exclude_self": False,
        "iterations": 1,
        "damping": 0.0,
    } | given


@pytest.mark.oracle
@pytest.mark.parametrize("compatibility", list(COMPATIBILITIES))
@pytest.mark.parametrize("how", NORMALISATIONS)
def test_pydensecrf(how: str, compatibility: str) -> None:
    """18 × 21 pixels, four labels, five iterations, a position and a bilateral kernel: 2e-5, and equal labels."""
    dcrf = pytest.importorskip("pydensecrf.densecrf", reason="pydensecrf, which is compared with, is not installed")
    constants = {
        "none": dcrf.NO_NORMALIZATION,
        "before": dcrf.NORMALIZE_BEFORE,
        "after": dcrf.NORMALIZE_AFTER,
        "symmetric": dcrf.NORMALIZE_SYMMETRIC,
    }
    image, compat = picture(), COMPATIBILITIES[compatibility]
    (H, W), L = SHAPE, 4
    unary = np.random.default_rng(0).uniform(0, 3, (H * W, L)).astype(np.float32)
    weights = (0.25, 1.0)
    theirs = dcrf.DenseCRF2D(W, H, L)
    theirs.setUnaryEnergy(np.ascontiguousarray(unary.T))
    compats = [np.float32(w * compat) if np.ndim(compat) else float(w * compat) for w in weights]
    theirs.addPairwiseGaussian(sxy=3, compat=compats[0], normalization=constants[how])
    theirs.addPairwiseBilateral(sxy=10, srgb=20, rgbim=image, compat=compats[1], normalization=constants[how])
    expected = np.array(theirs.inference(5)).T
    features = [
        position_features(SHAPE, 3.0, dtype="float32"),
        bilateral_features(image, 10, 20).astype(np.float32),
    ]
    mus = [pydensecrf_compatibility(w * compat, L).astype(np.float32) for w in weights]
    q = mean_field(unary, features, mus, normalisation=how, iterations=5).data
    np.testing.assert_allclose(q, expected, rtol=0, atol=2e-5)
    np.testing.assert_array_equal(q.argmax(axis=1), expected.argmax(axis=1))


GRID = position_features((2, 3), 2.0)


@pytest.mark.parametrize(
    ("features", "options", "message"),
    [
        ([np.zeros((5, 2))], {}, "unary has 6 rows but features have 5: rows are points$"),
        ([np.zeros((3, 6))], {}, "unary has 6 rows but features have 3: rows are points; features may be transposed"),
        ([np.zeros(6)], {}, r"features must have rank 2 \(N, d\)"),
        ([GRID, GRID], {}, "one compatibility per kernel, got 1 for 2 features"),
        ([GRID * np.nan], {}, r"features must be finite, got \[nan, nan\] at point 0"),
        ([GRID * 1e30], {}, "lattice keys overflow"),
        ([np.zeros((6, 0))], {}, "a lattice filter needs at least one feature, got 0"),
        ([GRID], {"filters": "box"}, "filters must be one of 'exact', 'truncated', 'lattice', got 'box'"),
        ([GRID], {"filters": ["exact"] * 2}, "filters must have one entry for each of the 1 kernels"),
        ([GRID], {"normalisation": "mean"}, "normalisation must be one of 'none', 'before', 'after', 'symmetric'"),
        ([GRID], {"exclude_self": True}, "exclude_self needs .* 'lattice': the lattice's response at the point itself"),
        ([GRID], {"exclude_self": True, "filters": "truncated"}, "exclude_self needs the filter 'exact', got 'trunc"),
        ([GRID], {"filters": "truncated"}, r"a truncated filter needs shape, the \(H, W\) of the image; got None"),
        ([GRID], {"filters": "truncated", "shape": (2, 2)}, "has 4 pixels, but there are 6 points"),
        ([GRID], {"shape": (2, 2)}, "has 4 pixels, but there are 6 points"),
        ([GRID], {"filters": "truncated", "shape": (3, 2)}, r"needs the features \(x/θ_x, y/θ_y\) of an image of 3"),
        ([np.zeros((6, 3))], {"filters": "truncated", "shape": (2, 3)}, r"needs 2 features, the position \(x, y\)"),
        ([GRID], {"iterations": -1}, "iterations must be at least 0, got -1"),
        ([GRID], {"damping": 1}, "damping must be smaller than 1, got 1"),
        ([GRID], {"damping": -0.1}, r"damping must lie in \[0, 1\], got -0.1"),
    ],
)
def test_bad_input(features: list[Array], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"mean_field: .*{message}"):
        mean_field(np.zeros((6, 2)), features, [potts(2)], **options)


def test_bad_compatibilities_and_dtypes() -> None:
    with pytest.raises(ValueError, match=r"mean_field: compatibilities must have shape \(2, 2\) .*, got \(3, 3\)"):
        mean_field(np.zeros((6, 2)), [GRID], [potts(3)])
    with pytest.raises(TypeError, match=r"mean_field: unary is float64 but features is float32; .* take dtype=unary"):
        mean_field(np.zeros((6, 2)), [GRID.astype(np.float32)], [potts(2)])
    with pytest.raises(TypeError, match=r"mean_field: unary is float64 but features is float32; .* take dtype=unary"):
        mean_field(np.zeros((6, 2)), [GRID, GRID.astype(np.float32)], [potts(2)] * 2)
    with pytest.raises(
        ValueError, match=r"mean_field: unary has 2 rows but features have 6: .*; unary may be transposed"
    ):
        mean_field(np.zeros((2, 6)), [GRID], [potts(2)])
    with pytest.raises(ValueError, match=r"mean_field: unary must have rank 2 \(N, L\)"):
        mean_field(np.zeros((2, 3, 2)), [GRID], [potts(2)])
    with pytest.raises(TypeError, match="mean_field: filters must be a sequence, got 3"):
        mean_field(np.zeros((6, 2)), [GRID], [potts(2)], filters=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="mean_field: exclude_self must be True or False, got 1"):
        mean_field(np.zeros((6, 2)), [GRID], [potts(2)], exclude_self=1)  # type: ignore[arg-type]


def test_too_many_points_for_a_matrix() -> None:
    with pytest.raises(ValueError, match=r"mean_field: .* N = 6000 takes 288,000,000 bytes"):
        mean_field(np.zeros((6000, 2)), [np.zeros((6000, 1))], [potts(2)], filters="exact")


def test_a_truncated_kernel_has_no_gradient_of_its_features() -> None:
    features = Tensor(GRID, requires_grad=True)
    q = mean_field(np.zeros((6, 2)), [features], [potts(2)], filters="truncated", shape=(2, 3))
    with pytest.raises(ValueError, match="mean_field: a truncated filter has no gradient of its features"):
        q.backward(np.ones((6, 2)))


def test_the_kernel_refuses_what_the_op_refuses() -> None:
    unary, f, mu = random_model(14)
    with pytest.raises(ValueError, match=r"features must have shape \(9, 2\) \(one row per point, columns \(2,\)\)"):
        mean_field_forward(unary, f, mu[None], **_params(dimensions=(2,)), keep_residual=False)
    with pytest.raises(ValueError, match=r"compatibilities must have shape \(1, 3, 3\) \(L × L for every kernel\)"):
        mean_field_forward(unary, f, mu, **_params(), keep_residual=False)
    with pytest.raises(ValueError, match="exclude_self needs the filter 'exact'"):
        mean_field_forward(unary, f, mu[None], **_params(exclude_self=True), keep_residual=False)
    residual = mean_field_forward(unary, f, mu[None], **_params(), keep_residual=True)[1]
    assert residual is not None
    with pytest.raises(ValueError, match=r"dy must have shape \(9, 3\)"):
        mean_field_backward(residual, unary[:5], needs=(True, True, True), **_params())
    with pytest.raises(ValueError, match=r"updates must have shape \(4, 9, 3\)"):
        mean_field_backward(residual, unary, needs=(True, True, True), **_params(iterations=3))


def test_arrays_of_a_single_kernel_want_a_list() -> None:
    """Else the rows of the features would count as kernels."""
    unary, features, mu = np.zeros((3, 2)), np.zeros((3, 1)), np.eye(2)
    with pytest.raises(TypeError, match=r"mean_field: features must be a list .*; write \[features\]"):
        mean_field(unary, features, [mu])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="mean_field: compatibilities must be a list"):
        mean_field(unary, [features], mu)  # type: ignore[arg-type]
