"""`refdet crf`: the authors' example, what is written, and what a user may get wrong."""

from __future__ import annotations

import json
import os
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image
from typer.testing import CliRunner

from refdet.cli import crf as command
from refdet.cli import crf_output
from refdet.cli.crf_files import UNSURE, EvidenceError, LabelOptions, read_evidence
from refdet.cli.crf_output import FIGURES, PICTURES
from refdet.cli.main import app
from refdet.cli.messages import errors
from refdet.crf.compatibility import potts
from refdet.crf.dense import DenseCRF, GaussianPotential
from refdet.crf.features import bilateral_features, position_features
from refdet.crf.unary import unary_from_labels
from refdet.pictures.crf_refinement import label_palette
from tests.cli.sentences import said
from tests.real_data import real

H, W = 8, 12
IMAGE = np.where(np.arange(W)[None, :, None] < 7, [200, 60, 40], [40, 60, 200]).astype(np.uint8).repeat(H, axis=0)
LABELS = np.where(np.arange(W)[None] < 5, 0, 1).astype(np.uint8).repeat(H, axis=0)  # two columns short of the edge


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory, with an image and labels."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(IMAGE).save("im.png")
    Image.fromarray(LABELS).save("labels.png")
    return tmp_path


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["crf", *arguments], env={"COLUMNS": "200"})


def stored(path: Path) -> np.ndarray:
    """Return the values that a PNG holds."""
    with Image.open(path) as picture:
        return np.array(picture)


def probabilities(L: int = 3) -> np.ndarray:
    """Return (L, H, W) that add up to 1 exactly, with a different label in every column."""
    p = np.full((L, H, W), 0.25 / (L - 1))
    np.put_along_axis(p, (np.arange(W) % L)[None, None].repeat(H, axis=1), 0.75, axis=0)
    return p


class TestTheAuthorsExample:
    def test_every_pixel_is_as_in_their_output(self, tmp_path: Path) -> None:
        data = real("crf")
        result = run(
            str(data / "im1.png"), "--unary", str(data / "anno1.png"), "--unsure", "2", "--order", "yx", "--out",
            str(tmp_path),
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        with Image.open(data / "out1.png") as theirs, Image.open(tmp_path / "labels.png") as ours:
            assert ours.mode == "P"
            assert np.array_equal(np.asarray(ours.convert("RGB")), np.asarray(theirs))  # in the annotation's colours
            counts = np.bincount(np.asarray(ours).ravel()).tolist()
        figures = json.loads((tmp_path / FIGURES).read_text())
        assert figures["counts"]["after"] == counts == [65849, 10951]
        assert figures["pixels"] == 76800
        assert figures["counts"]["before"] == [55640, 12648]
        assert figures["unsure"] == 76800 - 55640 - 12648
        assert np.all(np.diff(figures["free_energies"]) < 0)


class TestWhatIsWritten:
    def test_the_files(self, folder: Path) -> None:
        result = run("im.png", "--unary", "labels.png", "--sxy", "5", "--out", "new/results")
        assert result.exit_code == 0, result.output
        assert sorted(path.name for path in (folder / "new/results").iterdir()) == sorted((*PICTURES, FIGURES))
        assert stored(folder / "new/results/overlay.png").shape == (H, W, 3)
        for name in ("before_after.png", "free_energy.png"):
            assert stored(folder / "new/results" / name).shape[:2] == (1080, 1920)
        assert f"written to new/results: {', '.join((*PICTURES, FIGURES))}\n" in result.stdout

    def test_labels_follow_the_edge(self, folder: Path) -> None:
        """The two columns of the first colour between the labels' edge and that of the image change."""
        result = run("im.png", "--unary", "labels.png", "--compat-spatial", "0", "--sxy", "5")
        assert result.exit_code == 0, result.output
        after = stored(folder / "crf-output/labels.png")
        assert np.array_equal(after, (IMAGE[:, :, 2] == 200).astype(np.uint8))
        assert "changed: 16 of 96 labels (17 %)" in result.stdout
        assert "new:" not in result.stdout

    def test_the_labels_are_those_of_the_library(self, folder: Path) -> None:
        options = ["--sxy-spatial", "2", "--compat-spatial", "1.5", "--sxy", "6", "--srgb", "30", "--compat", "4"]
        more = ["--iterations", "3", "--confidence", "0.6", "--normalisation", "after", "--damping", "0.25"]
        result = run("im.png", "--unary", "labels.png", *options, *more, "--filter", "exact", "--order", "yx")
        assert result.exit_code == 0, result.output
        how = {"filter": "exact", "normalisation": "after"}
        unary = unary_from_labels(LABELS.ravel(), 2, gt_probability=0.6, dtype="float32")
        position = position_features((H, W), 2, order="yx", dtype="float32")
        both = bilateral_features(IMAGE.astype(np.float32), 6, 30, order="yx")
        crf = DenseCRF(
            unary,
            [
                GaussianPotential(position, potts(2, 1.5, dtype="float32"), **how),
                GaussianPotential(both, potts(2, 4, dtype="float32"), **how),
            ],
            exclude_self=False,
        )
        expected = crf.infer(3, damping=0.25)
        figures = json.loads((folder / "crf-output" / FIGURES).read_text())
        assert np.array_equal(stored(folder / "crf-output/labels.png"), expected.labels().reshape(H, W))
        assert figures["free_energies"] == expected.free_energies.tolist()
        assert figures["changes"] == expected.changes.tolist()

    def test_the_figures(self, folder: Path) -> None:
        run("im.png", "--unary", "labels.png", "--iterations", "2", "--labels", "3")
        figures = json.loads((folder / "crf-output" / FIGURES).read_text())
        assert list(figures) == [
            "versions", "image", "unary", "kind", "width", "height", "parameters", "colours", "pixels", "unsure",
            "changed", "counts", "free_energies", "changes", "files",
        ]  # fmt: skip
        assert figures["parameters"] == {
            "sxy_spatial": 3.0, "compat_spatial": 3.0, "sxy": 80.0, "srgb": 13.0, "compat": 10.0, "iterations": 2,
            "normalisation": "symmetric", "order": "xy", "filter": "lattice", "damping": 0.0, "labels": 3,
            "confidence": 0.7, "unsure": 255,
        }  # fmt: skip
        assert (figures["width"], figures["height"], figures["pixels"]) == (W, H, 96)
        assert figures["colours"] == ["#0072b2", "#e69f00", "#009e73"]
        assert figures["counts"]["before"] == [40, 56, 0]
        assert [len(figures[name]) for name in ("free_energies", "changes")] == [3, 2]

    def test_no_iteration_is_what_the_file_says(self, folder: Path) -> None:
        np.save("p.npy", probabilities())
        result = run("im.png", "--unary", "p.npy", "--iterations", "0")
        assert result.exit_code == 0, result.output
        assert np.array_equal(stored(folder / "crf-output/labels.png"), probabilities().argmax(axis=0))
        assert "changed: 0 of 96 labels (0 %)" in result.stdout
        figures = json.loads((folder / "crf-output" / FIGURES).read_text())
        assert figures["changes"] == []
        assert figures["parameters"]["confidence"] is figures["parameters"]["unsure"] is None

    def test_without_kernels(self, folder: Path) -> None:
        result = run("im.png", "--unary", "labels.png", "--compat", "0", "--compat-spatial", "0")
        assert result.exit_code == 0, result.output
        assert np.array_equal(stored(folder / "crf-output/labels.png"), LABELS)

    def test_how_far_it_converged(self, folder: Path) -> None:
        """In words, and in the pictures' last line."""
        said_of = "largest change of a probability in the last iteration: "
        early, late, none = (
            run("im.png", "--unary", "labels.png", "--sxy", "5", "--iterations", n).stdout for n in ("1", "50", "0")
        )
        (line,) = [line for line in early.splitlines() if line.startswith(said_of)]
        assert line.endswith(" (not converged; more --iterations)")
        assert float(line.removeprefix(said_of).split()[0]) > 0.05
        (line,) = [line for line in late.splitlines() if line.startswith(said_of)]
        assert float(line.removeprefix(said_of)) <= 0.05
        assert said_of not in none

    def test_the_details_below_the_pictures(self) -> None:
        usual = command.Parameters(3, 3, 80, 13, 10, 5, "symmetric", "xy", "lattice", 0)
        unusual = command.Parameters(3, 3, 80, 13, 10, 5, "after", "yx", "exact", 0.5)
        assert usual.details(0.7) == (
            "order xy", "normalisation symmetric", "confidence 0.7", "damping 0", "filter lattice",
        )  # fmt: skip
        assert unusual.details(None) == ("damping 0.5", "filter exact", "order yx", "normalisation after")

    def test_a_warning_where_few_labels_occur(self, folder: Path) -> None:
        """A mask of 0 and 255 is one of 256 labels, if 255 is a label."""
        Image.fromarray(LABELS * 255).save("mask.png")
        result = run("im.png", "--unary", "mask.png", "--unsure", "none")
        assert result.exit_code == 0, result.output
        assert result.stderr == (
            "refdet: warning: mask.png: of 256 labels, 0 … 255, only 2 occur (0, 255); number them 0 … 1 without gaps, "
            "or give --labels 256 if all of them are possible\n"
        )
        assert run("im.png", "--unary", "mask.png", "--unsure", "none", "--labels", "256").stderr == ""

    def test_a_warning_where_the_free_energy_rises(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(crf_output, "rises", lambda found: True)
        result = run("im.png", "--unary", "labels.png")
        assert result.exit_code == 0, result.output
        assert "warning: the free energy does not fall in every iteration; --damping 0.5 may help" in result.stderr

    @pytest.mark.parametrize("n_labels", [2, 256])
    def test_up_to_256_labels_have_a_palette(self, n_labels: int) -> None:
        labels = np.arange(300).reshape(15, 20) % n_labels
        with Image.open(BytesIO(crf_output.label_map(labels, label_palette(n_labels)))) as picture:
            assert picture.mode == "P"
            assert np.array_equal(np.asarray(picture), labels)
            assert np.array_equal(np.asarray(picture.convert("RGB")), label_palette(n_labels)[labels])

    def test_more_labels_take_16_bits(self) -> None:
        labels = np.array([[0, 256, 65535]])
        with Image.open(BytesIO(crf_output.label_map(labels, label_palette(65536)))) as picture:
            assert picture.mode.startswith("I")
            assert np.asarray(picture).tolist() == [[0, 256, 65535]]

    def test_a_failure_leaves_the_old_results(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        run("im.png", "--unary", "labels.png")
        before = {path.name: path.read_bytes() for path in (folder / "crf-output").iterdir()}

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(crf_output, "write_bytes_atomically", fail)
        message = said(run("im.png", "--unary", "labels.png", "--compat", "0"), 2)
        assert message == "refdet: crf: --out: cannot write to crf-output: No space left on device\n"
        monkeypatch.undo()
        os.chdir(folder)
        said(run("im.png", "--unary", "absent.png"), 1)
        assert {path.name: path.read_bytes() for path in (folder / "crf-output").iterdir()} == before

    def test_no_bar_in_a_log(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not even where colours are wanted in it."""
        monkeypatch.setattr(errors, "_force_terminal", True)
        result = run("im.png", "--unary", "labels.png")
        assert result.exit_code == 0
        assert result.stderr == ""

    def test_the_same_bytes_every_time(self, folder: Path) -> None:
        for out in ("one", "two"):
            assert run("im.png", "--unary", "labels.png", "--out", out).exit_code == 0
        for name in (*PICTURES, FIGURES):
            assert (folder / "one" / name).read_bytes() == (folder / "two" / name).read_bytes(), name


def read(path: str, **options: Any) -> Any:
    return read_evidence(Path(path), (H, W), LabelOptions(**options))


class TestLabels:
    def test_grey_palette_and_16_bits_are_the_same(self, folder: Path) -> None:
        palette = Image.fromarray(LABELS)
        palette.putpalette([255, 0, 0, 0, 255, 0])
        palette.save("palette.png")
        Image.fromarray(LABELS.astype(np.uint16)).save("deep.png")
        Image.fromarray(LABELS == 1).save("bits.png")
        Image.fromarray(np.dstack([LABELS, np.full_like(LABELS, 255)]), mode="LA").save("opaque.png")
        np.save("labels.npy", LABELS.astype(">i4"))
        expected = read("labels.png")
        for name in ("palette.png", "deep.png", "bits.png", "opaque.png", "labels.npy"):
            found = read(name)
            assert np.array_equal(found.potentials, expected.potentials), name
            assert np.array_equal(found.before, LABELS), name
        assert read("palette.png").palette[:2].tolist() == [[255, 0, 0], [0, 255, 0]]
        assert expected.palette is None

    def test_a_picture_lies_as_its_file_says(self, folder: Path) -> None:
        """Turned by the orientation in EXIF, the size as well as the pixels."""
        turned = Image.Exif()
        turned[ExifTags.Base.Orientation] = 6  # by 90° clockwise when shown
        Image.fromarray(np.rot90(LABELS)).save("turned.png", exif=turned)
        assert np.array_equal(read("turned.png").before, LABELS)

    def test_unsure(self, folder: Path) -> None:
        labels = LABELS.copy()
        labels[0, 0], labels[1, 1] = 255, 2
        Image.fromarray(labels).save("unsure.png")
        usual, two, none = read("unsure.png"), read("unsure.png", unsure="2"), read("unsure.png", unsure="none")
        assert (usual.n_labels, two.n_labels, none.n_labels) == (3, 256, 256)
        assert (usual.before[0, 0], two.before[1, 1], none.before[0, 0]) == (UNSURE, UNSURE, 255)
        assert usual.potentials[0] == pytest.approx(np.log(3))
        assert read("unsure.png", n_labels=256).n_labels == 256  # so that 255 is one of them
        assert read("unsure.png", n_labels=256).unsure is None

    @pytest.mark.parametrize(
        ("occurring", "words"),
        [
            ((0, 1, 6), None),  # three of seven
            ((0, 6), None),
            ((0, 7), "of 8 labels, 0 … 7, only 2 occur (0, 7); number them 0 … 1 without gaps"),  # a quarter
            ((9,), "of 10 labels, 0 … 9, only 1 occurs (9);"),
            ((1, 2, 3, 4, 99), "only 5 occur (1, 2, 3, 4 …); number them 0 … 4 without gaps"),
            ((0, 7, 255), "of 8 labels, 0 … 7, only 2 occur (0, 7)"),  # unsure is no label
        ],
    )
    def test_few_labels_of_many(self, occurring: tuple[int, ...], words: str | None, folder: Path) -> None:
        Image.fromarray(np.resize(np.array(occurring, np.uint8), (H, W))).save("few.png")
        warning = read("few.png").warning
        assert warning is None if words is None else words in warning
        assert read("few.png", n_labels=100).warning is None

    def test_255_is_a_label_among_larger_ones(self, folder: Path) -> None:
        deep = LABELS.astype(np.uint16) * 300
        deep[0, 0] = 255
        Image.fromarray(deep).save("deep.png")
        assert read("deep.png").before[0, 0] == 255

    def test_colours_in_the_order_of_their_numbers(self, folder: Path) -> None:
        colours = np.array([[0, 0, 9], [0, 1, 0], [3, 0, 0]], np.uint8)
        Image.fromarray(colours[[[2] * W] + [[0, 1] * (W // 2)] * (H - 1)]).save("colours.png")
        found = read("colours.png")
        assert found.kind == "colours"
        assert found.before[:2, :2].tolist() == [[2, 2], [0, 1]]
        assert found.palette.tolist() == colours.tolist()
        assert found.unsure is None
        unsure = read("colours.png", unsure="#000100")
        assert unsure.before[:2, :2].tolist() == [[1, 1], [0, UNSURE]]
        assert unsure.palette.tolist() == [[0, 0, 9], [3, 0, 0]]
        assert unsure.unsure == "#000100"
        assert read("colours.png", unsure="none").n_labels == 3
        opaque = Image.open("colours.png").convert("RGBA")
        opaque.save("opaque.png")
        assert np.array_equal(read("opaque.png").before, found.before)


class TestProbabilities:
    @pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f8"])
    @pytest.mark.parametrize("last", [False, True])
    def test_the_labels_may_be_first_or_last(self, dtype: str, last: bool, folder: Path) -> None:
        p = probabilities()
        np.save("p.npy", (np.moveaxis(p, 0, 2) if last else p).astype(dtype))
        found = read("p.npy")
        assert found.kind == "probabilities"
        assert np.array_equal(found.before, p.argmax(axis=0))
        assert found.potentials == pytest.approx(-np.log(np.moveaxis(p, 0, 2).reshape(-1, 3)), abs=1e-3)

    def test_a_cube_is_read_along_the_axis_that_adds_up_to_1(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        p = rng.dirichlet(np.ones(4), (4, 4))  # (H, W, L)
        for name, array in (("last.npy", p), ("first.npy", np.moveaxis(p, 2, 0))):
            np.save(tmp_path / name, array)
            found = read_evidence(tmp_path / name, (4, 4), LabelOptions())
            assert np.array_equal(found.before, p.argmax(axis=2))
        np.save(tmp_path / "both.npy", np.full((4, 4, 4), 0.25))
        with pytest.raises(EvidenceError, match=r"shape \(4, 4, 4\).* 4 × 4 pixels.* first axis or the last, and both"):
            read_evidence(tmp_path / "both.npy", (4, 4), LabelOptions())
        np.save(tmp_path / "neither.npy", rng.normal(size=(4, 4, 4)))
        with pytest.raises(EvidenceError, match="along neither the first axis nor the last; apply softmax"):
            read_evidence(tmp_path / "neither.npy", (4, 4), LabelOptions())

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda p: np.log(p), "has values from -2.0.* to -0.2.*they look like logarithms.*apply exp first"),
            (lambda p: 40 * p - 12, r"they look like scores \(logits\): apply softmax over the labels first"),
            (lambda p: p / 2, r"at x 0, y 0, counted from 0, add up to 0\.5 instead of 1; divide them by their sum"),
            (lambda p: np.where(np.indices(p.shape)[2] == 3, p * 1.01, p), "at x 3, y 0, .* add up to 1.01 instead"),
            (lambda p: np.where(np.indices(p.shape)[1] == 2, np.nan, p), "has nan for label 0 at x 0, y 2, counted"),
            (lambda p: np.where(np.indices(p.shape)[0] == 1, np.inf, p), "has inf for label 1 at x 0, y 0"),
            (
                lambda p: (100 * p).astype(np.uint8),
                "probabilities must be floating-point numbers .* got uint8 of shape",
            ),
            (lambda p: p.astype(complex), "must be floating-point numbers"),
            (
                lambda p: p[None],
                r"shape \(1, 3, 8, 12\), but .* it must be \(L, 8, 12\) or \(8, 12, L\); drop the first",
            ),
            (lambda p: p.transpose(0, 2, 1), r"shape \(3, 12, 8\), but for the image of 12 × 8 pixels"),
            (lambda p: p[0], r"shape \(8, 12\), but"),
            (lambda p: np.ones((1, H, W)), "has probabilities of 1 label, so that there is nothing to choose from"),
            (lambda p: np.array([{"a": 1}], dtype=object), "cannot be read as an array .* pickled objects are refused"),
        ],
    )
    def test_bad_arrays(self, change: Any, message: str, folder: Path) -> None:
        np.save("p.npy", change(probabilities()))
        with pytest.raises(EvidenceError, match=message):
            read("p.npy")

    def test_sums_may_be_off_by_a_thousandth(self, folder: Path) -> None:
        np.save("p.npy", probabilities() * 1.0009)
        assert read("p.npy").n_labels == 3


class TestMistakes:
    """One sentence, the exit status, and no results."""

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            (["--sxy", "-1"], "--sxy must be a number above 0, got -1"),
            (["--sxy-spatial", "0"], "--sxy-spatial must be a number above 0, got 0"),
            (["--srgb", "-13"], "--srgb must be a number above 0, got -13"),
            (["--srgb", "nan"], "--srgb must be a number above 0, got nan"),
            (["--compat", "-3"], "--compat must be 0 or a number above, got -3"),
            (["--compat-spatial", "inf"], "--compat-spatial must be 0 or a number above, got inf"),
            (["--iterations", "-1"], "--iterations must be 0 or more, got -1"),
            (["--damping", "1"], "--damping must be from 0 to below 1, got 1"),
            (["--normalisation", "l2"], "--normalisation must be none, before, after or symmetric, got 'l2'"),
            (["--order", "zx"], "--order must be xy or yx, got 'zx'"),
            (["--filter", "truncated"], "--filter must be lattice or exact, got 'truncated'"),
            (["--confidence", "1"], "--confidence must lie between 0 and 1, got 1"),
            (["--confidence", "0.5"], "--confidence 0.5: of 2 labels one is right by chance with 1/2; give more"),
            (["--unsure", "void"], "--unsure must be a label, a colour such as #000000, or none, got 'void'"),
            (["--unsure", "#000000"], "--unsure #000000: labels.png holds the labels themselves, no colours"),
            (["--labels", "1"], "--labels must be from 2 to 65536, got 1"),
            (["--out", "im.png"], "--out: im.png is a file, not a folder"),
            (["--out", "im.png/x"], "im.png is a file, not a folder"),
            (["--compat", "1e300"], "--compat must be at most 3.4e+38, the largest number of float32, got 1e+300"),
            (["--compat-spatial", "1e39"], "--compat-spatial must be at most 3.4e+38, "),
            (["--sxy", "1e300"], "--sxy must be at most 3.4e+38, the largest number of float32, got 1e+300"),
            (["--srgb", "1e39"], "--srgb must be at most 3.4e+38, "),
            (["--sxy-spatial", "1e-300"], "--sxy-spatial must be at least 1.2e-38, the smallest number of float32"),
            (["--sxy", "1e-30"], "lattice keys overflow"),
        ],
    )
    def test_options(self, options: list[str], sentence: str, folder: Path) -> None:
        message = said(run("im.png", "--unary", "labels.png", *options), 2)
        assert sentence in message
        assert not (folder / "crf-output").exists()

    def test_nothing_that_is_read_is_overwritten(self, folder: Path) -> None:
        """By a result of its name, by a link to it, and by one that a run before this one wrote."""
        (folder / "other").mkdir()
        (folder / "other/overlay.png").symlink_to(folder / "im.png")
        for out, result, option in ((".", "labels.png", "--unary"), ("other", "other/overlay.png", "IMAGE")):
            message = said(run("im.png", "--unary", "labels.png", "--out", out), 2)
            assert f"--out: {result} is {option} itself and would be overwritten; give another folder" in message
        assert run("im.png", "--unary", "labels.png").exit_code == 0
        assert "is --unary itself" in said(run("im.png", "--unary", "crf-output/labels.png"), 2)
        assert np.array_equal(stored(folder / "labels.png"), LABELS)
        assert np.array_equal(stored(folder / "im.png"), IMAGE)

    def test_a_name_that_is_too_long(self, folder: Path) -> None:
        message = said(run("im.png", "--unary", "labels.png", "--out", 300 * "a"), 2)
        assert "crf: --out: cannot write to aaa" in message
        assert message.endswith("File name too long\n")

    def test_a_free_energy_that_overflows(self, folder: Path) -> None:
        message = said(run("im.png", "--unary", "labels.png", "--compat", "1e38"), 2)
        assert "the free energy is larger than float32 can hold; make --compat and --compat-spatial smaller" in message
        assert not (folder / "crf-output").exists()

    def test_more_memory_than_there_is(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(command, "_memory", lambda: 96 * 1000)  # of which the potentials need a little
        message = said(run("im.png", "--unary", "labels.png"), 2)
        assert "12 × 8 pixels and 2 labels need more memory than there is; make the image smaller" in message
        monkeypatch.setattr(command, "_memory", lambda: 96 * 1000 + 8 * 96 * 2 * 4)
        assert run("im.png", "--unary", "labels.png").exit_code == 0

    def test_too_little_memory_for_the_labels(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The file may be a good one."""

        def too_much(*_: object) -> None:
            raise MemoryError

        Image.fromarray(LABELS).convert("P").save("palette.png")
        monkeypatch.setattr(Image.Image, "getpalette", too_much)
        message = said(run("im.png", "--unary", "palette.png"), 2)
        assert "palette.png: there is too little memory to read it" in message

    def test_options_of_labels_for_probabilities(self, folder: Path) -> None:
        np.save("p.npy", probabilities())
        for options, sentence in (
            (["--confidence", "0.8"], "--confidence is for labels, but p.npy holds probabilities"),
            (["--unsure", "2"], "--unsure is for labels, but p.npy holds probabilities"),
            (["--labels", "4"], "--labels 4: p.npy has probabilities of 3 labels"),
        ):
            assert sentence in said(run("im.png", "--unary", "p.npy", *options), 2)

    def test_a_matrix_that_is_too_large(self, folder: Path) -> None:
        Image.fromarray(np.zeros((80, 80, 3), np.uint8)).save("im.png")
        Image.fromarray(np.eye(80, dtype=np.uint8)).save("labels.png")
        message = said(run("im.png", "--unary", "labels.png", "--filter", "exact"), 2)
        assert "crf: --filter exact: " in message
        assert "163,840,000 bytes; at most 5000 points" in message

    def test_files(self, folder: Path) -> None:
        Path("text.png").write_text("not a picture")
        Path("text.npy").write_text("not an array")
        Path("cut.npy").write_bytes(b"\x93NUMPY\x01\x00")
        np.savez("p.npz", probabilities())
        Image.fromarray(LABELS).save("labels.jpg")
        Image.fromarray(LABELS[:, 1:]).save("narrow.png")
        Image.fromarray(np.zeros_like(LABELS)).save("zero.png")
        Image.fromarray(LABELS * 255).save("mask.png")
        Image.fromarray(np.full_like(LABELS, 255)).save("void.png")
        Image.fromarray(np.full((H, W, 3), 7, np.uint8)).save("grey.png")
        Image.fromarray(np.dstack([IMAGE, LABELS])).save("clear.png")
        Image.fromarray(LABELS.astype(np.float32)).save("float.tiff")
        Image.fromarray(IMAGE).save("frames.gif", save_all=True, append_images=[Image.fromarray(255 - IMAGE)])
        noise = np.random.default_rng(0).integers(0, 256, (H * 8, W * 8, 3), np.uint8)
        np.save("object.npy", np.array([None]), allow_pickle=True)
        np.save("wide.npy", np.zeros((H, W + 1), np.int64))
        np.save("huge.npy", np.full((H, W), 2**64 - 1, np.uint64))
        np.save("negative.npy", np.where(np.indices((H, W))[0] == 3, -4, LABELS.astype(np.int16)))
        for name, sentence in (
            ("absent.png", "absent.png: there is no such file"),
            (".", ".: is a directory, not a file"),
            ("text.png", "text.png: is not a picture that Pillow knows"),
            ("text.npy", "text.npy: is not a file of numpy.save, though its name ends in .npy"),
            ("cut.npy", "cut.npy: cannot be read as an array of numbers"),
            ("p.npz", "p.npz: is an archive, such as .npz; save the one array with numpy.save"),
            ("labels.jpg", "labels.jpg: is a JPEG, which changes values"),
            ("narrow.png", "narrow.png: has 11 × 8 pixels, but the image has 12 × 8"),
            ("wide.npy", "wide.npy: has 13 × 8 pixels, but the image has 12 × 8"),
            ("zero.png", "zero.png: has only the label 0, so that there is nothing to choose from\n"),
            ("mask.png", "if it is a mask of 0 and 255, write 1 for 255, as 255 means unsure"),
            ("void.png", "void.png: every pixel is unsure; there is no label to begin with"),
            ("grey.png", "grey.png: has only one colour, so that"),
            ("clear.png", "clear.png: has transparent pixels"),
            ("float.tiff", "float.tiff: has pixels of the kind F; save labels as a PNG of 8 or 16 bits"),
            ("frames.gif", "frames.gif: has 2 frames; give one of them"),
            ("object.npy", "object.npy: cannot be read as an array of numbers"),
            ("huge.npy", "huge.npy: has the label 18446744073709551615; at most 65536 are possible"),
            ("negative.npy", "negative.npy: has the label -4 at x 0, y 3, counted from 0; labels must be 0 … 1 or 255"),
        ):
            assert sentence in said(run("im.png", "--unary", name), 1)
        Image.fromarray(noise).save("im.png")
        Image.fromarray(noise).save("labels.png")
        assert "distinct colours, of which at most 256 can be labels" in said(run("im.png", "--unary", "labels.png"), 1)
        assert said(run("absent.jpg", "--unary", "labels.png"), 1) == "refdet: absent.jpg: there is no such file\n"
        assert "is not a picture" in said(run("text.png", "--unary", "labels.png"), 1)
        assert not (folder / "crf-output").exists()

    def test_a_label_out_of_range_is_named_with_its_place(self, folder: Path) -> None:
        labels = LABELS.copy()
        labels[2, 7] = 9
        Image.fromarray(labels).save("labels.png")
        message = said(run("im.png", "--unary", "labels.png", "--labels", "3"), 1)
        assert "has the label 9 at x 7, y 2, counted from 0; labels must be 0 … 2 or 255, unsure" in message

    def test_a_number_for_a_picture_of_colours(self, folder: Path) -> None:
        message = said(run("im.png", "--unary", "im.png", "--unsure", "0"), 2)
        assert "--unsure 0: im.png is a picture of colours; give a colour, such as #000000" in message

    def test_labels_that_would_fill_the_memory(self, folder: Path) -> None:
        Image.fromarray(np.zeros((200, 200, 3), np.uint8)).save("im.png")
        np.save("labels.npy", np.full((200, 200), 60000))
        message = said(run("im.png", "--unary", "labels.npy"), 1)
        assert "60001 labels for each of 40,000 pixels take 9,600,160,000 bytes" in message
        np.save("labels.npy", np.full((H, W), 60000))
        Image.fromarray(IMAGE).save("im.png")
        message = said(run("im.png", "--unary", "labels.npy"), 1)
        assert "60001 labels with each other take 14,400,480,004 bytes" in message
        assert message.endswith("number the labels 0, 1, 2 … without gaps\n")

    def test_the_picture_that_was_meant_for_unary_is_needed(self, folder: Path) -> None:
        result = run("im.png")
        assert result.exit_code == 2
        assert "--unary" in result.stderr


def test_the_help_teaches() -> None:
    text = " ".join(run("--help").stdout.split())
    for words in ("standard deviations", "grey levels", "pydensecrf's example", "Exit status"):
        assert words in text
    assert text.count(" refdet crf ") == 3  # examples
