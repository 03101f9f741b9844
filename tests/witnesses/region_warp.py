"""R-CNN's warped regions as Caffe's Python detector crops them, transcribed, one habit at a time."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness


def away(x: float) -> int:
    """C's round."""
    return math.floor(x + 0.5) if x >= 0 else math.ceil(x - 0.5)


def crop(
    question: Question, *, even: bool = False, half_open: bool = False, limit_is_size: bool = False
) -> dict[str, Any]:
    """Answer `warp_regions` in the order of `Detector.crop`: box, scale, pads, clip, crop, resize, paste.

    even: `np.round`. half_open: `im[box[0]:box[2]]`. limit_is_size: `np.clip(box, 0., [im_h, im_w, im_h, im_w])`.
    """
    image, boxes, mean = (np.asarray(question.arguments[name], float) for name in ("image", "boxes", "mean"))
    size, context_pad = question.params["side"], question.params["padding"]
    use_square = question.params["convention"] == "square"
    to_integer = round if even else away
    answers = np.zeros((len(boxes), size, size, image.shape[2]))
    for answer, (x1, y1, x2, y2) in zip(answers, boxes.tolist(), strict=True):
        box = [y1, x1, y2 - 1, x2 - 1]  # ymin, xmin, ymax, xmax; inclusive
        half_h, half_w = (box[2] - box[0] + 1) / 2, (box[3] - box[1] + 1) / 2
        centre_y, centre_x = box[0] + half_h, box[1] + half_w
        context = context_pad > 0 or use_square
        if context:
            if use_square:
                half_h = half_w = max(half_h, half_w)
            scale_num, scale_den = size, size - 2 * context_pad
            box = [
                (centre_y * scale_den - half_h * scale_num) / scale_den,
                (centre_x * scale_den - half_w * scale_num) / scale_den,
                (centre_y * scale_den + half_h * scale_num) / scale_den,
                (centre_x * scale_den + half_w * scale_num) / scale_den,
            ]
        top, left, bottom, right = (to_integer(v) for v in box)
        full = (bottom - top + 1, right - left + 1)
        limits = [n - (0 if limit_is_size and context else 1) for n in image.shape[:2]]
        starts, ends = (max(top, 0), max(left, 0)), (min(bottom, limits[0]), min(right, limits[1]))
        clipped = [e - s + 1 for s, e in zip(starts, ends, strict=True)]
        if min(clipped) < 1:
            continue
        pads = [to_integer(max(0, -v) * size / n) for v, n in zip((top, left), full, strict=True)]
        crops = [to_integer(c * size / n) for c, n in zip(clipped, full, strict=True)]
        crops = [min(c, size - pad) for c, pad in zip(crops, pads, strict=True)]
        behind = 0 if half_open and context else 1
        part = image[starts[0] : ends[0] + behind, starts[1] : ends[1] + behind]
        if min(crops) < 1 or not part.size:
            continue
        place = slice(pads[0], pads[0] + crops[0]), slice(pads[1], pads[1] + crops[1])
        answer[place] = bilinear(part, crops[0], crops[1]) - mean[place]
    return {"windows": answers}


def bilinear(part: np.ndarray[Any, Any], height: int, width: int) -> np.ndarray[Any, Any]:
    """Resize as OpenCV does: half-pixel centres, the border repeated."""
    y = np.clip((np.arange(height) + 0.5) * part.shape[0] / height - 0.5, 0, part.shape[0] - 1)
    x = np.clip((np.arange(width) + 0.5) * part.shape[1] / width - 0.5, 0, part.shape[1] - 1)
    resized = np.zeros((height, width, part.shape[2]))
    for c in range(part.shape[2]):
        rows = np.array([np.interp(x, np.arange(part.shape[1]), row) for row in part[:, :, c]])
        resized[:, :, c] = np.array([np.interp(y, np.arange(part.shape[0]), column) for column in rows.T]).T
    return resized


DETECTOR = "BVLC/caffe python/caffe/detector.py, Detector.crop, transcribed: "

CONFORMING = [("warp_regions", crop)]

WITNESSES = [
    Witness("warp.round=half_even", "warp_regions", DETECTOR + "np.round", partial(crop, even=True)),
    Witness("warp.end=excluded", "warp_regions", DETECTOR + "im[box[0]:box[2]]", partial(crop, half_open=True)),
    Witness("warp.clip=size", "warp_regions", DETECTOR + "np.clip(box, 0., im_h)", partial(crop, limit_is_size=True)),
]
