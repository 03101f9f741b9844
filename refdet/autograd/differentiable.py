"""The pairing of two kernels, `X.forward` and `X.backward`, into a differentiable operation.

    forward(*arrays, keep_residual, **params) -> (y, residual)
    backward(residual, dy, *, needs, **params) -> one gradient, or None, per array

`y` may be a tuple; then its first element is differentiable and the others (switches, running statistics) stay arrays.
The residual has the same content on every backend, so a forward and a backward of different backends mix. `needs` says
which gradients are asked for.
"""

from __future__ import annotations

from typing import Any

from refdet.autograd.tensor import Tensor, apply_with_extras
from refdet.core.check import Array
from refdet.core.kernel import Kernel

PAIRS: dict[str, Differentiable] = {}


class Differentiable:
    """A pair of kernels, to be called on tensors or arrays."""

    def __init__(self, forward: Kernel[..., Any], backward: Kernel[..., Any]) -> None:
        self.name = forward.name.removesuffix(".forward")
        if (forward.name, backward.name) != (f"{self.name}.forward", f"{self.name}.backward"):
            raise ValueError(
                f"kernels {forward.name!r} and {backward.name!r} do not pair: X.forward goes with X.backward"
            )
        if self.name in PAIRS:
            raise ValueError(f"the kernels of {self.name!r} are already paired")
        self.forward, self.backward = forward, backward
        PAIRS[self.name] = self

    def __call__(self, *inputs: Tensor | Array | None, **params: Any) -> Tensor:
        """Return the differentiable output."""
        return self.with_extras(*inputs, **params)[0]

    def with_extras(self, *inputs: Tensor | Array | None, **params: Any) -> tuple[Tensor, *tuple[Array, ...]]:
        """Return the differentiable output and, as plain arrays, the others."""
        return apply_with_extras(self.forward, self.backward, *inputs, **params)


def differentiable(forward: Kernel[..., Any], backward: Kernel[..., Any]) -> Differentiable:
    """Pair `X.forward` with `X.backward`."""
    return Differentiable(forward, backward)
