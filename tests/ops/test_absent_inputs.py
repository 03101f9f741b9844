"""Whatever an op needs and does not get is named, with the op, in one sentence."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from refdet.core.kernel import KERNELS
from refdet.verify.catalogue import load_all
from refdet.verify.generate import case_module, case_names

load_all()


@pytest.mark.parametrize("name", case_names())
def test_a_required_array_that_is_none(name: str) -> None:
    """Each kernel input in turn is None; those that its signature declares optional are accepted or refused by name."""
    module = case_module(name)
    case = module.random_case(np.random.default_rng(0))
    arguments: dict[str, Any] = case.arguments(module.ALGORITHM)
    forward = KERNELS[f"{name}.forward"]
    annotations = [str(p.annotation) for p in inspect.signature(forward.reference).parameters.values()]
    for i, given in enumerate(arguments):
        optional = module.ALGORITHM.inputs and "None" in annotations[i]
        replaced = {**arguments, given: None}
        if optional:
            continue
        with pytest.raises(TypeError, match=rf"^{name}: .*must be an array.*NoneType"):
            forward(*replaced.values(), keep_residual=False, **case.params)
