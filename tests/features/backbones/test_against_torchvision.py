"""The networks against torchvision's own classes, and against torch given Caffe's files as a list of calls.

Everything is float64 and narrow. torchvision's networks are made by torchvision and thinned layer by layer; their
states are loaded by name, all names of both sides. The networks that torchvision does not have are written out in the
program from their files. Pictures have values around ±100, so that local response normalisation is no mere factor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refdet.autograd import Tensor
from refdet.core.check import Array
from refdet.features.backbones.alexnet import alexnet
from refdet.features.backbones.classifier import Classifier
from refdet.features.backbones.googlenet import GoogLeNet, googlenet
from refdet.features.backbones.vgg import vgg11, vgg16
from refdet.features.backbones.zf import zf
from refdet.nn import Dropout, Module
from tests.torchvision_process import ask_torchvision

pytestmark = pytest.mark.oracle

THINNER = 8  # torchvision's channels divided
N_CLASSES = 6
TOLERANCE = 1e-9  # of the largest value

TORCHVISION = """
import torch.nn.functional as F
from torch import nn
from torchvision import models

def thin(module, divisor):
    for name, part in module.named_children():
        if isinstance(part, nn.Conv2d):
            inside = 3 if part.in_channels == 3 else part.in_channels // divisor
            new = nn.Conv2d(inside, part.out_channels // divisor, part.kernel_size, part.stride, part.padding,
                            bias=part.bias is not None)
        elif isinstance(part, nn.Linear):
            new = nn.Linear(part.in_features // divisor, part.out_features // divisor)
        elif isinstance(part, nn.BatchNorm2d):
            new = nn.BatchNorm2d(part.num_features // divisor, eps=part.eps)
            for tensor, low in ((new.weight, 0.5), (new.bias, -0.5), (new.running_mean, -0.5), (new.running_var, 0.5)):
                nn.init.uniform_(tensor, low, low + 1)
        else:
            thin(part, divisor)
            continue
        setattr(module, name, new)

def keep(name, tensors):
    answers.update({name + key: tensor.detach().numpy().copy() for key, tensor in tensors.items()})

D, C = int(asked["thinner"]), int(asked["n_classes"])
draw = {layer: layer.reset_parameters for layer in (nn.Linear, nn.Conv2d)}
for layer in draw:
    layer.reset_parameters = lambda self: None  # full width is never computed with, so nothing is drawn for it
nets = {
    "alexnet": models.AlexNet(C * D),
    "vgg11": models.VGG(models.vgg.make_layers(models.vgg.cfgs["A"]), C * D, init_weights=False),
    "vgg11_bn": models.VGG(models.vgg.make_layers(models.vgg.cfgs["A"], batch_norm=True), C * D, init_weights=False),
    "vgg16": models.VGG(models.vgg.make_layers(models.vgg.cfgs["D"]), C * D, init_weights=False),
    "vgg16_bn": models.VGG(models.vgg.make_layers(models.vgg.cfgs["D"], batch_norm=True), C * D, init_weights=False),
    "googlenet": models.GoogLeNet(C * D, transform_input=True, init_weights=False),
}
for layer, reset in draw.items():
    layer.reset_parameters = reset
torch.manual_seed(0)
for name, net in nets.items():
    thin(net, D)
    net.double().eval()
    keep(name + "/state/", net.state_dict())
    seen = {}
    for part in ("features", "inception3a", "inception4e", "inception5b"):
        if hasattr(net, part):
            getattr(net, part).register_forward_hook(lambda m, i, y, part=part: seen.update({part: y}))
    x = torch.tensor(asked[name + "/x"])
    with torch.no_grad():
        keep(name + "/", {"logits": net(x), **seen})

net = nets["googlenet"].train()
for part in net.modules():
    if isinstance(part, nn.Dropout):
        part.p = 0.0
logits, aux1, aux2 = net(torch.tensor(asked["googlenet/x"]))  # which it calls (logits, aux_logits2, aux_logits1)
outputs = {"logits": logits, "aux1": aux1, "aux2": aux2}
keep("trained/", outputs)
sum((y * torch.tensor(asked["trained/d" + key])).sum() for key, y in outputs.items()).backward()
keep("trained/d/", {name: p.grad for name, p in net.named_parameters()})
keep("trained/state/", dict(net.named_buffers()))
"""

FILES = """
def net_of(case):
    w = {key[len(case) + 7:]: torch.tensor(asked[key]) for key in asked.files if key.startswith(case + "/state/")}
    def conv(x, name, **options):
        return F.relu(F.conv2d(x, w[name + ".weight"], w[name + ".bias"], **options))
    def fc(x, name):
        return F.linear(x, w[name + ".weight"], w[name + ".bias"])
    return conv, fc, torch.tensor(asked[case + "/x"])

def pool(x, padding=0, stride=2):
    return F.max_pool2d(x, 3, stride, padding, ceil_mode=True)

def lrn(x, alpha=1e-4, k=1.0):  # torch divides alpha by 5, as Caffe does
    return F.local_response_norm(x, 5, alpha, 0.75, k)

def within_channel(x):  # the mean over 3 × 3 pixels, of which those outside count as zeros, has Caffe's 1/9
    return x / (1 + 5e-5 * F.avg_pool2d(x * x, 3, 1, 1)) ** 0.75

def head(x, fc):
    x = F.relu(fc(x.flatten(1), "classifier.fc6"))
    return fc(F.relu(fc(x, "classifier.fc7")), "classifier.fc8")

for case, after in (
    ("alexnet-paper", lambda x: pool(lrn(x, alpha=5e-4, k=2.0))),
    ("alexnet-bvlc_alexnet", lambda x: pool(lrn(x))),
    ("alexnet-caffenet", lambda x: lrn(pool(x))),
):
    conv, fc, x = net_of(case)
    x = after(conv(x, "features.conv1", stride=4))
    x = after(conv(x, "features.conv2", padding=2, groups=2))
    x = conv(x, "features.conv3", padding=1)
    x = conv(x, "features.conv4", padding=1, groups=2)
    x = pool(conv(x, "features.conv5", padding=1, groups=2))
    keep(case + "/", {"features": x, "logits": head(x, fc)})

for case, (conv1, pool1, conv2, pool2) in (("zf-spp", (1, 0, 0, 0)), ("zf-faster", (3, 1, 2, 1))):
    conv, fc, x = net_of(case)
    x = pool(within_channel(conv(x, "features.conv1", stride=2, padding=conv1)), pool1)
    x = pool(within_channel(conv(x, "features.conv2", stride=2, padding=conv2)), pool2)
    for name in ("features.conv3", "features.conv4", "features.conv5"):
        x = conv(x, name, padding=1)
    bins = [F.adaptive_max_pool2d(x, k).flatten(1) for k in (3, 1)]
    keep(case + "/", {"features": x, "logits": head(torch.cat(bins, 1), fc)})

conv, fc, x = net_of("googlenet-paper")

def inception(x, name):
    name = "inception" + name + "."
    return torch.cat([
        conv(x, name + "branch1.conv"),
        conv(conv(x, name + "branch2.0.conv"), name + "branch2.1.conv", padding=1),
        conv(conv(x, name + "branch3.0.conv"), name + "branch3.1.conv", padding=2),
        conv(pool(x, padding=1, stride=1), name + "branch4.1.conv"),
    ], 1)

def auxiliary(x, name):
    x = conv(F.avg_pool2d(x, 5, 3), name + ".conv.conv")
    return fc(F.relu(fc(x.flatten(1), name + ".fc1")), name + ".fc2")

x = lrn(pool(conv(x, "conv1.conv", stride=2, padding=3)))
x = pool(lrn(conv(conv(x, "conv2.conv"), "conv3.conv", padding=1)))
x = pool(inception(inception(x, "3a"), "3b"))
x = inception(x, "4a")
aux1 = auxiliary(x, "aux1")
x = inception(inception(inception(x, "4b"), "4c"), "4d")
aux2 = auxiliary(x, "aux2")
x = pool(inception(x, "4e"))
x = inception(inception(x, "5a"), "5b")
keep("googlenet-paper/", {"aux1": aux1, "aux2": aux2, "logits": fc(x.mean((2, 3)), "fc")})
"""

RNG = np.random.default_rng(0)
COMMON: dict[str, Any] = {"rng": RNG, "dtype": np.float64}
THIN: dict[str, Any] = {**COMMON, "width": 1 / THINNER}

OF_TORCHVISION: dict[str, tuple[Callable[[], Module], tuple[int, int]]] = {
    "alexnet": (lambda: alexnet(N_CLASSES, variant="torchvision", **THIN), (94, 127)),
    "vgg11": (lambda: vgg11(N_CLASSES, **THIN), (32, 64)),  # fewer pixels than bins
    "vgg11_bn": (lambda: vgg11(N_CLASSES, batch_norm=True, **THIN), (33, 64)),
    "vgg16": (lambda: vgg16(N_CLASSES, **THIN), (64, 33)),
    "vgg16_bn": (lambda: vgg16(N_CLASSES, batch_norm=True, **THIN), (32, 256)),  # more pixels than bins
    "googlenet": (lambda: googlenet(N_CLASSES, variant="torchvision", transform_input=True, **THIN), (64, 75)),
}
OF_FILES: dict[str, tuple[Callable[[], Module], tuple[int, int]]] = {
    "alexnet-paper": (lambda: alexnet(N_CLASSES, variant="paper", width=1 / 24, **COMMON), (227, 227)),
    "alexnet-bvlc_alexnet": (lambda: alexnet(N_CLASSES, variant="bvlc_alexnet", width=1 / 24, **COMMON), (227, 227)),
    "alexnet-caffenet": (lambda: alexnet(N_CLASSES, variant="caffenet", width=1 / 24, **COMMON), (227, 227)),
    "zf-spp": (lambda: zf(N_CLASSES, variant="spp", pyramid=(3, 1), width=1 / 24, **COMMON), (107, 90)),
    "zf-faster": (lambda: zf(N_CLASSES, variant="faster", pyramid=(3, 1), width=1 / 24, **COMMON), (107, 90)),
    "googlenet-paper": (lambda: googlenet(N_CLASSES, width=1 / 16, **COMMON), (224, 224)),
}
PICTURES = {
    name: RNG.normal(0, 1 if name in OF_TORCHVISION else 100, (2, 3, *size))
    for name, (_, size) in {**OF_TORCHVISION, **OF_FILES}.items()
}
DY = {key: RNG.standard_normal((2, N_CLASSES)) for key in ("logits", "aux1", "aux2")}


@pytest.fixture(scope="module")
def nets() -> dict[str, Module]:
    """Return the networks whose weights torch is given."""
    return {name: build() for name, (build, _) in OF_FILES.items()}


@pytest.fixture(scope="module")
def torchvision(nets: dict[str, Module], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Array]:
    """Return torchvision's states and answers to all cases."""
    arrays: dict[str, Any] = {"thinner": THINNER, "n_classes": N_CLASSES}
    arrays |= {f"{name}/x": x for name, x in PICTURES.items()}
    arrays |= {f"trained/d{key}": dy for key, dy in DY.items()}
    for name, net in nets.items():
        arrays |= {f"{name}/state/{path}": array for path, array in net.state_dict().items()}
    return ask_torchvision(TORCHVISION + FILES, arrays, tmp_path_factory.mktemp("torchvision"))


def below(answers: dict[str, Array], prefix: str) -> dict[str, Array]:
    """Return what lies under a prefix, by the rest of its name; counters of batches are torch's own."""
    return {
        name.removeprefix(prefix): array
        for name, array in answers.items()
        if name.startswith(prefix) and not name.endswith("num_batches_tracked")
    }


def assert_close(ours: Tensor | Array, theirs: Array, what: str) -> None:
    values = ours.data if isinstance(ours, Tensor) else ours
    largest = np.abs(theirs).max()
    assert largest > 0, f"{what} is zero, which any network could give"
    np.testing.assert_allclose(values, theirs, rtol=0, atol=TOLERANCE * largest, err_msg=what)


@pytest.mark.parametrize("name", [name for name in OF_TORCHVISION if name != "googlenet"])
def test_a_state_of_torchvision_gives_its_maps_and_logits(torchvision: dict[str, Array], name: str) -> None:
    net = OF_TORCHVISION[name][0]()
    net.load_state_dict(below(torchvision, f"{name}/state/"))
    assert isinstance(net, Classifier)
    assert_close(net.features(PICTURES[name]), torchvision[f"{name}/features"], "features")
    assert_close(net(PICTURES[name]), torchvision[f"{name}/logits"], "logits")


def test_googlenet_of_torchvision_gives_its_maps_and_logits(torchvision: dict[str, Array]) -> None:
    net = OF_TORCHVISION["googlenet"][0]()
    net.load_state_dict(below(torchvision, "googlenet/state/"))
    assert isinstance(net, GoogLeNet)
    x = PICTURES["googlenet"]
    assert_close(net(x), torchvision["googlenet/logits"], "logits")
    net.transform_input = False
    mean, std = (np.array(v).reshape(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    transformed = (x * std + mean - 0.5) / 0.5
    for last in ("inception3a", "inception4e", "inception5b"):
        assert_close(net.trunk(last)(transformed), torchvision[f"googlenet/{last}"], last)


def test_googlenet_learns_as_torchvisions(torchvision: dict[str, Array]) -> None:
    """Batch statistics, the auxiliary heads, every gradient, and the running statistics afterwards."""
    net = OF_TORCHVISION["googlenet"][0]()
    net.load_state_dict(below(torchvision, "googlenet/state/"))
    assert isinstance(net, GoogLeNet)
    for _, part in net.named_modules():
        if isinstance(part, Dropout):
            part.p = 0.0
    found = dict(
        zip(("logits", "aux1", "aux2"), net.all_logits(PICTURES["googlenet"], training=True, rng=RNG), strict=True)
    )
    total = Tensor(np.zeros(()))
    for key, y in found.items():
        assert y is not None
        assert_close(y, torchvision[f"trained/{key}"], key)
        total = total + (y * DY[key]).sum()
    total.backward()
    gradients = below(torchvision, "trained/d/")
    assert set(gradients) == {name for name, _ in net.named_parameters()}
    largest = max(np.abs(gradient).max() for gradient in gradients.values())
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None
        np.testing.assert_allclose(parameter.grad, gradients[name], rtol=1e-6, atol=1e-9 * largest, err_msg=name)
    for name, buffer in net.named_buffers():
        assert_close(buffer, torchvision[f"trained/state/{name}"], name)


@pytest.mark.parametrize("name", [name for name in OF_FILES if name != "googlenet-paper"])
def test_the_networks_of_caffes_files(nets: dict[str, Module], torchvision: dict[str, Array], name: str) -> None:
    net = nets[name]
    assert isinstance(net, Classifier)
    assert_close(net.features(PICTURES[name]), torchvision[f"{name}/features"], "features")
    assert_close(net(PICTURES[name]), torchvision[f"{name}/logits"], "logits")


def test_googlenet_of_the_paper(nets: dict[str, Module], torchvision: dict[str, Array]) -> None:
    net = nets["googlenet-paper"]
    assert isinstance(net, GoogLeNet)
    for key, y in zip(("logits", "aux1", "aux2"), net.all_logits(PICTURES["googlenet-paper"]), strict=True):
        assert y is not None
        assert_close(y, torchvision[f"googlenet-paper/{key}"], key)
