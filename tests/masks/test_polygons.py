"""Polygons to masks: by eye, the conventions, thousands of polygons against the COCO API, the errors."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.masks import polygons as polygons_module
from refdet.masks.polygons import LARGEST, polygon_to_rle, polygons_to_rle
from refdet.masks.rle import rle_decode, rle_encode
from refdet.masks.rle_string import rle_to_string
from tests.agreement import seeds


def drawn(polygon: Any, size: tuple[int, int]) -> list[str]:
    """Return the rows of the mask as text."""
    return ["".join("#" if pixel else "." for pixel in row) for row in rle_decode(polygon_to_rle(polygon, size))]


def test_a_rectangle_covers_its_pixels() -> None:
    assert drawn([1, 1, 4, 1, 4, 3, 1, 3], (4, 6)) == [
        "......",
        ".###..",
        ".###..",
        "......",
    ]


def test_a_triangle() -> None:
    """The hypotenuse runs through the middles of the pixels of the diagonal, which belong to it."""
    assert drawn([[0, 0], [5, 5], [0, 5]], (5, 5)) == [
        "#....",
        "##...",
        "###..",
        "####.",
        "#####",
    ]


def test_the_even_odd_rule() -> None:
    """The outline goes twice around a square inside of a square: what it surrounds twice is out."""
    outline = [0, 0, 6, 0, 6, 6, 0, 6, 0, 0, 2, 2, 4, 2, 4, 4, 2, 4, 2, 2]
    assert drawn(outline, (6, 6))[3] == "##..##"


def test_what_lies_outside_is_cut_off() -> None:
    assert drawn([-5, -5, 2, -5, 2, 9, -5, 9], (2, 4)) == ["##..", "##.."]
    assert drawn([7, 7, 9, 7, 9, 9], (2, 4)) == ["....", "...."]
    assert drawn([-9, -9, 99, -9, 99, 99, -9, 99], (2, 4)) == ["####", "####"]


def test_direction_and_first_vertex_do_not_matter_here() -> None:
    polygon = np.array([[0.3, 0.4], [7.1, 1.2], [5.5, 6.8], [1.9, 5.0]])
    expected = drawn(polygon, (8, 8))
    assert drawn(polygon[::-1], (8, 8)) == drawn(np.roll(polygon, 2, axis=0), (8, 8)) == expected


def test_a_sliver_between_the_middles_of_pixels_is_empty() -> None:
    """From 1.6 to 2.4 no middle of a column, 1.5 or 2.5, is crossed."""
    assert drawn([1.6, 0, 2.4, 0, 2.4, 3, 1.6, 3], (3, 4)) == ["....", "....", "...."]


def test_several_polygons() -> None:
    """Two that overlap and one apart: the union, not the even-odd rule."""
    squares = [[0, 0, 2, 0, 2, 2, 0, 2], [1, 0, 3, 0, 3, 2, 1, 2], [4, 1, 5, 1, 5, 2, 4, 2]]
    np.testing.assert_array_equal(
        rle_decode(polygons_to_rle(squares, (2, 5))),
        [[True, True, True, False, False], [True, True, True, False, True]],
    )


def test_an_image_without_pixels() -> None:
    assert polygon_to_rle([0, 0, 4, 0, 4, 4], (0, 3)).counts.tolist() == [0]
    assert polygon_to_rle([0, 0, 4, 0, 4, 4], (3, 0)).counts.tolist() == [0]


def random_polygon(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    """Return vertices in and around the image: anywhere, in halves, in tenths; some of them twice."""
    points = rng.uniform(-0.4, 1.4, (int(rng.integers(3, 12)), 2)) * size[::-1]
    unit = rng.choice([0, 0.5, 0.1, 1])
    points = points if unit == 0 else np.round(points / unit) * unit
    return points[np.sort(rng.integers(0, len(points), len(points)))] if rng.random() < 0.2 else points


def by_the_definition(polygon: Array, size: tuple[int, int]) -> list[int]:
    """Return the counts, by a walk along all fine points of the outline."""
    H, W = size
    corners = [(int(5 * x + 0.5), int(5 * y + 0.5)) for x, y in polygon.tolist()]
    points: list[tuple[int, int]] = []
    for start, end in zip(corners, [*corners[1:], corners[0]], strict=True):
        is_steep = abs(end[0] - start[0]) < abs(end[1] - start[1])
        low, high = sorted((start, end), key=lambda corner: corner[is_steep])
        n = high[is_steep] - low[is_steep]
        slope = (high[not is_steep] - low[not is_steep]) / max(n, 1)
        chain = [(low[is_steep] + i, int(low[not is_steep] + slope * i + 0.5)) for i in range(n + 1)]
        chain = [(short, long) for long, short in chain] if is_steep else chain
        points += chain if low == start else chain[::-1]
    mask = np.zeros(H * W + 1, int)
    for (u0, v0), (u1, v1) in itertools.pairwise(points):
        x, remainder = divmod(min(u0, u1) - 2, 5)
        if u0 != u1 and remainder == 0 and 0 <= x < W:
            y = (min(v0, v1) + 0.5) / 5 - 0.5
            mask[x * H + int(np.ceil(min(max(y, 0), H)))] += 1
    is_true = np.cumsum(mask[:-1]) % 2 == 1
    counts: list[int] = rle_encode(is_true.reshape(size, order="F")).counts.tolist()
    return counts


def long_polygon(rng: np.random.Generator, size: tuple[int, int], far: float) -> Array:
    """Return vertices far outside of the image, between which sides pass through it, some upright or at 45 degrees."""
    points = rng.uniform(-far, far, (int(rng.integers(3, 8)), 2))
    points[:, 0] = np.where(rng.random(len(points)) < 0.4, rng.uniform(-2, size[1] + 2, len(points)), points[:, 0])
    tilt = rng.choice([0, 1, -1, 0.999, 1.001, 0.001, -0.0005])
    points[1] = [points[0, 0] + tilt * (points[1, 1] - points[0, 1]), points[1, 1]]
    return points.clip(-LARGEST, LARGEST)


@given(seed=seeds, crossings_at_a_time=st.sampled_from([1, 7, 2**20]))
def test_any_polygon_against_the_definition(seed: int, crossings_at_a_time: int) -> None:
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(0, 25)), int(rng.integers(0, 25)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(polygons_module, "CHUNK_ELEMENTS", crossings_at_a_time)
        for polygon in (random_polygon(rng, size), long_polygon(rng, size, 300)):
            assert polygon_to_rle(polygon, size).counts.tolist() == by_the_definition(polygon, size), polygon.tolist()


@pytest.mark.oracle
@pytest.mark.parametrize("far", [2e3, 5e4, LARGEST])
def test_long_sides_against_pycocotools(far: float) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for _ in range(int(1e6 / far) + 5):
        size = (int(rng.integers(1, 700)), int(rng.integers(1, 700)))
        polygon = long_polygon(rng, size, far)
        theirs = coco.frPyObjects([polygon.ravel().tolist()], *size)[0]
        assert rle_to_string(polygon_to_rle(polygon, size)) == theirs["counts"].decode(), (polygon.tolist(), size)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_long_outline_takes_no_more_memory_than_a_short_one(axis: int) -> None:
    zigzag = np.tile([[-2e4], [2e4]], (10, 2))
    zigzag[:, 1 - axis] = np.linspace(0, 100, 20)
    tracemalloc.start()
    try:
        polygon_to_rle(zigzag, (100, 100))
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()


@pytest.mark.oracle
def test_thousands_of_polygons_against_pycocotools() -> None:
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for _ in range(5000):
        size = (int(rng.integers(1, 40)), int(rng.integers(1, 40)))
        polygon = random_polygon(rng, size)
        theirs = coco.frPyObjects([polygon.ravel().tolist()], *size)[0]
        assert rle_to_string(polygon_to_rle(polygon, size)) == theirs["counts"].decode(), (polygon.tolist(), size)


@pytest.mark.oracle
@given(seed=seeds, n=st.integers(1, 4))
def test_objects_of_several_polygons_against_pycocotools(seed: int, n: int) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(1, 25)), int(rng.integers(1, 25)))
    polygons = [random_polygon(rng, size) for _ in range(n)]
    theirs = coco.merge(coco.frPyObjects([polygon.ravel().tolist() for polygon in polygons], *size))
    assert rle_to_string(polygons_to_rle(polygons, size)) == theirs["counts"].decode()


@pytest.mark.parametrize(
    ("polygon", "error", "message"),
    [
        ([0, 0, 1, 1], ValueError, r"polygon_to_rle: a polygon has at least three vertices, got 2"),
        ([0, 0, 1, 1, 2], ValueError, r"polygon_to_rle: polygon must be \(V, 2\) or a flat list of 2·V, got shape"),
        (np.zeros((3, 3)), ValueError, r"polygon_to_rle: polygon must be \(V, 2\) or .* got shape \(3, 3\)"),
        ([0, 0, 1, 1, 2, np.nan], ValueError, r"polygon_to_rle: coordinates must be finite and within ±1000000"),
        ([0, 0, 1, 1, 2, 1e9], ValueError, r"polygon_to_rle: .* got \[2.0, 1000000000.0\] \(vertex 2\)"),
        ([[0, 0], [1, 1], [2]], ValueError, r"polygon_to_rle: the vertices must be pairs \(x, y\): "),
        (["0", "1"] * 3, TypeError, r"polygon_to_rle: polygon must hold numbers, got str$"),
    ],
)
def test_bad_polygons(polygon: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        polygon_to_rle(polygon, (4, 4))


def test_no_polygon_at_all() -> None:
    with pytest.raises(ValueError, match=r"polygons_to_rle: at least one polygon is needed"):
        polygons_to_rle([], (4, 4))
    with pytest.raises(TypeError, match=r"polygons_to_rle: polygons must be a sequence, got 5"):
        polygons_to_rle(5, (4, 4))  # type: ignore[arg-type]


def test_more_pixels_than_can_be_counted() -> None:
    with pytest.raises(ValueError, match=r"polygon_to_rle: H·W must fit into int64, got 9223372036854775808"):
        polygon_to_rle([0, 0, 4, 0, 4, 4], (2**62, 2))
