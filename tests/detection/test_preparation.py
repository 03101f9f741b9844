"""Preparation: sizes, values and padding by hand, several sizes of which one is drawn, and the way back."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refdet.data.sample import Sample
from refdet.detection.preparation import Preparation
from refdet.nn import Linear, ReLU


def sample(height: int, width: int, value: tuple[int, int, int] = (10, 20, 30)) -> Sample:
    image = np.broadcast_to(np.array(value, np.uint8), (height, width, 3)).copy()
    boxes = np.array([[1, 2, 3, 4]], np.float32)
    return Sample("a.png", image, boxes, np.ones(1, np.int64), np.zeros(1, bool), proposals=boxes + 1)


def test_values_of_a_picture_and_zeros_around_it() -> None:
    prepare = Preparation(mean=(30.0, 20.0, 0.0), std=(2.0, 4.0, 5.0), order="BGR", divisor=8)
    prepared = prepare([sample(5, 9), sample(8, 4)])
    assert prepared.images.shape == (2, 3, 8, 16)
    assert prepared.sizes == ((5, 9), (8, 4))
    blue, green, red = prepared.images[0, :, :5, :9]
    assert np.all(blue == 0)  # (30 − 30) / 2
    assert np.all(green == 0)  # (20 − 20) / 4
    assert np.all(red == 2)  # (10 − 0) / 5
    assert not prepared.images[0, :, 5:].any()
    assert not prepared.images[0, :, :, 9:].any()
    assert np.all(prepared.images[1, 2, :, :4] == 2)


@pytest.mark.parametrize(
    ("original", "rounded", "cut_off"),
    [  # what is cut off was asked of torchvision 0.14.1
        ((375, 500), (800, 1067), (799, 1066)),  # 500 · 800/375 = 1066.67
        ((333, 500), (800, 1201), (799, 1201)),
        ((480, 640), (800, 1067), (800, 1066)),
        ((427, 640), (800, 1199), (799, 1199)),
        ((300, 1000), (400, 1333), (399, 1333)),  # the longer side decides: 1333/1000 · 300 = 399.9
    ],
)
def test_sizes(original: tuple[int, int], rounded: tuple[int, int], cut_off: tuple[int, int]) -> None:
    assert Preparation(short=800, long=1333).size(original) == rounded
    assert Preparation(short=800, long=1333, size_convention="cut off").size(original) == cut_off
    assert Preparation().size(original) == original


def test_a_side_is_never_cut_off_to_nothing() -> None:
    """1333/5000 of one pixel is none; `resized_size`, too, leaves one."""
    assert Preparation(short=800, long=1333, size_convention="cut off").size((1, 5000))[0] == 1
    assert Preparation(short=800, long=1333).size((1, 5000)) == (1, 1333)


def test_images_take_the_dtype_of_the_network() -> None:
    prepared = Preparation()([sample(2, 3)])
    for dtype in (np.float32, np.float64):
        images = prepared.images_for(Linear(1, 1, rng=np.random.default_rng(0), dtype=dtype))
        assert images.dtype == dtype
        np.testing.assert_array_equal(images, prepared.images)
    assert prepared.images_for(ReLU()) is prepared.images  # a network without parameters


def test_boxes_and_proposals_go_with_the_picture() -> None:
    prepared = Preparation(short=10, long=100)([sample(5, 20)])
    assert prepared.sizes == ((10, 40),)
    assert prepared.original_sizes == ((5, 20),)
    assert prepared.samples[0].boxes.tolist() == [[2, 4, 6, 8]]
    assert prepared.samples[0].proposals is not None
    assert prepared.samples[0].proposals.tolist() == [[4, 6, 8, 10]]
    assert prepared.ratio(0).tolist() == [2, 2, 2, 2]
    assert Preparation(short=3, long=100).picture(np.zeros((6, 5, 3), np.uint8)).ratio(0).tolist() == [
        0.6,
        4 / 6,
        0.6,
        4 / 6,
    ]


NAN = float("nan")
SEVERAL = (10, 5, 20, 15)  # once, twice, three and four times as large as `known_picture`, in another order


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def known_picture(i: int) -> Sample:
    """Return noise of 5 × 8 pixels, or of 8 × 5, of which everything is known."""
    draw = rng(i)
    boxes = np.array([[1, 0, 4, 3], [2, 2, 5, 5]], np.float32)
    return replace(
        sample(*((5, 8), (8, 5))[i % 2]),
        image=draw.integers(0, 256, ((5, 8, 3), (8, 5, 3))[i % 2], dtype=np.uint8),
        boxes=boxes,
        classes=np.array([1, 2]),
        difficult=np.zeros(2, bool),
        proposals=boxes + 0.25,
        masks=draw.random((2, *((5, 8), (8, 5))[i % 2])) < 0.5,
        joints=draw.uniform(0, 5, (2, 3, 2)).astype(np.float32),
        joints_visible=np.ones((2, 3), bool),
    )


@pytest.mark.parametrize("seed", range(4))
def test_one_of_several_sizes_for_each_picture(seed: int) -> None:
    """As picture by picture with the size that the generator says next; all that is known goes with the picture."""
    samples = [known_picture(i) for i in range(7)]
    prepared = Preparation(short=SEVERAL, divisor=4)(samples, rng=rng(seed))
    draw = rng(seed)
    for i, given in enumerate(samples):
        factor = SEVERAL[draw.integers(4)] // 5
        h, w = (factor * side for side in given.size)
        assert (prepared.sizes[i], prepared.original_sizes[i]) == ((h, w), given.size)
        assert prepared.ratio(i).tolist() == [factor] * 4
        alone = Preparation(short=5 * factor)([given])
        np.testing.assert_array_equal(prepared.images[i, :, :h, :w], alone.images[0])
        assert not prepared.images[i, :, h:].any()
        assert not prepared.images[i, :, :, w:].any()
        found = prepared.samples[i]
        assert found.proposals is not None
        assert given.proposals is not None
        assert given.masks is not None
        assert found.joints is not None
        assert given.joints is not None
        np.testing.assert_array_equal(found.boxes, given.boxes * factor)
        np.testing.assert_array_equal(found.proposals, given.proposals * factor)
        np.testing.assert_array_equal(found.masks, given.masks.repeat(factor, axis=1).repeat(factor, axis=2))
        np.testing.assert_allclose(found.joints, given.joints * factor, rtol=1e-6)
    assert len({min(size) for size in prepared.sizes}) > 1
    assert prepared.images.shape[2:] == tuple(-(-max(sides) // 4) * 4 for sides in zip(*prepared.sizes, strict=True))


def test_sizes_are_drawn_as_the_generator_draws_integers() -> None:
    sizes = (640, 672, 704, 736, 768, 800)
    preparation, draw = Preparation(short=sizes, long=1333), rng(3)
    drawn = [preparation.size((100, 100), rng=draw)[0] for _ in range(1200)]
    assert drawn == [sizes[i] for i in rng(3).integers(6, size=1200)]


@pytest.mark.parametrize("short", [None, 10, (10,)])
def test_one_size_draws_nothing(short: Any) -> None:
    draw = rng()
    before = draw.bit_generator.state
    samples = [known_picture(0), known_picture(1)]
    prepared = Preparation(short=short)(samples, rng=draw)
    assert draw.bit_generator.state == before
    np.testing.assert_array_equal(prepared.images, Preparation(short=short)(samples).images)
    assert min(prepared.sizes[0]) == (10 if short else 5)


def test_the_last_size_without_a_generator() -> None:
    several, last = Preparation(short=SEVERAL), Preparation(short=15)
    samples = [known_picture(0), known_picture(1)]
    assert several(samples).sizes == last(samples).sizes == ((15, 24), (24, 15))
    np.testing.assert_array_equal(several(samples).images, last(samples).images)
    np.testing.assert_array_equal(several.picture(samples[0].image).images, last.picture(samples[0].image).images)
    assert several.size((5, 8)) == (15, 24)
    cut_off = replace(several, size_convention="cut off")
    assert {cut_off.size((5, 8), rng=rng(seed))[0] for seed in range(30)} == set(SEVERAL)


@pytest.mark.parametrize(
    "short", [(), 0, -4, True, 2.0, float("nan"), "600", [640, 800], (640, 0), (640, -1), (640, True), (640, 800.0),
              (640, float("nan")), ("640", "800"), (640, None), ((640, 800),), np.array([640, 800])],
)  # fmt: skip
def test_sizes_that_are_none(short: Any) -> None:
    said = f"Preparation: short must be a positive integer, a tuple of one or more, or None, got {short!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        Preparation(short=short)


def test_sizes_are_integers_of_python_s() -> None:
    """So that they can be saved, and be compared with what comes back."""
    assert Preparation(short=(np.int64(4), 8)) == Preparation(short=(4, 8))  # type: ignore[arg-type]
    assert type(Preparation(short=np.int64(4)).short) is int  # type: ignore[arg-type]


def test_a_seed_is_no_generator() -> None:
    for short in (SEVERAL, 10, None):
        with pytest.raises(TypeError, match=r"^Preparation: rng must be a numpy\.random\.Generator .* got int$"):
            Preparation(short=short)([sample(4, 4)], rng=5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mean": (1.0, 2.0)}, r"mean must be three numbers, one a channel, got \(1\.0, 2\.0\)"),
        ({"mean": 127.5}, r"mean must be a sequence, got 127\.5"),
        ({"mean": (1.0, 2.0, NAN)}, "mean must be a finite number, got nan"),
        ({"mean": "RGB"}, "mean must be a sequence, got 'RGB'"),
        ({"std": (1.0,) * 4}, r"std must be three numbers, one a channel, got \(1\.0, 1\.0, 1\.0, 1\.0\)"),
        ({"std": (1, 0, 1)}, r"std must be positive, got \(1, 0, 1\)"),
        ({"std": (1, -1, 1)}, r"std must be positive, got \(1, -1, 1\)"),
        ({"std": (1, 1, float("inf"))}, "std must be a finite number, got inf"),
        ({"std": (NAN, 1, 1)}, "std must be a finite number, got nan"),
        ({"order": "rgb"}, "order must be one of 'RGB', 'BGR', got 'rgb'"),
        ({"order": None}, "order must be one of 'RGB', 'BGR', got None"),
        ({"long": 0}, "long must be at least 1, got 0"),
        ({"long": -5, "size_convention": "cut off"}, "long must be at least 1, got -5"),
        ({"long": NAN}, "long must be an integer, got nan"),
        ({"long": None}, "long must be an integer, got None"),
        ({"size_convention": "ceil"}, "size_convention must be one of 'rounded', 'cut off', got 'ceil'"),
        ({"divisor": 0}, "divisor must be at least 1, got 0"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^Preparation: {message}$"):
        Preparation(**{"short": 600, **settings})
