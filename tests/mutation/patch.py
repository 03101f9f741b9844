"""A mutant put into the running program, and taken out again.

The code of every live function that comes from the mutated part of the file is exchanged, so that whoever holds the
function, a kernel or another module, runs the mutant. A module-level constant is bound again wherever it was imported.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from tests.mutation.mutants import Mutant


@dataclass
class LiveFile:
    """What a running program has of one source file."""

    module: ModuleType
    code: CodeType  # of the module, compiled from the source as it is
    functions: list[FunctionType] = field(default_factory=list)


def live_files(root: Path) -> dict[str, LiveFile]:
    """Return the imported modules below `root`, by their path relative to it, with their functions."""
    files = {}
    for module in list(sys.modules.values()):
        path = Path(getattr(module, "__file__", None) or "/")
        if path.suffix == ".py" and path.is_relative_to(root):
            code = compile(path.read_text(encoding="utf-8"), str(path), "exec", dont_inherit=True)
            files[path.relative_to(root).as_posix()] = LiveFile(module, code)
    by_name = {live.module.__file__: live for live in files.values()}
    for found in _all_objects():
        if isinstance(found, FunctionType) and found.__code__.co_filename in by_name:
            by_name[found.__code__.co_filename].functions.append(found)
    return files


def _all_objects() -> list[object]:
    """Return all that the garbage collector knows, with what was frozen, as this suite's modules are."""
    was_frozen = gc.get_freeze_count() > 0
    gc.unfreeze()
    found = gc.get_objects()
    if was_frozen:
        gc.freeze()
    return found


@dataclass(frozen=True)
class Patch:
    """What to exchange; nothing, where no live function holds the mutated code."""

    codes: list[tuple[FunctionType, CodeType]]
    bindings: list[tuple[dict[str, Any], str, Any]]

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Run the mutant inside a `with` block."""
        originals = [(f, f.__code__) for f, _ in self.codes]
        bound = [(namespace, name, namespace[name]) for namespace, name, _ in self.bindings]
        try:
            for f, code in self.codes:
                f.__code__ = code
            for namespace, name, value in self.bindings:
                namespace[name] = value
            yield
        finally:
            for f, code in originals:
                f.__code__ = code
            for namespace, name, value in bound:
                namespace[name] = value


NO_PATCH = Patch([], [])


def patch_of(mutant: Mutant, files: dict[str, LiveFile]) -> Patch:
    """Return what to exchange for a mutant."""
    live = files[mutant.file]
    if mutant.constant:
        return Patch([], _bindings(mutant, live, files))
    codes = []
    for original, changed in _differing(live.code, mutant.code):
        for f in live.functions:
            if f.__code__ == original and len(f.__code__.co_freevars) == len(changed.co_freevars):
                codes.append((f, changed))
    return Patch(codes, [])


def _differing(original: CodeType, changed: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """Yield the pairs of corresponding code objects inside two that differ."""
    ours, theirs = ([c for c in code.co_consts if isinstance(c, CodeType)] for code in (original, changed))
    if changed.co_name == "<module>":  # it holds one of the original's functions or classes
        ours = [c for c in ours if (c.co_name, c.co_firstlineno) in {(t.co_name, t.co_firstlineno) for t in theirs}]
    if [c.co_name for c in ours] != [c.co_name for c in theirs]:
        return
    for one, other in zip(ours, theirs, strict=True):
        if one != other:
            yield one, other
            yield from _differing(one, other)


def _bindings(mutant: Mutant, live: LiveFile, files: dict[str, LiveFile]) -> list[tuple[dict[str, Any], str, Any]]:
    """Return the namespaces that hold a constant, with its mutated value; none where that cannot be computed."""
    name = mutant.function
    namespace = dict(vars(live.module))
    original = namespace[name]
    try:
        exec(_statement(mutant, name), namespace)
    except Exception:
        return []
    return [
        (vars(f.module), name, namespace[name]) for f in files.values() if vars(f.module).get(name, _ABSENT) is original
    ]


_ABSENT = object()


@functools.cache
def _statement(mutant: Mutant, name: str) -> CodeType:
    return compile(mutant.after, mutant.file, "exec", dont_inherit=True)
