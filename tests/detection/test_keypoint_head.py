"""The keypoint head: torchvision's names, outputs, loss and gradient; valid joints alone; the errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array
from refdet.detection.keypoint_coding import encode_keypoints
from refdet.detection.keypoint_head import KeypointPredictor, keypoint_head, keypoint_loss
from refdet.detection.small_detectors import figure_settings, small_keypoint_rcnn
from tests.torchvision_process import ask_torchvision

PROGRAM = """
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.roi_heads import keypointrcnn_loss
t = {name: torch.tensor(asked[name]) for name in asked.files}
head, predictor = KeypointRCNNHeads(3, (4, 5)), KeypointRCNNPredictor(5, 4)
for part, prefix in ((head, "head."), (predictor, "predictor.")):
    part.load_state_dict({name[len(prefix):]: t[name] for name in t if name.startswith(prefix)})
x = t["x"].requires_grad_()
logits = predictor(head(x))
loss = keypointrcnn_loss(logits, [t["boxes"]], [t["joints"]], [torch.arange(len(x))])
loss.backward()
answers |= {"logits": logits, "loss": loss, "dx": x.grad, "dw": predictor.kps_score_lowres.weight.grad}
answers = {name: value.detach().numpy() for name, value in answers.items()}
"""


def test_names_are_those_of_torchvision() -> None:
    rng = np.random.default_rng(0)
    assert {name: x.shape for name, x in keypoint_head(2, (3, 4), rng=rng).state_dict().items()} == {
        "0.weight": (3, 2, 3, 3),
        "0.bias": (3,),
        "2.weight": (4, 3, 3, 3),
        "2.bias": (4,),
    }
    assert {name: x.shape for name, x in KeypointPredictor(4, 17, rng=rng).state_dict().items()} == {
        "kps_score_lowres.weight": (4, 17, 4, 4),
        "kps_score_lowres.bias": (17,),
    }
    assert {p.dtype for p in keypoint_head(1, (1,), rng=rng, dtype=np.float64).parameters()} == {np.dtype(np.float64)}
    assert {p.dtype for p in KeypointPredictor(1, 1, rng=rng, dtype=np.float64).parameters()} == {np.dtype(np.float64)}


def test_dilated_convolutions_reach_further_with_the_same_weights() -> None:
    """Through 3 × 3 convolutions of ones, a one in the middle comes to all sums of one of −d, 0 and d each."""
    x = np.zeros((1, 1, 15, 15))
    x[0, 0, 7, 7] = 1
    ones = {"0.weight": np.ones((1, 1, 3, 3)), "2.weight": np.ones((1, 1, 3, 3)), "0.bias": 0.0, "2.bias": 0.0}
    state = {name: np.asarray(value) * np.ones(1) for name, value in ones.items()}
    for dilations, reached in ((1, range(-2, 3)), (3, range(-6, 7, 3)), ((2, 4), range(-6, 7, 2))):
        head = keypoint_head(1, (1, 1), dilations=dilations, rng=np.random.default_rng(0), dtype=np.float64)
        head.load_state_dict(state)
        y = head(Tensor(x), training=False).data[0, 0]
        assert set(np.flatnonzero(y[7]) - 7) == set(np.flatnonzero(y[:, 7]) - 7) == set(reached)
    with pytest.raises(ValueError, match=r"keypoint_head: dilations must be an integer or 2 of them, got \(1, 2, 1\)"):
        keypoint_head(1, (1, 1), dilations=(1, 2, 1), rng=np.random.default_rng(0))


def test_joints_of_figures_are_told_from_all_of_a_crop() -> None:
    """What is in one corner is noticed in the opposite one."""
    net = small_keypoint_rcnn(("background", "person"), 14, rng=np.random.default_rng(0))
    side = figure_settings().head.keypoint_side
    crops = np.zeros((2, 32, side, side), np.float32)
    crops[1, :, 0, 0] = 100
    maps = net.roi_heads.keypoint_logits(Tensor(crops)).data
    assert (maps[0, :, -1, -1] != maps[1, :, -1, -1]).all()


def test_maps_may_be_left_as_the_transposed_convolution_has_them() -> None:
    rng = np.random.default_rng(0)
    resizing, plain = KeypointPredictor(2, 3, rng=rng), KeypointPredictor(2, 3, scale=1, rng=rng)
    plain.load_state_dict(resizing.state_dict())
    x = Tensor(rng.standard_normal((2, 2, 4, 4), np.float32))
    small, large = plain(x, training=False), resizing(x, training=False)
    assert (small.shape, large.shape) == ((2, 3, 8, 8), (2, 3, 16, 16))
    np.testing.assert_array_equal(small.data, resizing.kps_score_lowres(x, training=False).data)
    with pytest.raises(ValueError, match="KeypointPredictor: scale must be at least 1, got 0"):
        KeypointPredictor(2, 3, scale=0, rng=rng)


@pytest.mark.oracle
def test_against_torchvision(tmp_path: Any) -> None:
    rng = np.random.default_rng(2)
    head, predictor = keypoint_head(3, (4, 5), rng=rng), KeypointPredictor(5, 4, rng=rng)
    x = rng.standard_normal((3, 3, 4, 4), np.float32)
    boxes = np.array([[0, 0, 20, 30], [5.5, 3.25, 17, 29.5], [2, 2, 12, 9]], np.float32)
    joints = rng.uniform(0, 25, (3, 4, 3)).astype(np.float32)
    joints[..., 2] = rng.integers(0, 3, (3, 4))
    asked = {f"head.{name}": value for name, value in head.state_dict().items()}
    asked |= {f"predictor.{name}": value for name, value in predictor.state_dict().items()}
    theirs = ask_torchvision(PROGRAM, asked | {"x": x, "boxes": boxes, "joints": joints}, tmp_path)

    leaf = Tensor(x, requires_grad=True)
    logits = predictor(head(leaf, training=True), training=True)
    assert logits.shape == (3, 4, 16, 16)
    np.testing.assert_allclose(logits.data, theirs["logits"], rtol=1e-4, atol=1e-5)
    positions, valid = encode_keypoints(joints[..., :2], joints[..., 2] > 0, boxes, side=16)
    assert 2 < np.count_nonzero(valid) < 10
    loss = keypoint_loss(logits, positions, valid)
    assert loss.item() == pytest.approx(theirs["loss"].item(), rel=1e-5)
    loss.backward()
    assert leaf.grad is not None
    np.testing.assert_allclose(leaf.grad, theirs["dx"], rtol=1e-3, atol=1e-6)
    weight = dict(predictor.named_parameters())["kps_score_lowres.weight"]
    assert weight.grad is not None
    np.testing.assert_allclose(weight.grad, theirs["dw"], rtol=1e-3, atol=1e-6)


def test_the_mean_over_valid_joints_of_all_regions() -> None:
    """Of 2 + 1 valid joints among 4: log 4 twice, and log(3 + e) − 1."""
    values = np.zeros((2, 2, 2, 2))
    values[1, 0, 1, 0] = 1
    values[1, 1] = np.nan  # not valid, and not looked at
    logits = Tensor(values, requires_grad=True)
    positions, valid = np.array([[0, 3], [2, 1]]), np.array([[True, True], [True, False]])
    loss = keypoint_loss(logits, positions, valid)
    assert loss.item() == pytest.approx((2 * math.log(4) + math.log(3 + math.e) - 1) / 3, rel=1e-12)
    loss.backward()
    assert logits.grad is not None
    np.testing.assert_allclose(logits.grad[0, 1], np.array([[1, 1], [1, -3]]) / 12)
    assert not logits.grad[1, 1].any()


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (0, 3, 4, 4), (2, 0, 4, 4)])
def test_no_valid_joints(shape: tuple[int, ...]) -> None:
    logits = Tensor(np.ones(shape, np.float32), requires_grad=True)
    loss = keypoint_loss(logits, np.zeros(shape[:2], np.int64), np.zeros(shape[:2], bool))
    assert loss.item() == 0
    assert loss.dtype == np.float32
    loss.backward()
    assert logits.grad is not None
    np.testing.assert_array_equal(logits.grad, np.zeros(shape))


LOGITS, ZEROS, VALID = np.zeros((1, 2, 3, 3)), np.zeros((1, 2), np.int64), np.ones((1, 2), bool)


@pytest.mark.parametrize(
    ("logits", "positions", "valid", "message"),
    [
        (LOGITS[0], ZEROS, VALID, "keypoint_loss: logits must have rank 4"),
        (LOGITS[..., :2], ZEROS, VALID, r"keypoint_loss: the maps of logits must be square, got shape \(1, 2, 3, 2\)"),
        (LOGITS, ZEROS[:, :1], VALID, r"keypoint_loss: positions must have shape \(1, 2\)"),
        (LOGITS, ZEROS, VALID[:, :1], r"keypoint_loss: valid must have shape \(1, 2\)"),
        (LOGITS, ZEROS.astype(float), VALID, "keypoint_loss: positions must be an integer array"),
        (LOGITS, ZEROS, ZEROS, "keypoint_loss: valid must be a boolean array"),
        (LOGITS, ZEROS + 9, VALID, r"keypoint_loss: positions must lie in \[0, 9\), got 9 at \(0, 0\)"),
        (LOGITS, ZEROS - 1, VALID, r"keypoint_loss: positions must lie in \[0, 9\), got -1 at \(0, 0\)"),
    ],
)
def test_bad_input(logits: Array, positions: Array, valid: Array, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{message}"):
        keypoint_loss(logits, positions, valid)
