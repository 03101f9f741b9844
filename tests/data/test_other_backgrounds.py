"""Objects on other backgrounds: pixel by pixel from the definition, and what must stay as it is."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import numpy as np
import pytest

from refdet.data.other_backgrounds import exchange_backgrounds, on_background_of
from refdet.data.sample import Sample
from refdet.data.shapes import Scene, make_scene
from refdet.data.stick_figures import make_figure

FIGURES = [make_figure(3, number, size=(40, 48)) for number in range(5)]


def lent(other: Sample, row: int, column: int, pixels: Any) -> list[int]:
    """Return a pixel of the background of `other`: its own, or where an object is, that of the mirror image."""
    assert other.masks is not None
    if any(mask[row, column] for mask in other.masks):
        column = other.size[1] - 1 - column
    pixel: list[int] = np.asarray(pixels[row, column]).tolist()
    return pixel


@pytest.mark.parametrize(
    ("sample", "other"), [(FIGURES[0], FIGURES[1]), (make_scene(4, 0, size=(40, 48)), make_scene(4, 1, size=(40, 48)))]
)
def test_every_pixel_is_of_an_object_or_of_the_other_background(sample: Sample, other: Sample) -> None:
    found, n = on_background_of(sample, other), Counter[bool]()
    assert sample.masks is not None
    for row, column in np.ndindex(sample.size):
        is_object = any(mask[row, column] for mask in sample.masks)
        n[is_object] += 1
        for was, given, now in (
            (sample.image, other.image, found.image),
            (sample.label_map, other.label_map, found.label_map),
        ):
            if was is not None:
                assert now is not None
                own = np.asarray(was[row, column]).tolist()
                assert np.asarray(now[row, column]).tolist() == (own if is_object else lent(other, row, column, given))
    assert min(n[True], n[False]) > 100
    assert found.image.dtype == np.uint8


def test_all_but_the_pixels_stays() -> None:
    figure = FIGURES[0]
    before = figure.image.copy(), FIGURES[1].image.copy()
    found = on_background_of(figure, FIGURES[1])
    for field in dataclasses.fields(Sample):
        if field.name != "image":
            assert getattr(found, field.name) is getattr(figure, field.name), field.name
    assert isinstance(on_background_of(make_scene(0, 0), make_scene(0, 1)), Scene)
    np.testing.assert_array_equal(figure.image, before[0])
    np.testing.assert_array_equal(FIGURES[1].image, before[1])


def test_a_picture_without_objects_is_a_background_as_it_is() -> None:
    empty = np.zeros(0, np.int64)
    plain = Sample("plain", FIGURES[1].image, np.zeros((0, 4), np.float32), empty, empty == 0)
    found, mask = on_background_of(FIGURES[0], plain), FIGURES[0].masks
    assert mask is not None
    np.testing.assert_array_equal(found.image[~mask[0]], plain.image[~mask[0]])
    np.testing.assert_array_equal(on_background_of(plain, plain).image, plain.image)


def test_what_cannot_be_exchanged_stays_as_it_is() -> None:
    figure, mask = FIGURES[0], FIGURES[0].masks
    assert mask is not None
    unknown = dataclasses.replace(figure, masks=None)
    unseen = dataclasses.replace(figure, masks=np.zeros_like(mask))
    labelled = dataclasses.replace(figure, label_map=np.zeros(figure.size, np.uint8))
    for other in (unknown, unseen, labelled, make_figure(3, 0, size=(48, 40))):
        assert on_background_of(FIGURES[1], other) is FIGURES[1]
        assert on_background_of(other, FIGURES[1]) is other


def test_each_other_picture_of_the_batch_is_as_likely() -> None:
    """Of 5 pictures each has a twentieth of the pairs; 0.3 of all are exchanged."""
    of_object, rng, pairs, n = FIGURES[0].masks, np.random.default_rng(0), Counter[tuple[int, int]](), 2000
    assert of_object is not None
    corner = [
        dataclasses.replace(s, image=np.full((40, 48, 3), i, np.uint8), masks=of_object) for i, s in enumerate(FIGURES)
    ]
    for _ in range(n):
        for i, found in enumerate(exchange_backgrounds(corner, rng, probability=0.3)):
            assert set(found.image[of_object[0]].ravel().tolist()) == {i}
            pairs[i, int(found.image[~of_object[0]][0, 0])] += 1
    exchanged = {pair: count for pair, count in pairs.items() if pair[0] != pair[1]}
    assert len(exchanged) == 20
    assert all(abs(count - 0.3 * n / 4) < 5 * np.sqrt(0.3 * n / 4) for count in exchanged.values())


def test_never_always_and_alone() -> None:
    rng = np.random.default_rng(1)
    assert all(a is b for a, b in zip(exchange_backgrounds(FIGURES, rng, probability=0), FIGURES, strict=True))
    assert all(
        not np.array_equal(a.image, b.image)
        for a, b in zip(exchange_backgrounds(FIGURES, rng, probability=1), FIGURES, strict=True)
    )
    assert exchange_backgrounds(FIGURES[:1], rng, probability=1) == FIGURES[:1]
    assert exchange_backgrounds([], rng) == []


def test_the_same_draws_give_the_same_pictures() -> None:
    first, second = (exchange_backgrounds(FIGURES, np.random.default_rng(7)) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.image, b.image)


def test_refuses() -> None:
    wrong: Any = FIGURES[0].image
    with pytest.raises(TypeError, match="on_background_of: sample must be a Sample, got ndarray"):
        on_background_of(wrong, FIGURES[0])
    with pytest.raises(TypeError, match="on_background_of: other must be a Sample, got ndarray"):
        on_background_of(FIGURES[0], wrong)
    with pytest.raises(TypeError, match="exchange_backgrounds: item 1 of samples must be a Sample, got ndarray"):
        exchange_backgrounds([FIGURES[0], wrong], np.random.default_rng(0))
    with pytest.raises(TypeError, match="exchange_backgrounds: rng must be a"):
        exchange_backgrounds(FIGURES, 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"exchange_backgrounds: probability must lie in \[0, 1\], got 2"):
        exchange_backgrounds(FIGURES, np.random.default_rng(0), probability=2)
