"""A detector that begins as a classifier names a region as the classifier names the crop of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor
from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.late_head import LateHead
from refdet.detection.multi_scale_roi_align import CropSettings
from refdet.detection.object_classifier import CropsOfObjects, ObjectClassifier, begin_as
from refdet.detection.roi_heads import BoxHead
from refdet.detection.small_detectors import SmallSettings, small_faster_rcnn, small_mask_rcnn
from refdet.detection.small_fast_rcnn import SmallFastRCNNSettings, small_fast_rcnn
from refdet.features.backbones.maps import without_last_pooling
from refdet.features.backbones.vgg import vgg_features
from tests.detection.tiny_detectors import CLASS_NAMES, TINY_HEAD, TINY_RPN, picture, tiny


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def settings(**changes: Any) -> SmallSettings:
    two_scales = replace(TINY_RPN, sizes=((10.0,), (20.0,)))
    head = replace(TINY_HEAD, side=8, crops=CropSettings(aligned=True, sampling_ratio=1, canonical_side=16.0 * 8))
    return tiny(batch_norm=True, scales=(1.0, 0.5), early=1, rpn=two_scales, head=head, **changes)


def test_the_head_begins_as_the_classifier() -> None:
    """A region of 8 × 8 whole pixels of the early map, which has stride 1, is the early map of its crop inside."""
    net = small_faster_rcnn(CLASS_NAMES, rng=rng(), settings=settings())
    features = without_last_pooling(vgg_features(settings().blocks, batch_norm=True, rng=rng(1)))
    classifier = ObjectClassifier(3, features, fc=settings().fc, crops=CropsOfObjects(side=8), rng=rng(2))
    score = classifier.cls_score
    score.load_state_dict({**score.state_dict(), "bias": np.array([0.5, -1.0, 2.0], np.float32)})
    begin_as(net, classifier)
    x = rng(3).standard_normal((1, 3, 8, 8)).astype(np.float32)
    maps = net.backbone.maps(Tensor(x), training=False, rng=None)
    crops = net.crops(maps, [np.array([[0.0, 0, 8, 8]], np.float32)], 8)
    np.testing.assert_allclose(crops.data, maps[0].data, atol=1e-6)
    logits = net.roi_heads.box_output(crops).logits.data
    np.testing.assert_allclose(logits, classifier(x, training=False, rng=None).data, atol=1e-5)


def test_fast_rcnn_begins_as_the_classifier() -> None:
    """It has the early maps alone; what it says of a region is what the classifier says of the crop."""
    s = settings()
    numbers = SmallFastRCNNSettings(blocks=s.blocks, scales=s.scales, early=s.early, head=s.head, fc=s.fc)
    net = small_fast_rcnn(CLASS_NAMES, rng=rng(), settings=numbers)
    features = vgg_features(s.blocks, batch_norm=True, rng=rng(1))
    classifier = ObjectClassifier(3, features, fc=s.fc, crops=CropsOfObjects(side=8), rng=rng(2))
    begin_as(net, classifier)
    x = rng(3).standard_normal((1, 3, 8, 8)).astype(np.float32)
    maps = net.backbone.maps(Tensor(x), training=False, rng=None)
    assert len(maps) == 2
    logits = net.output(maps, np.array([[0.0, 0, 8, 8]], np.float32)).logits.data
    np.testing.assert_allclose(logits, classifier(x, training=False, rng=None).data, atol=1e-5)


def test_the_head_is_a_copy_of_the_backbone_that_learns_apart() -> None:
    net = small_faster_rcnn(CLASS_NAMES, rng=rng(), settings=settings())
    head = net.roi_heads.box_head
    assert isinstance(head, LateHead)
    own = {id(p) for p in head.parameters()}
    assert not own & {id(p) for p in net.backbone.parameters()}  # type: ignore[attr-defined]
    net.backbone.freeze()  # type: ignore[attr-defined]
    losses = net.losses([picture()], rng=rng())
    (losses["rpn_objectness"] + losses["rpn_box"] + losses["class"] + losses["box"]).backward()
    learned = {name for name, p in net.named_parameters() if p.grad is not None}
    assert {name.split(".")[0] for name in learned} == {"rpn", "roi_heads"}
    assert all(p.grad is not None for p in net.roi_heads.parameters())


def test_masks_are_made_from_the_same_maps() -> None:
    net: FasterRCNN = small_mask_rcnn(CLASS_NAMES, rng=rng(), settings=settings())
    losses = net.losses([picture()], rng=rng())
    assert set(losses) == {"rpn_objectness", "rpn_box", "class", "box", "mask"}
    found = net.detect(picture().image)
    assert found.masks is not None
    assert found.masks.shape[1:] == (32, 32)


def test_the_settings_choose_the_head() -> None:
    """With one size of the picture there are two fully connected layers and nothing before them."""
    assert type(small_faster_rcnn(CLASS_NAMES, rng=rng(), settings=tiny()).roi_heads.box_head) is BoxHead


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="late_head: crops of 2 × 2 are too small for 2 poolings"):
        small_faster_rcnn(CLASS_NAMES, rng=rng(), settings=replace(settings(), head=replace(TINY_HEAD, side=2)))
    with pytest.raises(ValueError, match="SmallSettings: there may be scales or a pyramid, not both"):
        small_faster_rcnn(CLASS_NAMES, rng=rng(), settings=settings(pyramid=4))
