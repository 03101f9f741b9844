"""Training Faster R-CNN in turns: first proposals, then detections, then each once more on a shared backbone.

| step | the losses of | "paper": starts anew, learns | "deck": starts anew, learns | steps of the paper |
|---|---|---|---|---|
| 1 | rpn | all; backbone, rpn | all; rpn | 80 000 |
| 2 | roi_heads | all; backbone, roi_heads | nothing; backbone, roi_heads | 40 000 |
| 3 | rpn | nothing; rpn | nothing; rpn | 80 000 |
| 4 | roi_heads | nothing; roi_heads | nothing; roi_heads | 40 000 |

Steps 2 and 4 learn from the proposals of the step before: of all anchors, the best 2000 after suppression. Ren, He,
Girshick & Sun, "Faster R-CNN" (2015), §3.2; py-faster-rcnn, `train_faster_rcnn_alt_opt.py`; deck 002, which lets step 1
keep the backbone of classification and step 2 go on from there. The deck has step 3 "fine-tune RPN in cascade of the
new backbone"; here it leaves the backbone alone, as otherwise step 2 would have learned on another one.

Conventions:

- "Anew" is what `initialise` returns for a part: for the backbone the weights of classification, for the others random
  ones. In step 2 of the paper the network is another one than in step 1, the layers of the RPN included, so that step 3
  begins with fresh ones.
- A parameter that was frozen before (conv1_1 to conv2_2 of VGG-16) stays frozen; afterwards everything is as it was.
- Steps 2 and 4 label and encode regions in pixels of the batch, as Faster R-CNN does. py-faster-rcnn does so there in
  pixels of the picture, as Fast R-CNN, and takes the std of the targets from the proposals: where `coordinates` is 1,
  labels of small regions may differ.
- What does not learn in a step keeps every bit, buffers included: this is checked, and an error names the array.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from refdet.autograd.tensor import Tensor, no_grad
from refdet.core.check import Array, check_choice
from refdet.data.lazy_sequence import LazySequence
from refdet.data.sample import Sample
from refdet.detection.faster_rcnn import FasterRCNN, Seen
from refdet.detection.last_pixel import to_half_open
from refdet.detection.rpn import propose
from refdet.nn import Module

PARTS = ("backbone", "rpn", "roi_heads")
POLICIES = ("paper", "deck")

Losses = Callable[..., Mapping[str, Tensor]]  # (samples, *, rng)


@dataclass(frozen=True)
class AlternatingStep:
    """One of the four steps.

    Attributes:
        number: from 1 to 4.
        losses: of which part: "rpn" or "roi_heads".
        anew: the parts that begin from what `initialise` returns.
        learns: the parts that are trained; the others keep every bit.
        n_published: steps of the paper, on VOC.
    """

    number: int
    losses: str
    anew: tuple[str, ...]
    learns: tuple[str, ...]
    n_published: int


def alternating_steps(policy: str = "paper") -> tuple[AlternatingStep, ...]:
    """Return the four steps of a policy, "paper" or "deck".

    >>> [step.learns for step in alternating_steps("deck")]
    [('rpn',), ('backbone', 'roi_heads'), ('rpn',), ('roi_heads',)]
    """
    check_choice("alternating_steps", "policy", policy, POLICIES)
    is_paper = policy == "paper"
    return (
        AlternatingStep(1, "rpn", PARTS, ("backbone", "rpn") if is_paper else ("rpn",), 80_000),
        AlternatingStep(2, "roi_heads", PARTS if is_paper else (), ("backbone", "roi_heads"), 40_000),
        AlternatingStep(3, "rpn", (), ("rpn",), 80_000),
        AlternatingStep(4, "roi_heads", (), ("roi_heads",), 40_000),
    )


class Train(Protocol):
    """Make the losses of a step small by changing those parameters of the model that require a gradient."""

    def __call__(self, step: AlternatingStep, model: FasterRCNN, samples: Sequence[Sample], losses: Losses) -> None:
        """Train; `losses(batch, rng=…)` returns them by name."""


def train_alternating(
    model: FasterRCNN,
    samples: Sequence[Sample],
    *,
    initialise: Callable[[str], Mapping[str, Array]],
    train: Train,
    policy: str = "paper",
) -> None:
    """Train a model in four steps.

    Args:
        model: is changed.
        samples: pictures whose objects are known.
        initialise: returns the state of a part, "backbone", "rpn" or "roi_heads", as it is before training.
        train: is called once for each step.
        policy: "paper" or "deck".
    """
    may_learn = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    try:
        for step in alternating_steps(policy):
            given = samples if step.losses == "rpn" else WithRPNProposals(model, samples)
            for part in step.anew:
                _part(model, part).load_state_dict(initialise(part))
            for name, parameter in model.named_parameters():
                parameter.requires_grad = may_learn[name] and name.split(".")[0] in step.learns
            before = frozen_arrays(model)
            train(step, model, given, model.losses_of_rpn if step.losses == "rpn" else model.losses_of_heads)
            _check_unchanged(step, model, before)
    finally:
        for name, parameter in model.named_parameters():
            parameter.requires_grad = may_learn[name]


def frozen_arrays(model: FasterRCNN) -> dict[str, Array]:
    """Return a copy of every parameter that does not learn, and of every buffer of a part in which none does."""
    learns = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    learning_parts = {name.split(".")[0] for name in learns}
    buffers = {name for name, _ in model.named_buffers() if name.split(".")[0] in learning_parts}
    return {name: array for name, array in model.state_dict().items() if name not in learns | buffers}


class WithRPNProposals(LazySequence[Sample]):
    """Samples with the proposals of a model as it is now: of all anchors, the best after suppression."""

    def __init__(self, model: FasterRCNN, samples: Sequence[Sample], *, n: int = 2000) -> None:
        super().__init__(len(samples))
        self._samples = samples
        self._proposals = [rpn_proposals_of(model, sample.image, n=n) for sample in samples]

    def _item(self, i: int) -> Sample:
        return replace(self._samples[i], proposals=self._proposals[i])


def rpn_proposals_of(model: FasterRCNN, image: Array, *, n: int = 2000) -> Array:
    """Return the n best proposals (P, 4) float32 of all anchors, in pixels of the picture (H, W, 3).

    They were clipped in the batch: where last pixels are counted, they may end up to a pixel outside the picture.
    """
    with no_grad():
        prepared = model.preparation.picture(image)
        maps = model.backbone.maps(Tensor(prepared.images_for(model)), training=False, rng=None)
        seen = Seen(prepared, maps)
        settings = replace(model.rpn.settings, pre_nms=(None, None), post_nms=(n, n))
        output, size, scale = model.rpn_output(seen), prepared.sizes[0], seen.scales[0]
        proposals = propose(settings, output, 0, size, training=False, scale=scale)
    boxes = to_half_open(proposals.boxes / prepared.ratio(0), model.rpn.settings.coordinates)
    return boxes.astype(np.float32)


def _part(model: FasterRCNN, name: str) -> Module:
    part: Module = getattr(model, name)
    return part


def _check_unchanged(step: AlternatingStep, model: FasterRCNN, before: Mapping[str, Array]) -> None:
    after = model.state_dict()
    for name, array in before.items():
        if array.tobytes() != after[name].tobytes():
            raise RuntimeError(f"train_alternating: step {step.number} changed {name}, which does not learn in it")
