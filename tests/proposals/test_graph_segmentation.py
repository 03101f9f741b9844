"""merge_graph and graph_segmentation: the definition, the paper's properties, other libraries, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.core.pixel_graph import pixel_edges
from refdet.proposals.graph_segmentation import graph_segmentation, merge_graph
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import merge_graph as oracle

comparisons = st.sampled_from(["<=", "<"])


def canonical(labels: Array) -> Array:
    """Return the same partition, its regions numbered in order of appearance."""
    names: dict[int, int] = {}
    return np.array([names.setdefault(name, len(names)) for name in labels.ravel().tolist()]).reshape(labels.shape)


def graph(rng: np.random.Generator, n: int, n_edges: int, n_weights: int) -> tuple[Array, Array]:
    """Return weights 0 … n_weights − 1 and ends; where the weights are few, there are ties."""
    ends = rng.integers(0, n, (n_edges if n else 0, 2))
    return rng.integers(0, n_weights, len(ends)).astype(np.float64), ends


def test_hand_example() -> None:
    """The valley of 5 separates two pairs with bounds of 1 + k/2: k = 7 is not enough, k = 8 is."""
    weights, edges = np.array([1.0, 5.0, 1.0]), np.array([[0, 1], [1, 2], [2, 3]])
    np.testing.assert_array_equal(merge_graph(weights, edges, n_vertices=4, k=7), [0, 0, 1, 1])
    np.testing.assert_array_equal(merge_graph(weights, edges, n_vertices=4, k=8), [0, 0, 0, 0])


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts, comparison=comparisons)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str, comparison: str) -> None:
    rng = np.random.default_rng(seed)
    n = data.draw(st.integers(0, 14))
    weights, edges = graph(rng, n, data.draw(st.integers(0, 40)), data.draw(st.sampled_from([1, 3, 50])))
    weights[rng.random(len(weights)) < data.draw(st.sampled_from([0, 0.2]))] = np.nan
    params: dict[str, Any] = {
        "n_vertices": n,
        "k": float(data.draw(st.integers(0, 60))),
        "min_size": data.draw(st.integers(0, 6)),
        "comparison": comparison,
    }
    inputs = [in_layout(weights.astype(dtype), layout), in_layout(edges, layout)]
    assert_agrees("merge_graph", oracle, inputs, rng=rng, params=params)


@pytest.mark.parametrize("k", [np.float32(7.3), np.float64(np.float32(7.3)), np.uint8(7)])
def test_bounds_are_float64_whatever_k_is(k: Any) -> None:
    """Three vertices 1/10 apart have a bound of 1/10 + k/3: the next float64 above does not merge, it does."""
    bound = 0.1 + float(k) / 3
    edges = np.array([[0, 1], [1, 2], [2, 3]])
    for w, last in ((bound, 0), (np.nextafter(bound, np.inf), 1)):
        assert merge_graph(np.array([0.1, 0.1, w]), edges, n_vertices=4, k=k).tolist() == [0, 0, 0, last]


@pytest.mark.parametrize("dtype", ["u1", "i4", "u8", ">i8"])
def test_ends_of_any_integer_type(dtype: str) -> None:
    edges = np.array([[0, 1], [1, 2], [2, 3]], dtype)
    assert merge_graph(np.array([1.0, 5.0, 1.0]), edges, n_vertices=4, k=2, min_size=2).tolist() == [0, 0, 1, 1]


@given(seed=seeds, comparison=comparisons)
def test_equal_weights_may_come_in_any_order_in_the_first_pass(seed: int, comparison: str) -> None:
    """A merge at weight w leaves a bound above w, so that it cannot stop another at the same weight."""
    rng = np.random.default_rng(seed)
    weights, edges = graph(rng, 12, 40, 4)
    order = rng.permutation(len(weights))
    first, second = (
        merge_graph(weights[i], edges[i], n_vertices=12, k=5, comparison=comparison) for i in (slice(None), order)
    )
    np.testing.assert_array_equal(first, second)


def test_in_the_second_pass_the_first_given_of_equal_edges_decides() -> None:
    """Vertex 2 lies 5 away from the pairs on both sides."""
    weights = np.array([0.0, 0.0, 5.0, 5.0])
    edges = np.array([[0, 1], [3, 4], [1, 2], [2, 3]])
    np.testing.assert_array_equal(merge_graph(weights, edges, n_vertices=5, k=0, min_size=2), [0, 0, 0, 1, 1])
    swapped = edges[[0, 1, 3, 2]]
    np.testing.assert_array_equal(merge_graph(weights, swapped, n_vertices=5, k=0, min_size=2), [0, 0, 1, 1, 1])


def internal(labels: Array, weights: Array, edges: Array) -> list[float]:
    """Return Int of every component by Kruskal's algorithm inside it: the last edge that joins two of its parts."""
    heaviest = [0.0] * (int(labels.max()) + 1)
    parts = np.arange(len(labels))
    for e in np.argsort(weights, kind="stable"):
        v, u = edges[e]
        if labels[v] == labels[u] and parts[v] != parts[u]:
            heaviest[labels[v]] = float(weights[e])
            parts[parts == parts[v]] = parts[u]
    return heaviest


@given(seed=seeds, k=st.integers(1, 30))
def test_the_result_is_neither_too_fine_nor_too_coarse(seed: int, k: int) -> None:
    """Theorems 1 and 2 of the paper.

    Not too fine: the lightest edge between two components is heavier than the bound of one of them. Not too coarse:
    each component, segmented alone, stays whole.
    """
    rng = np.random.default_rng(seed)
    weights, edges = rng.random(40) * 20, rng.integers(0, 12, (40, 2))
    labels = merge_graph(weights, edges, n_vertices=12, k=k)
    sizes = np.bincount(labels)
    bounds = np.array(internal(labels, weights, edges)) + k / sizes
    for a in range(len(sizes)):
        for b in range(a):
            between = (labels[edges] == [a, b]).all(axis=1) | (labels[edges] == [b, a]).all(axis=1)
            if between.any():
                assert weights[between].min() > min(bounds[a], bounds[b])
        inside = (labels[edges] == a).all(axis=1)
        alone = merge_graph(weights[inside], edges[inside], n_vertices=12, k=k)
        assert len(set(alone[labels == a].tolist())) == 1


@given(seed=seeds)
def test_no_small_component_is_left_that_has_a_neighbour(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = graph_segmentation(rng.random((7, 9)), k=1, sigma=0, min_size=6)
    assert np.bincount(labels.ravel()).min() >= 6


def test_ramp_plateau_and_noise() -> None:
    """The paper's first figure: a ramp, a flat half, and a noisy square in it are three regions.

    The ramp climbs by 3 a column to 87; the flat half beside it is 200; the noise spans 0 … 120. No one threshold on
    the differences of neighbours does this: those of the noise reach 120, and the step beside the ramp is 113.
    """
    rng = np.random.default_rng(1)
    picture = np.full((40, 60), 200.0)
    picture[:, :30] = 3 * np.arange(30)
    picture[10:30, 38:54] = rng.integers(0, 121, (20, 16))
    labels = graph_segmentation(picture.astype(np.uint8), k=900, sigma=0, min_size=20)
    expected = np.ones((40, 60), int)
    expected[:, :30] = 0
    expected[10:30, 38:54] = 2
    np.testing.assert_array_equal(labels, expected)


def test_constant_and_tiny_pictures() -> None:
    np.testing.assert_array_equal(graph_segmentation(np.full((4, 5, 3), 9, np.uint8), k=0), np.zeros((4, 5), int))
    np.testing.assert_array_equal(graph_segmentation(np.zeros((1, 1)), k=1), [[0]])
    np.testing.assert_array_equal(graph_segmentation(np.zeros((0, 3)), k=1), np.zeros((0, 3), int))
    assert graph_segmentation(np.array([[0, 255]], np.uint8), k=1, sigma=0, min_size=1).tolist() == [[0, 1]]
    assert graph_segmentation(np.array([[0, 255]], np.uint8), k=1, sigma=0, min_size=2).tolist() == [[0, 0]]


def test_diagonal_neighbours() -> None:
    """A chequerboard is one black and one white region where corners touch, else every pixel is its own."""
    board = (np.indices((3, 3)).sum(axis=0) % 2 * 255).astype(np.uint8)
    np.testing.assert_array_equal(graph_segmentation(board, k=1, sigma=0, min_size=0), board // 255)
    four = graph_segmentation(board, k=1, sigma=0, min_size=0, neighbours=4)
    np.testing.assert_array_equal(four, np.arange(9).reshape(3, 3))


def test_the_order_of_the_edges() -> None:
    """From each pixel of a 2 × 3 grid: right, down, down right, up right."""
    assert pixel_edges((2, 3), neighbours=8).tolist() == [
        *([0, 1], [0, 3], [0, 4], [1, 2], [1, 4], [1, 5], [2, 5]),
        *([3, 4], [3, 1], [4, 5], [4, 2]),
    ]
    assert pixel_edges((2, 2), neighbours=4).tolist() == [[0, 1], [0, 2], [1, 3], [2, 3]]


def test_colour_distance_and_dtypes() -> None:
    """(0, 0, 0) and (3, 4, 12) are 13 apart: k = 13 merges them, 12.99 does not; for floats likewise."""
    picture = np.array([[[0, 0, 0], [3, 4, 12]]], np.uint8)
    for image in (picture, picture / 255.0):
        assert graph_segmentation(image, k=13.001, sigma=0, min_size=0).max() == 0
        assert graph_segmentation(image, k=12.999, sigma=0, min_size=0).max() == 1
    assert graph_segmentation(picture, k=13, sigma=0, min_size=0).max() == 0
    assert graph_segmentation(picture, k=13, sigma=0, min_size=0, comparison="<").max() == 1


def test_smoothing_softens_a_step() -> None:
    """With σ = 2 neighbours of a step of 60 differ by less than 12.2 ≈ 60 / (2 √2π)."""
    step = np.repeat([[0, 60]], 20, axis=1).astype(np.uint8)
    assert graph_segmentation(step, k=12.2, sigma=0, min_size=0).max() == 1
    assert graph_segmentation(step, k=12.2 * 40, sigma=2, min_size=0).max() == 0


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(4))
def test_against_scikit_image(seed: int) -> None:
    """Random floats, so that no weights tie; its comparison is strict."""
    segmentation = pytest.importorskip("skimage.segmentation")
    picture = np.random.default_rng(seed).random((20, 25, 3))
    expected = segmentation.felzenszwalb(picture, scale=100, sigma=0, min_size=8)
    ours = graph_segmentation(picture, k=100, sigma=0, min_size=8, comparison="<")
    np.testing.assert_array_equal(ours, canonical(expected))
    assert ours.max() > 3


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(4))
def test_against_opencv(seed: int) -> None:
    """Four neighbours, ≤, whole numbers with ties, and no least size, for which their order would matter."""
    cv2 = pytest.importorskip("cv2")
    if not hasattr(cv2, "ximgproc"):
        pytest.skip("this OpenCV has no ximgproc; opencv-contrib-python-headless has")
    picture = np.random.default_rng(seed).integers(0, 100, (20, 25, 3)).astype(np.uint8)
    expected = cv2.ximgproc.segmentation.createGraphSegmentation(1e-3, 150.0, 0).processImage(picture)
    ours = graph_segmentation(picture, k=150, sigma=0, min_size=0, neighbours=4)
    np.testing.assert_array_equal(ours, canonical(expected))
    assert ours.max() > 3


@pytest.mark.parametrize(
    ("weights", "edges", "options", "error", "message"),
    [
        (np.zeros((2, 1)), [[0, 1]], {}, ValueError, r"merge_graph: weights must have rank 1 \(E\), got rank 2"),
        (np.zeros(1, int), [[0, 1]], {}, TypeError, "merge_graph: weights must be float32 or float64, got int64"),
        (np.zeros(1), [[0.0, 1.0]], {}, TypeError, "merge_graph: edges must be an integer array, got float64"),
        (np.zeros(2), [[0, 1]], {}, ValueError, r"merge_graph: edges must have shape \(2, 2\)"),
        (np.zeros(1), [[0, 3]], {}, ValueError, "merge_graph: edges must join vertices 0 … 2, got 0 … 3"),
        (np.zeros(1), [[-1, 0]], {}, ValueError, "merge_graph: edges must join vertices 0 … 2, got -1 … 0"),
        (np.zeros(1), [[0, 1]], {"k": -1}, ValueError, "merge_graph: k must lie in"),
        (
            np.zeros(1),
            [[0, 1]],
            {"min_size": 1.5},
            ValueError,
            "merge_graph: min_size must be an integer of at least 0",
        ),
        (np.zeros(1), [[0, 1]], {"comparison": ">"}, ValueError, "merge_graph: comparison must be one of '<=', '<'"),
    ],
)
def test_bad_graphs(weights: Array, edges: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        merge_graph(weights, np.array(edges), **{"n_vertices": 3, "k": 1.0, **options})


@pytest.mark.parametrize(
    ("image", "options", "error", "message"),
    [
        (np.zeros((2, 2), int), {}, TypeError, "graph_segmentation: image must be uint8 in 0 … 255, or float32 or"),
        (
            np.full((2, 2), 1.5),
            {},
            ValueError,
            r"graph_segmentation: a floating-point image must lie in \[0, 1\], got 1.5",
        ),
        (np.full((2, 2), np.nan), {}, ValueError, r"must lie in \[0, 1\], got nan"),
        (np.zeros(3), {}, ValueError, r"image must be \(H, W\) or \(H, W, C\) with C ≥ 1, got shape \(3,\)"),
        (np.zeros((2, 2, 0)), {}, ValueError, r"with C ≥ 1, got shape \(2, 2, 0\)"),
        ([[0, 1]], {}, TypeError, "graph_segmentation: image must be an array, got list"),
        (np.zeros((2, 2)), {"sigma": -1}, ValueError, "graph_segmentation: sigma must lie in"),
        (np.zeros((2, 2)), {"neighbours": 6}, ValueError, "graph_segmentation: neighbours must be 4 or 8, got 6"),
        (np.zeros((2, 2)), {"neighbours": [8]}, ValueError, "graph_segmentation: neighbours must be 4 or 8, got .8"),
    ],
)
def test_bad_pictures(image: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        graph_segmentation(image, **{"k": 1.0, **options})
