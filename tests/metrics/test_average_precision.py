"""average_precision: the deck's curve, every convention, the definition, scikit-learn, bad input."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.metrics.average_precision import CONVENTIONS, THRESHOLDS, average_precision
from refdet.metrics.precision_recall import precision_recall
from tests.agreement import Array, assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import average_precision as oracle

conventions = st.sampled_from(CONVENTIONS)


def curve(verdicts: str, n_positive: int) -> tuple[Array, Array]:
    return precision_recall(np.array([int(v == "T") for v in verdicts], np.int64), n_positive=n_positive)


@pytest.mark.parametrize(
    ("verdicts", "ap"),
    [
        ("TTFFT", {"area": 0.866667, "voc2007": 0.854545, "coco101": 0.865347, "trapezoid": 0.85, "step": 0.866667}),
        ("TFTFT", {"area": 0.755556, "voc2007": 0.763636, "coco101": 0.756436, "trapezoid": 0.711111}),
        ("TFFTT", {"area": 0.733333, "voc2007": 0.745455, "coco101": 0.734653, "trapezoid": 0.655556, "step": 0.70}),
    ],
)
def test_the_deck_s_five_detections(verdicts: str, ap: dict[str, float]) -> None:
    """Deck 001 prints its first, fourth and fifth point; the order of the second to fourth detection is not in it."""
    precision, recall = curve(verdicts, 3)
    np.testing.assert_allclose([precision[0], recall[0]], [1 / 1, 1 / 3])
    np.testing.assert_allclose([precision[3], recall[3]], [2 / 4, 2 / 3])
    np.testing.assert_allclose([precision[4], recall[4]], [3 / 5, 3 / 3])
    for convention, expected in ap.items():
        assert average_precision(precision, recall, convention=convention) == pytest.approx(expected, abs=5e-7)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_how_to_get_one(convention: str) -> None:
    """Deck 001: hit every object before anything that is false."""
    assert average_precision(*curve("TTTFF", 3), convention=convention) == pytest.approx(1)
    assert average_precision(*curve("TTFTF", 3), convention=convention) < 1


def test_three_tenths_do_not_reach_numpy_s() -> None:
    """Recall 3/10 is not ≥ arange(0, 1.1, 0.1)[3]: 3/11 instead of 4/11. In float32 it is."""
    precision, recall = curve("TTT", 10)
    assert average_precision(precision, recall, convention="voc2007") == pytest.approx(4 / 11)
    assert average_precision(precision, recall, convention="voc2007-arange") == pytest.approx(3 / 11)
    single = precision.astype(np.float32), recall.astype(np.float32)
    assert average_precision(*single, convention="voc2007-arange") == pytest.approx(4 / 11)


@pytest.mark.parametrize("convention", ["voc2007", "voc2007-arange"])
def test_thresholds_are_rounded_like_the_recall(convention: str) -> None:
    """7/10 in float32 is less than 0.7, and yet reaches it: 8 of the 11."""
    single = [x.astype(np.float32) for x in curve("T" * 7, 10)]
    assert single[1][-1].astype(np.float64) < 0.7
    assert average_precision(*single, convention=convention) == pytest.approx(8 / 11)


def test_the_grids() -> None:
    """Where they are not what they seem: three of eleven, ten of a hundred and one."""
    exact, arange, coco = (THRESHOLDS[name] for name in ("voc2007", "voc2007-arange", "coco101"))
    assert np.flatnonzero(exact != arange).tolist() == [3, 6, 7]
    np.testing.assert_array_equal(np.linspace(0, 1, 11), arange)
    assert np.count_nonzero(coco != np.arange(101) / 100) == 10
    assert (len(exact), len(coco)) == (11, 101)


def test_thirty_five_hundredths_do_not_reach_coco_s() -> None:
    """Recall 35/100 is not ≥ linspace(0, 1, 101)[35]: 35/101 instead of 36/101. In float32 it is."""
    precision, recall = curve("T" * 35, 100)
    assert average_precision(precision, recall, convention="coco101") == pytest.approx(35 / 101)
    single = precision.astype(np.float32), recall.astype(np.float32)
    assert average_precision(*single, convention="coco101") == pytest.approx(36 / 101)


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts, convention=conventions)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str, convention: str) -> None:
    """Sixteenths: exact in float32, and on the grids only where these are exact too."""
    rng = np.random.default_rng(seed)
    n, nans = data.draw(st.integers(0, 12)), data.draw(st.sampled_from([0, 0, 0, 0.05]))
    precision, recall = rng.integers(0, 17, n) / 16, np.sort(rng.integers(0, 17, n)) / 16
    precision[rng.random(n) < nans] = np.nan
    inputs = [in_layout(x.astype(dtype), layout) for x in (precision, recall)]
    assert_agrees("average_precision", oracle, inputs, rng=rng, params={"convention": convention})


@given(verdicts=st.text("TF", max_size=30), surplus=st.integers(0, 5), convention=conventions)
def test_curves_of_detections(verdicts: str, surplus: int, convention: str) -> None:
    """Quotients of counts, in float64, as a data set gives them; the AP lies in [0, 1]."""
    precision, recall = curve(verdicts, verdicts.count("T") + surplus or 1)
    params = {"convention": convention}
    assert_agrees("average_precision", oracle, [precision, recall], rng=np.random.default_rng(0), params=params)
    assert 0 <= average_precision(precision, recall, convention=convention) <= 1 + 1e-12


def test_area_is_the_sum_of_the_devkit() -> None:
    """With (0, 0) and (1, 0) added, and the sum taken where the recall changes, as the devkit writes it."""
    precision, recall = curve("FTTFTFFFTT", 7)
    r, p = np.concatenate([[0], recall, [1]]), np.concatenate([[0], precision, [0]])
    for i in range(len(p) - 2, -1, -1):
        p[i] = max(p[i], p[i + 1])
    changes = np.flatnonzero(r[1:] != r[:-1])
    expected = np.sum((r[changes + 1] - r[changes]) * p[changes + 1])
    assert average_precision(precision, recall, convention="area") == pytest.approx(expected)


def test_the_envelope_only_adds() -> None:
    precision, recall = curve("FTFTTFFTFT", 6)
    assert average_precision(precision, recall, convention="step") < average_precision(precision, recall)


def test_a_drawn_curve_by_hand() -> None:
    """Trapezoids: 1/2 · 1, then a step down to 1/2 without width, then 1/2 · (1/2 + 2/3)/2."""
    ap = Fraction(1, 2) + Fraction(1, 2) * (Fraction(1, 2) + Fraction(2, 3)) / 2
    assert average_precision(*curve("TFT", 2), convention="trapezoid") == pytest.approx(float(ap))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_nothing_and_nan(convention: str) -> None:
    none, nan = np.zeros(0), np.array([np.nan])
    assert average_precision(none, none, convention=convention) == 0
    assert np.isnan(average_precision(np.ones(1), nan, convention=convention))
    assert np.isnan(average_precision(nan, np.ones(1), convention=convention))


@pytest.mark.oracle
@given(seed=seeds, n=st.integers(1, 40))
def test_step_is_scikit_learn_s(seed: int, n: int) -> None:
    """For distinct scores, as it merges equal ones into one point; its recall is that of the positives given."""
    metrics: Any = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    labels, scores = rng.integers(0, 2, n), rng.permutation(n) / n
    labels[0] = 1
    verdicts = labels[np.argsort(-scores)]
    precision, recall = precision_recall(verdicts, n_positive=int(labels.sum()))
    assert average_precision(precision, recall, convention="step") == pytest.approx(
        metrics.average_precision_score(labels, scores)
    )


@pytest.mark.parametrize(
    ("precision", "recall", "options", "error", "message"),
    [
        (np.ones(3), np.ones(2), {}, ValueError, "recall must have shape (3,) (one per precision), got (2,)"),
        (np.ones((3, 1)), np.ones((3, 1)), {}, ValueError, "precision must have rank 1 (n), got rank 2"),
        (np.ones(2, int), np.ones(2), {}, TypeError, "precision must be float32 or float64, got int64"),
        (np.ones(2), np.ones(2, "f"), {}, TypeError, "precision is float64 but recall is float32"),
        ([1.0], np.ones(1), {}, TypeError, "precision must be an array, got list"),
        (np.ones(3), np.array([0.25, 0.5, 0.375]), {}, ValueError, "got 0.5 and then 0.375 at position 2"),
        (
            np.ones(2),
            np.array([-0.5, 0.5]),
            {},
            ValueError,
            "recall must not descend, from 0 on, got 0 and then -0.5 at",
        ),
        (np.ones(1), np.ones(1), {"convention": "voc"}, ValueError, "convention must be one of 'step', 'trapezoid'"),
    ],
)
def test_bad_input(precision: Any, recall: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        average_precision(precision, recall, **options)
    assert message in str(raised.value)
    assert str(raised.value).startswith("average_precision: ")
