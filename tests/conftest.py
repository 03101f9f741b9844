"""Settings of the whole suite, and the oracles that must be there."""

from __future__ import annotations

import functools
import gc
import importlib.util
import os
import signal
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import typer.testing
from hypothesis import settings

from tests.groups import scheduler

if TYPE_CHECKING:
    from tests.mutation.examine import Laboratory

settings.register_profile("refdet", deadline=None, derandomize=True, max_examples=60, database=None)
settings.load_profile("refdet")

MODULE_OF = {"opencv": "cv2"}  # where a package's module has another name


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run without the oracles that REFDET_REQUIRE_ORACLES names: a skipped comparison proves nothing."""
    required = [name.strip() for name in os.environ.get("REFDET_REQUIRE_ORACLES", "").split(",") if name.strip()]
    absent = [name for name in required if importlib.util.find_spec(MODULE_OF.get(name, name)) is None]
    if absent:
        raise pytest.UsageError(f"REFDET_REQUIRE_ORACLES names oracles that are not installed: {', '.join(absent)}")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the twenty thousand tests out of the sight of the garbage collector, and let it look less often.

    Otherwise a full collection takes half a second. Compiling makes millions of objects, most of which stay: searched
    as often as usual, they cost a tenth of the time that it takes to compile them.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Have `--dist loadgroup` use the groups of tests/groups.py."""
    return scheduler(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.fixture(scope="session")
def laboratory() -> Laboratory:
    """Return the stored suite and all mutants, which takes half a minute: for all tests of the group "mutation"."""
    from tests.mutation.examine import Laboratory

    return Laboratory(n_draws=200)  # of the 2000 of the full run


@pytest.fixture(scope="session", autouse=True)
def _commands_are_built_once() -> None:
    """Have Typer's runner keep the command line of an application, which it would build anew for every call."""
    typer.testing._get_command = functools.cache(typer.testing._get_command)  # type: ignore[attr-defined]


@pytest.fixture
def usual_signals() -> Iterator[None]:
    """Heed both signals, whatever this process was started to ignore, as in the background of a script."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
