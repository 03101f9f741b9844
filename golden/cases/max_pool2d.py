"""Golden cases of max pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._convolutions import NO_PADDING, Pair
from golden.cases._numbers import distinct, dyadic
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import max_pool2d as oracle

ALGORITHM = Algorithm(
    "max_pool2d",
    oracle,
    ("x",),
    ("y", "switches"),
    reference="Krizhevsky, Sutskever & Hinton (2012), section 3.4; switches: Zeiler & Fergus (2014), section 2.1",
)


def params(
    kernel_size: Pair = (2, 2),
    stride: Pair = (2, 2),
    padding: tuple[Pair, Pair] = NO_PADDING,
    dilation: Pair = (1, 1),
    ceil_mode: bool = False,
    convention: str = "torch",
) -> dict[str, Any]:
    """Return the parameters, complete, with the plain ones as defaults."""
    return {
        "kernel_size": kernel_size,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "ceil_mode": ceil_mode,
        "convention": convention,
    }


def cases() -> list[Case]:
    return [
        Case(
            "non-overlapping",
            "Two by two with stride 2, as in OverFeat: the maximum, and where it was as h · W + w.",
            {"x": np.array([[[[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 8.0, 7.0]]]])},
            Exact(),
            params(),
            dy=np.array([[[[10.0, 20.0]]]]),
            expected={
                "y": np.array([[[[5.0, 8.0]]]]),
                "switches": np.array([[[[1, 6]]]]),  # (0, 1), and (1, 2) = 1·4 + 2
                "dx": np.array([[[[0.0, 10.0, 0.0, 0.0], [0.0, 0.0, 20.0, 0.0]]]]),
            },
            source="by hand",
            tags=("hand", "deck"),
        ),
        Case(
            "tie-goes-to-the-first",
            "Four equal pixels: the first in row-major order has the switch and the whole gradient.",
            {"x": np.array([[[[7.0, 7.0], [7.0, 7.0]], [[0.0, 3.0], [3.0, 3.0]]]])},
            Exact(),
            params(),
            dy=np.array([[[[4.0]], [[8.0]]]]),
            expected={
                "y": np.array([[[[7.0]], [[3.0]]]]),
                "switches": np.array([[[[0]], [[1]]]]),
                "dx": np.array([[[[4.0, 0.0], [0.0, 0.0]], [[0.0, 8.0], [0.0, 0.0]]]]),
            },
            source="by hand",
            tags=("hand", "tie", "kink"),
        ),
        Case(
            "overlapping",
            "AlexNet's 3/2: windows share pixels, and a pixel that wins twice receives both gradients.",
            {"x": distinct("overlapping pool", (2, 3, 7, 9))},
            Exact(),
            params((3, 3), (2, 2)),
            dy=dyadic("overlapping pool dy", (2, 3, 3, 4)),
            tags=("stride", "dyadic"),
        ),
        Case(
            "padding-never-wins",
            "All pixels are negative: padding by zeros instead of −∞ would win at the border.",
            {"x": np.array([[[[-1.0, -2.0], [-3.0, -4.0]]]])},
            Exact(),
            params((2, 2), (1, 1), ((1, 0), (1, 0))),
            dy=np.array([[[[1.0, 2.0], [4.0, 8.0]]]]),
            expected={
                "y": np.array([[[[-1.0, -1.0], [-1.0, -1.0]]]]),
                "switches": np.zeros((1, 1, 2, 2), np.int64),
                "dx": np.array([[[[15.0, 0.0], [0.0, 0.0]]]]),  # 1 + 2 + 4 + 8
            },
            source="by hand",
            tags=("hand", "border", "padding"),
        ),
        Case(
            "floor-leaves-the-rest-out",
            "Width 4, kernel 3, stride 2: a second window would hang over, so there is one, and the 9 is not seen.",
            {"x": np.array([[[[1.0, 5.0, 2.0, 9.0]]]])},
            Exact(),
            params((1, 3), (1, 2)),
            dy=np.array([[[[3.0]]]]),
            expected={
                "y": np.array([[[[5.0]]]]),
                "switches": np.array([[[[1]]]]),
                "dx": np.array([[[[0.0, 3.0, 0.0, 0.0]]]]),
            },
            source="by hand",
            tags=("hand", "border", "rounding"),
        ),
        Case(
            "ceil-mode",
            "Ceil keeps a last window that hangs over the edge, and takes the maximum of what is there.",
            {"x": distinct("ceil pool", (1, 2, 5, 6))},
            Exact(),
            params((3, 3), (2, 2), ceil_mode=True),
            dy=dyadic("ceil pool dy", (1, 2, 2, 3)),
            tags=("border", "rounding", "dyadic"),
        ),
        Case(
            "ceil-window-in-the-padding-is-dropped",
            "Height 3, kernel 2, stride 2, padding 1: ⌈3/2⌉ + 1 = 3 windows, the third of which would begin in the "
            "bottom padding; it is dropped.",
            {"x": distinct("dropped pool", (1, 1, 3, 3))},
            Exact(),
            params((2, 2), (2, 2), ((1, 1), (1, 1)), ceil_mode=True),
            dy=np.ones((1, 1, 2, 2)),
            tags=("border", "rounding", "padding"),
        ),
        Case(
            "caffe-keeps-an-empty-window",
            "Caffe drops such a window only where the layer pads: here stride 4 > kernel 1 leaves one without a pixel.",
            {"x": np.array([[[[1.0, 2.0, 3.0]]]])},
            Exact(),
            params((1, 1), (1, 4), ceil_mode=True, convention="caffe"),
            dy=np.array([[[[5.0, 6.0]]]]),
            expected={
                "y": np.array([[[[1.0, -np.inf]]]]),
                "switches": np.array([[[[0, -1]]]]),
                "dx": np.array([[[[5.0, 0.0, 0.0]]]]),
            },
            source="by hand; Caffe pooling_layer.cpp",
            tags=("hand", "convention", "border", "rounding", "inf"),
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
            expected={
                "y": np.array([[[[1.0]]]]),
                "switches": np.array([[[[0]]]]),
                "dx": np.array([[[[5.0, 0.0, 0.0]]]]),
            },
            source="by hand",
            tags=("hand", "convention", "border", "rounding"),
        ),
        Case(
            "dilation",
            "The taps of a window lie 2 rows and 3 columns apart.",
            {"x": distinct("dilated pool", (1, 2, 6, 8))},
            Exact(),
            params((3, 2), (1, 1), ((1, 1), (0, 1)), dilation=(2, 3)),
            dy=dyadic("dilated pool dy", (1, 2, 4, 6)),
            tags=("dilation", "padding", "dyadic"),
        ),
        Case(
            "nan-wins",
            "A NaN beats every number, +∞ included, and the first NaN has the switch; −∞ is a pixel like any other.",
            {"x": np.array([[[[np.inf, np.nan, -np.inf, -np.inf], [1.0, np.nan, -np.inf, -np.inf]]]])},
            Exact(),
            params(),
            dy=np.array([[[[1.0, 2.0]]]]),
            expected={
                "y": np.array([[[[np.nan, -np.inf]]]]),
                "switches": np.array([[[[1, 2]]]]),
                "dx": np.array([[[[0.0, 1.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]]),
            },
            source="by hand",
            tags=("hand", "nan", "inf", "tie"),
            status="optional",
            status_reason="many implementations assume finite input",
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
            "taps-around-the-pixel",
            "Two taps, two columns apart, with padding: they stand left and right of the only pixel, and read none.",
            {"x": np.array([[[[5.0]]]])},
            Exact(),
            params((1, 2), (1, 1), ((0, 0), (1, 1)), dilation=(1, 2)),
            dy=np.array([[[[3.0]]]]),
            expected={
                "y": np.array([[[[-np.inf]]]]),
                "switches": np.array([[[[-1]]]]),
                "dx": np.array([[[[0.0]]]]),
            },
            source="by hand",
            tags=("hand", "dilation", "padding", "border", "inf"),
            status="optional",
            status_reason="the maximum of no pixels is not defined",
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random map in float64 and random parameters."""
    chosen = params(
        (3, 2), (int(rng.integers(1, 4)), 2), ((1, 0), (1, 1)), (1, int(rng.integers(1, 3))), bool(rng.integers(2))
    )
    x = rng.standard_normal((2, 2, 7, 8))
    return Case("random", "", {"x": x}, Exact(), chosen, dy=rng.standard_normal(oracle.forward(x, **chosen)[0].shape))
