"""base_anchors and anchor_grid: the nine of three programs, their order, the grid, the deck's numbers, errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.boxes.anchors import CONVENTIONS, anchor_grid, anchor_grid_kernel, base_anchors, base_anchors_kernel
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import anchor_grid as grid_oracle
from tests.oracles import base_anchors as base_oracle

# What generate_anchors.py of Faster R-CNN prints when it runs.
PY_FASTER = [
    [-84, -40, 99, 55], [-176, -88, 191, 103], [-360, -184, 375, 199],
    [-56, -56, 71, 71], [-120, -120, 135, 135], [-248, -248, 263, 263],
    [-36, -80, 51, 95], [-80, -168, 95, 183], [-168, -344, 183, 359],
]  # fmt: skip
# What a comment in it shows: the anchors of the MATLAB version.
MATLAB = [
    [-83, -39, 100, 56], [-175, -87, 192, 104], [-359, -183, 376, 200],
    [-55, -55, 72, 72], [-119, -119, 136, 136], [-247, -247, 264, 264],
    [-35, -79, 52, 96], [-79, -167, 96, 184], [-167, -343, 184, 360],
]  # fmt: skip
TORCHVISION = [
    [-91, -45, 91, 45], [-181, -91, 181, 91], [-362, -181, 362, 181],
    [-64, -64, 64, 64], [-128, -128, 128, 128], [-256, -256, 256, 256],
    [-45, -91, 45, 91], [-91, -181, 91, 181], [-181, -362, 181, 362],
]  # fmt: skip


def test_the_nine_of_faster_rcnn() -> None:
    """23 × 12, 16 × 16 and 11 × 22 around 7.5, times 8, 16 and 32."""
    np.testing.assert_array_equal(base_anchors([8, 16, 32], convention="py-faster"), PY_FASTER)
    np.testing.assert_array_equal(np.array(MATLAB) - 1, PY_FASTER)


def test_the_sides_are_rounded_before_they_are_scaled() -> None:
    """√512 = 22.6 → 23, 23/2 = 11.5 → 12, the even neighbour; √128 = 11.3 → 11, 22."""
    boxes = base_anchors([1], convention="py-faster")
    np.testing.assert_array_equal(boxes[:, 2:] - boxes[:, :2] + 1, [[23, 12], [16, 16], [11, 22]])


def test_the_nine_of_torchvision() -> None:
    np.testing.assert_array_equal(base_anchors([128, 256, 512], convention="torchvision"), TORCHVISION)


def test_torchvision_rounds_halves_to_even() -> None:
    boxes = base_anchors([33, 35], [1.0], convention="torchvision")
    np.testing.assert_array_equal(boxes, [[-16, -16, 16, 16], [-18, -18, 18, 18]])


def test_detectron2_neither_rounds_nor_orders_like_the_others() -> None:
    """Size by size; area s² and ratio h/w to the last digits."""
    boxes = base_anchors([128, 256, 512])
    w, h = (boxes[:, 2:] - boxes[:, :2]).T
    np.testing.assert_allclose(w * h, np.repeat([128.0**2, 256.0**2, 512.0**2], 3), rtol=1e-14)
    np.testing.assert_allclose(h / w, np.tile([0.5, 1, 2], 3), rtol=1e-14)
    np.testing.assert_array_equal(boxes[:, :2], -boxes[:, 2:])
    by_ratio = boxes.reshape(3, 3, 4).transpose(1, 0, 2).reshape(9, 4)
    np.testing.assert_array_equal(np.round(by_ratio), TORCHVISION)


@given(data=st.data(), convention=st.sampled_from(CONVENTIONS))
def test_base_against_the_definition(data: st.DataObject, convention: str) -> None:
    """Rounded corners exactly; multiples of 1/8 as ratios, so that no half comes from an inexact root."""
    ratios = st.integers(1, 32).map(lambda n: n / 8)
    params: dict[str, Any] = {
        "sizes": tuple(float(s) for s in data.draw(st.lists(st.integers(1, 600), max_size=3))),
        "ratios": tuple(data.draw(st.lists(ratios, max_size=3))),
        "base_size": data.draw(st.integers(1, 64)) if convention == "py-faster" else None,
        "convention": convention,
    }
    assert_agrees("base_anchors", base_oracle, [], rng=np.random.default_rng(0), params=params)
    if convention != "detectron2":
        np.testing.assert_array_equal(base_anchors_kernel(**params), base_oracle.forward(**params))


def test_the_base_of_faster_rcnn_is_16_unless_given() -> None:
    given_16 = base_anchors([8, 16, 32], base_size=16, convention="py-faster")
    np.testing.assert_array_equal(given_16, base_anchors([8, 16, 32], convention="py-faster"))
    np.testing.assert_array_equal(base_anchors([1], [1.0], base_size=4, convention="py-faster"), [[0, 0, 3, 3]])


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_anchors_beyond_the_largest_float(convention: str) -> None:
    assert not np.isfinite(base_anchors([1e308], [1e-320], convention=convention)[0, 2])


def test_no_sizes() -> None:
    assert base_anchors([]).shape == (0, 4)
    assert base_anchors([8], []).shape == (0, 4)


def test_grid_by_hand() -> None:
    """Two anchors at 2 × 2 positions: a fastest, then x, then y; 100 pixels down, 10 to the right."""
    base = np.array([[-1.0, -2, 1, 2], [0, 0, 1, 1]])
    np.testing.assert_array_equal(
        anchor_grid(base, 2, (100, 10)),
        [
            [-1, -2, 1, 2], [0, 0, 1, 1], [9, -2, 11, 2], [10, 0, 11, 1],
            [-1, 98, 1, 102], [0, 100, 1, 101], [9, 98, 11, 102], [10, 100, 11, 101],
        ],
    )  # fmt: skip


def test_the_offset_is_in_strides() -> None:
    np.testing.assert_array_equal(anchor_grid(np.zeros((1, 4)), (1, 2), (8, 16), offset=0.5), [[8, 4] * 2, [24, 4] * 2])


def test_the_map_of_a_large_image() -> None:
    """600 × 1000 with stride 16: 37 × 62 positions, nine anchors each; the last around (61 · 16, 36 · 16)."""
    base = base_anchors([8, 16, 32], convention="py-faster")
    anchors = anchor_grid(base, (600 // 16, 1000 // 16), 16)
    assert len(anchors) == 20_646
    np.testing.assert_array_equal(anchors[-1], np.array(PY_FASTER[-1]) + np.array([976, 576, 976, 576]))


@given(
    data=st.data(),
    size=st.tuples(st.integers(0, 3), st.integers(0, 4)),
    stride=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    offset=st.sampled_from([0.0, 0.5, -0.25]),
    seed=seeds,
    dtype=dtypes,
    layout=layouts,
)
def test_grid_against_the_definition(
    data: st.DataObject,
    size: tuple[int, int],
    stride: tuple[int, int],
    offset: float,
    seed: int,
    dtype: str,
    layout: str,
) -> None:
    rng = np.random.default_rng(seed)
    base = in_layout(rng.integers(-50, 50, (data.draw(st.integers(0, 3)), 4)).astype(dtype) / 2, layout)
    params: dict[str, Any] = {"size": size, "stride": stride, "offset": offset}
    assert_agrees("anchor_grid", grid_oracle, [base], rng=rng, params=params)
    np.testing.assert_array_equal(anchor_grid_kernel(base, **params), grid_oracle.forward(base, **params))


def test_the_grid_has_the_dtype_of_the_anchors() -> None:
    assert anchor_grid(np.zeros((1, 4), ">f4"), 2, 16, offset=np.float64(0.5)).dtype == np.dtype("=f4")


def test_moving_a_position_moves_the_anchors() -> None:
    """Deck 000: anchors are the same at every position."""
    base = base_anchors([32, 64], convention="torchvision")
    per_position = anchor_grid(base, (3, 4), 16).reshape(3, 4, 6, 4)
    np.testing.assert_array_equal(per_position[2, 3] - per_position[0, 0], np.tile([48.0, 32, 48, 32], (6, 1)))


@pytest.mark.parametrize(
    ("sizes", "options", "error", "message"),
    [
        (8, {}, TypeError, "base_anchors: sizes must be a sequence, got 8"),
        (np.array(8.0), {}, TypeError, "base_anchors: sizes must be a sequence, got array"),
        ("8", {}, TypeError, "sizes must be a sequence, got '8'"),
        ([8, 0], {}, ValueError, r"base_anchors: sizes must lie in \(0, inf\), got 0"),
        ([-8], {}, ValueError, r"sizes must lie in \(0, inf\), got -8"),
        ([math.nan], {}, ValueError, "sizes must be a finite number, got nan"),
        ([[8]], {}, ValueError, r"sizes must be a finite number, got \[8\]"),
        ([8], {"ratios": [0.5, -1]}, ValueError, r"ratios must lie in \(0, inf\), got -1"),
        ([8], {"base_size": 16}, ValueError, "base_size must be None with convention 'detectron2', .*, got 16"),
        ([8], {"base_size": 10**400, "convention": "py-faster"}, ValueError, "base_size must fit into int64, got one "),
        ([8], {"base_size": 0, "convention": "py-faster"}, ValueError, "base_size must be at least 1, got 0"),
        ([8], {"convention": "matlab"}, ValueError, "convention must be one of 'py-faster', .*, got 'matlab'"),
    ],
)
def test_bad_input_to_base(sizes: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        base_anchors(sizes, **options)


@pytest.mark.parametrize(
    ("base", "size", "stride", "offset", "error", "message"),
    [
        (np.zeros(4), 2, 16, 0.0, ValueError, r"anchor_grid: base must have shape \(N, 4\), .*, got \(4,\)"),
        (np.zeros((1, 4), int), 2, 16, 0.0, TypeError, "anchor_grid: base must be float32 or float64, got int64"),
        (np.zeros((1, 4)), (2, -1), 16, 0.0, ValueError, r"anchor_grid: size must be at least 0, got \(2, -1\)"),
        (
            np.zeros((1, 4)),
            (10**400, 1),
            16,
            0.0,
            ValueError,
            "anchor_grid: size must fit into int64, got one of 1329 b",
        ),
        (np.zeros((1, 4)), 2, (16, 10**400), 0.0, ValueError, "anchor_grid: stride must fit into int64, got one of 13"),
        (np.zeros((1, 4)), 2.0, 16, 0.0, TypeError, "anchor_grid: size must hold integers, got 2.0"),
        (np.zeros((1, 4)), 2, 0, 0.0, ValueError, "anchor_grid: stride must be at least 1, got 0"),
        (np.zeros((1, 4)), 2, 16, math.inf, ValueError, "anchor_grid: offset must be a finite number, got inf"),
    ],
)
def test_bad_input_to_grid(
    base: Any, size: Any, stride: Any, offset: float, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        anchor_grid(base, size, stride, offset=offset)


def test_the_kernels_refuse_what_the_functions_refuse() -> None:
    with pytest.raises(TypeError, match="base_anchors: base_size must be an integer, got None"):
        base_anchors_kernel(sizes=(8.0,), ratios=(1.0,), base_size=None, convention="py-faster")
    with pytest.raises(ValueError, match="anchor_grid: stride must be at least 1"):
        anchor_grid_kernel(np.zeros((1, 4)), size=(1, 1), stride=(0, 1), offset=0.0)
