"""Compile kernels for sm_90 and assemble them, without a GPU.

numba-cuda asks the present device for its capability when it compiles a function that is not inlined; here it is told.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from refdet_numba.gpu.assembly import Assembled

CAPABILITY = (9, 0)
DOUBLE = re.compile(r"^\s*(?!\.reg)\S*\.f64\b", re.MULTILINE)
FUSED = re.compile(r"^\s*fma\.", re.MULTILINE)


class Cost(NamedTuple):
    registers: int
    spilt_bytes: int
    stack_bytes: int
    shared_bytes: int
    float64_instructions: int
    fused_instructions: int


def assembler() -> str | None:
    """Return the path of ptxas: from the package nvidia-cuda-nvcc, else from the search path."""
    package = importlib.util.find_spec("nvidia.cu13") if importlib.util.find_spec("nvidia") else None
    for folder in (package and package.submodule_search_locations) or ():
        if (program := Path(folder) / "bin" / "ptxas").is_file():
            return str(program)
    return shutil.which("ptxas")


def compile_to_ptx(kernel: Any, arguments: Any) -> str:
    """Return what numba-cuda makes of a kernel for these types."""
    import numba.cuda.dispatcher
    from numba import cuda, types

    numba.cuda.dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=CAPABILITY)
    ptx, _ = cuda.compile_ptx(kernel.py_func, types.void(*arguments), cc=CAPABILITY, **launch_options(kernel))
    return str(ptx)


def launch_options(kernel: Any) -> dict[str, Any]:
    """Return the options of the decorator that change the code."""
    options = {name: kernel.targetoptions.get(name) for name in ("fastmath", "launch_bounds")}
    return {name: value for name, value in options.items() if value}


def assemble(assembled: Assembled, folder: Path) -> Cost:
    """Compile, assemble, and return what it costs."""
    program = assembler()
    assert program is not None
    ptx = compile_to_ptx(assembled.kernel, assembled.arguments)
    source = folder / "kernel.ptx"
    source.write_text(ptx, encoding="utf-8")
    command = [
        program,
        f"-arch=sm_{CAPABILITY[0]}{CAPABILITY[1]}",
        "-v",
        str(source),
        "-o",
        str(folder / "kernel.cubin"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Cost(
        registers=_largest(r"Used (\d+) registers", done.stderr),
        spilt_bytes=_largest(r"(\d+) bytes spill stores", done.stderr),
        stack_bytes=_largest(r"(\d+) bytes stack frame", done.stderr),
        shared_bytes=_largest(r"(\d+) bytes smem", done.stderr),
        float64_instructions=len(DOUBLE.findall(ptx)),
        fused_instructions=len(FUSED.findall(ptx)),
    )


def _largest(pattern: str, text: str) -> int:
    return max((int(number) for number in re.findall(pattern, text)), default=0)
