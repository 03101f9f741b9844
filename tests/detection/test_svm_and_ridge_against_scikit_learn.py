"""The machine and the ridge of R-CNN are scikit-learn's; in one file, as it takes seconds to import."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.detection.linear_svm import LinearSVM, train_linear_svm
from refdet.detection.ridge_boxes import fit_box_ridge, pair_sums
from tests.detection.test_linear_svm import examples, objective
from tests.detection.test_ridge_boxes import pairs, whitened

pytestmark = pytest.mark.oracle
ABSENT = "scikit-learn is not installed"


@pytest.mark.parametrize("shape", [(12, 60, 5), (10, 20, 60)], ids=["more examples", "more features"])
def test_linear_svm(shape: tuple[int, int, int]) -> None:
    """liblinear's dual coordinate descent, with R-CNN's options."""
    svm = pytest.importorskip("sklearn.svm", reason=ABSENT)
    positives, negatives = examples(1, *shape)
    x, y = np.concatenate([positives, negatives]), np.repeat([1, -1], shape[:2])
    theirs = svm.LinearSVC(
        loss="hinge", dual=True, C=1e-3, intercept_scaling=10, class_weight={1: 2, -1: 1}, tol=1e-10, max_iter=10**6
    ).fit(x, y)
    machine = train_linear_svm(positives, negatives, tolerance=1e-10)
    np.testing.assert_allclose(machine.weight, theirs.coef_[0], rtol=0, atol=1e-6)
    assert machine.bias == pytest.approx(float(theirs.intercept_[0]), abs=1e-5)
    liblinear = objective(LinearSVM(theirs.coef_[0], float(theirs.intercept_[0])), positives, negatives)
    assert objective(machine, positives, negatives) == pytest.approx(liblinear, rel=1e-8)


def test_ridge() -> None:
    """The column of ones is one of X, and regularised with it."""
    linear_model = pytest.importorskip("sklearn.linear_model", reason=ABSENT)
    x, t = pairs(1)
    X = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    theirs = linear_model.Ridge(alpha=1000.0, fit_intercept=False, solver="cholesky").fit(X, whitened(t)[2])
    np.testing.assert_allclose(fit_box_ridge(pair_sums(x, t)).weight, theirs.coef_.T, rtol=0, atol=1e-9)
