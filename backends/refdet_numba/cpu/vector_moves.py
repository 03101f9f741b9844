"""Copying runs of numbers a vector at a time, also every second one.

    copy(source, begin, step, target, at, n)        target[at + j] ← source[begin + step · j],   j < n
    clear(target, at, n)                            target[at + j] ← 0

for flat arrays. Rows of convolutions have 14 to 60 pixels: as loops, which LLVM turns into vectors for runs of 64 and
finishes number by number, they would take longer than a depthwise convolution. Here a last vector that would reach
beyond the run is moved back so that it ends with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from refdet_numba.cpu.compiling import compiled
from refdet_numba.cpu.register_tile import VECTOR_BYTES


def _move(step: int) -> Any:
    """Return the function that moves a vector of every `step`-th number, for a step of 0 (zeros), 1 or 2."""

    @intrinsic  # type: ignore[untyped-decorator]
    def move(typing: Any, source: Any, begin: Any, target: Any, at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            n_bytes, integer = target.dtype.bitwidth // 8, ir.IntType(32)
            n = VECTOR_BYTES // n_bytes
            vector = ir.VectorType(context.get_value_type(target.dtype), n)

            def pointer(i: int, more: int = 0) -> Any:
                array = context.make_array(signature.args[i])(context, builder, arguments[i])
                index = builder.add(arguments[i + 1], ir.Constant(ir.IntType(64), more))
                return builder.bitcast(builder.gep(array.data, [index]), vector.as_pointer())

            value = ir.Constant(vector, None)  # zeros
            if step:
                value = builder.load(pointer(0), align=n_bytes)
            if step == 2:  # the second vector begins at n - 1, so that it ends with the last number that is asked for
                second = builder.load(pointer(0, n - 1), align=n_bytes)
                lanes = [*range(0, n, 2), *range(n + 1, 2 * n, 2)]
                value = builder.shuffle_vector(value, second, ir.Constant(ir.VectorType(integer, n), lanes))
            builder.store(value, pointer(2), align=n_bytes)
            return context.get_dummy_value()

        return types.void(source, types.int64, target, types.int64), generate

    return move


_zeros, _move_1, _move_2 = _move(0), _move(1), _move(2)


OF_4, OF_8 = VECTOR_BYTES // 4, VECTOR_BYTES // 8  # numbers of 4 and of 8 bytes in a vector


@compiled
def copy(source: Any, begin: int, step: int, target: Any, at: int, n: int) -> None:
    """Copy every `step`-th number."""
    lanes = OF_4 if target.itemsize == 4 else OF_8  # without a division, which would take as long as the copy of a row
    if n >= lanes and step <= 2:
        last, j = n - lanes, 0
        while j < n:
            k = min(j, last)
            if step == 1:
                _move_1(source, begin + k, target, at + k)
            else:
                _move_2(source, begin + 2 * k, target, at + k)
            j += lanes
        return
    first, to, every = np.uint64(begin), np.uint64(at), np.uint64(step)  # unsigned: no index counts from the end
    for i in range(np.uint64(n)):
        target[to + i] = source[first + every * i]


@compiled
def clear(target: Any, at: int, n: int) -> None:
    """Set numbers to 0."""
    lanes = OF_4 if target.itemsize == 4 else OF_8
    if n >= lanes:
        last, j = n - lanes, 0
        while j < n:
            _zeros(target, 0, target, at + min(j, last))
            j += lanes
        return
    to = np.uint64(at)
    for i in range(np.uint64(n)):
        target[to + i] = 0
