"""Schedules by hand, and the numbers they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.nn.schedules import Schedule, constant, poly, step_decay, warm_up


def test_step_decay() -> None:
    rate = step_decay(0.01, every=3, factor=0.5)
    assert [rate(i) for i in (0, 2, 3, 5, 6)] == [0.01, 0.01, 0.005, 0.005, 0.0025]
    listed = step_decay(1.0, every=(2, 5), factor=0.5)
    assert [listed(i) for i in (0, 1, 2, 4, 5, 100)] == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_poly() -> None:
    rate = poly(2.0, n_steps=10, power=2)
    assert [rate(i) for i in (0, 5, 10, 11)] == [2.0, 0.5, 0.0, 0.0]


def test_warm_up_reaches_the_schedule_at_its_end() -> None:
    rate = warm_up(step_decay(1.0, every=6, factor=0.5), n_steps=4, start=0.5)
    assert [rate(i) for i in (0, 1, 2, 4, 5, 6)] == [0.5, 0.625, 0.75, 1.0, 1.0, 0.5]


def test_bad_numbers() -> None:
    with pytest.raises(ValueError, match="constant: lr must be a finite number, got nan"):
        constant(float("nan"))
    with pytest.raises(ValueError, match="step_decay: every must be at least 1, got 0"):
        step_decay(1.0, every=0)
    with pytest.raises(ValueError, match="poly: n_steps must be at least 1"):
        poly(1.0, n_steps=0)
    with pytest.raises(ValueError, match=r"warm_up: start must lie in \[0, 1\], got 2"):
        warm_up(constant(1.0), n_steps=1, start=2)


@pytest.mark.parametrize(
    "rate",
    [
        constant(0.1),
        step_decay(0.1, every=2),
        step_decay(0.1, every=(2, 3)),
        poly(0.1, n_steps=4),
        warm_up(constant(0.1), n_steps=4),
    ],
)
def test_the_step_is_an_integer_of_at_least_zero(rate: Schedule) -> None:
    assert rate(np.int64(1)) == rate(1)  # type: ignore[arg-type]
    fraction: Any = 1.5
    with pytest.raises(ValueError, match=": i_step must be at least 0, got -1"):
        rate(-1)
    with pytest.raises(TypeError, match=r": i_step must be an integer, got 1\.5"):
        rate(fraction)


def test_milestones_in_an_array() -> None:
    listed, array = step_decay(1.0, every=[2, 5]), step_decay(1.0, every=np.array([2, 5]))
    assert [array(i) for i in range(7)] == [listed(i) for i in range(7)]
    with pytest.raises(TypeError, match="step_decay: every must hold integers"):
        step_decay(1.0, every=np.array([2.0, 5.0]))


def test_rates_are_python_floats() -> None:
    lr = np.float64(0.1)
    for rate in (constant(lr), step_decay(lr, every=2), poly(lr, n_steps=4), warm_up(constant(lr), n_steps=4)):
        assert type(rate(1)) is float


def test_warm_up_needs_a_schedule() -> None:
    number: Any = 0.1
    with pytest.raises(TypeError, match=r"warm_up: schedule must be a function of the step, .* got 0\.1"):
        warm_up(number, n_steps=4)
