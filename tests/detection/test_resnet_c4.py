"""ResNet-50's last stage as the head: parameters, Detectron2's numbers, every stage, and what is learned."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor, no_grad
from refdet.core.check import Array
from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.model_names import MODELS
from refdet.detection.multi_scale_roi_align import CropSettings
from refdet.detection.preparation import Preparation
from refdet.detection.resnet_c4 import (
    C4_HEAD,
    C4_RPN,
    ResNetC4Settings,
    fasterrcnn_resnet50_c4,
    from_resnet50,
    maskrcnn_resnet50_c4,
)
from refdet.detection.rpn import anchors_of_maps
from refdet.detection.rpn_settings import TORCHVISION_RPN
from refdet.detection.torchvision_detectors import TorchvisionSettings
from refdet.features.backbones.resnet import ResNet, resnet18, resnet34, resnet50, resnet101
from refdet.nn import SGD
from refdet.training.recipes import recipe_of
from tests.detection.tiny_detectors import CLASS_NAMES, TINY_HEAD, TINY_RPN, empty_picture, picture
from tests.torchvision_process import ask_torchvision

BUILDERS: dict[str, Callable[..., FasterRCNN]] = {
    "fasterrcnn_resnet50_c4": fasterrcnn_resnet50_c4,
    "maskrcnn_resnet50_c4": maskrcnn_resnet50_c4,
}
COCO = tuple(f"class {i}" for i in range(81))
WIDTH = 1 / 16  # 4 channels behind conv1, 64 in C4, 128 behind layer4
TINY = ResNetC4Settings(
    width=WIDTH,
    mask_channels=128,  # 8 at this width
    preparation=Preparation(short=64),  # the map is 4 × 4
    rpn=replace(TINY_RPN, sizes=((20.0, 40.0),)),
    head=replace(TINY_HEAD, side=4, mask_side=4, crops=CropSettings(aligned=True)),
)
BACKBONE, HEAD = "backbone.", "roi_heads.box_head."


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def with_norms(net: Any, seed: int = 1) -> Any:
    """Give all normalisations constants that a classifier might have learned; blocks add little to what they get."""
    draw, state = rng(seed), net.state_dict()
    for name, array in state.items():
        if "bn" in name or "downsample.1" in name:
            kind = name.rpartition(".")[2]
            if kind in ("weight", "running_var"):
                array[:] = draw.uniform(0.5, 1.5, array.shape) * (0.2 if name.endswith("bn3.weight") else 1)
            else:
                array[:] = draw.normal(0, 0.1, array.shape)
    net.load_state_dict(state)
    return net


def tiny(name: str = "maskrcnn_resnet50_c4", settings: ResNetC4Settings = TINY, **options: Any) -> FasterRCNN:
    net: FasterRCNN = with_norms(BUILDERS[name](CLASS_NAMES, rng=rng(), settings=settings, **options))
    return net


def plain(name: str) -> str:
    """Return what ResNet-50 calls a parameter, or what the head of masks does."""
    return name.removeprefix(BACKBONE).removeprefix(HEAD).removeprefix("roi_heads.mask_predictor.")


def gradients(net: FasterRCNN, loss: Tensor) -> set[str]:
    """Return the names of the parameters that a loss reaches."""
    net.zero_grad()
    loss.backward(retain_graph=True)
    return {name for name, p in net.named_parameters() if p.grad is not None and p.grad.any()}


# what it is made of


def test_parameters_at_full_width() -> None:
    """Of ResNet-50's 25,557,032 all but `fc` and the two of each normalised channel; then those of both stages."""
    net = maskrcnn_resnet50_c4(COCO, rng=rng())
    n_normalised = 64 + 3 * 384 + 256 + 4 * 768 + 512 + 6 * 1536 + 1024 + 3 * 3072 + 2048  # 64 + 64 + 256 a block, …
    expected = {
        ("backbone.", HEAD): 25_557_032 - (2048 * 1000 + 1000) - 2 * n_normalised,
        ("rpn.head.conv.0.0.",): 9 * 1024 * 1024 + 1024,
        ("rpn.head.cls_logits.",): 1024 * 15 + 15,  # five sizes, three ratios
        ("rpn.head.bbox_pred.",): 1024 * 60 + 60,
        ("roi_heads.box_predictor.cls_score.",): 2048 * 81 + 81,
        ("roi_heads.box_predictor.bbox_pred.",): 2048 * 324 + 324,
        ("roi_heads.mask_predictor.conv5_mask.",): 2048 * 256 * 2 * 2 + 256,
        ("roi_heads.mask_predictor.mask_fcn_logits.",): 256 * 81 + 81,
    }
    sizes = {name: p.data.size for name, p in net.named_parameters()}
    assert {part: sum(n for name, n in sizes.items() if name.startswith(part)) for part in expected} == expected
    assert sum(sizes.values()) == sum(expected.values())
    assert sum(b.size for _, b in net.named_buffers()) == 4 * n_normalised  # γ, β, μ and σ²


def test_a_detector_of_boxes_is_one_of_masks_without_masks() -> None:
    """Of the same generator they have the same weights."""
    faster, mask = tiny("fasterrcnn_resnet50_c4"), tiny()
    state, more = faster.state_dict(), mask.state_dict()
    assert all(np.array_equal(state[name], more[name]) for name in state)
    assert set(more) - set(state) == {name for name in more if name.startswith("roi_heads.mask_predictor.")}
    assert faster.detect(picture().image).masks is None
    with pytest.raises(ValueError, match="RoIHeads: there is no head for this"):
        faster.roi_heads.mask_logits(Tensor(np.zeros((1, 64, 4, 4), np.float32)))


def test_the_numbers_are_those_of_detectron2() -> None:
    """Its configs/Base-RCNN-C4.yaml, and config/defaults.py where that says nothing; the solver's for 2 pictures."""
    settings, rpn, head, n = ResNetC4Settings(), C4_RPN, C4_HEAD, 16 // 2
    (recipe,) = {recipe_of(name) for name in BUILDERS}
    for key, theirs, ours in (
        ("INPUT.MIN_SIZE_TEST", 800, settings.preparation.short),
        ("INPUT.MAX_SIZE_TEST", 1333, settings.preparation.long),
        ("INPUT.MASK_FORMAT: bitmask", "detectron2", head.mask_convention),
        ("MODEL.BACKBONE.FREEZE_AT", 2, settings.n_frozen),
        ("MODEL.ANCHOR_GENERATOR.SIZES", ((32, 64, 128, 256, 512),), rpn.sizes),
        ("MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS", ((0.5, 1.0, 2.0),), (rpn.ratios,)),
        ("MODEL.ANCHOR_GENERATOR.OFFSET", 0.0, rpn.anchor_offset),
        ("MODEL.PROPOSAL_GENERATOR.MIN_SIZE", 0, rpn.min_size),
        ("MODEL.RPN.BOUNDARY_THRESH", -1, 0 if rpn.inside_only else -1),
        ("MODEL.RPN.CONV_DIMS", -1, rpn.hidden or -1),
        ("MODEL.RPN.IOU_THRESHOLDS", (0.3, 0.7), (rpn.negative, rpn.positive)),
        ("MODEL.RPN.BATCH_SIZE_PER_IMAGE", 256, rpn.n_drawn),
        ("MODEL.RPN.POSITIVE_FRACTION", 0.5, rpn.positive_fraction),
        ("MODEL.RPN.BBOX_REG_LOSS_WEIGHT", 1.0, rpn.box_weight),
        ("MODEL.RPN.SMOOTH_L1_BETA", 0.0, rpn.beta),
        ("MODEL.RPN.PRE_NMS_TOPK_TRAIN, TEST", (12000, 6000), rpn.pre_nms),
        ("MODEL.RPN.POST_NMS_TOPK_TRAIN, TEST", (2000, 1000), rpn.post_nms),
        ("MODEL.RPN.NMS_THRESH", 0.7, rpn.nms_threshold),
        ("MODEL.ROI_HEADS.IOU_THRESHOLDS", 0.5, head.positive),
        ("MODEL.ROI_HEADS.IOU_LABELS", (0, 0.5), (head.negative_low, head.negative_high)),  # 0 below, 1 above
        ("MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE", 512, head.n_drawn),
        ("MODEL.ROI_HEADS.POSITIVE_FRACTION", (0.25, "floor"), (head.positive_fraction, head.rounding)),
        ("MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.05, head.score_threshold),
        ("MODEL.ROI_HEADS.NMS_THRESH_TEST", 0.5, head.nms_threshold),
        ("MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS", (10.0, 10.0, 5.0, 5.0), head.weights),
        ("MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_WEIGHT", 1.0, head.box_weight),
        ("MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA", 0.0, head.beta),
        ("MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION", (14, 14), (head.side, head.mask_side)),  # the pooler of masks too
        ("MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO", 0, head.crops.sampling_ratio),
        ("MODEL.ROI_BOX_HEAD.POOLER_TYPE: ROIAlignV2", ("align", True), (head.crops.crop, head.crops.aligned)),
        ("MODEL.ROI_MASK_HEAD.CONV_DIM", 256, settings.mask_channels),
        ("TEST.DETECTIONS_PER_IMAGE", 100, head.n_detections),
        ("SOLVER.IMS_PER_BATCH, BASE_LR", (16, 0.02), (n * recipe.batch_size, n * recipe.lr)),
        ("SOLVER.MAX_ITER, WARMUP_ITERS", (90_000, 1000), (recipe.steps / n, recipe.warm_up / n)),
        ("SOLVER.MOMENTUM, WEIGHT_DECAY", (0.9, 0.0001), (recipe.momentum, recipe.weight_decay)),
        ("SOLVER.CLIP_GRADIENTS.ENABLED", False, recipe.max_gradient_norm is not None),
    ):
        assert ours == theirs, key
    rates = [n * recipe.schedule()(n * step) for step in (500, 1000, 59_999, 60_000, 79_999, 80_000)]  # SOLVER.STEPS
    np.testing.assert_allclose(rates, [0.01, 0.02, 0.02, 0.002, 0.002, 0.0002])


def test_one_map_and_its_anchors() -> None:
    """At each position five sizes by three ratios h / w, not rounded, around the corner of its 16 × 16 pixels."""
    net = fasterrcnn_resnet50_c4(CLASS_NAMES, rng=rng(), settings=ResNetC4Settings(width=WIDTH))
    assert (net.backbone.strides, net.backbone.out_channels) == ((16,), (64,))
    anchors, _ = anchors_of_maps(net.rpn.settings, [(1, 2)], (16, 32), net.backbone.strides)
    assert anchors.shape == (2 * 15, 4)
    flat = 32 / np.sqrt(0.5)  # as wide as twice its height
    np.testing.assert_allclose(anchors[0], [-flat / 2, -flat / 4, flat / 2, flat / 4])
    np.testing.assert_allclose(anchors[[1, 13, 16]], [[-16] * 2 + [16] * 2, [-256] * 2 + [256] * 2, [0, -16, 32, 16]])


# the stages


@pytest.mark.parametrize(("stride_on", "eps"), [("3x3", 1e-5), ("1x1", 0.25)])
def test_both_parts_compute_what_the_network_does(stride_on: str, eps: float) -> None:
    """C4 and C5 of ResNet-50, bit for bit; `stride_on` and `norm_eps` arrive."""
    net = tiny("fasterrcnn_resnet50_c4", replace(TINY, stride_on=stride_on, norm_eps=eps))
    whole = resnet50(None, width=WIDTH, stride_on=stride_on, frozen_norm=True, norm_eps=eps, rng=rng(7))
    parts = {plain(name): array for name, array in net.state_dict().items()}
    whole.load_state_dict({name: parts[name] for name in whole.state_dict()})
    x = Tensor(rng(2).standard_normal((1, 3, 33, 48)).astype(np.float32))
    with no_grad():
        *_, c4, c5 = whole.maps(x, training=False, rng=None)
        (ours,) = net.backbone.maps(x, training=False, rng=None)
        assert ours.shape == (1, 64, 3, 3)
        np.testing.assert_array_equal(ours.data, c4.data)
        np.testing.assert_array_equal(layer4(net, ours), c5.data)


def test_crops_of_a_ramp() -> None:
    """Where feature (i, j) is j, a bin is the j of its centre: x / 16 − ½. Of 14 bins between x = 48 and x = 160."""
    net = fasterrcnn_resnet50_c4(CLASS_NAMES, rng=rng(), settings=ResNetC4Settings(width=1 / 64), dtype=np.float64)
    ramp = np.broadcast_to(np.arange(20.0), (1, 1, 12, 20))
    crops = net.crops([Tensor(ramp)], [np.array([[48.0, 32, 160, 96]])], net.roi_heads.settings.side)
    centres = 48 + (160 - 48) / 14 * (np.arange(14) + 0.5)
    np.testing.assert_allclose(crops.data, np.broadcast_to(centres / 16 - 0.5, (1, 1, 14, 14)))


def layer4(net: FasterRCNN, crops: Tensor) -> Array:
    """Return what the last stage makes of crops, which `test_both_parts_compute_what_the_network_does` checks."""
    head: Any = net.roi_heads.box_head
    maps: Array = head.maps(crops, training=False, rng=None).data
    return maps


@pytest.mark.parametrize("side", [14, 7])
def test_the_head_of_boxes(side: int) -> None:
    """The mean of every map of C5, and two matrices."""
    net = tiny("fasterrcnn_resnet50_c4", dtype=np.float64)
    crops, state = Tensor(rng(2).standard_normal((2, 64, side, side))), net.state_dict()
    with no_grad():
        maps, output = layer4(net, crops), net.roi_heads.box_output(crops)
    assert maps.shape == (2, 128, -(-side // 2), -(-side // 2))
    for ours, layer, n in ((output.logits, "cls_score", 3), (output.deltas, "bbox_pred", 12)):
        weight, bias = (state[f"roi_heads.box_predictor.{layer}.{kind}"] for kind in ("weight", "bias"))
        assert weight.shape == (n, 128)
        np.testing.assert_allclose(ours.data, maps.mean((2, 3)) @ weight.T + bias, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("side", [14, 7])
def test_the_head_of_masks(side: int) -> None:
    """A pixel of C5 becomes 2 × 2 pixels, each by a matrix of its own; then one matrix for all classes."""
    net = tiny(dtype=np.float64)
    conv5, fcn = (f"roi_heads.mask_predictor.{layer}" for layer in ("conv5_mask", "mask_fcn_logits"))
    state = net.state_dict()
    state |= {f"{conv5}.bias": rng(3).standard_normal(8), f"{fcn}.bias": rng(4).standard_normal(3)}
    net.load_state_dict(state)
    crops = Tensor(rng(2).standard_normal((2, 64, side, side)))
    with no_grad():
        maps, ours = layer4(net, crops), net.roi_heads.mask_logits(crops)
    m = 2 * -(-side // 2)
    hidden = np.einsum("rcij,chuv->rhiujv", maps, state[f"{conv5}.weight"]).reshape(2, 8, m, m)
    hidden = np.maximum(hidden + state[f"{conv5}.bias"][:, None, None], 0)
    expected = np.einsum("rhij,kh->rkij", hidden, state[f"{fcn}.weight"][:, :, 0, 0])
    np.testing.assert_allclose(ours.data, expected + state[f"{fcn}.bias"][:, None, None], rtol=1e-9, atol=1e-12)


# what it learns


def test_both_heads_have_one_layer4() -> None:
    """It is there once by name; each head's loss alone reaches all of it, and the stages of the backbone that learn."""
    net = tiny()
    assert [name for name in net.state_dict() if "layer4.0.conv1" in name] == [f"{HEAD}layer4.0.conv1.weight"]
    losses = net.losses([picture()], rng=rng())
    learning = {name for name, p in net.named_parameters() if p.requires_grad}
    shared = {name for name in learning if name.startswith((HEAD, BACKBONE))}
    assert len([name for name in shared if name.startswith(HEAD)]) == 3 * 3 + 1  # three blocks, one projection
    of_masks = {name for name in learning if "mask_predictor" in name}
    of_classes = {name for name in learning if "cls_score" in name}
    assert (len(of_masks), len(of_classes)) == (4, 2)
    assert gradients(net, losses["mask"]) == shared | of_masks
    assert gradients(net, losses["class"]) == shared | of_classes


@pytest.mark.parametrize("name", BUILDERS)
def test_learns_and_keeps_what_is_frozen(name: str) -> None:
    """Ten steps on a picture lower its loss; conv1, layer1 and all normalisations keep their bits, and nothing else."""
    net = tiny(name)
    optimiser = SGD([(n, p) for n, p in net.named_parameters() if p.requires_grad], lr=0.02, momentum=0.9)
    before, totals = net.state_dict(), []
    for _ in range(10):
        losses = net.losses([picture()], rng=rng(5))
        totals.append(sum(loss.item() for loss in losses.values()))
        net.zero_grad()
        loss = losses.pop("class")
        for other in losses.values():
            loss = loss + other
        loss.backward()
        optimiser.step()
    assert totals[-1] < 0.75 * totals[0]
    buffers = {n for n, _ in net.named_buffers()}
    for n, array in net.state_dict().items():
        kept = n in buffers or n.startswith((f"{BACKBONE}conv1.", f"{BACKBONE}layer1."))
        assert np.array_equal(array, before[n]) == kept, n


def test_a_crowd_is_not_learned() -> None:
    """With its only object difficult, as `CocoImages` calls a crowd, a picture has the losses of an empty one."""
    net, crowd = tiny(), replace(picture(boxes=[(4, 6, 16, 18)], classes=[1]), difficult=np.array([True]))
    nothing = replace(empty_picture(), image=crowd.image)
    losses, expected = (net.losses([sample], rng=rng()) for sample in (crowd, nothing))
    assert {name: loss.item() for name, loss in losses.items()} == {n: loss.item() for n, loss in expected.items()}


def test_frozen_stages() -> None:
    for n_frozen in range(5):
        net = fasterrcnn_resnet50_c4(CLASS_NAMES, rng=rng(), settings=replace(TINY, n_frozen=n_frozen))
        parts = tuple(f"{BACKBONE}{part}." for part in ("conv1", "layer1", "layer2", "layer3")[:n_frozen])
        for name, parameter in net.named_parameters():
            assert parameter.requires_grad != name.startswith(parts), (n_frozen, name)


# weights of others


def test_weights_of_a_classifier() -> None:
    """All but `fc` have a place; with the map as the crop, the features of a region are what `fc` would see."""
    assert MODELS["maskrcnn_resnet50_c4"].renamed is from_resnet50
    classifier = with_norms(resnet50(5, width=WIDTH, rng=rng(7)), seed=8)
    state = classifier.state_dict() | {f"layer{i}.0.bn1.num_batches_tracked": np.array(7) for i in (1, 4)}
    given, net = from_resnet50(state), fasterrcnn_resnet50_c4(CLASS_NAMES, rng=rng(), settings=TINY)
    assert set(given) == {n for n in net.state_dict() if n.startswith((BACKBONE, HEAD))}
    net.load_state_dict(given, strict=False)
    x = rng(2).standard_normal((2, 3, 64, 64)).astype(np.float32)
    with no_grad():
        (x4,) = net.backbone.maps(Tensor(x), training=True, rng=None)
        features = net.roi_heads.box_head(x4, training=True)
        expected = classifier(x, training=False)
    logits = features.data @ state["fc.weight"].T + state["fc.bias"]
    np.testing.assert_allclose(logits, expected.data, rtol=1e-4, atol=1e-5)


def test_weights_of_something_else_have_no_place() -> None:
    assert from_resnet50({"features.0.weight": np.zeros(1), "layer5.0.conv1.weight": np.zeros(1)}) == {}
    assert from_resnet50({"backbone.body.conv1.weight": np.zeros(1), "roi_heads.box_head.fc6.bias": np.zeros(1)}) == {}
    with pytest.raises(TypeError, match=r"^from_resnet50: state must map names to arrays, got NoneType$"):
        from_resnet50(None)  # type: ignore[arg-type]


def test_weights_under_the_names_of_the_detector_stay_as_they_are() -> None:
    state = tiny().state_dict()
    given = from_resnet50(state)
    assert list(given) == list(state)
    assert all(given[name] is state[name] for name in state)


@pytest.mark.parametrize(
    ("make", "missing", "got"),
    [
        (resnet18, "none", "(0, 0, 0, 0)"),
        (resnet34, "none", "(0, 0, 0, 0)"),  # as many blocks, but no bottlenecks
        (resnet101, "none", "(3, 4, 23, 3)"),
        (resnet50, "layer3.5.", "(3, 4, 5, 3)"),
    ],
)
def test_weights_of_other_stages_are_refused(make: Callable[..., ResNet], missing: str, got: str) -> None:
    """Also those of another network with such a backbone, torchvision's DeepLab for instance."""
    state = make(5, width=1 / 64, rng=rng()).state_dict()
    said = f"from_resnet50: layer1 … layer4 must have (3, 4, 6, 3) bottlenecks, as ResNet-50 has, got {got}"
    for place in ("", BACKBONE):
        with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
            from_resnet50({f"{place}{name}": array for name, array in state.items() if not name.startswith(missing)})


# bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, r"width must lie in \(0, inf\), got 0"),
        ({"width": float("nan")}, "width must be a finite number, got nan"),
        ({"norm_eps": -1e-5}, r"norm_eps must lie in \[0, inf\), got -1e-05"),
        ({"stride_on": "2x2"}, "stride_on must be one of '3x3', '1x1', got '2x2'"),
        ({"n_frozen": -1}, "n_frozen must be at least 0, got -1"),
        ({"n_frozen": 5}, "n_frozen must be at most 4, layer4 being a head, got 5"),
        ({"mask_channels": 0}, "mask_channels must be at least 1, got 0"),
        ({"rpn": TORCHVISION_RPN}, "rpn.sizes must be of one map, which C4 is, got sizes of 5"),
        ({"rpn": None}, "rpn must be RPNSettings, got NoneType"),
        ({"head": C4_RPN}, "head must be HeadSettings, got RPNSettings"),
        ({"preparation": None}, "preparation must be Preparation, got NoneType"),
    ],
)
def test_settings_that_make_no_sense(change: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"^ResNetC4Settings: {message}"):
        ResNetC4Settings(**change)


@pytest.mark.parametrize(
    ("class_names", "settings", "message"),
    [
        ("ab", TINY, "class_names must be a sequence, got 'ab'"),
        (None, TINY, "class_names must be a sequence, got None"),
        ((), TINY, r"class_names must be the background and one or more classes, got \(\)"),
        (["background"], TINY, r"class_names must be the background and one or more classes, got \['background'\]"),
        (CLASS_NAMES, TorchvisionSettings(), "settings must be ResNetC4Settings, got TorchvisionSettings"),
    ],
)
def test_bad_arguments(class_names: Any, settings: Any, message: str) -> None:
    for name, build in BUILDERS.items():
        with pytest.raises((TypeError, ValueError), match=f"^{name}: {message}$"):
            build(class_names, rng=rng(), settings=settings)


# against torchvision

PROGRAM = """
from torchvision.models import resnet
from torchvision.ops import roi_align
torch.set_num_threads(1)
torch.manual_seed(3)

class Narrow(resnet.ResNet):
    def _make_layer(self, block, planes, *args, **kwargs):
        if planes == 64:
            self.inplanes = 4
            self.conv1 = torch.nn.Conv2d(3, 4, 7, stride=2, padding=3, bias=False)
            self.bn1 = torch.nn.BatchNorm2d(4)
        return super()._make_layer(block, planes // 16, *args, **kwargs)

net = Narrow(resnet.Bottleneck, [3, 4, 6, 3]).eval()
state = {name: torch.tensor(asked[name]) for name in asked.files}
net.load_state_dict({name: state.get(name, value) for name, value in net.state_dict().items()})

x = net.maxpool(net.relu(net.bn1(net.conv1(state["x"]))))
c4 = net.layer3(net.layer2(net.layer1(x)))
crops = roi_align(c4, state["rois"], 14, 1 / 16, sampling_ratio=-1, aligned=True)
maps = net.layer4(crops)
features = net.avgpool(maps).flatten(1)
spread = torch.nn.functional.conv_transpose2d(maps, state["conv5_mask.weight"], state["conv5_mask.bias"], stride=2)
masks = torch.nn.functional.conv2d(torch.relu(spread), state["mask_fcn_logits.weight"])
((features * state["dfeatures"]).sum() + (masks * state["dmasks"]).sum()).backward()
for name, value in (("c4", c4), ("crops", crops), ("features", features), ("masks", masks)):
    answers[name] = value.detach().numpy()
answers |= {name: value.grad.numpy() for name, value in net.named_parameters() if not name.startswith("fc.")}
"""
RELATIVE = 1e-3  # as in test_torchvision_detectors


@pytest.mark.oracle
def test_backbone_and_heads_agree_with_torchvision(tmp_path: Path) -> None:
    """torchvision's ResNet-50, its RoIAlign as Detectron2 uses it, and torch's layers; forward, and all gradients."""
    draw, net = rng(6), tiny(settings=ResNetC4Settings(width=WIDTH, n_frozen=0))
    state = net.state_dict()
    state["roi_heads.mask_predictor.conv5_mask.bias"] = draw.normal(0, 0.1, 16).astype(np.float32)
    net.load_state_dict(state)
    asked = {plain(name): array for name, array in state.items()} | {
        "x": draw.standard_normal((2, 3, 64, 96)).astype(np.float32),
        "rois": np.array([[0, 3, 5, 60, 41], [1, 20, 0, 96, 64], [1, 7, 9, 12, 30]], np.float32),
        "dfeatures": draw.standard_normal((3, 128)).astype(np.float32),
        "dmasks": draw.standard_normal((3, 3, 14, 14)).astype(np.float32),
    }
    theirs = ask_torchvision(PROGRAM, asked, tmp_path)

    (c4_map,) = net.backbone.maps(Tensor(asked["x"]), training=True, rng=None)
    boxes = [asked["rois"][asked["rois"][:, 0] == n, 1:] for n in (0, 1)]
    crops = net.crops([c4_map], boxes, net.roi_heads.settings.side)
    features, masks = net.roi_heads.box_head(crops, training=True), net.roi_heads.mask_logits(crops, training=True)
    for name, ours in (("c4", c4_map), ("crops", crops), ("features", features), ("masks", masks)):
        assert_near(ours.data, theirs[name], name)
    ((features * Tensor(asked["dfeatures"])).sum() + (masks * Tensor(asked["dmasks"])).sum()).backward()
    for name, parameter in net.named_parameters():
        if name.startswith((BACKBONE, HEAD)):
            assert parameter.grad is not None
            assert_near(parameter.grad, theirs[plain(name)], name)


def assert_near(ours: Array, theirs: Array, what: str) -> None:
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=RELATIVE, atol=RELATIVE * np.abs(theirs).max(), err_msg=what)
