"""The stage before a detector's own: trained, taken over, gone on with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.object_classifier import CropsOfObjects
from refdet.detection.small_detectors import small_faster_rcnn
from refdet.training.objects_first import FOLDER, crops_for, learn_objects_first
from refdet.training.progress import Progress
from refdet.training.recipes import CLASSIFIER, SMALL, DetectorRecipe
from tests.detection.test_late_head import settings
from tests.detection.tiny_detectors import CLASS_NAMES, picture, tiny

RECIPE = replace(CLASSIFIER, steps=6, batch_size=2, warm_up=2)


def detector() -> FasterRCNN:
    return small_faster_rcnn(CLASS_NAMES, rng=np.random.default_rng(0), settings=settings())


def test_the_detector_has_what_the_classifier_learned() -> None:
    net, untouched = detector(), detector().state_dict()
    classifier = learn_objects_first(net, [picture()], RECIPE, seed=0, progress=Progress())
    for name, array in classifier.features.state_dict().items():
        np.testing.assert_array_equal(net.backbone.features.state_dict()[name], array)  # type: ignore[attr-defined]
    assert (net.state_dict()["backbone.features.0.weight"] != untouched["backbone.features.0.weight"]).any()
    np.testing.assert_array_equal(net.state_dict()["rpn.head.conv.0.0.weight"], untouched["rpn.head.conv.0.0.weight"])
    bias = net.state_dict()["roi_heads.box_predictor.cls_score.bias"]
    np.testing.assert_array_equal(bias, classifier.state_dict()["cls_score.bias"])


def test_crops_are_as_large_as_regions_are_seen() -> None:
    """8 × 8 bins of an early map of stride 1; the small detectors' 12 × 12 of stride 2; else what is usual."""
    assert crops_for(detector()).side == 8
    small = crops_for(small_faster_rcnn(CLASS_NAMES, rng=np.random.default_rng(0)))
    assert small == CropsOfObjects(side=24, context=4 / 3, cells=12)
    assert crops_for(small_faster_rcnn(CLASS_NAMES, rng=np.random.default_rng(0), settings=tiny())) == CropsOfObjects()


def test_other_heads_begin_anew() -> None:
    net = small_faster_rcnn(CLASS_NAMES, rng=np.random.default_rng(0), settings=tiny())
    before = net.state_dict()
    learn_objects_first(net, [picture()], RECIPE, seed=0, progress=Progress())
    changed = {name for name, array in net.state_dict().items() if not np.array_equal(array, before[name])}
    assert changed
    assert all(name.startswith("backbone.features.") for name in changed)


def test_what_is_finished_is_not_done_again(tmp_path: Path) -> None:
    """A second call reads the folder: the same bits, and no step is made."""
    first, second = detector(), detector()
    learn_objects_first(first, [picture()], RECIPE, seed=0, folder=tmp_path, progress=Progress())
    assert (tmp_path / FOLDER).is_dir()

    class NoStep(Progress):
        def on_step(self, line: object) -> None:
            raise AssertionError("a step was made again")

    learn_objects_first(second, [picture()], RECIPE, seed=0, folder=tmp_path, progress=NoStep())
    for name, array in second.state_dict().items():
        np.testing.assert_array_equal(array, first.state_dict()[name], err_msg=name)


def test_recipes_in_other_lengths() -> None:
    shorter = SMALL.in_steps(SMALL.steps // 5)
    assert shorter.steps == SMALL.steps // 5
    assert shorter.begins_with is not None
    assert shorter.begins_with.steps == CLASSIFIER.steps // 5
    tiny = SMALL.in_steps(1).begins_with
    assert tiny is not None
    assert tiny.steps >= 1
    assert DetectorRecipe(steps=10, batch_size=1, lr=1.0).in_steps(3) == DetectorRecipe(steps=3, batch_size=1, lr=1.0)


def test_a_rate_that_falls_to_zero() -> None:
    rate = DetectorRecipe(steps=10, batch_size=1, lr=2.0, warm_up=2, to_zero=True).schedule()
    assert [rate(step) for step in (0, 1, 2, 5, 9, 10)] == pytest.approx([0, 0.9, 1.6, 1.0, 0.2, 0.0])
