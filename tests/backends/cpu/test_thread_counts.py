"""No answer of numba-cpu depends on the number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from refdet.core.kernel import KERNELS
from refdet.verify.catalogue import algorithm_of, backends, load_all
from tests.backends.large_problems import MAKERS

load_all()


def test_every_kernel_has_a_large_problem() -> None:
    table = backends()["numba-cpu"]
    assert {algorithm_of(name) for name in table if name in KERNELS} <= set(MAKERS)


@pytest.mark.slow
def test_same_bits_for_1_2_and_4_threads() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.backends.cpu.thread_counts"],
        env={**os.environ, "NUMBA_NUM_THREADS": "4", "NUMBA_THREADING_LAYER": "workqueue"},  # tbb starts one per core
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
