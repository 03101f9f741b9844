"""`refdet train --resume`: what a stopped run goes on from, and what it does not go on with."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from refdet.cli import train_order, train_run
from refdet.detection.model_names import MODELS
from refdet.detection.with_proposals import SelectiveSearch, WithProposals
from refdet.nn.checkpoint import load_tensors
from refdet.training.folder_lock import claimed
from refdet.training.recipes import RECIPES, DetectorRecipe
from tests.cli.sentences import said
from tests.cli.tiny_detectors import Bright, save_bright
from tests.cli.train_command import SMALL, quarters, run, save_tiny_fast_rcnn, tiny_fast_rcnn, trains

pytestmark = pytest.mark.usefixtures("folder_of_runs")


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
            (("--weights", "m.safetensors"), "the run in runs/bright was begun without --weights; leave it out\n"),
            (("--leave-out-unusable",), "was begun without --leave-out-unusable; leave it out\n"),
            (("--train-size", 5), "has --train-size 3, not 5"),
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
