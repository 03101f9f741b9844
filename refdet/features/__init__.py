"""Floor 4: features of whole images, and where a feature comes from."""

from refdet.features.receptive_field import (
    Window,
    alpha,
    beta,
    image_centre,
    project_points,
    receptive_field,
    receptive_field_size,
)
from refdet.features.window_projection import choose_scales, project_windows

__all__ = [
    "Window",
    "alpha",
    "beta",
    "choose_scales",
    "image_centre",
    "project_points",
    "project_windows",
    "receptive_field",
    "receptive_field_size",
]
