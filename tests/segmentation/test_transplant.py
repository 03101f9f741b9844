"""Transplants: a fully connected layer that becomes a convolution says the same; names that do not fit are told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from refdet import nn
from refdet.segmentation.fcn import FCN
from refdet.segmentation.transplant import transplant
from refdet.segmentation.vgg import VGGClassifier, VGGPlan
from tests.segmentation.nets import SMALL, picture

SIDE = SMALL.stride * SMALL.fc_kernel  # the classifier's images


def classifier(n_classes: int = 5, plan: VGGPlan = SMALL) -> VGGClassifier:
    return VGGClassifier(n_classes, plan=plan, rng=np.random.default_rng(3), dtype=np.float64)


def fcn(plan: VGGPlan = SMALL) -> FCN:
    return FCN(3, variant="8s", plan=plan, rng=np.random.default_rng(4), dtype=np.float64)


def test_the_classifier_goes_over_into_the_fcn() -> None:
    result, source = fcn(), classifier()
    names = transplant(result, source)
    assert names.copied == tuple(n for n, _ in source.named_parameters() if not n.startswith("fc8"))
    assert names.kept == ("score_fr.weight", "score_fr.bias", "upscore.x8.weight")
    assert names.left_out == ("fc8.weight", "fc8.bias")
    np.testing.assert_array_equal(result.head[0].weight.data.ravel(), source.head[1].weight.data.ravel())  # type: ignore[attr-defined]


def test_on_the_native_size_the_convolutions_are_the_layers() -> None:
    result, source = fcn(), classifier()
    transplant(result, source)
    features = source.backbone(picture(SIDE, SIDE))
    np.testing.assert_allclose(result.head(features).data[:, :, 0, 0], source.head(features).data, rtol=1e-12)


def test_on_a_larger_map_they_are_the_layers_of_each_window() -> None:
    result, source = fcn(), classifier()
    transplant(result, source)
    features = source.backbone(picture(SIDE + 16, SIDE + 8)).data  # 6 × 5 pixels
    slid = result.head(features).data
    assert slid.shape[2:] == (3, 2)
    for i in range(3):
        for j in range(2):
            window = features[:, :, i : i + 4, j : j + 4]
            np.testing.assert_allclose(slid[:, :, i, j], source.head(window).data, rtol=1e-12)


def test_the_score_layer_too_where_the_classes_are_the_same() -> None:
    """With fc8's weights as the score layer, the network's coarse scores are the classifier's logits."""
    result, source = fcn(replace(SMALL, padding=13)), classifier(n_classes=3)
    transplant(result, source)
    result.score_fr.weight.data = source.fc8.weight.data[:, :, None, None]
    features = source.backbone(picture(SIDE, SIDE))
    scores = result.score_fr(result.head(features)).data
    np.testing.assert_allclose(scores[:, :, 0, 0], source(picture(SIDE, SIDE)).data, rtol=1e-12)


def test_copies_are_copies() -> None:
    result, source = fcn(), classifier()
    transplant(result, source)
    before = source.head[1].weight.data.copy()  # type: ignore[attr-defined]
    result.head[0].weight.data[...] = 0  # type: ignore[attr-defined]
    np.testing.assert_array_equal(source.head[1].weight.data, before)  # type: ignore[attr-defined]


def test_the_targets_dtype_stays() -> None:
    target = nn.Sequential(score=nn.Linear(4, 2, rng=np.random.default_rng(0)))
    transplant(target, nn.Sequential(score=nn.Linear(4, 2, rng=np.random.default_rng(1), dtype=np.float64)))
    assert {p.dtype for p in target.parameters()} == {np.dtype(np.float32)}


def test_what_does_not_fit_is_told_and_nothing_is_changed() -> None:
    target, source = fcn(), classifier(plan=replace(SMALL, fc_kernel=5, fc_channels=7))
    before = target.state_dict()
    with pytest.raises(ValueError, match="transplant: these parameters of VGGClassifier do not fit: ") as error:
        transplant(target, source)
    assert "head.fc6.weight (7, 125) → (6, 5, 4, 4); head.fc6.bias (7,) → (6,)" in str(error.value)
    for name, value in target.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_a_convolution_has_the_outputs_of_the_layer() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"a.weight \(2, 6\) → \(3, 1, 2, 2\)"):
        transplant(nn.Sequential(a=nn.Conv2d(1, 3, 2, rng=rng)), nn.Sequential(a=nn.Linear(6, 2, rng=rng, bias=False)))


def test_what_is_no_module() -> None:
    with pytest.raises(TypeError, match="transplant: target must be a Module, got dict"):
        transplant({}, fcn())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="transplant: source must be a Module, got NoneType"):
        transplant(fcn(), None)  # type: ignore[arg-type]


def test_the_classifier_is_for_images_of_one_size() -> None:
    with pytest.raises(
        ValueError, match=r"VGGClassifier: images must leave 4 × 4 pixels .* got 5 × 4 of an image of 3"
    ):
        classifier()(picture(SIDE + 1, SIDE))
    with pytest.raises(TypeError, match="VGGClassifier: plan must be a VGGPlan, got int"):
        VGGClassifier(2, plan=16, rng=np.random.default_rng(0))  # type: ignore[arg-type]


def test_one_shape_is_not_turned_into_another_of_the_same_rank() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"a.weight \(1, 4, 1, 1\) → \(1, 1, 2, 2\)"):
        transplant(nn.Sequential(a=nn.Conv2d(1, 1, 2, rng=rng)), nn.Sequential(a=nn.Conv2d(4, 1, 1, rng=rng)))
