"""The detectors that have a name: how each is made, what it learns from, and what its settings are."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from refdet.core.check import Array
from refdet.data.coco_classes import COCO_CLASS_NAMES, COCO_PERSON
from refdet.data.limbs import COCO_JOINT_NAMES
from refdet.detection.detected import Detector
from refdet.detection.rcnn import small_rcnn
from refdet.detection.rcnn_settings import RCNNSettings
from refdet.detection.resnet_c4 import (
    ResNetC4Settings,
    fasterrcnn_resnet50_c4,
    from_resnet50,
    maskrcnn_resnet50_c4,
)
from refdet.detection.roi_settings import ExpectedJoints
from refdet.detection.sliding_window import WindowSettings, small_sliding_window
from refdet.detection.small_detectors import (
    SmallSettings,
    figure_settings,
    mask_settings,
    small_faster_rcnn,
    small_keypoint_rcnn,
    small_mask_rcnn,
)
from refdet.detection.small_fast_rcnn import SmallFastRCNNSettings, small_fast_rcnn
from refdet.detection.spp_net import small_spp_net
from refdet.detection.spp_settings import SPPSettings
from refdet.detection.torchvision_detectors import (
    TorchvisionSettings,
    fasterrcnn_resnet50_fpn,
    keypointrcnn_resnet50_fpn,
    maskrcnn_resnet50_fpn,
)
from refdet.detection.vgg_fast_rcnn import VGGFastRCNNSettings, fastrcnn_vgg16
from refdet.detection.vgg_faster_rcnn import PyFasterSettings, fasterrcnn_vgg16
from refdet.detection.vgg_parts import from_vgg16
from refdet.features.backbones.torchvision_names import from_torchvision
from refdet.nn.module import Parameter


class DetectorNetwork(Detector, Protocol):
    """A detector that is a `Module` as well."""

    def state_dict(self) -> dict[str, Array]:
        """Return path → copy, for all parameters and buffers."""

    def load_state_dict(self, state: Mapping[str, Array], *, strict: bool = True) -> None:
        """Take over the arrays."""

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Yield every parameter with its path."""


CLASSIFIER_EPS = 1e-5  # of torch's BatchNorm2d

Build = Callable[..., Any]  # (class_names, *, rng, settings) → DetectorNetwork


@dataclass(frozen=True)
class Model:
    """One of the detectors that have a name.

    Attributes:
        what: what it is, in a few words.
        build: makes it from `class_names` (the background first), `rng` and `settings`.
        settings: makes the default settings, a frozen dataclass.
        learns_from: fields of `Sample` that training needs beside boxes: "masks", "joints", "proposals".
        class_names: those of the weights that others publish for it; None where there are none.
        joint_names: likewise, of the joints.
        renamed: turns the names of others' weights, of the model or of a classifier that it may begin with, into those
            of the model; None where there are none.
        in_stages: whether it is trained in several stages, and not by the loop of `refdet.training` alone.
    """

    what: str
    build: Build
    settings: Callable[[], Any]
    learns_from: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None
    joint_names: tuple[str, ...] = ()
    renamed: Callable[[Mapping[str, Array]], dict[str, Array]] | None = None
    in_stages: bool = False


@dataclass(frozen=True)
class JointSettings:
    """The numbers of a small detector of joints.

    Attributes:
        n_joints: of each object.
        numbers: all others.
    """

    n_joints: int = 14
    numbers: SmallSettings = field(default_factory=figure_settings)

    def for_joints(
        self, n_joints: int, sigmas: tuple[float, ...] | None, swapped: Sequence[int] | None
    ) -> JointSettings:
        """Return the numbers of a detector of other joints, which are read as similar as may be if sigmas are known.

        How much of its box an object of other joints fills is not known; it is taken to be `ExpectedJoints`' share.
        """
        head = self.numbers.head
        own, mirrored = head.expected_joints, None if swapped is None else tuple(swapped)
        expected = None
        if sigmas is not None:
            expected = replace(own or ExpectedJoints(sigmas), sigmas=sigmas, swapped=mirrored)
            if expected == own:
                return self
            expected = replace(expected, area=ExpectedJoints.area)
        return JointSettings(n_joints, replace(self.numbers, head=replace(head, expected_joints=expected)))


def _small_keypoint_rcnn(class_names: Sequence[str], *, rng: np.random.Generator, settings: JointSettings) -> Any:
    return small_keypoint_rcnn(class_names, settings.n_joints, rng=rng, settings=settings.numbers)


def _from_torchvision(state: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays of a detector, or of a ResNet that classifies, under the names of the detector.

    torchvision's detectors normalise with ε = 0, its classifiers with 1e-5, which is added to their variances here.
    """
    renamed = from_torchvision(state)
    if "conv1.weight" not in renamed:
        return renamed
    for name, array in renamed.items():
        if name.endswith("running_var"):
            renamed[name] = array + array.dtype.type(CLASSIFIER_EPS)
    return {f"backbone.body.{name}": array for name, array in renamed.items()}


MODELS: dict[str, Model] = {
    "sliding_window": Model(
        "windows of several sizes, each classified by itself", small_sliding_window, WindowSettings,
    ),
    "small_rcnn": Model(
        "R-CNN for small pictures, on proposals of Selective Search", small_rcnn, RCNNSettings, ("proposals",),
        in_stages=True,
    ),
    "small_spp_net": Model(
        "SPP-net for small pictures, on proposals of Selective Search", small_spp_net, SPPSettings, ("proposals",),
        in_stages=True,
    ),
    "small_fast_rcnn": Model(
        "Fast R-CNN for small pictures, on proposals of Selective Search", small_fast_rcnn,
        SmallFastRCNNSettings, ("proposals",),
    ),
    "small_faster_rcnn": Model(
        "Faster R-CNN for small pictures", small_faster_rcnn, SmallSettings,
    ),
    "small_mask_rcnn": Model(
        "Mask R-CNN for small pictures", small_mask_rcnn, mask_settings, ("masks",),
    ),
    "small_keypoint_rcnn": Model(
        "joints of stick figures or people, in small pictures", _small_keypoint_rcnn, JointSettings, ("joints",),
    ),
    "fastrcnn_vgg16": Model(
        "Fast R-CNN as its author has it, on proposals of Selective Search", fastrcnn_vgg16, VGGFastRCNNSettings,
        ("proposals",), renamed=from_vgg16,
    ),
    "fasterrcnn_vgg16": Model(
        "Faster R-CNN as its authors have it", fasterrcnn_vgg16, PyFasterSettings, renamed=from_vgg16,
    ),
    "fasterrcnn_resnet50_c4": Model(
        "Faster R-CNN whose head is the last stage of ResNet-50", fasterrcnn_resnet50_c4, ResNetC4Settings,
        renamed=from_resnet50,
    ),
    "maskrcnn_resnet50_c4": Model(
        "Mask R-CNN whose heads share the last stage of ResNet-50", maskrcnn_resnet50_c4, ResNetC4Settings,
        ("masks",), renamed=from_resnet50,
    ),
    "fasterrcnn_resnet50_fpn": Model(
        "torchvision's Faster R-CNN", fasterrcnn_resnet50_fpn, TorchvisionSettings,
        class_names=COCO_CLASS_NAMES, renamed=_from_torchvision,
    ),
    "maskrcnn_resnet50_fpn": Model(
        "torchvision's Mask R-CNN", maskrcnn_resnet50_fpn, TorchvisionSettings, ("masks",),
        class_names=COCO_CLASS_NAMES, renamed=_from_torchvision,
    ),
    "keypointrcnn_resnet50_fpn": Model(
        "torchvision's detector of people's joints", keypointrcnn_resnet50_fpn,
        TorchvisionSettings, ("joints",), class_names=COCO_PERSON, joint_names=COCO_JOINT_NAMES,
        renamed=_from_torchvision,
    ),
}  # fmt: skip


def find_model(name: str, models: Mapping[str, Model] = MODELS) -> Model:
    """Return the model of that name; refuse another with the names closest to it."""
    if name not in models:
        close = difflib.get_close_matches(name.lower().replace("-", "_"), models, n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(models)}"
        raise LookupError(f"there is no model called {name!r}; {hint}")
    return models[name]
