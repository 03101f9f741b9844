"""How a training run ends early, each told in one sentence."""

from __future__ import annotations


class TrainingError(Exception):
    """A run that cannot begin or go on: the disk is full, the folder is in use, an evaluation changed the model."""


class DivergenceError(TrainingError, FloatingPointError):
    """A loss, a gradient or a parameter is not finite."""


class OtherRunError(TrainingError, ValueError):
    """The folder holds a run of another configuration."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM, after the current step was finished and saved; the message says how to go on."""
