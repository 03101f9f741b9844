"""Batches of samples, made ahead by a thread while the network works.

NumPy releases Python's lock inside its loops, so that one thread that prepares the next batch costs little.

From a data set through a transform to the batches of one epoch:

>>> from refdet.data import Shapes, batches, photometric, prefetch, random_mirror
>>> def transform(sample, rng):
...     return photometric(random_mirror(sample, rng), rng)
>>> rng = np.random.default_rng(0)
>>> epoch = batches(Shapes(8, seed=0), batch_size=3, rng=rng, mean=(128, 128, 128), transform=transform)
>>> for batch in prefetch(epoch):
...     print(batch.images.shape, len(batch.samples))
(3, 3, 128, 128) 3
(3, 3, 128, 128) 3
(2, 3, 128, 128) 2
"""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from refdet.core.check import Array, check_generator, integer
from refdet.data.sample import Sample, check_sample
from refdet.data.transforms import network_input

T = TypeVar("T")

Transform = Callable[[Sample, np.random.Generator], Sample]
POLL_SECONDS = 0.1  # how long a thread with a finished item waits before it looks whether anybody still wants it


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples, and their images as one array: padded at the bottom and the right with zeros, the mean colour.

    Attributes:
        images: (N, 3, H, W) float32, less the mean; channels in the order that was asked for.
        sizes: (N, 2) int64, the height and width in pixels of each image without padding.
        samples: the N samples; their boxes and joints hold in `images` as they are, masks and label maps cover an image
            without its padding.
    """

    images: Array
    sizes: Array
    samples: tuple[Sample, ...]


def as_batch(samples: Sequence[Sample], *, mean: Sequence[float], order: str = "RGB", divisor: int = 1) -> Batch:
    """Put samples into one batch, as large as the largest on each axis, rounded up to a multiple of `divisor`.

    Args:
        samples: at least one, of any sizes.
        mean: what is subtracted, three finite numbers on the scale 0 … 255, in the given order; `FAST_RCNN_MEAN_BGR` of
            `refdet.data.transforms` for "BGR".
        order: of the channels of `images`: "RGB", or "BGR" as Caffe's models have it. Samples are always RGB.
        divisor: at least 1; height and width of the batch are multiples of it, such as the stride of the coarsest map
            of the network.
    """
    taken = tuple(samples)  # once: a lazy sequence makes its items anew each time
    if not taken:
        raise ValueError("as_batch: there must be at least one sample")
    for i, sample in enumerate(taken):
        check_sample("as_batch", f"item {i} of samples", sample)
    step = integer("as_batch", "divisor", divisor, low=1)
    sizes = np.array([sample.size for sample in taken], np.int64)
    H, W = (-(-int(side) // step) * step for side in sizes.max(axis=0))
    images = np.zeros((len(taken), 3, H, W), np.float32)
    for image, sample, (h, w) in zip(images, taken, sizes, strict=True):
        image[:, :h, :w] = network_input(sample.image, mean=mean, order=order)
    return Batch(images, sizes, taken)


def batches(
    samples: Sequence[Sample],
    *,
    batch_size: int,
    rng: np.random.Generator,
    mean: Sequence[float],
    order: str = "RGB",
    transform: Transform | None = None,
    drop_last: bool = False,
    divisor: int = 1,
) -> Iterator[Batch]:
    """Go once through the samples in random order.

    The order and the transforms draw from `rng` alone, sample after sample, so that its state says what comes. Nothing
    is checked or drawn before the first batch is asked for.

    Args:
        samples: a list, or what makes or reads a sample when it is asked for: `Shapes`, `StickFigures`, `VocImages`.
        batch_size: samples in a batch, at least 1; the last batch may have fewer.
        rng: source of the order, and of what the transform draws.
        mean: what is subtracted from the images, as in `as_batch`.
        order: of the channels, as in `as_batch`.
        transform: gets a sample and `rng` and returns the sample to take, `random_mirror` for instance; None for none.
        drop_last: leave out the last batch where it has fewer samples.
        divisor: height and width of a batch are multiples of it, as in `as_batch`.
    """
    size = integer("batches", "batch_size", batch_size, low=1)
    check_generator("batches", rng)
    shuffled = rng.permutation(len(samples))
    for start in range(0, len(shuffled), size):
        indices = shuffled[start : start + size]
        if drop_last and len(indices) < size:
            return
        chosen = [transformed("batches", samples, int(i), transform, rng) for i in indices]
        yield as_batch(chosen, mean=mean, order=order, divisor=divisor)


def transformed(
    op: str, samples: Sequence[Sample], i: int, transform: Transform | None, rng: np.random.Generator
) -> Sample:
    """Return sample i, transformed; refuse what is no sample, before or after, in the name of `op`."""
    sample = samples[i]
    check_sample(op, f"item {i} of samples", sample)
    if transform is not None:
        sample = transform(sample, rng)
        check_sample(op, f"what transform returns for item {i}", sample)
    return sample


@dataclass(frozen=True)
class _Made(Generic[T]):
    """What the thread hands over: one item, or none after the last one, or an error."""

    items: tuple[T, ...] = ()
    error: BaseException | None = None


def prefetch(items: Iterable[T], *, ahead: int = 2) -> Iterator[T]:
    """Yield the items, up to `ahead` of them made before they are asked for, by a thread.

    The thread starts with the first item that is asked for, in the context (`no_grad()`, `use_backend()`) of that
    moment. An error while an item is made is raised where the item is asked for. When the loop over them is left early,
    or by an error, the thread ends after the item it is at, and is waited for. The items must not be drawn from a
    generator that anything else uses meanwhile.

    Args:
        items: anything to loop over, such as what `batches` returns; the loop over it runs in the thread.
        ahead: how many finished items may wait, at least 1; with the one that the thread is at, `ahead` + 1 are kept in
            memory beside the one in use.

    >>> list(prefetch(i * i for i in range(4)))
    [0, 1, 4, 9]
    """
    size = integer("prefetch", "ahead", ahead, low=1)
    finished: queue.Queue[_Made[T]] = queue.Queue(size)
    stopped = threading.Event()

    def hand_over(made: _Made[T]) -> None:
        while not stopped.is_set():
            try:
                return finished.put(made, timeout=POLL_SECONDS)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                hand_over(_Made((item,)))
                if stopped.is_set():
                    return
            hand_over(_Made())
        except BaseException as error:  # whatever it is, it belongs to whoever asked for the item
            hand_over(_Made(error=error))

    context = contextvars.copy_context()  # a new thread would begin with an empty one
    thread = threading.Thread(target=context.run, args=(work,), name="refdet prefetch", daemon=True)
    thread.start()
    try:
        while (made := finished.get()).items:
            yield from made.items
        if made.error is not None:
            raise made.error
    finally:
        stopped.set()
        thread.join()
