"""`refdet train --out`: where runs are kept, and that none is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from refdet.cli import train_order
from tests.cli.sentences import said
from tests.cli.tiny_detectors import save_bright
from tests.cli.train_command import coco_of_joints, run, trains

pytestmark = pytest.mark.usefixtures("folder_of_runs")


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
