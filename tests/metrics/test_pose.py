"""pcp and pdj: by hand, the definition, what is hidden, invariances, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.metrics.pose import pcp, pdj
from tests.agreement import Array, assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import pcp as pcp_oracle
from tests.oracles import pdj as pdj_oracle

NAN = np.nan
LIMB = np.array([[[0.0, 0.0], [6.0, 8.0]]])  # one image, one limb of length 10


def off(*errors: list[float]) -> Array:
    """Return one image whose two joints are wrong by these."""
    predictions: Array = LIMB + np.array([errors])
    return predictions


def test_pcp_by_hand() -> None:
    """At alpha 1/2 an end may be 5 off, and both ends must be near: (3, 4) is, (4, 4) is not."""
    assert pcp(off([3, 4], [-4, 3]), LIMB, limbs=[(0, 1)]) == [1]
    assert pcp(off([3, 4], [4, 4]), LIMB, limbs=[(0, 1)]) == [0]
    assert pcp(off([0, 0], [4, 4]), LIMB, limbs=[(1, 0)]) == [0]  # the mean error is 2.8
    assert pcp(off([4, 4], [4, 4]), LIMB, limbs=[(0, 1)], alpha=0.75) == [1]


def test_pdj_by_hand() -> None:
    """The torso is 10: at fraction 1/5 a joint may be 2 off."""
    np.testing.assert_array_equal(pdj(off([2, 0], [0, 3]), LIMB, torso=(0, 1)), [1, 0])
    np.testing.assert_array_equal(pdj(off([2, 0], [0, 3]), LIMB, torso=(1, 0), fraction=0.5), [1, 1])


def test_hidden_joints() -> None:
    """Three images: all visible and right; an end of the limb hidden; the other joint hidden and the limb wrong."""
    truths = np.array([[[0.0, 0], [10, 0], [5, 5]]] * 3)
    predictions = truths.copy()
    predictions[2, 1] += 9
    visible = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], bool)
    limbs = [(0, 1), (1, 2), (0, 2)]
    np.testing.assert_array_equal(pcp(predictions, truths, limbs=limbs, visible=visible), [1 / 2, 1, 1])
    np.testing.assert_array_equal(pdj(predictions, truths, torso=(0, 1), visible=visible), [1, 1 / 2, 1])


def test_nothing_that_counts() -> None:
    hidden = np.zeros((1, 2), bool)
    np.testing.assert_array_equal(pcp(LIMB, LIMB, limbs=[(0, 1)], visible=hidden), [NAN])
    np.testing.assert_array_equal(pdj(LIMB, LIMB, torso=(0, 1), visible=hidden), [NAN, NAN])
    none = np.zeros((0, 2, 2))
    np.testing.assert_array_equal(pdj(none, none, torso=(0, 1)), [NAN, NAN])
    assert pcp(LIMB, LIMB, limbs=[]).shape == (0,)


def test_no_length_and_nan() -> None:
    """Where the bar is 0 only no error is near enough; a NaN never is."""
    point = np.zeros((1, 2, 2))
    assert pcp(point, point, limbs=[(0, 1)]) == [1]
    assert pcp(point + 1e-9, point, limbs=[(0, 1)]) == [0]
    np.testing.assert_array_equal(pdj(point, point, torso=(0, 1)), [1, 1])
    assert pcp(off([NAN, 0], [0, 0]), LIMB, limbs=[(0, 1)]) == [0]
    np.testing.assert_array_equal(pdj(off([NAN, 0], [0, 0]), LIMB, torso=(0, 1)), [0, 1])
    np.testing.assert_array_equal(pdj(LIMB, LIMB * [NAN, 1], torso=(0, 1)), [0, 0])


def test_infinite_distances() -> None:
    """Far off is not found; an infinite bar is, where the error is finite or infinite. Nothing warns."""
    far = np.full((1, 2, 2), 1e30, np.float32)  # the square is infinite in float32
    single = LIMB.astype(np.float32)
    assert pcp(far, single, limbs=[(0, 1)]) == [0]
    np.testing.assert_array_equal(pdj(far, single, torso=(0, 1)), [0, 0])
    stretched = single * np.array([[[1], [1e30]]], np.float32)
    assert pcp(stretched, stretched, limbs=[(0, 1)]) == [1]
    assert pcp(single, stretched, limbs=[(0, 1)]) == [1]  # ∞ ≤ ∞
    assert pcp(single, stretched, limbs=[(0, 1)], alpha=0) == [0]  # 0 · ∞ is NaN


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    """Steps of 3-4-5 triangles: distances are exact, so that many equal the bar."""
    rng = np.random.default_rng(seed)
    steps = np.array([[0, 0], [3, 4], [-4, 3], [0, 5], [6, -8], [10, 0], [-8, -6]], np.float64)
    n, k = data.draw(st.integers(0, 5)), data.draw(st.integers(2, 5))
    truths = np.cumsum(steps[rng.integers(0, 7, (n, k))], axis=1)
    predictions = truths + steps[rng.integers(0, 7, (n, k))] / 2
    predictions[rng.random(predictions.shape) < data.draw(st.sampled_from([0, 0.05]))] = NAN
    inputs = [in_layout(x.astype(dtype), layout) for x in (predictions, truths)]
    inputs.append(in_layout(rng.random((n, k)) < 0.8, layout))
    limbs = tuple((int(a), int(b)) for a, b in rng.integers(0, k, (data.draw(st.integers(0, 4)), 2)))
    bar = data.draw(st.sampled_from([0.0, 0.25, 0.5, 1.0]))
    assert_agrees("pcp", pcp_oracle, inputs, rng=rng, params={"limbs": limbs, "alpha": bar})
    torso = (0, data.draw(st.integers(0, k - 1)))
    assert_agrees("pdj", pdj_oracle, inputs, rng=rng, params={"torso": torso, "fraction": bar})


@given(seed=seeds)
def test_moved_turned_and_enlarged(seed: int) -> None:
    """A quarter turn, twice the size, elsewhere: both are relative."""
    rng = np.random.default_rng(seed)
    truths = rng.integers(-8, 9, (5, 4, 2)).astype(np.float64)
    predictions = truths + rng.integers(-3, 4, truths.shape)

    def moved(x: Array) -> Array:
        return 2 * x[..., ::-1] * [1, -1] + [100, 7]

    for function, options in ((pcp, {"limbs": [(0, 1), (2, 3)]}), (pdj, {"torso": (0, 3)})):
        np.testing.assert_array_equal(
            function(predictions, truths, **options), function(moved(predictions), moved(truths), **options)
        )


def test_more_is_found_with_a_higher_bar() -> None:
    rng = np.random.default_rng(0)
    truths = rng.standard_normal((40, 5, 2))
    predictions = truths + rng.standard_normal(truths.shape) / 2
    bars = [0.0, 0.1, 0.2, 0.5, 1.0, 100.0]
    curve = np.array([pdj(predictions, truths, torso=(0, 4), fraction=bar) for bar in bars])
    assert np.all(np.diff(curve, axis=0) >= 0)
    assert curve[0].max() == 0
    assert curve[-1].min() > 0.9


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"predictions": np.zeros((2, 3, 3))}, ValueError, "predictions must have shape (2, 3, 2) (as many joints as"),
        ({"truths": np.zeros((2, 3, 3))}, ValueError, "truths must have shape (2, 3, 2) (x and y of each joint)"),
        ({"truths": np.zeros((2, 6))}, ValueError, "truths must have rank 3 (N, K, 2), got rank 2"),
        ({"truths": np.zeros((2, 3, 2), "f")}, TypeError, "predictions is float64 but truths is float32"),
        ({"visible": np.ones((2, 3))}, TypeError, "visible must be a boolean array, got float64"),
        ({"visible": [[True] * 3] * 2}, TypeError, "visible must be an array, got list"),
        ({"visible": np.ones((3, 2), bool)}, ValueError, "visible must have shape (2, 3) (one flag per joint)"),
    ],
)
def test_bad_joints(changed: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {"predictions": np.zeros((2, 3, 2)), "truths": np.zeros((2, 3, 2))} | changed
    for name, function, options in (("pcp", pcp, {"limbs": [(0, 1)]}), ("pdj", pdj, {"torso": (0, 1)})):
        with pytest.raises(error) as raised:
            function(**arguments, **options)
        assert message in str(raised.value)
        assert str(raised.value).startswith(f"{name}: ")


def test_bad_limbs_and_bars() -> None:
    with pytest.raises(ValueError, match=r"pcp: limbs\[1\] must be two of the 2 joints, in \[0, 2\), got \(0, 2\)"):
        pcp(LIMB, LIMB, limbs=[(0, 1), (0, 2)])
    with pytest.raises(ValueError, match=r"pcp: limbs\[0\] must be at least 0, got \(-1, 0\)"):
        pcp(LIMB, LIMB, limbs=[(-1, 0)])
    with pytest.raises(ValueError, match=r"pcp: limbs\[0\] must be an integer or 2 of them"):
        pcp(LIMB, LIMB, limbs=[(0, 1, 1)])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"pcp: limbs\[0\] must be a sequence, got 0"):
        pcp(LIMB, LIMB, limbs=(0, 1))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="pcp: limbs must be a sequence, got 2"):
        pcp(LIMB, LIMB, limbs=2)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="pdj: torso must be a sequence, got 1"):
        pdj(LIMB, LIMB, torso=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"pcp: alpha must lie in \[0, inf\), got -1"):
        pcp(LIMB, LIMB, limbs=[(0, 1)], alpha=-1)
    with pytest.raises(ValueError, match=r"pdj: torso must be two of the 2 joints, in \[0, 2\), got \(0, 5\)"):
        pdj(LIMB, LIMB, torso=(0, 5))
    with pytest.raises(TypeError, match=r"pdj: torso must hold integers"):
        pdj(LIMB, LIMB, torso=(0, 0.5))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"pdj: fraction must be a finite number, got nan"):
        pdj(LIMB, LIMB, torso=(0, 1), fraction=NAN)
