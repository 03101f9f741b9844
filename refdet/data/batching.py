"""Batches of samples, made ahead by a thread while the network works.

NumPy releases Python's lock inside its loops, so that one thread that prepares the next batch costs little.
"""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from refdet.core.check import Array, integer
from refdet.data.sample import Sample
from refdet.data.transforms import network_input

T = TypeVar("T")

Transform = Callable[[Sample, np.random.Generator], Sample]
POLL_SECONDS = 0.1  # how long a thread with a finished item waits before it looks whether anybody still wants it


@dataclass(frozen=True)
class Batch:
    """Samples, and their images as one array: padded at the bottom and the right with zeros, the mean colour."""

    images: Array  # (N, 3, H, W) float32
    sizes: Array  # (N, 2) int64, the height and width of each image without padding
    samples: tuple[Sample, ...]


def as_batch(samples: Sequence[Sample], *, mean: Sequence[float], order: str = "RGB", divisor: int = 1) -> Batch:
    """Put samples into one batch, as large as the largest on each axis, rounded up to a multiple of `divisor`."""
    if not samples:
        raise ValueError("as_batch: there must be at least one sample")
    step = integer("as_batch", "divisor", divisor, low=1)
    sizes = np.array([sample.size for sample in samples], np.int64)
    H, W = (-(-int(side) // step) * step for side in sizes.max(axis=0))
    images = np.zeros((len(samples), 3, H, W), np.float32)
    for image, sample, (h, w) in zip(images, samples, sizes, strict=True):
        image[:, :h, :w] = network_input(sample.image, mean=mean, order=order)
    return Batch(images, sizes, tuple(samples))


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

    The order and the transforms draw from `rng` alone, sample after sample, so that its state says what comes.
    """
    size = integer("batches", "batch_size", batch_size, low=1)
    shuffled = rng.permutation(len(samples))
    for start in range(0, len(shuffled), size):
        indices = shuffled[start : start + size]
        if drop_last and len(indices) < size:
            return
        chosen = [samples[int(i)] for i in indices]
        if transform is not None:
            chosen = [transform(sample, rng) for sample in chosen]
        yield as_batch(chosen, mean=mean, order=order, divisor=divisor)


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
