"""`refdet train`: what a run leaves, what stops it, and what is refused."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet.data import CLASS_NAMES, Shapes
from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.model_file import load_model
from refdet.detection.model_names import MODELS
from refdet.detection.object_classifier import ObjectClassifier
from refdet.detection.with_proposals import SelectiveSearch
from refdet.nn.checkpoint import load_tensors
from refdet.training import joints_first, run_folder
from refdet.training.recipes import JOINTS, RECIPES
from tests.cli.sentences import said
from tests.cli.tiny_detectors import TINY, Bright
from tests.cli.train_command import RECIPE, SMALL, coco_of_joints, run, threshold, tiny_fast_rcnn, trains

pytestmark = pytest.mark.usefixtures("folder_of_runs")


class TestARun:
    def test_what_it_leaves(self) -> None:
        result = trains("bright", "--data", "figures", *SMALL, "--evaluate-every", 2)
        assert sorted(path.name for path in Path("runs/bright").iterdir()) == [
            "curves.png", "last.safetensors", "metrics.jsonl", "model.safetensors", "run.json",
        ]  # fmt: skip
        lines = [json.loads(line) for line in Path("runs/bright/metrics.jsonl").read_text().splitlines()]
        assert [(line["step"], "evaluation" in line) for line in lines] == [
            (1, False), (2, False), (2, True), (3, False), (4, False), (4, True),
        ]  # fmt: skip
        assert set(lines[2]["evaluation"]) >= {"mAP", "box AP", "mask AP50", "keypoint AP"}
        assert "2 pictures, 2 objects" in result.stdout
        assert "model: runs/bright/model.safetensors" in result.stdout
        loaded = load_model("runs/bright/model.safetensors")
        assert (loaded.model, loaded.detector.class_names) == ("bright", ("background", "person"))

    def test_it_follows_its_recipe(self) -> None:
        """w' = w − ε·v with v = ½·v + 0.02·(w − 100)."""
        trains("bright", "--data", "figures", *SMALL, "--lr", 2, "--steps", 3)
        w, v = 128.0, 0.0
        for _ in range(3):
            v = 0.5 * v + 0.02 * (w - 100) + RECIPE.weight_decay * w
            w -= 2 * v
        assert threshold("runs/bright/model.safetensors") == pytest.approx(w, rel=1e-5)
        assert json.loads(Path("runs/bright/run.json").read_text()) == {
            "format": "refdet run 1", "model": "bright", "data": "figures", "steps": 3, "batch_size": 1, "lr": 2.0,
            "seed": 0, "train_size": 3, "test_size": 2, "weights": None, "evaluate_every": None,
            "leave_out_unusable": False,
        }  # fmt: skip

    def test_a_small_detector(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two steps of a real one, from the data to a file that detects."""
        entry = MODELS["small_mask_rcnn"]
        monkeypatch.setitem(MODELS, "small_mask_rcnn", type(entry)(**{**vars(entry), "settings": lambda: TINY}))
        trains("small_mask_rcnn", "--steps", 2, "--batch-size", 2, "--train-size", 2, "--test-size", 1)
        detector = load_model("runs/small_mask_rcnn/model.safetensors").detector
        assert detector.class_names == CLASS_NAMES
        assert detector.detect(Shapes(1, seed=1)[0].image).masks is not None

    @pytest.mark.usefixtures("usual_signals")
    def test_it_begins_with_the_objects(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stopped while its backbone learns to name them, it goes on there, and ends with the same bits."""
        entry = MODELS["small_faster_rcnn"]
        monkeypatch.setitem(MODELS, "small_faster_rcnn", type(entry)(**{**vars(entry), "settings": lambda: TINY}))
        options = ("small_faster_rcnn", "--steps", 2, "--train-size", 2, "--test-size", 1)
        result = trains(*options, "--out", "whole")
        assert result.stderr.startswith("first the backbone learns to name the objects")
        n_calls, losses = 0, ObjectClassifier.losses

        def interrupted(self: ObjectClassifier, samples: Any, *, rng: Any) -> Any:
            nonlocal n_calls
            n_calls += 1
            if n_calls == 3:
                os.kill(os.getpid(), signal.SIGINT)
            return losses(self, samples, rng=rng)

        monkeypatch.setattr(ObjectClassifier, "losses", interrupted)
        assert run(*options, "--out", "parts").exit_code == 130
        assert Path("parts/classifier/last.safetensors").exists()
        assert not Path("parts/last.safetensors").exists()
        order = Path("parts/run.json").read_bytes()
        refused = said(run("--resume", "--out", "parts", "--steps", 4), 2)  # its classifier would be another one, too
        assert "--steps is 2 in parts/run.json, got 4; the rate falls with the number of steps" in refused
        assert Path("parts/run.json").read_bytes() == order
        assert "going on after step 3 of" in trains("--resume", "--out", "parts").stderr
        assert Path("parts/model.safetensors").read_bytes() == Path("whole/model.safetensors").read_bytes()
        assert "first the backbone" not in trains("--resume", "--out", "parts").stderr
        given = trains(*options, "--out", "given", "--weights", "whole/model.safetensors")
        assert "first the backbone" not in given.stderr

    @pytest.mark.usefixtures("usual_signals")
    def test_it_begins_with_the_joints(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stopped there, or while it learns boxes, it goes on with the same bits; with weights all is learned."""
        first = dataclasses.replace(JOINTS, steps=3, batch_size=2)
        recipe = dataclasses.replace(RECIPES["small_keypoint_rcnn"], steps=2, joints_first=first)
        monkeypatch.setitem(RECIPES, "small_keypoint_rcnn", recipe)
        options = ("small_keypoint_rcnn", "--batch-size", 1, "--train-size", 2, "--test-size", 1)
        result = trains(*options, "--out", "whole")
        assert result.stderr.startswith("first the head of joints learns from true boxes")
        joints, whole = load_tensors("whole/joints/last.safetensors"), load_tensors("whole/model.safetensors")
        of_joints = {name for name in whole if name.startswith(("roi_heads.keypoint_", "backbone.features.0."))}
        assert len(of_joints) > 20
        for name in of_joints:
            alone = name.removeprefix("roi_heads.").replace("backbone.features.", "early.")
            np.testing.assert_array_equal(whole[name], joints[f"module.{alone}"], err_msg=name)
        names = [json.loads(line)["losses"].keys() for line in Path("whole/metrics.jsonl").read_text().splitlines()[:2]]
        assert [list(n) for n in names] == [["rpn_objectness", "rpn_box", "class", "box"]] * 2

        for stopped_in, method in (("joints", joints_first), ("boxes", FasterRCNN)):
            n_calls, name = 0, "joint_losses" if stopped_in == "joints" else "losses_of_boxes"
            losses = getattr(method, name)

            def interrupted(*arguments: Any, _losses: Any = losses, **others: Any) -> Any:
                nonlocal n_calls
                n_calls += 1
                if n_calls == 2:
                    os.kill(os.getpid(), signal.SIGINT)
                return _losses(*arguments, **others)

            with monkeypatch.context() as patch:
                patch.setattr(method, name, interrupted)
                assert run(*options, "--out", stopped_in).exit_code == 130
            assert Path(stopped_in, "joints/last.safetensors").exists()
            assert Path(stopped_in, "last.safetensors").exists() is (stopped_in == "boxes")
            assert "going on after step" in trains("--resume", "--out", stopped_in).stderr
            assert Path(stopped_in, "model.safetensors").read_bytes() == Path("whole/model.safetensors").read_bytes()
        given = trains(*options, "--out", "given", "--weights", "whole/model.safetensors")
        assert "first the head" not in given.stderr
        assert "keypoint" in json.loads(Path("given/metrics.jsonl").read_text().splitlines()[0])["losses"]


class TestFailing:
    def test_a_full_disk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(run_folder, "save_training", full)
        sentence = said(run("bright", "--data", "figures", *SMALL), 1)
        assert "No space left on device" in sentence
        assert "runs/bright" in sentence

    def test_too_little_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def too_much(*_: object, **__: object) -> None:
            raise MemoryError

        monkeypatch.setattr(Bright, "losses", too_much)
        problems = {1: "steps of 1 picture; make the pictures smaller", 2: "steps of 2 pictures; take fewer by"}
        for n, problem in problems.items():
            sentence = said(run("bright", "--data", "figures", *SMALL, "--batch-size", n, "--out", f"of {n}"), 1)
            assert f"train: there is too little memory, with {problem}" in sentence

    def test_too_little_memory_for_the_classifier(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whose steps have pictures of their own number."""

        def too_much(*_: object, **__: object) -> None:
            raise MemoryError

        monkeypatch.setattr(ObjectClassifier, "losses", too_much)
        refused = run("small_mask_rcnn", *SMALL, "--batch-size", 1)
        assert refused.exit_code == 1
        assert refused.stderr.splitlines()[-1] == (
            "refdet: train: there is too little memory for the backbone to learn the objects first, with steps of 14 "
            "pictures; make the pictures smaller"
        )

    def test_too_little_memory_for_the_joints(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def too_much(*_: object, **__: object) -> None:
            raise MemoryError

        monkeypatch.setattr(joints_first, "joint_losses", too_much)
        refused = run("small_keypoint_rcnn", *SMALL, "--batch-size", 1)
        assert refused.exit_code == 1
        assert refused.stderr.splitlines()[-1] == (
            "refdet: train: there is too little memory for the head of joints to learn first, with steps of 32 "
            "pictures; make the pictures smaller"
        )

    def test_too_little_memory_for_a_test(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """At the end, at the second test picture: the model is there."""
        n_calls, detect = 0, Bright.detect

        def too_much(self: Bright, image: Any) -> Any:
            nonlocal n_calls
            n_calls += 1
            if n_calls == 2:
                raise MemoryError
            return detect(self, image)

        monkeypatch.setattr(Bright, "detect", too_much)
        refused = run("bright", "--data", "figures", *SMALL)
        assert refused.exit_code == 1
        assert refused.stderr.splitlines()[-1] == (
            "refdet: train: stick figures 1/1: there is too little memory for a test on its 128 × 128 pixels; "
            "what was learned is in runs/bright/model.safetensors"
        )
        assert Path("runs/bright/model.safetensors").exists()

    def test_too_little_memory_to_judge(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def too_much(*_: object, **__: object) -> None:
            raise MemoryError

        monkeypatch.setattr("refdet.training.detector_scores.evaluate_voc", too_much)
        refused = run("bright", "--data", "figures", *SMALL)
        assert refused.stderr.splitlines()[-1] == (
            "refdet: train: there is too little memory for the test; what was learned is in "
            "runs/bright/model.safetensors"
        )

    def test_too_little_memory_to_search(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def too_much(*_: object) -> None:
            raise MemoryError

        monkeypatch.setitem(MODELS, "small_fast_rcnn", tiny_fast_rcnn())
        monkeypatch.setattr(SelectiveSearch, "__call__", too_much)
        assert said(run("small_fast_rcnn", *SMALL), 1) == (
            "refdet: train: there is too little memory to search a picture for proposals; make the pictures smaller\n"
        )

    def test_a_loss_that_is_not_finite(self, monkeypatch: pytest.MonkeyPatch) -> None:
        losses = Bright.losses

        def diverging(self: Bright, samples: Any, *, rng: Any) -> Any:
            return {name: loss * float("nan") for name, loss in losses(self, samples, rng=rng).items()}

        monkeypatch.setattr(Bright, "losses", diverging)
        assert "refdet: train: step 1: the loss 'away' is nan" in said(run("bright", "--data", "figures", *SMALL), 1)
        assert not Path("runs/bright/model.safetensors").exists()

    def test_what_is_wrong_with_a_picture_names_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def picky(self: Bright, samples: Sequence[Any], *, rng: Any) -> Any:
            raise ValueError(f"{samples[0].name}: the class of object 0 must be one of 1 … 1, got 7")

        monkeypatch.setattr(Bright, "losses", picky)
        refused = run("bright", "--data", "figures", "--train-size", 1, "--test-size", 1)
        assert "train: stick figures 0/0: the class of object 0 must be one of 1 … 1, got 7" in said(refused, 1)

    def test_a_test_picture_that_cannot_be_looked_at_costs_the_scores_alone(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trains("bright", "--data", "figures", *SMALL, "--out", "whole")

        def blind(self: Bright, image: Any) -> Any:
            raise ValueError("image is 0 x 0")

        monkeypatch.setattr(Bright, "detect", blind)
        refused = run("bright", "--data", "figures", *SMALL)
        assert refused.exit_code == 1
        assert refused.stderr.splitlines()[-1] == (
            "refdet: train: stick figures 1/0: the detector cannot look at it: image is 0 x 0; "
            "what was learned is in runs/bright/model.safetensors"
        )
        kept, whole = Path("runs/bright/model.safetensors"), Path("whole/model.safetensors")
        assert kept.read_bytes() == whole.read_bytes()

    def test_before_the_first_checkpoint_it_leaves_no_run(self, tmp_path: Path) -> None:
        """The same command may be given again, once the picture is there."""
        text = f"coco:{coco_of_joints(tmp_path)}"
        (tmp_path / "1.png").rename(tmp_path / "elsewhere")
        refused = run("bright", "--data", text)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert "1.png" in refused.stderr.splitlines()[-1]
        assert not Path("runs/bright/run.json").exists()
        (tmp_path / "elsewhere").rename(tmp_path / "1.png")
        trains("bright", "--data", text, "--steps", 1)


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ((), "name a model, such as small_faster_rcnn"),
            (("brihgt",), "there is no model called 'brihgt'; did you mean bright?"),
            (("small_rcnn",), "small_rcnn is trained in stages, by refdet reproduce rcnn"),
            (("bright", "--data", "mnist"), "--data must be shapes, figures, voc:FOLDER, coco:FOLDER or coco:FILE"),
            (("bright", "--data", "shapes:5"), "--data must be shapes, figures"),
            (("bright", "--data", "shapes"), "shapes has no joints, which the model learns from; figures has some"),
            (("bright", "--data", "voc:x"), "VOC's folders have no masks"),
            (("bright", "--lr", "-1"), "--lr must be a number above 0, got -1"),
            (("bright", "--lr", "nan"), "--lr must be a number above 0, got nan"),
            (("bright", "--data", "figures", "--backend", "abacus"), "--backend: no backend named 'abacus'"),
            (("bright", "--out", "file"), "--out: file is a file, not a folder"),
            (("bright", "--leave-out-unusable"), "--leave-out-unusable has no meaning for DATA that is not COCO's"),
            (("bright", "--data", "figures", "--leave-out-unusable"), "has no meaning for DATA that is not COCO's"),
            (("bright", "--data", "voc:x", "--leave-out-unusable"), "has no meaning for DATA that is not COCO's"),
        ],
    )
    def test_mistakes(self, arguments: tuple[str, ...], problem: str) -> None:
        Path("file").touch()
        assert problem in said(run(*arguments), 2)
        assert not Path("runs").exists()

    @pytest.mark.parametrize("option", ["--train-size", "--test-size", "--batch-size"])
    def test_numbers_that_no_machine_can_do(self, option: str) -> None:
        result = run("bright", "--data", "figures", option, 10**20)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"Invalid value for '{option}'" in result.stderr
        assert not Path("runs").exists()

    def test_help_teaches(self) -> None:
        shown = run("--help").stdout
        for part in ("Examples:", "refdet train --resume --out runs/small_faster_rcnn", "130 if interrupted"):
            assert part in shown
        words = " ".join(shown.replace("│", " ").split())
        assert "Steps in all; with --resume others only where the rate does not fall with them." in words
        assert "shapes by default, figures for joints." in words
        trained = {name for name, model in MODELS.items() if not model.in_stages} - {"bright"}
        assert trained == set(RECIPES) - {"bright"}
        assert all(name in shown for name in trained)
