"""What `refdet explain` prints of deviations: those of an algorithm, or one of them."""

from __future__ import annotations

from typing import Any

from refdet.cli.explanations import print_rule, print_text
from refdet.cli.messages import UsageProblem


def known_deviations() -> dict[str, dict[str, Any]]:
    """Return what the suite says of each deviation, by key."""
    from refdet.verify.suite import load_suite

    found: dict[str, dict[str, Any]] = load_suite().manifest["deviations"]
    return found


def unknown_value(name: str) -> UsageProblem | None:
    """Return the problem that a deviation's name is given without its value, or with another; None for other names."""
    before, equals, _ = name.partition("=")
    keys = [key for key in known_deviations() if key.partition("=")[0] == before]
    if not keys:
        return None
    values = " and ".join(key.partition("=")[2] for key in keys)
    has = f"{before} has the {'value' if len(keys) == 1 else 'values'} {values}"
    what = f"there is no deviation {name!r}" if equals else f"{name!r} is the name of deviations, without a value"
    return UsageProblem(f"{what}; {has}: refdet explain {keys[0]}")


def print_deviations_of(algorithm: str) -> None:
    """Print a line for every deviation that concerns an algorithm."""
    found = {key: d for key, d in known_deviations().items() if algorithm in d["algorithms"]}
    if not found:
        return
    print_rule(f"{len(found)} known deviations; `refdet explain KEY` says who does it and what to change")
    for key, deviation in found.items():
        print_text(f"{key}: {deviation['title']}")


def print_deviation(key: str) -> None:
    """Print everything the suite knows of a deviation."""
    deviation = known_deviations()[key]
    print_rule(key)
    print_text(deviation["title"])
    print_rule("what it does to answers")
    print_text(deviation["effect"])
    print_rule("who does it")
    for who in deviation["who"]:
        print_text(who)
    print_rule("what to change")
    print_text(deviation["change"])
    print_rule("where it shows")
    for algorithm, cases in _cases_of(key).items():
        print_text(f"{algorithm}: {', '.join(cases)}")


def _cases_of(key: str) -> dict[str, list[str]]:
    """Return the cases that tell the deviation by itself, by algorithm."""
    from refdet.verify.suite import load_suite

    found: dict[str, list[str]] = {}
    for case in load_suite().manifest["cases"]:
        if any([key] in alternative["deviations"] for alternative in case["alternatives"] if alternative["tensors"]):
            found.setdefault(case["algorithm"], []).append(case["id"].partition("/")[2])
    return found
