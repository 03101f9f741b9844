"""Masks of objects, run-length encoded as COCO keeps them, and polygons drawn as masks."""

from refdet.masks.polygons import polygon_to_rle, polygons_to_rle
from refdet.masks.rle import RLE, rle_area, rle_decode, rle_encode, rle_intersect, rle_merge, rle_to_box
from refdet.masks.rle_iou import rle_iou
from refdet.masks.rle_string import rle_from_string, rle_to_string

__all__ = [
    "RLE",
    "polygon_to_rle",
    "polygons_to_rle",
    "rle_area",
    "rle_decode",
    "rle_encode",
    "rle_from_string",
    "rle_intersect",
    "rle_iou",
    "rle_merge",
    "rle_to_box",
    "rle_to_string",
]
