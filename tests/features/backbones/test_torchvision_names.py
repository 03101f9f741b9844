"""torchvision's names: the published ones, the present ones, and files that are neither."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.features.backbones.fpn import resnet_fpn
from refdet.features.backbones.resnet import resnet18
from refdet.features.backbones.torchvision_names import from_torchvision

PUBLISHED = {
    "rpn.head.conv.weight": "rpn.head.conv.0.0.weight",
    "rpn.head.conv.bias": "rpn.head.conv.0.0.bias",
    "rpn.head.cls_logits.weight": "rpn.head.cls_logits.weight",
    "rpn.head.bbox_pred.bias": "rpn.head.bbox_pred.bias",
    "backbone.body.layer1.0.conv1.weight": "backbone.body.layer1.0.conv1.weight",
    "backbone.fpn.inner_blocks.0.weight": "backbone.fpn.inner_blocks.0.0.weight",
    "backbone.fpn.inner_blocks.3.bias": "backbone.fpn.inner_blocks.3.0.bias",
    "backbone.fpn.layer_blocks.2.weight": "backbone.fpn.layer_blocks.2.0.weight",
    "fpn.layer_blocks.1.bias": "fpn.layer_blocks.1.0.bias",
    "roi_heads.box_head.fc6.weight": "roi_heads.box_head.fc6.weight",
    "roi_heads.mask_head.mask_fcn1.weight": "roi_heads.mask_head.0.0.weight",
    "roi_heads.mask_head.mask_fcn4.bias": "roi_heads.mask_head.3.0.bias",
    "roi_heads.mask_predictor.mask_fcn_logits.weight": "roi_heads.mask_predictor.mask_fcn_logits.weight",
    "roi_heads.keypoint_head.0.weight": "roi_heads.keypoint_head.0.weight",
    "roi_heads.keypoint_predictor.kps_score_lowres.bias": "roi_heads.keypoint_predictor.kps_score_lowres.bias",
    "features.0.weight": "features.0.weight",
    "inception3a.branch1.bn.running_mean": "inception3a.branch1.bn.running_mean",
}


def numbered(names: list[str]) -> dict[str, Array]:
    """Return a different array for each name."""
    return {name: np.array(i) for i, name in enumerate(names)}


def test_published_names_become_the_present_ones() -> None:
    old = numbered(list(PUBLISHED))
    new = from_torchvision(old)
    assert list(new) == list(PUBLISHED.values())
    assert all(new[now] is old[before] for before, now in PUBLISHED.items())


def test_present_names_stay() -> None:
    now = numbered(list(PUBLISHED.values()))
    assert from_torchvision(now) == now


def test_counters_go() -> None:
    state = numbered(["bn1.num_batches_tracked", "bn1.weight", "layer1.0.bn2.num_batches_tracked"])
    assert list(from_torchvision(state)) == ["bn1.weight"]


def test_parts_that_are_not_wanted_stay_out() -> None:
    state = numbered(["aux1.fc1.weight", "aux10.bias", "layer.aux1.bias", "fc.bias", "fc2.bias"])
    assert list(from_torchvision(state, without=("aux1", "fc", "absent"))) == [
        "aux10.bias",
        "layer.aux1.bias",
        "fc2.bias",
    ]


def test_a_classifiers_file_fills_the_body_of_a_detector() -> None:
    rng = np.random.default_rng(0)
    file = resnet18(width=1 / 32, rng=rng).state_dict()
    file |= {"bn1.num_batches_tracked": np.array(3)}
    backbone = resnet_fpn(resnet18, width=1 / 32, rng=rng)
    backbone.body.load_state_dict(from_torchvision(file, without=("fc",)))
    body = backbone.body.state_dict()
    assert len(body) == len(file) - 3
    for name, value in body.items():
        np.testing.assert_array_equal(value, file[name])


def test_what_cannot_be_meant_is_refused() -> None:
    both = ["rpn.head.conv.0.0.bias", "rpn.head.conv.bias"]
    for names in (both, both[::-1]):
        with pytest.raises(ValueError, match=r"rpn\.head\.conv\.0\.0\.bias twice, once under its older name"):
            from_torchvision(numbered(names))
    with pytest.raises(TypeError, match="without must be a collection of names of parts, got the string 'fc'"):
        from_torchvision({}, without="fc")
