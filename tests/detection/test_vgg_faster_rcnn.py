"""Faster R-CNN on VGG-16: its shapes, its frozen layers, and where the weights of VGG-16 go."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.detection.rpn_settings import PY_FASTER_RPN
from refdet.detection.vgg_faster_rcnn import PyFasterSettings, fasterrcnn_vgg16
from refdet.detection.vgg_parts import from_vgg16
from refdet.features.backbones.vgg import vgg16
from tests.detection.tiny_detectors import picture

VOC = tuple(f"class {i}" for i in range(21))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_weights_of_a_classifier() -> None:
    """Every array but those of the last layer has its place, and keeps its values."""
    settings = PyFasterSettings(width=1 / 64)
    net, classifier = fasterrcnn_vgg16(VOC, rng=rng(), settings=settings), vgg16(width=1 / 64, rng=rng())
    state = classifier.state_dict()
    given = from_vgg16(state)
    here = net.state_dict()
    assert len(given) == len(state) - 2 == 30
    assert {name: a.shape for name, a in given.items()} == {name: here[name].shape for name in given}
    net.load_state_dict(given, strict=False)
    np.testing.assert_array_equal(net.state_dict()["backbone.features.28.weight"], state["features.28.weight"])
    np.testing.assert_array_equal(net.state_dict()["roi_heads.box_head.fc7.bias"], state["classifier.3.bias"])
    assert set(here) - set(given) == {
        f"{layer}.{kind}"
        for layer in (
            "rpn.head.conv.0.0",
            "rpn.head.cls_logits",
            "rpn.head.bbox_pred",
            "roi_heads.box_predictor.cls_score",
            "roi_heads.box_predictor.bbox_pred",
        )
        for kind in ("weight", "bias")
    }


def test_first_two_blocks_are_frozen() -> None:
    net = fasterrcnn_vgg16(VOC, rng=rng(), settings=PyFasterSettings(width=1 / 64))
    frozen = {name.rpartition(".")[0] for name, p in net.named_parameters() if not p.requires_grad}
    assert frozen == {f"backbone.features.{i}" for i in (0, 2, 5, 7)}


def test_map_and_channels() -> None:
    """Blue first; a sixteenth of the size; 18 + 36 numbers at a position, 21 and 84 for a region."""
    net = fasterrcnn_vgg16(VOC, rng=rng(), settings=PyFasterSettings(width=1 / 64))
    assert net.backbone.strides == (16,)
    assert net.roi_heads.box_head.dropout.p == 0.5  # type: ignore[attr-defined]
    assert not net.with_difficult
    head, predictor = net.rpn.head, net.roi_heads.box_predictor
    assert (head.cls_logits.weight.shape[0], head.bbox_pred.weight.shape[0]) == (18, 36)
    assert head.conv[0][0].weight.shape[0] == PY_FASTER_RPN.hidden == 512  # type: ignore[index]
    assert (predictor.cls_score.weight.shape[0], predictor.bbox_pred.weight.shape[0]) == (21, 84)
    prepared = net.preparation.picture(np.full((300, 600, 3), (10, 20, 30), np.uint8))
    assert prepared.images.shape == (1, 3, 500, 1000)
    np.testing.assert_allclose(prepared.images[0, :, 0, 0], [30 - 102.9801, 20 - 115.9465, 10 - 122.7717], rtol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_runs(training: bool) -> None:
    """A step and a detection with the authors' numbers, on a narrow network of one block and a picture of 600 × 600."""
    settings = PyFasterSettings(blocks=((64, 1),) * 5, width=1 / 32, hidden=64)
    net = fasterrcnn_vgg16(("background", "a", "b"), rng=rng(), settings=settings)
    if training:
        losses = net.losses([picture()], rng=rng())
        values = [loss.item() for loss in losses.values()]
        assert np.isfinite(values).all()
        assert min(values[0], values[2]) > 0.1
    else:
        found = net.detect(picture().image)
        assert (found.boxes >= 0).all()
        assert (found.boxes <= 32).all()
        assert (np.diff(found.scores) <= 0).all()
        assert (found.scores > 0.05).all()
