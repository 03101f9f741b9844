"""A small picture, and random fully connected CRFs, for the tests of this folder."""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np

from refdet.core.check import Array
from refdet.core.kernel import KERNELS, find_backend, use_backend
from refdet.crf.filters import EXPONENTS

NORMALISATIONS = tuple(EXPONENTS)
SHAPE = (18, 21)


@contextlib.contextmanager
def counting_backend() -> Iterator[Counter[str]]:
    """Use a backend that has every kernel, each the reference, and counts how often it is called from outside."""
    calls: Counter[str] = Counter()

    def counted(name: str) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            return KERNELS[name].reference(*args, **kwargs)

        return run

    entry = mock.Mock(load=lambda: {name: counted(name) for name in KERNELS})
    entry.name = "counting"
    find_backend.cache_clear()
    try:
        with mock.patch.object(importlib.metadata, "entry_points", return_value=[entry]), use_backend("counting"):
            yield calls
    finally:
        find_backend.cache_clear()


def picture() -> Array:
    """Return (18, 21, 3) uint8: two regions with an edge between them, shading, and noise.

    The first pixel is black, so that its features are 0: pydensecrf pads the points to a multiple of 4 with such.
    """
    y, x = np.indices(SHAPE)
    channels = [60 + 90 * (x > 10) + 20 * np.sin(y / 3), 120 + 60 * np.cos(x / 5), 40 + 8 * y]
    noise = np.random.default_rng(0).normal(0, 6, (*SHAPE, 3))
    image = np.ascontiguousarray(np.clip(np.stack(channels, axis=-1) + noise, 0, 255).astype(np.uint8))
    image[0, 0] = 0
    return image


def random_crf(rng: np.random.Generator, filters: tuple[str, ...], dtype: str, **given: Any) -> tuple[Any, ...]:
    """Return (unary, features, compatibilities) and the parameters of `mean_field` for a random small problem."""
    H, W, L = (int(n) for n in rng.integers(1, (4, 4, 4)))
    theta = rng.uniform(0.4, 2.0, 2)
    y, x = np.indices((H, W)).reshape(2, -1)
    features, dimensions = [np.zeros((H * W, 0))], []
    for name in filters:
        d = 2 if name == "truncated" else int(rng.integers(1, 4))
        dimensions.append(d)
        features.append(np.stack([x, y], axis=1) / theta if name == "truncated" else rng.standard_normal((H * W, d)))
    arrays = (
        rng.standard_normal((H * W, L)),
        np.concatenate(features, axis=1),
        rng.standard_normal((len(filters), L, L)),
    )
    params = {
        "dimensions": tuple(dimensions),
        "filters": filters,
        "shape": (H, W),
        "normalisation": tuple(str(how) for how in rng.choice(NORMALISATIONS, len(filters))),
        "exclude_self": False,
        "iterations": 2,
        "damping": 0.0,
    }
    return *(x.astype(dtype) for x in arrays), params | given
