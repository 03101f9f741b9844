"""What is said on standard error: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from refdet.training import EvaluationLine, Progress, ProgressBar, ProgressLines, StepLine
from refdet.training.progress import default_progress
from tests.training.tiny_run import run


class Terminal(io.StringIO):
    """Text that thinks it is a screen."""

    def isatty(self) -> bool:
        return True


def lines() -> Iterator[StepLine]:
    for step in range(1, 7):
        yield StepLine(step, step / 4, 0.1, 2.5 / step, {"class": 2 / step, "box": 0.5 / step}, 10.0 * step, 1.0 * step)


def test_lines_every_so_often() -> None:
    """A step takes 10 seconds by this clock; of the speed a tenth is the newest step's."""
    now, text = 100.0, io.StringIO()
    progress = ProgressLines(text, every=25, clock=lambda: now)
    progress.start(0, 6)
    for line in lines():
        now += 10
        progress.on_step(line)
    progress.on_evaluation(EvaluationLine(6, {"mAP": 0.5, "AR": 1 / 3}, 7.0))
    assert text.getvalue().splitlines() == [
        "step 1 of 6, epoch 0.25: loss 2.5 = class 2 + box 0.5; 10 images/s; 50 s left",
        "step 4 of 6, epoch 1: loss 0.625 = class 0.5 + box 0.125; 15.6 images/s; 20 s left",
        "step 6 of 6, epoch 1.5: loss 0.417 = class 0.333 + box 0.0833; 23.1 images/s",
        "step 6: mAP 0.5, AR 0.333",
    ]


def test_a_resumed_run_counts_its_own_steps() -> None:
    now, text = 0.0, io.StringIO()
    progress = ProgressLines(text, clock=lambda: now)
    progress.start(4, 20)
    now = 8.0
    progress.on_step(StepLine(5, 1, 0.1, 1.5, {"class": 1.5}, 4.0, 100.0))
    assert text.getvalue().splitlines() == [
        "going on after step 4 of 20",
        "step 5 of 20, epoch 1: loss 1.5; 4 images/s; 2 min 0 s left",
    ]


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    screen = Terminal()
    progress = ProgressBar(screen)
    progress.start(0, 6)
    for line in lines():
        progress.on_step(line)
    progress.on_evaluation(EvaluationLine(6, {"mAP [0.5]": 0.25}, 7.0))
    progress.say("[careful]")
    progress.close()
    shown = screen.getvalue()
    assert "━" in shown
    assert "[careful]" in shown
    for words in ("step 6 of 6, epoch 1.5", "loss 0.417 = class 0.333 + box 0.0833", "after step 6: mAP [0.5] 0.25"):
        assert shown.count(words) >= 2, f"{words} must be with the bar, and stay after it"
    assert [words in shown.splitlines()[-1] for words in ("━", "after step 6")] == [False, True]
    assert "23.1 images/s" in shown


def test_a_run_shows_its_bar_and_takes_it_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    run(tmp_path, progress=None)
    *_, last = screen.getvalue().splitlines()
    assert "step 7 of 7, epoch 2.8: loss " in last
    assert "━" not in last


def test_which_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert type(default_progress()) is ProgressLines
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert type(default_progress()) is ProgressBar
    monkeypatch.setattr(sys, "stderr", None)  # as `2>&-` leaves it
    assert type(default_progress()) is Progress


def test_a_notice_goes_past_all_buffers() -> None:
    read, write = os.pipe()
    with open(write, "w") as file:
        file.write("in the buffer")
        ProgressLines(file).notice("finishing")
        assert os.read(read, 100) == b"\nfinishing\n"
    os.close(read)
    ProgressLines(io.StringIO()).notice("nothing below")  # has no file descriptor
