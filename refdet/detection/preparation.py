"""From pictures to what a network takes, and back: resize, subtract the mean, divide, pad into one batch.

    picture (H, W, 3), red first, 0 … 255
    → resized to (H', W'), bilinearly, half-pixel centres, no antialiasing
    → (channel − mean) / std, in the order of channels that is asked for
    → (N, 3, H″, W″), zeros below and to the right, both sides multiples of `divisor`

| of | short, long | sides | mean | std | order | divisor |
|---|---|---|---|---|---|---|
| Fast and Faster R-CNN | 600, 1000 | rounded | 102.98, 115.95, 122.77 | 1 | BGR | 1 |
| torchvision | 800, 1333 | cut off | 255 · (0.485, 0.456, 0.406) | 255 · (0.229, 0.224, 0.225) | RGB | 32 |

Conventions: with `short` None pictures keep their size. "rounded" is `refdet.data.resized_size`, exact and half up.
"cut off" is torchvision's: the scale min(1 / shorter side · short, 1 / longer side · long) is rounded to float32 after
every operation (torch divides a number by a tensor so, by the reciprocal), and a side is ⌊side · scale⌋: 333 becomes
799, not 800; what would be 0 is 1. Pixels are taken by the ratio of the sides in both. Boxes go there and back by the
ratio of the sides, axis by axis. Masks and joints are resized with the picture (`refdet.data.resize`: masks take the
pixel that the new one's centre lies in, while torchvision takes the one that its upper left corner lies in).

Training sees pictures in several sizes where `short` is a tuple: one size is drawn for each picture, each place of the
tuple as likely as any other (Girshick, "Fast R-CNN", 2015, §2.4; torchvision's `min_size`, detectron2's
`MIN_SIZE_TRAIN`). The draw is one `rng.integers(n)` a picture, in the order of the batch, before anchors or regions
are drawn. One size, alone or in a tuple, takes no random number: everything else is drawn as if there were no choice.
Without a generator, in detection for instance, it is the last size, as in torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from refdet.core.check import Array, as_index, check_choice, check_generator, check_number, integer, sequence
from refdet.data.sample import Sample
from refdet.data.transforms import FAST_RCNN_MEAN_BGR, network_input, resize, resized_size
from refdet.detection.composition import check_batch
from refdet.nn import Module

ORDERS = ("RGB", "BGR")
SIZE_CONVENTIONS = ("rounded", "cut off")


@dataclass(frozen=True)
class Prepared:
    """A batch as a network takes it.

    Attributes:
        images: (N, 3, H, W) float32, with zeros below and to the right of each picture.
        sizes: (height, width) of each picture in it, without the zeros.
        original_sizes: (height, width) of each picture as it was given.
        samples: the pictures at their new size; boxes, masks and joints hold in `images`.
    """

    images: Array
    sizes: tuple[tuple[int, int], ...]
    original_sizes: tuple[tuple[int, int], ...]
    samples: tuple[Sample, ...]

    def ratio(self, i: int) -> Array:
        """Return (4,), what takes boxes of picture i as it was given to boxes in `images`."""
        (H, W), (height, width) = self.sizes[i], self.original_sizes[i]
        return np.array([W / width, H / height, W / width, H / height])

    def images_for(self, network: Module) -> Array:
        """Return the images in the dtype of the network's parameters."""
        dtype = next((parameter.dtype for _, parameter in network.named_parameters()), self.images.dtype)
        return self.images.astype(dtype, copy=False)


@dataclass(frozen=True)
class Preparation:
    """How pictures become a batch; the defaults leave sizes as they are and give values around −1 … 1.

    Attributes:
        mean: of each channel, on the scale 0 … 255, in the order of channels.
        std: by which the rest is divided, likewise.
        order: "RGB" or "BGR".
        short: pixels of the shorter side afterwards; None to keep the size. With a tuple, training draws one of them
            for each picture, and everything else takes the last.
        long: the most pixels of the longer side; without `short` it limits nothing.
        size_convention: "rounded" or "cut off" (see the module).
        divisor: height and width of the batch are multiples of it.
    """

    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (64.0, 64.0, 64.0)
    order: str = "RGB"
    short: int | tuple[int, ...] | None = None
    long: int = 1000
    size_convention: str = "rounded"
    divisor: int = 1

    def __post_init__(self) -> None:
        op = "Preparation"
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len([check_number(op, name, value) for value in sequence(op, name, values)]) != 3:
                raise ValueError(f"{op}: {name} must be three numbers, one a channel, got {values!r}")
        if min(self.std) <= 0:
            raise ValueError(f"{op}: std must be positive, got {self.std}")
        check_choice(op, "order", self.order, ORDERS)
        object.__setattr__(self, "short", _checked_short(self.short))
        integer(op, "long", self.long, low=1)
        check_choice(op, "size_convention", self.size_convention, SIZE_CONVENTIONS)
        integer(op, "divisor", self.divisor, low=1)

    def size(self, original: tuple[int, int], *, rng: np.random.Generator | None = None) -> tuple[int, int]:
        """Return (height, width) of a picture after resizing.

        Args:
            original: (height, width) before.
            rng: draws one of several sizes; None for the last.

        >>> Preparation(short=800, long=1333, size_convention="cut off").size((333, 500))
        (799, 1201)
        """
        short = self._short(rng)
        if short is None:
            return original
        if self.size_convention == "rounded":
            return resized_size(original, short=short, long=self.long)
        f = np.float32
        scale = min(f(1) / f(min(original)) * f(short), f(1) / f(max(original)) * f(self.long))
        height, width = (max(int(np.floor(float(side) * float(scale))), 1) for side in original)
        return height, width

    def _short(self, rng: np.random.Generator | None) -> int | None:
        """Return what the shorter side becomes; of several sizes, one drawn from the generator, or the last."""
        if rng is not None:
            check_generator("Preparation", rng)
        if not isinstance(self.short, tuple):
            return self.short
        n = len(self.short)
        return self.short[-1 if rng is None or n == 1 else int(rng.integers(n))]

    def __call__(self, samples: Sequence[Sample], *, rng: np.random.Generator | None = None) -> Prepared:
        """Prepare a batch of pictures.

        Args:
            samples: at least one.
            rng: in training, draws the size of each picture, if there are several; None for the last size.
        """
        check_batch("Preparation", samples)
        resized = []
        for sample in samples:
            size = self.size(sample.size, rng=rng)
            resized.append(sample if size == sample.size else resize(sample, size))
        sizes = tuple(sample.size for sample in resized)
        H, W = (-(-max(sides) // self.divisor) * self.divisor for sides in zip(*sizes, strict=True))
        images = np.zeros((len(resized), 3, H, W), np.float32)
        std = np.array(self.std, np.float32)[:, None, None]
        for image, sample, (h, w) in zip(images, resized, sizes, strict=True):
            image[:, :h, :w] = network_input(sample.image, mean=self.mean, order=self.order) / std
        return Prepared(images, sizes, tuple(sample.size for sample in samples), tuple(resized))

    def picture(self, image: Array) -> Prepared:
        """Prepare one picture (H, W, 3) of which nothing is known."""
        none = np.zeros(0, np.int64)
        return self([Sample("picture", image, np.zeros((0, 4), np.float32), none, none == 0)])


def _checked_short(short: object) -> int | tuple[int, ...] | None:
    """Return one size, several, or None, as Python's integers; refuse anything else."""
    if short is None:
        return None
    given = short if isinstance(short, tuple) else (short,)
    sizes = tuple(n for n in map(as_index, given) if n is not None and n > 0)
    if not sizes or len(sizes) < len(given):
        raise ValueError(
            f"Preparation: short must be a positive integer, a tuple of one or more, or None, got {short!r}"
        )
    return sizes if isinstance(short, tuple) else sizes[0]


FAST_RCNN_PREPARATION = Preparation(mean=FAST_RCNN_MEAN_BGR, std=(1.0, 1.0, 1.0), order="BGR", short=600, long=1000)
