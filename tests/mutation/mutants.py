"""All mutants of a file, by name.

A mutant's id is `file:function:error#k`, the k-th error of its kind in that function: it keeps its name when lines are
added elsewhere. Mutated are the bodies of functions and methods and the numbers in module-level assignments. Left out
are decorators, default values, annotations, docstrings, `raise` statements, the conditions that guard nothing but a
`raise`, messages, and how floating-point warnings are treated.
"""

from __future__ import annotations

import ast
import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

from tests.mutation.operators import deletions, replacements

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Mutant:
    """One error in one place."""

    id: str
    file: str  # relative to the package `refdet`
    function: str  # qualified name, or the name of a module-level constant
    constant: bool  # whether it is one
    first_line: int  # of the statement
    last_line: int
    before: str  # the statement,
    after: str  # and what it becomes
    code: CodeType  # of a module with nothing but the function or constant with the error


@dataclass(frozen=True)
class _Site:
    """A place in the tree, and what may come there."""

    parent: ast.AST
    field: str
    index: int | None
    label: str
    node: ast.AST
    statement: ast.stmt
    function: str
    constant: bool = False


def mutants_of(path: Path, root: Path) -> list[Mutant]:
    """Return the mutants of the file at `path`; those that compile to the original's code are not among them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    file = path.relative_to(root).as_posix()
    counts: Counter[str] = Counter()
    found = []
    for part, sites in _parts(tree):
        seen = {_compiled(part, path)}
        for site in sites:
            name = f"{file}:{site.function}:{site.label}"
            counts[name] += 1
            before = _text(site.statement)
            with _replaced(site):
                after = _text(site.node if isinstance(site.node, ast.stmt) else site.statement)
                code = _compiled(part, path)
            if code not in seen:
                seen.add(code)
                lines = _lines(site.statement)
                mutant_id = f"{name}#{counts[name]}"
                found.append(Mutant(mutant_id, file, site.function, site.constant, *lines, before, after, code))
    return found


def _compiled(part: ast.stmt, path: Path) -> CodeType:
    """Compile one statement of a module as if it stood alone; it keeps its line numbers."""
    future = ast.ImportFrom("__future__", [ast.alias("annotations")], 0)
    module = ast.Module([ast.copy_location(future, part), part], [])
    return compile(ast.fix_missing_locations(module), str(path), "exec", dont_inherit=True)


class _replaced:  # noqa: N801  reads as a word
    """The tree with one node replaced, inside a `with` block."""

    def __init__(self, site: _Site) -> None:
        self.site = site

    def __enter__(self) -> None:
        self.original = self._swap(self.site.node)

    def __exit__(self, *_: object) -> None:
        self._swap(self.original)

    def _swap(self, node: ast.AST) -> ast.AST:
        site = self.site
        if site.index is None:
            old: ast.AST = getattr(site.parent, site.field)
            setattr(site.parent, site.field, node)
        else:
            siblings = getattr(site.parent, site.field)
            old, siblings[site.index] = siblings[site.index], node
        return old


def _parts(tree: ast.Module) -> Iterator[tuple[ast.stmt, list[_Site]]]:
    """Yield the statements of a module, each with the places in it."""
    for statement in tree.body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield statement, list(_function_sites(statement, statement.name))
        elif isinstance(statement, ast.ClassDef):
            methods = [m for m in statement.body if isinstance(m, (ast.FunctionDef, ast.AsyncFunctionDef))]
            yield statement, [s for m in methods for s in _function_sites(m, f"{statement.name}.{m.name}")]
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            if isinstance(target, ast.Name) and target.id != "__all__" and not _makes_functions(statement.value):
                sites = _expression_sites(statement, "value", None, statement.value, statement, target.id)
                yield statement, [dataclasses.replace(site, constant=True) for site in sites]


def _makes_functions(value: ast.AST) -> bool:
    """Whether the value of a module-level assignment is not data."""
    return any(isinstance(n, ast.Call) and getattr(n.func, "id", "") == "differentiable" for n in ast.walk(value))


def _function_sites(function: Function, name: str) -> Iterator[_Site]:
    if function.name.lstrip("_").startswith("check"):
        return
    yield from _block_sites(function, "body", name)


def _block_sites(parent: ast.AST, field: str, function: str) -> Iterator[_Site]:
    for i, statement in enumerate(getattr(parent, field, [])):
        if isinstance(statement, (ast.Raise, ast.Assert, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal)):
            continue
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _block_sites(statement, "body", function)
            continue
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue  # a docstring
        guards = isinstance(statement, ast.If) and all(isinstance(s, ast.Raise) for s in statement.body)
        if not guards:
            for label, node in (*deletions(statement), *replacements(statement)):
                yield _Site(parent, field, i, label, node, statement, function)
            for name, value in ast.iter_fields(statement):
                if name not in ("body", "orelse", "finalbody", "handlers", "annotation"):
                    yield from _children(statement, name, value, statement, function)
        for block in ("body", "orelse", "finalbody"):
            yield from _block_sites(statement, block, function)
        for handler in getattr(statement, "handlers", []):
            yield from _block_sites(handler, "body", function)


def _children(parent: ast.AST, field: str, value: object, statement: ast.stmt, function: str) -> Iterator[_Site]:
    if isinstance(value, ast.AST):
        yield from _expression_sites(parent, field, None, value, statement, function)
    elif isinstance(value, list):
        for i, child in enumerate(value):
            if isinstance(child, ast.AST):
                yield from _expression_sites(parent, field, i, child, statement, function)


def _expression_sites(
    parent: ast.AST, field: str, index: int | None, node: ast.AST, statement: ast.stmt, function: str
) -> Iterator[_Site]:
    if isinstance(node, ast.JoinedStr) or _is_left_out(node):
        return
    keyword = parent.arg or "" if isinstance(parent, ast.keyword) else ""
    for label, replacement in replacements(node, keyword):
        yield _Site(parent, field, index, label, replacement, statement, function)
    for name, value in ast.iter_fields(node):
        if isinstance(node, ast.Call) and name == "func" and isinstance(value, ast.Name):
            continue
        yield from _children(node, name, value, statement, function)


def _is_left_out(node: ast.AST) -> bool:
    """Whether the node says how, not what: the treatment of warnings, a cast for the type checker."""
    if isinstance(node, ast.withitem):
        return _is_left_out(node.context_expr)
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in ("errstate", "cast")


def _lines(statement: ast.stmt) -> tuple[int, int]:
    """Return the lines of a statement; of a compound one, those of its header."""
    body = getattr(statement, "body", None)
    last = body[0].lineno - 1 if isinstance(body, list) and body else statement.end_lineno or statement.lineno
    return statement.lineno, max(last, statement.lineno)


def _text(statement: ast.AST) -> str:
    """Return a statement as source; of a compound one, its first line."""
    text = ast.unparse(statement)
    return text.split("\n", 1)[0] if getattr(statement, "body", None) else " ".join(text.split())
