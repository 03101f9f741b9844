"""What the machine can do at most, measured: a product of matrices, and moving memory.

    python -m refdet.bench.peaks THREADS DEVICE

prints it as JSON, in a process of its own, with as many threads as the sides have.

- sgemm: the product of two float32 matrices n × n, 2n³ operations, by NumPy's BLAS. On a GPU by torch, TF32 off.
- copy: b := a; a is read and b written, so 2 · size bytes. What a processor reads of b before writing it, if it does,
  is not counted.
- triad: a := b + 3 c, so 3 · size bytes; in blocks that fit into a cache, as NumPy has no single call for it.

Each figure is that of the median of several repetitions; the best size counts, and of copy and triad the better one.
What is copied is larger than the caches, a kernel on less can exceed the rate.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from refdet.bench.contestant import side_environment
from refdet.core.check import Array

ORDERS = (512, 1024, 2048)  # of the matrices
GPU_ORDERS = (4096, 8192)
MEBIBYTES = (64, 256)  # of each array that is moved
GPU_MEBIBYTES = (1024,)
REPEATS = 7
BLOCK = 2**14  # elements of the triad that are computed at a time
TIME_LIMIT = 120.0


@dataclass(frozen=True)
class Peaks:
    """The measured peaks of a machine, and what they come from: rates by size."""

    gflops: float  # per second
    gbytes: float  # per second
    sgemm: dict[str, float]  # GFLOP/s by order
    copy: dict[str, float]  # GB/s by MiB
    triad: dict[str, float]

    @property
    def ridge(self) -> float:
        """The intensity, in operations per byte, from which on the processor is the limit and not the memory."""
        return self.gflops / self.gbytes


def measure_peaks(threads: int, device: str = "cpu") -> Peaks | None:
    """Return the peaks of this machine, None where they could not be measured."""
    command = [sys.executable, "-m", "refdet.bench.peaks", str(threads), device]
    environment = side_environment(threads)
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=TIME_LIMIT, check=True)
        return Peaks(**json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        return None


def _rates(sgemm: dict[int, float], copy: dict[int, float], triad: dict[int, float]) -> Peaks:
    """Return the peaks, from operations and bytes per second by size."""

    def giga(rates: dict[int, float]) -> dict[str, float]:
        return {str(size): rate / 1e9 for size, rate in rates.items()}

    return Peaks(
        max(sgemm.values()) / 1e9,
        max(*copy.values(), *triad.values()) / 1e9,
        giga(sgemm),
        giga(copy),
        giga(triad),
    )


def _median(call: Callable[[], Any]) -> float:
    """Return the seconds that a call takes, once it is warm."""
    call()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def on_cpu(threads: int) -> Peaks:
    """Measure with NumPy; the parts of an array are moved by threads of Python."""
    with ThreadPoolExecutor(threads) as pool:

        def moved(part: Callable[[Array], None], n_arrays: int, mebibytes: int) -> float:
            parts = [np.ones((3, mebibytes * 2**18 // threads), np.float32) for _ in range(threads)]
            n_bytes = n_arrays * sum(arrays[0].nbytes for arrays in parts)
            return float(n_bytes / _median(lambda: list(pool.map(part, parts))))

        return _rates(
            {n: _sgemm(n) for n in ORDERS},
            {size: moved(_copy, 2, size) for size in MEBIBYTES},
            {size: moved(_triad, 3, size) for size in MEBIBYTES},
        )


def _sgemm(n: int) -> float:
    a, b = np.random.default_rng(0).standard_normal((2, n, n), dtype=np.float32)
    product = np.empty_like(a)
    return float(2 * n**3 / _median(lambda: np.matmul(a, b, out=product)))


def _copy(arrays: Array) -> None:
    np.copyto(arrays[0], arrays[1])


def _triad(arrays: Array) -> None:
    for i in range(0, arrays.shape[1], BLOCK):
        a, b, c = arrays[:, i : i + BLOCK]
        np.multiply(c, 3, out=a)
        np.add(a, b, out=a)


def on_gpu() -> Peaks:
    """Measure with torch."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False

    def median(call: Callable[[], Any]) -> float:
        def finished() -> None:
            call()
            torch.cuda.synchronize()

        return _median(finished)

    def sgemm(n: int) -> float:
        a, b = torch.randn((2, n, n), device="cuda")
        product = torch.empty_like(a)
        return float(2 * n**3 / median(lambda: torch.matmul(a, b, out=product)))

    def moved(call: Callable[[Any, Any, Any], Any], n_arrays: int, mebibytes: int) -> float:
        a, b, c = torch.ones((3, mebibytes * 2**18), device="cuda")
        return float(n_arrays * mebibytes * 2**20 / median(lambda: call(a, b, c)))

    return _rates(
        {n: sgemm(n) for n in GPU_ORDERS},
        {size: moved(lambda a, b, c: a.copy_(b), 2, size) for size in GPU_MEBIBYTES},
        {size: moved(lambda a, b, c: torch.add(b, c, alpha=3, out=a), 3, size) for size in GPU_MEBIBYTES},
    )


if __name__ == "__main__":
    print(json.dumps(asdict(on_gpu() if sys.argv[2] == "cuda" else on_cpu(int(sys.argv[1])))))
