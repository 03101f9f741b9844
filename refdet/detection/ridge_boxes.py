"""R-CNN's box regression: for each class, ridge regression from features of a region to the way its box must go.

Of the pairs of a region and an object of the class, with feature x, a 1 appended, and transform t (four numbers,
`refdet.boxes.transform`):

    μ = mean t      S = mean (t − μ)(t − μ)ᵀ = V diag(d) Vᵀ      T = V diag((d + 0.001)^−½) Vᵀ
    β = (XᵀX + λ I)⁻¹ XᵀY        with rows x of X and (t − μ)ᵀ T of Y
    a region is moved by         t = xᵀβ T⁻¹ + μ

The targets are centred and whitened, so that one λ suits all four. The weight of the 1 is regularised like the others.

A region belongs to the object that it overlaps most, of any class, if its IoU with it is greater than 0.6. Girshick et
al., "Rich feature hierarchies" (2014), appendix C, and its code, `rcnn_train_bbox_regressor.m`, with λ = 1000 on
features of pool5 that are scaled to a mean norm of 20, that of all regions and objects of all pictures here. SPP-net
takes λ = 4000 and IoU 0.5.

Conventions: an IoU of exactly 0.6 makes no pair; of equal IoUs the first object counts. Objects themselves are regions,
as in the code: IoU 1, t = 0. Difficult objects, and what belongs to them, make no pairs. A class without pairs moves no
box: t = 0. The code finds T and β the same way, and adds 2⁻⁵² to the sides of boxes, which is left out here.

Pictures are only added up: what is kept is XᵀX, Xᵀt, Σ t tᵀ and the number of pairs of each class, in float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from refdet.boxes.iou import box_iou
from refdet.boxes.transform import decode_boxes, encode_boxes
from refdet.core.check import Array, check_floating, check_integer, check_number, check_shape, integer
from refdet.nn.module import Module

SOFTENING = 0.001  # of the whitening


class BoxRidge(NamedTuple):
    """The regressor of one class: t = (xᵀ, 1) weight · unwhiten + mean."""

    weight: Array  # (F + 1, 4)
    unwhiten: Array  # (4, 4), T⁻¹
    mean: Array  # (4,)


class PairSums(NamedTuple):
    """All that the regressor of a class needs of its pairs; x has a 1 appended."""

    n: int
    xx: Array  # (F + 1, F + 1), Σ x xᵀ
    xt: Array  # (F + 1, 4), Σ x tᵀ
    tt: Array  # (4, 4), Σ t tᵀ

    def plus(self, more: PairSums) -> PairSums:
        """Return the sums over both sets of pairs."""
        return PairSums(self.n + more.n, self.xx + more.xx, self.xt + more.xt, self.tt + more.tt)


def pair_sums(features: Array, transforms: Array) -> PairSums:
    """Return the sums over pairs with features (n, F) and transforms (n, 4), in float64."""
    t = transforms.astype(np.float64)
    x = np.concatenate([features.astype(np.float64), np.ones((len(t), 1))], axis=1)
    return PairSums(len(t), x.T @ x, x.T @ t, t.T @ t)


def fit_box_ridge(sums: PairSums, *, ridge: float = 1000.0) -> BoxRidge:
    """Return the regressor of a class from the sums over its pairs; λ is `ridge`.

    Two pairs, both a third of their width away to the right, whatever the feature: that is the mean, and is left to it.

    >>> third = np.array([[1 / 3, 0.0, 0.0, 0.0]] * 2)
    >>> fitted = fit_box_ridge(pair_sums(np.array([[1.0], [2.0]]), third))
    >>> fitted.mean.round(3), fitted.weight.round(9).any()
    (array([0.333, 0.   , 0.   , 0.   ]), np.False_)
    """
    check_number("fit_box_ridge", "ridge", ridge, low=0, open_low=True)
    n_features = len(sums.xx)
    if sums.n == 0:
        return BoxRidge(np.zeros((n_features, 4)), np.eye(4), np.zeros(4))
    mean = sums.xt[-1] / sums.n
    d, V = np.linalg.eigh(sums.tt / sums.n - np.outer(mean, mean))
    root = np.sqrt(np.maximum(d, 0) + SOFTENING)
    whiten, unwhiten = V / root @ V.T, V * root @ V.T
    xy = (sums.xt - np.outer(sums.xx[:, -1], mean)) @ whiten  # the 1 of x makes its last column Σ x
    return BoxRidge(np.linalg.solve(sums.xx + ridge * np.eye(n_features), xy), unwhiten, mean)


class BoxRegressor(Module):
    """The regressors of all classes. What is learned are buffers, saved with the network."""

    weight: Array  # (K, F + 1, 4), whitening undone
    mean: Array  # (K, 4)
    feature_scale: Array  # ()

    def __init__(
        self,
        n_classes: int,
        n_features: int,
        *,
        ridge: float = 1000.0,
        above: float = 0.6,
        feature_norm: float = 20.0,
        dtype: Any = np.float32,
    ) -> None:
        """Make regressors that move no box yet.

        Args:
            n_classes: K, the background, which has the number 0, included.
            n_features: F.
            ridge: λ.
            above: a region and an object are a pair if their IoU is greater.
            feature_norm: to which the mean norm of the features is scaled.
            dtype: of what is stored; training computes in float64.
        """
        super().__init__()
        op = "BoxRegressor"
        K, F = integer(op, "n_classes", n_classes, low=1), integer(op, "n_features", n_features, low=1)
        self.ridge = check_number(op, "ridge", ridge, low=0, open_low=True)
        self.above = check_number(op, "above", above)
        self.feature_norm = check_number(op, "feature_norm", feature_norm, low=0, open_low=True)
        self.add_buffer("weight", np.zeros((K, F + 1, 4), dtype))
        self.add_buffer("mean", np.zeros((K, 4), dtype))
        self.add_buffer("feature_scale", np.ones((), dtype))
        self.forget()

    def forget(self) -> None:
        """Forget the pairs taken since the last `finish`: those of a fit that was interrupted."""
        self._sums: dict[int, PairSums] = {}
        self._norms, self._n_norms = 0.0, 0

    def add(
        self, features: Array, boxes: Array, truth_boxes: Array, truth_classes: Array, difficult: Array | None = None
    ) -> None:
        """Take the pairs of a picture: regions (R, F) and (R, 4) with objects (G, 4) and (G,)."""
        op = "BoxRegressor.add"
        check_floating(op, features=features)
        check_floating(op, boxes=boxes)
        check_floating(op, truth_boxes=truth_boxes)
        check_shape(op, "features", features, (len(boxes), self.weight.shape[1] - 1), "one row per box")
        check_integer(op, truth_classes=truth_classes)
        check_shape(op, "truth_classes", truth_classes, (len(truth_boxes),), "one per object")
        K = len(self.mean)
        if len(truth_classes) and not 1 <= np.min(truth_classes) <= np.max(truth_classes) < K:
            raise ValueError(
                f"{op}: truth_classes must lie in 1 … {K - 1}, got {np.min(truth_classes)} … {np.max(truth_classes)}"
            )
        if not np.isfinite(features).all():
            raise ValueError(f"{op}: features must be finite, got NaN or an infinity")
        self._norms += float(np.linalg.norm(features.astype(np.float64), axis=1).sum())
        self._n_norms += len(features)
        if not len(truth_boxes) or not len(boxes):
            return
        regions, truths = boxes.astype(np.float64), truth_boxes.astype(np.float64)
        iou = box_iou(regions, truths)
        own = np.argmax(iou, axis=1)
        paired = np.max(iou, axis=1) > self.above
        if difficult is not None:
            paired &= ~difficult[own]
        rows = np.flatnonzero(paired)
        transforms = encode_boxes(regions[rows], truths[own[rows]])
        for c in np.unique(truth_classes[own[rows]]).tolist():
            of_class = truth_classes[own[rows]] == c
            new = pair_sums(features[rows[of_class]], transforms[of_class])
            old = self._sums.get(c)
            self._sums[c] = new if old is None else old.plus(new)

    def finish(self) -> None:
        """Fit all classes to the pairs taken since the last time, and forget those."""
        norm = self._norms / self._n_norms if self._n_norms else 0.0
        scale = self.feature_norm / norm if norm > 0 else 1.0
        K, n_features, _ = self.weight.shape
        scales = np.append(np.full(n_features - 1, scale), 1.0)
        weight, mean = np.zeros((K, n_features, 4)), np.zeros((K, 4))
        for c, sums in self._sums.items():
            xx, xt = sums.xx * np.outer(scales, scales), sums.xt * scales[:, None]
            fitted = fit_box_ridge(sums._replace(xx=xx, xt=xt), ridge=self.ridge)
            weight[c], mean[c] = fitted.weight @ fitted.unwhiten, fitted.mean
        self.weight, self.mean = weight.astype(self.weight.dtype), mean.astype(self.mean.dtype)
        self.feature_scale = np.array(scale, self.feature_scale.dtype)
        self.forget()

    def predict(self, features: Array, boxes: Array, c: int) -> Array:
        """Return the boxes (R, 4) of regions with features (R, F), moved as class c moves them, in float64."""
        check_floating("BoxRegressor.predict", features=features)
        check_shape(
            "BoxRegressor.predict", "features", features, (len(boxes), self.weight.shape[1] - 1), "one row per box"
        )
        x = features.astype(np.float64) * float(self.feature_scale)
        weight, bias = self.weight[c, :-1].astype(np.float64), self.weight[c, -1].astype(np.float64)
        return decode_boxes(boxes.astype(np.float64), x @ weight + bias + self.mean[c].astype(np.float64))
