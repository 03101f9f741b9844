"""What a run says while it runs, on standard error: a bar on a terminal, else a line of text every so often.

    step 120 of 1000, epoch 2.4: loss 1.23 = class 0.5 + box 0.73; 34 images/s; 2 min 5 s left

Pass `Progress()` to `train` for silence, or a subclass to be told. The images per second are a running mean; the time
left follows from the pace since the start, steps, evaluations and all.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from refdet.training.curves import duration
from refdet.training.metrics_log import EvaluationLine, StepLine

SMOOTHING = 0.1  # the weight of the newest step in the running means


class Progress:
    """Hears what happens and says nothing."""

    def start(self, step: int, n_steps: int) -> None:
        """Hear that `step` of `n_steps` steps are finished, and that it goes on from there."""

    def on_step(self, line: StepLine) -> None:
        """Hear of a finished step."""

    def on_evaluation(self, line: EvaluationLine) -> None:
        """Hear of an evaluation."""

    def say(self, sentence: str) -> None:
        """Hear a sentence for the user."""

    def notice(self, sentence: str) -> None:
        """Hear that a signal came. The program is in the middle of anything: take no lock and use no buffer."""

    def close(self) -> None:
        """Hear that no more will come, for whatever reason."""


class ProgressLines(Progress):
    """Writes a line at the first step, every so many seconds, at the last step, and for each evaluation."""

    def __init__(
        self, file: TextIO | None = None, *, every: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.file = sys.stderr if file is None else file
        self._every, self._clock = every, clock
        self._n_steps = 0
        self._spoke: float | None = None
        self._pace = Pace(0)

    def start(self, step: int, n_steps: int) -> None:
        """Say so where the run goes on from a checkpoint."""
        self._n_steps, self._pace, self._spoke = n_steps, Pace(step, self._clock), None
        if step:
            self.say(f"going on after step {step} of {n_steps}")

    def on_step(self, line: StepLine) -> None:
        """Write the step if it is time."""
        self._pace.add(line)
        now = self._clock()
        if self._spoke is None or now - self._spoke >= self._every or line.step == self._n_steps:
            self._spoke = now
            self.say(f"{in_words(line, self._n_steps)}; {self._pace.in_words(self._n_steps)}")

    def on_evaluation(self, line: EvaluationLine) -> None:
        """Write the evaluation."""
        self.say(f"step {line.step}: {numbers_in_words(line.evaluation, ', ')}")

    def say(self, sentence: str) -> None:
        """Write a line; nobody listening is no reason to stop."""
        with contextlib.suppress(OSError):
            print(sentence, file=self.file, flush=True)

    def notice(self, sentence: str) -> None:
        """Write a line past all buffers."""
        with contextlib.suppress(OSError, ValueError):  # no file below, or a closed one
            os.write(self.file.fileno(), f"\n{sentence}\n".encode())


class ProgressBar(ProgressLines):
    """Shows a bar with the losses below it, on a terminal, by rich."""

    def __init__(self, file: TextIO | None = None) -> None:
        super().__init__(file)
        self._live: Any = None
        self._bars: Any = None
        self._losses = self._evaluation = ""

    def start(self, step: int, n_steps: int) -> None:
        """Show the bar."""
        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.text import Text

        def shown() -> Group:
            notes = [note for note in (self._losses, self._evaluation) if note]
            return Group(self._bars, *(Text(note, no_wrap=True, overflow="ellipsis") for note in notes))

        console = Console(file=self.file, emoji=False, highlight=False)
        self._bars = Progress(
            TextColumn("{task.description}"), BarColumn(None), TextColumn("{task.fields[pace]}"), expand=True
        )
        self._bars.add_task("", total=max(n_steps, 1), completed=step, pace="")
        self._live = Live(get_renderable=shown, console=console, transient=True, refresh_per_second=4)
        self._live.start()
        super().start(step, n_steps)

    def on_step(self, line: StepLine) -> None:
        """Move the bar."""
        self._pace.add(line)
        what, self._losses = in_words(line, self._n_steps).split(": ", 1)
        self._bars.update(
            self._bars.task_ids[0],
            completed=line.step,
            description=what,
            pace=self._pace.in_words(self._n_steps).replace("; ", " · "),
        )

    def on_evaluation(self, line: EvaluationLine) -> None:
        """Show the evaluation until the next one."""
        self._evaluation = f"after step {line.step}: {numbers_in_words(line.evaluation, ', ')}"

    def say(self, sentence: str) -> None:
        """Write a line above the bar."""
        if self._live is None:
            super().say(sentence)
        else:
            self._live.console.print(sentence, markup=False)

    def close(self) -> None:
        """Take the bar away and leave its last words."""
        if self._live is None:
            return
        self._live.stop()
        self._live = None
        if self._losses:
            what = self._bars.tasks[0].description
            super().say(f"{what}: {self._losses}")
            if self._evaluation:
                super().say(self._evaluation)


class Pace:
    """The speed of late, and the pace since the start."""

    def __init__(self, step: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun, self._first, self._step = clock(), step, step
        self._images: float | None = None

    def add(self, line: StepLine) -> None:
        """Take a finished step into account."""
        before = line.images_per_second if self._images is None else self._images
        self._images = before + SMOOTHING * (line.images_per_second - before)
        self._step = line.step

    def in_words(self, n_steps: int) -> str:
        """Return the speed, and the time that the rest takes at the pace since the start."""
        speed = f"{self._images:.3g} images/s"
        if self._step >= n_steps:
            return speed
        left = (self._clock() - self._begun) / max(self._step - self._first, 1) * (n_steps - self._step)
        return f"{speed}; {duration(left)} left"


def default_progress() -> Progress:
    """Return a bar on a terminal, lines into a file or pipe, else silence."""
    file: TextIO | None = sys.stderr  # None if the program was started without
    if file is None:
        return Progress()
    return ProgressBar() if file.isatty() else ProgressLines()


def in_words(line: StepLine, n_steps: int) -> str:
    """Return where a step is and what it lost.

    >>> in_words(StepLine(3, 0.5, 0.1, 1.25, {"class": 1.0, "box": 0.25}, 10.0, 2.0), 8)
    'step 3 of 8, epoch 0.5: loss 1.25 = class 1 + box 0.25'
    """
    single = f" = {numbers_in_words(line.losses, ' + ')}" if len(line.losses) > 1 else ""
    return f"step {line.step} of {n_steps}, epoch {line.epoch:.3g}: loss {line.loss:.3g}{single}"


def numbers_in_words(values: Any, between: str) -> str:
    """Return names and numbers, in three digits.

    >>> numbers_in_words({"mAP": 0.51234, "recall": 1}, ", ")
    'mAP 0.512, recall 1'
    """
    return between.join(f"{name} {value:.3g}" for name, value in values.items())
