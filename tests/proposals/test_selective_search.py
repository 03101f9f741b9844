"""selective_search: what it proposes, in which order, for which pictures; and the recall on real ones."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.core.pixel_graph import pixel_edges
from refdet.proposals.colour_spaces import hsv
from refdet.proposals.gaussian import smooth
from refdet.proposals.graph_segmentation import colour_distances, merge_graph
from refdet.proposals.recall import proposal_recall
from refdet.proposals.region_features import colour_codes, region_features, texture_codes
from refdet.proposals.region_grouping import group_regions
from refdet.proposals.selective_search import ALL, FAST, QUALITY, Strategies, selective_search

module = importlib.import_module("refdet.proposals.selective_search")  # the package has a function of that name
ONE = Strategies(("hsv",), (ALL,), (50,))
OBJECTS = np.array([[20.0, 15, 60, 45], [80, 50, 130, 110]])


def scene() -> Array:
    """Return 120 × 160 noisy green with a red and a striped blue box at OBJECTS."""
    rng = np.random.default_rng(0)
    picture = np.full((120, 160, 3), [40, 120, 40])
    picture[15:45, 20:60] = [200, 40, 40]
    picture[50:110, 80:130] = [40, 60, 190]
    picture[50:110, 80:130:4] = [60, 90, 230]
    noisy: Array = np.clip(picture + rng.integers(-6, 7, picture.shape), 0, 255).astype(np.uint8)
    return noisy


def search(image: Array, **options: Any) -> Array:
    """Search in a fixed order and without resizing, unless the options say otherwise."""
    return selective_search(image, **{"rng": None, "order": "hierarchy", "width": None, "strategies": ONE, **options})


def rows(boxes: Array) -> set[tuple[float, ...]]:
    return {tuple(box) for box in boxes.tolist()}


def test_objects_are_found() -> None:
    assert proposal_recall([search(scene())], [OBJECTS], iou=0.9) == 1


def test_the_strategies_of_rcnn() -> None:
    for strategies, n in ((FAST, 8), (QUALITY, 80)):
        counts = [len(v) for v in (strategies.colour_spaces, strategies.similarities, strategies.scales)]
        assert np.prod(counts) == n
    assert QUALITY.scales == (50, 100, 150, 300)
    assert QUALITY.sigma == 0.8


def test_one_hierarchy_step_by_step() -> None:
    """The merges from the last to the first, then the regions of the segmentation; small and repeated ones left out."""
    field = np.floor(hsv(scene().astype(np.float64)) + 0.5)
    edges = pixel_edges((120, 160), neighbours=8)
    distances = colour_distances(smooth(field, 0.8), edges)
    labels = merge_graph(distances, edges, n_vertices=120 * 160, k=50, min_size=50).reshape(120, 160)
    regions = region_features(labels, colour_codes(field), texture_codes(field))
    _, boxes = group_regions(*regions, image_area=120 * 160)
    n = len(regions.sizes)
    assert n > 4
    expected: list[list[float]] = []
    for box in [*boxes[n:][::-1].tolist(), *boxes[:n].tolist()]:
        if box[2] - box[0] >= 20 and box[3] - box[1] >= 20 and box not in expected:
            expected.append(box)
    assert search(scene()).tolist() == expected
    assert expected[0] == [0, 0, 160, 120]


def test_several_hierarchies_hold_what_each_holds() -> None:
    several = Strategies(("hsv", "lab"), (ALL, (0.0, 0.0, 1.0, 0.0)), (50, 80))
    each = [
        search(scene(), strategies=Strategies((space,), (weights,), (k,)))
        for space in several.colour_spaces
        for weights in several.similarities
        for k in several.scales
    ]
    together = search(scene(), strategies=several)
    assert rows(together) == set().union(*(rows(boxes) for boxes in each))
    assert len(together) == len(rows(together))


def test_random_order() -> None:
    """The same boxes in an order that depends on the generator alone, large ones rather at the front."""
    plain = search(scene())
    first, again, other = (search(scene(), order="random", rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert rows(first) == rows(other) == rows(plain)
    assert first.tolist() != other.tolist()


def test_position_times_chance_is_the_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions 1, 2, 3, 3 by 0.9, 0.2, 0.1, 0.5: 0.9, 0.4, 0.3, 1.5."""
    boxes = np.arange(4.0)[:, None] + [0, 0, 30, 30]
    groups = [(boxes[:2], np.array([1, 2])), (boxes[2:], np.array([3, 3]))]
    monkeypatch.setattr(module, "_boxes_with_positions", lambda *_: iter(groups))

    class Chance(np.random.Generator):
        def random(self, *_: Any, **__: Any) -> Any:
            return np.array([0.9, 0.2, 0.1, 0.5])

    ordered = search(scene(), order="random", rng=Chance(np.random.PCG64()))
    assert ordered[:, 0].tolist() == [2, 1, 0, 3]


def test_the_first_of_equal_boxes_stays() -> None:
    boxes = np.array([[0.0, 0, 9, 9], [1, 1, 5, 5], [0, 0, 9, 9], [0, 0, 8, 8]])
    assert module._without_repetitions(boxes).tolist() == boxes[[0, 1, 3]].tolist()


def test_small_boxes_are_dropped() -> None:
    everything, large, huge = (search(scene(), min_side=side) for side in (0, 30, 200))
    sides = everything[:, 2:] - everything[:, :2]
    np.testing.assert_array_equal(large, everything[(sides >= 30).all(axis=1)])  # a side of exactly 30 stays
    assert [20, 15, 60, 45] in large.tolist()
    assert huge.shape == (0, 4)


def test_resizing_scales_the_boxes_back() -> None:
    """At twice the width a side of 20 is one of 10 in the picture, and the objects are where they are."""
    boxes = search(scene(), width=320)
    assert proposal_recall([boxes], [OBJECTS], iou=0.9) == 1
    sides = boxes[:, 2:] - boxes[:, :2]
    assert 10 <= sides.min() < 20
    assert (boxes.min(), boxes[:, 2].max(), boxes[:, 3].max()) == (0, 160, 120)
    np.testing.assert_array_equal(search(scene(), width=160), search(scene()))


def test_no_box_reaches_beyond_the_picture() -> None:
    """500 · (2007 / 500) is a little more than 2007, 500 · 2007 / 500 is not."""
    assert 500 * (2007 / 500) > 2007
    np.testing.assert_array_equal(search(np.zeros((30, 2007)), width=500, min_side=1), [[0, 0, 2007, 30]])


def test_the_height_is_rounded_half_up() -> None:
    """160 × 120 at 82 is 61.5 high, so 62; a line at a tenth of its width is still 1 high."""
    assert module._resized(np.zeros((120, 160, 3)), 82).shape == (62, 82, 3)
    assert module._resized(np.zeros((1, 40, 3)), 4).shape == (1, 4, 3)


def test_shrinking_smooths_first() -> None:
    """One column of 255 in four, at a quarter of the width: between columns 1 and 2 of each four there is only 0."""
    stripes = np.tile(np.array([255.0, 0, 0, 0])[None, :, None], (8, 16, 3))
    np.testing.assert_allclose(module._resized(stripes, 16)[:, 1:-1], 255 / 4, atol=8)
    np.testing.assert_allclose(module._resized(np.full((9, 30, 3), 7.0), 10), 7)


def test_grey_pictures() -> None:
    grey = scene()[:, :, 0]
    np.testing.assert_array_equal(search(grey), search(np.repeat(grey[:, :, None], 3, axis=2)))


def test_floats_mean_the_same() -> None:
    """Black and white, which stay exact when they are scaled."""
    picture = (np.random.default_rng(0).integers(0, 2, (6, 8, 1)).repeat(10, 0).repeat(10, 1) * 255).astype(np.uint8)
    np.testing.assert_array_equal(search(picture), search(picture / np.float32(255)))


def test_constant_tiny_and_empty_pictures() -> None:
    constant = np.full((60, 90, 3), 77, np.uint8)
    np.testing.assert_array_equal(search(constant, strategies=FAST), [[0, 0, 90, 60]])
    np.testing.assert_array_equal(search(constant, width=45), [[0, 0, 90, 60]])
    assert search(np.zeros((1, 1, 3), np.uint8)).shape == (0, 4)
    np.testing.assert_array_equal(search(np.zeros((1, 1), np.uint8), min_side=1), [[0, 0, 1, 1]])
    for shape in ((0, 5, 3), (5, 0), (0, 0)):
        assert search(np.zeros(shape, np.uint8), width=500).shape == (0, 4)


def test_inputs_are_unchanged() -> None:
    picture = scene()
    before = picture.copy()
    search(picture)
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"order": "random"}, TypeError, "selective_search: rng must be a numpy.random.Generator for order='random'"),
        (
            {"rng": np.random.default_rng(0)},
            TypeError,
            "None for order='hierarchy', got Generator for order='hierarchy'",
        ),
        ({"rng": 3, "order": "random"}, TypeError, "got int for order='random'"),
        ({"rng": 3}, TypeError, "got int for order='hierarchy'"),
        ({"order": "size"}, ValueError, "selective_search: order must be one of 'random', 'hierarchy', got 'size'"),
        ({"width": 0}, ValueError, "selective_search: width must be None or an integer of at least 1, got 0"),
        ({"width": 99.5}, ValueError, "selective_search: width must be None or an integer"),
        ({"min_side": -1}, ValueError, "selective_search: min_side must lie in"),
        ({"strategies": "FAST"}, TypeError, "selective_search: strategies must be Strategies, got str"),
        ({"image": np.zeros((9, 9, 4))}, ValueError, "selective_search: image must be grey or have three channels"),
        ({"image": np.zeros((9, 9, 3), int)}, TypeError, "selective_search: image must be uint8"),
    ],
)
def test_bad_input(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        search(**{"image": np.zeros((9, 9, 3)), **options})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour_spaces": ("rgb",)}, r"Strategies: colour_spaces must be one of 'hsv', 'lab', .* got 'rgb'"),
        ({"colour_spaces": "hsv"}, "Strategies: colour_spaces must be a tuple, and not empty, got 'hsv'"),
        ({"scales": ()}, r"Strategies: scales must be a tuple, and not empty, got \(\)"),
        ({"scales": 50}, "Strategies: scales must be a tuple, and not empty, got 50"),
        ({"scales": (50, 99.5)}, "Strategies: scales must be integers of at least 0, got 99.5"),
        ({"scales": (-1,)}, "Strategies: scales must be integers of at least 0, got -1"),
        ({"similarities": ALL}, "Strategies: each of similarities must be four, of colour, texture, .* got 1.0"),
        ({"similarities": ((1.0, 1.0),)}, r"each of similarities must be four, .* got \(1.0, 1.0\)"),
        ({"similarities": ((1.0, 1.0, 1.0, -1.0),)}, "Strategies: each of similarities must lie in"),
        ({"sigma": -1}, "Strategies: sigma must lie in"),
    ],
)
def test_bad_strategies(changes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Strategies(**{"colour_spaces": ("hsv",), "similarities": (ALL,), "scales": (50,), **changes})
