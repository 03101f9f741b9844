"""FCN: a classifier slid over the image, with skips to finer layers; logits for every pixel.

    s₅ = score(fc7),   s₄ = up₂(s₅) + crop(score(pool4)),   s₃ = up₂(s₄) + crop(score(pool3))
    FCN-32s = crop(up₃₂(s₅)),    FCN-16s = crop(up₁₆(s₄)),    FCN-8s = crop(up₈(s₃))

Sources: Long, Shelhamer & Darrell, "Fully convolutional networks for semantic segmentation" (2015), §3 and §4, and
their files (fcn.berkeleyvision.org); deck 004, "Fully Convolutional Networks".

Crops. Windows move the maps against each other, so each sum and the output need a crop: the skip's score onto the
upsampled one, the output onto the image. Their offsets are not written anywhere: they follow from the layers
(`refdet.segmentation.grid`), 19 for 32s, 5 and 27 for 16s, 5, 9 and 31 for 8s with the plan of VGG-16. Another padding
or kernel of fc6 moves them; a plan whose crops do not fit is refused when the network is made. With B blocks, s = 2ᴮ,
padding P and K = fc_kernel, the coarsest variant needs s·K ≤ 2(P + s − 1), which is more than the finer ones need, and
the first skip needs K ≥ 3, the second K ≥ 4, any further one K ≥ 5: for 32s to 8s no less than K = 4 with P = 33.

Initial values. All score layers start at 0, upsampling as linear interpolation.

What "a finer net starts as the coarser one" means. `refined` copies the parameters; the new score layer is 0, so that
the two nets have the same s₅, bit for bit, and the finer one interpolates it in two steps instead of one. These are
not the same interpolation. Along one axis the coarse net's logits are the polygon through the scores, with a corner at
the centre of each coarse pixel; two steps sample that polygon at a quarter of the stride s to either side of each
corner and join the samples. So

- wherever both coordinates are at least s/4 away from the nearest such centre, the logits are the same but for
  rounding: half of each axis, a quarter of the pixels; and everywhere where the scores are an affine function;
- within s/4 of a centre the corner is cut off, by at most |v₋ − 2v + v₊|/8 for scores v₋, v, v₊ along an axis (0 beyond
  the map); the two axes add up. The label can change only where the best class leads by at most twice that.

As one transposed convolution, up₁₆∘up₂ has 80 taps where up₃₂ has 64, 8 more on each side, and up₈∘up₂∘up₂ has 88, 12
more: hence the offsets 27 = 19 + 8 and 31 = 19 + 12.

At once (`pool_scales=AT_ONCE_SCALES`): FCN-8s trained in one go, its pools scaled by 0.01 and 0.0001 before they are
scored, so that their larger activations do not drown the coarse scores. The biases of the scores are not scaled.

Conventions: images are what `refdet.data.transforms.network_input` returns, of any size; every layer is alike on both
axes. `variant` is the stride of the finest map that is scored; with B blocks instead of five the coarsest is 2ᴮ.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array, check_choice, check_floating, check_number, check_rank, integer, shape_of
from refdet.nn import Conv2d, Dropout, Module, ReLU, Sequential
from refdet.ops.shaping import crop
from refdet.segmentation.bilinear import BilinearUpsampling
from refdet.segmentation.grid import Grid, image_grid, offset_onto, through
from refdet.segmentation.transplant import transplant
from refdet.segmentation.vgg import VGG, VGGPlan, checked_plan, convolutional_head

AT_ONCE_SCALES = (0.01, 0.0001)  # of pool4 and pool3, in the authors' voc-fcn8s-atonce
LEARNED_UPSAMPLING = ("none", "intermediate", "all")


def variants(plan: VGGPlan) -> tuple[str, ...]:
    """Return the variants that a plan allows, coarsest first.

    >>> variants(VGGPlan())
    ('32s', '16s', '8s', '4s', '2s')
    """
    return tuple(f"{2**b}s" for b in range(len(plan.blocks), 0, -1))


class Skip(Module):
    """Add the scores of a finer map to the upsampled coarser ones."""

    def __init__(
        self,
        pool_channels: int,
        n_classes: int,
        *,
        scale: float,
        learned: bool,
        rng: np.random.Generator,
        dtype: Any,
    ) -> None:
        super().__init__()
        self.upsample = BilinearUpsampling(n_classes, 2, learned=learned, dtype=dtype)
        self.score = _score_layer(pool_channels, n_classes, rng=rng, dtype=dtype)
        self.scale = scale

    def fuse(self, coarse: Tensor, pool: Tensor, offset: int) -> Tensor:
        """Return up₂(coarse) + crop(score(scale · pool))."""
        upsampled = self.upsample(coarse)
        scored = self.score(pool if self.scale == 1 else pool * self.scale)
        return upsampled + _crop_onto(scored, offset, upsampled)


class FCN(Module):
    """Per-pixel logits (N, n_classes, H, W) of images (N, in_channels, H, W) of any size from `smallest_side` on.

    Args:
        n_classes: C, the background included.
        variant: "32s", "16s" or "8s" (with five blocks; also "4s" and "2s", which the paper does not use).
        plan: widths, blocks, padding and kernel of fc6; None is VGG-16's.
        learned_upsampling: which upsampling is trained: "none", as in the authors' files; "intermediate", all but the
            last, as in the paper; or "all".
        pool_scales: a factor per skip, coarsest first, or None for 1 each.
        rng: source of the initial values. One seed gives all variants the same backbone and head.
        dtype: float32 or float64.

    Attributes:
        stride: of the finest map that is scored, in pixels of the image; 16 for "16s".
        offsets: path of what is cropped → the number of pixels that are dropped in front.
        smallest_side: the fewest pixels a side of an image may have; 1 for VGG-16's plan.

    A network of three blocks on images of 20 × 33 pixels:

    >>> plan = VGGPlan(blocks=((2, 1), (4, 1), (4, 1)), padding=5, fc_kernel=3, fc_channels=8)
    >>> fcn = FCN(3, variant="4s", plan=plan, rng=np.random.default_rng(0))
    >>> fcn(np.zeros((1, 3, 20, 33), np.float32)).shape, fcn.offsets
    ((1, 3, 20, 33), {'skips.pool2.score': 1, 'upscore.x4': 2})
    """

    def __init__(
        self,
        n_classes: int,
        *,
        variant: str = "32s",
        plan: VGGPlan | None = None,
        learned_upsampling: str = "none",
        pool_scales: tuple[float, ...] | None = None,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        C = integer("FCN", "n_classes", n_classes, low=1)
        plan = checked_plan("FCN", plan)
        check_choice("FCN", "variant", variant, variants(plan))
        check_choice("FCN", "learned_upsampling", learned_upsampling, LEARNED_UPSAMPLING)
        n_skips = variants(plan).index(variant)
        scales = _checked_scales(pool_scales, n_skips)

        self.n_classes, self.variant, self.plan = C, variant, plan
        self.stride = plan.stride >> n_skips
        self.learned_upsampling, self.pool_scales = learned_upsampling, scales
        self.backbone = VGG(plan, rng=rng, dtype=dtype)
        self.head = convolutional_head(plan, rng=rng, dtype=dtype)
        self.score_fr = _score_layer(plan.fc_channels, C, rng=rng, dtype=dtype)
        skips = {}
        for i, scale in enumerate(scales):
            b = len(plan.blocks) - 1 - i  # the first skip comes from the last pooling but one
            learned = learned_upsampling != "none"
            skips[f"pool{b}"] = Skip(plan.blocks[b - 1][0], C, scale=scale, learned=learned, rng=rng, dtype=dtype)
        self.skips = Sequential(**skips)
        last = BilinearUpsampling(C, self.stride, learned=learned_upsampling == "all", dtype=dtype)
        self.upscore = Sequential(**{f"x{self.stride}": last})

        self.offsets = self._crops(2 * plan.fc_kernel * plan.stride)[1]  # a size at which every layer has an output
        self.smallest_side = self._smallest_side()
        for n in range(self.smallest_side, self.smallest_side + plan.stride):  # sizes repeat with the stride
            self._crops(n)

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Return the logits, (N, C, H, W)."""
        score = self.fused_scores(x, training=training, rng=rng)
        name = self._upscore_name
        return _crop_onto(self.upscore(score), self.offsets[name], x)

    def coarse_scores(
        self, x: Tensor | Array, *, training: bool = False, rng: np.random.Generator | None = None
    ) -> Tensor:
        """Return s₅, the scores of the last map, (N, C, H₅, W₅): the same in every variant."""
        return self._score(self._pools(x, training, rng)[-1], training, rng)

    def fused_scores(
        self, x: Tensor | Array, *, training: bool = False, rng: np.random.Generator | None = None
    ) -> Tensor:
        """Return the scores before the last upsampling: s₅, s₄ or s₃."""
        pools = self._pools(x, training, rng)
        score = self._score(pools[-1], training, rng)
        for (name, skip), pool in zip(self._named_skips(), reversed(pools[:-1]), strict=False):
            score = skip.fuse(score, pool, self.offsets[f"skips.{name}.score"])
        return score

    def grids(self, n: int) -> dict[str, Grid]:
        """Return path → grid of what each convolution, pooling and upsampling makes of an axis of n pixels.

        Nothing is computed on pixels. A map that is cropped has its grid from before the crop.
        """
        n = integer("FCN.grids", "n", n, low=1)
        self._check_side(n, n)
        return self._crops(n)[0]

    def sizes(self, n: int) -> dict[str, int]:
        """Return path → number of pixels of the same maps.

        >>> sizes = FCN(1, plan=VGGPlan().narrowed(512), rng=np.random.default_rng(0)).sizes(500)
        >>> [sizes[name] for name in ("backbone.conv1_1", "backbone.pool5", "score_fr", "upscore.x32")]
        [698, 22, 16, 544]
        """
        return {name: grid.size for name, grid in self.grids(n).items()}

    @property
    def _upscore_name(self) -> str:
        return f"upscore.x{self.stride}"

    def _named_skips(self) -> list[tuple[str, Skip]]:
        return [(name, part) for name, part in self.skips.parts() if isinstance(part, Skip)]

    def _pools(self, x: Tensor | Array, training: bool, rng: np.random.Generator | None) -> list[Tensor]:
        x = x if isinstance(x, Tensor) else Tensor(x)
        check_rank("FCN", "x", x.data, "N, C, H, W")
        check_floating("FCN", x=x.data)
        if x.shape[1] != self.plan.in_channels:
            raise ValueError(
                f"FCN: x must have the plan's {self.plan.in_channels} channels, (N, C, H, W), got shape "
                f"{shape_of(x.data)}"
            )
        self._check_side(*x.shape[2:])
        return self.backbone.pools(x, training=training, rng=rng)

    def _score(self, last_pool: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        return self.score_fr(self.head(last_pool, training=training, rng=rng))

    def _check_side(self, height: int, width: int) -> None:
        if min(height, width) < self.smallest_side:
            raise ValueError(
                f"FCN: images must have at least {self.smallest_side} pixels a side with padding {self.plan.padding} "
                f"and fc_kernel {self.plan.fc_kernel}, got {height} × {width}"
            )

    def _crops(self, n: int) -> tuple[dict[str, Grid], dict[str, int]]:
        """Walk an axis of n pixels through all layers: path → grid, and path of what is cropped → offset."""
        grids, offsets = self._backbone_grids(n), {}
        grid = grids[f"backbone.pool{len(self.plan.blocks)}"]
        for name, layer in self.head.parts():
            if not isinstance(layer, (ReLU, Dropout)):
                grid = grids[f"head.{name}"] = through(layer, grid)
        grid = grids["score_fr"] = through(self.score_fr, grid)
        for name, skip in self._named_skips():
            scored, upsampled = f"skips.{name}.score", f"skips.{name}.upsample"
            grids[scored] = through(skip.score, grids[f"backbone.{name}"])
            grid = grids[upsampled] = through(skip.upsample, grid)
            offsets[scored] = self._offset(scored, grids[scored], upsampled, grid, n)
        name = self._upscore_name
        grids[name] = through(self.upscore, grid)
        offsets[name] = self._offset(name, grids[name], "the image", image_grid(n), n)
        return grids, offsets

    def _backbone_grids(self, n: int) -> dict[str, Grid]:
        grid, grids = image_grid(n), {}
        for name, layer in self.backbone.parts():
            if not isinstance(layer, ReLU):
                grid = grids[f"backbone.{name}"] = through(layer, grid)
        return grids

    def _offset(self, cropped_name: str, cropped: Grid, reference_name: str, reference: Grid, n: int) -> int:
        try:
            return offset_onto(cropped, reference)
        except ValueError as error:
            raise ValueError(
                f"FCN: {cropped_name} cannot be cropped onto {reference_name} with padding {self.plan.padding} and "
                f"fc_kernel {self.plan.fc_kernel} (image of {n} pixels): {str(error).split(': ', 1)[1]}"
            ) from error

    def _smallest_side(self) -> int:
        """Return the smallest side that leaves a window for fc6."""
        n, last = max(1, 3 - 2 * self.plan.padding), f"backbone.pool{len(self.plan.blocks)}"
        while self._backbone_grids(n)[last].size < self.plan.fc_kernel:
            n += 1
        return n


def refined(coarse: FCN) -> FCN:
    """Return the next finer variant, which starts as `coarse` in the sense above: all its parameters taken over.

    What is frozen in `coarse` stays frozen. New are the skip, whose score layer is 0, and the last upsampling, which
    starts as linear interpolation again even where `coarse` has learned its own. Nothing is drawn at random.
    """
    if not isinstance(coarse, FCN):
        raise TypeError(f"refined: needs an FCN, got {type(coarse).__name__}")
    names = variants(coarse.plan)
    finer = names[names.index(coarse.variant) + 1 :]
    if not finer:
        raise ValueError(f"refined: there is no variant finer than {coarse.variant!r} with {len(names)} blocks")
    fine = FCN(
        coarse.n_classes,
        variant=finer[0],
        plan=coarse.plan,
        learned_upsampling=coarse.learned_upsampling,
        pool_scales=(*coarse.pool_scales, 1.0),
        rng=np.random.default_rng(0),  # its values are all replaced
        dtype=coarse.score_fr.weight.dtype,
    )
    transplant(fine, coarse)
    theirs = dict(coarse.named_parameters())
    for name, parameter in fine.named_parameters():
        if name in theirs:
            parameter.requires_grad = theirs[name].requires_grad
    return fine


def _score_layer(in_channels: int, n_classes: int, *, rng: np.random.Generator, dtype: Any) -> Conv2d:
    """Return a 1 × 1 convolution of zeros; paper, §4.3: random values are neither better nor faster."""
    layer = Conv2d(in_channels, n_classes, 1, rng=rng, dtype=dtype)
    layer.weight.data = np.zeros_like(layer.weight.data)
    return layer


def _crop_onto(x: Tensor, offset: int, reference: Tensor) -> Tensor:
    height, width = reference.shape[2:]
    return crop(x, top=offset, left=offset, height=height, width=width)


def _checked_scales(pool_scales: Any, n_skips: int) -> tuple[float, ...]:
    if pool_scales is None:
        return (1.0,) * n_skips
    if not isinstance(pool_scales, (tuple, list)) or len(pool_scales) != n_skips:
        raise ValueError(f"FCN: pool_scales must have one factor for each of {n_skips} skips, got {pool_scales!r}")
    return tuple(check_number("FCN", "pool_scales", scale) for scale in pool_scales)
