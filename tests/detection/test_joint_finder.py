"""The part of a detector that finds joints, by itself: whose layers it has, what it learns, and that it stays so."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.joint_finder import CropsOfFigures, JointFinder, joint_losses
from refdet.detection.roi_training import Regions
from refdet.detection.small_detectors import small_faster_rcnn, small_keypoint_rcnn, small_mask_rcnn
from refdet.nn import SGD
from tests.detection.tiny_detectors import CLASS_NAMES, TINY_HEAD, empty_picture, picture, tiny

SETTINGS = tiny(
    scales=(1.0,), late_boxes=True, hourglass=((5, 1), (6, 2)), head=replace(TINY_HEAD, keypoint_context=1.25)
)
AS_THEY_ARE = CropsOfFigures(stretch=0, shift=0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def detector(settings: Any = SETTINGS) -> FasterRCNN:
    return small_keypoint_rcnn(CLASS_NAMES, 2, rng=rng(), settings=settings)


def test_the_layers_are_the_detectors_own() -> None:
    net = detector()
    own = {id(p): name for name, p in net.named_parameters()}
    names = {own[id(p)] for p in JointFinder(net).parameters()}
    early = {n for n in own.values() if n.startswith("backbone.features.") and int(n.split(".")[2]) < 5}
    assert names == early | {n for n in own.values() if n.startswith("roi_heads.keypoint_")}


def test_the_loss_is_that_of_true_boxes() -> None:
    """As the detector has it, were the proposals the objects themselves."""
    net, samples = detector(), [picture(), picture("b.jpg", boxes=[[2, 2, 20, 28]], classes=[2])]
    seen, truths = net.see_known(samples)
    regions = [Regions(t.boxes, t.classes, np.arange(len(t.boxes))) for t in truths]
    expected = net.region_losses(seen, regions, truths)["keypoint"].item()
    (found,) = joint_losses(net, samples, crops=AS_THEY_ARE, rng=rng()).values()
    assert found.item() == pytest.approx(expected, rel=1e-6)
    moved = [joint_losses(net, samples, crops=CropsOfFigures(0.3, 0.2), rng=rng(s))["keypoint"].item() for s in (0, 1)]
    assert len({found.item(), *moved}) == 3
    assert joint_losses(net, [empty_picture()], crops=AS_THEY_ARE, rng=rng())["keypoint"].item() == 0


def test_objects_without_a_visible_joint_have_no_part() -> None:
    """Neither in the loss nor in the statistics of the crops' normalisation."""
    both, one = picture(), picture(boxes=[[18, 14, 30, 28]], classes=[2])
    hidden = replace(both, joints_visible=np.array([[False, False], [True, True]]))
    nets, samples = (detector(), detector()), (hidden, replace(one, image=both.image))
    losses = [
        joint_losses(n, [s], crops=AS_THEY_ARE, rng=rng())["keypoint"] for n, s in zip(nets, samples, strict=True)
    ]
    assert losses[0].item() == losses[1].item() > 0
    for name, array in nets[0].state_dict().items():
        np.testing.assert_array_equal(array, nets[1].state_dict()[name], err_msg=name)


def test_only_its_own_layers_receive_a_gradient() -> None:
    net = detector()
    joint_losses(net, [picture()], crops=CropsOfFigures(), rng=rng())["keypoint"].backward()
    own = {id(p) for p in JointFinder(net).parameters()}
    assert {id(p) for p in net.parameters() if p.grad is not None} == own


def test_what_is_frozen_stays_while_boxes_are_learned() -> None:
    """Running statistics of its normalisation, too."""
    net = detector()
    finder = JointFinder(net)
    finder.freeze()
    before, others = finder.state_dict(), net.state_dict()
    optimiser = SGD([(n, p) for n, p in net.named_parameters() if p.requires_grad], lr=0.05)
    for step in range(3):
        losses = net.losses_of_boxes([picture(), picture("b.jpg")], rng=rng(step))
        assert list(losses) == ["rpn_objectness", "rpn_box", "class", "box"]
        sum(losses.values(), start=next(iter(losses.values())) * 0).backward()
        optimiser.step()
        net.zero_grad()
    for name, array in finder.state_dict().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    changed = [n for n, array in net.state_dict().items() if not np.array_equal(array, others[n])]
    assert any(n.startswith("backbone.features.") for n in changed)
    assert any(n.startswith("rpn.") for n in changed)


@pytest.mark.parametrize("make", [small_mask_rcnn, partial(small_keypoint_rcnn, n_joints=2)])
def test_losses_of_boxes_are_those_of_all_without_the_last(make: Any) -> None:
    net = make(CLASS_NAMES, rng=rng(), settings=tiny())
    all_losses, of_boxes = (f([picture()], rng=rng(3)) for f in (net.losses, net.losses_of_boxes))
    assert len(all_losses) == len(of_boxes) + 1
    assert {n: x.item() for n, x in of_boxes.items()} == {n: all_losses[n].item() for n in of_boxes}


def test_what_has_no_joints_to_find() -> None:
    with pytest.raises(ValueError, match="JointFinder: the detector must have a head for joints, got one without"):
        JointFinder(small_faster_rcnn(CLASS_NAMES, rng=rng(), settings=SETTINGS))
    with pytest.raises(TypeError, match="JointFinder: the backbone must be an ImagePyramid, got OneMap"):
        JointFinder(detector(tiny()))
    late = detector()
    late.keypoint_maps = slice(1, None)
    with pytest.raises(ValueError, match=r"JointFinder: .* must look for joints in the early maps, got others"):
        JointFinder(late)
    line = replace(empty_picture("line.jpg"), image=np.zeros((1, 40, 3), np.uint8), masks=None)
    with pytest.raises(ValueError, match=r"^line\.jpg: 40 × 1 pixels are too few for the network: "):
        joint_losses(detector(), [line], crops=AS_THEY_ARE, rng=rng())
    with pytest.raises(ValueError, match=r"CropsOfFigures: shift must lie in .*, got -1"):
        CropsOfFigures(shift=-1)
