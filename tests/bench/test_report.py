"""The report for programs keeps its keys; the tables for people show what the rows say."""

from __future__ import annotations

import io
import json
from typing import Any

from jsonschema import Draft202012Validator
from rich.console import Console

from refdet.bench.machine import describe_machine
from refdet.bench.report import Report, print_report, to_json, to_markdown
from refdet.bench.results import GroupResult, Row, Timing
from refdet.bench.runner import Settings
from tests.bench.fakes import TINY

FIRST, SECOND, THIRD = TINY.workloads
TIMINGS = (Timing((0.002, 0.001, 0.003), 5, 2_500_000), Timing((0.004, 0.004, 0.004), 7, None))
ROWS = (
    Row(FIRST, "ok", "", 1e-7, TIMINGS),
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
    "load_average": 0.25,
    "system": "Linux x86_64",
    "python": "3.11",
}
REPORT = Report(MACHINE, Settings(repeats=3), [GroupResult(TINY, "a", "b", ROWS, GREETINGS)])


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


STRING, INTEGER, NUMBER = ({"type": name} for name in ("string", "integer", "number"))
NUMBER_OR_NULL, INTEGER_OR_NULL = {"type": ["number", "null"]}, {"type": ["integer", "null"]}
TIMING = _object(
    median_ms=NUMBER,
    spread=NUMBER,
    samples_ms=_array(NUMBER),
    calls_per_sample=INTEGER,
    peak_bytes=INTEGER_OR_NULL,
)
SCHEMA = _object(
    format={"const": "refdet-bench"},
    version={"const": 1},
    machine=_object(date=STRING, cpu=STRING, cores=INTEGER, load_average=NUMBER_OR_NULL, system=STRING, python=STRING),
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
                    unit={"enum": ["ratio", "bytes"]},
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


def test_the_machine_describes_itself() -> None:
    Draft202012Validator(SCHEMA["properties"]["machine"]).validate(describe_machine())


def test_markdown() -> None:
    lines = to_markdown(REPORT).splitlines()
    assert "## tiny" in lines
    assert "| first | 2 × 3 sums | 1 | 2.00 ± 50 % | 4.00 ± 0 % | 0.50× | 1.0e-07 | 2.5 MB |" in lines
    assert "| second | 2 × 3 sums | 3 | disagrees |  |  | 5.0e-01 |  |" in lines
    assert "- third failed: b: crashed | badly" in lines
    assert "- sum over 1 of 5: a 2.0 ms, b 4.0 ms, 0.50×; geometric mean 0.50×" in lines
    assert "- target not measured: sum at most 1.00×" in lines
    assert "- a: numpy 2.4; openblas 0.3 with 2 threads" in lines
    n_columns = {line.count("|") for line in lines if line.startswith("|")}
    assert len(n_columns) == 1


def test_terminal() -> None:
    console = Console(file=io.StringIO(), width=200)
    print_report(REPORT, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for expected in (
        "2.00 ± 50 %",
        "0.50×",
        "disagrees",
        "b: crashed | badly",
        "a CPU, 2 cores, load average 0.25",
        "2.5 MB",
    ):
        assert expected in text


def test_report_as_a_whole() -> None:
    assert not REPORT.agrees
    assert not REPORT.targets_met
    good = Report(MACHINE, Settings(), [GroupResult(TINY, "c", "b", (Row(FIRST, "skipped", "why"),))])
    assert good.agrees
    assert good.targets_met  # there is no target for c against b
