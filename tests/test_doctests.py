"""Every example in a docstring of the package gives what it shows."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import refdet

MODULES = sorted(
    info.name for info in pkgutil.walk_packages(refdet.__path__, "refdet.") if not info.name.endswith("__main__")
)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.mark.parametrize("name", ["refdet", *MODULES])
def test_examples(name: str) -> None:
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, extraglobs={"np": np}, optionflags=FLAGS, raise_on_error=False)
    assert failed == 0, f"{failed} examples of {name} do not give what they show"
