"""Every dialect is recognised where it is spoken: by the reference that deviates so, and by what others wrote."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from golden.deviations import all_dialects
from refdet.verify.adapters import Adapter, load_adapter
from refdet.verify.adapters.refdet_kernels import answer_with
from refdet.verify.ask import ask_adapter, question_of
from refdet.verify.ask_process import ask_process
from refdet.verify.catalogue import load_all
from refdet.verify.deviation import Dialect, deviating, named
from refdet.verify.diagnose import diagnose
from refdet.verify.dialects import spoken_dialects
from refdet.verify.generate import all_deviations
from refdet.verify.question import Outcome, Question, Skipped
from refdet.verify.suite import StoredCase, load_suite
from tests.witnesses import box_coding, overlap, roi_pool, suppression

load_all()
SUITE = load_suite()
DIALECTS = {dialect.name: dialect for dialect in all_dialects()}
MANIFEST = {"dialects": {d.name: {"title": d.title, "deviations": sorted(d.keys)} for d in all_dialects()}}
CONCERNED = {key: frozenset(told["algorithms"]) for key, told in SUITE.manifest["deviations"].items()}
ROOT = Path(__file__).parents[2]
DEBIAN = "/usr/bin/python3"  # whose torchvision needs a torch of its own

Ask = Callable[[list[Question]], Iterable[Outcome]]


def algorithms_of(keys: Collection[str]) -> frozenset[str]:
    return frozenset[str]().union(*(CONCERNED[key] for key in keys))


def spoken(ask: Ask, algorithms: Collection[str]) -> list[str]:
    """Return the dialects that are recognised in answers about some algorithms."""
    by_algorithm: dict[str, list[StoredCase]] = {name: list(SUITE.cases(name)) for name in sorted(algorithms)}
    cases = [case for group in by_algorithm.values() for case in group]
    outcomes = dict(zip((c.id for c in cases), ask([question_of(case) for case in cases]), strict=True))
    verdicts = [diagnose(name, group, [outcomes[c.id] for c in group]) for name, group in by_algorithm.items()]
    return spoken_dialects(MANIFEST, cases, verdicts)


def reference_with(keys: Collection[str]) -> Ask:
    backend = deviating(named(keys, all_deviations()))
    return partial(ask_adapter, Adapter("deviating", {}, lambda question: answer_with(backend, question)))


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda d: d.name)
def test_the_reference_that_deviates_so_speaks_it(dialect: Dialect) -> None:
    assert spoken(reference_with(dialect.keys), algorithms_of(dialect.keys)) == [dialect.name]


def test_the_reference_speaks_none() -> None:
    assert spoken(reference_with(()), algorithms_of([key for d in all_dialects() for key in d.keys])) == []


def test_a_dialect_is_made_of_deviations_that_go_together() -> None:
    for dialect in all_dialects():
        assert set(dialect.keys) <= {deviation.key for deviation in all_deviations()}
        assert len({key.partition("=")[0] for key in dialect.keys}) == len(dialect.keys), dialect.name


PY_FASTER: Mapping[str, Callable[[Question], Mapping[str, Any]]] = {
    "box_iou": partial(overlap.overlaps, offset=1, ignore_crowd=True),
    "clip_boxes": partial(overlap.clip, left=0, less=1),
    "convert_boxes": overlap.convert_pixel_boxes,
    "decode_boxes": partial(box_coding.decode, convention="py-faster", clamp="none"),
    "encode_boxes": partial(box_coding.encode, convention="py-faster"),
    "large_enough": partial(overlap.keep_large, offset=1, comparison=">="),
    "nms": partial(suppression.answer_nms, at_equality=True),
    "roi_pool": partial(roi_pool.pool, as_asked=lambda _: roi_pool.in_float32, from_lowest=True),
}


def in_pixels(question: Question) -> Mapping[str, Any]:
    """Answer as py-faster-rcnn, from independent code; what that does not have is skipped."""
    if question.algorithm not in PY_FASTER:
        raise Skipped("not written")
    if question.algorithm == "nms":
        question = dataclasses.replace(question, params={**question.params, "offset": 1})
    return PY_FASTER[question.algorithm](question)


@pytest.mark.parametrize("algorithms", [list(PY_FASTER), ["nms", "box_iou"], ["nms", "decode_boxes", "match_rpn"]])
def test_independent_code_in_the_manner_of_py_faster_rcnn(algorithms: list[str]) -> None:
    assert spoken(partial(ask_adapter, Adapter("witness", {}, in_pixels)), algorithms) == ["py-faster-rcnn"]


def test_what_several_have_in_common_is_the_dialect_of_all_of_them() -> None:
    heard = spoken(partial(ask_adapter, Adapter("witness", {}, in_pixels)), ["convert_boxes", "clip_boxes"])
    assert heard == ["detectron1", "mmdetection1", "py-faster-rcnn"]


def test_the_operators_of_2015() -> None:
    algorithms = ["box_iou", "max_pool2d", "nms", "roi_align"]
    assert spoken(partial(ask_adapter, load_adapter("legacy")), algorithms) == ["py-faster-rcnn"]


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("name", "module", "dialect"),
    [
        ("onnxruntime", "onnxruntime", "onnxruntime"),
        ("opencv", "cv2", "opencv"),
        ("pycocotools", "pycocotools", "pycocotools"),
        ("torch", "torch", "pytorch"),
        ("torchvision", "torchvision", "torchvision"),
    ],
)
def test_libraries(name: str, module: str, dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They answer in a process of their own, as some end it by reading outside their memory."""
    if name in ("onnxruntime", "opencv"):
        pytest.importorskip("onnx", reason="onnx, which writes the models to run, is not installed")
    executable = DEBIAN if name == "torchvision" and not importlib.util.find_spec(name) else sys.executable
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep))
    finds = [executable, "-c", f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{module}') is None)"]
    if shutil.which(executable) is None or subprocess.run(finds).returncode:
        pytest.skip(f"{module}, which is compared with, is not installed")
    command = [executable, "-m", "refdet.verify.serve", name]
    algorithms = algorithms_of(DIALECTS[dialect].keys)
    assert spoken(partial(ask_process, command, suite=SUITE), algorithms) == [dialect]
