"""ResNet-50's last stage as the head: who has which parameters, every stage by its definition, and what is learned."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor, no_grad
from refdet.core.check import Array
from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.model_file import load_model, save_model
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
from refdet.features.backbones.resnet import resnet50
from refdet.nn import SGD
from refdet.training.recipes import recipe_of
from tests.detection.tiny_detectors import CLASS_NAMES, TINY_HEAD, TINY_RPN, picture
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


def gradients(net: FasterRCNN, loss: Tensor) -> set[str]:
    """Return the names of the parameters that a loss reaches."""
    net.zero_grad()
    loss.backward(retain_graph=True)
    return {name for name, p in net.named_parameters() if p.grad is not None and p.grad.any()}


# who has what


def stage_weights(channels: int, inner: int, n_blocks: int) -> int:
    """Count the weights of a stage: 1 × 1 to few channels, 3 × 3 among them, 1 × 1 to four times as many."""
    first = channels * inner + 9 * inner * inner + inner * 4 * inner + channels * 4 * inner  # with its projection
    other = 4 * inner * inner + 9 * inner * inner + inner * 4 * inner
    return first + (n_blocks - 1) * other


def stage_norms(inner: int, n_blocks: int) -> int:
    """Count the normalised channels of a stage: three convolutions a block, and one projection."""
    return n_blocks * (inner + inner + 4 * inner) + 4 * inner


def test_parameters_at_full_width() -> None:
    """Counted by hand; those of ResNet-50 are the 25,557,032 that torchvision publishes, but for its `fc`."""
    net = maskrcnn_resnet50_c4(COCO, rng=rng())
    stem = 7 * 7 * 3 * 64
    stages = [stage_weights(64, 64, 3), stage_weights(256, 128, 4), stage_weights(512, 256, 6)]
    layer4 = stage_weights(1024, 512, 3)
    norms = 64 + stage_norms(64, 3) + stage_norms(128, 4) + stage_norms(256, 6) + stage_norms(512, 3)
    assert stem + sum(stages) + layer4 + 2 * norms == 25_557_032 - (2048 * 1000 + 1000)

    expected = {
        "backbone": stem + sum(stages),
        "rpn.head.conv": 9 * 1024 * 1024 + 1024,
        "rpn.head.cls_logits": 1024 * 15 + 15,  # five sizes, three ratios
        "rpn.head.bbox_pred": 1024 * 60 + 60,
        "roi_heads.box_head": layer4,
        "roi_heads.box_predictor.cls_score": 2048 * 81 + 81,
        "roi_heads.box_predictor.bbox_pred": 2048 * 324 + 324,
        "roi_heads.mask_predictor.conv5_mask": 2048 * 256 * 2 * 2 + 256,
        "roi_heads.mask_predictor.mask_fcn_logits": 256 * 81 + 81,
    }
    sizes = {name: p.data.size for name, p in net.named_parameters()}
    found = {part: sum(n for name, n in sizes.items() if name.startswith(f"{part}.")) for part in expected}
    assert found == expected
    assert sum(sizes.values()) == sum(expected.values())
    frozen = sum(p.data.size for p in net.parameters() if not p.requires_grad)
    assert frozen == stem + stages[0]
    assert sum(b.size for _, b in net.named_buffers()) == 4 * norms  # γ, β, μ and σ²


def test_names_are_those_of_resnet50_and_of_the_heads() -> None:
    """The classifier's without `fc`, once each; then what a detector has besides; then what masks need."""
    body = resnet50(None, width=WIDTH, frozen_norm=True, rng=rng()).state_dict()
    placed = {(HEAD if name.startswith("layer4.") else BACKBONE) + name for name in body}
    both = ("weight", "bias")
    rpn = {f"rpn.head.{layer}.{kind}" for layer in ("conv.0.0", "cls_logits", "bbox_pred") for kind in both}
    predictor = {f"roi_heads.box_predictor.{layer}.{kind}" for layer in ("cls_score", "bbox_pred") for kind in both}
    masks = {f"roi_heads.mask_predictor.{layer}.{kind}" for layer in ("conv5_mask", "mask_fcn_logits") for kind in both}
    faster, mask = (tiny(name).state_dict() for name in BUILDERS)
    assert set(faster) == placed | rpn | predictor
    assert set(mask) == placed | rpn | predictor | masks
    assert all(np.array_equal(faster[name], mask[name]) for name in faster)  # of the same generator


def test_one_map_and_its_anchors() -> None:
    """At each position five sizes by three ratios h / w, not rounded, around the corner of its 16 × 16 pixels."""
    net = fasterrcnn_resnet50_c4(CLASS_NAMES, rng=rng(), settings=ResNetC4Settings(width=WIDTH))
    assert (net.backbone.strides, net.backbone.out_channels) == ((16,), (64,))
    with no_grad():
        (x,) = net.backbone.maps(Tensor(np.zeros((1, 3, 33, 48), np.float32)), training=False, rng=None)
    assert x.shape == (1, 64, 3, 3)
    anchors, _ = anchors_of_maps(net.rpn.settings, [(1, 2)], (16, 32), net.backbone.strides)
    assert anchors.shape == (2 * 15, 4)
    flat = 32 / np.sqrt(0.5)  # as wide as twice its height
    np.testing.assert_allclose(anchors[0], [-flat / 2, -flat / 4, flat / 2, flat / 4])
    np.testing.assert_allclose(anchors[[1, 13, 16]], [[-16] * 2 + [16] * 2, [-256] * 2 + [256] * 2, [0, -16, 32, 16]])
    assert (C4_RPN.pre_nms, C4_RPN.post_nms, C4_RPN.nms_threshold) == ((12000, 6000), (2000, 1000), 0.7)


# the stages, from their definitions, in float64


def conv(x: Array, weight: Array, *, stride: int = 1, padding: int = 0) -> Array:
    k = weight.shape[2]
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    H, W = ((side - k) // stride + 1 for side in x.shape[2:])
    y = np.zeros((len(x), len(weight), H, W))
    for i in range(H):
        for j in range(W):
            window = x[:, :, i * stride : i * stride + k, j * stride : j * stride + k]
            y[:, :, i, j] = np.einsum("nckl,ockl->no", window, weight)
    return y


def norm(x: Array, state: Mapping[str, Array], path: str, eps: float) -> Array:
    gamma, beta, mean, variance = (
        state[f"{path}.{name}"][:, None, None] for name in ("weight", "bias", "running_mean", "running_var")
    )
    y: Array = gamma * (x - mean) / np.sqrt(variance + eps) + beta
    return y


def stage(
    x: Array, state: Mapping[str, Array], path: str, *, stride: int, stride_on: str = "3x3", eps: float = 1e-5
) -> Array:
    """Return what a stage of bottlenecks makes of x; the first of them has the stride and a projection."""
    n_blocks = sum(name.startswith(f"{path}.") and name.endswith("conv1.weight") for name in state)
    for i in range(n_blocks):
        block, s = f"{path}.{i}", stride if i == 0 else 1
        of_1x1, of_3x3 = (s, 1) if stride_on == "1x1" else (1, s)
        y = np.maximum(norm(conv(x, state[f"{block}.conv1.weight"], stride=of_1x1), state, f"{block}.bn1", eps), 0)
        y = conv(y, state[f"{block}.conv2.weight"], stride=of_3x3, padding=1)
        y = np.maximum(norm(y, state, f"{block}.bn2", eps), 0)
        y = norm(conv(y, state[f"{block}.conv3.weight"]), state, f"{block}.bn3", eps)
        if i == 0:
            x = conv(x, state[f"{block}.downsample.0.weight"], stride=s)
            x = norm(x, state, f"{block}.downsample.1", eps)
        x = np.maximum(x + y, 0)
    return x


def c4(x: Array, state: Mapping[str, Array], *, stride_on: str, eps: float) -> Array:
    """Return what conv1 to layer3 make of pictures."""
    x = conv(x, state["backbone.conv1.weight"], stride=2, padding=3)
    x = np.maximum(norm(x, state, "backbone.bn1", eps), 0)
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))  # zeros, which no value behind relu is below
    side = (x.shape[2] - 3) // 2 + 1
    x = np.stack(
        [np.stack([x[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((2, 3)) for j in range(side)], 2)
         for i in range(side)], 2
    )  # fmt: skip
    for i, stride in ((1, 1), (2, 2), (3, 2)):
        x = stage(x, state, f"backbone.layer{i}", stride=stride, stride_on=stride_on, eps=eps)
    return x


@pytest.mark.parametrize(("stride_on", "eps"), [("3x3", 1e-5), ("1x1", 0.25)])
def test_map_by_its_definition(stride_on: str, eps: float) -> None:
    net = tiny("fasterrcnn_resnet50_c4", replace(TINY, stride_on=stride_on, norm_eps=eps), dtype=np.float64)
    x = rng(2).standard_normal((1, 3, 32, 32))
    with no_grad():
        (ours,) = net.backbone.maps(Tensor(x), training=False, rng=None)
    expected = c4(x, net.state_dict(), stride_on=stride_on, eps=eps)
    assert expected.shape == (1, 64, 2, 2)
    np.testing.assert_allclose(ours.data, expected, rtol=1e-9, atol=1e-12)


def test_crops_of_a_ramp() -> None:
    """Where feature (i, j) is j, a bin is the j of its centre: x / 16 − ½. Of 14 bins between x = 48 and x = 160."""
    net = fasterrcnn_resnet50_c4(CLASS_NAMES, rng=rng(), settings=ResNetC4Settings(width=1 / 64), dtype=np.float64)
    ramp = np.broadcast_to(np.arange(20.0), (1, 1, 12, 20))
    crops = net.crops([Tensor(ramp)], [np.array([[48.0, 32, 160, 96]])], net.roi_heads.settings.side)
    centres = 48 + (160 - 48) / 14 * (np.arange(14) + 0.5)
    np.testing.assert_allclose(crops.data, np.broadcast_to(centres / 16 - 0.5, (1, 1, 14, 14)))


@pytest.mark.parametrize("side", [14, 7])
def test_box_head_by_its_definition(side: int) -> None:
    """layer4 with stride 2, the mean of every map, and two matrices."""
    net = tiny("fasterrcnn_resnet50_c4", dtype=np.float64)
    crops, state = rng(2).standard_normal((2, 64, side, side)), net.state_dict()
    maps = stage(crops, state, f"{HEAD}layer4", stride=2)
    assert maps.shape == (2, 128, -(-side // 2), -(-side // 2))
    features = maps.reshape(2, 128, -1).sum(axis=2) / maps[0, 0].size
    with no_grad():
        output = net.roi_heads.box_output(Tensor(crops))
    for ours, layer, n in ((output.logits, "cls_score", 3), (output.deltas, "bbox_pred", 12)):
        weight, bias = (state[f"roi_heads.box_predictor.{layer}.{kind}"] for kind in ("weight", "bias"))
        assert weight.shape == (n, 128)
        np.testing.assert_allclose(ours.data, features @ weight.T + bias, rtol=1e-9, atol=1e-12)


def test_masks_by_their_definition() -> None:
    """A pixel of layer4's map becomes 2 × 2 pixels, each by a matrix of its own; then one matrix for all classes."""
    net = tiny(dtype=np.float64)
    state = net.state_dict() | {
        "roi_heads.mask_predictor.conv5_mask.bias": rng(3).standard_normal(8),
        "roi_heads.mask_predictor.mask_fcn_logits.bias": rng(4).standard_normal(3),
    }
    net.load_state_dict(state)
    crops = rng(2).standard_normal((2, 64, 14, 14))
    maps = stage(crops, state, f"{HEAD}layer4", stride=2)  # (2, 128, 7, 7)
    spread = state["roi_heads.mask_predictor.conv5_mask.weight"]  # (128, 8, 2, 2)
    hidden = np.zeros((2, 8, 14, 14))
    for i in range(14):
        for j in range(14):
            hidden[:, :, i, j] = np.einsum("rc,ch->rh", maps[:, :, i // 2, j // 2], spread[:, :, i % 2, j % 2])
    hidden = np.maximum(hidden + state["roi_heads.mask_predictor.conv5_mask.bias"][:, None, None], 0)
    weight = state["roi_heads.mask_predictor.mask_fcn_logits.weight"][:, :, 0, 0]  # (3, 8)
    expected = np.einsum("rhij,kh->rkij", hidden, weight)
    expected += state["roi_heads.mask_predictor.mask_fcn_logits.bias"][:, None, None]
    with no_grad():
        ours = net.roi_heads.mask_logits(Tensor(crops))
    assert ours.shape == (2, 3, 14, 14)
    np.testing.assert_allclose(ours.data, expected, rtol=1e-9, atol=1e-12)


def test_a_detector_of_boxes_has_no_masks() -> None:
    net = tiny("fasterrcnn_resnet50_c4")
    assert net.detect(picture().image).masks is None
    with pytest.raises(ValueError, match="RoIHeads: there is no head for this"):
        net.roi_heads.mask_logits(Tensor(np.zeros((1, 64, 4, 4), np.float32)))


# one layer4 for boxes and masks


def test_both_heads_have_one_layer4() -> None:
    """It is there once by name; each head's loss alone reaches all of it, and the stages of the backbone that learn."""
    net = tiny()
    names = list(net.state_dict())
    assert [name for name in names if "layer4.0.conv1" in name] == [f"{HEAD}layer4.0.conv1.weight"]
    losses = net.losses([picture()], rng=rng())
    shared = {
        name for name, p in net.named_parameters() if p.requires_grad and name.startswith((f"{HEAD}layer4.", BACKBONE))
    }
    assert len([name for name in shared if name.startswith(HEAD)]) == 3 * 3 + 1  # three blocks, one projection
    of_masks, of_classes = (gradients(net, losses[loss]) for loss in ("mask", "class"))
    both = {"weight", "bias"}
    masks = {f"roi_heads.mask_predictor.{layer}.{k}" for layer in ("conv5_mask", "mask_fcn_logits") for k in both}
    assert of_masks == shared | masks
    assert of_classes == shared | {f"roi_heads.box_predictor.cls_score.{kind}" for kind in both}


def test_a_copy_and_a_file_share_it_too() -> None:
    """What is changed in the one layer4 of a copy changes its masks and its boxes, and not those of the original."""
    net = tiny()
    twin = copy.deepcopy(net)
    crops = Tensor(rng(2).standard_normal((1, 64, 4, 4)).astype(np.float32))
    before = net.roi_heads.mask_logits(crops).data, net.roi_heads.box_output(crops).logits.data
    name = f"{HEAD}layer4.2.conv3.weight"
    twin.load_state_dict({name: 2 * net.state_dict()[name]}, strict=False)
    after = twin.roi_heads.mask_logits(crops).data, twin.roi_heads.box_output(crops).logits.data
    still = net.roi_heads.mask_logits(crops).data, net.roi_heads.box_output(crops).logits.data
    for a, b, c in zip(before, after, still, strict=True):
        assert np.abs(a - b).max() > 1e-3 * np.abs(a).max()
        np.testing.assert_array_equal(a, c)


# what it learns


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


@pytest.mark.parametrize(
    ("n_frozen", "parts"),
    [(0, ()), (1, ("conv1",)), (3, ("conv1", "layer1", "layer2")), (4, ("conv1", "layer1", "layer2", "layer3"))],
)
def test_frozen_stages(n_frozen: int, parts: tuple[str, ...]) -> None:
    net = fasterrcnn_resnet50_c4(CLASS_NAMES, rng=rng(), settings=replace(TINY, n_frozen=n_frozen))
    frozen = {n for n, p in net.named_parameters() if not p.requires_grad}
    assert frozen == {
        n for n, _ in net.named_parameters() if n.startswith(tuple(f"{BACKBONE}{part}." for part in parts))
    }


def test_recipe() -> None:
    """Of Detectron2's rate for 16 pictures an eighth, a tenth of it after 60,000 steps and again after 80,000."""
    for name in BUILDERS:
        recipe = recipe_of(name)
        rate = recipe.schedule()
        assert (recipe.batch_size / 16, recipe.steps) == (0.0025 / 0.02, 90_000)
        found = [rate(step) for step in (500, 1000, 59_999, 60_000, 79_999, 80_000)]
        np.testing.assert_allclose(found, [0.00125, 0.0025, 0.0025, 0.00025, 0.00025, 0.000025])


# files


@pytest.mark.parametrize("name", BUILDERS)
def test_file(name: str, tmp_path: Path) -> None:
    """What a file makes detects the same; the masks of both are as large as the picture."""
    net = tiny(name)
    save_model(tmp_path / "c4.safetensors", net, model=name, settings=TINY)
    loaded = load_model(tmp_path / "c4.safetensors")
    assert (loaded.model, loaded.settings) == (name, TINY)
    image = picture().image
    before, after = net.detect(image), loaded.detector.detect(image)
    assert len(before) > 0
    np.testing.assert_array_equal(before.boxes, after.boxes)
    np.testing.assert_array_equal(before.scores, after.scores)
    if name == "maskrcnn_resnet50_c4":
        assert before.masks is not None
        assert before.masks.shape == (len(before), 32, 32)
        assert before.masks.any()
        np.testing.assert_array_equal(before.masks, after.masks)


def test_weights_of_a_classifier() -> None:
    """All but `fc` have a place; with the map as the crop, the features of a region are what `fc` would see."""
    assert MODELS["maskrcnn_resnet50_c4"].renamed is from_resnet50
    classifier = with_norms(resnet50(5, width=WIDTH, rng=rng(7)), seed=8)
    state = classifier.state_dict() | {f"layer{i}.0.bn1.num_batches_tracked": np.array(7) for i in (1, 4)}
    given, net = from_resnet50(state), fasterrcnn_resnet50_c4(CLASS_NAMES, rng=rng(), settings=TINY)
    assert set(given) == {n for n in net.state_dict() if n.startswith((BACKBONE, HEAD))}
    np.testing.assert_array_equal(given["backbone.layer3.5.conv2.weight"], state["layer3.5.conv2.weight"])
    np.testing.assert_array_equal(
        given[f"{HEAD}layer4.0.downsample.1.running_var"], state["layer4.0.downsample.1.running_var"]
    )
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
        ({"head": replace(C4_HEAD, side=0)}, "head.side must be at least 1, got 0"),
        ({"head": replace(C4_HEAD, mask_side=0)}, "head.mask_side must be at least 1, got 0"),
    ],
)
def test_settings_that_make_no_sense(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^ResNetC4Settings: {message}"):
        ResNetC4Settings(**change)


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

net = Narrow(resnet.Bottleneck, [3, 4, 6, 3], num_classes=1).eval()
net.fc = torch.nn.Identity()
with torch.no_grad():
    for name, value in list(net.named_parameters()) + list(net.named_buffers()):
        if name.endswith("running_var") or "bn" in name and name.endswith("weight"):
            value.uniform_(0.5, 1.5).mul_(0.2 if "bn3" in name and name.endswith("weight") else 1)
        elif name.endswith(("bias", "running_mean")):
            value.normal_(std=0.1)
for name, value in net.state_dict().items():
    answers[f"state/{name}"] = value.numpy().copy()

x = torch.tensor(asked["x"])
x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
c4 = net.layer3(net.layer2(net.layer1(x)))
crops = roi_align(c4, torch.tensor(asked["rois"]), 14, 1 / 16, sampling_ratio=-1, aligned=True)
maps = net.layer4(crops)
features = net.avgpool(maps).flatten(1)
weight, bias = torch.tensor(asked["spread"]), torch.tensor(asked["bias"])
spread = torch.nn.functional.conv_transpose2d(maps, weight, bias, stride=2)
masks = torch.nn.functional.conv2d(torch.relu(spread), torch.tensor(asked["by_class"]))
((features * torch.tensor(asked["dfeatures"])).sum() + (masks * torch.tensor(asked["dmasks"])).sum()).backward()
for name, value in (("c4", c4), ("crops", crops), ("features", features), ("masks", masks)):
    answers[name] = value.detach().numpy()
for name, value in net.named_parameters():
    answers[f"grad/{name}"] = value.grad.numpy()
"""
RELATIVE = 1e-3  # as in test_torchvision_detectors


@pytest.mark.oracle
def test_backbone_and_heads_agree_with_torchvision(tmp_path: Path) -> None:
    """torchvision's ResNet-50, its RoIAlign as Detectron2 uses it, and torch's layers; forward, and all gradients."""
    draw = rng(6)
    asked = {
        "x": draw.standard_normal((2, 3, 64, 96)).astype(np.float32),
        "rois": np.array([[0, 3, 5, 60, 41], [1, 20, 0, 96, 64], [1, 7, 9, 12, 30]], np.float32),
        "spread": draw.normal(0, 0.1, (128, 16, 2, 2)).astype(np.float32),
        "bias": draw.normal(0, 0.1, 16).astype(np.float32),
        "by_class": draw.normal(0, 0.3, (3, 16, 1, 1)).astype(np.float32),
        "dfeatures": draw.standard_normal((3, 128)).astype(np.float32),
        "dmasks": draw.standard_normal((3, 3, 14, 14)).astype(np.float32),
    }
    theirs = ask_torchvision(PROGRAM, asked, tmp_path)
    settings = ResNetC4Settings(width=WIDTH, n_frozen=0)
    net = maskrcnn_resnet50_c4(CLASS_NAMES, rng=rng(), settings=settings)
    given = from_resnet50({n.removeprefix("state/"): a for n, a in theirs.items() if n.startswith("state/")})
    predictor = "roi_heads.mask_predictor"
    given |= {
        f"{predictor}.conv5_mask.weight": asked["spread"],
        f"{predictor}.conv5_mask.bias": asked["bias"],
        f"{predictor}.mask_fcn_logits.weight": asked["by_class"],
    }
    assert set(net.state_dict()) - set(given) == {
        n for n in net.state_dict() if n.startswith(("rpn.", "roi_heads.box_predictor.")) or "mask_fcn_logits.bias" in n
    }
    net.load_state_dict(given, strict=False)

    (c4_map,) = net.backbone.maps(Tensor(asked["x"]), training=True, rng=None)
    boxes = [asked["rois"][asked["rois"][:, 0] == n, 1:] for n in (0, 1)]
    crops = net.crops([c4_map], boxes, net.roi_heads.settings.side)
    features, masks = net.roi_heads.box_head(crops, training=True), net.roi_heads.mask_logits(crops, training=True)
    for name, ours in (("c4", c4_map), ("crops", crops), ("features", features), ("masks", masks)):
        assert_near(ours.data, theirs[name], name)
    ((features * Tensor(asked["dfeatures"])).sum() + (masks * Tensor(asked["dmasks"])).sum()).backward()
    learned = {n: p.grad for n, p in net.named_parameters() if n.startswith((BACKBONE, HEAD))}
    for name, gradient in learned.items():
        assert gradient is not None
        assert_near(gradient, theirs[f"grad/{name.removeprefix(BACKBONE).removeprefix(HEAD)}"], name)


def assert_near(ours: Array, theirs: Array, what: str) -> None:
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=RELATIVE, atol=RELATIVE * np.abs(theirs).max(), err_msg=what)
