"""The feature maps of the edge-detecting network, as one picture.

Left: the photograph, and its edges coloured by direction (hue) and strength (brightness). Right: the eight maps of
edges and, below each, the corners between that direction and the one 90° further. All maps of a row share one scale.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from refdet.core.check import Array
from refdet.features.edge_net import FeatureMaps, directions, feature_maps
from refdet.nn.checkpoint.atomic_file import write_atomically
from refdet.pictures.slide import shortened

FAINTEST = 1e-3  # of a step from black to white: scales stop here, so that a flat picture is drawn black, not as noise

TITLE_WIDTH = 320  # points, of the left part of the picture


def coloured_directions(maps: FeatureMaps) -> Array:
    """Return (h, w, 3) in [0, 1]: the direction of the summed edge vectors as hue, their length as brightness."""
    from matplotlib.colors import hsv_to_rgb

    theta = directions()[:, None, None]
    edges = maps.edges[0]
    dx, dy = np.sum(edges * np.cos(theta), axis=0), np.sum(edges * np.sin(theta), axis=0)
    length = np.hypot(dx, dy)
    brightness = np.minimum(1, length / max(np.percentile(length, 99), FAINTEST))
    hue = np.mod(np.arctan2(dy, dx), 2 * np.pi) / (2 * np.pi)
    return np.asarray(hsv_to_rgb(np.stack([hue, np.ones_like(hue), brightness], axis=-1)))


def draw_feature_maps(image: Array, path: Path, *, title: str) -> None:
    """Write the picture for `image` (H, W, 3), values in [0, 1], to `path`.

    The title may be the name of a file: it is written as it is, as far as the font and the room go.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    maps = feature_maps(image)
    n = len(directions())
    figure = pyplot.figure(figsize=(16, 7), layout="constrained", facecolor="white")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[1, 2.4])[0]
    for axes, picture, caption in zip(
        left.subplots(2, 1),
        (image, coloured_directions(maps)),
        (shortened(title, TITLE_WIDTH, 10), "edges: hue is the direction in which it brightens"),
        strict=True,
    ):
        axes.imshow(picture)
        axes.set_title(caption, fontsize=10, parse_math=False)
        axes.set_axis_off()
    rows = right.subplots(4, n // 2)
    for i, theta in enumerate(np.degrees(directions())):
        block, column = divmod(i, n // 2)
        for offset, stack, caption in ((0, maps.edges[0], "edges"), (1, maps.corners[0], "corners")):
            axes = rows[2 * block + offset, column]
            axes.imshow(stack[i], cmap="magma", vmin=0, vmax=max(np.percentile(stack, 99.5), FAINTEST))
            angle = f"{theta:.0f}°" if offset == 0 else f"{theta:.0f}° and {(theta + 90) % 360:.0f}°"
            axes.set_title(f"{caption} {angle}", fontsize=9)
            axes.set_axis_off()
    write_atomically(path, lambda file: figure.savefig(file, dpi=100, format=path.suffix[1:] or "png"))
    pyplot.close(figure)
