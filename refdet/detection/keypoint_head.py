"""The keypoint head of Mask R-CNN: for every region and every joint, logits over m × m places of which one is right.

    head:        convolutions 3 × 3, ReLU after each                               512, eight times
    predictor:   transposed convolution 4 × 4 by 2 to a map per joint, bilinear × 2      14 × 14 → 28 × 28 → 56 × 56
    L_keypoint = 1/|V| · Σ_{(p, k) in V} −log softmax(x_pk)[t_pk]

where the softmax is over the m² places of the map of joint k in region p, t_pk is where that joint is, and V are the
joints that are visible and inside their region. He, Gkioxari, Dollár & Girshick, "Mask R-CNN" (2017), §5; deck 001
calls the target a binary mask, which it is with a single place set. Parts are named as in torchvision:
`keypoint_head.0.weight`, `keypoint_predictor.kps_score_lowres.weight`.

Dilated convolutions (Yu & Koltun, 2016), which are not in the paper, see more of a region with the same weights.

Conventions: joints of all regions weigh the same, so that a region of which more is visible has a larger part. Without
any the loss is 0, with gradients of 0. Weights begin as `refdet.nn` has it (He's fan_in; torchvision takes fan_out).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import Array, check_booleans, check_integer, check_rank, check_shape, integer, integers, shape_of
from refdet.nn import Conv2d, ConvTranspose2d, Module, ReLU, Sequential
from refdet.ops.loss_reduction import first_position
from refdet.ops.resize import resize_bilinear
from refdet.ops.softmax_cross_entropy import softmax_cross_entropy


def keypoint_head(
    in_channels: int,
    channels: Sequence[int] = (512,) * 8,
    *,
    dilations: int | Sequence[int] = 1,
    rng: np.random.Generator,
    dtype: Any = np.float32,
) -> Sequential:
    """Return the convolutions 3 × 3, which keep the size of the crops, with a ReLU after each.

    Args:
        in_channels: of the crops.
        channels: of each convolution.
        dilations: of each convolution, or one for all of them; the paper's are 1.
        rng: source of the weights.
        dtype: of the weights.
    """
    counts = [in_channels, *channels]
    dilations = integers("keypoint_head", "dilations", dilations, count=len(channels), low=1)
    return Sequential(
        *(
            part
            for (n, n_next), d in zip(pairwise(counts), dilations, strict=True)
            for part in (Conv2d(n, n_next, 3, padding=d, dilation=d, rng=rng, dtype=dtype), ReLU())
        )
    )


class KeypointPredictor(Module):
    """A map of logits for each joint, of four times the size: by a transposed convolution, then bilinear.

    Args:
        in_channels: of the head.
        n_joints: K.
        scale: of the bilinear resizing; the paper's and torchvision's is 2.
        rng: source of the weights.
        dtype: of the weights.
    """

    def __init__(
        self,
        in_channels: int,
        n_joints: int,
        *,
        scale: int = 2,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        self.n_joints = n_joints
        self.scale = integer("KeypointPredictor", "scale", scale, low=1)
        self.kps_score_lowres = ConvTranspose2d(in_channels, n_joints, 4, stride=2, padding=1, rng=rng, dtype=dtype)

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Return (P, K, 4m, 4m) for x (P, C, m, m), and a scale of 2."""
        logits = self.kps_score_lowres(x, training=training, rng=rng)
        return logits if self.scale == 1 else resize_bilinear(logits, scale=self.scale)


def keypoint_loss(logits: Tensor | Array, positions: Array, valid: Array) -> Tensor:
    """Return the mean cross-entropy, over the valid joints, of the place of each joint.

    Args:
        logits: (P, K, m, m).
        positions: (P, K), integers, row · m + column of each joint, as `encode_keypoints` gives them.
        valid: (P, K), booleans; the others have no part.

    Returns:
        A scalar; 0 without valid joints.

    Four places are equally likely; the second joint cannot be seen:

    >>> round(keypoint_loss(np.zeros((1, 2, 2, 2)), np.array([[3, 0]]), np.array([[True, False]])).item(), 3)
    1.386
    """
    logits = as_tensor("keypoint_loss", "logits", logits)
    check_rank("keypoint_loss", "logits", logits.data, "P, K, m, m")
    P, K, height, width = shape_of(logits.data)
    if height != width:
        raise ValueError(f"keypoint_loss: the maps of logits must be square, got shape {shape_of(logits.data)}")
    check_integer("keypoint_loss", positions=positions)
    check_booleans("keypoint_loss", valid=valid)
    for name, array in (("positions", positions), ("valid", valid)):
        check_shape("keypoint_loss", name, array, (P, K), "one per joint of each region")
    outside = first_position(valid & ((positions < 0) | (positions >= height * width)))
    if outside is not None:
        raise ValueError(
            f"keypoint_loss: positions must lie in [0, {height * width}), got {positions[outside].item()} at {outside}"
        )
    labels = np.where(valid, positions, -1).astype(np.int64).reshape(P * K)
    return softmax_cross_entropy(logits.reshape(P * K, height * width), labels, ignore_label=-1)
