"""The objects that were found in a picture, drawn over it: boxes, names and scores, masks, joints and limbs.

- A small picture is enlarged first, every pixel to a square of pixels, so that its longer side has `COMFORTABLE` or
  more; a large one keeps its size. Lines and letters are as thick and as large as the picture asks for.
- Classes have the colours of Okabe & Ito, which colour-blind people can tell apart, one after the other. Where the
  colours begin anew, a second line, white and then black, stands inside the box. The name stands at every box anyway.
- A mask is a tint with an outline. Joints are discs, limbs lines, rimmed with black so that they show on any ground.
- Objects of the lowest scores are drawn first, so that the surest are on top. A name stands above its box, or where it
  covers the fewest other names, and never leaves the picture as far as it fits into it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refdet.core.check import Array
from refdet.detection.detected import Detected
from refdet.pictures.slide import BLUE, GREEN, NO_LETTER, ORANGE, SKY, VERMILLION, lacking_letters

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

COMFORTABLE = 640  # pixels of the longer side of a drawing, at least
LARGEST_FACTOR = 32
YELLOW, PINK = "#F0E442", "#CC79A7"  # Okabe and Ito's
COLOURS = (ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILLION, PINK)
INNER = (None, "white", "black")  # the second line of the first, second and third seven classes
OPACITY = 0.4  # of a mask
Limbs = Sequence[tuple[int, int]]
Place = tuple[float, float, float, float]


class _Sizes(NamedTuple):
    """Lengths in pixels of the drawing."""

    line: int
    letter: int

    @classmethod
    def of(cls, height: int, width: int) -> _Sizes:
        longer, shorter = max(height, width), min(height, width)
        line = max(3, round(longer / 300))
        return cls(min(line, max(1, shorter // 12)), max(11, min(round(longer / 48), shorter // 4)))


def draw_objects(
    image: Array, found: Detected, class_names: Sequence[str], *, limbs: Limbs = (), with_scores: bool = True
) -> Array:
    """Return the picture with what was found in it, (f·H, f·W, 3) uint8, f ≥ 1 whole.

    Args:
        image: (H, W, 3), red first, in 0 … 255.
        found: the objects, in its pixels.
        class_names: 0 is the background.
        limbs: pairs of joints that are joined by a line.
        with_scores: whether scores stand beside the names.
    """
    from PIL import Image, ImageDraw

    H, W = image.shape[:2]
    f = enlargement(H, W)
    pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8).repeat(f, axis=0).repeat(f, axis=1)
    order = [i for i in range(len(found) - 1, -1, -1) if np.isfinite(found.boxes[i]).all()]
    sizes = _Sizes.of(f * H, f * W)
    if found.masks is not None:
        for i in order:
            _tint(pixels, found.masks[i], f, class_colour(int(found.classes[i])), sizes.line)
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    for i in order:
        _draw_box(draw, f * found.boxes[i].astype(np.float64), int(found.classes[i]), sizes.line, picture.size)
    if found.joints is not None:
        for i in order:
            _draw_joints(draw, f * found.joints[i].astype(np.float64), limbs, int(found.classes[i]), sizes.line)
    _draw_names(draw, found, order[::-1], class_names, f, sizes, picture.size, with_scores=with_scores)
    return np.asarray(picture)


def enlargement(height: int, width: int) -> int:
    """Return by which whole number a picture is enlarged.

    >>> enlargement(128, 128), enlargement(375, 500), enlargement(600, 1000)
    (5, 2, 1)
    """
    return max(1, min(-(-COMFORTABLE // max(height, width)), LARGEST_FACTOR))


def class_colour(number: int) -> tuple[int, int, int]:
    """Return the colour of class 1, 2, …: red, green and blue in 0 … 255.

    >>> class_colour(1) == class_colour(8), class_colour(1) == class_colour(2)
    (True, False)
    """
    red, green, blue = bytes.fromhex(COLOURS[(number - 1) % len(COLOURS)][1:])
    return red, green, blue


def _tint(pixels: Array, mask: Array, f: int, colour: tuple[int, int, int], line: int) -> None:
    """Mix the pixels of a mask with a colour, and draw its outline, in place."""
    from scipy.ndimage import binary_erosion

    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return
    r, c = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    large = mask[r, c].repeat(f, axis=0).repeat(f, axis=1)
    rim = large & ~np.asarray(binary_erosion(large, np.ones((3, 3)), iterations=max(1, line - 1)), np.bool_)
    part = pixels[r.start * f : r.stop * f, c.start * f : c.stop * f]
    part[large] = np.rint((1 - OPACITY) * part[large] + OPACITY * np.array(colour))
    part[rim] = colour


def _draw_box(draw: ImageDraw, box: Array, number: int, line: int, size: tuple[int, int]) -> None:
    """Draw a box with a thin black rim, and a second line inside where its colour has begun anew."""
    x1, y1, x2, y2 = _inside(box, size)
    colour = class_colour(number)
    inner = INNER[min((number - 1) // len(COLOURS), len(INNER) - 1)]
    for shrink, width, fill in ((-1, line + 2, (0, 0, 0)), (0, line, colour), (line, max(1, line - 1), inner)):
        place = (x1 + shrink, y1 + shrink, x2 - 1 - shrink, y2 - 1 - shrink)
        if fill is not None and place[2] >= place[0] and place[3] >= place[1]:
            draw.rectangle(place, outline=fill, width=width)


def _inside(box: Array, size: tuple[int, int]) -> Place:
    """Return the box in the drawing, at least a pixel large."""
    W, H = size
    x1, y1 = np.clip(np.floor(box[:2]), 0, (W - 1, H - 1)).tolist()
    x2, y2 = np.clip(np.ceil(box[2:]), (x1 + 1, y1 + 1), (W, H)).tolist()
    return x1, y1, x2, y2


def _draw_joints(draw: ImageDraw, joints: Array, limbs: Limbs, number: int, line: int) -> None:
    finite = np.all(np.isfinite(joints), axis=1)
    drawn = [(a, b) for a, b in limbs if a < len(joints) and b < len(joints) and finite[a] and finite[b]]
    for width, fill in ((2 * line + 2, (0, 0, 0)), (2 * line - 1, class_colour(number))):
        for a, b in drawn:
            draw.line([*joints[a].tolist(), *joints[b].tolist()], fill=fill, width=width)
    radius = 1.5 * line
    for x, y in joints[finite].tolist():
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill="white", outline="black")


def _draw_names(
    draw: ImageDraw,
    found: Detected,
    order: Sequence[int],
    class_names: Sequence[str],
    f: int,
    sizes: _Sizes,
    size: tuple[int, int],
    *,
    with_scores: bool,
) -> None:
    """Write the name of each object on a ground of its colour, the surest first."""
    font, taken = _font(sizes.letter), list[Place]()
    pad = max(2, sizes.letter // 6)
    ascent, descent = font.getmetrics()
    for i in order:
        number = int(found.classes[i])
        text = _written(class_names[number] if number < len(class_names) else f"class {number}")
        text += f" {found.scores[i]:.2f}" if with_scores else ""
        width, height = font.getlength(text) + 2 * pad, ascent + descent + pad
        places = list(_places(_inside(f * found.boxes[i].astype(np.float64), size), width, height, size))
        best = min(places, key=lambda place: sum(_shared(place, other) for other in taken))  # the first of equals
        taken.append(best)
        colour = class_colour(number)
        draw.rectangle(best, fill=colour, outline="black")
        ink = "black" if np.dot(colour, (0.299, 0.587, 0.114)) > 120 else "white"
        draw.text((best[0] + pad, best[1] + pad // 2), text, fill=ink, font=font)


def _places(box: Place, width: float, height: float, size: tuple[int, int]) -> Iterator[Place]:
    """Yield where a name may stand, the best first: above the box, below it, inside at its top, at its bottom."""
    W, H = size
    x1, y1, x2, y2 = box
    rights = (x1, x2 - width)
    for y in (y1 - height, y2, y1, y2 - height):
        for x in rights:
            if 0 <= y <= H - height:
                left = max(0.0, min(x, W - width))
                yield left, y, left + width - 1, y + height - 1
    left, top = max(0.0, min(x1, W - width)), max(0.0, min(y1, H - height))
    yield left, top, left + width - 1, top + height - 1


def _shared(a: Place, b: Place) -> float:
    """Return the area that two places share."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]) + 1, min(a[3], b[3]) - max(a[1], b[1]) + 1
    return max(0.0, width) * max(0.0, height)


def _written(name: str) -> str:
    """Return a name in one line of at most 40 letters, all of which the font has."""
    lacking = set(lacking_letters([name]))
    line = "".join(NO_LETTER if letter in lacking else letter for letter in " ".join(name.split()))
    return line if len(line) <= 40 else f"{line[:39]}…"


@cache
def _font(size: int) -> FreeTypeFont:
    """Return the font of the slides, which comes with matplotlib."""
    from matplotlib.font_manager import FontProperties, findfont
    from PIL import ImageFont

    font: Any = ImageFont.truetype(findfont(FontProperties(family="DejaVu Sans")), size)
    chosen: FreeTypeFont = font
    return chosen
