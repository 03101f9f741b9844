"""What the three resizing algorithms share."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import Floats
from refdet.verify.compare import error_bound

Size = tuple[int, int]

FLOAT32 = np.dtype(np.float32)


def params(size: Size, ratio: tuple[float, float], coordinates: str = "half_pixel", **more: Any) -> dict[str, Any]:
    """Return the parameters, complete."""
    return {"size": size, "ratio": ratio, "coordinates": coordinates, **more}


def random_params(rng: np.random.Generator, in_size: Size) -> dict[str, Any]:
    """Return a random size and convention of coordinates."""
    height, width = (int(n) for n in rng.integers(1, 9, 2))
    ratio = (in_size[0] / height, in_size[1] / width)
    return params((height, width), ratio, str(rng.choice(["half_pixel", "asymmetric", "align_corners"])))


def with_coordinate_rounding(scale: Floats, n: int, slope: float, coordinate: float) -> Floats:
    """Return S such that γ_n S is γ_n · `scale` plus what the rounding of coordinates may add.

    A coordinate of at most `coordinate` is off by γ_8 · `coordinate`; `slope` bounds Σ|∂y/∂coordinate| over both axes.
    """
    return scale + slope * coordinate * error_bound(8, FLOAT32) / error_bound(n, FLOAT32)
