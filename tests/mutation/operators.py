"""The errors: for a node of a syntax tree, what may stand in its place.

Each is one that people make: a comparison at its boundary or the wrong way round, an operator for its neighbour, a
constant or an index off by one, floor for ceil, one axis for the other, the least for the greatest, an unstable sort, a
sign or an absolute value forgotten, two coordinates exchanged, a condition that always or never holds, a statement left
out. None has to make sense: a mutant that changes no answer is not counted.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

Replacement = tuple[str, ast.AST]  # a short label, and the node that comes instead

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult, ast.Div),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.BitXor: (ast.BitAnd,),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
}
# Functions and methods that are taken for one another; `x.min` and `np.min` alike.
NEIGHBOURS = {
    "add": "subtract",
    "all": "any",
    "amax": "amin",
    "amin": "amax",
    "any": "all",
    "argmax": "argmin",
    "argmin": "argmax",
    "ceil": "floor",
    "divide": "multiply",
    "equal": "not_equal",
    "floor": "ceil",
    "floor_divide": "multiply",
    "greater": "greater_equal",
    "greater_equal": "greater",
    "less": "less_equal",
    "less_equal": "less",
    "logical_and": "logical_or",
    "logical_or": "logical_and",
    "max": "min",
    "maximum": "minimum",
    "mean": "sum",
    "min": "max",
    "minimum": "maximum",
    "multiply": "divide",
    "not_equal": "equal",
    "ones": "zeros",
    "ones_like": "zeros_like",
    "rint": "floor",
    "round": "floor",
    "subtract": "add",
    "sum": "mean",
    "trunc": "floor",
    "zeros": "ones",
    "zeros_like": "ones_like",
}
BUILT_IN_NEIGHBOURS = {"all": "any", "any": "all", "max": "min", "min": "max"}
# Functions that may be forgotten: their first argument comes instead.
FORGETTABLE = {"abs", "absolute", "clip", "copy", "cumsum", "diff", "exp", "fabs", "flip", "log", "reversed", "sort"}
FORGETTABLE |= {"sorted", "sqrt", "square", "ceil", "floor", "rint", "round", "trunc"}
INTEGER_RANGES = {"range", "arange"}
KEPT_KEYWORDS = {"casting", "copy", "dtype", "strict"}  # how, not what
SIDES = {"left": "right", "right": "left"}


def replacements(node: ast.AST, keyword: str = "") -> Iterator[Replacement]:
    """Yield what may stand in place of `node`, which may be the value of a `keyword` argument."""
    if isinstance(node, ast.Compare):
        yield from _comparisons(node)
    elif isinstance(node, ast.BinOp):
        yield from _operations(node)
    elif isinstance(node, ast.AugAssign):
        for operator in ARITHMETIC.get(type(node.op), ()):
            yield _label(node.op, operator) + "=", _with(node, op=operator())
    elif isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield _label(node.op, other), _with(node, op=other())
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.UAdd):
        yield f"no-{type(node.op).__name__}", node.operand
    elif isinstance(node, ast.Constant):
        yield from _constants(node, keyword)
    elif isinstance(node, ast.Call):
        yield from _calls(node)
    elif isinstance(node, ast.Slice):
        yield from _slices(node)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple) and len(node.slice.elts) == 2:
        yield "swap-index", _with(node, slice=_swapped(node.slice))
    yield from _conditions(node)


def deletions(statement: ast.stmt) -> Iterator[Replacement]:
    """Yield an empty statement where leaving `statement` out does not leave a name undefined."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
    again = isinstance(target, ast.Name) and any(
        isinstance(n, ast.Name) and n.id == target.id
        for n in ast.walk(statement.value)  # type: ignore[attr-defined]
    )
    left_out = isinstance(statement, (ast.AugAssign, ast.Break, ast.Continue)) or isinstance(target, ast.Subscript)
    left_out |= isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
    if left_out or again:
        yield "delete", ast.copy_location(ast.Pass(), statement)
    if isinstance(target, ast.Tuple) and len(target.elts) == 2 and isinstance(statement, ast.Assign):
        yield "swap-targets", _with(statement, targets=[_swapped(target)])


def _comparisons(node: ast.Compare) -> Iterator[Replacement]:
    for i, operator in enumerate(node.ops):
        for other in COMPARISONS[type(operator)]:
            yield _label(operator, other), _with(node, ops=[*node.ops[:i], other(), *node.ops[i + 1 :]])


def _operations(node: ast.BinOp) -> Iterator[Replacement]:
    for operator in ARITHMETIC.get(type(node.op), ()):
        yield _label(node.op, operator), _with(node, op=operator())
    if isinstance(node.op, (ast.FloorDiv, ast.MatMult)):
        if isinstance(node.op, ast.MatMult):
            yield "swap-operands", _with(node, left=node.right, right=node.left)
        else:  # rounded up: −(−a // b)
            minus = ast.copy_location(ast.UnaryOp(ast.USub(), node.left), node)
            rounded_up = ast.copy_location(ast.BinOp(minus, ast.FloorDiv(), node.right), node)
            yield "FloorDiv->CeilDiv", ast.copy_location(ast.UnaryOp(ast.USub(), rounded_up), node)


def _constants(node: ast.Constant, keyword: str) -> Iterator[Replacement]:
    value = node.value
    if keyword in KEPT_KEYWORDS or value is None:
        return
    if isinstance(value, bool):
        others: tuple[bool | float | str, ...] = (not value,)
    elif isinstance(value, int):
        others = ((1 - value,) if value in (0, 1) else (value + 1,)) if keyword == "axis" else (value + 1, value - 1)
    elif isinstance(value, float):
        others = (1.0,) if value == 0 else (2 * value, 0.0)
    elif keyword == "side" and value in SIDES:
        others = (SIDES[value],)
    else:
        return
    for other in others:
        yield f"{value}->{other}", ast.copy_location(ast.Constant(other), node)


def _calls(node: ast.Call) -> Iterator[Replacement]:
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    neighbours = NEIGHBOURS if isinstance(function, ast.Attribute) else BUILT_IN_NEIGHBOURS
    if name in neighbours and isinstance(function, ast.Attribute):
        yield f"{name}->{neighbours[name]}", _with(node, func=_with(function, attr=neighbours[name]))
    elif name in neighbours:
        yield f"{name}->{neighbours[name]}", _with(node, func=_with(function, id=neighbours[name]))
    if name in FORGETTABLE and len(node.args) >= 1:
        yield f"no-{name}", node.args[0]
    for i, keyword in enumerate(node.keywords):
        if keyword.arg in ("kind", "key", "reverse", "where", "initial", "keepdims"):
            yield f"no-{keyword.arg}", _with(node, keywords=node.keywords[:i] + node.keywords[i + 1 :])
    if name in INTEGER_RANGES:
        yield from _off_by_one(node, node.args)
    if name == "where" and len(node.args) == 3:
        yield "swap-where", _with(node, args=[node.args[0], node.args[2], node.args[1]])
    for i, argument in enumerate(node.args):
        if isinstance(argument, ast.Tuple) and len(argument.elts) == 2:
            yield "swap-tuple", _with(node, args=[*node.args[:i], _swapped(argument), *node.args[i + 1 :]])


def _off_by_one(node: ast.Call, arguments: list[ast.expr]) -> Iterator[Replacement]:
    for i, argument in enumerate(arguments):
        if not isinstance(argument, (ast.Constant, ast.Starred)):
            for label, moved in _moved(argument):
                yield label, _with(node, args=[*arguments[:i], moved, *arguments[i + 1 :]])


def _slices(node: ast.Slice) -> Iterator[Replacement]:
    for name in ("lower", "upper"):
        bound = getattr(node, name)
        if bound is not None and not isinstance(bound, ast.Constant):
            for label, moved in _moved(bound):
                yield f"{name}{label}", _with(node, **{name: moved})
    if node.step is not None:
        yield "no-step", _with(node, step=None)


def _moved(expression: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    for label, operator in (("+1", ast.Add()), ("-1", ast.Sub())):
        yield label, ast.copy_location(ast.BinOp(expression, operator, ast.Constant(1)), expression)


def _conditions(node: ast.AST) -> Iterator[Replacement]:
    if isinstance(node, (ast.If, ast.IfExp)):
        yield "always", _with(node, test=ast.Constant(True))
    if isinstance(node, (ast.If, ast.IfExp, ast.While)):
        yield "never", _with(node, test=ast.Constant(False))
    if isinstance(node, ast.comprehension) and node.ifs:
        yield "no-if", _with(node, ifs=[])


def _swapped(node: ast.AST) -> ast.AST:
    elements = getattr(node, "elts")  # noqa: B009  of a tuple, as target or value
    return _with(node, elts=[elements[1], elements[0]])


def _with(node: ast.AST, **fields: object) -> ast.AST:
    """Return the node with other fields, itself untouched; children are shared."""
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _label(operator: ast.AST, other: type[ast.AST]) -> str:
    return f"{type(operator).__name__}->{other.__name__}"
