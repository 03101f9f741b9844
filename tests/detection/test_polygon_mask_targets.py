"""Mask targets from polygons: by eye, both conventions, thin regions, the oracle, the COCO API, bitmaps, the errors."""

from __future__ import annotations

import copy
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.detection.mask_head import mask_targets
from refdet.detection.polygon_mask_targets import CONVENTIONS, polygon_mask_targets
from refdet.masks.polygons import LARGEST, polygons_to_rle
from refdet.masks.rle import rle_decode, rle_encode
from refdet.masks.rle_string import rle_from_string
from tests.agreement import dtypes, in_layout, layouts, seeds
from tests.oracles import polygon_mask_targets as oracle

FIRST = np.array([0])


def rectangle(x1: float, y1: float, x2: float, y2: float) -> list[float]:
    """Return the corners of a box as a polygon of COCO's files."""
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def seen(polygons: Any, box: list[float], side: int, **options: Any) -> list[str]:
    """Return the target of one region, its rows as text."""
    target = polygon_mask_targets([polygons], np.array([box], np.float64), FIRST, side, **options)[0]
    assert np.isin(target, [0, 1]).all()
    return ["".join("#" if pixel else "." for pixel in row) for row in target]


# by eye


def test_a_triangle_in_the_frame_of_its_region() -> None:
    """The region is 10 × 5 pixels, the target 5 × 5: two pixels of the picture to one, and one to one."""
    triangle = [[[20, 30], [30, 35], [20, 35]]]
    expected = [
        "#....",
        "##...",
        "###..",
        "####.",
        "#####",
    ]
    assert seen(triangle, [20, 30, 30, 35], 5) == expected
    assert seen(triangle, [20, 30, 30, 35], 5, convention="detectron1") == expected


def test_what_lies_outside_of_the_region_is_cut_off_and_what_is_not_object_is_0() -> None:
    """A region a quarter of which, the lower right one, is the upper left quarter of the object."""
    assert seen([rectangle(4, 6, 8, 10)], [2, 4, 6, 8], 4) == ["....", "....", "..##", "..##"]
    assert seen([rectangle(0, 0, 99, 99)], [2, 4, 6, 8], 2) == ["##", "##"]
    assert seen([rectangle(6, 4, 8, 8)], [2, 4, 6, 8], 2) == ["..", ".."]


def test_polygons_unite_and_an_outline_that_surrounds_twice_does_not() -> None:
    around_twice = [0, 0, 6, 0, 6, 6, 0, 6, 0, 0, 2, 2, 4, 2, 4, 4, 2, 4, 2, 2]
    assert seen([around_twice], [0, 0, 6, 6], 3) == ["###", "#.#", "###"]
    assert seen([rectangle(0, 0, 6, 6), rectangle(2, 2, 4, 4)], [0, 0, 6, 6], 3) == ["###"] * 3


def test_a_pixel_is_the_objects_where_its_middle_is_inside() -> None:
    """An object that begins at the very middle of a pixel of the target leaves it out, a little to the left not."""
    assert seen([rectangle(1, 0, 4, 4)], [0, 0, 4, 4], 2) == [".#", ".#"]
    assert seen([rectangle(0.75, 0, 4, 4)], [0, 0, 4, 4], 2) == ["##", "##"]


def test_the_product_comes_first() -> None:
    """49 · 2/196 is ½, the middle of the first pixel, but 49 times the float64 nearest to 2/196 is less."""
    assert 49 * (2 / 196) < 0.5
    assert seen([rectangle(49, 0, 196, 4)], [0, 0, 196, 4], 2) == [".#", ".#"]


def test_every_region_has_its_object() -> None:
    """Two regions are object 1, which fills one and is half of the other; one is object 0. Nobody is object 2."""
    polygons = [[rectangle(0, 0, 2, 2)], [rectangle(4, 0, 6, 2)], None]
    boxes = np.array([[4, 0, 6, 2], [0, 0, 4, 2], [5, 0, 7, 2]], np.float64)
    targets = polygon_mask_targets(polygons, boxes, np.array([1, 0, 1]), 2)
    np.testing.assert_array_equal(targets[:, 0], [[1, 1], [1, 0], [1, 0]])
    np.testing.assert_array_equal(targets[:, 1], targets[:, 0])


# thin regions


def test_the_conventions_differ_where_a_side_is_below_1() -> None:
    """Half a pixel of picture on four of the target: ¼ is two of them; where it counts as a whole pixel, one."""
    object_ = [rectangle(10, 0, 10.25, 4)]
    assert seen(object_, [10, 0, 10.5, 4], 4) == ["##.."] * 4
    assert seen(object_, [10, 0, 10.5, 4], 4, convention="detectron1") == ["#..."] * 4
    transposed = [rectangle(0, 10, 4, 10.25)]
    assert seen(transposed, [0, 10, 4, 10.5], 4) == ["####", "####", "....", "...."]
    assert seen(transposed, [0, 10, 4, 10.5], 4, convention="detectron1") == ["####", "....", "....", "...."]


@pytest.mark.parametrize("x2", [11, 11.5, 30])
def test_the_conventions_are_one_from_1_on(x2: float) -> None:
    object_ = [rectangle(10.25, 1, 12, 7)]
    assert seen(object_, [10, 0, x2, 8], 8) == seen(object_, [10, 0, x2, 8], 8, convention="detectron1")


@pytest.mark.parametrize("x2", [10, 9, -50])
def test_a_region_that_ends_where_it_begins_or_before_has_the_least_side(x2: float) -> None:
    """From 10 on, a tenth of a pixel or a whole one: of the pixels of the target half, or a quarter, are object."""
    object_ = [rectangle(10, 0, 10.05, 1), rectangle(10, 1, 10.25, 2)]
    assert seen(object_, [10, 0, x2, 2], 4) == ["##..", "##..", "####", "####"]
    assert seen(object_, [10, 0, x2, 2], 4, convention="detectron1") == ["....", "....", "#...", "#..."]


def test_an_object_too_large_for_a_thin_region_is_refused() -> None:
    """A pixel of the picture is 28 / 0.1 = 280 of the target, or 28; 3572 of them are 1000160."""
    polygons, boxes = [[rectangle(0, 0, 400, 4)], [rectangle(0, 0, 3572, 4)]], np.array([[0.0, 0, 8, 8], [0, 0, 0, 8]])
    for convention in CONVENTIONS:
        assert polygon_mask_targets(polygons, boxes[1:], FIRST, 28, convention=convention).sum() == 28 * 14
    assert polygon_mask_targets(polygons, boxes[:1], FIRST + 1, 28).sum() == 28 * 14
    assert polygon_mask_targets(polygons, boxes[1:], FIRST + 1, 28, convention="detectron1").sum() == 28 * 14
    with pytest.raises(
        ValueError,
        match=r"^polygon_mask_targets: in the frame of region 1, \[0.0, 0.0, 0.0, 8.0\], the coordinates of object 1 "
        r"must be within ±1000000, got 1.00016e\+06: the region is too thin for, or too far from, its object$",
    ):
        polygon_mask_targets(polygons, boxes, np.array([1, 1]), 28)


def test_the_largest_coordinate_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refdet.detection.polygon_mask_targets.LARGEST", 280.0)
    box = np.array([[0.0, 0, 0, 4]])
    for x in (1, -1):
        polygon_mask_targets([[rectangle(0, 0, x, 4)]], box, FIRST, 28)
        with pytest.raises(ValueError, match="must be within ±280, got 350: the region is too thin for, or"):
            polygon_mask_targets([[rectangle(0, 0, 1.25 * x, 4)]], box, FIRST, 28)


def test_a_region_far_from_its_object_is_refused() -> None:
    polygons, boxes = [[rectangle(0, 0, 4, 4)]], np.array([[1e5, 0, 1e5 + 4, 4], [9e5, 0, 9e5 + 4, 4]])
    assert not polygon_mask_targets(polygons, boxes[:1], FIRST, 28).any()
    with pytest.raises(ValueError, match=r"got 6\.3e\+06: the region is too thin for, or too far from, its object$"):
        polygon_mask_targets(polygons, boxes[1:], FIRST, 28)


def test_a_huge_object_in_a_huge_region_takes_little_memory() -> None:
    """Its outline is drawn on the pixels of the target alone; on those of the picture it would take 0.7 GB."""
    far = LARGEST
    tracemalloc.start()
    target = seen([[-far, -far, far, far, -far, far]], [-far, -far, far, far], 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert target == ["#.", "##"]
    assert peak < 10**6


@pytest.mark.parametrize("far", [-1e306, 1e307, 1e308])
def test_coordinates_that_overflow_are_refused(far: float) -> None:
    boxes = np.array([[far, 0, far + 1, 1]])
    with pytest.raises(ValueError, match=r"in the frame of region 0, .* must be within ±1000000, got (inf|.*e\+30\d)"):
        polygon_mask_targets([[rectangle(0, 0, 1, 1)]], boxes, FIRST, 100)


# the oracle


def random_polygons(rng: np.random.Generator, *, quarters: bool) -> list[Array]:
    """Return one to three polygons, some vertices of which may be equal, on a grid of quarters or anywhere."""
    polygons = [rng.uniform(-4, 20, (int(rng.integers(3, 9)), 2)) for _ in range(int(rng.integers(1, 4)))]
    polygons = [x[np.sort(rng.integers(0, len(x), len(x)))] if rng.random() < 0.2 else x for x in polygons]
    return [np.round(4 * x) / 4 for x in polygons] if quarters else polygons


def random_boxes(rng: np.random.Generator, n: int, *, quarters: bool) -> Array:
    """Return regions, some with sides that are 0, negative, below a tenth, or below 1."""
    starts = rng.uniform(-4, 16, (n, 2))
    sides = rng.choice([rng.uniform(0, 20), rng.uniform(0, 1), rng.uniform(0, 0.1), 0, -1, 0.25, 0.5, 1, 12], (n, 2))
    boxes: Array = np.concatenate([starts, starts + sides], axis=1)
    return np.round(4 * boxes) / 4 if quarters else boxes


@given(
    seed=seeds,
    side=st.integers(1, 8),
    convention=st.sampled_from(CONVENTIONS),
    dtype=dtypes,
    layout=layouts,
    quarters=st.booleans(),
    flat=st.booleans(),
)
def test_against_the_oracle(
    seed: int, side: int, convention: str, dtype: str, layout: str, quarters: bool, flat: bool
) -> None:
    """Quarters put many vertices halfway between two fifths of a pixel."""
    rng = np.random.default_rng(seed)
    rows = [random_polygons(rng, quarters=quarters) for _ in range(int(rng.integers(1, 4)))]
    polygons = [[x.ravel().tolist() if flat else in_layout(x, layout) for x in of_object] for of_object in rows]
    P = int(rng.integers(0, 6))
    boxes = in_layout(random_boxes(rng, P, quarters=quarters).astype(dtype), layout)
    matches = in_layout(rng.integers(0, len(rows), P), layout)
    before = copy.deepcopy((polygons, boxes, matches))

    targets = polygon_mask_targets(polygons, boxes, matches, side, convention=convention)
    expected = oracle.forward(rows, boxes, matches, side=side, convention=convention)
    assert targets.dtype == boxes.dtype
    assert targets.shape == (P, side, side)
    np.testing.assert_array_equal(targets, expected)
    np.testing.assert_equal((polygons, boxes, matches), before)


# other implementations


def as_the_library_has_it(coco: Any, polygons: list[Array], box: Array, side: int, convention: str) -> Array:
    """Return one target as Detectron2 or Detectron scales and the COCO API draws, in float64."""
    (x1, y1), (w, h) = box[:2], box[2:] - box[:2]
    moved = [polygon - (x1, y1) for polygon in polygons]
    if convention == "detectron2":
        moved = [polygon * (side / max(w, 0.1), side / max(h, 0.1)) for polygon in moved]
    else:
        moved = [polygon * side / (max(w, 1), max(h, 1)) for polygon in moved]
    drawn = coco.merge(coco.frPyObjects([polygon.ravel().tolist() for polygon in moved], side, side))
    return rle_decode(rle_from_string(drawn["counts"].decode(), (side, side)))


@pytest.mark.oracle
@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("side", [1, 14, 28])
def test_against_pycocotools(convention: str, side: int) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(side)
    n_set = 0.0
    for _ in range(60):
        polygons = [random_polygons(rng, quarters=False) for _ in range(3)]
        boxes, matches = random_boxes(rng, 5, quarters=False), rng.integers(0, 3, 5)
        targets = polygon_mask_targets(polygons, boxes, matches, side, convention=convention)
        for target, box, g in zip(targets, boxes, matches.tolist(), strict=True):
            theirs = as_the_library_has_it(coco, polygons[g], box, side, convention)
            np.testing.assert_array_equal(target, theirs, err_msg=f"{polygons[g]} in {box}")
        n_set += targets.mean() / 60
    assert 0.1 < n_set < 0.9


@given(seeds)
def test_a_picture_as_the_region_gives_the_mask_of_the_picture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    polygons = random_polygons(rng, quarters=bool(rng.integers(2)))
    target = polygon_mask_targets([polygons], np.array([[0.0, 0, 16, 16]]), FIRST, 16)
    np.testing.assert_array_equal(target[0], rle_decode(polygons_to_rle(polygons, (16, 16))))


@given(seeds)
def test_whole_pixels_give_the_target_of_the_bitmap(seed: int) -> None:
    """Objects and cells of the region end at whole pixels; a cell of 3 × 3 pixels has its middle in one of them."""
    rng = np.random.default_rng(seed)
    x1, y1 = (3 * rng.integers(0, 6, 2)).tolist()
    rectangles = [rectangle(x1, y1, x1 + 3 * a, y1 + 3 * b) for a, b in rng.integers(1, 4, (3, 2)).tolist()]
    mask = rle_decode(polygons_to_rle(rectangles, (30, 30)))
    boxes = np.array([[3.0, 6, 15, 18], [x1, y1, x1 + 12, y1 + 12]])
    expected = mask_targets(mask[None], boxes, np.array([0, 0]), 4, convention="detectron2")
    np.testing.assert_array_equal(polygon_mask_targets([rectangles], boxes, np.array([0, 0]), 4), expected)


# nothing, and bad input


def test_no_regions() -> None:
    none, boxes = np.zeros(0, np.int64), np.zeros((0, 4), np.float32)
    for polygons in ([], [[rectangle(0, 0, 1, 1)]], [None]):
        targets = polygon_mask_targets(polygons, boxes, none, 3)
        assert targets.shape == (0, 3, 3)
        assert targets.dtype == np.float32


SQUARE = rectangle(0, 0, 4, 4)
POLYGONS: list[Any] = [[SQUARE], [SQUARE]]
BOX = np.array([[0.0, 0, 4, 4]])
MUST = "to which a region is matched, must have polygons, got"


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((POLYGONS, BOX[0], FIRST, 4), {}, r"boxes must have shape \(N, 4\)"),
        ((POLYGONS, BOX.astype(int), FIRST, 4), {}, "boxes must be float32 or float64, got int64"),
        ((POLYGONS, BOX.tolist(), FIRST, 4), {}, "boxes must be an array, got list"),
        ((POLYGONS, np.array([[0, 0, 4, np.nan]]), FIRST, 4), {}, r"boxes .* be finite, got \[0.0, .*\] \(region 0\)"),
        ((POLYGONS, np.array([[np.inf, 0, np.inf, 4]]), FIRST, 4), {}, r"boxes and their sides must be finite, got"),
        ((POLYGONS, np.array([[-1e308, 0, 1e308, 4]]), FIRST, 4), {}, r"boxes and their sides must be finite, got"),
        ((POLYGONS, BOX, np.array([0, 1]), 4), {}, r"matches must have shape \(1,\) \(one object per region\)"),
        ((POLYGONS, BOX, np.array([2]), 4), {}, "matches must name one of 2 objects, got 2 … 2"),
        ((POLYGONS, BOX, np.array([-1]), 4), {}, "matches must name one of 2 objects, got -1 … -1"),
        (([], BOX, FIRST, 4), {}, "matches must name one of 0 objects, got 0 … 0"),
        ((POLYGONS, BOX, np.array([0.0]), 4), {}, "matches must be an integer array, got float64"),
        ((POLYGONS, BOX, FIRST, 0), {}, "side must be at least 1, got 0"),
        ((POLYGONS, BOX, FIRST, 4.0), {}, r"side must be an integer, got 4\.0"),
        ((POLYGONS, BOX, FIRST, 4), {"convention": "torchvision"}, "convention must be one of 'detectron2', 'detectr"),
        ((None, BOX, FIRST, 4), {}, "polygons must be a sequence, got None"),
        (([None], BOX, FIRST, 4), {}, f"object 0, {MUST} none; for a crowd, .* there is mask_targets$"),
        (([[]], BOX, FIRST, 4), {}, f"object 0, {MUST} none; "),
        (([SQUARE, {"counts": [16], "size": [4, 4]}], BOX, np.array([1]), 4), {}, f"object 1, {MUST} dict; "),
        (([rle_encode(np.ones((4, 4), bool))], BOX, FIRST, 4), {}, f"object 0, {MUST} RLE; "),
        (([7], BOX, FIRST, 4), {}, "object 0 must be a sequence, got 7"),
        ((["text"], BOX, FIRST, 4), {}, "object 0 must be a sequence, got 'text'"),
        (([SQUARE], BOX, FIRST, 4), {}, r"polygon 0 of object 0: .* polygon must be \(V, 2\) or .*, got shape \(\)"),
        (([[SQUARE, SQUARE[:4]]], BOX, FIRST, 4), {}, "polygon 1 of object 0: .* at least three vertices, got 2"),
        (([[SQUARE[:7]]], BOX, FIRST, 4), {}, r"polygon 0 of object 0: .* a flat list of 2·V, got shape \(7,\)"),
        (([[[*SQUARE, 0, np.nan]]], BOX, FIRST, 4), {}, r"polygon 0 of object 0: .* finite .*got \[0.0, nan\] \(ver"),
        (([[["0", "1"] * 3]], BOX, FIRST, 4), {}, "polygon 0 of object 0: .* polygon must hold numbers, got str"),
        (([[[[0, 0], [1, 1], [2]]]], BOX, FIRST, 4), {}, r"polygon 0 of object 0: .* must be pairs \(x, y\)"),
    ],
)
def test_bad_input(arguments: tuple[Any, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^polygon_mask_targets: .*{message}"):
        polygon_mask_targets(*arguments, **options)
