"""Region proposals to time, from a picture to boxes: Selective Search in its fast mode, and EdgeBoxes.

The picture has 500 × 375 pixels, the size of most of PASCAL VOC's, and is drawn (`refdet.bench.dead_leaves`), so that
everybody times the same one. EdgeBoxes includes finding the edges (`refdet.proposals.gradient_edges`).

Its target is a number of seconds, not a ratio: "0.2 s per image" for EdgeBoxes and "2 s" for Selective Search are what
deck 000 and the papers give (Zitnick & Dollár, ECCV 2014; Uijlings et al., IJCV 104(2), 2013). The reference takes part
so that the boxes are compared.
"""

from __future__ import annotations

import numpy as np

from refdet.bench.dead_leaves import draw_leaves
from refdet.bench.workloads import Group, Inputs, Target, Workload

SELECTIVE_SEARCH, EDGE_BOXES = "selective_search", "edge_boxes"  # no kernels, but they call many
SIZE = (375, 500)


def _draw(rng: np.random.Generator) -> Inputs:
    return {"image": draw_leaves(rng, SIZE)}


PROPOSALS = Group(
    "proposals",
    "Region proposals for a picture of 500 × 375 pixels",
    (
        Workload("proposals/selective-search", "fast mode, 8 hierarchies", SELECTIVE_SEARCH, _draw, {}, 1e-9),
        Workload("proposals/edge-boxes", "edges included", EDGE_BOXES, _draw, {}, 1e-6),
    ),
    (
        Target(
            "numba-cpu",
            "reference",
            seconds=(("proposals/selective-search", 2.0), ("proposals/edge-boxes", 0.5)),
        ),
    ),
)
