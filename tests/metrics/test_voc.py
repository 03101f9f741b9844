"""evaluate_voc: the deck's example from boxes to mAP, every convention, what counts and what does not, bad input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.metrics.voc import CONVENTIONS, LabelledBoxes, ScoredBoxes, evaluate_voc
from tests.agreement import Array, seeds
from tests.oracles import average_precision, match_detections, precision_recall

Row = tuple[Any, str, float, list[float]]  # image, class, score, box
Truth = tuple[Any, str, list[float], bool]  # image, class, box, difficult
SQUARE = [0.0, 0, 9, 9]


def scored(*rows: Row) -> ScoredBoxes:
    images, classes, scores, boxes = zip(*rows, strict=True) if rows else ((), (), (), ())
    return ScoredBoxes(np.array(images), np.array(classes), np.array(scores, np.float64), box_rows(boxes))


def labelled(*rows: Truth) -> LabelledBoxes:
    images, classes, boxes, difficult = zip(*rows, strict=True) if rows else ((), (), (), ())
    return LabelledBoxes(np.array(images), np.array(classes), box_rows(boxes), np.array(difficult, bool))


def box_rows(boxes: Sequence[list[float]]) -> Array:
    return np.array(boxes, np.float64).reshape(-1, 4)


def pretzels() -> tuple[ScoredBoxes, LabelledBoxes]:
    """Deck 001: three objects, in two images here, and five detections: right, right, wrong, wrong, right."""
    truths = labelled(
        (1, "pretzel", SQUARE, False), (1, "pretzel", [20, 0, 29, 9], False), (2, "pretzel", SQUARE, False)
    )
    rows: list[Row] = [
        (1, "pretzel", 0.10, [20, 0, 29, 9]),
        (1, "pretzel", 0.99, SQUARE),
        (2, "pretzel", 0.70, [40, 40, 49, 49]),
        (2, "pretzel", 0.95, SQUARE),
        (2, "pretzel", 0.50, SQUARE),
    ]
    return scored(*rows), truths


@pytest.mark.parametrize(
    ("convention", "ap"),
    [
        ("deck", 0.866667),
        ("voc2007", 0.854545),
        ("voc2010", 0.866667),
        ("voc2012", 0.866667),
        ("py-faster", 0.866667),
        ("py-faster-2007", 0.854545),
    ],
)
def test_the_deck_s_pretzels(convention: str, ap: float) -> None:
    detections, truths = pretzels()
    evaluation = evaluate_voc(detections, truths, images=[1, 2], classes=["pretzel"], convention=convention)
    found = evaluation.by_class["pretzel"]
    np.testing.assert_array_equal(found.precision, [1, 2 / 2, 2 / 3, 2 / 4, 3 / 5])
    np.testing.assert_array_equal(found.recall, [1 / 3, 2 / 3, 2 / 3, 2 / 3, 3 / 3])
    assert found.n_positive == 3
    assert found.average_precision == pytest.approx(ap, abs=5e-7)
    assert evaluation.mean_average_precision == found.average_precision


def test_the_deck_s_mean_over_classes() -> None:
    """Flipz 0.60, Hershey's 0.85, Reese's 0.81: 0.7533, printed as 0.75. Made of precisions at full recall."""
    rows: list[Row] = []
    truths: list[Truth] = []
    for name, n_found in (("flipz", 60), ("hersheys", 85), ("reeses", 81)):  # so many of 100 objects, nothing else
        boxes = [[10.0 * i, 0, 10 * i + 5, 5] for i in range(100)]
        truths += [(7, name, box, False) for box in boxes]
        rows += [(7, name, 1 - i / 100, box) for i, box in enumerate(boxes[:n_found])]
    evaluation = evaluate_voc(scored(*rows), labelled(*truths), images=[7], classes=["flipz", "hersheys", "reeses"])
    aps = [c.average_precision for c in evaluation.by_class.values()]
    np.testing.assert_allclose(aps, [0.60, 0.85, 0.81])
    assert evaluation.mean_average_precision == pytest.approx((0.60 + 0.85 + 0.81) / 3)
    assert f"{evaluation.mean_average_precision:.2f}" == "0.75"


@pytest.mark.parametrize(
    ("convention", "ap"), [("deck", 1.0), ("voc2012", 0.5), ("py-faster", 0.5), ("voc2007", 6 / 11)]
)
def test_a_second_look_in_a_crowd(convention: str, ap: float) -> None:
    """IoU 0.818 with the object taken, 0.667 with the other: AP 1 for the deck (and COCO), 1/2 for VOC."""
    truths = labelled((0, "a", [0, 0, 100, 100], False), (0, "a", [30, 0, 130, 100], False))
    detections = scored((0, "a", 0.9, [0, 0, 100, 100]), (0, "a", 0.8, [10, 0, 110, 100]))
    evaluation = evaluate_voc(detections, truths, images=[0], classes=["a"], convention=convention)
    assert evaluation.mean_average_precision == pytest.approx(ap)


@pytest.mark.parametrize(
    ("convention", "plain", "plus_one"),
    [("deck", 0, 0), ("voc2007", 1, 1), ("voc2010", 1, 1), ("voc2012", 1, 1), ("py-faster", 1, 0)],
)
def test_one_half_exactly(convention: str, plain: float, plus_one: float) -> None:
    """4/8, which is 10/18 with widths + 1; and 36/81, which is 50/100 then: ≥ or >."""
    for box, truth, ap in (([0.0, 0, 4, 1], [0.0, 0, 8, 1], plain), ([0.0, 0, 9, 4], SQUARE, plus_one)):
        detections, truths = scored((0, "a", 0.9, box)), labelled((0, "a", truth, False))
        evaluation = evaluate_voc(detections, truths, images=[0], classes=["a"], convention=convention)
        assert evaluation.mean_average_precision == pytest.approx(ap)


@given(seed=seeds, convention=st.sampled_from(list(CONVENTIONS)), n=st.integers(0, 30))
def test_against_the_definition(seed: int, convention: str, n: int) -> None:
    """Three classes in three images, with ties of scores and of overlaps: the oracles of the three steps, in turn."""
    comparison, candidates, offset, definition = CONVENTIONS[convention]
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 4, (n + 10, 2)).astype(np.float64)
    boxes = np.concatenate([corners, corners + rng.integers(1, 5, corners.shape)], axis=1)
    images, classes, scores = rng.integers(0, 3, n + 10), rng.integers(0, 3, n + 10), rng.integers(0, 5, n) / 4
    difficult = rng.random(10) < 0.3
    evaluation = evaluate_voc(
        ScoredBoxes(images[:n], classes[:n], scores, boxes[:n]),
        LabelledBoxes(images[n:], classes[n:], boxes[n:], difficult),
        images=[2, 0, 1],
        classes=[0, 1, 2],
        convention=convention,
    )
    expected = []
    for c in range(3):
        rows = sorted((i for i in range(n) if classes[i] == c), key=lambda i: -scores[i])
        columns = [i for i in range(n, n + 10) if classes[i] == c]
        flags = difficult[[i - n for i in columns]]
        verdicts = match_detections.forward(
            boxes[rows],
            images[rows],
            boxes[columns],
            images[columns],
            flags,
            threshold=0.5,
            comparison=comparison,
            candidates=candidates,
            offset=offset,
        )
        curve = precision_recall.forward(verdicts, n_positive=int((~flags).sum()))
        np.testing.assert_allclose([evaluation.by_class[c].precision, evaluation.by_class[c].recall], curve)
        ap = average_precision.forward(*curve, convention=definition) if (~flags).any() else np.nan
        assert evaluation.by_class[c].average_precision == pytest.approx(float(ap), nan_ok=True)
        expected += [] if np.isnan(ap) else [float(ap)]
    mean = np.mean(expected) if expected else np.nan
    assert evaluation.mean_average_precision == pytest.approx(mean, nan_ok=True)


def test_three_tenths() -> None:
    """Three of ten found: 4/11, or 3/11 on NumPy's grid."""
    boxes = [[20.0 * i, 0, 20 * i + 9, 9] for i in range(10)]
    truths = labelled(*((0, "a", box, False) for box in boxes))
    detections = scored(*((0, "a", 0.9, box) for box in boxes[:3]))
    for convention, ap in (("voc2007", 4 / 11), ("py-faster-2007", 3 / 11)):
        evaluation = evaluate_voc(detections, truths, images=[0], classes=["a"], convention=convention)
        assert evaluation.mean_average_precision == pytest.approx(ap)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_classes_without_objects_or_detections(convention: str) -> None:
    """No objects: NaN, and out of the mean, though something was detected. No detections: 0, in the mean."""
    truths = labelled((1, "found", SQUARE, False), (1, "missed", SQUARE, False), (1, "hard", SQUARE, True))
    detections = scored((1, "found", 0.5, SQUARE), (2, "absent", 0.9, SQUARE), (1, "hard", 0.7, SQUARE))
    classes = ["found", "missed", "absent", "hard", "unheard-of"]
    evaluation = evaluate_voc(detections, truths, images=[1, 2], classes=classes, convention=convention)
    aps = [evaluation.by_class[name].average_precision for name in classes]
    np.testing.assert_array_equal(aps, [1, 0, np.nan, np.nan, np.nan])
    assert list(evaluation.by_class) == classes
    assert [evaluation.by_class[name].n_positive for name in classes] == [1, 1, 0, 0, 0]
    assert evaluation.by_class["absent"].precision.tolist() == [0]
    assert evaluation.by_class["hard"].precision.tolist() == []
    assert evaluation.mean_average_precision == 0.5


def test_no_class_has_an_ap() -> None:
    evaluation = evaluate_voc(scored(), labelled(), images=[1], classes=["a", "b"])
    assert np.isnan(evaluation.mean_average_precision)
    assert np.isnan(evaluate_voc(scored(), labelled(), images=[], classes=[]).mean_average_precision)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_first_detection_is_on_a_difficult_object(convention: str) -> None:
    """It does not count; the second finds the one object that does."""
    truths = labelled((1, "a", SQUARE, True), (2, "a", SQUARE, False))
    detections = scored((1, "a", 0.9, SQUARE), (2, "a", 0.8, SQUARE))
    found = evaluate_voc(detections, truths, images=[1, 2], classes=["a"], convention=convention).by_class["a"]
    assert found.average_precision == pytest.approx(1)
    assert (found.n_positive, found.precision.tolist()) == (1, [1])


def test_equal_scores_stay_in_order() -> None:
    """Right before wrong as they come, wrong before right if they come so."""
    right, wrong = (1, "a", 0.5, SQUARE), (1, "a", 0.5, [20.0, 20, 29, 29])
    truths = labelled((1, "a", SQUARE, False))
    for rows, ap in (((right, wrong), 1.0), ((wrong, right), 0.5)):
        assert evaluate_voc(scored(*rows), truths, images=[1], classes=["a"]).mean_average_precision == ap


def test_infinite_scores_are_ranked() -> None:
    detections = scored((1, "a", -np.inf, SQUARE), (1, "a", 0.5, [20, 20, 29, 29]), (1, "a", np.inf, SQUARE))
    found = evaluate_voc(detections, labelled((1, "a", SQUARE, False)), images=[1], classes=["a"]).by_class["a"]
    np.testing.assert_array_equal(found.precision, [1, 1 / 2, 1 / 3])


def test_classes_and_images_do_not_meet() -> None:
    """The right box in the wrong image, and of the wrong class; ids are strings, as VOC's are."""
    truths = labelled(("2008_000002", "dog", SQUARE, False), ("2008_000003", "cat", SQUARE, False))
    detections = scored(("2008_000002", "cat", 0.9, SQUARE), ("2008_000003", "dog", 0.9, SQUARE))
    images = ["2008_000002", "2008_000003"]
    assert evaluate_voc(detections, truths, images=images, classes=["cat", "dog"]).mean_average_precision == 0


def test_the_threshold_is_an_argument() -> None:
    """IoU 1/2, continuous."""
    detections, truths = scored((1, "a", 0.9, [0, 0, 2, 1])), labelled((1, "a", [0, 0, 4, 1], False))
    for threshold, ap in ((0.5, 0.0), (0.49, 1.0)):
        evaluation = evaluate_voc(detections, truths, images=[1], classes=["a"], threshold=threshold)
        assert evaluation.mean_average_precision == ap


def test_float32_and_no_flags() -> None:
    detections, truths = pretzels()
    single = ScoredBoxes(
        detections.image_ids, detections.classes, detections.scores.astype("f"), detections.boxes.astype("f")
    )
    objects = LabelledBoxes(truths.image_ids, truths.classes, truths.boxes.astype("f"))
    evaluation = evaluate_voc(single, objects, images=[1, 2], classes=["pretzel"])
    assert evaluation.mean_average_precision == pytest.approx(13 / 15)


def replaced(x: Any, **changes: Any) -> Any:
    return type(x)(**(vars(x) | changes))


@pytest.mark.parametrize(
    ("detection", "truth", "options", "error", "message"),
    [
        (
            {"scores": np.array([0.1, 0.2, np.nan, 0.4, np.nan])},
            {},
            {},
            ValueError,
            "detections.scores must not be NaN, which cannot be ranked, got one at row 2",
        ),
        (
            {"image_ids": np.array([1, 2, 2, 17, 1])},
            {},
            {},
            ValueError,
            "detections.image_ids has 17 at row 3, which is not among the 2 images",
        ),
        (
            {},
            {"image_ids": np.array([1, 5, 2])},
            {},
            ValueError,
            "truths.image_ids has 5 at row 1, which is not among the 2 images",
        ),
        (
            {"classes": np.array(["pretzel", "bretzel", "pretzel", "pretzel", "pretzel"])},
            {},
            {},
            ValueError,
            "detections.classes has 'bretzel' at row 1, which is not among the 1 classes",
        ),
        ({"scores": np.arange(5)}, {}, {}, TypeError, "detections.scores must be float32 or float64, got int64"),
        ({"scores": np.ones((5, 1))}, {}, {}, ValueError, "detections.scores must have rank 1"),
        ({"image_ids": np.array([1])}, {}, {}, ValueError, "detections.image_ids must have shape (5,) (one per row)"),
        ({"image_ids": [1, 2, 2, 1, 1]}, {}, {}, TypeError, "detections.image_ids must be an array, got list"),
        ({"boxes": np.ones((4, 4))}, {}, {}, ValueError, "detections.boxes must have shape (5, 4) (one per score)"),
        (
            {},
            {"boxes": np.ones((3, 5))},
            {},
            ValueError,
            "truths.boxes must have shape (N, 4), one row of four numbers",
        ),
        ({}, {"boxes": np.ones((3, 4), "f")}, {}, TypeError, "detections.boxes is float64 but truths.boxes is float32"),
        (
            {},
            {"difficult": np.zeros(2, bool)},
            {},
            ValueError,
            "truths.difficult must have shape (3,) (one flag per object)",
        ),
        ({}, {"difficult": np.zeros(3, int)}, {}, TypeError, "truths.difficult must be a boolean array, got int64"),
        ({}, {}, {"threshold": 1.5}, ValueError, "threshold must lie in [0, 1], got 1.5"),
        ({}, {}, {"classes": ["pretzel", "pretzel"]}, ValueError, "classes must be distinct, got 'pretzel' twice"),
        ({}, {}, {"classes": "pretzel"}, TypeError, "classes must be a sequence, got 'pretzel'"),
        ({}, {}, {"images": [1, 2, 1]}, ValueError, "images must be distinct, got 1 twice"),
        ({}, {}, {"convention": "voc2008"}, ValueError, "convention must be one of 'deck', 'voc2007'"),
    ],
)
def test_bad_input(detection: Any, truth: Any, options: Any, error: type[Exception], message: str) -> None:
    detections, truths = pretzels()
    with pytest.raises(error) as raised:
        evaluate_voc(
            replaced(detections, **detection),
            replaced(truths, **truth),
            **({"images": [1, 2], "classes": ["pretzel"]} | options),
        )
    assert message in str(raised.value)
    assert str(raised.value).startswith("evaluate_voc: ")
