"""Kernels for the GPU, compiled by numba-cuda; the table of the backend is in `backend`.

The package is not called `cuda`: numba-cuda takes any module with "numba.cuda" in its name for one of its own, and
looks for it without end.
"""
