"""`refdet train`: what a run leaves, how it is stopped and gone on with, which data it takes, and what is refused."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from refdet.cli import train_data, train_order, train_run
from refdet.cli.main import app
from refdet.cli.train_data import open_data
from refdet.cli.train_weights import begin_with
from refdet.data import CLASS_NAMES, Shapes, VocAnnotation, write_voc_annotation
from refdet.data.coco_entries import CocoError
from refdet.data.limbs import COCO_JOINT_NAMES
from refdet.detection.model_file import load_model, make_detector, save_model
from refdet.detection.model_names import MODELS, Model
from refdet.detection.object_classifier import ObjectClassifier
from refdet.detection.resnet_c4 import ResNetC4Settings
from refdet.detection.small_fast_rcnn import SmallFastRCNNSettings, small_fast_rcnn
from refdet.detection.with_proposals import SMALL_PICTURES, SelectiveSearch, WithProposals
from refdet.nn.checkpoint import CheckpointError, load_tensors, save_tensors
from refdet.training import run_folder
from refdet.training.folder_lock import claimed
from refdet.training.recipes import RECIPES, Augmentation, DetectorRecipe, recipe_of
from tests.cli.tiny_detectors import BRIGHT, TINY, Bright, save_bright

RECIPE = DetectorRecipe(steps=4, batch_size=1, lr=0.5, warm_up=0, decay_at=(), momentum=0.5, mirror=True)
SMALL = ("--train-size", "3", "--test-size", "2")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(MODELS, "bright", BRIGHT)
    monkeypatch.setitem(RECIPES, "bright", RECIPE)
    monkeypatch.setattr(run_folder, "draw_curves", lambda history, path, **_: path.touch())  # takes a second


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["train", *map(str, arguments)], env={"COLUMNS": "200"})


def trains(*arguments: object) -> Any:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result


def said(result: Any, status: int) -> str:
    """Return standard error of a run with that exit status: one sentence, and nothing on standard output."""
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("refdet: ")
    return str(result.stderr)


TINY_FAST = SmallFastRCNNSettings(
    blocks=((4, 1), (6, 1), (8, 1)), scales=None, fc=(8, 8), search=dataclasses.replace(SMALL_PICTURES, n=40),
    head=dataclasses.replace(SmallFastRCNNSettings().head, side=2, n_drawn=8),
)  # fmt: skip


def tiny_fast_rcnn() -> Model:
    """Return what `MODELS` is to have as small_fast_rcnn, that it is made in milliseconds."""
    return dataclasses.replace(MODELS["small_fast_rcnn"], settings=lambda: TINY_FAST)


def save_tiny_fast_rcnn(path: Path) -> None:
    model = small_fast_rcnn(CLASS_NAMES, rng=np.random.default_rng(3), settings=TINY_FAST)
    save_tensors(path, model.state_dict())


def quarters(self: SelectiveSearch, image: Any) -> Any:
    """Take the place of the search: propose the upper left quarter of a picture, and the lower right one."""
    H, W = image.shape[:2]
    return np.array([[0, 0, W / 2, H / 2], [W / 2, H / 2, W, H]], np.float32)


def threshold(path: str) -> float:
    return float(load_tensors(path)["threshold"][0])


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


class TestGoingOn:
    def test_more_steps_are_the_same_as_all_at_once(self) -> None:
        trains("bright", "--data", "figures", *SMALL, "--out", "whole", "--steps", 5)
        trains("bright", "--data", "figures", *SMALL, "--out", "parts", "--steps", 2)
        result = trains("--resume", "--out", "parts", "--steps", 5)
        assert "going on after step 2 of 5" in result.stderr
        for file in ("model.safetensors", "run.json"):
            assert Path("whole", file).read_bytes() == Path("parts", file).read_bytes()

    @pytest.mark.usefixtures("usual_signals")
    def test_ctrl_c_is_saved_and_gone_on_with(self, monkeypatch: pytest.MonkeyPatch) -> None:
        trains("bright", "--data", "figures", *SMALL, "--out", "whole")
        n_calls, losses = 0, Bright.losses

        def interrupted(self: Bright, samples: Any, *, rng: Any) -> Any:
            nonlocal n_calls
            n_calls += 1
            if n_calls == 3:
                os.kill(os.getpid(), signal.SIGINT)
            return losses(self, samples, rng=rng)

        monkeypatch.setattr(Bright, "losses", interrupted)
        result = run("bright", "--data", "figures", *SMALL, "--out", "a run", "--backend", "reference")
        assert result.exit_code == 130, result.output
        *_, stopped, go_on = result.stderr.splitlines()
        assert stopped.startswith("refdet: train: Ctrl-C after step 3 of 4; ")
        assert go_on == "refdet: go on with: refdet train --resume --out 'a run' --backend reference"
        assert not Path("a run/model.safetensors").exists()
        trains("--resume", "--out", "a run")
        assert Path("a run/model.safetensors").read_bytes() == Path("whole/model.safetensors").read_bytes()

    @pytest.mark.usefixtures("usual_signals")
    @pytest.mark.parametrize(("number", "cause"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
    def test_a_signal_in_the_search_for_proposals(
        self, monkeypatch: pytest.MonkeyPatch, number: int, cause: str
    ) -> None:
        """In the second picture of three: two are kept, and the run that goes on searches the third alone."""
        monkeypatch.setitem(MODELS, "small_fast_rcnn", tiny_fast_rcnn())
        monkeypatch.setattr(SelectiveSearch, "__call__", quarters)
        save_tiny_fast_rcnn(Path("given.safetensors"))  # so that no stage comes before the first step
        options = ("small_fast_rcnn", "--weights", "given.safetensors", "--steps", 1, "--batch-size", 1, *SMALL)
        trains(*options, "--out", "straight")
        searched = list[int]()

        def interrupted(self: SelectiveSearch, image: Any) -> Any:
            searched.append(int(image.sum()))
            if len(searched) == 2:
                signal.raise_signal(number)
            return quarters(self, image)

        monkeypatch.setattr(SelectiveSearch, "__call__", interrupted)
        stopped = run(*options, "--out", "a run")
        assert (stopped.exit_code, stopped.stdout) == (130, "")
        assert stopped.stderr.splitlines()[-2:] == [
            f"refdet: train: {cause} in the search for proposals; those of 2 of 3 pictures are in "
            "a run/proposals.npz; begun again, the run goes on from there",
            "refdet: go on with: refdet train --resume --out 'a run'",
        ]
        assert len(searched) == 2
        trains("--resume", "--out", "a run")
        assert not set(searched[2:]) & set(searched[:2])
        assert Path("a run/model.safetensors").read_bytes() == Path("straight/model.safetensors").read_bytes()

    @pytest.mark.usefixtures("usual_signals")
    def test_a_signal_while_the_last_proposals_are_written(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """They are written whole."""
        monkeypatch.setitem(MODELS, "small_fast_rcnn", tiny_fast_rcnn())
        monkeypatch.setattr(SelectiveSearch, "__call__", quarters)
        write = WithProposals._write

        def interrupted(self: WithProposals, *arguments: Any) -> None:
            signal.raise_signal(signal.SIGTERM)
            write(self, *arguments)

        monkeypatch.setattr(WithProposals, "_write", interrupted)
        stopped = run("small_fast_rcnn", *SMALL)
        assert stopped.exit_code == 130
        assert "SIGTERM in the search for proposals; those of 3 of 3 pictures are in runs/" in stopped.stderr
        assert (load_tensors("runs/small_fast_rcnn/proposals.npz")["counts"] > 0).sum() == 3

    def test_a_finished_run_is_tested_again(self) -> None:
        first = trains("bright", "--data", "figures", *SMALL)
        again = trains("bright", "--resume", "--data", "figures")
        title = "2 pictures, 2 objects, "
        assert title in first.stdout
        assert title in again.stdout

    def test_a_folder_with_a_run_is_not_begun_anew(self) -> None:
        trains("bright", "--data", "figures", *SMALL)
        before = Path("runs/bright/run.json").read_bytes()
        assert "runs/bright has a run already; go on with it by --resume" in said(run("bright"), 2)
        assert Path("runs/bright/run.json").read_bytes() == before

    def test_a_model_of_another_origin_is_not_overwritten(self) -> None:
        theirs = Path("runs/bright/model.safetensors")
        theirs.parent.mkdir(parents=True)
        save_bright(theirs)
        before = theirs.read_bytes()
        assert "runs/bright has a model already, model.safetensors; give another folder by --out" in said(
            run("bright", "--data", "figures", *SMALL), 2
        )
        assert theirs.read_bytes() == before

    def test_other_options_are_refused(self) -> None:
        trains("bright", "--data", "figures", *SMALL)
        for option, problem in (
            (("--seed", 5), "has --seed 0, not 5"),
            (("--data", "shapes"), "has --data figures, not shapes"),
            (("--batch-size", 2), "has --batch-size 1, not 2"),
        ):
            assert problem in said(run("--resume", "--out", "runs/bright", *option), 2)
        assert "has MODEL bright, not sliding_window" in said(
            run("sliding_window", "--resume", "--out", "runs/bright"), 2
        )

    def test_nothing_to_go_on_with(self) -> None:
        assert "there is no run in runs/bright to go on with (run.json is missing)" in said(
            run("bright", "--resume"), 2
        )
        Path("x").mkdir()
        Path("x/run.json").write_text("{")
        assert "x/run.json: is not JSON" in said(run("--resume", "--out", "x"), 1)
        Path("x/run.json").write_text("{}")
        assert "x/run.json: is not the order of a run" in said(run("--resume", "--out", "x"), 1)

    @pytest.mark.parametrize(
        "change",
        [{"steps": "x"}, {"steps": 0}, {"data": 5}, {"seed": -1}, {"lr": "nan"}, {"train_size": -4}, {"weights": 3}],
    )
    def test_an_order_that_somebody_has_written_into(self, change: dict[str, Any]) -> None:
        order = {
            "format": "refdet run 1", "model": "bright", "data": "figures", "steps": 3, "batch_size": 1, "lr": 2.0,
            "seed": 0, "train_size": 3, "test_size": 2, "weights": None, "evaluate_every": None,
            "leave_out_unusable": False,
        }  # fmt: skip
        Path("x").mkdir()
        Path("x/run.json").write_text(json.dumps(order | change))
        assert "x/run.json: is not the order of a run" in said(run("--resume", "--out", "x"), 1)

    def test_a_run_that_goes_on_elsewhere_keeps_its_order(self) -> None:
        trains("bright", "--data", "figures", *SMALL)
        before = Path("runs/bright/run.json").read_bytes()
        with claimed(Path("runs/bright")):
            refused = run("--resume", "--out", "runs/bright", "--steps", 9)
        assert "another run is going on in runs/bright" in said(refused, 1)
        assert Path("runs/bright/run.json").read_bytes() == before

    def test_stopped_before_there_is_anything_to_save(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(train_run, "_train", interrupted)
        assert "stopped at once; go on with: refdet train --resume --out runs/bright" in said(
            run("bright", "--data", "figures", *SMALL), 130
        )
        monkeypatch.undo()

    def test_a_schedule_that_changes_with_the_steps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """More steps are then another run; the order of the old one stays."""
        recipe = DetectorRecipe(steps=4, batch_size=1, lr=0.5, warm_up=0, decay_at=(0.5,))
        monkeypatch.setitem(RECIPES, "bright", recipe)
        trains("bright", "--data", "figures", *SMALL)
        before = Path("runs/bright/run.json").read_bytes()
        refused = said(run("--resume", "--out", "runs/bright", "--steps", 8), 2)
        assert refused == (
            "refdet: train: --steps is 4 in runs/bright/run.json, got 8; the rate falls with the number of steps, so "
            "that it cannot be changed; leave it out to go on\n"
        )
        assert Path("runs/bright/run.json").read_bytes() == before
        trains("--resume", "--out", "runs/bright", "--steps", 4)
        Path("runs/bright/last.safetensors").unlink()  # as if it had been stopped before there was a checkpoint
        assert train_order.resumed(Path("runs/bright"), {"steps": 8})["steps"] == 8


class TestPlaces:
    def test_a_run_goes_on_from_another_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        coco_of_joints(tmp_path)
        save_bright(tmp_path / "first.safetensors", ("background", "person"))
        trains("bright", "--data", "coco:people.json", "--weights", "first.safetensors", "--steps", 1)
        order = json.loads(Path("runs/bright/run.json").read_text())
        assert (order["data"], order["weights"]) == (f"coco:{tmp_path}/people.json", f"{tmp_path}/first.safetensors")
        (tmp_path / "link.json").symlink_to("people.json")
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        for data in ((), ("--data", "coco:../people.json"), ("--data", f"coco:{tmp_path}/link.json")):
            trains("--resume", "--out", "../runs/bright", *data, "--weights", "../first.safetensors")
            assert json.loads(Path("../runs/bright/run.json").read_text()) == order

    def test_an_order_with_relative_paths(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It holds where it was given; the whole path is the same place there."""
        coco_of_joints(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(train_order, "_from_anywhere", lambda name, value: value)
            trains("bright", "--data", "coco:people.json", "--steps", 1)
        before = Path("runs/bright/run.json").read_bytes()
        assert json.loads(before)["data"] == "coco:people.json"
        trains("--resume", "--out", "runs/bright")
        trains("--resume", "--out", "runs/bright", "--data", f"coco:{tmp_path}/people.json")
        assert Path("runs/bright/run.json").read_bytes() == before

    def test_the_pictures_may_have_moved(self, tmp_path: Path) -> None:
        """The order says where they are, and where they were at first; of another kind they are not the same."""
        Path("x").mkdir()
        order = {
            "format": "refdet run 1", "model": "bright", "data": "coco:/old/people.json", "steps": 3, "batch_size": 1,
            "lr": 2.0, "seed": 0, "train_size": 3, "test_size": 2, "weights": "/old/first.npz", "evaluate_every": None,
            "leave_out_unusable": False,
        }  # fmt: skip
        Path("x/run.json").write_text(json.dumps(order))
        once = train_order.resumed(Path("x"), {"data": "coco:new/people.json"})
        assert once == order | {
            "data": f"coco:{tmp_path}/new/people.json",
            "data_at_first": "coco:/old/people.json",
        }
        Path("x/run.json").write_text(json.dumps(once))
        twice = train_order.resumed(Path("x"), {"data": "coco:/third"})
        assert (twice["data"], twice["data_at_first"]) == ("coco:/third", "coco:/old/people.json")
        refused = run("--resume", "--out", "x", "--data", "voc:/old")
        assert "the run in x has --data coco:" in said(refused, 2)
        assert "has --weights /old/first.npz, not b.npz" in said(run("--resume", "--out", "x", "--weights", "b.npz"), 2)
        Path("x/run.json").write_text(json.dumps(order | {"data_at_first": 5}))
        assert "x/run.json: is not the order of a run" in said(run("--resume", "--out", "x"), 1)

    def test_a_run_goes_on_with_pictures_that_have_moved(self, tmp_path: Path) -> None:
        """The same ones, which their content tells; others are another run."""
        for place, lightness in (("old", 200), ("new", 200), ("other", 100)):
            (tmp_path / place).mkdir()
            coco_of_joints(tmp_path / place)
            for i in (1, 2):
                Image.new("RGB", (16, 12), (lightness, 0, 0)).save(tmp_path / place / f"{i}.png")
        trains("bright", "--data", "coco:old/people.json", "--steps", 1)
        trains("--resume", "--out", "runs/bright", "--data", "coco:new/people.json", "--steps", 2)
        order = json.loads(Path("runs/bright/run.json").read_text())
        assert [order[name] for name in ("data", "data_at_first", "steps")] == [
            f"coco:{tmp_path}/new/people.json", f"coco:{tmp_path}/old/people.json", 2,
        ]  # fmt: skip
        trains("--resume", "--out", "runs/bright", "--steps", 3)
        refused = run("--resume", "--out", "runs/bright", "--data", "coco:other/people.json")
        assert (refused.exit_code, "runs/bright holds another run: sample 0 is '1.png'" in refused.stderr) == (1, True)
        assert json.loads(Path("runs/bright/run.json").read_text()) == order | {"steps": 3}

    def test_pictures_without_data(self) -> None:
        """What a model learns from decides which are made."""
        given = dict.fromkeys(("data", "steps", "batch_size", "lr", "seed", "weights", "leave_out_unusable"))
        for model, data in (
            ("small_keypoint_rcnn", "figures"),
            ("small_mask_rcnn", "shapes"),
            ("sliding_window", "shapes"),
        ):
            assert train_order.begun(Path("runs/x"), {"model": model, **given})["data"] == data


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


def voc(folder: Path, names: Sequence[Sequence[str]], lists: dict[str, Sequence[int]] | None = None) -> str:
    """Write a folder of VOC's with a picture for each list of names, and return what --data is to be."""
    pictures, annotations = folder, folder
    if lists is not None:
        pictures, annotations = folder / "JPEGImages", folder / "Annotations"
        (folder / "ImageSets" / "Main").mkdir(parents=True)
        for name, numbers in lists.items():
            (folder / "ImageSets" / "Main" / f"{name}.txt").write_text("".join(f"{i:03}\n" for i in numbers))
    for part in (pictures, annotations):
        part.mkdir(parents=True, exist_ok=True)
    for i, of_picture in enumerate(names):
        Image.new("RGB", (16, 12), (i, 0, 0)).save(pictures / f"{i:03}.png")
        n = len(of_picture)
        boxes = np.array([[1.0, 2, 9, 8]] * n).reshape(-1, 4)
        none = np.zeros(n, np.bool_)
        annotation = VocAnnotation(f"{i:03}", f"{i:03}.png", (12, 16), tuple(of_picture), boxes, none, none)
        write_voc_annotation(annotations / f"{i:03}.xml", annotation)
    return f"voc:{folder}"


def numbers(samples: Any) -> list[int]:
    return [int(sample.image[0, 0, 0]) for sample in samples]


class TestData:
    def test_synthetic_sets_are_of_one_kind_and_share_nothing(self) -> None:
        data = open_data("train", "shapes", train_size=4, test_size=3)
        assert (len(data.train), len(data.test), data.class_names) == (4, 3, CLASS_NAMES)
        assert [sample.name for sample in data.test] == ["shapes 1/0", "shapes 1/1", "shapes 1/2"]
        usual = open_data("train", "shapes")
        assert (len(usual.train), len(usual.test), usual.train[0].name) == (2000, 500, "shapes 0/0")

    @pytest.mark.parametrize("kind", ["shapes", "figures"])
    def test_synthetic_pictures_are_kept_but_where_each_is_looked_at_once(self, kind: str) -> None:
        trained, tested = (
            open_data("eval", kind, train_size=1, test_size=1, for_test_alone=alone) for alone in (False, True)
        )
        assert trained.train[0].image is trained.train[0].image
        assert trained.test[0].image is trained.test[0].image
        assert tested.test[0].image is not tested.test[0].image
        np.testing.assert_array_equal(tested.test[0].image, trained.test[0].image)

    def test_every_fifth_picture_of_a_flat_folder_is_held_out(self, tmp_path: Path) -> None:
        text = voc(tmp_path / "flat", [["cat"]] * 11)
        data = open_data("train", text)
        assert numbers(data.test) == [4, 9]
        assert numbers(data.train) == [0, 1, 2, 3, 5, 6, 7, 8, 10]
        assert numbers(open_data("train", text, train_size=2, test_size=1).train) == [0, 1]
        assert len(data.class_names) == 21
        assert numbers(open_data("eval", text, for_test_alone=True).test) == list(range(11))

    def test_few_pictures_are_shared_out_too(self, tmp_path: Path) -> None:
        data = open_data("train", voc(tmp_path / "two", [["cat"]] * 2))
        assert (numbers(data.train), numbers(data.test)) == ([0], [1])
        refused = run("sliding_window", "--data", voc(tmp_path / "one", [["cat"]]))
        assert "there must be pictures to train on and to test on" in said(refused, 2)

    def test_lists_say_what_is_trained_on(self, tmp_path: Path) -> None:
        text = voc(tmp_path / "kit", [["b"], ["a", "b"], [], ["a"]], {"trainval": [3, 0, 2], "test": [1]})
        data = open_data("train", text)
        assert (numbers(data.train), numbers(data.test)) == ([3, 0, 2], [1])
        assert data.class_names == ("background", "a", "b")  # none of VOC's
        assert data.test[0].classes.tolist() == [1, 2]
        assert numbers(open_data("eval", text, class_names=data.class_names, for_test_alone=True).test) == [1]

    def test_no_annotation_is_read_twice(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from refdet.data import voc as files

        text = voc(tmp_path / "kit", [["a"]] * 4, {"train": [3, 0], "val": [1]})
        read: list[str] = []
        told: list[Any] = []
        read_one = files.read_voc_annotation

        def noted(path: Path) -> VocAnnotation:
            read.append(path.name)
            return read_one(path)

        def begin(what: str) -> Any:
            told.append(what)
            return lambda done, total: told.append((done, total))

        monkeypatch.setattr(files, "read_voc_annotation", noted)
        bar = functools.partial(contextlib.nullcontext, begin)
        monkeypatch.setattr(train_data, "progress_bar", bar)
        data = open_data("train", text)
        assert (numbers(data.train), numbers(data.test)) == ([3, 0], [1])
        assert read == ["000.xml", "001.xml", "002.xml", "003.xml"]
        assert told == [
            "reading kit", (1, 4), (2, 4), (3, 4), (4, 4),
            "reading train.txt of kit", (1, 2), (2, 2), "reading val.txt of kit", (1, 1),
        ]  # fmt: skip

    def test_which_lists_are_taken(self, tmp_path: Path) -> None:
        lists: dict[str, Sequence[int]] = {"train": [0, 1], "test": [2], "cat_train": [0, 1, 2], "cat_val": [0, 1, 2]}
        data = open_data("train", voc(tmp_path / "train-test", [["cat"]] * 3, lists))
        assert (numbers(data.train), numbers(data.test)) == ([0, 1], [2])
        data = open_data("train", voc(tmp_path / "three", [["cat"]] * 3, {**lists, "test": [2], "val": [1]}))
        assert (numbers(data.train), numbers(data.test)) == ([0, 1], [1])
        data = open_data("train", voc(tmp_path / "trainval", [["cat"]] * 3, {**lists, "trainval": [0]}))
        assert (numbers(data.train), numbers(data.test)) == ([0], [2])

    @pytest.mark.parametrize(
        ("found", "told"),
        [
            (("train",), "train.txt"),
            (("test", "cat_train", "cat_test"), "test.txt"),
            (("val", "trainval"), "trainval.txt, val.txt"),
            (("fold1", "fold2"), "fold1.txt, fold2.txt"),
            (("cat_train", "cat_val"), "lists of one class alone, such as cat_train.txt"),
        ],
    )
    def test_lists_that_do_not_say_what_is_trained_on(self, tmp_path: Path, found: tuple[str, ...], told: str) -> None:
        text = voc(tmp_path / "kit", [["cat"]] * 2, {name: [0] for name in found})
        assert said(run("sliding_window", "--data", text), 1) == (
            f"refdet: {tmp_path}/kit/ImageSets/Main: there must be train.txt and val.txt, or trainval.txt and "
            f"test.txt, or train.txt and test.txt, got {told}; add what is missing, or remove ImageSets to go without "
            "lists\n"
        )

    def test_to_test_alone_a_list_to_test_on_is_enough(self, tmp_path: Path) -> None:
        from refdet.data import VocError

        text = voc(tmp_path / "kit", [["cat"]] * 3, {"test": [2, 1], "cat_test": [0, 1, 2]})
        assert numbers(open_data("eval", text, for_test_alone=True).test) == [2, 1]
        for found in ("train", "trainval"):
            text = voc(tmp_path / found, [["cat"]] * 3, {found: [0, 1]})
            with pytest.raises(VocError, match=rf"got {found}\.txt; add what is missing"):
                open_data("eval", text, for_test_alone=True)

    def test_a_class_that_the_detector_does_not_know(self, tmp_path: Path) -> None:
        from refdet.data import VocError

        text = voc(tmp_path / "flat", [["cat"], ["gnu"]])
        with pytest.raises(VocError, match=r"001\.xml: 'gnu' is none of the classes asked for"):
            open_data("eval", text, class_names=("background", "cat"), for_test_alone=True)

    def test_coco_s_files(self, tmp_path: Path) -> None:
        for part, ids in (("train", (1, 2, 3)), ("val", (7,))):
            (tmp_path / f"{part}2017").mkdir()
            (tmp_path / "annotations").mkdir(exist_ok=True)
            for i in ids:
                Image.new("RGB", (16, 12), (i, 0, 0)).save(tmp_path / f"{part}2017" / f"{i}.png")
            content = {
                "images": [{"id": i, "width": 16, "height": 12, "file_name": f"{i}.png"} for i in ids],
                "categories": [{"id": 4, "name": "cat"}],
                "annotations": [
                    {"id": i, "image_id": i, "category_id": 4, "bbox": [1, 1, i - 1, 5], "area": 9} for i in ids
                ],
            }
            (tmp_path / "annotations" / f"instances_{part}2017.json").write_text(json.dumps(content))
        text = f"coco:{tmp_path}"
        data = open_data("train", text, leave_out_unusable=True)
        assert (numbers(data.train), numbers(data.test)) == ([1, 2, 3], [7])
        assert [len(sample.boxes) for sample in data.train] == [0, 1, 1]
        refused = said(run("sliding_window", "--data", text), 1)
        assert "1.png: annotation 1 has the box [1, 1, 0, 5]" in refused.replace(".0", "")
        assert "--leave-out-unusable leaves such objects out" in refused
        one = open_data("train", f"coco:{tmp_path}/annotations/instances_val2017.json", for_test_alone=True)
        assert (numbers(one.test), one.class_names) == ([7], ("background", "cat"))
        (tmp_path / "annotations" / "instances_train2017.json").rename(tmp_path / "train.json")
        assert "there must be annotations/instances_train*.json and" in said(run("sliding_window", "--data", text), 1)
        assert numbers(open_data("eval", text, for_test_alone=True).test) == [7]
        (tmp_path / "annotations" / "instances_val2017.json").unlink()
        assert "there must be annotations/instances_train*.json and" in said(run("sliding_window", "--data", text), 1)
        (tmp_path / "train.json").rename(tmp_path / "annotations" / "instances_train2017.json")
        assert "there must be annotations/instances_train*.json and" in said(run("sliding_window", "--data", text), 1)
        with pytest.raises(CocoError, match=r": there must be annotations/instances_val\*\.json$"):
            open_data("eval", text, for_test_alone=True)


def coco_of_joints(folder: Path, **changes: Any) -> Path:
    """Write a file of COCO's about two pictures, 1.png and 2.png, with a person of three joints each."""
    for i in (1, 2):
        Image.new("RGB", (16, 12), (200, 0, 0)).save(folder / f"{i}.png")
    one = {"category_id": 1, "bbox": [1, 1, 8, 8], "area": 64, "keypoints": [3, 3, 2] * 3}
    content = {
        "images": [{"id": i, "width": 16, "height": 12, "file_name": f"{i}.png"} for i in (1, 2)],
        "categories": [{"id": 1, "name": "person", "keypoints": ["a", "b", "c"]}],
        "annotations": [
            {**one, "id": i, "image_id": i, "segmentation": [[1, 1, 9, 1, 9, 9, 1, 9]][: 2 - i]} for i in (1, 2)
        ],
    }
    path = folder / "people.json"
    path.write_text(json.dumps(content | changes))
    return path


def test_joints_that_nobody_has_sigmas_for_are_trained_all_the_same(tmp_path: Path) -> None:
    result = trains("bright", "--data", f"coco:{coco_of_joints(tmp_path)}")
    assert "people.json: 1 of 2 objects are without a mask" in result.stderr
    assert (
        "the 3 joints are trained but not tested, for their names are not COCO's; refdet eval --sigmas tests them"
        in result.stderr
    )
    assert "2 pictures" not in result.stdout
    assert Path("runs/bright/model.safetensors").exists()


def with_joints(names: Sequence[str]) -> dict[str, Any]:
    """Return the changes to `coco_of_joints` that give its persons joints of these names."""
    one = {"category_id": 1, "bbox": [1, 1, 8, 8], "area": 64, "keypoints": [3, 3, 2] * len(names)}
    return {
        "categories": [{"id": 1, "name": "person", "keypoints": list(names)}],
        "annotations": [{**one, "id": i, "image_id": i, "segmentation": [[1, 1, 9, 1, 9, 9, 1, 9]]} for i in (1, 2)],
    }


# CrowdPose has fourteen joints, as stick figures have, and others; AP-10K seventeen, as COCO has
CROWD_POSE = (
    *(f"{side}_{part}" for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
      for side in ("left", "right")),
    "head", "neck",
)  # fmt: skip
AP_10K = (
    "left_eye", "right_eye", "nose", "neck", "root_of_tail", "left_shoulder", "left_elbow", "left_front_paw",
    "right_shoulder", "right_elbow", "right_front_paw", "left_hip", "left_knee", "left_back_paw", "right_hip",
    "right_knee", "right_back_paw",
)  # fmt: skip


@pytest.mark.parametrize(
    ("names", "swapped"),
    [
        (AP_10K, (1, 0, 2, 3, 4, 8, 9, 10, 5, 6, 7, 14, 15, 16, 11, 12, 13)),
        (COCO_JOINT_NAMES, (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)),
        (
            [name.replace(" ", "_") for name in COCO_JOINT_NAMES],
            (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15),
        ),
        (CROWD_POSE, (1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 12, 13)),
        ([str(i) for i in range(17)], None),
    ],
)
def test_joints_are_swapped_by_their_names(
    tmp_path: Path, names: Sequence[str], swapped: tuple[int, ...] | None
) -> None:
    data = open_data("train", f"coco:{coco_of_joints(tmp_path, **with_joints(names))}", needs=("joints",))
    assert (data.joint_names, data.swapped) == (tuple(names), swapped)


def test_samples_to_test_on_say_how_their_joints_are_called(tmp_path: Path) -> None:
    text = f"coco:{coco_of_joints(tmp_path, **with_joints(AP_10K))}"
    for command, for_test_alone in (("train", False), ("eval", True)):
        test = open_data(command, text, needs=("joints",), for_test_alone=for_test_alone).test
        assert test[0].joints is not None
        assert test.joint_names == AP_10K  # type: ignore[attr-defined]


def test_fourteen_joints_of_others_are_trained_and_not_judged_as_those_of_stick_figures(tmp_path: Path) -> None:
    result = trains("bright", "--data", f"coco:{coco_of_joints(tmp_path, **with_joints(CROWD_POSE))}")
    assert "the 14 joints are trained but not tested, for their names are not COCO's" in result.stderr
    assert load_model("runs/bright/model.safetensors").joint_names == CROWD_POSE
    assert "mask AP" in result.stdout
    assert "keypoint AP" not in result.stdout
    judged = trains("bright", "--data", "figures", *SMALL, "--out", "figures")
    assert "keypoint AP" in judged.stdout


def test_a_file_of_coco_s_without_objects(tmp_path: Path) -> None:
    path = coco_of_joints(tmp_path, annotations=[])
    assert f"{path}: there is no object in any picture" in said(run("bright", "--data", f"coco:{path}"), 1)


def test_recipes_fall_at_shares_of_the_steps() -> None:
    recipe = DetectorRecipe(steps=100, batch_size=1, lr=1.0, warm_up=4, decay_at=(0.5, 0.8), decay=0.5)
    rate = recipe.schedule()
    assert [rate(step) for step in (0, 1, 4, 49, 50, 79, 80)] == [0, 0.25, 1, 1, 0.5, 0.5, 0.25]


def test_colours_are_changed_where_they_mean_nothing(tmp_path: Path) -> None:
    of_voc = voc(tmp_path / "voc", [["cat"]] * 6)
    for text, is_synthetic in (("shapes", True), ("figures", True), (of_voc, False)):
        data = open_data("train", text, train_size=2, test_size=1)
        assert data.colours_matter is not is_synthetic
    recipe = recipe_of("small_mask_rcnn")
    assert recipe.recoloured
    assert recipe.begins_with is not None
    assert recipe.begins_with.recoloured
    plain = recipe.in_true_colours()
    assert not plain.recoloured
    assert plain == dataclasses.replace(
        recipe, recoloured=False, begins_with=dataclasses.replace(recipe.begins_with, recoloured=False)
    )
    sample = Shapes(1, seed=0)[0]
    augment = Augmentation(mirror=False, photometric=False, recoloured=True)
    seen = [augment(sample, np.random.default_rng(seed)).image for seed in range(4)]
    assert not any(np.array_equal(image, sample.image) for image in seen)


def test_augmentation_mirrors_joints_with_their_sides() -> None:
    from refdet.data import StickFigures
    from refdet.data.stick_figures import SWAPPED

    sample = StickFigures(1, seed=0)[0]
    augment = Augmentation(mirror=True, photometric=True, swapped=SWAPPED)
    seen = [augment(sample, np.random.default_rng(seed)) for seed in range(8)]
    assert sample.joints is not None
    mirrored = sample.joints[:, SWAPPED] * [-1, 1] + [128, 0]
    is_mirrored = [np.allclose(made.joints, mirrored) for made in seen if made.joints is not None]
    assert 0 < sum(is_mirrored) < 8
    assert not all(np.array_equal(made.image, sample.image) for made in seen)
    assert Augmentation(mirror=False, photometric=False)(sample, np.random.default_rng(0)) is sample


def test_augmentation_turns_pictures_as_far_as_it_is_told() -> None:
    from refdet.data import StickFigures

    sample, turned = StickFigures(1, seed=0)[0], 20.0
    seen = [Augmentation(False, False, turned=turned)(sample, np.random.default_rng(seed)) for seed in range(8)]
    assert sample.joints is not None
    down = sample.joints[0, 4] - sample.joints[0, 12]  # neck to hip
    for made in seen:
        assert made.joints is not None
        moved = made.joints[0, 4] - made.joints[0, 12]
        cosine = (moved @ down) / np.linalg.norm(moved) / np.linalg.norm(down)
        assert np.cos(np.radians(turned)) - 1e-6 <= cosine < 1
