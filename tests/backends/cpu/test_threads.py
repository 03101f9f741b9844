"""Threads of every kind that call into the backend: Python's, forked processes, and every threading layer of Numba.

Each scene runs in a process of its own, because a process chooses its threading layer once, and because what goes wrong
here ends the process.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import pytest


def loads(layer: str) -> bool:
    """Say whether Numba has a threading layer here: it may be built without it, or its library be absent (tbb)."""
    try:
        importlib.import_module(f"numba.np.ufunc.{layer}pool")
    except ImportError:
        return False
    return True


LAYERS = ["workqueue", *(layer for layer in ("omp", "tbb") if loads(layer))]
PROBLEM = """
import os, sys, threading
import numpy as np
from refdet.core.kernel import use_backend
from refdet.ops import conv2d, max_pool2d

rng = np.random.default_rng(0)
x = rng.standard_normal((1, 8, 40, 40), dtype=np.float32)
w = rng.standard_normal((8, 8, 3, 3), dtype=np.float32)

def answer():
    with use_backend("numba-cpu"):
        return max_pool2d(conv2d(x, w), 2)[0].data

expected = answer()
"""
TWO_THREADS = """
failures = []

def often():
    for _ in range(30):
        if not np.array_equal(answer(), expected):
            failures.append(1)

threads = [threading.Thread(target=often) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit(len(failures))
"""
FORK = """
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(answer(), expected) else 3)
_, status = os.waitpid(child, 0)
assert np.array_equal(answer(), expected)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        env={**os.environ, "NUMBA_NUM_THREADS": "2", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("layer", LAYERS)
def test_two_python_threads(layer: str) -> None:
    done = run(PROBLEM + TWO_THREADS, NUMBA_THREADING_LAYER=layer)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("layer", LAYERS)
def test_a_forked_child(layer: str) -> None:
    done = run(PROBLEM + FORK, NUMBA_THREADING_LAYER=layer)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("n", ["0", "-1", "two", ""])
def test_a_number_of_threads_that_is_none(n: str) -> None:
    done = run('from refdet.core.kernel import find_backend; find_backend("numba-cpu")', NUMBA_NUM_THREADS=n)
    sentence = f"backend 'numba-cpu' does not load: NUMBA_NUM_THREADS must be a whole number of at least 1, got '{n}'"
    assert done.stderr.splitlines()[-1] == f"LookupError: {sentence}"


def test_blas_has_its_threads_again_afterwards() -> None:
    program = """
from threadpoolctl import threadpool_info
import scipy.linalg
def threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
before = threads()
"""
    done = run(program + PROBLEM + "assert threads() == before, (threads(), before)", OPENBLAS_NUM_THREADS="2")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_forked_meanwhile_has_the_threads_of_blas_again() -> None:
    program = """
import os, sys
from threadpoolctl import threadpool_info
from refdet_numba.cpu.threads import single_threaded_blas
def threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
with single_threaded_blas():
    pass
before = threads()
with single_threaded_blas():
    child = os.fork()
    if child == 0:
        os._exit(0 if threads() == before else 3)
    _, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""
    assert run(program, OPENBLAS_NUM_THREADS="2").returncode == 0


def test_where_nothing_can_be_kept_it_compiles_all_the_same() -> None:
    program = """
import numpy as np
from refdet.core.kernel import use_backend
from refdet.ops import max_pool2d
from refdet_numba.cpu import keeping
assert keeping.place() is None
with use_backend("numba-cpu", fallback="error"):
    assert max_pool2d(np.ones((1, 1, 2, 2)), 2)[0].data.item() == 1
"""
    nowhere = "/proc/nowhere"
    done = run(program, HOME=nowhere, XDG_CACHE_HOME=nowhere, NUMBA_CACHE_DIR=nowhere)
    assert done.returncode == 0, done.stderr
