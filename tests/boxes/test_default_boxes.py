"""default_boxes: the released networks, order and clipping, the paper's scales, OpenCV's layer, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.boxes.default_boxes import (
    CLIPS,
    ORDERS,
    DefaultBoxMaps,
    default_box_scales,
    default_boxes,
    default_boxes_kernel,
    ssd300,
    ssd512,
)
from refdet.core.check import Array
from tests.agreement import assert_agrees
from tests.oracles import default_boxes as oracle

# Image 8, one position in the middle, min 2, max 8, ratio 4: squares of 2 and 4, then 4 × 1 and 1 × 4.
ONE: DefaultBoxMaps = {
    "image_size": 8,
    "map_sizes": (1,),
    "min_sizes": (2.0,),
    "max_sizes": (8.0,),
    "steps": (8.0,),
    "ratios": ((4.0,),),
}


def test_hand_example() -> None:
    boxes = default_boxes(**ONE)
    np.testing.assert_array_equal(boxes * 8, [[3, 3, 5, 5], [2, 2, 6, 6], [2, 3.5, 6, 4.5], [3.5, 2, 4.5, 6]])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("clip", CLIPS)
def test_how_many(order: str, clip: str) -> None:
    """38² · 4 + (19² + 10² + 5²) · 6 + (3² + 1) · 4, and 64² · 4 + (32² + 16² + 8² + 4²) · 6 + (2² + 1) · 4."""
    assert default_boxes(**ssd300(), order=order, clip=clip).shape == (8732, 4)
    assert default_boxes(**ssd512(), order=order, clip=clip).shape == (24564, 4)


def test_the_first_position_of_ssd300() -> None:
    """Centre 4 of 300; squares of 30 and 42.4, then 42.4 × 21.2 and 21.2 × 42.4."""
    np.testing.assert_allclose(
        default_boxes(**ssd300())[:4],
        [
            [-0.036667, -0.036667, 0.063333, 0.063333],
            [-0.057377, -0.057377, 0.084044, 0.084044],
            [-0.057377, -0.022022, 0.084044, 0.048689],
            [-0.022022, -0.057377, 0.048689, 0.084044],
        ],
        atol=5e-7,
    )


def test_positions_go_row_by_row_and_maps_one_after_another() -> None:
    boxes = default_boxes(**ssd300())
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 * 300
    np.testing.assert_allclose(centres[4], [12, 4])  # one step to the right
    np.testing.assert_allclose(centres[38 * 4], [4, 12])  # the second row
    np.testing.assert_allclose(centres[38 * 38 * 4], [8, 8])  # the second map
    np.testing.assert_allclose(centres[-1], [150, 150])


def test_the_sizes_of_ssd512_are_fractions_of_the_image() -> None:
    """7 %, 15 %, and on in steps of 15 %."""
    percent = [7, 15, 30, 45, 60, 75, 90, 105]
    np.testing.assert_allclose(ssd512()["min_sizes"], [512 * p / 100 for p in percent[:-1]], rtol=1e-15)
    np.testing.assert_allclose(ssd512()["max_sizes"], [512 * p / 100 for p in percent[1:]], rtol=1e-15)


def test_the_order_of_paddle_has_the_second_square_last() -> None:
    boxes = default_boxes(**ONE)
    np.testing.assert_array_equal(default_boxes(**ONE, order="paddle"), boxes[[0, 2, 3, 1]])
    of_two = default_boxes(**ssd300(), order="paddle")[38 * 38 * 4 :][:6]
    np.testing.assert_array_equal(of_two, default_boxes(**ssd300())[38 * 38 * 4 :][[0, 2, 3, 4, 5, 1]])


def test_clipping() -> None:
    """Min 8 and max 32 in 8 pixels, centre 2: a square of 16 reaches from −6 to 10; as large as the image, −2 to 6."""
    maps: Any = {**ONE, "min_sizes": (8.0,), "max_sizes": (32.0,), "steps": (4.0,), "ratios": ((),)}
    np.testing.assert_array_equal(default_boxes(**maps)[1] * 8, [-6, -6, 10, 10])
    np.testing.assert_array_equal(default_boxes(**maps, clip="corners")[1] * 8, [0, 0, 8, 8])
    np.testing.assert_array_equal(default_boxes(**maps, clip="size")[1] * 8, [-2, -2, 6, 6])


def test_the_step_need_not_divide_the_image() -> None:
    """SSD300's map of 3 × 3 has step 100, that of 5 × 5 has 64, not 60."""
    boxes = default_boxes(**ssd300())[-(10 * 4 + 25 * 6) :][: 5 * 6 : 6]
    np.testing.assert_allclose((boxes[:, 0] + boxes[:, 2]) / 2 * 300, [32, 96, 160, 224, 288])


def test_a_map_of_any_size() -> None:
    no_positions: Any = {**ONE, "map_sizes": (0,)}
    assert default_boxes(**no_positions).shape == (0, 4)
    none: Any = {"map_sizes": [], "min_sizes": [], "max_sizes": [], "steps": [], "ratios": []}
    assert default_boxes(image_size=300, **none).shape == (0, 4)


@given(data=st.data(), order=st.sampled_from(ORDERS), clip=st.sampled_from(CLIPS))
def test_against_the_definition(data: st.DataObject, order: str, clip: str) -> None:
    n_maps = data.draw(st.integers(0, 3))
    sizes = st.lists(st.floats(1, 60), min_size=n_maps, max_size=n_maps).map(tuple)
    ratios = st.lists(st.sampled_from([2.0, 3.0, 0.5, 1.5]), max_size=2).map(tuple)
    params = {
        "image_size": data.draw(st.integers(1, 50)),
        "map_sizes": tuple(data.draw(st.lists(st.integers(0, 3), min_size=n_maps, max_size=n_maps))),
        "min_sizes": data.draw(sizes),
        "max_sizes": data.draw(sizes),
        "steps": data.draw(sizes),
        "ratios": tuple(data.draw(st.lists(ratios, min_size=n_maps, max_size=n_maps))),
        "order": order,
        "clip": clip,
    }
    assert_agrees("default_boxes", oracle, [], rng=np.random.default_rng(0), params=params)


def test_the_scales_of_the_paper() -> None:
    """Six maps from 0.2 to 0.9: 0.14 apart. The released network has 0.1 in front, and steps of 0.17."""
    np.testing.assert_allclose(default_box_scales(6), [0.2, 0.34, 0.48, 0.62, 0.76, 0.9], rtol=1e-15)
    assert default_box_scales(1) == (0.2,)
    released = np.array(ssd300()["min_sizes"]) / 300
    np.testing.assert_allclose(np.diff(released)[1:], np.full(4, 0.17), rtol=1e-14)


def priors_of_opencv(maps: DefaultBoxMaps, clip: bool) -> Array:
    """Return the boxes that OpenCV's PriorBox layer, Caffe's descendant, makes of the same maps."""
    cv2 = pytest.importorskip("cv2", reason="opencv, which is compared with, is not installed")
    onnx = pytest.importorskip("onnx", reason="onnx, which carries the layer to opencv, is not installed")
    side, boxes = maps["image_size"], []
    per_map = zip(
        *(maps[name] for name in ("map_sizes", "min_sizes", "max_sizes", "steps", "ratios")),
        strict=True,
    )
    for n, smallest, largest, step, ratios in per_map:
        shapes = {
            "feature": [1, 1, n, n],
            "image": [1, 1, side, side],
            "out": [1, 2, n * n * (2 + 2 * len(ratios)) * 4],
        }
        feature, image, out = (
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in shapes.items()
        )
        layer = onnx.helper.make_node(
            "PriorBox",
            ["feature", "image"],
            ["out"],
            min_size=smallest,
            max_size=largest,
            aspect_ratio=list(ratios),
            flip=1,
            clip=int(clip),
            step=step,
            offset=0.5,
            variance=[0.1, 0.1, 0.2, 0.2],
        )
        graph = onnx.helper.make_graph([layer], "prior", [feature, image], [out])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 11)])
        network = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
        for name in ("feature", "image"):
            network.setInput(np.zeros(shapes[name], np.float32), name)
        boxes.append(network.forward()[0, 0].reshape(-1, 4))
    return np.concatenate(boxes)


@pytest.mark.oracle
@pytest.mark.parametrize("maps", [ssd300(), ssd512()], ids=["ssd300", "ssd512"])
@pytest.mark.parametrize("clip", [False, True])
def test_against_opencv(maps: DefaultBoxMaps, clip: bool) -> None:
    ours = default_boxes(**maps, clip="corners" if clip else "none")
    np.testing.assert_allclose(priors_of_opencv(maps, clip), ours, rtol=0, atol=2e-7)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"map_sizes": (1, 1)}, ValueError, "one entry per map, got map_sizes 2, min_sizes 1, max_sizes 1, steps 1,"),
        ({"map_sizes": 1}, TypeError, "default_boxes: map_sizes must be a sequence, got 1"),
        ({"map_sizes": (-1,)}, ValueError, "map_sizes must be at least 0"),
        ({"map_sizes": (1.5,)}, TypeError, "map_sizes must hold integers"),
        ({"image_size": 0}, ValueError, "default_boxes: image_size must be at least 1, got 0"),
        ({"image_size": 10**400}, ValueError, "default_boxes: image_size must fit into int64, got one of 1329 bits"),
        ({"image_size": -300}, ValueError, "default_boxes: image_size must be at least 1, got -300"),
        ({"min_sizes": (0,)}, ValueError, r"min_sizes must lie in \(0, inf\), got 0"),
        ({"max_sizes": (None,)}, ValueError, "max_sizes must be a finite number, got None"),
        ({"steps": (-8,)}, ValueError, r"steps must lie in \(0, inf\), got -8"),
        ({"ratios": (2.0,)}, TypeError, "ratios must be a sequence, got 2.0"),
        ({"ratios": ((2, 1),)}, ValueError, "ratios must not contain 1, whose two boxes are always there"),
        ({"ratios": ((-2,),)}, ValueError, r"ratios must lie in \(0, inf\), got -2"),
        ({"order": "torchvision"}, ValueError, "order must be one of 'caffe', 'paddle', got 'torchvision'"),
        ({"clip": True}, ValueError, "clip must be one of 'none', 'corners', 'size', got True"),
    ],
)
def test_bad_input(changed: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {**ONE, **changed}
    with pytest.raises(error, match=message):
        default_boxes(**arguments)


def test_bad_scales() -> None:
    with pytest.raises(ValueError, match="default_box_scales: n_maps must be at least 1, got 0"):
        default_box_scales(0)
    with pytest.raises(ValueError, match=r"default_box_scales: s_min must lie in \(0, inf\), got -0.2"):
        default_box_scales(6, -0.2)


def test_the_kernel_refuses_what_the_function_refuses() -> None:
    with pytest.raises(ValueError, match="default_boxes: clip must be one of"):
        default_boxes_kernel(**ONE, order="caffe", clip="yes")


def test_the_released_maps_are_copies() -> None:
    first = ssd300()
    first["image_size"] = 1
    assert ssd300()["image_size"] == 300
