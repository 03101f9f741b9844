"""What --data names: pictures with their objects, some to train on and others to test on.

    shapes         scenes of `refdet.data.Shapes`: those of seed 0 to train on, those of seed 1 to test on
    figures        likewise, of `refdet.data.StickFigures`
    voc:FOLDER     of VOC's devkit: the lists train and val, trainval and test, or train and test, of ImageSets/Main,
                   the first two that are both there; a folder with pictures and *.xml side by side has no lists
    coco:FOLDER    annotations/instances_train*.json and ..._val*.json (person_keypoints_... for joints)
    coco:FILE      one such file

Where there are no lists, every fifth picture is held out from training. To be tested on, such a folder or file is taken
whole by `refdet eval`. Of folders with lists it needs only the part to test on, if nothing else is there.

What joints become in a mirror is told by their names (`refdet.data.limbs.swapped_of`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import typer

from refdet.cli.messages import UsageProblem, on_a_line
from refdet.cli.progress_bar import progress_bar
from refdet.data import CLASS_NAMES, FIGURE_CLASS_NAMES, Sample, Shapes, StickFigures, VocError, VocImages
from refdet.data.coco_entries import CocoError
from refdet.data.coco_images import CocoImages
from refdet.data.kept_samples import KeptSamples
from refdet.data.lazy_sequence import LazySequence
from refdet.data.limbs import swapped_of
from refdet.data.stick_figures import JOINT_NAMES, SWAPPED
from refdet.data.voc import VOC_CLASSES, VocAnnotation, read_voc_folder

TRAIN_SEED, TEST_SEED = 0, 1  # of the synthetic sets
USUAL_TRAIN_SIZE, USUAL_TEST_SIZE = 2000, 500  # of them
HELD_OUT = 5  # of so many pictures one is, where there are no lists
SYNTHETIC = ("shapes", "figures")
SPLITS = (("train", "val"), ("trainval", "test"), ("train", "test"))
TO_TRAIN_ON, TO_TEST_ON = ("train", "trainval"), ("val", "test")


@dataclass(frozen=True, eq=False)
class Data:
    """What --data names.

    Attributes:
        train: to be trained on.
        test: to be tested on; none of them is among the former. They say how joints are called.
        class_names: 0 is the background.
        joint_names: of the joints, if there are any.
        swapped: what each joint becomes in a mirror; None where that is not known.
        colours_matter: whether a thing in other colours may be another thing; not where all were drawn.
    """

    train: Sequence[Sample]
    test: Sequence[Sample]
    class_names: tuple[str, ...]
    joint_names: tuple[str, ...] = ()
    swapped: tuple[int, ...] | None = None
    colours_matter: bool = True


class Some(LazySequence[Sample]):
    """Some of the samples, by their numbers."""

    def __init__(self, samples: Sequence[Sample], numbers: Sequence[int]) -> None:
        super().__init__(len(numbers))
        self._samples, self._numbers = samples, tuple(numbers)

    def _item(self, i: int) -> Sample:
        return self._samples[self._numbers[i]]


def open_data(
    command: str,
    text: str,
    *,
    needs: Collection[str] = (),
    train_size: int | None = None,
    test_size: int | None = None,
    class_names: Sequence[str] | None = None,
    for_test_alone: bool = False,
    leave_out_unusable: bool = False,
) -> Data:
    """Open what --data names.

    Args:
        command: for messages.
        text: as it was given.
        needs: fields of `Sample` that must be there: "masks", "joints".
        train_size: the most pictures to train on; None for 2000 synthetic ones, or all that there are.
        test_size: likewise, 500.
        class_names: those of the detector, the background first; None for those of the data.
        for_test_alone: whether nothing is to be trained, so that nothing need be held out.
        leave_out_unusable: of COCO's files, leave out objects whose box has no area.
    """
    kind, _, place = text.partition(":")
    try:
        if kind in SYNTHETIC and not place:
            data = _synthetic(command, kind, needs, train_size, test_size, for_test_alone)
        elif kind == "voc" and place:
            data = _voc(command, Path(place), needs, class_names, for_test_alone)
        elif kind == "coco" and place:
            data = _coco(command, Path(place), needs, class_names, for_test_alone, leave_out_unusable)
        else:
            _refuse(command, f"--data must be shapes, figures, voc:FOLDER, coco:FOLDER or coco:FILE, got {text!r}")
    except (VocError, CocoError) as problem:
        if class_names is None or "none of the classes" not in str(problem):
            raise
        raise type(problem)(f"{problem}: the model knows {_listed(class_names[1:])}") from None
    if class_names is not None and tuple(class_names) != data.class_names:
        _refuse(command, f"the model knows {_listed(class_names[1:])}; {text} has {_listed(data.class_names[1:])}")
    train, test = _at_most(data.train, train_size), _at_most(data.test, test_size)
    if not test or not (train or for_test_alone):
        _refuse(
            command,
            f"--data: there must be pictures to train on and to test on, {text} gives {len(train)} and {len(test)}",
        )
    test = WithJointNames(test, data.joint_names) if data.joint_names else test
    return replace(data, train=train, test=test)


class WithJointNames(LazySequence[Sample]):
    """The samples, and how their joints are called."""

    def __init__(self, samples: Sequence[Sample], joint_names: Sequence[str]) -> None:
        super().__init__(len(samples))
        self._samples, self.joint_names = samples, tuple(joint_names)

    def _item(self, i: int) -> Sample:
        return self._samples[i]


class WithoutJoints(LazySequence[Sample]):
    """The samples, of whose joints nothing is known."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        super().__init__(len(samples))
        self._samples = samples

    def _item(self, i: int) -> Sample:
        return replace(self._samples[i], joints=None, joints_visible=None)


def _refuse(command: str, sentence: str) -> NoReturn:
    raise UsageProblem(f"{command}: {sentence}")


def _listed(names: Sequence[str]) -> str:
    few = [name for name in names if name != "N/A"]
    return ", ".join(few[:6]) + (f" … ({len(few)})" if len(few) > 6 else "")


def _at_most(samples: Sequence[Sample], n: int | None) -> Sequence[Sample]:
    return samples if n is None or n >= len(samples) else Some(samples, range(n))


def _synthetic(
    command: str,
    kind: str,
    needs: Collection[str],
    train_size: int | None,
    test_size: int | None,
    for_test_alone: bool,
) -> Data:
    """Return sets of that kind, kept in memory but where each picture is looked at once, in a test alone."""
    if "joints" in needs and kind != "figures":
        _refuse(command, f"--data: {kind} has no joints, which the model learns from; figures has some")
    sizes = (
        USUAL_TRAIN_SIZE if train_size is None else train_size,
        USUAL_TEST_SIZE if test_size is None else test_size,
    )
    made = StickFigures if kind == "figures" else Shapes
    sets: list[Sequence[Sample]] = [made(n, seed=seed) for n, seed in zip(sizes, (TRAIN_SEED, TEST_SEED), strict=True)]
    train, test = sets if for_test_alone else map(KeptSamples, sets)
    if kind == "figures":
        return Data(train, test, FIGURE_CLASS_NAMES, JOINT_NAMES, SWAPPED, colours_matter=False)
    return Data(train, test, CLASS_NAMES, colours_matter=False)


def _held_out(samples: Sequence[Sample], for_test_alone: bool) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """Return the samples to train on, and those held out; all of the latter where nothing is to be trained."""
    if for_test_alone:
        return [], samples
    numbers = range(len(samples))
    is_held_out = [i % HELD_OUT == HELD_OUT - 1 or (i == numbers[-1] and len(numbers) < HELD_OUT) for i in numbers]
    return Some(samples, [i for i in numbers if not is_held_out[i]]), Some(
        samples, [i for i in numbers if is_held_out[i]]
    )


def _voc(
    command: str, folder: Path, needs: Collection[str], class_names: Sequence[str] | None, for_test_alone: bool
) -> Data:
    for field in ("masks", "joints"):
        if field in needs:
            _refuse(command, f"--data: VOC's folders have no {field}, which the model learns from")
    splits = _splits(folder, for_test_alone)
    known: dict[str, VocAnnotation] = {}
    if class_names is None:
        with progress_bar() as begin:
            known = {a.image_id: a for a in read_voc_folder(folder, progress=begin(f"reading {folder.name}"))}
        occurring = {name for annotation in known.values() for name in annotation.names}
        if not occurring:
            raise VocError(f"{folder}: there is no object in any picture")
        names = VOC_CLASSES if occurring <= set(VOC_CLASSES) else tuple(sorted(occurring))
    else:
        names = tuple(class_names[1:])

    def opened(split: str | None) -> VocImages:
        with progress_bar() as begin:
            what = f"reading {folder.name}" if split is None else f"reading {split}.txt of {folder.name}"
            return VocImages(folder, split=split, class_names=names, known=known, progress=begin(what))

    if splits is None:
        return Data(*_held_out(opened(None), for_test_alone), ("background", *names))
    train = [] if for_test_alone else opened(splits[0])
    return Data(train, opened(splits[1]), ("background", *names))


def _splits(folder: Path, for_test_alone: bool) -> tuple[str, str] | None:
    """Return the lists to train on and to test on; None where there are no lists at all."""
    lists = folder / "ImageSets" / "Main"
    found = sorted(path.stem for path in lists.glob("*.txt") if path.is_file())
    for pair in SPLITS:
        if set(pair) <= set(found):
            return pair
    if not found:
        return None
    to_test_on = [name for name in TO_TEST_ON if name in found]
    if for_test_alone and to_test_on and not set(TO_TRAIN_ON) & set(found):
        return "", to_test_on[0]
    of_classes = {name for name in found if name.rpartition("_")[2] in (*TO_TRAIN_ON, *TO_TEST_ON) and "_" in name}
    named = [f"{name}.txt" for name in found if name not in of_classes] or [
        f"lists of one class alone, such as {found[0]}.txt"
    ]
    raise VocError(
        f"{lists}: there must be {', or '.join(f'{a}.txt and {b}.txt' for a, b in SPLITS)}, got {_listed(named)}; "
        "add what is missing, or remove ImageSets to go without lists"
    )


def _coco(
    command: str,
    place: Path,
    needs: Collection[str],
    class_names: Sequence[str] | None,
    for_test_alone: bool,
    leave_out_unusable: bool,
) -> Data:
    masks, joints = "masks" in needs, "joints" in needs
    wanted = None if class_names is None else class_names[1:]

    def opened(file: Path) -> CocoImages:
        try:
            with progress_bar() as begin:
                images = CocoImages(
                    file,
                    class_names=wanted,
                    masks=masks,
                    joints=joints,
                    leave_out_unusable=leave_out_unusable,
                    progress=begin(f"reading {file.name}"),
                )
        except CocoError as problem:
            if "no area" in str(problem):
                raise CocoError(f"{problem}; --leave-out-unusable leaves such objects out") from None
            raise
        n = images.n_objects
        if n == 0 and not for_test_alone:
            raise CocoError(f"{file}: there is no object in any picture")
        for count, what in ((images.n_left_out, "left out, without area"), (images.n_without_mask, "without a mask")):
            if count:
                typer.echo(f"{on_a_line(file)}: {count} of {n + images.n_left_out} objects are {what}", err=True)
        return images

    if place.is_dir():
        kind = "person_keypoints" if joints else "instances"
        parts = [sorted((place / "annotations").glob(f"{kind}_{part}*.json")) for part in ("train", "val")]
        needed = f"annotations/{kind}_val*.json"
        if not for_test_alone:
            needed = f"annotations/{kind}_train*.json and {needed}"
        if not parts[1] or not (parts[0] or for_test_alone):
            raise CocoError(f"{place}: there must be {needed}")
        test = opened(parts[1][-1])
        train: Sequence[Sample] = [] if for_test_alone else opened(parts[0][-1])
        if isinstance(train, CocoImages) and train.class_names != test.class_names:
            raise CocoError(f"{parts[1][-1]}: has other categories than {parts[0][-1]}")
        return _coco_data(train, test, test)
    images = opened(place)
    return _coco_data(*_held_out(images, for_test_alone), images)


def _coco_data(train: Sequence[Sample], test: Sequence[Sample], images: CocoImages) -> Data:
    return Data(train, test, images.class_names, images.joint_names, swapped_of(images.joint_names))
