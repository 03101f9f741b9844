"""The experiment on segmentation, in miniature: its pieces, its fairness, its file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet import ops
from refdet.reproduce import segmentation
from refdet.reproduce.progress import Progress
from refdet.reproduce.result_file import OtherExperimentError
from refdet.reproduce.segmentation_crfs import (
    MeanFields,
    NetworkWithCRF,
    crf_rnn_labels,
    dense_crf,
    filter_scenes,
    gaussian_mean_field,
    mean_field_labels,
    mean_iu,
    train_crf_rnn,
    train_mean_fields,
    tune,
    unaries,
)
from refdet.reproduce.segmentation_networks import random_batch, train_networks, training_batch
from refdet.reproduce.segmentation_pretraining import pretrain
from refdet.reproduce.segmentation_scenes import Split, Splits, make_scenes, network_channels
from refdet.reproduce.segmentation_settings import FULL, MINIATURE, N_CLASSES, DenseCandidate, Settings
from refdet.segmentation.fcn import FCN
from refdet.segmentation.training import IGNORE_LABEL
from refdet.segmentation.vgg import VGGClassifier


def ignore(progress: Progress) -> None:
    del progress


@pytest.fixture(scope="module")
def scenes() -> Splits:
    return make_scenes(MINIATURE, 100, ignore)


@pytest.fixture(scope="module")
def classifier(scenes: Splits) -> VGGClassifier:
    return pretrain(MINIATURE, scenes.boxed, 100, ignore)[0]


@pytest.fixture
def network() -> FCN:
    """Return a network with random score layers: they start at 0, which would leave a CRF nothing to refine."""
    fcn, rng = FCN(N_CLASSES, variant="8s", plan=MINIATURE.plan, rng=np.random.default_rng(0)), np.random.default_rng(3)
    for parameter in fcn.parameters():
        parameter.data = parameter.data + (0.1 * rng.normal(size=parameter.shape)).astype(np.float32)
    return fcn


def test_the_splits_share_no_scene(scenes: Splits) -> None:
    splits = (scenes.train, scenes.validation, scenes.test)
    assert [len(split) for split in splits] == [MINIATURE.n_train, MINIATURE.n_validation, MINIATURE.n_test]
    pictures = [image.tobytes() for split in splits for image in split.images]
    assert len(set(pictures)) == len(pictures)
    assert [scene.image.tobytes() for scene in scenes.boxed] == pictures[: MINIATURE.n_train]


def labelled_colours(scenes: Split) -> list[tuple[int, ...]]:
    """Return the colours of each pixel, in whatever order, and its label."""
    pixels = np.concatenate([np.sort(scenes.images, axis=3), scenes.label_maps[..., None]], axis=3)
    return sorted(tuple(pixel) for pixel in pixels.reshape(-1, 4).tolist())


def test_a_turned_scene_turns_as_a_whole(scenes: Splits) -> None:
    """The pixels of an object keep its label, in the picture and in what the network sees."""
    one = Split(*(array[:1] for array in scenes.train))
    before = labelled_colours(one)
    orientations = set()
    for seed in range(60):
        turned = random_batch(one, 1, np.random.default_rng(seed))
        assert labelled_colours(turned) == before
        np.testing.assert_array_equal(turned.inputs, network_channels(turned.images))
        orientations.add(turned.label_maps.tobytes())
    assert len(orientations) == 8


def test_only_background_is_ignored_and_by_the_share_that_is_set(scenes: Splits) -> None:
    settings = replace(MINIATURE, background_share=0.25)
    n = len(scenes.train)
    whole = random_batch(scenes.train, n, np.random.default_rng(0)).label_maps
    thinned = training_batch(scenes.train, settings, n, np.random.default_rng(0)).label_maps
    np.testing.assert_array_equal(thinned[whole > 0], whole[whole > 0])
    assert set(np.unique(thinned[whole == 0])) == {0, IGNORE_LABEL}
    assert np.mean(thinned[whole == 0] == 0) == pytest.approx(0.25, abs=0.02)


def test_fcn_starts_with_the_backbone_of_the_classifier(scenes: Splits, classifier: VGGClassifier) -> None:
    settings = replace(MINIATURE, steps_32s=0, steps_16s=0, steps_8s=0)
    trained = train_networks(settings, classifier, scenes.train, 100, ignore)
    for network in trained.networks.values():
        theirs = dict(classifier.backbone.named_parameters())
        for name, parameter in network.backbone.named_parameters():
            np.testing.assert_array_equal(parameter.data, theirs[name].data)


def test_the_networks_make_the_same_steps_and_learn(scenes: Splits, classifier: VGGClassifier) -> None:
    settings = replace(MINIATURE, steps_32s=5, steps_16s=5, steps_8s=30, lr=3e-3)
    trained = train_networks(settings, classifier, scenes.train, 100, ignore)
    assert list(trained.networks) == ["32s", "16s", "8s"]
    steps = {stage: len(losses) for stage, losses in trained.losses.items()}
    of_32s = steps["FCN-32s"] + steps["FCN-32s, beside 16s"] + steps["FCN-32s, beside 8s"]
    of_16s = steps["FCN-32s"] + steps["FCN-16s"] + steps["FCN-16s, beside 8s"]
    of_8s = steps["FCN-32s"] + steps["FCN-16s"] + steps["FCN-8s"]
    assert of_32s == of_16s == of_8s == 40
    for losses in (trained.losses[f"FCN-{variant}"] for variant in ("16s", "8s")):
        assert np.isfinite(losses).all()
    last = trained.losses["FCN-8s"]
    assert np.mean(last[-5:]) < np.mean(trained.losses["FCN-32s"][:5]) - 0.3


def test_a_seed_gives_the_same_networks_again(scenes: Splits, classifier: VGGClassifier) -> None:
    settings = replace(MINIATURE, steps_32s=2, steps_16s=1, steps_8s=1)
    first, again = (train_networks(settings, classifier, scenes.train, 5, ignore) for _ in range(2))
    assert first.losses == again.losses


def test_the_best_candidate_is_chosen_on_the_scenes_given(scenes: Splits) -> None:
    validation = scenes.validation
    truth = {image.tobytes(): y for image, y in zip(validation.images, validation.label_maps, strict=True)}

    def infer(candidate: DenseCandidate, unary: Any, image: Any, settings: Settings) -> Any:
        label_map = truth[image.tobytes()]
        return np.where(np.arange(label_map.shape[1]) < candidate.weight, label_map, 0)

    candidates = [DenseCandidate(weight, 1, 1) for weight in (0.0, 48.0, 24.0, 50.0)]
    energies = [np.zeros((1, N_CLASSES))] * len(scenes.validation)
    tuned = tune("", infer, candidates, energies, scenes.validation, MINIATURE, ignore)
    assert tuned.best is candidates[1]  # the first of two that are right everywhere
    assert tuned.mean_ius[1] == tuned.mean_ius[3] == 1.0


def test_the_crf_rnn_starts_as_the_dense_crf(scenes: Splits, network: FCN) -> None:
    start = MINIATURE.dense_candidates[0]
    model, _ = train_crf_rnn(network, start, scenes.train, replace(MINIATURE, end_to_end_steps=0), 0, ignore)
    assert isinstance(model, NetworkWithCRF)
    energies = unaries(network, scenes.test)
    expected = [dense_crf(start, u, image, MINIATURE) for u, image in zip(energies, scenes.test.images, strict=True)]
    found = crf_rnn_labels(model, scenes.test)
    assert len(np.unique(np.stack(expected))) > 2
    assert np.mean(np.stack(found) == np.stack(expected)) > 0.999


def test_learned_filters_start_as_the_gaussian_ones_and_only_they_learn_them(scenes: Splits, network: FCN) -> None:
    start, one = MINIATURE.dense_candidates[0], Split(*(array[:1] for array in scenes.train))
    settings = replace(MINIATURE, calibration_steps=8, learned_steps=0, filter_batch_size=1)
    calibrated, losses = train_mean_fields(start, network, one, settings, 0, ignore)
    assert losses["gauss"][-1] < losses["gauss"][0]
    found = mean_field_labels(calibrated, start, network, one, settings, ignore)
    np.testing.assert_array_equal(found["gauss"], found["learned"])
    settings = replace(settings, learned_steps=12, learned_lr=0.1)
    trained, losses = train_mean_fields(start, network, one, settings, 0, ignore)
    assert [len(losses[name]) for name in ("gauss", "learned")] == [20, 12]
    for name, model in (("gauss", trained.gauss), ("learned", trained.learned)):
        weights = [p.data for n, p in model.named_parameters() if ".filters." in n]
        assert len(weights) == 2
        assert all(np.any(w != 0) == (name == "learned") for w in weights)
        assert losses[name][-1] < losses[name][-12]
    assert losses["gauss"][8] == losses["learned"][0]
    assert losses["gauss"][-1] != losses["learned"][-1]


def test_training_two_mean_fields_at_once_trains_each_as_if_alone(scenes: Splits, network: FCN) -> None:
    """Adam's step on the sum of two losses that share no parameter is the step on each of them."""
    start, one = MINIATURE.dense_candidates[1], Split(*(array[:1] for array in scenes.train))
    (case,) = filter_scenes(start, network, one, MINIATURE)
    both, alone = (MeanFields(gaussian_mean_field(start, MINIATURE)) for _ in range(2))
    each = [ops.softmax_cross_entropy(logits, case.labels) for logits in both.logits(case).values()]
    (each[0] + each[1]).backward()
    ops.softmax_cross_entropy(alone.logits(case)["learned"], case.labels).backward()
    for (name, p), (_, expected) in zip(both.named_parameters(), alone.named_parameters(), strict=True):
        if name.startswith("learned."):
            np.testing.assert_array_equal(p.grad, expected.grad)
        else:
            assert expected.grad is None


def test_mean_iu_by_hand() -> None:
    label_maps = np.array([[[0, 0, 1, 1]]])
    scenes = Split(np.zeros((1, 1, 4, 3), np.uint8), np.zeros((1, 3, 1, 4)), label_maps)
    assert mean_iu(scenes, [np.array([[0, 1, 1, 1]])]) == pytest.approx((1 / 2 + 2 / 3) / 2)


def records(**mean_ius: list[float]) -> dict[str, Any]:
    n = len(next(iter(mean_ius.values())))
    return {
        str(seed): {
            "scores": {
                method: {"mean_iu": mean_ius.get(method, [0.0] * n)[seed], "pixel_accuracy": 0.5, "mean_accuracy": 0.5}
                for method in segmentation.METHODS
            }
        }
        for seed in range(n)
    }


def test_what_holds_and_what_does_not() -> None:
    judged = records(
        fcn_16s=[0.4, 0.5, 0.4],  # 0.1 above each time
        fcn_32s=[0.3, 0.4, 0.3],
        fcn_8s=[0.7, 0.5, 0.3],  # 0.3, 0 and −0.1: far from sure
        unary=[0.1, 0.1, 0.1],
        grid=[0.1, 0.1, 0.1],  # no difference at all is not better,
        dense=[0.2, 0.2, 0.2],
        crf_rnn=[0.2, 0.2, 0.2],  # but it is at least as good
        gauss=[0.2, 0.2, 0.2],
        learned=[0.2, 0.1, 0.2],
    )
    verdicts = segmentation.verdicts(judged)
    assert [v.holds for v in verdicts] == [True, False, False, True, True, False, False, False, True]
    assert [str(v.claim) for v in verdicts][:3] == [
        "FCN-16s > FCN-32s",
        "FCN-8s > FCN-16s",
        "grid CRF > unary alone",
    ]


def test_one_seed_decides_no_strict_claim() -> None:
    assert not any(v.holds for v in segmentation.verdicts(records(grid=[0.9])) if v.claim.strictly)


def test_the_full_settings_are_fair() -> None:
    assert len(FULL.grid_candidates) == len(FULL.dense_candidates)
    names = {name for claim in segmentation.CLAIMS for name in (claim.better, claim.worse)}
    assert names == set(segmentation.METHODS)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Replace the run of a seed by one that takes no time, and list the seeds that are run."""
    seeds: list[int] = []

    def run_seed(settings: Settings, seed: int, on_progress: Any) -> segmentation.SeedRun:
        seeds.append(seed)
        on_progress(Progress("scenes", 1, 1))
        record = records(grid=[0.5 + seed])["0"] | {"seed": seed}
        return segmentation.SeedRun(record, {"image": np.zeros((1, 2, 2, 3), np.uint8)})

    monkeypatch.setattr(segmentation, "run_seed", run_seed)
    return seeds


def test_an_interrupted_run_goes_on_with_the_seeds_it_has(tmp_path: Path, quick: list[int]) -> None:
    def stop_at_2(seed: int, progress: Progress) -> None:
        if seed == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segmentation.run(MINIATURE, 4, tmp_path, stop_at_2)
    assert list(segmentation.read_records(tmp_path, MINIATURE)) == ["0", "1"]
    quick.clear()
    finished = segmentation.run(MINIATURE, 4, tmp_path, lambda seed, progress: None)
    assert quick == [2, 3]
    assert [finished[s]["seed"] for s in ("0", "1", "2", "3")] == [0, 1, 2, 3]
    quick.clear()
    assert list(segmentation.run(MINIATURE, 2, tmp_path, lambda seed, progress: None)) == ["0", "1"]
    assert quick == []
    written = json.loads((tmp_path / segmentation.RESULTS).read_text())
    assert list(written["seeds"]) == ["0", "1", "2", "3"]
    assert [c["n"] for c in written["claims"]] == [4] * len(segmentation.CLAIMS)
    assert not list(tmp_path.glob(".*.tmp"))


def test_one_seed_is_written_without_infinity(tmp_path: Path, quick: list[int]) -> None:
    segmentation.run(MINIATURE, 1, tmp_path, lambda seed, progress: None)
    text = (tmp_path / segmentation.RESULTS).read_text()
    assert "Infinity" not in text
    assert json.loads(text)["claims"][0]["low"] is None


def test_results_of_other_settings_are_left_alone(tmp_path: Path, quick: list[int]) -> None:
    segmentation.run(MINIATURE, 1, tmp_path, lambda seed, progress: None)
    with pytest.raises(OtherExperimentError, match="other settings"):
        segmentation.run(replace(MINIATURE, lr=0.5), 1, tmp_path, lambda seed, progress: None)


def test_a_record_without_a_score(tmp_path: Path, quick: list[int]) -> None:
    segmentation.run(MINIATURE, 1, tmp_path, lambda seed, progress: None)
    path = tmp_path / segmentation.RESULTS
    content = json.loads(path.read_text())
    del content["seeds"]["0"]["scores"]["grid"]["mean_accuracy"]
    path.write_text(json.dumps(content))
    with pytest.raises(OtherExperimentError, match=r"this experiment \(a seed has no whole record\)"):
        segmentation.read_records(tmp_path, MINIATURE)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": "something else", "seeds": {}}'])
def test_a_file_that_holds_no_results(tmp_path: Path, content: str) -> None:
    (tmp_path / segmentation.RESULTS).write_text(content)
    with pytest.raises(OtherExperimentError, match=r"segmentation\.json"):
        segmentation.read_records(tmp_path, MINIATURE)
