"""The regression targets that move proposals onto boxes.

    t_x = (b_x - p_x) / p_w,    t_y = (b_y - p_y) / p_h,    t_w = ln(b_w / p_w),    t_h = ln(b_h / p_h)
    delta = (t * weights - mean) / std

with the centre and size of proposal p and target b in the convention of tests/oracles/_transform.py. Nothing is
refused: empty boxes give the infinities and NaNs of the division and of the logarithm.

Source: Girshick et al., "Rich feature hierarchies", appendix C, equations 6 to 9.
"""

import numpy as np

from tests.oracles._boxes import rows
from tests.oracles._ieee import log, quotient
from tests.oracles._sums import Array, Float64Array
from tests.oracles._transform import centre_and_size

Four = tuple[float, float, float, float]


def forward(proposals: Array, targets: Array, *, convention: str, weights: Four, mean: Four, std: Four) -> Float64Array:
    """Return deltas, shape (R, 4)."""
    deltas = np.zeros((len(proposals), 4))
    for r, (proposal, target) in enumerate(zip(rows(proposals), rows(targets), strict=True)):
        p_x, p_y, p_w, p_h = centre_and_size(proposal, convention)
        b_x, b_y, b_w, b_h = centre_and_size(target, convention)
        t = (quotient(b_x - p_x, p_w), quotient(b_y - p_y, p_h), log(quotient(b_w, p_w)), log(quotient(b_h, p_h)))
        for k in range(4):
            deltas[r, k] = quotient(t[k] * weights[k] - mean[k], std[k])
    return deltas
