"""The networks of the experiment on segmentation: FCN-32s, -16s and -8s.

    classifier ─ backbone: 32s steps_32s ──── steps_16s ─────── steps_8s     → FCN-32s
                               └─ refined: 16s steps_16s ────── steps_8s     → FCN-16s
                                                 └─ refined: 8s steps_8s     → FCN-8s

The backbone comes from a classifier (`segmentation_pretraining`). Each finer network starts from the coarser one (Long,
Shelhamer & Darrell, 2015, §4.3), and the coarser one goes on for as many steps: a finer network must be better than the
coarser one after the same number of steps, batches and rates. The optimiser is Adam instead of the paper's gradient
descent with momentum, which needs more steps than there are.

Four fifths of the pixels are background. In every batch of anything that is trained, only a share of them counts, drawn
at random: otherwise all networks would give most objects away.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array
from refdet.reproduce.progress import OnProgress
from refdet.reproduce.segmentation_descent import descend
from refdet.reproduce.segmentation_scenes import Split, network_channels
from refdet.reproduce.segmentation_settings import N_CLASSES, Settings
from refdet.segmentation.fcn import FCN, refined
from refdet.segmentation.training import IGNORE_LABEL, pixel_loss
from refdet.segmentation.transplant import transplant
from refdet.segmentation.vgg import VGGClassifier


def training_batch(scenes: Split, settings: Settings, n: int, rng: np.random.Generator) -> Split:
    """Return n different scenes, turned, most of their background to be ignored."""
    batch = random_batch(scenes, n, rng)
    ignored = (batch.label_maps == 0) & (rng.random(batch.label_maps.shape) >= settings.background_share)
    return Split(batch.images, batch.inputs, np.where(ignored, IGNORE_LABEL, batch.label_maps))


def random_batch(scenes: Split, n: int, rng: np.random.Generator) -> Split:
    """Return n different scenes, each mirrored, turned by right angles, and its three colours swapped at random."""
    chosen = rng.choice(len(scenes), n, replace=False)
    turned = [_turned(scenes, int(i), rng) for i in chosen]
    images, label_maps = (np.stack(arrays) for arrays in zip(*turned, strict=True))
    return Split(images, network_channels(images), label_maps)  # edges turn with the picture, so they are made anew


def _turned(scenes: Split, i: int, rng: np.random.Generator) -> tuple[Array, Array]:
    quarter, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    image, label_map = scenes.images[i][:, :, rng.permutation(3)], scenes.label_maps[i]
    planes = [p[:, ::-1] if mirrored else p for p in (image, label_map)]
    return np.rot90(planes[0], quarter), np.rot90(planes[1], quarter)


def train_network(
    stage: str,
    network: FCN,
    scenes: Split,
    settings: Settings,
    *,
    n_steps: int,
    lr: float,
    rng: np.random.Generator,
    on_progress: OnProgress,
) -> list[float]:
    """Train `network` in place; return the loss of each step."""

    def batch_loss() -> Tensor:
        batch = training_batch(scenes, settings, settings.batch_size, rng)
        logits = network(batch.inputs, training=True, rng=rng)
        return pixel_loss(logits, batch.label_maps, normalize="valid")

    return descend(stage, network.named_parameters(), batch_loss, n_steps=n_steps, lr=lr, on_progress=on_progress)


class TrainedNetworks(NamedTuple):
    """The three networks after the same number of steps, and the losses of each stage."""

    networks: dict[str, FCN]
    losses: dict[str, list[float]]


def train_networks(
    settings: Settings, classifier: VGGClassifier, scenes: Split, seed: int, on_progress: OnProgress
) -> TrainedNetworks:
    """Train FCN-32s, -16s and -8s as in the scheme above."""
    lengths = {"32s": settings.steps_32s, "16s": settings.steps_16s, "8s": settings.steps_8s}
    networks: dict[str, FCN] = {}
    losses: dict[str, list[float]] = {}
    for i_stage, (newest, n_steps) in enumerate(lengths.items()):
        if i_stage == 0:
            networks[newest] = FCN(N_CLASSES, variant=newest, plan=settings.plan, rng=np.random.default_rng([seed, 0]))
            transplant(networks[newest].backbone, classifier.backbone)
        else:
            networks[newest] = refined(networks[list(lengths)[i_stage - 1]])
        for variant, network in networks.items():
            again = "" if variant == newest else f", beside {newest}"
            stage = f"FCN-{variant}{again}"
            # The same generator for all networks of a stage: they see the same batches.
            rng = np.random.default_rng([seed, 1, i_stage])
            losses[stage] = train_network(
                stage, network, scenes, settings, n_steps=n_steps, lr=settings.lr, rng=rng, on_progress=on_progress
            )
    return TrainedNetworks(networks, losses)


def trained_longer(
    network: FCN, scenes: Split, settings: Settings, seed: int, on_progress: OnProgress
) -> tuple[FCN, list[float]]:
    """Return a copy of FCN-8s that has made as many more steps as the CRF-RNN makes, without a CRF."""
    longer = copy.deepcopy(network)
    losses = train_network(
        "FCN-8s, longer",
        longer,
        scenes,
        settings,
        n_steps=settings.end_to_end_steps,
        lr=settings.end_to_end_lr,
        rng=np.random.default_rng([seed, 2]),
        on_progress=on_progress,
    )
    return longer, losses
