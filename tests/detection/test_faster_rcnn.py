"""The two stages together: that they learn, what they refuse, and in whose pixels they answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor
from refdet.boxes.mirrored import mirrored_boxes
from refdet.boxes.transform import decode_boxes
from refdet.core.check import Array
from refdet.detection.detected import Detected, Detector
from refdet.detection.faster_rcnn import FasterRCNN, Seen
from refdet.detection.keypoint_coding import decode_keypoints
from refdet.detection.keypoint_similarity import decode_keypoints_by_similarity
from refdet.detection.late_head import LateHead
from refdet.detection.mirror_image import MirrorImage, mean_detections
from refdet.detection.multi_scale_roi_align import CropSettings
from refdet.detection.preparation import Preparation
from refdet.detection.roi_heads import BoxDetections
from refdet.detection.roi_settings import ExpectedJoints, HeadSettings
from refdet.detection.roi_training import Regions
from refdet.detection.small_detectors import SmallSettings, small_faster_rcnn, small_keypoint_rcnn, small_mask_rcnn
from refdet.masks.paste import paste_masks
from refdet.nn import SGD
from tests.detection.drawn_sizes import SIZES, assert_sizes_are_drawn
from tests.detection.tiny_detectors import CLASS_NAMES, TINY, TINY_HEAD, TINY_RPN, empty_picture, picture, tiny


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def detector(settings: SmallSettings = TINY) -> FasterRCNN:
    return small_faster_rcnn(CLASS_NAMES, rng=rng(), settings=settings)


def total(losses: Mapping[str, Tensor]) -> Tensor:
    first, *others = losses.values()
    for loss in others:
        first = first + loss
    return first


@pytest.mark.parametrize("objectness", ["sigmoid", "softmax"])
def test_learns_one_picture(objectness: str) -> None:
    net = detector(tiny(rpn=replace(TINY_RPN, objectness=objectness)))
    optimiser, losses = SGD(net.named_parameters(), lr=0.05, momentum=0.9), []
    for step in range(15):
        loss = total(net.losses([picture()], rng=rng(step)))
        net.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:3])


def test_strides_that_do_not_double() -> None:
    """The level of a region is a power of two; with stride 4 missing, some would have no map."""
    settings = replace(
        SmallSettings(), scales=(2.0, 1.0, 0.25), rpn=replace(SmallSettings().rpn, sizes=((8.0,), (16.0,), (64.0,)))
    )
    with pytest.raises(ValueError, match=r"FasterRCNN: strides of the backbone must double .*, got \(1, 2, 8\)"):
        detector(settings)


def test_every_part_receives_a_gradient() -> None:
    mask, joints, hourglass = (
        small_mask_rcnn(CLASS_NAMES, rng=rng(), settings=TINY),
        small_keypoint_rcnn(CLASS_NAMES, 2, rng=rng(), settings=TINY),
        small_keypoint_rcnn(CLASS_NAMES, 2, rng=rng(), settings=tiny(hourglass=((5, 1), (6, 2)))),
    )
    for net, name in ((mask, "mask"), (joints, "keypoint"), (hourglass, "keypoint")):
        losses = net.losses([picture(), picture("b.jpg")], rng=rng())
        assert list(losses) == ["rpn_objectness", "rpn_box", "class", "box", name]
        total(losses).backward()
        without = {n for n, p in net.named_parameters() if p.grad is None or not np.isfinite(p.grad).all()}
        assert not without
        still = [n for n, p in net.named_parameters() if p.grad is not None and not p.grad.any()]
        assert not [n for n in still if n.endswith("weight")]


@pytest.mark.parametrize("make", [small_faster_rcnn, small_mask_rcnn, partial(small_keypoint_rcnn, n_joints=2)])
def test_picture_without_objects(make: Callable[..., FasterRCNN]) -> None:
    net = make(CLASS_NAMES, rng=rng(), settings=tiny(hourglass=((5, 1), (6, 2))))
    losses = net.losses([empty_picture()], rng=rng())
    assert losses["rpn_objectness"].item() > 0.5
    assert losses["class"].item() > 0.5
    assert losses["rpn_box"].item() == losses["box"].item() == 0.0
    total(losses).backward()
    assert all(p.grad is None or np.isfinite(p.grad).all() for p in net.parameters())
    unknown = replace(empty_picture(), masks=None, joints=None, joints_visible=None)
    for batch, same in (([empty_picture()], [unknown]), ([picture(), empty_picture()], [picture(), unknown])):
        expected, given = (net.losses(samples, rng=rng()) for samples in (batch, same))
        assert {name: x.item() for name, x in given.items()} == {name: x.item() for name, x in expected.items()}


def test_pictures_that_are_too_small_are_refused_by_name() -> None:
    """Beside one that is large enough they are not: the batch is as large as the largest."""
    small = replace(empty_picture("dot.jpg"), image=np.zeros((3, 40, 3), np.uint8), masks=None)
    net = detector()
    with pytest.raises(ValueError, match=r"^dot\.jpg: 40 × 3 pixels are too few for the network: max_pool2d: "):
        net.losses([small], rng=rng())
    assert np.isfinite(total(net.losses([small, picture()], rng=rng())).item())


def test_same_generator_same_losses() -> None:
    net = detector()
    first, again, other = (net.losses([picture()], rng=rng(seed)) for seed in (1, 1, 2))
    assert [x.item() for x in first.values()] == [x.item() for x in again.values()]
    assert [x.item() for x in first.values()] != [x.item() for x in other.values()]


@pytest.mark.parametrize("losses", ["losses", "losses_of_rpn", "losses_of_heads"])
@pytest.mark.parametrize("make", [small_faster_rcnn, small_mask_rcnn, partial(small_keypoint_rcnn, n_joints=2)])
def test_sizes_of_pictures_are_drawn_first(make: Callable[..., FasterRCNN], losses: str) -> None:
    sample = replace(picture(), proposals=np.array([[4, 6, 15, 18], [0, 0, 9, 9], [17, 13, 31, 29]], np.float32))
    assert_sizes_are_drawn(
        lambda short: getattr(
            make(CLASS_NAMES, rng=rng(), settings=tiny(preparation=Preparation(short=short))), losses
        ),
        sample,
    )


def test_several_sizes_in_a_batch() -> None:
    """Their losses have a gradient and can be trained; detection has the last size."""
    net = small_mask_rcnn(CLASS_NAMES, rng=rng(), settings=tiny(preparation=Preparation(short=SIZES)))
    samples = [picture(), picture("b.jpg"), empty_picture(), picture("c.jpg")]
    seen, _ = net.see_known(samples, rng=rng())
    assert [min(size) for size in seen.prepared.sizes] == [SIZES[i] for i in rng().integers(3, size=4)]
    assert len(set(seen.prepared.sizes)) > 1
    assert seen.scales == [min(size) / 32 for size in seen.prepared.sizes]
    optimiser, losses = SGD(net.named_parameters(), lr=0.05, momentum=0.9), []
    for step in range(15):
        loss = total(net.losses(samples[:2], rng=rng(step)))
        net.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])
    last = small_mask_rcnn(CLASS_NAMES, rng=rng(), settings=tiny(preparation=Preparation(short=SIZES[-1])))
    last.load_state_dict(net.state_dict())
    found, expected = (n.detect(samples[0].image) for n in (net, last))
    assert len(found) > 0
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    np.testing.assert_array_equal(found.masks, expected.masks)


def test_bad_pictures_are_named_in_their_own_pixels() -> None:
    net = detector(tiny(preparation=Preparation(short=64, long=64)))
    sample = picture("bad.jpg", boxes=[(40, 1, 44, 9)], classes=[1])
    with pytest.raises(ValueError, match=r"bad.jpg: object 0 must lie in .* 32 × 32 .* got \[40.0, 1.0, 44.0, 9.0\]"):
        net.losses([picture(), sample], rng=rng())


def test_proposals_that_are_not_finite_stop_training_and_not_detection() -> None:
    net = detector()
    bias = net.rpn.head.bbox_pred.bias
    assert bias is not None
    bias.data = bias.data.copy()
    bias.data[0] = np.nan  # x of the smaller of the two anchors: half of 8 × 8 · 2
    with pytest.raises(FloatingPointError, match=r"a.jpg: 64 of 128 proposals are not finite"):
        net.losses([picture()], rng=rng())
    found = net.detect(picture().image)
    assert np.isfinite(found.boxes).all()
    assert np.isfinite(found.scores).all()


def certain(settings: SmallSettings, proposals: Array) -> FasterRCNN:
    """Return a detector that takes every proposal of one picture for class 1, and leaves it where it is."""
    net = detector(settings)
    predictor = net.roi_heads.box_predictor
    for layer in (predictor.cls_score, predictor.bbox_pred):
        layer.weight.data = np.zeros_like(layer.weight.data)
    predictor.cls_score.bias.data = np.array([0, 3, 0], np.float32)  # type: ignore[union-attr]
    net.rpn.proposals = lambda *args, **kwargs: [type("P", (), {"boxes": proposals})()]  # type: ignore[method-assign]
    return net


def test_boxes_come_back_by_the_ratio_of_the_sides() -> None:
    """The picture of 32 × 32 is doubled for the network, where the proposals are."""
    proposals = np.array([[8, 8, 24, 40], [50, 4, 90, 20]], np.float32)
    net = certain(tiny(preparation=Preparation(short=64, long=64)), proposals)
    found = net.detect(picture().image)
    assert found.boxes.tolist() == [[4, 4, 12, 20], [25, 2, 32, 10]]  # the second is clipped
    assert found.classes.tolist() == [1, 1]
    np.testing.assert_allclose(found.scores, np.exp(3) / (2 + np.exp(3)), rtol=1e-6)


def test_detections_in_pixels_of_the_picture() -> None:
    """py-faster-rcnn counts the last pixel: 24 … 63 becomes 12 … 31.5, and of 32 pixels the last is 31."""
    head = replace(TINY_HEAD, frame="picture", clip="legacy", transform="detectron1", coordinates=1)
    rpn, preparation = replace(TINY_RPN, coordinates=1, transform="detectron1"), Preparation(short=64, long=64)
    net = certain(tiny(head=head, rpn=rpn, preparation=preparation), np.array([[24, 0, 63, 30.0]], np.float32))
    assert net.detect(picture().image).boxes.tolist() == [[12, 0, 32, 16]]
    for changed in (replace(head, frame="batch"), replace(head, clip="continuous")):  # or it would end at 32.5 and 33
        net.roi_heads.settings = changed
        assert net.detect(picture().image).boxes.tolist() == [[12, 0, 32, 16]]


@pytest.mark.parametrize("first", [0, 1])
def test_stages_that_count_differently(first: int) -> None:
    settings = tiny(rpn=replace(TINY_RPN, coordinates=first), head=replace(TINY_HEAD, coordinates=1 - first))
    with pytest.raises(ValueError, match=f"coordinates must be the same in both stages, got {first} and {1 - first}"):
        detector(settings)


@pytest.mark.parametrize("stage", ["rpn", "head"])
def test_one_pixel_needs_a_width(stage: str) -> None:
    changed = {"rpn": TINY_RPN, "head": TINY_HEAD}
    for name, settings in changed.items():
        transform = "continuous" if name == stage else "py-faster"
        changed[name] = replace(settings, coordinates=1, transform=transform)  # type: ignore[type-var]
    with pytest.raises(
        ValueError, match="with coordinates 1 transform must be py-faster or detectron1, got continuous"
    ):
        detector(tiny(**changed))


@pytest.mark.parametrize("make", [small_mask_rcnn, partial(small_keypoint_rcnn, n_joints=2)])
def test_masks_and_joints_need_half_open_boxes(make: Callable[..., FasterRCNN]) -> None:
    settings = tiny(rpn=replace(TINY_RPN, coordinates=1), head=replace(TINY_HEAD, coordinates=1))
    with pytest.raises(ValueError, match="RoIHeads: coordinates must be 0 with a head for masks or joints, got 1"):
        make(CLASS_NAMES, rng=rng(), settings=settings)


def test_objects_without_a_mask_teach_none() -> None:
    net, sample = small_mask_rcnn(CLASS_NAMES, rng=rng(), settings=TINY), picture()

    def mask_loss(has_mask: tuple[bool, bool], indices: list[int]) -> float:
        masks = sample.masks & np.array(has_mask)[:, None, None]
        seen, truths = net.see_known([replace(sample, masks=masks)])
        regions = Regions(truths[0].boxes + np.float32(1), truths[0].classes, np.arange(2)).only(np.array(indices))
        return float(net.region_losses(seen, [regions], truths)["mask"].item())

    assert mask_loss((True, False), [0, 1]) == mask_loss((True, True), [0]) != mask_loss((True, True), [0, 1])
    assert mask_loss((False, False), [0, 1]) == 0


def test_masks_and_joints_of_detections() -> None:
    image = picture().image
    found = small_mask_rcnn(CLASS_NAMES, rng=rng(), settings=TINY).detect(image)
    assert found.masks is not None
    assert 0 < len(found) <= 5
    assert found.masks.any(axis=(1, 2)).sum() > 0
    for mask, box in zip(found.masks, found.boxes, strict=True):
        centres = np.argwhere(mask)[:, ::-1] + 0.5  # x, y
        half_a_cell = (box[2:] - box[:2]) / 16  # of 8 × 8
        assert (centres >= box[:2] - half_a_cell).all()
        assert (centres <= box[2:] + half_a_cell).all()
    found = small_keypoint_rcnn(CLASS_NAMES, 3, rng=rng(), settings=TINY).detect(image)
    assert found.joints is not None
    assert found.joints.shape == (len(found), 3, 2)
    assert (found.joints >= found.boxes[:, None, :2]).all()
    assert (found.joints <= found.boxes[:, None, 2:]).all()


@pytest.mark.parametrize("what", ["masks", "joints"])
def test_nothing_found(what: str) -> None:
    settings = tiny(head=replace(TINY_HEAD, score_threshold=0.99))
    if what == "masks":
        net = small_mask_rcnn(CLASS_NAMES, rng=rng(), settings=settings)
    else:
        net = small_keypoint_rcnn(CLASS_NAMES, 2, rng=rng(), settings=settings)
    found = net.detect(picture().image)
    assert (len(found), found.boxes.shape) == (0, (0, 4))
    array, shape = (found.masks, (0, 32, 32)) if what == "masks" else (found.joints, (0, 2, 2))
    assert array is not None
    assert array.shape == shape


def test_frozen_backbone_keeps_its_statistics() -> None:
    """With batch normalisation a forward pass of training changes buffers, unless nothing of the part learns."""
    net = detector(tiny(batch_norm=True))
    before = dict(net.backbone.named_buffers())  # type: ignore[attr-defined]
    net.backbone.freeze()  # type: ignore[attr-defined]
    net.losses([picture()], rng=rng())
    for name, value in net.backbone.named_buffers():  # type: ignore[attr-defined]
        np.testing.assert_array_equal(value, before[name])
    net.backbone.unfreeze()  # type: ignore[attr-defined]
    net.losses([picture()], rng=rng())
    assert any((value != before[n]).any() for n, value in net.backbone.named_buffers())  # type: ignore[attr-defined]


def test_second_stage_alone_needs_proposals() -> None:
    net = detector()
    with pytest.raises(ValueError, match=r"a.jpg: has no proposals"):
        net.losses_of_heads([picture()], rng=rng())
    proposals = np.array([[4, 6, 15, 18], [0, 0, 9, 9]], np.float32)
    losses = net.losses_of_heads([replace(picture(), proposals=proposals)], rng=rng())
    assert list(losses) == ["class", "box"]
    assert losses["box"].item() > 0
    assert list(net.losses_of_rpn([picture()], rng=rng())) == ["rpn_objectness", "rpn_box"]


def test_difficult_objects_need_not_be_learned() -> None:
    """Then the losses are those of a picture in which only the others are known."""
    easy = picture(boxes=[(18, 14, 30, 28)], classes=[2])
    both = replace(picture(), difficult=np.array([True, False]))
    for learned in (True, False):
        net = detector(tiny(with_difficult=learned))
        found, others = (net.losses([replace(s, image=both.image)], rng=rng()) for s in (both, easy))
        assert ([x.item() for x in found.values()] == [x.item() for x in others.values()]) == (not learned)


def test_least_side_of_proposals_follows_the_scale() -> None:
    """No proposal has a side of 40 pixels of the picture, though in a picture three times as large many do."""
    rpn = replace(TINY_RPN, min_size=40.0)
    for follows in (False, True):
        settings = tiny(preparation=Preparation(short=96), rpn=replace(rpn, min_size_follows_scale=follows))
        net = detector(settings)
        for layer in (net.rpn.head.bbox_pred,):
            assert layer.bias is not None
            layer.bias.data = np.tile(np.array([0, 0, 2, 2], np.float32), 2)  # e² as large
        seen = net.see([picture()], rng=rng())
        assert seen.scales == [3.0]
        assert bool(len(net.propose(seen)[0].boxes)) is not follows
        training = net.training_proposals(net.rpn_output(seen), seen)[0].boxes
        assert bool(len(training)) is not follows


def test_masks_and_joints_by_the_settings() -> None:
    """How masks are pasted and joints decoded; joints come back by the ratio of the sides, from boxes in the batch."""
    settings = tiny(preparation=Preparation(short=64))
    masks = small_mask_rcnn(CLASS_NAMES, rng=rng(), settings=settings)
    joints = small_keypoint_rcnn(CLASS_NAMES, 3, rng=rng(), settings=settings)
    prepared = masks.preparation.picture(picture().image)
    box = np.array([[8, 10, 31, 40]], np.float32)
    found = BoxDetections(box, np.ones(1, np.float32), np.array([2]))
    for convention in ("detectron2", "detectron1", "torchvision"):
        for net in (masks, joints):
            net.roi_heads.settings = replace(TINY_HEAD, paste=convention, decode_joints=convention)
        seen = Seen(prepared, masks.backbone.maps(Tensor(prepared.images), training=False, rng=None))
        logits = masks.roi_heads.mask_logits(masks.crops(seen.maps, [box], 4)).data
        expected = paste_masks(1 / (1 + np.exp(-logits[:, 2])), box / 2, (32, 32), convention=convention)
        np.testing.assert_array_equal(masks.masks(seen, found, box / 2), expected)
        masks.roi_heads.settings = replace(TINY_HEAD, paste=convention, mask_threshold=0.75)
        surer = paste_masks(1 / (1 + np.exp(-logits[:, 2])), box / 2, (32, 32), convention=convention, threshold=0.75)
        np.testing.assert_array_equal(masks.masks(seen, found, box / 2), surer)
        assert surer.sum() < expected.sum()
        seen = Seen(prepared, joints.backbone.maps(Tensor(prepared.images), training=False, rng=None))
        maps = joints.roi_heads.keypoint_logits(joints.crops(seen.maps, [box], 4)).data
        at, sure = decode_keypoints(maps, box, convention=convention)
        at_found, sure_found = joints.joints(seen, found)
        np.testing.assert_allclose(at_found, at / 2)
        np.testing.assert_allclose(sure_found, sure)


def test_heads_see_the_finest_maps_alone() -> None:
    """Of three maps the first two: a region as large as the picture is cropped from the second."""
    net = detector(tiny(pyramid=6, rpn=replace(TINY_RPN, sizes=((10.0,), (20.0,), (30.0,)))))
    net.roi_maps = slice(2)
    maps = [Tensor(np.full((1, 6, 32 // s, 32 // s), float(s))) for s in net.backbone.strides]
    assert net.backbone.strides == (1, 2, 4)
    boxes = np.array([[0, 0, 32, 32], [3, 3, 5, 5]], float)
    net.roi_heads.settings = replace(TINY_HEAD, crops=CropSettings(canonical_side=32.0 * 4))  # 32 pixels: stride 4
    np.testing.assert_allclose(net.crops(maps, [boxes], 1).data[:, 0, 0, 0], [2, 1])


def test_joints_are_looked_for_around_the_region() -> None:
    """Twice its sides are cropped, and the first place of a map, where nothing is likelier, is their upper left one."""
    head = replace(TINY_HEAD, keypoint_context=2.0)
    net = small_keypoint_rcnn(CLASS_NAMES, 2, rng=rng(), settings=tiny(head=head))
    prepared = net.preparation.picture(picture().image)
    seen = Seen(prepared, net.backbone.maps(Tensor(prepared.images), training=False, rng=None))
    box, twice = np.array([[8, 10, 20, 18]], np.float32), np.array([[2, 6, 26, 22]], np.float32)
    expected = net.crops(seen.maps, [twice], 4).data
    np.testing.assert_allclose(net.keypoint_crops(seen.maps, [box]).data, expected, rtol=1e-5, atol=1e-6)
    for parameter in net.roi_heads.keypoint_predictor.parameters():  # type: ignore[union-attr]
        parameter.data = np.zeros_like(parameter.data)
    joints, _ = net.joints(seen, BoxDetections(box, np.ones(1, np.float32), np.array([2])))
    np.testing.assert_allclose(joints, [[[2.5, 6.5]] * 2])


def test_joints_as_similar_as_may_be_expected() -> None:
    """Decoded from a softmax that is the mean of the picture's and of its mirror image's; scores are multiplied."""
    by = ExpectedJoints(sigmas=(0.1, 0.3), area=0.25, swapped=(1, 0))
    head = replace(TINY_HEAD, keypoint_context=1.5, expected_joints=by)
    net = small_keypoint_rcnn(CLASS_NAMES, 2, rng=rng(), settings=tiny(head=head))
    image, box = picture().image, np.array([[4, 6, 20, 18]], np.float32)
    found = BoxDetections(box, np.ones(1, np.float32), np.array([2]))
    seen, mirrored = (
        Seen(p, net.backbone.maps(Tensor(p.images), training=False, rng=None))
        for p in (net.preparation.picture(np.ascontiguousarray(x)) for x in (image, image[:, ::-1]))
    )
    maps = net.roi_heads.keypoint_logits(net.keypoint_crops(seen.maps, [box])).data
    other = net.roi_heads.keypoint_logits(net.keypoint_crops(mirrored.maps, [mirrored_boxes(box, 32)])).data
    p, q = (np.exp(x) / np.exp(x).sum(axis=(2, 3), keepdims=True) for x in (maps, other))
    mean = np.log((p + q[:, ::-1, :, ::-1]) / 2)
    twice = np.array([[0, 3, 24, 21]], np.float32)
    expected = decode_keypoints_by_similarity(mean, twice, np.array([48], np.float32), sigmas=by.sigmas)
    for ours, theirs in zip(net.joints(seen, found, MirrorImage(net, seen)), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    plain = decode_keypoints_by_similarity(maps, twice, np.array([48], np.float32), sigmas=by.sigmas)
    np.testing.assert_allclose(net.joints(seen, found)[1], plain[1], rtol=1e-5)
    assert not np.allclose(plain[1], expected[1], rtol=1e-3)
    net.roi_heads.settings = replace(head, expected_joints=replace(by, swapped=None))
    np.testing.assert_array_equal(net.joints(seen, found, MirrorImage(net, seen))[1], net.joints(seen, found)[1])


def test_joints_of_a_mirror_image_are_mirrored() -> None:
    """What is found in both, joints and scores, is the same whichever of the two is given."""
    by = ExpectedJoints(sigmas=(0.1, 0.1), swapped=(1, 0))
    net = small_keypoint_rcnn(CLASS_NAMES, 2, rng=rng(), settings=tiny(head=replace(TINY_HEAD, expected_joints=by)))
    box, answers = np.array([[4, 6, 20, 18]], np.float32), []
    for image, at in ((picture().image, box), (picture().image[:, ::-1], mirrored_boxes(box, 32))):
        prepared = net.preparation.picture(np.ascontiguousarray(image))
        seen = Seen(prepared, net.backbone.maps(Tensor(prepared.images), training=False, rng=None))
        found = BoxDetections(at, np.ones(1, np.float32), np.array([2]))
        answers.append(net.joints(seen, found, MirrorImage(net, seen)))
    (joints, scores), (mirrored, same) = answers
    np.testing.assert_allclose(mirrored[:, ::-1] * [-1, 1] + [32, 0], joints, rtol=1e-5)
    np.testing.assert_allclose(same[:, ::-1], scores, rtol=1e-5)


def test_detections_are_seen_twice() -> None:
    """Boxes, scores and masks of a padded batch are the mean of the detection's and of its mirror image's."""
    settings = tiny(preparation=Preparation(divisor=8))
    net = small_mask_rcnn(CLASS_NAMES, rng=rng(), settings=settings)
    image = picture().image[:, :28]  # 4 columns are padding, to the right, or in the mirror to the left
    prepared = net.preparation.picture(image)
    images = prepared.images_for(net)
    assert images.shape == (1, 3, 32, 32)
    seen, there = (
        Seen(prepared, net.backbone.maps(Tensor(np.ascontiguousarray(x)), training=False, rng=None))
        for x in (images, images[..., ::-1])
    )
    boxes, classes = np.array([[4, 6, 20, 18], [2, 2, 26, 30]], np.float32), np.array([2, 1])
    found = BoxDetections(boxes, np.array([0.4, 0.3], np.float32), classes)
    output = net.roi_heads.box_output(net.crops(there.maps, [mirrored_boxes(boxes, 32)], 3))
    p = np.exp(output.logits.data) / np.exp(output.logits.data).sum(axis=1, keepdims=True)
    deltas = output.deltas.data.reshape(2, 3, 4)[[0, 1], classes]
    again = mirrored_boxes(decode_boxes(mirrored_boxes(boxes, 32), deltas, weights=(10.0, 10.0, 5.0, 5.0)), 32)
    again[:, [0, 2]] = again[:, [0, 2]].clip(0, 28)
    again[:, [1, 3]] = again[:, [1, 3]].clip(0, 32)
    scores = (found.scores + p[[0, 1], classes]) / 2
    order = np.argsort(-scores)
    mirror = MirrorImage(net, seen)
    mean = mirror.mean(found)
    np.testing.assert_allclose(mean.scores, scores[order], rtol=1e-5)
    np.testing.assert_allclose(mean.boxes, ((boxes + again) / 2)[order], rtol=1e-4)
    assert mean.classes.tolist() == classes[order].tolist()

    maps = [net.roi_heads.mask_logits(net.crops(m, [b], 4)).data[[0, 1], classes]
            for m, b in ((seen.maps, boxes), (there.maps, mirrored_boxes(boxes, 32)))]  # fmt: skip
    q = (1 / (1 + np.exp(-maps[0])) + 1 / (1 + np.exp(-maps[1][..., ::-1]))) / 2
    expected = paste_masks(q, boxes, (32, 28), convention="detectron2", threshold=0.45)
    net.roi_heads.settings = replace(settings.head, mask_threshold=0.45)
    np.testing.assert_array_equal(net.masks(seen, found, boxes, mirror), expected)
    assert not np.array_equal(net.masks(seen, found, boxes), expected)


def test_a_second_look_changes_neither_how_many_nor_which_classes() -> None:
    settings = tiny(head=replace(TINY_HEAD, score_threshold=0.0, nms_threshold=0.9))
    net = small_mask_rcnn(CLASS_NAMES, rng=rng(), settings=settings)
    once = net.detect(picture().image)
    net.roi_heads.settings = replace(settings.head, mirrored=True)
    twice = net.detect(picture().image)
    assert sorted(once.classes) == sorted(twice.classes)
    assert not np.array_equal(np.sort(once.scores), np.sort(twice.scores))
    assert (np.diff(twice.scores) <= 0).all()
    net.roi_heads.settings = replace(settings.head, mirrored=True, score_threshold=1.0)
    assert len(net.detect(picture().image)) == 0
    joints = small_keypoint_rcnn(CLASS_NAMES, 14, rng=rng())
    joints.roi_heads.settings = replace(joints.roi_heads.settings, score_threshold=1.0)
    found = joints.detect(picture().image).joints
    assert found is not None
    assert found.shape == (0, 14, 2)


def test_detections_are_scored_by_their_joints() -> None:
    """Of the same boxes, each score times the mean of its joints' similarities, in a new order."""
    by = ExpectedJoints(sigmas=(0.1, 0.3))
    settings = tiny(head=replace(TINY_HEAD, score_threshold=0.0, nms_threshold=0.9))
    net = small_keypoint_rcnn(CLASS_NAMES, 2, rng=rng(), settings=settings)
    by_boxes = net.detect(picture().image)
    net.roi_heads.settings = replace(settings.head, expected_joints=by)
    found = net.detect(picture().image)
    assert len(found) == len(by_boxes) > 2
    assert found.joint_scores is not None
    assert (np.diff(found.scores) <= 0).all()
    old = [int(np.flatnonzero((by_boxes.boxes == box).all(axis=1) & (by_boxes.classes == c))[0])
           for box, c in zip(found.boxes, found.classes, strict=True)]  # fmt: skip
    assert sorted(old) == list(range(len(old)))
    np.testing.assert_allclose(found.scores, by_boxes.scores[old] * found.joint_scores.mean(axis=1), rtol=1e-6)


def test_what_is_not_finite_is_not_hidden_by_a_mean() -> None:
    """A second look that says nothing leaves the first; a joint that is nowhere counts as 0; boxes alone have none."""
    first = BoxDetections(np.array([[0, 0, 4, 4], [2, 2, 6, 6.0]]), np.array([0.5, 0.4]), np.array([1, 2]))
    second = BoxDetections(np.array([[np.nan, 0, 4, 4], [4, 2, 8, 6]]), np.array([0.9, 0.8]), np.array([1, 2]))
    mean = mean_detections(first, second)
    assert mean.boxes.tolist() == [[3, 2, 7, 6], [0, 0, 4, 4]]
    np.testing.assert_allclose(mean.scores, [0.6, 0.5])
    assert mean.classes.tolist() == [2, 1]
    half = np.array([[0.5, np.nan], [0.5, 0.25]], np.float32)
    found = Detected(first.boxes, first.scores, first.classes, joints=np.zeros((2, 2, 2)), joint_scores=half)
    np.testing.assert_allclose(found.scored_by_joints().scores, [0.15, 0.125])
    assert replace(found, joint_scores=half[:, :0]).scored_by_joints().scores.tolist() == [0.5, 0.4]
    with pytest.raises(ValueError, match="Detected: there are no joints to score by"):
        replace(found, joint_scores=None).scored_by_joints()
    by = ExpectedJoints(sigmas=(0.1, 0.1))
    net = detector(tiny(head=replace(TINY_HEAD, score_threshold=0.0, expected_joints=by)))
    assert len(net.detect(picture().image)) > 0


def test_expected_joints_that_fit_no_detector() -> None:
    for options, problem in (
        ({"sigmas": (0.1, 0.0)}, "sigmas must lie in"),
        ({"sigmas": (0.1, 0.1), "area": 1.5}, "area must lie in"),
        ({"sigmas": (0.1, 0.1), "swapped": (0, 2)}, "swapped must be an order of 0 … 1, .* that undoes itself, got"),
        ({"sigmas": (0.1,) * 3, "swapped": (1, 2, 0)}, "swapped must be an order of 0 … 2, .* that undoes itself"),
        ({"sigmas": (0.1,), "swapped": 3}, "swapped must be an order of 0 … 0, .* that undoes itself, got 3"),
    ):
        with pytest.raises(ValueError, match=f"ExpectedJoints: {problem}"):
            ExpectedJoints(**options)
    settings = tiny(head=replace(TINY_HEAD, expected_joints=ExpectedJoints(sigmas=(0.1, 0.1, 0.1))))
    with pytest.raises(ValueError, match="expected_joints must have 2 sigmas, one per joint, got 3"):
        small_keypoint_rcnn(CLASS_NAMES, 2, rng=rng(), settings=settings)
    for wrong, kind, problem in (
        ({"expected_joints": (0.1,)}, TypeError, "expected_joints must be ExpectedJoints or None"),
        ({"mirrored": "no"}, TypeError, "mirrored must be True or False"),
        ({"mirrored": True, "coordinates": 1, "transform": "py-faster"}, ValueError, "mirrored must be False unless"),
        ({"mirrored": True, "frame": "picture"}, ValueError, "mirrored must be False unless .* and frame picture"),
    ):
        with pytest.raises(kind, match=f"HeadSettings: {problem}"):
            HeadSettings(**wrong)
    assert small_keypoint_rcnn(CLASS_NAMES, 14, rng=rng()).roi_heads.settings.expected_joints is not None
    assert small_keypoint_rcnn(CLASS_NAMES, 3, rng=rng()).roi_heads.settings.expected_joints is None


@pytest.mark.parametrize("late", [False, True])
def test_maps_for_boxes_and_for_joints(late: bool) -> None:
    """Of an image pyramid, early maps for both with the rest of the network behind, or late ones for boxes."""
    blocks = ((4, 1), (6, 1), (8, 1))
    settings = tiny(blocks=blocks, scales=(1.0,), late_boxes=late, head=replace(TINY_HEAD, side=4, keypoint_side=6))
    net = small_keypoint_rcnn(CLASS_NAMES, 2, rng=rng(), settings=settings)
    assert net.backbone.strides == (2, 4)
    assert isinstance(net.roi_heads.box_head, LateHead) is not late
    maps = [Tensor(np.full((1, C, 32 // s, 32 // s), float(s))) for C, s in ((6, 2), (8, 4))]
    box = np.array([[8.0, 8, 24, 24]])
    for crops, shape, value in (
        (net.crops(maps, [box], 4), (1, 8, 4, 4) if late else (1, 6, 4, 4), 4 if late else 2),
        (net.keypoint_crops(maps, [box]), (1, 6, 6, 6), 2),
    ):
        assert crops.shape == shape
        np.testing.assert_allclose(crops.data, value)
    loss = total(net.losses([picture(), picture("b.jpg")], rng=rng()))
    loss.backward()
    assert not [n for n, p in net.named_parameters() if p.grad is None]


@pytest.mark.parametrize("make", [small_mask_rcnn, partial(small_keypoint_rcnn, n_joints=2)])
def test_in_float64(make: Callable[..., FasterRCNN]) -> None:
    """What a network says in float64 it says in float32, but for rounding."""
    double = make(CLASS_NAMES, rng=rng(), settings=TINY, dtype=np.float64)
    single = make(CLASS_NAMES, rng=rng(), settings=TINY)
    single.load_state_dict(double.state_dict())
    losses, rounded = (net.losses([picture()], rng=rng()) for net in (double, single))
    total(losses).backward()
    assert {loss.dtype for loss in losses.values()} == {np.dtype(np.float64)}
    for name, loss in losses.items():
        assert rounded[name].item() == pytest.approx(loss.item(), rel=1e-4)
    found, again = (net.detect(picture().image) for net in (double, single))
    assert found.boxes.dtype == found.scores.dtype == np.float32
    assert len(found) > 0
    np.testing.assert_allclose(again.scores, found.scores, rtol=1e-4)


def test_is_a_detector() -> None:
    assert isinstance(detector(), Detector)
