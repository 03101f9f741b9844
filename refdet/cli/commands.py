"""`refdet`: the command line. Each command is a function in a file of its own.

Exit status: 0 on success, 1 where a check failed or a file is not what it should be, 2 on wrong usage, 130 if
interrupted. A mistake of the user's gives one sentence on standard error; `refdet --debug ...` shows the traceback
behind it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from refdet.cli.announcements import show_announcements
from refdet.cli.backends import backends
from refdet.cli.bench import bench
from refdet.cli.catalogue import list_algorithms
from refdet.cli.command import Command
from refdet.cli.conformance import conformance
from refdet.cli.crf import refine_labels
from refdet.cli.demo import demo
from refdet.cli.detect import detect_objects
from refdet.cli.eval import evaluate_detections
from refdet.cli.explain import explain
from refdet.cli.golden import golden
from refdet.cli.messages import UsageProblem, complain
from refdet.cli.reproduce import reproduce
from refdet.cli.train import train_detector
from refdet.cli.verify import verify_implementation


class Commands(TyperGroup):
    """Turns a problem into a sentence and an exit status."""

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Read the options before the command; --help and --version are answered here."""
        with _problems_told(debug="--debug" in args):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        with _problems_told(debug=bool(ctx.params.get("debug"))):
            return super().invoke(ctx)


@contextlib.contextmanager
def _problems_told(*, debug: bool) -> Iterator[None]:
    """Tell a problem in a sentence, and end the program."""
    try:
        yield
    except (typer.Exit, BrokenPipeError):  # the latter: the reader of standard output has seen enough
        raise
    except Exception as problem:
        if debug or not isinstance(problem, _problems()):
            raise
        if isinstance(problem, OSError) and problem.filename is None:
            _abandon_standard_output()
        complain(_sentence(problem))
        raise typer.Exit(2 if isinstance(problem, UsageProblem) else 1) from None


def _problems() -> tuple[type[Exception], ...]:
    """Return what is told in a sentence; imported where there is something to tell."""
    from refdet.data import CocoError, ImageError, VocError
    from refdet.nn.checkpoint import CheckpointError
    from refdet.training.errors import TrainingError
    from refdet.verify.suite import SuiteError
    from refdet.verify.tolerances import GenerationError

    of_files = (CheckpointError, CocoError, ImageError, VocError, OSError, UnicodeError)
    return (UsageProblem, SuiteError, GenerationError, TrainingError, *of_files)


def _abandon_standard_output() -> None:
    """Let what is still to be written go nowhere: Python would try again as it ends, fail, and exit with 120."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _sentence(problem: Exception) -> str:
    """Say what is wrong; what the system says of a file or of standard output is no sentence yet."""
    if isinstance(problem, UnicodeEncodeError):
        letters = ascii(problem.object[problem.start : problem.end])
        advice = "" if "utf" in problem.encoding else "; PYTHONIOENCODING=utf-8 may help"
        return f"cannot write {letters} in {problem.encoding}{advice}"
    if isinstance(problem, OSError) and problem.strerror:
        what = "cannot write the output" if problem.filename is None else problem.filename
        return f"{what}: {problem.strerror}"
    return str(problem)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("list", cls=Command)(list_algorithms)
app.command(cls=Command)(explain)
app.command("verify", cls=Command)(verify_implementation)
app.command(cls=Command)(conformance)
app.command(cls=Command)(backends)
app.add_typer(golden, name="golden")
app.command(cls=Command)(bench)
app.command(cls=Command)(demo)
app.command("detect", cls=Command)(detect_objects)
app.command("train", cls=Command)(train_detector)
app.command("eval", cls=Command)(evaluate_detections)
app.command("crf", cls=Command)(refine_labels)
app.command(cls=Command)(reproduce)


def _print_version(wanted: bool) -> None:
    if wanted:
        import refdet

        typer.echo(f"refdet {refdet.__version__}")
        raise typer.Exit


@app.callback()
def _refdet(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback behind a message.")] = False,
) -> None:
    """The executable specification of convnet object detection, localisation and segmentation.

    REFDET_BACKEND=NAME in the environment runs kernels on an installed backend; `refdet backends` shows them.

    Examples:

        refdet list                        which algorithms there are

        refdet explain conv2d              one of them: equation, conventions

        refdet explain conv2d --code       and how it is computed

        refdet verify --command ./mine     whether your implementation agrees

        refdet golden generate --check     whether the golden suite is in order

        refdet detect photo.jpg            what is in a picture, drawn over it

        refdet train small_faster_rcnn     teach a detector to find things

        refdet eval truth.json found.json  how good detections are, by COCO, VOC

        refdet crf cat.png --unary it.png  labels that follow a picture's edges

        refdet bench --list                what can be timed, against whom
    """
    from refdet.core.kernel import active_backend

    show_announcements()
    try:
        active_backend()
    except LookupError as error:
        raise UsageProblem(f"REFDET_BACKEND: {error}") from None
