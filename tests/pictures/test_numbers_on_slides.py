"""What the pictures say is what the kernels compute."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.autograd import Tensor
from refdet.boxes.default_boxes import default_boxes, ssd300
from refdet.boxes.iou import box_iou
from refdet.boxes.nms import nms
from refdet.ops.roi_align import roi_align
from refdet.ops.roi_sampling import roi_sampling_points
from refdet.pictures import anchor_labels, average_precision, base_anchors, match_ssd, roi_crops, soft_nms
from refdet.pictures import default_boxes as default_boxes_picture
from refdet.pictures import nms as nms_picture
from refdet.pictures.slide import empty_slide, settings


class TestNms:
    def test_the_boxes_have_the_overlaps_of_the_deck(self) -> None:
        boxes = nms_picture.example_boxes()
        iou = box_iou(boxes, boxes)
        for pair, expected in nms_picture.DECK.items():
            one, other = map("ABCD".index, pair)
            assert iou[one, other] == pytest.approx(expected, abs=1e-12)

    def test_the_comparisons_of_the_deck(self) -> None:
        made = nms_picture.comparisons(nms_picture.example_boxes(), np.array(nms_picture.SCORES), 0.7)
        assert [(c.kept, c.other, round(c.iou, 2), c.suppresses) for c in made] == [
            (0, 1, 0.80, True),
            (0, 2, 0.03, False),
            (0, 3, 0.05, False),
            (2, 3, 0.85, True),
        ]

    def test_who_is_suppressed_is_not_kept(self) -> None:
        rng = np.random.default_rng(0)
        corners = rng.uniform(0, 50, (40, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(10, 40, (40, 2))], axis=1)
        scores = rng.integers(0, 9, 40) / 10  # with ties
        made = nms_picture.comparisons(boxes, scores, 0.4)
        kept = nms(boxes, scores, 0.4).tolist()
        suppressed = [c.other for c in made if c.suppresses]
        assert sorted(kept + suppressed) == list(range(40))
        assert {c.kept for c in made} <= set(kept)

    def test_it_is_written_on_the_slide(self) -> None:
        with settings():
            figure = empty_slide()
            nms_picture.draw_nms(figure)
        written = {text.get_text() for axes in figure.axes for text in axes.texts}
        assert {"0.80: B goes", "0.03: C stays", "0.05: D stays", "0.85: D goes"} <= written
        assert {"A  0.90", "B  0.80", "B: IoU 0.80\nwith A", "D: IoU 0.85\nwith C"} <= written


def test_soft_nms_by_hand() -> None:
    """A decays B, C decays D; Gaussian decays everything that overlaps, also by little."""
    assert soft_nms.scores_after("hard") == pytest.approx({0: 0.9, 2: 0.75})
    assert soft_nms.scores_after("linear") == pytest.approx({0: 0.9, 1: 0.8 * 0.2, 2: 0.75, 3: 0.7 * 0.15})
    gaussian = soft_nms.scores_after("gaussian")
    assert gaussian[2] == pytest.approx(0.75 * np.exp(-(0.03**2) / 0.5))
    assert 0.8 * np.exp(-(0.8**2) / 0.5) == pytest.approx(gaussian[1], rel=2e-3)  # D overlaps B as well, a little


class TestRoiCrops:
    def test_the_example_of_the_deck(self) -> None:
        example = roi_crops.point_example()
        assert example.pixels == [(6, 5), (7, 5), (6, 6), (7, 6)]
        assert example.values == [57, 58, 67, 68]
        assert [x * y for x, y in example.factors] == pytest.approx([0.1, 0.1, 0.4, 0.4])
        assert example.feature == pytest.approx(65.5)

    def test_the_weights_are_the_gradient(self) -> None:
        features = Tensor(roi_crops.MAP, requires_grad=True)
        (x, y), example = roi_crops.POINT, roi_crops.point_example()
        roi = np.array([[0, x - 0.5, y - 0.5, x + 0.5, y + 0.5]])
        roi_align(features, roi, 1, sampling_ratio=1, aligned=False).backward(np.ones((1, 1, 1, 1)))
        assert features.grad is not None
        weights = [features.grad[0, 0, row, column] for column, row in example.pixels]
        assert weights == pytest.approx([of_x * of_y for of_x, of_y in example.factors])

    def test_the_point_is_one_of_those_on_the_slide(self) -> None:
        y, x = roi_sampling_points(roi_crops.ROI, output_size=2, scale=roi_crops.SCALE)
        assert (x[-1, -1], y[-1, -1]) == pytest.approx(roi_crops.POINT)

    def test_the_bins(self) -> None:
        largest, mean = roi_crops.pooled()
        rows, columns = roi_crops.snapped_bins()
        assert (rows, columns) == ([slice(3, 6), slice(5, 8)], [slice(3, 6), slice(6, 9)])  # row 5 is in both
        assert largest.tolist() == [[roi_crops.MAP[0, 0, r, c].max() for c in columns] for r in rows]
        assert largest.tolist() == [[56, 59], [76, 79]]
        assert mean.ravel() == pytest.approx([40, 42.4, 58, 60.4])  # the ramp at the middle of each bin


class TestAveragePrecision:
    def test_the_three_values(self) -> None:
        values = [f"{average_precision.area(convention):.6f}" for convention in ("area", "voc2007", "coco101")]
        assert values == ["0.866667", "0.854545", "0.865347"]

    def test_the_points_of_the_deck(self) -> None:
        assert [point.caption for point in average_precision.curve()] == [
            "1: 1/1, 1/3",
            "2: 2/2, 2/3",
            "3: 2/3, 2/3",
            "4: 2/4, 2/3",
            "5: 3/5, 3/3",
        ]

    @pytest.mark.parametrize(("convention", "n"), [("voc2007", 11), ("coco101", 101)])
    def test_the_means_that_are_drawn(self, convention: str, n: int) -> None:
        expected = average_precision.area(convention)
        assert average_precision.envelope(np.linspace(0, 1, n)).mean() == pytest.approx(expected)
        formula = average_precision.sum_of_means(n)
        assert eval(formula.replace("·", "*")) == pytest.approx(expected), formula

    def test_the_area_that_is_drawn(self) -> None:
        formula = average_precision.sum_of_areas()
        assert formula == "2/3 · 1 + 1/3 · 0.6"
        assert eval(formula.replace("·", "*")) == pytest.approx(average_precision.area("area"))


class TestAnchors:
    @pytest.mark.parametrize(
        ("convention", "anchor", "width", "height"),
        [
            ("py-faster", [-84, -40, 99, 55], 184, 96),
            ("torchvision", [-91, -45, 91, 45], 182, 90),
            ("detectron2", [-90.51, -45.25, 90.51, 45.25], 181.02, 90.51),
        ],
    )
    def test_the_three_programs(self, convention: str, anchor: list[float], width: float, height: float) -> None:
        found = base_anchors.compared_anchor(convention)
        assert found[0] == pytest.approx(anchor, abs=5e-3)
        assert found[1:] == pytest.approx((width, height), abs=5e-3)

    @pytest.mark.parametrize("convention", base_anchors.PROGRAMS)
    def test_all_are_in_the_same_order(self, convention: str) -> None:
        anchors = base_anchors.nine_anchors(convention)
        w, h = anchors[..., 2] - anchors[..., 0], anchors[..., 3] - anchors[..., 1]
        assert np.sqrt(w * h) == pytest.approx(np.tile([[128], [256], [512]], 3), rel=0.05)
        assert h / w == pytest.approx(np.tile([0.5, 1, 2], (3, 1)), rel=0.06)

    def test_the_labels_of_the_scene(self) -> None:
        labelled = anchor_labels.labelled_anchors()
        assert sum(labelled.count(label) for label in (1, 0, -1)) == 12 * 16 * 9
        iou = box_iou(labelled.anchors.reshape(-1, 4), labelled.scene.boxes.astype(float))
        best_of_object = (iou == iou.max(axis=0)).any(axis=1).reshape(labelled.labels.shape)
        assert np.array_equal(labelled.labels == 1, (labelled.best >= 0.7) | best_of_object)
        assert np.array_equal(labelled.labels == 0, (labelled.best < 0.3) & ~best_of_object)
        assert np.array_equal(labelled.forced, best_of_object & (labelled.best < 0.7))

    def test_the_scene_shows_all_three_labels_at_one_position(self) -> None:
        labelled = anchor_labels.labelled_anchors()
        row, column = labelled.busiest_position()
        assert set(labelled.labels[row, column].ravel().tolist()) == {1, 0, -1}


class TestDefaultBoxes:
    def test_the_counts(self) -> None:
        assert default_boxes_picture.counts() == [
            (38, 4, 5776),
            (19, 6, 2166),
            (10, 6, 600),
            (5, 6, 150),
            (3, 4, 36),
            (1, 4, 4),
        ]

    def test_map_by_map_they_are_those_of_the_network(self) -> None:
        one_by_one = [default_boxes_picture.boxes_of_map(k).reshape(-1, 4) / 300 for k in range(6)]
        np.testing.assert_allclose(np.concatenate(one_by_one), default_boxes(**ssd300()), rtol=1e-14, atol=1e-15)


def test_one_rule_of_ssd_leaves_an_object_out() -> None:
    assert match_ssd.example_matches("caffe").tolist() == [0, 1, -1]
    assert match_ssd.example_matches("torchvision").tolist() == [1, -1, -1]
