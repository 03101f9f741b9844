"""The claims of deck 004 on segmentation, measured again on the synthetic scenes of `refdet.data.shapes`.

| claim | deck 004 |
|---|---|
| FCN-8s > FCN-16s > FCN-32s | "Fully Convolutional Networks": skips to finer layers |
| dense CRF > grid CRF > unary alone | table of "Efficient inference in dense CRFs" |
| CRF-RNN ≥ dense CRF put on afterwards | "CRFs as RNNs": end-to-end training |
| learned filters ≥ Gaussian filters | table of "Learning the filters" |

The figure is the mean IU over the test scenes; and for the decks' two tables that give the accuracy of pixels, that as
well. A seed gives scenes, initial weights and batches; every claim compares
two methods on the same seeds, by the mean of their paired differences (`refdet.reproduce.paired`). The settings were
frozen on other seeds before the runs that count, and each of these runs once.

What keeps the comparisons fair: FCNs start from the same classifier and have made the same number of steps
(`segmentation_networks`); all CRFs stand on the same FCN-8s, which has been trained for as many more steps as the
CRF-RNN is; grid and dense CRF are tuned on the same validation scenes with as many candidates; the CRF-RNN and both
mean fields start from the tuned dense CRF; Gauss and learned mean field make the same steps on the same scenes.

The absolute figures belong to these scenes and small networks, and have no counterpart in the decks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from refdet.core.check import Array
from refdet.metrics.segmentation import accumulate_confusion, segmentation_scores
from refdet.nn.checkpoint.atomic_file import write_atomically
from refdet.reproduce.paired import PairedDifference, paired_difference
from refdet.reproduce.progress import OnProgress, Progress
from refdet.reproduce.result_file import read_results, write_results
from refdet.reproduce.segmentation_crfs import (
    Infer,
    Tuned,
    crf_rnn_labels,
    dense_crf,
    grid_crf,
    mean_field_labels,
    train_crf_rnn,
    train_mean_fields,
    tune,
    unaries,
)
from refdet.reproduce.segmentation_networks import train_networks, trained_longer
from refdet.reproduce.segmentation_pretraining import pretrain
from refdet.reproduce.segmentation_scenes import Split, make_scenes
from refdet.reproduce.segmentation_settings import N_CLASSES, Settings
from refdet.segmentation.prediction import predict

FORMAT = "refdet reproduce segmentation 2"
RESULTS, EXAMPLES, PICTURE = "segmentation.json", "segmentation_examples.npz", "segmentation.png"
N_EXAMPLES = 3  # test scenes of the first seed that are kept for the picture

METHODS = {
    "fcn_32s": "FCN-32s",
    "fcn_16s": "FCN-16s",
    "fcn_8s": "FCN-8s",
    "unary": "FCN-8s, longer",
    "grid": "+ grid CRF",
    "dense": "+ dense CRF",
    "crf_rnn": "CRF-RNN",
    "gauss": "+ Gauss MF-2",
    "learned": "+ learned MF-2",
}


@dataclass(frozen=True)
class Claim:
    """One method is better than another; or at least as good, if not `strictly`."""

    better: str
    worse: str
    strictly: bool
    score: str = "mean_iu"  # or "pixel_accuracy"

    def __str__(self) -> str:
        return f"{_plain(self.better)} {'>' if self.strictly else '≥'} {_plain(self.worse)}"


CLAIMS = (
    Claim("fcn_16s", "fcn_32s", strictly=True),
    Claim("fcn_8s", "fcn_16s", strictly=True),
    Claim("grid", "unary", strictly=True),
    Claim("dense", "grid", strictly=True),
    Claim("crf_rnn", "dense", strictly=False),
    Claim("learned", "gauss", strictly=False),
    # What the decks' tables give as well: "Global" on MSRC, and the accuracy of pixels on MINC.
    Claim("grid", "unary", strictly=True, score="pixel_accuracy"),
    Claim("dense", "grid", strictly=True, score="pixel_accuracy"),
    Claim("learned", "gauss", strictly=False, score="pixel_accuracy"),
)
SCORES = {"mean_iu": "mean IU", "pixel_accuracy": "pixel accuracy"}


class Verdict(NamedTuple):
    """What the seeds say about a claim."""

    claim: Claim
    difference: PairedDifference  # of the claim's score, in 0 … 1

    @property
    def holds(self) -> bool:
        """Whether the interval lies above 0, or, for "at least as good", its middle not below."""
        return self.difference.low > 0 if self.claim.strictly else self.difference.mean >= 0


class SeedRun(NamedTuple):
    """What one seed gives: figures that go into the file, and label maps of a few test scenes for the picture."""

    record: dict[str, Any]
    examples: dict[str, Array]


def run_seed(settings: Settings, seed: int, on_progress: OnProgress) -> SeedRun:
    """Run the whole experiment for one seed."""
    started = time.process_time()
    clock: dict[str, float] = {}

    def lap(name: str) -> None:
        clock[name] = time.process_time() - started - sum(clock.values())

    scenes = make_scenes(settings, seed, on_progress)
    lap("scenes")
    classifier, losses_of_classifier = pretrain(settings, scenes.boxed, seed, on_progress)
    lap("classifier")
    trained = train_networks(settings, classifier, scenes.train, seed, on_progress)
    losses = {"classifier": losses_of_classifier, **trained.losses}
    found: dict[str, Sequence[Array]] = {
        f"fcn_{variant}": predict(network, scenes.test.inputs) for variant, network in trained.networks.items()
    }
    lap("networks")

    fcn_8s = trained.networks["8s"]
    longer, losses["FCN-8s, longer"] = trained_longer(fcn_8s, scenes.train, settings, seed, on_progress)
    found["unary"] = predict(longer, scenes.test.inputs)
    lap("longer")
    validation, test = unaries(longer, scenes.validation), unaries(longer, scenes.test)
    grid = tune(
        "grid CRF, tuning", grid_crf, settings.grid_candidates, validation, scenes.validation, settings, on_progress
    )
    dense = tune(
        "dense CRF, tuning", dense_crf, settings.dense_candidates, validation, scenes.validation, settings, on_progress
    )
    lap("tuning")
    found["grid"] = _inferred("grid CRF, test", grid_crf, grid, test, scenes.test, settings, on_progress)
    lap("grid")
    found["dense"] = _inferred("dense CRF, test", dense_crf, dense, test, scenes.test, settings, on_progress)
    lap("dense")

    model, losses["CRF-RNN"] = train_crf_rnn(fcn_8s, dense.best, scenes.train, settings, seed, on_progress)
    found["crf_rnn"] = crf_rnn_labels(model, scenes.test)
    lap("crf_rnn")

    models, mean_field_losses = train_mean_fields(dense.best, longer, scenes.train, settings, seed, on_progress)
    losses |= {METHODS[name].removeprefix("+ "): values for name, values in mean_field_losses.items()}
    found |= mean_field_labels(models, dense.best, longer, scenes.test, settings, on_progress)
    lap("filters")

    record = {
        "scores": {name: _scores(scenes.test, found[name]) for name in METHODS},
        "tuned": {
            name: {"best": asdict(tuned.best), "validation_mean_iu": tuned.mean_ius}
            for name, tuned in (("grid", grid), ("dense", dense))
        },
        "losses": {stage: _thinned(values) for stage, values in losses.items()},
        "cpu_seconds": {name: round(seconds, 2) for name, seconds in clock.items()},
    }
    examples = {"image": scenes.test.images[:N_EXAMPLES], "truth": scenes.test.label_maps[:N_EXAMPLES].astype(np.uint8)}
    examples |= {name: np.stack(found[name][:N_EXAMPLES]).astype(np.uint8) for name in METHODS}
    return SeedRun(record, examples)


def _inferred(
    stage: str,
    infer: Infer[Any],
    tuned: Tuned,
    energies: Sequence[Array],
    scenes: Split,
    settings: Settings,
    on_progress: OnProgress,
) -> list[Array]:
    """Return the label map of each scene under the best candidate."""
    found = []
    for i, (unary, image) in enumerate(zip(energies, scenes.images, strict=True)):
        found.append(infer(tuned.best, unary, image, settings))
        on_progress(Progress(stage, i + 1, len(energies)))
    return found


def _scores(scenes: Split, label_maps: Sequence[Array]) -> dict[str, float]:
    confusion = accumulate_confusion(zip(scenes.label_maps, label_maps, strict=True), n_classes=N_CLASSES)
    return segmentation_scores(confusion)._asdict()


def _thinned(losses: Sequence[float]) -> list[float]:
    """Return the means of up to ten equal parts of the losses."""
    return [round(float(np.mean(part)), 4) for part in np.array_split(losses, min(10, len(losses)))]


def verdicts(records: Mapping[str, Any]) -> list[Verdict]:
    """Judge every claim by the records of all seeds, seed → record."""

    def scores(method: str, score: str) -> list[float]:
        return [record["scores"][method][score] for record in records.values()]

    return [Verdict(c, paired_difference(scores(c.better, c.score), scores(c.worse, c.score))) for c in CLAIMS]


def read_records(folder: Path, settings: Settings) -> dict[str, Any]:
    """Return the records of the seeds that a folder has, none if it has no file; refuse those of other settings."""
    return read_results(folder / RESULTS, format_name=FORMAT, settings=settings, holds="scores")


def run(
    settings: Settings,
    n_seeds: int,
    folder: Path,
    on_progress: Callable[[int, Progress], object],
) -> dict[str, Any]:
    """Run seeds 0 … n_seeds − 1 but for those that the folder already has, and write the results after each.

    Returns the records of these seeds, in order: seed (a string, as JSON has it) → record.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = read_records(folder, settings)
    for seed in range(n_seeds):
        if str(seed) in records and (seed or (folder / EXAMPLES).exists()):
            continue
        result = run_seed(settings, seed, partial(on_progress, seed))
        if seed == 0:
            write_atomically(folder / EXAMPLES, partial(_save, result.examples))
        records[str(seed)] = result.record
        write_results(folder / RESULTS, records, format_name=FORMAT, settings=settings, claims=_judged_claims(records))
    return {str(seed): records[str(seed)] for seed in range(n_seeds)}


def _save(arrays: Mapping[str, Array], file: BinaryIO) -> None:
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # its stub takes the arrays for its own option


def _judged_claims(records: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what follows from the seeds, for the file."""
    ordered = {seed: records[seed] for seed in sorted(records, key=int)}
    return [
        {"claim": str(v.claim), "score": v.claim.score, "holds": v.holds, **v.difference._asdict()}
        for v in verdicts(ordered)
    ]


def _plain(method: str) -> str:
    """Return a method's name as it stands in a sentence."""
    return "unary alone" if method == "unary" else METHODS[method].removeprefix("+ ")
