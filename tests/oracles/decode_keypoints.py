"""From the m x m logits of each joint to a point in the picture, and how sure it is.

    w = max(x2 - x1, 1), n_x = ceil(w);  h and n_y likewise;  z = the map x resized to n_y x n_x, bicubic with
    half-pixel centres, a = -3/4, borders repeated
    (row, column) = the first largest of z, row after row; NaN is larger than everything
    joint = (x1 + (column + 1/2) w / n_x, y1 + (row + 1/2) h / n_y)
    score = z*, the largest (torchvision);  1 / sum exp(x - z*) (detectron2);  1 / sum exp(z - z*) (detectron1)

NaN for a box that is not finite.

Source: Detectron, keypoints.py, heatmaps_to_keypoints; Detectron2, structures/keypoints.py; torchvision, roi_heads.py.
"""

import math

import numpy as np

from tests.oracles import resize_bicubic
from tests.oracles._boxes import rows
from tests.oracles._sums import Array, Float64Array, exact_sum


def forward(logits: Array, boxes: Array, *, convention: str) -> tuple[Float64Array, Float64Array]:
    """Return joints, shape (D, K, 2), and scores, shape (D, K)."""
    n_detections, n_joints, height, width = logits.shape
    joints, scores = np.full((n_detections, n_joints, 2), np.nan), np.full((n_detections, n_joints), np.nan)
    for d, (x1, y1, x2, y2) in enumerate(rows(boxes)):
        if not all(map(math.isfinite, (x1, y1, x2, y2))):
            continue
        w, h = max(x2 - x1, 1.0), max(y2 - y1, 1.0)
        n_x, n_y = math.ceil(w), math.ceil(h)
        for k in range(n_joints):
            before = logits[d, k].astype(np.float64)
            ratio = (height / n_y, width / n_x)
            z = resize_bicubic.forward(before, size=(n_y, n_x), ratio=ratio, coordinates="half_pixel", a=-0.75)
            row, column = _first_largest(z)
            joints[d, k] = x1 + (column + 0.5) * w / n_x, y1 + (row + 0.5) * h / n_y
            largest = float(z[row, column])
            if convention == "torchvision":
                scores[d, k] = largest
            else:
                over = before if convention == "detectron2" else z
                scores[d, k] = 1 / exact_sum(_exp(float(v) - largest) for v in over.ravel())
    return joints, scores


def _exp(x: float) -> float:
    return math.exp(x) if not x > 709 else math.inf


def _first_largest(z: Float64Array) -> tuple[int, int]:
    best = (0, 0)
    for row in range(z.shape[0]):
        for column in range(z.shape[1]):
            candidate, held = float(z[row, column]), float(z[best])
            if not math.isnan(held) and (math.isnan(candidate) or candidate > held):
                best = (row, column)
    return best
