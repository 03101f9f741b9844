"""Suppression against torchvision's C++ kernel, where the system's Python has it.

Deviation of torchvision: it compares an IoU in float32 with the threshold in float64, so that 3/10 exceeds 0.3. refdet
rounds the threshold too. The thresholds here are dyadic, so that equality is equality in both.
"""

from __future__ import annotations

import numpy as np
import pytest

from refdet.boxes.nms import nms
from refdet.core.check import Array
from tests.torchvision_process import ask_torchvision

pytestmark = pytest.mark.oracle

THRESHOLDS = (0.0, 0.25, 0.5, 0.75, 1.0)
ANSWER_ALL = """
for name in asked["names"]:
    boxes, scores = (torch.tensor(asked[f"{name}/{what}"]) for what in ("boxes", "scores"))
    for threshold in asked["thresholds"]:
        answers[f"{name}/{threshold}"] = torchvision.ops.nms(boxes, scores, float(threshold)).numpy()
"""


def scenes() -> dict[str, dict[str, Array]]:
    """Return boxes on a coarse grid, so that IoUs repeat and meet the thresholds, and scores with many ties."""
    rng = np.random.default_rng(0)
    found = {}
    for dtype in ("float32", "float64"):
        for n in (0, 1, 40, 300):
            corners = rng.integers(-20, 40, (n, 2)) * 2
            sizes = rng.integers(0, 9, (n, 2)) * 4  # some without area
            found[f"{dtype}-{n}"] = {
                "boxes": np.concatenate([corners, corners + sizes], axis=1).astype(dtype),
                "scores": (rng.integers(0, 12, n) / 8).astype(dtype),
            }
    return found


SCENES = scenes()


@pytest.fixture(scope="module")
def torchvision(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Array]:
    """Return torchvision's answers to all scenes."""
    arrays = {f"{name}/{what}": x for name, scene in SCENES.items() for what, x in scene.items()}
    arrays |= {"names": np.array(list(SCENES)), "thresholds": np.array(THRESHOLDS)}
    return ask_torchvision(ANSWER_ALL, arrays, tmp_path_factory.mktemp("torchvision"))


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("name", SCENES)
def test_the_same_indices_in_the_same_order(torchvision: dict[str, Array], name: str, threshold: float) -> None:
    kept = nms(SCENES[name]["boxes"], SCENES[name]["scores"], threshold=threshold)
    np.testing.assert_array_equal(kept, torchvision[f"{name}/{threshold}"])
