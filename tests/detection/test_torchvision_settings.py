"""What of torchvision's detectors is a number: here the stages of the backbone that are not trained."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.detection.torchvision_detectors import TorchvisionSettings, fasterrcnn_resnet50_fpn


@pytest.mark.parametrize("n_frozen", range(6))
def test_frozen_stages(n_frozen: int) -> None:
    """Of the ResNet alone, from its first convolution on; all else learns."""
    settings = TorchvisionSettings(width=1 / 32, n_frozen=n_frozen)
    net = fasterrcnn_resnet50_fpn(("background", "a"), rng=np.random.default_rng(0), settings=settings)
    stages = ("conv1", "layer1", "layer2", "layer3", "layer4")[:n_frozen]
    frozen = tuple(f"backbone.body.{stage}." for stage in stages)
    for name, parameter in net.named_parameters():
        assert parameter.requires_grad != name.startswith(frozen), name


def test_two_are_frozen_by_default() -> None:
    assert TorchvisionSettings().n_frozen == 2


@pytest.mark.parametrize(("n_frozen", "problem"), [(-1, "must be at least 0, got -1"), (6, "must be at most 5, got 6")])
def test_what_is_refused(n_frozen: int, problem: str) -> None:
    with pytest.raises(ValueError, match=f"TorchvisionSettings: n_frozen {problem}"):
        TorchvisionSettings(n_frozen=n_frozen)
