"""Named arrays to `.safetensors` and `.npz` and back."""

import errno
import json
import os
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, Literal

import hypothesis.extra.numpy as hypothesis_numpy
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from refdet.nn.checkpoint import CheckpointError, load_metadata, load_tensors, save_tensors
from refdet.nn.checkpoint.atomic_file import write_atomically, write_bytes_atomically
from tests.nn.damage import one_byte_changed

SUFFIXES = (".safetensors", ".npz")
INTEGERS = [f"{kind}{n_bits}" for kind in ("int", "uint") for n_bits in (8, 16, 32, 64)]
DTYPES = ["bool", *INTEGERS, "float16", "float32", "float64", "complex64"]


@pytest.fixture(params=SUFFIXES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"weights{request.param}"


def assert_same_bits(loaded: NDArray[Any], saved: NDArray[Any]) -> None:
    """Equal shape, type and bits, the byte order apart."""
    assert loaded.shape == saved.shape
    assert loaded.dtype == saved.dtype.newbyteorder("=")
    assert loaded.tobytes() == saved.astype(saved.dtype.newbyteorder("=")).tobytes()


def test_hand_example_npz_is_what_numpy_reads(tmp_path: Path) -> None:
    save_tensors(tmp_path / "a.npz", {"layer.0/weight": np.arange(6, dtype=np.int16).reshape(2, 3)})
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert archive["layer.0/weight"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_hand_example_safetensors_bytes(tmp_path: Path) -> None:
    save_tensors(tmp_path / "a.safetensors", {"w": np.array([1.0, -2.0], np.float32)})
    header = b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    header += b" " * (-len(header) % 8)  # the library pads the header so that the tensors are aligned
    expected = struct.pack("<Q", len(header)) + header + bytes.fromhex("0000803f 000000c0")
    assert (tmp_path / "a.safetensors").read_bytes() == expected


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("byte_order", "<>")
def test_every_type_in_both_byte_orders(path: Path, dtype: str, byte_order: Literal["<", ">"]) -> None:
    array = np.arange(-3, 3).reshape(2, 3).astype(dtype).astype(np.dtype(dtype).newbyteorder(byte_order))
    save_tensors(path, {"x": array})
    loaded = load_tensors(path)["x"]
    np.testing.assert_array_equal(loaded, array)
    assert loaded.dtype == np.dtype(dtype)
    assert loaded.dtype.isnative
    assert loaded.flags.writeable
    assert loaded.flags.c_contiguous
    assert loaded.flags.owndata


any_array = st.sampled_from(DTYPES).flatmap(
    lambda name: hypothesis_numpy.arrays(
        st.sampled_from([np.dtype(name), np.dtype(name).newbyteorder(">")]),
        hypothesis_numpy.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    )
)
any_name = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20).filter(
    lambda name: name != "__metadata__"
)


@given(st.dictionaries(any_name, any_array, max_size=4), st.sampled_from(SUFFIXES), st.booleans())
def test_round_trip(tensors: dict[str, NDArray[Any]], suffix: str, transposed: bool) -> None:
    if transposed:
        tensors = {name: array.T for name, array in tensors.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x{suffix}"
        save_tensors(path, tensors)
        loaded = load_tensors(path)
        assert list(loaded) == sorted(tensors)
        for name, array in tensors.items():
            assert_same_bits(loaded[name], array)
        assert load_metadata(path) == {}


@pytest.mark.parametrize("view", [lambda x: x[::2], lambda x: x[:, ::-1], lambda x: x.T, lambda x: x[1, 2]])
def test_non_contiguous(path: Path, view: Any) -> None:
    array = np.asarray(view(np.arange(12.0).reshape(3, 4)))
    save_tensors(path, {"x": array})
    np.testing.assert_array_equal(load_tensors(path)["x"], array)


@pytest.mark.parametrize("byte_order", "<>")
def test_nan_payloads_and_negative_zero(path: Path, byte_order: str) -> None:
    # a quiet NaN with a payload, a signalling NaN, a negative NaN, -0, the smallest denormal
    bits = np.array([0x7FC01234, 0x7F800001, 0xFFC00000, 0x80000000, 0x00000001], f"{byte_order}u4")
    save_tensors(path, {"x": bits.view(f"{byte_order}f4")})
    assert load_tensors(path)["x"].view("u4").tolist() == bits.tolist()


@pytest.mark.parametrize(
    "name", ["", "a.b.c", "a/b", "../up", "/root", "a.npy", "gewicht_ß", "重み", "a\nb", "a" * 3000, "A", "metadata"]
)
def test_names(path: Path, name: str) -> None:
    save_tensors(path, {name: np.ones(2), "other": np.zeros(1)})
    assert load_tensors(path)[name].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("__metadata__", "reserved"),
        ("a\0b", "NUL"),
        ("\ud800", "UTF-8"),
        ("x" * 70_000, "has 70000 bytes"),
        (3, "must be strings, not 3"),
    ],
)
def test_names_that_cannot_be_stored(path: Path, name: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        save_tensors(path, {name: np.ones(2)})
    assert not path.exists()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([{}, None], dtype=object), "'bad' has dtype object"),
        (np.array(["text"]), "'bad' has dtype <U4"),
        (np.zeros(2, np.complex128), "'bad' has dtype complex128"),
        (np.zeros(2, [("a", "f4")]), "'bad' has dtype"),
        (np.zeros(2, "M8[s]"), "'bad' has dtype datetime64"),
        (np.ma.masked_array([1.0], [True]), "'bad' is a masked array"),
        ([1.0, 2.0], "'bad' must be a NumPy array, not a list"),
        (np.float32(1), "'bad' must be a NumPy array, not a float32"),
    ],
)
def test_arrays_that_cannot_be_stored_leave_the_old_file(path: Path, array: Any, message: str) -> None:
    save_tensors(path, {"good": np.ones(1)})
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=message):
        save_tensors(path, {"a": np.ones(3), "bad": array})
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


METADATA = {"epoch": 3, "rate": 0.1, "names": ["a", "ü"], "nested": {"deep": [None, True]}}


def test_metadata(path: Path) -> None:
    save_tensors(path, {"x": np.ones(1)}, metadata=METADATA)
    assert load_metadata(path) == METADATA
    assert list(load_tensors(path)) == ["x"]


def test_metadata_without_tensors(path: Path) -> None:
    save_tensors(path, {}, metadata={"note": "empty"})
    assert load_tensors(path) == {}
    assert load_metadata(path) == {"note": "empty"}


def recursive_list() -> list[Any]:
    cycle: list[Any] = []
    cycle.append(cycle)
    return cycle


@pytest.mark.parametrize("value", [float("nan"), float("inf"), (1, 2), {3: 4}, {1, 2}, b"x", recursive_list()])
def test_metadata_that_json_would_change(path: Path, value: Any) -> None:
    with pytest.raises(CheckpointError, match="metadata"):
        save_tensors(path, {}, metadata={"value": value})
    assert not path.exists()


def test_equal_content_gives_equal_bytes(path: Path) -> None:
    names = ["b", "a", "layer.1/ü"]
    arrays = {name: np.arange(i + 2.0) for i, name in enumerate(names)}
    save_tensors(path, arrays, metadata=METADATA)
    first = path.read_bytes()
    reordered = {name: arrays[name] for name in reversed(names)}
    big_endian = {name: array.astype(">f8") for name, array in reordered.items()}
    save_tensors(path, big_endian, metadata=dict(reversed(METADATA.items())))
    assert path.read_bytes() == first


def test_bytes_do_not_depend_on_the_process(tmp_path: Path) -> None:
    """Hash seeds differ between processes, and so may the order of anything kept in a set or hash map."""
    program = (
        "import sys, numpy as np; from refdet.nn.checkpoint import save_tensors\n"
        "tensors = {f'tensor.{i}': np.full(i, i, 'f4') for i in range(20)}\n"
        "save_tensors(sys.argv[1], tensors, metadata={f'key{i}': i for i in range(20)})\n"
    )
    for suffix in SUFFIXES:
        files = [tmp_path / f"{seed}{suffix}" for seed in (1, 2)]
        for seed, file in enumerate(files):
            environment = {**os.environ, "PYTHONHASHSEED": str(seed), "TZ": f"UTC+{seed}"}
            subprocess.run([sys.executable, "-c", program, str(file)], check=True, env=environment, timeout=60)
        assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    "function", ["os.fsync", "os.replace", "numpy.lib.format.write_array", "safetensors.numpy.save"]
)
@pytest.mark.parametrize("exception", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_in_the_middle_leaves_the_old_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, function: str, exception: BaseException
) -> None:
    save_tensors(path, {"x": np.ones(2)})
    before = path.read_bytes()

    def fail(*arguments: Any, **options: Any) -> None:
        raise exception

    monkeypatch.setattr(function, fail)
    expected = KeyboardInterrupt if isinstance(exception, KeyboardInterrupt) else CheckpointError
    reached = "numpy" not in function or (path.suffix == ".npz") == function.startswith("numpy.lib")
    if reached:
        with pytest.raises(expected):
            save_tensors(path, {"x": np.zeros(5)})
        assert path.read_bytes() == before
    else:
        save_tensors(path, {"x": np.ones(2)})
        assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_flushed_before_the_rename_and_the_directory_after(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        calls.append("flush directory" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "flush file")
        real_fsync(descriptor)

    def replace(source: Any, target: Any) -> None:
        calls.append("rename")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    save_tensors(path, {"x": np.ones(2)})
    assert calls == ["flush file", "rename", "flush directory"]


def test_symbolic_links_are_followed(path: Path) -> None:
    target = path.with_name(f"target{path.suffix}")
    path.symlink_to(target)
    save_tensors(path, {"x": np.ones(2)})
    assert path.is_symlink()
    assert load_tensors(target)["x"].tolist() == [1.0, 1.0]


def test_links_in_a_circle_lead_to_no_file(path: Path) -> None:
    """Neither as the file itself nor above it; they stay as they are."""
    path.symlink_to(path)
    for circle in (path, path / "below" / path.name):
        with pytest.raises(CheckpointError, match=r"weights\.\w+: Too many levels of symbolic links"):
            save_tensors(circle, {"x": np.ones(2)})
    assert os.listdir(path.parent) == [path.name]
    assert os.readlink(path) == str(path)


def test_a_full_disk_is_told_of_the_file_and_not_of_a_temporary_one(tmp_path: Path) -> None:
    def full(file: BinaryIO) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "picture.png").write_bytes(b"good")
    with pytest.raises(OSError, match=r"No space left on device: '.*picture\.png'$"):
        write_atomically(tmp_path / "picture.png", full)
    assert (tmp_path / "picture.png").read_bytes() == b"good"
    with pytest.raises(FileNotFoundError) as refused:
        write_bytes_atomically(tmp_path / "none" / "picture.png", b"")
    assert refused.value.filename == str(tmp_path / "none" / "picture.png")
    assert os.listdir(tmp_path) == ["picture.png"]


@pytest.mark.parametrize("name", ["weights.pth", "weights", "weights.npz.gz", "weights.NPZ"])
def test_other_suffixes(tmp_path: Path, name: str) -> None:
    for call in (lambda path: save_tensors(path, {}), load_tensors, load_metadata):
        with pytest.raises(CheckpointError, match=r"\.safetensors or \.npz"):
            call(tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_missing_and_directory(path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        load_tensors(path)
    with pytest.raises(CheckpointError, match="No such file"):
        save_tensors(path / "missing" / path.name, {})
    path.mkdir()
    for call in (load_tensors, load_metadata, lambda path: save_tensors(path, {})):
        with pytest.raises(CheckpointError, match=r"weights\.\w+: .*directory"):
            call(path)
    assert os.listdir(path.parent) == [path.name]


def safetensors_bytes(header: str, data: bytes = b"", n_header_bytes: int | None = None) -> bytes:
    encoded = header.encode()
    return struct.pack("<Q", len(encoded) if n_header_bytes is None else n_header_bytes) + encoded + data


def entry(dtype: str, shape: list[int], begin: int, end: int) -> str:
    return json.dumps({"dtype": dtype, "shape": shape, "data_offsets": [begin, end]})


def test_bfloat16_becomes_float32_exactly(tmp_path: Path) -> None:
    # 1, -2, -0, infinity, a NaN with a payload, the smallest denormal: the upper halves of float32
    bits = np.array([0x3F80, 0xC000, 0x8000, 0x7F80, 0x7FA5, 0x0001], "<u2")
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors_bytes('{"x":' + entry("BF16", [2, 3], 0, 12) + "}", bits.tobytes()))
    loaded = load_tensors(path)["x"]
    assert loaded.dtype == np.float32
    assert loaded.shape == (2, 3)
    assert loaded.view(np.uint32).ravel().tolist() == [int(half) << 16 for half in bits]


def test_stray_bytes_in_bool_become_true(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors_bytes('{"x":' + entry("BOOL", [3], 0, 3) + "}", bytes([0, 1, 2])))
    assert load_tensors(path)["x"].view(np.uint8).tolist() == [0, 1, 1]


F4 = entry("F32", [1], 0, 4)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08",
        b"\xff\xd8\xff\xe0 this is a JPEG",
        b"hello, this is text and no tensors at all",
        safetensors_bytes("{}", n_header_bytes=2**63),
        safetensors_bytes("{}", n_header_bytes=2**64 - 1),
        safetensors_bytes("{}", n_header_bytes=3),
        safetensors_bytes("[]"),
        safetensors_bytes("{"),
        safetensors_bytes("[" * 100_000),
        safetensors_bytes('{"x":' * 100_000),
        safetensors_bytes('{"x":1}'),
        safetensors_bytes('{"x":' + F4 + "}", b"123"),
        safetensors_bytes('{"x":' + F4 + "}", b"12345"),
        safetensors_bytes('{"x":' + entry("F32", [1], 4, 8) + "}", b"12345678"),
        safetensors_bytes('{"x":' + entry("F32", [1], 4, 0) + "}", b"1234"),
        safetensors_bytes('{"x":' + entry("F32", [1], -4, 0) + "}", b"1234"),
        safetensors_bytes('{"x":' + entry("F32", [2], 0, 4) + "}", b"1234"),
        safetensors_bytes('{"x":' + entry("F32", [-1], 0, 4) + "}", b"1234"),
        safetensors_bytes('{"x":' + entry("F32", [2**62, 4], 0, 0) + "}", b""),
        safetensors_bytes('{"x":' + entry("F32", [2**62, 2**62, 0], 0, 0) + "}", b""),
        safetensors_bytes('{"x":' + entry("F32", [1] * 100, 0, 4) + "}", b"1234"),
        safetensors_bytes('{"x":' + entry("F31", [1], 0, 4) + "}", b"1234"),
        safetensors_bytes('{"x":' + entry("F8_E4M3", [4], 0, 4) + "}", b"1234"),
        safetensors_bytes('{"x":' + F4 + ',"y":' + F4 + "}", b"1234"),
        safetensors_bytes('{"x":' + F4 + ',"x":' + F4 + "}", b"1234"),
        safetensors_bytes('{"__metadata__":{"refdet":3},"x":' + F4 + "}", b"1234"),
    ],
)
def test_hostile_safetensors(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x\.safetensors: "):
        load_tensors(path)


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, "3"])
def test_hostile_metadata(tmp_path: Path, text: str) -> None:
    for suffix in SUFFIXES:
        path = tmp_path / f"x{suffix}"
        if suffix == ".npz":
            np.savez(path, __metadata__=np.frombuffer(text.encode(), np.uint8))
        else:
            path.write_bytes(safetensors_bytes(json.dumps({"__metadata__": {"refdet": text}})))
        with pytest.raises(CheckpointError, match="metadata"):
            load_metadata(path)


def write_npz(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def npy_bytes(header: str, data: bytes = b"") -> bytes:
    encoded = header.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(encoded)) + encoded + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not npy",
        b"\x93NUMPY\x09\x00",
        npy_bytes("{"),
        npy_bytes("(" * 5000),
        npy_bytes("__import__('os').system('true')"),
        npy_bytes("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"cos\nsystem\n."),
        npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}", b"1234"),
        npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", b"1234"),
        npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -1)}", b"1234"),
        npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4611686018427387904, 8)}"),
        npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", b"12345"),
        npy_bytes("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", b"1234"),
        npy_bytes("{'descr': ('<f4', (1000000,)), 'fortran_order': False, 'shape': (0,)}"),
        npy_bytes("{'descr': '<U1', 'fortran_order': False, 'shape': (1,)}", b"1234"),
    ],
)
def test_hostile_npz_members(tmp_path: Path, content: bytes) -> None:
    path = write_npz(tmp_path / "x.npz", {"x.npy": content})
    with pytest.raises(CheckpointError, match=r"x\.npz: array 'x'"):
        load_tensors(path)


def test_hostile_npz_archives(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=np.zeros(10_000_000, np.uint8))
    with pytest.raises(CheckpointError, match="compressed"):
        load_tensors(path)
    write_npz(path, {"x.txt": b"hello"})
    with pytest.raises(CheckpointError, match=r"not a \.npy file"):
        load_tensors(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy_bytes(""))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("x.npy", npy_bytes(""))
    with pytest.raises(CheckpointError, match="twice"):
        load_tensors(path)
    for content in (b"", b"PK\x03\x04", b"\xff\xd8\xff\xe0", b"text"):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="not a valid zip archive"):
            load_tensors(path)


def test_fortran_order_and_big_endian_from_numpy(tmp_path: Path) -> None:
    array = np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3))
    np.savez(tmp_path / "x.npz", x=array)
    assert load_tensors(tmp_path / "x.npz")["x"].tolist() == [[0, 1, 2], [3, 4, 5]]


def small_file(path: Path) -> bytes:
    save_tensors(path, {"a.b": np.arange(3.0, dtype=np.float32), "n": np.array(5)}, metadata={"k": 1})
    return path.read_bytes()


def read_or_refuse(path: Path) -> dict[str, Any] | None:
    """The arrays as lists, or None where they are refused; anything else fails the test."""
    try:
        load_metadata(path)
        return {name: array.tolist() for name, array in load_tensors(path).items()}
    except CheckpointError:
        return None


def test_truncation_at_every_byte(path: Path) -> None:
    content = small_file(path)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert read_or_refuse(path) is None, f"cut to {length} of {len(content)} bytes"


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bytes(path: Path, seed: int) -> None:
    n_refused = 0
    for content in one_byte_changed(small_file(path), n=150, seed=seed):
        path.write_bytes(content)
        n_refused += read_or_refuse(path) is None
    assert n_refused > 50


def test_importing_costs_numpy_and_the_standard_library_alone() -> None:
    program = (
        "import sys; import refdet.nn.checkpoint\n"
        "print(sorted({'torch', 'safetensors', 'scipy', 'skimage'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    assert printed.stdout.strip() == "[]"
