"""Reading a picture as everything here wants it: (height, width, 3), red first, uint8, upright.

Pillow reads the file. Then: the orientation that a camera noted in EXIF is applied; a palette and greys become RGB; of
16 bits the upper eight are kept; what is transparent is laid over white.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from refdet.core.check import Array

MOST_PIXELS = 80_000_000  # a picture larger than this is refused before it is unpacked


class ImageError(ValueError):
    """A file that is not a picture, or not one that can be read; the message names it."""


def read_image(path: Path | str) -> Array:
    """Return the picture in a file, (H, W, 3) uint8."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    path = Path(path)
    try:
        with Image.open(path) as file:
            if file.width * file.height > MOST_PIXELS:
                raise ImageError(f"{path}: {file.width} × {file.height} pixels are more than {MOST_PIXELS:,}")
            if getattr(file, "n_frames", 1) > 1:
                raise ImageError(f"{path}: has {file.n_frames} frames; give one of them")  # type: ignore[attr-defined]
            upright = ImageOps.exif_transpose(file)
            return _as_rgb(upright)
    except FileNotFoundError:
        raise ImageError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise ImageError(f"{path}: is a directory, not a picture") from None
    except UnidentifiedImageError:
        raise ImageError(f"{path}: is not a picture that Pillow knows") from None
    except Image.DecompressionBombError as error:
        raise ImageError(f"{path}: {error}") from None
    except (OSError, SyntaxError) as error:  # what Pillow's readers raise for files that are cut or broken
        raise ImageError(f"{path}: cannot be read: {error}") from None


def image_size(path: Path | str) -> tuple[int, int]:
    """Return (height, width) of the picture in a file, upright, without unpacking it."""
    from PIL import ExifTags, Image, UnidentifiedImageError

    try:
        with Image.open(path) as file:
            turned = file.getexif().get(ExifTags.Base.Orientation, 1) >= 5
            return (file.width, file.height) if turned else (file.height, file.width)
    except (OSError, UnidentifiedImageError) as error:
        raise ImageError(f"{path}: cannot be read: {error}") from None


def _as_rgb(image: object) -> Array:
    from PIL import Image

    assert isinstance(image, Image.Image)
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        if image.mode == "F":
            raise ImageError("floating-point pictures have no agreed range; convert them to 8 bits first")
        grey = (np.clip(values, 0, 65535).astype(np.uint32) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, rgba)
    return np.array(image.convert("RGB"), np.uint8)
