"""What `refdet explain` prints: of algorithms, of a function or class, of a module, of a package."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

from refdet.cli.messages import console
from refdet.cli.signature import attribute_of, call_of

if TYPE_CHECKING:
    from refdet.verify.catalogue import Entry


def print_algorithms(entries: Sequence[Entry]) -> None:
    """Print the header of the file, and of each algorithm how to call it, its kernels and its golden cases."""
    from refdet.verify.suite import load_suite

    for i, entry in enumerate(entries):
        print_rule(f"{entry.name}: {entry.source_file}, line {entry.first_line}")
        if i == 0:
            print_text(inspect.getdoc(entry.module) or "")
        if entry.op is not None:
            print_rule(f"how to call {entry.op.name}")
            _print_call(entry.op.function)
        print_rule("kernels")
        _print_kernels(entry)
        cases = [case for case in load_suite().manifest["cases"] if case["algorithm"] == entry.name]
        print_rule(f"{len(cases)} golden cases")
        _print_cases(cases)


def print_offered(full_name: str, offered: Callable[..., Any]) -> None:
    """Print what is no algorithm of the catalogue but built from those: selective_search, DenseCRF."""
    module = inspect.getmodule(offered)
    line = inspect.getsourcelines(offered)[1]
    print_rule(f"{offered.__name__}: {file_of(offered.__module__)}, line {line}")
    print_text(inspect.getdoc(module) or "")
    _print_function_or_class(full_name, offered)


def print_module(module: ModuleType) -> None:
    """Print the header of a file, and all functions and classes that are public in it."""
    from refdet.verify.catalogue import public_objects

    offered = {thing: full_name for full_name, thing in public_objects().values()}
    print_rule(file_of(module.__name__))
    print_text(inspect.getdoc(module) or "")
    for name, thing in public_members(module).items():
        _print_function_or_class(offered.get(thing, f"{module.__name__}.{name}"), thing)


def print_package(package: ModuleType) -> None:
    """Print what a package says of itself, and the first line of everything that it offers, and of its packages."""
    from refdet.verify.catalogue import public_packages

    print_rule(f"{package.__name__}: {file_of(f'{package.__name__}.__init__')}")
    print_text(inspect.getdoc(package) or "")
    print_rule(f"what {package.__name__} offers")
    for name in sorted(package.__all__, key=str.lower):
        print_text(f"{name}{_in_a_line(getattr(package, name))}")
    inner = [found for found in public_packages() if found.__name__.rpartition(".")[0] == package.__name__]
    if inner:
        print_rule(f"packages in {package.__name__}; `refdet explain NAME` says what each offers")
    for found in inner:
        print_text(f"{found.__name__}{_in_a_line(found)}")


def public_members(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """Return the public functions and classes that a module itself defines, in its order."""
    return {
        name: thing
        for name, thing in vars(module).items()
        if (inspect.isfunction(thing) or inspect.isclass(thing))
        and thing.__module__ == module.__name__
        and not name.startswith("_")
    }


def file_of(module_name: str) -> str:
    """Return the path of a module inside the source tree."""
    return f"{module_name.replace('.', '/')}.py"


def print_rule(title: str) -> None:
    """Print a line with a title."""
    from rich.rule import Rule

    console.print(Rule(title, align="left"))


def print_text(text: str) -> None:
    """Print text as it is written."""
    console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)


def print_code(module: ModuleType) -> None:
    """Print the source of a module."""
    from rich.syntax import Syntax

    print_rule(file_of(module.__name__))
    console.print(Syntax(inspect.getsource(module), "python", background_color="default"))


def _print_function_or_class(full_name: str, thing: Callable[..., Any]) -> None:
    print_rule(f"how to call {full_name}")
    _print_call(thing)
    if inspect.isclass(thing):
        _print_methods(thing)


def _print_call(called: Callable[..., Any]) -> None:
    print_text(f"{call_of(called)}\n")
    print_text(inspect.getdoc(called) or "")


def _print_methods(owner: type) -> None:
    """Print the public methods and properties that a class defines, and the names of those that it inherits."""
    known = set()
    for name in _public_methods(owner):
        known.add(name)
        print_rule(f"{owner.__name__}.{name}")
        _print_method(owner, name)
    for base in owner.__mro__[1:]:
        inherited = [name for name in _public_methods(base) if name not in known]
        known.update(inherited)
        if inherited and base.__module__.startswith("refdet."):
            print_rule(f"inherited from {base.__name__}")
            print_text(", ".join(inherited))


def _public_methods(owner: type) -> Iterator[str]:
    for name, member in vars(owner).items():
        is_method = inspect.isfunction(member) or isinstance(member, classmethod | staticmethod)
        is_property = isinstance(member, property | cached_property)
        if (is_method or is_property) and (name == "__call__" or not name.startswith("_")):
            yield name


def _print_method(owner: type, name: str) -> None:
    method = getattr(owner, name)
    if inspect.isroutine(method):
        _print_call(method)
    else:
        print_text(f"{attribute_of(owner, name)}\n")
        print_text(inspect.getdoc(method) or "")


def _in_a_line(offered: Any) -> str:
    """Return the first line of what a function, a class or a module says of itself; of a constant, its value."""
    if inspect.isroutine(offered) or inspect.isclass(offered) or inspect.ismodule(offered):
        return f": {(inspect.getdoc(offered) or '').partition(chr(10))[0]}"
    return f" = {textwrap.shorten(repr(offered), 100)}"


def _print_kernels(entry: Entry) -> None:
    from refdet.verify.catalogue import backends

    for kernel in entry.kernels:
        where = [name for name, table in backends().items() if not isinstance(table, str) and kernel.name in table]
        notes = (["portable"] if kernel.portable else []) + [f"replaced by {name}" for name in where]
        print_text(f"{kernel.name}{' (' + ', '.join(notes) + ')' if notes else ''}: {inspect.getdoc(kernel) or ''}")


def _print_cases(cases: Sequence[Mapping[str, Any]]) -> None:
    for case in cases:
        kinds = ", ".join(sorted({rule["kind"] for rule in case["compare"].values()}))
        status = "" if case["status"] == "required" else f", {case['status']}: {case['status_reason']}"
        print_text(f"{case['id']} ({kinds}{status})")
        print_text(f"    {case['why']}")
