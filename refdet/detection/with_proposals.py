"""Samples that bring their region proposals, found once and remembered.

Proposals that nothing is learned for, such as those of Selective Search, are the same in every epoch and for every
detector. They travel with the sample (`Sample.proposals`), and a transform that mirrors or resizes the picture moves
them along.

`SelectiveSearch` is the search with its settings as data. R-CNN, SPP-net and Fast R-CNN take about 2000 boxes of its
fast mode (Uijlings et al., 2013; decks 000 to 002). Pictures of 128 × 128 need finer segments than photographs:

| settings | width | k | least side | boxes | objects found, IoU ≥ 0.5 | a picture |
|---|---|---|---|---|---|---|
| `SelectiveSearch()` | 500 | 50, 100 | 20 of 500 | 1275 | 97 % | 0.8 s |
| `SMALL_PICTURES` | as it is | 15, 40 | 8 | 1563 | 97 % | 0.08 s |

(24 scenes of Shapes, objects that are not difficult; backend `numba-cpu`, one core.)

Conventions: proposals are in pixels of the picture as it is given, (P, 4) float32, and pure: no box of an object is
among them unless the search found it; detectors add those boxes themselves where training wants them. Boxes come in the
order of the hierarchy, the largest regions first, without chance. A search may give no box.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from refdet.boxes.check import check_boxes
from refdet.core.check import Array, check_shape, integer, shape_of
from refdet.data.lazy_sequence import LazySequence
from refdet.data.sample import Sample
from refdet.nn.checkpoint import CheckpointError, load_metadata, load_tensors, save_tensors
from refdet.proposals.selective_search import ALL, FAST, TEXTURE_SIZE_FILL, Strategies, selective_search

Propose = Callable[[Array], Array]  # a picture (H, W, 3), red first, in 0 … 255, to boxes (P, 4)
FORMAT = "refdet proposals 1"
NOT_SEARCHED = -1  # instead of the number of boxes, in the file
WRITING_SHARE = 0.1  # of the time, at most, is spent on writing what was found so far


@dataclass(frozen=True)
class SelectiveSearch:
    """Selective Search as a function of a picture; the defaults are R-CNN's.

    Attributes:
        strategies: what is varied; FAST has 8 hierarchies.
        width: to which the picture is resized first; None to leave it.
        min_side: the shortest side of a box, in pixels of the resized picture.
        n: the most boxes; None for all.
    """

    strategies: Strategies = FAST
    width: int | None = 500
    min_side: float = 20.0
    n: int | None = 2000

    def __post_init__(self) -> None:
        if self.n is not None:
            integer("SelectiveSearch", "n", self.n, low=0)

    def __call__(self, image: Array) -> Array:
        """Return the boxes (P, 4) float32 of a picture (H, W, 3), red first, in 0 … 255.

        >>> SelectiveSearch(width=None)(np.zeros((30, 40, 3), np.uint8))
        array([[ 0.,  0., 40., 30.]], dtype=float32)
        """
        if image.dtype != np.uint8:  # which the search takes for 0 … 1
            image = np.clip(np.floor(image + 0.5), 0, 255).astype(np.uint8)
        boxes = selective_search(
            image,
            rng=None,
            order="hierarchy",
            strategies=self.strategies,
            width=self.width,
            min_side=self.min_side,
        )
        return boxes[: self.n].astype(np.float32)


SMALL_PICTURES = SelectiveSearch(
    strategies=Strategies(("hsv", "lab", "rgi"), (ALL, TEXTURE_SIZE_FILL), (15, 40)), width=None, min_side=8.0
)


class WithProposals(LazySequence[Sample]):
    """The samples, each with the proposals of its picture, which are searched for when it is first asked for."""

    def __init__(self, samples: Sequence[Sample], propose: Propose, *, path: str | PathLike[str] | None = None) -> None:
        """Remember proposals in memory, and in a file if one is named.

        Args:
            samples: any; proposals that they bring already are replaced.
            propose: what finds them; its `repr`, or the name of a plain function, is written into the file, and must
                be the same when it is read.
            path: an .npz or .safetensors file. If it exists it is read, and must belong to these samples and to
                `propose`; `save` writes it.
        """
        super().__init__(len(samples))
        self._samples, self._propose = samples, propose
        self._found: dict[int, Array] = {}
        self._path = None if path is None else Path(path)
        if self._path is not None and self._path.exists():
            self._found = self._read(self._path)

    def _item(self, i: int) -> Sample:
        sample = self._samples[i]
        if i not in self._found:
            self._found[i] = self._search(sample)
        return dataclasses.replace(sample, proposals=self._found[i].astype(sample.boxes.dtype, copy=False))

    def _search(self, sample: Sample) -> Array:
        proposals = self._propose(sample.image)
        check_shape("WithProposals", f"proposals of {sample.name}", proposals, (*shape_of(proposals)[:1], 4), "boxes")
        return proposals.astype(np.float32)

    @property
    def n_found(self) -> int:
        """Of how many pictures the proposals are known."""
        return len(self._found)

    def save(
        self,
        *,
        on_found: Callable[[int], object] = lambda n: None,
        every: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Search the pictures that are left, and write all proposals to the file.

        What was found is written also where the search ends early, by an error or Ctrl-C, so that nothing is searched
        for twice. Whatever kills the program, the file is there as it was written last, whole.

        Args:
            on_found: is told of how many pictures the proposals are known, after each.
            every: after so many seconds what was found so far is written; after more, where that takes long.
            clock: tells the seconds.
        """
        path = self._path
        if path is None:
            raise ValueError("WithProposals.save: no file was named; give path= when it is made")
        metadata = self._metadata()  # reads the first and the last picture: what is wrong with them is known beforehand
        due = clock() + every
        try:
            for i in range(len(self)):
                if i in self._found:
                    continue
                self._found[i] = self._search(self._samples[i])
                if (begun := clock()) >= due:
                    self._write(path, metadata)
                    written = clock()
                    due = written + max(every, (written - begun) / WRITING_SHARE)
                on_found(self.n_found)
        finally:
            self._write(path, metadata)

    def _write(self, path: Path, metadata: dict[str, Any]) -> None:
        none = np.zeros((0, 4), np.float32)
        arrays = {
            "boxes": np.concatenate([none, *(self._found.get(i, none) for i in range(len(self)))]),
            "counts": np.array(
                [len(self._found[i]) if i in self._found else NOT_SEARCHED for i in range(len(self))], np.int64
            ),
        }
        save_tensors(path, arrays, metadata=metadata)

    def _metadata(self) -> dict[str, Any]:
        """Say what the proposals belong to: how they are found, and the names of the first and the last picture."""
        ends = [self._samples[i].name for i in (0, len(self) - 1)] if len(self) else []
        propose = getattr(self._propose, "__qualname__", repr(self._propose))
        return {"format": FORMAT, "propose": propose, "n_pictures": len(self), "first and last": ends}

    def _read(self, path: Path) -> dict[int, Array]:
        written, wanted = load_metadata(path), self._metadata()
        for key, value in wanted.items():
            if written.get(key) != value:
                raise CheckpointError(
                    f"{path}: holds other proposals: its {key} must be {value!r}, and is {written.get(key)!r}; "
                    "remove it to search anew"
                )
        arrays = load_tensors(path)
        counts, boxes = arrays.get("counts"), arrays.get("boxes")
        if counts is None or boxes is None or len(counts) != len(self) or np.maximum(counts, 0).sum() != len(boxes):
            raise CheckpointError(f"{path}: its boxes are not those of {len(self)} pictures")
        ends = np.cumsum(np.maximum(counts, 0))
        return {i: boxes[ends[i] - counts[i] : ends[i]] for i in np.flatnonzero(counts >= 0).tolist()}


def proposals_of(sample: Sample) -> Array:
    """Return the proposals (P, 4) float32 that a sample brings; refuse one without, by its name."""
    if sample.proposals is None:
        raise ValueError(f"{sample.name}: has no proposals, which the detector learns from; see WithProposals")
    return checked_proposals(sample.name, sample.proposals)


def checked_proposals(op: str, proposals: Array) -> Array:
    """Return proposals as (P, 4) float32; refuse what has another shape or is not finite.

    >>> checked_proposals("a.jpg", np.array([[0, 0, 4, 4], [1, np.nan, 2, 2]]))
    Traceback (most recent call last):
    ValueError: a.jpg: proposal 1 must be finite, got [1.0, nan, 2.0, 2.0]
    """
    check_boxes(op, proposals=proposals)
    for i in np.flatnonzero(~np.isfinite(proposals).all(axis=1))[:1].tolist():
        raise ValueError(f"{op}: proposal {i} must be finite, got {proposals[i].tolist()}")
    return proposals.astype(np.float32, copy=False)
