"""A signature as `refdet explain` prints it: one parameter a line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from inspect import Parameter, Signature
from typing import Any, ForwardRef

STARS: dict[Any, str] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}


def call_of(called: Callable[..., Any]) -> str:
    """Return how to call a function or a class; the fields of a dataclass or a named tuple are its parameters.

    >>> def scale(x: Array, factor: float = 2.0) -> Array: ...
    >>> print(call_of(scale))
    scale(
        x: Array,
        factor: float = 2.0,
    ) -> Array
    """
    signature = _signature_of(called)
    lines = [f"    {line}," for line in _parameters(signature)]
    returned = "" if inspect.isclass(called) else _annotation(" -> ", signature.return_annotation)
    opened, closed = f"{called.__name__}(", f"){returned}"
    return "\n".join([opened, *lines, closed]) if lines else opened + closed


def attribute_of(owner: type, name: str) -> str:
    """Return how to read a property."""
    getter = getattr(inspect.getattr_static(owner, name), "fget", None)
    return name + (_annotation(": ", inspect.signature(getter).return_annotation) if getter else "")


def _signature_of(called: Callable[..., Any]) -> Signature:
    """Return the signature; a typed dictionary has its keys, an exception any arguments."""
    try:
        return inspect.signature(called)
    except ValueError:  # the class is made by its base, which is written in C
        keys = called.__annotations__.items() if inspect.isclass(called) and issubclass(called, dict) else ()
        named = [Parameter(key, Parameter.KEYWORD_ONLY, annotation=annotation) for key, annotation in keys]
        return Signature(named or [Parameter("args", Parameter.VAR_POSITIONAL)])


def _parameters(signature: Signature) -> Iterator[str]:
    """Yield each parameter but `self`, and a star before the first that must be named."""
    must_be_named = False
    for parameter in signature.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is Parameter.KEYWORD_ONLY and not must_be_named:
            yield "*"
        must_be_named |= parameter.kind in (Parameter.KEYWORD_ONLY, Parameter.VAR_POSITIONAL)
        default = "" if parameter.default is Parameter.empty else f" = {_default(parameter.default)}"
        yield f"{STARS.get(parameter.kind, '')}{parameter.name}{_annotation(': ', parameter.annotation)}{default}"


def _annotation(before: str, annotation: Any) -> str:
    """Return an annotation as it is written in the source, or nothing where there is none."""
    if annotation is Parameter.empty:
        return ""
    if isinstance(annotation, ForwardRef):  # as named tuples keep them
        annotation = annotation.__forward_arg__
    return before + (annotation.__name__ if inspect.isclass(annotation) else str(annotation))


def _default(value: Any) -> str:
    """Return a default; of a function or a class, its name."""
    if inspect.isroutine(value) or inspect.isclass(value):
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value)
