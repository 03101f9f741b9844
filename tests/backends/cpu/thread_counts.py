"""Print a line per kernel of numba-cpu whose answers on large problems differ between 1, 2 and 4 threads.

    NUMBA_NUM_THREADS=4 python -m tests.backends.cpu.thread_counts [KERNEL]…

A process of its own: the number of threads that Numba may ever use is fixed when it is imported.
"""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import numba
import numpy as np

from refdet.core.kernel import KERNELS
from refdet.verify.catalogue import backends, load_all
from tests.backends.large_problems import call_of, problems_of


def digest(answer: Any) -> str:
    """Return a fingerprint of all bytes of an answer."""
    if isinstance(answer, tuple):
        return " ".join(digest(part) for part in answer)
    if answer is None:
        return "none"
    return f"{answer.dtype.str}{answer.shape}{hashlib.sha256(np.ascontiguousarray(answer).tobytes()).hexdigest()}"


def main(kernels: list[str]) -> None:
    load_all()
    table: Any = backends()["numba-cpu"]
    for kernel in kernels or sorted(set(table) & set(KERNELS)):
        for dtype in ("float32", "float64"):
            for number, problem in enumerate(problems_of(kernel, dtype)):
                call, answers = call_of(kernel, problem, table), {}
                for n_threads in (1, 2, 4):
                    numba.set_num_threads(n_threads)
                    answers[n_threads] = digest(call())
                if len(set(answers.values())) > 1:
                    print(f"{kernel} {dtype} problem {number}: {answers}")


if __name__ == "__main__":
    main(sys.argv[1:])
