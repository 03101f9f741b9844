"""The detector that the synthetic scenes must be too hard for: colours, connected components, and measured shapes.

Written with care, to be as good as its kind can be: colours are clustered, so that no threshold has to be guessed; a
component is classified by four measurements whose typical values were taken from outlines drawn without a background.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.cluster.vq import kmeans2

from refdet.data.shape_outlines import OUTLINES

N_COLOURS = 7
SMALLEST, LARGEST = 30, 0.4  # pixels, and share of the picture, of a component that may be an object


def measurements(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return what does not change when a shape is turned or scaled."""
    filled = ndimage.binary_fill_holes(mask)
    y, x = np.nonzero(filled)
    area = len(y)
    dy, dx = y - y.mean(), x - x.mean()
    squared = dy * dy + dx * dx
    spread = squared.mean() / area  # of a disc 1 / 2π, of thin shapes more
    reach = squared.max() / area  # of a disc 1 / π
    eroded = ndimage.binary_erosion(filled)
    outline = (area - np.count_nonzero(eroded)) / np.sqrt(area)
    return np.array([10 * spread, 2 * reach, outline, 3 * np.count_nonzero(mask) / area])


def prototypes() -> dict[int, NDArray[np.float64]]:
    """Return the mean measurements of every class, drawn at several sizes and angles."""
    found = {}
    for label, outline in enumerate(OUTLINES.values(), start=1):
        rows = []
        for radius in (8, 15, 30):
            for angle in np.linspace(0, np.pi / 2, 7):
                v, u = np.mgrid[-radius : radius + 1, -radius : radius + 1] / radius
                rows.append(
                    measurements(outline(u * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - u * np.sin(angle)))
                )
        found[label] = np.mean(rows, axis=0)
    return found


PROTOTYPES = prototypes()


def detect(image: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return boxes, scores and classes."""
    smooth = ndimage.gaussian_filter(image.astype(np.float64), (1, 1, 0))
    _, cluster = kmeans2(smooth.reshape(-1, 3), N_COLOURS, minit="++", seed=0)
    boxes, scores, classes = [], [], []
    for colour in range(N_COLOURS):
        components, _ = ndimage.label((cluster == colour).reshape(image.shape[:2]))
        for i, window in enumerate(ndimage.find_objects(components), start=1):
            mask = components[window] == i
            if not SMALLEST <= np.count_nonzero(mask) <= LARGEST * cluster.size:
                continue
            measured = measurements(np.pad(mask, 1))
            distances = {label: float(np.linalg.norm(measured - p)) for label, p in PROTOTYPES.items()}
            best = min(distances, key=lambda label: distances[label])
            rows, columns = window
            boxes.append((columns.start, rows.start, columns.stop, rows.stop))
            scores.append(-distances[best])
            classes.append(best)
    return np.array(boxes, np.float64).reshape(-1, 4), np.array(scores), np.array(classes, np.int64)
