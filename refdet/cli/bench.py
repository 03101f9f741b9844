"""`refdet bench`: compare the speed of two sides on the same workloads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from refdet.cli.messages import UsageProblem

if TYPE_CHECKING:
    from refdet.bench.workloads import Group

ALL = "all"
DEVICES = ("cpu", "cuda")


def bench(
    groups: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[GROUP]...",
            help="Groups of workloads, of which --list tells; all of them by default. Or the word all: every hot path "
            "against its own opponent.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="The side to compare with: torch, torchvision, onnxruntime, pydensecrf, pycocotools, "
            "faster-coco-eval, reference, a backend such as numba-cpu, or package.module:function.",
            metavar="SIDE",
        ),
    ] = None,
    side: Annotated[
        str | None,
        typer.Option(
            help="The side under test, named likewise: reference by default, numba-cuda with --device cuda.",
            metavar="SIDE",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="Where torch and torchvision compute: cpu, or cuda, which needs a GPU.")
    ] = "cpu",
    python: Annotated[
        list[str] | None,
        typer.Option(
            help="Run a library in another interpreter: torchvision=/usr/bin/python3; may be repeated.",
            metavar="NAME=EXE",
        ),
    ] = None,
    threads: Annotated[int, typer.Option(help="Threads that each side may use.")] = 2,
    repeats: Annotated[
        int, typer.Option(help="Turns that each side takes, fewer where one takes long; times are medians over them.")
    ] = 7,
    time_limit: Annotated[
        float, typer.Option(help="Seconds that a side may take for one answer; compiling is not counted.")
    ] = 300.0,
    json_file: Annotated[
        str | None,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Write the report as JSON, after every comparison anew; - is standard output.",
        ),
    ] = None,
    markdown: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the report as Markdown; - is standard output.")
    ] = None,
    plot: Annotated[
        str | None, typer.Option(metavar="FILE.png", help="Draw rates under the roofline of the machine.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the comparisons that the file of --json has, and make the others.")
    ] = False,
    include: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE.json",
            help="Another run's --json to show in the Markdown of all, such as that of a machine with a GPU.",
        ),
    ] = None,
    require_targets: Annotated[
        bool, typer.Option("--require-targets", help="Exit with 1 if a target is missed or could not be measured.")
    ] = False,
    list_groups: Annotated[bool, typer.Option("--list", help="List groups, workloads and targets, and stop.")] = False,
) -> None:
    """Compare the speed of two sides, once they agree on the answers.

    Each side runs in a process of its own. Both get the same inputs and
    answer once; only if the answers agree are they warmed up and timed, in
    turns, A B A B, so that what slows the machine slows both. Times are
    medians over the turns, ± is their spread, and a ratio below 1 means that
    --side is faster than --against. The machine's own peaks are measured too,
    and rates are shown as shares of them.

    What there is to time, and the targets:

        refdet bench --list

    NumPy beside PyTorch; then the compiled kernels, with a picture:

        refdet bench conv-vgg16 --against torch

        refdet bench conv-vgg16 --side numba-cpu --against torch --plot a.png

    A library that only another interpreter has:

        refdet bench nms iou --against torchvision \\
            --python torchvision=/usr/bin/python3

    Every hot path against its own opponent, which takes half an hour or more
    on a machine that does nothing else; then on from where it was
    interrupted; then, as all is there, only the page:

        refdet bench all --json all.json

        refdet bench all --json all.json --resume

        refdet bench all --json all.json --resume --markdown all.md

    Exit status: 0; 1 if the sides disagree, one crashes or hangs, or (with
    --require-targets) a target is missed; 2 on wrong usage.
    """
    from refdet.bench.groups import GROUPS
    from refdet.bench.hot_paths import hot_paths
    from refdet.bench.runner import Settings
    from refdet.cli.bench_run import Outputs, Plan, plan_all, plan_of, run

    is_all = groups == [ALL]
    if groups and ALL in groups and not is_all:
        _refuse("all stands for every hot path; name no other group beside it")
    if list_groups:
        _print_groups([_group(name) for name in (groups if groups and not is_all else GROUPS)])
        return
    if device not in DEVICES:
        _refuse(f"--device must be cpu or cuda, got {device!r}")
    chosen = [] if is_all else [(name, _group(name)) for name in groups or GROUPS]
    for option, value in (("--threads", threads), ("--repeats", repeats), ("--time-limit", time_limit)):
        if not value > 0:
            _refuse(f"{option} must be greater than 0, got {value:g}")
    outputs = Outputs(json_file, markdown, plot)
    if resume and json_file in (None, "-"):
        _refuse("--resume needs --json FILE, the file that has the comparisons")
    _check_outputs(outputs, include or [], resume=resume)
    if include and not (is_all and markdown):
        _refuse("--include is for the page that `refdet bench all --markdown FILE` writes")
    elsewhere = _interpreters(python or [])
    settings = Settings(threads=threads, repeats=repeats, time_limit=time_limit, device=device, interpreters=elsewhere)
    if is_all:
        for option, name in (("--side", side), ("--against", against)):
            if name is not None:
                _refuse(f"{option}: every hot path has its own sides; leave it out, or name groups instead of all")
        _check_device(device)
        _check_interpreters(elsewhere, [name for path in hot_paths(device) for name in (path.side, path.against)])
        plan: Plan = plan_all(settings)
    else:
        ours = side or ("reference" if device == "cpu" else "numba-cuda")
        theirs = _check_pair(ours, against, elsewhere)
        _check_device(device)
        plan = plan_of(chosen, ours, theirs)
    report = run(plan, settings, outputs, resume=resume, include=include or [], is_all=is_all)
    if not report.agrees or (require_targets and not report.targets_met):
        raise typer.Exit(1)


def _refuse(sentence: str) -> NoReturn:
    """Say what is wrong with the command line."""
    raise UsageProblem(f"bench: {sentence}")


def _group(name: str) -> Group:
    from refdet.bench.groups import find_group

    try:
        return find_group(name)
    except LookupError as error:
        _refuse(str(error.args[0]))


def _interpreters(options: list[str]) -> dict[str, str]:
    if not options:
        return {}
    from refdet.cli.conformance_sources import interpreters

    try:
        return interpreters(options)
    except LookupError as error:
        _refuse(str(error.args[0]))


def _check_pair(side: str, against: str | None, elsewhere: dict[str, str]) -> str:
    """Refuse sides that cannot take part; return the opponent."""
    from refdet.bench.sides import check_side

    if against is None:
        _refuse("name the side to compare with, for example --against torch")
    if side == against:
        _refuse(f"--side and --against are both {side!r}; name two different sides")
    _check_interpreters(elsewhere, [side, against])
    for option, name in (("--side", side), ("--against", against)):
        try:
            check_side(name, executable=elsewhere.get(name))
        except LookupError as error:
            _refuse(f"{option}: {error.args[0]}")
    return against


def _check_interpreters(elsewhere: dict[str, str], taking_part: list[str]) -> None:
    for name in elsewhere:
        if name not in taking_part:
            _refuse(f"--python: {name} does not take part; the sides are {', '.join(dict.fromkeys(taking_part))}")


def _check_device(device: str) -> None:
    from refdet.bench.machine import gpu_names

    if device == "cuda" and not gpu_names():
        _refuse("--device cuda: NVIDIA's driver finds no GPU on this machine")


def _check_outputs(outputs: tuple[str | None, ...], include: list[str], *, resume: bool) -> None:
    """Refuse files that cannot be written, or are read, before hours are spent on what was to be in them.

    A report that grows by --resume loses nothing, and may be included as it was.
    """
    from refdet.cli.output_files import Input, check_files, identity

    json_file, markdown, plot = outputs
    if json_file == markdown == "-":
        _refuse("--json and --markdown cannot both go to standard output")
    if plot is not None and not plot.endswith(".png"):
        _refuse(f"--plot: the picture is a PNG, so its name must end in .png, got {plot!r}")
    written = {"--json": json_file, "--markdown": markdown, "--plot": plot}
    grows = identity(json_file) if resume and json_file is not None else None
    read = [Input("--include", file) for file in include if grows is None or identity(file) != grows]
    check_files("bench", written, read)


def _print_groups(groups: list[Group]) -> None:
    from refdet.bench.wording import describe_target

    for group in groups:
        typer.echo(f"{group.name}: {group.title}")
        for workload in group.workloads:
            times = f" × {workload.count}" if workload.count > 1 else ""
            typer.echo(f"  {workload.name}{times}: {workload.kernel}, {workload.what}")
        for target in group.targets:
            typer.echo(f"  target: {describe_target(target)}")
