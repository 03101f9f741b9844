"""Training a support vector machine on more negatives than fit: only the hard ones are kept.

    for each picture:
        add its negatives with z > −1.0001                all of them before there is a machine
        if more than 2000 were added, or there is no machine yet:
            train on all positives and the negatives that are kept
            drop the negatives with z < −1.2
    train a last time

A negative with z ≤ −1 has no loss: training without it gives the same machine, as long as it stays there. One pass
over the pictures is enough. Girshick et al., "Rich feature hierarchies" (2014), §2.3, and its code, `rcnn_train.m`;
Sung & Poggio (1998) and Felzenszwalb et al. (2010) for the idea.

Conventions: a negative exactly at −1.0001 is not added, one exactly at −1.2 not dropped, exactly 2000 do not train. The
last training is left out where nothing was added since the one before. Without any negative the machine is trained on
the positives alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refdet.core.check import Array, check_number, integer
from refdet.detection.linear_svm import FINEST, LinearSVM, train_linear_svm


@dataclass(frozen=True)
class MiningSettings:
    """The numbers of the machine and of the mining; the defaults are R-CNN's.

    Attributes:
        C: weight of the loss of a negative.
        positive_weight: by which the loss of a positive weighs more.
        bias_feature: the larger, the freer is the bias.
        negative_below: a region is a negative of a class if its IoU with every object of the class is less.
        objects_as_negatives: whether the boxes of the objects are among the regions, so that an object may be a
            negative of the other classes.
        hard_above: a negative is added if its margin is greater.
        evict_below: a negative is dropped after training if its margin is less.
        retrain_after: a machine is trained anew when more negatives than that were added.
        tolerance: of the training, see `train_linear_svm`.
    """

    C: float = 1e-3
    positive_weight: float = 2.0
    bias_feature: float = 10.0
    negative_below: float = 0.3
    objects_as_negatives: bool = True
    hard_above: float = -1.0001
    evict_below: float = -1.2
    retrain_after: int = 2000
    tolerance: float = 1e-8

    def __post_init__(self) -> None:
        for name in ("C", "positive_weight", "bias_feature"):
            check_number("MiningSettings", name, getattr(self, name), low=0, open_low=True)
        check_number("MiningSettings", "tolerance", self.tolerance, low=FINEST)
        for name in ("negative_below", "hard_above", "evict_below"):
            check_number("MiningSettings", name, getattr(self, name))
        integer("MiningSettings", "retrain_after", self.retrain_after, low=0)
        if self.evict_below > self.hard_above:
            raise ValueError(
                f"MiningSettings: evict_below must not exceed hard_above, got {self.evict_below} and {self.hard_above}"
            )


class HardNegatives:
    """The machine of one class while pictures come in, with the negatives that are kept."""

    def __init__(self, positives: Array, settings: MiningSettings | None = None) -> None:
        """Begin with all positives, (P, F)."""
        self.settings = settings or MiningSettings()
        self.positives = positives
        self.negatives: Array = positives[:0]
        self.machine: LinearSVM | None = None
        self.n_added = 0  # since the last training
        self.n_trained = 0  # trainings

    def add(self, features: Array) -> None:
        """Take the hard ones of the negatives (N, F) of a picture, and train if it is time."""
        hard = features
        if self.machine is not None:
            hard = features[features @ self.machine.weight + self.machine.bias > self.settings.hard_above]
        self.negatives = np.concatenate([self.negatives, hard])
        self.n_added += len(hard)
        if self.n_added > (0 if self.machine is None else self.settings.retrain_after):
            self._train()

    def finish(self) -> LinearSVM:
        """Train on what came since the last training, and return the machine."""
        if self.n_added or self.machine is None:
            return self._train()
        return self.machine

    def _train(self) -> LinearSVM:
        s = self.settings
        machine = train_linear_svm(
            self.positives,
            self.negatives,
            C=s.C,
            positive_weight=s.positive_weight,
            bias_feature=s.bias_feature,
            tolerance=s.tolerance,
        )
        margins = self.negatives @ machine.weight + machine.bias
        self.negatives = self.negatives[margins >= s.evict_below]
        self.machine, self.n_added, self.n_trained = machine, 0, self.n_trained + 1
        return machine
