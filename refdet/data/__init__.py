"""Pictures and what is known about them: synthetic sets, readers and writers, transforms, batches."""

from refdet.data.affine_map import AffineRange, affine, random_affine, turn
from refdet.data.batching import Batch, as_batch, batches, prefetch
from refdet.data.coco import CocoDataset, read_coco, read_coco_results, write_coco, write_coco_results
from refdet.data.coco_entries import CocoError, CocoImage
from refdet.data.coco_images import CocoImages
from refdet.data.images import ImageError, image_size, read_image
from refdet.data.kept_samples import KeptSamples
from refdet.data.other_backgrounds import exchange_backgrounds, on_background_of
from refdet.data.sample import Sample, require_usable
from refdet.data.shapes import CLASS_NAMES, Scene, Shapes, make_scene
from refdet.data.stick_figures import FIGURE_CLASS_NAMES, StickFigures, make_figure
from refdet.data.transforms import (
    mirror,
    network_input,
    photometric,
    random_mirror,
    recoloured,
    resize,
    resize_short_side,
    resized_size,
)
from refdet.data.voc import VocAnnotation, VocImages, read_voc_annotation, read_voc_folder, write_voc_annotation
from refdet.data.voc_entries import VocError
from refdet.data.voc_results import VocResults, read_voc_results, write_voc_results

__all__ = [
    "CLASS_NAMES",
    "FIGURE_CLASS_NAMES",
    "AffineRange",
    "Batch",
    "CocoDataset",
    "CocoError",
    "CocoImage",
    "CocoImages",
    "ImageError",
    "KeptSamples",
    "Sample",
    "Scene",
    "Shapes",
    "StickFigures",
    "VocAnnotation",
    "VocError",
    "VocImages",
    "VocResults",
    "affine",
    "as_batch",
    "batches",
    "exchange_backgrounds",
    "image_size",
    "make_figure",
    "make_scene",
    "mirror",
    "network_input",
    "on_background_of",
    "photometric",
    "prefetch",
    "random_affine",
    "random_mirror",
    "read_coco",
    "read_coco_results",
    "read_image",
    "read_voc_annotation",
    "read_voc_folder",
    "read_voc_results",
    "recoloured",
    "require_usable",
    "resize",
    "resize_short_side",
    "resized_size",
    "turn",
    "write_coco",
    "write_coco_results",
    "write_voc_annotation",
    "write_voc_results",
]
