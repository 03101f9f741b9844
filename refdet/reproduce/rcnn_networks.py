"""The networks of the experiment on the R-CNN family: what each begins with, and the stages of its training.

    classifier of objects ── features ─┬─ sliding window                      losses
                                       ├─ R-CNN, features frozen              losses → fit
                                       ├─ R-CNN, features learning            losses → fit
                                       ├─ SPP-net, crops of proposals ─┬─ at one scale      losses → fit
                                       │                               └─ at five scales    losses → fit
                                       ├─ Fast R-CNN                          losses ──── truncated SVD: a copy
                                       └─ Faster R-CNN                        losses

The classifier (`refdet.detection.object_classifier`) stands for the network trained on ImageNet that the papers begin
with. R-CNN, Fast and Faster R-CNN take over all its layers, the others, whose maps have another size, the convolutions.
`losses` is descent by `refdet.training.train`; `fit` are the support vector machines and box regressors, on
features that no longer change. Weights, order of the scenes and draws follow from the seed. Networks with as many
pictures a step see the same pictures.

Each stage has a folder of its own below that of the seed. What is finished there is read, what was interrupted goes on,
bit for bit as if it had not been.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from refdet import training
from refdet.data.lazy_sequence import LazySequence
from refdet.data.sample import Sample
from refdet.data.shapes import CLASS_NAMES, Shapes
from refdet.detection.fast_rcnn import FastRCNN
from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.model_settings import plain_settings
from refdet.detection.object_classifier import ObjectClassifier, begin_as, begin_windows_as
from refdet.detection.rcnn import RCNN, small_rcnn
from refdet.detection.sliding_window import SlidingWindow
from refdet.detection.small_detectors import small_faster_rcnn
from refdet.detection.small_fast_rcnn import small_fast_rcnn
from refdet.detection.spp_net import SPPNet, small_spp_net
from refdet.detection.truncated_svd import with_truncated_layers
from refdet.detection.with_proposals import WithProposals, proposals_of
from refdet.features.backbones.vgg import vgg, vgg_features
from refdet.nn import Module
from refdet.nn.checkpoint import load_tensors, save_tensors
from refdet.reproduce.progress import OnProgress, Progress
from refdet.reproduce.rcnn_settings import Settings
from refdet.training.recipes import Augmentation, DetectorRecipe
from refdet.training.run import Losses
from refdet.training.run_folder import LAST

NETWORKS = ("classifier", "sliding_window", "rcnn_frozen", "rcnn", "spp_crops", "spp_1", "spp_5", "fast", "faster")
FITTED = "fitted.safetensors"  # of a stage: the network with its machines and box regressors
N_PARTS = 10  # into which the losses of a stage are averaged

AnyModule = TypeVar("AnyModule", bound=Module)
AnyFitted = TypeVar("AnyFitted", RCNN, SPPNet)  # with machines and box regressors


class Thinned(LazySequence[Sample]):
    """Samples with at most n of their proposals each, evenly spread over their order."""

    def __init__(self, samples: Sequence[Sample], n: int) -> None:
        super().__init__(len(samples))
        self._samples, self._most = samples, n

    def _item(self, i: int) -> Sample:
        sample = self._samples[i]
        boxes = proposals_of(sample)
        n = min(len(boxes), self._most)
        return replace(sample, proposals=boxes[np.arange(n) * len(boxes) // max(n, 1)])


@dataclass
class Workshop:
    """The scenes and networks of one seed, each made when it is first asked for.

    Attributes:
        settings: all numbers.
        seed: of the experiment.
        folder: of this seed, for what would be dear to make again.
        on_progress: is told how far things are.
    """

    settings: Settings
    seed: int
    folder: Path
    on_progress: OnProgress

    def __post_init__(self) -> None:
        self.losses: dict[str, list[float]] = {}  # stage → means of equal parts of them, of stages that were run

    def rng(self, network: str) -> np.random.Generator:
        """Return the source of the first weights of a network."""
        return np.random.default_rng([self.seed, NETWORKS.index(network)])

    # scenes

    @cached_property
    def scenes(self) -> tuple[list[Sample], list[Sample]]:
        """Those to train on and those to test on, without masks, which nobody looks at."""
        s = self.settings
        n, size, seed = s.n_train + s.n_test, (s.side, s.side), s.first_scenes + self.seed
        scenes = []
        for scene in Shapes(n, seed=seed, size=size):
            scenes.append(Sample(scene.name, scene.image, scene.boxes, scene.classes, scene.difficult))
            self.on_progress(Progress("scenes", len(scenes), n))
        return scenes[: s.n_train], scenes[s.n_train :]

    @cached_property
    def train(self) -> WithProposals:
        """Those to train on, with their proposals."""
        return self._searched("train", self.scenes[0])

    @cached_property
    def test(self) -> WithProposals:
        """Those to test on, with their proposals."""
        return self._searched("test", self.scenes[1])

    def _searched(self, name: str, scenes: Sequence[Sample]) -> WithProposals:
        self.folder.mkdir(parents=True, exist_ok=True)
        found = WithProposals(scenes, self.settings.search, path=self.folder / f"proposals_{name}.npz")
        if found.n_found < len(found):
            found.save(on_found=lambda n: self.on_progress(Progress(f"proposals, {name}", n, len(found))))
        return found

    # networks

    @cached_property
    def classifier(self) -> ObjectClassifier:
        """What all others begin with."""
        s, rng = self.settings, self.rng("classifier")
        features = vgg_features(s.blocks, batch_norm=s.batch_norm, rng=rng)
        classifier = ObjectClassifier(
            len(CLASS_NAMES), features, fc=s.fast.fc, crops=s.crops, preparation=s.fast.preparation, rng=rng
        )
        return self.trained("classifier", classifier, classifier.losses, s.classifier, s.crops, self.scenes[0])

    @cached_property
    def sliding_window(self) -> SlidingWindow:
        """The baseline; its convolutions are R-CNN's, and it has the last pooling that R-CNN leaves out."""
        s = self.settings
        network = vgg(
            s.blocks,
            len(CLASS_NAMES),
            hidden=s.windows_hidden,
            map_size=max(1, s.windows.crop >> len(s.blocks)),
            batch_norm=s.batch_norm,
            dropout=0.0,
            rng=self.rng("sliding_window"),
        )
        self.begin(network.features)
        model = SlidingWindow(CLASS_NAMES, network, settings=s.windows)
        return self.trained("sliding_window", model, model.losses, s.windows_recipe, s.windows, self.scenes[0])

    @cached_property
    def rcnn_frozen(self) -> RCNN:
        """R-CNN of which only the fully connected layers have learned from windows."""
        return self._rcnn("rcnn_frozen")

    @cached_property
    def rcnn(self) -> RCNN:
        """R-CNN fine-tuned as a whole."""
        return self._rcnn("rcnn")

    def _rcnn(self, stage: str) -> RCNN:
        s = self.settings
        model = small_rcnn(CLASS_NAMES, rng=self.rng("rcnn"), settings=s.rcnn)  # of one pair, as all that they draw
        begin_windows_as(model.network, self.classifier)
        if stage == "rcnn_frozen":
            model.network.features.freeze()
        model = self.trained(stage, model, model.losses, s.rcnn_recipe, s.rcnn, self.train)
        return self.fitted(stage, model, self.train)  # of which it takes `fit_regions` by itself

    @cached_property
    def spp_crops(self) -> SPPNet:
        """SPP-net after its first stage: convolutions and fully connected layers have learned from crops."""
        s = self.settings
        model = small_spp_net(CLASS_NAMES, rng=self.rng("spp_crops"), settings=s.spp)
        self.begin(features_of(model))
        return self.trained("spp_crops", model, model.pretraining_losses, s.spp_crops_recipe, s.spp, self.train)

    @cached_property
    def spp_1(self) -> SPPNet:
        """SPP-net at one scale."""
        return self._spp("spp_1", self.settings.spp.scales)

    @cached_property
    def spp_5(self) -> SPPNet:
        """SPP-net at five scales."""
        return self._spp("spp_5", self.settings.five_scales)

    def _spp(self, stage: str, scales: tuple[int, ...]) -> SPPNet:
        settings = replace(self.settings.spp, scales=scales)
        model = small_spp_net(CLASS_NAMES, rng=self.rng("spp_crops"), settings=settings)
        model.load_state_dict(self.spp_crops.state_dict())
        model.freeze_convolutions()
        recipe = self.settings.spp_recipe
        model = self.trained(stage, model, model.losses, recipe, settings, self.train)
        return self.fitted(stage, model, Thinned(self.train, self.settings.spp_fit_regions))

    @cached_property
    def fast(self) -> FastRCNN:
        """Fast R-CNN."""
        s = self.settings
        model = small_fast_rcnn(CLASS_NAMES, rng=self.rng("fast"), settings=s.fast)
        begin_as(model, self.classifier)
        if not (self.folder / "fast" / LAST).exists():  # which has them
            model.fit_targets(self.train)
        return self.trained("fast", model, model.losses, s.fast_recipe, s.fast, self.train)

    @cached_property
    def fast_svd(self) -> FastRCNN:
        """Fast R-CNN whose fully connected layers are two thinner ones each; nothing is trained again."""
        ranks = dict(zip(("roi_heads.box_head.fc6", "roi_heads.box_head.fc7"), self.settings.svd_ranks, strict=True))
        return with_truncated_layers(self.fast, ranks)

    @cached_property
    def faster(self) -> FasterRCNN:
        """Faster R-CNN, by approximate joint training."""
        s = self.settings
        model = small_faster_rcnn(CLASS_NAMES, rng=self.rng("faster"), settings=s.faster)
        begin_as(model, self.classifier)
        return self.trained("faster", model, model.losses, s.faster_recipe, s.faster, self.scenes[0])

    # stages

    def begin(self, features: Module) -> None:
        """Let the features of a detector begin with those of the classifier."""
        features.load_state_dict(self.classifier.features.state_dict())

    def trained(
        self,
        stage: str,
        model: AnyModule,
        losses: Losses,
        recipe: DetectorRecipe,
        settings: Any,
        samples: Sequence[Sample],
    ) -> AnyModule:
        """Make the steps of a stage that are left, and return the model."""
        result = training.train(
            model,
            samples,
            losses=recipe.on_batches(losses),
            optimiser=recipe.make_optimiser(model),
            schedule=recipe.schedule(),
            settings=training.TrainingSettings(
                n_steps=recipe.steps,
                batch_size=recipe.batch_size,
                seed=self.seed,
                max_gradient_norm=recipe.max_gradient_norm,
                draw_every=None,
            ),
            folder=self.folder / stage,
            transform=Augmentation(recipe.mirror, recipe.photometric, recipe.recoloured, moved=recipe.moved),
            progress=_Told(stage, self.on_progress),
            description={"stage": stage, "settings": plain_settings(settings)},
        )
        steps = [step.loss for step in result.history.steps]
        self.losses[stage] = [
            round(float(part.mean()), 4)
            for part in np.array_split(steps, min(N_PARTS, max(1, len(steps))))
            if len(part)
        ]
        return model

    def fitted(self, stage: str, model: AnyFitted, samples: Sequence[Sample]) -> AnyFitted:
        """Fit machines and box regressors, unless that has been done, and return the model."""
        path = self.folder / stage / FITTED
        if path.exists():
            model.load_state_dict(load_tensors(path))
            return model

        def tell(done: int) -> None:
            self.on_progress(Progress(f"{stage}, machines", done, len(samples)))

        model.fit(samples, progress=tell)
        save_tensors(path, model.state_dict())
        return model


class _Told(training.Progress):
    """Passes the steps of a training run on."""

    def __init__(self, stage: str, on_progress: OnProgress) -> None:
        self._stage, self._on_progress, self._n_steps = stage, on_progress, 0

    def start(self, step: int, n_steps: int) -> None:
        """Tell where it begins, if there is anything left."""
        self._n_steps = n_steps
        if step < n_steps:
            self._on_progress(Progress(self._stage, step, n_steps))

    def on_step(self, line: training.StepLine) -> None:
        """Tell of a step."""
        self._on_progress(Progress(self._stage, line.step, self._n_steps, line.loss))

    def notice(self, sentence: str) -> None:
        """Write it past all buffers."""
        with contextlib.suppress(OSError, ValueError):  # no file below, or a closed one
            os.write(sys.stderr.fileno(), f"\n{sentence}\n".encode())


def features_of(model: Any) -> Module:
    """Return the convolutions of a detector with a backbone."""
    features: Module = model.backbone.features
    return features
