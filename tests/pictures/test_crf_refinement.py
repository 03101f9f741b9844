"""What `refdet crf` draws: tints and outlines pixel for pixel, and slides without overlapping text."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from refdet.pictures.crf_refinement import (
    OPACITY,
    UNSURE,
    CrfRefinement,
    best_layout,
    convergence,
    draw_before_after,
    draw_free_energy,
    footer,
    label_palette,
    last_change,
    message,
    outlines,
    overlay,
    progress,
    rises,
)
from refdet.pictures.slide import SMALLEST, empty_slide, settings
from tests.pictures.test_algorithms import texts

PARAMETERS = "smoothness: sxy 3, compat 3 · appearance: sxy 80, srgb 13, compat 10"
DETAILS = ("order xy", "normalisation symmetric", "confidence 0.7", "damping 0", "filter lattice")


def refinement(
    shape: tuple[int, int] = (12, 16), n_labels: int = 2, energies: tuple[float, ...] = (3.5, 2.0), unsure: bool = False
) -> CrfRefinement:
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, n_labels, (2, *shape))
    if unsure:
        before[:, ::2] = UNSURE
    return CrfRefinement(
        rng.integers(0, 256, (*shape, 3), np.uint8),
        before,
        after,
        label_palette(n_labels),
        np.array(energies),
        np.full(len(energies) - 1, 0.5),
        PARAMETERS,
        DETAILS,
    )


class TestPalette:
    def test_voc(self) -> None:
        """The colours of VOC's development kit: background, aeroplane … and the void label 255."""
        palette = label_palette(256)
        known = {0: (0, 0, 0), 1: (128, 0, 0), 7: (128, 128, 128), 8: (64, 0, 0), 15: (192, 128, 128), 20: (0, 64, 128)}
        for label, colour in known.items():
            assert tuple(palette[label]) == colour
        assert tuple(palette[255]) == (224, 224, 192)
        assert len({tuple(colour) for colour in palette}) == 256

    def test_more_than_256(self) -> None:
        palette = label_palette(300)
        assert np.array_equal(palette[256:], palette[:44])

    @pytest.mark.parametrize("n_labels", [2, 7])
    def test_few(self, n_labels: int) -> None:
        assert tuple(label_palette(n_labels)[0]) == (0x00, 0x72, 0xB2)
        assert label_palette(n_labels).shape == (n_labels, 3)

    def test_given_colours_are_kept_if_they_can_be_told_apart(self) -> None:
        given = np.array([[64, 128, 0], [0, 64, 0], [0, 0, 0]], np.uint8)
        assert np.array_equal(label_palette(2, given), given[:2])
        assert np.array_equal(label_palette(3, given), given)
        assert np.array_equal(label_palette(4, given), label_palette(4))  # too few
        greys = np.repeat(np.arange(3, dtype=np.uint8)[:, None], 3, axis=1)
        assert np.array_equal(label_palette(3, greys), label_palette(3))  # nobody can see them


class TestOverlay:
    def test_outlines_by_hand(self) -> None:
        labels = np.array([[0, 0, 1], [0, 0, 1], [2, 2, 2]])
        for reordered in (labels, 2 - labels):
            assert outlines(reordered).astype(int).tolist() == [[0, 1, 0], [1, 1, 1], [0, 0, 0]]

    def test_a_tint_and_a_dark_outline(self) -> None:
        image = np.full((1, 4, 3), 120, np.uint8)
        palette = np.array([[200, 0, 0], [0, 200, 0]], np.uint8)
        made = overlay(image, np.array([[0, 0, 1, 1]]), palette)
        assert OPACITY == 0.55
        assert made.tolist() == [[[164, 54, 54], [49, 16, 16], [54, 164, 54], [54, 164, 54]]]

    def test_stripes_where_unsure(self) -> None:
        image = np.zeros((8, 8, 3), np.uint8)
        made = overlay(image, np.full((8, 8), UNSURE), label_palette(2))
        assert set(made[..., 0].ravel().tolist()) == {70, 140}
        assert np.array_equal(made[..., 0], made[..., 2])

    def test_the_inputs_are_left_alone(self) -> None:
        r = refinement(unsure=True)
        image, before = r.image.copy(), r.before.copy()
        overlay(r.image, r.before, r.palette)
        assert np.array_equal(r.image, image)
        assert np.array_equal(r.before, before)


class TestSentences:
    def test_counts_by_hand(self) -> None:
        r = CrfRefinement(
            np.zeros((1, 5, 3), np.uint8),
            np.array([[0, 0, 1, 1, UNSURE]]),
            np.array([[0, 1, 1, 1, 0]]),
            label_palette(2),
            np.array([1.0]),
            np.array([]),
            "",
        )
        assert (r.n_changed, r.n_unsure) == (1, 1)
        assert (r.counts(r.before).tolist(), r.counts(r.after).tolist()) == ([2, 2], [2, 3])
        assert message(r) == "25 % of the labels change, 20 % of the pixels had none"

    @pytest.mark.parametrize(
        ("energies", "sentence", "rising"),
        [
            ((7.5,), "No iteration: the free energy of the unaries is 7.5", False),
            ((7.5, 7.0), "The free energy falls in 1 iteration", False),
            ((7.5, 7.0, 6.0), "The free energy falls in 2 iterations", False),
            ((7.5, 6.0, 7.0), "The free energy falls in 2 iterations, but not in each", True),
            ((7.5, 6.0, 6.00001), "The free energy falls in 2 iterations", False),  # as float32 rounds
            ((7.5, 8.0), "The free energy rises in 1 iteration", True),
            ((0.0, 0.0), "The free energy stays as it was in 1 iteration", False),
            ((-2.0, -3.0), "The free energy falls in 1 iteration", False),
        ],
    )
    def test_convergence(self, energies: tuple[float, ...], sentence: str, rising: bool) -> None:
        r = refinement(energies=energies)
        assert convergence(r) == sentence
        assert rises(r) == rising

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ((0.01, 0.6989), "0.699 (not converged; more --iterations)"),
            ((0.0501,), "0.0501 (not converged; more --iterations)"),
            ((0.7, 0.05), "0.05"),
            ((0.7, 0.0), "0"),
        ],
    )
    def test_the_last_iteration_says_whether_it_converged(self, changes: tuple[float, ...], sentence: str) -> None:
        r = replace(refinement(), changes=np.array(changes))
        assert last_change(r) == sentence
        plural = "iteration" if len(changes) == 1 else "iterations"
        assert progress(r) == f"{len(changes)} {plural}, last change {sentence}"

    def test_no_iteration_has_no_last_change(self) -> None:
        assert progress(refinement(energies=(1.0,))) == "no iteration"

    @pytest.mark.parametrize("n", [5, 10_000])
    def test_the_footer_of_a_run_that_has_not_converged(self, n: int) -> None:
        """All that the second line must have, with a change of as many digits as there may be."""
        first, second = footer(replace(refinement(), changes=np.full(n, 0.1234)), "Source").split("\n")
        assert first == f"Source · {PARAMETERS}"
        assert second.startswith(f"{n} iterations, last change 0.123 (not converged; more --iterations) · order xy · ")
        assert " · normalisation symmetric · confidence 0.7" in second

    def test_details_that_have_no_room_are_left_out(self) -> None:
        r = replace(refinement(), details=("a" * 30, "b" * 90, "c"))
        assert footer(r, "").endswith(f" · {'a' * 30}")


class TestLayout:
    @pytest.mark.parametrize(
        ("aspect", "is_stacked", "n"),
        [(0.01, False, 3), (0.5, False, 3), (1.0, False, 2), (1.5, False, 2), (3.0, True, 2), (5.0, True, 2),
         (10.0, True, 3), (100.0, True, 3)],
    )  # fmt: skip
    def test_wide_pictures_stand_one_below_the_other(self, aspect: float, is_stacked: bool, n: int) -> None:
        assert best_layout(aspect)[:2] == (is_stacked, n)

    @pytest.mark.parametrize("aspect", [0.5, 1.0, 16 / 9, 2.5, 4.0, 20.0])
    def test_pictures_keep_their_shape_and_fill_the_slide(self, aspect: float) -> None:
        layout = best_layout(aspect)
        assert layout.width * 16 / (layout.height * 9) == pytest.approx(aspect)
        across, down = (1, layout.n) if layout.is_stacked else (layout.n, 1)
        assert max(across * layout.width / 0.84, down * layout.height / 0.6) > 0.9
        assert across * layout.width <= 0.94
        assert down * layout.height <= 0.65


CASES = {
    "usual": refinement((240, 320)),
    "many labels": refinement((120, 160), 300, (9e6, 8.1e6, 8.05e6), unsure=True),
    "portrait": refinement((400, 100), 12, (1e-3, 5e-4)),
    "square": refinement((90, 90)),
    "panorama": refinement((80, 320), 5, unsure=True),
    "strip": refinement((5, 500), 3, unsure=True),
    "needle": refinement((300, 2), 3, unsure=True),
    "one pixel": refinement((1, 1)),
    "no iteration": refinement(energies=(123456.789,)),
    "long": refinement(energies=tuple(np.linspace(1e7, -1e7, 201))),
}


@pytest.mark.parametrize("draw", [draw_before_after, draw_free_energy])
@pytest.mark.parametrize("case", CASES)
def test_slides_can_be_read(draw: Callable[[Figure, CrfRefinement], None], case: str) -> None:
    with settings():
        figure = empty_slide()
        draw(figure, CASES[case])
        figure.draw_without_rendering()
        seen = [
            (text.get_text(), float(text.get_fontsize()), text.get_window_extent())
            for text in texts(figure)
            if text.get_text().strip() and text.get_visible()
        ]
    assert len(seen) >= 5
    for text, size, place in seen:
        assert size >= SMALLEST
        assert 0 <= place.x0 <= place.x1 <= 1920, text
        assert 0 <= place.y0 <= place.y1 <= 1080, text
    for (one, _, a), (other, _, b) in itertools.combinations(seen, 2):
        width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert width <= 1 or height <= 1, f"{one!r} and {other!r}"


@pytest.mark.parametrize(
    ("energies", "first_above", "last_above"),
    [
        ((3.0, 1.0, 0.5), True, False),
        ((0.5, 1.0, 3.0), False, True),
        ((1.0, 3.0, 2.0), False, False),
        ((1.0,), True, True),
    ],
)
def test_numbers_stand_where_the_curve_is_not(energies: tuple[float, ...], first_above: bool, last_above: bool) -> None:
    with settings():
        figure = empty_slide()
        draw_free_energy(figure, refinement(energies=energies))
        figure.draw_without_rendering()
        axes = figure.axes[0]
        for i, above in ((0, first_above), (len(energies) - 1, last_above))[: len(energies)]:
            place, (_, height) = axes.texts[i > 0].get_window_extent(), axes.transData.transform((i, energies[i]))
            assert (place.y0 > height) if above else (place.y1 < height)
