"""VOC files: read, written, and refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from refdet.data import (
    VocAnnotation,
    VocError,
    VocImages,
    VocResults,
    read_voc_annotation,
    read_voc_folder,
    read_voc_results,
    write_voc_annotation,
    write_voc_results,
)
from refdet.data.voc import VOC_CLASSES
from tests.real_data import real

HEAD = "<annotation><filename>a.png</filename><size><width>40</width><height>30</height><depth>3</depth></size>"
BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>30</ymax></bndbox>"
DOG = f"<object><name>dog</name><difficult>1</difficult>{BOX}</object>"
OUTSIDE = DOG.replace("<xmin>1<", "<xmin>41<").replace(">3<", ">99<")


def written(folder: Path, text: str, name: str = "a.xml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_pixels_one_to_three_are_three_wide(tmp_path: Path) -> None:
    found = read_voc_annotation(written(tmp_path, f"{HEAD}{DOG}</annotation>"))
    np.testing.assert_array_equal(found.boxes, [[0, 1, 3, 30]])
    assert (found.names, found.size, found.image_id, found.file_name) == (("dog",), (30, 40), "a", "a.png")
    assert found.difficult.tolist() == [True]
    assert found.truncated.tolist() == [False]


def test_a_picture_without_objects(tmp_path: Path) -> None:
    found = read_voc_annotation(written(tmp_path, f"{HEAD}</annotation>"))
    assert (found.names, found.boxes.shape, found.difficult.shape) == ((), (0, 4), (0,))


def test_what_lies_outside_is_cut_off(tmp_path: Path) -> None:
    box = BOX.replace("<xmin>1<", "<xmin>-4.5<").replace("<xmax>3<", "<xmax>99<")
    found = read_voc_annotation(written(tmp_path, f"{HEAD}<object><name>dog</name>{box}</object></annotation>"))
    np.testing.assert_array_equal(found.boxes, [[0, 1, 40, 30]])


corners = st.tuples(st.integers(0, 300), st.integers(0, 300), st.integers(1, 160), st.integers(1, 160))


@given(st.lists(st.tuples(corners, st.sampled_from(VOC_CLASSES), st.booleans(), st.booleans()), max_size=4))
def test_written_and_read_again(objects: list[tuple[tuple[int, int, int, int], str, bool, bool]]) -> None:
    import tempfile

    boxes = np.array([(x / 4, y / 2, x / 4 + w / 8, y / 2 + h) for (x, y, w, h), *_ in objects]).reshape(-1, 4)
    flags = np.array([(d, t) for *_, d, t in objects], np.bool_).reshape(-1, 2)
    names = tuple(name for _, name, *_ in objects)
    before = VocAnnotation("a", "a & b.jpg", (400, 200), names, boxes, flags[:, 0], flags[:, 1])
    with tempfile.TemporaryDirectory() as folder:
        write_voc_annotation(Path(folder) / "a.xml", before)
        after = read_voc_annotation(Path(folder) / "a.xml")
    assert (after.image_id, after.file_name, after.size, after.names) == ("a", "a & b.jpg", (400, 200), names)
    for name in ("boxes", "difficult", "truncated"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


BOMB = (
    '<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><annotation><filename>&c;</filename></annotation>'
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.xml: is not XML: no element found"),
        ("not xml", "a.xml: is not XML: syntax error"),
        (f"{HEAD}{DOG}", "a.xml: is not XML: no element found"),
        (BOMB, "a.xml: has a document type declaration, which is refused unread"),
        ("<html></html>", "a.xml: the outermost element must be annotation, got html"),
        ("<annotation></annotation>", "a.xml: size: width must be a number, got None"),
        (HEAD.replace("40", "0") + "</annotation>", "two positive integers of at most .*, got width 0 and height 30"),
        (HEAD.replace("40", "1e999") + "</annotation>", "size: width must be a number, got '1e999'"),
        (HEAD.replace("40", "1e9") + "</annotation>", "two positive integers of at most 1,000,000, got width 1e\\+09"),
        (f'<?xml version="1.0" encoding="gbk"?>{HEAD}</annotation>', "a.xml: is not XML: multi-byte encodings"),
        (f'<?xml version="1.0" encoding="nonsense"?>{HEAD}</annotation>', "a.xml: is not XML: unknown encoding"),
        (f"{HEAD}<object><name>d&#0;g</name></object></annotation>", "a.xml: is not XML: reference to invalid char"),
        ("<annotation>" + "<a>" * 100_000, "a.xml: is not XML: no element found"),
        (HEAD.replace("40", "nan") + "</annotation>", "size: width must be a number, got 'nan'"),
        (f"{HEAD}<object>{BOX}</object></annotation>", "a.xml: object 0 has no name"),
        (f"{HEAD}{DOG}<object><name>cat</name></object></annotation>", r"object 1 \(cat\): xmin must be a number"),
        (f"{HEAD}{DOG.replace('>3<', '>0<')}</annotation>", r"object 0 \(dog\): the box ends before it begins: 1 2 0"),
        (f"{HEAD}{OUTSIDE}</annotation>", "lies outside the picture of 40 × 30"),
        (f"{HEAD}{DOG.replace('<difficult>1', '<difficult>yes')}</annotation>", "difficult must be 0 or 1, got 'yes'"),
    ],
)  # fmt: skip
def test_files_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(VocError, match=message):
        read_voc_annotation(written(tmp_path, text))


def test_folders_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VocError, match="nowhere: there is no such folder"):
        read_voc_folder(tmp_path / "nowhere")
    with pytest.raises(VocError, match="there are no annotation files"):
        read_voc_folder(tmp_path)
    with pytest.raises(VocError, match=r"val\.txt: there is no such list of pictures"):
        read_voc_folder(tmp_path, split="val")
    with pytest.raises(VocError, match="there are no files of results"):
        read_voc_results(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "dog.txt").mkdir()
    (tmp_path / "folder" / "dog.xml").mkdir()
    with pytest.raises(VocError, match=r"dog\.txt: is a directory, not a file"):
        read_voc_results(tmp_path / "folder")
    with pytest.raises(VocError, match=r"dog\.xml: is a directory, not a file"):
        read_voc_folder(tmp_path / "folder")
    written(tmp_path, f"{HEAD}{DOG.replace('dog', 'unicorn')}</annotation>")
    with pytest.raises(VocError, match=r"a\.xml: 'unicorn' is none of the classes asked for"):
        VocImages(tmp_path)
    written(tmp_path, f"{HEAD}{DOG.replace('dog', 'background')}</annotation>")
    for class_names in (VOC_CLASSES, ("background", "dog")):
        with pytest.raises(VocError, match=r"a\.xml: object 0 is named 'background', which is kept for what is no"):
            VocImages(tmp_path, class_names=class_names)
    written(tmp_path, f"{HEAD}{DOG}</annotation>")
    with pytest.raises(
        VocError, match=r"no class may be named 'background', which is kept for what is no object; rename"
    ):
        VocImages(tmp_path, class_names=("background", "dog"))


def test_a_devkit(tmp_path: Path) -> None:
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("a", "b", "c"):
        written(tmp_path / "Annotations", f"{HEAD.replace('a.png', f'{name}.png')}{DOG}</annotation>", f"{name}.xml")
    (tmp_path / "ImageSets/Main/val.txt").write_text("c\na  1\n")
    assert [a.image_id for a in read_voc_folder(tmp_path)] == ["a", "b", "c"]
    assert [a.image_id for a in read_voc_folder(tmp_path, split="val")] == ["c", "a"]
    Image.new("RGB", (40, 30), (9, 8, 7)).save(tmp_path / "JPEGImages/c.png")
    Image.new("RGB", (41, 30)).save(tmp_path / "JPEGImages/a.png")
    pictures = VocImages(tmp_path, split="val")
    sample = pictures[0]
    assert (sample.name, sample.size, sample.classes.tolist(), sample.difficult.tolist()) == (
        "c.png", (30, 40), [12], [True],
    )  # fmt: skip
    assert pictures.class_names[12] == "dog"
    np.testing.assert_array_equal(sample.image[0, 0], [9, 8, 7])
    with pytest.raises(VocError, match=r"a\.xml: the size is \(30, 40\), but a.png has \(30, 41\)"):
        pictures[1]


def test_progress_is_told_after_each_file(tmp_path: Path) -> None:
    for name in "abc":
        written(tmp_path, f"{HEAD}{DOG}</annotation>", f"{name}.xml")
    told: list[tuple[int, int]] = []
    read_voc_folder(tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    told.clear()
    VocImages(tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_what_is_known_is_not_read_again(tmp_path: Path) -> None:
    """A file that has gone meanwhile is not missed; one of another folder is no known one."""
    lists = tmp_path / "ImageSets" / "Main"
    for folder in (tmp_path / "Annotations", tmp_path / "others", lists):
        folder.mkdir(parents=True)
    (lists / "val.txt").write_text("b\na\n")
    (lists / "far.txt").write_text("../others/a\n")
    for name in "ab":
        written(tmp_path / "Annotations", f"{HEAD}{DOG}</annotation>", f"{name}.xml")
    written(tmp_path / "others", f"{HEAD}</annotation>")
    known = {annotation.image_id: annotation for annotation in read_voc_folder(tmp_path)}
    (tmp_path / "Annotations" / "a.xml").unlink()
    assert read_voc_folder(tmp_path, split="val", known=known) == [known["b"], known["a"]]
    assert VocImages(tmp_path, split="val", known=known).annotations == [known["b"], known["a"]]
    assert [found.names for found in read_voc_folder(tmp_path, split="far", known=known)] == [()]
    with pytest.raises(VocError, match=r"a\.xml: there is no such file"):
        read_voc_folder(tmp_path, split="val")


def test_results(tmp_path: Path) -> None:
    text = "\ufeff000004 0.7 1 2 3 30\r\n\n000006 .25 1.5 2 8 9\n"  # with a mark in front, as Windows writes it
    (tmp_path / "comp4_det_test_dog.txt").write_text(text, encoding="utf-8", newline="")
    (tmp_path / "cat.txt").write_text("")
    found = read_voc_results(tmp_path)
    assert sorted(found) == ["cat", "dog"]
    assert found["dog"].image_ids == ("000004", "000006")
    np.testing.assert_array_equal(found["dog"].scores, [0.7, 0.25])
    np.testing.assert_array_equal(found["dog"].boxes, [[0, 1, 3, 30], [0.5, 1, 8, 9]])
    assert found["cat"].boxes.shape == (0, 4)


def test_results_written_and_read_again(tmp_path: Path) -> None:
    before = VocResults(("a", "b"), np.array([1 / 3, 0.5]), np.array([[0.0, 1.0, 3.0, 30.0], [0.1, 0.2, 7.3, 9.0]]))
    write_voc_results(tmp_path, {"dog": before})
    after = read_voc_results(tmp_path)["dog"]
    assert after.image_ids == before.image_ids
    np.testing.assert_array_equal(after.scores, before.scores)
    np.testing.assert_allclose(after.boxes, before.boxes, atol=1e-15)


@pytest.mark.parametrize(
    "line", ["a 0.5 1 2 3", "a nan 1 2 3 4", "a 0.5 1 2 x 4", "a 0.5 1 2 3 4 5", "a 0.5 3 1 1 4", "a inf 1 2 3 4"]
)
def test_results_that_are_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "dog.txt").write_text(f"a 0.5 1 2 3 30\n\n{line}\n")
    with pytest.raises(VocError, match=r"dog\.txt: line 3"):
        read_voc_results(tmp_path)


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    box, flag, one = np.array([[0.0, 1.0, 3.0, 4.0]]), np.array([False]), np.ones(1)
    for name in ("", " dog", "d\0g", "d\ud800g"):
        with pytest.raises(ValueError, match="a name must be printable"):
            write_voc_annotation(tmp_path / "a.xml", VocAnnotation("a", "a.jpg", (9, 9), (name,), box, flag, flag))
    for bad in ([[0.0, 1.0, np.nan, 4.0]], [[3.0, 1.0, 3.0, 4.0]]):
        with pytest.raises(ValueError, match="a box must be finite and have an area"):
            write_voc_results(
                tmp_path, {"cat": VocResults((), one[:0], box[:0]), "dog": VocResults(("a",), one, np.array(bad))}
            )
    for name in ("traffic_light", "a b", "../a", ""):
        with pytest.raises(ValueError, match="a class must have a name without spaces, slashes, underscores"):
            write_voc_results(tmp_path, {name: VocResults(("a",), one, box)})
    for image_id, score in (("a b", 0.5), ("", 0.5), ("a", np.inf)):
        with pytest.raises(ValueError, match="write_voc_results: dog: an image must have a name without spaces"):
            write_voc_results(tmp_path, {"dog": VocResults((image_id,), np.array([score]), box)})
    assert not list(tmp_path.iterdir())


def test_columns_of_other_lengths(tmp_path: Path) -> None:
    boxes, flags = np.array([[0.0, 1.0, 3.0, 4.0]] * 2), np.zeros(2, bool)
    message = (
        "write_voc_results: dog: every column must have one entry for each box, got image_ids 1, scores 3, boxes 2"
    )
    with pytest.raises(ValueError, match=message):
        write_voc_results(tmp_path, {"dog": VocResults(("a",), np.ones(3), boxes)})
    message = "write_voc_annotation: every column must have .* got names 1, boxes 2, difficult 2, truncated 2"
    with pytest.raises(ValueError, match=message):
        write_voc_annotation(tmp_path / "a.xml", VocAnnotation("a", "a.jpg", (9, 9), ("dog",), boxes, flags, flags))
    assert not list(tmp_path.iterdir())


def test_records_are_themselves() -> None:
    boxes, flags = np.array([[0.0, 1.0, 3.0, 4.0]] * 2), np.zeros(2, bool)
    results = [VocResults(("a", "b"), np.ones(2), boxes) for _ in range(2)]
    annotations = [VocAnnotation("a", "a.jpg", (9, 9), ("cat", "dog"), boxes, flags, flags) for _ in range(2)]
    assert results[0] != results[1]
    assert annotations[0] != annotations[1]
    assert len({*results, *annotations}) == 4


def test_where_results_are_written(tmp_path: Path) -> None:
    results = {"dog": VocResults(("a",), np.ones(1), np.array([[0.0, 1.0, 3.0, 4.0]]))}
    write_voc_results(tmp_path / "made" / "now", results)
    write_voc_results(tmp_path / "made" / "now", results)  # it may be there
    assert list(read_voc_results(tmp_path / "made" / "now")) == ["dog"]
    with pytest.raises(ValueError, match="a class must have a name"):
        write_voc_results(tmp_path / "never", {"a b": results["dog"]})
    assert not (tmp_path / "never").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(VocError, match=r"file: the folder cannot be made: File exists$"):
        write_voc_results(tmp_path / "file", results)
    with pytest.raises(VocError, match=r"file/x: the folder cannot be made: Not a directory$"):
        write_voc_results(tmp_path / "file" / "x", results)


def test_an_annotation_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    none = np.zeros(0)
    annotation = VocAnnotation("a", "a.jpg", (9, 9), (), none.reshape(0, 4), none > 0, none > 0)
    path = tmp_path / "nodir" / "a.xml"
    with pytest.raises(VocError, match=f"^{path}: there is no folder {path.parent}$"):
        write_voc_annotation(path, annotation)
    assert not list(tmp_path.iterdir())


@pytest.mark.real
def test_twenty_real_photographs() -> None:
    pictures = VocImages(real("voc"))
    assert len(pictures) == 20
    assert sum(len(a.names) for a in pictures.annotations) == sum(len(s.boxes) for s in pictures)
    first = pictures[0]
    assert (first.name, first.size) == ("2007_000027.jpg", (500, 486))
    np.testing.assert_array_equal(first.boxes, [[173, 100, 349, 351]])


@pytest.mark.parametrize("text", ["c\ra\r", "c\r\na\r\n", "\ufeffc -1\n\n a  1", "c 0\ra 1"])
def test_lists_end_their_lines_in_any_way(tmp_path: Path, text: str) -> None:
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    for name in ("a", "b", "c"):
        written(tmp_path, f"{HEAD}{DOG}</annotation>", f"{name}.xml")
    (tmp_path / "ImageSets/Main/val.txt").write_bytes(text.encode())
    assert [a.image_id for a in read_voc_folder(tmp_path, split="val")] == ["c", "a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nb c\n", "line 2 must be the name of one picture, and for one class -1, 0 or 1 after it, got 'b c'"),
        ("a\rb\r000001 000000\r", "line 3 must be the name of one picture, .*, got '000001 000000'"),
        ("a 1 1", "line 1 must be the name of one picture, .*, got 'a 1 1'"),
        ("a 1.0", "line 1 must be the name of one picture, .*, got 'a 1.0'"),
    ],
)
def test_lists_with_more_on_a_line_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/val.txt").write_bytes(text.encode())
    with pytest.raises(VocError, match=rf"val\.txt: {message}"):
        read_voc_folder(tmp_path, split="val")
