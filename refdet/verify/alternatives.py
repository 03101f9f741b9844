"""Answers under deviations: which of a case's answers they change, and to what.

The probes of a case are the deviations that change its answer, alone or beside one that does. Alternatives are its
answers under sets of probes: single ones, then pairs, then all three, seven at most, and as long as they are small
enough to be stored. Several sets may give the same alternative, or, beside one that changes it, the canonical answer
after all. A set that has none leaves the case silent about it; so does one whose answer is too close to another.

An alternative is the answer of refdet's own kernels with the deviations, floats computed in float64 and rounded once,
integers computed in the type of the stored inputs, as some deviations are matters of float32. It is compared as the
canonical answer is, with a tolerance that is never below 32 ulp. Two answers are apart where they are ten tolerances
apart, and the same where they are within one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refdet.core.check import Array
from refdet.verify.compare import compare_within, tolerance_of, unit_in_last_place
from refdet.verify.deviation import Deviation, compatible_sets

MOST_ALTERNATIVES = 7
MOST_BYTES = 4 * 1024  # of the alternatives of a case
LARGEST_SET = 3
CANONICAL = "canonical"  # the name under which sets are listed that leave the answer as it is
LEAST_ULPS = 32
APART = 10

Answers = Mapping[str, Array]
Rules = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True)
class Alternative:
    """An answer under deviations."""

    name: str  # tensors are called like the answer's, with `.name` after it
    sets: tuple[frozenset[str], ...]  # of deviations that give it
    tensors: Answers  # those that differ from the canonical answer


@dataclass(frozen=True)
class Alternatives:
    """What deviations do to a case."""

    probes: tuple[str, ...] = ()
    found: tuple[Alternative, ...] = ()


def alternatives_of(
    deviations: Sequence[Deviation],
    answer: Callable[[Collection[str]], Answers],
    canonical: Answers,
    rules: Rules,
    bounds: Mapping[str, Array | None],
) -> Alternatives:
    """Try the deviations on a case; `answer` gives its answer under a set of keys."""
    keys = [d.key for d in deviations]
    answers: dict[frozenset[str], Answers] = {}

    def under(chosen: frozenset[str]) -> Answers:
        if chosen not in answers:
            answers[chosen] = answer(chosen)
        return answers[chosen]

    def same(a: Answers, b: Answers, tolerances: float = 1) -> bool:
        return is_same(a, b, rules, bounds, tolerances)

    effective = [key for key in keys if not same(under(frozenset({key})), canonical)]
    beside = [
        next(iter(pair - {key}))
        for key in effective
        for pair in compatible_sets(keys, 2)
        if key in pair and len(pair) == 2 and not same(under(pair), under(frozenset({key})))
    ]
    probes = sorted({*effective, *beside})
    groups: list[tuple[list[frozenset[str]], Answers]] = [([], canonical)]
    n_bytes = 0
    for chosen in compatible_sets(probes, LARGEST_SET):
        theirs = under(chosen)
        alike = [group for group in groups if same(theirs, group[1], APART)]
        if len(alike) == 1 and same(theirs, alike[0][1]):
            alike[0][0].append(chosen)
        if alike or len(groups) > MOST_ALTERNATIVES:
            continue
        size = sum(x.nbytes for x in _changed(theirs, canonical).values())
        if n_bytes + size <= MOST_BYTES:
            n_bytes += size
            groups.append(([chosen], theirs))
    return Alternatives(tuple(probes), tuple(_numbered(groups, canonical)))


def is_same(a: Answers, b: Answers, rules: Rules, bounds: Mapping[str, Array | None], tolerances: float = 1) -> bool:
    """Return whether the answers that `a` has are within so many tolerances of `b` everywhere."""
    return all(
        compare_within(a[name], x, tolerances * alternative_tolerance(x, rules[name], bounds.get(name))) is None
        for name, x in b.items()
        if name in a
    )


def alternative_tolerance(expected: Array, rule: Mapping[str, object], bound: Array | None) -> NDArray[np.float64]:
    """Return how far an answer may be from an alternative, element by element."""
    if bound is None or bound.shape == expected.shape:
        canonical = tolerance_of(expected, rule, bound)
    else:  # an alternative of another shape than the canonical answer has the largest of its tolerances
        canonical = np.full(expected.shape, np.max(tolerance_of(bound, rule, bound), initial=0.0))
    return np.maximum(canonical, LEAST_ULPS * unit_in_last_place(expected))


def _numbered(groups: Sequence[tuple[list[frozenset[str]], Answers]], canonical: Answers) -> Iterator[Alternative]:
    for i, (sets, answers) in enumerate(groups):
        if sets:
            yield Alternative(f"alt{i}" if i else CANONICAL, tuple(sets), _changed(answers, canonical))


def _changed(answers: Answers, canonical: Answers) -> dict[str, Array]:
    """Return the tensors that are not those of the canonical answer; none for that answer itself."""
    return {
        name: x
        for name, x in answers.items()
        if x is not canonical[name] and not np.array_equal(x, canonical[name], equal_nan=x.dtype.kind == "f")
    }
