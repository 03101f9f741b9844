"""Proposals by numba-cpu: of pictures larger than the golden cases, the same boxes in the same order, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from refdet_numba.cpu.edge_affinities import edge_affinities
from refdet_numba.cpu.group_edges import group_edges
from refdet_numba.cpu.group_regions import _pairwise_sum, group_regions
from refdet_numba.cpu.merge_graph import merge_graph
from refdet_numba.cpu.score_edge_boxes import score_edge_boxes

from refdet.core.check import Array
from refdet.core.kernel import KERNELS, use_backend
from refdet.proposals import edge_boxes, gradient_edges, selective_search
from refdet.proposals.edge_affinities import edge_affinities_kernel
from refdet.proposals.edge_box_windows import edge_box_windows
from refdet.proposals.graph_segmentation import merge_graph_kernel
from refdet.proposals.group_edges import group_edges_kernel
from refdet.proposals.score_edge_boxes import score_edge_boxes_kernel


def picture(seed: int, size: tuple[int, int] = (90, 120)) -> Array:
    """Return a picture (H, W, 3) of blocks of colour under noise, in [0, 1]."""
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.random((size[0] // 15, size[1] // 15, 3)), np.ones((15, 15, 1)))
    shifted = blocks[:, (np.arange(size[1]) + np.arange(size[0])[:, None] // 3) % size[1], :][0]
    noisy: Array = 0.5 * blocks + 0.4 * shifted + 0.1 * rng.random((*size, 3))
    return noisy


def same(actual: Any, expected: Any) -> None:
    """Assert equal dtypes and equal bits."""
    for a, e in zip(actual, expected, strict=True):
        assert a.dtype == e.dtype
        np.testing.assert_array_equal(a, e)


@pytest.mark.parametrize("order", ["random", "hierarchy"])
def test_selective_search(order: str) -> None:
    def propose() -> Array:
        rng = np.random.default_rng(7) if order == "random" else None
        return selective_search(picture(1), rng=rng, order=order, width=None, min_side=0)

    expected = propose()
    with use_backend("numba-cpu"):
        same([propose()], [expected])
    assert len(expected) > 100


@pytest.mark.parametrize(
    ("convention", "dtype", "eta"), [("paper", "float32", 1.0), ("opencv", "float32", 0.9), ("paper", "float64", 1.0)]
)
def test_edge_boxes(convention: str, dtype: str, eta: float) -> None:
    maps = gradient_edges(picture(2).astype(dtype))
    options: dict[str, Any] = {"convention": convention, "eta": eta, "min_area": 400, "min_score": 0}
    expected = edge_boxes(*maps, **options)
    with use_backend("numba-cpu"):
        same(edge_boxes(*maps, **options), expected)
    assert len(expected[0]) > 100


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("convention", ["paper", "opencv"])
def test_edges_of_noise(convention: str, dtype: str) -> None:
    """Many small groups with many ties; windows that overhang, boxes inside out, and boxes outside the map."""
    rng = np.random.default_rng(3)
    edges, orientation = gradient_edges(rng.random((60, 80)).astype(dtype), sigma=0.7)
    options = {"min_magnitude": 0.05, "merge_threshold": 0.4, "min_group": 0.3}
    groups = group_edges_kernel.reference(edges, orientation, **options)
    same([group_edges(edges, orientation, **options)], [groups])
    pairs, affinities = edge_affinities_kernel.reference(edges, orientation, groups, gamma=0.5)
    same(edge_affinities(edges, orientation, groups, gamma=0.5), (pairs, affinities))
    assert len(pairs) > 200

    windows = edge_box_windows((60, 80), alpha=0.6, min_area=100, max_aspect_ratio=3)
    boxes = np.concatenate([windows, rng.integers(-10, 90, (500, 4))])
    arrays = boxes, edges, groups, pairs, affinities
    scoring: dict[str, Any] = {"convention": convention, "kappa": 1.2, "min_score": 0.001, "min_magnitude": 0.05}
    expected = score_edge_boxes_kernel.reference(*arrays, **scoring)
    same([score_edge_boxes(*arrays, **scoring)], [expected])
    assert np.count_nonzero(expected) > 100


@pytest.mark.parametrize("comparison", ["<=", "<"])
def test_merging_a_graph_of_many_ties(comparison: str) -> None:
    rng = np.random.default_rng(4)
    weights = rng.integers(0, 30, 20_000).astype(np.float32)
    weights[::97] = np.nan
    edges = rng.integers(0, 9000, (20_000, 2))
    params: dict[str, Any] = {"n_vertices": 9000, "k": 40.0, "min_size": 3, "comparison": comparison}
    same([merge_graph(weights, edges, **params)], [merge_graph_kernel.reference(weights, edges, **params)])


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 75, 127, 128, 129, 136, 240, 257, 1000, 1025])
def test_histograms_are_added_as_numpy_adds(n: int) -> None:
    p, q = np.random.default_rng(n).random((2, 5, n))
    np.testing.assert_array_equal([_pairwise_sum(p[i], q[i]) for i in range(5)], np.minimum(p, q).sum(axis=1))


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), (0.0, 0.5, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0)])
def test_grouping_regions_that_do_not_hang_together(weights: tuple[float, ...]) -> None:
    """A random graph: merged regions have many neighbours in common, and some parts are never joined."""
    rng = np.random.default_rng(5)
    n = 300
    corners = rng.integers(0, 50, (n, 2)).astype(np.float64)
    boxes = np.concatenate([corners, corners + rng.integers(1, 9, (n, 2))], axis=1)
    histograms = rng.random((n, 20)), rng.random((n, 150))
    pairs = np.concatenate([rng.integers(0, 200, (900, 2)), rng.integers(200, n, (60, 2))])
    arrays = rng.integers(1, 4, n), boxes, *histograms, pairs
    params: dict[str, Any] = {"weights": weights, "image_area": 1000.0}
    expected = KERNELS["group_regions"].reference(*arrays, **params)
    same(group_regions(*arrays, **params), expected)
    assert 200 < len(expected[0]) < n - 1


def test_indices_are_refused_before_compiled_code_reads_there() -> None:
    with pytest.raises(IndexError, match=r"merge_graph: edges must join vertices 0 … 2, got 0 … 3"):
        merge_graph(np.zeros(1), np.array([[0, 3]]), n_vertices=3, k=1, min_size=0, comparison="<")
    one = np.ones((2, 1))
    with pytest.raises(IndexError, match=r"group_regions: pairs must join regions 0 … 1, got -1 … 1"):
        group_regions(np.ones(2, int), np.ones((2, 4)), one, one, np.array([[1, -1]]), weights=(1,) * 4, image_area=9)
    maps = np.ones((5, 5)), np.zeros((5, 5), int)
    with pytest.raises(IndexError, match=r"score_edge_boxes: pairs must name groups, numbered from 0, got -2"):
        score_edge_boxes(
            np.array([[0, 0, 4, 4]]),
            *maps,
            np.array([[0, -2]]),
            np.ones(1),
            convention="paper",
            kappa=1,
            min_score=0,
            min_magnitude=0,
        )
