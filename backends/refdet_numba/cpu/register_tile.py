"""Sums of products held in registers: the innermost loop of `direct`.

A tile is `R` output channels by `V` vectors of neighbouring pixels. For a list of places in x, one for each vector,

    sums[r][v] ← start
    for each term k:
        pixels[v] ← the vector of x at places[v] + offsets[k]        v < V
        sums[r][v] += weights[first_output + r, first_term + k] · pixels[v]        r < R, v < V
    y at targets[v] + r · step ← sums[r][v]

where `start` is bias[first_output + r], or, to go on with a sum, what y holds. In the first case, and where the
terms are few, the lines of y are asked for before they are added: the stores, one after another, would wait for them.

For R · V products, R + V numbers and vectors are read, and the R · V sums never leave their registers; compiled from
loops, they would, so the instructions are written out for LLVM. Each sum has the order of its terms; whether a product
is rounded before it is added is the machine's choice (`llvm.fmuladd`). (Goto & van de Geijn, "Anatomy of
high-performance matrix multiplication", TOMS 2008; Dukhan, "The indirect convolution algorithm", 2019, for the table of
offsets.)
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from refdet_numba.cpu.compiling import compiled

_features = llvmlite.binding.get_host_cpu_features()
VECTOR_BYTES = 64 if _features.get("avx512f") else 32 if _features.get("avx") else 16
VECTORS = 3 if VECTOR_BYTES == 32 else 6  # with 4 outputs: 24 + 6 + 1 of 32 registers, 12 + 3 + 1 of 16
OUTPUTS = 4
FEW = 48  # terms: a first layer has 27; longer sums hide the waiting, and their pixels need the first-level cache
INDEX = ir.IntType(64)


def _register_tile(n_outputs: int, n_vectors: int) -> Any:
    """Return the function for a tile of that size."""

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(
        typing: Any,
        x: Any,  # flat
        first_x: Any,
        places: Any,
        first_place: Any,  # of `places` and `targets`
        offsets: Any,
        weights: Any,  # (outputs, terms)
        first_output: Any,
        first_term: Any,
        bias: Any,
        goes_on: Any,  # whether to start from what y holds
        y: Any,  # flat
        first_y: Any,
        targets: Any,
        step: Any,
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            arrays = {
                i: context.make_array(t)(context, builder, arguments[i])
                for i, t in enumerate(signature.args)
                if isinstance(t, types.Array)
            }
            scalar = context.get_value_type(x.dtype)
            _emit(builder, arrays, arguments, scalar, x.dtype.bitwidth // 8, n_outputs, n_vectors)
            return context.get_dummy_value()

        index, flag = types.int64, types.boolean
        return types.void(
            x, index, places, index, offsets, weights, index, index, bias, flag, y, index, targets, index
        ), generate

    return tile


def _emit(builder: Any, arrays: dict[int, Any], arguments: Any, scalar: Any, n_bytes: int, R: int, V: int) -> None:
    """Write the tile's instructions."""
    x, places, offsets, weights, bias, y, targets = (arrays[i] for i in (0, 2, 4, 5, 8, 10, 12))
    _, first_x, _, first_place, _, _, first_output, first_term, _, goes_on, _, first_y, _, step = arguments
    vector = ir.VectorType(scalar, VECTOR_BYTES // n_bytes)
    fma = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{vector.count}f{8 * n_bytes}"
    )
    byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
    prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    n_terms, (_, row) = cgutils.unpack_tuple(builder, offsets.shape)[0], cgutils.unpack_tuple(builder, weights.shape)

    def number(value: int) -> Any:
        return ir.Constant(INDEX, value)

    def at(array: Any, index: Any) -> Any:
        return builder.load(builder.gep(array.data, [index]))

    def as_vector(pointer: Any) -> Any:
        return builder.bitcast(pointer, vector.as_pointer())

    def all_lanes(value: Any) -> Any:
        unset, lanes = ir.Constant(vector, ir.Undefined), ir.VectorType(ir.IntType(32), vector.count)
        first = builder.insert_element(unset, value, ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(first, unset, ir.Constant(lanes, None))

    tile = [(r, v) for r in range(R) for v in range(V)]
    own = [builder.add(first_place, number(v)) for v in range(V)]
    sources = [builder.gep(x.data, [builder.add(first_x, at(places, i))]) for i in own]
    rows = [
        builder.gep(weights.data, [builder.add(builder.mul(builder.add(first_output, number(r)), row), first_term)])
        for r in range(R)
    ]
    results = []
    for r, v in tile:
        index = builder.add(builder.add(first_y, at(targets, own[v])), builder.mul(step, number(r)))
        results.append(as_vector(builder.gep(y.data, [index])))

    with builder.if_else(goes_on) as (then, otherwise):
        with then:
            held, from_y = [builder.load(p, align=n_bytes) for p in results], builder.block
        with otherwise:
            of_bias = [all_lanes(at(bias, builder.add(first_output, number(r)))) for r in range(R)]
            with builder.if_then(builder.icmp_signed("<=", n_terms, number(FEW))):
                for pointer in results:  # to write; into every cache; data
                    builder.call(prefetch, [builder.bitcast(pointer, byte), flag(1), flag(3), flag(1)])
            from_bias = builder.block
    sums = []
    for (r, _), value in zip(tile, held, strict=True):
        start = builder.phi(vector)
        start.add_incoming(value, from_y)
        start.add_incoming(of_bias[r], from_bias)
        sums.append(start)

    before, loop, after = builder.block, builder.append_basic_block("terms"), builder.append_basic_block("stored")
    builder.cbranch(builder.icmp_signed("<", number(0), n_terms), loop, after)

    builder.position_at_end(loop)
    k = builder.phi(INDEX)
    running = [builder.phi(vector) for _ in tile]
    offset = at(offsets, k)
    pixels = [builder.load(as_vector(builder.gep(p, [offset])), align=n_bytes) for p in sources]
    added = []
    for r in range(R):
        weight = all_lanes(builder.load(builder.gep(rows[r], [k])))
        added += [builder.call(fma, [weight, pixels[v], running[r * V + v]]) for v in range(V)]
    following = builder.add(k, number(1))
    builder.cbranch(builder.icmp_signed("<", following, n_terms), loop, after)
    k.add_incoming(number(0), before)
    k.add_incoming(following, loop)

    builder.position_at_end(after)
    finals = [builder.phi(vector) for _ in tile]
    for value in (*zip(running, sums, added, strict=True), *zip(finals, sums, added, strict=True)):
        phi, start, end = value
        phi.add_incoming(start, before)
        phi.add_incoming(end, loop)
    for final, pointer in zip(finals, results, strict=True):
        builder.store(final, pointer, align=n_bytes)


_tile_4, _tile_1 = _register_tile(OUTPUTS, VECTORS), _register_tile(1, VECTORS)
_vector_4, _vector_1 = _register_tile(OUTPUTS, 1), _register_tile(1, 1)


@compiled
def sums_of_products(
    x: Any,
    first_x: int,
    places: Any,
    n_places: int,
    offsets: Any,
    weights: Any,
    outputs: Any,  # first, after the last
    first_term: int,
    bias: Any,
    goes_on: bool,
    y: Any,
    first_y: int,
    targets: Any,
    step: int,
) -> None:
    """Compute the channels `outputs` at the first `n_places` places, in tiles as large as there are.

    All outputs of one tile's places come in turn, so that what they read of x stays in the first-level cache.
    """
    first, after = outputs
    in_tiles, by_four = n_places - n_places % VECTORS, after - (after - first) % OUTPUTS
    for v in range(0, in_tiles, VECTORS):
        for o in range(first, by_four, OUTPUTS):
            at = first_y + (o - first) * step
            _tile_4(x, first_x, places, v, offsets, weights, o, first_term, bias, goes_on, y, at, targets, step)
        for o in range(by_four, after):
            at = first_y + (o - first) * step
            _tile_1(x, first_x, places, v, offsets, weights, o, first_term, bias, goes_on, y, at, targets, step)
    for v in range(in_tiles, n_places):
        for o in range(first, by_four, OUTPUTS):
            at = first_y + (o - first) * step
            _vector_4(x, first_x, places, v, offsets, weights, o, first_term, bias, goes_on, y, at, targets, step)
        for o in range(by_four, after):
            at = first_y + (o - first) * step
            _vector_1(x, first_x, places, v, offsets, weights, o, first_term, bias, goes_on, y, at, targets, step)
