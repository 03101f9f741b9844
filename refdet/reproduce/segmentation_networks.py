"""The networks of the experiment on segmentation: FCN-32s, -16s and -8s, and how anything here is trained.

    32s: steps_32s ────────────── steps_16s ────────────── steps_8s     → FCN-32s
                   └─ refined: 16s steps_16s ───────────── steps_8s     → FCN-16s
                                             └─ refined: 8s steps_8s    → FCN-8s

Each finer network starts from the coarser one (Long, Shelhamer & Darrell, 2015, §4.3), and the coarser one goes on for
as many steps: a finer network must be better than the coarser one after the same number of steps, batches and rates.
The optimiser is Adam instead of the paper's gradient descent with momentum, which needs more steps than there are.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array
from refdet.data.transforms import network_input
from refdet.nn import Adam, Multipliers, Parameter
from refdet.reproduce.segmentation_scenes import LabelledScene, coloured_scene
from refdet.reproduce.segmentation_settings import N_CLASSES, Settings
from refdet.segmentation.fcn import FCN, refined
from refdet.segmentation.training import pixel_loss

LAST_RATE = 0.1  # of the first: where the learning rate of a stage ends


class Progress(NamedTuple):
    """How far a stage is, and its last loss where there is one."""

    stage: str
    done: int
    total: int
    loss: float | None = None


OnProgress = Callable[[Progress], object]


class Split(NamedTuple):
    """Some scenes: what a CRF sees, what a network sees, and the truth."""

    images: Array  # (N, H, W, 3) uint8
    inputs: Array  # (N, 3, H, W) float32
    label_maps: Array  # (N, H, W) int64

    def __len__(self) -> int:
        return len(self.images)  # not the number of fields


class Splits(NamedTuple):
    """Scenes to train, to tune and to measure on."""

    train: Split
    validation: Split
    test: Split


def make_scenes(settings: Settings, seed: int, on_progress: OnProgress) -> Splits:
    """Paint the scenes of a seed: first those of training, then those of validation and of the test."""
    sizes = (settings.n_train, settings.n_validation, settings.n_test)
    scenes: list[LabelledScene] = []
    for number in range(sum(sizes)):
        scenes.append(
            coloured_scene(
                seed,
                number,
                side=settings.side,
                diameters=settings.diameters,
                n_objects=settings.n_objects,
                spread=settings.spread,
            )
        )
        on_progress(Progress("scenes", number + 1, sum(sizes)))
    bounds = np.cumsum((0, *sizes)).tolist()
    train, validation, test = (_split(scenes[a:b], settings) for a, b in pairwise(bounds))
    return Splits(train, validation, test)


def _split(scenes: list[LabelledScene], settings: Settings) -> Split:
    inputs = [network_input(scene.image, mean=(128, 128, 128), order="RGB") / settings.input_scale for scene in scenes]
    return Split(
        np.stack([scene.image for scene in scenes]),
        np.stack(inputs).astype(np.float32),
        np.stack([scene.label_map for scene in scenes]),
    )


def descend(
    stage: str,
    named_parameters: Iterable[tuple[str, Parameter]],
    batch_loss: Callable[[], Tensor],
    *,
    n_steps: int,
    lr: float,
    on_progress: OnProgress,
    multipliers: Mapping[str, Multipliers] | None = None,
) -> list[float]:
    """Lower `batch_loss`, which draws a batch each time it is called; return the loss of each step."""
    optimiser = Adam(named_parameters, lr=lr, multipliers=multipliers)
    losses: list[float] = []
    for i_step in range(n_steps):
        loss = batch_loss()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step(lr=lr * (1 - (1 - LAST_RATE) * i_step / n_steps))
        losses.append(float(loss.item()))
        on_progress(Progress(stage, i_step + 1, n_steps, losses[-1]))
    optimiser.zero_grad()
    return losses


def random_batch(scenes: Split, n: int, rng: np.random.Generator) -> Split:
    """Return n different scenes, each mirrored and turned by right angles at random."""
    chosen = rng.choice(len(scenes), n, replace=False)
    turned = [_turned(scenes, int(i), rng) for i in chosen]
    images, inputs, label_maps = (np.stack(arrays) for arrays in zip(*turned, strict=True))
    return Split(images, inputs, label_maps)


def _turned(scenes: Split, i: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    image, channels, label_map = scenes.images[i], scenes.inputs[i], scenes.label_maps[i]
    quarter, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    planes = [np.moveaxis(image, 2, 0), channels, label_map[None]]
    planes = [np.rot90(p[:, :, ::-1] if mirrored else p, quarter, axes=(1, 2)) for p in planes]
    return np.moveaxis(planes[0], 0, 2), planes[1], planes[2][0]


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
        batch = random_batch(scenes, settings.batch_size, rng)
        logits = network(batch.inputs, training=True, rng=rng)
        return pixel_loss(logits, batch.label_maps, normalize="valid", ignore_label=None)

    return descend(stage, network.named_parameters(), batch_loss, n_steps=n_steps, lr=lr, on_progress=on_progress)


class TrainedNetworks(NamedTuple):
    """The three networks after the same number of steps, and the losses of each stage."""

    networks: dict[str, FCN]
    losses: dict[str, list[float]]


def train_networks(settings: Settings, scenes: Split, seed: int, on_progress: OnProgress) -> TrainedNetworks:
    """Train FCN-32s, -16s and -8s as in the scheme above."""
    lengths = {"32s": settings.steps_32s, "16s": settings.steps_16s, "8s": settings.steps_8s}
    networks: dict[str, FCN] = {}
    losses: dict[str, list[float]] = {}
    for i_stage, (newest, n_steps) in enumerate(lengths.items()):
        if i_stage == 0:
            networks[newest] = FCN(N_CLASSES, variant=newest, plan=settings.plan, rng=np.random.default_rng([seed, 0]))
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
