"""The confusion matrix: entry (t, p) counts the places of true class t that are predicted to be of class p.

Places labelled ignore_label are left out, whatever is predicted there; at all others, the label and the prediction are
classes 0 .. n_classes - 1.
"""

import numpy as np
from numpy.typing import NDArray

from tests.oracles._sums import Array


def forward(labels: Array, predictions: Array, *, n_classes: int, ignore_label: int | None) -> NDArray[np.int64]:
    """Return the counts, of shape (C, C)."""
    confusion = np.zeros((n_classes, n_classes), dtype=np.int64)
    for place in np.ndindex(labels.shape):
        label = int(labels[place])
        if ignore_label is None or label != ignore_label:
            confusion[label, int(predictions[place])] += 1
    return confusion
