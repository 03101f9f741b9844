"""paste_masks and paste_soft_masks: the definition, torchvision, grid_sample, COCO's encoding; borders; the errors."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.detection.detected import Detected
from refdet.masks.paste import CONVENTIONS, paste_masks, paste_soft_masks
from refdet.masks.rle import rle_decode, rle_encode
from refdet.masks.rle_string import rle_from_string, rle_to_string
from tests.agreement import assert_agrees, in_layout, layouts, seeds
from tests.oracles import paste_masks as oracle
from tests.torchvision_process import ask_torchvision

ANSWER_ALL = """
from torch.nn.functional import grid_sample
from torchvision.models.detection.roi_heads import paste_masks_in_image
H, W = (int(n) for n in asked["size"])
masks, boxes = torch.tensor(asked["masks"]), torch.tensor(asked["boxes"])
pasted, refused = torch.zeros((len(masks), H, W)), torch.zeros(len(masks), dtype=torch.bool)
for i in range(len(masks)):
    try:
        pasted[i] = paste_masks_in_image(masks[i : i + 1, None], boxes[i : i + 1], (H, W))[0, 0]
    except RuntimeError:
        refused[i] = True
answers["pasted"], answers["refused"] = pasted.numpy(), refused.numpy()
x = (torch.arange(W) + 0.5 - boxes[:, None, 0]) / (boxes[:, None, 2] - boxes[:, None, 0]) * 2 - 1
y = (torch.arange(H) + 0.5 - boxes[:, None, 1]) / (boxes[:, None, 3] - boxes[:, None, 1]) * 2 - 1
grid = torch.stack([x[:, None].expand(-1, H, -1), y[:, :, None].expand(-1, -1, W)], dim=3)
answers["sampled"] = grid_sample(masks[:, None], grid, align_corners=False)[:, 0].numpy()
"""
SIZE = (20, 26)


def on_quarters(rng: np.random.Generator, n: int) -> Array:
    """Return boxes with corners at multiples of ¼ in and around a small picture; some end before they begin."""
    start = rng.integers(-16, 28, (n, 2)) / 4
    return np.concatenate([start, start + rng.integers(-3, 40, (n, 2)) / 4], axis=1)


@given(
    seed=seeds,
    m=st.sampled_from([1, 2, 4]),
    size=st.tuples(st.integers(0, 7), st.integers(0, 7)),
    convention=st.sampled_from(CONVENTIONS),
    threshold=st.sampled_from([0.125, 0.5, 0.75, 1.0]),
    dtype=st.sampled_from(["float32", "float64"]),
    layout=layouts,
)
def test_the_definition(
    seed: int, m: int, size: tuple[int, int], convention: str, threshold: float, dtype: str, layout: str
) -> None:
    rng = np.random.default_rng(seed)
    masks, boxes = (rng.integers(0, 9, (2, m, m)) / 8).astype(dtype), on_quarters(rng, 2).astype(dtype)
    # what is not a dyadic number is compared with a threshold that it cannot equal
    threshold += 2.0**-11 if threshold < 1 else 0
    params = {"size": size, "convention": convention, "threshold": threshold}
    laid = in_layout(masks, layout), in_layout(boxes, layout)
    assert_agrees("paste_masks", oracle, laid, rng=rng, params=params)
    soft = paste_soft_masks(laid[0], laid[1], size, convention=convention)
    assert soft.dtype == dtype
    expected = oracle.soft(masks, boxes, size=size, convention=convention)
    np.testing.assert_allclose(soft, expected, rtol=0, atol=1e-6 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("shift", [(0, 0), (3, 1), (-2, 2), (0, -4)])
def test_a_box_of_as_many_pixels_as_cells_shows_the_mask_itself(shift: tuple[int, int]) -> None:
    mask = np.random.default_rng(0).random((1, 4, 4))
    dx, dy = shift
    soft = paste_soft_masks(mask, np.array([[dx, dy, dx + 4.0, dy + 4]]), (4, 4))
    expected = np.zeros((4, 4))
    for y in range(4):
        for x in range(4):
            if 0 <= y - dy < 4 and 0 <= x - dx < 4:
                expected[y, x] = mask[0, y - dy, x - dx]
    np.testing.assert_array_equal(soft[0], expected)


@pytest.mark.parametrize(
    ("convention", "is_object"), [("detectron2", True), ("detectron1", False), ("torchvision", True)]
)
def test_equal_to_the_threshold(convention: str, is_object: bool) -> None:
    """½ is ½ in the middle pixel of a mask of one cell, whose box has that middle there."""
    mask, box = np.array([[[0.5]]]), np.array([[0.0, 0, 3, 3]] if convention == "detectron2" else [[1.25, 1.25, 2, 2]])
    soft = paste_soft_masks(mask, box, 3, convention=convention)
    assert soft[0, 1, 1] == 0.5
    assert soft.max() == 0.5
    assert paste_masks(mask, box, 3, convention=convention)[0, 1, 1] == is_object
    assert not paste_masks(mask, box, 3, convention=convention, threshold=np.nextafter(0.5, 1)).any()
    assert paste_masks(mask, box, 3, convention=convention, threshold=np.nextafter(0.5, 0))[0, 1, 1]


def test_the_threshold_is_rounded_to_the_dtype_of_the_masks() -> None:
    mask, box = np.full((1, 1, 1), 0.3, np.float32), np.array([[0, 0, 1, 1]], np.float32)
    assert paste_masks(mask, box, 1, threshold=0.3).all()
    assert paste_masks(mask, box, 1, threshold=np.float64(0.3)).all()


def test_corners_are_truncated_towards_zero() -> None:
    """Of boxes that grow to [−0.5, 3.5] and [−1.5, 3.5] the first has pixels 0 to 3, the second −1 to 3."""
    mask = np.ones((1, 2, 2))
    first = paste_soft_masks(mask, np.array([[0.5, 0.5, 2.5, 2.5]]), 4, convention="torchvision")
    np.testing.assert_array_equal(first[0, 1], [0, 1, 1, 0])
    second = paste_soft_masks(mask, np.array([[-0.25, 0.5, 2.25, 2.5]]), 4, convention="torchvision")
    np.testing.assert_allclose(second[0, 1], [0.7, 1, 0.7, 0], atol=1e-15)  # at 4/5 · (i + 1½) − ½, in a frame of zeros


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(
    "box",
    [
        [np.nan, 0, 4, 4],
        [0, 0, 4, np.inf],
        [-np.inf, 0, np.inf, 4],
        [-np.inf, 0, -np.inf, 4],
        [30, 0, 34, 4],
        [0, -9, 4, -5],
        [4, 0, 0, 4],
        [1e300, 0, 1.5e300, 4],
        [-1.5e308, 0, 1.5e308, 4],
    ],
)
def test_no_pixel(convention: str, box: list[float]) -> None:
    soft = paste_soft_masks(np.ones((1, 2, 2)), np.array([box], np.float64), (4, 5), convention=convention)
    assert not soft.any()
    assert not paste_masks(
        np.ones((1, 2, 2)), np.array([box], float), (4, 5), convention=convention, threshold=2e-308
    ).any()


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_box_that_is_far_larger_than_the_picture(convention: str) -> None:
    """All pixels are between the middles of the four cells."""
    box = np.array([[-1e6, -1e6, 1e6, 1e6]], np.float32)
    soft = paste_soft_masks(np.array([[[0.0, 1], [0, 1]]], np.float32), box, (3, 4), convention=convention)
    np.testing.assert_allclose(soft, 0.5, atol=1e-5)


def test_takes_no_more_memory_than_its_answer() -> None:
    """A detector pastes a hundred masks into a photograph: soft masks of all of it would take four times as much."""
    masks, boxes = np.full((20, 4, 4), 0.75, np.float32), np.array([[10, 10, 40, 50]] * 20, np.float32)
    tracemalloc.start()
    try:
        pasted = paste_masks(masks, boxes, (500, 600))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert pasted.any()
    assert peak < 1.5 * pasted.nbytes


def test_a_box_without_area() -> None:
    mask = np.arange(16.0).reshape(1, 4, 4) / 16
    box = np.array([[2.5, 1.5, 2.5, 1.5]])
    assert not paste_soft_masks(mask, box, 4).any()
    soft = paste_soft_masks(mask, box, 4, convention="torchvision")
    assert soft[0, 1, 2] == mask[0, 1:3, 1:3].mean()
    assert np.count_nonzero(soft) == 1


def test_nan_in_a_mask_is_no_object_and_stays_where_it_is_read() -> None:
    """Cell 1 is read by the pixels whose u is in [0, 2): the first with weight 0."""
    mask = np.ones((1, 8, 8))
    mask[0, 1, 1] = np.nan
    box = np.array([[0.0, 0, 8, 8]])
    expected = np.zeros((12, 12), bool)
    expected[:2, :2] = True
    np.testing.assert_array_equal(np.isnan(paste_soft_masks(mask, box, 12)[0]), expected)
    np.testing.assert_array_equal(paste_masks(mask, box, 12)[0, :8, :8], ~expected[:8, :8])


@pytest.fixture(scope="module")
def asked() -> dict[str, Array]:
    rng = np.random.default_rng(7)
    start, side = rng.uniform(-6, 22, (60, 2)), rng.uniform(0.2, 16, (60, 2))
    boxes = np.concatenate([start, start + side], axis=1)
    around = [
        [-3, -3, 30, 30],
        [0, 0, 26, 20],
        [-9.3, 2, -2.4, 8],
        [24.7, 18.6, 29, 27],
        [40, 3, 47, 9],
        [3, -30, 8, -25],
    ]
    flat = [[4.2, 5.6, 4.2, 9.3], [7.1, 3.3, 9.9, 3.3], [8.4, 8.4, 8.4, 8.4]]
    boxes = np.concatenate([boxes, around, flat]).astype(np.float32)
    return {"masks": rng.random((len(boxes), 7, 7), np.float32), "boxes": boxes, "size": np.array(SIZE)}


@pytest.fixture(scope="module")
def theirs(asked: dict[str, Array], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Array]:
    return ask_torchvision(ANSWER_ALL, asked, tmp_path_factory.mktemp("torchvision"))


@pytest.mark.oracle
def test_against_torchvision(asked: dict[str, Array], theirs: dict[str, Array]) -> None:
    """It refuses some boxes beyond the picture, where nothing is pasted."""
    soft = paste_soft_masks(asked["masks"], asked["boxes"], SIZE, convention="torchvision")
    refused = theirs["refused"]
    assert 1 <= np.count_nonzero(refused) <= 4
    assert not soft[refused].any()
    np.testing.assert_allclose(soft[~refused], theirs["pasted"][~refused], rtol=0, atol=2e-6)
    assert np.count_nonzero(soft[-3:].any(axis=(1, 2))) == 3  # boxes without area are pixels


@pytest.mark.oracle
def test_against_grid_sample(asked: dict[str, Array], theirs: dict[str, Array]) -> None:
    """It has NaN coordinates in boxes without area, whose masks are empty here."""
    soft = paste_soft_masks(asked["masks"], asked["boxes"], SIZE)
    np.testing.assert_allclose(soft[:-3], theirs["sampled"][:-3], rtol=0, atol=1e-5)
    assert not soft[-3:].any()
    assert not soft[-5:-3].any()  # beyond the picture
    pasted = paste_masks(asked["masks"], asked["boxes"], SIZE)[:-3]
    far = np.abs(theirs["sampled"][:-3] - 0.5) > 1e-5
    np.testing.assert_array_equal(pasted[far], (theirs["sampled"][:-3] >= 0.5)[far])


@pytest.mark.oracle
def test_what_is_pasted_is_what_coco_keeps(asked: dict[str, Array]) -> None:
    coco: Any = pytest.importorskip("pycocotools.mask")
    masks, boxes = asked["masks"][4:12], asked["boxes"][4:12]
    n = len(boxes)
    found = Detected(
        boxes, np.linspace(1, 0, n, dtype=np.float32), np.ones(n, np.int64), paste_masks(masks, boxes, SIZE)
    )
    assert found.masks is not None
    assert np.count_nonzero(found.masks.any(axis=(1, 2))) > n / 2
    for mask in found.masks:
        theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert rle_to_string(rle_encode(mask)) == theirs["counts"].decode()
        np.testing.assert_array_equal(rle_decode(rle_from_string(theirs["counts"].decode(), SIZE)), mask)


MASKS, BOXES = np.zeros((2, 3, 3)), np.zeros((2, 4))


@pytest.mark.parametrize(
    ("masks", "boxes", "options", "message"),
    [
        (MASKS, BOXES[:1], {}, r"boxes must have 2 rows, one per mask, got \(1, 4\)"),
        (MASKS[:, :2], BOXES, {}, r"masks must be square and have at least one cell, got shape \(2, 2, 3\)"),
        (MASKS[:, :0, :0], BOXES, {}, r"masks must be square and have at least one cell, got shape \(2, 0, 0\)"),
        (MASKS[0], BOXES, {}, r"masks must have rank 3 \(D, m, m\), got rank 2"),
        (MASKS, BOXES[:, :3], {}, r"boxes must have shape \(N, 4\)"),
        (MASKS > 0, BOXES, {}, "masks must be float32 or float64, got bool"),
        (MASKS.astype(np.float32), BOXES, {}, "masks is float32 but boxes is float64"),
        (MASKS, BOXES, {"size": (-1, 4)}, "size must be at least 0"),
        (MASKS, BOXES, {"convention": "detectron"}, "convention must be one of 'detectron2', 'detectron1'"),
        (MASKS, BOXES, {"threshold": 0.0}, r"threshold must lie in \(0, 1\], got 0.0"),
        (MASKS, BOXES, {"threshold": 1.5}, r"threshold must lie in \(0, 1\], got 1.5"),
        (MASKS, BOXES, {"threshold": np.nan}, "threshold must be a finite number"),
    ],
)
def test_bad_input(masks: Array, boxes: Array, options: dict[str, Any], message: str) -> None:
    size = options.pop("size", (4, 4))
    with pytest.raises((TypeError, ValueError), match=f"^paste_masks: .*{message}"):
        paste_masks(masks, boxes, size, **options)
    if "threshold" not in options:
        with pytest.raises((TypeError, ValueError), match=f"^paste_soft_masks: .*{message}"):
            paste_soft_masks(masks, boxes, size, **options)
