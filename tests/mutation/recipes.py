"""What Hypothesis chooses for a draw, whatever the algorithm.

Hypothesis takes some of its values from constants in the modules that happen to be imported. So that the recipes are
the same in every program, they are made in a process that imports nothing but this file:

    python -m tests.mutation.recipes 20
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

SOURCE_TREE = Path(__file__).resolve().parents[2]


class Recipe(NamedTuple):
    """What is chosen."""

    seed: int
    stored: bool  # start from a stored case, not from `random_case`
    mixed: bool  # take some parameters from other cases
    dtype: str
    changes: list[str]  # what is done to the arrays of floats, in turn
    length: int | None  # of one axis, and of those that are as long


USUAL = ("none", "halves", "eighths", "rows", "zeros", "shuffle", "larger", "smaller", "negative", "absolute")
RARE = ("flat", "huge", "nan", "infinite")
RECIPES = st.builds(
    Recipe,
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["float64", "float64", "float32"]),
    st.lists(st.sampled_from(3 * USUAL + RARE), min_size=1, max_size=4),
    st.sampled_from([None, None, None, None, 0, 1, 2, 3]),
)


@functools.cache
def recipes(n: int) -> tuple[Recipe, ...]:
    """Return n recipes, always the same."""
    made = subprocess.run(
        [sys.executable, "-m", __name__, str(n)], cwd=SOURCE_TREE, check=True, capture_output=True, text=True
    )
    return tuple(Recipe(*fields) for fields in json.loads(made.stdout))


def make(n: int) -> list[Recipe]:
    """Make n recipes in this process."""
    found: list[Recipe] = []

    @settings(
        max_examples=n,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(RECIPES)
    def collect(recipe: Recipe) -> None:
        found.append(recipe)

    collect()
    return found


if __name__ == "__main__":
    print(json.dumps(make(int(sys.argv[1]))))
