"""What comes out of a mutation run: rates, survivors, and what each case is good for."""

from __future__ import annotations

import json
import textwrap
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from tests.mutation.core import Core
from tests.mutation.draws import N_DRAWS
from tests.mutation.examine import PACKAGES, Verdict

SURVIVORS = Path(__file__).with_name("survivors.toml")
NO_REASON = "No reason is given."
LEAST_RATE = 0.98  # of the mutants of a package that are told apart
PAGE = """\
# Which errors the golden suite notices

A mutant is a reference kernel with one small error: a > that became ≥, a constant or an index off by one, floor for
ceil, one axis for the other, the first of equals for the last, a statement left out. It is *told apart* where at least
one of {draws} random questions, of those that the functions do not refuse, has another answer than the original gives;
the rest change no answer and do not count. It is *killed* where at least one golden case fails. Input checks and
messages are not mutated. Unit tests play no part.

`make mutation` makes this page, and takes a quarter of an hour on two cores; a seeded sample runs with the tests. How
it is done is written in `tests/mutation/`.

| package of refdet | mutants | told apart | of them killed | rate | killed, though not told apart |
|---|---|---|---|---|---|
{rows}

## The core tier

{core}

## Survivors

{n} mutants are told apart and not killed. The first line is the original, the second the mutant.

{items}"""


class Rate(NamedTuple):
    """The figures of a package."""

    mutants: int
    told_apart: int
    killed: int  # of those
    only_killed: int  # that no draw tells apart

    @property
    def share(self) -> float:
        """The detection rate."""
        return self.killed / max(self.told_apart, 1)


def read_verdicts(path: Path) -> dict[str, Verdict]:
    """Read the verdicts of an earlier run; none, where there is no such file."""
    if not path.is_file():
        return {}
    return {v["id"]: Verdict(**v) for v in json.loads(path.read_text(encoding="utf-8"))["verdicts"]}


def write_verdicts(path: Path, verdicts: Mapping[str, Verdict]) -> None:
    """Write verdicts, all or nothing."""
    content = {"verdicts": [asdict(verdicts[name]) for name in sorted(verdicts)]}
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=0) + "\n", encoding="utf-8")
    partial.replace(path)


def accepted() -> dict[str, str]:
    """Return the survivors that no case can kill, each with the reason."""
    return {
        name: " ".join(str(reason).split())
        for name, reason in tomllib.loads(SURVIVORS.read_text(encoding="utf-8")).items()
    }


def rates(verdicts: Iterable[Verdict]) -> dict[str, Rate]:
    """Return the figures of every package that has mutants, and of all of them."""
    verdicts = list(verdicts)
    by_package = {name: [v for v in verdicts if v.package == name] for name in PACKAGES} | {"all": verdicts}
    return {name: _rate(chosen) for name, chosen in by_package.items() if chosen}


def _rate(verdicts: Sequence[Verdict]) -> Rate:
    told = [v for v in verdicts if v.told_by]
    only_killed = sum(1 for v in verdicts if v.killed_by and not v.told_by)
    return Rate(len(verdicts), len(told), sum(1 for v in told if v.killed_by), only_killed)


def weak_packages(verdicts: Iterable[Verdict]) -> list[str]:
    """Return the packages of which too many mutants survive."""
    return [name for name, rate in rates(verdicts).items() if rate.told_apart and rate.share < LEAST_RATE]


def rate_table(verdicts: Iterable[Verdict]) -> str:
    """Return one line per package, and one for all."""
    lines = [f"{'':10}{'mutants':>8}{'told apart':>12}{'of them killed':>16}{'rate':>9}{'killed, not told':>18}"]
    for name, r in rates(verdicts).items():
        lines.append(f"{name:10}{r.mutants:8}{r.told_apart:12}{r.killed:16}{_percent(r):>9}{r.only_killed:18}")
    return "\n".join(lines)


def _percent(rate: Rate) -> str:
    return f"{100 * rate.share:.2f} %" if rate.told_apart else ""


def survivor_list(verdicts: Iterable[Verdict], reasons: Mapping[str, str]) -> str:
    """Return the survivors as text."""
    lines = []
    for v in verdicts:
        if v.survives:
            lines += [f"{v.id}, line {v.line}, run by {v.reached_by} cases, told apart by {v.told_by}"]
            lines += [f"    {v.before}", f"    {v.after}", f"    {reasons.get(v.id, NO_REASON)}"]
    return "\n".join(lines)


def core_text(core: Core, n_cases: int) -> str:
    """Return what the core tier is good for."""
    missed = f"all but {core.n_missed}" if core.n_missed else "all"
    return (
        f"`golden/core.txt` lists {len(core.cases)} of the {n_cases} cases. They notice {missed} of what the whole "
        "suite notices: the mutants that it kills, and the pairs of conventions, sets of deviations among them, that "
        f"it separates. {100 * core.share:.1f} % of them kill a mutant or separate a pair as no other of them does."
    )


def page(verdicts: Iterable[Verdict], reasons: Mapping[str, str], core: str) -> str:
    """Return a page of documentation."""
    verdicts = list(verdicts)
    rows = [
        f"| {name} | {r.mutants} | {r.told_apart} | {r.killed} | {_percent(r)} | {r.only_killed} |"
        for name, r in rates(verdicts).items()
    ]
    survivors = [v for v in verdicts if v.survives]
    items = [
        f"- `{v.id}`, line {v.line}\n\n  {textwrap.indent(wrapped(reasons.get(v.id, NO_REASON)), '  ').strip()}\n\n"
        f"  ```python\n  {v.before}\n  {v.after}\n  ```\n"
        for v in survivors
    ]
    text = PAGE.format(
        rows="\n".join(rows), n=len(survivors), items="\n".join(items), draws=N_DRAWS, core=wrapped(core)
    )
    return text.rstrip() + "\n"


def wrapped(text: str) -> str:
    """Break a paragraph into lines."""
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def only_killers(verdicts: Iterable[Verdict]) -> Counter[str]:
    """Return for how many mutants each case is the only one that kills."""
    return Counter(v.killed_by[0] for v in verdicts if len(v.killed_by) == 1)
