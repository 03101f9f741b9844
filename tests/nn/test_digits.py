"""A small VGG-like network learns to read digits, and does so in the same way every time."""

from __future__ import annotations

import time

import numpy as np
import pytest

from refdet import nn, ops
from refdet.autograd import no_grad
from refdet.nn.schedules import poly

N_EPOCHS = 12
BATCH = 50
N_TRAIN = 1300  # of 1797, shuffled first: the file is sorted by writer


def vgg_like(rng: np.random.Generator) -> nn.Sequential:
    """Return pairs of 3 × 3 convolutions between poolings, then two linear layers: VGG's plan on 8 × 8 pixels."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, rng=rng),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1, rng=rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, rng=rng),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1, rng=rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 2 * 2, 64, rng=rng),
        nn.ReLU(),
        nn.Dropout(0.25),
        nn.Linear(64, 10, rng=rng),
    )


def digits() -> tuple[np.ndarray, np.ndarray]:
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn, which ships the digits, is not installed")
    data = datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    return (data.images[order, None] / 16).astype(np.float32), data.target[order].astype(np.int64)


def train(x: np.ndarray, labels: np.ndarray, *, n_epochs: int, seed: int) -> tuple[nn.Sequential, list[float]]:
    rng = np.random.default_rng(seed)
    net = vgg_like(rng)
    n_steps = n_epochs * (len(x) // BATCH)
    rate = poly(0.05, n_steps=n_steps)
    optimiser = nn.SGD(net.named_parameters(), lr=rate(0), momentum=0.9, weight_decay=5e-4)
    losses: list[float] = []
    for _ in range(n_epochs):
        order = rng.permutation(len(x))
        for i in range(0, len(x) - BATCH + 1, BATCH):
            batch = order[i : i + BATCH]
            loss = ops.softmax_cross_entropy(net(x[batch], training=True, rng=rng), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step(lr=rate(len(losses)))
            losses.append(loss.item())
    return net, losses


@pytest.mark.slow
@pytest.mark.oracle
def test_reads_digits_it_has_not_seen() -> None:
    x, labels = digits()
    started = time.perf_counter()
    net, losses = train(x[:N_TRAIN], labels[:N_TRAIN], n_epochs=N_EPOCHS, seed=0)
    seconds = time.perf_counter() - started
    with no_grad():
        predicted = np.argmax(net(x[N_TRAIN:]).data, axis=1)
    accuracy = float(np.mean(predicted == labels[N_TRAIN:]))
    print(f"test accuracy {accuracy:.2%} on {len(predicted)} digits after {len(losses)} steps in {seconds:.1f} s")
    assert accuracy >= 0.97
    assert np.mean(losses[-20:]) < 0.1 * np.mean(losses[:5])


@pytest.mark.oracle
def test_one_seed_gives_one_loss_curve() -> None:
    x, labels = digits()
    (_, first), (_, second), (_, other) = (train(x[:500], labels[:500], n_epochs=1, seed=seed) for seed in (0, 0, 1))
    assert first == second
    assert first != other
