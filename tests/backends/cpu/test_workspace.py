"""Memory that kernels of numba-cpu take beside their inputs and outputs; each file states what its own is for.

Large work spaces are NumPy arrays, which tracemalloc counts; what compiled code takes for itself is small.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refdet.core.kernel import KERNELS
from refdet.verify.catalogue import backends, load_all
from tests.backends.large_problems import Problem, call_of, problems_of

load_all()
TABLE: Any = backends()["numba-cpu"]
FIXED = 8e6  # bytes: blocks for two threads that fill their second-level caches
TIMES = 2  # the inputs and outputs, for copies in another layout and sorted indices


def bytes_of(value: Any) -> int:
    return sum(map(bytes_of, value)) if isinstance(value, tuple) else getattr(value, "nbytes", 0)


def work_space(call: Callable[[], Any]) -> tuple[int, int]:
    """Return the bytes that a call takes at its worst moment beside its answer, and those of the answer."""
    call()  # compiled, and weights transformed
    tracemalloc.start()  # what there is already does not count
    try:
        answer = call()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - bytes_of(answer), bytes_of(answer)


@pytest.mark.parametrize("kernel", sorted(set(TABLE) & set(KERNELS)))
def test_of_the_order_of_the_arrays(kernel: str) -> None:
    for problem in problems_of(kernel, "float32"):
        taken, answer = work_space(call_of(kernel, problem, TABLE))
        assert taken <= FIXED + TIMES * (bytes_of(problem.arrays) + answer)


@pytest.mark.parametrize(("k", "stride"), [(3, 1), (5, 1), (7, 2)])
@pytest.mark.parametrize("kernel", ["conv2d.forward", "conv2d.backward"])
def test_convolutions_never_lay_out_all_windows(kernel: str, k: int, stride: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 48, 160, 160), dtype=np.float32)
    w, p = rng.standard_normal((32, 48, k, k), dtype=np.float32), k // 2
    params = {"stride": (stride, stride), "padding": ((p, p), (p, p)), "dilation": (1, 1), "groups": 1}
    taken, answer = work_space(call_of(kernel, Problem((x, w, None), params), TABLE))
    windows = k * k * x.nbytes / stride**2
    assert taken <= FIXED + TIMES * (x.nbytes + answer)
    assert taken <= windows / 2
