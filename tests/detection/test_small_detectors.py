"""The small detectors: what their numbers mean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor
from refdet.data import Shapes
from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.small_detectors import SmallSettings, small_backbone, small_faster_rcnn
from refdet.features.backbones.maps import OneMap
from refdet.features.backbones.vgg_fpn import VGGFPN
from refdet.nn import BatchNorm2d, Conv2d
from tests.detection.tiny_detectors import CLASS_NAMES, TINY_RPN, picture, tiny


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_blocks(batch_norm: bool) -> None:
    """A pooling between two blocks halves the map; there is none behind the last."""
    settings = SmallSettings(blocks=((4, 2), (6, 1), (5, 1)), batch_norm=batch_norm, scales=None)
    backbone = small_backbone(settings, rng=rng())
    assert isinstance(backbone, OneMap)
    layers = list(backbone.features)
    assert [layer.weight.shape[0] for layer in layers if isinstance(layer, Conv2d)] == [4, 4, 6, 5]
    assert sum(isinstance(layer, BatchNorm2d) for layer in layers) == (4 if batch_norm else 0)
    assert (backbone.out_channels, backbone.strides) == ((5,), (4,))
    assert backbone(np.zeros((1, 3, 32, 48), np.float32)).shape == (1, 5, 8, 12)


def test_pyramid_looks_at_the_maps_before_the_poolings() -> None:
    """Its finest map is that of the one-map network of the first blocks, merged with what the coarser ones say."""
    backbone = VGGFPN(((4, 1), (6, 1), (8, 1)), first=2, out_channels=5, rng=rng())
    for name, parameter in backbone.named_parameters():
        if name.startswith("features."):
            continue
        parameter.data = np.zeros_like(parameter.data)
        if name == "fpn.inner_blocks.0.0.weight":
            parameter.data[:, :, 0, 0] = np.eye(5, 6)
        if name == "fpn.layer_blocks.0.0.weight":
            parameter.data[:, :, 1, 1] = np.eye(5)
    x = Tensor(rng().standard_normal((1, 3, 16, 16)).astype(np.float32))
    fine, coarse = backbone.maps(x, training=False, rng=None)
    np.testing.assert_allclose(fine.data[0], backbone.features[:5](x).data[0, :5], rtol=1e-6)
    assert not coarse.data.any()


def test_detector_with_a_pyramid_learns_in_every_part() -> None:
    rpn = replace(TINY_RPN, sizes=((10.0,), (20.0,)))
    net = small_faster_rcnn(CLASS_NAMES, rng=rng(), settings=tiny(pyramid=6, rpn=rpn))
    losses = net.losses([picture()], rng=rng())
    (losses["rpn_objectness"] + losses["class"] + losses["box"] + losses["rpn_box"]).backward()
    assert not [n for n, p in net.named_parameters() if p.grad is None]
    assert (net.detect(picture().image).boxes <= 32).all()


def test_default_numbers_on_a_picture_of_shapes() -> None:
    """Before anything is learned objectness costs log 2, and seven equal classes about log 7."""
    names = tuple("0123456")
    net = small_faster_rcnn(names, rng=rng())
    scene = Shapes(1, seed=0)[0]
    positions = sum((128 // stride) ** 2 for stride in net.backbone.strides)
    assert net.rpn.settings.n_drawn * 4 < positions * net.rpn.settings.anchors_per_position
    losses = net.losses([scene], rng=rng())
    assert losses["rpn_objectness"].item() == pytest.approx(np.log(2), abs=0.1)
    assert losses["class"].item() == pytest.approx(np.log(7), abs=0.5)


def test_difficult_objects_are_background_where_they_are_not_learned() -> None:
    sample = replace(picture(), difficult=np.array([True, True]))

    def box_loss(settings: SmallSettings) -> float:
        net: FasterRCNN = small_faster_rcnn(CLASS_NAMES, rng=rng(), settings=settings)
        return float(net.losses([sample], rng=rng())["rpn_box"].item())

    assert box_loss(tiny(with_difficult=True)) > 0
    assert box_loss(tiny(with_difficult=False)) == 0


def test_dropout_is_drawn_from_the_generator() -> None:
    """And at test there is none; half of the features of a region are 0 in training, beside those that relu makes 0."""
    head = small_faster_rcnn(CLASS_NAMES, rng=rng(), settings=tiny(dropout=0.5, fc=(16, 400))).roi_heads.box_head
    crop = np.ones((1, 8, 3, 3), np.float32)
    np.testing.assert_array_equal(head(crop).data, head(crop).data)
    first, again, other = (head(crop, training=True, rng=np.random.default_rng(seed)).data for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert np.count_nonzero(first) < 0.7 * np.count_nonzero(head(crop).data)
    with pytest.raises(TypeError, match="dropout"):
        head(crop, training=True)
