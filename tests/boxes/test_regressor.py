"""fold_normalization and select_class: what they are for, by hand, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from refdet.boxes.regressor import fold_normalization, select_class
from refdet.boxes.transform import decode_boxes
from tests.agreement import seeds


def test_fold_by_hand() -> None:
    """W' = diag(std) W, b' = std · b + mean, for one class and one feature."""
    weight, bias = np.array([[1.0], [2], [3], [4]]), np.array([1.0, 1, 1, 1])
    mean, std = np.array([0.0, 5, 0, 5]), np.array([1.0, 2, 4, 8])
    folded_weight, folded_bias = fold_normalization(weight, bias, mean=mean, std=std)
    np.testing.assert_array_equal(folded_weight, [[1], [4], [12], [32]])
    np.testing.assert_array_equal(folded_bias, [1, 7, 4, 13])
    np.testing.assert_array_equal(weight, [[1], [2], [3], [4]])  # the layer in training goes on as it was


@given(seed=seeds)
def test_the_saved_network_finds_the_same_boxes(seed: int) -> None:
    """Fast R-CNN: decode(W f + b) with mean and std is decode(W' f + b') without."""
    rng = np.random.default_rng(seed)
    features, weight, bias = rng.standard_normal((5, 3)), rng.standard_normal((4, 3)), rng.standard_normal(4)
    mean, std = rng.standard_normal(4), rng.uniform(0.1, 0.5, 4)
    proposals = np.tile([0.0, 0, 10, 20], (5, 1))
    in_training = decode_boxes(proposals, features @ weight.T + bias, mean=mean, std=std)
    folded_weight, folded_bias = fold_normalization(weight, bias, mean=mean, std=std)
    saved = decode_boxes(proposals, features @ folded_weight.T + folded_bias)
    np.testing.assert_allclose(saved, in_training, rtol=1e-10, atol=1e-10)


def test_each_class_has_its_own_mean_and_std() -> None:
    one, two = np.full(4, 1.0), np.full(4, 2.0)
    _, bias = fold_normalization(
        np.zeros((8, 1)), np.ones(8), mean=np.concatenate([one, two]), std=np.concatenate([two, one])
    )
    np.testing.assert_array_equal(bias, [3] * 8)


def test_select_by_hand() -> None:
    """Rows of three classes, of which they have the first, the last and the second."""
    values = np.arange(36.0).reshape(3, 12)
    selected = select_class(values, np.array([0, 2, 1]))
    np.testing.assert_array_equal(selected, [[0, 1, 2, 3], [20, 21, 22, 23], [28, 29, 30, 31]])
    assert not np.shares_memory(selected, values)


def test_select_keeps_the_dtype_in_the_byte_order_of_the_machine() -> None:
    values = np.arange(8.0).reshape(1, 8).astype(">f4")
    assert select_class(values, np.array([1], np.uint8)).dtype == np.dtype("=f4")


def test_without_rows() -> None:
    assert select_class(np.zeros((0, 8)), np.zeros(0, int)).shape == (0, 4)


FOUR = np.ones(4)


@pytest.mark.parametrize(
    ("weight", "bias", "std", "error", "message"),
    [
        (FOUR, FOUR, FOUR, ValueError, r"fold_normalization: weight must have rank 2 \(4K, F\), got rank 1"),
        (
            np.ones((4, 2)),
            np.ones(8),
            FOUR,
            ValueError,
            r"bias must have shape \(4,\) \(one number per row of weight\)",
        ),
        (np.ones((8, 2)), np.ones(8), FOUR, ValueError, r"mean must have shape \(8,\)"),
        (np.ones((6, 2)), np.ones(6), np.ones(6), ValueError, "weight must have four rows per class, got 6 rows"),
        (np.ones((4, 2)), FOUR, FOUR.astype("f4"), TypeError, "weight is float64 but std is float32"),
        (np.ones((4, 2)), FOUR, (1, 1, 1, 1), TypeError, "std must be an array, got tuple"),
    ],
)
def test_bad_input_to_fold(weight: Any, bias: Any, std: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fold_normalization(weight, bias, mean=FOUR, std=std)


@pytest.mark.parametrize(
    ("values", "classes", "error", "message"),
    [
        (np.ones((1, 6)), [0], ValueError, "select_class: values must have four columns per class, got 6 columns"),
        (np.ones(8), [0], ValueError, r"values must have rank 2 \(R, 4K\), got rank 1"),
        (
            np.ones((2, 8)),
            [0],
            ValueError,
            r"classes must have shape \(2,\) \(one class per row of values\), got \(1,\)",
        ),
        (np.ones((2, 8)), [0, 2], ValueError, "classes must be at least 0 and below 2, .*, got 2 for row 1"),
        (np.ones((2, 8)), [-1, 0], ValueError, "classes must be at least 0 and below 2, .*, got -1 for row 0"),
        (np.ones((1, 8)), [1.0], TypeError, "classes must be an integer array, got float64"),
        (np.ones((1, 8), int), [1], TypeError, "values must be float32 or float64, got int64"),
    ],
)
def test_bad_input_to_select(values: Any, classes: list[Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        select_class(values, np.array(classes))
