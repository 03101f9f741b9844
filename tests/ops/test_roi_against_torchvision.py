"""Cropping by regions against torchvision's C++ kernels, values and gradients, where the system's Python has them.

Deviations of torchvision 0.14: it refuses a region turned round with `aligned` and adaptive sampling, where refdet has
0; a NaN never wins a bin of RoI pooling; coordinates, counts and bounds are computed in the dtype of the features.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from refdet.autograd import Tensor
from refdet.core.check import Array
from refdet.ops.roi_align import roi_align
from refdet.ops.roi_pool import roi_pool
from tests.torchvision_process import ask_torchvision

pytestmark = pytest.mark.oracle

ANSWER_ALL = """
for name, (op, options) in json.loads(str(asked["calls"])).items():
    x = torch.tensor(asked[name + "/x"], requires_grad=True)
    y = getattr(torchvision.ops, op)(x, torch.tensor(asked[name + "/rois"]), **options)
    y.backward(torch.tensor(asked[name + "/dy"]))
    answers[name + "/y"], answers[name + "/dx"] = y.detach().numpy(), x.grad.numpy()
"""
KINDS = ("inside", "beyond", "quarters", "without-area", "turned-round", "far")
SAMPLINGS = ((0, True), (0, False), (1, True), (2, False), (3, True))  # sampling_ratio, aligned
SIZE = (14, 11)


def regions(kind: str, rng: np.random.Generator, scale: float) -> Array:
    """Return eight regions of two maps of `SIZE`."""
    H, W = SIZE
    corners = rng.uniform(0, [W, H], (8, 2, 2))
    if kind == "beyond":
        corners = rng.uniform(-15, 30, (8, 2, 2))
    elif kind == "quarters":  # halves among them, whose rounding is decided, and points on borders
        corners = rng.integers(-8, 64, (8, 2, 2)) / 4
    elif kind == "without-area":
        corners[:, 1] = corners[:, 0]
    elif kind == "far":
        corners = rng.uniform(-1e6, 1e6, (8, 2, 2))
    corners = np.sort(corners, axis=1)
    if kind == "turned-round":
        corners = corners[:, ::-1]
    return np.concatenate([rng.integers(0, 2, (8, 1)), corners.reshape(8, 4) / scale], axis=1)


def cases() -> dict[str, tuple[str, dict[str, Any], dict[str, Array]]]:
    """Return op, torchvision's options, and arrays, by name."""
    found = {}
    rng = np.random.default_rng(0)
    for kind in KINDS:
        for dtype in ("float32", "float64"):
            scale, bins = float(rng.choice([1 / 16, 1 / 4, 1.0])), rng.integers(1, 8, 2).tolist()
            for op, sampling in [("roi_pool", None), *(("roi_align", s) for s in SAMPLINGS)]:
                options: dict[str, Any] = {"output_size": bins, "spatial_scale": scale}
                if sampling:
                    options |= {"sampling_ratio": sampling[0], "aligned": sampling[1]}
                    if sampling[0] == 0 and (kind == "far" or (kind == "turned-round" and sampling[1])):
                        continue  # refused by refdet, refused by torchvision
                arrays = {
                    "x": rng.integers(-2, 3, (2, 3, *SIZE)).astype(dtype),  # equal pixels are common
                    "rois": regions(kind, rng, scale).astype(dtype),
                    "dy": rng.integers(-4, 5, (8, 3, *bins)).astype(dtype),
                }
                found[f"{op}-{kind}-{dtype}-{sampling}"] = (op, options, arrays)
    return found


CASES = cases()


@pytest.fixture(scope="module")
def torchvision(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Array]:
    """Return torchvision's answers to all cases."""
    calls = {name: (op, options) for name, (op, options, _) in CASES.items()}
    arrays: dict[str, Any] = {f"{name}/{key}": a for name, (_, _, case) in CASES.items() for key, a in case.items()}
    arrays["calls"] = np.array(json.dumps(calls))
    return ask_torchvision(ANSWER_ALL, arrays, tmp_path_factory.mktemp("torchvision"))


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(torchvision: dict[str, Array], name: str) -> None:
    """RoI pooling to the bit; RoIAlign as its float32 coordinates allow."""
    op, options, arrays = CASES[name]
    x, scale, size = Tensor(arrays["x"], requires_grad=True), options["spatial_scale"], tuple(options["output_size"])
    if op == "roi_pool":
        convention = "float32-bins" if x.dtype == np.float32 else "exact"
        y, _ = roi_pool(x, arrays["rois"], size, scale=scale, convention=convention)
        tolerance = 0.0
    else:
        sampling = {key: options[key] for key in ("sampling_ratio", "aligned")}
        y = roi_align(x, arrays["rois"], size, scale=scale, **sampling)
        tolerance = 1e-4 if x.dtype == np.float32 else 1e-12
    y.backward(arrays["dy"])
    assert x.grad is not None
    np.testing.assert_allclose(y.data, torchvision[f"{name}/y"], rtol=0, atol=tolerance)
    np.testing.assert_allclose(x.grad, torchvision[f"{name}/dx"], rtol=0, atol=tolerance)
