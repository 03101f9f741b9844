"""What share of the objects in twenty photographs of VOC 2012 the proposals find, with at most 2000 boxes each.

There are 43 objects, so that one of them is 2.3 points. Windows on a blind grid find 0.53 with an IoU of 0.7; OpenCV's
Selective Search (fast) finds 0.74, its EdgeBoxes on Sobel's edges 0.79.

The backend numba-cpu computes them, in a tenth of the time. On the same pixels its boxes are the reference's, which is
tested with it; a photograph that is resized first may differ in a last bit, and so in a box.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.core.kernel import use_backend
from refdet.data import VocImages
from refdet.proposals import edge_boxes, gradient_edges, proposal_recall, selective_search
from tests.real_data import real

MOST_BOXES = 2000


def recalls(propose: Callable[[Array], Array]) -> list[float]:
    """Return the recall at IoU 0.7 and 0.5."""
    photographs = VocImages(real("voc"))
    with use_backend("numba-cpu"):
        proposals = [propose(sample.image)[:MOST_BOXES].astype(np.float64) for sample in photographs]
    truths = [annotation.boxes for annotation in photographs.annotations]
    assert sum(map(len, truths)) == 43
    return [proposal_recall(proposals, truths, iou=iou) for iou in (0.7, 0.5)]


@pytest.mark.real
@pytest.mark.slow
def test_selective_search() -> None:
    """31 of 43 (0.721) with this seed, with four others, and in the order of the hierarchy; 30 (0.698) with a sixth."""
    at_70, at_50 = recalls(lambda image: selective_search(image, rng=np.random.default_rng(0)))
    assert at_70 >= 0.70
    assert at_50 >= 0.90


@pytest.mark.real
@pytest.mark.slow
def test_edge_boxes() -> None:
    """36 of 43 (0.837), from refdet's own edges."""
    at_70, at_50 = recalls(lambda image: edge_boxes(*gradient_edges(image), max_boxes=MOST_BOXES)[0])
    assert at_70 >= 0.75
    assert at_50 >= 0.90
