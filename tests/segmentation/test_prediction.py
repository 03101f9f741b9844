"""Prediction: label maps and probabilities of images of any size."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.autograd import Tensor
from refdet.nn import Apply, Conv2d, Module
from refdet.segmentation.fcn import FCN
from refdet.segmentation.prediction import class_probabilities, predict
from tests.segmentation.nets import NARROW, make, picture

LOGITS = np.array([[[1.0, 2.0, 3.0]], [[1.0, 5.0, np.nan]]])  # two classes, 1 × 3 pixels
SHOW = Apply(lambda x: x)  # the image is the logits


def test_by_hand() -> None:
    """Equal logits: the first class. A NaN is the largest."""
    (labels,) = predict(SHOW, [LOGITS])
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, [[0, 1, 1]])
    (p,) = class_probabilities(SHOW, [LOGITS])
    np.testing.assert_allclose(p[:, 0, 1], [1 / (1 + np.e**3), np.e**3 / (1 + np.e**3)])


@pytest.mark.parametrize("variant", ["32s", "16s", "8s"])
def test_images_of_any_size(variant: str) -> None:
    fcn = make(variant, NARROW)
    images = [picture(h, w)[0] for h, w in ((1, 1), (1, 40), (33, 7), (5, 5))]
    labels, p = predict(fcn, images), class_probabilities(fcn, images)
    for image, label_map, of_classes in zip(images, labels, p, strict=True):
        assert label_map.shape == image.shape[1:]
        np.testing.assert_allclose(of_classes.sum(axis=0), 1, rtol=1e-12)
        np.testing.assert_array_equal(label_map, of_classes.argmax(axis=0))
        np.testing.assert_array_equal(label_map, fcn(image[None]).data[0].argmax(axis=0))


def test_no_gradient_is_asked_for() -> None:
    layer, asked = Conv2d(2, 2, 1, rng=np.random.default_rng(0), dtype=np.float64), []

    def noting(x: Tensor) -> Tensor:
        y = layer(x)
        asked.append(y.requires_grad)
        return y

    predict(Apply(noting), [LOGITS])
    class_probabilities(Apply(noting), [LOGITS])
    assert asked == [False, False]


def test_one_array_of_images() -> None:
    images = picture(9, 12, n=2)
    together = np.argmax(make("4s")(images).data, axis=1)
    np.testing.assert_array_equal(np.stack(predict(make("4s"), images)), together)
    assert predict(make("4s"), []) == []


def test_before_training_everything_is_background() -> None:
    fcn = FCN(4, plan=NARROW, rng=np.random.default_rng(0))
    assert not predict(fcn, [picture(3, 4)[0].astype(np.float32)])[0].any()


def test_bad_images() -> None:
    with pytest.raises(ValueError, match="predict: image 1 must have rank 3"):
        predict(SHOW, [LOGITS, LOGITS[0]])
    with pytest.raises(TypeError, match="class_probabilities: image 0 must be float32 or float64, got uint8"):
        class_probabilities(SHOW, [np.zeros((3, 4, 4), np.uint8)])


def test_no_model_and_no_images() -> None:
    with pytest.raises(TypeError, match="predict: model must be a Module, got NoneType"):
        predict(None, [])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="class_probabilities: images must be a list of arrays or one array, got int"):
        class_probabilities(Module(), 3)  # type: ignore[arg-type]
