"""What the slide of the permutohedral lattice says is what the filter does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refdet.crf.lattice import Lattice, permutohedral_filter
from refdet.crf.lattice_embed import lattice_embed
from refdet.pictures import permutohedral as picture
from refdet.pictures.slide import empty_slide, settings


def test_vertices_lie_where_all_weight_is_on_themselves() -> None:
    vertices, _ = picture.full_lattice()
    weights, keys = lattice_embed(picture.places_of(vertices))
    nearest = weights.data.argmax(axis=1)
    assert weights.data.max(axis=1) == pytest.approx(1, abs=1e-12)
    assert np.array_equal(keys[np.arange(len(keys)), nearest], vertices)


def test_neighbours_are_one_standard_deviation_apart() -> None:
    vertices, neighbours = picture.full_lattice()
    places = picture.places_of(vertices)
    for ahead, _ in neighbours:
        there = np.flatnonzero(ahead >= 0)
        assert np.hypot(*(places[ahead[there]] - places[there]).T) == pytest.approx(1)


def test_the_corners_surround_the_point() -> None:
    found = picture.corners()
    assert np.array(found.weights) @ found.places == pytest.approx(picture.POINT)
    assert [key[0] % 3 for key in found.keys] == [0, 1, 2]
    assert [key[1] % 3 for key in found.keys] == [0, 1, 2]
    shown = [f"{weight:.2f}" for weight in found.weights]
    assert sum(map(float, shown)) == pytest.approx(1)  # the rounded weights add up, too
    assert min(found.weights) > 0.1


def test_one_axis_by_hand() -> None:
    kernel = picture.blurred(1)
    assert sorted(kernel.values[kernel.support]) == [0.5, 0.5, 1]


def test_two_axes_by_hand() -> None:
    """(1 + ½ (a + 1/a)) (1 + ½ (b + 1/b)): nine terms."""
    kernel = picture.blurred(2)
    assert sorted(kernel.values[kernel.support]) == [0.25] * 4 + [0.5] * 4 + [1]


def test_the_composed_kernel() -> None:
    kernel, d = picture.blurred(3), picture.D
    assert (kernel.centre, len(kernel.support), kernel.values.sum()) == (1 + 2**-d, 3**3 - 2**3, 2 ** (d + 1))
    assert sorted(kernel.values[kernel.support]) == [0.125] * 6 + [0.25] * 6 + [0.75] * 6 + [1.25]


def surroundings() -> np.ndarray:
    """Return points on all vertices, so that the lattice around the middle has no holes."""
    return picture.places_of(picture.full_lattice()[0])


def test_the_responses_are_those_of_the_filter() -> None:
    """A 1 on the vertex at the origin, filtered as a user would."""
    places = surroundings()
    values = (np.hypot(*places.T) < 1e-9).astype(float)[:, None]
    filtered = permutohedral_filter(values, places).data[:, 0]
    assert [r for r, _ in picture.responses()] == pytest.approx([0, 1, math.sqrt(3), 2])
    for r, response in picture.responses():
        at_r = np.abs(np.hypot(*places.T) - r) < 1e-6
        assert filtered[at_r].max() == pytest.approx(response)


def test_what_the_point_receives_of_its_own_1() -> None:
    """α (1.25 Σ b² + 0.75 Σ b b' over two different corners), which is what the filter returns to it."""
    points = np.concatenate([[picture.POINT], surroundings()])
    values = np.zeros((len(points), 1))
    values[0] = 1
    b = np.array(picture.corners().weights)
    expected = 0.8 * (1.25 * b @ b + 0.75 * (1 - b @ b))
    assert picture.own_response() == pytest.approx(expected)
    assert Lattice(points).filter(values).data[0, 0] == pytest.approx(expected)


def test_the_numbers_are_on_the_slide() -> None:
    with settings():
        figure = empty_slide()
        picture.draw_permutohedral(figure)
    written = [text.get_text() for axes in figure.axes for text in axes.texts] + [t.get_text() for t in figure.texts]
    for key, weight in zip(("(0, 0)", "(1, −2)", "(2, −1)"), picture.corners().weights, strict=True):
        assert f"key {key}\nweight {weight:.2f}" in written
    values = {"½": 6, "¼": 10, "1¼": 1, "¾": 6, "⅛": 6}  # after one, two and three axes together
    assert {value: written.count(value) for value in values} == values
    assert picture.eighths(1) == "1"
    known = next(text for text in written if text.startswith("centre"))
    assert known.split("     ") == ["centre 1 + 2⁻ᵈ = 1.25", "support 3ᵈ⁺¹ − 2ᵈ⁺¹ = 19", "total 2ᵈ⁺¹ = 8"]
    assert {"0.60", "0.20", "0.10", "0.61", "0.22", "0.14"} <= set(written)  # of the filter, and of the Gaussian
