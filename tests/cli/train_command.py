"""`refdet train` as its tests call it, with a recipe of four steps and detectors that are made in milliseconds."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from refdet.cli.main import app
from refdet.data import CLASS_NAMES, VocAnnotation, write_voc_annotation
from refdet.detection.model_names import MODELS, Model
from refdet.detection.small_fast_rcnn import SmallFastRCNNSettings, small_fast_rcnn
from refdet.detection.with_proposals import SMALL_PICTURES, SelectiveSearch
from refdet.nn.checkpoint import load_tensors, save_tensors
from refdet.training.recipes import DetectorRecipe

RECIPE = DetectorRecipe(steps=4, batch_size=1, lr=0.5, warm_up=0, decay_at=(), momentum=0.5, mirror=True)
SMALL = ("--train-size", "3", "--test-size", "2")


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["train", *map(str, arguments)], env={"COLUMNS": "200"})


def trains(*arguments: object) -> Any:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result


TINY_FAST = SmallFastRCNNSettings(
    blocks=((4, 1), (6, 1), (8, 1)), scales=None, fc=(8, 8), search=dataclasses.replace(SMALL_PICTURES, n=40),
    head=dataclasses.replace(SmallFastRCNNSettings().head, side=2, n_drawn=8),
)  # fmt: skip


def tiny_fast_rcnn() -> Model:
    """Return what `MODELS` is to have as small_fast_rcnn, that it is made in milliseconds."""
    return dataclasses.replace(MODELS["small_fast_rcnn"], settings=lambda: TINY_FAST)


def save_tiny_fast_rcnn(path: Path) -> None:
    model = small_fast_rcnn(CLASS_NAMES, rng=np.random.default_rng(3), settings=TINY_FAST)
    save_tensors(path, model.state_dict())


def quarters(self: SelectiveSearch, image: Any) -> Any:
    """Take the place of the search: propose the upper left quarter of a picture, and the lower right one."""
    H, W = image.shape[:2]
    return np.array([[0, 0, W / 2, H / 2], [W / 2, H / 2, W, H]], np.float32)


def threshold(path: str) -> float:
    return float(load_tensors(path)["threshold"][0])


def voc(folder: Path, names: Sequence[Sequence[str]], lists: dict[str, Sequence[int]] | None = None) -> str:
    """Write a folder of VOC's with a picture for each list of names, and return what --data is to be."""
    pictures, annotations = folder, folder
    if lists is not None:
        pictures, annotations = folder / "JPEGImages", folder / "Annotations"
        (folder / "ImageSets" / "Main").mkdir(parents=True)
        for name, numbers in lists.items():
            (folder / "ImageSets" / "Main" / f"{name}.txt").write_text("".join(f"{i:03}\n" for i in numbers))
    for part in (pictures, annotations):
        part.mkdir(parents=True, exist_ok=True)
    for i, of_picture in enumerate(names):
        Image.new("RGB", (16, 12), (i, 0, 0)).save(pictures / f"{i:03}.png")
        n = len(of_picture)
        boxes = np.array([[1.0, 2, 9, 8]] * n).reshape(-1, 4)
        none = np.zeros(n, np.bool_)
        annotation = VocAnnotation(f"{i:03}", f"{i:03}.png", (12, 16), tuple(of_picture), boxes, none, none)
        write_voc_annotation(annotations / f"{i:03}.xml", annotation)
    return f"voc:{folder}"


def coco_of_joints(folder: Path, **changes: Any) -> Path:
    """Write a file of COCO's about two pictures, 1.png and 2.png, with a person of three joints each."""
    for i in (1, 2):
        Image.new("RGB", (16, 12), (200, 0, 0)).save(folder / f"{i}.png")
    one = {"category_id": 1, "bbox": [1, 1, 8, 8], "area": 64, "keypoints": [3, 3, 2] * 3}
    content = {
        "images": [{"id": i, "width": 16, "height": 12, "file_name": f"{i}.png"} for i in (1, 2)],
        "categories": [{"id": 1, "name": "person", "keypoints": ["a", "b", "c"]}],
        "annotations": [
            {**one, "id": i, "image_id": i, "segmentation": [[1, 1, 9, 1, 9, 9, 1, 9]][: 2 - i]} for i in (1, 2)
        ],
    }
    path = folder / "people.json"
    path.write_text(json.dumps(content | changes))
    return path


def with_joints(names: Sequence[str]) -> dict[str, Any]:
    """Return the changes to `coco_of_joints` that give its persons joints of these names."""
    one = {"category_id": 1, "bbox": [1, 1, 8, 8], "area": 64, "keypoints": [3, 3, 2] * len(names)}
    return {
        "categories": [{"id": 1, "name": "person", "keypoints": list(names)}],
        "annotations": [{**one, "id": i, "image_id": i, "segmentation": [[1, 1, 9, 1, 9, 9, 1, 9]]} for i in (1, 2)],
    }
