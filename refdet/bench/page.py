"""docs/performance.md, made from a run of `refdet bench all`, and of other runs, such as one on a machine with a GPU.

Nothing is written that was not measured. `REMARKS` is what measurements of other days taught.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from refdet.bench.hot_paths import HotPath, find_hot_path, hot_paths
from refdet.bench.report import Report, warnings
from refdet.bench.report_markdown import bullets, joined, markdown_table, section
from refdet.bench.results import GroupResult
from refdet.bench.runner import Settings
from refdet.bench.wording import circumstances, limit, outcome, quantity, reason

HOW = """\
What was measured, with the commands that measured it: this page is written by `refdet bench all --markdown`, and
nothing stands here that was not measured. Two sides run in processes of their own and take turns, A B A B, so that what
slows the machine slows both; a ratio is the median time of the first over that of the other, below 1 is faster. Their
answers are compared first: a side that answers something else has no ratio."""

REMARKS = """\
- A busy machine changes the ratios. With other work on both cores, single layers of VGG-16 by the reference came out at
  up to 4.7 times torch's time, with spreads above 50 %. A row with a large spread says nothing.
- pycocotools' time varies with what else the machine does, refdet's hardly: the reference took 1.5 s for the boxes of
  5,000 images at two hours of a day, pycocotools 35 s and 96 s.
- The dense CRF by the reference depends on how busy the cores are: 4.8 times pydensecrf's time on a quiet machine, 5.3
  times with one thread and 8 to 11 times with two while other work ran, as the small matrix products of the
  compatibility transform then wait for a second thread.
- Without the settings of the allocator, a call may pay for fresh pages or not, depending on what was freed before:
  a 1×1 convolution took torch 0.6 or 2.6 ms for that reason alone.
- Where numba-cpu multiplies as often as torch (1×1, 3×3 and 7×7 with stride 2), both reach most of what the machine
  can, and rows change sides from run to run: 3×3 with stride 2 came out at 0.79, 1.12, 1.30 and 1.85 in a day. Alone in
  a process it took 1.37 ms, 1×1 with stride 2 1.25 ms. Without gain were: fetching pixels ahead, tiles of half the
  size, other cuts, and for dx one convolution for each phase of the stride.
- A depthwise convolution takes numba-cpu 0.15 ms alone in a process, of which 0.04 are checks of the arguments, and
  0.23 ms where another process ran before.
- Of 67 ms that numba-cpu takes for the dense CRF, 29 are passes over the points and 12 the building of the lattices.
  Points in the order of image tiles or of their vertices gained at most 5 %, fetching the slots ahead lost time."""

NO_GPU = "Not measured: no GPU was at hand. `refdet bench all --device cuda` measures it where there is one."
NOT_AT_HAND = {"cpu": "it is not part of this run", "cuda": "no GPU was at hand"}
ON = {"cpu": "On the CPU", "cuda": "On a GPU"}


def page(reports: Sequence[Report], *, picture: str | None = None) -> str:
    """Return the page; `picture` is where it finds the roofline of the first report."""
    parts = ["# Performance", HOW, "## Targets", _targets(reports)]
    if picture is not None:
        parts.append(f"![Effective rates of both sides under the roofline of the machine]({picture})")
    for device, heading in ON.items():
        parts.append(f"## {heading}")
        chosen = [report for report in reports if report.settings.device == device]
        if not chosen:
            parts.append(NO_GPU if device == "cuda" else "Not measured.")
        for report in chosen:
            parts += _run(report)
    return joined([*parts, "## What other measurements taught", REMARKS])


def _run(report: Report) -> list[str]:
    """Return how a run came about, and its comparisons."""
    parts = [
        f"    {command(report.settings, 'all')} --json performance.json --markdown performance.md --plot roofline.png",
        bullets(circumstances(report)),
        bullets(f"**warning**: {line}" for line in warnings(report)),
    ]
    for result in report.results:
        sides = f" --side {result.side} --against {result.against}"
        parts += section(
            result, report.peaks, level=3, command=command(report.settings, result.address, result.against) + sides
        )
    return parts


def command(settings: Settings, group: str, *asked: str) -> str:
    """Return the command that makes a comparison again, or all of them.

    >>> command(Settings(interpreters={"torchvision": "/usr/bin/python3"}), "roi", "torchvision")
    'refdet bench roi --python torchvision=/usr/bin/python3'
    """
    words = ["refdet", "bench", group]
    for name, executable in settings.interpreters.items():
        if group == "all" or name in asked:
            words += ["--python", f"{name}={executable}"]
    usual = Settings()
    for option, value, default in (
        ("--device", settings.device, usual.device),
        ("--threads", settings.threads, usual.threads),
        ("--repeats", settings.repeats, usual.repeats),
    ):
        if value != default:
            words += [option, str(value)]
    return shlex.join(words)


def _targets(reports: Sequence[Report]) -> str:
    """Return the table of the hot paths: one row each, also of those that were not measured."""
    lines = [["hot path", "side", "against", "target", "measured", "verdict"]]
    for device in ON:
        runs = [report for report in reports if report.settings.device == device]
        results = [result for report in runs for result in report.results]
        absent = "it is not part of this run" if runs else NOT_AT_HAND[device]
        for path in hot_paths(device):
            result = next((r for r in results if find_hot_path(r.address, r.side, r.against) == path), None)
            lines.append([path.title, path.side, path.against, *_verdict(path, result, absent)])
    return markdown_table(lines, n_left=6)


def _verdict(path: HotPath, result: GroupResult | None, absent: str) -> tuple[str, str, str]:
    """Return target, what was measured, and what became of it; `absent` is why there is no result."""
    from refdet.bench.groups import find_group
    from refdet.bench.results import judge

    if result is None:
        group = find_group(path.group)
        asked = [v for t in group.targets if (t.side, t.against) == (path.side, path.against) for v in judge(t, [])]
        return "; ".join(map(limit, asked)) or "none", "", f"not measured: {absent}"
    verdicts = result.verdicts
    if not verdicts:
        ratio = result.summary.total_ratio
        return ("none", "", f"not measured: {reason(result)}") if ratio is None else ("none", f"sum {ratio:.2f}×", "")
    target = "; ".join(map(limit, verdicts))
    if any(verdict.value is None for verdict in verdicts):
        known = "; ".join(outcome(verdict) for verdict in verdicts if verdict.value is not None)
        return target, known, f"not measured: {reason(result) or 'not every row has a time'}"
    measured = "; ".join(f"{v.what} {quantity(v, v.value)}" for v in verdicts if v.value is not None)
    return target, measured, "met" if all(v.verdict == "met" for v in verdicts) else "**missed**"
