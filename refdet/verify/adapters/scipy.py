"""SciPy: special functions, correlation, image interpolation, distances, BLAS, and the trapezoidal rule."""

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
    unary,
)
from refdet.verify.question import Question

ADVICE = "install it with: pip install scipy"


def load(argument: str) -> Adapter:
    """Return the adapter of the installed SciPy."""
    no_argument("scipy", argument)
    scipy = import_library("scipy", ADVICE)
    for module in ("integrate", "linalg.blas", "ndimage", "signal", "spatial.distance", "special"):
        import_library(f"scipy.{module}", ADVICE)
    return table_adapter("scipy", {"scipy": str(scipy.__version__)}, _functions(scipy))


def _functions(scipy: Any) -> dict[str, Function]:
    def softmax(q: Question) -> Answers:
        return {"y": scipy.special.softmax(array(q, "x"), axis=q.params["axis"])}

    def log_softmax(q: Question) -> Answers:
        x, axis = array(q, "x"), q.params["axis"]
        need(x.shape[axis], "SciPy refuses a log_softmax of no classes")
        return {"y": scipy.special.log_softmax(x, axis=axis)}

    def conv2d(q: Question) -> Answers:
        """A correlation in three dimensions for every image and every output channel, of which every s-th is kept."""
        p, x, weight, bias = q.params, array(q, "x"), array(q, "weight"), q.arguments["bias"]
        only("SciPy", q, dilation=(1, 1), groups=1)
        padded = np.pad(x, ((0, 0), (0, 0), *p["padding"]))
        extent = [n - k + 1 for n, k in zip(padded.shape[2:], weight.shape[2:], strict=True)]
        dense = np.zeros((len(x), len(weight), *extent), x.dtype)
        for n, image in enumerate(padded):
            for o, kernel in enumerate(weight):
                dense[n, o] = scipy.signal.correlate(image, kernel, mode="valid", method="direct")[0]
        y = dense[:, :, :: p["stride"][0], :: p["stride"][1]]
        return {"y": y if bias is None else y + bias[:, None, None]}

    def resize_bilinear(q: Question) -> Answers:
        """`zoom` of order 1: outer edges or the centres of the outermost pixels in place; beyond them the nearest."""
        only("SciPy", q, coordinates=["half_pixel", "align_corners"])
        x, (height, width) = array(q, "x"), q.params["size"]
        need(scale_of(q) is None, "SciPy's zoom takes the ratio from the sizes")
        factors = (1, 1, height / x.shape[2], width / x.shape[3])
        edges = q.params["coordinates"] == "half_pixel"
        return {"y": scipy.ndimage.zoom(x, factors, order=1, mode="nearest", grid_mode=edges)}

    def matmul(q: Question) -> Answers:
        x, y = array(q, "x"), array(q, "y")
        need(x.ndim == y.ndim == 2 and x.size and y.size, "BLAS multiplies matrices that are not empty")
        gemm = scipy.linalg.blas.sgemm if x.dtype == np.float32 else scipy.linalg.blas.dgemm
        return {"z": gemm(1.0, x, y)}

    def gaussian_kernel(q: Question) -> Answers:
        """exp(−½ d²) of the squared distances, with 0 on the diagonal where a point is no neighbour of its own."""
        features = array(q, "features")
        matrix = np.exp(-0.5 * scipy.spatial.distance.cdist(features, features, "sqeuclidean"))
        if q.params["exclude_self"]:
            np.fill_diagonal(matrix, 0)
        return {"matrix": matrix}

    def average_precision(q: Question) -> Answers:
        """The area under the points as they are drawn, from recall 0 at the first point's precision."""
        only("SciPy", q, convention="trapezoid")
        precision, recall = array(q, "precision"), array(q, "recall")
        start = np.append(precision[:1], precision), np.append(recall[:1] * 0, recall)
        return {"ap": np.asarray(scipy.integrate.trapezoid(*start), precision.dtype)}

    return {
        "average_precision": average_precision,
        "conv2d": conv2d,
        "gaussian_kernel": gaussian_kernel,
        "log_softmax": log_softmax,
        "matmul": matmul,
        "resize_bilinear": resize_bilinear,
        "sigmoid": unary(lambda x: scipy.special.expit(x)),
        "softmax": softmax,
    }
