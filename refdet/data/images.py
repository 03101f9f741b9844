"""Reading a picture as everything here wants it: (height, width, 3), red first, uint8, upright.

Pillow reads the file. Then: the orientation that a camera noted in EXIF is applied; a palette and greys become RGB, and
so does CMYK, without its colour profile; of 16 bits the upper eight are kept; what is transparent is laid over white.
Of the several pictures that a camera stores in one JPEG file (MPO) the first is read. Other files with several are
refused, and so are pictures of 32-bit integers or floating-point numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from refdet.core.check import Array
from refdet.data.files import why_unreadable

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

IN_16_BITS = ("PNG", "PPM")  # formats whose grey Pillow may hold in 32 bits, though there are 16 in the file
MOST_PIXELS = 80_000_000  # a picture larger than this is refused before it is unpacked
TURNED = (5, 6, 7, 8)  # the orientations of EXIF that exchange height and width


class ImageError(ValueError):
    """A file that is not a picture, or not one that can be read; the message names it."""


def read_image(path: Path | str) -> Array:
    """Return the picture in a file, (H, W, 3) uint8."""
    from PIL import ImageOps

    with _opened(path) as file:
        n_frames = getattr(file, "n_frames", 1)
        if n_frames > 1 and file.format != "MPO":
            raise ImageError(f"{path}: has {n_frames} frames; give one of them")
        upright = ImageOps.exif_transpose(file)
        if upright.mode == "F" or (upright.mode == "I" and file.format not in IN_16_BITS):
            kind = "floating-point pictures" if upright.mode == "F" else "pictures of 32-bit integers"
            raise ImageError(f"{path}: {kind} have no agreed range; convert them to 8 bits first")
        return _as_rgb(upright)


def image_size(path: Path | str) -> tuple[int, int]:
    """Return (height, width) of the picture in a file, upright, without unpacking it."""
    from PIL import ExifTags, TiffImagePlugin

    with _opened(path) as file:
        width, height = file.size
        if isinstance(file, TiffImagePlugin.TiffImageFile):  # whose size some versions of Pillow turn as they open it
            width, height = file.tag_v2[TiffImagePlugin.IMAGEWIDTH], file.tag_v2[TiffImagePlugin.IMAGELENGTH]
        turned = file.getexif().get(ExifTags.Base.Orientation) in TURNED
        return (width, height) if turned else (height, width)


@contextmanager
def _opened(path: Path | str) -> Iterator[PillowImage]:
    """Open a picture; whatever Pillow raises for it, here or in the block, becomes an error that names the file."""
    from PIL import Image, UnidentifiedImageError

    what = "its pixels"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # ours is the lower limit
            opened = Image.open(path)
        with opened as file:
            if file.width * file.height > MOST_PIXELS:
                raise ImageError(f"{path}: {file.width} × {file.height} pixels are more than {MOST_PIXELS:,}")
            what = f"{file.width} × {file.height} pixels"
            yield file
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{path}: is not a picture that Pillow knows") from None
    except MemoryError as problem:  # the file may be a good one
        raise ImageError(f"{path}: {what} need more memory than there is; make it smaller") from problem
    except Exception as problem:  # for files that are cut or broken its readers raise nearly anything
        raise ImageError(f"{path}: {why_unreadable(problem)}") from problem


def _as_rgb(image: PillowImage) -> Array:
    from PIL import Image

    if image.mode.startswith("I"):
        values = np.asarray(image)
        grey = (values >> 8).astype(np.uint8)
        if image.has_transparency_data:  # the one value, of all 16 bits, that a PNG file says is transparent
            grey[values == image.info["transparency"]] = 255
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, rgba)
    return np.array(image.convert("RGB"), np.uint8)
