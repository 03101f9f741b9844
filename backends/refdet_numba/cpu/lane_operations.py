"""What softmax and interpolation ask of `lanes` beside sums and products, for compiled code.

every(s)                   s in every lane, in the dtype of s
multiply_add(a, b, c)      a · b + c, rounded once where the machine can
divide(a, b)
larger(a, b)               a where a > b, else b (b where one of them is NaN)
at_least(a, low)           low where a < low, else a (so that NaN stays)
magnitude(a)               |a|
largest(a), total(a)       one number from all lanes: the upper half is combined with the lower, until one is left
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from refdet_numba.cpu.lanes import Lanes


def by_name(name: str, builder: Any, *vectors: Any) -> Any:
    """Call an intrinsic of LLVM whose arguments and answer are vectors of one type."""
    vector = vectors[0].type
    kind = {"float": "f32", "double": "f64"}[str(vector.element)]
    function = ir.FunctionType(vector, [v.type for v in vectors])
    return builder.call(
        cgutils.get_or_insert_function(builder.module, function, f"llvm.{name}.v{vector.count}{kind}"), vectors
    )


def _places(values: list[int]) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), len(values)), values)


@intrinsic  # type: ignore[untyped-decorator]
def every(typing_context: Any, number: Any) -> Any:
    lanes = Lanes(number)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        unset = ir.Constant(ir.VectorType(args[0].type, lanes.count), ir.Undefined)
        first = builder.insert_element(unset, args[0], ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(first, unset, _places([0] * lanes.count))

    return lanes(number), generate


def _lane_by_lane(operation: Callable[..., Any], operands: int) -> Any:
    """Return an intrinsic on vectors of one type, from what it has the builder do."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return operation(builder, *args)

    if operands == 1:
        return intrinsic(lambda typing_context, a: (a(a), generate))
    if operands == 2:
        return intrinsic(lambda typing_context, a, b: (a(a, b), generate))
    return intrinsic(lambda typing_context, a, b, c: (a(a, b, c), generate))


multiply_add = _lane_by_lane(lambda builder, a, b, c: by_name("fmuladd", builder, a, b, c), 3)
larger = _lane_by_lane(lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b), 2)
at_least = _lane_by_lane(lambda builder, a, low: builder.select(builder.fcmp_ordered("<", a, low), low, a), 2)
magnitude = _lane_by_lane(lambda builder, a: by_name("fabs", builder, a), 1)


def _folded(combine: Callable[..., Any]) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (vector,) = args
        width = vector.type.count
        while width > 1:
            width //= 2
            lower, upper = (
                builder.shuffle_vector(vector, vector, _places(list(range(first, first + width))))
                for first in (0, width)
            )
            vector = combine(builder, lower, upper)
        return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

    return intrinsic(lambda typing_context, a: (a.dtype(a), generate))


total = _folded(lambda builder, a, b: builder.fadd(a, b))
largest = _folded(lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b))
