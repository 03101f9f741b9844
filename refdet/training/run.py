"""A run between its first and its last step: one step after the other, and what comes between two of them.

`loop.train` says what is computed; here is the order in which it happens, and what ends it early.

    step → record → evaluation, where due → checkpoint, where due → end, if a signal came → picture, where due
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from refdet.autograd.tensor import Tensor, no_grad
from refdet.data.batching import Transform, prefetch
from refdet.data.sample import Sample
from refdet.nn import Module, Optimiser, clip_gradients
from refdet.nn.schedules import Schedule
from refdet.training.errors import DivergenceError, Interrupted, TrainingError
from refdet.training.interruption import Interruption
from refdet.training.metrics_log import EvaluationLine, History, StepLine
from refdet.training.order import batches_from, generator
from refdet.training.progress import Progress
from refdet.training.run_folder import Nowhere, arrays_of
from refdet.training.run_state import Best, RunState
from refdet.training.settings import TrainingSettings


class Losses(Protocol):
    """What training makes small, such as a detector's `losses`."""

    def __call__(self, samples: Sequence[Sample], /, *, rng: np.random.Generator) -> Mapping[str, Tensor]:
        """Return the losses of a batch by name, scalars whose sum is trained."""


Evaluate = Callable[[Any], Mapping[str, float]]  # of the model


@dataclass
class Run:
    """A run between its first and its last step: what it is made of, and how far it is."""

    model: Module
    samples: Sequence[Sample]
    losses: Losses
    optimiser: Optimiser
    schedule: Schedule
    settings: TrainingSettings
    transform: Transform | None
    evaluate: Evaluate | None
    stop: Callable[[], bool]
    progress: Progress
    kept: Nowhere
    state: RunState
    history: History
    interruption: Interruption
    drawn: float = field(default_factory=time.monotonic)  # when

    def go_on(self) -> None:
        """Make the steps that are left; leave no gradients behind."""
        self.progress.start(self.state.step, self.settings.n_steps)
        try:
            self._between_steps()
            with closing(self._batches()) as batches:
                while self.state.step < self.settings.n_steps:
                    self._step(batches)
                    self._between_steps()
                    if self.stop():
                        break
            self._save()
            self._draw()
            self._end_if_interrupted()
        except DivergenceError:
            self._draw()
            raise
        finally:
            self._forget_gradients()
            self.progress.close()

    def _batches(self) -> Generator[list[Sample], None, None]:
        settings = self.settings
        made = batches_from(
            self.state.step, self.samples, n_steps=settings.n_steps, batch_size=settings.batch_size,
            seed=settings.seed, transform=self.transform,
        )  # fmt: skip
        yield from prefetch(made, ahead=settings.ahead) if settings.ahead else made

    def _step(self, batches: Iterator[list[Sample]]) -> None:
        """Make one step and record it."""
        begun = time.monotonic()
        state, settings = self.state, self.settings
        batch = next(batches)
        try:
            named = self.losses(batch, rng=generator(settings.seed, "losses", state.step))
        except FloatingPointError as error:  # a detector refuses proposals that are not finite, for instance
            raise self._divergence(str(error)) from error
        total, values = self._total(named)
        self._forget_gradients()
        if total.requires_grad:
            total.backward()
        rate = self.schedule(state.step)
        norm = self._move(rate)
        taken = time.monotonic() - begun
        state.step += 1
        state.seconds += taken
        line = StepLine(
            step=state.step,
            epoch=state.step * settings.batch_size / len(self.samples),
            lr=rate,
            loss=float(total.item()),
            losses=values,
            images_per_second=settings.batch_size / max(taken, 1e-9),
            seconds=state.seconds,
            gradient_norm=norm,
        )
        self.history.add(line)
        self.kept.log(line)
        self.progress.on_step(line)

    def _total(self, named: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Return the sum of the losses, and each as a number; refuse what is not finite."""
        if not isinstance(named, Mapping) or not named:
            raise TypeError(f"train: losses must return a mapping of names to Tensors, got {_kind(named)}")
        for name, loss in named.items():
            if not isinstance(loss, Tensor) or loss.size != 1:
                raise TypeError(f"train: the loss {name!r} must be a Tensor of one element, got {_kind(loss)}")
        values = {str(name): float(loss.item()) for name, loss in named.items()}
        for name, value in values.items():
            if not math.isfinite(value):
                others = ", ".join(f"{n} {v:.4g}" for n, v in values.items() if n != name)
                beside = f" (beside {others})" if others else ""
                raise self._divergence(f"the loss {name!r} is {value}{beside}")
        first, *rest = (loss.reshape(()) for loss in named.values())
        total = sum(rest, start=first)
        if not math.isfinite(total.item()):
            raise self._divergence(f"the sum of the losses is {total.item()}")
        return total, values

    def _move(self, rate: float) -> float | None:
        """Clip the gradients and make the optimiser's step; return their norm before clipping, where there is any."""
        parameters = self.optimiser.parameters
        limit, norm = self.settings.max_gradient_norm, None
        try:
            if limit is not None:
                norm = clip_gradients(parameters.values(), max_norm=limit)
            self.optimiser.step(lr=rate)
        except FloatingPointError as error:
            bad = [n for n, p in parameters.items() if p.grad is not None and not np.isfinite(p.grad).all()]
            more = f" (and of {len(bad) - 1} more)" if len(bad) > 1 else ""
            what = f"the gradient of {bad[0]}{more} is not finite" if bad else str(error)
            raise self._divergence(f"{what}") from error
        return norm

    def _between_steps(self) -> None:
        """Evaluate, save and draw where it is time to; end the run if a signal came."""
        settings, state = self.settings, self.state
        if self.evaluate is not None and state.evaluated_at < state.step and settings.evaluates_after(state.step):
            self._evaluate(self.evaluate)
        if settings.saves_after(state.step):
            self._save()
        self._end_if_interrupted()
        if settings.draw_every is not None and time.monotonic() - self.drawn > settings.draw_every:
            self._draw()

    def _evaluate(self, evaluate: Evaluate) -> None:
        """Evaluate the model and record it, or leave it undone where a signal comes meanwhile."""
        begun = time.monotonic()
        before = arrays_of(self.model)
        try:
            with self.interruption.at_once(), no_grad():
                numbers = evaluate(self.model)
        except KeyboardInterrupt:
            self._end_if_interrupted()
            raise
        for name, array in arrays_of(self.model).items():
            if array is not before.get(name):
                raise TrainingError(f"train: evaluate changed {name} of the model; call it with training=False")
        if not isinstance(numbers, Mapping):
            raise TypeError(f"train: evaluate must return a mapping of names to numbers, got {_kind(numbers)}")
        state = self.state
        state.seconds += time.monotonic() - begun
        state.evaluated_at = state.step
        line = EvaluationLine(state.step, {str(n): float(v) for n, v in numbers.items()}, state.seconds)
        self.history.add(line)
        self.kept.log(line)
        self.progress.on_evaluation(line)
        self._keep_best(line)

    def _keep_best(self, line: EvaluationLine) -> None:
        metric, best = self.settings.keep_best, self.state.best
        if metric is None:
            return
        if metric not in line.evaluation:
            given = ", ".join(line.evaluation) or "nothing"
            raise ValueError(f"train: settings.keep_best is {metric!r}, and evaluate gives {given}")
        value = line.evaluation[metric]
        beaten = best is None or best.metric != metric or value > best.value
        if beaten and math.isfinite(value):
            self.state.best = Best(metric, value, line.step)
            self._save()  # first: from the checkpoint of this very step the best weights can be written again
            self.kept.save_best(self.state.best, model=self.model)

    def _save(self) -> None:
        """Write the checkpoint, unless it is there."""
        self.kept.save(self.state, model=self.model, optimiser=self.optimiser)

    def _draw(self) -> None:
        """Draw the curves; a picture that cannot be written is no reason to stop."""
        if self.settings.draw_every is None:
            return
        try:
            self.kept.draw(self.history, self.settings.n_steps)
        except OSError as error:
            self.progress.say(f"train: the curves cannot be drawn: {error}")
        self.drawn = time.monotonic()

    def _end_if_interrupted(self) -> None:
        """Save and say how to go on, if a signal came."""
        cause = self.interruption.cause
        if cause is None:
            return
        self._save()
        self._draw()
        where, advice = self.kept.whereabouts, self.kept.advice
        n_steps = self.settings.n_steps
        raise Interrupted(f"train: {cause} after step {self.state.step} of {n_steps}; {where}{advice}")

    def _divergence(self, what: str) -> DivergenceError:
        step = self.state.step
        return DivergenceError(
            f"train: step {step + 1}: {what}; the parameters are those after step {step}; {self.kept.whereabouts}"
        )

    def _forget_gradients(self) -> None:
        self.model.zero_grad()  # the optimiser may hold some of its parameters only


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return f"one of shape {value.shape}"
    return f"an empty {type(value).__name__}" if isinstance(value, Mapping) else type(value).__name__
