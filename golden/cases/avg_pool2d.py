"""Golden cases of average pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._convolutions import NO_PADDING, Pair
from golden.cases._numbers import count, reals
from refdet.verify.case import Algorithm, Bound, Case, Exact
from tests.oracles import avg_pool2d as oracle

ALGORITHM = Algorithm(
    "avg_pool2d", oracle, ("x",), reference="Caffe pooling_layer.cpp; torch AvgPool2d; ONNX AveragePool"
)


def params(
    kernel_size: Pair = (2, 2),
    stride: Pair = (2, 2),
    padding: tuple[Pair, Pair] = NO_PADDING,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    convention: str = "torch",
) -> dict[str, Any]:
    """Return the parameters, complete, with the plain ones as defaults."""
    return {
        "kernel_size": kernel_size,
        "stride": stride,
        "padding": padding,
        "ceil_mode": ceil_mode,
        "count_include_pad": count_include_pad,
        "convention": convention,
    }


def cases() -> list[Case]:
    corner = {"x": np.array([[[[4.0, 8.0], [12.0, 16.0]]]])}
    return [
        Case(
            "two-by-two",
            "Means of four pixels; each receives a quarter of the gradient.",
            {"x": count((1, 1, 2, 4))},
            Exact(),
            params(),
            dy=np.array([[[[4.0, 8.0]]]]),
            expected={
                "y": np.array([[[[2.5, 4.5]]]]),  # (0 + 1 + 4 + 5)/4, (2 + 3 + 6 + 7)/4
                "dx": np.array([[[[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]]]),
            },
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "padding-counts",
            "A 2 × 2 window at a corner holds a pixel and three zeros: the sum is divided by 4, as in Caffe and torch.",
            corner,
            Exact(),
            params((2, 2), (2, 2), ((1, 1), (1, 1))),
            dy=np.array([[[[4.0, 8.0], [16.0, 32.0]]]]),
            expected={
                "y": np.array([[[[1.0, 2.0], [3.0, 4.0]]]]),
                "dx": np.array([[[[1.0, 2.0], [4.0, 8.0]]]]),
            },
            source="by hand",
            tags=("hand", "dyadic", "convention", "padding", "border"),
        ),
        Case(
            "padding-does-not-count",
            "The same windows divided by the number of pixels in them, 1, as in TensorFlow and ONNX by default.",
            corner,
            Exact(),
            params((2, 2), (2, 2), ((1, 1), (1, 1)), count_include_pad=False),
            dy=np.array([[[[4.0, 8.0], [16.0, 32.0]]]]),
            expected={
                "y": np.array([[[[4.0, 8.0], [12.0, 16.0]]]]),
                "dx": np.array([[[[4.0, 8.0], [16.0, 32.0]]]]),
            },
            source="by hand",
            tags=("hand", "dyadic", "convention", "padding", "border"),
        ),
        Case(
            "ceil-overhang-never-counts",
            "Width 3, kernel 2, stride 2, ceil: the second window hangs over by one column, which is neither a pixel "
            "nor padding, so the divisor is 1, not 2.",
            {"x": np.array([[[[1.0, 2.0, 3.0]]]])},
            Exact(),
            params((1, 2), (1, 2), ceil_mode=True),
            dy=np.array([[[[2.0, 4.0]]]]),
            expected={"y": np.array([[[[1.5, 3.0]]]]), "dx": np.array([[[[1.0, 1.0, 4.0]]]])},
            source="by hand",
            tags=("hand", "dyadic", "border", "rounding"),
        ),
        *(
            Case(
                f"three-by-three-ceil-padded-{'include' if include else 'exclude'}",
                "Interior, border, corner and overhanging windows: divisors "
                + ("4, 6 and 9; padding inside the extent counts." if include else "2, 4, 6 and 9 pixels."),
                {"x": reals("avg x", (1, 2, 5, 6))},
                {"y": Bound(12), "dx": Bound(8)},
                params((3, 3), (2, 2), ((1, 1), (1, 1)), ceil_mode=True, count_include_pad=include),
                dy=reals("avg dy", (1, 2, 3, 4)),
                tags=("convention", "border", "padding", "rounding"),
            )
            for include in (True, False)
        ),
        Case(
            "window-of-padding-only",
            "Kernel 1, padding 1: outside there is nothing to average, and the mean of nothing is 0/0.",
            {"x": np.array([[[[6.0]]]])},
            Exact(),
            params((1, 1), (1, 1), ((0, 0), (1, 1)), count_include_pad=False),
            dy=np.array([[[[1.0, 2.0, 4.0]]]]),
            expected={"y": np.array([[[[np.nan, 6.0, np.nan]]]]), "dx": np.array([[[[2.0]]]])},
            source="by hand",
            tags=("hand", "padding", "nan", "border"),
            status="optional",
            status_reason="the mean of no pixels is not defined; some libraries refuse such padding",
        ),
        Case(
            "window-of-padding-only-counted",
            "Where padding counts, the same window is a mean of zeros, 0.",
            {"x": np.array([[[[6.0]]]])},
            Exact(),
            params((1, 1), (1, 1), ((0, 0), (1, 1))),
            dy=np.array([[[[1.0, 2.0, 4.0]]]]),
            expected={"y": np.array([[[[0.0, 6.0, 0.0]]]]), "dx": np.array([[[[2.0]]]])},
            source="by hand",
            tags=("hand", "padding", "border"),
            status="optional",
            status_reason="some libraries refuse padding as large as the kernel",
        ),
        Case(
            "caffe-keeps-an-empty-window",
            "Stride 4 > kernel 1 without padding: Caffe's rule leaves a window beyond everything, whose answer is 0.",
            {"x": np.array([[[[1.0, 2.0, 3.0]]]])},
            Exact(),
            params((1, 1), (1, 4), ceil_mode=True, convention="caffe"),
            dy=np.array([[[[5.0, 6.0]]]]),
            expected={"y": np.array([[[[1.0, 0.0]]]]), "dx": np.array([[[[5.0, 0.0, 0.0]]]])},
            source="by hand; Caffe pooling_layer.cpp",
            tags=("hand", "convention", "border", "rounding"),
            status="optional",
            status_reason="a window without pixels occurs only with a stride larger than the kernel",
        ),
        Case(
            "torch-drops-an-empty-window",
            "The same layer under torch's rule has one window.",
            {"x": np.array([[[[1.0, 2.0, 3.0]]]])},
            Exact(),
            params((1, 1), (1, 4), ceil_mode=True),
            dy=np.array([[[[5.0]]]]),
            expected={"y": np.array([[[[1.0]]]]), "dx": np.array([[[[5.0, 0.0, 0.0]]]])},
            source="by hand",
            tags=("hand", "convention", "border", "rounding"),
        ),
        Case(
            "ceil-window-in-the-padding-is-dropped",
            "Width 3, kernel 2, stride 2, padding 1: the third of ⌈3/2⌉ + 1 windows would begin in the padding.",
            {"x": np.array([[[[2.0, 4.0, 6.0]]]])},
            Exact(),
            params((1, 2), (1, 2), ((0, 0), (1, 1)), ceil_mode=True, count_include_pad=False),
            dy=np.array([[[[2.0, 4.0]]]]),
            expected={
                "y": np.array([[[[2.0, 5.0]]]]),  # 2/1, (4 + 6)/2
                "dx": np.array([[[[2.0, 2.0, 2.0]]]]),
            },
            source="by hand",
            tags=("hand", "dyadic", "border", "rounding", "padding"),
        ),
        Case(
            "empty-batch",
            "No images in, none out.",
            {"x": np.zeros((0, 2, 4, 4))},
            Exact(),
            params(),
            dy=np.zeros((0, 2, 2, 2)),
            tags=("empty",),
        ),
        Case(
            "padding-on-one-side",
            "One column of padding at the left and none at the right: two windows.",
            {"x": np.array([[[[4.0, 8.0]]]])},
            Exact(),
            params((1, 2), (1, 1), ((0, 0), (1, 0))),
            dy=np.array([[[[2.0, 4.0]]]]),
            expected={
                "y": np.array([[[[2.0, 6.0]]]]),  # (0 + 4)/2, (4 + 8)/2
                "dx": np.array([[[[3.0, 2.0]]]]),
            },
            source="by hand",
            tags=("hand", "dyadic", "padding", "border"),
        ),
        Case(
            "rows-and-columns-have-their-own-strides",
            "Windows of two rows, two rows apart, and of one column, one apart.",
            {"x": count((1, 1, 4, 2))},
            Exact(),
            params((2, 1), (2, 1)),
            dy=np.array([[[[2.0, 4.0], [6.0, 8.0]]]]),
            expected={
                "y": np.array([[[[1.0, 2.0], [5.0, 6.0]]]]),  # (0 + 2)/2, (1 + 3)/2, (4 + 6)/2, (5 + 7)/2
                "dx": np.array([[[[1.0, 2.0], [1.0, 2.0], [3.0, 4.0], [3.0, 4.0]]]]),
            },
            source="by hand",
            tags=("hand", "dyadic", "stride"),
        ),
        Case(
            "a-tap-that-meets-no-pixel",
            "Windows of two columns, at −1 and 3 of two pixels: the first column of both lies in the padding.",
            {"x": np.array([[[[4.0, 8.0]]]])},
            Exact(),
            params((1, 2), (1, 4), ((0, 0), (1, 3))),
            dy=np.array([[[[2.0, 4.0]]]]),
            expected={"y": np.array([[[[2.0, 0.0]]]]), "dx": np.array([[[[1.0, 0.0]]]])},
            source="by hand",
            tags=("hand", "dyadic", "padding", "border", "stride"),
            status="optional",
            status_reason="some libraries refuse padding as large as the kernel",
        ),
        Case(
            "a-window-a-column-away",
            "The same windows, divided by the number of pixels in them: 1, and 0 for the one that is a column away.",
            {"x": np.array([[[[4.0, 8.0]]]])},
            Exact(),
            params((1, 2), (1, 4), ((0, 0), (1, 3)), count_include_pad=False),
            dy=np.array([[[[2.0, 4.0]]]]),
            expected={"y": np.array([[[[4.0, np.nan]]]]), "dx": np.array([[[[2.0, 0.0]]]])},
            source="by hand",
            tags=("hand", "padding", "nan", "border", "stride"),
            status="optional",
            status_reason="the mean of no pixels is not defined; some libraries refuse such padding",
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random map in float64 and random parameters."""
    chosen = params(
        (3, 2), (int(rng.integers(1, 4)), 2), ((1, 0), (1, 1)), bool(rng.integers(2)), bool(rng.integers(2))
    )
    x = rng.standard_normal((2, 2, 7, 8))
    return Case("random", "", {"x": x}, Bound(16), chosen, dy=rng.standard_normal(oracle.forward(x, **chosen).shape))
