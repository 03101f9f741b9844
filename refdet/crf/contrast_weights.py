"""Contrast-sensitive weights of the edges of a grid: dear to cut between similar pixels, cheap where colours change.

    w_ij = w₁ exp(−β |x_i − x_j|²) + w₂,    divided by the length of the edge where lengths are given

so that 1[y_i ≠ y_j] · w_ij is the Potts model of deck 004, "Adjacency CRFs". Boykov & Jolly, "Interactive graph cuts",
ICCV 2001, where the length comes from; Shotton et al., "TextonBoost", IJCV 2009, §3, where w₁, w₂ and the β below do.

Conventions:

- β is 1 / (2 · mean of |x_i − x_j|² over the edges) where it is None, each edge counted once whatever its length; 0
  where that mean is 0, in a constant picture, and where there are no edges.
- The length divides both terms: a diagonal of 8 neighbours counts 1/√2.
- Computed in float64 and rounded once to the dtype of the colours. Lengths may have another dtype than the colours:
  those of `grid_edges` are float64.
- A pair given twice is two edges.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array, check_floating, check_integer, check_number, check_rank, check_shape, shape_of
from refdet.core.kernel import kernel
from refdet.crf.crf_energy import check_ends, check_finite


def _check(colours: Array, edges: Array, lengths: Array | None, *, w1: float, w2: float, beta: float | None) -> None:
    check_rank("contrast_weights", "colours", colours, "N, C")
    check_floating("contrast_weights", colours=colours)
    check_rank("contrast_weights", "edges", edges, "E, 2")
    check_integer("contrast_weights", edges=edges)
    check_shape("contrast_weights", "edges", edges, (shape_of(edges)[0], 2), "two ends of each edge")
    if lengths is not None:
        check_floating("contrast_weights", lengths=lengths)
        check_shape("contrast_weights", "lengths", lengths, shape_of(edges)[:1], "one per edge")
    check_number("contrast_weights", "w1", w1, low=0)
    check_number("contrast_weights", "w2", w2, low=0)
    if beta is not None:
        check_number("contrast_weights", "beta", beta, low=0)


@kernel("contrast_weights", check=_check)
def contrast_weights_kernel(
    colours: Array, edges: Array, lengths: Array | None, *, w1: float, w2: float, beta: float | None
) -> Array:
    """Return the weights, (E,)."""
    x = colours.astype(np.float64)
    difference = x[edges[:, 0]] - x[edges[:, 1]]  # (E, C)
    contrast = np.sum(difference * difference, axis=1)
    if beta is None:
        mean = np.mean(contrast) if len(contrast) else 0.0
        exponent = contrast / (2 * mean) if mean > 0 else np.zeros_like(contrast)
    else:
        exponent = float(beta) * contrast
    weights: Array = float(w1) * np.exp(-exponent) + float(w2)
    if lengths is not None:
        weights = weights / lengths.astype(np.float64)
    rounded: Array = weights.astype(np.result_type(colours))
    return rounded


def contrast_weights(
    colours: Array,
    edges: Array,
    lengths: Array | None = None,
    *,
    w1: float = 1.0,
    w2: float = 0.0,
    beta: float | None = None,
) -> Array:
    """Weigh the edges of a graph by how similar their ends look.

    Args:
        colours: (N, C), float32 or float64, finite: what is seen at each point, in any unit.
        edges: (E, 2) integers, the ends of each edge, such as those of `grid_edges`.
        lengths: (E,), positive, float32 or float64; None for 1.
        w1: ≥ 0, the part that depends on contrast.
        w2: ≥ 0, the part that does not.
        beta: ≥ 0; None for 1 / (2 · mean squared difference over the edges).

    Returns:
        The weights w_ij ≥ 0, (E,), of the dtype of the colours.

    A step of 1 between the last two of three pixels costs exp(−log 4) = 1/4:

    >>> contrast_weights(np.array([[0.0], [0.0], [1.0]]), np.array([[0, 1], [1, 2]]), beta=np.log(4))
    array([1.  , 0.25])
    """
    _check(colours, edges, lengths, w1=w1, w2=w2, beta=beta)
    check_finite("contrast_weights", colours=colours)
    check_ends("contrast_weights", edges, len(colours))
    if lengths is not None and not ((lengths > 0) & np.isfinite(lengths)).all():
        e = int(np.flatnonzero(~((lengths > 0) & np.isfinite(lengths)))[0])
        raise ValueError(f"contrast_weights: lengths must be positive, got {lengths[e]:g} for edge {e}")
    with np.errstate(over="ignore", invalid="ignore"):
        weights = contrast_weights_kernel(colours, edges, lengths, w1=w1, w2=w2, beta=beta)
    if not np.isfinite(weights).all():
        e = int(np.flatnonzero(~np.isfinite(weights))[0])
        raise ValueError(
            "contrast_weights: colours, w1 and w2 must be small enough for finite weights, "
            f"got {weights[e]} for edge {e}"
        )
    return weights
