"""The one training loop: steps, their record, and everything that may come between two of them.

    batch  ← samples in the order of (seed, epoch), transformed by draws from (seed, step)
    losses ← losses(batch, rng of (seed, step))
    total  ← Σ losses;  gradients ← ∂ total / ∂ parameters, clipped where the settings say so
    parameters ← optimiser, at the rate schedule(step)

A run is a function of its model, samples, losses, optimiser, schedule and the settings that decide its weights
(`configuration`). Stopped anywhere, by Ctrl-C, SIGTERM, `kill -9` or a power cut, and begun again by the same call, it
ends with the bits of a run that was never stopped. What this asks of the caller: `losses` draws from its `rng` alone
and remembers nothing outside the module's parameters and buffers; a sample is the same whenever it is asked for.

Conventions
- Steps in messages and records count from 1, as finished ones; the schedule is asked with the number of steps before.
- A loss or a gradient that is not finite ends the run before the optimiser's step, so that the parameters are those
  after the step before (running statistics have seen the batch). Infinity counts as NaN does.
- Parameters that are frozen, that the optimiser does not hold, or whose learning-rate multiplier is 0 keep their bits.
  A step none of whose losses asks for a gradient changes no parameter.
- An evaluation runs without gradients and may not change the model: one that replaces a parameter or a buffer is
  refused. It cannot change what training draws.
- The checkpoint of a step follows its evaluation; a new best one has a checkpoint at once, so that the best weights are
  those of the best evaluation that the run knows of. An interruption leaves an evaluation where it is; it is done again
  on resuming.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refdet.data.batching import Transform
from refdet.data.sample import Sample
from refdet.nn import Module, Optimiser
from refdet.nn.schedules import Schedule
from refdet.training.configuration import configuration
from refdet.training.interruption import Interruption
from refdet.training.metrics_log import History
from refdet.training.progress import Progress, default_progress
from refdet.training.run import Evaluate, Losses, Run
from refdet.training.run_folder import BEST, LAST, in_folder
from refdet.training.run_state import Best
from refdet.training.settings import TrainingSettings


@dataclass(frozen=True)
class TrainingResult:
    """What came of a run, all of its sessions together.

    Attributes:
        n_steps: finished steps.
        finished: whether these are all; not so where `stop` said so.
        seconds: in training.
        history: every step and evaluation.
        best: the best evaluation, where one is kept.
        folder: where the run is, or None.
    """

    n_steps: int
    finished: bool
    seconds: float
    history: History
    best: Best | None
    folder: Path | None

    @property
    def checkpoint(self) -> Path | None:
        """The last checkpoint, from which the run goes on."""
        return None if self.folder is None else self.folder / LAST

    @property
    def best_weights(self) -> Path | None:
        """The weights of the best evaluation, where they are kept."""
        return None if self.folder is None or self.best is None else self.folder / BEST


def train(
    model: Module,
    samples: Sequence[Sample],
    *,
    losses: Losses,
    optimiser: Optimiser,
    schedule: Schedule,
    settings: TrainingSettings,
    folder: Path | str | None = None,
    transform: Transform | None = None,
    evaluate: Evaluate | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
    description: Mapping[str, Any] | None = None,
) -> TrainingResult:
    """Train a model in place, or go on with the run that is in `folder`.

    Args:
        model: holds all that is trained and all running statistics.
        samples: at least one; a sequence that makes or reads a sample when it is asked for will do, and a thread asks.
        losses: of a batch, by name, with a generator for what they draw; `detector.losses`, for instance.
        optimiser: of the model's parameters, or of some of them.
        schedule: number of steps before → learning rate (`refdet.nn.schedules`).
        settings: length, batch size, seed, and what is kept.
        folder: for checkpoints, metrics and picture (`run_folder`), made if need be; None to write nothing.
        transform: gets a sample and a generator and returns the sample to train on.
        evaluate: gets the model and returns numbers by name.
        progress: hears of every step; by default a bar, or lines of text, on standard error. `Progress()` is silent.
        stop: is asked after each step; where it says True, the run is saved and left for another time.
        description: what else makes the run this one, in numbers, texts and lists of them, such as a detector's
            settings; resuming with another one is refused.

    Raises:
        DivergenceError: a loss, gradient or parameter is not finite.
        OtherRunError: the folder holds a run of another configuration.
        TrainingError: the checkpoint or the metrics cannot be written, the folder is in use, or the evaluation changed
            the model.
        Interrupted: Ctrl-C or SIGTERM came; the step was finished and saved.

    A step of length ½ down the slope of (w − 3)² ends at 3, wherever it begins:

    >>> from refdet.nn import SGD, Linear
    >>> net = Linear(1, 1, bias=False, rng=np.random.default_rng(0), dtype=np.float64)
    >>> def losses(samples, *, rng):
    ...     return {"distance": ((net.weight - 3) ** 2).sum()}
    >>> nothing = np.zeros(0, np.int64)
    >>> picture = Sample("one", np.zeros((8, 8, 3), np.uint8), np.zeros((0, 4)), nothing, nothing == 0)
    >>> result = train(
    ...     net, [picture], losses=losses, optimiser=SGD(net.named_parameters(), lr=0.5), schedule=lambda step: 0.5,
    ...     settings=TrainingSettings(n_steps=1), progress=Progress(),
    ... )
    >>> net.weight.item(), result.n_steps, result.finished
    (3.0, 1, True)
    """
    _check_arguments(model, samples, losses, optimiser, schedule, settings, evaluate)
    path = None if folder is None else Path(folder)
    shown = default_progress() if progress is None else progress
    now = configuration(
        model=model, samples=samples, optimiser=optimiser, schedule=schedule, settings=settings, transform=transform,
        description=description or {},
    )  # fmt: skip
    with in_folder(path) as kept:
        state, history = kept.restore(
            now, model=model, optimiser=optimiser, schedule=schedule, n_steps=settings.n_steps
        )
        with Interruption(shown.notice) as interruption:
            run = Run(
                model, samples, losses, optimiser, schedule, settings, transform, evaluate, stop or (lambda: False),
                shown, kept, state, history, interruption,
            )  # fmt: skip
            run.go_on()
    return TrainingResult(state.step, state.step == settings.n_steps, state.seconds, history, state.best, path)


def _check_arguments(
    model: Module,
    samples: Sequence[Sample],
    losses: Losses,
    optimiser: Optimiser,
    schedule: Schedule,
    settings: TrainingSettings,
    evaluate: Evaluate | None,
) -> None:
    for name, value, kind in (
        ("model", model, Module),
        ("optimiser", optimiser, Optimiser),
        ("settings", settings, TrainingSettings),
    ):
        if not isinstance(value, kind):
            raise TypeError(f"train: {name} must be of type {kind.__name__}, got {type(value).__name__}")
    if not callable(losses):
        raise TypeError(f"train: losses must be a function of a batch and rng=, got {type(losses).__name__}")
    if not callable(schedule):
        raise TypeError(f"train: schedule must be a function such as nn.schedules.constant(0.1), got {schedule!r}")
    if not hasattr(samples, "__len__"):
        raise TypeError(f"train: samples must be a sequence, got {type(samples).__name__}")
    if len(samples) == 0:
        raise ValueError("train: there must be at least one sample")
    if evaluate is None and (settings.keep_best is not None or settings.evaluate_every is not None):
        raise ValueError("train: settings.keep_best and settings.evaluate_every need evaluate")
    own = {id(parameter) for parameter in model.parameters()}
    foreign = [name for name, parameter in optimiser.parameters.items() if id(parameter) not in own]
    if foreign:
        raise ValueError(
            f"train: the optimiser holds parameters that are none of the model's: {', '.join(foreign[:5])}"
        )
    if not any(parameter.requires_grad for parameter in optimiser.parameters.values()):
        raise ValueError("train: the optimiser holds no parameter that asks for a gradient: all are frozen")
