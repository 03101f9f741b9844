"""Files of tensors that nobody vouches for: read like the safetensors library where that is right, else refused."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from refdet.verify.suite import data_root
from refdet.verify.tensor_files import TensorFileError, read_tensors, write_tensors

TENSORS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array([True, False]),
    "c": np.array(-7),
    "d": np.zeros((0, 4)),
    "e": np.array([np.nan, np.inf, -0.0], np.float16),
}
DTYPES = st.sampled_from([np.dtype(t) for t in ("?", "i1", "i2", ">i4", "i8", "u1", "u8", "f2", ">f4", "f8")])
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))


def safetensors_file(header: Any, n_data: int = 0) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(n_data)


def entry(dtype: Any = "F32", shape: Any = (1,), offsets: Any = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def npz_file(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def assert_same(got: dict[str, Any], expected: dict[str, Any]) -> None:
    assert set(got) == set(expected)
    for name, x in expected.items():
        assert got[name].dtype == x.dtype.newbyteorder("=")
        assert got[name].shape == x.shape
        np.testing.assert_array_equal(got[name], x)
        assert got[name].flags.owndata
        assert got[name].flags.writeable


def test_a_file_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "y.safetensors"
    path.write_bytes(safetensors_file({"y": entry("I16", [2], [0, 4])}) + bytes([1, 0, 0, 1]))
    assert_same(read_tensors(path), {"y": np.array([1, 256], np.int16)})


@given(tensors=st.dictionaries(st.text("abc/. ü", max_size=3), ARRAYS, max_size=3))
def test_what_is_written_is_read_by_us_and_by_the_library(
    tensors: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("written") / "y.safetensors"
    write_tensors(path, tensors)
    assert_same(read_tensors(path), tensors)
    theirs = safetensors.numpy.load_file(path)
    for name, x in tensors.items():
        np.testing.assert_array_equal(theirs[name], x)


def test_equal_tensors_give_equal_bytes(tmp_path: Path) -> None:
    write_tensors(tmp_path / "1.safetensors", TENSORS)
    write_tensors(tmp_path / "2.safetensors", dict(reversed(TENSORS.items())))
    assert (tmp_path / "1.safetensors").read_bytes() == (tmp_path / "2.safetensors").read_bytes()


def test_the_golden_files_are_read_as_the_library_does() -> None:
    paths = sorted(data_root().glob("*.safetensors"))
    assert paths
    for path in paths:
        assert_same(read_tensors(path), dict(safetensors.numpy.load_file(path)))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path: Path, save: Any) -> None:
    tensors = {**TENSORS, "fortran": np.asfortranarray(TENSORS["a"]), "big": TENSORS["a"].astype(">f8")}
    save(tmp_path / "y.npz", **tensors)
    assert_same(read_tensors(tmp_path / "y.npz"), tensors)


HOSTILE = {
    "empty": (b"", "has 0 bytes"),
    "header of 2^63 bytes": ((2**63).to_bytes(8, "little") + b"{}", "announces a header of 9223372036854775808 bytes"),
    "header beyond the file": ((99).to_bytes(8, "little") + b"{}", "truncated, or no safetensors file"),
    "long header": (safetensors_file(b"{" + b" " * (4 << 20) + b"}"), "at most 4194304 are read"),
    "no JSON": (safetensors_file(b"{'y': 1}"), "is not JSON"),
    "no UTF-8": (safetensors_file(b'{"\xff": 1}'), "is not JSON"),
    "no object": (safetensors_file([1]), "must be a JSON object"),
    "nested": (safetensors_file(b'{"y":' + b"[" * 200_000), "is not JSON"),
    "huge number": (safetensors_file(b'{"y":' + b"9" * 5000 + b"}"), "is not JSON"),
    "twice": (safetensors_file(b'{"y": {}, "y": {}}'), "'y' comes twice"),
    "entry": (safetensors_file({"y": 3}), "entry of tensor 'y' is 3, no object"),
    "metadata": (safetensors_file({"__metadata__": {"a": 1}}), "values are strings"),
    "no offsets": (safetensors_file({"y": {"dtype": "F32", "shape": []}}), "must be two integers"),
    "offsets of floats": (safetensors_file({"y": entry(offsets=[0, 4.0])}, 4), "must be two integers"),
    "negative offset": (safetensors_file({"y": entry(offsets=[-4, 0])}, 4), "begins at byte -4"),
    "backwards": (safetensors_file({"y": entry(offsets=[4, 0])}, 4), "begins at byte 4 and ends at 0"),
    "beyond": (safetensors_file({"y": entry(offsets=[0, 8], shape=[2])}, 4), "truncated, or its offsets are wrong"),
    "gap": (safetensors_file({"x": entry(), "y": entry(offsets=[8, 12])}, 12), "a gap before"),
    "overlap": (safetensors_file({"x": entry(), "y": entry(offsets=[2, 6])}, 6), "an overlap with"),
    "trailing": (safetensors_file({"y": entry()}, 5), "take 4 bytes of the data, which has 5"),
    "unlike its shape": (safetensors_file({"y": entry(shape=[2])}, 4), "needs 8 bytes and has 4"),
    "negative shape": (safetensors_file({"y": entry(shape=[-1])}, 4), r"shape \[-1\], which is no list of sizes"),
    "shape of booleans": (safetensors_file({"y": entry(shape=[True])}, 4), "no list of sizes"),
    "huge shape": (safetensors_file({"y": entry(shape=[2**62, 2**62])}, 4), "bytes and has 4"),
    "huge and empty": (safetensors_file({"y": entry("F32", [0, 2**62, 2**62], [0, 0])}), "NumPy cannot hold"),
    "many axes": (safetensors_file({"y": entry(shape=[1] * 33)}, 4), "33 axes"),
    "no shape": (safetensors_file({"y": {"dtype": "F32", "data_offsets": [0, 4]}}, 4), "no list of sizes"),
    "the other name": (
        safetensors_file({"y": entry("float32")}, 4),
        "has the type 'float32'; float32 is called F32 here; write one of BOOL, .*U64, F32, F64$",
    ),
    "bfloat16": (safetensors_file({"y": entry("BF16", [2])}, 4), "has the type 'BF16'; write one of BOOL, .*F64"),
    "dtype": (safetensors_file({"y": entry(["F32"])}, 4), "has the type a list"),
    "boolean of 2": (safetensors_file({"y": entry("BOOL", [1], [0, 1])}) + b"\2", "neither 0 nor 1"),
    "colour in a name": (safetensors_file({"\x1b[31m": entry()}, 4), r"'\\x1b\[31m' has characters that cannot"),
}


@pytest.mark.parametrize(("content", "sentence"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_safetensors(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "y.safetensors"
    path.write_bytes(content)
    with pytest.raises(TensorFileError, match=rf"^y\.safetensors: .*{sentence}"):
        read_tensors(path)


WE_ARE_STRICTER = {
    "twice",
    "bfloat16",
    "boolean of 2",
    "colour in a name",
    "many axes",
    "long header",
    "huge and empty",
}


@pytest.mark.parametrize("name", sorted(set(HOSTILE) - WE_ARE_STRICTER))
def test_the_library_refuses_it_too(name: str) -> None:
    with pytest.raises((safetensors.SafetensorError, OverflowError)):
        safetensors.numpy.load(HOSTILE[name][0])


def stored(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


def npy(header: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header.encode() + b"\n" + data


def header(descr: str = "'<f4'", shape: str = "(1,)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


def bomb(size: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("y.npy", bytes(size))
    return file.getvalue()


HOSTILE_NPZ = {
    "no zip": (b"not a zip archive", "no zip archive"),
    "truncated": (npz_file(y=np.arange(9))[:-40], "no zip archive"),
    "bomb": (bomb(300 << 20), r"unpacks to 314572800 bytes; at most 268435456"),
    "damaged": (npz_file(y=np.zeros(99)).replace(bytes(99), bytes(98) + b"\1", 1), "damaged: Bad CRC"),
    "bzip2": (
        stored("y.npy", b"").replace(b"PK\x01\x02\x14\x03\x14\0\0\0\0\0", b"PK\x01\x02\x14\x03\x14\0\0\0\x0c\0"),
        "method",
    ),
    "objects": (npz_file(y=np.array([{}, 1], object)), "holds Python objects; save it with a numeric dtype"),
    "strings": (npz_file(y=np.array(["a"])), "has the dtype '<U1'; save one of bool"),
    "complex": (npz_file(y=np.array([1j])), "has the dtype 'complex128'"),
    "no npy": (stored("y.txt", b"1 2 3"), "'y.txt' is no .npy file"),
    "no header": (stored("y.npy", b"1 2 3"), "no valid .npy header"),
    "code in the header": (stored("y.npy", npy("__import__('os')")), "no valid .npy header"),
    "negative shape": (stored("y.npy", npy(header(shape="(-1,)"), bytes(4))), "no list of sizes"),
    "huge shape": (stored("y.npy", npy(header(shape="(4611686018427387904,)"), bytes(4))), "bytes and has 4"),
    "huge number": (stored("y.npy", npy(header(shape=f"(0x{'f' * 4000},)"), bytes(4))), "a huge int"),
    "records": (stored("y.npy", npy(header("[('a', '<f4')]"), bytes(4))), "has the dtype"),
    "trailing": (stored("y.npy", npy(header(), bytes(5))), "needs 4 bytes and has 5"),
}


@pytest.mark.parametrize(("content", "sentence"), HOSTILE_NPZ.values(), ids=HOSTILE_NPZ)
def test_hostile_npz(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "y.npz"
    path.write_bytes(content)
    with pytest.raises(TensorFileError, match=rf"^y\.npz: .*{sentence}"):
        read_tensors(path)


def test_a_member_that_comes_twice(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "y.npz", "w") as archive:
        archive.writestr("x.npy", npy(header(), bytes(4)))
        archive.writestr("y.npy", npy(header(), bytes(4)))
    content = (tmp_path / "y.npz").read_bytes()
    (tmp_path / "y.npz").write_bytes(content.replace(b"x.npy", b"y.npy"))
    with pytest.raises(TensorFileError, match=r"'y\.npy' comes twice"):
        read_tensors(tmp_path / "y.npz")


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.safetensors").mkdir()
    os.mkfifo(tmp_path / "pipe.safetensors")
    (tmp_path / "device.npz").symlink_to("/dev/zero")
    for name, sentence in [
        ("absent.npz", "No such file"),
        ("folder.safetensors", "Is a directory"),
        ("pipe.safetensors", "no regular file"),
        ("device.npz", "no regular file"),
        ("answers.pt", r"tensors are read from \.safetensors and \.npz files"),
    ]:
        with pytest.raises(TensorFileError, match=rf"^{name}: .*{sentence}"):
            read_tensors(tmp_path / name)


def test_a_file_over_the_limit(tmp_path: Path) -> None:
    with open(tmp_path / "y.safetensors", "wb") as file:
        file.truncate((256 << 20) + 1)  # a hole: it takes no space
    with pytest.raises(TensorFileError, match="268435457 bytes; at most 268435456 are read"):
        read_tensors(tmp_path / "y.safetensors")


def test_what_cannot_be_written(tmp_path: Path) -> None:
    for tensors, sentence in [
        ({"y": np.array([1j])}, "'y' is complex128"),
        ({"y": [1.0]}, "'y' is list"),
        ({"__metadata__": np.zeros(1)}, "no tensor may be called __metadata__"),
    ]:
        with pytest.raises(TensorFileError, match=sentence):
            write_tensors(tmp_path / "y.safetensors", tensors)  # type: ignore[arg-type]
    with pytest.raises(TensorFileError, match=r"y\.safetensors: No such file"):
        write_tensors(tmp_path / "absent" / "y.safetensors", {})


@given(data=st.data(), suffix=st.sampled_from([".safetensors", ".npz"]))
def test_corruption_is_an_error_of_ours_or_none(
    data: st.DataObject, suffix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Change, insert or cut bytes anywhere: what comes out are arrays or a `TensorFileError`."""
    content = bytearray(npz_file(**TENSORS) if suffix == ".npz" else safetensors.numpy.save(TENSORS))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path = tmp_path_factory.mktemp("corrupt") / f"y{suffix}"
    path.write_bytes(content)
    try:
        tensors = read_tensors(path)
    except TensorFileError:
        return
    if suffix == ".safetensors":
        assert_same(tensors, dict(safetensors.numpy.load(bytes(content))))
