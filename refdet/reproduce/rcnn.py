"""The claims of decks 000, 002 and 004 on the R-CNN family, measured again on the scenes of `refdet.data.shapes`.

| claim | deck |
|---|---|
| Fast R-CNN is at least 20 times faster than R-CNN, at no lower mAP | 004, "Fast-RCNN results" |
| Faster R-CNN is faster than Fast R-CNN, proposals counted, at no lower mAP | 000, "Faster R-CNN" |
| box regression raises the mAP of R-CNN | 004, "R-CNN results" |
| truncated SVD makes the fully connected layers faster, and costs at most a point | 004, "Fast-RCNN results" |
| SPP-net at five scales ≥ at one | 000, "Single-scale and Multi-scale Feature Maps" |
| R-CNN with features fine-tuned ≥ frozen | 004, "R-CNN results" |

The accuracy is VOC's mAP at an overlap of 0.5 over the test scenes, difficult objects left out. The speed is that of
one picture at a time (`rcnn_timing`), without proposals unless they are said to be counted, as in the decks. A seed
gives scenes, first weights and batches; every claim compares two methods on the same seeds, by the mean of their paired
differences (`refdet.reproduce.paired`); of times, by that of the differences of their logarithms, which is the
logarithm of how many times faster the one is. The settings are frozen before the runs that count.

What keeps the comparisons fair: all detectors have the same convolutions, begin with the same classifier
(`rcnn_networks`), and see the same scenes and proposals. R-CNN with frozen and with learning features makes the same
steps on the same windows, and its detections with and without box regression come of the same scores. SPP-net at one
and at five scales begins with the same network. The compressed Fast R-CNN is a copy of the other.

The figures belong to these scenes, networks and machines; only their order and size can be compared with the decks'.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from refdet.core.check import Array
from refdet.core.kernel import active_backend
from refdet.data.sample import Sample
from refdet.data.shapes import CLASS_NAMES
from refdet.detection.detected import Detected
from refdet.detection.rcnn import RCNN
from refdet.detection.region_detections import detect_regions
from refdet.detection.with_proposals import proposals_of
from refdet.metrics.voc import LabelledBoxes, ScoredBoxes, VocEvaluation, evaluate_voc
from refdet.reproduce.progress import OnProgress, Progress
from refdet.reproduce.rcnn_claims import METHODS, WITHOUT_PROPOSALS, verdicts
from refdet.reproduce.rcnn_networks import Workshop
from refdet.reproduce.rcnn_settings import Settings
from refdet.reproduce.rcnn_timing import heads_side_by_side, side_by_side
from refdet.reproduce.result_file import Records, read_results, write_results
from refdet.training.detector_scores import OVERLAP, VOC_CONVENTION

FORMAT = "refdet reproduce rcnn 1"
RESULTS, PICTURE, RUNS = "rcnn.json", "rcnn.png", "rcnn_runs"
N_EXAMPLES = 2  # test scenes of the first seed whose detections are kept for the picture


class Part(NamedTuple):
    """A piece of the work of a seed, whose record is written as soon as it is done."""

    name: str
    run: Callable[[Workshop], dict[str, Any]]
    seeds: str | None = None  # the setting that says how many seeds have it; None for all


# what the parts do


def _proposals(made: Workshop) -> dict[str, Any]:
    counts = [len(proposals_of(made.test[i])) for i in range(len(made.test))]
    return {"proposals_a_picture": float(np.mean(counts)), "pictures": made.train.n_found + made.test.n_found}


def _classifier(made: Workshop) -> dict[str, Any]:
    _ = made.classifier  # trained where it is first asked for
    return {}


def _one(method: str, made: Workshop) -> dict[str, Any]:
    """Train a detector of no or of given proposals, and test it."""
    model = getattr(made, method)
    if method in WITHOUT_PROPOSALS:
        return tested(made, method, lambda sample: {method: model.detect(sample.image)}, made.scenes[1])
    return tested(made, method, lambda sample: {method: model.detect(sample.image, sample.proposals)}, made.test)


def _spp_crops(made: Workshop) -> dict[str, Any]:
    _ = made.spp_crops  # trained where it is first asked for
    return {}


def _rcnn(stage: str, names: tuple[str, str], made: Workshop) -> dict[str, Any]:
    """Train R-CNN, and test it without and with its box regressors; `names` are those of the methods."""
    model = getattr(made, stage)
    return tested(
        made, stage, lambda sample: dict(zip(names, without_and_with_boxes(model, sample), strict=True)), made.test
    )


def without_and_with_boxes(model: RCNN, sample: Sample) -> tuple[Detected, Detected]:
    """Return what R-CNN finds with boxes as proposed, and with boxes moved; its features are computed once."""
    boxes, s = proposals_of(sample).astype(np.float32), model.settings
    for_svm, for_boxes = model.layers(sample.image, boxes, (s.svm_layer, s.box_layer))
    scores = model.svm.score(for_svm)

    def move(rows: Array, c: int) -> Array:
        return model.box_regressor.predict(for_boxes[rows], boxes[rows], c)

    size = sample.size
    return (
        detect_regions(scores, boxes, size, settings=s.detection),
        detect_regions(scores, boxes, size, settings=s.detection, move=move),
    )


def _timing(made: Workshop) -> dict[str, Any]:
    """Measure the seconds a picture of all detectors of a seed, side by side."""
    s = made.settings
    parts = [part.name for part in parts_of(s, made.seed)]
    models = {name: getattr(made, part) for name, part in TIMED.items() if part in parts}
    timed = [made.test[i] for i in range(min(s.n_timed, len(made.test)))]

    def of(name: str) -> Callable[[Sample], object]:
        if name in WITHOUT_PROPOSALS:
            return lambda sample: models[name].detect(sample.image)
        return lambda sample: models[name].detect(sample.image, sample.proposals)

    methods = {"search": lambda sample: s.search(sample.image), **{name: of(name) for name in models}}
    seconds = side_by_side(methods, timed, rounds=s.timing_rounds, on_progress=made.on_progress)
    heads = {name: models[name] for name in ("fast", "fast_svd")}
    return {
        "search_seconds": seconds.pop("search"),
        "seconds": seconds,
        "fc_seconds": heads_side_by_side(heads, timed, rounds=s.fc_rounds, on_progress=made.on_progress),
        "backend": active_backend().name,
    }


# The detectors that are timed, and the part that makes each; R-CNN takes as long with frozen features.
TIMED = {name: "rcnn" if name == "rcnn_boxes" else name for name in METHODS if name not in ("rcnn_frozen", "rcnn")}
PARTS = (
    Part("proposals", _proposals),
    Part("classifier", _classifier),
    Part("faster", partial(_one, "faster")),
    Part("fast", partial(_one, "fast")),
    Part("fast_svd", partial(_one, "fast_svd")),
    Part("spp_crops", _spp_crops),
    Part("spp_1", partial(_one, "spp_1")),
    Part("spp_5", partial(_one, "spp_5")),
    Part("rcnn_frozen", partial(_rcnn, "rcnn_frozen", ("rcnn_frozen", "rcnn_frozen_boxes")), "rcnn_seeds"),
    Part("rcnn", partial(_rcnn, "rcnn", ("rcnn", "rcnn_boxes")), "rcnn_seeds"),
    Part("sliding_window", partial(_one, "sliding_window"), "windows_seeds"),
    Part("timing", _timing),
)


# how good detections are


def tested(
    made: Workshop, stage: str, detect: Callable[[Sample], Mapping[str, Detected]], samples: Sequence[Sample]
) -> dict[str, Any]:
    """Let a detector look at all test scenes, in one or several ways, and judge each."""
    found: dict[str, list[Detected]] = {}
    for i in range(len(samples)):
        for name, detected in detect(samples[i]).items():
            found.setdefault(name, []).append(detected)
        made.on_progress(Progress(f"{stage}, test", i + 1, len(samples)))
    judged = {name: evaluated(detected, samples) for name, detected in found.items()}
    record: dict[str, Any] = {
        "mAP": {name: _or_none(evaluation.mean_average_precision) for name, evaluation in judged.items()},
        "AP": {
            name: {
                class_name: _or_none(evaluation.by_class[c].average_precision)
                for c, class_name in enumerate(CLASS_NAMES)
                if c > 0  # the background
            }
            for name, evaluation in judged.items()
        },
    }
    if made.seed == 0:
        record["examples"] = {
            name: [_surest(detected[i], len(samples[i].classes)) for i in range(min(N_EXAMPLES, len(samples)))]
            for name, detected in found.items()
        }
    return record


def evaluated(found: Sequence[Detected], samples: Sequence[Sample]) -> VocEvaluation:
    """Return VOC's evaluation of what was found in each picture."""
    numbers = range(len(samples))
    truths = [samples[i] for i in numbers]
    return evaluate_voc(
        ScoredBoxes(
            np.repeat(numbers, [len(d) for d in found]),
            np.concatenate([d.classes for d in found]),
            np.concatenate([d.scores for d in found]).astype(np.float64),
            np.concatenate([d.boxes for d in found]).astype(np.float64),
        ),
        LabelledBoxes(
            np.repeat(numbers, [len(t.classes) for t in truths]),
            np.concatenate([t.classes for t in truths]),
            np.concatenate([t.boxes for t in truths]).astype(np.float64),
            np.concatenate([t.difficult for t in truths]),
        ),
        images=numbers,
        classes=range(1, len(CLASS_NAMES)),
        convention=VOC_CONVENTION,
        threshold=OVERLAP,
    )


def _surest(detected: Detected, n: int) -> list[list[float]]:
    """Return the n surest detections, x1, y1, x2, y2, class, for the picture."""
    rows = np.concatenate([detected.boxes[:n], detected.classes[:n, None]], axis=1)
    return [[round(float(x), 1) for x in row] for row in rows]


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None  # a class without objects has no AP


# the run


def parts_of(settings: Settings, seed: int) -> tuple[Part, ...]:
    """Return the parts of a seed, in order: what is dear is not worth the time of every one."""
    return tuple(part for part in PARTS if part.seeds is None or seed < getattr(settings, part.seeds))


def read_records(folder: Path, settings: Settings) -> Records:
    """Return the records of the seeds that a folder has, none if it has no file; refuse those of other settings."""
    return read_results(folder / RESULTS, format_name=FORMAT, settings=settings, holds="parts")


def finished_seeds(records: Mapping[str, Any], settings: Settings) -> list[str]:
    """Return the seeds all of whose parts are done."""
    return [
        seed
        for seed in sorted(records, key=int)
        if all(part.name in records[seed]["parts"] for part in parts_of(settings, int(seed)))
    ]


def run(settings: Settings, n_seeds: int, folder: Path, on_progress: Callable[[int, Progress], object]) -> Records:
    """Run seeds 0 … n_seeds − 1 but for the parts that the folder already has, and write the results after each part.

    Returns the records of these seeds, in order: seed (a string, as JSON has it) → record. Where a part was
    interrupted, its CPU-seconds are those since it went on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = read_records(folder, settings)
    for seed in range(n_seeds):
        told: OnProgress = partial(on_progress, seed)
        made = Workshop(settings, seed, folder / RUNS / f"seed_{seed}", told)
        for part in parts_of(settings, seed):
            done = records.get(str(seed), {"parts": {}})["parts"]
            if part.name in done:
                continue
            started = time.process_time()
            found = part.run(made)
            known = {stage for record in done.values() for stage in record["losses"]}  # read again, not trained
            record = {
                **found,
                "losses": {stage: losses for stage, losses in made.losses.items() if stage not in known},
                "cpu_seconds": round(time.process_time() - started, 2),
            }
            records[str(seed)] = {"parts": {**done, part.name: record}}
            write_results(
                folder / RESULTS, records, format_name=FORMAT, settings=settings, claims=_judged_claims(records)
            )
    return {str(seed): records[str(seed)] for seed in range(n_seeds)}


def _judged_claims(records: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what follows from the seeds, for the file; of times mean, low and high are natural logarithms."""
    return [
        {
            "claim": v.claim.name,
            "text": v.claim.text,
            "of": v.claim.of,
            "holds": v.holds if v.difference.n > 1 else None,
            **v.difference._asdict(),
            "published": v.published,
        }
        for v in verdicts(records)
    ]
