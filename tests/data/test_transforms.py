"""Transforms of pictures and annotation together, and batches of them."""

from __future__ import annotations

import dataclasses
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd.tensor import Tensor, no_grad
from refdet.data.batching import as_batch, batches, prefetch
from refdet.data.lazy_sequence import LazySequence
from refdet.data.sample import Sample, require_usable
from refdet.data.shapes import Scene, Shapes, make_scene, tight_box
from refdet.data.stick_figures import SWAPPED, StickFigures, make_figure
from refdet.data.transforms import (
    FAST_RCNN_MEAN_BGR,
    mirror,
    network_input,
    photometric,
    random_mirror,
    recoloured,
    resize,
    resize_short_side,
    resized_size,
)


def sample_of_scene(number: int = 0) -> Scene:
    return make_scene(5, number)


def sample_of_figure() -> Sample:
    return make_figure(5, 1)


def assert_same(a: Sample, b: Sample) -> None:
    for field in ("image", "boxes", "classes", "difficult", "masks", "label_map", "joints", "joints_visible", "areas"):
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field), err_msg=field)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((375, 500), (600, 800)),
        ((500, 375), (800, 600)),
        ((300, 500), (600, 1000)),
        ((200, 500), (400, 1000)),
        ((600, 600), (600, 600)),
        ((1, 5000), (1, 1000)),
        ((7, 8), (600, 686)),  # 685.7
        ((160, 161), (600, 604)),  # 603.75
        ((16, 17), (600, 638)),  # 637.5
        ((1200, 1999), (600, 1000)),  # 999.5, which is 1000, and does not exceed it
        ((1200, 2001), (600, 1000)),  # 1000.5 is 1001: the long side decides, 599.7
    ],
)
def test_the_short_side_under_a_limit_for_the_long_one(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert resized_size(size) == expected


def test_resized_twice_as_large() -> None:
    sample = sample_of_scene()
    larger = resize_short_side(sample, short=256, long=1000)
    assert larger.size == (256, 256)
    np.testing.assert_array_equal(larger.boxes, 2 * sample.boxes)
    assert larger.masks is not None
    assert sample.masks is not None
    np.testing.assert_array_equal(larger.masks, sample.masks.repeat(2, axis=1).repeat(2, axis=2))
    for mask, box in zip(larger.masks, larger.boxes, strict=True):
        assert tight_box(mask) == tuple(box)
    assert larger.image.dtype == np.float32
    # half-pixel centres: new pixel 1 lies a quarter of the way from old pixel 0 to old pixel 1
    old = sample.image.astype(np.float32)
    expected = 0.75 * (0.75 * old[0, 0] + 0.25 * old[0, 1]) + 0.25 * (0.75 * old[1, 0] + 0.25 * old[1, 1])
    np.testing.assert_allclose(larger.image[1, 1], expected, rtol=1e-6)


def test_joints_are_resized_with_the_picture() -> None:
    sample = sample_of_figure()
    wider = resize(sample, (64, 256))
    assert sample.joints is not None
    assert wider.joints is not None
    np.testing.assert_allclose(wider.joints, sample.joints * np.array([2, 0.5]), rtol=1e-6)


def test_areas_are_resized_with_the_picture() -> None:
    """16 × 10 become 8 × 30: half as wide and three times as high, 12 pixels become 18."""
    image, one = np.zeros((10, 16, 3), np.uint8), np.ones(2, np.int64)
    boxes, areas = np.array([[0, 0, 4, 4], [2, 2, 3, 3]], np.float32), np.array([12.0, 0.5])
    sample = Sample("a", image, boxes, one, one == 0, areas=areas)
    changed = resize(sample, (30, 8)).areas
    assert changed is not None
    assert changed.tolist() == [18, 0.75]
    for same in (mirror(sample), photometric(sample, np.random.default_rng(0)), resize(sample, sample.size)):
        assert same.areas is not None
        assert same.areas.tolist() == [12, 0.5]
    assert resize(sample_of_scene(), (30, 8)).areas is None


def test_the_border_stays_the_border() -> None:
    """In float32, 53 · (15/53) is not 15."""
    image, one = np.zeros((53, 53, 3), np.uint8), np.ones(1, np.int64)
    box = np.array([[0, 0, 53, 53]], np.float32)
    for side in range(1, 200):
        resized = resize(Sample("a", image, box, one, one == 0, joints=box.reshape(1, 2, 2)), (side, side))
        assert resized.joints is not None
        assert resized.boxes[0, 2] == resized.joints[0, 1, 0] == side
        assert resized.boxes.dtype == np.float32


@pytest.mark.parametrize(("old", "new"), [(5, 5), (5, 10), (6, 3), (7, 5), (1, 4), (4, 1)])
def test_masks_take_the_pixel_that_their_centre_lies_in(old: int, new: int) -> None:
    labels = np.arange(old * old).reshape(old, old)
    none = np.zeros(0)
    image = np.zeros((old, old, 3), np.uint8)
    sample = Sample("a", image, none.reshape(0, 4), none.astype(int), none > 0, label_map=labels)
    pixels = [math.floor(Fraction((2 * i + 1) * old, 2 * new)) for i in range(new)]
    np.testing.assert_array_equal(resize(sample, (new, new)).label_map, labels[np.ix_(pixels, pixels)])


@pytest.mark.oracle
def test_resizing_agrees_with_opencv() -> None:
    cv2 = pytest.importorskip("cv2", reason="opencv is not installed")
    sample = sample_of_scene()
    expected = cv2.resize(sample.image.astype(np.float32), (201, 77), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(resize(sample, (77, 201)).image, expected, atol=0.05)


@given(st.integers(0, 20))
def test_mirrored_twice_is_the_same(number: int) -> None:
    sample = sample_of_scene(number)
    once = mirror(sample)
    assert_same(mirror(once), sample)
    assert once.masks is not None
    for mask, box in zip(once.masks, once.boxes, strict=True):
        assert tight_box(mask) == tuple(box)


def test_left_joints_become_right_ones() -> None:
    sample = sample_of_figure()
    once = mirror(sample, swapped=SWAPPED)
    assert sample.joints is not None
    assert once.joints is not None
    np.testing.assert_allclose(once.joints[0, 0], [128 - sample.joints[0, 1, 0], sample.joints[0, 1, 1]])
    np.testing.assert_allclose(once.joints[0, 13], [128 - sample.joints[0, 13, 0], sample.joints[0, 13, 1]])
    again = mirror(once, swapped=SWAPPED)
    assert again.joints is not None
    np.testing.assert_allclose(again.joints, sample.joints, atol=1e-4)
    np.testing.assert_array_equal(again.joints_visible, sample.joints_visible)


def test_mirrored_half_of_the_time() -> None:
    sample, rng = sample_of_scene(), np.random.default_rng(0)
    mirrored = [random_mirror(sample, rng) is not sample for _ in range(200)]
    assert 70 < sum(mirrored) < 130


def test_photometric() -> None:
    sample = sample_of_scene()
    grey = np.full((2, 2, 3), 100.0, np.float32)
    plain = Sample("grey", grey, sample.boxes[:0], sample.classes[:0], sample.difficult[:0])
    for seed in range(20):
        changed = photometric(plain, np.random.default_rng(seed)).image
        assert np.ptp(changed) < 1e-3  # grey stays grey, whatever its luma
        assert 34 - 1e-3 <= changed.min() <= changed.max() <= 198 + 1e-3  # (100 ∓ 32) · (1 ∓ ½)
        coloured = photometric(sample, np.random.default_rng(seed))
        assert 0 <= coloured.image.min() <= coloured.image.max() <= 255
        np.testing.assert_array_equal(coloured.boxes, sample.boxes)
    assert_same(photometric(sample, np.random.default_rng(0), probability=0), sample)
    first, second = (photometric(sample, np.random.default_rng(3)).image for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_recoloured() -> None:
    sample = sample_of_scene()
    image = sample.image.copy()
    possible = [
        [255 - image[:, :, c] if inverted else image[:, :, c] for c, inverted in zip(order, which, strict=True)]
        for order in itertools.permutations(range(3))
        for which in itertools.product((False, True), repeat=3)
    ]
    drawn = set()
    for seed in range(400):
        changed = recoloured(sample, np.random.default_rng(seed))
        assert changed.image.dtype == np.uint8
        drawn |= {i for i, channels in enumerate(possible) if np.array_equal(changed.image, np.stack(channels, axis=2))}
        assert_same(dataclasses.replace(changed, image=image), sample)
    assert len(drawn) == len(possible) == 48
    np.testing.assert_array_equal(sample.image, image)


def test_the_input_of_caffe() -> None:
    image = np.array([[[255, 128, 0]]], np.uint8)  # red 255, green 128, blue 0
    expected = np.array([0 - 102.9801, 128 - 115.9465, 255 - 122.7717], np.float32)
    np.testing.assert_allclose(network_input(image, mean=FAST_RCNN_MEAN_BGR, order="BGR").ravel(), expected, rtol=1e-6)


def test_a_batch_is_padded_with_the_mean() -> None:
    small, large = sample_of_scene(), resize(sample_of_scene(1), (100, 150))
    batch = as_batch([small, large], mean=(1, 2, 3), divisor=32)
    assert batch.images.shape == (2, 3, 128, 160)
    np.testing.assert_array_equal(batch.sizes, [[128, 128], [100, 150]])
    np.testing.assert_array_equal(batch.images[0, 1, :, :128], small.image[:, :, 1].astype(np.float32) - 2)
    assert not batch.images[0, :, :, 128:].any()
    assert not batch.images[1, :, 100:].any()


def test_an_epoch() -> None:
    samples = [sample_of_scene(i) for i in range(7)]

    def names(seed: int, **options: Any) -> list[list[str]]:
        rng = np.random.default_rng(seed)
        return [[s.name for s in b.samples] for b in batches(samples, batch_size=3, rng=rng, mean=(0, 0, 0), **options)]

    assert [len(batch) for batch in names(0)] == [3, 3, 1]
    assert [len(batch) for batch in names(0, drop_last=True)] == [3, 3]
    assert sorted(itertools.chain.from_iterable(names(0))) == sorted(s.name for s in samples)
    assert names(0) == names(0) != names(1)
    turned = next(batches(samples, batch_size=7, rng=np.random.default_rng(1), mean=(0, 0, 0), transform=random_mirror))
    by_name = {s.name: s for s in samples}
    assert any((s.boxes != by_name[s.name].boxes).any() for s in turned.samples)


def test_an_epoch_of_the_synthetic_sets() -> None:
    """As they are, through transforms, batches and the thread."""

    def transform(sample: Sample, rng: np.random.Generator) -> Sample:
        swapped = None if sample.joints is None else SWAPPED
        return resize_short_side(photometric(random_mirror(sample, rng, swapped=swapped), rng), short=48)

    for samples in (Shapes(5, seed=0, size=(64, 80)), StickFigures(5, seed=0, size=(64, 80))):
        rng = np.random.default_rng(2)
        epoch = batches(samples, batch_size=2, rng=rng, mean=(1, 2, 3), transform=transform)
        made = list(prefetch(epoch))
        assert [batch.images.shape for batch in made] == [(2, 3, 48, 60), (2, 3, 48, 60), (1, 3, 48, 60)]
        assert sorted(s.name for batch in made for s in batch.samples) == [s.name for s in samples]


def test_samples_and_batches_are_themselves() -> None:
    """Which arrays are equal is for those to say who compare them."""
    for one, other in (
        (sample_of_scene(), sample_of_scene()),
        (sample_of_figure(), sample_of_figure()),
        (as_batch([sample_of_scene()], mean=(0, 0, 0)), as_batch([sample_of_scene()], mean=(0, 0, 0))),
    ):
        assert one != other
        assert one in [other, one]
        assert len({one, other}) == 2


def test_a_batch_makes_each_item_once() -> None:
    made: list[int] = []

    class Counted(LazySequence[Sample]):
        def _item(self, i: int) -> Sample:
            made.append(i)
            return sample_of_scene(i)

    as_batch(Counted(3), mean=(0, 0, 0))
    assert made == [0, 1, 2]


@pytest.mark.parametrize("number", range(5))
def test_a_transformed_scene_is_a_scene_whose_masks_and_label_map_agree(number: int) -> None:
    scene, rng = sample_of_scene(number), np.random.default_rng(0)
    for changed in (
        mirror(scene),
        resize(scene, (77, 201)),
        resize_short_side(scene, short=50),
        random_mirror(scene, rng, probability=1),
        photometric(scene, rng),
        recoloured(scene, rng),
    ):
        assert type(changed) is Scene
        assert changed.name == scene.name
        np.testing.assert_array_equal(changed.visible, scene.visible)
        painted = np.zeros(changed.size, np.int64)
        for mask, label in zip(changed.masks, changed.classes, strict=True):
            painted[mask] = label
        np.testing.assert_array_equal(changed.label_map, painted)


def test_prefetching_works_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(10):
            made.append(i)
            yield i

    ahead = prefetch(items(), ahead=3)
    assert next(ahead) == 0
    deadline = time.monotonic() + 5
    while len(made) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(made) == 5  # one given, three waiting, one in the thread's hands
    assert list(ahead) == list(range(1, 10))


def test_an_error_arrives_where_the_item_is_asked_for() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("b.jpg is broken")

    ahead = prefetch(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match=r"b\.jpg is broken"):
        next(ahead)


def test_an_interrupt_in_the_thread_arrives_too() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(prefetch(items()))
    assert threads() == 0


def test_the_thread_works_in_the_context_of_the_loop() -> None:
    leaf = Tensor(np.ones(1), requires_grad=True)

    def is_recorded() -> list[bool]:
        return list(prefetch((leaf * 2.0).requires_grad for _ in range(3)))

    with no_grad():
        assert is_recorded() == [False] * 3
    assert is_recorded() == [True] * 3


def threads() -> int:
    return sum(t.name == "refdet prefetch" for t in threading.enumerate())


def test_the_thread_ends_when_the_loop_is_left() -> None:
    unused = prefetch(iter(range(1000)))
    assert threads() == 0  # it begins with the first item
    del unused
    ahead = prefetch(iter(range(1000)))
    next(ahead)
    assert threads() == 1
    ahead.close()  # type: ignore[attr-defined]
    assert threads() == 0


def test_bad_input() -> None:
    sample = sample_of_scene()
    with pytest.raises(
        ValueError, match=r"mirror: stick figures 5/1 has 14 joints, so that swapped must be an order of 0 … 13"
    ):
        mirror(sample_of_figure())
    with pytest.raises(ValueError, match="so that swapped must be an order of 0 … 13 that undoes itself"):
        mirror(sample_of_figure(), swapped=(1, 2, 0, *range(3, 14)))
    for swapped in (5, "01", [[1, 2], [3]], [0.0, *range(1, 14)], np.eye(14), np.array(3)):
        with pytest.raises(ValueError, match="so that swapped must be an order of 0 … 13 that undoes itself, got "):
            mirror(sample_of_figure(), swapped=swapped)  # type: ignore[arg-type]
    for size in ((0, 5), (5, 0)):
        empty = Sample("a", np.zeros((*size, 3), np.uint8), sample.boxes[:0], sample.classes[:0], sample.difficult[:0])
        with pytest.raises(ValueError, match=f"resize: a must have a pixel, got a picture of {size[0]} × {size[1]}"):
            resize(empty, (4, 4))
    with pytest.raises(TypeError, match="sample 'a': classes must be an array, got NoneType"):
        Sample("a", sample.image, sample.boxes, None, sample.difficult)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="sample 'a': classes must hold integers or unsigned integers, got float64"):
        Sample("a", sample.image, sample.boxes, sample.classes * 1.0, sample.difficult)
    with pytest.raises(ValueError, match=r"network_input: image must have shape \(4, 4, 3\)"):
        network_input(np.zeros((4, 4, 4), np.uint8), mean=(0, 0, 0), order="RGB")
    with pytest.raises(ValueError, match="network_input: mean must be a finite number, got nan"):
        network_input(sample.image, mean=(0, 0, np.nan), order="RGB")
    with pytest.raises(ValueError, match="resized_size: short must be at least 1, got 0"):
        resized_size((3, 4), short=0)
    with pytest.raises(ValueError, match="prefetch: ahead must be at least 1, got 0"):
        next(prefetch([1], ahead=0))
    with pytest.raises(ValueError, match="sample 'a': boxes must have shape"):
        Sample("a", sample.image, sample.boxes[:, :3], sample.classes, sample.difficult)
    with pytest.raises(ValueError, match="sample 'a': classes must have shape"):
        Sample("a", sample.image, sample.boxes, sample.classes[:-1], sample.difficult)
    with pytest.raises(ValueError, match="sample 'a': areas must have shape"):
        Sample("a", sample.image, sample.boxes, sample.classes, sample.difficult, areas=np.zeros(0))
    with pytest.raises(ValueError, match="sample 'a': image must have shape"):
        Sample("a", sample.image[:, :, 0], sample.boxes, sample.classes, sample.difficult)
    with pytest.raises(TypeError, match="sample 'a': image must be an array, got list"):
        Sample("a", [[1]], sample.boxes, sample.classes, sample.difficult)  # type: ignore[arg-type]
    broken = sample.boxes.copy()
    broken[-1, 2] = np.nan
    with pytest.raises(ValueError, match=rf"a: object {len(broken) - 1} must have a finite box of positive area"):
        require_usable(Sample("a", sample.image, broken, sample.classes, sample.difficult))
    with pytest.raises(ValueError, match="order must be one of 'RGB', 'BGR', got 'rgb'"):
        network_input(sample.image, mean=(0, 0, 0), order="rgb")
    with pytest.raises(ValueError, match="mean must have 3 numbers"):
        network_input(sample.image, mean=(0,), order="RGB")
    with pytest.raises(TypeError, match="network_input: mean must be a sequence, got 0"):
        network_input(sample.image, mean=0, order="RGB")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="network_input: mean must have 3 numbers"):
        network_input(sample.image, mean=[[1, 2], [3]], order="RGB")  # type: ignore[list-item]
    with pytest.raises(ValueError, match="there must be at least one sample"):
        as_batch([], mean=(0, 0, 0))
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        next(batches([sample], batch_size=0, rng=np.random.default_rng(0), mean=(0, 0, 0)))
    for not_a_generator in (0, None):
        got = f"rng must be a numpy.random.Generator such as .*, got {type(not_a_generator).__name__}"
        with pytest.raises(TypeError, match=f"batches: {got}"):
            next(batches([sample], batch_size=1, rng=not_a_generator, mean=(0, 0, 0)))  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=f"random_mirror: {got}"):
            random_mirror(sample, not_a_generator)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=f"photometric: {got}"):
            photometric(sample, not_a_generator)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=f"recoloured: {got}"):
            recoloured(sample, not_a_generator)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"probability must lie in \[0, 1\], got 2"):
        random_mirror(sample, np.random.default_rng(0), probability=2)


def test_what_is_no_sample() -> None:
    rng, wrong = np.random.default_rng(0), cast(Any, np.zeros((8, 8, 3), np.uint8))
    calls: dict[str, Callable[[], object]] = {
        "resize": lambda: resize(wrong, (4, 4)),
        "resize_short_side": lambda: resize_short_side(wrong),
        "mirror": lambda: mirror(wrong),
        "random_mirror": lambda: random_mirror(wrong, rng),
        "photometric": lambda: photometric(wrong, rng),
        "recoloured": lambda: recoloured(wrong, rng),
    }
    for name, call in calls.items():
        with pytest.raises(TypeError, match=f"^{name}: sample must be a Sample, got ndarray"):
            call()
    with pytest.raises(TypeError, match=r"^as_batch: item 1 of samples must be a Sample, got ndarray"):
        as_batch([sample_of_scene(), wrong], mean=(0, 0, 0))
    options: dict[str, Any] = {"batch_size": 1, "rng": rng, "mean": (0, 0, 0)}
    with pytest.raises(TypeError, match=r"^batches: item 0 of samples must be a Sample, got ndarray"):
        next(batches([wrong], transform=random_mirror, **options))
    with pytest.raises(TypeError, match=r"^batches: what transform returns for item 0 must be a Sample, got NoneType"):
        next(batches([sample_of_scene()], transform=lambda sample, rng: cast(Any, None), **options))
