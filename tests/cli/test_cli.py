"""The command line: what it prints, where, and with which exit status."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import refdet
from refdet.cli.main import app
from refdet.core.kernel import KERNELS
from refdet.verify import catalogue as catalogue_module
from refdet.verify import generate as generate_module
from refdet.verify import suite as suite_module
from refdet.verify.generate import case_names
from refdet.verify.suite import MANIFEST, Suite, data_root, load_suite
from tests.cli.sentences import said

PROGRAM = [sys.executable, "-c", "from refdet.cli.main import main; main()"]


INTERRUPTED = """
import signal, sys
from refdet.cli.main import main

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a program in the background ignores it
wanted = sys.argv.pop(1)
assert wanted not in sys.modules
sys.meta_path.insert(0, Interrupts())
main()
"""


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


def test_version() -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"refdet {refdet.__version__}\n")


@pytest.mark.parametrize("command", [[], ["list"], ["explain"], ["backends"], ["golden"], ["golden", "generate"]])
def test_help_teaches(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "refdet" in result.stdout
    assert "Examples:" in result.stdout


def test_list() -> None:
    result = run("list")
    assert result.exit_code == 0
    row = next(line for line in result.stdout.splitlines() if " conv2d " in line)
    assert row.split("│")[2].strip() == "yes"  # it has a gradient
    assert str(sum(i.startswith("conv2d/") for i in Suite(data_root()).ids)) in row


def test_a_wide_terminal_shows_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "refdet/ops/conv2d.py" in run("list").stdout
    monkeypatch.setattr("refdet.cli.messages.console._width", 80)
    monkeypatch.setattr("refdet.cli.messages.console._height", 40)
    assert "refdet/ops/conv2d.py" not in run("list").stdout


def test_list_for_the_readme() -> None:
    lines = run("list", "--markdown").stdout.splitlines()
    assert lines[0].startswith("| algorithm | what it does |")
    assert len(lines) == 2 + len(json.loads(run("list", "--json").stdout))


def test_list_for_programs() -> None:
    rows = {row["algorithm"]: row for row in json.loads(run("list", "--json").stdout)}
    assert {name for row in rows.values() for name in row["kernels"]} <= KERNELS.keys()
    assert rows["add"]["portable"] is True
    assert rows["conv2d"] == {
        "algorithm": "conv2d",
        "what": "Slide `weight` over `x` and take the inner product at every position.",
        "kernels": ["conv2d.forward", "conv2d.backward"],
        "portable": False,
        "backends": rows["conv2d"]["backends"],
        "cases": sum(i.startswith("conv2d/") for i in Suite(data_root()).ids),
        "op": "refdet.ops.conv2d",
        "source": "refdet/ops/conv2d.py",
    }


@pytest.mark.parametrize(
    ("name", "full_name"),
    [
        ("selective_search", "refdet.proposals.selective_search"),
        ("evaluate_voc", "refdet.metrics.evaluate_voc"),
        ("refdet.data.photometric", "refdet.data.photometric"),
    ],
)
def test_functions_that_are_no_algorithm_can_be_explained(name: str, full_name: str) -> None:
    result = run("explain", name)
    assert result.exit_code == 0, result.stderr
    function = name.split(".")[-1]
    assert f"how to call {full_name}" in result.stdout
    assert f"{function}(" in result.stdout
    refused = run("explain", name, "--picture", "x.png")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert f"there is no picture of {function}" in refused.stderr


def test_as_a_module() -> None:
    import subprocess
    import sys

    shown = subprocess.run([sys.executable, "-m", "refdet", "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("refdet ")


def test_a_list_is_printed_in_one_form() -> None:
    result = run("list", "--json", "--markdown")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "refdet: list: --json and --markdown cannot both be printed; choose one\n"


@pytest.mark.parametrize("name", ["conv2d", "conv2d.backward", "refdet.ops.conv2d"])
def test_explain(name: str) -> None:
    result = run("explain", name)
    assert result.exit_code == 0
    for part in (
        "y[n, o, i, j] = b[o] + Σ_{c < C/g, a, b}",  # the equation, with brackets that rich would take for markup
        "refdet/ops/conv2d.py, line ",
        "how to call refdet.ops.conv2d",
        "    stride: int | Pair = 1,",
        ">>> conv2d(",
        "\nconv2d.backward (replaced by numba-cpu",
        "): Return dx, dweight and db[o]",
        "conv2d/diagonal-difference (ulp)",
    ):
        assert part in result.stdout
    assert "def conv2d_forward" not in result.stdout


def test_explain_lists_the_deviations_of_an_algorithm_and_explains_one() -> None:
    assert "nms.cmp=ge: suppresses where IoU ≥ threshold\n" in run("explain", "nms").stdout
    assert "known deviations" not in run("explain", "exp").stdout
    text = run("explain", "nms.cmp=ge").stdout
    for part in ("suppresses where IoU ≥ threshold", "cpu_nms.pyx", "Compare with >.", "iou-equal-to-the-threshold"):
        assert part in text
    assert "there is no deviation 'nms.cmp=gee'; nms.cmp has the value ge: refdet explain nms.cmp=ge" in said(
        run("explain", "nms.cmp=gee"), 2
    )
    assert "'nms.cmp' is the name of deviations, without a value; nms.cmp has the value ge" in said(
        run("explain", "nms.cmp"), 2
    )
    assert "did you mean nms.cmp=ge" in said(run("explain", "nmss.cmp=ge"), 2)
    assert "there is no picture of nms.cmp=ge" in said(run("explain", "nms.cmp=ge", "--picture", "x.png"), 2)


def test_explain_with_code() -> None:
    result = run("explain", "relu", "--code")
    assert result.exit_code == 0
    assert "def relu_forward" in result.stdout


@pytest.mark.parametrize("name", sorted(catalogue_module.catalogue()))
def test_everything_can_be_explained(name: str) -> None:
    result = run("explain", name)
    assert result.exit_code == 0, result.output
    assert f"{name}/" in result.stdout


@pytest.mark.parametrize("name", sorted(catalogue_module.public_classes()))
def test_every_public_class_can_be_explained(name: str) -> None:
    full_name, cls = catalogue_module.public_classes()[name]
    explained = run("explain", name)
    assert explained.exit_code == 0, explained.output
    assert explained.stdout.startswith(f"{name}: {cls.__module__.replace('.', '/')}.py, line ")
    header = (sys.modules[cls.__module__].__doc__ or "").split("\n")[0]
    for part in (header, f"how to call {full_name} ", f"\n{name}("):
        assert part in explained.stdout
    for unreadable in ("ForwardRef", "<class ", "<function ", "inspect._empty", " self:"):
        assert unreadable not in explained.stdout
    assert run("explain", full_name).stdout == explained.stdout


@pytest.mark.parametrize("name", ["crf.DenseCRF", "refdet.crf.dense.DenseCRF", "dense.DenseCRF"])
def test_a_class_can_be_asked_for_by_any_end_of_its_full_name(name: str) -> None:
    assert run("explain", name).stdout == run("explain", "DenseCRF").stdout


def test_a_class_is_explained_with_its_methods() -> None:
    shown = run("explain", "DenseCRF").stdout
    for part in (
        "    kernels: Sequence[GaussianPotential],\n    *,\n    shape: Shape | None = None,",
        "A fully connected CRF with Gaussian edge potentials.",
        "DenseCRF.infer ",
        "    schedule: str = 'parallel',",
        ") -> Inference\n",
        "Approximate the marginals",
    ):
        assert part in shown
    assert "_pairwise" not in shown
    assert "class DenseCRF" not in shown


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("VGGPlan", "    padding: int = 100,"),  # the field of a dataclass
        ("Recipe", "    lr: float | Schedule,"),
        ("Grid", "    to_image: CoordinateMap,"),  # that of a named tuple
        ("DefaultBoxMaps", "    image_size: int,"),  # the key of a typed dictionary
        ("VocError", "VocError(\n    *args,\n)"),
        ("ErrorTypes", "counts: "),  # a property
        ("LearnedMatrix", "LearnedMatrix.potts ─"),  # a class method
        ("LocalResponseNorm", "    **options: Any,"),
        ("FCN", "inherited from Module ─"),
        ("Linear", "    dtype: Any = numpy.float32,"),
        ("ReLU", "\nReLU()\n"),
    ],
)
def test_how_a_class_is_called(name: str, part: str) -> None:
    assert part in run("explain", name).stdout


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("dense", ["refdet/crf/dense.py ─", "how to call refdet.crf.GaussianPotential ─", "DenseCRF.infer ─"]),
        ("filters", ["refdet/crf/filters.py ─", "how to call refdet.crf.filters."]),
        ("refdet.crf.filters", ["refdet/crf/filters.py ─"]),
        ("crf.filters", ["refdet/crf/filters.py ─"]),
        ("refdet/crf/dense.py", ["refdet/crf/dense.py ─"]),
        ("./refdet/crf/dense.py", ["refdet/crf/dense.py ─"]),
        ("crf_rnn", ["how to call refdet.crf.CRFasRNN ─"]),
        ("fcn", ["how to call refdet.segmentation.variants ─", "how to call refdet.segmentation.FCN ─"]),
        ("lattice", ["how to call refdet.crf.Lattice ─", "how to call refdet.crf.permutohedral_filter ─"]),
        ("learned_filters", ["how to call refdet.crf.PermutohedralFilter ─"]),
        ("refdet.crf.features", ["how to call refdet.crf.whiten ─"]),
        ("coco", ["refdet/metrics/coco.py ─", "refdet/data/coco.py ─"]),  # two files of one name
        ("tensor_files", ["how to call refdet.nn.checkpoint.save_tensors ─"]),
    ],
)
def test_a_file_is_explained_with_everything_public_in_it(name: str, parts: list[str]) -> None:
    result = run("explain", name)
    assert result.exit_code == 0, result.output
    assert [part for part in parts if part not in result.stdout] == []
    assert "how to call refdet.crf.dense._" not in result.stdout


@pytest.mark.parametrize("module", catalogue_module.public_modules(), ids=lambda module: module.__name__)
def test_every_file_can_be_explained(module: Any) -> None:
    result = run("explain", module.__name__)
    assert result.exit_code == 0, result.output
    assert (module.__doc__ or "").split("\n")[0] in result.stdout


@pytest.mark.parametrize(
    ("name", "package", "parts"),
    [
        ("crf", "refdet.crf", ["DenseCRF: A fully connected CRF with ", "icm: Lower the energy"]),
        ("refdet.crf", "refdet.crf", ["DenseCRF: "]),
        ("refdet/crf/", "refdet.crf", ["DenseCRF: "]),
        ("refdet/crf/__init__.py", "refdet.crf", ["DenseCRF: "]),
        ("segmentation", "refdet.segmentation", [">>> from refdet.segmentation import FCN", "AT_ONCE_SCALES = "]),
        ("nn", "refdet.nn", ["schedules: "]),
        ("checkpoint", "refdet.nn.checkpoint", ["save_tensors: "]),
        ("refdet", "refdet", ["Tensor: ", "packages in refdet;", "refdet.crf: Floor 4: ", "refdet.data: Pictures"]),
        ("refdet/__init__.py", "refdet", ["refdet.nn: Floor 3: "]),
    ],
)
def test_a_package_is_explained_with_what_it_offers(name: str, package: str, parts: list[str]) -> None:
    shown = run("explain", name).stdout
    assert shown.startswith(f"{package}: {package.replace('.', '/')}/__init__.py ─")
    for part in parts:
        assert part in shown
    assert all(f"\n{offered}" in shown for offered in sys.modules[package].__all__)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("nms", "nms: refdet/boxes/nms.py, line "),  # an algorithm before its file
        ("selective_search", "selective_search: refdet/proposals/"),  # a function before its file
        ("Lattice", "Lattice: "),  # a class before the file that is called as it but for its case
        ("lattice", "refdet/crf/lattice.py "),
        ("features", "refdet.features: "),  # a package before a file
        ("refdet.metrics.segmentation", "confusion_matrix: "),  # a file of algorithms
        ("permutohedral", "permutohedral_filter: "),  # the beginning of one function's name
        ("densecrf", "DenseCRF: "),
        ("crf.CRFASRNN", "CRFasRNN: "),
    ],
)
def test_which_of_several_is_explained(name: str, first: str) -> None:
    assert run("explain", name).stdout.startswith(first)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("DenseCRF", ["class DenseCRF:"]),
        ("filters", ["refdet/crf/filters.py ─", "from __future__ import annotations"]),
        ("grid", ["def grid_edges(", "def image_grid("]),
        ("crf", ["from refdet.crf.dense import DenseCRF"]),
        ("evaluate_voc", ["def evaluate_voc("]),
    ],
)
def test_everything_is_explained_with_code(name: str, code: list[str]) -> None:
    shown = run("explain", name, "--code").stdout
    assert [line for line in code if line not in shown] == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("conv", "did you mean conv2d or "),
        ("maxpool", "did you mean MaxPool2d or max_pool2d"),
        ("Softmax", "did you mean softmax or log_softmax"),
        ("DensCRF", "did you mean DenseCRF"),
        ("learnd_filters", "did you mean learned_filters"),
        ("segmentatoin", "did you mean segmentation"),
        ("core.DenseCRF", "did you mean DenseCRF"),  # it is elsewhere
        ("nms.", "did you mean nms or "),
        (".nms", "did you mean nms or "),
        ("refdet.crf.", "did you mean "),
        ("..", ""),
        ("zzz", "`refdet list` shows all of them"),
    ],
)
def test_explain_what_is_not_there(name: str, hint: str) -> None:
    sentence = said(run("explain", name), 2)
    assert sentence.startswith(f"refdet: there is no algorithm called {name!r}; {hint}")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["detect", ""], "detect: IMAGE must not be empty"),
        (["detect", "a.png", "", "b.png"], "detect: IMAGE must not be empty"),
        (["detect", "a.png", "--weights="], "detect: --weights must not be empty; leave it out, or give it a value"),
        (["detect", "a.png", "--out", ""], "detect: --out must not be empty; leave it out, or give it a value"),
        (["crf", "a.png", "--unary", ""], "crf: --unary must not be empty"),
        (["eval", "", "b"], "eval: GT must not be empty; leave it out, or give it a value"),
        (["eval", "a", "b", "--json="], "eval: --json must not be empty; leave it out, or give it a value"),
        (["train", "bright", "--out="], "train: --out must not be empty; leave it out, or give it a value"),
        (["verify", "--outputs="], "verify: --outputs must not be empty; leave it out, or give it a value"),
        (["bench", "all", "--include", ""], "bench: --include must not be empty; leave it out, or give it a value"),
        (["conformance", "--output="], "conformance: --output must not be empty; leave it out, or give it a value"),
        (["demo", "--image="], "demo: --image must not be empty; leave it out, or give it a value"),
        (["explain", ""], "explain: NAME must not be empty"),
        (["golden", "export", "--to", "npz", ""], "golden export: DIR must not be empty"),
        (["golden", "generate", "--output="], "golden generate: --output must not be empty; leave it out, or "),
        (["reproduce", "rcnn", "--out="], "reproduce: --out must not be empty; leave it out, or give it a value"),
    ],
)
def test_what_is_empty_is_called_so(arguments: list[str], sentence: str) -> None:
    assert said(run(*arguments), 2).startswith(f"refdet: {sentence}")


@pytest.mark.parametrize("name", ["red\x1b[31m.png", "two\nlines.png"])
def test_a_name_in_a_message_moves_no_cursor(name: str, tmp_path: Path) -> None:
    sentence = said(run("crf", name, "--unary", name, "--out", str(tmp_path)), 1)
    assert sentence == f"refdet: {name!r}: there is no such file\n".replace("'", "")


def test_backends() -> None:
    result = run("backends")
    assert result.exit_code == 0
    assert "reference" in result.stdout
    assert "numba-cpu" in result.stdout


def test_backends_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend without a kernel, one with arrays of its own, one that does not load."""
    tables: dict[str, Any] = {
        "plain": {"nms": len},
        "owner": {"array.to_host": len},
        "broken": "ImportError: no driver",
    }
    monkeypatch.setattr(catalogue_module, "backends", lambda: tables)
    rows = {row["name"]: row for row in json.loads(run("backends", "--json").stdout)}
    assert rows["reference"]["replaces"] == rows["reference"]["round_trip"] == []
    assert set(rows["reference"]["reference"]) == {
        name for name, kernel in KERNELS.items() if kernel.reference.__module__.startswith("refdet.")
    }
    assert "conv2d.forward" in rows["plain"]["reference"]
    assert "conv2d.forward" in rows["owner"]["round_trip"]
    assert "add.forward" in rows["owner"]["reference"]
    assert rows["broken"]["problem"] == "ImportError: no driver"
    assert "does not load: ImportError: no driver" in run("backends").stdout


@pytest.fixture
def two_algorithms(tmp_path: Path) -> Path:
    """A suite of two algorithms."""
    result = run("golden", "generate", "exp", "relu", "--output", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert "cases of 2 algorithms written to" in result.stdout
    return tmp_path


def test_generate_some(two_algorithms: Path) -> None:
    assert {p.name.split(".")[0] for p in two_algorithms.glob("*.safetensors")} == {"exp", "relu"}
    assert {i.split("/")[0] for i in Suite(two_algorithms).ids} == {"exp", "relu"}


def test_check_passes(two_algorithms: Path) -> None:
    result = run("golden", "generate", "--check", "exp", "relu", "--output", str(two_algorithms))
    assert result.exit_code == 0
    assert "as stored" in result.stdout
    assert result.stderr == ""


def test_check_fails_and_names_the_case(two_algorithms: Path) -> None:
    manifest = json.loads((two_algorithms / MANIFEST).read_text())
    manifest["cases"][0]["why"] = "No reason."
    (two_algorithms / MANIFEST).write_text(json.dumps(manifest))
    result = run("golden", "generate", "--check", "exp", "--output", str(two_algorithms))
    assert result.exit_code == 1
    assert f"{manifest['cases'][0]['id']}: why is 'No reason.'" in result.stderr
    assert "1 differences" not in result.stdout
    assert "1 difference" in result.stdout
    assert json.loads((two_algorithms / MANIFEST).read_text()) == manifest, "a check writes nothing"


def test_check_of_nothing(tmp_path: Path) -> None:
    sentence = said(run("golden", "generate", "--check", "exp", "--output", str(tmp_path)), 1)
    assert "manifest.json cannot be read" in sentence


def test_generate_reports_a_failing_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KERNELS["relu.forward"], "reference", lambda x, *, keep_residual: (x, (x,)))
    result = run("golden", "generate", "relu", "--output", str(tmp_path))
    assert result.exit_code == 1
    assert "relu/nan-stays: the reference fails: y: element [2] is -inf, expected 0.0\n" in result.stderr


def test_generate_of_what_is_not_there(tmp_path: Path) -> None:
    sentence = said(run("golden", "generate", "konv2d", "--output", str(tmp_path)), 2)
    assert "there is no algorithm with golden cases called 'konv2d'; did you mean conv2d" in sentence


def test_generate_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sentence = said(run("golden", "generate", "relu", "--output", str(tmp_path / "file" / "data")), 2)
    assert "cannot write to" in sentence


def test_generate_without_a_source_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate_module, "package_root", lambda: tmp_path / "refdet")
    assert "needs refdet's source tree" in said(run("golden", "generate"), 2)


def test_without_a_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_suite.cache_clear()
    monkeypatch.setattr(suite_module, "package_root", lambda: tmp_path / "refdet")
    assert "the golden suite is not installed" in said(run("list"), 1)


def test_progress_goes_through_every_algorithm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without names, all of them, in order."""
    seen: list[str] = []

    def generate(algorithms: Any, *, stored: Any, progress: Any) -> Any:
        for name in case_names():
            progress(name)
            seen.append(name)
        return generate_module.Generation({}, {"files": {}}, {}, [])

    monkeypatch.setattr(generate_module, "generate", generate)
    assert run("golden", "generate", "--output", str(tmp_path)).exit_code == 0
    assert seen == case_names()


@pytest.mark.parametrize("arguments", [["no-such-command"], ["explain"], ["list", "--no-such-option"]])
def test_wrong_usage(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_no_arguments_is_a_request_for_help() -> None:
    assert "Usage" in run().output


def test_debug_shows_the_traceback() -> None:
    result = run("--debug", "explain", "zzz")
    assert result.exit_code == 1
    assert type(result.exception).__name__ == "UsageProblem"


class TestAsAProgram:
    """In a process of its own, from a folder that is not the source tree."""

    def test_a_mistake(self, tmp_path: Path) -> None:
        ran = subprocess.run([*PROGRAM, "explain", "conv"], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert ran.stderr.startswith("refdet: there is no algorithm called 'conv'")

    @pytest.mark.parametrize("arguments", [["--help"], ["--version"], [], ["list"], ["golden", "--help"]])
    def test_standard_output_that_takes_nothing(self, arguments: list[str]) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        with Path("/dev/full").open("w") as full:
            ran = subprocess.run(
                [*PROGRAM, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False
            )
        assert (ran.returncode, ran.stderr) == (1, "refdet: cannot write the output: No space left on device\n")

    @pytest.mark.parametrize("module", ["typer", "rich.console", "refdet.cli.commands", "refdet.cli.train_order"])
    def test_ctrl_c_while_the_program_is_imported(self, module: str) -> None:
        """Wherever it comes: before the commands, what they are built with, or what one of them needs is there."""
        ran = subprocess.run(
            [sys.executable, "-c", INTERRUPTED, module, "train", "bright"], capture_output=True, text=True, check=False
        )
        assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")

    def test_debug(self, tmp_path: Path) -> None:
        ran = subprocess.run(
            [*PROGRAM, "--debug", "explain", "conv"], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert ran.returncode == 1
        assert "Traceback" in ran.stderr

    def test_generation_elsewhere(self, tmp_path: Path) -> None:
        """The source tree is found though it is neither the working folder nor on the path that Python searches."""
        output = tmp_path / "data"
        ran = subprocess.run(
            [*PROGRAM, "golden", "generate", "relu", "--output", str(output)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        shutil.copy(data_root() / "relu.answers.safetensors", tmp_path)
        assert (output / "relu.answers.safetensors").read_bytes() == (
            tmp_path / "relu.answers.safetensors"
        ).read_bytes()


def test_a_backend_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFDET_BACKEND", "fast")
    assert "REFDET_BACKEND: no backend named 'fast'; installed: reference" in said(run("list"), 2)
