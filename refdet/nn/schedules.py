"""Learning-rate schedules: pure functions from the number of finished steps to the rate.

    rate = step_decay(0.01, every=30_000)
    for i_step in range(n_steps):
        optimiser.step(lr=rate(i_step))

step_decay and poly are Caffe's policies "step" / "multistep" and "poly"; warm-up is Goyal et al., "Accurate, Large
Minibatch SGD" (2017), section 2.2. The number of steps must be an integer of at least 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from refdet.core.check import Array, check_number, integer, integers

Schedule = Callable[[int], float]


def _schedule(name: str, rate: Schedule) -> Schedule:
    """Return `rate` with a check of its argument."""

    def checked(i_step: int) -> float:
        return rate(integer(name, "i_step", i_step, low=0))

    return checked


def constant(lr: float) -> Schedule:
    """Return lr at every step."""
    lr = check_number("constant", "lr", lr, low=0)
    return _schedule("constant", lambda i_step: lr)


def step_decay(lr: float, *, every: int | Sequence[int] | Array, factor: float = 0.1) -> Schedule:
    """Multiply lr by `factor` every so many steps, or from each of the listed steps on (a sequence or rank-1 array).

    >>> [step_decay(1.0, every=2)(i) for i in range(5)]
    [1.0, 1.0, 0.1, 0.1, 0.010000000000000002]
    """
    lr = check_number("step_decay", "lr", lr, low=0)
    factor = check_number("step_decay", "factor", factor, low=0)
    listed = every.tolist() if isinstance(every, np.ndarray) else every
    if isinstance(listed, Sequence):
        milestones = integers("step_decay", "every", listed, count=len(listed), low=0)
        return _schedule("step_decay", lambda i_step: lr * factor ** sum(i_step >= m for m in milestones))
    period = integer("step_decay", "every", listed, low=1)
    return _schedule("step_decay", lambda i_step: lr * factor ** (i_step // period))


def poly(lr: float, *, n_steps: int, power: float = 0.9) -> Schedule:
    """Return lr·(1 − i/n)^power, and 0 from step n on.

    >>> [poly(1.0, n_steps=4, power=1)(i) for i in range(6)]
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """
    lr = check_number("poly", "lr", lr, low=0)
    power = check_number("poly", "power", power, low=0, open_low=True)
    n = integer("poly", "n_steps", n_steps, low=1)
    return _schedule("poly", lambda i_step: lr * (1 - min(i_step, n) / n) ** power)


def warm_up(schedule: Schedule, *, n_steps: int, start: float = 0.0) -> Schedule:
    """Scale the first steps of `schedule` by a factor that rises linearly from `start` at step 0 to 1 at step n_steps.

    >>> [warm_up(constant(1.0), n_steps=4)(i) for i in range(6)]
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    """
    if not callable(schedule):
        raise TypeError(f"warm_up: schedule must be a function of the step, such as constant(0.1), got {schedule!r}")
    start = check_number("warm_up", "start", start, low=0, high=1)
    n = integer("warm_up", "n_steps", n_steps, low=1)
    return _schedule("warm_up", lambda i_step: schedule(i_step) * (start + (1 - start) * min(i_step, n) / n))
