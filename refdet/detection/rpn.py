"""The region proposal network: at every position of a map, how much each anchor looks like an object, and its box.

    t = relu(conv 3×3 (map))
    logits = conv 1×1 (t)       deltas = conv 1×1 (t)       the same weights for every map

Ren, He, Girshick & Sun, "Faster R-CNN" (2015), §3; decks 001 and 002 (2×5×6 and 4×5×6 for one anchor, 12×5×6 and
24×5×6 for six). Anchors are enumerated map by map, row by row, and at each position in the order of `base_anchors`.

Conventions:

- Objectness with two channels per anchor, background first, is softmax(b, f): the probability of an object is
  σ(f − b). So f − b is the logit in both forms, the loss of both is the binary cross-entropy of the logit, and
  proposals are ranked by it. The 2k channels are those of all backgrounds, then those of all objects.
- The four numbers of an anchor are neighbouring channels.
- Parameter names are torchvision's: head.conv.0.0, head.cls_logits, head.bbox_pred. Weights start from N(0, 0.01²),
  biases at 0.
- Proposals are constants: no gradient passes. In a batch with a larger picture there are positions over the padding
  too; their anchors are like all others, and proposals are clipped to the picture itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.boxes.anchors import anchor_grid, base_anchors
from refdet.core.check import Array
from refdet.detection.rpn_proposals import rpn_proposals
from refdet.detection.rpn_settings import RPNSettings
from refdet.nn import Conv2d, Module, Parameter, ReLU, Sequential
from refdet.nn.init import gaussian
from refdet.ops.shaping import concat

Size = tuple[int, int]


class RPNOutput(NamedTuple):
    """What the network says of N pictures with A anchors in all maps together."""

    logits: Tensor  # (N, A): log of the odds that an anchor is an object
    deltas: Tensor  # (N, A, 4)
    anchors: Array  # (A, 4), in pixels of the batch
    levels: Array  # (A,) int64, the map that each anchor belongs to
    n_positions: int  # of all maps: A over the number of anchors at each


class Proposals(NamedTuple):
    """The regions of one picture, the best first."""

    boxes: Array  # (P, 4), in pixels of the batch
    scores: Array  # (P,), logits


class RPNHead(Module):
    """The three convolutions."""

    def __init__(
        self, in_channels: int, settings: RPNSettings, *, rng: np.random.Generator, dtype: Any = np.float32
    ) -> None:
        super().__init__()
        hidden = in_channels if settings.hidden is None else settings.hidden
        k = settings.anchors_per_position
        n_logits = 2 * k if settings.objectness == "softmax" else k
        self.objectness = settings.objectness
        self.conv = Sequential(Sequential(Conv2d(in_channels, hidden, 3, padding=1, rng=rng, dtype=dtype), ReLU()))
        self.cls_logits = Conv2d(hidden, n_logits, 1, rng=rng, dtype=dtype)
        self.bbox_pred = Conv2d(hidden, 4 * k, 1, rng=rng, dtype=dtype)
        for layer in (self.conv[0][0], self.cls_logits, self.bbox_pred):  # type: ignore[index]
            start_from_gaussian(layer, 0.01, rng=rng)

    def of_map(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> tuple[Tensor, Tensor]:
        """Return logits (N, H·W·k) and deltas (N, H·W·k, 4) of one map (N, C, H, W)."""
        t = self.conv(x, training=training, rng=rng)
        logits, deltas = self.cls_logits(t, training=training, rng=rng), self.bbox_pred(t, training=training, rng=rng)
        if self.objectness == "softmax":
            k = logits.shape[1] // 2
            logits = logits[:, k:] - logits[:, :k]
        N, C, H, W = deltas.shape
        return (
            logits.transpose((0, 2, 3, 1)).reshape((N, H * W * C // 4)),
            deltas.transpose((0, 2, 3, 1)).reshape((N, H * W * C // 4, 4)),
        )


class RPN(Module):
    """A head and its settings: from maps to outputs, from outputs to proposals."""

    def __init__(
        self, in_channels: int, settings: RPNSettings, *, rng: np.random.Generator, dtype: Any = np.float32
    ) -> None:
        super().__init__()
        self.settings = settings
        self.head = RPNHead(in_channels, settings, rng=rng, dtype=dtype)

    def outputs(
        self,
        maps: Sequence[Tensor],
        batch_size: Size,
        strides: Sequence[int],
        *,
        training: bool = False,
        rng: np.random.Generator | None = None,
    ) -> RPNOutput:
        """Apply the head to every map, and lay out the anchors."""
        if len(maps) != len(self.settings.sizes):
            raise ValueError(f"RPN: settings have anchors for {len(self.settings.sizes)} maps, got {len(maps)} maps")
        logits, deltas = zip(*(self.head.of_map(x, training=training, rng=rng) for x in maps), strict=True)
        map_sizes = [(x.shape[2], x.shape[3]) for x in maps]
        anchors, levels = anchors_of_maps(self.settings, map_sizes, batch_size, strides)
        one = len(maps) == 1
        return RPNOutput(
            logits=logits[0] if one else concat(logits, axis=1),
            deltas=deltas[0] if one else concat(deltas, axis=1),
            anchors=anchors.astype(maps[0].dtype),
            levels=levels,
            n_positions=sum(H * W for H, W in map_sizes),
        )

    def proposals(
        self, output: RPNOutput, sizes: Sequence[Size], *, training: bool, scales: Sequence[float] | None = None
    ) -> list[Proposals]:
        """Return the proposals of each picture of (height, width) `sizes`, enlarged by `scales` beforehand."""
        scales = scales or [1.0] * len(sizes)
        return [
            propose(self.settings, output, i, size, training=training, scale=scale)
            for i, (size, scale) in enumerate(zip(sizes, scales, strict=True))
        ]


def propose(
    settings: RPNSettings, output: RPNOutput, i: int, size: Size, *, training: bool, scale: float = 1.0
) -> Proposals:
    """Return the proposals of picture i from the outputs of the network."""
    s, phase = settings, 0 if training else 1
    boxes, scores = rpn_proposals(
        output.anchors,
        output.deltas.data[i],
        output.logits.data[i],
        output.levels if len(s.sizes) > 1 else None,
        height=size[0],
        width=size[1],
        order=s.order,
        transform_convention=s.transform,
        clamp=s.clamp,
        clip_convention=s.clip,
        min_size=s.min_size * scale if s.min_size_follows_scale else s.min_size,
        size_convention=s.size_convention,
        pre_nms=s.pre_nms[phase],
        nms_threshold=s.nms_threshold,
        offset=s.coordinates,
        post_nms=s.post_nms[phase],
    )
    return Proposals(boxes, scores)


def anchors_of_maps(
    settings: RPNSettings, map_sizes: Sequence[Size], batch_size: Size, strides: Sequence[int]
) -> tuple[Array, Array]:
    """Return the anchors of all maps, (A, 4) float64, and the map of each, (A,) int64.

    Two maps of a batch of 32 × 32, with one anchor at each position:

    >>> settings = RPNSettings(sizes=((8.0,), (16.0,)), ratios=(1.0,))
    >>> anchors, levels = anchors_of_maps(settings, [(2, 2), (1, 1)], (32, 32), (16, 32))
    >>> anchors[[1, 4]].tolist(), levels.tolist()
    ([[12.0, -4.0, 20.0, 4.0], [-8.0, -8.0, 8.0, 8.0]], [0, 0, 0, 0, 1])
    """
    anchors, levels = [], []
    for level, (sizes, (H, W), stride) in enumerate(zip(settings.sizes, map_sizes, strides, strict=True)):
        legacy = settings.anchor_convention == "py-faster"
        base = base_anchors(
            sizes, settings.ratios, convention=settings.anchor_convention, base_size=stride if legacy else None
        )
        steps = (batch_size[0] // H, batch_size[1] // W) if settings.anchor_stride == "batch" else (stride, stride)
        anchors.append(anchor_grid(base, (H, W), steps, offset=settings.anchor_offset))
        levels.append(np.full(len(anchors[-1]), level, np.int64))
    return np.concatenate(anchors), np.concatenate(levels)


def start_from_gaussian(layer: Any, std: float, *, rng: np.random.Generator) -> None:
    """Give the weights of a layer values from N(0, std²); its biases are 0 already."""
    weight: Parameter = layer.weight
    weight.data = gaussian(weight.shape, std=std, rng=rng, dtype=weight.dtype)
