"""Stopped in whatever way and begun again, a run ends with the bits of one that was never stopped."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
import pytest

from refdet import nn
from refdet.autograd.tensor import Tensor
from refdet.data import Sample
from refdet.detection.preparation import Preparation
from refdet.detection.small_detectors import small_faster_rcnn
from refdet.nn.checkpoint import CheckpointError, load_metadata, load_tensors, safetensors_format, save_tensors
from refdet.training import (
    Interrupted,
    OtherRunError,
    Progress,
    TrainingError,
    metrics_log,
    read_metrics,
    read_weights,
    run_folder,
)
from refdet.training.metrics_log import EvaluationLine, Line, MetricsFile, cut_back, parsed
from refdet.training.recipes import Augmentation
from tests.detection.tiny_detectors import CLASS_NAMES, picture, tiny
from tests.training.tiny_run import TinyNet, bits, pictures, rates, run, sgd

ROOT = Path(__file__).parents[2]


pytestmark = pytest.mark.usefixtures("usual_signals")


def adam(model: nn.Module) -> nn.Optimiser:
    return nn.Adam(model.named_parameters(), lr=0.1)


def after(n_calls: int) -> Callable[[], bool]:
    """Return a `stop` that says True when it is asked for the n-th time."""
    answers = iter([False] * (n_calls - 1) + [True])
    return lambda: next(answers, False)


def timeless(folder: Path) -> list[dict[str, Any]]:
    """Return the metrics without what a clock said."""
    lines = [json.loads(text) for text in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "images_per_second")} for line in lines]


def signalling(number: int, at: int) -> dict[str, Any]:
    """Return a network and losses that send this process a signal in the midst of step `at`."""
    model, calls = TinyNet(), 0

    def losses(samples: Sequence[Sample], *, rng: np.random.Generator) -> Mapping[str, Tensor]:
        nonlocal calls
        calls += 1
        if calls == at:
            signal.raise_signal(number)
        return model.losses(samples, rng=rng)

    return {"model": model, "losses": losses}


@pytest.mark.parametrize("optimiser", [sgd, adam])
def test_stopped_and_resumed(tmp_path: Path, optimiser: Callable[[nn.Module], nn.Optimiser]) -> None:
    """Twice, with evaluations between, from other weights the second time and the third; metrics and optimiser too."""
    options: dict[str, Any] = {
        "optimiser": optimiser, "evaluate": lambda model: model.scores(pictures()), "evaluate_every": 2,
        "keep_best": "accuracy",
    }  # fmt: skip
    straight, whole = run(tmp_path / "straight", **options)
    for n_steps, seed in ((2, 0), (3, 2)):
        _, result = run(tmp_path / "stopped", model=TinyNet(seed), stop=after(n_steps), **options)
        assert not result.finished
    assert result.n_steps == 5
    model, result = run(tmp_path / "stopped", model=TinyNet(3), ahead=2, **options)
    assert bits(model) == bits(straight)
    assert (result.finished, result.n_steps, result.best) == (True, 7, whole.best)
    assert timeless(tmp_path / "stopped") == timeless(tmp_path / "straight")
    assert [line.step for line in result.history.steps] == list(range(1, 8))
    last = [load_tensors(tmp_path / name / "last.safetensors") for name in ("straight", "stopped")]
    assert {name: a.tobytes() for name, a in last[0].items()} == {name: a.tobytes() for name, a in last[1].items()}


def test_sizes_of_pictures_are_drawn_again(tmp_path: Path) -> None:
    """A detector that is trained with pictures of several sizes sees each in the size of the run without a stop."""

    def trained(folder: Path, *, seed: int = 0, **options: Any) -> tuple[str, bool]:
        settings = tiny(preparation=Preparation(short=(24, 32, 40)))
        net: Any = small_faster_rcnn(CLASS_NAMES, rng=np.random.default_rng(seed), settings=settings)
        samples = [picture(), picture("b.jpg"), picture("c.jpg")]
        _, result = run(folder, model=net, samples=samples, transform=None, n_steps=5, **options)
        return bits(net), result.finished

    straight, _ = trained(tmp_path / "straight")
    assert not trained(tmp_path / "stopped", stop=after(2))[1]
    assert trained(tmp_path / "stopped", seed=1) == (straight, True)


def test_a_finished_run_does_nothing(tmp_path: Path) -> None:
    model, _ = run(tmp_path)
    before = (tmp_path / "last.safetensors").stat().st_mtime_ns
    again, result = run(tmp_path, model=TinyNet(5), losses=lambda samples, *, rng: {})
    assert bits(again) == bits(model)
    assert result.finished
    assert (tmp_path / "last.safetensors").stat().st_mtime_ns == before


def test_more_steps_go_on(tmp_path: Path) -> None:
    run(tmp_path, n_steps=4)
    model, _ = run(tmp_path, n_steps=9)
    assert bits(model) == bits(run(n_steps=9)[0])
    with pytest.raises(OtherRunError, match="is at step 9, beyond n_steps=8"):
        run(tmp_path, n_steps=8)


def test_killed_at_random_moments(tmp_path: Path) -> None:
    """Processes that die by SIGKILL, wherever they are: in a step, a save, a rename."""
    command = [sys.executable, "-m", "tests.training.tiny_run", str(tmp_path), "0", "4", "50"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stderr
    digest, n_steps, n_lines, *left = finished.stdout.split()
    assert (n_steps, n_lines) == ("50", "50")
    assert digest == bits(run(n_steps=50)[0])
    assert sum(int(n) < 50 for n in left) >= 3, f"the kills came too late to say anything: {left}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.safetensors", "metrics.jsonl"]


@pytest.mark.parametrize(("number", "cause"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_a_signal_ends_after_the_step(tmp_path: Path, number: int, cause: str) -> None:
    notices = []

    class Hearing(Progress):
        def notice(self, sentence: str) -> None:
            notices.append(sentence)

    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted) as caught:
        run(tmp_path, **signalling(number, at=5), progress=Hearing(), ahead=2)
    assert str(caught.value) == (
        f"train: {cause} after step 5 of 7; the last checkpoint is {tmp_path / 'last.safetensors'}, of step 5; "
        "begun again, the run goes on from there"
    )
    assert notices == ["finishing this step and saving; Ctrl-C again leaves at once"]
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert len(timeless(tmp_path)) == 5
    assert bits(run(tmp_path)[0]) == bits(run()[0])


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    model, result = run(**signalling(signal.SIGINT, at=2))
    assert result.finished
    assert bits(model) == bits(run()[0])


def test_a_signal_without_a_folder() -> None:
    with pytest.raises(Interrupted, match=r"Ctrl-C after step 2 of 7; nothing was saved, for there is no folder$"):
        run(**signalling(signal.SIGINT, at=2))


def test_a_second_signal_while_saving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It leaves at once, in the middle of the file; the checkpoint before stays whole, and no remains."""
    write = safetensors_format.write

    def interrupted(file: BinaryIO, arrays: Any, metadata: str | None) -> None:
        if metadata is not None and '"step":5' in metadata.replace(" ", ""):
            file.write(b"half a file")
            signal.raise_signal(signal.SIGINT)
        write(file, arrays, metadata)

    monkeypatch.setattr(safetensors_format, "write", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        run(tmp_path, **signalling(signal.SIGINT, at=5))
    assert not isinstance(caught.value, Interrupted)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.safetensors", "metrics.jsonl"]
    assert len(timeless(tmp_path)) == 5  # two more than the checkpoint
    monkeypatch.undo()
    model, result = run(tmp_path)
    assert bits(model) == bits(run()[0])
    assert [line.step for line in result.history.steps] == list(range(1, 8))


def test_a_signal_during_an_evaluation(tmp_path: Path) -> None:
    """The evaluation is left, the step is saved, and the evaluation is done again."""
    seen = []

    def evaluate(model: TinyNet) -> dict[str, float]:
        seen.append(bits(model))
        if len(seen) == 2:
            signal.raise_signal(signal.SIGINT)
            pytest.fail("the evaluation went on")
        return {"accuracy": 0.5}

    options: dict[str, Any] = {"evaluate": evaluate, "evaluate_every": 2}
    with pytest.raises(Interrupted, match="after step 4 of 7"):
        run(tmp_path, **options)
    model, result = run(tmp_path, model=TinyNet(1), **options)
    assert [line.step for line in result.history.evaluations] == [2, 4, 6, 7]
    assert seen[2] == seen[1]
    assert bits(model) == bits(run()[0])


def scored(model: TinyNet) -> dict[str, float]:
    """Say 0.5 after step 2, 0.9 after step 7, else 0.1; a step is told by its weights."""
    return {"mAP": {2: 0.5, 7: 0.9}.get(STEP_OF[bits(model)], 0.1)}


STEP_OF: dict[str, int] = {}  # digest of the weights of a run that was never stopped → finished steps


def best_file(folder: Path) -> tuple[dict[str, Any], int]:
    """Return what best.safetensors says of itself, and after which step its weights were."""
    model = TinyNet(9)
    model.load_state_dict(read_weights(folder, "best"))
    return load_metadata(folder / "best.safetensors"), STEP_OF[bits(model)]


class TestTheBestWeights:
    OPTIONS: ClassVar[dict[str, Any]] = {"evaluate": scored, "keep_best": "mAP", "save_every": 4, "n_steps": 10}

    @pytest.fixture(autouse=True)
    def _steps(self) -> None:
        STEP_OF.clear()

        def note(model: TinyNet) -> dict[str, float]:
            STEP_OF[bits(model)] = len(STEP_OF) + 1
            return {}

        run(evaluate=note, evaluate_every=1, n_steps=10)
        assert len(STEP_OF) == 10

    def test_they_are_those_of_the_best_evaluation_that_the_run_knows(self, tmp_path: Path) -> None:
        """Killed in step 9, of which the last checkpoint by `save_every` is that of step 8, or in step 8."""
        for killed_in in (8, 9):
            folder, model, calls = tmp_path / str(killed_in), TinyNet(), 0

            def losses(samples: Sequence[Sample], *, rng: np.random.Generator) -> Mapping[str, Tensor]:
                nonlocal calls
                calls += 1
                if calls == killed_in:  # noqa: B023
                    raise RuntimeError("killed")
                return model.losses(samples, rng=rng)  # noqa: B023

            with pytest.raises(RuntimeError, match="killed"):
                run(folder, model=model, losses=losses, evaluate_every=1, **self.OPTIONS)
            _, result = run(folder, evaluate_every=2, stop=after(1), **self.OPTIONS)
            assert result.best is not None
            assert (result.best.value, result.best.step, result.n_steps) == (0.9, 7, killed_in)
            assert best_file(folder) == ({"metric": "mAP", "value": 0.9, "step": 7}, 7)

    def test_killed_before_they_are_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Then the checkpoint has them: they are written where the run goes on, though nothing is evaluated again."""

        def killed(path: Path, tensors: Any, *, metadata: Mapping[str, Any]) -> None:
            if metadata["step"] == 7:
                raise KeyboardInterrupt
            save_tensors(path, tensors, metadata=metadata)

        monkeypatch.setattr(run_folder, "save_tensors", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, evaluate_every=1, **self.OPTIONS)
        assert best_file(tmp_path) == ({"metric": "mAP", "value": 0.5, "step": 2}, 2)
        monkeypatch.undo()
        _, result = run(tmp_path, stop=after(1), **self.OPTIONS)
        assert result.best is not None
        assert (result.best.value, result.best.step, result.n_steps) == (0.9, 7, 8)
        assert best_file(tmp_path) == ({"metric": "mAP", "value": 0.9, "step": 7}, 7)


def test_each_line_of_the_metrics_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, n_steps=5)
    texts = []

    def counted(text: bytes) -> Line | None:
        texts.append(text)
        return parsed(text)

    monkeypatch.setattr(metrics_log, "parsed", counted)
    history = cut_back(tmp_path / "metrics.jsonl", 3, evaluated_at=0)
    assert [line.step for line in history.steps] == [1, 2, 3]
    assert len(texts) == 5
    assert [line["step"] for line in timeless(tmp_path)] == [1, 2, 3]


def test_damaged_metrics_are_repaired(tmp_path: Path) -> None:
    """Lines beyond the checkpoint and half a line go; what is before it stays as it was."""
    run(tmp_path, stop=after(4))
    log = tmp_path / "metrics.jsonl"
    whole = log.read_bytes()
    beyond = whole.splitlines(keepends=True)[-1].replace(b'"step": 4', b'"step": 5')
    evaluation = b'{"step": 4, "evaluation": {"mAP": 0.1}, "seconds": 1}\n'  # of which the checkpoint knows nothing
    log.write_bytes(whole + evaluation + beyond + b'{"step": 6, "epoch": 2.4, "l')
    assert [line.step for line in read_metrics(log).steps] == [1, 2, 3, 4, 5]
    _, result = run(tmp_path, stop=after(1))
    assert log.read_bytes().startswith(whole)
    assert [(line["step"], "evaluation" in line) for line in timeless(tmp_path)] == [(i, False) for i in range(1, 6)]
    assert result.history == read_metrics(log)


@pytest.mark.parametrize(
    "line",
    [
        '{"step": Infinity, "evaluation": {}, "seconds": 1}',
        '{"step": 1, "evaluation": {"mAP": 1%s}, "seconds": 1}' % ("0" * 400),
        '{"step": 1%s, "evaluation": {}, "seconds": 1}' % ("0" * 400),
        '{"step": -1, "evaluation": {}, "seconds": 1}',
    ],
)
def test_a_line_of_metrics_with_a_number_that_no_run_has(line: str) -> None:
    assert parsed('{"step": 1, "evaluation": {}, "seconds": 1}') == EvaluationLine(1, {}, 1.0)
    assert parsed(line) is None


def full(file: BinaryIO, arrays: Any, metadata: str | None) -> None:
    file.write(b"as much as there is room for")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_while_saving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, stop=after(4))
    before = (tmp_path / "last.safetensors").read_bytes()
    monkeypatch.setattr(safetensors_format, "write", full)
    last = tmp_path / "last.safetensors"
    with pytest.raises(TrainingError) as caught:
        run(tmp_path)
    assert str(caught.value) == (
        f"train: the checkpoint of step 6 cannot be written: {last}: No space left on device; the last checkpoint is "
        f"{last}, of step 4"
    )
    assert last.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.safetensors", "metrics.jsonl"]
    with pytest.raises(TrainingError, match=r"checkpoint of step 0 cannot be written: .*there is no checkpoint yet"):
        run(tmp_path / "new")
    monkeypatch.undo()
    assert bits(run(tmp_path)[0]) == bits(run()[0])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full on this system")
def test_a_full_disk_while_logging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder, "MetricsFile", lambda path: MetricsFile(Path("/dev/full")))
    with pytest.raises(
        TrainingError, match=r"train: metrics\.jsonl cannot be written: .*: No space left.*, of step 0$"
    ):
        run(tmp_path)


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "batch size": ({"batch_size": 3}, "settings.batch_size is 3, was 2"),
    "seed": ({"seed": 1}, "settings.seed is 1, was 0"),
    "momentum": (
        {"optimiser": lambda m: nn.SGD(m.named_parameters(), lr=0.1, momentum=0.8, weight_decay=1e-3)},
        "optimiser.momentum is 0.8, was 0.9",
    ),
    "optimiser": ({"optimiser": adam}, "optimiser is 'Adam', was 'SGD'; .*optimiser.betas is new"),
    "multipliers": (
        {
            "optimiser": lambda m: nn.SGD(
                m.named_parameters(),
                lr=0.1,
                momentum=0.9,
                weight_decay=1e-3,
                multipliers={"head.bias": nn.Multipliers(2.0, 0.0)},
            )
        },
        r"optimiser.multipliers is \{'head.bias': \[2.0, 0.0\]\}, was \{\}",
    ),
    "schedule": ({"schedule": lambda step: rates(step) / 2}, "the schedule gives other learning rates"),
    "fields of a transform": (
        {"transform": Augmentation(mirror=False, photometric=True)},
        "transform is 'Augmentation', was 'mirrored'; transform.mirror is new",
    ),
    "transform": ({"transform": None}, "transform is None, was 'mirrored'"),
    "fewer samples": ({"samples": pictures(4)}, "number of samples is 4, was 5"),
    "other samples": ({"samples": pictures(5, seed=1)}, r"sample 0 is 'picture 0' \(content \w+\), was 'picture 0' \("),
    "another box": (
        {"samples": [*pictures()[:4], dataclasses.replace(pictures()[4], boxes=pictures()[4].boxes + 1)]},
        "sample 4 is 'picture 4'",
    ),
    "description": ({"description": {"anchors": (8, 16)}}, r"description.anchors is \[8, 16\], was \[8\]"),
    "within a description": (
        {"description": {"anchors": (8,), "head": {"side": 7, "crops": {"crop": "align", "aligned": True}}}},
        "run: description.head.crops.crop is 'align', was 'pool'; description.head.crops.aligned is new; name another",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_configuration_is_refused(tmp_path: Path, change: str) -> None:
    """And nothing is changed: neither the folder nor the model."""
    description = {"anchors": (8,), "head": {"side": 7, "crops": {"crop": "pool"}}}
    run(tmp_path, n_steps=2, description=description)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    options, message = CHANGES[change]
    model = TinyNet(7)
    with pytest.raises(OtherRunError, match=f"holds another .*{message}"):
        run(tmp_path, n_steps=2, model=model, **({"description": description} | options))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert bits(model) == bits(TinyNet(7))


def test_another_model_is_refused(tmp_path: Path) -> None:
    run(tmp_path, n_steps=1)
    frozen = TinyNet()
    frozen.head.freeze()
    with pytest.raises(OtherRunError, match=r"frozen: also head\.bias, head\.weight; name another folder"):
        run(tmp_path, n_steps=1, model=frozen)
    wider = TinyNet()
    wider.head = nn.Linear(48, 4, rng=np.random.default_rng(0))
    wider.extra = nn.Linear(1, 1, bias=False, rng=np.random.default_rng(0))  # type: ignore[attr-defined]
    with pytest.raises(OtherRunError) as caught:
        run(tmp_path, n_steps=1, model=wider)
    for part in (
        "optimiser trains: also extra.weight",
        "model.head.weight is 'float32 (4, 48)', was 'float32 (3, 48)'",
        "model.extra.weight is new",
    ):
        assert part in str(caught.value)


def test_a_folder_that_is_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("precious")
    with pytest.raises(OtherRunError, match=r"has metrics\.jsonl but no last\.safetensors"):
        run(tmp_path)
    assert (tmp_path / "metrics.jsonl").read_text() == "precious"
    save_tensors(tmp_path / "last.safetensors", TinyNet().state_dict())
    with pytest.raises(OtherRunError, match="is not the checkpoint of such a run"):
        run(tmp_path)
    (tmp_path / "last.safetensors").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match=r"last\.safetensors: "):
        run(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="file cannot be the folder of a run: File exists"):
        run(tmp_path / "file")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no flock")
def test_one_run_at_a_time(tmp_path: Path) -> None:
    def evaluate(model: TinyNet) -> dict[str, float]:
        with pytest.raises(TrainingError, match="another run is going on in"):
            run(tmp_path)
        return {}

    _, result = run(tmp_path, n_steps=1, evaluate=evaluate)
    assert len(result.history.evaluations) == 1


def test_remains_are_removed(tmp_path: Path) -> None:
    """Only what a killed save leaves: a dot, sixteen hexadecimal digits, .tmp."""
    for name in (".0123456789abcdef.tmp", ".other.tmp", "0123456789abcdef.tmp"):
        (tmp_path / name).touch()
    run(tmp_path, n_steps=1)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [".other.tmp", "0123456789abcdef.tmp", "last.safetensors", "metrics.jsonl"]


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    """A finite loss, a finite gradient, and a rate that leads beyond the largest float32."""
    model = TinyNet()

    def losses(samples: Sequence[Sample], *, rng: np.random.Generator) -> Mapping[str, Tensor]:
        return {"sum": model.head.weight.sum() * 1e30}

    with np.errstate(all="ignore"), pytest.raises(TrainingError) as caught:
        run(tmp_path, model=model, n_steps=1, schedule=lambda step: 1e20, losses=losses)
    assert "train: step 1: head.weight of the model is not finite; the last checkpoint is" in str(caught.value)
    assert np.isfinite(load_tensors(tmp_path / "last.safetensors")["module.head.weight"]).all()
