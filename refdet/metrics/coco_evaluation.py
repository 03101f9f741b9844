"""What a COCO evaluation has found, and the statistics that are quoted from it.

    AP = mean of precision over thresholds, recalls and categories, without those that are −1
    AR = mean of recall over thresholds and categories, likewise

cocodataset.org/#detection-eval; `summarize` of the COCO API, `cocoeval.py`. AP50 and AP75 are those of one threshold;
AP-small those of one range of area; AR10 that of the ten best detections of every image and category.

Conventions:

- −1 stands for "there was nothing to find", and is left out of means; the mean of nothing is −1.
- What has no number of detections in its name is taken at the largest one, and what has no range of area over the
  first. (The COCO API takes the third number, whatever there is; its AP, and all of its statistics of keypoints, are of
  exactly 100 and 20, and −1 if these were not evaluated.)
- A statistic of a threshold that was not evaluated is −1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refdet.core.check import Array
from refdet.metrics.listing import counted, listing

Range = tuple[float, float]


@dataclass(frozen=True, eq=False)
class CocoEvaluation:
    """Precision and recall for T thresholds, R recalls, K categories, A ranges of area, M numbers of detections.

    It prints as its `stats` and the AP of each category, with three decimals.

    Attributes:
        kind: "bbox", "segm" or "keypoints".
        precision: (T, R, K, A, M) float64, in [0, 1]; −1 where a category has nothing to find.
        recall: (T, K, A, M) float64, the highest that is reached; −1 likewise.
        scores: (T, R, K, A, M) float64, of the detection at which the recall is reached; 0 where it is not; −1 too.
        iou_thresholds: T overlaps, or keypoint similarities.
        recall_thresholds: R recalls.
        category_ids: K ids, ascending.
        areas: A ranges of area in pixels, (low, high), by name; the first is that of AP.
        max_detections: M numbers of detections per image and category, ascending.
    """

    kind: str
    precision: Array
    recall: Array
    scores: Array
    iou_thresholds: tuple[float, ...]
    recall_thresholds: tuple[float, ...]
    category_ids: tuple[int, ...]
    areas: dict[str, Range]
    max_detections: tuple[int, ...]

    def __repr__(self) -> str:
        stats, n = self.stats, len(self.category_ids)
        lines = [f"CocoEvaluation({self.kind}, {counted(n, 'category', 'categories')})"]
        for which in ("AP", "AR"):
            lines.append(listing("", {name: value for name, value in stats.items() if name.startswith(which)}))
        if n:
            lines.append(listing("AP by category id: ", {i: of_one["AP"] for i, of_one in self.per_class().items()}))
        return "\n".join(lines)

    @property
    def stats(self) -> dict[str, float]:
        """The published statistics in their order: 12 for boxes and masks, 10 for keypoints, with default settings."""
        return self._stats(slice(None))

    def per_class(self) -> dict[int, dict[str, float]]:
        """Return the same statistics of each category alone, by its id; −1 throughout where it has nothing to find."""
        return {category: self._stats(slice(k, k + 1)) for k, category in enumerate(self.category_ids)}

    def _stats(self, categories: slice) -> dict[str, float]:
        precision, recall = self.precision[:, :, categories], self.recall[:, categories]
        last = len(self.max_detections) - 1
        ranges = {f"-{name}": i for i, name in enumerate(self.areas) if i > 0}
        at_threshold = {str(percent): self._thresholds_at(percent) for percent in (50, 75)}

        stats = {"AP": _mean(precision[..., 0, last])}
        stats |= {f"AP{name}": _mean(precision[t][..., 0, last]) for name, t in at_threshold.items()}
        stats |= {f"AP{name}": _mean(precision[..., a, last]) for name, a in ranges.items()}
        if self.kind == "keypoints":
            stats["AR"] = _mean(recall[..., 0, last])
            stats |= {f"AR{name}": _mean(recall[t][..., 0, last]) for name, t in at_threshold.items()}
        else:
            stats |= {f"AR{n}": _mean(recall[..., 0, m]) for m, n in enumerate(self.max_detections)}
        stats |= {f"AR{name}": _mean(recall[..., a, last]) for name, a in ranges.items()}
        return stats

    def _thresholds_at(self, percent: int) -> Array:
        return np.flatnonzero(np.array(self.iou_thresholds) == percent / 100)


def _mean(values: Array) -> float:
    present = values[values > -1]
    return float(np.mean(present)) if present.size else -1.0
