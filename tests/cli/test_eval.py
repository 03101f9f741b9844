"""`refdet eval`: the published numbers, tables, JSON, pictures, and what a user may get wrong."""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from refdet.cli import commands, eval_report, main
from refdet.cli.eval_files import guess_kind
from refdet.cli.eval_output import PICTURES
from refdet.cli.main import app
from refdet.cli.messages import console
from refdet.data import VocAnnotation, VocResults, write_voc_annotation, write_voc_results
from refdet.data.limbs import COCO_JOINT_NAMES
from refdet.metrics.error_types import ERRORS
from tests.real_data import real

TRUTH: dict[str, Any] = {
    "images": [{"id": 1, "width": 100, "height": 100}],
    "categories": [{"id": 1, "name": "cat"}],
    "annotations": [
        {"id": i + 1, "image_id": 1, "category_id": 1, "bbox": [30 * i, 0, 10, 10], "area": 100, "iscrowd": 0}
        for i in range(3)
    ],
}
RESULTS: list[dict[str, Any]] = [
    {"image_id": 1, "category_id": 1, "score": score, "bbox": [x, 0, 10, 10]}
    for score, x in ((0.9, 0), (0.8, 30), (0.7, 0), (0.6, 80), (0.5, 60))
]  # of deck 001: T T F F T
AP = ["AP", "AP50", "AP75", "AP-small", "AP-medium", "AP-large"]
STATS = [*AP, "AR1", "AR10", "AR100", "AR-small", "AR-medium", "AR-large"]
OF_KEYPOINTS = ["AP", "AP50", "AP75", "AP-medium", "AP-large", "AR", "AR50", "AR75", "AR-medium", "AR-large"]
NUMBER_OR_NULL = {"type": ["number", "null"]}
NUMBERS = {"type": "object", "additionalProperties": NUMBER_OR_NULL}
COUNT = {"type": "integer", "minimum": 0}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "versions": {"type": "object", "required": ["refdet", "numpy", "python"]},
        "ground_truth": {"type": "string"},
        "detections": {"type": "string"},
        "kind": {"enum": ["bbox", "segm", "keypoints"]},
        "convention": {"type": "string"},
        "max_detections": {"type": ["array", "null"], "items": COUNT},
        "counts": {
            "type": "object",
            "required": ["images", "classes", "objects", "ignored", "detections"],
            "additionalProperties": COUNT,
        },
        "stats": NUMBERS,
        "per_class": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "name", "objects", "detections", "stats"],
                "properties": {"id": {"type": "integer"}, "name": {"type": "string"}, "stats": NUMBERS},
            },
        },
        "errors": {
            "type": ["object", "null"],
            "required": ["definition", "threshold", "background_threshold", "average_precision", "counts", "costs"],
            "properties": {
                "average_precision": NUMBER_OR_NULL,
                "counts": {"type": "object", "required": list(ERRORS), "additionalProperties": COUNT},
                "costs": NUMBERS,
            },
        },
        "confusion": {
            "type": ["object", "null"],
            "required": ["threshold", "min_score", "classes", "matrix"],
            "properties": {"matrix": {"type": "array", "items": {"type": "array", "items": COUNT}}},
        },
        "remarks": {"type": "array", "items": {"type": "string"}},
    },
}
SCHEMA["required"] = list(SCHEMA["properties"])


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["eval", *map(str, arguments)], env={"COLUMNS": "200"})


def succeeds(*arguments: object) -> Any:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result


def as_json(*arguments: object) -> Any:
    """Return the JSON on standard output, which must be all that is there."""
    report = json.loads(succeeds(*arguments, "--json", "-").stdout)
    jsonschema.validate(report, SCHEMA)
    return report


def sentence(status: int, *arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("refdet: ")
    assert result.stderr.count("\n") == 1, result.stderr
    return str(result.stderr)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Return files of three cats and five detections."""
    return write(tmp_path, TRUTH, RESULTS)


def write(folder: Path, truth: Any, results: Any) -> tuple[Path, Path]:
    paths = folder / "truth.json", folder / "results.json"
    for path, content in zip(paths, (truth, results), strict=True):
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return paths


def changed(content: Any, *path: Any, to: Any = None) -> Any:
    """Return a copy in which one field is another, or missing."""
    content = copy.deepcopy(content)
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    if to is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return content


@pytest.mark.real
class TestRealData:
    """A hundred photographs of COCO; the classic results, whose figures are published."""

    @pytest.mark.parametrize(("kind", "ap"), [("bbox", "0.505"), ("segm", "0.320")])
    def test_published_average_precision(self, kind: str, ap: str) -> None:
        folder = real("coco")
        result = succeeds(
            folder / "instances_val2014_100.json", folder / f"instances_val2014_fake{kind}100_results.json"
        )
        lines = result.stdout.splitlines()
        assert len(lines) == 12
        assert lines[0] == f" Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = {ap}"
        assert result.stderr == (
            f"{kind}, as the first result has it: detections 734, objects 830, images 100, classes 80\n"
        )

    @pytest.mark.oracle
    @pytest.mark.parametrize("kind", ["bbox", "segm"])
    def test_the_table_is_that_of_pycocotools(self, kind: str) -> None:
        coco, cocoeval = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
        folder = real("coco")
        paths = folder / "instances_val2014_100.json", folder / f"instances_val2014_fake{kind}100_results.json"
        with contextlib.redirect_stdout(io.StringIO()):
            truth = coco.COCO(str(paths[0]))
            evaluation = cocoeval.COCOeval(truth, truth.loadRes(str(paths[1])), kind)
            evaluation.evaluate()
            evaluation.accumulate()
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            evaluation.summarize()
        assert succeeds(*paths, "--kind", kind).stdout == printed.getvalue()

    def test_errors_and_classes(self) -> None:
        folder = real("coco")
        paths = folder / "instances_val2014_100.json", folder / "instances_val2014_fakebbox100_results.json"
        result = succeeds(*paths, "--errors", "--per-class")
        row = next(line for line in result.stdout.splitlines() if "│ classification " in line)
        assert [cell.strip() for cell in row.split("│")[3:5]] == ["83", "16.76"]
        row = next(line for line in result.stdout.splitlines() if "│ person " in line)
        assert [cell.strip() for cell in row.split("│")[2:4]] == ["250", "201"]


class TestCoco:
    def test_deck_001(self, files: tuple[Path, Path]) -> None:
        report = as_json(*files)
        assert list(report["stats"]) == STATS
        assert report["stats"]["AP50"] == pytest.approx((67 + 34 * 0.6) / 101, abs=1e-12)
        assert report["stats"]["AP50"] == pytest.approx(0.865347, abs=1e-6)
        assert report["stats"]["AR1"] == pytest.approx(1 / 3)
        assert report["stats"]["AP-large"] is None
        assert report["per_class"] == [
            {"id": 1, "name": "cat", "objects": 3, "detections": 5, "stats": report["stats"]}
        ]
        assert report["counts"] == {"images": 1, "classes": 1, "objects": 3, "ignored": 0, "detections": 5}
        assert (report["errors"], report["confusion"], report["remarks"]) == (None, None, [])
        assert report["max_detections"] == [1, 10, 100]

    def test_errors_in_the_json(self, files: tuple[Path, Path]) -> None:
        report = as_json(*files, "--errors", "--min-score", "0.65")
        assert report["errors"]["counts"] == {**dict.fromkeys(ERRORS, 0), "duplicate": 1, "background": 1}
        assert report["errors"]["average_precision"] == pytest.approx(0.865347, abs=1e-6)
        assert report["errors"]["costs"]["duplicate"] == pytest.approx(34 * 0.15 / 101)
        assert report["confusion"] == {
            "threshold": 0.5,
            "min_score": 0.65,
            "classes": ["background", "cat"],
            "matrix": [[0, 1], [1, 2]],
        }

    def test_the_confusion_needs_the_errors(self, files: tuple[Path, Path]) -> None:
        """As the help says; its least score is 0.5 unless another is given, which nothing else has a use for."""
        assert json.loads(run(*files, "--json", "-").stdout)["confusion"] is None
        for without in ((), ("--json", "-"), ("--errors",)):
            assert sentence(2, *files, "--min-score", "0.9", *without) == (
                "refdet: eval: --min-score has no meaning without a confusion: give --plot, or --json with --errors\n"
            )
        given = [
            json.loads(run(*files, "--json", "-", "--errors", *least).stdout) for least in ((), ("--min-score", "0.9"))
        ]
        assert [told["confusion"]["min_score"] for told in given] == [0.5, 0.9]
        assert "--json with --errors or --plot" in " ".join(succeeds("--help").stdout.replace("│", " ").split())

    def test_a_json_file_leaves_the_table_on_standard_output(self, files: tuple[Path, Path], tmp_path: Path) -> None:
        result = succeeds(*files, "--json", tmp_path / "out.json", "--per-class")
        assert "IoU=0.50      | area=   all | maxDets=100 ] = 0.865" in result.stdout
        assert "│ cat   │       3 │          5 │ 0.865 │ 0.865 │ 0.865 │ 1.000 │" in result.stdout
        jsonschema.validate(json.loads((tmp_path / "out.json").read_text()), SCHEMA)

    def test_max_detections(self, files: tuple[Path, Path]) -> None:
        report = as_json(*files, "--max-detections", "2,1")
        assert report["max_detections"] == [1, 2]
        assert report["stats"]["AR2"] == pytest.approx(2 / 3)
        assert "maxDets=  2 ] = 0.667" in succeeds(*files, "--max-detections", "2").stdout

    def test_the_errors_are_those_of_as_many_detections(self, files: tuple[Path, Path]) -> None:
        report = as_json(*files, "--max-detections", "2", "--errors")
        assert report["errors"]["counts"] == {**dict.fromkeys(ERRORS, 0), "missed": 1}

    def test_pictures(self, files: tuple[Path, Path], tmp_path: Path) -> None:
        result = succeeds(*files, "--plot", tmp_path / "new" / "folder")
        for name in PICTURES:
            with Image.open(tmp_path / "new" / "folder" / name) as picture:
                assert (picture.format, picture.size) == ("PNG", (1920, 1080))
                assert np.asarray(picture.convert("L")).std() > 10
            assert name in result.stderr
        assert "warning" not in result.stderr
        assert result.stdout.count("\n") == 12

    @pytest.mark.parametrize(
        ("truth", "results", "stats", "remarks"),
        [
            (TRUTH, [], 0.0, ["there are no detections"]),
            (changed(TRUTH, "annotations", to=[]), RESULTS, None, ["there are no objects to find"]),
            (
                changed(TRUTH, "annotations", to=[]),
                [],
                None,
                ["there are no objects to find", "there are no detections"],
            ),
            (
                {"images": [], "annotations": [], "categories": []},
                [],
                None,
                ["there are no objects to find", "there are no detections"],
            ),
        ],
        ids=["no detections", "no objects", "neither", "nothing at all"],
    )
    def test_where_there_is_little(
        self, tmp_path: Path, truth: Any, results: Any, stats: float | None, remarks: list[str]
    ) -> None:
        paths = write(tmp_path, truth, results)
        report = as_json(*paths)
        assert report["stats"]["AP"] == stats
        assert [r.split(": ")[1].split(",")[0] for r in report["remarks"]] == remarks
        result = succeeds(*paths, "--per-class", "--errors")
        assert ("= -1.000" in result.stdout.splitlines()[0]) == (stats is None)
        assert result.stderr.count("refdet: warning: ") == len(remarks)

    def test_pictures_of_nothing_at_all(self, tmp_path: Path) -> None:
        paths = write(tmp_path, {"images": [], "annotations": [], "categories": []}, [])
        report = as_json(*paths, "--plot", tmp_path / "pictures")
        assert report["confusion"]["matrix"] == [[0]]
        assert report["errors"]["average_precision"] is None
        assert all((tmp_path / "pictures" / name).stat().st_size > 10_000 for name in PICTURES)

    def test_remarks_of_the_reader_are_warnings(self, tmp_path: Path) -> None:
        paths = write(tmp_path, changed(TRUTH, "annotations", 0, "id", to=0), RESULTS)
        result = succeeds(*paths)
        assert result.stderr.startswith(f"refdet: warning: {paths[0]}: an annotation has the id 0")
        assert "id 0" in as_json(*paths)["remarks"][0]

    def test_keypoints(self, tmp_path: Path) -> None:
        """Two points that are not COCO's; one person is found, another is not labelled."""
        truth = changed(TRUTH, "categories", 0, "keypoints", to=["nose", "tail"])
        for i, annotation in enumerate(truth["annotations"]):
            annotation |= {"keypoints": [30 * i, 0, 2, 30 * i + 9, 9, 2 * (i < 2)], "num_keypoints": 2 * (i < 2)}
        results = [{"image_id": 1, "category_id": 1, "score": 0.9, "keypoints": [0, 0, 1, 9, 9, 1]}]
        paths = write(tmp_path, truth, results)
        report = as_json(*paths, "--sigmas", "0.1,0.1", "--errors")
        assert report["kind"] == "keypoints"
        assert list(report["stats"]) == OF_KEYPOINTS
        assert report["stats"]["AP"] == pytest.approx(51 / 101)
        assert report["stats"]["AR"] == 0.5
        assert (report["counts"]["objects"], report["counts"]["ignored"]) == (2, 1)
        assert report["errors"]["counts"]["missed"] == 1
        lines = succeeds(*paths, "--sigmas", "0.1,0.1").stdout.splitlines()
        assert len(lines) == 10
        assert lines[6] == " Average Recall     (AR) @[ IoU=0.50      | area=   all | maxDets= 20 ] = 0.500"
        needed = f"each of the 2 keypoints of {paths[0]} needs a sigma, and "
        assert f"{needed}their names are not COCO's; give yours with --sigmas\n" in sentence(2, *paths)
        assert f"{needed}--sigmas gives 1\n" in sentence(2, *paths, "--sigmas", "0.1")

    def test_seventeen_keypoints_that_are_not_of_coco(self, tmp_path: Path) -> None:
        """COCO's sigmas belong to its joints, in its order, not to any seventeen."""
        for names, is_known in ((COCO_JOINT_NAMES, True), (COCO_JOINT_NAMES[::-1], False)):
            truth = changed(TRUTH, "categories", 0, "keypoints", to=list(names))
            for annotation in truth["annotations"]:
                annotation |= {"keypoints": [1, 1, 2] * 17, "num_keypoints": 17}
            results = [{"image_id": 1, "category_id": 1, "score": 0.9, "keypoints": [1, 1, 1] * 17}]
            paths = write(tmp_path, truth, results)
            if is_known:
                assert as_json(*paths)["kind"] == "keypoints"
            else:
                assert "their names are not COCO's; give yours with --sigmas" in sentence(2, *paths)

    def test_names_of_all_sorts(self, tmp_path: Path) -> None:
        """Formulas, markup, letters that no font has, half a pair of surrogates, very long: all are only names."""
        names = ["$\\foo$", "[bold]:cat:", "猫", "a\nb", "\ud800", 50 * "long "]
        categories = [{"id": i, "name": name} for i, name in enumerate(names, start=1)]
        truth = changed(TRUTH, "categories", to=categories)
        for annotation, category in zip(truth["annotations"], categories, strict=False):
            annotation["category_id"] = category["id"]
        paths = write(tmp_path, truth, RESULTS)
        report = as_json(*paths, "--plot", tmp_path / "pictures")
        assert [c["name"] for c in report["per_class"]] == names
        assert "that their font lacks, such as '\\u732b'\n" in run(*paths, "--plot", tmp_path / "pictures").stderr
        paths = write(tmp_path, changed(truth, "categories", 4, "name", to="five"), RESULTS)
        assert "│ [bold]:cat: " in succeeds(*paths, "--per-class").stdout

    def test_no_number_is_cut_on_a_narrow_terminal(
        self, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(console, "_width", 30)
        lines = succeeds(*files, "--per-class", "--errors").stdout.splitlines()
        row = next(line for line in lines if line.startswith("│ cat"))
        assert [cell.strip() for cell in row.split("│")[2:-1]] == ["3", "5", "0.865", "0.865", "0.865", "1.000"]
        row = next(line for line in lines if line.startswith("│ duplicate"))
        assert row.split("│")[-2].strip() == "5.05"

    @pytest.mark.parametrize(
        ("results", "kind"),
        [
            ([], "bbox"),
            (RESULTS, "bbox"),
            ([{"image_id": 1, "segmentation": {"size": [1, 1], "counts": "1"}}], "segm"),
            ([{"bbox": [0, 0, 1, 1], "segmentation": []}], "segm"),
            ([{"keypoints": [0] * 51, "bbox": [0, 0, 1, 1]}], "keypoints"),
            ([{"image_id": 1, "segmentation": {"counts": "1" * 10**5}}], "segm"),
            ("[", "bbox"),
            ('[{"file": "keypoints"}]', "bbox"),
        ],
    )
    def test_the_kind_is_that_of_the_first_result(self, tmp_path: Path, results: Any, kind: str) -> None:
        assert guess_kind(write(tmp_path, {}, results)[1]) == kind


class TestPipes:
    @pytest.fixture
    def piped(self, files: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
        """Return files of which the second is a pipe."""
        os.mkfifo(tmp_path / "pipe")
        return files[0], tmp_path / "pipe"

    def test_the_kind_must_be_said(self, piped: tuple[Path, Path]) -> None:
        assert sentence(2, *piped) == (
            f"refdet: eval: DETECTIONS: {piped[1]} is a pipe, which can be read only once: say --kind bbox, for "
            "instance\n"
        )
        assert f"{os.devnull} is no regular file, which" in sentence(2, piped[0], os.devnull)

    def test_where_it_is_said(self, piped: tuple[Path, Path]) -> None:
        writer = threading.Thread(target=piped[1].write_text, args=(json.dumps(RESULTS),))
        writer.start()
        assert as_json(*piped, "--kind", "bbox")["counts"]["detections"] == len(RESULTS)
        writer.join()


class TestBadFiles:
    @pytest.mark.parametrize(
        ("truth", "results", "message"),
        [
            ("{", RESULTS, "truth.json: is not JSON"),
            ([], RESULTS, "truth.json: the ground truth must be a JSON object"),
            (TRUTH, TRUTH, "results.json: the results must be a JSON list of detections; this looks like"),
            (changed(TRUTH, "images"), RESULTS, "truth.json: images must be a list, got nothing"),
            (
                changed(TRUTH, "annotations", 1, "bbox"),
                RESULTS,
                "truth.json: entry 1 of annotations: bbox is missing",
            ),
            (TRUTH, changed(RESULTS, 3, "score"), "results.json: entry 3 of results: score is missing"),
            (TRUTH, changed(RESULTS, 2, "image_id", to=9), "results.json: entry 2 of results: there is no image with"),
            (TRUTH, changed(RESULTS, 0, "bbox", to=[1, 2, -3, 4]), "results.json: entry 0 of results: bbox must be"),
            (TRUTH, [7], "results.json: entry 0 of results must be an object, got 7"),
            (TRUTH, '[{"a": ' + "[" * 60_000, "results.json: is nested too deeply"),
        ],
    )
    def test_one_sentence(self, tmp_path: Path, truth: Any, results: Any, message: str) -> None:
        assert message in sentence(1, *write(tmp_path, truth, results))

    def test_another_kind_than_the_results_have(self, files: tuple[Path, Path]) -> None:
        assert "entry 0 of results: segmentation is missing" in sentence(1, *files, "--kind", "segm")
        assert "truth.json: no category has a list of keypoints" in sentence(1, *files, "--kind", "keypoints")

    @pytest.mark.parametrize("method", ["open", "read_bytes"])
    def test_a_file_that_may_not_be_read(
        self, files: tuple[Path, Path], method: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(path: Path, *_: str) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, method, refuse)
        assert "cannot be read: Permission denied" in sentence(1, *files)


class TestWrongUsage:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--kind", "box"], "--kind must be bbox, segm or keypoints, got 'box'"),
            (["--convention", "voc2007"], "--convention has no meaning for COCO files"),
            (["--split", "val"], "--split has no meaning for COCO files"),
            (["--max-detections", "1,x"], "--max-detections must be whole numbers above 0"),
            (["--max-detections", "0"], "--max-detections must be whole numbers above 0"),
            (["--sigmas", "0.1,-1"], "--sigmas must be numbers above 0"),
            (["--sigmas", "0.1"], "--sigmas is for keypoints, but the kind is bbox"),
            (["--max-detections", "9" * 5000], "--max-detections must be whole numbers above 0"),
            (["--min-score", "nan"], "--min-score must be a finite number, got nan"),
            (["--min-score", "inf"], "--min-score must be a finite number, got inf"),
            (["--json", "/"], "--json: / is a folder; name a file"),
            (["--json", "/no/such/folder/out.json"], "--json: there is no folder /no/such/folder"),
        ],
    )
    def test_options(self, files: tuple[Path, Path], options: list[str], message: str) -> None:
        assert f"refdet: eval: {message}" in sentence(2, *files, *options)

    def test_paths(self, files: tuple[Path, Path], tmp_path: Path) -> None:
        assert f"GT: there is no file or folder {tmp_path / 'absent'}" in sentence(2, tmp_path / "absent", files[1])
        assert "DETECTIONS: there is no file or folder" in sentence(2, files[0], tmp_path / "absent")
        assert "GT is a folder, as VOC has it, but DETECTIONS is a file" in sentence(2, tmp_path, files[1])
        assert "GT is a file, as COCO has it, but DETECTIONS is a folder" in sentence(2, files[0], tmp_path)

    def test_where_nothing_can_be_written(self, files: tuple[Path, Path], tmp_path: Path) -> None:
        problem = sentence(2, *files, "--plot", files[0] / "new" / "pictures")
        assert f"eval: --plot: {files[0]} is a file, not a folder\n" in problem
        long = tmp_path / ("x" * 300)
        assert f"--plot: cannot write to {long}: File name too long\n" in sentence(2, *files, "--plot", long)
        (tmp_path / PICTURES[0]).mkdir()
        assert f"--plot: cannot write to {tmp_path}: Is a directory" in sentence(2, *files, "--plot", tmp_path)

    def test_where_one_may_not_write(
        self, files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Root may write everywhere, and so no file says no in every test run."""
        monkeypatch.setattr(os, "access", lambda path, mode: not (Path(path) == tmp_path and mode == os.W_OK))
        out = tmp_path / "new"
        assert f"--plot: cannot write to {tmp_path}: Permission denied\n" in sentence(2, *files, "--plot", out / "deep")
        assert f"--json: cannot write {out}: Permission denied\n" in sentence(2, *files, "--json", out)

    def test_nothing_that_is_read_is_overwritten(self, files: tuple[Path, Path], tmp_path: Path) -> None:
        """By its own name, by another path to it, by a link to it, or by a picture."""
        truth, results = (file.read_bytes() for file in files)
        (tmp_path / "pictures").mkdir()
        (tmp_path / "link.json").symlink_to(files[0])
        (tmp_path / "pictures" / PICTURES[1]).symlink_to(files[1])
        for options, out, name, way_out in (
            (("--json", files[0]), files[0], "GT", "name another file"),
            (("--json", files[1]), files[1], "DETECTIONS", "name another file"),
            (("--json", tmp_path / "link.json"), tmp_path / "link.json", "GT", "name another file"),
            (("--json", tmp_path / "pictures" / ".." / "truth.json"), "truth.json", "GT", "name another file"),
            (("--plot", tmp_path / "pictures"), PICTURES[1], "DETECTIONS", "give another folder"),
        ):
            problem = sentence(2, *files, *options)
            assert problem.startswith(f"refdet: eval: {options[0]}: ")
            assert f"{out} is {name} itself and would be overwritten; {way_out}\n" in problem
        assert [file.read_bytes() for file in files] == [truth, results]
        assert set(tmp_path.iterdir()) == {*files, tmp_path / "link.json", tmp_path / "pictures"}

    def test_nothing_is_left_of_a_failure(self, files: tuple[Path, Path], tmp_path: Path) -> None:
        """Neither an empty folder nor half a file; the old file stays."""
        sentence(1, files[0], files[0], "--plot", tmp_path / "new")
        assert set(tmp_path.iterdir()) == set(files)
        out = tmp_path / "out.json"
        out.write_text("old")
        sentence(1, files[0], files[0], "--json", out)
        assert out.read_text() == "old"
        assert run(*files, "--json", "/dev/full").exit_code == 2  # is no file, and not to be replaced by one
        assert Path("/dev/full").is_char_device()

    @pytest.mark.parametrize(
        ("encoding", "device", "sentence"),
        [
            ("ascii", os.devnull, "refdet: cannot write '\\u2265' in ascii; PYTHONIOENCODING=utf-8 may help\n"),
            ("utf-8", "/dev/full", "refdet: cannot write the output: No space left on device\n"),
        ],
    )
    def test_standard_output_that_takes_nothing(
        self, files: tuple[Path, Path], encoding: str, device: str, sentence: str
    ) -> None:
        command = [
            sys.executable,
            "-c",
            "from refdet.cli.main import main; main()",
            "eval",
            *map(str, files),
            "--errors",
        ]
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        environment.pop("PYTHONUNBUFFERED", None)  # what is buffered is written once more at the end
        with Path(device).open("w") as output:
            done = subprocess.run(
                command, stdout=output, stderr=subprocess.PIPE, text=True, env=environment, check=False
            )
        assert done.returncode == 1
        assert done.stderr.endswith(sentence)
        assert "Traceback" not in done.stderr

    def test_an_interruption_before_the_command_begins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupt(**_: str) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(commands, "app", interrupt)
        with pytest.raises(SystemExit) as caught:
            main.main()
        assert caught.value.code == 130

    def test_help_teaches(self) -> None:
        result = succeeds("--help")
        for part in (
            "Examples:",
            "refdet eval instances_val2017.json results.json",
            '"bbox": [x, y, w, h]',
            "xmin ymin",
            "python -m pydoc refdet.cli.eval_report",
            "130 if interrupted",
        ):
            assert part in result.stdout

    def test_the_fields_of_the_json_are_documented_where_the_help_says(self) -> None:
        documented = set(re.findall(r"\w+", inspect.getdoc(eval_report) or ""))
        for field, content in SCHEMA["properties"].items():
            assert {field, *{**content, **content.get("items", {})}.get("required", [])} <= documented


def annotation(image_id: str, objects: list[tuple[str, list[float], bool]]) -> VocAnnotation:
    """Return a picture of 100 × 100 pixels."""
    boxes = np.array([box for _, box, _ in objects], float).reshape(-1, 4)
    difficult = np.array([d for *_, d in objects], bool)
    names = tuple(name for name, *_ in objects)
    return VocAnnotation(image_id, f"{image_id}.jpg", (100, 100), names, boxes, difficult, np.zeros(len(objects), bool))


def results(*rows: tuple[str, float, list[float]]) -> VocResults:
    return VocResults(tuple(i for i, *_ in rows), np.array([s for _, s, _ in rows]), np.array([b for *_, b in rows]))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Return folders with a cat, two dogs side by side and a difficult one, and detections of them."""
    truth, found = tmp_path / "VOC", tmp_path / "found"
    for folder in (truth / "Annotations", truth / "ImageSets" / "Main", found):
        folder.mkdir(parents=True)
    dogs = [("dog", [0.0, 0, 100, 100], False), ("dog", [30.0, 0, 100, 100], False)]
    difficult = [("dog", [0.0, 0, 20, 20], True), ("cat", [50.0, 50, 60, 60], False)]
    for name, objects in (("a", dogs), ("b", difficult), ("c", [])):
        write_voc_annotation(truth / "Annotations" / f"{name}.xml", annotation(name, objects))
    (truth / "ImageSets" / "Main" / "half.txt").write_text("b\nc\n")
    (truth / "ImageSets" / "Main" / "twice.txt").write_text("b\nb\n")
    by_class = {
        "dog": results(("a", 0.9, [0, 0, 100, 100]), ("a", 0.8, [10, 0, 100, 100]), ("b", 0.7, [0, 0, 20, 20])),
        "cat": results(("b", 0.6, [50, 50, 60, 60])),
    }
    write_voc_results(found, by_class)
    return truth, found


class TestVoc:
    """The second dog is overlapped enough, but the first one more: a hit for the deck, not for VOC."""

    @pytest.mark.parametrize(
        ("convention", "dog"), [("deck", 1.0), ("voc2007", 6 / 11), ("voc2010", 0.5), ("py-faster", 0.5)]
    )
    def test_conventions(self, folders: tuple[Path, Path], convention: str, dog: float) -> None:
        report = as_json(*folders, "--convention", convention)
        assert report["convention"] == convention
        assert {c["name"]: c["stats"]["AP"] for c in report["per_class"]} == pytest.approx({"cat": 1.0, "dog": dog})
        assert report["stats"] == {"mAP": pytest.approx((1 + dog) / 2)}
        assert report["counts"] == {"images": 3, "classes": 2, "objects": 3, "ignored": 1, "detections": 4}
        assert report["max_detections"] is None

    def test_pixels_are_counted_from_the_first_to_the_last(self, tmp_path: Path) -> None:
        """9 of 18 pixels: exactly half, which is enough for VOC and not for py-faster, nor for the deck."""
        write_voc_annotation(tmp_path / "a.xml", annotation("a", [("dog", [0.0, 0, 18, 1], False)]))
        write_voc_results(tmp_path, {"dog": results(("a", 0.9, [0, 0, 9, 1]))})
        found = {
            convention: as_json(tmp_path, tmp_path, "--convention", convention)["stats"]["mAP"]
            for convention in ("voc2007", "voc2010", "py-faster", "deck")
        }
        assert found == {"voc2007": 1.0, "voc2010": 1.0, "py-faster": 0.0, "deck": 0.0}

    def test_the_table(self, folders: tuple[Path, Path]) -> None:
        result = succeeds(*folders)
        assert result.stdout.splitlines() == [
            "AP for cat = 1.0000",
            "AP for dog = 0.5000",
            "Mean AP    = 0.7500  (voc2010, IoU 0.5)",
        ]
        assert result.stderr == "bbox: detections 4, objects 3, images 3, classes 2\n"

    def test_errors_and_pictures(self, folders: tuple[Path, Path], tmp_path: Path) -> None:
        """The types are found by COCO's matching, so that both dogs are right; the third is on a difficult one."""
        report = as_json(*folders, "--errors", "--plot", tmp_path / "pictures")
        assert report["errors"]["counts"] == dict.fromkeys(ERRORS, 0)
        assert report["confusion"]["classes"] == ["background", "cat", "dog"]
        assert report["confusion"]["matrix"] == [[0, 0, 0], [0, 1, 0], [0, 0, 2]]
        for name in PICTURES:
            with Image.open(tmp_path / "pictures" / name) as picture:
                assert picture.size == (1920, 1080)

    def test_a_split(self, folders: tuple[Path, Path]) -> None:
        truth, found = folders
        problem = sentence(1, truth, found, "--split", "half")
        where = f"{found}/comp4_det_test_dog.txt: line 1 is a detection in a picture 'a'"
        assert f"{where}, which is not among the 2 of the ground truth" in problem
        write_voc_results(found, {"dog": results(("b", 0.7, [0, 0, 20, 20]))})
        report = as_json(truth, found, "--split", "half")
        assert {c["name"]: c["stats"]["AP"] for c in report["per_class"]} == {"cat": 1.0, "dog": None}
        assert report["stats"] == {"mAP": 1.0}
        assert "names 'b' 2 times" in sentence(1, truth, found, "--split", "twice")
        assert "there is no such list" in sentence(1, truth, found, "--split", "absent")
        (found / "comp4_det_test_cat.txt").write_text("\nb 0.6 51 51 60 60\n\nc 0.6 51 51 60 60\n")
        (truth / "ImageSets" / "Main" / "one.txt").write_text("b\n")
        assert "comp4_det_test_cat.txt: line 4 is a detection in a picture 'c'" in sentence(
            1, truth, found, "--split", "one"
        )

    def test_a_list_without_pictures(self, folders: tuple[Path, Path]) -> None:
        empty = folders[0] / "ImageSets" / "Main" / "val.txt"
        empty.write_text("\n")
        assert sentence(1, *folders, "--split", "val") == f"refdet: {empty}: names no picture\n"

    def test_nothing_that_is_read_is_overwritten(self, folders: tuple[Path, Path]) -> None:
        truth, found = folders
        outside = truth.parent / "link.txt"
        outside.symlink_to(found / "comp4_det_test_dog.txt")
        for out, name in (
            (found / "comp4_det_test_dog.txt", "DETECTIONS"),
            (outside, "DETECTIONS"),
            (truth / "Annotations" / "a.xml", "GT"),
            (truth / "ImageSets" / "Main" / "half.txt", "GT"),
        ):
            before = out.read_bytes()
            problem = sentence(2, truth, found, "--json", out)
            assert f"--json: {out} is one of the files of {name} and would be overwritten; name another" in problem
            assert out.read_bytes() == before
        for _ in range(2):  # a report of before may be replaced, wherever it lies
            succeeds(truth, found, "--json", found / "scores.json")

    def test_classes_of_one_side_only(self, folders: tuple[Path, Path]) -> None:
        truth, found = folders
        (found / "comp4_det_test_dog.txt").unlink()
        (found / "comp4_det_test_cow.txt").write_text("a 0.5 1 1 9 9\n")
        report = as_json(truth, found)
        assert {c["name"]: c["stats"]["AP"] for c in report["per_class"]} == {"cat": 1.0, "cow": None, "dog": 0.0}
        assert report["stats"] == {"mAP": 0.5}
        result = succeeds(truth, found)
        assert f"refdet: warning: {found}: there is no file of dog, so that none is found\n" in result.stderr
        assert f"refdet: warning: {truth}: there is no cow, so that it has no AP\n" in result.stderr
        assert "AP for cow = none" in result.stdout

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--convention", "voc"], "--convention must be one of deck, voc2007, "),
            (["--kind", "segm"], "--kind must be bbox for VOC folders, got 'segm'"),
            (["--max-detections", "10"], "--max-detections has no meaning for VOC folders"),
            (["--sigmas", "1"], "--sigmas has no meaning for VOC folders"),
        ],
    )
    def test_wrong_usage(self, folders: tuple[Path, Path], options: list[str], message: str) -> None:
        assert f"refdet: eval: {message}" in sentence(2, *folders, *options)

    def test_bad_files(self, folders: tuple[Path, Path]) -> None:
        truth, found = folders
        assert "there are no annotation files" in sentence(1, found, found)
        (found / "comp4_det_test_dog.txt").write_text("a 0.5 1 1 9 9\na 0.5 1 1 9\n")
        assert "comp4_det_test_dog.txt: line 2 must be an image and five finite numbers" in sentence(1, truth, found)
        (found / "comp4_det_test_dog.txt").unlink()
        (found / "comp4_det_test_cat.txt").unlink()
        assert "there are no files of results" in sentence(1, truth, found)
        (truth / "Annotations" / "c.xml").write_text("<annotation>")
        assert "c.xml: is not XML" in sentence(1, truth, found)

    @pytest.mark.real
    def test_real_annotations_found_as_they_are(self, tmp_path: Path) -> None:
        from refdet.data import read_voc_folder

        by_class: dict[str, list[tuple[str, float, list[float]]]] = {}
        for a in read_voc_folder(real("voc")):
            for name, box in zip(a.names, a.boxes.tolist(), strict=True):
                by_class.setdefault(name, []).append((a.image_id, 0.5, box))
        write_voc_results(tmp_path, {name: results(*rows) for name, rows in by_class.items()})
        for convention in ("deck", "voc2007", "voc2012", "py-faster-2007"):
            report = as_json(real("voc"), tmp_path, "--convention", convention)
            assert report["stats"]["mAP"] == 1
            assert {c["stats"]["AP"] for c in report["per_class"]} <= {1.0, None}
