"""Pictures of every kind, as (H, W, 3) uint8, upright; and files that are none."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from refdet.data import images
from refdet.data.images import ImageError, image_size, read_image

RED_BLUE = np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8)


def test_rgb(tmp_path: Path) -> None:
    Image.fromarray(RED_BLUE).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RED_BLUE)
    assert image_size(tmp_path / "a.png") == (1, 2)


def test_palette_and_grey(tmp_path: Path) -> None:
    Image.fromarray(RED_BLUE).convert("P").save(tmp_path / "p.png")
    np.testing.assert_array_equal(read_image(tmp_path / "p.png"), RED_BLUE)
    Image.fromarray(np.array([[7, 200]], np.uint8)).save(tmp_path / "g.png")
    np.testing.assert_array_equal(read_image(tmp_path / "g.png")[0], [[7] * 3, [200] * 3])
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_image(tmp_path / "b.png")[0], [[0] * 3, [255] * 3])


def test_sixteen_bits(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0x1234, 0xFFFF]], np.uint16)).save(tmp_path / "s.png")
    np.testing.assert_array_equal(read_image(tmp_path / "s.png")[0], [[0x12] * 3, [0xFF] * 3])


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    pixels = np.array([[[255, 0, 0, 255], [255, 0, 0, 0]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "t.png")
    np.testing.assert_array_equal(read_image(tmp_path / "t.png")[0], [[255, 0, 0], [255, 255, 255]])


def test_sixteen_bits_of_other_formats(tmp_path: Path) -> None:
    """Pillow holds those of PGM in 32; big-endian, as the format has them."""
    (tmp_path / "s.pgm").write_bytes(b"P5 2 1 65535\n" + bytes([0x12, 0x34, 0xFF, 0xFF]))
    Image.fromarray(np.array([[0x1234, 0xFFFF]], np.uint16)).save(tmp_path / "s.tif")
    for name in ("s.pgm", "s.tif"):
        assert read_image(tmp_path / name)[0].tolist() == [[0x12] * 3, [0xFF] * 3], name


def test_thirty_two_bits_have_no_range(tmp_path: Path) -> None:
    """Of values from 0 to 255 the upper bits are black."""
    for dtype, kind in ((np.int32, "pictures of 32-bit integers"), (np.float32, "floating-point pictures")):
        Image.fromarray(np.arange(256, dtype=dtype).reshape(16, 16)).save(tmp_path / "i.tif")
        with pytest.raises(ImageError, match=rf"i\.tif: {kind} have no agreed range; convert them to 8 bits first"):
            read_image(tmp_path / "i.tif")


def test_a_transparent_grey_of_sixteen_bits(tmp_path: Path) -> None:
    """All 16 bits say what is transparent, not the upper eight alone."""
    Image.fromarray(np.array([[0x1234, 0x1235]], np.uint16)).save(tmp_path / "g.png", transparency=0x1234)
    np.testing.assert_array_equal(read_image(tmp_path / "g.png")[0], [[255] * 3, [0x12] * 3])


def test_a_camera_that_was_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the first row is the right side
    Image.fromarray(RED_BLUE).save(tmp_path / "e.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "e.png"), [[[255, 0, 0]], [[0, 0, 255]]])
    assert image_size(tmp_path / "e.png") == (2, 1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "jpg", "tiff", "webp"])
def test_the_size_is_that_of_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, orientation: int
) -> None:
    """Also where Pillow tells the size of a TIFF file, before it is unpacked, as it is stored, and as it will be."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{ending}"
    Image.new("RGB", (5, 3)).save(path, exif=exif)
    expected = (5, 3) if orientation > 4 else (3, 5)
    assert read_image(path).shape[:2] == image_size(path) == expected
    for told in ((5, 3), (3, 5)):
        monkeypatch.setattr(TiffImagePlugin.TiffImageFile, "size", told, raising=False)
        assert image_size(path) == expected


def test_an_orientation_in_words(tmp_path: Path) -> None:
    """XMP's, which Pillow reads where there is none in EXIF."""
    words = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    Image.new("RGB", (5, 3)).save(tmp_path / "a.tiff", tiffinfo={700: words})
    assert read_image(tmp_path / "a.tiff").shape[:2] == image_size(tmp_path / "a.tiff")


def test_files_that_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "broken.ppm").write_bytes(b"P6 4x4 255\n")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:1000])
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(np.ones((2, 2), np.float32)).save(tmp_path / "float.tiff")
    for name, message in {
        "absent.png": "there is no such file",
        ".": "is a directory, not a file",
        "text.png": "is not a picture that Pillow knows",
        "cut.jpg": "cannot be read",
        "moving.gif": "has 2 frames",
        "float.tiff": r"float\.tiff: floating-point pictures have no agreed range",
        "text.png/a.png": "cannot be read: Not a directory",
        "broken.ppm": "cannot be read: invalid literal",
        "nul\0.png": "cannot be read: embedded null byte",
    }.items():
        with pytest.raises(ImageError, match=message):
            read_image(tmp_path / name)
        if name not in ("moving.gif", "float.tiff", "cut.jpg"):  # whose size can be told
            with pytest.raises(ImageError, match=message):
                image_size(tmp_path / name)


def test_too_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A good file that cannot be unpacked, or not even be opened."""
    Image.fromarray(RED_BLUE).save(tmp_path / "a.png")

    def too_much(*_: object, **__: object) -> None:
        raise MemoryError

    for function, message in (
        ("convert", r"a\.png: 2 × 1 pixels need more memory"),
        ("open", r"a\.png: its pixels need"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(Image if function == "open" else Image.Image, function, too_much)
            with pytest.raises(ImageError, match=message):
                read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RED_BLUE)


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "bmp", "tiff", "webp", "ppm", "qoi"])
def test_damaged_files(tmp_path: Path, ending: str) -> None:
    """Bytes changed and cut off at random: a picture or an ImageError, and nothing else."""
    rng, path = np.random.default_rng(0), tmp_path / f"a.{ending}"
    Image.fromarray(rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)).save(path)
    whole, n_refused = path.read_bytes(), 0
    for _ in range(60):
        damaged = bytearray(whole[: rng.integers(1, 2 * len(whole))])
        for i in rng.integers(0, min(len(damaged), 60), 3):
            damaged[i] = rng.integers(256)
        path.write_bytes(damaged)
        with warnings.catch_warnings(), contextlib.suppress(ImageError):
            warnings.simplefilter("ignore")  # Pillow's, of what it still could make sense of
            n_refused += 1
            assert read_image(path).shape[2] == 3
            n_refused -= 1
    assert n_refused > 5


def test_the_first_picture_of_a_camera(tmp_path: Path) -> None:
    """MPO: a JPEG file with another picture, such as a preview, behind the first."""
    red, blue = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    red.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[blue])
    np.testing.assert_allclose(read_image(tmp_path / "a.jpg")[4, 4], [255, 0, 0], atol=2)


def test_a_picture_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(RED_BLUE).save(tmp_path / "huge.png")
    monkeypatch.setattr(images, "MOST_PIXELS", 1)
    with pytest.raises(ImageError, match=r"huge\.png: 2 × 1 pixels are more than 1"):
        read_image(tmp_path / "huge.png")
