"""Detectors as files: what comes back, and what is refused in which words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet.boxes.iou import box_iou
from refdet.data import Shapes, StickFigures
from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.model_file import difference, load_model, load_weights, make_detector, save_model, shipped_weights
from refdet.detection.model_names import MODELS, find_model
from refdet.detection.model_settings import plain_settings, settings_from_plain
from refdet.detection.preparation import Preparation
from refdet.detection.resnet_c4 import ResNetC4Settings
from refdet.detection.sliding_window import WindowSettings
from refdet.nn.checkpoint import CheckpointError, load_metadata, load_tensors, save_tensors
from tests.cli.tiny_detectors import TINY, TINY_JOINTS

NAMES = ("background", "disc", "ring")
TINY_C4 = ResNetC4Settings(width=1 / 32, preparation=Preparation(), rpn=TINY.rpn, head=TINY.head)
TINY_OF: dict[str, Any] = {
    "small_faster_rcnn": TINY,
    "small_mask_rcnn": TINY,
    "small_keypoint_rcnn": TINY_JOINTS,
    "fasterrcnn_resnet50_c4": TINY_C4,
    "maskrcnn_resnet50_c4": TINY_C4,
}
IMAGE = np.random.default_rng(5).integers(0, 256, (32, 40, 3)).astype(np.uint8)


def tiny(name: str = "small_faster_rcnn", seed: int = 1) -> Any:
    return make_detector(name, NAMES, rng=np.random.default_rng(seed), settings=TINY_OF[name])


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(path, tiny(), model="small_faster_rcnn", settings=TINY)
    return path


def rewritten(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> Path:
    """Change the arrays and the metadata of a file."""
    arrays, metadata = load_tensors(path), load_metadata(path)
    change(arrays, metadata)
    save_tensors(path, arrays, metadata=metadata or None)
    return path


class TestRoundTrip:
    @pytest.mark.parametrize("name", TINY_OF)
    def test_the_same_detector_comes_back(self, name: str, tmp_path: Path) -> None:
        detector = tiny(name)
        save_model(tmp_path / "m.safetensors", detector, model=name, settings=TINY_OF[name])
        loaded = load_model(tmp_path / "m.safetensors")
        assert (loaded.model, loaded.settings, loaded.detector.class_names) == (name, TINY_OF[name], NAMES)
        assert loaded.joint_names == ()
        save_model(
            tmp_path / "m.safetensors", detector, model=name, settings=TINY_OF[name], joint_names=["nose", "tail"]
        )
        assert load_model(tmp_path / "m.safetensors").joint_names == ("nose", "tail")
        before, after = detector.detect(IMAGE), loaded.detector.detect(IMAGE)
        assert len(before) > 0
        for field in dataclasses.fields(before):
            expected, got = getattr(before, field.name), getattr(after, field.name)
            assert (expected is None and got is None) or np.array_equal(expected, got)
        assert (before.masks is not None) == ("masks" in MODELS[name].learns_from)
        if before.masks is not None:
            assert before.masks.shape == (len(before), *IMAGE.shape[:2])
            assert before.masks.any()

    def test_half_precision_is_read(self, saved: Path) -> None:
        full = load_tensors(saved)
        rewritten(saved, lambda arrays, _: arrays.update({n: a.astype(np.float16) for n, a in arrays.items()}))
        state = load_model(saved).detector.state_dict()
        assert all(state[name].dtype == np.float32 for name in full)
        assert all(np.array_equal(state[name], full[name].astype(np.float16)) for name in full)

    @pytest.mark.parametrize("name", MODELS)
    def test_settings_survive_as_text(self, name: str) -> None:
        settings = MODELS[name].settings()
        assert settings_from_plain(type(settings), plain_settings(settings)) == settings

    def test_a_setting_that_differs_from_its_default_survives(self) -> None:
        settings = WindowSettings(sides=(8.0, 16.0), preparation=Preparation(order="BGR", short=40))
        plain = plain_settings(settings)
        assert plain["preparation"]["short"] == 40
        assert settings_from_plain(WindowSettings, plain) == settings

    @pytest.mark.parametrize("short", [(24, 32, 40), (40,), 40, None])
    def test_one_size_of_pictures_or_several_survive(self, short: Any, tmp_path: Path) -> None:
        settings = dataclasses.replace(TINY, preparation=Preparation(short=short))
        detector = make_detector("small_faster_rcnn", NAMES, rng=np.random.default_rng(1), settings=settings)
        save_model(tmp_path / "m.safetensors", detector, model="small_faster_rcnn", settings=settings)
        loaded = load_model(tmp_path / "m.safetensors")
        assert loaded.settings == settings
        assert loaded.settings.preparation.short == short
        assert np.array_equal(loaded.detector.detect(IMAGE).boxes, detector.detect(IMAGE).boxes)


class TestWhatIsRefused:
    def test_another_model(self, saved: Path) -> None:
        with pytest.raises(CheckpointError, match="holds a small_faster_rcnn, not a small_mask_rcnn"):
            load_model(saved, "small_mask_rcnn")

    def test_weights_of_another_architecture_name_what_differs(self, saved: Path) -> None:
        other = tiny("small_keypoint_rcnn")
        with pytest.raises(CheckpointError) as refused:
            load_weights(other, load_tensors(saved), path=saved, model="small_keypoint_rcnn")
        n_missing = len(other.state_dict()) - len(load_tensors(saved))
        first = next(name for name in other.state_dict() if "keypoint" in name)
        assert f"{saved}: does not fit small_keypoint_rcnn: {n_missing} are missing ({first}, " in str(refused.value)

    def test_a_refused_file_changes_nothing(self, saved: Path) -> None:
        detector = tiny(seed=9)
        before = detector.state_dict()
        state = load_tensors(saved)
        del state[next(iter(state))]
        with pytest.raises(CheckpointError):
            load_weights(detector, state, path=saved, model="small_faster_rcnn")
        assert all(np.array_equal(before[name], array) for name, array in detector.state_dict().items())

    def test_many_differences_are_counted_and_few_are_shown(self) -> None:
        wanted = {f"w{i}": np.zeros(2) for i in range(9)}
        given = {f"w{i}": np.zeros((i + 1, 1)) for i in range(6)} | {"new": np.zeros(1)}
        assert difference(wanted, given) == (
            "3 are missing (w6, w7, w8), 1 is not known (new), 1 has shape (1, 1), expected (2,) (w0), "
            "1 has shape (2, 1), expected (2,) (w1), 1 has shape (3, 1), expected (2,) (w2), "
            "and 3 more have another shape"
        )
        assert difference(wanted, wanted) == ""

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"format": "other 3"}, "is no model, but a file of the format 'other 3'"),
            ({"format": "refdet training state 1"}, "the model is model.safetensors beside it"),
            ({"model": "frobnicator"}, "holds a model that refdet does not know: 'frobnicator'"),
            ({"class_names": "dogs"}, "its class_names must be a list of texts"),
            ({"joint_names": [1, 2]}, "its joint_names must be a list of texts"),
            ({"settings": {"blocks": [[2, 1, 7]]}}, "its settings make no small_faster_rcnn: .*expected 2 values"),
            (
                {"settings": {"fc": ""}},
                "its settings make no small_faster_rcnn: .*fc of SmallSettings must be a list, got ''",
            ),
            ({"settings": {"wings": 2}}, "SmallSettings has no wings; it has blocks, "),
            ({"settings": {"dropout": "much"}}, "expected float, got 'much'"),
            ({"settings": {"preparation": {"short": []}}}, r"Preparation: short must be .*, got \(\)$"),
            ({"settings": {"preparation": {"short": [640, 0]}}}, r"Preparation: short must be .*, got \(640, 0\)$"),
            ({"settings": {"preparation": {"short": [640, True]}}}, "expected int, got True"),
            ({"settings": {"preparation": {"short": "640"}}}, "Preparation: short must be .*, got '640'$"),
            ({"settings": {"blocks": [[10**14, 1]]}}, "its settings make no small_faster_rcnn: "),  # too large
        ],
    )
    def test_metadata_that_says_something_else(self, saved: Path, change: Mapping[str, Any], said: str) -> None:
        rewritten(saved, lambda _, metadata: metadata.update(change))
        with pytest.raises(CheckpointError, match=said):
            load_model(saved)

    def test_a_list_that_is_too_short(self, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        save_model(path, tiny("small_mask_rcnn"), model="small_mask_rcnn", settings=TINY)
        rewritten(path, lambda _, metadata: metadata["settings"].update(mask_channels=[]))
        with pytest.raises(CheckpointError, match="settings make no small_mask_rcnn: a list among them is too short"):
            load_model(path)

    def test_weights_that_are_not_finite(self, saved: Path) -> None:
        name = next(iter(load_tensors(saved)))
        rewritten(saved, lambda arrays, _: arrays.update({name: np.full_like(arrays[name], np.nan)}))
        with pytest.raises(CheckpointError, match=f"{name} is not finite; whatever made the file went wrong"):
            load_model(saved)

    def test_names_that_nothing_has(self) -> None:
        with pytest.raises(LookupError, match="no model called 'faster-rcnn'; did you mean small_faster_rcnn"):
            find_model("faster-rcnn")
        with pytest.raises(LookupError, match="there are sliding_window, "):
            find_model("")


class TestFilesOfOthers:
    def test_they_do_not_say_what_they_are(self, saved: Path) -> None:
        rewritten(saved, lambda _, metadata: metadata.clear())
        with pytest.raises(CheckpointError, match="does not say which model it is of; name it with --model"):
            load_model(saved)
        with pytest.raises(CheckpointError, match="holds no model of refdet's, and for small_mask_rcnn there are no"):
            load_model(saved, "small_mask_rcnn")

    def test_arrays_alone_are_renamed_and_loaded(self, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As torchvision's files are: the names have changed, the class names are known, the settings the default."""
        entry = dataclasses.replace(
            MODELS["small_faster_rcnn"],
            settings=lambda: TINY,
            class_names=NAMES,
            renamed=lambda state: {name.removeprefix("old."): array for name, array in state.items()},
        )
        monkeypatch.setitem(MODELS, "small_faster_rcnn", entry)

        def change(arrays: dict[str, Any], metadata: dict[str, Any]) -> None:
            metadata.clear()
            for name in list(arrays):
                arrays[f"old.{name}"] = arrays.pop(name)

        loaded = load_model(rewritten(saved, change), "small_faster_rcnn")
        expected = tiny().detect(IMAGE)
        assert np.array_equal(loaded.detector.detect(IMAGE).boxes, expected.boxes)

    def test_torchvision_s_models_know_coco(self) -> None:
        names = MODELS["fasterrcnn_resnet50_fpn"].class_names
        assert names is not None
        assert (len(names), names[1], names[72], names[90]) == (91, "person", "tv", "toothbrush")
        assert MODELS["keypointrcnn_resnet50_fpn"].class_names == ("background", "person")


def test_the_weights_that_come_with_refdet_are_models() -> None:
    found = {name: path for name in MODELS if (path := shipped_weights(name)) is not None}
    assert set(found) == {"small_mask_rcnn", "small_keypoint_rcnn"}
    for name, path in found.items():
        loaded = load_model(path)
        assert loaded.model == name
        assert loaded.settings == MODELS[name].settings()  # those that `make weights` trains
    assert sum(path.stat().st_size for path in found.values()) <= 3_000_000
    assert shipped_weights("frobnicator") is None


def test_the_detector_that_comes_with_refdet_detects() -> None:
    """Most objects of scenes that it was not trained on are found, named and outlined."""
    path = shipped_weights("small_mask_rcnn")
    assert path is not None
    detector, n_found, n_objects = load_model(path).detector, 0, 0
    for scene in Shapes(4, seed=1):
        found = detector.detect(scene.image)
        assert found.masks is not None
        sure = found.scores > 0.3
        overlaps = box_iou(scene.boxes, found.boxes[sure])
        overlaps = overlaps * (scene.classes[:, None] == found.classes[sure])
        for i in np.flatnonzero(~scene.difficult):
            n_objects += 1
            j = int(overlaps[i].argmax())
            mask = found.masks[sure][j]
            n_found += overlaps[i, j] > 0.5 and 2 * (mask & scene.masks[i]).sum() > (mask | scene.masks[i]).sum()
    assert n_found > n_objects / 2


def test_the_detector_of_joints_that_comes_with_refdet_detects() -> None:
    """Of figures that it was not trained on, most joints that can be seen are found to a twelfth of the height."""
    path = shipped_weights("small_keypoint_rcnn")
    assert path is not None
    detector, distances = load_model(path).detector, []
    for figure in StickFigures(6, seed=1):
        found = detector.detect(figure.image)
        assert found.joints is not None
        assert figure.joints is not None
        assert figure.joints_visible is not None
        height = figure.boxes[0, 3] - figure.boxes[0, 1]
        distance = np.linalg.norm(found.joints[0] - figure.joints[0], axis=1) / height
        distances += distance[figure.joints_visible[0]].tolist()
    assert np.mean(np.array(distances) < 1 / 12) > 1 / 2


def test_half_as_large(tmp_path: Path) -> None:
    """Numbers in float16, to a part in 2¹¹. What float16 cannot hold is refused; nothing is left of it."""
    detector, path = tiny(), tmp_path / "half.safetensors"
    save_model(path, detector, model="small_faster_rcnn", settings=TINY, half=True)
    found = load_model(path).detector.state_dict()
    for name, array in detector.state_dict().items():
        assert found[name].dtype == array.dtype
        np.testing.assert_allclose(found[name], array, rtol=2.0**-11, atol=1e-7)
    assert {a.dtype.name for a in load_tensors(path).values() if a.dtype.kind == "f"} == {"float16"}
    bias = detector.state_dict()["rpn.head.cls_logits.bias"]
    detector.load_state_dict({"rpn.head.cls_logits.bias": np.full_like(bias, 1e5)}, strict=False)
    with pytest.raises(CheckpointError, match=r"cls_logits\.bias is not finite"):
        save_model(tmp_path / "large.safetensors", detector, model="small_faster_rcnn", settings=TINY, half=True)
    assert not (tmp_path / "large.safetensors").exists()


def test_what_a_name_makes() -> None:
    assert isinstance(tiny("small_mask_rcnn"), FasterRCNN)
    assert tiny("small_mask_rcnn").detect(IMAGE).masks.shape[1:] == (32, 40)
    assert tiny("small_keypoint_rcnn").detect(IMAGE).joints.shape[1:] == (14, 2)


def test_a_sliding_window_is_as_its_settings_say() -> None:
    settings = WindowSettings(channels=(4, 6), hidden=5, crop=8, batch_norm=False)
    detector = make_detector("sliding_window", NAMES, rng=np.random.default_rng(0), settings=settings)
    assert {name: x.shape for name, x in detector.state_dict().items() if name.endswith("weight")} == {
        "network.features.0.weight": (4, 3, 3, 3),
        "network.features.3.weight": (6, 4, 3, 3),
        "network.fc.weight": (5, 24),
        "network.score.weight": (3, 5),
    }
