"""The mean-field free energy: what the updates of a fully connected CRF try to lower.

    F(Q) = Σ_i Σ_l q_i(l) log q_i(l)  +  Σ_i Σ_l ψ_i(l) q_i(l)  +  ½ Σ_i Σ_l q_i(l) p_i(l)

with the pairwise energies p_i(l) = Σ_l' μ(l, l') Σ_m w_m Σ_j k_m(f_i, f_j) q_j(l'), which the update has at hand. It is
the Kullback–Leibler divergence from the Gibbs distribution exp(−E)/Z to the product Q, less log Z: Krähenbühl & Koltun,
"Parameter learning and convergent inference for dense random fields" (2013), §3; Koller & Friedman (2009), §11.5.

Conventions:

- The ½ makes every pair count once, though it meets itself as (i, j) and as (j, i). `klDivergence` of the authors'
  densecrf leaves the ½ out, and is not the function that the updates descend.
- Whether the self term j = i is in p is the caller's choice; it belongs there if the update has it.
- 0 log 0 = 0. A negative q gives NaN, and so does 0 · ∞, an infinite energy of a label that has no probability.
- The terms are in the dtype of the arrays, their sum is taken in float64 and rounded once, to ±∞ if it is too large for
  the dtype. No point: F = 0.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array, check_floating, check_rank, check_shape, shape_of
from refdet.core.kernel import kernel


def _check(q: Array, unary: Array, pairwise: Array) -> None:
    check_floating("free_energy", q=q, unary=unary, pairwise=pairwise)
    check_rank("free_energy", "q", q, "N, L")
    check_shape("free_energy", "unary", unary, shape_of(q), "that of q")
    check_shape("free_energy", "pairwise", pairwise, shape_of(q), "that of q")


@kernel("free_energy", check=_check)
def free_energy_kernel(q: Array, unary: Array, pairwise: Array) -> Array:
    """Return Σ q log q + Σ ψ q + ½ Σ q p, as an array without axes."""
    with np.errstate(invalid="ignore", over="ignore"):  # the logarithm of a negative number, 0 · ∞; a huge energy
        terms = q * np.log(q + (q == 0)) + q * unary + 0.5 * q * pairwise  # 0 log(0 + 1) = 0
        return np.asarray(np.sum(terms, dtype=np.float64), np.result_type(q))


def free_energy(q: Array, unary: Array, pairwise: Array) -> Array:
    """Return the mean-field free energy of a fully connected CRF.

    Args:
        q: (N, L), rows are the marginals of the points; float32 or float64.
        unary: (N, L), the energy ψ of every label at every point.
        pairwise: (N, L), the energy that the other points cause under q.

    Returns:
        F, an array without axes.

    One point that is sure of label 1, where ψ = 3 and p = 4: no entropy, 3 + ½ · 4 = 5.

    >>> float(free_energy(np.array([[0.0, 1.0]]), np.array([[7.0, 3.0]]), np.array([[9.0, 4.0]])))
    5.0
    """
    return free_energy_kernel(q, unary, pairwise)
