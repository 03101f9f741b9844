"""Object keypoint similarity, COCO's intersection over union for poses, every detection with every ground truth.

    oks[d, g] = mean over k of exp(-e_k),    e_k = (dx_k^2 + dy_k^2) / (2 sigma_k)^2 / (area_g + 2^-52) / 2

over the keypoints (x, y, v) that are labelled in the ground truth, v > 0, where (dx, dy) leads from the true keypoint
to the detected one. Where no keypoint of g is labelled, the mean is over all keypoints, and dx and dy are the distances
of the detected keypoint from g's box (x, y, w, h) grown by its own size on every side, 0 inside:

    dx = max(0, (x - w) - x_d) + max(0, x_d - (x + 2 w)),    dy likewise.

The v of a detection plays no part. No keypoints at all: 0/0 = NaN.

Source: the COCO API, cocoeval.py, computeOks.
"""

import numpy as np

from tests.oracles._ieee import exp, quotient
from tests.oracles._sums import Array, Float64Array, exact_sum


def forward(
    detections: Array, ground_truths: Array, boxes_xywh: Array, areas: Array, *, sigmas: tuple[float, ...]
) -> Float64Array:
    """Return oks, of shape (D, G)."""
    n_keypoints = len(sigmas)
    oks = np.zeros((len(detections), len(ground_truths)))
    for d, g in np.ndindex(oks.shape):
        labelled = [k for k in range(n_keypoints) if float(ground_truths[g, k, 2]) > 0]
        similarities = []
        for k in labelled or range(n_keypoints):
            distance = [0.0, 0.0]
            for axis in (0, 1):
                place = float(detections[d, k, axis])
                if labelled:
                    distance[axis] = place - float(ground_truths[g, k, axis])
                else:
                    start, size = float(boxes_xywh[g, axis]), float(boxes_xywh[g, axis + 2])
                    before, beyond = (start - size) - place, place - (start + 2 * size)
                    distance[axis] = _positive_part(before) + _positive_part(beyond)
            dx, dy = distance
            area = float(areas[g]) + 2.0**-52
            e = quotient(quotient(dx * dx + dy * dy, (2 * sigmas[k]) ** 2), area) / 2
            similarities.append(exp(-e))
        oks[d, g] = quotient(exact_sum(similarities), len(similarities))
    return oks


def _positive_part(x: float) -> float:
    """Return max(0, x); NaN for NaN."""
    return 0.0 if x < 0 else x
