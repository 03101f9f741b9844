"""Dense CRF inference as a workload: both sides compute the same, on data of the kind that is described."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util

import numpy as np
import pytest

from refdet.bench.agreement import compare
from refdet.bench.dense_crf import CRF, N_LABELS, SHAPE, THETA_COLOUR, THETA_POSITION, THETA_SMOOTHNESS, inputs
from refdet.bench.evaluation import COCO
from refdet.bench.groups import find_group
from refdet.bench.sides import RefdetSide, Side, Unsupported, check_side, open_side
from refdet.bench.workloads import Workload
from refdet.core.check import Array
from refdet.crf.features import bilateral_features, position_features
from refdet.crf.lattice import Lattice


def drawn(seed: int, shape: tuple[int, int] = SHAPE) -> dict[str, Array]:
    return {name: x for name, x in inputs(np.random.default_rng(seed), shape=shape).items() if x is not None}


def outputs(side: Side, workload: Workload) -> list[Array]:
    runnable = side.prepare(workload, workload.inputs(0))
    return runnable.outputs(runnable.call())


def changes(labels: Array) -> float:
    """Return at what share of pixels the label changes along a row."""
    rows = labels.reshape(SHAPE)
    return float(np.mean(rows[:, 1:] != rows[:, :-1]))


def test_the_data_are_what_they_are_said_to_be() -> None:
    """Two lattices of the sizes of photographs; energies of probabilities, of which the best label is often wrong."""
    image, unary = drawn(0).values()
    assert image.shape == (213, 320, 3)
    assert unary.shape == (213 * 320, 21)
    assert [image.dtype, unary.dtype] == ["uint8", "float32"]
    np.testing.assert_allclose(np.exp(-unary).sum(axis=1), 1, rtol=1e-5)
    assert Lattice(position_features(SHAPE, THETA_SMOOTHNESS)).n_vertices == 8990
    appearance = Lattice(bilateral_features(image, THETA_POSITION, THETA_COLOUR))
    assert appearance.n_vertices == pytest.approx(7700, rel=0.01)
    assert 0.2 < changes(np.argmin(unary, axis=1)) < 0.3
    assert len(np.unique(np.argmin(unary, axis=1))) == N_LABELS


def test_the_points_need_no_padding() -> None:
    """pydensecrf adds points at the origin up to a multiple of 4, and with them vertices that refdet has not."""
    assert SHAPE[0] * SHAPE[1] % 4 == 0


def test_inputs_come_from_the_seed() -> None:
    first, again, other = (drawn(seed, (20, 30)) for seed in (3, 3, 4))
    assert list(first) == ["image", "unary"]
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name])


def test_smoothing_recovers_the_regions_and_no_label_is_a_close_call() -> None:
    """Labels have to be equal on both sides: where two are equally likely, rounding would decide."""
    q, labels = outputs(RefdetSide("reference"), CRF.workloads[0])
    ascending = np.sort(q, axis=1)
    assert np.min(ascending[:, -1] - ascending[:, -2]) > 100 * CRF.workloads[0].tolerance
    assert changes(labels) < 0.04


@pytest.mark.oracle
def test_both_sides_agree() -> None:
    pytest.importorskip("pydensecrf", reason="pydensecrf, which is compared with, is not installed")
    workload = dataclasses.replace(CRF.workloads[0], make_inputs=functools.partial(inputs, shape=(60, 70)))
    ours, theirs = (outputs(side, workload) for side in (RefdetSide("reference"), open_side("pydensecrf", 1)))
    assert [y.shape for y in ours] == [(60 * 70, N_LABELS), (60 * 70,)]
    assert compare(ours, theirs, workload.tolerance).problem is None
    assert compare([1.001 * ours[0], ours[1]], theirs, workload.tolerance).problem is not None
    assert compare([ours[0], 1 - ours[1]], theirs, workload.tolerance).problem is not None


@pytest.mark.oracle
def test_pydensecrf_says_what_it_cannot_do() -> None:
    pytest.importorskip("pydensecrf", reason="pydensecrf, which is compared with, is not installed")
    with pytest.raises(Unsupported, match=r"pydensecrf has no evaluate_coco\.bbox"):
        open_side("pydensecrf", 1).prepare(COCO.workloads[0], {})


def test_the_group_and_its_side_are_known_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_group("crf") is CRF
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LookupError, match="pydensecrf is not installed; pip install pydensecrf2, or name another side"):
        check_side("pydensecrf")
