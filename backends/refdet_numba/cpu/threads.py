"""Threads: how many, whose, and what must not happen at the same time.

- How many: `NUMBA_NUM_THREADS` in the environment, or `numba.set_num_threads(n)`. No result depends on it: every loop
  is cut into pieces that depend on the problem's shape alone, and what pieces share is combined in their order.
- Numba's threading layer is the user's choice (`NUMBA_THREADING_LAYER`, `NUMBA_THREADING_LAYER_PRIORITY`), else the
  first of omp, tbb, workqueue that there is: to start a short loop takes 1.5 µs, 1.8 µs and 150 µs on two cores, and
  many short ones in a row were a third faster with omp than with tbb.
  - `omp` by GNU ends a forked child at its first parallel loop; a forked child runs the loops on one thread.
  - `workqueue` ends a process in which two Python threads start parallel loops; they wait for each other here.
- BLAS inside a parallel loop must not start threads of its own: they would fight for the same cores.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from typing import Any

import numba
from numba.core import config
from numba.np.ufunc import parallel as numba_parallel

from refdet_numba.cpu.arrays import aligned

if not {"NUMBA_THREADING_LAYER", "NUMBA_THREADING_LAYER_PRIORITY"} & set(os.environ):
    config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]

_forked_from_threads = False
_lock = threading.RLock()


def _after_fork_in_child() -> None:
    global _forked_from_threads, _lock, _blas
    _forked_from_threads = _forked_from_threads or numba_parallel._is_initialized
    _lock = threading.RLock()  # whoever held it in the parent does not exist here
    _blas.give_back()
    _blas = _OneThreadForBlas()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def may_use_threads() -> bool:
    """Return False in a child forked from a process in which GNU's OpenMP ran."""
    return not (_forked_from_threads and numba.threading_layer() == "omp")


def one_after_another() -> contextlib.AbstractContextManager[Any]:
    """Hold what two parallel loops must not hold at once: nothing, but a lock if the threading layer needs it."""
    if not numba_parallel._is_initialized:
        numba_parallel._launch_threads()
    return _lock if numba.threading_layer() == "workqueue" else contextlib.nullcontext()


def per_thread(shape: tuple[int, ...], dtype: Any) -> Any:
    """Return (threads, *shape), unset: a work space for each; a compiled loop takes `work[get_thread_id()]`."""
    return aligned((numba.get_num_threads(), *shape), dtype)


class _OneThreadForBlas:
    """Counts who needs it; the first one in takes the threads away, the last one out gives them back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before: list[tuple[Any, int]] = []

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._before = [(library, library.num_threads) for library in _blas_libraries()]
                for library, _ in self._before:
                    library.set_num_threads(1)
            self._users += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self.give_back()

    def give_back(self) -> None:
        for library, n_threads in self._before:
            library.set_num_threads(n_threads)
        self._before = []


_blas = _OneThreadForBlas()


def single_threaded_blas() -> contextlib.AbstractContextManager[None]:
    """Keep the BLAS that compiled code calls, SciPy's, on the thread that calls it, inside the `with` block."""
    return _blas


@functools.cache
def _blas_libraries() -> list[Any]:
    import scipy.linalg.cython_blas  # noqa: F401 - loaded before libraries are listed
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    loaded = ThreadpoolController().select(user_api="blas").lib_controllers
    own = [library for library in loaded if "scipy" in library.filepath]  # in a wheel; else one that NumPy shares
    return own or list(loaded)
