"""Answers under deviations: which of a case's answers they change, and to what.

The probes of a case are the deviations that change its answer, alone or beside one other. Alternatives are its answers
under sets of probes: single ones, then what remains of a dialect with more than three, then pairs and triples; 31 at
most, and as long as they are small enough to be stored. Several sets may give the same alternative, or, beside one that
changes it, the canonical answer after all. A set that has none leaves the case silent about it; so does one whose
answer is too close to another.

An alternative is the answer of refdet's own kernels with the deviations, floats computed in float64 and rounded once,
integers computed in the type of the stored inputs, as some deviations are matters of float32. Where the floats come out
otherwise in the stored type, because something overflows there or is decided by rounding, the case is silent too.

It is compared more loosely than the canonical answer, whose tolerances were found for another computation: within four
of them, and at least 32 ulp and 2⁻²⁰ of the largest canonical element. Two answers are apart where they are ten such
tolerances apart, and the same where they are within one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refdet.core.check import Array, shape_of
from refdet.verify.compare import compare_tensor, compare_within, tolerance_of, unit_in_last_place
from refdet.verify.deviation import Deviation, compatible_sets

MOST_ALTERNATIVES = 31
MOST_BYTES = 8 * 1024  # of the alternatives of a case
LARGEST_SET = 3
CANONICAL = "canonical"  # the name under which sets are listed that leave the answer as it is
LOOSER = 4
LEAST_ULPS = 32
LEAST_OF_LARGEST = 2.0**-20
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


@dataclass(frozen=True)
class Yardstick:
    """The canonical answers of a case, and how near to them and to others an answer has to be."""

    canonical: Answers
    rules: Rules
    bounds: Mapping[str, Array | None]

    def right(self, answers: Answers) -> bool:
        """Return whether every answer is the canonical one."""
        return not any(
            compare_tensor(answers[name], x, self.rules[name], self.bounds.get(name))
            for name, x in self.canonical.items()
            if name in answers and not _same_bits(answers[name], x)
        )

    def same(self, a: Answers, b: Answers, tolerances: float = 1) -> bool:
        """Return whether the answers that `a` has are within so many tolerances of `b` everywhere."""
        return all(
            compare_within(a[name], x, tolerances * self.tolerance(name, x) if x.dtype.kind == "f" else None) is None
            for name, x in b.items()
            if name in a and not _same_bits(a[name], x)
        )

    def tolerance(self, name: str, x: Array) -> NDArray[np.float64]:
        """Return how far an answer may be from x, which is that answer under deviations, element by element."""
        canonical, rule, bound = self.canonical[name], self.rules[name], self.bounds.get(name)
        allowed = LOOSER * tolerance_of(canonical, rule, bound)
        if x.shape != canonical.shape:  # an alternative of another shape has the largest of the tolerances
            allowed = np.full(x.shape, np.max(allowed, initial=0.0))
        largest = np.max(np.abs(canonical), where=np.isfinite(canonical), initial=0.0) if x.dtype.kind == "f" else 0.0
        return np.maximum(np.maximum(allowed, LEAST_ULPS * unit_in_last_place(x)), LEAST_OF_LARGEST * float(largest))


def alternatives_of(
    deviations: Sequence[Deviation],
    answer: Callable[[Collection[str]], tuple[Answers, Answers]],
    yardstick: Yardstick,
    bundles: Iterable[frozenset[str]] = (),
    untold: Collection[frozenset[str]] = (),
) -> Alternatives:
    """Try the deviations on a case; `answer` gives its answer under a set of keys, and as it is in the stored type.

    Of `bundles`, which are sets of deviations that come together, those are tried too that hold more than three probes.
    What is `untold` is not tried: the algorithm has no case that shows all its members.
    """
    keys = [d.key for d in deviations]
    answers: dict[frozenset[str], tuple[Answers, Answers]] = {}

    def both(chosen: frozenset[str]) -> tuple[Answers, Answers]:
        if chosen not in answers:
            answers[chosen] = answer(chosen)
        return answers[chosen]

    def right(chosen: frozenset[str]) -> bool:
        return all(map(yardstick.right, both(chosen)))

    def steady(chosen: frozenset[str]) -> bool:
        theirs, stored = both(chosen)
        return yardstick.same(stored, theirs)

    def changes(key: str, chosen: frozenset[str]) -> bool:
        """Return whether the key, one of the chosen ones, changes what the others do."""
        others = chosen - {key}
        if not others or right(others):
            return not right(chosen)
        return not steady(chosen) or not yardstick.same(both(chosen)[0], both(others)[0])

    canonical = yardstick.canonical
    found: set[str] = set()
    for chosen in compatible_sets(keys, 2):
        found |= {key for key in chosen - found if changes(key, chosen)}
    probes = sorted(found)
    groups: list[tuple[list[frozenset[str]], Answers]] = [([], canonical)]
    n_bytes = 0
    for chosen in _tried(probes, bundles):
        if chosen in untold or not steady(chosen):
            continue
        theirs = both(chosen)[0]
        alike = [group for group in groups if yardstick.same(theirs, group[1], APART)]
        if len(alike) == 1 and (right(chosen) if alike[0] is groups[0] else yardstick.same(theirs, alike[0][1])):
            alike[0][0].append(chosen)
        if alike or len(groups) > MOST_ALTERNATIVES:
            continue
        size = sum(x.nbytes for x in _changed(theirs, canonical).values())
        if n_bytes + size <= MOST_BYTES:
            n_bytes += size
            groups.append(([chosen], theirs))
    return Alternatives(tuple(probes), tuple(_numbered(groups, canonical)))


def _same_bits(a: Array, b: Array) -> bool:
    """Return whether no comparison can tell them apart, which is soon said."""
    return a.dtype == b.dtype and shape_of(a) == shape_of(b) and a.tobytes() == b.tobytes()


def _tried(probes: Sequence[str], bundles: Iterable[frozenset[str]]) -> Iterator[frozenset[str]]:
    """Yield single probes; then large bundles, whole and without each of their members; then pairs and triples."""
    small = list(compatible_sets(probes, LARGEST_SET))
    yield from (keys for keys in small if len(keys) == 1)
    large = [touched for bundle in bundles if len(touched := bundle & frozenset(probes)) > LARGEST_SET]
    several = [keys for touched in large for keys in (touched, *(touched - {key} for key in sorted(touched)))]
    several += [keys for keys in small if len(keys) > 1]
    yield from dict.fromkeys(several)


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
