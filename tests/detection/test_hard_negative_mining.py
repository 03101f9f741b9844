"""Hard negatives: what is added, when a machine is trained, what is dropped, and that the machine is the same."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.detection import hard_negative_mining
from refdet.detection.hard_negative_mining import HardNegatives, MiningSettings
from refdet.detection.linear_svm import LinearSVM, train_linear_svm


def a_machine(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let every training give z = x, and return how many negatives each saw."""
    seen: list[int] = []

    def train(positives: Array, negatives: Array, **_: float) -> LinearSVM:
        seen.append(len(negatives))
        return LinearSVM(np.ones(1), 0.0)

    monkeypatch.setattr(hard_negative_mining, "train_linear_svm", train)
    return seen


def test_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    """−1.0001 itself is not added, −1.2 itself not dropped; before there is a machine all are added."""
    seen = a_machine(monkeypatch)
    miner = HardNegatives(np.ones((1, 1)))
    miner.add(np.array([[-9.0], [-1.25], [-1.2], [0.5]]))
    assert seen == [4]
    assert miner.negatives.ravel().tolist() == [-1.2, 0.5]
    miner.add(np.array([[-1.0001], [-1.00005], [-1.0], [3.0]]))
    assert miner.negatives.ravel().tolist() == [-1.2, 0.5, -1.00005, -1.0, 3.0]
    assert seen == [4]


def test_when_it_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first picture that has negatives, when more than 2000 came since, and at the end if any came since."""
    seen = a_machine(monkeypatch)
    miner = HardNegatives(np.ones((1, 1)))
    miner.add(np.zeros((0, 1)))
    assert seen == []
    miner.add(np.zeros((3, 1)))
    assert seen == [3]
    miner.add(np.zeros((2000, 1)))
    assert seen == [3]
    miner.add(np.zeros((1, 1)))
    assert seen == [3, 2004]
    miner.finish()
    assert seen == [3, 2004]
    miner.add(np.zeros((1, 1)))
    miner.finish()
    assert seen == [3, 2004, 2005]


def test_without_negatives(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = a_machine(monkeypatch)
    miner = HardNegatives(np.ones((1, 1)))
    miner.finish()
    assert seen == [0]


def test_it_finds_the_machine_of_all_negatives() -> None:
    """The pictures are alike: those that were left out or dropped have no loss, so that nothing is lost with them."""
    rng = np.random.default_rng(0)
    positives = rng.normal(0.7, 1, (30, 5))
    negatives = rng.normal(-0.7, 1, (900, 5))
    settings = MiningSettings(C=0.05, retrain_after=100)
    miner = HardNegatives(positives, settings)
    for picture in np.split(negatives, 30):
        miner.add(picture)
    mined = miner.finish()
    assert miner.n_trained < 10
    assert len(miner.negatives) < 600
    everything = train_linear_svm(positives, negatives, C=0.05)
    left_out = negatives @ everything.weight + everything.bias > -1
    assert left_out.sum() > 20  # what the test is about: there are hard ones
    np.testing.assert_allclose(mined.weight, everything.weight, rtol=0, atol=2e-2)
    np.testing.assert_allclose(
        negatives @ mined.weight + mined.bias, negatives @ everything.weight + everything.bias, rtol=0, atol=0.05
    )


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match=r"evict_below must not exceed hard_above, got -1\.0 and -1\.2"):
        MiningSettings(evict_below=-1.0, hard_above=-1.2)
    with pytest.raises(ValueError, match="C must lie in"):
        MiningSettings(C=0.0)
    with pytest.raises(ValueError, match=r"tolerance must lie in \[1e-10, inf\)"):
        MiningSettings(tolerance=1e-12)
