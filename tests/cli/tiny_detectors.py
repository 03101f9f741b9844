"""Small detectors that are made and run in milliseconds, for the tests of the commands."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.data import Sample
from refdet.detection.detected import Detected
from refdet.detection.model_file import save_model
from refdet.detection.model_names import MODELS, JointSettings, Model
from refdet.detection.preparation import Preparation
from refdet.detection.small_detectors import SmallSettings
from refdet.nn.module import Module, Parameter

_DEFAULT = SmallSettings()
TINY = SmallSettings(
    blocks=((2, 1), (3, 1), (3, 1)),
    rpn=dataclasses.replace(
        _DEFAULT.rpn, sizes=((12.0, 30.0),), ratios=(1.0,), hidden=3, n_drawn=8, pre_nms=(12, 12), post_nms=(6, 6)
    ),
    head=dataclasses.replace(_DEFAULT.head, side=2, n_drawn=8, n_detections=3, score_threshold=0.0),
    scales=None,
    fc=(4, 5),
    mask_channels=(3,),
    mask_hidden=2,
    keypoint_channels=(3,),
    preparation=Preparation(),
)
TINY_JOINTS = JointSettings(14, TINY)


class Bright(Module):
    """Finds one object, all that is brighter than its threshold: box, mask, and the corners as 14 joints.

    The score is the share of the picture. What is smaller than 4 pixels a side it cannot look at.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        super().__init__()
        self.class_names = tuple(class_names)
        self.threshold = Parameter(np.array([128.0], np.float32))

    def detect(self, image: np.ndarray) -> Detected:
        """Find the bright pixels."""
        if min(image.shape[:2]) < 4:
            raise ValueError("Bright: too small")
        mask = image.mean(axis=2) > self.threshold.data
        n = int(mask.any())
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] if n else [0, 0, 0, 0]
        joints = np.array([box[:2], box[2:]] * 7, np.float32)[None, :]
        return Detected(
            np.array([box], np.float32)[:n],
            np.array([mask.mean()], np.float32)[:n],
            np.ones(n, np.int64),
            mask[None][:n],
            joints[:n],
            np.ones((n, 14), np.float32),
        )

    def losses(self, samples: Sequence[Sample], *, rng: np.random.Generator) -> Mapping[str, Tensor]:
        """Return how far the threshold is from 100."""
        away = self.threshold - 100.0
        return {"away": (away * away).sum() * 0.01}


@dataclasses.dataclass(frozen=True)
class NoSettings:
    """A model without numbers."""


BRIGHT = Model(
    "finds what is bright", lambda class_names, *, rng, settings: Bright(class_names), NoSettings, ("masks", "joints")
)


def save_bright(
    path: Path, class_names: Sequence[str] = ("background", "person"), *, joint_names: Sequence[str] = ()
) -> Path:
    """Write the detector to a file; `MODELS` must have it as "bright"."""
    assert "bright" in MODELS
    detector = Bright(class_names)
    save_model(path, detector, model="bright", settings=NoSettings(), joint_names=joint_names)
    return path
