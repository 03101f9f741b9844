"""Muon: the momentum of a convolution's weights, made orthogonal, is their step.

A convolution's weights are a matrix, O × (C·kh·kw), with gradient G and singular values σ. With learning rate ε and
momentum μ,

    B ← μ B + G
    X ← G + μ B                            Nesterov's form, as in `SGD`
    X ← X / 2ᵉ,  X ← X / ‖X‖_F
    five times:  X ← P X,   P = a I + b A + c A²,   A = X Xᵀ,   (a, b, c) = (3.4445, −4.7750, 2.0315)
    w ← w − ε · √max(1, O / (C·kh·kw)) · X

All P and A are polynomials of the first A, and so commute: the A of P X is P² A, and what is done to X waits until the
end, in Q = P₅ P₄ P₃ P₂ P₁. The five steps of this iteration (Newton & Schulz) replace every σ by p(p(p(p(p(σ))))), p(σ)
= a σ + b σ³ + c σ⁵, which is between 0.68 and 1.21 for any σ from 0.002 to 1: the step has about the same length in
every direction that the gradient knows, where that of SGD is almost all along a few. Jordan et al., "Muon: an optimizer
for hidden layers in neural networks" (2024), where the coefficients are from. With it the small detectors need fewer
pictures than with Adam.

Parameters that are no convolution's, that is not of rank 4, follow Adam's rule with a rate of their own.

Conventions: matrices are multiplied in the dtype of the parameter (torch.optim.Muon: bfloat16), the wider side last; Q
knows singular values by their squares, so that in float32 errors of X are up to some 2e-4. A gradient of 0 gives a step
of 0. 2ᵉ is the largest power of two that is at most max |X|: it changes no digit and keeps the norm, and so the step,
from over- and underflow. There is no weight decay. ε is the rate of the matrices; `schedules` move both rates by one
factor.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from refdet.core.check import Array, check_number
from refdet.nn.module import Parameter
from refdet.nn.optim import Adam, Multipliers, power_of_two_below

A, B, C = 3.4445, -4.7750, 2.0315
N_ITERATIONS = 5


def orthogonalised(G: Array) -> Array:
    """Return a matrix (m, n) with the singular vectors of G, and singular values near 1 where those of G are not tiny.

    >>> X = orthogonalised(np.array([[3.0, 0.0, 0.0], [0.0, 0.5, 0.0]]))
    >>> np.abs(X - [[1, 0, 0], [0, 1, 0]]).max() < 0.35
    np.True_
    """
    X = G.T if G.shape[0] > G.shape[1] else G
    largest = float(np.max(np.abs(X), initial=0.0))
    if largest > 0:
        X = X / power_of_two_below(largest)
        X = X / np.linalg.norm(X)
    gram = X @ X.T
    identity = np.eye(len(gram), dtype=gram.dtype)
    Q = identity
    for _ in range(N_ITERATIONS):
        P = A * identity + B * gram + C * (gram @ gram)
        Q, gram = P @ Q, P @ gram @ P
    X = Q @ X
    return X.T if G.shape[0] > G.shape[1] else X


class Muon(Adam):
    """Orthogonal steps for the weights of convolutions, Adam's for all other parameters.

    Args:
        named_parameters: of the module.
        lr: ε, of the weights of convolutions.
        adam_lr: of all others.
        momentum: μ.
        betas: of Adam.
        eps: likewise.
        multipliers: of single parameters.
    """

    def __init__(
        self,
        named_parameters: Iterable[tuple[str, Parameter]],
        *,
        lr: float = 0.02,
        adam_lr: float = 1e-3,
        momentum: float = 0.9,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        multipliers: Mapping[str, Multipliers] | None = None,
    ) -> None:
        super().__init__(named_parameters, lr=lr, betas=betas, eps=eps, multipliers=multipliers)
        if self.lr == 0:
            raise ValueError("Muon: lr must be above 0, got 0; a schedule may lower it")
        self.momentum = check_number("Muon", "momentum", momentum, low=0, high=math.nextafter(1.0, 0.0))
        self.adam_share = check_number("Muon", "adam_lr", adam_lr, low=0) / self.lr

    def initial_slots(self, w: Array) -> dict[str, Array]:
        """Return B = 0 for a convolution, Adam's slots for others."""
        return {"momentum": np.zeros_like(w)} if w.ndim == 4 else super().initial_slots(w)

    def direction(self, g: Array, slots: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        """Return the orthogonal matrix times its factor, or Adam's direction times the share of its rate."""
        if g.ndim != 4:
            direction, new_slots = super().direction(g, slots)
            return self.adam_share * direction, new_slots
        momentum = self.momentum * slots["momentum"] + g
        matrix = np.reshape(g + self.momentum * momentum, (g.shape[0], -1))
        factor = math.sqrt(max(1.0, matrix.shape[0] / matrix.shape[1])) if matrix.size else 1.0
        return np.reshape(factor * orthogonalised(matrix), g.shape), {"momentum": momentum}
