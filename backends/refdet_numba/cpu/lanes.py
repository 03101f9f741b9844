"""Several numbers side by side in one vector register, for compiled code whose loops the compiler does not vectorise.

    a = load(x, (i, j))                     x[i, j], x[i, j + 1], ..., one after another along the last axis
    a, b, c, d = load_in_turn(x, (i, j))    a[0], b[0], c[0], d[0], a[1], b[1], ... are x[i, j], x[i, j + 1], ...
    a0, ..., a8 = load_nine(x, i, n, m)     lane l of aj is x[i + l · n + j] for l < m, else x[i + j]
    store(x, (i, j), a)
    store_in_turn(x, (i, j), a, b, c, d)    the inverse of load_in_turn

    a + b, a - b, a * b                     lane by lane; a number stands for as many equal lanes

    lanes_of(x)                             how many: 8 of float32, 4 of float64

The arrays must be contiguous along the last axis;
nothing is checked.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

LANE_BYTES = 32
FOUR, NINE = 4, 9


class Lanes(types.Type):  # type: ignore[misc]
    """The type of a value of several lanes."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.count = LANE_BYTES * 8 // dtype.bitwidth
        super().__init__(f"Lanes({dtype} x {self.count})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, lanes: Lanes) -> None:
        element = manager.lookup(lanes.dtype).get_value_type()
        super().__init__(manager, lanes, ir.VectorType(element, lanes.count))


def _pointer(context: Any, builder: Any, signature: Any, args: Any, count: int) -> Any:
    """Return the address of `count` elements of the array args[0] from the index args[1] on."""
    array = context.make_array(signature.args[0])(context, builder, value=args[0])
    index = cgutils.unpack_tuple(builder, args[1])
    address = cgutils.get_item_pointer(context, builder, signature.args[0], array, index)
    element = context.get_data_type(signature.args[0].dtype)
    return builder.bitcast(address, ir.VectorType(element, count).as_pointer())


def _mask(indices: Any) -> Any:
    indices = list(indices)
    return ir.Constant(ir.VectorType(ir.IntType(32), len(indices)), indices)


def _align(signature: Any) -> int:
    return int(signature.args[0].dtype.bitwidth) // 8


@intrinsic  # type: ignore[untyped-decorator]
def lanes_of(typing_context: Any, x: Any) -> Any:
    count = Lanes(x.dtype).count
    return types.int64(x), lambda context, builder, signature, args: context.get_constant(types.int64, count)


@intrinsic  # type: ignore[untyped-decorator]
def load(typing_context: Any, x: Any, index: Any) -> Any:
    lanes = Lanes(x.dtype)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_pointer(context, builder, signature, args, lanes.count), align=_align(signature))

    return lanes(x, index), generate


@intrinsic  # type: ignore[untyped-decorator]
def load_in_turn(typing_context: Any, x: Any, index: Any) -> Any:
    lanes = Lanes(x.dtype)
    count = lanes.count
    result = types.UniTuple(lanes, FOUR)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = builder.load(_pointer(context, builder, signature, args, FOUR * count), align=_align(signature))
        parts = [builder.shuffle_vector(value, value, _mask(range(i, FOUR * count, FOUR))) for i in range(FOUR)]
        return context.make_tuple(builder, result, parts)

    return result(x, index), generate


@intrinsic  # type: ignore[untyped-decorator]
def load_nine(typing_context: Any, x: Any, index: Any, spacing: Any, count: Any) -> Any:
    lanes = Lanes(x.dtype)
    result = types.UniTuple(lanes, NINE)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array, index, spacing, count = args
        data = context.make_array(x)(context, builder, value=array).data
        vector = context.get_value_type(lanes)
        rows = []
        for lane in range(lanes.count):
            number = ir.Constant(index.type, lane)
            offset = builder.select(
                builder.icmp_signed("<", number, count), builder.mul(number, spacing), index.type(0)
            )
            rows.append(builder.gep(data, [builder.add(index, offset)]))
        columns = []
        for first in range(0, NINE - lanes.count + 1, lanes.count):
            parts = [builder.gep(row, [index.type(first)]) for row in rows]
            parts = [
                builder.load(builder.bitcast(part, vector.as_pointer()), align=_align(signature)) for part in parts
            ]
            columns += _transposed(builder, parts)
        for column in range(len(columns), NINE):
            value = ir.Constant(vector, ir.Undefined)
            for lane, row in enumerate(rows):
                number = builder.load(builder.gep(row, [index.type(column)]))
                value = builder.insert_element(value, number, ir.IntType(32)(lane))
            columns.append(value)
        return context.make_tuple(builder, result, columns)

    return result(x, types.int64, types.int64, types.int64), generate


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Return the columns of a square of lanes: its quarters change places, then the quarters of those, and so on."""
    count, rows = len(rows), list(rows)
    step = count // 2
    while step:
        upper = _mask(lane if lane & step == 0 else count + lane - step for lane in range(count))
        lower = _mask(lane + step if lane & step == 0 else count + lane for lane in range(count))
        for i in range(count):
            if i & step == 0:
                a, b = rows[i], rows[i + step]
                rows[i], rows[i + step] = builder.shuffle_vector(a, b, upper), builder.shuffle_vector(a, b, lower)
        step //= 2
    return rows


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(typing_context: Any, x: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(x)(context, builder, value=args[0]).data
        byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        instruction = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        address = builder.bitcast(builder.gep(data, [args[1]]), byte)
        builder.call(instruction, [address, flag(0), flag(3), flag(1)])  # to read; into every cache; data
        return context.get_dummy_value()

    return types.void(x, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def store(typing_context: Any, x: Any, index: Any, a: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _pointer(context, builder, signature, args, a.count), align=_align(signature))
        return context.get_dummy_value()

    return types.void(x, index, a), generate


@intrinsic  # type: ignore[untyped-decorator]
def store_in_turn(typing_context: Any, x: Any, index: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    count = a.count

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        one_after_another = _mask(range(2 * count))
        first = builder.shuffle_vector(args[2], args[3], one_after_another)
        last = builder.shuffle_vector(args[4], args[5], one_after_another)
        in_turn = _mask(lane + which * count for lane in range(count) for which in range(FOUR))
        value = builder.shuffle_vector(first, last, in_turn)
        builder.store(value, _pointer(context, builder, signature, args, FOUR * count), align=_align(signature))
        return context.get_dummy_value()

    return types.void(x, index, a, b, c, d), generate


def _arithmetic(instruction: str) -> Any:
    @intrinsic  # type: ignore[untyped-decorator]
    def compute(typing_context: Any, a: Any, b: Any) -> Any:
        lanes = a if isinstance(a, Lanes) else b

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            operands = [
                value if isinstance(kind, Lanes) else _repeat(context, builder, kind, value, lanes)
                for kind, value in zip(signature.args, args, strict=True)
            ]
            return getattr(builder, instruction)(*operands, flags=["contract"])

        return lanes(a, b), generate

    return compute


def _repeat(context: Any, builder: Any, kind: Any, value: Any, lanes: Lanes) -> Any:
    number = context.cast(builder, value, kind, lanes.dtype)
    unset = ir.Constant(ir.VectorType(number.type, lanes.count), ir.Undefined)
    return builder.shuffle_vector(
        builder.insert_element(unset, number, ir.Constant(ir.IntType(32), 0)), unset, _mask([0] * lanes.count)
    )


def _overload(operation: Any, compute: Any) -> None:
    """Let the operator compute on lanes; what is not for lanes stays with Numba."""

    def on_lanes(a: Any, b: Any) -> Any:
        return compute(a, b)

    @overload(operation)  # type: ignore[untyped-decorator]
    def choose(a: Any, b: Any) -> Any:
        return on_lanes if isinstance(a, Lanes) or isinstance(b, Lanes) else None


_overload(operator.add, _arithmetic("fadd"))
_overload(operator.sub, _arithmetic("fsub"))
_overload(operator.mul, _arithmetic("fmul"))
