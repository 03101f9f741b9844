"""The region proposal network: its layout of channels, positions and anchors, and what it proposes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor
from refdet.boxes.anchors import base_anchors
from refdet.core.check import Array
from refdet.detection.rpn import RPN, RPNHead, RPNOutput, anchors_of_maps, propose
from refdet.detection.rpn_proposals import rpn_proposals
from refdet.detection.rpn_settings import PY_FASTER_RPN, TORCHVISION_RPN, RPNSettings

TWO = RPNSettings(sizes=((8.0, 16.0),), ratios=(1.0,), anchor_convention="detectron2")


def head(settings: RPNSettings, channels: int = 2) -> RPNHead:
    return RPNHead(channels, settings, rng=np.random.default_rng(0), dtype=np.float64)


def by_hand(net: RPNHead, x: Array) -> tuple[Array, Array]:
    """Return logits (N, H·W·k) and deltas (N, H·W·k, 4), position by position, straight from the definition."""
    conv = net.conv[0][0]  # type: ignore[index]
    weight, bias = conv.weight.data, conv.bias.data
    score, move = net.cls_logits, net.bbox_pred
    k = move.weight.shape[0] // 4
    logits, deltas = [], []
    for image in np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))):
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                window = image[:, i : i + 3, j : j + 3]
                t = np.maximum((weight * window).sum(axis=(1, 2, 3)) + bias, 0)
                s = score.weight.data[:, :, 0, 0] @ t + score.bias.data  # type: ignore[union-attr]
                d = move.weight.data[:, :, 0, 0] @ t + move.bias.data  # type: ignore[union-attr]
                logits += (s if len(s) == k else s[k:] - s[:k]).tolist()
                deltas += d.reshape(k, 4).tolist()
    return np.array(logits).reshape(len(x), -1), np.array(deltas).reshape(len(x), -1, 4)


@pytest.mark.parametrize("objectness", ["sigmoid", "softmax"])
def test_outputs_are_those_of_a_loop_over_positions(objectness: str) -> None:
    net = head(replace(TWO, objectness=objectness, hidden=3))
    rng = np.random.default_rng(1)
    for parameter in net.parameters():
        parameter.data = rng.standard_normal(parameter.shape)
    x = rng.standard_normal((2, 2, 3, 4))
    logits, deltas = net.of_map(Tensor(x), training=False, rng=None)
    expected = by_hand(net, x)
    np.testing.assert_allclose(logits.data, expected[0], rtol=1e-12)
    np.testing.assert_allclose(deltas.data, expected[1], rtol=1e-12)


def test_deck_counts() -> None:
    """Decks 001 and 002: a map of 5 × 6 has 2 and 4 numbers for one anchor, 12 and 24 channels for six."""
    one = head(replace(TWO, sizes=((8.0,),), objectness="softmax"))
    assert (one.cls_logits.weight.shape[0], one.bbox_pred.weight.shape[0]) == (2, 4)
    six = head(replace(TWO, ratios=(0.5, 1.0, 2.0), objectness="softmax"))
    assert (six.cls_logits.weight.shape[0], six.bbox_pred.weight.shape[0]) == (12, 24)
    assert one.of_map(Tensor(np.zeros((1, 2, 5, 6))), training=False, rng=None)[0].shape == (1, 30)


def test_weights_start_small() -> None:
    net = RPNHead(64, replace(TWO, hidden=64), rng=np.random.default_rng(0))
    for layer in (net.conv[0][0], net.cls_logits, net.bbox_pred):  # type: ignore[index]
        assert layer.weight.dtype == np.float32
        assert layer.weight.data.std() == pytest.approx(0.01, rel=0.2)
        assert layer.bias is not None
        assert not layer.bias.data.any()


def test_anchors_of_py_faster() -> None:
    """A picture of 600 × 1000 leaves 37 × 62 positions; the first nine anchors are the base, then 16 to the right."""
    anchors, levels = anchors_of_maps(PY_FASTER_RPN, [(37, 62)], (600, 1000), [16])
    assert len(anchors) == 20_646
    base = base_anchors([8, 16, 32], convention="py-faster")
    np.testing.assert_array_equal(anchors[:9], base)
    np.testing.assert_array_equal(anchors[9:18], base + np.array([16, 0, 16, 0]))
    np.testing.assert_array_equal(anchors[62 * 9 : 63 * 9], base + np.array([0, 16, 0, 16]))
    assert not levels.any()


def test_stride_of_the_batch() -> None:
    """torchvision divides the sides of the batch by those of the map: 96 // 2 = 48 down, 128 // 3 = 42 across."""
    settings = replace(TORCHVISION_RPN, sizes=((8.0,),), ratios=(1.0,))
    anchors, _ = anchors_of_maps(settings, [(2, 3)], (96, 128), [64])
    assert anchors.tolist() == [[x - 4, y - 4, x + 4, y + 4] for y in (0, 48) for x in (0, 42, 84)]


def output(logits: list[float], anchors: list[list[float]], deltas: Array | None = None) -> RPNOutput:
    n = len(anchors)
    d = np.zeros((1, n, 4)) if deltas is None else deltas
    return RPNOutput(Tensor(np.array([logits])), Tensor(d), np.array(anchors, float), np.zeros(n, np.int64), n)


def test_limits_of_training_and_testing() -> None:
    settings = replace(TWO, pre_nms=(3, 2), post_nms=(2, 1), min_size=1.0)
    said = output([0.5, 3.0, 2.0, 1.0], [[x, 0, x + 4, 4] for x in (0, 8, 16, 24)])
    assert propose(settings, said, 0, (32, 32), training=True).scores.tolist() == [3.0, 2.0]
    assert propose(settings, said, 0, (32, 32), training=False).boxes.tolist() == [[8, 0, 12, 4]]


def test_least_side_follows_the_scale_of_the_picture() -> None:
    """py-faster: a side, with + 1, of at least 16 pixels of the picture as it was given."""
    said = output([1.0, 2.0], [[0, 0, 15, 15], [40, 0, 71, 31]])
    kept = [len(propose(PY_FASTER_RPN, said, 0, (99, 99), training=False, scale=s).boxes) for s in (1.0, 2.0, 2.1)]
    assert kept == [2, 1, 0]


@pytest.mark.parametrize(
    ("setting", "argument", "value"),
    [
        ("transform", "transform_convention", "detectron1"),
        ("clamp", "clamp", 0.1),
        ("clip", "clip_convention", "legacy"),
        ("order", "order", "filter_first"),
        ("min_size", "min_size", 9.0),
        ("size_convention", "size_convention", "py-faster"),
        ("coordinates", "offset", 1),
        ("pre_nms", "pre_nms", (99, 8)),
        ("post_nms", "post_nms", (99, 5)),
        ("nms_threshold", "nms_threshold", 0.4),
    ],
)
def test_every_setting_of_proposals_has_its_effect(setting: str, argument: str, value: Any) -> None:
    """On 80 anchors of two levels, in testing."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(-4, 14, (80, 2))
    anchors = np.concatenate([corners, corners + rng.uniform(2, 12, (80, 2))], axis=1)
    deltas, logits, levels = rng.normal(0, 0.3, (80, 4)), rng.normal(size=80), np.repeat([0, 1], 40)
    said = RPNOutput(Tensor(logits[None]), Tensor(deltas[None]), anchors, levels, 80)
    settings = replace(
        TWO, sizes=((8.0,), (16.0,)), min_size=6.0, clamp=None, pre_nms=(99, 30), post_nms=(99, 99), nms_threshold=0.55
    )
    direct: dict[str, Any] = {
        "height": 20, "width": 24, "order": "topk_first", "transform_convention": "continuous", "clamp": None,
        "clip_convention": "continuous", "min_size": 6.0, "size_convention": "torchvision", "pre_nms": 30,
        "nms_threshold": 0.55, "offset": 0, "post_nms": 99,
    }  # fmt: skip
    direct[argument] = value[1] if isinstance(value, tuple) else value
    expected, _ = rpn_proposals(anchors, deltas, logits, levels, **direct)
    found = propose(replace(settings, **{setting: value}), said, 0, (20, 24), training=False).boxes
    np.testing.assert_array_equal(found, expected)
    before = propose(settings, said, 0, (20, 24), training=False).boxes
    assert before.shape != found.shape or not np.array_equal(before, found)


def test_maps_do_not_compete() -> None:
    """Anchors in one place, of one map and of two: only on one map does the better suppress the other."""
    said = output([2.0, 1.0], [[0, 0, 8, 8], [0, 0, 8, 8]])._replace(levels=np.array([0, 1]))
    assert len(propose(replace(TWO, sizes=((8.0,), (16.0,))), said, 0, (32, 32), training=False).boxes) == 2
    assert len(propose(TWO, said, 0, (32, 32), training=False).boxes) == 1


def test_what_is_not_finite_is_no_proposal() -> None:
    deltas = np.zeros((1, 3, 4))
    deltas[0, 0, 2] = np.nan
    said = output([3.0, np.inf, 1.0], [[0, 0, 4, 4], [8, 0, 12, 4], [16, 0, 20, 4]], deltas)
    assert propose(replace(TWO, min_size=1.0), said, 0, (32, 32), training=False).boxes.tolist() == [[16, 0, 20, 4]]


def test_a_head_for_as_many_maps_as_there_are() -> None:
    net = RPN(2, TWO, rng=np.random.default_rng(0))
    maps = [Tensor(np.zeros((1, 2, 4, 4), np.float32))] * 2
    with pytest.raises(ValueError, match="anchors for 1 maps, got 2 maps"):
        net.outputs(maps, (16, 16), (4, 8))


def test_settings_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValueError, match="objectness"):
        replace(TWO, objectness="tanh")
    refused: tuple[tuple[str, Any, str], ...] = (
        ("order", "x", "must be one of 'filter_first', 'topk_first', got 'x'"),
        ("coordinates", -1, "must be 0 or 1, got -1"),
        ("positive", 1.5, r"must lie in \[0, 1\], got 1.5"),
        ("post_nms", (10, -1), "must be at least 0, got -1"),
        ("hidden", 0, "must be at least 1, got 0"),
    )
    for field, value, problem in refused:
        with pytest.raises(ValueError, match=f"RPNSettings: {field} {problem}"):
            replace(TWO, **{field: value})
    with pytest.raises(ValueError, match="sizes must be as many for each map"):
        RPNSettings(sizes=((8.0,), (8.0, 16.0)))
