"""Min-sum loopy belief propagation: neighbours tell each other, label by label, what it would cost them.

Over an edge e = (i, j) two messages go; theta_e(a, b) = weight_e compatibility[a, b], a the label of i, b that of j:

    h_i(a) = unary[i, a] + all messages to i but that over e itself
    message to j:  m(b) = min over a of h_i(a) + theta_e(a, b)
    message to i:  m(a) = min over b of h_j(b) + theta_e(a, b)
    new message = (1 - damping) (m - min m) + damping * old message

All messages are 0 at first, and all are renewed at once, from the old ones, `iterations` times. Then

    beliefs[i, a] = unary[i, a] + all messages to i

not normalised, and the label of i is the first with the smallest belief.

Source: Felzenszwalb and Huttenlocher, "Efficient Belief Propagation for Early Vision", section 2.
"""

import numpy as np
from numpy.typing import NDArray

from tests.oracles._sums import Array, Float64Array, exact_sum

Message = tuple[int, int]  # the edge it goes over, the end it goes to: 0 or 1


def forward(
    unary: Array, edges: Array, weights: Array, compatibility: Array, *, iterations: int, damping: float
) -> tuple[NDArray[np.int64], Float64Array]:
    """Return (labels, beliefs), shapes (N,) and (N, L)."""
    n_points, n_labels = unary.shape
    names = range(n_labels)
    messages: dict[Message, list[float]] = {(e, to): [0.0] * n_labels for e in range(len(edges)) for to in (0, 1)}
    inbox = {i: [(e, to) for e, to in messages if edges[e][to] == i] for i in range(n_points)}

    def cost(point: int, label: int, without: Message | None = None) -> float:
        """Return the unary energy of a point at a label plus the messages it has received, but one."""
        heard = [messages[name][label] for name in inbox[point] if name != without]
        return exact_sum([float(unary[point, label]), *heard])

    for _ in range(iterations):
        renewed: dict[Message, list[float]] = {}
        for (e, to), old in messages.items():
            sender = int(edges[e][1 - to])
            h = [cost(sender, l, without=(e, 1 - to)) for l in names]
            theta = [[float(weights[e]) * float(compatibility[a, b]) for b in names] for a in names]
            m = [min(h[s] + (theta[s][r] if to == 1 else theta[r][s]) for s in names) for r in names]
            renewed[e, to] = [(1 - damping) * (m[r] - min(m)) + damping * old[r] for r in names]
        messages.update(renewed)

    beliefs = np.array([[cost(i, l) for l in names] for i in range(n_points)]).reshape(n_points, n_labels)
    labels = [row.index(min(row)) for row in beliefs.tolist()]
    return np.array(labels, dtype=np.int64), beliefs
