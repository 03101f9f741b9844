"""Products of matrices whose rows are both contiguous, with sums held in registers.

    c[i, j] ← Σ_k a[i, k] · b[j, k]   (+ c[i, j])

A tile is `R` rows of a by `V` rows of b. Lane l of sums[r][v] takes the terms k = l, l + lanes, l + 2·lanes, …:

    for each vector k of terms (the last may be part of one: what is beyond counts as zero and is not read):
        sums[r][v] += a[i + r, k] · b[j + v, k]        r < R, v < V
    c[i + r, j + v] ← the sum of the lanes of sums[r][v]

For R · V products, R + V vectors are read, from where they are; BLAS would first copy both matrices into an order of
its own, which takes a good part of the time where one of them has a hundred rows. The lanes are added at the end, so
rows should be long. The order of a sum depends on the number of terms and on the machine's vectors alone.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from refdet_numba.cpu.compiling import compiled
from refdet_numba.cpu.register_tile import OUTPUTS, VECTOR_BYTES, VECTORS

INDEX, INTEGER, FLAG = ir.IntType(64), ir.IntType(32), ir.IntType(1)


@compiled
def inner_products(a: Any, b: Any, c: Any, goes_on: bool) -> None:
    """Compute c (m, n) ← a (m, k) · b (n, k)ᵀ, plus what c holds if `goes_on`; of all, rows are contiguous."""
    (m, n), after = c.shape, c.shape[0] - c.shape[0] % OUTPUTS
    in_tiles = n - n % VECTORS
    in_pairs = n - (n - in_tiles) % 2
    for j in range(0, in_tiles, VECTORS):
        for i in range(0, after, OUTPUTS):
            _tile_4(a, i, b, j, c, goes_on)
        for i in range(after, m):
            _tile_1(a, i, b, j, c, goes_on)
    for i in range(0, after, OUTPUTS):
        for j in range(in_tiles, in_pairs, 2):
            _pair_4(a, i, b, j, c, goes_on)
        for j in range(in_pairs, n):
            _row_4(a, i, b, j, c, goes_on)
    for i in range(after, m):
        for j in range(in_tiles, n):
            _row_1(a, i, b, j, c, goes_on)


def _inner_product_tile(R: int, V: int) -> Any:
    """Return the function for a tile of that size."""

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(typing: Any, a: Any, i: Any, b: Any, j: Any, c: Any, goes_on: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            a, b, c = (context.make_array(signature.args[k])(context, builder, arguments[k]) for k in (0, 2, 4))
            _emit(builder, a, b, c, arguments, signature.args[4].dtype.bitwidth // 8, R, V)
            return context.get_dummy_value()

        return types.void(a, types.int64, b, types.int64, c, types.boolean), generate

    return tile


def _emit(builder: Any, a: Any, b: Any, c: Any, arguments: Any, n_bytes: int, R: int, V: int) -> None:
    """Write the tile's instructions."""
    _, first_a, _, first_b, _, goes_on = arguments
    scalar, lanes = c.data.type.pointee, VECTOR_BYTES // n_bytes
    vector, integers = ir.VectorType(scalar, lanes), ir.VectorType(INTEGER, lanes)
    name = f"v{lanes}f{8 * n_bytes}"

    def function(called: str, returned: Any, *taken: Any) -> Any:
        return cgutils.get_or_insert_function(builder.module, ir.FunctionType(returned, taken), called)

    fma = function(f"llvm.fmuladd.{name}", vector, vector, vector, vector)
    masked = function(
        f"llvm.masked.load.{name}.p0{name}", vector, vector.as_pointer(), INTEGER, ir.VectorType(FLAG, lanes), vector
    )
    add_lanes = function(f"llvm.vector.reduce.fadd.{name}", scalar, scalar, vector)

    def rows(array: Any, first: Any, count: int) -> list[Any]:
        step = builder.sdiv(cgutils.unpack_tuple(builder, array.strides)[0], ir.Constant(INDEX, n_bytes))
        every = [builder.add(first, ir.Constant(INDEX, r)) for r in range(count)]
        return [builder.gep(array.data, [builder.mul(step, row)]) for row in every]

    rows_a, rows_b = rows(a, first_a, R), rows(b, first_b, V)
    results = [
        builder.gep(row, [builder.add(first_b, ir.Constant(INDEX, v))]) for row in rows(c, first_a, R) for v in range(V)
    ]
    n_terms = cgutils.unpack_tuple(builder, a.shape)[1]
    left = builder.srem(n_terms, ir.Constant(INDEX, lanes))
    whole = builder.sub(n_terms, left)
    zero = ir.Constant(vector, None)

    before = builder.block
    loop, body, last, part, end = (builder.append_basic_block(n) for n in ("loop", "body", "last", "part", "end"))
    builder.branch(loop)
    builder.position_at_end(loop)
    k = builder.phi(INDEX)
    sums = [builder.phi(vector) for _ in range(R * V)]
    builder.cbranch(builder.icmp_signed("<", k, whole), body, last)

    def products(load: Any) -> list[Any]:
        of_b, added = [load(row) for row in rows_b], []
        for r in range(R):
            of_a = load(rows_a[r])
            added += [builder.call(fma, [of_a, of_b[v], sums[r * V + v]]) for v in range(V)]
        return added

    def terms(row: Any) -> Any:
        return builder.bitcast(builder.gep(row, [k]), vector.as_pointer())

    builder.position_at_end(body)
    added = products(lambda row: builder.load(terms(row), align=n_bytes))
    following = builder.add(k, ir.Constant(INDEX, lanes))
    builder.branch(loop)
    k.add_incoming(ir.Constant(INDEX, 0), before)
    k.add_incoming(following, body)
    for total, value in zip(sums, added, strict=True):
        total.add_incoming(zero, before)
        total.add_incoming(value, body)

    builder.position_at_end(last)
    builder.cbranch(builder.icmp_signed("<", whole, n_terms), part, end)
    builder.position_at_end(part)
    unset = ir.Constant(integers, ir.Undefined)
    count = builder.insert_element(unset, builder.trunc(left, INTEGER), ir.Constant(INTEGER, 0))
    count = builder.shuffle_vector(count, unset, ir.Constant(integers, None))
    there = builder.icmp_signed("<", ir.Constant(integers, list(range(lanes))), count)
    ends = products(lambda row: builder.call(masked, [terms(row), ir.Constant(INTEGER, n_bytes), there, zero]))
    builder.branch(end)

    builder.position_at_end(end)
    finals = [builder.phi(vector) for _ in sums]
    for final, total, value in zip(finals, sums, ends, strict=True):
        final.add_incoming(total, last)
        final.add_incoming(value, part)
    for final, pointer in zip(finals, results, strict=True):
        total = builder.call(add_lanes, [ir.Constant(scalar, -0.0), final], fastmath=("reassoc",))
        start = builder.select(goes_on, builder.load(pointer), ir.Constant(scalar, -0.0))
        builder.store(builder.fadd(start, total), pointer)


_tile_4, _tile_1 = _inner_product_tile(OUTPUTS, VECTORS), _inner_product_tile(1, VECTORS)
_pair_4, _row_4, _row_1 = _inner_product_tile(OUTPUTS, 2), _inner_product_tile(OUTPUTS, 1), _inner_product_tile(1, 1)
