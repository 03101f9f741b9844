"""The kernels in large tiles consist of the instructions they were written for; no GPU takes part."""

from __future__ import annotations

import importlib.util
import os
import re
from typing import Any

import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
    pytest.skip("the simulator compiles nothing; these tests run without it", allow_module_level=True)
if importlib.util.find_spec("numba_cuda") is None:
    pytest.skip("needs numba-cuda: pip install 'refdet[cuda-compiler]'", allow_module_level=True)

from refdet_numba.gpu import implicit_gemm_tf32, implicit_gemm_wide
from refdet_numba.gpu.assembly import Assembled

from tests.backends.gpu.assembler import compile_to_ptx

# Copies stand twice: before the loop and in it. Of a run of terms, weights are 2 copies of 16 bytes, pixels 8 of 4, and
# steps 6 loads.
COPIES = {
    r"cp\.async\.cg\.shared\.global \[.*\], \[.*\], 16, ": 2 * 2,
    r"cp\.async\.ca\.shared\.global \[.*\], \[.*\], 4, ": 2 * 8,
    r"cp\.async\.wait_all": 1,
    r"ld\.global\.v4\.u32": 2 * 6,
    r"bar\.sync": 1,
    r"st\.global\.f32": 64,
    r"st\.shared": 0,
    r"\.local\.": 0,  # arrays of a thread are registers
    r"(div|rem)\.[us]64": 0,
    r"\.minnctapersm 2": 1,
}
WIDE = {r"ld\.shared\.v4\.f32": 4, r"ld\.shared\.f32": 0, r"fma\.rn\.f32": 64, r"mma\.sync": 0}  # for a term
# For 8 terms: 4 × 4 products, each of three; 16 weights and 8 pixels, each rounded twice.
TF32 = {
    r"mma\.sync\.aligned\.m16n8k8\.row\.col\.f32\.tf32\.tf32\.f32": 4 * 4 * 3,
    r"mma\.sync": 4 * 4 * 3,
    r"cvt\.rna\.tf32\.f32": (16 + 8) * 2,
    r"sub\.f32": 16 + 8,
    r"ld\.shared\.v4\.f32": 2,
    r"ld\.shared\.f32": 16,
    r"fma\.rn\.f32": 0,  # products are the tensor cores' alone
}


@pytest.mark.parametrize(
    ("assembled", "counts"),
    [(implicit_gemm_wide.ASSEMBLED[0], COPIES | WIDE), (implicit_gemm_tf32.ASSEMBLED[0], COPIES | TF32)],
    ids=["wide", "tf32"],
)
def test_a_kernel_has_its_instructions(assembled: Assembled, counts: dict[str, Any]) -> None:
    ptx = compile_to_ptx(assembled.kernel, assembled.arguments)
    assert {pattern: len(re.findall(pattern, ptx)) for pattern in counts} == counts
