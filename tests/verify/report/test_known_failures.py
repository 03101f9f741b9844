"""The file of known failures: what it excuses, what it reports, and what is a mistake in it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from refdet.verify.known_failures import KnownFailure, KnownFailuresError, read_known_failures, with_known_failures
from refdet.verify.patterns import matches_any, unmatched
from refdet.verify.verdict import AlgorithmVerdict, CaseResult, Report
from tests.verify.report.sample import nms_case, passed, sample_report

IDS = [result.id for result in sample_report().results]


def listed(*patterns: str) -> list[KnownFailure]:
    return [KnownFailure(pattern, "", i) for i, pattern in enumerate(patterns, 1)]


def report_of(*results: CaseResult) -> Report:
    failed = any(result.failed for result in results)
    verdict = AlgorithmVerdict("nms", "UNKNOWN" if failed else "PASS", failed=failed, results=results)
    return dataclasses.replace(sample_report(), verdicts=(verdict,))


def test_lines_comments_and_reasons(tmp_path: Path) -> None:
    file = tmp_path / "known.txt"
    file.write_text("# all of it\n\nnms/one-box   # until version 3\r\n  roi_*  \nrelu#see 12\n", encoding="utf-8-sig")
    assert read_known_failures(file, IDS) == (
        KnownFailure("nms/one-box", "until version 3", 3),
        KnownFailure("roi_*", "", 4),
        KnownFailure("relu", "see 12", 5),
    )


def test_a_line_that_names_nothing_is_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "known.txt"
    file.write_text("nms/one-box\nnms/one-bax\n")
    with pytest.raises(KnownFailuresError, match=r"known\.txt, line 2: no case of the suite is named 'nms/one-bax'"):
        read_known_failures(file, IDS)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(KnownFailuresError, match="cannot be read: No such file"):
        read_known_failures(tmp_path / "none.txt", IDS)
    (tmp_path / "latin").write_bytes(b"nms # caf\xe9\n")
    with pytest.raises(KnownFailuresError, match="is not UTF-8"):
        read_known_failures(tmp_path / "latin", IDS)


def test_a_listed_failure_is_none() -> None:
    report = report_of(nms_case(), passed("nms/one-box"))
    assert report.failed
    excused = with_known_failures(report, listed("nms/iou-equal-to-the-threshold"))
    assert not excused.failed
    assert not excused.verdicts[0].failed
    assert [result.known for result in excused.results] == [True, False]
    assert excused.unexpected_passes == ()


@pytest.mark.parametrize("pattern", ["nms/one-box", "nms/*", "nms"])
def test_a_listed_case_that_passes_is_reported(pattern: str) -> None:
    report = report_of(nms_case(), passed("nms/one-box"))
    judged = with_known_failures(report, listed("nms/iou-*", pattern))
    assert judged.unexpected_passes == ("nms/one-box",)
    assert judged.failed


def test_a_skipped_case_is_neither_failure_nor_pass() -> None:
    skipped = CaseResult("nms/one-box", "nms", "required", "skip", "no")
    judged = with_known_failures(report_of(passed("nms/two"), skipped), listed("nms/one-box"))
    assert judged.unexpected_passes == ()
    assert not judged.failed


def test_other_cases_still_fail() -> None:
    report = with_known_failures(sample_report(), listed("nms/iou*", "soft_nms", "roi_align/half-pixel"))
    assert [verdict.algorithm for verdict in report.verdicts if verdict.failed] == ["decode_boxes"]


def test_nothing_answered_is_no_success() -> None:
    assert dataclasses.replace(sample_report(), verdicts=sample_report().verdicts[3:5]).failed
    assert dataclasses.replace(sample_report(), verdicts=()).failed


def test_patterns_name_cases_and_algorithms() -> None:
    assert matches_any(["roi_align", "nms/a?"], "nms/ab")
    assert not matches_any(["NMS/*", "ms", "nms/[ab"], "nms/a")
    assert unmatched(["nms", "*/kink", "[", ""], IDS) == ["[", ""]
