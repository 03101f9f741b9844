"""softmax_cross_entropy: the definition, its gradient, every normaliser, ignored labels, extreme logits, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.core.kernel import KERNELS
from refdet.ops.softmax_cross_entropy import NORMALIZERS, softmax_cross_entropy
from tests.agreement import Array, assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import softmax_cross_entropy as oracle

# Two images of 1 × 3 positions and three classes. Where the label is class c, p[c] is ¼, ½, ½, ⅛; two are ignored.
LABELS = np.array([[[0, 1, 255]], [[2, 255, 1]]])
LABEL_PROBABILITIES = np.array([[[1 / 4, 1 / 2, np.nan]], [[1 / 2, np.nan, 1 / 8]]])
WEIGHT = np.array([4.0, 2.0, 1.0])
WEIGHTED = np.array([[[4 * np.log(4), 2 * np.log(2), 0]], [[np.log(2), 0, 2 * np.log(8)]]])  # 17 log 2 in all


def logits_of_the_map() -> Array:
    """Give the label the probability above and halve the rest between the other two classes."""
    p = np.full((2, 3, 1, 3), 1 / 3)
    for n, i, j in np.argwhere(LABELS != 255):
        label = LABELS[n, i, j]
        p[n, :, i, j] = (1 - LABEL_PROBABILITIES[n, i, j]) / 2
        p[n, label, i, j] = LABEL_PROBABILITIES[n, i, j]
    logits: Array = np.log(p) + np.array([3.0, -7.0])[:, None, None, None]  # a common shift changes nothing
    return logits


@pytest.mark.parametrize(
    ("normalize", "divisor"), [("valid", 4), ("weight", 4 + 2 + 1 + 2), ("full", 6), ("batch", 2), ("sum", 1)]
)
def test_normalisers_by_hand(normalize: str, divisor: float) -> None:
    loss = softmax_cross_entropy(
        logits_of_the_map(), LABELS, weight=WEIGHT, ignore_label=255, normalize=normalize
    ).item()
    assert loss == pytest.approx(17 * np.log(2) / divisor, rel=1e-14)


def test_no_normaliser_keeps_the_map() -> None:
    losses = softmax_cross_entropy(logits_of_the_map(), LABELS, weight=WEIGHT, ignore_label=255, normalize="none").data
    np.testing.assert_allclose(losses, WEIGHTED, rtol=1e-14)
    assert not np.signbit(losses).any()


@pytest.mark.parametrize(
    ("normalize", "divisor"), [("valid", 4), ("weight", 9), ("full", 6), ("batch", 2), ("sum", 1), ("none", 1)]
)
def test_gradient_by_hand(normalize: str, divisor: float) -> None:
    """At the first position w = 4 and p = (¼, ⅜, ⅜) with label 0; the last of its row is ignored."""
    logits = Tensor(logits_of_the_map(), requires_grad=True)
    loss = softmax_cross_entropy(logits, LABELS, weight=WEIGHT, ignore_label=255, normalize=normalize)
    loss.backward(np.ones(loss.shape))
    assert logits.grad is not None
    np.testing.assert_allclose(logits.grad[0, :, 0, 0], np.array([-3.0, 1.5, 1.5]) / divisor, rtol=1e-14)
    np.testing.assert_array_equal(logits.grad[0, :, 0, 2], 0)


@given(data=st.data(), normalize=st.sampled_from(NORMALIZERS), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, normalize: str, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    N, C = data.draw(st.integers(0, 3)), data.draw(st.integers(1, 4))
    positions = data.draw(st.sampled_from([(), (3,), (2, 3), (0, 2)]))
    ignore_label = data.draw(st.sampled_from([None, 255, -1, 0]))
    choices = np.array([*range(C), *([] if ignore_label is None else [ignore_label])])
    integer = data.draw(st.sampled_from(["int64", "int32"] if ignore_label == -1 else ["int64", "uint8"]))
    labels = in_layout(rng.choice(choices, (N, *positions)).astype(integer), layout)
    logits = in_layout((5 * rng.standard_normal((N, C, *positions))).astype(dtype), layout)
    weight = rng.uniform(0.5, 2, C).astype(dtype) if data.draw(st.booleans()) else None
    assert_agrees(
        "softmax_cross_entropy",
        oracle,
        [logits, labels, weight],
        rng=rng,
        params={"ignore_label": ignore_label, "normalize": normalize},
        differentiable=[True, False, False],
    )


@pytest.mark.parametrize("normalize", NORMALIZERS)
def test_gradient(normalize: str) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (2, 3, 2))
    labels[0, 1] = 9
    gradcheck(
        lambda x: softmax_cross_entropy(
            x, labels, weight=np.array([1.0, 2.0, 0.5, 0.0]), ignore_label=9, normalize=normalize
        ),
        [rng.standard_normal((2, 4, 3, 2))],
        rng=rng,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_logits(dtype: Any) -> None:
    """Logits of ±10⁴ cost exactly 0 or 2 · 10⁴, with gradients of exactly 0 and ±1."""
    logits = Tensor(np.array([[1e4, -1e4], [1e4, -1e4], [-1e4, -1e4]], dtype), requires_grad=True)
    losses = softmax_cross_entropy(logits, np.array([0, 1, 1]), normalize="none")
    np.testing.assert_array_equal(losses.data, np.array([0, 2e4, np.log(2)], dtype), strict=True)
    losses.backward(np.ones(3, dtype))
    np.testing.assert_array_equal(logits.grad, [[0, 0], [1, -1], [0.5, -0.5]])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logits_further_apart_than_the_largest_number(dtype: Any) -> None:
    most = np.finfo(dtype).max
    logits = Tensor(np.array([[most, -most], [most, -most]], dtype), requires_grad=True)
    losses = softmax_cross_entropy(logits, np.array([0, 1]), normalize="none")
    np.testing.assert_array_equal(losses.data, [0, np.inf])
    losses.backward(np.ones(2, dtype))
    np.testing.assert_array_equal(logits.grad, [[0, 0], [1, -1]])
    apart = np.array([[most, 0], [most, 0]], dtype)
    for weight in (None, np.array([0, 2], dtype)):
        assert softmax_cross_entropy(apart, np.array([1, 1]), weight=weight).data == np.inf


def test_a_class_ruled_out() -> None:
    """A logit of −∞ is a probability of 0: free for the other classes, infinitely wrong for its own."""
    logits = Tensor(np.array([[0.0, -np.inf], [0.0, -np.inf]]), requires_grad=True)
    losses = softmax_cross_entropy(logits, np.array([0, 1]), normalize="none")
    np.testing.assert_array_equal(losses.data, [0, np.inf])
    losses.backward(np.ones(2))
    np.testing.assert_array_equal(logits.grad, [[0, 0], [1, -1]])


@pytest.mark.parametrize(
    ("logits", "nan"),
    [
        ([np.nan, 0.0], True),
        ([0.0, np.nan], True),
        ([np.inf, 0.0], True),
        ([-np.inf, -np.inf], True),
        ([0.0, 1.0], False),
    ],
)
def test_nan(logits: list[float], nan: bool) -> None:
    assert np.isnan(softmax_cross_entropy(np.array([logits]), np.array([0])).item()) == nan


def test_a_nan_where_the_label_is_ignored_has_no_part() -> None:
    logits = Tensor(np.array([[np.nan, 0.0], [0.0, 0.0]]), requires_grad=True)
    loss = softmax_cross_entropy(logits, np.array([255, 0]), ignore_label=255)
    loss.backward()
    assert loss.item() == np.log(2)
    np.testing.assert_array_equal(logits.grad, [[0, 0], [-0.5, 0.5]])


@pytest.mark.parametrize("shape", [(3, 2), (0, 2), (2, 2, 0)])
@pytest.mark.parametrize("weight", [None, np.ones(2)])
def test_everything_ignored_or_nothing_there(shape: tuple[int, ...], weight: Array | None) -> None:
    """The loss is 0, but 0/0 = NaN for "weight"; the gradient is 0 in each case."""
    labels = np.full((shape[0], *shape[2:]), 255)
    for normalize in NORMALIZERS:
        logits = Tensor(np.ones(shape), requires_grad=True)
        loss = softmax_cross_entropy(logits, labels, weight=weight, ignore_label=255, normalize=normalize)
        if normalize == "none":
            assert loss.shape == labels.shape
        np.testing.assert_array_equal(loss.data, np.full(loss.shape, np.nan if normalize == "weight" else 0.0))
        loss.backward(np.ones(loss.shape))
        np.testing.assert_array_equal(logits.grad, np.zeros(shape))


def test_weights_of_zero_alone_are_zero_over_zero() -> None:
    """A label that is not ignored, but of weight 0, has a loss and a gradient of 0/0 where that is the divisor."""
    logits = Tensor(np.zeros((1, 2)), requires_grad=True)
    loss = softmax_cross_entropy(logits, np.array([1]), weight=np.array([1.0, 0.0]), normalize="weight")
    loss.backward()
    assert np.isnan(loss.item())
    assert np.isnan(logits.grad).all()  # type: ignore[arg-type]
    assert softmax_cross_entropy(np.zeros((1, 2)), np.array([1]), weight=np.array([1.0, 0.0])).item() == 0


def test_the_ignored_label_may_be_a_class() -> None:
    """Background ignored: its positions cost nothing, though as a class it still takes part in the softmax."""
    losses = softmax_cross_entropy(np.zeros((2, 4)), np.array([0, 1]), ignore_label=0, normalize="none")
    np.testing.assert_allclose(losses.data, [0, np.log(4)])


@pytest.mark.parametrize(
    ("labels", "ignore_label", "message"),
    [
        ([[0, 1], [3, 5]], None, r"label 3 at index \(1, 0\) is not a class in \[0, 3\), and no label is ignored"),
        (
            [[0, 255], [2, -1]],
            255,
            r"label -1 at index \(1, 1\) is not a class in \[0, 3\), and the ignored label is 255",
        ),
    ],
)
def test_labels_that_are_no_class(labels: Any, ignore_label: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=f"softmax_cross_entropy: {message}"):
        softmax_cross_entropy(np.zeros((2, 3, 2)), np.array(labels), ignore_label=ignore_label)


@pytest.mark.parametrize(
    ("logits", "labels", "options", "message"),
    [
        ((3,), (), {}, r"logits must be \(N, C, ...\) with at least one class, got shape \(3,\)"),
        ((3, 0), (3,), {"ignore_label": 0}, r".* with at least one class, got shape \(3, 0\)"),
        ((3, 2), (3, 1), {}, r"labels must have shape \(3,\) \(one per position of logits\), got \(3, 1\)"),
        ((3, 2, 4), (3, 2), {}, r"labels must have shape \(3, 4\)"),
        ((3, 2), (3,), {"weight": np.ones(3)}, r"weight must have shape \(2,\) \(one per class\), got \(3,\)"),
        ((3, 2), (3,), {"normalize": "mean"}, "normalize must be one of 'valid', 'weight', 'full', 'batch'"),
    ],
)
def test_bad_input(logits: Any, labels: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"softmax_cross_entropy: {message}"):
        softmax_cross_entropy(np.zeros(logits), np.zeros(labels, int), **options)


def test_bad_dtypes() -> None:
    with pytest.raises(TypeError, match="labels must be an integer array, got float64"):
        softmax_cross_entropy(np.zeros((3, 2)), np.zeros(3))
    with pytest.raises(TypeError, match="logits must be float32 or float64, got int64"):
        softmax_cross_entropy(np.zeros((3, 2), int), np.zeros(3, int))
    with pytest.raises(TypeError, match="logits is float64 but weight is float32"):
        softmax_cross_entropy(np.zeros((3, 2)), np.zeros(3, int), weight=np.ones(2, np.float32))
    with pytest.raises(TypeError, match="ignore_label must be an integer or None, got True"):
        softmax_cross_entropy(np.zeros((3, 2)), np.zeros(3, int), ignore_label=True)
    params: dict[str, Any] = {"ignore_label": None, "normalize": "valid"}
    _, residual = KERNELS["softmax_cross_entropy.forward"](
        np.zeros((3, 2)), np.zeros(3, int), None, keep_residual=True, **params
    )
    with pytest.raises(ValueError, match=r"softmax_cross_entropy: dy must have shape \(\)"):
        KERNELS["softmax_cross_entropy.backward"](residual, np.ones(3), needs=(True, False, False), **params)


def test_an_ignore_label_is_one_integer() -> None:
    with pytest.raises(TypeError, match="ignore_label must be an integer or None"):
        softmax_cross_entropy(np.zeros((2, 2)), np.array([0, 1]), ignore_label=np.array([0, 1]))  # type: ignore[arg-type]
    loss = softmax_cross_entropy(np.zeros((2, 2)), np.array([0, 1]), ignore_label=np.int64(1))  # type: ignore[arg-type]
    assert loss.item() == pytest.approx(np.log(2))


def test_a_weight_of_zero_times_an_infinite_loss_is_nan_and_silent() -> None:
    loss = softmax_cross_entropy(np.array([[0.0, -np.inf]]), np.array([1]), weight=np.array([1.0, 0.0]))
    assert np.isnan(loss.data)
