"""The experiment on the R-CNN family in miniature: what its networks share, its parts, its file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet.data.sample import Sample
from refdet.data.shapes import Shapes
from refdet.detection.detected import Detected
from refdet.nn import Module
from refdet.reproduce import rcnn
from refdet.reproduce.progress import Progress
from refdet.reproduce.rcnn_networks import NETWORKS, Thinned, Workshop, features_of
from refdet.reproduce.rcnn_settings import FULL, MINIATURE, Settings
from refdet.reproduce.result_file import OtherExperimentError
from refdet.training import Interrupted


def ignore(*progress: object) -> None:
    del progress


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(MINIATURE, 0, tmp_path_factory.mktemp("seed_0"), ignore)


def features(model: Any) -> Module:
    found: Module = model.network.features if hasattr(model, "network") else features_of(model)
    return found


def test_the_scenes_are_new_ones_and_no_test_scene_is_trained_on(made: Workshop) -> None:
    train, test = made.scenes
    assert [len(train), len(test)] == [MINIATURE.n_train, MINIATURE.n_test]
    assert test[0].name == f"shapes 1000/{MINIATURE.n_train}"
    expected = Shapes(9, seed=1000, size=(40, 40))[MINIATURE.n_train]
    np.testing.assert_array_equal(test[0].image, expected.image)
    np.testing.assert_array_equal(test[0].boxes, expected.boxes)
    assert not {s.image.tobytes() for s in train} & {s.image.tobytes() for s in test}
    other = Workshop(MINIATURE, 1, made.folder, ignore)
    assert other.scenes[1][0].name == f"shapes 1001/{MINIATURE.n_train}"


def test_every_detector_begins_with_the_features_of_the_classifier(
    made: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With stages of no steps all of them have still what they began with."""
    stages = [name for name in vars(type(MINIATURE))["__dataclass_fields__"] if name.endswith("_recipe")]
    unmoved = replace(MINIATURE, **{name: replace(getattr(MINIATURE, name), steps=0) for name in stages})
    fresh = Workshop(unmoved, 0, made.folder / "unmoved", ignore)
    fresh.__dict__["classifier"] = made.classifier
    monkeypatch.setattr(Workshop, "fitted", lambda self, stage, model, samples: model)
    assert made.losses["classifier"]
    expected = made.classifier.features.state_dict()
    assert any(np.any(array != 0) for name, array in expected.items() if name.endswith("running_mean"))
    for name in NETWORKS[1:]:
        found = features(getattr(fresh, name)).state_dict()
        assert found.keys() == expected.keys()
        for key, array in found.items():
            np.testing.assert_array_equal(array, expected[key])
    first = fresh.rcnn.state_dict()["network.classifier.0.weight"]
    assert not np.array_equal(first, fresh.sliding_window.state_dict()["network.classifier.0.weight"])


def test_frozen_features_keep_every_bit_and_learning_ones_do_not(made: Workshop) -> None:
    begun = made.classifier.features.state_dict()
    frozen, learned = (model.network.features.state_dict() for model in (made.rcnn_frozen, made.rcnn))
    for name, array in begun.items():
        np.testing.assert_array_equal(frozen[name], array)
        assert not np.array_equal(learned[name], array)
    assert made.rcnn_frozen.svm.known.any()
    first, other = (model.state_dict()["network.classifier.0.weight"] for model in (made.rcnn_frozen, made.rcnn))
    assert not np.array_equal(first, other)


def test_both_scales_of_spp_net_begin_with_one_network(made: Workshop) -> None:
    for model in (made.spp_1, made.spp_5):
        for name, array in features_of(model).state_dict().items():
            np.testing.assert_array_equal(array, features_of(made.spp_crops).state_dict()[name])
    assert not np.array_equal(made.spp_1.fc6.weight.data, made.spp_crops.fc6.weight.data)
    assert made.spp_1.settings == replace(made.spp_5.settings, scales=MINIATURE.spp.scales)


def test_thinned_proposals_are_spread_over_their_order(made: Workshop) -> None:
    sample = replace(made.train[0], proposals=np.arange(28, dtype=np.float32).reshape(7, 4))
    few, all_of_them, none = (Thinned([sample], n)[0].proposals for n in (3, 9, 0))
    assert few is not None
    assert few[:, 0].tolist() == [0, 8, 16]  # rows 0, 2 and 4 of 7
    np.testing.assert_array_equal(all_of_them, sample.proposals)
    assert none is not None
    assert none.shape == (0, 4)


def test_a_network_is_read_again_with_its_machines(made: Workshop) -> None:
    expected = made.rcnn.state_dict()
    again = Workshop(MINIATURE, 0, made.folder, lambda progress: pytest.fail(f"{progress} is done again"))
    again.__dict__["scenes"] = made.scenes  # which are painted anew
    for name, array in again.rcnn.state_dict().items():
        np.testing.assert_array_equal(array, expected[name])


def test_without_and_with_boxes_is_what_r_cnn_detects(made: Workshop) -> None:
    sample, model = made.test[0], made.rcnn
    found = rcnn.without_and_with_boxes(model, sample)
    settings = model.settings
    try:
        for regress, detected in zip((False, True), found, strict=True):
            model.settings = replace(settings, regress=regress)
            expected = model.detect(sample.image, sample.proposals)
            np.testing.assert_array_equal(detected.boxes, expected.boxes)
            np.testing.assert_array_equal(detected.scores, expected.scores)
            np.testing.assert_array_equal(detected.classes, expected.classes)
    finally:
        model.settings = settings
    assert len(found[0])
    assert not np.array_equal(found[0].boxes, found[1].boxes)


def test_mean_average_precision_by_hand() -> None:
    """Of two discs the surer detection finds one, the next is beside both; a difficult square needs no finding."""

    def picture(boxes: list[list[float]], classes: list[int], difficult: list[bool]) -> Sample:
        image = np.zeros((64, 64, 3), np.uint8)
        return Sample("", image, np.array(boxes, np.float32), np.array(classes), np.array(difficult))

    def detected(boxes: list[list[float]], scores: list[float], classes: list[int]) -> Detected:
        return Detected(
            np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(classes, np.int64)
        )

    samples = [
        picture([[0, 0, 10, 10], [20, 20, 40, 40]], [1, 2], [False, True]),
        picture([[0, 0, 10, 10]], [1], [False]),
    ]
    found = [detected([[0, 0, 10, 9], [50, 50, 60, 60]], [0.9, 0.8], [1, 1]), detected([], [], [])]
    assert rcnn.evaluated(found, samples).mean_average_precision == pytest.approx(1 / 2)
    found[1] = detected([[0, 0, 10, 10]], [0.7], [1])  # recall 1 at precision 2/3
    assert rcnn.evaluated(found, samples).mean_average_precision == pytest.approx(1 / 2 + 2 / 3 / 2)


def test_the_full_settings() -> None:
    assert [part.name for part in rcnn.parts_of(FULL, 0)] == [part.name for part in rcnn.PARTS]
    names = {part.name for part in rcnn.PARTS}
    left_out = [names - {part.name for part in rcnn.parts_of(FULL, seed)} for seed in (1, FULL.rcnn_seeds)]
    assert left_out == [{"sliding_window"}, {"sliding_window", "rcnn_frozen", "rcnn"}]
    assert set(rcnn.TIMED.values()) <= names
    assert (FULL.n_train, FULL.n_test, FULL.side) == (2000, 500, 128)
    assert FULL.faster_recipe.steps * FULL.faster_recipe.batch_size == (
        FULL.fast_recipe.steps * FULL.fast_recipe.batch_size
    )
    assert len(FULL.five_scales) == 5
    assert len(FULL.spp.scales) == 1
    paper = np.array([480, 576, 688, 864, 1200])
    np.testing.assert_allclose(np.array(FULL.five_scales) / 160, paper / 688, atol=0.004)
    assert FULL.spp.target_side == pytest.approx(224 * 160 / 688, abs=0.5)
    with pytest.raises(ValueError, match="rcnn must have the blocks of the others"):
        replace(FULL, rcnn=replace(FULL.rcnn, blocks=((8, 1),)))
    with pytest.raises(ValueError, match="batch_norm of faster"):
        replace(FULL, faster=replace(FULL.faster, batch_norm=False))
    with pytest.raises(ValueError, match="rcnn must see regions of 24 pixels, as crops, got 32"):
        replace(FULL, rcnn=replace(FULL.rcnn, side=32))
    with pytest.raises(ValueError, match="fast must see regions of 24 pixels, as crops, got 14"):
        replace(FULL, fast=replace(FULL.fast, head=replace(FULL.fast.head, side=7)))
    with pytest.raises(ValueError, match="faster must have layers as wide as fast"):
        replace(FULL, faster=replace(FULL.faster, fc=(64, 64)))
    with pytest.raises(ValueError, match="spp must look for proposals"):
        replace(FULL, spp=replace(FULL.spp, search=MINIATURE.search))


Quick = list[tuple[int, str]]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Quick:
    """Replace the parts by some that take no time, and list what is run."""
    done: Quick = []

    def part(name: str) -> Callable[[Workshop], dict[str, Any]]:
        def run(made: Workshop) -> dict[str, Any]:
            done.append((made.seed, name))
            made.on_progress(Progress(name, 1, 1))
            made.losses[name] = [1.0]
            return {"mAP": {"fast": 0.5, "faster": 0.5 + made.seed} if name == "cheap" else {}}

        return run

    parts = (rcnn.Part("cheap", part("cheap")), rcnn.Part("dear", part("dear"), "rcnn_seeds"))
    monkeypatch.setattr(rcnn, "PARTS", parts)
    return done


TWO = replace(MINIATURE, rcnn_seeds=1)


def test_an_interrupted_run_goes_on_part_by_part(tmp_path: Path, quick: Quick) -> None:
    def stop_at_dear(seed: int, progress: Progress) -> None:
        if progress.stage == "dear":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rcnn.run(TWO, 2, tmp_path, stop_at_dear)
    assert list(rcnn.read_records(tmp_path, TWO)["0"]["parts"]) == ["cheap"]
    assert rcnn.finished_seeds(rcnn.read_records(tmp_path, TWO), TWO) == []
    quick.clear()
    finished = rcnn.run(TWO, 2, tmp_path, ignore)
    assert quick == [(0, "dear"), (1, "cheap")]
    assert [list(finished[seed]["parts"]) for seed in ("0", "1")] == [["cheap", "dear"], ["cheap"]]
    assert [finished["0"]["parts"][name]["losses"] for name in ("cheap", "dear")] == [{"cheap": [1.0]}, {"dear": [1.0]}]
    assert rcnn.finished_seeds(finished, TWO) == ["0", "1"]
    quick.clear()
    rcnn.run(TWO, 2, tmp_path, ignore)
    assert quick == []
    written = json.loads((tmp_path / rcnn.RESULTS).read_text())
    (claim,) = written["claims"]
    assert (claim["claim"], claim["mean"], claim["n"], claim["holds"]) == ("faster_accuracy", 0.5, 2, True)
    assert claim["published"] == pytest.approx(0.03)


def test_the_results_of_the_documentation_are_of_these_settings() -> None:
    """Others begin with them, and its figures are the file's."""
    docs = Path(__file__).parents[2] / "docs"
    records = rcnn.read_records(docs, FULL)
    assert {"0", "1", "2"} <= set(rcnn.finished_seeds(records, FULL))
    page = (docs / "rcnn.md").read_text(encoding="utf-8")
    for part in (part for record in records.values() for part in record["parts"].values()):
        assert all(f"{mAP:.3f}" in page for mAP in part.get("mAP", {}).values())


def test_one_seed_is_written_without_infinity_and_without_verdict(tmp_path: Path, quick: Quick) -> None:
    rcnn.run(TWO, 1, tmp_path, ignore)
    text = (tmp_path / rcnn.RESULTS).read_text()
    assert "Infinity" not in text
    assert [json.loads(text)["claims"][0][name] for name in ("low", "holds")] == [None, None]


def test_results_of_other_settings_are_left_alone(tmp_path: Path, quick: Quick) -> None:
    rcnn.run(TWO, 1, tmp_path, ignore)
    other: Settings = replace(TWO, fast=replace(TWO.fast, dropout=0.5))
    with pytest.raises(OtherExperimentError, match="other settings"):
        rcnn.run(other, 1, tmp_path, ignore)


TIMING = {"losses": {}, "search_seconds": 1.0, "seconds": {"fast": 1.0}, "fc_seconds": {}}


@pytest.mark.parametrize(
    "seeds",
    [
        [],
        {"zero": {"parts": {}}},
        {"-1": {"parts": {}}},
        {"0": {}},
        {"0": {"parts": 3}},
        {"0": {"parts": []}},
        {"0": {"parts": {"proposals": {}}}},
        {"0": {"parts": {"proposals": []}}},
        {"0": {"parts": {"proposals": {"losses": 3}}}},
        {"0": {"parts": {"fast": {"losses": {}, "mAP": 0.5}}}},
        {"0": {"parts": {"fast": {"losses": {}, "mAP": {"fast": "much"}}}}},
        {"0": {"parts": {"fast": {"losses": {}, "examples": []}}}},
        {"0": {"parts": {"timing": {"losses": {}}}}},
        {"0": {"parts": {"timing": TIMING | {"seconds": {"fast": 0}}}}},
        {"0": {"parts": {"timing": TIMING | {"search_seconds": 10**400}}}},
    ],
)
def test_results_that_somebody_has_written_into(tmp_path: Path, quick: Quick, seeds: Any) -> None:
    rcnn.run(TWO, 1, tmp_path, ignore)
    path = tmp_path / rcnn.RESULTS
    path.write_text(json.dumps({**json.loads(path.read_text()), "seeds": seeds}))
    with pytest.raises(OtherExperimentError, match="does not hold results of this experiment"):
        rcnn.read_records(tmp_path, TWO)
    whole = {"0": {"parts": {"fast": {"losses": {}, "mAP": {"fast": None, "faster": 0.5}}, "timing": TIMING}}}
    path.write_text(json.dumps({**json.loads(path.read_text()), "seeds": whole}))
    assert rcnn.read_records(tmp_path, TWO) == whole


def test_results_that_are_nested_too_deeply(tmp_path: Path) -> None:
    (tmp_path / rcnn.RESULTS).write_text("[" * 100_000)
    with pytest.raises(OtherExperimentError, match=r"does not hold results of this experiment \(nested too deeply\)"):
        rcnn.read_records(tmp_path, TWO)


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        (lambda s: s["fast"].pop("dropout"), False),
        (lambda s: s["fast"].update(no_such_setting=1), True),
        (lambda s: s["fast"].update(preparation={"std": 3}), True),  # which `Preparation` itself refuses
        (lambda s: s["fast_recipe"].pop("lr"), True),  # which has no default
        (lambda s: s.clear(), True),
    ],
)
def test_a_setting_that_results_do_not_name_has_its_default(
    tmp_path: Path, quick: Quick, settings: Callable[[dict[str, Any]], object], refused: bool
) -> None:
    rcnn.run(TWO, 1, tmp_path, ignore)
    path = tmp_path / rcnn.RESULTS
    content = json.loads(path.read_text())
    settings(content["settings"])
    path.write_text(json.dumps(content))
    if refused:
        with pytest.raises(OtherExperimentError, match="other settings"):
            rcnn.read_records(tmp_path, TWO)
    else:
        assert list(rcnn.read_records(tmp_path, TWO)) == ["0"]


@pytest.mark.usefixtures("usual_signals")
def test_a_stage_that_is_interrupted_ends_with_the_same_bits(tmp_path: Path, made: Workshop) -> None:
    """SIGINT after the first step: the run is saved, and what goes on in a new process is as if nothing had been."""
    import signal

    def stop(progress: Progress) -> None:
        if (progress.stage, progress.done, progress.loss is None) == ("fast", 1, False):
            signal.raise_signal(signal.SIGINT)

    def workshop(on_progress: Callable[[Progress], object]) -> Workshop:
        new = Workshop(MINIATURE, 0, tmp_path, on_progress)
        new.__dict__.update(scenes=made.scenes, train=made.train, classifier=made.classifier)
        return new

    with pytest.raises(Interrupted, match="after step 1 of 2"):
        _ = workshop(stop).fast
    told: list[Progress] = []
    resumed = workshop(told.append).fast
    assert [(p.stage, p.done) for p in told] == [("fast", 1), ("fast", 2)]
    for name, array in resumed.state_dict().items():
        np.testing.assert_array_equal(array, made.fast.state_dict()[name])
