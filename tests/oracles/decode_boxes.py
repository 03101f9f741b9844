"""The boxes that regression outputs make of proposals.

    t = (delta * std + mean) / weights,    t_w, t_h := min(t_w, clamp), min(t_h, clamp)
    b_x = p_x + p_w t_x,    b_y = p_y + p_h t_y,    b_w = p_w exp(t_w),    b_h = p_h exp(t_h)

with the centre and size of the proposal, and the corners of the box, in the convention of tests/oracles/_transform.py.
"py-faster" does not undo its own coding: it measures widths with + 1 and does not subtract it again. Nothing is
clamped if clamp is None; NaN stays NaN. A row of deltas is one block of four after another, K of them, which all start
from the same proposal.

Source: Girshick et al., "Rich feature hierarchies", appendix C, equations 1 to 4; the clamp: Detectron.
"""

import numpy as np

from tests.oracles._boxes import rows
from tests.oracles._ieee import exp, quotient
from tests.oracles._sums import Array, Float64Array
from tests.oracles._transform import centre_and_size, corners

Four = tuple[float, float, float, float]


def forward(
    proposals: Array,
    deltas: Array,
    *,
    convention: str,
    weights: Four,
    mean: Four,
    std: Four,
    clamp: float | None,
) -> Float64Array:
    """Return boxes, shape (R, 4 K)."""
    boxes = np.zeros(deltas.shape)
    for r, proposal in enumerate(rows(proposals)):
        p_x, p_y, p_w, p_h = centre_and_size(proposal, convention)
        for block in range(0, deltas.shape[1], 4):
            t_x, t_y, t_w, t_h = (
                quotient(float(deltas[r, block + k]) * std[k] + mean[k], weights[k]) for k in range(4)
            )
            if clamp is not None:
                t_w, t_h = (clamp if t > clamp else t for t in (t_w, t_h))
            box = corners(p_x + p_w * t_x, p_y + p_h * t_y, p_w * exp(t_w), p_h * exp(t_h), convention)
            for k in range(4):
                boxes[r, block + k] = box[k]
    return boxes
