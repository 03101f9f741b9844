"""The output of a box regressor with one transform per class, and its last layer after training.

Layout: rows of 4K numbers, (x, y, w, h) of class 0, then of class 1, and so on, in the order of the class scores.

Fast R-CNN (Girshick, 2015) trains the layer δ = W f + b on targets (t − mean)/std. When it saves the network it folds
mean and std into the layer, so that the saved one predicts t itself:

    W' = diag(std) W        b' = std · b + mean
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array, check_floating, check_integer, check_rank, check_shape, shape_of


def fold_normalization(weight: Array, bias: Array, *, mean: Array, std: Array) -> tuple[Array, Array]:
    """Return weight and bias of the layer that predicts δ · std + mean where the given one predicts δ.

    Args:
        weight: (4K, F), float32 or float64.
        bias: (4K,), like `mean` and `std`, all of one dtype.
        mean: (4K,), of the targets t, class by class. `np.tile` repeats four numbers that all classes share.
        std: (4K,), likewise; not 0 if the layer is to be trained further.

    Returns:
        weight, (4K, F), and bias, (4K,); new arrays.

    >>> four = np.array([1.0, 1, 2, 2])
    >>> fold_normalization(np.ones((4, 1)), four, mean=np.full(4, 0.5), std=four)[1]
    array([1.5, 1.5, 4.5, 4.5])
    """
    op = "fold_normalization"
    check_floating(op, weight=weight, bias=bias, mean=mean, std=std)
    check_rank(op, "weight", weight, "4K, F")
    if weight.shape[0] % 4:
        raise ValueError(f"{op}: weight must have four rows per class, got {weight.shape[0]} rows")
    for name, x in {"bias": bias, "mean": mean, "std": std}.items():
        check_shape(op, name, x, shape_of(weight)[:1], "one number per row of weight")
    return weight * std[:, None], bias * std + mean


def select_class(values: Array, classes: Array) -> Array:
    """Return the four numbers of one class from every row.

    Args:
        values: (R, 4K), transforms or boxes, K classes in a row.
        classes: (R,) integers in 0 … K − 1.

    Returns:
        (R, 4), a new array.

    Two classes, of which the row has the second:

    >>> select_class(np.array([[0.0, 1, 2, 3, 4, 5, 6, 7]]), np.array([1]))
    array([[4., 5., 6., 7.]])
    """
    op = "select_class"
    check_floating(op, values=values)
    check_rank(op, "values", values, "R, 4K")
    check_integer(op, classes=classes)
    n_rows, n_columns = shape_of(values)
    if n_columns % 4:
        raise ValueError(f"{op}: values must have four columns per class, got {n_columns} columns")
    check_shape(op, "classes", classes, (n_rows,), "one class per row of values")
    n_classes = n_columns // 4
    outside = np.flatnonzero((classes < 0) | (classes >= n_classes))
    if outside.size:
        i = int(outside[0])
        raise ValueError(
            f"{op}: classes must be at least 0 and below {n_classes}, the number in values, "
            f"got {int(classes[i])} for row {i}"
        )
    per_class = np.reshape(values, (n_rows, n_classes, 4))
    return per_class[np.arange(n_rows), classes].astype(np.result_type(values), copy=False)
