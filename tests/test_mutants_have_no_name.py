"""An error that has no name is never given one: a sample of the mutants that `make mutation` makes."""

from __future__ import annotations

import random

import pytest

from tests.mutation.examine import Laboratory
from tests.mutation.naming import names_of

SAMPLE = 400
DRAWS = 100
SEED = 2


@pytest.mark.slow
def test_a_mutant_has_a_name_only_if_it_is_the_deviation(laboratory: Laboratory) -> None:
    sample = random.Random(SEED).sample(sorted(laboratory.mutants), SAMPLE)
    names = [name for mutant in sample for name in names_of(laboratory, mutant, DRAWS)]
    assert len(names) >= 10  # mutants that are deviations, which must be named
    assert [name for name in names if name.false_by] == []
