"""Every kernel for the GPU compiles and assembles within its limits; no GPU takes part.

That the simulator accepts a kernel says little about its types: it runs Python.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
from pathlib import Path
from typing import Any

import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
    pytest.skip("the simulator compiles nothing; these tests run without it", allow_module_level=True)
if importlib.util.find_spec("numba_cuda") is None:
    pytest.skip("needs numba-cuda: pip install 'refdet[cuda-compiler]'", allow_module_level=True)

import refdet_numba.gpu
from refdet_numba.gpu.assembly import Assembled

from tests.backends.gpu.assembler import assemble, assembler

MODULES = [
    importlib.import_module(f"refdet_numba.gpu.{module.name}")
    for module in pkgutil.iter_modules(refdet_numba.gpu.__path__)
    if module.name != "backend"  # which refuses to load where there is no GPU
]
ASSEMBLED = [(module, assembled) for module in MODULES for assembled in getattr(module, "ASSEMBLED", [])]


def name_of(module: Any, assembled: Assembled) -> str:
    types = ",".join(str(getattr(a, "dtype", a)) for a in assembled.arguments[:1])
    return f"{module.__name__.rpartition('.')[2]}.{assembled.kernel.py_func.__name__}-{types}"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_kernel_is_listed(module: Any) -> None:
    from numba.cuda.dispatcher import CUDADispatcher

    listed = {id(assembled.kernel) for assembled in getattr(module, "ASSEMBLED", [])}
    own = [
        kernel
        for kernel in vars(module).values()
        if isinstance(kernel, CUDADispatcher) and kernel.py_func.__module__ == module.__name__
    ]
    assert not [k.py_func.__name__ for k in own if not k.targetoptions.get("device") and id(k) not in listed]


@pytest.mark.skipif(assembler() is None, reason="needs ptxas: pip install 'refdet[cuda-compiler]'")
@pytest.mark.parametrize(("module", "assembled"), ASSEMBLED, ids=[name_of(*row) for row in ASSEMBLED])
def test_a_kernel_assembles_within_its_limits(module: Any, assembled: Assembled, tmp_path: Path) -> None:
    cost = assemble(assembled, tmp_path)
    assert cost.registers <= assembled.registers
    assert cost.shared_bytes <= assembled.shared_bytes
    assert (cost.spilt_bytes, cost.stack_bytes) == (0, 0)
    assert assembled.float64 or cost.float64_instructions == 0
    assert assembled.fused or cost.fused_instructions == 0
