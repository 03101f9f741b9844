"""Joints in turned pictures: places by complex numbers, right angles exactly, and the mean of all views."""

from __future__ import annotations

import cmath
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array
from refdet.data.affine_map import AboutMiddle, rotation
from refdet.detection.faster_rcnn import FasterRCNN, Seen
from refdet.detection.keypoint_similarity import decode_keypoints_by_similarity
from refdet.detection.mirror_image import MirrorImage
from refdet.detection.roi_heads import BoxDetections
from refdet.detection.roi_settings import ExpectedJoints
from refdet.detection.small_detectors import small_keypoint_rcnn
from refdet.detection.turned_views import around_moved_centres, keypoint_logits_in_views, turned_back
from tests.detection.tiny_detectors import CLASS_NAMES, TINY_HEAD, picture, tiny

BOXES = np.array([[4, 6, 20, 18], [10.5, 3, 15, 30]], np.float32)
SQUARE = np.array([[4, 10, 16, 22]], np.float32)


def detector(dtype: Any = np.float32, **joints: Any) -> FasterRCNN:
    by = ExpectedJoints(sigmas=(0.1, 0.3), **joints)
    settings = tiny(head=replace(TINY_HEAD, keypoint_context=1.5, expected_joints=by))
    return small_keypoint_rcnn(CLASS_NAMES, 2, rng=np.random.default_rng(0), settings=settings, dtype=dtype)


def look(net: FasterRCNN, image: Array) -> Seen:
    prepared = net.preparation.picture(np.ascontiguousarray(image))
    return Seen(prepared, net.backbone.maps(Tensor(prepared.images_for(net)), training=False, rng=None))


def probabilities(net: FasterRCNN, image: Array, boxes: Array) -> Array:
    """Return what the detector says of a picture alone."""
    logits = net.roi_heads.keypoint_logits(net.keypoint_crops(look(net, image).maps, [boxes])).data
    exponentials = np.exp(logits - logits.max(axis=(2, 3), keepdims=True))
    p: Array = exponentials / exponentials.sum(axis=(2, 3), keepdims=True)
    return p


def in_views(net: FasterRCNN, image: Array, boxes: Array, *turned: float) -> Array:
    seen = look(net, image)
    return keypoint_logits_in_views(net, seen.prepared.images_for(net), seen.maps, boxes, turned=turned)


@pytest.mark.parametrize("degrees", [12.0, -35.0, 160.0])
def test_places_are_turned_about_the_middle_of_their_box(degrees: float) -> None:
    """A map that is linear in x and y of the picture is so at the places that it comes back to, away from the border.

    So the value at a place is that of the turned place, which complex numbers know.
    """
    m, turn = 16, cmath.exp(1j * math.radians(degrees))
    for box in BOXES:
        c, width, height = complex(box[0] + box[2], box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]
        places = [[complex(box[0] + (j + 0.5) * width / m, box[1] + (i + 0.5) * height / m) for j in range(m)]
                  for i in range(m)]  # fmt: skip
        q = np.array(places)
        found = turned_back(np.stack([100 + q.real, 100 + q.imag])[None], box[None], degrees)[0]
        n_inside = n_outside = 0
        for i, j in np.ndindex(m, m):
            there = c + (places[i][j] - c) * turn
            across, down = abs(there.real - c.real) / width, abs(there.imag - c.imag) / height
            if max(across, down) <= 0.5 - 0.51 / m:
                np.testing.assert_allclose(found[:, i, j], [100 + there.real, 100 + there.imag], rtol=1e-5)
                n_inside += 1
            elif max(across, down) > 0.5001:
                assert (found[:, i, j] == 0).all()
                n_outside += 1
        assert n_inside > 20
        assert n_outside > 20


def test_nothing_is_turned() -> None:
    net = detector()
    seen = look(net, picture().image)
    plain = net.roi_heads.keypoint_logits(net.keypoint_crops(seen.maps, [BOXES])).data
    np.testing.assert_array_equal(in_views(net, picture().image, BOXES), plain)
    none = in_views(net, picture().image, BOXES[:0], 10.0)
    assert none.shape == (0, *plain.shape[1:])


def test_turned_by_nothing_it_says_the_same() -> None:
    net = detector()
    np.testing.assert_allclose(
        np.exp(in_views(net, picture().image, BOXES, 0.0, 360.0)),
        probabilities(net, picture().image, BOXES),
        rtol=1e-3,
        atol=1e-6,
    )


@pytest.mark.parametrize(("degrees", "times"), [(90.0, -1), (180.0, 2), (-90.0, 1)])
def test_right_angles(degrees: float, times: int) -> None:
    """The mean of what is said of a square box, and of the box in the picture of np.rot90, turned back by it."""
    net, image = detector(), picture().image
    middle = complex(16, 16)
    c = middle + (complex(10, 16) - middle) * cmath.exp(1j * math.radians(degrees))
    there = np.array([[c.real - 6, c.imag - 6, c.real + 6, c.imag + 6]], np.float32)
    turned = probabilities(net, np.rot90(image, times), there)
    expected = (probabilities(net, image, SQUARE) + np.rot90(turned, -times, axes=(2, 3))) / 2
    found = np.exp(in_views(net, image, SQUARE, degrees))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)
    assert not np.allclose(found, probabilities(net, image, SQUARE), rtol=1e-2)


def test_boxes_keep_their_size() -> None:
    by = AboutMiddle(rotation(90.0), (32, 48))
    moved = around_moved_centres(np.array([[0, 0, 4, 2]], np.float32), by)
    np.testing.assert_allclose(moved, [[24 + 15 - 2, 16 - 22 - 1, 24 + 15 + 2, 16 - 22 + 1]], atol=1e-5)


def test_the_mean_of_all_views_and_of_theirs_in_a_mirror() -> None:
    net = detector(area=0.25, swapped=(1, 0), turned=(15.0, -10.0), finer=3)
    image, mirrored = picture().image, picture().image[:, ::-1]
    there = np.array([[12, 6, 28, 18]], np.float32)
    p = np.exp(in_views(net, image, BOXES[:1], 15.0, -10.0))
    q = np.exp(in_views(net, mirrored, there, 15.0, -10.0))[:, ::-1, :, ::-1]
    p, q = (x / x.sum(axis=(2, 3), keepdims=True) for x in (p, q))
    grown, area = np.array([[0, 3, 24, 21]], np.float32), np.array([48], np.float32)
    expected = decode_keypoints_by_similarity(np.log((p + q) / 2), grown, area, sigmas=(0.1, 0.3), finer=3)
    seen = look(net, image)
    found = BoxDetections(BOXES[:1], np.ones(1, np.float32), np.array([2]))
    for ours, theirs in zip(net.joints(seen, found, MirrorImage(net, seen)), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_a_place_that_is_certain_may_be_turned_out_of_its_box() -> None:
    """What one view alone has not seen is not lost: the others still say where it is."""
    p = np.zeros((1, 1, 8, 8), np.float32)
    p[0, 0, 0, 0] = 1
    assert turned_back(p, SQUARE, 45.0).sum() < 0.5


def test_in_float64() -> None:
    with np.errstate(all="raise", under="ignore", divide="ignore"):
        found = in_views(detector(np.float64), picture().image, BOXES, 10.0)
    assert found.dtype == np.float64
    np.testing.assert_allclose(np.exp(found), np.exp(in_views(detector(), picture().image, BOXES, 10.0)), atol=1e-3)


def test_settings_that_are_refused() -> None:
    for options, problem in (
        ({"turned": (10.0, 181)}, r"turned must lie in \[-180, 180\], got 181"),
        ({"turned": 10.0}, "turned must be a sequence, got 10.0"),
        ({"finer": 2}, "finer must be odd"),
    ):
        with pytest.raises((TypeError, ValueError), match=f"ExpectedJoints: {problem}"):
            ExpectedJoints((0.1,), **options)
