"""The two halves of an iteration of mean-field inference: over the points, and over the vertices of the lattices.

    for each part of the points (in parallel):
        for each 32 points:
            slice     p_i(l) = Σ_m n^α Σ over corners of weight · z⁽ᵐ⁾(l)
            energy    F += Σ_l q log q + ψ q + ½ q p                             of the old q
            update    q ← δ q + (1 − δ) · 1/Z exp(−ψ − p)
            splat     z' += n^β · weight · q                                     on the part's own vertices
    for each lattice and each vector of labels (in parallel):
        for each vertex:  z ← Σ of what the parts have for it, in their order
        for each axis:  for each vertex:  blur
    for each 256 vertices (in parallel):  z⁽ᵐ⁾(l) ← scale · Σ_l' μ⁽ᵐ⁾(l, l') z⁽ᵐ⁾(l')

so that the energies and probabilities of a point are read and written once an iteration. The compatibility transform
works on labels, slicing on points: which of them comes first makes no difference, and vertices are fewer than points.

log q is not computed: it is x − m − log Z of the update, x the logits and m the largest. The Z, which lie between 1 and
L, are multiplied over 32 points before their logarithm is taken. With damping q has its own logarithm.

Rows are labels, padded to a multiple of eight. The logit of a padded label is −∞ (`closed`), so that its q is 0. Parts
and their order depend on the number of points alone, and so does every sum; energies are summed in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import prange

from refdet_numba.cpu.compiling import compiled, compiled_parallel
from refdet_numba.cpu.exponential import exponential
from refdet_numba.cpu.gemm import gemm
from refdet_numba.cpu.lane_operations import at_least, every, larger, largest, magnitude, multiply_add, total
from refdet_numba.cpu.lanes import LANE_BYTES, load, store

TILE = 32  # points
BLOCK = 256  # vertices
ENERGY, ENTROPY, CHANGE, IS_NAN = range(4)  # columns of `results`


@compiled_parallel
def pass_over_points(
    psi: Any,
    q: Any,
    new_q: Any,
    updates: Any,
    given: Any,
    corners: Any,
    out_weights: Any,
    in_weights: Any,
    first_slot: Any,
    vertex_of: Any,
    z: Any,
    slots: Any,
    closed: Any,
    pairwise: Any,
    scalars: Any,
    damping: Any,
    begins: Any,
    ends: Any,
    results: Any,
) -> None:
    """Go over all points; `begins`: from the softmax of −ψ; `ends`: the energy only. Shapes: `mean_field.Inference`."""
    n_points, width = psi.shape
    lanes = LANE_BYTES // psi.itemsize
    n_parts = len(results)
    size = -(-n_points // n_parts)
    for part in prange(n_parts):
        none = every(psi.dtype.type(0))
        for slot in range(first_slot[part], first_slot[part + 1]):
            for b in range(0, width, lanes):
                store(slots, (slot, b), none)
        last = min(n_points, (part + 1) * size)
        for first in range(part * size, last, TILE):
            n = min(TILE, last - first)
            row = part * TILE
            if not begins:
                _slice(corners, out_weights, first_slot[part], vertex_of, z, given, pairwise, first, n, row)
                _measure(psi, q, pairwise, damping, first, n, row, results, part)
            if not ends:
                _update(
                    *(psi, q, new_q, updates, pairwise, closed, scalars, damping, begins),
                    *(first, n, row, results, part),
                )
                _splat(new_q, corners, in_weights, first_slot[part], slots, first, n)


@compiled
def _slice(
    corners: Any,
    weights: Any,
    slot: Any,
    vertex_of: Any,
    z: Any,
    given: Any,
    pairwise: Any,
    first: Any,
    n: Any,
    row: Any,
) -> None:
    """The pairwise energies of n points, three vectors of labels at a time; `given` is what other filters cause."""
    lanes, width = LANE_BYTES // z.itemsize, z.shape[1]
    none = every(z.dtype.type(0))
    for t in range(n):
        i, to = first + t, row + t
        for b in range(0, width - 2 * lanes, 3 * lanes):
            x, y, w = none, none, none
            for k in range(corners.shape[1]):
                weight, v = every(weights[i, k]), np.int64(vertex_of[slot + corners[i, k]])
                x = multiply_add(weight, load(z, (v, b)), x)
                y = multiply_add(weight, load(z, (v, b + lanes)), y)
                w = multiply_add(weight, load(z, (v, b + 2 * lanes)), w)
            store(pairwise, (to, b), x)
            store(pairwise, (to, b + lanes), y)
            store(pairwise, (to, b + 2 * lanes), w)
        for b in range(width - width % (3 * lanes), width, lanes):
            x = none
            for k in range(corners.shape[1]):
                v = np.int64(vertex_of[slot + corners[i, k]])
                x = multiply_add(every(weights[i, k]), load(z, (v, b)), x)
            store(pairwise, (to, b), x)
        if len(given):
            for b in range(0, width, lanes):
                store(pairwise, (to, b), load(pairwise, (to, b)) + load(given, (i, b)))


@compiled
def _measure(
    psi: Any, q: Any, pairwise: Any, damping: Any, first: Any, n: Any, row: Any, results: Any, part: Any
) -> None:
    """Add Σ ψ q + ½ q p; with damping Σ q log q as well."""
    lanes = LANE_BYTES // psi.itemsize
    half = every(psi.dtype.type(0.5))
    energy = 0.0
    for t in range(n):
        terms = every(psi.dtype.type(0))
        for b in range(0, psi.shape[1], lanes):
            old = load(q, (first + t, b))
            terms = multiply_add(old, load(psi, (first + t, b)), terms)
            terms = multiply_add(old * half, load(pairwise, (row + t, b)), terms)
        energy += total(terms)
        if damping:
            for label in range(psi.shape[1]):
                share = q[first + t, label]
                energy += share * math.log(share) if share != 0 else share
    results[part, ENERGY] += energy


@compiled
def _update(
    psi: Any,
    q: Any,
    new_q: Any,
    updates: Any,
    pairwise: Any,
    closed: Any,
    scalars: Any,
    damping: Any,
    begins: Any,
    first: Any,
    n: Any,
    row: Any,
    results: Any,
    part: Any,
) -> None:
    """q ← δ q + (1 − δ) softmax(−ψ − p); add Σ q log q, note the largest |Δq|; the logits take the place of p.

    Three loops, as many points wait for the largest of their logits, or their sum, at a time.
    """
    number = psi.dtype.type
    lanes, width = LANE_BYTES // psi.itemsize, psi.shape[1]
    none, lowest = every(number(0)), every(number(-87.9) if psi.itemsize == 4 else number(-800))
    for t in range(n):
        top = every(number(-np.inf))
        for b in range(0, width, lanes):
            x = load(closed, (0, b)) - load(psi, (first + t, b))
            if not begins:
                x = x - load(pairwise, (row + t, b))
            store(pairwise, (row + t, b), x)
            top = larger(x, top)
        scalars[row + t, 0] = largest(top)
    for t in range(n):
        top, mass, logarithms = every(scalars[row + t, 0]), none, none
        for b in range(0, width, lanes):
            below = at_least(load(pairwise, (row + t, b)) - top, lowest)
            e = exponential(below)
            mass = mass + e
            logarithms = multiply_add(e, below, logarithms)
            store(pairwise, (row + t, b), e)
        scalars[row + t, 0], scalars[row + t, 1] = total(mass), total(logarithms)
    old_share, new_share = every(number(damping)), every(number(1 - damping))
    change, entropy, product = none, 0.0, 1.0
    for t in range(n):
        i, z = first + t, scalars[row + t, 0]
        entropy += scalars[row + t, 1] / z
        product *= z
        inverse = every(number(1) / z)
        for b in range(0, width, lanes):
            share = load(pairwise, (row + t, b)) * inverse
            if len(updates):
                store(updates, (i, b), share)
            if not begins:
                old = load(q, (i, b))
                if damping:
                    share = old_share * old + new_share * share
                change = larger(magnitude(share - old), change)
            store(new_q, (i, b), share)
    results[part, ENTROPY] += entropy - math.log(product)
    results[part, CHANGE] = max(results[part, CHANGE], np.float64(largest(change)))
    if product != product:
        results[part, IS_NAN] = 1


@compiled
def _splat(q: Any, corners: Any, weights: Any, slot: Any, slots: Any, first: Any, n: Any) -> None:
    """Hand the q of n points to the slots of their part."""
    lanes, width = LANE_BYTES // q.itemsize, q.shape[1]
    for i in range(first, first + n):
        for b in range(0, width - 2 * lanes, 3 * lanes):
            x, y, w = load(q, (i, b)), load(q, (i, b + lanes)), load(q, (i, b + 2 * lanes))
            for k in range(corners.shape[1]):
                weight, s = every(weights[i, k]), slot + corners[i, k]
                store(slots, (s, b), multiply_add(weight, x, load(slots, (s, b))))
                store(slots, (s, b + lanes), multiply_add(weight, y, load(slots, (s, b + lanes))))
                store(slots, (s, b + 2 * lanes), multiply_add(weight, w, load(slots, (s, b + 2 * lanes))))
        for b in range(width - width % (3 * lanes), width, lanes):
            x = load(q, (i, b))
            for k in range(corners.shape[1]):
                s = slot + corners[i, k]
                store(slots, (s, b), multiply_add(every(weights[i, k]), x, load(slots, (s, b))))


@compiled_parallel
def blur(
    slots: Any, slots_from: Any, slots_of: Any, neighbours: Any, first_vertex: Any, n_axes: Any, tables: Any
) -> None:
    """Add up the parts and blur, for every lattice and every vector of labels; `tables`, (tasks, 2, rows, lanes).

    A last row of 0 stands for missing neighbours.
    """
    lanes = tables.shape[3]
    n_lattices = len(n_axes)
    for task in prange(len(tables)):
        m, b = task % n_lattices, task // n_lattices * lanes
        base = first_vertex[m]
        n_vertices = first_vertex[m + 1] - base
        none, half = every(slots.dtype.type(0)), every(slots.dtype.type(0.5))
        for v in range(n_vertices):
            x = none
            for k in range(slots_from[base + v], slots_from[base + v + 1]):
                x = x + load(slots, (np.int64(slots_of[k]), b))
            store(tables, (task, 0, v, 0), x)
        store(tables, (task, 0, n_vertices, 0), none)
        store(tables, (task, 1, n_vertices, 0), none)
        for j in range(n_axes[m]):
            before, after = j % 2, (j + 1) % 2
            for v in range(n_vertices):
                one, other = np.int64(neighbours[j, 0, base + v]), np.int64(neighbours[j, 1, base + v])
                around = load(tables, (task, before, one, 0)) + load(tables, (task, before, other, 0))
                x = multiply_add(half, around, load(tables, (task, before, v, 0)))
                store(tables, (task, after, v, 0), x)


@compiled_parallel(multiplies_matrices=True)
def transform(tables: Any, n_axes: Any, blocks: Any, costs: Any, blurred: Any, z: Any) -> None:
    """Multiply by `costs`, scale · μᵀ of every lattice; a row of `blocks`: lattice, first and last vertex, row in z."""
    width = z.shape[1]
    lanes = tables.shape[3]
    n_lattices = len(n_axes)
    for block in prange(len(blocks)):
        m, first, last, to = blocks[block]
        table = n_axes[m] % 2
        for v in range(first, last):
            for b in range(0, width, lanes):
                x = load(tables, (b // lanes * n_lattices + m, table, v, 0))
                store(blurred, (block * BLOCK + v - first, b), x)
        rows = blurred[block * BLOCK : block * BLOCK + last - first]
        gemm(rows, costs[m * width : (m + 1) * width], z[to : to + last - first], 0.0)
