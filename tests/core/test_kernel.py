"""The seam: names, checks, backends, fallbacks, round trips."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from refdet.core.kernel import KERNELS, ROUND_TRIPS, Backend, active_backend, find_backend, kernel, use_backend


def _check_positive(x: float) -> None:
    if x < 0:
        raise ValueError(f"halve: x must be positive, got {x}")


@pytest.fixture
def halve() -> Iterator[Any]:
    """A kernel of the test's own, gone afterwards."""

    @kernel("halve", check=_check_positive)
    def halve(x: float) -> float:
        """Return x / 2."""
        return x / 2

    yield halve
    del KERNELS["halve"]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Pretend that backends are installed."""

    class Entry:
        def __init__(self, name: str, kernels: dict[str, Any] | None) -> None:
            self.name, self.kernels = name, kernels

        def load(self) -> dict[str, Any]:
            if self.kernels is None:
                raise ModuleNotFoundError("No module named 'numba'")
            return self.kernels

    entries: list[Entry] = []
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: entries)
    find_backend.cache_clear()
    yield lambda name, kernels: entries.append(Entry(name, kernels))
    find_backend.cache_clear()


def test_reference_runs_by_default(halve: Any) -> None:
    assert halve(3.0) == 1.5
    assert active_backend().name == "reference"
    assert (halve.__name__, halve.__doc__) == ("halve", "Return x / 2.")


def test_duplicate_name_raises(halve: Any) -> None:
    with pytest.raises(ValueError, match=r"kernel 'halve' is already defined in tests.core.test_kernel"):
        kernel("halve", check=_check_positive)(lambda x: x)


def test_backend_replaces_the_body_and_not_the_check(halve: Any, install: Any) -> None:
    install("other", {"halve": lambda x: -1.0})
    with use_backend("other"):
        assert halve(3.0) == -1.0
        with pytest.raises(ValueError, match=r"halve: x must be positive"):
            halve(-3.0)
        with use_backend("reference"):
            assert halve(3.0) == 1.5
        assert halve(3.0) == -1.0
    assert halve(3.0) == 1.5


def test_missing_kernel_falls_back_or_refuses(halve: Any, install: Any) -> None:
    install("empty", {})
    with use_backend("empty"):
        assert halve(3.0) == 1.5
    with (
        use_backend("empty", fallback="error"),
        pytest.raises(NotImplementedError, match="'empty' has no kernel 'halve'"),
    ):
        halve(3.0)


def test_unknown_backend_is_named_with_the_installed_ones(install: Any) -> None:
    install("other", {})
    with pytest.raises(LookupError, match=r"no backend named 'fast'; installed: reference, other"), use_backend("fast"):
        pass
    with pytest.raises(ValueError, match="fallback must be 'reference' or 'error', got 'no'"):
        find_backend("other", "no")


def test_a_backend_whose_library_is_absent_says_so(install: Any) -> None:
    install("other", None)
    with pytest.raises(LookupError, match=r"backend 'other' does not load: No module named 'numba'$"):
        find_backend("other")


def test_environment_names_the_default(halve: Any, install: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    install("other", {"halve": lambda x: -1.0})
    monkeypatch.setenv("REFDET_BACKEND", "other")
    assert halve(3.0) == -1.0
    with use_backend("reference"):
        assert halve(3.0) == 1.5
    monkeypatch.setenv("REFDET_BACKEND", "")  # as good as none
    assert halve(3.0) == 1.5


@pytest.mark.parametrize("backend", [3, None, {"halve": abs}])
def test_a_backend_is_a_name_or_a_backend(backend: Any) -> None:
    with pytest.raises(TypeError, match="use_backend: backend must be a name or a Backend, got"), use_backend(backend):
        pass


class OnDevice:
    """A number of a device's own type."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __lt__(self, other: float) -> bool:
        return self.value < other


def _to_host(arguments: Any) -> Any:
    if isinstance(arguments, dict):
        return {name: _to_host(value) for name, value in arguments.items()}
    if isinstance(arguments, tuple):
        return tuple(_to_host(value) for value in arguments)
    return arguments.value if isinstance(arguments, OnDevice) else arguments


def test_round_trip_through_the_host_is_explicit_and_counted(halve: Any, install: Any) -> None:
    install("device", {"array.to_host": _to_host, "array.to_device": OnDevice})
    before = ROUND_TRIPS["halve"]
    with use_backend("device"):
        result = halve(OnDevice(3.0))
    assert isinstance(result, OnDevice)
    assert result.value == 1.5
    assert ROUND_TRIPS["halve"] == before + 1
    del ROUND_TRIPS["halve"]


def test_portable_kernel_makes_no_round_trip(install: Any) -> None:
    @kernel("twice", check=lambda x: None, portable=True)
    def twice(x: Any) -> Any:
        return x

    install("device", {"array.to_host": _to_host, "array.to_device": OnDevice})
    there = OnDevice(1.0)
    with use_backend("device"):
        assert twice(there) is there
    assert ROUND_TRIPS["twice"] == 0
    del KERNELS["twice"]


def test_backend_of_another_thread_is_its_own(halve: Any, install: Any) -> None:
    from threading import Thread

    install("other", {"halve": lambda x: -1.0})
    seen: list[float] = []
    with use_backend("other"):
        thread = Thread(target=lambda: seen.append(halve(3.0)))
        thread.start()
        thread.join()
    assert seen == [1.5]


def test_every_kernel_keeps_its_arguments(halve: Any) -> None:
    x = np.array([1.0, 2.0])
    KERNELS["exp.forward"](x, keep_residual=False)
    np.testing.assert_array_equal(x, [1, 2])
    assert isinstance(find_backend("reference"), Backend)
