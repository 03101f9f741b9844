"""Non-maximum suppression class by class: a box is suppressed only by boxes of its own class.

What the classes keep is merged by descending score, equal scores by ascending index, NaN scores last.

Source: Girshick et al., "Rich feature hierarchies", section 2.2.
"""

import numpy as np
from numpy.typing import NDArray

from tests.oracles import nms
from tests.oracles._boxes import descending
from tests.oracles._sums import Array


def forward(boxes: Array, scores: Array, classes: Array, *, threshold: float, offset: int) -> NDArray[np.int64]:
    """Return kept, shape (K,)."""
    kept: list[int] = []
    for label in {int(c) for c in classes}:
        members = [i for i, c in enumerate(classes) if int(c) == label]
        of_class = nms.forward(boxes[members], scores[members], threshold=threshold, offset=offset)
        kept += [members[k] for k in of_class]
    return np.array(descending(kept, [float(s) for s in scores]), dtype=np.int64)
