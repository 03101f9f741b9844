"""The mask head: torchvision's names, outputs, targets, loss and gradient; the true class alone; the errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array
from refdet.detection.mask_head import mask_head, mask_loss, mask_predictor, mask_probabilities, mask_targets
from refdet.masks.paste import paste_masks
from tests.torchvision_process import ask_torchvision

PROGRAM = """
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import maskrcnn_inference, maskrcnn_loss, project_masks_on_boxes
t = {name: torch.tensor(asked[name]) for name in asked.files}
head, predictor = MaskRCNNHeads(3, (4, 5), 1), MaskRCNNPredictor(5, 6, 3)
for part, prefix in ((head, "head."), (predictor, "predictor.")):
    part.load_state_dict({name[len(prefix):]: t[name] for name in t if name.startswith(prefix)})
x = t["x"].requires_grad_()
logits = predictor(head(x))
targets = project_masks_on_boxes(t["masks"], t["boxes"], t["matches"], logits.shape[-1])
loss = maskrcnn_loss(logits, [t["boxes"]], [t["masks"]], [t["classes"]], [t["matches"]])
loss.backward()
classes = t["classes"][t["matches"]]
answers |= {"logits": logits, "targets": targets, "loss": loss, "dx": x.grad, "dw": predictor.conv5_mask.weight.grad}
answers["probabilities"] = maskrcnn_inference(logits, [classes])[0][:, 0]
answers = {name: value.detach().numpy() for name, value in answers.items()}
"""


def test_names_are_those_of_torchvision() -> None:
    rng = np.random.default_rng(0)
    head, predictor = mask_head(2, (3, 4), rng=rng), mask_predictor(4, 5, 6, rng=rng)
    assert {name: x.shape for name, x in head.state_dict().items()} == {
        "0.0.weight": (3, 2, 3, 3),
        "0.0.bias": (3,),
        "1.0.weight": (4, 3, 3, 3),
        "1.0.bias": (4,),
    }
    assert {name: x.shape for name, x in predictor.state_dict().items()} == {
        "conv5_mask.weight": (4, 5, 2, 2),
        "conv5_mask.bias": (5,),
        "mask_fcn_logits.weight": (6, 5, 1, 1),
        "mask_fcn_logits.bias": (6,),
    }
    assert len(mask_head(1, (1,) * 4, rng=rng)) == 4
    assert {p.dtype for p in mask_head(1, (1,), rng=rng, dtype=np.float64).parameters()} == {np.dtype(np.float64)}


@pytest.mark.oracle
def test_against_torchvision(tmp_path: Any) -> None:
    rng = np.random.default_rng(1)
    head, predictor = mask_head(3, (4, 5), rng=rng), mask_predictor(5, 6, 3, rng=rng)
    x = rng.standard_normal((5, 3, 7, 7), np.float32)
    masks = np.zeros((2, 20, 24), np.bool_)
    masks[0, 3:15, 4:13], masks[1] = True, np.add.outer(np.arange(20), np.arange(24)) > 24
    boxes = np.array(
        [[4, 3, 13, 15], [1.3, 2.8, 17.6, 11.1], [-3, -2, 30, 25], [10.2, 5.1, 24, 20], [8, 9, 8.5, 9.5]], np.float32
    )
    matches, classes = np.array([0, 0, 1, 1, 0]), np.array([2, 1])
    asked = {f"head.{name}": value for name, value in head.state_dict().items()}
    asked |= {f"predictor.{name}": value for name, value in predictor.state_dict().items()}
    asked |= {"x": x, "masks": masks, "boxes": boxes, "matches": matches, "classes": classes}
    theirs = ask_torchvision(PROGRAM, asked, tmp_path)

    leaf = Tensor(x, requires_grad=True)
    logits = predictor(head(leaf, training=True), training=True)
    np.testing.assert_allclose(logits.data, theirs["logits"], rtol=1e-4, atol=1e-5)
    targets = mask_targets(masks, boxes, matches, 14)
    np.testing.assert_allclose(targets, theirs["targets"], rtol=0, atol=5e-6)
    assert 0.1 < np.mean((targets > 0) & (targets < 1)) < 0.9
    loss = mask_loss(logits, targets, classes[matches])
    assert loss.item() == pytest.approx(theirs["loss"].item(), rel=1e-5)
    loss.backward()
    assert leaf.grad is not None
    np.testing.assert_allclose(leaf.grad, theirs["dx"], rtol=1e-3, atol=1e-7)
    weight = dict(predictor.named_parameters())["conv5_mask.weight"]
    assert weight.grad is not None
    np.testing.assert_allclose(weight.grad, theirs["dw"], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(mask_probabilities(logits, classes[matches]), theirs["probabilities"], rtol=1e-5)


@pytest.mark.parametrize(("left", "expected"), [(1.5, [1, 0]), (1.4375, [1, 0]), (1.5625, [0, 0])])
def test_a_target_of_one_half_is_the_objects(left: float, expected: list[float]) -> None:
    """Pixels 0 and 1 are the object. A cell of one pixel from 1.5 on is half object; the next is none of it."""
    masks = np.array([[[True, True, False, False]]])
    boxes, matches = np.array([[left, 0, left + 2, 1]]), np.array([0])
    soft = mask_targets(masks, boxes - [0.5, 0.5] * 2, matches, 2)
    np.testing.assert_allclose(soft[0, 0], [2 - left, 0], atol=1e-12)
    hard = mask_targets(masks, boxes, matches, 2, convention="detectron2")
    np.testing.assert_array_equal(hard[0], [expected] * 2)


def test_a_target_that_is_pasted_is_the_object() -> None:
    """Cells are pixels. By halves the object lies where it was; by whole numbers half a pixel above and to the left, so
    that its last row and column are half covered, and are its own no more from 0.6 on."""
    mask = np.zeros((12, 12), np.bool_)
    mask[3:9, 2:7] = True
    boxes = np.array([[1.0, 2, 9, 10]])

    def pasted(convention: str) -> Array:
        target = mask_targets(mask[None], boxes, np.array([0]), 8, convention=convention)
        masks: Array = paste_masks(target, boxes, (12, 12), threshold=0.6)
        return masks.reshape(12, 12)

    np.testing.assert_array_equal(pasted("detectron2"), mask)
    shifted = np.zeros_like(mask)
    shifted[3:8, 2:6] = True
    np.testing.assert_array_equal(pasted("torchvision"), shifted)


def test_the_region_of_another_object() -> None:
    masks = np.zeros((3, 4, 4), bool)
    masks[1] = True
    boxes = np.array([[0, 0, 4, 4]] * 3, np.float32)
    targets = mask_targets(masks, boxes, np.array([2, 1, 0]), 4, convention="detectron2")
    assert targets.dtype == np.float32
    assert targets.mean(axis=(1, 2)).tolist() == [0, 1, 0]


def test_only_the_map_of_the_true_class_is_trained() -> None:
    """Σ over 4 places of log(1 + e^−x) / 8 for targets of 1; of log 2 / 8 for the other region, whose logits are 0."""
    values = np.zeros((2, 3, 2, 2))
    values[0, 2] = [[1, -1], [2, 0]]
    values[:, 0] = 99
    logits = Tensor(values, requires_grad=True)
    loss = mask_loss(logits, np.stack([np.ones((2, 2)), np.zeros((2, 2))]), np.array([2, 1]))
    expected = (sum(math.log1p(math.exp(-x)) for x in (1, -1, 2, 0)) + 4 * math.log(2)) / 8
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    loss.backward()
    assert logits.grad is not None
    assert np.argwhere(logits.grad.any(axis=(2, 3))).tolist() == [[0, 2], [1, 1]]
    np.testing.assert_allclose(logits.grad[1, 1], 0.5 / 8)
    np.testing.assert_allclose(logits.grad[0, 2, 0, 0], (1 / (1 + math.exp(-1)) - 1) / 8)


def test_no_regions() -> None:
    logits = Tensor(np.zeros((0, 3, 4, 4), np.float32), requires_grad=True)
    targets = mask_targets(np.zeros((0, 5, 5), bool), np.zeros((0, 4), np.float32), np.zeros(0, np.int64), 4)
    loss = mask_loss(logits, targets, np.zeros(0, np.int64))
    assert loss.item() == 0
    assert loss.dtype == np.float32
    loss.backward()
    assert logits.grad is not None
    assert logits.grad.shape == (0, 3, 4, 4)
    assert mask_probabilities(logits, np.zeros(0, np.int64)).shape == (0, 4, 4)


MASKS, BOX, FIRST = np.zeros((2, 4, 4), bool), np.array([[0.0, 0, 4, 4]]), np.array([0])


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((MASKS.astype(float), BOX, FIRST, 4), {}, "masks must be a boolean array"),
        ((MASKS[0], BOX, FIRST, 4), {}, "masks must have rank 3"),
        ((MASKS, BOX[0], FIRST, 4), {}, "boxes must have shape"),
        ((MASKS, BOX, np.array([0, 1]), 4), {}, r"matches must have shape \(1,\) \(one object per region\)"),
        ((MASKS, BOX, np.array([2]), 4), {}, "matches must name one of 2 masks, got 2 … 2"),
        ((MASKS, BOX, np.array([-1]), 4), {}, "matches must name one of 2 masks, got -1 … -1"),
        ((MASKS, BOX, FIRST, 0), {}, "side must be at least 1"),
        ((MASKS, BOX, FIRST, 4), {"convention": "detectron1"}, "convention must be one of"),
    ],
)
def test_bad_input_of_targets(arguments: tuple[Any, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^mask_targets: .*{message}"):
        mask_targets(*arguments, **options)


LOGITS: Array = np.zeros((1, 3, 2, 2))


@pytest.mark.parametrize(
    ("logits", "targets", "classes", "message"),
    [
        (LOGITS[0], LOGITS[:, 0], FIRST, "logits must have rank 4"),
        (LOGITS, LOGITS[0], FIRST, r"targets must have shape \(1, 2, 2\) \(one map per region\)"),
        (LOGITS, LOGITS[:, 0], np.array([3]), r"classes must lie in \[0, 3\), got 3 … 3"),
        (LOGITS, LOGITS[:, 0], np.array([-1]), r"classes must lie in \[0, 3\), got -1 … -1"),
        (LOGITS, LOGITS[:, 0], np.array([0, 1]), r"classes must have shape \(1,\)"),
        (LOGITS, LOGITS[:, 0], np.array([0.0]), "classes must be an integer array"),
    ],
)
def test_bad_input_of_the_loss(logits: Array, targets: Array, classes: Array, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^mask_loss: .*{message}"):
        mask_loss(logits, targets, classes)
