"""Numba backends of refdet: kernels of the hot paths, found by entry point and never imported by refdet itself."""

import importlib.util
import os

if importlib.util.find_spec("numba") is None:
    raise ImportError("Numba is not installed; pip install 'refdet[cpu]', or 'refdet[cuda]' for a GPU")

_threads = os.environ.get("NUMBA_NUM_THREADS", "1")
if not (_threads.isdecimal() and int(_threads) >= 1):  # Numba would say it in a traceback, and not say where
    raise ImportError(f"NUMBA_NUM_THREADS must be a whole number of at least 1, got {_threads!r}")
