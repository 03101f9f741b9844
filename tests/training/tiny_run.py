"""A network of some hundred weights and a few pictures of 16 × 16 pixels: a run of milliseconds.

As a program: train in the folder that is named, `kill -9` a child at seeded moments, train to the end, print the
weights' digest and how many steps the killed children left behind.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from refdet import nn, ops
from refdet.autograd.tensor import Tensor
from refdet.data import Sample, as_batch, random_mirror
from refdet.nn.schedules import warm_up
from refdet.training import Progress, TrainingResult, TrainingSettings, train

MEAN = (128.0, 128.0, 128.0)


class TinyNet(nn.Module):
    """Says which of two classes a picture shows, and how wide its object is; draws dropout, keeps statistics."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.body = nn.Sequential(
            nn.Conv2d(3, 3, 4, stride=4, rng=rng), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.25), nn.Flatten()
        )
        self.head = nn.Linear(48, 3, rng=rng)

    def losses(self, samples: Sequence[Sample], *, rng: np.random.Generator) -> Mapping[str, Tensor]:
        """Return the losses "class" and "width"."""
        images = as_batch(samples, mean=MEAN).images / np.float32(64)
        y = self.head(self.body(images, training=True, rng=rng), training=True, rng=rng)
        classes = np.array([sample.classes[0] - 1 for sample in samples])
        widths = np.array([(s.boxes[0, 2] - s.boxes[0, 0]) / 16 for s in samples], np.float32)
        error = y[:, 2] - Tensor(widths)
        return {"class": ops.softmax_cross_entropy(y[:, :2], classes), "width": (error * error).mean()}

    def scores(self, samples: Sequence[Sample]) -> dict[str, float]:
        """Return the share of pictures that are classified right."""
        y = self.head(self.body(as_batch(samples, mean=MEAN).images / np.float32(64)))
        right = y.data[:, :2].argmax(axis=1) + 1 == [s.classes[0] for s in samples]
        return {"accuracy": float(right.mean())}


def pictures(n: int = 5, seed: int = 0) -> list[Sample]:
    """Return noise that is brighter for class 2, with a box each."""
    rng = np.random.default_rng(seed)
    samples = []
    for i in range(n):
        c = i % 2 + 1
        image = rng.integers(0, 128 * c, (16, 16, 3)).astype(np.uint8)
        boxes = np.array([[1, 2, rng.integers(4, 15), 9]], np.float32)
        samples.append(Sample(f"picture {i}", image, boxes, np.array([c]), np.array([False])))
    return samples


def mirrored(sample: Sample, rng: np.random.Generator) -> Sample:
    return random_mirror(sample, rng)


def rates(step: int) -> float:
    return warm_up(lambda i: 0.05 / (1 + i), n_steps=3, start=0.5)(step)


def sgd(model: nn.Module) -> nn.Optimiser:
    return nn.SGD(model.named_parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)


def run(
    folder: Path | None = None,
    *,
    model: TinyNet | None = None,
    optimiser: Callable[[nn.Module], nn.Optimiser] = sgd,
    n_steps: int = 7,
    **options: Any,
) -> tuple[TinyNet, TrainingResult]:
    """Train and return the network with the result; options of the settings and of `train` alike."""
    model = TinyNet() if model is None else model
    settings: dict[str, Any] = {"batch_size": 2, "draw_every": None, "save_every": 3, "ahead": 0}
    named = set(TrainingSettings.__dataclass_fields__)
    settings |= {name: options.pop(name) for name in list(options) if name in named}
    arguments: dict[str, Any] = {
        "samples": pictures(), "losses": model.losses, "optimiser": optimiser(model), "schedule": rates,
        "settings": TrainingSettings(n_steps, **settings), "transform": mirrored, "progress": Progress(), **options,
    }  # fmt: skip
    return model, train(model, folder=folder, **arguments)


def bits(model: nn.Module) -> str:
    """Return a digest of all parameters and buffers."""
    state = model.state_dict()
    return hashlib.sha256(b"".join(name.encode() + state[name].tobytes() for name in sorted(state))).hexdigest()


def steps_logged(folder: Path) -> int:
    log = folder / "metrics.jsonl"
    return log.read_bytes().count(b"\n") if log.exists() else 0


def kill_and_finish(folder: Path, seed: int, n_kills: int, n_steps: int) -> None:
    """Train in children that are killed at random moments, then to the end."""
    rng, left = np.random.default_rng(seed), []
    for _ in range(n_kills):
        until = steps_logged(folder) + int(rng.integers(1, 9))
        child = os.fork()
        if child == 0:
            run(folder, n_steps=n_steps, ahead=2)
            os._exit(0)
        deadline = time.monotonic() + 10
        while steps_logged(folder) < until and time.monotonic() < deadline:
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, 0.015))  # some steps, and a save
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        left.append(steps_logged(folder))
    model, result = run(folder, n_steps=n_steps, ahead=2)
    print(bits(model), result.n_steps, steps_logged(folder), *left)


if __name__ == "__main__":
    kill_and_finish(Path(sys.argv[1]), *map(int, sys.argv[2:]))
