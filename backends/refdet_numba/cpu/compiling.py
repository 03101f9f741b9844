"""How the kernels are compiled, and how those that run on several threads are called.

    @compiled                                    called by other compiled code, on the thread that calls
    @compiled_parallel                           called from Python; its `prange` loops share the threads of Numba
    @compiled_parallel(multiplies_matrices=True) the same; it calls `gemm` inside, so BLAS gets one thread meanwhile

Floating-point arithmetic is strict: `contract` (a · b + c may be rounded once) and `reassoc` are asked for function by
function, by `fastmath=…`, and never where a comparison, a tie or an order is part of the definition. Division by zero
gives what NumPy gives.

The compiled code is kept on disk (`keeping`) and loaded the next time. A compilation, which takes seconds, is announced
to the logger `refdet.backends`, which the command line shows.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, overload

from numba import njit
from numba.core import event

from refdet_numba.cpu import keeping
from refdet_numba.cpu.threads import may_use_threads, one_after_another, single_threaded_blas

Function = Callable[..., Any]

ROUNDED_ONCE = {"contract"}  # fused multiply-add
REORDERED = {"contract", "reassoc", "nsz"}  # and sums in any order that vectorises; still no assumption on NaN and ∞

_log = logging.getLogger("refdet.backends")


@overload
def compiled(function: Function) -> Function: ...
@overload
def compiled(*, fastmath: set[str] = ..., inline: bool = ...) -> Callable[[Function], Function]: ...
def compiled(function: Function | None = None, *, fastmath: set[str] | None = None, inline: bool = False) -> Any:
    """Compile a function at its first call, for the types it is called with."""
    if function is None:
        return functools.partial(compiled, fastmath=fastmath, inline=inline)
    return _compile(function, fastmath, parallel=False, inline=inline)


@overload
def compiled_parallel(function: Function) -> Function: ...
@overload
def compiled_parallel(
    *, fastmath: set[str] = ..., multiplies_matrices: bool = ...
) -> Callable[[Function], Function]: ...
def compiled_parallel(
    function: Function | None = None, *, fastmath: set[str] | None = None, multiplies_matrices: bool = False
) -> Any:
    """Compile a function with `prange` loops; call it from Python only.

    Where threads cannot be used (`threads`), the same loops run one after another, with the same result.
    """
    if function is None:
        return functools.partial(compiled_parallel, fastmath=fastmath, multiplies_matrices=multiplies_matrices)
    parallel = _compile(function, fastmath, parallel=True)
    serial = _compile(function, fastmath, parallel=False)

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        if multiplies_matrices:
            with single_threaded_blas():
                return run(*args)
        return run(*args)

    def run(*args: Any) -> Any:
        if not may_use_threads():
            return serial(*args)
        with one_after_another():
            return parallel(*args)

    return call


def _compile(function: Function, fastmath: set[str] | None, *, parallel: bool, inline: bool = False) -> Function:
    options: dict[str, Any] = {"fastmath": fastmath} if fastmath else {}
    if inline:
        options["inline"] = "always"
    threads = "parallel" if parallel else "serial"
    with keeping.in_folder_of(Path(function.__code__.co_filename), threads) as is_kept:
        decorate = njit(parallel=parallel, nogil=True, error_model="numpy", cache=is_kept, **options)
        dispatcher: Function = decorate(function)
    return dispatcher


class _Announcer(event.Listener):  # type: ignore[misc]
    """Says which function of this backend is being compiled; what it calls is compiled in between."""

    depth = 0

    def on_start(self, started: Any) -> None:
        function = started.data["dispatcher"].py_func
        if self.depth == 0 and function.__module__.startswith("refdet_numba."):
            where = f"once; kept in {keeping.place()}" if keeping.place() else "there is no folder to keep it in"
            _log.info("compiling %s (%s)", f"{function.__module__}.{function.__name__}", where)
        self.depth += 1

    def on_end(self, ended: Any) -> None:
        self.depth -= 1


event.register("numba:compile", _Announcer())
