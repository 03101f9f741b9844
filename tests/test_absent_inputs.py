"""Whatever an op needs and does not get is named, with the op, in one sentence."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from refdet.verify.catalogue import load_all
from refdet.verify.forward import forward_kernel, run_forward
from refdet.verify.generate import case_module, case_names

load_all()


@pytest.mark.parametrize("name", case_names())
def test_a_required_array_that_is_none(name: str) -> None:
    """Each kernel input in turn is None; those that its signature declares optional are accepted or refused by name."""
    module = case_module(name)
    case = module.random_case(np.random.default_rng(0))
    arguments: dict[str, Any] = case.arguments(module.ALGORITHM)
    kernel = forward_kernel(name)
    assert kernel is not None
    annotations = [str(p.annotation) for p in inspect.signature(kernel.reference).parameters.values()]
    for i, given in enumerate(arguments):
        optional = module.ALGORITHM.inputs and "None" in annotations[i]
        replaced = {**arguments, given: None}
        if optional:
            continue
        with pytest.raises(TypeError, match=rf"^{name}: .*must be an array.*NoneType"):
            run_forward(name, replaced.values(), case.params)
