"""Samples with proposals: searched for once, moved along by transforms, written to a file and read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.data.lazy_sequence import LazySequence
from refdet.data.sample import Sample
from refdet.data.transforms import mirror
from refdet.detection.with_proposals import SMALL_PICTURES, SelectiveSearch, WithProposals, proposals_of
from refdet.nn.checkpoint import CheckpointError
from refdet.proposals import Strategies, selective_search
from tests.detection.coloured_squares import coloured_square, without_objects

SAMPLES = [coloured_square(i) for i in range(3)]


class Corner:
    """Proposes the upper left n × n pixels, n the value of the first pixel, or nothing where that is even; counts."""

    def __init__(self) -> None:
        self.n_calls = 0

    def __repr__(self) -> str:
        return "Corner()"

    def __call__(self, image: Array) -> Array:
        self.n_calls += 1
        n = float(image[0, 0, 0])
        return np.array([[0, 0, n, n]] if n % 2 else np.zeros((0, 4)))


def corner(image: Array) -> Array:
    return np.array([[0.0, 0.0, 1.0, 1.0]])


def test_each_picture_is_searched_once_and_nothing_else_is_among_the_proposals() -> None:
    propose = Corner()
    samples = WithProposals(SAMPLES, propose)
    assert propose.n_calls == 0
    for _ in range(2):
        for sample, given in zip(samples, SAMPLES, strict=True):
            n = int(given.image[0, 0, 0])
            expected = [[0, 0, n, n]] if n % 2 else np.zeros((0, 4))
            np.testing.assert_array_equal(proposals_of(sample), expected)
            np.testing.assert_array_equal(sample.boxes, given.boxes)
            assert sample.name == given.name
            assert proposals_of(sample).dtype == np.float32
    assert propose.n_calls == samples.n_found == 3


def test_a_mirror_moves_them() -> None:
    sample = mirror(WithProposals(SAMPLES, corner)[0])
    np.testing.assert_array_equal(proposals_of(sample), [[31, 0, 32, 1]])


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_file_gives_the_same_without_searching(tmp_path: Path, suffix: str) -> None:
    path, first, second = tmp_path / f"proposals{suffix}", Corner(), Corner()
    written = WithProposals(SAMPLES, first, path=path)
    proposals = proposals_of(written[1])
    assert not path.exists()
    written.save()
    assert first.n_calls == 3
    read = WithProposals(SAMPLES, second, path=path)
    assert read.n_found == 3
    for a, b in zip(written, read, strict=True):
        np.testing.assert_array_equal(proposals_of(a), proposals_of(b))
    np.testing.assert_array_equal(proposals_of(read[1]), proposals)
    assert second.n_calls == 0


def test_an_interrupted_search_goes_on(tmp_path: Path) -> None:
    """Ctrl-C in the third picture: the two before it, of which one has no proposals, are not searched again."""
    path, told, again = tmp_path / "proposals.npz", list[int](), Corner()

    def interrupt(n: int) -> None:
        told.append(n)
        if n == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        WithProposals(SAMPLES, Corner(), path=path).save(on_found=interrupt)
    assert told == [1, 2]
    half = WithProposals(SAMPLES, again, path=path)
    assert half.n_found == 2
    half.save(on_found=told.append)
    assert (told, again.n_calls) == ([1, 2, 3], 1)
    whole = WithProposals(SAMPLES, again, path=path)
    for sample, expected in zip(whole, WithProposals(SAMPLES, Corner()), strict=True):
        np.testing.assert_array_equal(proposals_of(sample), proposals_of(expected))
    assert again.n_calls == 1


@pytest.mark.parametrize(("writing", "in_file"), [(0.0, [0, 0, 0, 4, 4, 4, 7, 7]), (8.0, [0, 0, 0, 4, 4, 4, 4, 8])])
def test_what_was_found_is_written_every_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writing: float, in_file: list[int]
) -> None:
    """25 s a picture: after 75 s the first four are there, and 60 s later, or 80 s where writing took 8 s, the next."""
    path, now, seen = tmp_path / "proposals.npz", 0.0, list[int]()
    samples = [coloured_square(i) for i in range(8)]
    write = WithProposals._write

    def slowly(self: WithProposals, *arguments: Any) -> None:
        nonlocal now
        now += writing
        write(self, *arguments)

    def kill(n: int) -> None:
        """Look at what would be left if the program were killed now."""
        nonlocal now
        now += 25
        seen.append(WithProposals(samples, Corner(), path=path).n_found if path.exists() else 0)

    monkeypatch.setattr(WithProposals, "_write", slowly)
    WithProposals(samples, Corner(), path=path).save(on_found=kill, every=60, clock=lambda: now)
    assert seen == in_file
    assert WithProposals(samples, Corner(), path=path).n_found == 8


def test_a_picture_that_cannot_be_read_costs_nothing_that_was_found(tmp_path: Path) -> None:
    """In the middle what was found before it is kept; the last one, whose name is in the file, is looked at first."""

    class Pictures(LazySequence[Sample]):
        def __init__(self, broken: int) -> None:
            super().__init__(3)
            self.broken = broken

        def _item(self, i: int) -> Sample:
            if i == self.broken:
                raise ValueError(f"picture {i} is broken")
            return SAMPLES[i]

    path, propose = tmp_path / "proposals.npz", Corner()
    with pytest.raises(ValueError, match="picture 1 is broken"):
        WithProposals(Pictures(1), propose, path=path).save()
    assert WithProposals(SAMPLES, Corner(), path=path).n_found == propose.n_calls == 1
    with pytest.raises(ValueError, match="picture 2 is broken"):
        WithProposals(Pictures(2), propose, path=tmp_path / "other.npz").save()
    assert propose.n_calls == 1


def test_a_file_of_other_proposals_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "proposals.npz"
    WithProposals(SAMPLES, corner, path=path).save()
    with pytest.raises(CheckpointError, match=r"its propose must be 'Corner\(\)', and is 'corner'; remove it"):
        WithProposals(SAMPLES, Corner(), path=path)
    with pytest.raises(CheckpointError, match="its n_pictures must be 2, and is 3"):
        WithProposals(SAMPLES[:2], corner, path=path)
    with pytest.raises(CheckpointError, match="its first and last must be"):
        WithProposals(SAMPLES[::-1], corner, path=path)


def test_nothing_to_write() -> None:
    with pytest.raises(ValueError, match="no file was named"):
        WithProposals(SAMPLES, corner).save()
    with pytest.raises(ValueError, match=r"proposals of square 0 must have shape \(1, 4\)"):
        WithProposals(SAMPLES, lambda image: np.zeros((1, 5)))[0]


def test_no_pictures(tmp_path: Path) -> None:
    path = tmp_path / "none.npz"
    WithProposals([], corner, path=path).save()
    assert len(WithProposals([], corner, path=path)) == 0


def test_selective_search_is_the_function_with_its_settings() -> None:
    """A picture of floats in 0 … 255 is rounded half up; the order is the hierarchy's; `n` cuts it."""
    strategies = Strategies(("intensity",), ((1.0, 1.0, 1.0, 1.0),), (20,))
    search = SelectiveSearch(strategies, width=None, min_side=4.0, n=5)
    image = SAMPLES[0].image
    expected = selective_search(image, rng=None, order="hierarchy", strategies=strategies, width=None, min_side=4.0)
    assert len(expected) > 5
    np.testing.assert_array_equal(search(image), expected[:5].astype(np.float32))
    np.testing.assert_array_equal(search(image.astype(np.float64) - 0.5), expected[:5].astype(np.float32))
    np.testing.assert_array_equal(search(image.astype(np.float32) + 0.25), expected[:5].astype(np.float32))


def test_selective_search_in_a_picture_of_another_width() -> None:
    """As a photograph is searched: 64 pixels wide instead of 32, with sides of 20 there, of 10 here."""
    strategies = Strategies(("intensity",), ((1.0, 1.0, 1.0, 1.0),), (20,))
    image = SAMPLES[0].image
    found = SelectiveSearch(strategies, width=64)(image)
    expected = selective_search(image, rng=None, order="hierarchy", strategies=strategies, width=64, min_side=20.0)
    np.testing.assert_array_equal(found, expected.astype(np.float32))
    assert (SelectiveSearch().width, SelectiveSearch().n) == (500, 2000)
    sides = found[:, 2:] - found[:, :2]
    assert 10 <= sides.min() < 20


def test_the_small_search_finds_the_square() -> None:
    sample = SAMPLES[2]
    boxes = SMALL_PICTURES(sample.image)
    assert (boxes == sample.boxes[0]).all(axis=1).any()
    assert (boxes == [0, 0, 32, 32]).all(axis=1).any()


def test_a_sample_without_is_named() -> None:
    sample = without_objects(SAMPLES[0])
    assert len(proposals_of(sample)) == 12
    bare = type(sample)(sample.name, sample.image, sample.boxes, sample.classes, sample.difficult)
    with pytest.raises(ValueError, match="square 0: has no proposals"):
        proposals_of(bare)
