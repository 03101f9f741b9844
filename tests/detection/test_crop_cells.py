"""The classes of cells of crops: which pixel a cell asks, what it does not know, and that the scores are learned."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array
from refdet.detection.crop_cells import UNKNOWN, CellScores, classes_of_cells
from refdet.detection.ground_truth import GroundTruth
from refdet.detection.object_classifier import CropsOfObjects, ObjectClassifier
from refdet.detection.preparation import Preparation
from refdet.features.backbones.vgg import vgg_features
from refdet.nn import SGD, Conv2d, Sequential
from tests.detection.tiny_detectors import picture

AS_IT_IS = Preparation(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
STILL = CropsOfObjects(side=12, context=2.0, stretch=0.0, shift=0.0, background=0.0, sampling_ratio=2, cells=12)
BOXES = ((4, 6, 16, 18), (18, 14, 30, 26))  # two pixels a cell, and the edges of both between two cells


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def classifier(crops: CropsOfObjects = STILL, dtype: type = np.float32) -> ObjectClassifier:
    features = vgg_features([(4, 1), (6, 1), (8, 1)], rng=rng(), dtype=dtype)
    return ObjectClassifier(3, features, crops=crops, preparation=AS_IT_IS, rng=rng(), dtype=dtype)


def truth_of(masks: Array, classes: Any) -> GroundTruth:
    boxes = np.zeros((len(masks), 4), np.float32)
    return GroundTruth(boxes, np.array(classes), masks, None, None)


def cell_by_cell(boxes: Array, truth: GroundTruth, size: tuple[int, int], n: int) -> list[Any]:
    """Ask every pixel in turn, in Python's numbers."""
    assert truth.masks is not None
    found = []
    for x1, y1, x2, y2 in boxes.tolist():
        rows = []
        for i in range(n):
            row = []
            for j in range(n):
                y, x = math.floor(y1 + (y2 - y1) * (i + 0.5) / n), math.floor(x1 + (x2 - x1) * (j + 0.5) / n)
                if not (0 <= y < size[0] and 0 <= x < size[1]):
                    row.append(-1)
                    continue
                there = [c for mask, c in zip(truth.masks, truth.classes.tolist(), strict=True) if mask[y, x]]
                row.append(there[-1] if there else 0)
            rows.append(row)
        found.append(rows)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_cells_ask_the_pixel_that_their_centre_lies_in(seed: int) -> None:
    random = rng(seed)
    masks = random.random((3, 9, 13)) < 0.4  # they overlap: the last one counts
    truth = truth_of(masks, [2, 1, 3])
    corners = random.uniform(-6, 12, (20, 2, 2))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1) + 0.5], axis=1)
    assert classes_of_cells(boxes, truth, (9, 13), 5).tolist() == cell_by_cell(boxes, truth, (9, 13), 5)


def test_the_pixel_of_a_centre_between_two() -> None:
    """A crop of 0.5 … 2.5 with two cells: centres at 1 and 2, which are the left edges of pixels 1 and 2."""
    masks = np.array([[[False, True, False, False]], [[False, False, True, False]]])
    found = classes_of_cells(np.array([[0.5, 0.0, 2.5, 1.0]]), truth_of(masks, [5, 6]), (1, 4), 2)
    assert found[0, 0].tolist() == [5, 6]


def test_what_is_not_known() -> None:
    """No masks, or one without pixels: no cell of the picture has a class. A picture without objects is background."""
    box = np.array([[0.0, 0.0, 4.0, 4.0]])
    one = np.ones((1, 4, 4), bool)
    unknown = GroundTruth(box.astype(np.float32), np.array([1]), None, None, None)
    assert (classes_of_cells(box, unknown, (4, 4), 2) == UNKNOWN).all()
    empty = np.concatenate([one, np.zeros((1, 4, 4), bool)])
    assert (classes_of_cells(box, truth_of(empty, [1, 2]), (4, 4), 2) == UNKNOWN).all()
    assert (classes_of_cells(box, truth_of(one[:0], []), (4, 4), 2) == 0).all()
    assert classes_of_cells(np.zeros((0, 4)), truth_of(one, [1]), (4, 4), 2).shape == (0, 2, 2)


def test_cells_are_turned_with_their_crop() -> None:
    """A bright and a dark object, 240 and 20, on grey, 0 outside the picture: what a crop shows says its cells."""
    turns = set()
    for seed in range(40):
        images, classes, cells = classifier().cut_out([picture(boxes=BOXES)], rng=rng(seed))
        assert classes.tolist() == [1, 2]
        grey = images[:, 0]
        expected = np.select([grey == 240, grey == 20, grey == 0], [1, 2, UNKNOWN], 0)
        np.testing.assert_array_equal(cells, expected)
        assert set(np.unique(cells)) == {UNKNOWN, 0, 1, 2}
        turns.add(cells[0].tobytes())
    assert len(turns) == 8


def test_background_is_seen_with_as_much_around_it() -> None:
    """A piece where the first object is: the same crop, as all crops of a picture are turned alike."""
    net = classifier(dataclasses.replace(STILL, background=1.0))
    net._beside = lambda *_: np.array(BOXES[:1], np.float32)  # type: ignore[method-assign]
    images, classes, cells = net.cut_out([picture(boxes=BOXES)], rng=rng())
    assert classes.tolist() == [1, 2, 0]
    np.testing.assert_array_equal(images[2], images[0])
    np.testing.assert_array_equal(cells[2], cells[0])


def test_scores_are_linear_in_both_maps() -> None:
    """Each place of a map has a block of cells of its own: 2 × 2 of the larger map's, 4 × 4 of the smaller one's."""
    net = CellScores(vgg_features([(4, 1), (6, 1), (8, 1)], rng=rng())[:-1], 12, 12, 3, rng=rng(), dtype=np.float64)
    before, last = rng(1).standard_normal((2, 6, 6, 6)), rng(2).standard_normal((2, 8, 3, 3))
    scores = net.scores(Tensor(before), Tensor(last), training=False, rng=None).data
    assert scores.shape == (2, 3, 12, 12)
    early, late = (np.asarray(layer.weight.data) for layer in (net.early, net.late))
    for r, k, i, j in np.ndindex(2, 3, 12, 12):
        expected = (
            before[r, :, i // 2, j // 2] @ early[:, k, i % 2, j % 2]
            + last[r, :, i // 4, j // 4] @ late[:, k, i % 4, j % 4]
        )
        assert scores[r, k, i, j] == pytest.approx(expected)


def test_scores_that_are_refused() -> None:
    with pytest.raises(ValueError, match="CellScores: features must have a pooling, got none"):
        CellScores(Sequential(Conv2d(3, 4, 3, padding=1, rng=rng())), 8, 8, 3, rng=rng(), dtype=np.float32)
    with pytest.raises(ValueError, match="cells must be a multiple of the sides of the last two maps, 6 and 3, got 8"):
        classifier(dataclasses.replace(STILL, cells=8))
    with pytest.raises(ValueError, match="CropsOfObjects: cells must be at least 0, got -1"):
        CropsOfObjects(cells=-1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loss_is_the_weighted_mean_over_known_cells(dtype: type) -> None:
    net = classifier(dataclasses.replace(STILL, cells_weight=2.0), dtype)
    samples = [picture(boxes=BOXES)]
    images, _, cells = net.cut_out(samples, rng=rng())
    assert net.cell_scores is not None
    maps = net.maps(Tensor(images), training=True, rng=None)
    scores = net.cell_scores.scores(*maps, training=True, rng=None).data.astype(float)
    costs = [
        math.log(np.exp(scores[r, :, i, j]).sum()) - scores[r, c, i, j]
        for (r, i, j), c in np.ndenumerate(cells)
        if c != UNKNOWN
    ]
    loss = net.losses(samples, rng=rng())["cells"]
    assert loss.dtype == dtype
    assert float(loss) == pytest.approx(2.0 * np.mean(costs), rel=1e-5)


def test_pictures_without_masks_have_no_cells_to_learn() -> None:
    net, bare = classifier(), dataclasses.replace(picture(boxes=BOXES), masks=None)
    loss = net.losses([bare], rng=rng())["cells"]
    assert float(loss) == 0.0
    loss.backward()
    assert not any(np.any(p.grad) for p in net.parameters() if p.grad is not None)


def test_the_network_learns_from_its_cells() -> None:
    """From their loss alone, its convolutions too."""
    net, samples = classifier(), [picture(boxes=BOXES)]
    optimiser, losses, before = SGD(net.named_parameters(), lr=1e-4, momentum=0.9), [], net.features.state_dict()
    for _ in range(40):
        loss = net.losses(samples, rng=rng(0))["cells"]
        net.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss))
    assert losses[-1] < 0.5 * losses[0]
    assert all(not np.array_equal(array, before[name]) for name, array in net.features.state_dict().items())
