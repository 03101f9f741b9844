"""How long, in what portions and from which seed a model is trained, and what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass

from refdet.core.check import check_number, integer


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of one run. Seed, batch size and clipping decide the weights; the others may change on resuming.

    Attributes:
        n_steps: steps of the whole run, at least 0. A finished run goes on with more of them, where the schedule gave
            the finished ones the same rates.
        batch_size: samples a step. Every batch is full: one that is begun at the end of an epoch ends in the next.
        seed: at least 0; the order of the samples and all random draws follow from it.
        max_gradient_norm: gradients of a larger joint norm are scaled to it (`nn.clip_gradients`); None for no limit.
        evaluate_every: evaluate after each so many steps, and after the last; None for the last alone.
        save_every: write a checkpoint after each so many steps; also before the first, after the last and when stopped.
        keep_best: the name of a number of the evaluation; the weights where it was highest are kept beside the
            checkpoint. Of equals the earliest stays; NaN is never best.
        draw_every: seconds between two drawings of the curves, which are also drawn at the end; None for no picture.
        ahead: batches that are prepared, by a thread, before they are needed; 0 for none and no thread. It changes no
            bit of the result.
    """

    n_steps: int
    batch_size: int = 1
    seed: int = 0
    max_gradient_norm: float | None = None
    evaluate_every: int | None = None
    save_every: int = 500
    keep_best: str | None = None
    draw_every: float | None = 30.0
    ahead: int = 2

    def __post_init__(self) -> None:
        for name, low in (("n_steps", 0), ("batch_size", 1), ("seed", 0), ("save_every", 1), ("ahead", 0)):
            integer("TrainingSettings", name, getattr(self, name), low=low)
        if self.evaluate_every is not None:
            integer("TrainingSettings", "evaluate_every", self.evaluate_every, low=1)
        if self.max_gradient_norm is not None:
            check_number("TrainingSettings", "max_gradient_norm", self.max_gradient_norm, low=0, open_low=True)
        if self.draw_every is not None:
            check_number("TrainingSettings", "draw_every", self.draw_every, low=0)
        if self.keep_best is not None and not isinstance(self.keep_best, str):
            raise TypeError(f"TrainingSettings: keep_best must be a name or None, got {self.keep_best!r}")

    def evaluates_after(self, step: int) -> bool:
        """Say whether the model is evaluated once `step` steps, at least one, are finished.

        >>> settings = TrainingSettings(5, evaluate_every=2)
        >>> [step for step in range(6) if settings.evaluates_after(step)]
        [2, 4, 5]
        """
        regular = self.evaluate_every is not None and step % self.evaluate_every == 0
        return step > 0 and (regular or step == self.n_steps)

    def saves_after(self, step: int) -> bool:
        """Say whether a checkpoint is written once `step` steps are finished."""
        return step % self.save_every == 0 or step == self.n_steps
