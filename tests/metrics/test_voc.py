"""evaluate_voc: the deck's example from boxes to mAP, every convention, VOC's files, what counts, bad input."""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from refdet.cli.main import app
from refdet.data import VocAnnotation, VocResults, write_voc_annotation, write_voc_results
from refdet.metrics import voc
from refdet.metrics.records import Detections
from refdet.metrics.voc import CONVENTIONS, LabelledBoxes, ScoredBoxes, VocEvaluation, evaluate_voc
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
    ("convention", "half"),
    [("deck", 0), ("voc2007", 1), ("voc2010", 1), ("voc2012", 1), ("py-faster", 0), ("py-faster-2007", 0)],
)
def test_one_half_exactly(convention: str, half: float) -> None:
    """4/8, and half of 10 × 10 pixels: ≥ or >. And 36/81, which is not enough, and would be 50/100 with widths + 1."""
    for box, truth, ap in (
        ([0.0, 0, 4, 1], [0.0, 0, 8, 1], half),
        ([0.0, 0, 10, 5], [0.0, 0, 10, 10], half),
        ([0.0, 0, 9, 4], [0.0, 0, 9, 9], 0),
    ):
        detections, truths = scored((0, "a", 0.9, box)), labelled((0, "a", truth, False))
        evaluation = evaluate_voc(detections, truths, images=[0], classes=["a"], convention=convention)
        assert evaluation.mean_average_precision == pytest.approx(ap)


@example(seed=10, convention="voc2010")  # x2 − x1 would give another float in these two
@example(seed=647, convention="py-faster")
@given(seed=seeds, convention=st.sampled_from([name for name, c in CONVENTIONS.items() if c.offset]))
def test_overlaps_are_those_of_the_devkit_to_the_last_bit(seed: int, convention: str) -> None:
    """Its widths of the file's fractions, xmax − xmin + 1, with a threshold at its overlap and next to it."""
    rng = np.random.default_rng(seed)
    corners = 1 + 3 * rng.random((2, 2))
    in_file = np.concatenate([corners, corners + 9 * rng.random((2, 2))], axis=1)
    low, high = np.maximum(in_file[0, :2], in_file[1, :2]), np.minimum(in_file[0, 2:], in_file[1, 2:])
    inter = np.prod(np.maximum(high - low + 1, 0))
    areas = [np.prod(row[2:] - row[:2] + 1) for row in in_file]
    overlap = float(inter / (areas[0] + areas[1] - inter))
    if overlap == 0:
        return
    as_read = in_file - [1, 1, 0, 0]
    detections, truths = scored((0, "a", 0.9, as_read[0])), labelled((0, "a", as_read[1], False))
    options: dict[str, Any] = {"images": [0], "classes": ["a"], "convention": convention}
    for threshold, is_found in (
        (np.nextafter(overlap, 0), True),
        (overlap, CONVENTIONS[convention].comparison == ">="),
        (min(np.nextafter(overlap, 1), 1), False),
    ):
        if threshold != 1 or overlap != 1:
            evaluation = evaluate_voc(detections, truths, threshold=float(threshold), **options)
            assert evaluation.mean_average_precision == pytest.approx(float(is_found))


@given(seed=seeds, convention=st.sampled_from(list(CONVENTIONS)), n=st.integers(0, 30))
def test_against_the_definition(seed: int, convention: str, n: int) -> None:
    """Three classes in three images, with ties of scores and of overlaps: the oracles of the three steps, in turn."""
    comparison, candidates, offset, definition = CONVENTIONS[convention]
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 4, (n + 10, 2)).astype(np.float64)
    boxes = np.concatenate([corners, corners + rng.integers(1, 5, corners.shape)], axis=1)
    images, classes, scores = rng.integers(0, 3, n + 10), rng.integers(0, 3, n + 10), rng.integers(0, 5, n) / 4
    difficult = rng.random(10) < 0.3
    pixels = boxes - [0, 0, offset, offset]  # the first and the last where widths are + 1
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
            pixels[rows],
            images[rows],
            pixels[columns],
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
    """Of one side only, as `Sample` has float32 and the readers of results float64."""
    detections, truths = pretzels()
    objects = LabelledBoxes(truths.image_ids, truths.classes, truths.boxes.astype("f"))
    assert objects.boxes.dtype == np.float64
    evaluation = evaluate_voc(detections, objects, images=[1, 2], classes=["pretzel"])
    assert evaluation.mean_average_precision == pytest.approx(13 / 15)


def test_lists_and_read_only_copies() -> None:
    detections, truths = pretzels()
    boxes = detections.boxes.copy()
    listed = [column.tolist() for column in vars(detections).values()]
    objects = LabelledBoxes(*(column.tolist() for column in vars(truths).values()))
    evaluation = evaluate_voc(ScoredBoxes(*listed), objects, images=[1, 2], classes=["pretzel"], convention="voc2007")
    assert evaluation.mean_average_precision == pytest.approx(0.854545, abs=5e-7)
    np.testing.assert_array_equal(detections.boxes, boxes)
    with pytest.raises(ValueError, match="read-only"):
        detections.boxes[0] = 0
    assert len(detections.select(detections.scores > 0.6)) == 3
    assert LabelledBoxes(["a", "b"], [1, 1], [SQUARE, SQUARE], [0, 1]).difficult.tolist() == [False, True]  # type: ignore


def test_what_is_printed() -> None:
    detections, truths = pretzels()
    evaluation = evaluate_voc(detections, truths, images=[1, 2], classes=["pretzel", "nut"])
    assert str(evaluation).splitlines() == [
        "VocEvaluation(mean_average_precision=0.8667, 2 classes)",
        "    AP: pretzel 0.867, nut nan",
    ]
    assert repr(evaluation.by_class["nut"]) == (
        "ClassEvaluation(average_precision=nan, n_positive=0, curve of length 0)"
    )
    assert repr(evaluate_voc(scored(), labelled(), images=[], classes=[])) == (
        "VocEvaluation(mean_average_precision=nan, 0 classes)"
    )
    many = evaluate_voc(scored(), labelled(), images=[], classes=[f"traffic light {i}" for i in range(30)])
    lines = repr(many).splitlines()
    assert len(lines) < 10
    assert max(map(len, lines)) <= 100
    assert " ".join(repr(many).split()).endswith("traffic light 19 nan, and 10 more")
    assert all(line.count("traffic") == line.count("nan") for line in lines[1:])  # no entry is broken


@pytest.fixture
def voc_files(tmp_path: Path) -> Path:
    """Return a folder with VOC2007, of objects with and without fractions, and results near them, many at one half."""
    rng = np.random.default_rng(5)
    lists, annotations = tmp_path / "VOC2007" / "ImageSets" / "Main", tmp_path / "VOC2007" / "Annotations"
    for folder in (lists, annotations, tmp_path / "results"):
        folder.mkdir(parents=True)
    rows: dict[str, list[tuple[str, float, Array]]] = {"cat": [], "dog": []}
    for image_id in ("000001", "000002", "000003"):
        corners = np.concatenate([rng.integers(0, 60, (6, 2)), rng.integers(0, 480, (6, 2)) / 8])
        boxes = np.concatenate([corners, corners + rng.integers(2, 20, (12, 2)) * 2], axis=1)
        names = tuple(rng.choice(["cat", "dog"], 12).tolist())
        flags = rng.random((2, 12)) < 0.2
        write_voc_annotation(
            annotations / f"{image_id}.xml", VocAnnotation(image_id, "a.jpg", (100, 100), names, boxes, *flags)
        )
        for name, box in zip(names, boxes, strict=True):
            middle = (box[0] + box[2]) / 2
            for x2, y2 in ((middle, box[3]), (middle + 1, box[3]), (box[2] + 1, box[3] - 1)):
                rows[name].append((image_id, float(rng.random()), np.array([box[0], box[1], x2, y2])))
    (lists / "test.txt").write_text("000001\n000002\n000003\n")
    by_class = {
        name: VocResults(tuple(r[0] for r in found), np.array([r[1] for r in found]), np.array([r[2] for r in found]))
        for name, found in rows.items()
    }
    write_voc_results(tmp_path / "results", by_class)
    return tmp_path


def test_the_example_in_the_docstring_is_refdet_eval(voc_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On boxes as the readers give them the function and the command agree in every convention."""
    monkeypatch.chdir(voc_files)
    example = (inspect.getdoc(voc) or "").split("does it:\n\n")[1].split("\n\n")[0]
    figures = set()
    for convention in CONVENTIONS:
        names: dict[str, Any] = {"np": np}
        exec(textwrap.dedent(example).replace('convention="voc2007"', f"convention={convention!r}"), names)
        ours: VocEvaluation = names["evaluation"]
        arguments = ["eval", "VOC2007", "results", "--split", "test", "--convention", convention, "--json", "-"]
        report = json.loads(CliRunner().invoke(app, arguments).stdout)
        assert report["convention"] == convention
        assert report["stats"]["mAP"] == ours.mean_average_precision
        assert {c["name"]: c["stats"]["AP"] for c in report["per_class"]} == {
            name: c.average_precision for name, c in ours.by_class.items()
        }
        figures.add(ours.mean_average_precision)
    assert len(figures) > 3  # so that the conventions differ on these files


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
            "ScoredBoxes: scores of row 2 cannot be ranked: nan",
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
        ({"scores": ["a"] * 5}, {}, {}, TypeError, "ScoredBoxes: scores must hold numbers, got str"),
        ({"scores": np.ones((5, 1))}, {}, {}, ValueError, "ScoredBoxes: scores must have shape (rows), got (5, 1)"),
        ({"classes": [1.5] * 5}, {}, {}, TypeError, "ScoredBoxes: classes must hold integers or strings, got float64"),
        ({"classes": np.array(["pretzel"])}, {}, {}, ValueError, "ScoredBoxes: classes has 1 rows, image_ids 5"),
        ({"boxes": np.ones((4, 4))}, {}, {}, ValueError, "ScoredBoxes: boxes has 4 rows, image_ids 5"),
        ({}, {"boxes": np.ones((3, 5))}, {}, ValueError, "LabelledBoxes: boxes must have shape (rows, 4), got (3, 5)"),
        ({}, {"difficult": [True] * 2}, {}, ValueError, "LabelledBoxes: difficult has 2 rows, image_ids 3"),
        (
            {},
            {"difficult": [0, 1, 2]},
            {},
            ValueError,
            "LabelledBoxes: difficult of row 2 must be 0 or 1, or a boolean, got 2",
        ),
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
    of_columns = message.startswith(("ScoredBoxes: ", "LabelledBoxes: "))
    assert str(raised.value).startswith(message if of_columns else f"evaluate_voc: {message}")


def test_records_in_the_wrong_place() -> None:
    detections, truths = pretzels()
    of_coco = Detections.of_boxes([1], [1], [0.5], [SQUARE])
    options: dict[str, Any] = {"images": [1, 2], "classes": ["pretzel"]}
    with pytest.raises(TypeError, match="evaluate_voc: detections must be ScoredBoxes, got Detections"):
        evaluate_voc(of_coco, truths, **options)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="evaluate_voc: truths must be LabelledBoxes, got ScoredBoxes"):
        evaluate_voc(detections, detections, **options)  # type: ignore[arg-type]
