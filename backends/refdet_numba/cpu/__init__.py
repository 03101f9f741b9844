"""The backend `numba-cpu`: which kernels it replaces."""

from collections.abc import Callable
from typing import Any

from refdet_numba.cpu import max_pool2d

KERNELS: dict[str, Callable[..., Any]] = {
    "max_pool2d.forward": max_pool2d.forward,
    "max_pool2d.backward": max_pool2d.backward,
}
