"""Box regression by ridge: against the sums and inverses as they are written down."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.boxes.iou import box_iou
from refdet.boxes.transform import encode_boxes
from refdet.core.check import Array
from refdet.detection.ridge_boxes import BoxRegressor, fit_box_ridge, pair_sums


def pairs(seed: int, n: int = 40, F: int = 6) -> tuple[Array, Array]:
    """Return features (n, F) and transforms (n, 4) that depend on them."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 5, (n, F))
    return x, 0.05 * x @ rng.standard_normal((F, 4)) + 0.02 * rng.standard_normal((n, 4)) + [0.1, 0, -0.2, 0.3]


def whitened(t: Array) -> tuple[Array, Array, Array]:
    """Return mean, T and the targets (t − mean) T, step by step as the released code has it."""
    mean = t.sum(axis=0) / len(t)
    centred = t - mean
    d, V = np.linalg.eig(centred.T @ centred / len(t))
    T = V @ np.diag((d + 0.001) ** -0.5) @ V.T
    return mean, T, centred @ T


@pytest.mark.parametrize("ridge", [1000.0, 0.5])
def test_normal_equations(ridge: float) -> None:
    """β = (XᵀX + λI)⁻¹XᵀY with the column of ones regularised too; t = xᵀβT⁻¹ + mean."""
    x, t = pairs(0)
    mean, T, y = whitened(t)
    X = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    beta = np.linalg.inv(X.T @ X + ridge * np.eye(7)) @ X.T @ y
    fitted = fit_box_ridge(pair_sums(x, t), ridge=ridge)
    np.testing.assert_allclose(fitted.weight, beta, rtol=0, atol=1e-9)
    np.testing.assert_allclose(fitted.unwhiten, np.linalg.inv(T), rtol=0, atol=1e-9)
    np.testing.assert_allclose(fitted.mean, mean, rtol=0, atol=1e-12)


def test_sums_add_up() -> None:
    x, t = pairs(2)
    both = pair_sums(x[:13], t[:13]).plus(pair_sums(x[13:], t[13:]))
    for one, other in zip(both, pair_sums(x, t), strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-12)


def picture() -> tuple[Array, Array, Array]:
    """Return regions, and the boxes and classes of three objects.

    IoU exactly 0.6 with object 0 (6 of 10 rows); above 0.6 with it; with object 1 above, of another class; far away.
    """
    boxes = np.array([[0.0, 0, 10, 6], [0, 0, 10, 7], [20, 0, 30, 9], [50, 50, 60, 60], [21, 0, 30, 10]])
    truths = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 45, 9]])
    return boxes, truths, np.array([1, 3, 1])


def test_which_regions_are_pairs() -> None:
    """One region for class 1, two for class 3, none that overlaps by exactly 0.6; two classes are never seen."""
    boxes, truths, classes = picture()
    assert box_iou(boxes, truths)[0, 0] == 0.6
    features = np.random.default_rng(0).uniform(1, 2, (5, 2))
    regressor = BoxRegressor(5, 2, feature_norm=1.0, dtype=np.float64)
    regressor.add(features, boxes, truths, classes)
    regressor.finish()
    np.testing.assert_allclose(regressor.mean[1], encode_boxes(boxes[[1]], truths[[0]])[0], atol=1e-12)
    np.testing.assert_allclose(regressor.mean[3], encode_boxes(boxes[[2, 4]], truths[[1, 1]]).mean(axis=0), atol=1e-12)
    for c in (0, 2, 4):
        assert not regressor.weight[c].any()
        np.testing.assert_allclose(regressor.predict(features, boxes, c), boxes, rtol=0, atol=1e-12)


def test_difficult_objects_make_no_pairs() -> None:
    boxes, truths, classes = picture()
    regressor = BoxRegressor(5, 2)
    regressor.add(np.ones((5, 2)), boxes, truths, classes, difficult=np.array([False, True, False]))
    regressor.finish()
    assert not regressor.mean[3].any()
    assert regressor.mean[1].any()


def test_the_regressor_is_the_ridge_on_scaled_features() -> None:
    """Features are scaled to a mean norm of 20 over all regions, and boxes move by what the ridge predicts."""
    rng = np.random.default_rng(3)
    truths = np.concatenate([rng.uniform(0, 50, (60, 2)), rng.uniform(60, 90, (60, 2))], axis=1)
    boxes = truths + rng.normal(0, 2, (60, 4))
    features = rng.uniform(0, 1, (60, 3))
    regressor = BoxRegressor(2, 3, ridge=10.0, dtype=np.float64)
    transforms = []
    for rows in (np.arange(20), np.arange(20, 60)):
        for r in rows.tolist():  # one object at a time: its own region alone is its pair
            regressor.add(features[[r]], boxes[[r]], truths[[r]], np.ones(1, np.int64))
        transforms.append(encode_boxes(boxes[rows], truths[rows]))
    regressor.finish()
    scale = 20 / np.linalg.norm(features, axis=1).mean()
    fitted = fit_box_ridge(pair_sums(scale * features, np.concatenate(transforms)), ridge=10.0)
    t = np.concatenate([scale * features, np.ones((60, 1))], axis=1) @ fitted.weight @ fitted.unwhiten + fitted.mean
    np.testing.assert_allclose(encode_boxes(boxes, regressor.predict(features, boxes, 1)), t, rtol=0, atol=1e-9)


def test_it_learns_where_objects_are() -> None:
    """Regions are 20 % too narrow on the left, as the feature says; moved boxes overlap their objects better."""
    rng = np.random.default_rng(4)
    truths = np.concatenate([rng.uniform(0, 50, (200, 2)), rng.uniform(60, 90, (200, 2))], axis=1)
    cut = rng.uniform(0, 0.3, 200)
    boxes = truths.copy()
    boxes[:, 0] += cut * (truths[:, 2] - truths[:, 0])
    features = np.stack([cut, 1 - cut], axis=1).astype(np.float32)
    regressor = BoxRegressor(2, 2, ridge=1.0)
    for r in range(200):
        regressor.add(features[[r]], boxes[[r]], truths[[r]], np.ones(1, np.int64))
    regressor.finish()
    moved = regressor.predict(features, boxes, 1)
    before, after = (np.diag(box_iou(b, truths)).mean() for b in (boxes, moved))
    assert before < 0.87
    assert after > 0.98


def test_nothing_to_learn_from() -> None:
    regressor = BoxRegressor(3, 2)
    regressor.add(np.zeros((0, 2)), np.zeros((0, 4)), np.zeros((0, 4)), np.zeros(0, np.int64))
    regressor.add(np.ones((1, 2)), np.array([[0.0, 0, 5, 5]]), np.zeros((0, 4)), np.zeros(0, np.int64))
    regressor.finish()
    box = np.array([[1.0, 2, 3, 8]])
    np.testing.assert_array_equal(regressor.predict(np.ones((1, 2)), box, 1), box)


def test_the_state_holds_all() -> None:
    boxes, truths, classes = picture()
    features = np.random.default_rng(0).uniform(1, 2, (5, 2))
    regressor, other = BoxRegressor(5, 2), BoxRegressor(5, 2)
    regressor.add(features, boxes, truths, classes)
    regressor.finish()
    other.load_state_dict(regressor.state_dict())
    np.testing.assert_array_equal(other.predict(features, boxes, 3), regressor.predict(features, boxes, 3))
    assert not np.allclose(other.predict(features, boxes, 3), boxes, atol=0.01)


def test_bad_input() -> None:
    regressor = BoxRegressor(3, 2)
    with pytest.raises(ValueError, match=r"BoxRegressor.add: features must have shape \(1, 2\)"):
        regressor.add(np.ones((1, 5)), np.zeros((1, 4)), np.zeros((0, 4)), np.zeros(0, np.int64))
    box = np.array([[0.0, 0, 5, 5]])
    with pytest.raises(ValueError, match=r"BoxRegressor.add: features must be finite, got NaN or an infinity"):
        regressor.add(np.array([[1, np.nan]]), box, box, np.array([1]))
    for wrong in (7, 0):
        with pytest.raises(
            ValueError, match=f"BoxRegressor.add: truth_classes must lie in 1 … 2, got {wrong} … {wrong}"
        ):
            regressor.add(np.ones((1, 2)), box, box, np.array([wrong]))
    with pytest.raises(ValueError, match=r"truth_classes must have shape \(1,\) \(one per object\)"):
        regressor.add(np.ones((1, 2)), box, box, np.array([1, 2]))
    with pytest.raises(ValueError, match="ridge must lie in"):
        fit_box_ridge(pair_sums(np.ones((1, 1)), np.zeros((1, 4))), ridge=0.0)
