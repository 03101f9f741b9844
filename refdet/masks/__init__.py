"""Masks of objects: pasted from a head's predictions, run-length encoded as COCO keeps them, drawn from polygons."""

from refdet.masks.paste import paste_masks, paste_soft_masks
from refdet.masks.polygons import polygon_to_rle, polygons_to_rle
from refdet.masks.rle import RLE, rle_area, rle_decode, rle_encode, rle_intersect, rle_merge, rle_to_box
from refdet.masks.rle_iou import rle_iou
from refdet.masks.rle_string import rle_from_string, rle_to_string

__all__ = [
    "RLE",
    "paste_masks",
    "paste_soft_masks",
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
