"""Which small errors in the reference kernels does the golden suite notice?"""

from __future__ import annotations

import argparse
import functools
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from refdet.verify.catalogue import load_all
from refdet.verify.generate import CORE, source_tree
from refdet.verify.suite import load_suite
from tests.mutation.core import choose, stored_core, write_core
from tests.mutation.draws import N_DRAWS
from tests.mutation.examine import PACKAGES, Laboratory, Verdict
from tests.mutation.report import (
    accepted,
    core_text,
    only_killers,
    page,
    rate_table,
    read_verdicts,
    survivor_list,
    weak_packages,
    write_verdicts,
)
from tests.mutation.witness import witness
from tests.mutation.workers import run_all

VERDICTS = Path("build/mutation.json")
WRITE_EVERY = 30.0  # seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    chosen = _parser().parse_args(arguments)
    status: int = chosen.command(chosen)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    run = commands.add_parser(
        "run",
        help="examine mutants",
        description="Examine mutants. It may be stopped, and goes on where it was; a mutant is examined again if its "
        "file or a case that runs its statement has changed since.",
    )
    run.set_defaults(command=_run)
    run.add_argument("--packages", nargs="+", default=list(PACKAGES), choices=PACKAGES)
    run.add_argument("--files", nargs="+", default=[], help="only mutants whose id begins with one of these")
    run.add_argument("--survivors", action="store_true", help="only mutants that survived before")
    run.add_argument("--sample", type=int, help="so many of the mutants, drawn at random")
    run.add_argument("--seed", type=int, default=0, help="of the sample")
    run.add_argument("--draws", type=int, default=N_DRAWS, help=f"for each mutant at most; {N_DRAWS} by default")
    run.add_argument("--workers", type=int, default=2, help="processes; 2 by default")
    run.add_argument("--suite", type=Path, help="folder of the golden suite, instead of the stored one")

    report = commands.add_parser(
        "report", help="rates and survivors; exit status 1 where the suite is too weak or a survivor has no reason"
    )
    report.set_defaults(command=_report)
    report.add_argument("--markdown", type=Path, help="write a page")
    report.add_argument("--cases", action="store_true", help="for every case, how many mutants it alone kills")

    show = commands.add_parser("show", help="the draws that tell mutants apart: the question and both answers")
    show.set_defaults(command=_show)
    show.add_argument("ids", nargs="+")

    core = commands.add_parser("core", help="choose the core tier of the suite")
    core.set_defaults(command=_core)
    core.add_argument("--output", type=Path, default=source_tree() / CORE)

    for command in (run, report, show, core):
        command.add_argument("--json", type=Path, default=VERDICTS, help=f"verdicts; {VERDICTS} by default")
    return parser


def _run(chosen: argparse.Namespace) -> int:
    start = time.monotonic()
    laboratory = Laboratory(chosen.packages, chosen.suite, chosen.draws)
    known = read_verdicts(chosen.json)
    verdicts = {n: v for n, v in known.items() if n in laboratory.mutants or v.package not in chosen.packages}
    wanted = [name for name in laboratory.mutants if not chosen.files or name.startswith(tuple(chosen.files))]
    wanted = [name for name in wanted if name not in known or not _holds(known[name], laboratory.blank(name))]
    if chosen.survivors:
        wanted = [name for name in wanted if name in known and known[name].survives]
    if chosen.sample is not None:
        wanted = sorted(random.Random(chosen.seed).sample(wanted, min(chosen.sample, len(wanted))))
    print(f"{len(laboratory.mutants)} mutants, {len(wanted)} to examine; ready in {_since(start)}", flush=True)
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    written = time.monotonic()
    work = functools.partial(_examine, laboratory, known)
    for i, (name, result) in enumerate(run_all(wanted, work, n_workers=chosen.workers), 1):
        verdicts[name] = result if isinstance(result, Verdict) else _lost(laboratory.blank(name))
        if time.monotonic() - written > WRITE_EVERY:
            written = time.monotonic()
            write_verdicts(chosen.json, verdicts)
            print(f"{i} of {len(wanted)} after {_since(start)}: {name}", flush=True)
    write_verdicts(chosen.json, verdicts)
    print(rate_table(verdicts.values()))
    return 0


def _examine(laboratory: Laboratory, known: dict[str, Verdict], name: str) -> Verdict:
    return laboratory.examine(name, known.get(name))


def _holds(verdict: Verdict, now: Verdict) -> bool:
    return verdict.is_of(now) and verdict.cases == now.cases


def _lost(blank: Verdict) -> Verdict:
    """Return the verdict on a mutant whose process hung or died: whoever runs it notices."""
    return replace(blank, told_by="#", killed_by=["#"], note="its process hung or died")


def _since(start: float) -> str:
    return f"{time.monotonic() - start:.0f} s"


def _report(chosen: argparse.Namespace) -> int:
    verdicts, reasons = list(read_verdicts(chosen.json).values()), accepted()
    if chosen.markdown:
        load_all()
        cases = list(load_suite().cases())
        core = core_text(stored_core(cases, verdicts, source_tree() / CORE), len(cases))
        chosen.markdown.write_text(page(verdicts, reasons, core), encoding="utf-8")
    print(rate_table(verdicts) + "\n\n" + survivor_list(verdicts, reasons))
    if chosen.cases:
        for name, n in sorted(only_killers(verdicts).items()):
            print(f"{n:6}  {name}")
    unexplained = [v.id for v in verdicts if v.survives and v.id not in reasons]
    weak = weak_packages(verdicts)
    print(f"{len(unexplained)} survivors without a reason; packages that are too weak: {', '.join(weak) or 'none'}")
    return 1 if unexplained or weak else 0


def _show(chosen: argparse.Namespace) -> int:
    verdicts = read_verdicts(chosen.json)
    for mutant_id in chosen.ids:
        print(witness(verdicts[mutant_id]))
    return 0


def _core(chosen: argparse.Namespace) -> int:
    load_all()
    cases = list(load_suite().cases())
    core = choose(cases, read_verdicts(chosen.json).values())
    write_core(core, chosen.output)
    print(
        f"{len(core.cases)} of {len(cases)} cases, {100 * core.share:.1f} % of which kill a mutant or separate two "
        "conventions as no other of them does"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
