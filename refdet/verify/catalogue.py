"""The walk over the kernels: which algorithms exist, and where everything that belongs to each of them is.

`refdet list`, `refdet explain` and `tests/test_catalogue.py` all ask here, so that none of them keeps a list of its
own.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from refdet.core.kernel import KERNELS, Kernel, find_backend
from refdet.verify.suite import package_root

# Where kernels and the functions around them live, besides refdet.core.
PACKAGES = (
    "refdet.ops",
    "refdet.boxes",
    "refdet.masks",
    "refdet.metrics",
    "refdet.features",
    "refdet.proposals",
    "refdet.crf",
    "refdet.detection",
    "refdet.segmentation",
)

# What else a user imports from.
PACKAGES_WITHOUT_KERNELS = ("refdet.data", "refdet.nn", "refdet.nn.checkpoint")

# Algorithms that another algorithm's function runs, depending on its arguments.
RUN_BY = {"gather": "index"}


@dataclass(frozen=True)
class PublicOp:
    """What a user calls."""

    name: str  # to import it by
    function: Callable[..., Any]


@dataclass(frozen=True)
class Entry:
    """One algorithm."""

    name: str
    kernels: tuple[Kernel[..., Any], ...]  # forward before backward
    module: ModuleType  # where the kernels are written
    op: PublicOp | None

    @property
    def portable(self) -> bool:
        """Whether every kernel runs on any array type."""
        return all(k.portable for k in self.kernels)

    @property
    def source_file(self) -> str:
        """The module's path inside the source tree."""
        return f"{self.module.__name__.replace('.', '/')}.py"

    @property
    def first_line(self) -> int:
        """The line where the forward kernel begins."""
        return inspect.getsourcelines(self.kernels[0].reference)[1]


def load_all() -> None:
    """Import every module that defines kernels."""
    import refdet.autograd  # noqa: F401  the arithmetic of core comes with it

    for package in PACKAGES:
        _submodules(package)


def catalogue() -> dict[str, Entry]:
    """Return every algorithm, by name, in alphabetical order."""
    load_all()
    kernels: dict[str, list[Kernel[..., Any]]] = {}
    for name, found in KERNELS.items():
        if found.reference.__module__.startswith("refdet."):
            kernels.setdefault(algorithm_of(name), []).append(found)
    functions = _public_functions()
    return {name: _entry(name, kernels[name], functions) for name in sorted(kernels)}


def algorithm_of(kernel_name: str) -> str:
    """Return the algorithm a kernel belongs to: its name up to the last `.forward` or `.backward`.

    >>> algorithm_of("conv2d.backward"), algorithm_of("nms")
    ('conv2d', 'nms')
    """
    return kernel_name.removesuffix(".forward").removesuffix(".backward")


def backends() -> dict[str, Mapping[str, Any] | str]:
    """Return the kernels of every installed backend by name, or the reason why it does not load."""
    found: dict[str, Mapping[str, Any] | str] = {}
    for name in sorted({entry.name for entry in entry_points(group="refdet.backends")}):
        try:
            found[name] = find_backend(name).kernels
        except Exception as error:  # whatever a third party's module raises while it is imported
            cause = error.__cause__ or error
            found[name] = str(cause) if type(cause) is ImportError else f"{type(cause).__name__}: {cause}"
    return found


def _entry(name: str, kernels: list[Kernel[..., Any]], functions: Mapping[str, Callable[..., Any]]) -> Entry:
    ordered = tuple(sorted(kernels, key=lambda k: k.name, reverse=True))  # forward before backward
    module = importlib.import_module(ordered[0].reference.__module__)
    return Entry(name, ordered, module, _public_op(name, functions))


def _public_op(name: str, functions: Mapping[str, Callable[..., Any]]) -> PublicOp | None:
    function = functions.get(RUN_BY.get(name, name))
    if function is None:
        return None
    return PublicOp(f"{function.__module__.rpartition('.')[0]}.{function.__name__}", function)


def _public_functions() -> dict[str, Callable[..., Any]]:
    """Return the public functions that the modules of `PACKAGES` define, by name."""
    return {
        name: function
        for package in PACKAGES
        for module in _submodules(package)
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
    }


def public_functions() -> dict[str, tuple[str, Callable[..., Any]]]:
    """Return the functions that the packages offer, by name: what to import each by, and itself."""
    return {name: found for name, found in public_objects().items() if inspect.isfunction(found[1])}


def public_classes() -> dict[str, tuple[str, type]]:
    """Return the classes that the packages offer, by name: what to import each by, and itself."""
    return {name: (full, cls) for name, (full, cls) in public_objects().items() if inspect.isclass(cls)}


def public_objects() -> dict[str, tuple[str, Callable[..., Any]]]:
    """Return the functions and classes that the packages offer, by name: what to import each by, and itself."""
    return {
        name: (f"{package.__name__}.{name}", offered)
        for package in public_packages()
        for name in package.__all__
        if inspect.isfunction(offered := getattr(package, name)) or inspect.isclass(offered)
    }


def public_packages() -> list[ModuleType]:
    """Return the packages that a user imports from."""
    return [importlib.import_module(name) for name in (*PACKAGES, *PACKAGES_WITHOUT_KERNELS)]


def public_modules() -> list[ModuleType]:
    """Return the files of those packages."""
    files = [module for package in public_packages() for module in _submodules(package.__name__)]
    return [module for module in files if not hasattr(module, "__path__")]


def _submodules(package_name: str) -> list[ModuleType]:
    folder = package_root().joinpath(*package_name.split(".")[1:])
    names = sorted(found.name for found in pkgutil.iter_modules([str(folder)]))
    return [importlib.import_module(f"{package_name}.{name}") for name in names]
