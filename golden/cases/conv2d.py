"""Golden cases of two-dimensional convolution."""

from __future__ import annotations

import numpy as np

from golden.cases._convolutions import SAME_3, conv_params, random_conv_params
from golden.cases._numbers import count, dyadic, reals, winograd
from refdet.verify.case import Algorithm, Bound, Case, Exact
from tests.oracles import conv2d as oracle

ALGORITHM = Algorithm(
    "conv2d",
    oracle,
    ("x", "weight", "bias"),
    reference="deck 003, x_ij = Σ_a Σ_b ω_ab y_(i+a)(j+b): cross-correlation, zero padding",
    by_transform=True,
)


def cases() -> list[Case]:
    return [
        Case(
            "diagonal-difference",
            "Every window of 0 … 8 is its first pixel minus its last: the kernel is not flipped.",
            {
                "x": count((1, 1, 3, 3)),
                "weight": np.array([[[[1.0, 0.0], [0.0, -1.0]]]]),
                "bias": np.array([10.0]),
            },
            Exact(),
            conv_params(),
            dy=np.array([[[[1.0, 2.0], [3.0, 4.0]]]]),
            expected={
                # 0·1 + 1·0 + 3·0 − 4, 1 − 5, 3 − 7, 4 − 8: each −4, plus 10
                "y": np.full((1, 1, 2, 2), 6.0),
                # dy at the upper left minus dy at the lower right
                "dx": np.array([[[[1.0, 2.0, 0.0], [3.0, 4.0 - 1.0, -2.0], [0.0, -3.0, -4.0]]]]),
                # 1·0 + 2·1 + 3·3 + 4·4, 1·1 + 2·2 + 3·4 + 4·5, 1·3 + 2·4 + 3·6 + 4·7, 1·4 + 2·5 + 3·7 + 4·8
                "dweight": np.array([[[[27.0, 37.0], [57.0, 67.0]]]]),
                "dbias": np.array([10.0]),  # 1 + 2 + 3 + 4
            },
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "three-by-three-exact",
            "The layer that every fast algorithm is written for, in numbers that Winograd's transforms do not round; "
            "13 × 11 is no multiple of a tile.",
            {
                "x": dyadic("conv x", (1, 16, 13, 11), -2, 2, 0.5),
                "weight": winograd("conv w", (16, 16, 3, 3)),
                "bias": dyadic("conv b", (16,)),
            },
            Exact(),
            conv_params(padding=SAME_3),
            dy=winograd("conv dy", (1, 16, 13, 11)),
            tags=("dyadic", "padding", "fast-path"),
        ),
        Case(
            "even-kernel-same-upper",
            "TensorFlow's SAME for a 4 × 2 kernel: the odd pixel of padding goes to the bottom and to the right.",
            {"x": dyadic("same x", (2, 2, 5, 6)), "weight": dyadic("same w", (3, 2, 4, 2)), "bias": None},
            Exact(),
            conv_params(padding=((1, 2), (0, 1))),
            dy=dyadic("same dy", (2, 3, 5, 6)),
            tags=("dyadic", "padding", "border"),
        ),
        Case(
            "stride-larger-than-kernel",
            "Pixels between the windows are never read, and their gradient is 0; the last row and column too.",
            {
                "x": dyadic("gap x", (1, 2, 9, 10)),
                "weight": dyadic("gap w", (2, 2, 2, 1)),
                "bias": dyadic("gap b", (2,)),
            },
            Exact(),
            conv_params(stride=(3, 4)),
            dy=dyadic("gap dy", (1, 2, 3, 3)),
            tags=("dyadic", "stride"),
        ),
        Case(
            "windows-inside-the-padding",
            "A 1 × 1 kernel with padding: the outermost outputs see nothing but zeros, and are the bias.",
            {"x": np.array([[[[5.0]]]]), "weight": np.array([[[[2.0]]]]), "bias": np.array([-1.0])},
            Exact(),
            conv_params(padding=SAME_3),
            dy=count((1, 1, 3, 3)),
            expected={
                "y": np.array([[[[-1.0, -1.0, -1.0], [-1.0, 9.0, -1.0], [-1.0, -1.0, -1.0]]]]),
                "dx": np.array([[[[8.0]]]]),  # 2 · 4
                "dweight": np.array([[[[20.0]]]]),  # 5 · 4
                "dbias": np.array([36.0]),  # 0 + 1 + … + 8
            },
            source="by hand",
            tags=("hand", "dyadic", "padding", "border"),
        ),
        Case(
            "dilation",
            "Taps 2 rows and 3 columns apart, with as much padding.",
            {"x": dyadic("dilation x", (1, 2, 7, 8)), "weight": dyadic("dilation w", (2, 2, 3, 3)), "bias": None},
            Exact(),
            conv_params(padding=((2, 2), (3, 3)), dilation=(2, 3)),
            dy=dyadic("dilation dy", (1, 2, 7, 8)),
            tags=("dyadic", "dilation", "padding"),
        ),
        Case(
            "groups",
            "Two groups as in AlexNet: output channels 0 … 2 see input channels 0 and 1 only, the others 2 and 3.",
            {
                "x": dyadic("groups x", (2, 4, 5, 5)),
                "weight": dyadic("groups w", (6, 2, 3, 3)),
                "bias": dyadic("groups b", (6,)),
            },
            Exact(),
            conv_params(stride=(2, 1), groups=2),
            dy=dyadic("groups dy", (2, 6, 2, 3)),
            tags=("dyadic", "groups", "stride"),
        ),
        Case(
            "depthwise-with-multiplier",
            "As many groups as channels, and two outputs for each: output o sees channel ⌊o/2⌋.",
            {"x": dyadic("depth x", (1, 3, 5, 4)), "weight": dyadic("depth w", (6, 1, 3, 3)), "bias": None},
            Exact(),
            conv_params(padding=SAME_3, groups=3),
            dy=dyadic("depth dy", (1, 6, 5, 4)),
            tags=("dyadic", "groups", "padding"),
        ),
        Case(
            "one-by-one",
            "A matrix product at every pixel.",
            {
                "x": dyadic("1x1 x", (2, 5, 3, 4)),
                "weight": dyadic("1x1 w", (4, 5, 1, 1)),
                "bias": dyadic("1x1 b", (4,)),
            },
            Exact(),
            conv_params(),
            dy=dyadic("1x1 dy", (2, 4, 3, 4)),
            tags=("dyadic",),
        ),
        Case(
            "overfeat-first-layer",
            "11 × 11 with stride 4, the first layer of deck 003's fast model, on 24 × 33 pixels: the last row and the "
            "last two columns are not read.",
            {
                "x": dyadic("overfeat x", (1, 3, 24, 33)),
                "weight": dyadic("overfeat w", (4, 3, 11, 11)),
                "bias": dyadic("overfeat b", (4,)),
            },
            Exact(),
            conv_params(stride=(4, 4)),
            dy=dyadic("overfeat dy", (1, 4, 4, 6)),
            tags=("dyadic", "stride", "deck"),
        ),
        Case(
            "empty-batch",
            "No images in, no images out, and the gradients of the weights are 0.",
            {"x": np.zeros((0, 2, 4, 4)), "weight": dyadic("empty w", (3, 2, 3, 3)), "bias": dyadic("empty b", (3,))},
            Exact(),
            conv_params(),
            dy=np.zeros((0, 3, 2, 2)),
            expected={"y": np.zeros((0, 3, 2, 2)), "dweight": np.zeros((3, 2, 3, 3)), "dbias": np.zeros(3)},
            source="by hand",
            tags=("hand", "empty"),
        ),
        Case(
            "eight-channels-rounded",
            "Sums of 72 products that round; from eight channels on, Winograd's error is within the bound of a sum.",
            {
                "x": reals("round x", (1, 8, 10, 9)),
                "weight": reals("round w", (8, 8, 3, 3)),
                "bias": reals("round b", (8,)),
            },
            {"y": Bound(74), "dx": Bound(73), "dweight": Bound(91), "dbias": Bound(91)},
            conv_params(padding=SAME_3),
            dy=reals("round dy", (1, 8, 10, 9)),
            tags=("padding",),
        ),
        Case(
            "above-fast-path-thresholds",
            "64 channels to 32 on 16 × 16: large enough that a library switches to its fast algorithm.",
            {"x": reals("fast x", (1, 64, 16, 16)), "weight": reals("fast w", (32, 64, 3, 3)), "bias": None},
            Bound(577),
            conv_params(padding=SAME_3),
            tags=("fast-path", "padding"),
        ),
        Case(
            "same-upper-with-stride-two",
            "TensorFlow's SAME for stride 2 and four pixels pads one column at the right; padding of 1 on both sides "
            "makes as many windows, one pixel further left.",
            {
                "x": np.array([[[[1.0, 2.0, 3.0, 4.0]]]]),
                "weight": np.array([[[[1.0, 10.0, 1.0]]]]),
                "bias": None,
            },
            Exact(),
            conv_params(stride=(1, 2), padding=((0, 0), (0, 1))),
            dy=np.array([[[[1.0, 2.0]]]]),
            expected={
                "y": np.array([[[[24.0, 43.0]]]]),  # 1 + 20 + 3, 3 + 40 + 0
                "dx": np.array([[[[1.0, 10.0, 1.0 + 2.0, 20.0]]]]),
                "dweight": np.array([[[[7.0, 10.0, 3.0]]]]),  # 1 + 2·3, 2 + 2·4, 3 + 2·0
            },
            source="by hand",
            tags=("hand", "dyadic", "padding", "stride", "convention"),
        ),
        Case(
            "no-channels",
            "No channels in, none out, and nothing to learn.",
            {"x": np.zeros((1, 0, 2, 2)), "weight": np.zeros((0, 0, 1, 1)), "bias": None},
            Exact(),
            conv_params(),
            dy=np.zeros((1, 0, 2, 2)),
            tags=("empty",),
            status="optional",
            status_reason="many implementations refuse a map without channels",
        ),
        *(
            Case(
                f"padding-{side}-only",
                f"A single row of zeros {side} the image: as many outputs as rows.",
                {"x": np.array([[[[1.0], [2.0]]]]), "weight": np.array([[[[10.0], [1.0]]]]), "bias": None},
                Exact(),
                conv_params(padding=(rows, (0, 0))),
                dy=np.array([[[[1.0], [2.0]]]]),
                expected={
                    "y": np.array(y).reshape(1, 1, 2, 1),
                    "dx": np.array(dx).reshape(1, 1, 2, 1),
                    "dweight": np.array(dweight).reshape(1, 1, 2, 1),
                },
                source="by hand",
                tags=("hand", "dyadic", "padding"),
            )
            for side, rows, y, dx, dweight in (
                # 0·10 + 1·1, 1·10 + 2·1; 1·1 + 2·10, 2·1; 2·1, 1·1 + 2·2
                ("above", (1, 0), [1.0, 12.0], [21.0, 2.0], [2.0, 5.0]),
                # 1·10 + 2·1, 2·10 + 0·1; 1·10, 1·1 + 2·10; 1·1 + 2·2, 1·2
                ("below", (0, 1), [12.0, 20.0], [10.0, 21.0], [5.0, 2.0]),
            )
        ),
        Case(
            "padding-at-the-left-only",
            "A single column of zeros at the left: as many outputs as columns.",
            {"x": np.array([[[[1.0, 2.0]]]]), "weight": np.array([[[[10.0, 1.0]]]]), "bias": None},
            Exact(),
            conv_params(padding=((0, 0), (1, 0))),
            dy=np.array([[[[1.0, 2.0]]]]),
            expected={
                "y": np.array([[[[1.0, 12.0]]]]),  # 0·10 + 1·1, 1·10 + 2·1
                "dx": np.array([[[[21.0, 2.0]]]]),  # 1·1 + 2·10, 2·1
                "dweight": np.array([[[[2.0, 5.0]]]]),  # 2·1, 1·1 + 2·2
            },
            source="by hand",
            tags=("hand", "dyadic", "padding"),
        ),
        Case(
            "kernel-as-large-as-the-image",
            "A fully connected layer as a convolution: a single window, and one output of each channel.",
            {"x": count((1, 1, 2, 3)), "weight": count((2, 1, 2, 3)), "bias": np.array([1.0, 2.0])},
            Exact(),
            conv_params(),
            dy=np.array([[[[1.0]], [[2.0]]]]),
            expected={
                # 0 + 1 + 4 + 9 + 16 + 25 and 0·6 + 1·7 + 2·8 + 3·9 + 4·10 + 5·11, plus the bias
                "y": np.array([[[[56.0]], [[147.0]]]]),
                "dx": np.array([[[[12.0, 15.0, 18.0], [21.0, 24.0, 27.0]]]]),  # w0 + 2 w1
                "dweight": np.array([[[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]], [[[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]]]]),
                "dbias": np.array([1.0, 2.0]),
            },
            source="by hand",
            tags=("hand", "dyadic"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random maps, weights and parameters in float64."""
    params = random_conv_params(rng)
    kernel, C, O = tuple(int(k) for k in rng.integers(1, 4, 2)), 2 * params["groups"], 3 * params["groups"]
    inputs = {
        "x": rng.standard_normal((2, C, 7, 8)),
        "weight": rng.standard_normal((O, 2, *kernel)),
        "bias": rng.standard_normal(O) if rng.random() < 0.5 else None,
    }
    y = oracle.forward(*inputs.values(), **params)  # type: ignore[arg-type]
    return Case("random", "", inputs, Bound(200), params, dy=rng.standard_normal(y.shape))
