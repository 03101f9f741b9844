"""The random fields of the experiment on segmentation, each on top of the same FCN-8s.

| method | what it is | what of it is chosen, and how |
|---|---|---|
| grid CRF | contrast-sensitive Potts on 8 neighbours, α-expansion | w1, w2: the best of the candidates on validation |
| dense CRF | Gaussian edge potentials, mean field on the lattice | w, θ_α, θ_β: the best of as many, same scenes |
| CRF-RNN | the dense CRF as a layer, trained with the network | from the dense CRF's values, by gradient |
| Gauss MF-2 | two steps of mean field, Gaussian filters | compatibilities, from the dense CRF's, by gradient |
| learned MF-2 | the same, with learned filters | from Gauss MF-2 half-way: compatibilities and filters |

The fully connected CRFs share kernels and normalisation ("after", as CRF-as-RNN has it), so that the CRF-RNN begins as
the dense CRF, and the learned filters as the Gaussian ones.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from refdet import ops
from refdet.autograd.tensor import Tensor, no_grad
from refdet.core.check import Array
from refdet.crf.alpha_expansion import alpha_expansion
from refdet.crf.compatibility import potts
from refdet.crf.contrast_weights import contrast_weights
from refdet.crf.crf_rnn import CRFasRNN
from refdet.crf.dense import DenseCRF, GaussianPotential
from refdet.crf.features import bilateral_features, position_features
from refdet.crf.grid import grid_edges
from refdet.crf.learned_filters import FilterLattice
from refdet.crf.learned_mean_field import LearnedMeanField
from refdet.crf.unary import unary_from_probabilities
from refdet.metrics.segmentation import accumulate_confusion, segmentation_scores
from refdet.nn import Module, Multipliers
from refdet.reproduce.progress import OnProgress, Progress
from refdet.reproduce.segmentation_descent import descend
from refdet.reproduce.segmentation_networks import training_batch
from refdet.reproduce.segmentation_scenes import Split
from refdet.reproduce.segmentation_settings import N_CLASSES, DenseCandidate, GridCandidate, Settings
from refdet.segmentation.fcn import FCN
from refdet.segmentation.prediction import class_probabilities
from refdet.segmentation.training import IGNORE_LABEL, pixel_loss

Candidate = TypeVar("Candidate", GridCandidate, DenseCandidate)
Infer = Callable[[Candidate, Array, Array, Settings], Array]  # (candidate, unary, image, settings) → label map

MEAN_FIELD_STEPS = 2  # deck 004's MF-2step


def unaries(network: FCN, scenes: Split) -> list[Array]:
    """Return the energies −log p of each scene, (H·W, L)."""
    return [
        unary_from_probabilities(np.ascontiguousarray(p.reshape(N_CLASSES, -1).T))
        for p in class_probabilities(network, scenes.inputs)
    ]


def grid_crf(candidate: GridCandidate, unary: Array, image: Array, settings: Settings) -> Array:
    """Return the label map of the grid CRF."""
    height, width = image.shape[:2]
    edges, lengths = grid_edges((height, width), 8)
    colours = image.reshape(-1, 3).astype(unary.dtype)
    weights = contrast_weights(colours, edges, lengths, w1=candidate.w1, w2=candidate.w2)
    labels, _ = alpha_expansion(
        unary, edges, weights, potts(N_CLASSES, dtype=unary.dtype.name), cycles=settings.expansion_cycles
    )
    return labels.reshape(height, width)


def dense_crf(candidate: DenseCandidate, unary: Array, image: Array, settings: Settings) -> Array:
    """Return the label map of the fully connected CRF."""
    spatial, bilateral = kernel_features(candidate, image, settings)
    kernels = [
        GaussianPotential(features, potts(N_CLASSES, weight, dtype="float32"), normalisation="after")
        for features, weight in ((spatial, settings.smoothness_weight), (bilateral, candidate.weight))
    ]
    inference = DenseCRF(unary, kernels).infer(settings.crf_iterations)
    return inference.labels().reshape(image.shape[:2])


def kernel_features(candidate: DenseCandidate, image: Array, settings: Settings) -> tuple[Array, Array]:
    """Return the features of the spatial and of the bilateral kernel, (N, 2) and (N, 5) float32."""
    height, width = image.shape[:2]
    spatial = position_features((height, width), settings.theta_smoothness, dtype="float32")
    bilateral = bilateral_features(image.astype(np.float32), candidate.theta_position, candidate.theta_colour)
    return spatial, bilateral


class Tuned(NamedTuple):
    """The best candidate on the validation scenes, and what each of them reached there."""

    best: Any
    mean_ius: list[float]


def tune(
    stage: str,
    infer: Infer[Candidate],
    candidates: Sequence[Candidate],
    energies: Sequence[Array],
    scenes: Split,
    settings: Settings,
    on_progress: OnProgress,
) -> Tuned:
    """Try all candidates on the validation scenes; of equal ones the first is the best."""
    mean_ius = []
    for i, candidate in enumerate(candidates):
        found = [infer(candidate, unary, image, settings) for unary, image in zip(energies, scenes.images, strict=True)]
        mean_ius.append(mean_iu(scenes, found))
        on_progress(Progress(stage, i + 1, len(candidates)))
    return Tuned(candidates[int(np.argmax(mean_ius))], mean_ius)


def mean_iu(scenes: Split, label_maps: Sequence[Array]) -> float:
    """Return the mean IU of label maps."""
    confusion = accumulate_confusion(zip(scenes.label_maps, label_maps, strict=True), n_classes=N_CLASSES)
    return segmentation_scores(confusion).mean_iu


class NetworkWithCRF(Module):
    """FCN-8s and the CRF-RNN on top of it, as one network."""

    def __init__(self, network: FCN, crf: CRFasRNN) -> None:
        super().__init__()
        self.network, self.crf = network, crf

    def logits(self, scenes: Split, *, training: bool, rng: np.random.Generator | None = None) -> Tensor:
        """Return the refined logits of scenes, (N, L, H, W)."""
        coarse = self.network(scenes.inputs, training=training, rng=rng)
        return self.crf(coarse, scenes.images, training=training)


def train_crf_rnn(
    network: FCN, start: DenseCandidate, scenes: Split, settings: Settings, seed: int, on_progress: OnProgress
) -> tuple[NetworkWithCRF, list[float]]:
    """Train a copy of FCN-8s together with the CRF that starts as the tuned dense CRF."""
    crf = CRFasRNN(
        N_CLASSES,
        theta_alpha=start.theta_position,
        theta_beta=start.theta_colour,
        theta_gamma=settings.theta_smoothness,
        iterations=settings.crf_iterations,
        training_iterations=settings.crf_iterations,
        spatial_weight=settings.smoothness_weight,
        bilateral_weight=start.weight,
    )
    model = NetworkWithCRF(copy.deepcopy(network), crf)
    rng = np.random.default_rng([seed, 2])  # the batches of the network that is trained longer without a CRF

    def batch_loss() -> Tensor:
        batch = training_batch(scenes, settings, settings.batch_size, rng)
        logits = model.logits(batch, training=True, rng=rng)
        return pixel_loss(logits, batch.label_maps, normalize="valid")

    losses = descend(
        "CRF-RNN",
        model.named_parameters(),
        batch_loss,
        n_steps=settings.end_to_end_steps,
        lr=settings.end_to_end_lr,
        on_progress=on_progress,
        multipliers={
            name: Multipliers(lr=settings.crf_lr_factor)
            for name, _ in model.named_parameters()
            if name.startswith("crf.")
        },
    )
    return model, losses


def crf_rnn_labels(model: NetworkWithCRF, scenes: Split) -> list[Array]:
    """Return the label map of each scene."""
    found = []
    for i in range(len(scenes)):
        one = Split(*(array[i : i + 1] for array in scenes))
        with no_grad():
            found.append(np.argmax(model.logits(one, training=False).data[0], axis=0))
    return found


class FilterScene(NamedTuple):
    """What the mean field with learned filters needs of a scene."""

    unary: Array  # (H·W, L)
    lattices: tuple[FilterLattice, FilterLattice]  # spatial, bilateral
    labels: Array  # (H·W,)


def filter_scenes(start: DenseCandidate, network: FCN, scenes: Split, settings: Settings) -> Iterator[FilterScene]:
    """Make the unaries and the lattices of scenes, one after the other."""
    for unary, image, label_map in zip(unaries(network, scenes), scenes.images, scenes.label_maps, strict=True):
        spatial, bilateral = (
            FilterLattice(features, normalisation="after") for features in kernel_features(start, image, settings)
        )
        yield FilterScene(unary, (spatial, bilateral), label_map.ravel())


class MeanFields(Module):
    """The mean field with Gaussian filters, and a copy of it that learns its filters: two models, one training.

    They share nothing but the scenes. The sum of both losses has for the parameters of each the gradient of its own,
    and Adam treats every parameter by itself, so that each is trained as if it were alone.
    """

    def __init__(self, gauss: LearnedMeanField) -> None:
        super().__init__()
        self.gauss, self.learned = gauss, copy.deepcopy(gauss)
        self.learned.unfreeze()

    def logits(self, scene: FilterScene) -> dict[str, Tensor]:
        """Return the logits of both, (H·W, L)."""
        return {
            name: model(scene.unary, scene.lattices)
            for name, model in (("gauss", self.gauss), ("learned", self.learned))
        }


def gaussian_mean_field(start: DenseCandidate, settings: Settings) -> LearnedMeanField:
    """Return two steps of mean field with the dense CRF's weights and Gaussian filters, which stay as they are."""
    weights = (settings.smoothness_weight, start.weight)
    model = LearnedMeanField(N_CLASSES, (2, 5), steps=MEAN_FIELD_STEPS, weights=weights)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = not _is_filter(name)
    return model


def _is_filter(name: str) -> bool:
    return ".filters." in name


def train_mean_fields(
    start: DenseCandidate, network: FCN, scenes: Split, settings: Settings, seed: int, on_progress: OnProgress
) -> tuple[MeanFields, dict[str, list[float]]]:
    """Train the Gaussian mean field on the unaries of `network`, then both; return the losses of each.

    The dense CRF's weights were tuned for the best labels, the training asks for the best probabilities: without the
    first part, most of what the filters learn would be to undo this.
    """
    gauss = gaussian_mean_field(start, settings)
    rng = np.random.default_rng([seed, 3])
    losses: dict[str, list[float]] = {"gauss": [], "learned": []}

    def draw() -> list[FilterScene]:
        batch = training_batch(scenes, settings, settings.filter_batch_size, rng)
        return list(filter_scenes(start, network, batch, settings))

    def loss_of_gauss() -> Tensor:
        cases = draw()
        return _mean_loss([gauss(case.unary, case.lattices) for case in cases], cases)

    losses["gauss"] += descend(
        "Gauss MF-2",
        gauss.named_parameters(),
        loss_of_gauss,
        n_steps=settings.calibration_steps,
        lr=settings.calibration_lr,
        on_progress=on_progress,
    )
    models = MeanFields(gauss)

    def loss_of_both() -> Tensor:
        cases = draw()
        logits = [models.logits(case) for case in cases]
        each = {name: _mean_loss([x[name] for x in logits], cases) for name in losses}
        for name, loss in each.items():
            losses[name].append(float(loss.item()))
        return each["gauss"] + each["learned"]

    descend(
        "learned MF-2",
        models.named_parameters(),
        loss_of_both,
        n_steps=settings.learned_steps,
        lr=settings.learned_lr,
        on_progress=on_progress,
        multipliers={
            name: Multipliers(lr=settings.filter_lr_factor) for name, _ in models.named_parameters() if _is_filter(name)
        },
    )
    return models, losses


def _mean_loss(logits: Sequence[Tensor], cases: Sequence[FilterScene]) -> Tensor:
    """Return the mean cross-entropy over the pixels of all scenes that count."""
    labels = np.concatenate([case.labels for case in cases])
    return ops.softmax_cross_entropy(
        ops.concat(list(logits), axis=0), labels, ignore_label=IGNORE_LABEL, normalize="valid"
    )


def mean_field_labels(
    models: MeanFields,
    start: DenseCandidate,
    network: FCN,
    scenes: Split,
    settings: Settings,
    on_progress: OnProgress,
) -> dict[str, list[Array]]:
    """Return the label map of each scene, of both mean fields."""
    found: dict[str, list[Array]] = {"gauss": [], "learned": []}
    for i, case in enumerate(filter_scenes(start, network, scenes, settings)):
        with no_grad():
            logits = models.logits(case)
        for name, x in logits.items():
            found[name].append(np.argmax(x.data, axis=1).reshape(scenes.label_maps.shape[1:]))
        on_progress(Progress("mean fields, test", i + 1, len(scenes)))
    return found
