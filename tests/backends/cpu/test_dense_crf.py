"""The dense CRF on numba-cpu: whole inference on a drawn picture, lattices of thousands of points, the exponential."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from refdet_numba.cpu import lattice_blur, lattice_embed, lattice_index, lattice_slice, lattice_splat, mean_field
from refdet_numba.cpu.compiling import compiled
from refdet_numba.cpu.exponential import exponential
from refdet_numba.cpu.lanes import LANE_BYTES, load, store

from refdet.bench.dense_crf import inputs
from refdet.core.check import Array
from refdet.core.kernel import KERNELS, use_backend
from refdet.crf.compatibility import potts
from refdet.crf.dense import DenseCRF, GaussianPotential, Inference, Progress
from refdet.crf.features import bilateral_features, position_features
from refdet.crf.lattice_neighbourhood import tap_offsets
from tests.backends.parity import TOLERANCE, assert_same

SHAPE = 41, 67  # no multiple of the parts into which the points are cut


def crf_of(kind: str, n_labels: int, dtype: str, *, normalisation: str = "symmetric") -> DenseCRF:
    """Return the model of the benchmark on a smaller picture; `kind` is that of μ, or of the filter of positions."""
    rng = np.random.default_rng(0)
    drawn = inputs(rng, shape=SHAPE)
    image, unary = (np.asarray(drawn[name]).astype(dtype) for name in ("image", "unary"))
    smooth, alike = potts(n_labels, 3, dtype=dtype), potts(n_labels, 10, dtype=dtype)
    if kind == "full":
        smooth = smooth + rng.uniform(0, 1, smooth.shape).astype(dtype)
    kernels = [
        GaussianPotential(bilateral_features(image, 60, 20), alike, normalisation=normalisation),
        GaussianPotential(
            position_features(SHAPE, 3, dtype=dtype),
            smooth,
            filter="truncated" if kind == "truncated" else "lattice",
            normalisation=normalisation,
        ),
    ]
    return DenseCRF(unary[:, :n_labels], kernels, shape=SHAPE)


def assert_agree(found: Inference, expected: Inference) -> None:
    tolerance = TOLERANCE[expected.q.dtype.name]
    assert found.q.dtype == found.free_energies.dtype == found.changes.dtype == expected.q.dtype
    np.testing.assert_allclose(found.q, expected.q, rtol=0, atol=tolerance)
    np.testing.assert_allclose(found.free_energies, expected.free_energies, rtol=tolerance)
    np.testing.assert_allclose(found.changes, expected.changes, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("kind", "n_labels", "damping", "normalisation"),
    [
        ("potts", 21, 0.0, "symmetric"),
        ("potts", 1, 0.0, "symmetric"),
        ("full", 13, 0.25, "after"),
        ("full", 8, 0.0, "before"),
        ("truncated", 5, 0.25, "symmetric"),
    ],
)
def test_inference(kind: str, n_labels: int, damping: float, normalisation: str, dtype: str) -> None:
    expected = crf_of(kind, n_labels, dtype, normalisation=normalisation).infer(6, damping=damping)
    with use_backend("numba-cpu"):
        found = crf_of(kind, n_labels, dtype, normalisation=normalisation).infer(6, damping=damping)
    assert_agree(found, expected)


def test_inference_that_is_ended_after_its_last_iteration() -> None:
    def enough(progress: Progress) -> None:
        if progress.iteration == progress.iterations:
            raise StopIteration

    with use_backend("numba-cpu"):
        crf = crf_of("potts", 4, "float32")
        np.testing.assert_array_equal(crf.infer(3, on_iteration=enough).q, crf.infer(3).q)


def test_no_labels() -> None:
    kernels = [GaussianPotential(np.zeros((5, 1)), np.zeros((0, 0)))]
    with use_backend("numba-cpu"):
        assert DenseCRF(np.zeros((5, 0)), kernels).infer(2).q.shape == (5, 0)


def test_inference_that_is_watched_and_ended() -> None:
    """The same bits as without a spectator; and q is that of the iteration after which it ends."""
    reports: list[Progress] = []

    def enough(progress: Progress) -> None:
        reports.append(progress)
        if progress.iteration == 3:
            raise StopIteration

    with use_backend("numba-cpu"):
        crf = crf_of("potts", 4, "float32")
        ended, three = crf.infer(9, on_iteration=enough), crf.infer(3)
        watched, alone = crf.infer(4, on_iteration=reports.append), crf.infer(4)
        none = crf.infer(0)
    for found, expected in ((ended, three), (watched, alone)):
        for x, y in zip(vars(found).values(), vars(expected).values(), strict=True):
            np.testing.assert_array_equal(x, y)
    assert [r.iteration for r in reports] == [1, 2, 3, 1, 2, 3, 4]
    assert_agree(none, crf_of("potts", 4, "float32").infer(0))


def test_huge_energies() -> None:
    """A label that is out of the question has q = 0; a tie of two labels stays one."""
    unary = np.array([[1e4, 0.0, 0.0], [0.0, 1e30, 1e4], [3e38, 3e38, 3e38]], np.float32)
    kernels = [GaussianPotential(np.zeros((3, 1), np.float32), potts(3, 0.5, dtype="float32"))]
    expected = DenseCRF(unary, kernels).infer(2)
    with use_backend("numba-cpu"):
        found = DenseCRF(unary, kernels).infer(2)
    assert_agree(found, expected)
    assert found.q[1].tolist() == [1, 0, 0]


def test_nan_spreads_as_in_the_reference() -> None:
    """To all that a message from the point reaches; the far point keeps its probabilities."""
    unary = np.array([[np.nan, 0.0], [1.0, 2.0], [2.0, 1.0]])
    features = np.array([[0.0], [0.0], [50.0]])
    params: dict[str, Any] = {
        "dimensions": (1,),
        "filters": ("lattice",),
        "shape": None,
        "normalisation": ("none",),
        "exclude_self": False,
        "iterations": 2,
        "damping": 0.0,
        "keep_residual": False,
    }
    arguments = unary, features, potts(2, 1.0)[None]
    expected, _ = KERNELS["mean_field.forward"].reference(*arguments, **params)
    found, _ = mean_field.forward(*arguments, **params)
    assert np.isnan(expected[:2]).all()
    assert np.isfinite(expected[2]).all()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_no_points_and_no_kernels() -> None:
    with use_backend("numba-cpu"):
        assert DenseCRF(np.zeros((0, 2)), [GaussianPotential(np.zeros((0, 2)), np.zeros((2, 2)))]).infer(2).q.size == 0
        alone = DenseCRF(np.array([[0.0, np.log(3)]]), []).infer(2)
    np.testing.assert_allclose(alone.q, [[0.75, 0.25]])
    np.testing.assert_array_equal(alone.changes, [0, 0])


def points() -> Iterator[tuple[str, Array]]:
    """Thousands of points: of a picture, on faces of their simplices, of many dimensions, far from each other."""
    image = np.asarray(inputs(np.random.default_rng(1), shape=SHAPE)["image"]).astype(np.float32)
    rng = np.random.default_rng(2)
    yield "picture", bilateral_features(image, 6, 20)
    yield "grid", position_features((50, 70), 3.0)
    yield "integers", rng.integers(-3, 4, (3000, 3)).astype(np.float64)
    yield "seven dimensions", 2 * rng.standard_normal((2000, 7))
    yield "far away", 1e5 * rng.standard_normal((2000, 5))


def test_lattices_have_the_same_vertices_in_the_same_order() -> None:
    """So do their neighbours and the taps around them; and splatting, blurring and slicing have the same bits."""
    for name, features in points():
        expected, residual = KERNELS["lattice_embed.forward"].reference(features, keep_residual=True)
        found, found_residual = lattice_embed.forward(features, keep_residual=True)
        assert found_residual is not None
        for x, y in zip((*found, found_residual.ranks), (*expected, residual.ranks), strict=True):
            np.testing.assert_array_equal(x, y, err_msg=name)
        (weights, keys), index = expected, KERNELS["lattice_index"].reference(expected[1])
        assert_same(lattice_index.lattice_index(keys), index, name)
        vertices, ids, neighbours = index
        on_vertices: dict[str, Any] = {"n_vertices": len(vertices), "keep_residual": False}
        for n_values in (1, 11):
            values = np.random.default_rng(3).standard_normal((len(features), n_values)).astype(features.dtype)
            z, _ = KERNELS["lattice_splat.forward"].reference(values, weights, ids, **on_vertices)
            found_z, _ = lattice_splat.forward(values, weights, ids, **on_vertices)
            np.testing.assert_array_equal(found_z, z, err_msg=name)
            blurred, _ = KERNELS["lattice_blur.forward"].reference(z, neighbours, reverse=True, keep_residual=False)
            found_blurred, _ = lattice_blur.forward(z, neighbours, reverse=True, keep_residual=False)
            np.testing.assert_array_equal(found_blurred, blurred, err_msg=name)
            y, _ = KERNELS["lattice_slice.forward"].reference(blurred, weights, ids, scale=0.75, keep_residual=False)
            found_y, _ = lattice_slice.forward(blurred, weights, ids, scale=0.75, keep_residual=False)
            np.testing.assert_array_equal(found_y, y, err_msg=name)


def test_keys_wider_than_63_bits_are_left_to_the_reference_unless_that_is_ruled_out() -> None:
    keys = np.array([[[0, 0], [2**40, -(2**40)]]])
    vertices = np.array([[0, 0], [2**40, -(2**40)]])
    params = {"size": 1, "traversal": "exact"}
    index, neighbourhood = KERNELS["lattice_index"], KERNELS["lattice_neighbourhood"]
    with use_backend("numba-cpu"):
        assert_same(index(keys), index.reference(keys), "lattice_index")
        assert_same(neighbourhood(vertices, **params), neighbourhood.reference(vertices, **params), "neighbourhood")
    with use_backend("numba-cpu", fallback="error"):
        with pytest.raises(NotImplementedError, match="has no kernel 'lattice_index' for keys wider than 63 bits"):
            index(keys)
        with pytest.raises(NotImplementedError, match="'lattice_neighbourhood' for keys wider than"):
            neighbourhood(vertices, **params)
        with pytest.raises(NotImplementedError, match="'lattice_index' for keys wider"):
            DenseCRF(np.zeros((2, 1)), [GaussianPotential(np.array([[0.0] * 5, [1e5] * 5]), np.zeros((1, 1)))])


def test_no_keys() -> None:
    """Of any number of coordinates, with whose range 63 bits have nothing to do."""
    index, neighbourhood = KERNELS["lattice_index"], KERNELS["lattice_neighbourhood"]
    with use_backend("numba-cpu", fallback="error"):
        for d in (1, 20):
            no_keys = np.zeros((0, d + 1, d), np.int64)
            assert_same(index(no_keys), index.reference(no_keys), "index")
        for d in (1, 16):  # 20 have two million taps, which take 25 seconds to list
            taps = neighbourhood(np.zeros((0, d), np.int64), size=1, traversal="walk")
            assert taps.shape == (len(tap_offsets(d, 1)), 0)


def test_ids_outside_are_refused_before_compiled_code_reads_there() -> None:
    z, weights = np.zeros((3, 1)), np.ones((1, 2))
    with pytest.raises(ValueError, match=r"lattice_slice: ids must lie in \[0, 3\)"):
        lattice_slice.forward(z, weights, np.array([[0, 3]]), scale=1.0, keep_residual=False)
    with pytest.raises(ValueError, match=r"lattice_splat: ids must lie in \[0, 2\)"):
        lattice_splat.forward(z[:1], weights, np.array([[-1, 1]]), n_vertices=2, keep_residual=False)
    with pytest.raises(ValueError, match=r"lattice_blur: neighbours must lie in \[-1, 3\)"):
        lattice_blur.forward(z, np.full((1, 2, 3), 3), reverse=False, keep_residual=False)


@compiled
def _exponentials(x: Any, y: Any) -> None:
    for i in range(0, len(x), LANE_BYTES // x.itemsize):
        store(y, (i,), exponential(load(x, (i,))))


def test_the_exponential_over_all_float32() -> None:
    """Every 509th float32 from −0 to −∞ and all of the last binade before 0: less than 1 ulp, 0 below 2⁻¹²⁶."""
    spread_out = np.arange(0x80000000, 0xFF800001, 509, dtype=np.uint32)
    dense = np.arange(0xC2000000, 0xC2B00000, 16, dtype=np.uint32)  # −32 … −88
    x = np.concatenate([spread_out, dense]).view(np.float32)
    x = np.concatenate(
        [x[: len(x) // 8 * 8], np.array([0, -0.0, -np.inf, np.nan, -87.3, -87.7, -88, -1e30], np.float32)]
    )
    y = np.empty_like(x)
    _exponentials(x, y)
    exact = np.exp(x.astype(np.float64))
    normal = exact >= 2.0**-126
    ulp = 2.0 ** (np.floor(np.log2(exact[normal])) - 23)
    assert np.max(np.abs(y[normal] - exact[normal]) / ulp) < 1
    assert np.all(y[exact < 2.0**-126] <= 2.0**-126)
    assert np.all(y[x < -87.69] == 0)
    assert np.isnan(y[-5])
    assert y[-8] == y[-7] == 1
