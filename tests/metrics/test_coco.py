"""evaluate_coco: data sets small enough to be worked out by hand, one per convention; and bad input."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from refdet.masks.rle import RLE, rle_encode
from refdet.masks.rle_iou import rle_iou
from refdet.metrics.coco import evaluate_coco
from refdet.metrics.coco_evaluation import CocoEvaluation
from refdet.metrics.coco_match import COCO_THRESHOLDS
from refdet.metrics.coco_settings import COCO_RECALLS
from refdet.metrics.coco_similarity import mask_similarity
from refdet.metrics.records import Detections, GroundTruths

Box = tuple[float, float, float, float]
STATISTICS = ["AP", "AP50", "AP75", "AP-small", "AP-medium", "AP-large"]
STATISTICS += ["AR1", "AR10", "AR100", "AR-small", "AR-medium", "AR-large"]
STATISTICS_OF_KEYPOINTS = ["AP", "AP50", "AP75", "AP-medium", "AP-large"]
STATISTICS_OF_KEYPOINTS += ["AR", "AR50", "AR75", "AR-medium", "AR-large"]


def truths_at(*boxes: Box, images: Any = None, ids: Any = None, crowd: Any = None, areas: Any = None) -> GroundTruths:
    """Return annotations of category 1, in image 1 unless said otherwise."""
    n = len(boxes)
    columns = np.array(boxes, np.float64).reshape(-1, 4)
    return GroundTruths(
        np.arange(1, n + 1) if ids is None else np.array(ids),
        np.ones(n, int) if images is None else np.array(images),
        np.ones(n, int),
        columns,
        columns[:, 2] * columns[:, 3] if areas is None else np.array(areas),
        np.zeros(n, bool) if crowd is None else np.array(crowd),
    )


def detected(*boxes: Box, scores: Any, images: Any = None, categories: Any = None) -> Detections:
    """Return boxes of category 1, in image 1 unless said otherwise."""
    ones = np.ones(len(boxes), int)
    return Detections.of_boxes(
        ones if images is None else images, ones if categories is None else categories, scores, list(boxes)
    )


def run(truths: GroundTruths, found: Detections, **options: Any) -> CocoEvaluation:
    return evaluate_coco(truths, found, **{"image_ids": (1, 2, 3), "category_ids": (1,), **options})


def square(place: float, side: float = 20) -> Box:
    """Return a square of its own at a place."""
    return (100 * place, 0, side, side)


SEQUENCE = [0, 1, 8, 9, 2]  # right, right, wrong, wrong, right


def right_right_wrong_wrong_right(**ids: Any) -> tuple[GroundTruths, Detections]:
    found = detected(*(square(place) for place in SEQUENCE), scores=[0.9, 0.8, 0.7, 0.6, 0.5])
    return truths_at(square(0), square(1), square(2), **ids), found


def test_five_detections_of_three_objects() -> None:
    """Precision 1 up to recall 2/3, that is at 67 recalls; then 3/5 at 34: 87.4/101, at every threshold."""
    evaluation = run(*right_right_wrong_wrong_right())
    assert evaluation.stats["AP"] == pytest.approx(0.865347, abs=1e-6)
    assert evaluation.stats["AP50"] == evaluation.stats["AP75"] == pytest.approx(0.865347, abs=1e-6)
    assert evaluation.stats["AR100"] == 1
    assert evaluation.stats["AR1"] == pytest.approx(1 / 3)
    np.testing.assert_allclose(evaluation.precision[0, :, 0, 0, 2], [1] * 67 + [0.6] * 34)
    np.testing.assert_array_equal(
        evaluation.scores[0, [0, 33, 34, 66, 67, 100], 0, 0, 2], [0.9, 0.9, 0.8, 0.8, 0.5, 0.5]
    )


def test_precision_of_one_of_one() -> None:
    """1 / (1 + 2⁻⁵²) rounds to 1 − 2⁻⁵²."""
    evaluation = run(truths_at(square(0)), detected(square(0), scores=[0.9]))
    assert np.unique(evaluation.precision[..., 0, 0, 2]).tolist() == [1 - 2.0**-52]


def test_what_is_printed() -> None:
    evaluation = run(*right_right_wrong_wrong_right(), category_ids=(1, 7))
    assert str(evaluation).splitlines() == [
        "CocoEvaluation(bbox, 2 categories)",
        "    AP 0.865, AP50 0.865, AP75 0.865, AP-small 0.865, AP-medium -1.000, AP-large -1.000",
        "    AR1 0.333, AR10 1.000, AR100 1.000, AR-small 1.000, AR-medium -1.000, AR-large -1.000",
        "    AP by category id: 1 0.865, 7 -1.000",
    ]
    evaluation = run(*right_right_wrong_wrong_right(), category_ids=range(1, 91))
    assert len(str(evaluation).splitlines()) < 8
    assert str(evaluation).endswith("20 -1.000, and 70 more")
    assert len(str(run(truths_at(), detected(scores=[]), category_ids=())).splitlines()) == 3


def test_the_signature_can_be_read() -> None:
    """No default is a list of numbers; None means COCO's."""
    assert evaluate_coco.__name__ == "evaluate_coco"
    assert all(
        p.default in (inspect.Parameter.empty, None) or isinstance(p.default, str)
        for p in inspect.signature(evaluate_coco).parameters.values()
    )
    evaluation = run(*right_right_wrong_wrong_right())
    assert evaluation.iou_thresholds == COCO_THRESHOLDS
    assert evaluation.recall_thresholds == COCO_RECALLS


def test_names_and_settings() -> None:
    evaluation = run(*right_right_wrong_wrong_right())
    assert list(evaluation.stats) == STATISTICS
    assert evaluation.precision.shape == evaluation.scores.shape == (10, 101, 1, 4, 3)
    assert evaluation.recall.shape == (10, 1, 4, 3)
    assert evaluation.max_detections == (1, 10, 100)
    assert list(evaluation.areas) == ["all", "small", "medium", "large"]


def test_recalls_are_those_of_linspace() -> None:
    """Not k/100, from which these differ in the last bit."""
    different = [k for k, r in enumerate(COCO_RECALLS) if r != k / 100]
    assert different == [35, 41, 47, 57, 69, 70, 82, 83, 94, 95]


def test_the_annotation_of_id_zero() -> None:
    """An id like any other; in pycocotools its match counts for none: F T F F T, 1/2 at 34 recalls and 2/5 at 33."""
    data = right_right_wrong_wrong_right(ids=[0, 1, 2])
    assert run(*data).stats["AP"] == pytest.approx(0.865347, abs=1e-6)
    assert run(*data, convention="pycocotools").stats["AP"] == pytest.approx(0.299010, abs=1e-6)
    data = right_right_wrong_wrong_right(ids=[1, 2, 3])
    assert run(*data, convention="pycocotools").stats["AP"] == pytest.approx(0.865347, abs=1e-6)


def test_detections_in_a_crowd_are_ignored() -> None:
    """Two lie in the crowd; one is wrong; one is right: precision 1/2 at every recall."""
    truths = truths_at(square(0), (200, 0, 200, 200), crowd=[False, True])
    found = detected((210, 0, 20, 20), (250, 50, 40, 40), square(9), square(0), scores=[0.9, 0.8, 0.7, 0.5])
    assert run(truths, found).stats["AP"] == pytest.approx(0.5)


def test_a_taken_object_leaves_the_next_best() -> None:
    """The second overlaps the first object better, 9/11, which is taken; of the second it has 2/3."""
    truths = truths_at((0, 0, 100, 100), (30, 0, 100, 100))
    found = detected((0, 0, 100, 100), (10, 0, 100, 100), scores=[0.9, 0.8])
    assert run(truths, found).stats["AP50"] == pytest.approx(1)
    assert run(truths, found).stats["AR100"] == pytest.approx((4 * 2 + 6 * 1) / 20)  # 0.5 to 0.65 both; above, one


def test_an_iou_of_one_half_is_enough() -> None:
    found = detected((0, 0, 20, 10), scores=[0.9])
    evaluation = run(truths_at((0, 0, 20, 20)), found)
    assert evaluation.stats["AP50"] == pytest.approx(1)
    assert evaluation.recall[:, 0, 0, 2].tolist() == [1] + [0] * 9


def test_ranges_of_area_are_closed() -> None:
    """32² is small and medium, 96² medium and large; the column decides, not the box."""
    truths = truths_at(square(0), square(1), areas=[32**2, 96**2])
    evaluation = run(truths, detected(square(0), scores=[0.9]))
    assert [evaluation.stats[f"AR-{name}"] for name in ("small", "medium", "large")] == [1, 0.5, 0]
    assert run(truths_at(square(0), areas=[32**2 + 0.5]), detected(square(0), scores=[0.9])).stats["AR-small"] == -1


def test_detections_outside_of_the_range_are_ignored_if_they_match_nothing() -> None:
    """A small object is found by a small box after a wrong large one, which counts for "all" alone."""
    found = detected((500, 0, 200, 200), square(0), scores=[0.9, 0.8])
    stats = run(truths_at(square(0)), found).stats
    assert [stats["AP"], stats["AP-small"]] == pytest.approx([0.5, 1])
    # matched to an object that the range ignores, it is ignored; a wrong one inside the range is not
    found = detected(square(1, 40), square(5), square(0), scores=[0.9, 0.8, 0.7])
    stats = run(truths_at(square(0), square(1, 40)), found).stats
    assert [stats["AP-small"], stats["AP-medium"]] == pytest.approx([0.5, 1])


def test_equal_scores_keep_the_order_of_images_then_rows() -> None:
    """Four detections of one score, right in image 2 alone; in order of images it is the third."""
    truths = truths_at(square(0), images=[2])
    boxes = (square(0), square(8), square(8), square(8))
    found = detected(*boxes, scores=[0.5] * 4, images=[2, 3, 1, 1])
    assert run(truths, found).stats["AP"] == pytest.approx(1 / 3)
    assert run(truths, found, image_ids=(3, 2, 1)).stats["AP"] == pytest.approx(1 / 3)
    found = detected(square(8), square(0), scores=[0.5] * 2, images=[2, 2])
    assert run(truths, found).stats["AP"] == pytest.approx(1 / 2)
    assert run(truths, found, max_detections=(1, 2)).stats["AR1"] == 0


def test_only_the_best_detections_count() -> None:
    """The right one is the third best of its image and category."""
    found = detected(square(7), square(8), square(0), square(9), scores=[0.9, 0.8, 0.7, 0.95], images=[1, 1, 1, 2])
    stats = run(truths_at(square(0)), found, max_detections=(3, 2)).stats
    assert [stats["AR2"], stats["AR3"], stats["AP"]] == pytest.approx([0, 1, 1 / 4])
    assert run(truths_at(square(0)), found, max_detections=(2,)).stats["AP"] == 0


def test_images_without_anything_change_nothing() -> None:
    data = right_right_wrong_wrong_right()
    np.testing.assert_array_equal(run(*data).precision, run(*data, image_ids=range(-5, 50)).precision)


def test_categories() -> None:
    """One is found, one is not, one has nothing to find: the mean is over two."""
    truths = truths_at(square(0), square(1))
    truths = GroundTruths(
        truths.ids, truths.image_ids, np.array([4, 9]), truths.boxes_xywh, truths.areas, truths.is_crowd
    )
    found = detected(square(0), square(3), scores=[0.9, 0.9], categories=[4, 6])
    evaluation = run(truths, found, category_ids=(9, 6, 4))
    assert evaluation.category_ids == (4, 6, 9)
    assert evaluation.stats["AP"] == pytest.approx(0.5)
    classes = evaluation.per_class()
    assert [classes[c]["AP"] for c in (4, 6, 9)] == [pytest.approx(1), -1, 0]
    assert set(classes[6].values()) == {-1}
    assert list(classes[4]) == STATISTICS


def test_only_a_crowd_is_nothing_to_find() -> None:
    evaluation = run(truths_at(square(0), crowd=[True]), detected(square(0), scores=[0.9]))
    assert set(evaluation.stats.values()) == {-1}
    assert (evaluation.precision == -1).all()
    assert (evaluation.scores == -1).all()


def test_recalls_in_any_order() -> None:
    """A recall that is not reached does not keep the others from being read."""
    truths, found = truths_at(square(0), square(1)), detected(square(0), scores=[0.9])
    evaluation = run(truths, found, recall_thresholds=(1.0, 0.5, 0.0))
    np.testing.assert_allclose(evaluation.precision[0, :, 0, 0, 2], [0, 1, 1])
    np.testing.assert_array_equal(evaluation.scores[0, :, 0, 0, 2], [0, 0.9, 0.9])


def test_nothing_detected() -> None:
    stats = run(truths_at(square(0)), detected(scores=[])).stats
    assert (stats["AP"], stats["AR100"], stats["AP-small"], stats["AP-large"]) == (0, 0, 0, -1)


def test_nothing_at_all() -> None:
    evaluation = run(truths_at(), detected(scores=[]))
    assert set(evaluation.stats.values()) == {-1}
    evaluation = run(truths_at(), detected(scores=[]), image_ids=(), category_ids=())
    assert evaluation.precision.shape == (10, 101, 0, 4, 3)
    assert set(evaluation.stats.values()) == {-1}
    assert evaluation.per_class() == {}


def test_other_thresholds_and_ranges() -> None:
    evaluation = run(
        *right_right_wrong_wrong_right(),
        iou_thresholds=(0.3, 0.5),
        recall_thresholds=(0.5, 1.0),
        areas={"every": (0, 1e4), "tiny": (0, 400)},
        max_detections=(4,),
    )
    np.testing.assert_allclose(evaluation.precision[..., 0, 0, 0], [[1, 0], [1, 0]])
    assert evaluation.stats == {
        "AP": pytest.approx(0.5),
        "AP50": pytest.approx(0.5),
        "AP75": -1,
        "AP-tiny": pytest.approx(0.5),
        "AR4": pytest.approx(2 / 3),
        "AR-tiny": pytest.approx(2 / 3),
    }


def mask(columns: slice) -> RLE:
    """Return some columns of 8 × 10."""
    pixels = np.zeros((8, 10), bool)
    pixels[:, columns] = True
    return rle_encode(pixels)


def with_masks(records: Any, *masks: RLE) -> Any:
    return type(records)(**{**vars(records), "masks": masks})


def test_masks() -> None:
    """Four of six columns, 2/3, are enough for the thresholds 0.5 to 0.65; the boxes say otherwise."""
    truths = with_masks(truths_at((0, 0, 1, 1)), mask(slice(0, 6)))
    found = Detections.of_masks([1], [1], [0.9], [mask(slice(0, 4))])
    evaluation = run(truths, found, kind="segm")
    assert evaluation.stats["AR100"] == pytest.approx(0.4)
    assert list(evaluation.stats) == STATISTICS
    assert run(truths, found).stats["AR100"] == 0


def test_keypoints() -> None:
    """Of two persons one has no labels: the detection that matches her is ignored, and small is no range."""
    points = np.full((2, 17, 3), 2.0)
    points[1, :, :2] += 500
    points[1, :, 2] = 0
    columns = vars(truths_at((0, 0, 40, 40), (480, 480, 40, 40)))
    truths = GroundTruths(**{**columns, "keypoints": points})
    found = Detections.of_keypoints([1, 1, 1], [1, 1, 1], [0.9, 0.8, 0.7], [points[1], points[0] + 900, points[0]])
    evaluation = run(truths, found, kind="keypoints")
    assert list(evaluation.stats) == STATISTICS_OF_KEYPOINTS
    assert evaluation.max_detections == (20,)
    assert evaluation.stats["AP"] == pytest.approx(0.5)
    assert evaluation.stats["AP-large"] == -1
    # said to have labels, she counts, and the similarity with her box is 1
    labelled = GroundTruths(**{**vars(truths), "n_keypoints": np.array([17, 1])})
    assert run(labelled, found, kind="keypoints").stats["AR"] == 1
    assert run(labelled, found, kind="keypoints").stats["AP"] == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)


def test_progress() -> None:
    calls: list[tuple[int, int]] = []
    truths = truths_at(square(0), square(0), square(1), images=[1, 2, 2])
    run(truths, detected(square(0), square(0), scores=[0.9, 0.8], images=[1, 2]), progress=lambda *n: calls.append(n))
    assert calls == [(1, 2), (2, 2)]


def test_many_problems_of_many_sizes() -> None:
    """Every object is found by the best of its detections, whatever shares a batch with it."""
    rng = np.random.default_rng(2)
    images = np.repeat(np.arange(200), rng.integers(0, 9, 200))
    place = np.arange(len(images))
    truths = truths_at(*(square(p) for p in place.tolist()), images=images)
    again = rng.permutation(np.repeat(place, 3))
    found = detected(*(square(p) for p in again.tolist()), scores=rng.random(len(again)), images=images[again])
    evaluation = run(truths, found, image_ids=range(200))
    assert set(evaluation.recall[:, 0, 0, 2].tolist()) == {1.0}
    # a duplicate is wrong: as many right as wrong ones before the last object, and twice as many behind
    assert 1 / 3 <= evaluation.precision[0, -1, 0, 0, 2] < 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kind": "boxes"}, ValueError, r"kind must be one of 'bbox', 'segm', 'keypoints', got 'boxes'"),
        ({"kind": "segm"}, ValueError, r"kind 'segm' needs masks, and detections have none"),
        ({"kind": "keypoints"}, ValueError, r"kind 'keypoints' needs keypoints, and detections have none"),
        ({"convention": "coco"}, ValueError, r"convention must be one of 'ids-are-names', 'pycocotools', got 'coco'"),
        ({"category_ids": (2,)}, ValueError, r"ground_truths row 0 has category_id 1, which is not among the 1 of cat"),
        ({"image_ids": ()}, ValueError, r"ground_truths row 0 has image_id 1, which is not among the 0 of image_ids"),
        ({"image_ids": (1, 1)}, ValueError, r"image_ids must be different, got 1 more than once"),
        ({"image_ids": (1.5,)}, TypeError, r"image_ids must hold integers, got \[1.5\]"),
        ({"image_ids": 1}, TypeError, r"image_ids must be a sequence, got 1"),
        ({"image_ids": (1, 2**63)}, ValueError, r"image_ids must fit into int64, got 9223372036854775808"),
        ({"iou_thresholds": 0.5}, TypeError, r"iou_thresholds must be a sequence, got 0.5"),
        ({"iou_thresholds": (0.5, 1.5)}, ValueError, r"iou_thresholds must lie in \[0, 1\], got 1.5"),
        ({"recall_thresholds": (-0.1,)}, ValueError, r"recall_thresholds must lie in \[0, 1\], got -0.1"),
        ({"max_detections": ()}, ValueError, r"max_detections must hold at least one number"),
        ({"max_detections": (0,)}, ValueError, r"max_detections must be at least 1, got \[0\]"),
        ({"areas": {}}, ValueError, r"areas must hold at least one range"),
        ({"areas": {"all": (0, 1, 5)}}, ValueError, r"areas\['all'\] must be a pair \(low, high\), got \(0, 1, 5\)"),
        ({"areas": [(0, 1)]}, TypeError, r"areas must be a mapping of names to ranges, got list"),
        ({"areas": {"all": (5, 1)}}, ValueError, r"areas\['all'\] must lie in \[5, inf\), got 1"),
    ],
)
def test_bad_settings(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"evaluate_coco: {message}"):
        run(truths_at(square(0)), detected(square(0), scores=[0.5]), **options)


def test_records_in_the_wrong_place() -> None:
    truths, found = truths_at(square(0)), detected(square(0), scores=[0.5])
    with pytest.raises(TypeError, match=r"evaluate_coco: ground_truths must be GroundTruths, got Detections"):
        run(found, truths)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"evaluate_coco: detections must be Detections, got list"):
        run(truths, [])  # type: ignore[arg-type]


def test_detections_of_nothing_known_are_named() -> None:
    boxes = (square(0), square(1))
    with pytest.raises(
        ValueError, match=r"evaluate_coco: detections row 1 has image_id 9, which is not among the 3 of image"
    ):
        run(truths_at(square(0)), detected(*boxes, scores=[0.5, 0.4], images=[1, 9]))
    with pytest.raises(
        ValueError, match=r"evaluate_coco: detections row 0 has category_id 7, which is not among the 1 of c"
    ):
        run(truths_at(square(0)), detected(*boxes, scores=[0.5, 0.4], categories=[7, 1]))


def test_masks_of_several_sizes_are_named() -> None:
    truths = with_masks(truths_at(square(0)), mask(slice(0, 6)))
    found = Detections.of_masks([1], [1], [0.9], [RLE(np.array([12]), (3, 4))])
    with pytest.raises(
        ValueError, match=r"evaluate_coco: masks of image 1 differ in size \(H, W\): \(3, 4\) and \(8, 10\)"
    ):
        run(truths, found, kind="segm")


def test_masks_of_several_images_do_not_meet() -> None:
    """Masks of images of different sizes, some of them true up to the last pixel, compared together and one by one."""
    rng = np.random.default_rng(0)
    sizes = [(3, 4), (8, 10), (1, 5), (8, 10), (6, 2), (0, 3)]
    images = np.arange(len(sizes)).repeat(5)
    truth_masks, masks = ([rle_encode(rng.random(sizes[i]) < rng.choice([0.5, 0.9, 1])) for i in images] for _ in "ab")
    truths = truths_at(*[square(0)] * len(images), images=images, crowd=rng.random(len(images)) < 0.3)
    found = Detections.of_masks(images, np.ones_like(images), rng.random(len(images)), masks)
    similarity = mask_similarity("test", found, with_masks(truths, *truth_masks))
    rows = np.arange(len(images)).reshape(len(sizes), 5)
    rows[rng.random(rows.shape) < 0.3] = -1
    rows = -np.sort(-rows, axis=1)
    some = np.flatnonzero((rows >= 0).any(axis=1))
    for b, table in zip(some, similarity(rows[some], rows[some]), strict=True):
        n = np.count_nonzero(rows[b] >= 0)
        d, g = ([of_all[i] for i in rows[b, :n]] for of_all in (masks, truth_masks))
        np.testing.assert_array_equal(table[:n, :n], rle_iou(d, g, truths.is_crowd[rows[b, :n]]))
        assert (table[n:] == -1).all()
        assert (table[:, n:] == -1).all()


def test_keypoints_without_sigmas_are_named() -> None:
    columns = {**vars(truths_at(square(0))), "keypoints": np.zeros((1, 5, 3))}
    found = Detections.of_keypoints([1], [1], [0.9], np.zeros((1, 5, 3)))
    with pytest.raises(ValueError, match=r"evaluate_coco: detections have 5 keypoints, but there are 17 sigmas"):
        run(GroundTruths(**columns), found, kind="keypoints")
