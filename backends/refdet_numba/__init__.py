"""Numba backends of refdet: kernels of the hot paths, found by entry point and never imported by refdet itself."""
