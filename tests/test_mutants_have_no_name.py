"""An error that has no name is never given one: a sample of the mutants that `make mutation` makes."""

from __future__ import annotations

import random
from typing import cast

import pytest

from tests.mutation.examine import Laboratory
from tests.mutation.naming import Name, names_of
from tests.mutation.workers import run_all

SAMPLE = 400
DRAWS = 100
SEED = 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # the other thread is that of pytest-xdist
def test_a_mutant_has_a_name_only_if_it_is_the_deviation(laboratory: Laboratory) -> None:
    sample = random.Random(SEED).sample(sorted(laboratory.mutants), SAMPLE)
    found = run_all(sample, lambda mutant: names_of(laboratory, mutant, DRAWS), n_workers=1)
    names = [name for _, of_mutant in found for name in cast("list[Name]", of_mutant or [])]  # none where NumPy crashed
    assert len(names) >= 10  # mutants that are deviations, which must be named
    assert [name for name in names if name.false_by] == []
