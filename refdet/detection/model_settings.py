"""The settings of a model, frozen dataclasses inside dataclasses, as what JSON can hold, and back.

Every field is written, also one that has its default, so that a model stays what it is when a default changes. Read
back, a field that is missing has its default; a name that the settings do not have is refused.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any


def plain_settings(settings: Any) -> Any:
    """Return dataclasses as dicts and tuples as lists, whatever is inside.

    >>> from refdet.detection.preparation import Preparation
    >>> plain_settings(Preparation())["mean"]
    [127.5, 127.5, 127.5]
    """
    if dataclasses.is_dataclass(settings) and not isinstance(settings, type):
        return {field.name: plain_settings(getattr(settings, field.name)) for field in dataclasses.fields(settings)}
    if isinstance(settings, Mapping):
        return {str(name): plain_settings(value) for name, value in settings.items()}
    if isinstance(settings, (tuple, list)):
        return [plain_settings(value) for value in settings]
    if settings is None or isinstance(settings, (bool, int, float, str)):
        return settings
    raise TypeError(f"plain_settings: a model's settings must be numbers, texts and tuples, got {settings!r}")


def settings_from_plain(kind: Any, plain: Any) -> Any:
    """Return what `plain_settings` was given, which was of this type.

    >>> from refdet.detection.preparation import Preparation
    >>> settings_from_plain(Preparation, {"order": "BGR"}).order
    'BGR'
    """
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind, plain)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        chosen = [one for one in arguments if _fits(one, plain)]
        if not chosen:
            raise ValueError(f"settings_from_plain: expected {kind}, got {plain!r}")
        return settings_from_plain(chosen[0], plain)
    if origin is tuple and isinstance(plain, (list, tuple)):
        kinds = [arguments[0]] * len(plain) if arguments[1:] == (...,) else list(arguments)
        if len(kinds) != len(plain):
            raise ValueError(f"settings_from_plain: expected {len(kinds)} values, got {plain!r}")
        return tuple(settings_from_plain(one, value) for one, value in zip(kinds, plain, strict=True))
    if not _fits(kind, plain):
        raise ValueError(f"settings_from_plain: expected {getattr(kind, '__name__', kind)}, got {plain!r}")
    if kind is float:
        return float(plain)
    return tuple(plain) if isinstance(plain, list) else plain


def _dataclass(kind: type[Any], plain: Any) -> Any:
    if not isinstance(plain, Mapping):
        raise ValueError(f"settings_from_plain: {kind.__name__} must be made of named values, got {plain!r}")
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    unknown = [name for name in plain if name not in names]
    if unknown:
        raise ValueError(f"settings_from_plain: {kind.__name__} has no {unknown[0]}; it has {', '.join(names)}")
    for name, value in plain.items():
        if typing.get_origin(hints[name]) is tuple and not isinstance(value, (list, tuple)):
            raise ValueError(f"settings_from_plain: {name} of {kind.__name__} must be a list, got {value!r}")
    return kind(**{name: settings_from_plain(hints[name], value) for name, value in plain.items()})


def _fits(kind: Any, plain: Any) -> bool:
    """Say whether a value may have been of this type before."""
    if typing.get_origin(kind) is typing.Literal:
        return plain in typing.get_args(kind)
    kind = typing.get_origin(kind) or kind
    if kind is float:
        return isinstance(plain, (int, float)) and not isinstance(plain, bool)
    if kind is int:
        return isinstance(plain, int) and not isinstance(plain, bool)
    if kind in (str, bool):
        return isinstance(plain, kind)
    if kind in (None, type(None)):
        return plain is None
    if dataclasses.is_dataclass(kind) or kind is dict:
        return isinstance(plain, Mapping)
    return not isinstance(plain, Mapping)  # tuples and sequences, and what has no type
