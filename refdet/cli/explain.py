"""`refdet explain`: how an algorithm, a function, a class, a module or a package is defined, and how to call it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

import refdet
from refdet.cli.deviation_texts import known_deviations, print_deviation, print_deviations_of, unknown_value
from refdet.cli.explanations import (
    print_algorithms,
    print_code,
    print_module,
    print_offered,
    print_package,
    print_rule,
    print_text,
)
from refdet.cli.messages import UsageProblem, on_a_line, unknown

if TYPE_CHECKING:
    from refdet.verify.catalogue import Entry


def explain(
    name: Annotated[
        str,
        typer.Argument(
            help="An algorithm, kernel, function, class, file, package or deviation: nms, conv2d.backward, "
            "evaluate_voc, DenseCRF, anchors, refdet/crf/dense.py, segmentation, nms.cmp=ge."
        ),
    ],
    code: Annotated[bool, typer.Option("--code", help="Print the source as well.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Draw it as well, into this .png, .svg or .pdf.")] = None,
) -> None:
    """Explain one algorithm: equation, conventions, how to call it, its golden cases, and how others deviate.

    Of a function or a class: how to call it, and its methods. Of a file: all that are in it. Of a package: its names.
    Of a deviation that `refdet verify` named: who does it, what it does to answers, and what to change.

    Examples:

        refdet explain max_pool2d

        refdet explain max_pool2d --code

        refdet explain nms --picture nms.png

        refdet explain nms.cmp=ge

        refdet explain DenseCRF

        refdet explain crf
    """
    explanation = _explanation_of(name)
    if picture is not None:
        _draw(explanation.subject, picture)
    explanation.show()
    if code:
        for module in explanation.modules:
            print_code(module)
    if picture is not None:
        print_rule("picture")
        print_text(f"written to {on_a_line(picture)}")


@dataclass(frozen=True)
class Explanation:
    """What there is to print of a name."""

    subject: str  # what a picture would be of
    modules: tuple[ModuleType, ...]  # whose source is the code
    show: Callable[[], None]


def _explanation_of(name: str) -> Explanation:
    """Return the explanation of the first kind of thing that has this name."""
    dotted = _dotted(name)
    for find in FINDERS:
        if (explanation := find(dotted)) is not None:
            return explanation
    if name in known_deviations():
        return Explanation(name, (), partial(print_deviation, name))
    if (problem := unknown_value(name)) is not None:
        raise problem
    raise unknown("algorithm", name, _known_names())


def _dotted(name: str) -> str:
    """Return a name as Python has it: refdet.crf.dense for refdet/crf/dense.py, refdet.crf for ./refdet/crf/."""
    path = name.removesuffix(".py").removeprefix("./").removesuffix("/")
    return path.replace("/", ".").removesuffix(".__init__")


def _is_called(name: str, full_names: Iterable[str]) -> bool:
    """Whether a name is one of the full names, or the end of one: crf.dense or dense for refdet.crf.dense."""
    return any(f".{full_name}".endswith(f".{name}") for full_name in full_names)


def _find_algorithm(name: str) -> Explanation | None:
    from refdet.verify.catalogue import algorithm_of, catalogue

    called = [entry for entry in catalogue().values() if _is_called(algorithm_of(name), _full_names(entry))]
    return _of_algorithms(called[:1])


def _full_names(entry: Entry) -> Iterable[str]:
    """Yield the names of an algorithm: in its module, in its package, and as a user imports it."""
    module = entry.module.__name__
    yield f"{module}.{entry.name}"
    yield f"{module.rpartition('.')[0]}.{entry.name}"
    if entry.op is not None and entry.op.function.__name__ == entry.name:  # not that of an algorithm it runs
        yield entry.op.name


def _find_function_or_class(name: str) -> Explanation | None:
    from refdet.verify.catalogue import public_objects

    for full_name, thing in public_objects().values():
        if _is_called(name, (full_name, f"{thing.__module__}.{thing.__name__}")):
            return _of_offered(full_name, thing)
    return None


def _find_package(name: str) -> Explanation | None:
    from refdet.verify.catalogue import public_packages

    for package in (refdet, *public_packages()):
        if _is_called(name, [package.__name__]):
            return Explanation(package.__name__, (package,), partial(print_package, package))
    return None


def _find_file_of_algorithms(name: str) -> Explanation | None:
    from refdet.verify.catalogue import catalogue

    return _of_algorithms([entry for entry in catalogue().values() if _is_called(name, [entry.module.__name__])])


def _find_modules(name: str) -> Explanation | None:
    """Explain all modules of that name: there is a `coco` that measures, and one that reads files."""
    from refdet.verify.catalogue import public_modules

    called = tuple(module for module in public_modules() if _is_called(name, [module.__name__]))

    def show() -> None:
        for module in called:
            print_module(module)

    return Explanation(name, called, show) if called else None


def _find_beginning(name: str) -> Explanation | None:
    """Explain the only function whose name begins with this one: permutohedral_filter for permutohedral."""
    from refdet.verify.catalogue import public_functions

    beginning = [found for function, found in public_functions().items() if function.startswith(f"{name}_")]
    return _of_offered(*beginning[0]) if len(beginning) == 1 else None


def _find_class_in_any_case(name: str) -> Explanation | None:
    from refdet.verify.catalogue import public_classes

    for full_name, found in public_classes().values():
        if _is_called(name.lower(), [full_name.lower()]):
            return _of_offered(full_name, found)
    return None


# A package comes before the file of the same name, refdet.segmentation before refdet.metrics.segmentation: the file has
# a longer name by which to ask for it, the package has none.
FINDERS: tuple[Callable[[str], Explanation | None], ...] = (
    _find_algorithm,
    _find_function_or_class,
    _find_package,
    _find_file_of_algorithms,
    _find_modules,
    _find_beginning,
    _find_class_in_any_case,
)


def _of_algorithms(entries: list[Entry]) -> Explanation | None:
    """Return the explanation of algorithms that are in one file; its picture is that of the first."""
    if not entries:
        return None

    def show() -> None:
        print_algorithms(entries)
        for entry in entries:
            print_deviations_of(entry.name)

    return Explanation(entries[0].name, (entries[0].module,), show)


def _of_offered(full_name: str, thing: Callable[..., Any]) -> Explanation:
    return Explanation(thing.__name__, (sys.modules[thing.__module__],), partial(print_offered, full_name, thing))


def _known_names() -> set[str]:
    from refdet.verify.catalogue import catalogue, public_modules, public_objects, public_packages

    files = (module.__name__.rpartition(".")[2] for module in (*public_modules(), *public_packages()))
    return {*catalogue(), *public_objects(), *files, *known_deviations(), refdet.__name__}


def _draw(subject: str, path: Path) -> None:
    from refdet.pictures.algorithms import PictureError, write_picture

    try:
        write_picture(subject, path)
    except PictureError as problem:
        raise UsageProblem(f"--picture: {problem}") from None
