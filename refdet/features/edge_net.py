"""A convolutional network that detects edges and corners, with weights that are written down instead of learned.

| part | layer | what it sees |
|---|---|---|
| grey | 1 × 1 | luma, with the weights of ITU-R BT.601 |
| edges | 7 × 7, relu | E_θ: derivatives of a Gaussian in eight directions θ; relu keeps the side that brightens |
| pooled | 3 × 3 maximum, stride 2 | the same; an edge may move by a pixel |
| excess | 1 × 1, relu | E_θ itself, and by how much it exceeds E_θ+90° |
| corners | 1 × 1, relu | min(E_θ, E_θ+90°) − E_θ+45° / √2 − bias |

A filter answers cos(θ − φ) times the contrast to a straight edge of direction φ: deck 000 reads histograms of oriented
gradients this way, as a convolution with directional filters followed by gating. A corner needs two perpendicular
edges, and min(a, b) = a − relu(a − b) is how rectified layers say "and". A straight edge makes no corner, as
min(cos φ, sin φ) ≤ cos(φ − 45°) / √2, up to discretisation: on a unit step at any angle the corner maps stay below
0.002, so the difference exceeds the bias by no more than that.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refdet import nn, ops
from refdet.autograd.tensor import Tensor, no_grad
from refdet.core.check import Array, check_floating, check_rank, shape_of

N_DIRECTIONS = 8
SIGMA = 1.2  # of the Gaussian, in pixels
RADIUS = 3  # 2.5 σ: the 7 × 7 window holds all but 2 % of the filter's absolute sum (1.5 to 1.7 %)
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
CORNER_BIAS = 0.02  # of a full step from black to white
SMALLEST_SIDE = 3  # of an image: the pooling window


class FeatureMaps(NamedTuple):
    """What each stage of the network sees; all (1, C, h, w)."""

    grey: Array
    edges: Array
    pooled: Array
    excess: Array
    corners: Array


def directions() -> Array:
    """Return the eight angles in radians; 0 points right, a quarter turn points down, as the rows of an image do."""
    return np.arange(N_DIRECTIONS) * (2 * np.pi / N_DIRECTIONS)


def edge_filters() -> Array:
    """Return (8, 1, 7, 7): −∂G/∂θ turned for cross-correlation, scaled so that a unit step along θ answers 1."""
    y, x = np.mgrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1].astype(float)
    gaussian = np.exp(-(x**2 + y**2) / (2 * SIGMA**2))
    filters = []
    for theta in directions():
        along = np.cos(theta) * x + np.sin(theta) * y
        derivative = along * gaussian
        filters.append(derivative / derivative[derivative > 0].sum())
    return np.stack(filters)[:, None].astype(np.float32)


def excess_weights() -> Array:
    """Return (16, 8, 1, 1): E_k as it is, then E_k − E_k+2, the direction 90° further."""
    same = np.eye(N_DIRECTIONS)
    return np.concatenate([same, same - np.roll(same, 2, axis=1)])[:, :, None, None].astype(np.float32)


def corner_weights() -> Array:
    """Return (8, 16, 1, 1): E_k − relu(E_k − E_k+2) − E_k+1 / √2."""
    same = np.eye(N_DIRECTIONS)
    edges = same - np.roll(same, 1, axis=1) / np.sqrt(2)
    return np.concatenate([edges, -same], axis=1)[:, :, None, None].astype(np.float32)


def edge_net() -> nn.Sequential:
    """Return the network; its parts are named as its feature maps."""
    rng = np.random.default_rng(0)  # every drawn weight is replaced below
    net = nn.Sequential(
        grey=nn.Conv2d(3, 1, 1, rng=rng, bias=False),
        edges=nn.Sequential(nn.Conv2d(1, N_DIRECTIONS, 2 * RADIUS + 1, rng=rng, bias=False), nn.ReLU()),
        pooled=nn.MaxPool2d(3, stride=2),
        excess=nn.Sequential(nn.Conv2d(N_DIRECTIONS, 2 * N_DIRECTIONS, 1, rng=rng, bias=False), nn.ReLU()),
        corners=nn.Sequential(nn.Conv2d(2 * N_DIRECTIONS, N_DIRECTIONS, 1, rng=rng), nn.ReLU()),
    )
    net.load_state_dict(
        {
            "grey.weight": np.array(LUMA, np.float32).reshape(1, 3, 1, 1),
            "edges.0.weight": edge_filters(),
            "excess.0.weight": excess_weights(),
            "corners.0.weight": corner_weights(),
            "corners.0.bias": np.full(N_DIRECTIONS, -CORNER_BIAS, np.float32),
        }
    )
    return net


def feature_maps(image: Array) -> FeatureMaps:
    """Return what every stage sees in `image` (H, W, 3), values in [0, 1]; borders repeat the edge pixel.

    H and W must be at least 3. The image is float32 or float64; integers, whose white may be 255, are refused.
    """
    check_floating("feature_maps", image=image)
    check_rank("feature_maps", "image", image, "H, W, 3")
    H, W, n_channels = shape_of(image)
    if n_channels != 3 or min(H, W) < SMALLEST_SIDE:
        raise ValueError(
            f"feature_maps: image must have shape (H, W, 3) with H and W of at least {SMALLEST_SIDE}, "
            f"got {shape_of(image)}"
        )
    x = Tensor(np.moveaxis(image, 2, 0)[None].astype(np.float32))
    maps = {}
    with no_grad():
        x = ops.pad(x, RADIUS, border="edge")
        for name, part in edge_net().parts():
            x = part(x)
            maps[name] = x.data
    return FeatureMaps(**maps)
