"""scikit-image: block-wise pooling, resizing without antialiasing, and the contingency table of two segmentations."""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.verify.adapters import Adapter
from refdet.verify.adapters.table import (
    Answers,
    Function,
    array,
    import_library,
    need,
    no_argument,
    only,
    scale_of,
    table_adapter,
)
from refdet.verify.question import Question

ADVICE = "install it with: pip install scikit-image"
NO_PADDING = ((0, 0), (0, 0))


def load(argument: str) -> Adapter:
    """Return the adapter of the installed scikit-image."""
    no_argument("skimage", argument)
    skimage = import_library("skimage", ADVICE)
    for module in ("measure", "metrics", "transform"):
        import_library(f"skimage.{module}", ADVICE)
    return table_adapter("skimage", {"scikit-image": str(skimage.__version__)}, _functions(skimage))


def _functions(skimage: Any) -> dict[str, Function]:
    def avg_pool2d(q: Question) -> Answers:
        """Blocks side by side; what is left over is filled up, so that there must not be any."""
        p, x = q.params, array(q, "x")
        need(p["kernel_size"] == p["stride"] and p["padding"] == NO_PADDING, "skimage has blocks side by side alone")
        whole = all(n % k == 0 for n, k in zip(x.shape[2:], p["kernel_size"], strict=True))
        need(whole, "skimage fills up the last block with a constant")
        return {"y": skimage.measure.block_reduce(x, (1, 1, *p["kernel_size"]), np.mean)}

    def global_avg_pool2d(q: Question) -> Answers:
        x = array(q, "x")
        need(x.size, "skimage has no blocks without a pixel")
        y = skimage.measure.block_reduce(x, (1, 1, *x.shape[2:]), np.mean)
        return {"y": y if q.params["keepdims"] else y[:, :, 0, 0]}

    def resize(q: Question, order: int) -> Answers:
        only("skimage", q, coordinates="half_pixel")
        x = array(q, "x")
        need(scale_of(q) is None, "skimage's resize takes the ratio from the sizes")
        need(x.size, "skimage resizes images that have pixels")
        shape = (*x.shape[:2], *q.params["size"])
        return {"y": skimage.transform.resize(x, shape, order=order, mode="edge", anti_aliasing=False, clip=False)}

    def resize_nearest(q: Question) -> Answers:
        only("skimage", q, rounding="round_prefer_ceil")
        return resize(q, 0)

    def confusion_matrix(q: Question) -> Answers:
        """Its table ends with the largest label that it meets."""
        labels, predictions, n = array(q, "labels").ravel(), array(q, "predictions").ravel(), q.params["n_classes"]
        ignored = q.params["ignore_label"]
        if ignored is not None:  # its `ignore_labels` keeps the rows and columns of what it ignores
            labels, predictions = labels[labels != ignored], predictions[labels != ignored]
        need(labels.size, "skimage has no table of no pixels")
        table = skimage.metrics.contingency_table(labels, predictions).toarray()
        whole = np.zeros((n, n), np.int64)
        whole[: table.shape[0], : table.shape[1]] = table
        return {"confusion": whole}

    return {
        "avg_pool2d": avg_pool2d,
        "confusion_matrix": confusion_matrix,
        "global_avg_pool2d": global_avg_pool2d,
        "resize_bilinear": lambda q: resize(q, 1),
        "resize_nearest": resize_nearest,
    }
