"""Every function of the backend on arrays that are as strict as CuPy's: nothing passes through the host unseen.

They are in column-major order, as a transposed array is; kernels are launched on arrays in row-major order alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from refdet.core.kernel import KERNELS, ROUND_TRIPS
from refdet.verify.case import Case
from refdet.verify.catalogue import load_all
from tests.backends.gpu import cupy_like
from tests.backends.gpu.cupy_like import CupyLike
from tests.backends.parity import assert_parity, cases_of

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip("needs NUMBA_ENABLE_CUDASIM=1 before Numba is imported", allow_module_level=True)

from refdet_numba.gpu import device
from refdet_numba.gpu.backend import KERNELS as TABLE

load_all()
REPLACED = sorted(set(TABLE) & set(KERNELS))
WAITING = {  # what sizes or a refusal depend on, and what is picked by flags
    "class_nms": {"index"},
    "gather.backward": {"index", "item"},
    "gather.forward": {"index", "item"},
    "lattice_index": {"to_host", "unique"},
    "lattice_neighbourhood": {"to_host"},
    "max_unpool2d.forward": {"item"},
    "mean_field.backward": {"to_host", "unique"},  # while the filters are made
    "mean_field.forward": {"to_host", "unique"},
    "nms": {"index"},
    "nms_from_iou": {"index"},
    "roi_align.backward": {"item"},
    "roi_align.forward": {"item"},
    "soft_nms": {"item"},
}
LARGEST = 4096  # elements of all inputs


@pytest.fixture(autouse=True)
def strict_device(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put strict arrays in the place of the device's, also in the tables that functions keep."""
    forget_tables()
    monkeypatch.setattr(CupyLike, "waits", [])
    monkeypatch.setattr(device, "_array_to_device", cupy_like.to_device)
    monkeypatch.setattr(device, "_array_to_host", cupy_like.to_host)
    monkeypatch.setattr(device, "_argument", cupy_like.argument)
    yield
    forget_tables()


def forget_tables() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("refdet_numba.gpu"):
            for function in vars(module).values():
                if hasattr(function, "cache_clear"):
                    function.cache_clear()


def few_cases(kernel: str) -> list[Case]:
    """Return the smallest golden case of each combination of kinds of options, one without numbers, a random one."""
    module = cases_of(kernel)
    smallest: dict[str, tuple[int, Case]] = {}
    empty: list[Case] = []
    for case in module.cases():
        size = sum(x.size for x in case.arguments(module.ALGORITHM).values() if x is not None)
        if size == 0:
            empty.append(case)
        options = str({name: kind_of(value) for name, value in case.params.items()})
        if 0 < size < smallest.get(options, (LARGEST, case))[0]:
            smallest[options] = (size, case)
    return [*(case for _, case in smallest.values()), *empty[:1], module.random_case(np.random.default_rng(0))]


def kind_of(option: Any) -> Any:
    """Return names and flags as they are, of all else only what it is."""
    if isinstance(option, (tuple, list)):
        return [kind_of(part) for part in option]
    if hasattr(option, "dtype"):
        return option.dtype.kind
    return option if isinstance(option, (str, bool)) else type(option).__name__


@pytest.mark.filterwarnings("ignore:(invalid value|overflow) encountered:RuntimeWarning")
@pytest.mark.parametrize("kernel", REPLACED)
def test_nothing_passes_through_the_host_unseen(kernel: str) -> None:
    waited: list[str] = []

    def on_the_device(*arguments: Any, **params: Any) -> Any:
        arguments, params = device.to_device(arguments), device.to_device(params)
        CupyLike.waits.clear()
        answer = TABLE[kernel](*arguments, **params)
        waited.extend(CupyLike.waits)
        assert_on_device(answer)
        return device.to_host(answer)

    before = ROUND_TRIPS.copy()
    assert_parity(on_the_device, kernel, few_cases(kernel), layout="fortran")
    assert not ROUND_TRIPS - before
    assert set(waited) == WAITING.get(kernel, set())


def assert_on_device(answer: Any) -> None:
    if isinstance(answer, tuple):
        for part in answer:
            assert_on_device(part)
    else:
        assert answer is None or isinstance(answer, CupyLike)
