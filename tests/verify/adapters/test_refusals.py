"""What an adapter does not do: libraries that are missing, algorithms and parameters that they have no word for."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refdet.verify.adapters import ADAPTERS, load_adapter
from refdet.verify.adapters.table import first_line, only, same_ends
from refdet.verify.ask import ask_adapter, question_of
from refdet.verify.question import Question, Skipped, Unavailable
from refdet.verify.suite import load_suite

# adapter → what it imports first, and the name on PyPI
IMPORTS = {
    "torch": ("torch", "torch"),
    "torchvision": ("torchvision", "torchvision"),
    "onnxruntime": ("onnxruntime", "onnxruntime"),
    "opencv": ("cv2", "opencv"),
    "scipy": ("scipy", "scipy"),
    "skimage": ("skimage", "scikit-image"),
    "pycocotools": ("pycocotools.mask", "pycocotools"),
    "faster-coco-eval": ("faster_coco_eval.core.mask", "faster-coco-eval"),
    "pydensecrf": ("pydensecrf.densecrf", "pydensecrf2"),
}


def question(case_id: str) -> Question:
    return question_of(load_suite().case(case_id))


def test_all_of_them() -> None:
    assert {*IMPORTS, "refdet", "legacy"} == set(ADAPTERS)


@pytest.mark.parametrize("name", IMPORTS)
def test_without_the_library(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    module, package = IMPORTS[name]
    if name == "torchvision":
        monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(Unavailable, match=rf"does not import.*pip install .*{package}"):
        load_adapter(name)


def test_torchvision_in_another_interpreter_is_suggested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(Unavailable, match=r"python3 -m refdet\.verify\.serve torchvision"):
        load_adapter("torchvision")


def test_a_backend_that_is_not_installed() -> None:
    with pytest.raises(Unavailable, match="no backend named 'abacus'"):
        load_adapter("refdet:abacus")


def test_an_argument_where_none_is_taken() -> None:
    with pytest.raises(LookupError, match="'legacy' takes no argument, got '2016'"):
        load_adapter("legacy:2016")


def test_an_algorithm_that_it_does_not_have() -> None:
    with pytest.raises(Skipped, match="legacy has no exp"):
        load_adapter("legacy").answer(question("exp/empty"))


def test_parameters() -> None:
    q = replace(question("nms/legacy-widths"), params={"offset": 1, "threshold": 0.5})
    only("libx", q, offset=[0, 1], threshold=0.5)
    with pytest.raises(Skipped, match="libx has no offset=1"):
        only("libx", q, offset=0)
    assert same_ends("libx", ((1, 1), (0, 0))) == (1, 0)
    with pytest.raises(Skipped, match=r"libx pads both ends of an axis alike, not \(\(1, 2\), \(0, 0\)\)"):
        same_ends("libx", ((1, 2), (0, 0)))


def test_the_message_of_a_refusal_names_no_place_in_a_source() -> None:
    text = "OpenCV(5.0.0) /io/opencv/modules/dnn/src/nms.cpp:36: error: (-215:Assertion failed) t >= 0\n more"
    assert first_line(RuntimeError(text)) == "OpenCV(5.0.0) error: (-215:Assertion failed) t >= 0"
    assert first_line(RuntimeError("")) == "RuntimeError"


# The legacy implementation: its deviations, by numbers that can be checked by eye.


def legacy(case_id: str, **changes: Any) -> dict[str, Any]:
    q = question(case_id)
    arguments = {name: changes.get(name, x) for name, x in q.arguments.items()}
    params = {name: changes.get(name, value) for name, value in q.params.items()}
    asked = replace(q, arguments=arguments, params=params)
    (outcome,) = ask_adapter(load_adapter("legacy"), [asked])
    assert outcome.answers is not None, outcome
    return dict(outcome.answers)


def test_legacy_boxes_count_both_ends() -> None:
    """[0, 0, 9, 9] is 10 × 10, and shares one column of 10 pixels with [9, 0, 18, 9]: 10 of 190."""
    boxes, others = np.array([[0, 0, 9, 9.0]], np.float32), np.array([[9, 0, 18, 9.0]], np.float32)
    iou = legacy("box_iou/quarters", boxes=boxes, others=others, offset=0)["iou"]
    np.testing.assert_array_equal(iou, [[np.float32(10) / np.float32(190)]])


def test_legacy_suppresses_at_the_threshold() -> None:
    """3 × 1 pixels and 3 × 1 pixels, 2 of them shared: IoU 1/2."""
    boxes = np.array([[0, 0, 2, 0], [1, 0, 3, 0.0]], np.float32)
    scores = np.array([0.5, 0.75], np.float32)
    answers = legacy("nms/legacy-widths", boxes=boxes, scores=scores, offset=1, threshold=0.5)
    np.testing.assert_array_equal(answers["kept"], [1])


def test_legacy_roi_align_shifts_nothing() -> None:
    """x[h, w] = w on 1 × 4: [1, 0, 3, 1] has its middle at 2, not at 1.5; [1, 0, 1, 0] at 1, not at 0.5."""
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 1, 4)
    rois = np.array([[0, 1, 0, 3, 1], [0, 1, 0, 1, 0]], np.float32)
    answers = legacy("roi_align/aligned", x=x, rois=rois, output_size=(1, 1), sampling_ratio=1, scale=1.0)
    np.testing.assert_array_equal(answers["y"].ravel(), [2, 1])


def test_legacy_max_pool2d_is_right() -> None:
    outcomes = ask_adapter(load_adapter("legacy"), [question_of(case) for case in load_suite().cases("max_pool2d")])
    answered = [(load_suite().case(o.id), o.answers) for o in outcomes if o.answers is not None]
    assert len(answered) >= 7
    for case, answers in answered:
        np.testing.assert_array_equal(answers["y"], case.answers["y"])
        np.testing.assert_array_equal(answers["switches"], case.answers["switches"])
