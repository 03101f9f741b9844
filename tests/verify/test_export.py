"""Golden cases in other containers: nothing is lost, and no folder of anybody else's is."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.verify import export as export_module
from refdet.verify.export import FORMATS, INDEX, ExportError, export
from refdet.verify.export_c_header import c_header, identifier
from refdet.verify.suite import StoredCase, load_suite, tensor_bytes

ALGORITHMS = ("average_precision", "gather", "max_pool2d", "nms", "rle_encode")  # of all types, with NaN, ∞, empties


@pytest.fixture(scope="module")
def cases() -> list[StoredCase]:
    return [case for name in ALGORITHMS for case in load_suite().cases(name)]


@pytest.fixture(scope="module")
def extremes() -> StoredCase:
    """Return a case that there is not, of all that is awkward to write down."""
    floats = [0.0, -0.0, np.nan, np.inf, -np.inf, 1 / 3, 1e-45, 3.4028235e38, -1.5]
    tensors: dict[str, Array] = {
        "x": np.array(floats, np.float32),
        "wide": np.array([*floats[:6], 5e-324, 1.7976931348623157e308], np.float64),
        "numbers": np.array([-(2**63), 2**63 - 1, 0, -1], np.int64),
        "flags": np.array([[True, False]]),
        "none": np.zeros((0, 4), np.float32),
        "y": np.array(7.0, np.float32),
    }
    entry = {
        "id": "made_up/all-extremes",
        "algorithm": "made_up",
        "why": "ends */ a comment; γ",
        "alternatives": [],
        "arguments": ["x", "mask"],
        "params": {
            "flag": True,
            "name": 'a "quoted" text',
            "size": -3,
            "tiny": 5e-324,
            "padding": [[0, 1], [2, 3]],
            "axis": None,
            "key": [{"slice": [1, None, 2]}, "..."],
            "ragged": [[1], [2, 3]],
            "empty": [],
        },
        "compare": {"y": {"kind": "exact"}},
        "status": "required",
        "tensors": [
            {
                "name": name,
                "role": "expected" if name == "y" else "input",
                "dtype": x.dtype.name,
                "shape": list(x.shape),
                "hex": "",
            }
            for name, x in tensors.items()
        ],
    }
    return StoredCase(entry, tensors)


def exported(cases: list[StoredCase], to: str, folder: Path) -> dict[str, Any]:
    """Export the cases; return the index."""
    n_files = export(cases, to, folder, suite_version="1.2.3")
    index: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert present == {*index["files"], INDEX}
    assert len(index["files"]) == n_files
    assert (index["format"], index["suite_version"]) == (to, "1.2.3")
    assert [entry["id"] for entry in index["cases"]] == [case.id for case in cases]
    return index


def same(actual: Array, expected: Array) -> bool:
    return actual.dtype == expected.dtype and actual.shape == expected.shape and actual.tobytes() == expected.tobytes()


def test_npz_holds_the_arrays(cases: list[StoredCase], extremes: StoredCase, tmp_path: Path) -> None:
    index = exported([*cases, extremes], "npz", tmp_path / "new" / "folder")
    for case, entry in zip([*cases, extremes], index["cases"], strict=True):
        with np.load(tmp_path / "new" / "folder" / entry["file"], allow_pickle=False) as arrays:
            assert list(arrays) == [tensor["key"] for tensor in entry["tensors"]]
            for tensor in entry["tensors"]:
                assert same(arrays[tensor["key"]], case.tensors[tensor["name"]])
                assert "hex" not in tensor


def test_npz_names_say_what_is_given_and_what_is_expected(cases: list[StoredCase], tmp_path: Path) -> None:
    exported(cases, "npz", tmp_path / "x")
    with np.load(tmp_path / "x" / "max_pool2d" / "ceil-mode.npz") as arrays:
        assert {"inputs/x", "inputs/dy", "answers/y", "answers/switches", "answers/dx"} <= set(arrays)


def test_json_holds_the_bytes_and_decimals_that_give_them_back(
    cases: list[StoredCase], extremes: StoredCase, tmp_path: Path
) -> None:
    exported([*cases, extremes], "json", tmp_path / "x")
    for case in [*cases, extremes]:
        content = json.loads((tmp_path / "x" / f"{case.id}.json").read_text(encoding="utf-8"))
        assert content["params"] == case.entry["params"]
        tensors = {name: tensor for group in content["tensors"].values() for name, tensor in group.items()}
        assert tensors.keys() == case.tensors.keys()
        for name, x in case.tensors.items():
            assert tensors[name]["hex"] == tensor_bytes(x).hex()
            assert tensors[name]["shape"] == list(x.shape)
            read = [text == "True" if x.dtype == bool else x.dtype.type(text) for text in tensors[name]["decimals"]]
            assert np.array_equal(np.array(read, x.dtype), x.ravel(), equal_nan=x.dtype.kind == "f")


def test_bin_holds_the_elements_alone(cases: list[StoredCase], extremes: StoredCase, tmp_path: Path) -> None:
    index = exported([*cases, extremes], "bin", tmp_path / "x")
    for case, entry in zip([*cases, extremes], index["cases"], strict=True):
        for tensor in entry["tensors"]:
            content = (tmp_path / "x" / tensor["file"]).read_bytes()
            stored = np.frombuffer(content, np.dtype(tensor["dtype"]).newbyteorder("<")).reshape(tensor["shape"])
            assert stored.tobytes() == tensor_bytes(case.tensors[tensor["name"]])


def test_a_compiler_reads_the_same_bytes_from_headers(
    cases: list[StoredCase], extremes: StoredCase, tmp_path: Path
) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no gcc")
    index = exported([*cases, extremes], "c-header", tmp_path / "x")
    includes = [f'#include "{entry["file"]}"\n' for entry in index["cases"]]
    names = [tensor["identifier"] for entry in index["cases"] for tensor in entry["tensors"]]
    assert len(set(names)) == len(names)
    writes = [f"    fwrite({n}, sizeof *{n}, {n.upper()}_SIZE, stdout);\n" for n in names]
    program = f"#include <stdio.h>\n{''.join(includes)}int main(void) {{\n{''.join(writes)}    return 0;\n}}\n"
    (tmp_path / "x" / "main.c").write_text(program, encoding="ascii")
    strict = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
    subprocess.run([compiler, *strict, "-o", "main", "main.c"], cwd=tmp_path / "x", check=True, timeout=120)
    written = subprocess.run([tmp_path / "x" / "main"], capture_output=True, check=True, timeout=30).stdout
    expected = b"".join(tensor_bytes(x) for case in [*cases, extremes] for x in case.tensors.values())
    assert written == expected


def test_a_header_has_the_parameters(extremes: StoredCase) -> None:
    lines = c_header(extremes).splitlines()
    prefix = "#define REFDET_MADE_UP_ALL_EXTREMES_"
    macros = dict(
        line.removeprefix(prefix).split(" ", 1) for line in lines if line.startswith(prefix) and " " in line[8:]
    )
    assert {name: text for name, text in macros.items() if not name.endswith("_SIZE")} == {
        "HAS_X": "1",
        "HAS_MASK": "0",
        "FLAG": "true",
        "NAME": '"a \\"quoted\\" text"',
        "SIZE": "-3",
        "TINY": "0x0.0000000000001p-1022",
        "PADDING": "{0, 1, 2, 3}",
    }
    assert "static const int32_t refdet_made_up_all_extremes_none_shape[2] = {0, 4};" in lines
    assert "/* made_up/all-extremes" in lines
    assert r" * ends * / a comment; \u03b3" in lines


def test_a_header_says_what_is_absent_and_what_deviates() -> None:
    lines = c_header(load_suite().case("box_iou/quarters")).splitlines()
    assert "#define REFDET_BOX_IOU_QUARTERS_HAS_BOXES 1" in lines
    assert "#define REFDET_BOX_IOU_QUARTERS_HAS_CROWD 0" in lines
    case = load_suite().case("nms/iou-equal-to-the-threshold-survives")
    text = c_header(case)
    for alternative in case.entry["alternatives"]:
        if alternative["tensors"]:
            sets = "".join(f" * {' + '.join(keys)}\n" for keys in alternative["deviations"])
            name = identifier(case.id, f"kept.{alternative['name']}").upper()
            assert f"/* alt: the answer under\n{sets} */\n#define {name}_SIZE" in text


def test_identifiers_of_the_whole_suite_differ() -> None:
    names = [
        identifier(entry["id"], name).upper()
        for entry in load_suite().manifest["cases"]
        for name in (
            *(tensor["name"] + suffix for tensor in entry["tensors"] for suffix in ("", "_size", "_shape")),
            *entry["params"].keys() - {tensor["name"] for tensor in entry["tensors"]},
            *(f"has_{name}" for name in entry["arguments"]),
            "h",
        )
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("to", FORMATS)
def test_the_same_cases_give_the_same_bytes(cases: list[StoredCase], to: str, tmp_path: Path) -> None:
    def contents(name: str) -> dict[str, bytes]:
        export(cases[:5], to, tmp_path / name, suite_version="1.2.3")
        return {
            str(p.relative_to(tmp_path / name)): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()
        }

    assert contents("a") == contents("b")


def test_an_earlier_export_is_replaced(cases: list[StoredCase], tmp_path: Path) -> None:
    exported(cases[:5], "bin", tmp_path / "x")
    exported(cases[5:7], "npz", tmp_path / "x")
    (tmp_path / "empty").mkdir()
    exported(cases[:1], "npz", tmp_path / "empty")
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    export(cases[:2], "json", tmp_path / "link", suite_version="1.2.3")
    assert (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "link", "x"]


def test_nothing_else_is_replaced(cases: list[StoredCase], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine" / "below").mkdir(parents=True)
    (tmp_path / "file").write_text("mine")
    exported(cases[:2], "npz", tmp_path / "mixed")
    (tmp_path / "mixed" / "notes.txt").write_text("mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / INDEX).write_text('{"files": []}')
    for name, sentence in (
        ("mine", "is not empty, and is no earlier export; name a new folder"),
        ("file", "is a file; an export is a folder"),
        ("mixed", "is an earlier export that also holds notes.txt, which would be lost; move it"),
        ("other", "is not empty, and is no earlier export; name a new folder"),
    ):
        with pytest.raises(ExportError, match=f"{name} {sentence}"):
            export(cases[:1], "npz", tmp_path / name, suite_version="1.2.3")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ExportError, match="is where you are; name a folder inside it"):
        export(cases[:1], "npz", Path(), suite_version="1.2.3")


def test_a_folder_appears_whole_or_not_at_all(
    cases: list[StoredCase], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported(cases[:2], "npz", tmp_path / "x")
    before = sorted(tmp_path.rglob("*"))

    def fails(case: StoredCase) -> Any:
        if case.id == cases[4].id:
            raise OSError(28, "No space left on device")
        return export_module.as_bin(case)

    monkeypatch.setitem(FORMATS, "bin", fails)
    for name in ("x", "new"):
        with pytest.raises(OSError, match="No space"):
            export(cases[:6], "bin", tmp_path / name, suite_version="1.2.3")
    assert sorted(tmp_path.rglob("*")) == before
