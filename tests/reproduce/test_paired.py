"""Paired differences and Student's interval: by hand, from printed tables, and what cannot be compared."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refdet.reproduce.paired import paired_difference

# Two-sided 95 % quantiles of Student's distribution as tables print them: degrees of freedom → t.
PRINTED = {1: 12.706, 2: 4.303, 4: 2.776, 9: 2.262, 29: 2.045}


@pytest.mark.parametrize(("degrees", "t"), PRINTED.items())
def test_the_interval_of_a_printed_table(degrees: int, t: float) -> None:
    differences = np.arange(degrees + 1, dtype=float)
    worse = np.linspace(40, 60, degrees + 1)
    mean, low, high, n = paired_difference(list(worse + differences), list(worse))
    assert n == degrees + 1
    assert mean == pytest.approx(degrees / 2)
    half = t * math.sqrt(np.var(differences, ddof=1) / n)
    assert (low, high) == pytest.approx((mean - half, mean + half), abs=2e-4 * half)


def test_what_both_methods_share_cancels() -> None:
    shared = [100.0, -3.0, 7.0, 0.0, 52.0]
    mean, low, high, _ = paired_difference([x + 0.5 for x in shared], shared)
    assert (mean, low, high) == (0.5, 0.5, 0.5)


def test_one_pair_says_nothing_of_its_spread() -> None:
    assert paired_difference([3], [1]) == (2.0, -math.inf, math.inf, 1)


def test_exchanged_methods_have_the_mirrored_interval() -> None:
    a, b = [0.41, 0.39, 0.44], [0.40, 0.41, 0.40]
    there, back = paired_difference(a, b), paired_difference(b, a)
    assert there.mean == pytest.approx(-back.mean)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


def test_a_lower_level_has_a_narrower_interval() -> None:
    wide = paired_difference([1, 2, 4], [0, 0, 0], level=0.95)
    narrow = paired_difference([1, 2, 4], [0, 0, 0], level=0.5)
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high
    # for two degrees of freedom the quantile has a closed form: t = (2p − 1) √(2 / (4p (1 − p))), p = 0.75
    half = 0.5 * math.sqrt(2 / (4 * 0.75 * 0.25)) * math.sqrt(np.var([1, 2, 4], ddof=1) / 3)
    assert narrow.high - narrow.mean == pytest.approx(half)


@pytest.mark.parametrize(
    ("better", "worse", "level", "message"),
    [
        ([1.0], [1.0, 2.0], 0.95, "needs pairs"),
        ([], [], 0.95, "needs pairs"),
        ([1.0, math.nan], [0.0, 0.0], 0.95, "must be finite"),
        ([1.0, math.inf], [0.0, math.inf], 0.95, "must be finite"),
        ([1.0], [0.0], 1.0, "level must lie in"),
    ],
)
def test_what_cannot_be_compared(better: list[float], worse: list[float], level: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        paired_difference(better, worse, level=level)
