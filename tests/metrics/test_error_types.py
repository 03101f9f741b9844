"""The types of errors: an example of each, a loop written from the definition, the oracles, and TIDE's own counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.data import read_coco, read_coco_results
from refdet.metrics import Detections, GroundTruths, coco_box_iou, evaluate_coco
from refdet.metrics.error_types import ERRORS, OUTCOMES, ErrorTypes, error_types
from tests.metrics.coco_data_sets import data_set
from tests.real_data import real

CAT, DOG = 3, 5


def truths(*rows: tuple[int, list[float]], crowd: tuple[int, ...] = (), image: int = 1) -> GroundTruths:
    """Return objects (category, box) of one image."""
    categories, boxes = [c for c, _ in rows], np.array([box for _, box in rows], float).reshape(-1, 4)
    n, areas = len(rows), boxes[:, 2] * boxes[:, 3]
    is_crowd = np.isin(np.arange(n), crowd)
    return GroundTruths(np.arange(1, n + 1), np.full(n, image), np.array(categories, np.int64), boxes, areas, is_crowd)


def found(*rows: tuple[int, list[float]], scores: list[float] | None = None, image: int = 1) -> Detections:
    """Return detections (category, box) of one image, in descending order of score."""
    n = len(rows)
    given_scores = np.linspace(0.9, 0.5, n) if scores is None else np.array(scores)
    return Detections.of_boxes(
        np.full(n, image), np.array([c for c, _ in rows], np.int64), given_scores, [b for _, b in rows]
    )


def box(x: float, width: float = 10) -> list[float]:
    """Return a box of height 10, so that overlaps can be seen from x and width."""
    return [x, 0, width, 10]


def names(errors: ErrorTypes) -> list[str]:
    return [OUTCOMES[i] for i in errors.outcomes]


def types(ground_truths: GroundTruths, detections: Detections, **options: Any) -> ErrorTypes:
    return error_types(ground_truths, detections, category_ids=[CAT, DOG], **options)


class TestTypes:
    """One image with a cat at 0 and a dog at 100, both 10 wide."""

    objects = truths((CAT, box(0)), (DOG, box(100)))

    @pytest.mark.parametrize(
        ("category", "where", "name"),
        [
            (CAT, box(0), "correct"),
            (CAT, box(0, 5), "correct"),  # overlap 5/10, just enough
            (CAT, box(5), "localisation"),  # 5/15
            (CAT, box(0, 1), "localisation"),  # 1/10, just enough
            (CAT, box(9.5), "background"),  # 0.5/19.5
            (CAT, box(100), "classification"),
            (CAT, box(100, 5), "classification"),
            (CAT, box(105), "both"),  # 5/15 with the dog
            (CAT, box(100, 1), "background"),  # 1/10 with the dog: not above
            (CAT, box(50), "background"),
        ],
    )
    def test_one_detection(self, category: int, where: list[float], name: str) -> None:
        assert names(types(self.objects, found((category, where)))) == [name]

    def test_duplicate(self) -> None:
        errors = types(self.objects, found((CAT, box(0)), (CAT, box(0)), (CAT, box(0, 5)), (CAT, box(5))))
        assert names(errors) == ["correct", "duplicate", "duplicate", "localisation"]

    def test_localisation_comes_before_classification(self) -> None:
        """A cat beside a dog: the detection of a cat overlaps the dog more, but its own class somewhat."""
        objects = truths((CAT, box(0)), (DOG, box(6)))
        assert names(types(objects, found((CAT, box(6))))) == ["localisation"]  # 4/16 with the cat

    def test_what_is_missed(self) -> None:
        """Neither an object whose detection is badly placed, nor one that is taken for another class."""
        assert types(self.objects, found((CAT, box(5)), (CAT, box(100)))).counts["missed"] == 0
        assert types(self.objects, found((CAT, box(50)), (CAT, box(105)))).is_missed.tolist() == [True, True]

    def test_a_classification_that_misses_nobody(self) -> None:
        """The dog has been found as well: the error about it does not make it missed, nor is there one to find."""
        errors = types(self.objects, found((DOG, box(100)), (CAT, box(100))))
        assert names(errors) == ["correct", "classification"]
        assert errors.is_missed.tolist() == [True, False]

    def test_crowds_are_no_objects(self) -> None:
        objects = truths((CAT, box(0, 50)), (DOG, box(100)), crowd=(0,))
        errors = types(objects, found((CAT, box(10)), (CAT, box(20)), (DOG, box(10))))
        assert names(errors) == ["ignored", "ignored", "background"]
        assert errors.is_missed.tolist() == [False, True]

    def test_objects_that_need_not_be_found(self) -> None:
        errors = types(self.objects, found((CAT, box(0)), (CAT, box(0))), ignored=np.array([True, False]))
        assert names(errors) == ["ignored", "background"]  # only a crowd is matched twice
        assert errors.counts["missed"] == 1

    def test_only_the_best_detections_are_looked_at(self) -> None:
        errors = types(self.objects, found((CAT, box(50)), (CAT, box(0)), (DOG, box(100))), max_detections=1)
        assert errors.outcomes.tolist() == [OUTCOMES.index("background"), -1, OUTCOMES.index("correct")]
        assert errors.is_missed.tolist() == [True, False]

    def test_other_images_do_not_matter(self) -> None:
        assert names(types(self.objects, found((CAT, box(0)), image=2))) == ["background"]


class TestCosts:
    """Mean precision of 101 recalls, by hand."""

    three = truths((CAT, box(0)), (CAT, box(20)), (CAT, box(40)))

    def test_deck_001(self) -> None:
        """T T F F T of three objects: precision 1 at 67 recalls, 3/5 at 34; without one F 3/4 there."""
        rows = [(CAT, box(0)), (CAT, box(20)), (CAT, box(0)), (CAT, box(80)), (CAT, box(40))]
        errors = types(self.three, found(*rows))
        assert names(errors) == ["correct", "correct", "duplicate", "background", "correct"]
        assert errors.average_precision == pytest.approx((67 + 34 * 3 / 5) / 101)
        assert errors.average_precision == pytest.approx(0.865347, abs=1e-6)
        for name in ("duplicate", "background"):
            assert errors.costs[name] == pytest.approx(34 * (3 / 4 - 3 / 5) / 101)
        assert errors.costs["false positives"] == pytest.approx(34 * (1 - 3 / 5) / 101)
        assert errors.costs["missed"] == errors.costs["false negatives"] == 0

    def test_missed(self) -> None:
        """One of three found: precision 1 up to recall 1/3, 34 of 101; of one object all."""
        errors = types(self.three, found((CAT, box(0))))
        assert errors.average_precision == pytest.approx(34 / 101)
        assert errors.costs["missed"] == errors.costs["false negatives"] == pytest.approx(67 / 101)

    def test_the_best_error_about_an_object_is_corrected(self) -> None:
        """Two of them about one object, and one about an object that is found: the others are dropped."""
        rows = [(CAT, box(0)), (CAT, box(26)), (CAT, box(25)), (CAT, box(6)), (CAT, box(40))]
        errors = types(self.three, found(*rows))
        assert names(errors) == ["correct", "localisation", "localisation", "localisation", "correct"]
        assert errors.average_precision + errors.costs["localisation"] == pytest.approx(1)
        # the third is no more than a localisation itself, so that nothing is missed
        assert errors.counts["missed"] == 0
        assert errors.costs["false negatives"] > 0 == errors.costs["missed"]

    def test_a_corrected_class_counts_for_the_class_of_the_object(self) -> None:
        """The dog, of which there is one, is taken for a cat: the dogs' AP is 0 until the class is right."""
        objects = truths((CAT, box(0)), (DOG, box(100)))
        errors = types(objects, found((CAT, box(100)), (CAT, box(0))))
        assert errors.average_precision == pytest.approx((1 / 2 + 0) / 2)
        assert errors.costs["classification"] == pytest.approx(1 - 1 / 4)
        assert errors.costs["false positives"] == pytest.approx((1 + 0) / 2 - 1 / 4)

    def test_a_class_of_which_everything_is_missed_stays_in_the_mean(self) -> None:
        errors = types(truths((CAT, box(0)), (DOG, box(100))), found((CAT, box(0))))
        assert errors.average_precision == pytest.approx(1 / 2)
        assert errors.costs["missed"] == errors.costs["false negatives"] == 0

    @pytest.mark.parametrize("n", [0, 2])
    def test_without_objects(self, n: int) -> None:
        errors = types(truths(), found(*[(CAT, box(0))] * n))
        assert errors.counts == {name: n if name == "background" else 0 for name in ERRORS}
        assert np.isnan([errors.average_precision, *errors.costs.values()]).all()

    def test_without_detections(self) -> None:
        errors = types(self.three, found())
        assert errors.counts == {name: 3 if name == "missed" else 0 for name in ERRORS}
        assert errors.average_precision == 0
        assert set(errors.costs.values()) == {0.0}


def by_the_definition(data: Any, t_f: float, t_b: float) -> tuple[list[str], list[bool]]:
    """Return the outcomes and what is missed, by loops over one image after the other."""
    g, d = data.ground_truths, data.detections
    outcomes, missed = ["" for _ in range(len(d))], [not crowd for crowd in g.is_crowd]
    for image in set(d.image_ids.tolist()):
        iou = np.array(coco_box_iou(d.boxes_xywh, g.boxes_xywh, g.is_crowd))
        here = [j for j in range(len(g)) if g.image_ids[j] == image]
        objects = [j for j in here if not g.is_crowd[j]]
        taken: set[int] = set()
        for i in sorted((i for i in range(len(d)) if d.image_ids[i] == image), key=lambda i: -d.scores[i]):
            own = [j for j in objects if g.category_ids[j] == d.category_ids[i]]
            others = [j for j in objects if g.category_ids[j] != d.category_ids[i]]
            crowds = [j for j in here if g.is_crowd[j] and g.category_ids[j] == d.category_ids[i]]
            free = [j for j in own if j not in taken and iou[i, j] >= t_f]
            if free:
                taken.add(max(free, key=lambda j: (iou[i, j], j)))  # of equals the last
                outcomes[i] = "correct"
                continue
            if any(iou[i, j] >= t_f for j in crowds):
                outcomes[i] = "ignored"
                continue
            s, o = (max((iou[i, j] for j in group), default=0.0) for group in (own, others))
            if t_b <= s < t_f:
                outcomes[i] = "localisation"
                missed[next(j for j in own if iou[i, j] == s)] = False
            elif o >= t_f:
                outcomes[i] = "classification"
                missed[next(j for j in others if iou[i, j] == o)] = False
            elif s >= t_f:
                outcomes[i] = "duplicate"
            else:
                outcomes[i] = "background" if max(s, o) <= t_b else "both"
        for j in taken:
            missed[j] = False
    return outcomes, missed


@settings(max_examples=200)  # errors of classification are rare in them
@given(st.integers(0, 2**32))
def test_any_data_set(seed: int) -> None:
    data = data_set(np.random.default_rng(seed), "bbox")
    before = data.detections.scores.copy(), data.ground_truths.boxes_xywh.copy()
    errors = error_types(data.ground_truths, data.detections, category_ids=data.category_ids)
    outcomes, missed = by_the_definition(data, 0.5, 0.1)
    assert names(errors) == outcomes
    assert errors.is_missed.tolist() == missed
    evaluation = evaluate_coco(
        data.ground_truths, data.detections, image_ids=data.image_ids, category_ids=data.category_ids
    )
    ap = evaluation.stats["AP50"]
    if ap == -1:
        assert np.isnan(errors.average_precision)
    else:
        assert errors.average_precision == pytest.approx(ap, abs=1e-12)
        assert min(errors.costs.values()) > -1e-12
    assert np.array_equal(before[0], data.detections.scores)
    assert np.array_equal(before[1], data.ground_truths.boxes_xywh)


@pytest.mark.real
@pytest.mark.parametrize(
    ("kind", "counts", "ap"),
    [("bbox", (83, 1, 0, 1, 0, 97), 0.696973), ("segm", (76, 82, 7, 0, 4, 109), 0.562288)],
)
def test_counts_of_tide(kind: str, counts: tuple[int, ...], ap: float) -> None:
    """What tidecv 1.0.1 counts on the same files without their crowds; none of the nine changes anything here."""
    folder = real("coco")
    dataset = read_coco(folder / "instances_val2014_100.json", masks=kind == "segm")
    detections = read_coco_results(folder / f"instances_val2014_fake{kind}100_results.json", dataset, kind=kind)
    errors = error_types(dataset.ground_truths, detections, category_ids=dataset.task.category_ids, kind=kind)
    assert tuple(errors.counts[name] for name in ERRORS) == counts
    assert errors.average_precision == pytest.approx(ap, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "box"}, "error_types: kind must be one of"),
        ({"threshold": 1.5}, "error_types: threshold must lie in"),
        ({"background_threshold": 0.6}, "error_types: background_threshold must lie in"),
        ({"background_threshold": 0}, "error_types: background_threshold must be above 0"),
        ({"ignored": np.zeros(2, bool)}, r"error_types: ignored must be one boolean for each of 1 .* shape \(2,\)"),
        ({"ignored": np.zeros(1, int)}, "error_types: ignored must be one boolean for each of 1 .* int64"),
        ({"category_ids": [CAT, CAT]}, "error_types: category_ids must be different, got 3 more than once"),
        ({"category_ids": [CAT, 2**63]}, "error_types: category_ids must fit into int64, got 9223372036854775808"),
        ({"max_detections": 0}, "error_types: max_detections must be at least 1, got 0"),
        ({"max_detections": -1}, "error_types: max_detections must be at least 1, got -1"),
        ({"category_ids": [DOG]}, "error_types: ground_truths row 0 has category_id 3, which is not among the 1"),
    ],
)
def test_bad_input(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        error_types(truths((CAT, box(0))), found((CAT, box(0))), **{"category_ids": [CAT, DOG], **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_detections": np.nan}, "error_types: max_detections must be an integer, got nan"),
        ({"max_detections": True}, "error_types: max_detections must be an integer, got True"),
        ({"max_detections": 1.5}, r"error_types: max_detections must be an integer, got 1\.5"),
        ({"category_ids": [CAT, 3.7]}, r"error_types: category_ids must hold integers, got \[3, 3\.7\]"),
        ({"category_ids": ["3"]}, r"error_types: category_ids must hold integers, got \['3'\]"),
        ({"category_ids": CAT}, "error_types: category_ids must be a sequence, got 3"),
        ({"ignored": [False]}, "error_types: ignored must be an array, got list"),
    ],
)
def test_settings_of_another_type(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        error_types(truths((CAT, box(0))), found((CAT, box(0))), **{"category_ids": [CAT, DOG], **options})


def test_records_in_the_place_of_others() -> None:
    objects, detections = truths((CAT, box(0))), found((CAT, box(0)))
    with pytest.raises(TypeError, match="error_types: ground_truths must be GroundTruths, got Detections"):
        error_types(detections, objects, category_ids=[CAT])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="error_types: detections must be Detections, got GroundTruths"):
        error_types(objects, objects, category_ids=[CAT])  # type: ignore[arg-type]


def test_keypoints_are_compared_by_their_similarity() -> None:
    """Persons without labelled keypoints need not be found."""
    points: Array = np.array([[[10, 10, 2]] * 17, [[50, 50, 0]] * 17], float)
    ids, ones, boxes = np.array([1, 2]), np.array([1, 1]), np.array([box(0), box(40)])
    persons = GroundTruths(ids, ones, ones, boxes, np.array([100.0, 100]), ones == 0, keypoints=points)
    poses = Detections.of_keypoints(ones, ones, [0.9, 0.8], [points[0], points[0] + 30])
    errors = error_types(persons, poses, category_ids=[1], kind="keypoints")
    assert names(errors) == ["correct", "background"]
    assert errors.counts["missed"] == 0
