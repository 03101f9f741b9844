"""Parameters taken over from one network into another, by name; a fully connected layer becomes a convolution.

A linear weight (O, C·H·W) and a convolution's (O, C, H, W) hold the same numbers in the same order
(`refdet.ops.linear`), so that to take over is to copy; what is left is to see that names and sizes fit. FCN starts from
a classifier this way, and each finer FCN from the coarser one.

Source: Long, Shelhamer & Darrell (2015), §4.1; their function `transplant`. Deck 004: "a fully connected layer can be
viewed as a convolution". Departure: theirs also fills a weight from one of another size where NumPy can; here the
number of elements must be the same.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from refdet.nn import Module


class Transplanted(NamedTuple):
    """The names of the parameters: what was taken over, what the target keeps, what it has no place for."""

    copied: tuple[str, ...]
    kept: tuple[str, ...]
    left_out: tuple[str, ...]


def transplant(target: Module, source: Module) -> Transplanted:
    """Copy every parameter of `source` whose name `target` has too, reshaped where that keeps the order of the numbers.

    Shapes may differ as a linear layer's and a convolution's do: in rank, with the same number of outputs and of
    elements. A parameter of one name that does not fit is an error, which names all of them, and then nothing is
    changed. Values are converted to the dtype of the target; buffers are not looked at.
    """
    for name, module in (("target", target), ("source", source)):
        if not isinstance(module, Module):
            raise TypeError(f"transplant: {name} must be a Module, got {type(module).__name__}")
    theirs, ours = dict(source.named_parameters()), dict(target.named_parameters())
    shared = [name for name in ours if name in theirs]
    shapes = [(name, theirs[name].shape, ours[name].shape) for name in shared]
    misfits = [f"{name} {there} → {here}" for name, there, here in shapes if not _fits(there, here)]
    if misfits:
        raise ValueError(f"transplant: these parameters of {type(source).__name__} do not fit: {'; '.join(misfits)}")
    for name in shared:
        parameter = ours[name]
        parameter.data = np.array(theirs[name].data.reshape(parameter.shape), dtype=parameter.dtype)
    return Transplanted(
        copied=tuple(shared),
        kept=tuple(name for name in ours if name not in theirs),
        left_out=tuple(name for name in theirs if name not in ours),
    )


def _fits(there: tuple[int, ...], here: tuple[int, ...]) -> bool:
    """Say whether a parameter can be taken over: one of the same shape, or outputs × the same number of inputs."""
    if len(there) == len(here):
        return there == here
    return there[:1] == here[:1] and math.prod(there) == math.prod(here)
