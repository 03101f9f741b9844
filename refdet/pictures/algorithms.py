"""The pictures of algorithms, by name, and the writing of their files: `refdet explain NAME --picture FILE`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from refdet.nn.checkpoint.atomic_file import write_atomically
from refdet.pictures.anchor_labels import draw_anchor_labels
from refdet.pictures.average_precision import draw_average_precision
from refdet.pictures.base_anchors import draw_base_anchors
from refdet.pictures.default_boxes import draw_default_boxes
from refdet.pictures.match_ssd import draw_match_ssd
from refdet.pictures.nms import draw_nms
from refdet.pictures.permutohedral import draw_permutohedral
from refdet.pictures.roi_crops import draw_roi_crops
from refdet.pictures.slide import empty_slide, settings
from refdet.pictures.soft_nms import draw_soft_nms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES: dict[str, Callable[[Figure], None]] = {
    "anchor_grid": draw_anchor_labels,
    "average_precision": draw_average_precision,
    "base_anchors": draw_base_anchors,
    "default_boxes": draw_default_boxes,
    "lattice_blur": draw_permutohedral,
    "lattice_embed": draw_permutohedral,
    "lattice_slice": draw_permutohedral,
    "lattice_splat": draw_permutohedral,
    "match_rpn": draw_anchor_labels,
    "match_ssd": draw_match_ssd,
    "nms": draw_nms,
    "nms_from_iou": draw_nms,
    "permutohedral_filter": draw_permutohedral,
    "precision_recall": draw_average_precision,
    "roi_align": draw_roi_crops,
    "roi_pool": draw_roi_crops,
    "soft_nms": draw_soft_nms,
}  # two algorithms may share a picture
UNDATED: dict[str, dict[str, None]] = {
    ".png": {},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}  # by ending, what keeps the date out, so that the bytes are the same every time


class PictureError(ValueError):
    """A picture that there is not, or that cannot be written where it was asked for."""


def write_picture(algorithm: str, path: Path) -> None:
    """Write the picture of an algorithm, all or nothing; the ending of the file says in which format."""
    if algorithm not in PICTURES:
        raise PictureError(f"there is no picture of {algorithm}; these have one: {', '.join(PICTURES)}")
    write_slide(PICTURES[algorithm], path)


def write_slide(draw: Callable[[Figure], None], path: Path) -> None:
    """Write what `draw` draws on an empty slide, all or nothing."""
    ending = path.suffix.lower()
    if ending not in UNDATED:
        raise PictureError(f"the name of the file must end in {', '.join(UNDATED)}, got {path}")
    if not path.parent.is_dir():
        raise PictureError(f"there is no folder {path.parent}")
    with settings():
        figure = empty_slide()
        draw(figure)

        def save(file: BinaryIO) -> None:
            figure.savefig(file, format=ending[1:], metadata=UNDATED[ending])

        try:
            write_atomically(path, save)
        except OSError as error:
            raise PictureError(f"cannot write to {path}: {error.strerror}") from None
