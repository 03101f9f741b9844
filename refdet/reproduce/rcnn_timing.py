"""How long detectors take for a picture, side by side.

    for each picture, for each round: A B C … one after the other, each timed by itself
    seconds of a method = mean over the pictures of the median over the rounds

Whatever else slows the machine down for a while slows all of them, and the median leaves it out. Each has seen the
first picture before, so that nothing is compiled or filled while it is timed. The search for proposals is one of the
methods: what a detector takes with it is the sum of both, for the proposals are handed over. A wall clock is read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median

from refdet.autograd.tensor import Tensor, no_grad
from refdet.data.sample import Sample
from refdet.detection.fast_rcnn import FastRCNN
from refdet.detection.late_head import LateHead
from refdet.detection.roi_heads import BoxHead
from refdet.detection.with_proposals import proposals_of
from refdet.reproduce.progress import OnProgress, Progress

Method = Callable[[Sample], object]


def side_by_side(
    methods: Mapping[str, Method],
    samples: Sequence[Sample],
    *,
    rounds: int,
    stage: str = "timing",
    on_progress: OnProgress = lambda progress: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Return the seconds a picture of each method.

    Args:
        methods: functions of a sample, by name.
        samples: at least one.
        rounds: how often each looks at each picture.
        stage: for the progress.
        on_progress: is told of every picture.
        clock: returns seconds.
    """
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for method in methods.values():
        method(samples[0])
    for i, sample in enumerate(samples):
        taken: dict[str, list[float]] = {name: [] for name in methods}
        for _ in range(rounds):
            for name, method in methods.items():
                start = clock()
                method(sample)
                taken[name].append(clock() - start)
        for name, times in taken.items():
            seconds[name].append(median(times))
        on_progress(Progress(stage, i + 1, len(samples)))
    return {name: fmean(times) for name, times in seconds.items()}


def heads_side_by_side(
    models: Mapping[str, FastRCNN], samples: Sequence[Sample], *, rounds: int, on_progress: OnProgress
) -> dict[str, float]:
    """Return the seconds a picture of the fully connected layers of each model, all on what those of the first see."""
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for i, sample in enumerate(samples):
        seen = seen_by_the_layers(next(iter(models.values())), sample)
        with no_grad():
            taken = side_by_side(
                {name: _layers(model, seen) for name, model in models.items()}, [sample], rounds=rounds
            )
        for name, time_of_picture in taken.items():
            seconds[name].append(time_of_picture)
        on_progress(Progress("timing, fully connected layers", i + 1, len(samples)))
    return {name: fmean(times) for name, times in seconds.items()}


def seen_by_the_layers(model: FastRCNN, sample: Sample) -> Tensor:
    """Return what passes through the fully connected layers in the detection of a picture, region by region."""
    heads, strides = model.roi_heads, model.backbone.strides
    prepared = model.preparation([sample])
    boxes = proposals_of(prepared.samples[0])
    boxes = boxes[model.merged(boxes)[0]]
    with no_grad():
        maps = model.backbone.maps(Tensor(prepared.images), training=False, rng=None)
        crops = heads.features(maps, strides, [boxes], heads.settings.side, heads.settings.context)
        return heads.box_head.late_maps(crops) if isinstance(heads.box_head, LateHead) else crops


def _layers(model: FastRCNN, seen: Tensor) -> Method:
    head, predictor = model.roi_heads.box_head, model.roi_heads.box_predictor
    if not isinstance(head, BoxHead):
        raise TypeError(f"timing: the box head must have fully connected layers, got {type(head).__name__}")

    def layers(sample: Sample) -> object:
        features = head.fully_connected(seen, training=False, rng=None)
        return predictor.both(features, training=False, rng=None)

    return layers
