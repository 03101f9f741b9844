"""Single instructions of the GPU that Python has no word for; each function becomes the PTX that it names.

Vector loads are LLVM's; the others are inline assembly, marked as having effects where the compiler must not move or
drop them. An index is an element's place in the array's memory, whatever the array's shape. There is no check of bounds
or alignment: the caller has both.

The simulator knows none of them, so nothing that it runs imports this file.

Source of each: NVIDIA, Parallel Thread Execution ISA, chapter "Instruction Set".
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import float32, int32, types
from numba.cuda.extending import intrinsic

INT, LONG, FLOAT, NOTHING = ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.VoidType()
GLOBAL, SHARED = 1, 3  # LLVM's numbers for the kinds of memory


def _address(context: Any, builder: Any, array: Any, array_type: Any, index: Any, index_type: Any) -> Any:
    """Return a pointer to an element."""
    widen = builder.sext if index_type.signed else builder.zext
    index = index if index.type.width == 64 else widen(index, LONG)
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def _in_memory(builder: Any, kind: int, pointer: Any) -> Any:
    """Return the pointer as one to that kind of memory, where it is known to lie."""
    return builder.addrspacecast(pointer, ir.PointerType(pointer.type.pointee, kind))


def _assembly(builder: Any, result: Any, text: str, constraints: str, *arguments: Any, effects: bool = True) -> Any:
    function = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(ir.InlineAsm(function, text, constraints, side_effect=effects), arguments)


@intrinsic  # type: ignore[untyped-decorator]
def mad(context: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a · b + c of int32 numbers as an int32, which in Numba's own words would be an int64: `mad.lo.s32`."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.add(builder.mul(values[0], values[1]), values[2])

    return int32(int32, int32, int32), generate


@intrinsic  # type: ignore[untyped-decorator]
def quotient(context: Any, a: Any, b: Any) -> Any:
    """Return ⌊a / b⌋ of int32 numbers a ≥ 0, b > 0, without Numba's branch for b = 0: `div.u32`."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.udiv(*values)

    return int32(int32, int32), generate


@intrinsic  # type: ignore[untyped-decorator]
def load4(context: Any, array: Any, index: Any) -> Any:
    """Return four elements of 32 bits that follow each other, the first at a multiple of 16 bytes.

    `ld.global.v4.f32`, `ld.global.v4.u32` or `ld.shared.v4.f32`, by where the array lies.
    """
    signature = types.UniTuple(array.dtype, 4)(array, index)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pointer = _address(context, builder, values[0], signature.args[0], values[1], signature.args[1])
        vector = ir.VectorType(pointer.type.pointee, 4)
        loaded = builder.load(builder.bitcast(pointer, ir.PointerType(vector, pointer.type.addrspace)))
        loaded.align = 16
        elements = [builder.extract_element(loaded, INT(i)) for i in range(4)]
        return context.make_tuple(builder, signature.return_type, elements)

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def store_where(context: Any, array: Any, index: Any, value: Any, condition: Any) -> Any:
    """Store an element if the condition holds: `st.global.f32` behind a predicate."""
    signature = types.void(array, index, array.dtype, condition)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        with builder.if_then(context.cast(builder, values[3], signature.args[3], types.boolean)):
            builder.store(
                values[2], _address(context, builder, values[0], signature.args[0], values[1], signature.args[1])
            )
        return context.get_dummy_value()

    return signature, generate


def _copy(n_bytes: int, cached: str) -> Any:
    """Return the code of a copy of that many bytes."""

    def copy(context: Any, shared: Any, to: Any, array: Any, source: Any, inside: Any) -> Any:
        signature = types.void(shared, to, array, source, inside)

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            of = signature.args
            target = _in_memory(builder, SHARED, _address(context, builder, values[0], of[0], values[1], of[1]))
            pointer = _in_memory(builder, GLOBAL, _address(context, builder, values[2], of[2], values[3], of[3]))
            held = context.cast(builder, values[4], of[4], types.boolean)
            _assembly(
                builder,
                NOTHING,
                f"cp.async.{cached}.shared.global [$0], [$1], {n_bytes}, $2;",
                "r,l,r,~{memory}",
                builder.ptrtoint(target, INT),
                builder.ptrtoint(pointer, LONG),
                builder.select(held, INT(n_bytes), INT(0)),
            )
            return context.get_dummy_value()

        return signature, generate

    return copy


@intrinsic  # type: ignore[untyped-decorator]
def copy_1(context: Any, shared: Any, to: Any, array: Any, source: Any, inside: Any) -> Any:
    """Begin to copy an element of 32 bits to shared memory; zero if not `inside`, and nothing is read.

    `cp.async.ca.shared.global [to], [source], 4, inside ? 4 : 0`.
    """
    return _copy(4, "ca")(context, shared, to, array, source, inside)


@intrinsic  # type: ignore[untyped-decorator]
def copy_4(context: Any, shared: Any, to: Any, array: Any, source: Any, inside: Any) -> Any:
    """Begin to copy four elements of 32 bits, from and to multiples of 16 bytes; zeros if not `inside`.

    `cp.async.cg.shared.global [to], [source], 16, inside ? 16 : 0`, which keeps nothing in the L1 cache.
    """
    return _copy(16, "cg")(context, shared, to, array, source, inside)


@intrinsic  # type: ignore[untyped-decorator]
def wait_for_copies(context: Any) -> Any:
    """Wait until the copies that this thread began are there, for this thread: `cp.async.wait_all`.

    Other threads see them once all have waited and then met at `syncthreads`.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _assembly(builder, NOTHING, "cp.async.wait_all;", "~{memory}")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic  # type: ignore[untyped-decorator]
def round_to_tf32(context: Any, x: Any) -> Any:
    """Return x with 11 significant bits, to nearest and ties away from 0, as a float32: `cvt.rna.tf32.f32`."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        bits = _assembly(builder, INT, "cvt.rna.tf32.f32 $0, $1;", "=r,f", values[0], effects=False)
        return builder.bitcast(bits, FLOAT)

    return float32(float32), generate


@intrinsic  # type: ignore[untyped-decorator]
def multiply_add_tf32(
    context: Any, a0: Any, a1: Any, a2: Any, a3: Any, b0: Any, b1: Any, c0: Any, c1: Any, c2: Any, c3: Any
) -> Any:
    """Return A · B + C of a whole warp, A 16 × 8, B 8 × 8, C 16 × 8, each lane giving and getting its elements.

    `mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32`. With g = lane / 4 and r = lane mod 4, a lane has

        a0 A[g, r]      a1 A[g + 8, r]      a2 A[g, r + 4]      a3 A[g + 8, r + 4]
        b0 B[r, g]      b1 B[r + 4, g]
        c0 C[g, 2r]     c1 C[g, 2r + 1]     c2 C[g + 8, 2r]     c3 C[g + 8, 2r + 1]

    ("Matrix Fragments for mma.m16n8k8", the type .tf32). All lanes of the warp must come here together. a and b are
    float32 numbers already rounded by `round_to_tf32`.
    """
    signature = types.UniTuple(float32, 4)(*(float32,) * 10)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        factors = [builder.bitcast(value, INT) for value in values[:6]]
        result = _assembly(
            builder,
            ir.LiteralStructType([FLOAT] * 4),
            "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
            "{$0, $1, $2, $3}, {$4, $5, $6, $7}, {$8, $9}, {$10, $11, $12, $13};",
            "=f,=f,=f,=f,r,r,r,r,r,r,f,f,f,f",
            *factors,
            *values[6:],
        )
        return context.make_tuple(builder, signature.return_type, [builder.extract_value(result, i) for i in range(4)])

    return signature, generate
