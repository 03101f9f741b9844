"""Random questions for an algorithm, made from recipes, and whether two answers differ.

A draw starts from `random_case` of `golden/cases/X.py` or from a stored case, takes some parameters from other cases of
the algorithm, and roughens the arrays: values on a grid, so that there are ties; equal rows, zeros, shuffled elements,
other scales and signs, NaN and infinities, axes of length 0, 1 or 2; float32 or float64. What the checks of the kernels
or of the public functions refuse, and what the original cannot answer, is no draw.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.core.kernel import KERNELS
from refdet.verify.case import Algorithm, Case
from refdet.verify.generate import case_module
from refdet.verify.suite import StoredCase
from tests.mutation.answers import Overtime, Question, answers_of, quietly, read_only, time_limit, unchecked
from tests.mutation.domain import refused
from tests.mutation.reach import Lines, lines_run
from tests.mutation.recipes import Recipe, recipes

N_DRAWS = 2000
NO_FILES: Mapping[str, str] = {}
SECONDS = 0.5  # a draw that takes the original longer is none
# Relative to the element, and to the largest: beyond what another order of summation does.
ROUNDING = {2: (0.1, 0.1), 4: (1e-3, 1e-4), 8: (1e-6, 1e-9)}
REMAINDER = 16  # roundings of the incoming gradient that may be left where all else cancels


@dataclass(frozen=True)
class Draw:
    """A question, and how the original answers it."""

    number: int
    question: Question
    answers: list[Array | None]
    lines: Lines  # that the original runs


class Draws:
    """The draws of one algorithm, made when they are asked for; `files` are those whose lines are noted."""

    def __init__(
        self,
        algorithm: str,
        stored: Sequence[StoredCase],
        n_recipes: int = 2 * N_DRAWS,
        files: Mapping[str, str] = NO_FILES,
    ) -> None:
        self.algorithm = algorithm
        self.n_recipes = n_recipes
        self._files = files
        self._lines: dict[Lines, Lines] = {}  # each once: most draws run the same
        self._module = case_module(algorithm)
        self._cases = [_as_case(case) for case in stored]
        self._gradients = {t["name"] for case in stored for t in case.entry["tensors"] if t["role"] == "grad"}
        self._made: list[Draw] = []
        self._coming = self._make()

    def first(self, n: int) -> Iterator[Draw]:
        """Yield the first n draws, or as many as there are."""
        for i in range(n):
            if i == len(self._made):
                found = next(self._coming, None)
                if found is None:
                    return
                self._made.append(found)
            yield self._made[i]

    def numbered(self, number: int) -> Draw | None:
        """Return what the recipe of that number gives: a draw, or nothing."""
        question = self._question(recipes(self.n_recipes)[number])
        if question is None or refused(question):
            return None
        try:
            with quietly(), time_limit(SECONDS):
                answers = answers_of(question)
        except (Exception, Overtime):  # refused, or beyond the original
            return None
        with quietly(), unchecked():
            lines = lines_run(lambda: answers_of(question), self._files) if self._files else frozenset()
        return Draw(number, question, answers, self._lines.setdefault(lines, lines))

    def _make(self) -> Iterator[Draw]:
        found = (self.numbered(number) for number in range(self.n_recipes))
        yield from (draw for draw in found if draw is not None)

    def _question(self, recipe: Recipe) -> Question | None:
        rng = np.random.default_rng(recipe.seed)
        algorithm: Algorithm = self._module.ALGORITHM
        try:
            case: Case = self._module.random_case(rng)
            names = list(case.arguments(algorithm))
            arguments = list(case.arguments(algorithm).values())
            params = dict(case.params)
            if recipe.stored and self._cases:
                chosen = self._chosen(recipe.seed, "start")
                names, arguments, params = list(chosen.arguments), list(chosen.arguments.values()), dict(chosen.params)
            if recipe.mixed:
                others = {name: self._chosen(recipe.seed, name).params for name in params if self._cases}
                params = _mixed(params, others, rng)
            arrays = [None if x is None else np.array(x) for x in arguments]
            only = int(rng.integers(len(arrays))) if arrays and rng.random() < 1 / 2 else None  # or all
            arrays = [
                x if only not in (None, i) else _roughened(x, recipe.changes[i % len(recipe.changes)], rng)
                for i, x in enumerate(arrays)
            ]
            if recipe.length is not None:
                arrays = _shortened(arrays, recipe.length, rng)
            arrays = [_converted(x, recipe.dtype) for x in arrays]
            needs = tuple(f"d{name}" in self._gradients or not algorithm.inputs for name in names)
            needs = tuple(n and x is not None for n, x in zip(needs, arrays, strict=True))
            dy = self._incoming(Question(self.algorithm, tuple(arrays), params, None, needs), recipe, rng)
        except (Exception, Overtime):  # what was put together makes no sense
            return None
        return Question(self.algorithm, tuple(read_only(x) for x in arrays), params, read_only(dy), needs)

    def _incoming(self, question: Question, recipe: Recipe, rng: np.random.Generator) -> Array | None:
        if f"{self.algorithm}.backward" not in KERNELS or not any(question.needs):
            return None
        with quietly(), time_limit(SECONDS):
            y = answers_of(question)[0]
        if y is None or y.dtype.kind != "f":
            return None
        dy: Array = rng.standard_normal(y.shape).astype(y.dtype)
        return np.asarray(np.round(2 * dy) / 2, y.dtype) if recipe.changes[0] == "halves" else dy

    def _chosen(self, seed: int, purpose: str) -> _StartingCase:
        """Choose a stored case, so that the choice among a hundred cases changes once when one of them is added."""
        return min(self._cases, key=lambda case: zlib.crc32(f"{seed} {purpose} {case.id}".encode()))


@dataclass(frozen=True)
class _StartingCase:
    id: str
    arguments: dict[str, Array | None]
    params: dict[str, Any]


def _as_case(case: StoredCase) -> _StartingCase:
    return _StartingCase(case.id, dict(zip(case.entry["arguments"], case.arguments, strict=True)), case.params)


def _mixed(
    params: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]], rng: np.random.Generator
) -> dict[str, Any]:
    """Replace a third of the parameters by what another case has, `others` for each."""
    return {
        name: others.get(name, {}).get(name, value) if rng.random() < 1 / 3 else value for name, value in params.items()
    }


def _roughened(x: Array | None, change: str, rng: np.random.Generator) -> Array | None:
    if x is None or not x.size:
        return x
    if x.dtype.kind in "iub":
        return x[rng.integers(0, len(x), len(x))] if x.ndim and change in ("rows", "shuffle") else x
    chosen = rng.random(x.shape) < 0.25
    with np.errstate(all="ignore"):
        if change == "halves":
            return np.round(2 * x) / 2
        if change == "eighths":
            return np.round(8 * x) / 8
        if change == "rows":
            return x[rng.integers(0, len(x), len(x))] if x.ndim else x
        if change == "zeros":
            return np.where(chosen, 0, x)
        if change == "shuffle":
            return rng.permutation(x.ravel()).reshape(x.shape)
        if change == "flat":
            return np.full_like(x, x.flat[0])
        if change in ("nan", "infinite"):
            return np.where(rng.random(x.shape) < 0.1, np.nan if change == "nan" else rng.choice([-1, 1]) * np.inf, x)
        if change in ("larger", "smaller", "huge", "negative"):
            return x * {"larger": 8.0, "smaller": 0.125, "huge": 1000.0, "negative": -1.0}[change]
        return np.abs(x) if change == "absolute" else x


def _shortened(arrays: list[Array | None], length: int, rng: np.random.Generator) -> list[Array | None]:
    """Cut one axis, and every axis that is as long, to `length`."""
    lengths = sorted({n for x in arrays if x is not None for n in x.shape if n > length})
    if not lengths:
        return arrays
    old = int(rng.choice(lengths))
    return [
        None if x is None else x[tuple(slice(length) if n == old else slice(None) for n in x.shape)] for x in arrays
    ]


def _converted(x: Array | None, dtype: str) -> Array | None:
    with np.errstate(over="ignore"):
        return x if x is None else np.asarray(x, dtype if x.dtype.kind == "f" else None)


def differ(answers: Sequence[Array | None], originals: Sequence[Array | None], dy: Array | None = None) -> bool:
    """Whether two answers differ by more than rounding; that of an incoming gradient may remain of one that cancels."""
    if len(answers) != len(originals):
        return True
    largest = 0.0 if dy is None else float(np.max(np.abs(dy), initial=0.0, where=np.isfinite(dy)))
    return any(_differ(y, original, largest) for y, original in zip(answers, originals, strict=True))


def _differ(y: Array | None, original: Array | None, largest: float) -> bool:
    if y is None or original is None:
        return (y is None) != (original is None)
    if y.shape != original.shape or y.dtype.kind != original.dtype.kind or y.dtype.itemsize < original.dtype.itemsize:
        return True
    if y.dtype.kind != "f":
        return not np.array_equal(y, original)
    with np.errstate(all="ignore"):
        finite = np.isfinite(original)
        if not np.array_equal(np.where(finite, 0, y), np.where(finite, 0, original), equal_nan=True):
            return True
        relative, absolute = ROUNDING[original.dtype.itemsize]
        size = np.abs(original[finite].astype(np.float64))
        remainder = REMAINDER * float(np.finfo(original.dtype).eps) * largest
        allowed = relative * size + absolute * np.max(size, initial=0.0) + remainder
        return not bool(np.all(np.abs(y[finite].astype(np.float64) - original[finite]) <= allowed))
