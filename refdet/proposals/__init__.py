"""Region proposals that learn nothing: sliding windows, Selective Search, EdgeBoxes."""

from refdet.proposals.edge_affinities import edge_affinities
from refdet.proposals.edge_boxes import edge_boxes
from refdet.proposals.gradient_edges import gradient_edges
from refdet.proposals.graph_segmentation import graph_segmentation, merge_graph
from refdet.proposals.group_edges import group_edges
from refdet.proposals.recall import proposal_recall
from refdet.proposals.region_grouping import group_regions
from refdet.proposals.score_edge_boxes import score_edge_boxes
from refdet.proposals.selective_search import FAST, QUALITY, Strategies, selective_search
from refdet.proposals.windows import sliding_windows, window_centres

__all__ = [
    "FAST",
    "QUALITY",
    "Strategies",
    "edge_affinities",
    "edge_boxes",
    "gradient_edges",
    "graph_segmentation",
    "group_edges",
    "group_regions",
    "merge_graph",
    "proposal_recall",
    "score_edge_boxes",
    "selective_search",
    "sliding_windows",
    "window_centres",
]
