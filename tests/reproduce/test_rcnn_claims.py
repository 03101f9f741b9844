"""The claims on the R-CNN family: what a record says, and which verdicts follow, by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from refdet.reproduce.paired import PairedDifference
from refdet.reproduce.rcnn_claims import CLAIMS, METHODS, Verdict, in_words, measured, summaries, verdicts
from tests.reproduce.rcnn_records import record, records


def judged(*of_seeds: dict[str, Any]) -> dict[str, Verdict]:
    return {verdict.claim.name: verdict for verdict in verdicts(records(*of_seeds))}


def test_what_a_record_says() -> None:
    found = record({"fast": 0.4, "faster": 0.3}, fast=0.7)
    assert measured(found, "fast", "mAP") == 0.7
    assert measured(found, "fast", "seconds") == 0.4
    assert measured(found, "fast", "with_proposals") == pytest.approx(0.45)
    assert measured(found, "faster", "with_proposals") == 0.3  # it has its own
    assert measured(found, "fast_svd", "fc_seconds") == 1.0
    assert measured(found, "rcnn", "seconds") is None
    del found["parts"]["timing"]
    assert measured(found, "fast", "seconds") is None
    assert measured({"parts": {}}, "fast", "mAP") is None


def test_times_are_compared_as_ratios() -> None:
    """30 and 20 times: their geometric mean is √600, and Student's t of one degree of freedom is 12.706."""
    verdict = judged(record({"rcnn_boxes": 3.0}), record({"rcnn_boxes": 2.0}))["fast_speed"]
    mean, low, high, n = verdict.difference
    assert n == 2
    assert math.exp(mean) == pytest.approx(math.sqrt(600))
    half = 12.706 * (math.log(30) - math.log(20)) / 2
    assert (low, high) == pytest.approx((mean - half, mean + half), rel=1e-4)
    assert not verdict.holds  # the mean is above 20 times, the interval is not


@pytest.mark.parametrize(("factor", "holds"), [(20.5, True), (19.5, False), (1.0, False)])
def test_twenty_times_faster(factor: float, holds: bool) -> None:
    verdict = judged(*[record({"rcnn_boxes": 0.1 * factor})] * 2)["fast_speed"]
    assert verdict.holds == holds
    assert in_words(verdict, verdict.difference.mean) == {20.5: "20.5 ×", 19.5: "19.5 ×", 1.0: "1.00 ×"}[factor]


def test_proposals_are_counted_where_that_is_claimed() -> None:
    """Fast R-CNN takes 0.1 s and the search 0.05 s; Faster R-CNN 0.12 s in all."""
    verdict = judged(*[record({"faster": 0.12})] * 2)["faster_speed"]
    assert math.exp(verdict.difference.mean) == pytest.approx(0.15 / 0.12)
    assert verdict.holds


@pytest.mark.parametrize(
    ("name", "shares", "holds"),
    [
        ("fast_accuracy", {}, True),  # no difference is not lower
        ("fast_accuracy", {"fast": 0.49}, False),
        ("faster_accuracy", {"faster": 0.51}, True),
        ("box_regression", {}, False),  # and no gain
        ("box_regression", {"rcnn_boxes": 0.51}, True),
        ("svd_accuracy", {"fast_svd": 0.491}, True),
        ("svd_accuracy", {"fast_svd": 0.489}, False),
        ("five_scales", {"spp_5": 0.5}, True),
        ("five_scales", {"spp_5": 0.4}, False),
        ("fine_tuning", {"rcnn_frozen": 0.6}, False),
        ("fine_tuning", {"rcnn_frozen": 0.4}, True),
    ],
)
def test_what_holds_where_seeds_agree(name: str, shares: dict[str, float], holds: bool) -> None:
    assert judged(*[record(None, (2.0, 1.0), **shares)] * 3)[name].holds == holds


def test_what_must_hold_surely_and_what_on_the_mean() -> None:
    """Differences of 1, 2 and 9 points: a mean of 4 and an interval from −6.8 on."""
    gains = (0.01, 0.02, 0.09)
    found = judged(*(record(rcnn_boxes=0.5 + gain, faster=0.5 + gain) for gain in gains))
    assert found["box_regression"].difference.low == pytest.approx(-0.0683, abs=1e-4)
    assert not found["box_regression"].holds
    assert found["faster_accuracy"].holds
    assert judged(record(), record())["svd_speed"].holds


def test_only_the_seeds_that_have_both_sides_count() -> None:
    poorer = record()
    for name in ("rcnn", "rcnn_boxes", "rcnn_frozen"):
        del poorer["parts"]["all"]["mAP"][name]
        poorer["parts"]["timing"]["seconds"].pop(name, None)
    found = judged(record(), poorer, record())
    n = {name: verdict.difference.n for name, verdict in found.items()}
    of_rcnn = {claim.name for claim in CLAIMS if "rcnn" in claim.worse}
    assert of_rcnn == {"fast_speed", "fast_accuracy", "box_regression", "fine_tuning"}
    assert n == {claim.name: 2 if claim.name in of_rcnn else 3 for claim in CLAIMS}
    assert set(judged(poorer)) == {claim.name for claim in CLAIMS} - of_rcnn


def test_a_seed_without_any_figure_is_left_out() -> None:
    assert verdicts({"0": {"parts": {}}}) == []
    empty = record(fast=None)  # type: ignore[arg-type]  # no object in any test scene
    assert "fast_accuracy" not in judged(empty)


def test_one_seed_decides_nothing_that_must_be_sure() -> None:
    found = judged(record({"rcnn_boxes": 9.0}, rcnn_boxes=0.9))
    assert not any(verdict.holds for verdict in found.values() if verdict.claim.surely)


def test_published_in_the_same_unit() -> None:
    found = judged(record())
    assert in_words(found["fast_speed"], found["fast_speed"].published) == "146 ×"
    assert in_words(found["svd_accuracy"], found["svd_accuracy"].published) == "−0.3"


def test_summaries_over_the_seeds() -> None:
    rows = {row.method: row for row in summaries(records(record(fast=0.4), record({"fast": 0.3}, fast=0.7)))}
    assert list(rows) == list(METHODS)
    fast = rows["fast"]
    assert list(fast[2:6]) == pytest.approx([2, 0.55, 0.4, 0.7])
    assert [fast.seconds, fast.with_proposals] == pytest.approx([0.2, 0.25])
    assert [fast.published_mean, fast.published_seconds, fast.published_with] == pytest.approx([0.669, 0.32, 2])
    assert rows["rcnn"].seconds is None
    assert summaries({"0": {"parts": {}}})[0][2:8] == (0, None, None, None, None, None)


def test_every_method_is_compared_or_the_baseline() -> None:
    named = {name for claim in CLAIMS for name in (claim.better, claim.worse)}
    assert named == set(METHODS) - {"sliding_window"}
    assert Verdict(CLAIMS[0], PairedDifference(math.log(20), math.log(20), math.log(20), 2)).holds is False
