"""Inputs large enough that a kernel cuts its work into many pieces; golden cases seldom are.

Every kernel of a backend has one here at least: the arrays and parameters of its forward pass, or of the one kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from refdet.core.check import Array
from refdet.core.kernel import KERNELS, Backend, use_backend
from refdet.verify.catalogue import algorithm_of

RNG = np.random.Generator


class Problem(NamedTuple):
    arrays: tuple[Array | None, ...]
    params: dict[str, Any]


def problems_of(kernel: str, dtype: str) -> Iterator[Problem]:
    """Yield the inputs of a kernel; for `X.backward` those of X's forward pass."""
    algorithm = algorithm_of(kernel)
    for arrays, params in MAKERS[algorithm](np.random.default_rng(0)):
        yield Problem(tuple(x.astype(dtype) if x is not None and x.dtype.kind == "f" else x for x in arrays), params)


def call_of(kernel: str, problem: Problem, table: dict[str, Callable[..., Any]]) -> Callable[[], Any]:
    """Return the call of a backend's kernel on a problem; what a backward pass needs is computed here."""
    arrays, params = problem
    keep = {} if kernel == algorithm_of(kernel) else {"keep_residual": True}
    KERNELS[kernel.replace(".backward", ".forward")].check(*arrays, **params, **keep)
    if not keep:
        return lambda: table[kernel](*arrays, **params)
    if kernel.endswith(".forward"):
        return lambda: table[kernel](*arrays, **params, keep_residual=False)
    forward = table.get(f"{algorithm_of(kernel)}.forward", KERNELS[f"{algorithm_of(kernel)}.forward"].reference)
    y, residual = forward(*arrays, **params, keep_residual=True)
    y = y[0] if isinstance(y, tuple) else y
    dy = np.random.default_rng(1).standard_normal(y.shape).astype(y.dtype)
    needs = tuple(x is not None and x.dtype.kind == "f" for x in arrays)
    return lambda: table[kernel](residual, dy, needs=needs, **params)


def _convolutions(rng: RNG) -> Iterator[tuple[Any, Any]]:
    geometries = [  # images, C, O, kernel, groups, stride, dilation, padding, size
        (2, 48, 64, 3, 1, 1, 1, 1, (50, 43)),
        (2, 128, 160, 3, 1, 1, 1, 1, (15, 14)),
        (2, 3, 64, 7, 1, 2, 1, 3, (75, 66)),
        (2, 64, 96, 1, 1, 1, 1, 0, (40, 39)),
        (2, 64, 96, 1, 1, 2, 1, 0, (40, 39)),
        (2, 32, 48, 3, 1, 2, 1, 1, (31, 40)),
        (2, 32, 48, 3, 1, 1, 2, 2, (31, 40)),
        (2, 64, 64, 3, 16, 1, 1, 1, (30, 31)),
        (2, 40, 40, 3, 40, 1, 1, 1, (30, 31)),
        (2, 48, 64, 5, 1, 1, 1, 2, (27, 28)),
        (2, 64, 96, 5, 2, 1, 1, 2, (35, 34)),
        (150, 20, 24, 3, 1, 1, 1, 1, (7, 6)),
    ]
    for N, C, O, k, groups, stride, dilation, p, size in geometries:
        arrays = rng.standard_normal((N, C, *size)), rng.standard_normal((O, C // groups, k, k)), rng.standard_normal(O)
        params = {"stride": (stride,) * 2, "padding": ((p, p), (p, p)), "dilation": (dilation,) * 2, "groups": groups}
        yield arrays, params


def _transposed_convolutions(rng: RNG) -> Iterator[tuple[Any, Any]]:
    for (x, weight, bias), params in _convolutions(rng):
        channels = weight.shape[1] * params["groups"]
        x = rng.standard_normal((2, weight.shape[0], 14, 17))
        bias = rng.standard_normal(channels)
        if all(s == 1 for s in params["stride"]) or weight.shape[2] > 1:
            yield (x, weight, bias), {**params, "output_padding": (0, 0)}


def _windows(**more: Any) -> Callable[[RNG], Iterator[tuple[Any, Any]]]:
    def make(rng: RNG) -> Iterator[tuple[Any, Any]]:
        x = rng.integers(0, 50, (2, 20, 41, 38)).astype(float)
        for kernel_size, stride, p in [((2, 2), (2, 2), 0), ((3, 3), (2, 2), 1), ((3, 2), (1, 1), 0)]:
            params = {"kernel_size": kernel_size, "stride": stride, "padding": ((p, p), (p, p)), "ceil_mode": False}
            yield (x,), {**params, "convention": "torch", **more}

    return make


def _batch_norm(rng: RNG) -> Iterator[tuple[Any, Any]]:
    x, per_channel = 3 * rng.standard_normal((5, 21, 33, 31)) + 2, rng.uniform(1, 2, (4, 21))
    for training in (True, False):
        yield (x, *per_channel), {"training": training, "momentum": 0.1, "eps": 1e-5, "convention": "torch"}


def _gather(rng: RNG) -> Iterator[tuple[Any, Any]]:
    yield (rng.standard_normal((70, 3, 40, 21)),), {"key": (rng.integers(0, 70, 90),)}
    yield (rng.standard_normal((70, 300)),), {"key": (slice(None), rng.integers(-300, 300, 400))}


def _relu(rng: RNG) -> Iterator[tuple[Any, Any]]:
    yield (rng.standard_normal((5, 21, 33, 31)),), {}


def _unpooling(rng: RNG) -> Iterator[tuple[Any, Any]]:
    x = rng.standard_normal((2, 20, 20, 19))
    switches = rng.integers(0, 40 * 38, x.shape)
    yield (x, switches), {"output_size": (40, 38), "overlap": "last"}


def _pyramid(rng: RNG) -> Iterator[tuple[Any, Any]]:
    yield (rng.standard_normal((3, 40, 31, 29)),), {"levels": (1, 2, 3, 6)}


def _map_and_regions(rng: RNG) -> tuple[Array, Array]:
    corners = rng.uniform(-20, 600, (70, 2))
    regions = np.concatenate([rng.integers(0, 2, (70, 1)), corners, corners + rng.uniform(1, 300, (70, 2))], axis=1)
    return rng.standard_normal((2, 40, 38, 41)), regions


def _roi_align(rng: RNG) -> Iterator[tuple[Any, Any]]:
    params = {"output_size": (7, 7), "scale": 1 / 16, "border": "kernel", "reduction": "mean"}
    arrays = _map_and_regions(rng)
    for ratio in (0, 2):
        yield arrays, {**params, "sampling_ratio": ratio, "aligned": True}
    yield arrays, {**params, "sampling_ratio": 2, "aligned": False, "reduction": "max"}


def _roi_pool(rng: RNG) -> Iterator[tuple[Any, Any]]:
    for convention in ("exact", "float32-bins"):
        yield _map_and_regions(rng), {"output_size": (7, 7), "scale": 1 / 16, "convention": convention}


def _resizing(**more: Any) -> Callable[[RNG], Iterator[tuple[Any, Any]]]:
    def make(rng: RNG) -> Iterator[tuple[Any, Any]]:
        params = {"size": (61, 70), "ratio": (31 / 61, 28 / 70), "coordinates": "half_pixel"}
        yield (rng.standard_normal((2, 20, 31, 28)),), {**params, **more}

    return make


def _boxes(rng: RNG, n: int) -> Array:
    corners = rng.integers(0, 300, (n, 2))
    return np.concatenate([corners, corners + rng.integers(1, 80, (n, 2))], axis=1).astype(float)


def _iou(rng: RNG) -> Iterator[tuple[Any, Any]]:
    yield (_boxes(rng, 700), _boxes(rng, 300), rng.random(300) < 0.2), {"offset": 0, "empty": "zero"}


def _coco_iou(rng: RNG) -> Iterator[tuple[Any, Any]]:
    yield (_boxes(rng, 1000), _boxes(rng, 300), rng.random(300) < 0.2), {}


def _suppression(*, by_class: bool = False, **params: Any) -> Callable[[RNG], Iterator[tuple[Any, Any]]]:
    def make(rng: RNG) -> Iterator[tuple[Any, Any]]:
        n = 3000 if "method" not in params else 400
        scores = rng.integers(0, 200, n) / 200
        classes = (rng.integers(0, 7, n),) if by_class else ()
        yield (_boxes(rng, n), scores, *classes), {"threshold": 0.5, "offset": 0, **params}

    return make


def _suppression_by_matrix(rng: RNG) -> Iterator[tuple[Any, Any]]:
    yield (rng.random((900, 900)) ** 8, rng.integers(0, 200, 900) / 200), {"threshold": 0.5}


def _best(rng: RNG) -> Iterator[tuple[Any, Any]]:
    yield (rng.integers(0, 500, 5000) / 500,), {"k": 3000}


def _overlap_table(rng: RNG, n: int, m: int) -> Array:
    return rng.integers(0, 11, (n, m)) / 10 * (rng.random((n, m)) < 0.2)


def _match_rcnn(rng: RNG) -> Iterator[tuple[Any, Any]]:
    params = {"positive": 0.5, "negative_low": 0.1, "negative_high": 0.5, "comparison": ">="}
    yield (_overlap_table(rng, 3000, 40),), params


def _match_rpn(rng: RNG) -> Iterator[tuple[Any, Any]]:
    params = {"positive": 0.7, "negative": 0.3, "comparison": ">=", "force_best": True, "guard_zero": True}
    yield (_overlap_table(rng, 3000, 40), rng.random(3000) < 0.8), params


def _match_ssd(rng: RNG) -> Iterator[tuple[Any, Any]]:
    yield (_overlap_table(rng, 3000, 40),), {"threshold": 0.5, "min_overlap": 1e-6, "convention": "torchvision"}


def _match_detections(rng: RNG) -> Iterator[tuple[Any, Any]]:
    arrays = _boxes(rng, 2000), rng.integers(0, 60, 2000), _boxes(rng, 500), rng.integers(0, 60, 500)
    params = {"threshold": 0.5, "comparison": ">=", "candidates": "unmatched", "offset": 0}
    yield (*arrays, rng.random(500) < 0.1), params


def _coco_match(rng: RNG) -> Iterator[tuple[Any, Any]]:
    crowd = rng.random((20, 60)) < 0.2
    ignored = crowd | (rng.random((20, 60)) < 0.2)
    table = _overlap_table(rng, 2000, 60).reshape(20, 100, 60)
    yield (table, ignored, crowd), {"thresholds": tuple(np.arange(10) / 20 + 0.5)}


def _mask(rng: RNG, shape: tuple[int, int] = (150, 170)) -> Array:
    return np.kron(rng.random((shape[0] // 10, shape[1] // 10)) < 0.5, np.ones((10, 10))).astype(bool)


def _rle_encode(rng: RNG) -> Iterator[tuple[Any, Any]]:
    yield (_mask(rng),), {}


def _rle_decode(rng: RNG) -> Iterator[tuple[Any, Any]]:
    mask = _mask(rng)
    yield (KERNELS["rle_encode"].reference(mask),), {"size": mask.shape}


def _rle_iou(rng: RNG) -> Iterator[tuple[Any, Any]]:
    encode = KERNELS["rle_encode"].reference
    masks = [encode(_mask(rng)) for _ in range(45)]

    def joined(part: list[Array]) -> tuple[Array, Array]:
        return np.concatenate(part), np.cumsum([0, *(len(counts) for counts in part)])

    yield (*joined(masks[:30]), *joined(masks[30:]), rng.random(15) < 0.3), {"size": (150, 170)}


class _Lattice(NamedTuple):
    """The parts of a permutohedral lattice around 3,000 points in four dimensions, and values on both."""

    features: Array
    weights: Array
    keys: Array
    vertices: Array
    ids: Array
    neighbours: Array
    values: Array  # on the points
    z: Array  # on the vertices

    @classmethod
    def drawn(cls, rng: RNG) -> _Lattice:
        features = 2 * rng.standard_normal((3000, 4))
        (weights, keys), _ = KERNELS["lattice_embed.forward"].reference(features, keep_residual=False)
        vertices, ids, neighbours = KERNELS["lattice_index"].reference(keys)
        values, z = rng.standard_normal((3000, 5)), rng.standard_normal((len(vertices), 5))
        return cls(features, weights, keys, vertices, ids, neighbours, values, z)


def _on_lattice(
    arrays: Callable[[_Lattice], tuple[Array, ...]], *settings: dict[str, Any]
) -> Callable[[RNG], Iterator[tuple[Any, Any]]]:
    def make(rng: RNG) -> Iterator[tuple[Any, Any]]:
        lattice = _Lattice.drawn(rng)
        for params in settings:
            n_vertices = {"n_vertices": len(lattice.vertices)} if params.get("n_vertices") else {}
            yield arrays(lattice), {**params, **n_vertices}

    return make


def _convolution_on_lattice(rng: RNG) -> Iterator[tuple[Any, Any]]:
    lattice = _Lattice.drawn(rng)
    taps = KERNELS["lattice_neighbourhood"].reference(lattice.vertices, size=1, traversal="exact")
    z = rng.standard_normal((len(lattice.vertices), 6))
    yield (z, rng.standard_normal((4, 3, len(taps))), taps), {"groups": 2}


def _mean_field(rng: RNG) -> Iterator[tuple[Any, Any]]:
    params = {"shape": None, "exclude_self": False, "iterations": 3, "damping": 0.0}
    arrays = rng.standard_normal((1500, 7)), rng.standard_normal((1500, 5)), rng.standard_normal((2, 7, 7))
    kernels = {"dimensions": (2, 3), "filters": ("lattice", "lattice"), "normalisation": ("symmetric", "before")}
    yield arrays, {**params, **kernels}


def _small_gaussian(rng: RNG) -> Iterator[tuple[Any, Any]]:
    yield (rng.standard_normal((300, 3)),), {"exclude_self": True}


def _recorded(run: Callable[[RNG], object], algorithm: str) -> Callable[[RNG], Iterator[tuple[Any, Any]]]:
    """Return the largest call of a kernel while `run` runs."""

    def make(rng: RNG) -> Iterator[tuple[Any, Any]]:
        reference, calls = KERNELS[algorithm].reference, []

        def listen(*arrays: Any, **params: Any) -> Any:
            calls.append((arrays, params))
            return reference(*arrays, **params)

        with use_backend(Backend("recorder", {algorithm: listen}, "reference")):
            run(rng)
        yield max(calls, key=lambda call: sum(np.size(x) for x in call[0]))

    return make


def _picture(rng: RNG) -> Array:
    patches = np.kron(rng.integers(40, 216, (6, 8, 3)), np.ones((16, 16, 1)))
    picture: Array = np.clip(patches + rng.integers(-8, 9, patches.shape), 0, 255).astype(np.uint8)
    return picture


def _search(rng: RNG) -> object:
    from refdet.proposals import selective_search

    return selective_search(_picture(rng), rng=rng)


def _edges(rng: RNG) -> object:
    from refdet.proposals import edge_boxes, gradient_edges

    return edge_boxes(*gradient_edges(_picture(rng)))


MAKERS: dict[str, Callable[[RNG], Iterator[tuple[Any, Any]]]] = {
    "avg_pool2d": _windows(count_include_pad=True),
    "batch_norm": _batch_norm,
    "box_iou": _iou,
    "class_nms": _suppression(by_class=True),
    "coco_box_iou": _coco_iou,
    "coco_match": _coco_match,
    "conv2d": _convolutions,
    "conv_transpose2d": _transposed_convolutions,
    "edge_affinities": _recorded(_edges, "edge_affinities"),
    "gather": _gather,
    "group_edges": _recorded(_edges, "group_edges"),
    "group_regions": _recorded(_search, "group_regions"),
    "gaussian_kernel": _small_gaussian,
    "lattice_blur": _on_lattice(lambda at: (at.z, at.neighbours), {"reverse": False}, {"reverse": True}),
    "lattice_convolve": _convolution_on_lattice,
    "lattice_embed": _on_lattice(lambda at: (at.features,), {}),
    "lattice_index": _on_lattice(lambda at: (at.keys,), {}),
    "lattice_neighbourhood": _on_lattice(lambda at: (at.vertices,), {"size": 1, "traversal": "exact"}),
    "lattice_slice": _on_lattice(lambda at: (at.z, at.weights, at.ids), {"scale": 0.9}),
    "lattice_splat": _on_lattice(lambda at: (at.values, at.weights, at.ids), {"n_vertices": True}),
    "match_detections": _match_detections,
    "match_rcnn": _match_rcnn,
    "match_rpn": _match_rpn,
    "match_ssd": _match_ssd,
    "mean_field": _mean_field,
    "max_pool2d": _windows(dilation=(1, 1)),
    "max_unpool2d": _unpooling,
    "merge_graph": _recorded(_search, "merge_graph"),
    "nms": _suppression(),
    "nms_from_iou": _suppression_by_matrix,
    "relu": _relu,
    "resize_bicubic": _resizing(a=-0.75),
    "resize_bilinear": _resizing(),
    "resize_nearest": _resizing(rounding="floor"),
    "rle_decode": _rle_decode,
    "rle_encode": _rle_encode,
    "rle_iou": _rle_iou,
    "roi_align": _roi_align,
    "roi_pool": _roi_pool,
    "score_edge_boxes": _recorded(_edges, "score_edge_boxes"),
    "soft_nms": _suppression(method="gaussian", sigma=0.5, min_score=0.001),
    "spatial_pyramid_pool": _pyramid,
    "top_k": _best,
}
