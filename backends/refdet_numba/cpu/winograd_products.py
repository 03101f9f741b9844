"""The products of Winograd's algorithm (`winograd`): one matrix product for each entry f of a tile, in registers.

    m[f, k, t] ← Σ_c u[⌊k / 8⌋, f, c, k mod 8] · v[f, c, t]        or, to go on with a sum, m[f, k, t] + the same

    for each f:
        for up to three vectors of tiles t:
            for ROWS output channels k:
                sums[k][t] ← 0 or m[f, k, t]
                for each input channel c:
                    sums[k][t] += u[…, f, c, k] · v[f, c, t]
                m[f, k, t] ← sums[k][t]

The sums stay in registers; compiled from loops, they would not, so the instructions are written out for LLVM. u lies in
the order in which it is read, and what is read of v, three vectors for each input channel, stays in the first cache for
all k, where there are no more than some 128 input channels. As v is too large for a cache of one's own, the same place
of v[f + 1] is fetched while v[f] is multiplied. BLAS would first copy both matrices, which with 16 to 64 tiles takes up
to a third of the time. (Goto & van de Geijn, "Anatomy of high-performance matrix multiplication", TOMS 2008.)

Each sum has the order of its input channels; whether a product is rounded before it is added is the machine's choice.
v is read, and m written, up to a whole number of half vectors of tiles, and u and m up to a multiple of eight output
channels: what stands beyond the last ones means nothing.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from refdet_numba.cpu.compiling import compiled
from refdet_numba.cpu.register_tile import VECTOR_BYTES

GROUP = 8  # output channels that lie side by side in u
VECTORS = 3  # of tiles at a time
ROWS = 8 if VECTOR_BYTES == 64 else 4  # output channels at a time: 24 + 3 + 1 of 32 registers, 12 + 3 + 1 of 16
SECOND_CACHE = 2  # llvm.prefetch: keep it in the second cache, not the first
BYTES, INTEGER, INDEX = ir.IntType(8).as_pointer(), ir.IntType(32), ir.IntType(64)


def _tile(n_vectors: int, vector_bytes: int = VECTOR_BYTES) -> Any:
    """Return the function for ROWS channels by n_vectors vectors, which begin at the given indices."""

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(
        typing: Any, u: Any, at_u: Any, v: Any, at_v: Any, ahead: Any, m: Any, at_m: Any, n_terms: Any, goes_on: Any
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            def place(array: int, index: int) -> tuple[Any, Any]:
                """Return an element's address, and how many bytes farther the next channel is."""
                kind = signature.args[array]
                value = context.make_array(kind)(context, builder, arguments[array])
                indices = cgutils.unpack_tuple(builder, arguments[index])
                address = cgutils.get_item_pointer(context, builder, kind, value, indices)
                return builder.bitcast(address, BYTES), cgutils.unpack_tuple(builder, value.strides)[-2]

            places = place(0, 1), place(2, 3), place(2, 4), place(5, 6)
            n_bytes = u.dtype.bitwidth // 8
            vector = ir.VectorType(context.get_value_type(u.dtype), vector_bytes // n_bytes)
            n_terms, goes_on = arguments[7:]
            _emit(builder, places, n_terms, goes_on, vector, n_bytes, n_vectors)
            return context.get_dummy_value()

        return types.void(u, at_u, v, at_v, ahead, m, at_m, types.int64, types.boolean), generate

    return tile


def _emit(builder: Any, places: Any, n_terms: Any, goes_on: Any, vector: Any, n_bytes: int, n_vectors: int) -> None:
    """Write the tile's instructions."""
    u, v, ahead, m = places
    fma = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{vector.count}f{8 * n_bytes}"
    )
    prefetch = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), [BYTES, INTEGER, INTEGER, INTEGER]), "llvm.prefetch.p0"
    )

    def channel(place: tuple[Any, Any], i: Any) -> Any:
        return builder.gep(place[0], [builder.mul(i, place[1])])

    def vector_at(address: Any, i: int) -> Any:
        return builder.bitcast(builder.gep(address, [INDEX(i * vector.count * n_bytes)]), vector.as_pointer())

    def in_all_lanes(address: Any, i: int) -> Any:
        number = builder.load(builder.bitcast(builder.gep(address, [INDEX(i * n_bytes)]), vector.element.as_pointer()))
        first = builder.insert_element(ir.Constant(vector, ir.Undefined), number, INTEGER(0))
        return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(INTEGER, vector.count), None))

    tile = [(k, i) for k in range(ROWS) for i in range(n_vectors)]
    sums = [cgutils.alloca_once_value(builder, ir.Constant(vector, None)) for _ in tile]
    results = [vector_at(channel(m, INDEX(k)), i) for k, i in tile]
    with builder.if_then(goes_on):
        for held, result in zip(sums, results, strict=True):
            builder.store(builder.load(result, align=n_bytes), held)
    with cgutils.for_range(builder, n_terms) as loop:
        inputs, weights = channel(v, loop.index), channel(u, loop.index)
        pixels = [builder.load(vector_at(inputs, i), align=n_bytes) for i in range(n_vectors)]
        for i in range(n_vectors):  # the last ones lie beyond v, which does no harm
            line = builder.bitcast(vector_at(channel(ahead, loop.index), i), BYTES)
            builder.call(prefetch, [line, INTEGER(0), INTEGER(SECOND_CACHE), INTEGER(1)])  # read; of data
        for k in range(ROWS):
            weight = in_all_lanes(weights, k)
            for held, pixel in zip(sums[k * n_vectors : (k + 1) * n_vectors], pixels, strict=True):
                builder.store(builder.call(fma, [weight, pixel, builder.load(held)]), held)
    for held, result in zip(sums, results, strict=True):
        builder.store(builder.load(held), result, align=n_bytes)


_three, _two, _one, _half = _tile(3), _tile(2), _tile(1), _tile(1, VECTOR_BYTES // 2)


@compiled
def multiply(u: Any, v: Any, m: Any, n_inputs: int, n_outputs: int, n_tiles: int, goes_on: bool) -> None:
    """Compute m[f, k, t] for k < n_outputs and t < n_tiles from c < n_inputs; `goes_on`: add to it."""
    lanes = VECTOR_BYTES // u.itemsize
    for f in range(v.shape[0]):
        for t in range(0, n_tiles, VECTORS * lanes):
            halves = (n_tiles - t + lanes // 2 - 1) // (lanes // 2)
            n_vectors = min(halves // 2, VECTORS)
            here, ahead, rest = (f, 0, t), (f + 1, 0, t), t + n_vectors * lanes
            for k in range(0, n_outputs, ROWS):
                of_u = k // GROUP, f, 0, k % GROUP
                if n_vectors == 3:
                    _three(u, of_u, v, here, ahead, m, (f, k, t), n_inputs, goes_on)
                elif n_vectors == 2:
                    _two(u, of_u, v, here, ahead, m, (f, k, t), n_inputs, goes_on)
                elif n_vectors == 1:
                    _one(u, of_u, v, here, ahead, m, (f, k, t), n_inputs, goes_on)
                if n_vectors < VECTORS and halves % 2:
                    _half(u, of_u, v, (f, 0, rest), (f + 1, 0, rest), m, (f, k, rest), n_inputs, goes_on)
