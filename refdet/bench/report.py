"""The result of a run: the comparisons, the machine that they ran on, and whether it was quiet enough to believe them.

`report_terminal`, `report_json`, `report_markdown` and `page` show it; `wording` is what they have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from refdet.bench.peaks import Peaks
from refdet.bench.results import GroupResult
from refdet.bench.runner import Settings

BUSY_SHARE = 0.25  # of the cores, when the run begins
WIDE_SPREAD = 0.25


@dataclass(frozen=True)
class Report:
    machine: dict[str, Any]
    settings: Settings
    results: Sequence[GroupResult]
    peaks: Peaks | None = None

    @property
    def agrees(self) -> bool:
        return all(result.agrees for result in self.results)

    @property
    def targets_met(self) -> bool:
        """Whether every limit is met; one that could not be measured is not met."""
        return all(verdict.verdict == "met" for result in self.results for verdict in result.verdicts)


def is_busy(machine: dict[str, Any]) -> bool:
    """Say whether other programs kept more than a quarter of the cores busy when the run began."""
    load = machine["load_average"]
    return load is not None and load > BUSY_SHARE * machine["cores"]


def warnings(report: Report) -> list[str]:
    """Return why the figures may not be those of a quiet machine, a sentence each; none if they are."""
    found = []
    if is_busy(report.machine):
        found.append(
            f"the machine was busy when the run began (load average {report.machine['load_average']:.2f} on "
            f"{report.machine['cores']} cores): its ratios may be far from those of a quiet one"
        )
    for result in report.results:
        wide = [
            row.workload.name for row in result.rows if row.timings and max(t.spread for t in row.timings) > WIDE_SPREAD
        ]
        if wide:
            found.append(
                f"{result.group.name}, {result.side} against {result.against}: turns differ by more than "
                f"{100 * WIDE_SPREAD:.0f} % (±) in {len(wide)} of {len(result.rows)} rows ({', '.join(wide)}): "
                "something else ran at the same time, or a call is too short to time"
            )
    return found
