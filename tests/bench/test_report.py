"""The report for programs keeps its keys; the tables for people show what the rows say."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

from refdet.bench.machine import describe_machine
from refdet.bench.peaks import Peaks
from refdet.bench.report import Report, warnings
from refdet.bench.report_json import StoredReportError, from_json, to_json
from refdet.bench.report_markdown import to_markdown
from refdet.bench.report_terminal import print_report
from refdet.bench.results import GroupResult, Row, Timing, not_run
from refdet.bench.runner import Settings
from refdet.bench.wording import conclusions
from refdet.bench.workloads import Work
from tests.bench.fakes import SIDES, TINY

FIRST, SECOND, THIRD = TINY.workloads
TIMINGS = (Timing((0.002, 0.001, 0.003), 5, 2_500_000), Timing((0.004, 0.004, 0.004), 7, None))
ROWS = (
    Row(FIRST, "ok", "", 1e-7, TIMINGS, Work(2 * 10**8, 10**7)),  # 0.2 GFLOP in 2 and in 4 ms
    Row(SECOND, "disagrees", "output 0 differs", 0.5),
    Row(THIRD, "failed", "b: crashed | badly"),
)
GREETINGS: tuple[dict[str, Any], dict[str, Any]] = (
    {
        "versions": {"numpy": "2.4"},
        "threads": [
            {"internal_api": "openblas", "prefix": "lib", "version": "0.3", "architecture": "x", "num_threads": 2}
        ],
    },
    {},
)
MACHINE = {
    "date": "2026-01-01",
    "cpu": "a CPU",
    "cores": 2,
    "gpus": [],
    "load_average": 0.25,
    "system": "Linux x86_64",
    "python": "3.11",
    "refdet": "1.2",
}
PEAKS = Peaks(200.0, 20.0, {"8": 200.0}, {"1": 20.0}, {"1": 15.0})
RESULT = GroupResult(TINY, "a", "b", ROWS, GREETINGS, SIDES + "TINY")
REPORT = Report(MACHINE, Settings(repeats=3, interpreters={"b": "/a/python"}), [RESULT], PEAKS)


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _or_null(schema: Any) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


STRING, INTEGER, NUMBER = ({"type": name} for name in ("string", "integer", "number"))
NUMBER_OR_NULL, INTEGER_OR_NULL = {"type": ["number", "null"]}, {"type": ["integer", "null"]}
BY_SIZE = {"type": "object", "additionalProperties": NUMBER}
TIMING = _object(
    median_ms=NUMBER,
    spread=NUMBER,
    samples_ms=_array(NUMBER),
    calls_per_sample=INTEGER,
    peak_bytes=INTEGER_OR_NULL,
)
SCHEMA = _object(
    format={"const": "refdet-bench"},
    version={"const": 2},
    machine=_object(
        date=STRING,
        cpu=STRING,
        cores=INTEGER,
        gpus=_array(STRING),
        load_average=NUMBER_OR_NULL,
        system=STRING,
        python=STRING,
        refdet=STRING,
    ),
    peaks=_or_null(_object(gflops=NUMBER, gbytes=NUMBER, sgemm=BY_SIZE, copy=BY_SIZE, triad=BY_SIZE)),
    device={"enum": ["cpu", "cuda"]},
    interpreters={"type": "object", "additionalProperties": STRING},
    threads=INTEGER,
    repeats=INTEGER,
    seed=INTEGER,
    groups=_array(
        _object(
            name=STRING,
            title=STRING,
            sides=_array(_object(name=STRING, versions={"type": "object"}, thread_pools=_array({"type": "object"}))),
            rows=_array(
                _object(
                    workload=STRING,
                    what=STRING,
                    kernel=STRING,
                    count=INTEGER,
                    status={"enum": ["ok", "disagrees", "skipped", "failed"]},
                    note=STRING,
                    difference=NUMBER_OR_NULL,
                    tolerance=NUMBER,
                    ratio=NUMBER_OR_NULL,
                    work=_or_null(_object(flops=INTEGER, bytes=INTEGER)),
                    rates=_or_null(
                        _object(unit={"enum": ["GFLOP/s", "GB/s"]}, ours=NUMBER, theirs=NUMBER, peak=NUMBER_OR_NULL)
                    ),
                    timings=_array(TIMING),
                )
            ),
            summary=_object(
                count=INTEGER,
                timed=INTEGER,
                total_ms=_array(NUMBER),
                total_ratio=NUMBER_OR_NULL,
                geometric_mean_ratio=NUMBER_OR_NULL,
            ),
            targets=_array(
                _object(
                    what=STRING,
                    unit={"enum": ["ratio", "bytes", "seconds"]},
                    limit=NUMBER,
                    value=NUMBER_OR_NULL,
                    verdict={"enum": ["met", "missed", "not measured"]},
                )
            ),
        )
    ),
)


def test_json_keeps_its_keys() -> None:
    document = json.loads(json.dumps(to_json(REPORT), allow_nan=False))
    Draft202012Validator(SCHEMA).validate(document)
    (group,) = document["groups"]
    first, second, _ = group["rows"]
    assert (first["ratio"], first["timings"][0]["median_ms"], first["timings"][1]["peak_bytes"]) == (0.5, 2.0, None)
    assert (second["status"], second["ratio"], second["timings"]) == ("disagrees", None, [])
    assert group["summary"] | {"geometric_mean_ratio": 0.5} == {
        "count": 5,
        "timed": 1,
        "total_ms": [2.0, 4.0],
        "total_ratio": 0.5,
        "geometric_mean_ratio": 0.5,
    }
    assert {target["verdict"] for target in group["targets"]} == {"not measured"}  # two rows have no times


def test_a_stored_report_is_read_back() -> None:
    document = json.loads(json.dumps(to_json(REPORT)))
    again = from_json(document)
    assert to_json(again) == document
    (result,) = again.results
    assert (result.address, result.group, result.rows[0].work) == (SIDES + "TINY", TINY, ROWS[0].work)
    assert again.settings == REPORT.settings
    unmeasured = Report(MACHINE, Settings(), [], None)
    assert from_json(json.loads(json.dumps(to_json(unmeasured)))) == unmeasured


def test_comparisons_that_have_changed_since_are_left_out() -> None:
    for key, value in (("what", "3 × 3 sums"), ("tolerance", 1e-3), ("count", 2)):
        document = to_json(REPORT)
        document["groups"][0]["rows"][0][key] = value
        assert from_json(document).results == []
    document = to_json(REPORT)
    document["groups"][0]["name"] = "gone"
    assert from_json(document).results == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": "other"}, "it is no report of refdet bench"),
        ({"version": 1}, "its version is 1, this refdet reads 2"),
        ({"threads": None, "groups": [{}]}, "it is incomplete: KeyError 'name'"),
        ({"peaks": {"gflops": 1}}, "it is incomplete: TypeError"),
    ],
)
def test_what_is_no_report_of_today(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StoredReportError, match=re.escape(sentence)):
        from_json(to_json(REPORT) | change)
    with pytest.raises(StoredReportError, match="it is no report"):
        from_json([1, 2])


def test_the_machine_describes_itself() -> None:
    Draft202012Validator(SCHEMA["properties"]["machine"]).validate(describe_machine())


def test_markdown() -> None:
    lines = to_markdown(REPORT).splitlines()
    assert "## tiny: a against b" in lines
    rates = "100 : 50 GFLOP/s | 50 : 25 %"
    assert f"| first | 2 × 3 sums | 1 | 2.00 ± 50 % | 4.00 ± 0 % | 0.50× | {rates} | 1.0e-07 | 2.5 MB |" in lines
    assert "| second | 2 × 3 sums | 3 | disagrees |  |  |  |  | 5.0e-01 |  |" in lines
    assert "- third failed: b: crashed | badly" in lines
    assert "- sum over 1 of 5: a 2.0 ms, b 4.0 ms, 0.50×; geometric mean 0.50×" in lines
    assert "- target not measured: sum at most 1.00×" in lines
    assert "- a: numpy 2.4; openblas 0.3 with 2 threads" in lines
    n_columns = {line.count("|") for line in lines if line.startswith("|")}
    assert len(n_columns) == 1


def test_columns_without_anything_are_left_out() -> None:
    report = Report(MACHINE, Settings(), [not_run(TINY, "a", "b", "b is not installed")])
    lines = to_markdown(report).splitlines()
    assert "| workload | what | count | a, ms | b, ms | a / b |" in lines
    assert "- all rows skipped: b is not installed" in lines
    assert "- peaks of the machine: not measured" in lines


def test_the_number_of_turns_is_told_where_there_were_fewer() -> None:
    slow = (Timing((9.0, 8.0, 9.5), 1, None), Timing((60.0, 61.0, 62.0), 1, None))
    seven = (Timing((1.0,) * 7, 1, None), Timing((1.0,) * 7, 1, None))
    result = GroupResult(TINY, "a", "b", (Row(FIRST, "ok", "", 0.0, seven), Row(SECOND, "ok", "", 0.0, slow)))
    assert "second: 3 turns of each side, as one takes up to 61.0 s" in conclusions(result)
    once = GroupResult(TINY, "a", "b", (Row(FIRST, "ok", "", 0.0, tuple(Timing((t,), 1, None) for t in (1.0, 2.0))),))  # type: ignore[arg-type]
    assert "first: a single turn of each side, as one takes up to 2.0 s" in conclusions(once)


def test_warnings_of_a_busy_machine() -> None:
    """± 50 % in the first row; a load of 0.25 on two cores is quiet, one of 0.75 is not."""
    (spread,) = warnings(REPORT)
    assert "tiny, a against b: turns differ by more than 25 % (±) in 1 of 3 rows (first)" in spread
    busy, again = warnings(dataclasses.replace(REPORT, machine=MACHINE | {"load_average": 0.75}))
    assert busy.startswith("the machine was busy when the run began (load average 0.75 on 2 cores)")
    assert again == spread
    assert warnings(Report(MACHINE | {"load_average": None}, Settings(), [])) == []
    assert f"- **warning**: {spread}" in to_markdown(REPORT).splitlines()


def test_terminal() -> None:
    console = Console(file=io.StringIO(), width=200)
    print_report(REPORT, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    narrow = Console(file=io.StringIO(), width=90)
    print_report(REPORT, narrow)
    assert "GFLOP/s │" not in narrow.file.getvalue()  # type: ignore[attr-defined]
    for expected in (
        "2.00 ± 50 %",
        "0.50×",
        "disagrees",
        "b: crashed | badly",
        "a CPU, 2 cores, load average 0.25",
        "2.5 MB",
        "100 : 50 GFLOP/s",
        "warning: tiny, a against b",
        "200.0 GFLOP/s in float32",
    ):
        assert expected in text


def test_report_as_a_whole() -> None:
    assert not REPORT.agrees
    assert not REPORT.targets_met
    good = Report(MACHINE, Settings(), [GroupResult(TINY, "c", "b", (Row(FIRST, "skipped", "why"),))])
    assert good.agrees
    assert good.targets_met  # there is no target for c against b
