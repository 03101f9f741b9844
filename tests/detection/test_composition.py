"""What detectors share: which parts learn, and that a batch has pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.detection.composition import is_learning
from refdet.detection.detected import Detector
from refdet.detection.model_names import MODELS
from refdet.detection.object_classifier import ObjectClassifier
from refdet.detection.spp_net import SPPNet
from refdet.features.backbones.vgg import vgg_features
from refdet.nn import Linear, ReLU, Sequential
from tests.detection.coloured_squares import CLASS_NAMES

SMALL = [name for name in MODELS if name.startswith("small_") or name == "sliding_window"]
NO_PICTURE = r"^[A-Za-z.]+: a batch must have at least one picture, got none$"


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_part_learns_until_all_of_it_is_frozen() -> None:
    part = Sequential(Linear(2, 2, rng=rng()), ReLU(), Linear(2, 2, rng=rng()))
    assert is_learning(part)
    part[0].freeze()
    assert is_learning(part)
    part[2].freeze()
    assert not is_learning(part)
    assert not is_learning(ReLU())


@pytest.mark.parametrize("name", SMALL)
def test_a_batch_without_pictures_is_refused(name: str) -> None:
    settings = MODELS[name].settings()
    detector: Any = MODELS[name].build(CLASS_NAMES, rng=rng(), settings=settings)
    assert isinstance(detector, Detector)
    with pytest.raises(ValueError, match=NO_PICTURE):
        detector.losses([], rng=rng())
    if isinstance(detector, SPPNet):
        with pytest.raises(ValueError, match=NO_PICTURE):
            detector.pretraining_losses([], rng=rng())


def test_so_it_is_by_the_classifier_of_objects() -> None:
    net = ObjectClassifier(3, vgg_features([(4, 1)], rng=rng()), rng=rng())
    with pytest.raises(ValueError, match=NO_PICTURE):
        net.losses([], rng=rng())
