"""How good a detector is, as tables and as JSON.

The JSON has, in this order:

    versions     of refdet, numpy and python
    model, weights, data    as they were given; weights are null for those that come with refdet
    counts       images, objects (to be found), detections
    seconds      for all pictures, detection alone
    figures      from 0 to 1: mAP (VOC's, IoU 0.5), and of boxes, masks and joints as far as they were judged
                 "box AP", "box AP50", "mask AP" … (COCO's)
    coco         by kind, "bbox", "segm" and "keypoints": all statistics of COCO by name, AP, AP50 … AR-large
    per_class    a list of name, objects, detections, and figures: "AP@.5" (VOC's), "box AP" … (COCO's)

A figure of what is not there is null.
"""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from refdet.cli.eval_report import present
from refdet.cli.messages import on_a_line, write_text
from refdet.training.detector_scores import DetectorScores


def show_scores(scores: DetectorScores, output: Console) -> None:
    """Print the figures, and below them a table of the classes."""
    n, seconds = scores.n_images, scores.seconds
    speed = f", {seconds / n:.3g} s a picture" if n else ""
    counts = {"picture": n, "object": int(scores.n_objects.sum()), "detection": int(scores.n_detections.sum())}
    title = ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for what, count in counts.items())
    output.print(f"{title}{speed}", highlight=False, soft_wrap=True)
    figures = Table()
    figures.add_column("figure")
    figures.add_column("", justify="right")
    for name, value in scores.figures().items():
        figures.add_row(MEANING.get(name, name), _cell(value))
    output.print(figures, crop=False)
    rows = scores.per_class()
    table = Table(title="Every class")
    table.add_column("class", overflow="fold")
    columns = list(next(iter(rows.values()), {}))
    for heading in ("objects", "detections", *columns):
        table.add_column(heading, justify="right")
    for i, name in enumerate(scores.class_names):
        if i > 0 and (scores.n_objects[i] or scores.n_detections[i]):
            both = (str(scores.n_objects[i]), str(scores.n_detections[i]))
            table.add_row(Text(on_a_line(name)), *both, *(_cell(rows[name][column]) for column in columns))
    output.print(table, crop=False)


MEANING = {
    "mAP": "mAP, VOC's, IoU 0.5",
    "box AP": "box AP, COCO's, IoU 0.5 to 0.95",
    "box AP50": "box AP50, COCO's, IoU 0.5",
    "mask AP": "mask AP, COCO's, IoU 0.5 to 0.95",
    "mask AP50": "mask AP50, COCO's, IoU 0.5",
    "keypoint AP": "keypoint AP, COCO's, OKS 0.5 to 0.95",
    "keypoint AP50": "keypoint AP50, COCO's, OKS 0.5",
}


def _cell(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def write_json(scores: DetectorScores, about: Mapping[str, Any], json_file: str) -> None:
    """Write everything; a file all or nothing."""
    write_text("eval: --json", json_file, json.dumps(to_json(scores, about), indent=2, allow_nan=False) + "\n")


def to_json(scores: DetectorScores, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the module's docstring says; `about` is what was given."""
    import refdet

    rows = scores.per_class()
    return {
        "versions": {"refdet": refdet.__version__, "numpy": np.__version__, "python": platform.python_version()},
        **about,
        "counts": {
            "images": scores.n_images,
            "objects": int(scores.n_objects.sum()),
            "detections": int(scores.n_detections.sum()),
        },
        "seconds": scores.seconds,
        "figures": present(scores.figures()),
        "coco": {kind: present(found.stats) for kind, found in scores.coco.items()},
        "per_class": [
            {
                "name": name,
                "objects": int(scores.n_objects[i]),
                "detections": int(scores.n_detections[i]),
                "figures": present(rows[name]),
            }
            for i, name in enumerate(scores.class_names)
            if i > 0
        ],
    }
