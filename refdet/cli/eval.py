"""`refdet eval`: how good are these detections?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from refdet.cli.messages import UsageProblem, console, errors, on_a_line
from refdet.cli.output_files import OF_DATA, OF_VOC, Input, check_files, check_not_read
from refdet.cli.output_folder import check_folder
from refdet.cli.progress_bar import Begin, progress_bar
from refdet.cli.train import MOST_PICTURES

if TYPE_CHECKING:
    from refdet.cli.eval_files import EvalFiles
    from refdet.cli.eval_report import Report

KINDS = ("bbox", "segm", "keypoints")
VOC_DEFAULT = "voc2010"
CONFUSION_FROM = 0.5  # the score, unless another is given


def evaluate_detections(
    ground_truth: Annotated[
        Path | None, typer.Argument(metavar="GT", help="COCO's JSON of ground truth, or a folder of VOC's XML.")
    ] = None,
    detections: Annotated[
        Path | None,
        typer.Argument(metavar="DETECTIONS", help="COCO's JSON of results, or a folder of VOC's text files."),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="bbox, segm or keypoints, for COCO; what the first result has by default.", metavar="KIND"),
    ] = None,
    convention: Annotated[
        str | None,
        typer.Option(
            help="For VOC: voc2007, voc2010, voc2012, deck, py-faster or py-faster-2007; voc2010 by default.",
            metavar="NAME",
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="For VOC: a list in ImageSets/Main, such as val.", metavar="NAME")
    ] = None,
    max_detections: Annotated[
        str | None,
        typer.Option(help="For COCO: detections of each image and class, such as 1,10,100.", metavar="N,N..."),
    ] = None,
    sigmas: Annotated[
        str | None, typer.Option(help="For keypoints that are not COCO's 17: one per keypoint.", metavar="S,S...")
    ] = None,
    per_class: Annotated[
        bool, typer.Option("--per-class", help="For COCO: a table of the classes, too; others have it anyway.")
    ] = False,
    error_table: Annotated[
        bool, typer.Option("--errors", help="A table of the types of errors, and of what each costs, too.")
    ] = False,
    min_score: Annotated[
        float | None,
        typer.Option(
            help="Scores from which detections count in the confusion (--plot, or --json with --errors or --plot); "
            "0.5 by default.",
            metavar="S",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Folder for pictures: curves, confusion, errors; made if need be.", metavar="DIR"),
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write all figures as JSON; - is standard output.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Instead of GT and DETECTIONS: let this detector look.", metavar="NAME")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Likewise: the detector in this file.", metavar="FILE")] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="What it looks at: shapes, figures, voc:FOLDER, coco:FOLDER or coco:FILE.",
            metavar="DATA",
        ),
    ] = None,
    leave_out_unusable: Annotated[
        bool, typer.Option("--leave-out-unusable", help="Of COCO's objects in DATA, leave out those without area.")
    ] = False,
    test_size: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_PICTURES, help="The most pictures of DATA; 500 synthetic ones.", metavar="N"),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(help="What computes: reference, numba-cpu, ...; see `refdet backends`.", metavar="NAME"),
    ] = None,
) -> None:
    r"""Compare detections with the ground truth: COCO's figures, or VOC's.

    The table has the lines and the numbers of pycocotools. With --plot:
    precision over recall, what each class is taken for, and which types of
    errors (those of TIDE) cost how much average precision.

    COCO: GT is {"images": \[{"id", "width", "height"}], "categories":
    \[{"id", "name"}], "annotations": \[{"id", "image_id", "category_id",
    "bbox": \[x, y, w, h], "area", "iscrowd"}]}; DETECTIONS is
    \[{"image_id", "category_id", "bbox", "score"}]. Masks stand in
    "segmentation", keypoints in "keypoints".

    VOC: GT has an XML for each picture; DETECTIONS has a file for each class,
    comp4_det_test_CLASS.txt, of lines "picture score xmin ymin xmax ymax".

    Examples:

        refdet eval instances_val2017.json results.json

        refdet eval truth.json results.json --per-class --plot pictures

        refdet eval truth.json poses.json --kind keypoints --json -

        refdet eval VOC2007 results --split test --convention voc2007

        refdet eval --weights runs/small_faster_rcnn/model.safetensors --data shapes

        refdet eval --model small_mask_rcnn --data shapes --json scores.json

    With --model or --weights a detector looks at pictures of DATA itself, and
    the table has VOC's mAP at IoU 0.5, difficult objects left out, and COCO's AP
    of boxes, masks and joints, all by class. --model alone takes the weights
    that come with refdet. Without --data it looks at shapes, or at figures if it
    looks for joints. The fields of that JSON:
    python -m pydoc refdet.cli.eval_model_output

    Which pictures: of shapes and figures those made for tests, of VOC's folder
    those of its list val or test, of COCO's folder those of its file _val*.json;
    `refdet train` trains on none of them. A folder without lists, or a single
    file, is taken whole, with the four of five pictures that `refdet train`
    trains on if it gets the same DATA: give it others to see how good it is.

    Figures of what is not there are -1 in COCO's table, "none" in VOC's, and
    null in the JSON. Warnings go to standard error. The fields of the JSON:
    python -m pydoc refdet.cli.eval_report

    Exit status: 0; 1 if a file is not what its format says; 2 on wrong usage;
    130 if interrupted, and then nothing is judged.
    """
    if model is not None or weights is not None or data is not None:
        _refuse_files(ground_truth, detections)
        without = {"--kind": kind, "--convention": convention, "--split": split, "--max-detections": max_detections}
        others = {"--errors": error_table or None, "--min-score": min_score, "--plot": plot}
        _refuse_options("a detector that looks itself", {**without, **others})
        if data is None or not data.startswith("coco:"):
            _refuse_options("DATA that is not COCO's", {"--leave-out-unusable": leave_out_unusable or None})
        place = (data or "").partition(":")[2] or None
        check_files("eval", {"--json": json_file}, [Input("--weights", weights), Input("--data", place, OF_DATA)])
        from refdet.cli.eval_model import evaluate_model

        given_sigmas = _positive_numbers("--sigmas", sigmas)
        evaluate_model(
            model, weights, data, test_size, backend, given_sigmas, json_file, leave_out_unusable=leave_out_unusable
        )
        return
    _refuse_options("files", {"--test-size": test_size, "--backend": backend})
    _refuse_options("files", {"--leave-out-unusable": leave_out_unusable or None})
    if ground_truth is None or detections is None:
        _refuse("give GT and DETECTIONS, or a detector with --model or --weights; refdet eval --help has examples")
    is_voc = _check_paths(ground_truth, detections)
    if is_voc:
        _refuse_options("VOC folders", {"--max-detections": max_detections, "--sigmas": sigmas})
        if kind not in (None, "bbox"):
            _refuse(f"--kind must be bbox for VOC folders, got {kind!r}")
    else:
        _refuse_options("COCO files", {"--convention": convention, "--split": split})
        if kind not in (None, *KINDS):
            _refuse(f"--kind must be bbox, segm or keypoints, got {kind!r}")
        if kind is None and not detections.is_file():  # whose beginning tells the kind, and would be gone
            what = "a pipe" if detections.is_fifo() else "no regular file"
            _refuse(f"DETECTIONS: {detections} is {what}, which can be read only once: say --kind bbox, for instance")
    _check_convention(convention)
    limits = _whole_numbers("--max-detections", max_detections)
    given_sigmas = _positive_numbers("--sigmas", sigmas)
    if min_score is not None and not math.isfinite(min_score):
        _refuse(f"--min-score must be a finite number, got {min_score}")
    if min_score is not None and plot is None and not (error_table and json_file is not None):
        _refuse("--min-score has no meaning without a confusion: give --plot, or --json with --errors")
    read = [Input("GT", ground_truth, OF_VOC), Input("DETECTIONS", detections, OF_VOC)]
    check_files("eval", {"--json": json_file}, read)
    if plot is not None:
        check_folder("eval: --plot", plot)  # which is not made before it is needed

    from refdet.cli import eval_output

    if plot is not None:
        check_not_read("eval: --plot", [plot / name for name in eval_output.PICTURES], read, "give another folder")

    with progress_bar() as begin:
        files = _read(ground_truth, detections, is_voc, kind, split, begin)
        sigma_option = _check_sigmas(files, given_sigmas)
        report = _evaluate(files, convention, limits, sigma_option, begin)
        if error_table or plot is not None:
            from refdet.cli.eval_report import with_errors

            least = CONFUSION_FROM if min_score is None else min_score
            report = with_errors(report, least, sigma_option, begin("looking for errors"))
        if plot is not None:
            begin("drawing")
            about_pictures = eval_output.draw(report, plot)
    output = errors if json_file == "-" else console
    eval_output.show(report, output, is_guess=kind is None and not is_voc, per_class=per_class)
    if error_table:
        eval_output.show_errors(report, output)
    if json_file is not None:
        eval_output.write_json(report, json_file)
    if plot is not None:
        eval_output.warn(about_pictures)
        names = ", ".join(str(plot / name) for name in eval_output.PICTURES)
        typer.echo(f"pictures: {on_a_line(names)}", err=True)


def _refuse(sentence: str) -> NoReturn:
    """Say what is wrong with the command line."""
    raise UsageProblem(f"eval: {sentence}")


def _check_paths(ground_truth: Path, detections: Path) -> bool:
    """Return whether they are VOC's."""
    for name, path in (("GT", ground_truth), ("DETECTIONS", detections)):
        if not path.exists():
            _refuse(f"{name}: there is no file or folder {path}")
    if ground_truth.is_dir() != detections.is_dir():
        words = ("a folder, as VOC has it", "a file, as COCO has it")
        gt, found = words if ground_truth.is_dir() else reversed(words)
        _refuse(f"GT is {gt}, but DETECTIONS is {found}; give both in the same format")
    return ground_truth.is_dir()


def _refuse_files(ground_truth: Path | None, detections: Path | None) -> None:
    for path in (ground_truth, detections):
        if path is not None:
            _refuse(f"either files or a detector: got {path} beside --model, --weights or --data")


def _refuse_options(what: str, options: Mapping[str, object]) -> None:
    for option, value in options.items():
        if value is not None:
            _refuse(f"{option} has no meaning for {what}")


def _check_convention(convention: str | None) -> None:
    from refdet.metrics.voc import CONVENTIONS

    if convention is not None and convention not in CONVENTIONS:
        _refuse(f"--convention must be one of {', '.join(CONVENTIONS)}, got {convention!r}")


def _whole_numbers(option: str, text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 10 and int(part) > 0 for part in parts):
        _refuse(f"{option} must be whole numbers above 0 with commas between them, such as 1,10,100, got {text!r}")
    return tuple(int(part) for part in parts)


def _positive_numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = (math.nan,)
    if not all(0 < number < math.inf for number in numbers):
        _refuse(f"{option} must be numbers above 0 with commas between them, such as 0.026,0.035, got {text!r}")
    return numbers


def _check_sigmas(files: EvalFiles, sigmas: tuple[float, ...] | None) -> dict[str, Sequence[float]]:
    """Return the option to pass on; there must be a sigma for each keypoint."""
    from refdet.training.joint_sigmas import sigmas_of

    if files.kind != "keypoints":
        if sigmas is not None:
            _refuse(f"--sigmas is for keypoints, but the kind is {files.kind}")
        return {}
    n, given = len(files.keypoint_names), sigmas_of(files.keypoint_names) if sigmas is None else sigmas
    if given is None or len(given) != n:
        found = f"--sigmas gives {len(given)}" if given else "their names are not COCO's; give yours with --sigmas"
        _refuse(f"each of the {n} keypoints of {files.ground_truth} needs a sigma, and {found}")
    return {"sigmas": given}


def _read(
    ground_truth: Path,
    detections: Path,
    is_voc: bool,
    kind: str | None,
    split: str | None,
    begin: Begin,
) -> EvalFiles:
    from refdet.cli.eval_files import guess_kind, read_coco_files, read_voc_files

    if is_voc:
        return read_voc_files(ground_truth, detections, split, begin)
    return read_coco_files(ground_truth, detections, kind or guess_kind(detections), begin)


def _evaluate(
    files: EvalFiles,
    convention: str | None,
    limits: tuple[int, ...] | None,
    sigmas: dict[str, Sequence[float]],
    begin: Begin,
) -> Report:
    from refdet.cli.eval_report import coco_report, voc_report

    progress = begin("comparing")
    if files.voc is not None:
        return voc_report(files, convention or VOC_DEFAULT)
    return coco_report(files, limits, sigmas, progress)
