"""`refdet train`: teach a detector, so that it can be stopped and gone on with at any time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from refdet.cli.messages import UsageProblem, complain
from refdet.cli.output_folder import check_folder

# far above what a machine can do: a slip of the hand
MOST_PICTURES, MOST_IN_A_BATCH, MOST_STEPS = 10_000_000, 10_000, 10_000_000


def train_detector(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="What to train, such as small_faster_rcnn.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="shapes, figures, voc:FOLDER, coco:FOLDER or coco:FILE; shapes by default, figures for joints.",
            metavar="DATA",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/MODEL by default.", metavar="DIR")] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_STEPS,
            help="Steps in all; with --resume others only where the rate does not fall with them.",
            metavar="N",
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, max=MOST_IN_A_BATCH, help="Pictures a step.", metavar="N")
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate, once warmed up.", metavar="RATE")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the weights, the order and all that is drawn; 0.", metavar="N")
    ] = None,
    train_size: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_PICTURES, help="Most pictures to train on; 2000 synthetic ones.", metavar="N"),
    ] = None,
    test_size: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_PICTURES, help="Most pictures to test on; 500 synthetic ones.", metavar="N"),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Begin with these weights, as far as they fit.", metavar="FILE")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in DIR.")] = False,
    evaluate_every: Annotated[
        int | None, typer.Option(min=1, help="Test after each so many steps; at the end anyway.", metavar="N")
    ] = None,
    leave_out_unusable: Annotated[
        bool, typer.Option("--leave-out-unusable", help="Of COCO's objects, leave out those whose box has no area.")
    ] = False,
    backend: Annotated[
        str | None,
        typer.Option(help="What computes: reference, numba-cpu, ...; see `refdet backends`.", metavar="NAME"),
    ] = None,
) -> None:
    """Train a detector, keep it as DIR/model.safetensors, and test it.

    MODEL is, for pictures of about 128 x 128, one of sliding_window,
    small_fast_rcnn, small_faster_rcnn, small_mask_rcnn, small_keypoint_rcnn;
    for photographs, of the authors' fastrcnn_vgg16 and fasterrcnn_vgg16,
    Detectron2's fasterrcnn_resnet50_c4 and maskrcnn_resnet50_c4, or
    torchvision's fasterrcnn_resnet50_fpn, maskrcnn_resnet50_fpn and
    keypointrcnn_resnet50_fpn. Each has a recipe, whose steps, batch size and
    rate are taken unless they are given: refdet/training/recipes.py.
    small_fast_rcnn, small_faster_rcnn and small_mask_rcnn first learn to name
    the objects, cut out of the pictures, in DIR/classifier;
    small_keypoint_rcnn first learns the joints of true boxes, in DIR/joints.
    That has a batch size and rate of its own, and is longer or shorter as
    --steps is. Not so where --weights are given.

    DATA is shapes or figures, which are made as they are needed; or VOC's
    folder, with the lists train and val, trainval and test, or train and test,
    in ImageSets/Main; or COCO's, with annotations/instances_train*.json and
    _val*.json; or one such file. A folder without lists, or a single file,
    holds out every fifth picture.

    DIR gets curves.png and metrics.jsonl while it trains, model.safetensors
    before every test, last.safetensors, from which the run goes on, and run.json
    with what it was asked for. Ctrl-C saves first. The run that goes on gives the
    same weights, bit for bit. Its pictures may lie elsewhere by then: --data says
    where.

    Examples:

        refdet train small_faster_rcnn --data shapes --backend numba-cpu

        refdet train small_keypoint_rcnn --data figures --evaluate-every 100

        refdet train --resume --out runs/small_faster_rcnn

        refdet train small_faster_rcnn --data voc:VOC2007 --out runs/voc

        refdet train fasterrcnn_vgg16 --data voc:VOC2007 --weights vgg16.pth

    Exit status: 0; 1 if a file is not what it should be or training fails; 2 on
    wrong usage; 130 if interrupted.
    """
    given: dict[str, Any] = {
        "model": model,
        "data": data,
        "steps": steps,
        "batch_size": batch_size,
        "lr": lr,
        "seed": seed,
        "train_size": train_size,
        "test_size": test_size,
        "weights": None if weights is None else str(weights),
        "evaluate_every": evaluate_every,
        "leave_out_unusable": leave_out_unusable or None,
    }
    if lr is not None and not 0 < lr < math.inf:
        _refuse(f"--lr must be a number above 0, got {lr}")

    from refdet.cli import train_order, train_run
    from refdet.cli.model_choice import on_backend
    from refdet.training import Interrupted

    folder = _folder(model, out)
    order = train_order.resumed(folder, given) if resume else train_order.begun(folder, given)
    with on_backend("train", backend):
        try:
            train_run.run(order, folder)
        except Interrupted as interruption:
            complain(interruption)
            complain(f"go on with: {_again(folder, backend)}")
            raise typer.Exit(130) from None
        except KeyboardInterrupt:  # before the first step, or for the second time
            if (folder / train_order.ORDER).exists():
                complain(f"train: stopped at once; go on with: {_again(folder, backend)}")
            raise typer.Exit(130) from None


def _refuse(sentence: str) -> NoReturn:
    """Say what is wrong with the command line."""
    raise UsageProblem(f"train: {sentence}")


def _folder(model: str | None, out: Path | None) -> Path:
    """Return the folder of the run, which is made when it is needed."""
    if out is None:
        if model is None:
            _refuse("name a model, such as small_faster_rcnn, or with --resume the folder of its run by --out")
        out = Path("runs") / model
    check_folder("train: --out", out)
    return out


def _again(folder: Path, backend: str | None) -> str:
    """Return the command that goes on."""
    import shlex

    on = "" if backend is None else f" --backend {backend}"
    return f"refdet train --resume --out {shlex.quote(str(folder))}{on}"
