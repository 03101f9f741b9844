"""Every adapter of an installed library answers the suite: right, or different in a way that is known and listed.

The numbers are what is reached, so that an adapter which skips more than it did fails. A known difference that goes
away, because the library changed, fails as well: then its line goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from refdet.verify.adapters import load_adapter
from tests.verify.adapters.in_another_python import ask_torchvision_adapter
from tests.verify.adapters.suite_results import Results, all_cases, judged, questions, results_of

CASES = all_cases()

NAN_LOSES = "prefers any number to NaN"
SHARED_GRADIENT = "equal elements share the gradient"
LAST_WINS = "of values that meet in a pixel the last stays"
LAST_NAN = "remembers the last NaN"
OUTSIDE = "reads outside an image of one row"

TORCH = {
    "amax/first-in-row-major-order": SHARED_GRADIENT,
    "amax/nan-is-the-maximum": "the gradient of a NaN maximum is NaN everywhere",
    "amax/tie-goes-to-the-first": SHARED_GRADIENT,
    "global_max_pool2d/nan-wins": LAST_NAN,
    "hinge/margin-zero": "the gradient at the kink is that of the slope",
    "hinge/power-one-mean": "the gradient at the kink is that of the slope",
    "hinge/power-one-none": "the gradient at the kink is that of the slope",
    "hinge/power-one-sum": "the gradient at the kink is that of the slope",
    "l2_normalize/clamp-at-eps": "at a norm equal to eps the gradient is that of the norm",
    "max_pool2d/nan-wins": LAST_NAN,
    "max_unpool2d/overlap-adds": LAST_WINS,
    "max_unpool2d/overlap-last": "a value that was overwritten receives the gradient too",
    "max_unpool2d/planes-are-separate": LAST_WINS,
    "maximum/both-operands-broadcast": SHARED_GRADIENT,
    "maximum/nan-propagates": "a NaN passes the gradient to both operands, not to the NaN alone",
    "maximum/tie-goes-to-the-first": SHARED_GRADIENT,
    "minimum/both-operands-broadcast": SHARED_GRADIENT,
    "minimum/nan-propagates": "a NaN passes the gradient to both operands, not to the NaN alone",
    "minimum/tie-goes-to-the-first": SHARED_GRADIENT,
    "spatial_pyramid_pool/nan-wins": LAST_NAN,
    "top_k/200-with-ties": "topk promises no order of equal scores",
    "top_k/nan-last": "sorts NaN first",
    "top_k/ties-lowest-index-first": "topk promises no order of equal scores",
}
TORCHVISION = {
    "class_nms/negative-coordinates-and-the-offset-trick": "moves classes apart by the largest coordinate + 1",
    "match_rpn/nan-counts-as-zero": "NaN is the best IoU",
    "nms/a-nan-score-comes-last": "sorts NaN first",
    "nms/three-tenths-equal-the-threshold": "compares a float32 IoU with a float64 threshold",
    "roi_pool/bins-end-with-the-region": "finds the bounds of bins in float32",
    "roi_pool/nan-wins": NAN_LOSES,
}
ONNXRUNTIME = {
    "amax/nan-is-the-maximum": NAN_LOSES,
    "max_pool2d/nan-wins": NAN_LOSES,
    "max_unpool2d/overlap-adds": LAST_WINS,
    "max_unpool2d/planes-are-separate": LAST_WINS,
    "mean/nothing": "the mean of nothing is 0",
    "nms/empty-boxes-suppress-nothing": "turns a box back that is turned round: corners come in any order",
    "roi_align/largest-of-four-points": "takes the largest weighted pixel",
    "roi_align/largest-point": "takes the largest weighted pixel",
    "sigmoid/ordinary-numbers": "an approximation, relatively poor for negative numbers",
    "sigmoid/saturation": "0 below -18",
    "top_k/nan-last": "orders NaN otherwise",
}
OPENCV = {
    "amax/nan-is-the-maximum": "starts from the lowest finite number",
    "avg_pool2d/ceil-overhang-never-counts": "what overhangs the padding counts",
    "avg_pool2d/three-by-three-ceil-padded-include": "what overhangs the padding counts",
    "avg_pool2d/torch-drops-an-empty-window": "keeps a window that starts beyond the end",
    "cast/range-of-float32": "flushes subnormal numbers to zero",
    "class_nms/negative-coordinates-and-the-offset-trick": "moves classes apart by the largest coordinate + 1",
    "log_softmax/huge-logits": "the logarithm of a softmax that underflowed",
    "matmul/stacks-broadcast": "stacks of matrices do not broadcast",
    "max_pool2d/ceil-window-in-the-padding-is-dropped": "keeps a window that starts beyond the end",
    "max_pool2d/nan-wins": NAN_LOSES,
    "max_pool2d/overlapping": "counts switches anew in every image",
    "max_pool2d/torch-drops-an-empty-window": "keeps a window that starts beyond the end",
    "maximum/nan-propagates": NAN_LOSES,
    "mean/nothing": "the mean of nothing is 0",
    "minimum/nan-propagates": NAN_LOSES,
    "nms/a-nan-coordinate-suppresses-nothing": "a NaN makes boxes duplicates",
    "nms/empty-boxes-suppress-nothing": "takes two empty boxes for duplicates",
    "relu/nan-stays": "-inf becomes NaN",
    "resize_bilinear/align-corners": OUTSIDE,
    "resize_bilinear/asymmetric-times-two": OUTSIDE,
    "resize_bilinear/single-output-align-corners": OUTSIDE,
    "roi_align/backwards-and-adaptive": "samples a region that is turned round",
    "roi_align/largest-of-four-points": "takes the largest weighted pixel",
    "roi_align/largest-point": "takes the largest weighted pixel",
    "softmax_cross_entropy/all-ignored-weight": "the mean over nothing is 0",
    "top_k/nan-last": "orders NaN otherwise",
}
PYCOCOTOOLS = {"coco_match/nan": "a NaN is always enough"}

# adapter: its module, algorithms and cases it answers right at least, differences
LIBRARIES: dict[str, tuple[str, int, int, Mapping[str, str]]] = {
    "torch": ("torch", 54, 242, TORCH),
    "onnxruntime": ("onnxruntime", 47, 246, ONNXRUNTIME),
    "opencv": ("cv2", 48, 210, OPENCV),
    "scipy": ("scipy", 8, 44, {}),
    "skimage": ("skimage", 5, 15, {}),
    "pycocotools": ("pycocotools", 6, 52, PYCOCOTOOLS),
    "faster-coco-eval": ("faster_coco_eval", 6, 45, {}),
    "pydensecrf": ("pydensecrf", 3, 23, {}),
}


def assert_as_known(results: Results, n_algorithms: int, n_passed: int, differences: Mapping[str, str]) -> None:
    unsettled = {i for i, why in differences.items() if why == OUTSIDE}  # what is read there may happen to be right
    assert {i: s for i, s in results.wrong.items() if i not in differences} == {}
    assert sorted(set(differences) - set(results.wrong) - unsettled) == [], "differences that are gone"
    assert len(results.algorithms) >= n_algorithms
    assert len(results.passed - unsettled) >= n_passed


@pytest.mark.oracle
@pytest.mark.parametrize("name", LIBRARIES)
def test_library(name: str) -> None:
    module, n_algorithms, n_passed, differences = LIBRARIES[name]
    pytest.importorskip(module, reason=f"{module}, which is compared with, is not installed")
    if name in ("onnxruntime", "opencv"):
        pytest.importorskip("onnx", reason="onnx, which writes the models to run, is not installed")
    results = results_of(load_adapter(name), CASES)
    assert_as_known(results, n_algorithms, n_passed, differences)
    if name == "torch":
        assert (results.n_gradients >= 355, results.n_gradients_left_out) == (True, 0)


@pytest.mark.oracle
def test_torchvision(tmp_path: Path) -> None:
    """It answers in the interpreter that has it: nothing that it imports needs more than torch and NumPy."""
    results = judged(CASES, ask_torchvision_adapter(questions(CASES), tmp_path))
    assert_as_known(results, 16, 111, TORCHVISION)


def test_refdet() -> None:
    results = results_of(load_adapter("refdet"), CASES)
    assert results.wrong == {}
    assert results.skipped == {}
    assert results.n_gradients_left_out == 0


def test_refdet_on_a_backend() -> None:
    pytest.importorskip("numba", reason="numba, which the backend needs, is not installed")
    results = results_of(load_adapter("refdet:numba-cpu"), CASES)
    assert results.wrong == {}
    assert results.skipped == {}
