"""ResNet and its feature pyramid against torchvision, whose files, written by its torch, are loaded as they are.

Float64 wherever a gradient is compared, so that nothing but rounding is left between the two; ResNet-50 in float32, as
its published weights are. Published detectors have older names: torchvision's own loader renames them here as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refdet.autograd import Tensor, gradients, no_grad
from refdet.core.check import Array
from refdet.features.backbones.fpn import resnet_fpn
from refdet.features.backbones.fpn_levels import fpn_level
from refdet.features.backbones.resnet import ResNet, resnet18, resnet50
from refdet.features.backbones.torchvision_names import from_torchvision
from refdet.nn import Module
from refdet.nn.checkpoint import read_torch_state_dict
from tests.torchvision_process import ask_torchvision

pytestmark = pytest.mark.oracle

PARAMETERS = (
    "body.conv1.weight",
    "body.layer2.0.conv2.weight",
    "body.layer4.0.downsample.0.weight",
    "fpn.inner_blocks.1.0.bias",
    "fpn.layer_blocks.0.0.weight",
)
STAGES = ("layer1", "layer2", "layer3", "layer4")
MAP_SIZES = ((11, 15), (6, 8), (3, 4), (2, 2), (1, 1))  # of a picture of 43 × 57: 11 is not twice 6, nor 15 twice 8
OLDER_NAMES = {
    "rpn.head.conv.weight": (2, 2, 3, 3),
    "rpn.head.cls_logits.bias": (3,),
    "backbone.fpn.inner_blocks.1.bias": (2,),
    "backbone.fpn.layer_blocks.0.weight": (2, 2, 3, 3),
    "roi_heads.mask_head.mask_fcn1.weight": (3, 2, 3, 3),
    "roi_heads.mask_head.mask_fcn2.bias": (3,),
}
PROGRAM = """
from torchvision.models import resnet18, resnet50
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.poolers import LevelMapper

torch.manual_seed(0)

@torch.no_grad()
def saved(model, name):
    for part in model.modules():
        if hasattr(part, "running_mean"):
            part.running_mean.normal_(0, 0.2), part.running_var.uniform_(0.5, 1.5)
            part.weight.uniform_(0.5, 1), part.bias.normal_(0, 0.2)
    torch.save(model.state_dict(), str(asked[name + ".pth"]))
    return model.eval()

@torch.no_grad()
def answer(name, model, x):
    answers[name + "/logits"] = model(x).numpy()
    x = model.maxpool(model.relu(model.bn1(model.conv1(x))))
    for stage in asked["stages"]:
        x = getattr(model, stage)(x)
        answers[name + "/" + stage] = x.numpy()

x = torch.tensor(asked["x"])
answer("resnet50", saved(resnet50(), "resnet50"), x.float())
small = saved(resnet18().double(), "resnet18")
answer("resnet18", small, x)
answers["trained/logits"] = small.train()(x).detach().numpy()
answers.update({"trained/" + name: buffer.numpy() for name, buffer in small.named_buffers()})

model = saved(resnet_fpn_backbone(backbone_name="resnet50", weights=None).double(), "fpn")
wanted = dict(model.named_parameters())
for name, parameter in wanted.items():
    parameter.requires_grad_(name in asked["parameters"])
maps = list(model(x.requires_grad_(True)).values())
sum((p * torch.tensor(asked[f"dy/{i}"])).sum() for i, p in enumerate(maps)).backward()
answers.update({f"fpn/{i}": p.detach().numpy() for i, p in enumerate(maps)})
answers.update({"fpn/d " + name: wanted[name].grad.numpy() for name in asked["parameters"]})
answers["fpn/d x"] = x.grad.numpy()

answers["levels"] = (LevelMapper(2, 5)([torch.tensor(asked["boxes"])]) + 2).numpy()

class Parts(torch.nn.Module):
    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)

detector = Parts(
    rpn=Parts(head=RPNHead(2, 3)),
    backbone=Parts(fpn=FeaturePyramidNetwork([1, 2], 2)),
    roi_heads=Parts(mask_head=MaskRCNNHeads(2, (3, 3), 1)),
)
older = {name: torch.tensor(asked["older/" + name]) for name in asked["older"]}
assert not detector.load_state_dict(older, strict=False).unexpected_keys
now = detector.state_dict()
answers.update({"now/" + name: value.numpy() for name, value in now.items()})
"""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the pictures, the linear functional of the pyramid, boxes of all sizes, and where the files shall lie."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("files")
    sides = np.concatenate([2 ** rng.uniform(2, 11, (500, 2)), np.array([[111.9, 112, 223.9, 224, 448]] * 2).T])
    corners = rng.integers(0, 500, sides.shape)
    return {
        "x": rng.standard_normal((1, 3, 43, 57)),
        "boxes": np.concatenate([corners, corners + sides], axis=1).astype(np.float32),
        "stages": STAGES,
        "parameters": PARAMETERS,
        "older": list(OLDER_NAMES),
        **{f"older/{name}": rng.standard_normal(shape) for name, shape in OLDER_NAMES.items()},
        **{f"dy/{i}": rng.standard_normal((1, 256, *size)) for i, size in enumerate(MAP_SIZES)},
        **{f"{name}.pth": str(folder / f"{name}.pth") for name in ("resnet18", "resnet50", "fpn")},
    }


@pytest.fixture(scope="module")
def torchvision(asked: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Array]:
    """Return torchvision's answers; it writes its files first."""
    return ask_torchvision(PROGRAM, asked, tmp_path_factory.mktemp("torchvision"))


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the draw of initial weights, all of which are replaced."""

    def zeros(shape: tuple[int, ...], *, dtype: np.dtype[np.floating], **_: object) -> Array:
        return np.broadcast_to(np.zeros((), dtype), shape)

    for name in ("he", "gaussian"):
        monkeypatch.setattr(f"refdet.nn.init.{name}", zeros)


def load(net: Module, path: str) -> None:
    """Fill the network from a file of torchvision's, which must have every name and no other."""
    net.load_state_dict(from_torchvision(read_torch_state_dict(path)))


def assert_near(actual: Array, expected: Array, bound: float) -> None:
    """Compare relative to the largest magnitude."""
    assert actual.dtype == expected.dtype
    np.testing.assert_allclose(actual, expected, rtol=0, atol=bound * np.abs(expected).max())


@pytest.mark.parametrize(("make", "dtype", "bound"), [(resnet18, np.float64, 1e-13), (resnet50, np.float32, 2e-5)])
@pytest.mark.usefixtures("no_drawing")
def test_maps_and_logits(
    asked: dict[str, Any], torchvision: dict[str, Array], make: Callable[..., ResNet], dtype: type, bound: float
) -> None:
    name = make.__name__
    net = make(rng=np.random.default_rng(0), dtype=dtype)
    load(net, asked[f"{name}.pth"])
    with no_grad():
        maps = net.maps(Tensor(asked["x"].astype(dtype)), training=False, rng=None)
        logits = net(asked["x"].astype(dtype))
    for stage, found in zip(STAGES, maps, strict=True):
        assert_near(found.data, torchvision[f"{name}/{stage}"], bound)
    assert_near(logits.data, torchvision[f"{name}/logits"], bound)


@pytest.mark.usefixtures("no_drawing")
def test_training_uses_and_keeps_the_statistics_of_the_batch(
    asked: dict[str, Any], torchvision: dict[str, Array]
) -> None:
    net = resnet18(rng=np.random.default_rng(0), dtype=np.float64)
    load(net, asked["resnet18.pth"])
    with no_grad():
        logits = net(asked["x"], training=True)
    assert_near(logits.data, torchvision["trained/logits"], 1e-12)
    for name, statistic in net.named_buffers():
        assert_near(statistic, torchvision[f"trained/{name}"], 1e-12)


@pytest.mark.usefixtures("no_drawing")
def test_pyramid_and_its_gradients(asked: dict[str, Any], torchvision: dict[str, Array]) -> None:
    backbone = resnet_fpn(rng=np.random.default_rng(0), dtype=np.float64)
    load(backbone, asked["fpn.pth"])
    named = dict(backbone.named_parameters())
    backbone.freeze()
    for name in PARAMETERS:
        named[name].requires_grad = True
    x = Tensor(asked["x"], requires_grad=True)
    maps = backbone.maps(x, training=True, rng=None)
    assert len(maps) == len(MAP_SIZES)
    for i, found in enumerate(maps):
        assert_near(found.data, torchvision[f"fpn/{i}"], 1e-13)
    loss = Tensor(np.zeros(()))
    for i, found in enumerate(maps):
        loss = loss + (found * Tensor(asked[f"dy/{i}"])).sum()
    found_gradients = gradients(loss, [x, *(named[name] for name in PARAMETERS)])
    for name, gradient in zip(("x", *PARAMETERS), found_gradients, strict=True):
        assert_near(gradient, torchvision[f"fpn/d {name}"], 1e-13)


def test_levels_of_regions(asked: dict[str, Any], torchvision: dict[str, Array]) -> None:
    np.testing.assert_array_equal(fpn_level(asked["boxes"]), torchvision["levels"])
    assert set(torchvision["levels"].tolist()) == {2, 3, 4, 5}


def test_older_names_become_those_that_torchvision_gives_them(
    asked: dict[str, Any], torchvision: dict[str, Array]
) -> None:
    now = from_torchvision({name: asked[f"older/{name}"] for name in OLDER_NAMES})
    assert len(now) == len(OLDER_NAMES)
    for name, value in now.items():
        np.testing.assert_array_equal(torchvision[f"now/{name}"].astype(np.float32), value.astype(np.float32))
