"""Damage to files, for the tests of what reads them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def one_byte_changed(content: bytes, *, n: int, seed: int) -> Iterator[bytes]:
    """Yield `content` `n` times, each time with one byte, anywhere, replaced by another."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        changed = bytearray(content)
        position, mask = int(rng.integers(len(content))), int(rng.integers(1, 256))
        changed[position] ^= mask
        yield bytes(changed)
