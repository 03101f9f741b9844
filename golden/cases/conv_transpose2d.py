"""Golden cases of transposed convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._convolutions import SAME_3, Pair, conv_params, random_conv_params
from golden.cases._numbers import count, dyadic, reals, winograd
from refdet.verify.case import Algorithm, Bound, Case, Exact
from tests.oracles import conv_transpose2d as oracle

ALGORITHM = Algorithm(
    "conv_transpose2d",
    oracle,
    ("x", "weight", "bias"),
    reference="Dumoulin & Visin (2016), chapter 4; Long, Shelhamer & Darrell (2015), section 3.3",
    by_transform=True,
)


def params(output_padding: Pair = (0, 0), **others: Any) -> dict[str, Any]:
    """Return the parameters, complete, with the plain ones as defaults."""
    return {**conv_params(**others), "output_padding": output_padding}


def cases() -> list[Case]:
    bilinear = np.array([0.25, 0.75, 0.75, 0.25])
    return [
        Case(
            "stamps-side-by-side",
            "Stride = kernel: each pixel stamps its multiple of the kernel, unflipped, beside the others.",
            {
                "x": np.array([[[[1.0, 2.0], [3.0, 4.0]]]]),
                "weight": np.array([[[[1.0, 2.0], [3.0, 4.0]]]]),
                "bias": np.array([0.5]),
            },
            Exact(),
            params(stride=(2, 2)),
            dy=np.ones((1, 1, 4, 4)),
            expected={
                "y": np.array(
                    [[[[1.0, 2.0, 2.0, 4.0], [3.0, 4.0, 6.0, 8.0], [3.0, 6.0, 4.0, 8.0], [9.0, 12.0, 12.0, 16.0]]]]
                )
                + 0.5,
                "dx": np.full((1, 1, 2, 2), 10.0),  # 1 + 2 + 3 + 4, the kernel
                "dweight": np.full((1, 1, 2, 2), 10.0),  # 1 + 2 + 3 + 4, the pixels
                "dbias": np.array([16.0]),
            },
            source="by hand",
            tags=("hand", "dyadic", "stride"),
        ),
        Case(
            "fcn-bilinear-times-two",
            "The layer that FCN initialises to bilinear interpolation: ¼ ¾ ¾ ¼ along each axis, stride 2, padding 1. "
            "Border pixels mix with zeros.",
            {
                "x": np.array([[[[0.0, 16.0], [32.0, 48.0]]]]),
                "weight": (bilinear[:, None] * bilinear)[None, None],
                "bias": None,
            },
            Exact(),
            params(stride=(2, 2), padding=SAME_3),
            dy=count((1, 1, 4, 4)),
            expected={
                # along one axis (a, b) becomes ¾a, ¾a + ¼b, ¼a + ¾b, ¾b; the rows of x give
                # (0, 12), (8, 24), (24, 40), (24, 36), and each of these again along the columns
                "y": np.array(
                    [
                        [
                            [
                                [0.0, 3.0, 9.0, 9.0],
                                [6.0, 12.0, 20.0, 18.0],
                                [18.0, 28.0, 36.0, 30.0],
                                [18.0, 27.0, 33.0, 27.0],
                            ]
                        ]
                    ]
                )
            },
            source="by hand; Long, Shelhamer & Darrell (2015), section 3.3",
            tags=("hand", "dyadic", "stride", "padding"),
        ),
        Case(
            "overlapping-stamps",
            "Stride < kernel, asymmetric padding: stamps add where they overlap and are cut at four different sides.",
            {
                "x": dyadic("overlap x", (2, 3, 4, 3)),
                "weight": dyadic("overlap w", (3, 2, 4, 3)),
                "bias": dyadic("overlap b", (2,)),
            },
            Exact(),
            params(stride=(2, 1), padding=((1, 2), (0, 1))),
            dy=dyadic("overlap dy", (2, 2, 7, 4)),
            tags=("dyadic", "stride", "padding", "border"),
        ),
        Case(
            "output-padding",
            "Rows at the bottom and columns at the right that a convolution of stride 3 would not have read: no stamp "
            "reaches them here, so they are the bias.",
            {
                "x": np.array([[[[1.0, 2.0]]]]),
                "weight": np.array([[[[3.0]]]]),
                "bias": np.array([1.0]),
            },
            Exact(),
            params((1, 2), stride=(2, 3)),
            dy=count((1, 1, 2, 6)),
            expected={
                "y": np.array([[[[4.0, 1.0, 1.0, 7.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]]]]),
                "dx": np.array([[[[0.0, 9.0]]]]),  # 3 · 0, 3 · 3
                "dweight": np.array([[[[6.0]]]]),  # 1 · 0 + 2 · 3
                "dbias": np.array([66.0]),  # 0 + 1 + … + 11
            },
            source="by hand",
            tags=("hand", "dyadic", "stride", "padding"),
        ),
        Case(
            "dilation",
            "The taps of a stamp lie 2 rows and 3 columns apart.",
            {"x": dyadic("tdilation x", (1, 2, 3, 3)), "weight": dyadic("tdilation w", (2, 2, 2, 3)), "bias": None},
            Exact(),
            params((1, 0), dilation=(2, 3), padding=((1, 0), (2, 2))),
            dy=dyadic("tdilation dy", (1, 2, 5, 5)),
            tags=("dyadic", "dilation", "padding"),
        ),
        Case(
            "groups",
            "Two groups: input channels 0 and 1 make output channels 0 … 2, the others 3 … 5.",
            {
                "x": dyadic("tgroups x", (1, 4, 3, 4)),
                "weight": dyadic("tgroups w", (4, 3, 2, 2)),
                "bias": dyadic("tgroups b", (6,)),
            },
            Exact(),
            params(stride=(2, 2), groups=2),
            dy=dyadic("tgroups dy", (1, 6, 6, 8)),
            tags=("dyadic", "groups", "stride"),
        ),
        Case(
            "three-by-three-exact",
            "Stride 1 is a convolution with the kernel turned by 180°, for which fast algorithms are used.",
            {
                "x": dyadic("tconv x", (1, 8, 9, 10), -2, 2, 0.5),
                "weight": winograd("tconv w", (8, 8, 3, 3)),
                "bias": dyadic("tconv b", (8,)),
            },
            Exact(),
            params(padding=SAME_3),
            dy=winograd("tconv dy", (1, 8, 9, 10)),
            tags=("dyadic", "padding", "fast-path"),
        ),
        Case(
            "empty-batch",
            "No images in, no images out, and the gradients of the weights are 0.",
            {"x": np.zeros((0, 2, 3, 3)), "weight": dyadic("tempty w", (2, 3, 2, 2)), "bias": np.zeros(3)},
            Exact(),
            params(stride=(2, 2)),
            dy=np.zeros((0, 3, 6, 6)),
            tags=("empty",),
        ),
        Case(
            "eight-channels-rounded",
            "Sums of up to 8 · 4 products that round: stride 2 leaves 2 × 2 of a kernel's 4 × 4 taps for each pixel.",
            {
                "x": reals("tround x", (1, 8, 6, 5)),
                "weight": reals("tround w", (8, 8, 4, 4)),
                "bias": reals("tround b", (8,)),
            },
            {"y": Bound(34), "dx": Bound(129), "dweight": Bound(31), "dbias": Bound(121)},
            params(stride=(2, 2), padding=SAME_3),
            dy=reals("tround dy", (1, 8, 12, 10)),
            tags=("stride", "padding"),
        ),
        Case(
            "output-padding-beyond-the-stride",
            "Taps two columns apart, so that a column may be added although the stride is 1: nothing reaches it.",
            {"x": np.array([[[[1.0, 2.0]]]]), "weight": np.array([[[[1.0, 10.0]]]]), "bias": None},
            Exact(),
            params((0, 1), dilation=(1, 2)),
            dy=np.array([[[[1.0, 2.0, 3.0, 4.0, 5.0]]]]),
            expected={
                "y": np.array([[[[1.0, 2.0, 10.0, 20.0, 0.0]]]]),
                "dx": np.array([[[[31.0, 42.0]]]]),  # 1 + 10·3, 2 + 10·4
                "dweight": np.array([[[[5.0, 11.0]]]]),  # 1·1 + 2·2, 1·3 + 2·4
            },
            source="by hand",
            tags=("hand", "dyadic", "dilation", "border"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random maps, weights and parameters in float64."""
    chosen = random_conv_params(rng)
    most = [max(s, d) for s, d in zip(chosen["stride"], chosen["dilation"], strict=True)]
    chosen["output_padding"] = (int(rng.integers(most[0])), int(rng.integers(most[1])))
    inputs = {
        "x": rng.standard_normal((2, 2 * chosen["groups"], 4, 5)),
        "weight": rng.standard_normal((2 * chosen["groups"], 3, 3, 2)),
        "bias": rng.standard_normal(3 * chosen["groups"]) if rng.random() < 0.5 else None,
    }
    y = oracle.forward(*inputs.values(), **chosen)  # type: ignore[arg-type]
    return Case("random", "", inputs, Bound(200), chosen, dy=rng.standard_normal(y.shape))
