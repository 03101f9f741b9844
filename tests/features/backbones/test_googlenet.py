"""GoogLeNet: the published numbers of parameters, the sides of the maps, and what a response sees."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.features.backbones.googlenet import VARIANTS, GoogLeNet, googlenet
from refdet.features.backbones.windows import windows
from refdet.features.receptive_field import alpha, beta, receptive_field_size
from tests.features.backbones.full_width import dropped, full_width_count, map_sides, parameter_count
from tests.features.backbones.sight import assert_sees_what_its_windows_say

RNG = np.random.default_rng(0)


def thin(variant: str = "paper", **options: bool) -> GoogLeNet:
    return googlenet(3, variant=variant, width=1 / 16, rng=RNG, **options)


@pytest.mark.parametrize(
    ("variant", "auxiliary", "published"),
    [("paper", False, 6_998_552), ("torchvision", True, 13_004_888)],  # Caffe's files, torchvision's documentation
)
def test_parameters(variant: str, auxiliary: bool, published: int) -> None:
    def build(width: float) -> GoogLeNet:
        return googlenet(variant=variant, auxiliary=auxiliary, width=width, rng=RNG)

    assert full_width_count(build, 8) == published


@pytest.mark.parametrize(("variant", "per_unit"), [("paper", 1), ("torchvision", 2)])
def test_parameters_of_the_auxiliary_heads(variant: str, per_unit: int) -> None:
    """By hand at a sixteenth: 32 and 33 channels into 8, 16 bins of these into 64, these into 3 classes."""
    by_hand = sum((C * 8 + per_unit * 8) + (8 * 16 + 1) * 64 + (64 + 1) * 3 for C in (32, 33))
    assert parameter_count(thin(variant)) - parameter_count(thin(variant, auxiliary=False)) == by_hand


@pytest.mark.parametrize("variant", VARIANTS)
def test_map_sides(variant: str) -> None:
    sides = map_sides(thin(variant).trunk(), 224)
    names = ("conv1", "maxpool1", "conv3", "maxpool2", "inception3b", "maxpool3", "inception4e", "maxpool4")
    assert [sides[name] for name in (*names, "inception5b")] == [112, 56, 56, 28, 28, 14, 14, 7, 7]


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        # 7, +4, +8, +8, then 32 per module, +16, 64 per module, +32, 128 per module
        ("paper", {"conv3": 19, "maxpool2": 27, "inception3b": 91, "inception4e": 427, "inception5b": 715}),
        # half as much per module, and 16 for the last pooling
        ("torchvision", {"conv3": 19, "maxpool2": 27, "inception3b": 59, "inception4e": 235, "inception5b": 379}),
    ],
)
def test_receptive_fields(variant: str, expected: dict[str, int]) -> None:
    net = thin(variant)
    assert {last: receptive_field_size(windows(net.trunk(last))) for last in expected} == expected
    assert alpha(windows(net.trunk("inception4e"))) == 16
    assert beta(windows(net.trunk("inception4e"))) == 15  # 1 + 0 + 2 + 0 + 4 + 8: three poolings of 3 pad nothing


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_response_sees_what_the_windows_say(variant: str) -> None:
    trunk = thin(variant).trunk("inception3b")
    assert_sees_what_its_windows_say(trunk, windows(trunk), size=(16, 128), i=7)


def test_the_stem_of_the_paper_normalises() -> None:
    """After pool1 and before pool2, as AlexNet with k = 1 and α' = 1e-4/5; torchvision's does not."""
    names = [[name for name, _ in thin(variant).trunk("maxpool2").parts()] for variant in VARIANTS]
    assert names == [
        ["conv1", "maxpool1", "norm1", "conv2", "conv3", "norm2", "maxpool2"],
        ["conv1", "maxpool1", "conv2", "conv3", "maxpool2"],
    ]
    x = RNG.uniform(50, 100, (1, 7, 1, 1)).astype(np.float32)
    a = x.ravel().astype(float)
    for name in ("norm1", "norm2"):
        found = dict(thin().parts())[name](x).data.ravel()
        assert found[3] == pytest.approx(a[3] / (1 + 1e-4 / 5 * (a[1:6] ** 2).sum()) ** 0.75, rel=1e-5)


def test_small_number_of_the_normalisation() -> None:
    """A channel of variance 0 is divided by √0.001."""
    unit = thin("torchvision").conv1
    assert unit.bn is not None
    C = unit.bn.running_var.shape[0]
    unit.bn.running_var = np.zeros(C, np.float32)
    x = np.ones((1, C, 1, 1), np.float32)
    np.testing.assert_allclose(unit.bn(x).data.ravel(), 0.001**-0.5, rtol=1e-6)


def test_pictures_that_are_normalised_otherwise() -> None:
    """(original − mean)/std goes in; what the weights see is (original − 0.5)/0.5."""
    net = thin("torchvision", auxiliary=False, transform_input=True)
    original = RNG.random((1, 3, 32, 32)).astype(np.float32)
    mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    given = net((original - mean) / std).data
    net.transform_input = False
    np.testing.assert_allclose(given, net((original - 0.5) / 0.5).data, rtol=1e-4, atol=1e-6)


def test_forward_leaves_the_auxiliary_heads_out() -> None:
    net = thin()
    x = RNG.standard_normal((1, 3, 64, 64)).astype(np.float32)
    logits = net(x)  # maps of 4 × 4, too small for the heads of the paper
    with pytest.raises(ValueError, match="avg_pool2d"):
        net.all_logits(x)
    net.aux1 = net.aux2 = None
    found, *absent = net.all_logits(x)
    assert absent == [None, None]
    np.testing.assert_array_equal(found.data, logits.data)


def test_the_trunk_shares_its_layers() -> None:
    net = thin(auxiliary=False)
    names = [name for name, _ in net.trunk().named_parameters()]
    assert names == [name for name, _ in net.named_parameters() if not name.startswith("fc.")]
    assert net.trunk("conv1")[0] is net.conv1


@pytest.mark.parametrize(("variant", "last"), [("paper", 0.4), ("torchvision", 0.2)])
def test_dropout(variant: str, last: float) -> None:
    assert dropped(thin(variant)) == {"aux1.dropout": 0.7, "aux2.dropout": 0.7, "dropout": last}


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="googlenet: variant must be one of 'paper', 'torchvision', got 'caffe'"):
        thin("caffe")
    with pytest.raises(TypeError, match="googlenet: auxiliary must be True or False, got 1"):
        thin(auxiliary=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="googlenet: n_classes must be at least 1, got 0"):
        googlenet(0, rng=RNG)
    with pytest.raises(ValueError, match=r"GoogLeNet\.trunk: last must be one of 'conv1', .* got 'fc'"):
        thin().trunk("fc")
