"""The machine that a comparison ran on, as far as it bears on speed."""

from __future__ import annotations

import ctypes
import datetime
import os
import platform
from pathlib import Path
from typing import Any


def describe_machine() -> dict[str, Any]:
    """Return CPU, cores, GPUs, load and Python; the libraries are described by the sides that use them."""
    import refdet

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cpu": _cpu_model(),
        "cores": _usable_cores(),
        "gpus": gpu_names(),
        "load_average": load,  # of the last minute, when the run began: other programs were busy if it is not small
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "refdet": refdet.__version__,
    }


def gpu_names() -> list[str]:
    """Ask NVIDIA's driver for its devices; none where there is no driver, or it is too old for what is there."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        count, name = ctypes.c_int(), ctypes.create_string_buffer(256)
        if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
            return []
        return [name.value.decode() for i in range(count.value) if not driver.cuDeviceGetName(name, 256, i)]
    except (OSError, AttributeError):
        return []


def _cpu_model() -> str:
    """Read the model from Linux's list of processors, else ask the platform."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _usable_cores() -> int:
    """Count the cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
