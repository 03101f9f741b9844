"""`refdet train --weights`: what of other weights is taken over, and what is begun with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor
from refdet.cli.train_run import settings_to_train
from refdet.cli.train_weights import begin_with
from refdet.data import CLASS_NAMES
from refdet.data.limbs import COCO_JOINT_NAMES
from refdet.data.stick_figures import FOURTEEN_SIGMAS, JOINT_NAMES, SWAPPED
from refdet.detection.model_file import make_detector, save_model
from refdet.detection.model_names import MODELS
from refdet.detection.resnet_c4 import ResNetC4Settings
from refdet.detection.roi_settings import ExpectedJoints
from refdet.detection.small_detectors import SmallSettings
from refdet.detection.small_fast_rcnn import small_fast_rcnn
from refdet.detection.torchvision_detectors import TorchvisionSettings, fasterrcnn_resnet50_fpn
from refdet.features.backbones.resnet import resnet50
from refdet.metrics.object_keypoint_similarity import COCO_SIGMAS
from refdet.nn.checkpoint import CheckpointError, load_tensors, save_tensors
from tests.cli.sentences import said
from tests.cli.tiny_detectors import TINY, save_bright
from tests.cli.train_command import SMALL, TINY_FAST, run, tiny_fast_rcnn, trains

pytestmark = pytest.mark.usefixtures("folder_of_runs")


def narrow_resnet50_c4() -> Any:
    settings = ResNetC4Settings(width=1 / 32)
    return make_detector("fasterrcnn_resnet50_c4", CLASS_NAMES, rng=np.random.default_rng(0), settings=settings)


class TestWeights:
    def test_all_of_them(self) -> None:
        save_bright(Path("first.safetensors"))
        result = trains("bright", "--data", "figures", *SMALL, "--weights", "first.safetensors", "--steps", 1)
        assert "first.safetensors: all 1 arrays are taken over" in result.stderr

    def test_as_far_as_they_fit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A detector of other classes: the layers that tell classes apart begin anew."""
        from refdet.detection.small_detectors import small_faster_rcnn

        entry = MODELS["small_faster_rcnn"]
        monkeypatch.setitem(MODELS, "small_faster_rcnn", type(entry)(**{**vars(entry), "settings": lambda: TINY}))
        other = small_faster_rcnn(("background", "a"), rng=np.random.default_rng(3), settings=TINY)
        save_model("other.safetensors", other, model="small_faster_rcnn", settings=TINY)
        result = trains(
            "small_faster_rcnn", "--steps", 1, "--batch-size", 1, "--train-size", 1, "--test-size", 1, "--weights",
            "other.safetensors",
        )  # fmt: skip
        n = len(other.state_dict())
        assert f"other.safetensors: {n - 4} of {n} arrays are taken over; roi_heads.box_predictor." in result.stderr
        trained, before = load_tensors("runs/small_faster_rcnn/model.safetensors"), other.state_dict()
        name = "backbone.features.0.weight"
        assert np.abs(trained[name] - before[name]).max() < 0.01  # the first step has a rate of 0, but for decay

    def test_fast_rcnn_keeps_the_targets_that_its_last_layer_goes_with(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """They are taken from the training set only where no file gives them."""
        monkeypatch.setitem(MODELS, "small_fast_rcnn", tiny_fast_rcnn())
        other = small_fast_rcnn(CLASS_NAMES, rng=np.random.default_rng(3), settings=TINY_FAST)
        other.target_std = np.full_like(other.target_std, 0.375)
        save_tensors("whole.safetensors", other.state_dict())
        save_tensors("layers.safetensors", {k: v for k, v in other.state_dict().items() if "target" not in k})
        for name in ("whole", "layers"):
            trains(
                "small_fast_rcnn", "--steps", 1, "--batch-size", 1, "--train-size", 2, "--test-size", 1, "--weights",
                f"{name}.safetensors", "--out", name,
            )  # fmt: skip
        kept, fitted = (load_tensors(f"{name}/model.safetensors")["target_std"] for name in ("whole", "layers"))
        assert (kept == 0.375).all()
        assert not (fitted == 0.375).any()

    def test_none_that_fits(self) -> None:
        save_bright(Path("first.safetensors"))
        refused = run("small_faster_rcnn", "--weights", "first.safetensors", *SMALL)
        assert "first.safetensors: has no array that fits small_faster_rcnn; it begins with threshold" in said(
            refused, 1
        )

    @pytest.mark.parametrize("name", ["bn1.bias", "backbone.bn1.bias"])
    def test_those_of_others(self, name: str) -> None:
        """Of ResNet-50 that classifies, or under the names of the detector that begins with it."""
        save_tensors("x.safetensors", {name: np.full(2, 5.0, np.float32)})
        detector = narrow_resnet50_c4()
        _, said = begin_with(detector, Path("x.safetensors"), "fasterrcnn_resnet50_c4")
        n = len(detector.state_dict())
        assert f"x.safetensors: 1 of {n} arrays are taken over; backbone.conv1.weight, backbone.bn1.weight, " in said
        assert detector.state_dict()["backbone.bn1.bias"].tolist() == [5, 5]

    def test_a_classifier_and_a_detector_normalise_with_their_own_epsilon(self) -> None:
        """torchvision's detectors have none: a channel that hardly varies would be blown up by a thousand."""
        classifier = resnet50(None, width=1 / 32, rng=np.random.default_rng(1))
        state = classifier.state_dict()
        state["bn1.running_var"][...] = 1e-12
        classifier.load_state_dict(state)
        save_tensors("resnet50.safetensors", state)
        settings = TorchvisionSettings(width=1 / 32)
        detector = fasterrcnn_resnet50_fpn(CLASS_NAMES, rng=np.random.default_rng(0), settings=settings)
        begin_with(detector, Path("resnet50.safetensors"), "fasterrcnn_resnet50_fpn")
        x = Tensor(np.random.default_rng(2).standard_normal((1, 3, 64, 64)).astype(np.float32))
        for ours, theirs in zip(
            detector.backbone.body.maps(x, training=True, rng=None),  # type: ignore[attr-defined]
            classifier.maps(x, training=False, rng=None),
            strict=True,
        ):
            np.testing.assert_allclose(ours.data, theirs.data, rtol=1e-4, atol=1e-5 * np.abs(theirs.data).max())
        save_tensors("detector.safetensors", detector.state_dict())
        again = fasterrcnn_resnet50_fpn(CLASS_NAMES, rng=np.random.default_rng(3), settings=settings)
        begin_with(again, Path("detector.safetensors"), "fasterrcnn_resnet50_fpn")
        for name, array in again.state_dict().items():
            np.testing.assert_array_equal(array, detector.state_dict()[name], err_msg=name)

    @pytest.mark.parametrize(
        "model", ["fasterrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn", "fasterrcnn_resnet50_c4"]
    )
    def test_first_stages_are_frozen_where_they_have_learned_something(self, model: str) -> None:
        for weights, n_frozen in ((None, 0), ("resnet50.pth", 2)):
            settings = settings_to_train(MODELS[model], {"weights": weights}, ("nose", "tail"))
            assert settings.n_frozen == n_frozen
            assert getattr(settings, "n_joints", 2) == 2
        assert settings_to_train(MODELS["small_faster_rcnn"], {"weights": None}, ()) == SmallSettings()

    def test_joints_are_read_by_the_sigmas_of_their_names(self) -> None:
        """Of figures, of COCO's people, and of joints that nobody knows."""
        entry = MODELS["small_keypoint_rcnn"]
        views: Any = {"finer": 3, "turned": (-12.0, 12.0)}
        for names, swapped, expected in (
            (JOINT_NAMES, SWAPPED, ExpectedJoints(FOURTEEN_SIGMAS, area=0.25, swapped=SWAPPED, **views)),
            (COCO_JOINT_NAMES, None, ExpectedJoints(COCO_SIGMAS, **views)),
            (("a", "b", "c"), (1, 0, 2), None),
        ):
            settings = settings_to_train(entry, {"weights": None}, names, swapped)
            assert (settings.n_joints, settings.numbers.head.expected_joints) == (len(names), expected)
        assert settings_to_train(entry, {"weights": None}, JOINT_NAMES, SWAPPED) == entry.settings()

    @pytest.mark.parametrize(
        ("names", "problem"),
        [
            (("features.0.bias", "features.0.weight"), "no array that fits MODEL; it begins with features.0.bias"),
            (("backbone.body.conv1.weight",), "no array that fits MODEL; it begins with backbone.body.conv1.weight"),
            (("layer1.0.conv3.weight", "fc.bias"), "layer1 … layer4 must have (3, 4, 6, 3) bottlenecks, as ResNet-50"),
        ],
    )
    def test_those_of_something_else(self, names: Sequence[str], problem: str) -> None:
        """Of VGG, of a detector with a pyramid, of another ResNet; the names are those of the file."""
        save_tensors("x.safetensors", {name: np.zeros(2, np.float32) for name in names})
        with pytest.raises(CheckpointError, match=r"^x\.safetensors: ") as refused:
            begin_with(narrow_resnet50_c4(), Path("x.safetensors"), "fasterrcnn_resnet50_c4")
        assert problem.replace("MODEL", "fasterrcnn_resnet50_c4") in str(refused.value)

    def test_those_of_a_run_that_may_go_on(self) -> None:
        trains("bright", "--data", "figures", *SMALL)
        refused = run("bright", "--data", "figures", "--weights", "runs/bright/last.safetensors", "--out", "x")
        assert "last.safetensors: is the state of a run that may go on; the model is model.safetensors" in said(
            refused, 1
        )

    def test_those_that_cannot_be_a_file_of_weights(self) -> None:
        """It is said before the pictures are read."""
        Path("run").mkdir()
        Path("x.bin").touch()
        suffixes = ".safetensors, .npz, .pth or .pt"
        for path, problem in (
            ("none.npz", "No such file or directory"),
            ("run", f"is a folder; name a file, {suffixes}"),
            ("x.bin", f"the suffix chooses the format and must be {suffixes}, not '.bin'"),
        ):
            refused = said(run("bright", "--data", "coco:absent.json", "--weights", path), 1)
            assert refused == f"refdet: {path}: {problem}\n"
        assert not Path("runs").exists()

    def test_those_that_are_not_finite(self) -> None:
        tensors = {"threshold": np.array([np.nan], np.float32)}
        save_tensors("bad.safetensors", tensors)
        refused = run("bright", "--data", "figures", "--weights", "bad.safetensors", *SMALL)
        assert "bad.safetensors: threshold is not finite" in said(refused, 1)
        assert not Path("runs").exists()
