"""Deviations of the permutohedral lattice, and of Gaussian kernels and filters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from golden.wrapping import both_passes, setting
from refdet.core.check import Array
from refdet.crf.gaussian_kernel import GaussianKernelResidual
from refdet.crf.truncated_gaussian import TruncatedGaussianResidual, filter_along
from refdet.verify.deviation import Body, Deviation

ADAMS = "abadams/permutohedral, cpu/permutohedral.h"
MONTEIRO = "MiguelMonteiro/permutohedral_lattice, src/PermutohedralLatticeCPU.h"
KRAEHENBUEHL = "lucasb-eyer/pydensecrf, pydensecrf/densecrf/src/permutohedral.cpp"
BILATERAL_NN = "MPI-IS/bilateralNN, caffe/util/permutohedral.cpp"
SCIPY = "scipy/scipy, scipy/ndimage/_filters.py, gaussian_filter1d"
CRFSEG = "mishgon/crfseg, crfseg/model.py"
Sigma = tuple[float, float]


def _halved_passes_forward(body: Body) -> Body:
    def lattice_blur(z: Array, neighbours: Array, **params: Any) -> Any:
        blurred, residual = body(z, neighbours, **params)
        return blurred * 0.5 ** len(neighbours), residual  # ½ (z + ½ (z⁺ + z⁻)) in every pass

    return lattice_blur


def _halved_passes_backward(body: Body) -> Body:
    def lattice_blur_backward(residual: Any, dy: Array, **params: Any) -> Any:
        return body(residual, dy * 0.5 ** len(residual.neighbours), **params)

    return lattice_blur_backward


def _first_axis_first(body: Body) -> Body:
    def lattice_blur_backward(residual: Any, dy: Array, *, needs: tuple[bool, bool], reverse: bool) -> Any:
        return body(residual, dy, needs=needs, reverse=True)  # the opposite of which is not reversed

    return lattice_blur_backward


def _short_keys(body: Body) -> Body:
    def lattice_embed(features: Array, **params: Any) -> Any:
        (weights, corners), residual = body(features, **params)
        return (weights, _wrapped(corners)), residual

    return lattice_embed


def _wrapped(numbers: Array) -> Array:
    """Return what is left of integers in 16 bits."""
    return numbers.astype(np.int16).astype(np.int64)


def _index_of_short_keys(body: Body) -> Body:
    def lattice_index(keys: Array) -> tuple[Array, Array, Array]:
        vertices, ids, neighbours = body(_wrapped(keys))
        d = vertices.shape[1]
        number_of = {tuple(key): v for v, key in enumerate(vertices.tolist())}
        for j in range(d + 1):
            step = np.full(d, -1)
            step[j : j + 1] = d  # along axis d all of them change by 1
            for side, offset in enumerate((step, -step)):
                found = [number_of.get(tuple(key), -1) for key in _wrapped(vertices + offset).tolist()]
                neighbours[j, side] = np.array(found, np.int64).reshape(-1)
        return vertices, ids, neighbours

    return lattice_index


def _numbered_as_they_come(body: Body) -> Body:
    def lattice_index(keys: Array) -> tuple[Array, Array, Array]:
        vertices, ids, neighbours = body(keys)
        seen, first = np.unique(ids, return_index=True)
        order = seen[np.argsort(first)]  # old number of each new one
        number = np.empty(len(order), np.int64)
        number[order] = np.arange(len(order))
        renamed = np.where(neighbours < 0, -1, number[neighbours]) if len(order) else neighbours
        return vertices[order], number[ids], renamed[:, :, order]

    return lattice_index


def _other_neighbour_first(body: Body) -> Body:
    def lattice_index(keys: Array) -> tuple[Array, Array, Array]:
        vertices, ids, neighbours = body(keys)
        return vertices, ids, neighbours[:, ::-1]

    return lattice_index


def _distances(features: Array) -> Array:
    differences = features[:, None] - features[None]
    distances: Array = np.sqrt(np.sum(differences * differences, axis=2))
    return distances


def _unsquared_forward(body: Body) -> Body:
    def gaussian_kernel(features: Array, *, exclude_self: bool, keep_residual: bool) -> Any:
        squared, _ = body(features, exclude_self=exclude_self, keep_residual=False)
        matrix = np.exp(-0.5 * _distances(features))
        np.fill_diagonal(matrix, np.diagonal(squared))  # 0 or 1
        return matrix, GaussianKernelResidual(features, matrix) if keep_residual else None

    return gaussian_kernel


def _unsquared_backward(body: Body) -> Body:
    def gaussian_kernel_backward(residual: GaussianKernelResidual, dmatrix: Array, **params: Any) -> Any:
        distances = _distances(residual.features)  # ∂K_ij/∂f_i = K_ij (f_j − f_i) / (2 |f_i − f_j|)
        apart = np.divide(residual.matrix, 2 * distances, out=np.zeros_like(distances), where=distances > 0)
        return body(residual._replace(matrix=apart), dmatrix, **params)

    return gaussian_kernel_backward


def _weights_add_up_to_1(body: Body) -> Body:
    def truncated_gaussian(*arrays: Any, sigma: Sigma, truncate: float, **params: Any) -> Any:
        total = _sum_of_weights(body, arrays, sigma, truncate, params)
        if len(arrays) == 2:  # backward: the residual and dy
            (dvalues,) = body(*arrays, sigma=sigma, truncate=truncate, **params)
            return (dvalues / total,)
        y, residual = body(*arrays, sigma=sigma, truncate=truncate, **params)
        return y / total, residual

    return truncated_gaussian


def _sum_of_weights(body: Body, arrays: Any, sigma: Sigma, truncate: float, params: dict[str, Any]) -> float:
    """Return what becomes of a one far from every edge."""
    middle = [1 + 2 * math.ceil(truncate * s) for s in sigma]
    impulse = np.zeros((2 * middle[0] + 1, 2 * middle[1] + 1, 1))
    impulse[middle[0], middle[1]] = 1
    given = (arrays[0]._replace(values=impulse), impulse) if len(arrays) == 2 else (impulse,)
    return float(np.sum(body(*given, sigma=sigma, truncate=truncate, **params)[0]))


def _by_axis(image: Array, sigma: Sigma, truncate: Any) -> Array:
    """Filter down the columns, then along the rows, with `truncate` a function of sigma."""
    return filter_along(filter_along(image, 0, sigma[0], truncate(sigma[0])), 1, sigma[1], truncate(sigma[1]))


def _nearest_radius(body: Body) -> Body:
    def truncated_gaussian(values: Any, *arrays: Array, sigma: Sigma, truncate: float, **params: Any) -> Any:
        def to_whole_radius(s: float) -> float:
            return int(truncate * s + 0.5) / s

        if arrays:
            return (_by_axis(arrays[0], sigma, to_whole_radius),)
        residual = TruncatedGaussianResidual(values) if params["keep_residual"] else None
        return _by_axis(values, sigma, to_whole_radius), residual

    return truncated_gaussian


def _reflected(values: Array, sigma: Sigma, truncate: float) -> tuple[Array, Array]:
    """Return the row and the column of the image that each pixel of a mirrored margin shows."""
    radii = [math.ceil(truncate * s) for s in sigma]
    rows, columns = (np.pad(np.arange(n), r, mode="symmetric") for n, r in zip(values.shape[:2], radii, strict=True))
    return rows, columns


def _mirrored_edge_forward(body: Body) -> Body:
    def truncated_gaussian(values: Array, *, sigma: Sigma, truncate: float, keep_residual: bool) -> Any:
        if 0 in values.shape[:2]:
            return body(values, sigma=sigma, truncate=truncate, keep_residual=keep_residual)
        rows, columns = _reflected(values, sigma, truncate)
        y, _ = body(values[rows][:, columns], sigma=sigma, truncate=truncate, keep_residual=False)
        (H, W), (top, left) = values.shape[:2], (len(rows) - values.shape[0], len(columns) - values.shape[1])
        inner = y[top // 2 : top // 2 + H, left // 2 : left // 2 + W]
        return inner, TruncatedGaussianResidual(values) if keep_residual else None

    return truncated_gaussian


def _mirrored_edge_backward(body: Body) -> Body:
    def truncated_gaussian_backward(residual: Any, dy: Array, *, sigma: Sigma, truncate: float, **params: Any) -> Any:
        if 0 in dy.shape[:2]:
            return body(residual, dy, sigma=sigma, truncate=truncate, **params)
        rows, columns = _reflected(dy, sigma, truncate)
        top, left = (len(rows) - dy.shape[0]) // 2, (len(columns) - dy.shape[1]) // 2
        outer = np.pad(dy, ((top, top), (left, left), (0, 0)))
        (spread,) = body(residual._replace(values=outer), outer, sigma=sigma, truncate=truncate, **params)
        folded = np.zeros_like(dy)
        np.add.at(folded, (rows[:, None], columns), spread)  # every copy of a pixel gives its gradient back
        return (folded,)

    return truncated_gaussian_backward


def _centre_is_zero(body: Body) -> Body:
    def truncated_gaussian(*arrays: Any, sigma: Sigma, truncate: float, **params: Any) -> Any:
        """(F_y − 1)(F_x − 1) = F_y F_x − F_y − F_x + 1, where a filter of no width is 1."""
        no_width = 2.0**-10
        both, only_y, only_x = (
            body(*arrays, sigma=s, truncate=truncate, **params)
            for s in (sigma, (sigma[0], no_width), (no_width, sigma[1]))
        )
        return (both[0] - only_y[0] - only_x[0] + arrays[-1], *both[1:])

    return truncated_gaussian


DEVIATIONS = [
    Deviation(
        key="lattice.blur=quarter",
        title="every pass of the blur has the weights ¼, ½, ¼ instead of ½, 1, ½",
        effect="Blurred values are 2^(d+1) times smaller; a mean, where the filtered ones divide, is the same.",
        who=(f"{ADAMS}, blur", f"{MONTEIRO}, blur"),
        change="Add half of both neighbours to the value itself.",
        kernels={"lattice_blur.forward": _halved_passes_forward, "lattice_blur.backward": _halved_passes_backward},
    ),
    Deviation(
        key="lattice.reverse=never",
        title="the blur always begins with the first axis",
        effect="On a lattice with holes the transposed filter, and with it the gradient, is another operator.",
        who=(f"{ADAMS}, blur, which has no order to choose",),
        change="Go through the axes from the last to the first for the transpose and for the gradient.",
        kernels={"lattice_blur.forward": setting(reverse=False), "lattice_blur.backward": _first_axis_first},
    ),
    Deviation(
        key="lattice.scale=one",
        title="slicing does not multiply by `scale`",
        effect="A Gaussian filter lacks the factor 1/(1 + 2^(−d)); a mean is the same.",
        who=(f"{ADAMS}, slice", f"{MONTEIRO}, slice_point"),
        change="Multiply what is sliced by `scale`.",
        kernels=both_passes("lattice_slice", setting(scale=1.0)),
    ),
    Deviation(
        key="lattice.keys=int16",
        title="keys are 16-bit integers, which wrap around at 2¹⁵",
        effect="Points far from the origin get keys modulo 2¹⁶, and may share vertices with others far away.",
        who=(f"{KRAEHENBUEHL}, HashTable", f"{ADAMS}, HashTablePermutohedral", f"{MONTEIRO}, HashTableCPU"),
        change="Keep keys in at least 32 bits, and refuse features that need more.",
        kernels={"lattice_embed.forward": _short_keys, "lattice_index": _index_of_short_keys},
    ),
    Deviation(
        key="lattice.numbers=as_they_come",
        title="vertices are numbered in the order in which points reach them",
        effect="All ids and neighbours are renamed; what is filtered stays the same.",
        who=(f"{KRAEHENBUEHL}, HashTable::find", f"{ADAMS}, HashTablePermutohedral::lookupOffset"),
        change="Sort the distinct keys lexicographically, column 0 first, and number them so.",
        kernels={"lattice_index": _numbered_as_they_come},
    ),
    Deviation(
        key="lattice.neighbours=swapped",
        title="the first neighbour along an axis is the one with d less, not d more",
        effect="The two neighbours of every vertex change places; the blur, which adds them, stays the same.",
        who=(f"{ADAMS}, blur", f"{MONTEIRO}, blur"),
        change="Put the neighbour whose j-th coordinate is d more first.",
        kernels={"lattice_index": _other_neighbour_first},
    ),
    Deviation(
        key="lattice.traversal=walk",
        title="taps are reached step by step, and given up at the first missing vertex",
        effect="The parameter `traversal` is not read: over a hole in the lattice taps are missing that are there.",
        who=(f"{BILATERAL_NN}, LatticeApproximateTraversal::walk_approximate",),
        change='Look every tap up by its key if traversal is "exact".',
        kernels={"lattice_neighbourhood": setting(traversal="walk")},
    ),
    Deviation(
        key="kernel.distance=unsquared",
        title="the kernel is exp(−½ |f_i − f_j|): the distance is not squared",
        effect="Similarity falls fast near 0 and slowly far away; at distance 1 nothing changes.",
        who=("aim-uofa/AdelaiDet, adet/modeling/condinst/condinst.py, get_images_color_similarity",),
        change="Square the distance: exp(−½ |f_i − f_j|²).",
        kernels={"gaussian_kernel.forward": _unsquared_forward, "gaussian_kernel.backward": _unsquared_backward},
    ),
    Deviation(
        key="gauss.sum=one",
        title="the weights of the truncated Gaussian add up to 1",
        effect="The response to an impulse is not 1 at its centre: everything is divided by the sum of the weights.",
        who=(SCIPY, "opencv/opencv, modules/imgproc/src/smooth.dispatch.cpp, getGaussianKernel"),
        change="Do not divide: the weight at the centre is 1.",
        kernels=both_passes("truncated_gaussian", _weights_add_up_to_1),
    ),
    Deviation(
        key="gauss.cut=nearest",
        title="the radius is truncate · σ rounded to the nearest integer, not up",
        effect="Where the product is less than a half above an integer the outermost taps are missing.",
        who=(SCIPY,),
        change="Round truncate · σ up.",
        kernels=both_passes("truncated_gaussian", _nearest_radius),
    ),
    Deviation(
        key="gauss.edge=mirrored",
        title="beyond the edge of the image there is its mirror image, not zeros",
        effect="Values within the radius of an edge come out larger.",
        who=(f"{SCIPY}, with its default mode='reflect'",),
        change="Take zeros for what lies beyond the edge.",
        kernels={
            "truncated_gaussian.forward": _mirrored_edge_forward,
            "truncated_gaussian.backward": _mirrored_edge_backward,
        },
    ),
    Deviation(
        key="gauss.middle=zero",
        title="both one-dimensional kernels are 0 at their centre",
        effect="To leave out a pixel itself, its whole row and column are left out.",
        who=(f"{CRFSEG}, _create_gaussian_kernel1d",),
        change="Keep the weight 1 at the centre of both passes; subtract the pixel itself from the result if it is to "
        "be left out.",
        kernels=both_passes("truncated_gaussian", _centre_is_zero),
    ),
]
