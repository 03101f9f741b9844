"""Torch checkpoints that nobody should trust: code, bombs, and damage. Each gives one `CheckpointError`."""

import os
import pickle
import struct
import tarfile
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet.nn.checkpoint import CheckpointError, read_torch, read_torch_state_dict
from refdet.nn.checkpoint.allowed_names import allowed_names
from refdet.nn.checkpoint.restricted_unpickler import RestrictedUnpickler
from refdet.nn.checkpoint.tensors import MemoryBudget
from tests.nn.damage import one_byte_changed
from tests.nn.handmade_torch_files import (
    FALSE,
    MAGIC_NUMBER,
    NONE,
    TRUE,
    call,
    dict_of,
    integer,
    list_of,
    named,
    ordered_dict,
    pickled,
    storage,
    tensor,
    text,
    tuple_of,
    write_legacy,
    write_zip,
)

CANARY = "refdet_canary"  # hostile files try to create it in the working directory


@pytest.fixture(params=["zip", "legacy"])
def write(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a program as `x.pth`, which may refer to storage "0" of two floats, in either format."""
    monkeypatch.chdir(tmp_path)
    two_floats = struct.pack("<2f", 1, 2)

    def write_program(program: bytes) -> Path:
        if request.param == "zip":
            return write_zip(tmp_path / "x.pth", program, {"0": two_floats})
        program = dict_of({"storage used": tensor(storage("0", "FloatStorage", 2, NONE), 0, (), ()), "x": program})
        return write_legacy(tmp_path / "x.pth", program, {"0": (2, two_floats)})

    yield write_program
    assert not Path(CANARY).exists(), "a hostile file ran its code"


@pytest.fixture
def floats(request: pytest.FixtureRequest) -> bytes:
    """A persistent id of the storage "0" in the format of `write`."""
    in_zip = request.node.callspec.params["write"] == "zip"
    return storage("0", "FloatStorage", 2) if in_zip else storage("0", "FloatStorage", 2, NONE)


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[object, ...]]:
        return self.function, self.arguments


def body_of(hostile: object, protocol: int) -> bytes:
    """The pickle of an object, without its last opcode, to stand inside another program."""
    return pickle.dumps(hostile, protocol)[:-1]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("hostile", "name"),
    [
        (Calls(os.system, f"touch {CANARY}"), r"'posix\.system'"),
        (Calls(eval, f"open({CANARY!r}, 'w')"), r"'(builtins|__builtin__)\.eval'"),
        (Calls(exec, f"open({CANARY!r}, 'w')"), r"'(builtins|__builtin__)\.exec'"),
        (Calls(open, CANARY, "w"), r"'_?io\.open'"),
        (Calls(getattr, os, "system"), None),
        (Calls(np.load, "x.npy"), r"'numpy\.load'"),
        (Calls(bytearray, 10**12), r"'(builtins|__builtin__)\.bytearray'"),
        (np.arange(3), r"'numpy\._core\.(multiarray|numeric)\."),
    ],
)
def test_real_pickles_of_code(write: Any, hostile: Any, name: str | None, protocol: int) -> None:
    if name is None:  # a module cannot be pickled: name it by hand
        program = call("builtins", "getattr", named("os", "path"), text("system"))
        name = r"'builtins\.getattr'"
    else:
        program = body_of(hostile, protocol)
    with pytest.raises(CheckpointError, match=rf"x\.pth: refuses to load: it asks to run {name}"):
        read_torch(write(program))


def stack_global(module: bytes, name: bytes) -> bytes:
    return module + name + b"\x93"


TOUCH = tuple_of(text(f"touch {CANARY}"))


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (
            stack_global(text("torch.serialization"), text("os.system")) + TOUCH + b"R",
            r"'torch\.serialization\.os\.system'",
        ),
        (stack_global(text("torch"), text("_utils._rebuild_tensor_v2")) + TOUCH + b"R", r"'torch\._utils\._rebuild"),
        (stack_global(text("os"), text("system")), r"'os\.system'"),
        (stack_global(text("os"), b"q\x00" + text("system")), "stack empty|corrupt|asks to run"),
        (stack_global(text("os"), call("_codecs", "encode", text("system"), text("latin1"))), "computes the name"),
        (stack_global(list_of(text("os")), text("system")), "computes the name"),
        (stack_global(named("torch", "float32"), text("system")), "computes the name"),
        (named("os\nsystem x", "y"), "refuses to load"),
        # pickletools undoes escapes in names and pickle does not: the scan reads an allowed name, the machine another
        (named("collection\\x73", "OrderedDict"), r"asks to run 'collection\\\\x73\.OrderedDict'"),
        (b"(" + text("ls") + b"ios\nsystem\n", "INST"),
        (b"(" + named("collections", "OrderedDict") + b"o", "OBJ"),
        (named("collections", "OrderedDict") + b")\x81", "NEWOBJ"),
        (named("collections", "OrderedDict") + b")}\x92", "NEWOBJ_EX"),
        (b"\x82\x01", "EXT1"),
        (b"\x83\x01\x00", "EXT2"),
        (b"\x84\x01\x00\x00\x00", "EXT4"),
        (b"Pstorage\n", "PERSID"),
        (b"\x97", "NEXT_BUFFER"),
        (b"\x96" + struct.pack("<Q", 1) + b"x", "BYTEARRAY8"),
        (text("system") + TOUCH + b"R", "asks to call the string 'system'"),
        (ordered_dict() + TOUCH + b"R", r"asks to call what 'collections\.OrderedDict' returned"),
        (named("torch", "float32") + TOUCH + b"R", r"asks to call 'torch\.float32'"),
        (named("torch", "FloatStorage") + TOUCH + b"R", r"asks to call 'torch\.FloatStorage'"),
        # BUILD, which sets attributes, on anything but an OrderedDict
        (named("torch", "Size") + dict_of({"__doc__": text("x")}) + b"b", r"BUILD\) of 'torch\.Size'"),
        (named("collections", "OrderedDict") + dict_of({"x": text("x")}) + b"b", r"BUILD\) of 'collections"),
        (named("torch", "FloatStorage") + dict_of({"x": text("x")}) + b"b", r"BUILD\) of 'torch\.FloatStorage'"),
        (call("torch", "Size") + dict_of({"x": text("x")}) + b"b", r"BUILD\) of what 'torch\.Size' returned"),
        (dict_of({}) + dict_of({"__class__": text("x")}) + b"b", r"BUILD\) of a container"),
        # functions of the list, with arguments that torch never gives
        (call("_codecs", "encode", text("x"), text("zlib")), "only run on text to latin1"),
        (call("_codecs", "encode", text("重"), text("latin1")), "corrupt bytes"),
        (call("__builtin__", "bytes", integer(10**12)), "corrupt pickle"),
        (call("__builtin__", "set", integer(3)), "set must be made of a list or tuple"),
        (call("torch", "Size", tuple_of(text("x"))), r"torch\.Size must be made of integers"),
        (call("torch", "device", integer(3)), r"torch\.device"),
        (call("collections", "OrderedDict", integer(3)), "OrderedDict must be made of a list"),
        (call("collections", "OrderedDict", list_of(integer(3))), "made of pairs"),
        # things that are neither arrays nor plain values
        (named("torch", "Size"), "bare method"),
        (named("torch", "FloatStorage"), "bare StorageType"),
        (list_of(tuple_of(dict_of({"x": named("_codecs", "encode")}))), "bare method"),
        (b"\x8f(" + integer(1) + b"\x90" + named("torch", "FloatStorage") + b"\x86", "bare StorageType"),
    ],
)
def test_pickles_written_to_deceive(write: Any, program: bytes, message: str) -> None:
    with pytest.raises(CheckpointError, match=rf"x\.pth: .*({message})"):
        read_torch(write(program))


def test_attributes_of_an_ordered_dict_are_dropped(write: Any) -> None:
    """Else an attribute called `items` would hide the method."""
    state = tuple_of(dict_of({"items": text("x")}), dict_of({"keys": text("y")}))
    loaded = read_torch(write(ordered_dict() + state + b"b"))
    mapping = loaded.get("x", loaded)
    assert list(mapping.items()) == []
    assert list(mapping.keys()) == []


def test_the_second_wall_stands_without_the_first() -> None:
    """The unpickler itself, on a program that was not scanned."""
    names = allowed_names(MemoryBudget(0))
    for module, name in (("os", "system"), ("builtins", "eval"), ("torch.serialization", "os.system")):
        program = pickled(stack_global(text(module), text(name)) + TOUCH + b"R").replace(b"\x80\x02", b"\x80\x04", 1)
        with pytest.raises(CheckpointError, match=f"asks to run '{module}.{name}'"):
            RestrictedUnpickler(program, names, lambda saved_id: None).load()  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize(
    "saved_id",
    [
        text("storage"),
        integer(3),
        tuple_of(),
        tuple_of(text("module"), text("Net"), NONE, NONE),
        tuple_of(text("storage"), text("FloatStorage"), text("0"), text("cpu"), integer(2)),
        tuple_of(text("storage"), text("FloatStorage"), text("0"), text("cpu"), integer(2), NONE),
        tuple_of(text("storage"), named("torch", "FloatStorage"), list_of(), text("cpu"), integer(2)),
        tuple_of(text("storage"), named("torch", "FloatStorage"), list_of(), text("cpu"), integer(2), NONE),
    ],
)
def test_persistent_ids_of_a_wrong_form(write: Any, saved_id: bytes) -> None:
    with pytest.raises(CheckpointError, match=r"persistent id|must have a type|key of a storage"):
        read_torch(write(saved_id + b"Q"))


@pytest.mark.parametrize("n_elements", [-1, 0, 1, 3, 2**40, 2**62, 2**63, 2**64, 10**100])
def test_storages_of_a_wrong_size(tmp_path: Path, n_elements: int) -> None:
    path = tmp_path / "x.pth"
    write_zip(path, tensor(storage("0", "FloatStorage", n_elements), 0, (), ()), {"0": bytes(8)})
    with pytest.raises(CheckpointError, match="storage '0'"):
        read_torch(path)
    for stated in (2, min(n_elements, 2**63 - 1)):  # next to the bytes, the count may agree with the lie
        program = tensor(storage("0", "FloatStorage", n_elements, NONE), 0, (), ())
        write_legacy(path, program, {"0": (stated, bytes(8))})
        with pytest.raises(CheckpointError, match=r"storage '0'|after its last storage|'0' lacks"):
            read_torch(path)


@pytest.mark.parametrize(
    ("offset", "size", "stride", "message"),
    [
        (2, (), (), "reaches element 2 of a storage of 2"),
        (0, (3,), (1,), "reaches element 2"),
        (0, (2,), (2,), "reaches element 2"),
        (0, (2, 2), (1, 1), "reaches element 2"),
        (0, (2**62, 2**62), (2**62, 1), "reaches element"),
        (-1, (1,), (1,), "impossible"),
        (0, (-1,), (1,), "impossible"),
        (1, (2,), (-1,), "impossible"),
        (0, (2**63,), (0,), "impossible"),
        (0, (2**62,), (0,), "bytes of memory"),
        (0, (2**20, 2**20), (0, 0), "bytes of memory"),
        (0, (0, 2**62, 2**62), (1, 1, 1), "sizes that NumPy cannot hold"),
        (0, (1,) * 65, (1,) * 65, "65 dimensions"),
        (0, (1, 1), (1,), "as many sizes as strides"),
    ],
)
def test_tensors_outside_their_storage(
    write: Any, floats: bytes, offset: int, size: tuple[int, ...], stride: tuple[int, ...], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_torch(write(tensor(floats, offset, size, stride)))


@pytest.mark.parametrize(
    "arguments",
    [
        lambda s: (s, integer(0), list_of(), tuple_of(), FALSE, ordered_dict()),
        lambda s: (s, TRUE, tuple_of(), tuple_of(), FALSE, ordered_dict()),
        lambda s: (s, integer(0), tuple_of(text("x")), tuple_of(integer(1)), FALSE, ordered_dict()),
        lambda s: (s, integer(0), tuple_of(), tuple_of(), FALSE, dict_of({"hook": integer(1)})),
        lambda s: (s, integer(0), tuple_of(), tuple_of(), FALSE, ordered_dict(), dict_of({"zero": TRUE})),
        lambda s: (s, integer(0), tuple_of(), tuple_of(), FALSE, ordered_dict(), integer(1)),
        lambda s: (s,),
        lambda s: (),
        lambda s: (integer(1), integer(0), tuple_of(), tuple_of(), FALSE, ordered_dict()),
    ],
)
def test_tensors_of_wrong_arguments(tmp_path: Path, arguments: Any) -> None:
    program = call("torch._utils", "_rebuild_tensor_v2", *arguments(storage("0", "FloatStorage", 2)))
    with pytest.raises(CheckpointError, match=r"x\.pth: "):
        read_torch(write_zip(tmp_path / "x.pth", program, {"0": bytes(8)}))


# The text is kept in the memo and dropped from the stack; then each element of a list is a copy of it.
A_MEGABYTE_ENCODED_500_TIMES = (
    text("x" * 2**20) + b"q\x010" + list_of(*[named("_codecs", "encode") + b"h\x01" + text("latin1") + b"\x86R"] * 500)
)


def nested_tuples(depth: int, *, doubled: bool) -> bytes:
    """`t = (t, t)`, or `t = (t,)`, again and again."""
    return integer(1) + (b"2\x86" if doubled else b"\x85") * depth


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"}" + nested_tuples(100, doubled=True) + integer(1) + b"s", "key or set member"),
        (b"}" + nested_tuples(500_000, doubled=False) + integer(1) + b"s", "key or set member"),
        (b"}(" + nested_tuples(100, doubled=True) + integer(1) + b"u", "key or set member"),
        (b"(" + nested_tuples(100, doubled=True) + integer(1) + b"d", "key or set member"),
        (b"\x8f(" + nested_tuples(100, doubled=True) + b"\x90", "key or set member"),
        (b"(" + nested_tuples(100, doubled=True) + b"\x91", "key or set member"),
        (call("__builtin__", "set", list_of(nested_tuples(100, doubled=True))), "key or set member"),
        (
            call("collections", "OrderedDict", list_of(tuple_of(nested_tuples(100, doubled=True), NONE))),
            "key or set member",
        ),
        (NONE + b"r" + struct.pack("<I", 2**32 - 1), "memo index 4294967295"),
        (NONE + b"p4294967295\n", "memo index 4294967295"),
        (b"p-1\n", "memo index -1|stack empty"),
        (b"\x8e" + struct.pack("<Q", 2**62) + b"x", "truncated"),
        (b"\x8e" + struct.pack("<Q", 2**64 - 1) + b"x", "truncated"),
        (b"\x8b" + struct.pack("<i", -5), "corrupt"),
        (b"\x95" + struct.pack("<Q", 2**62) + NONE, "corrupt"),
        (b"I" + b"9" * 10_000 + b"\n", "corrupt"),
        (A_MEGABYTE_ENCODED_500_TIMES, "bytes of memory"),
    ],
)
def test_bombs(write: Any, program: bytes, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_torch(write(program))


@pytest.mark.parametrize("depth", [1000, 500_000])
def test_deep_nesting_does_no_harm_where_nothing_is_hashed(write: Any, depth: int) -> None:
    loaded = read_torch(write(nested_tuples(depth, doubled=False)))
    value = loaded["x"] if isinstance(loaded, dict) else loaded
    for _ in range(depth):
        (value,) = value
    assert value == 1


@pytest.mark.parametrize("program", [nested_tuples(100, doubled=True), b"]q\x00h\x00a", b"]q\x00h\x00\x85a"])
def test_shared_and_cyclic_containers_are_walked_once(write: Any, program: bytes) -> None:
    worker = threading.Thread(target=read_torch, args=(write(program),), daemon=True)
    worker.start()
    worker.join(timeout=20)
    assert not worker.is_alive()


def write_members(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


EMPTY_DICT = pickled(b"}")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "0 members called NAME/data.pkl"),
        ({"data.pkl": EMPTY_DICT}, "0 members called"),
        ({"a/b/data.pkl": EMPTY_DICT}, "0 members called"),
        ({"a/data.pkl": EMPTY_DICT, "b/data.pkl": EMPTY_DICT}, "2 members called"),
        ({"a/data.pkl": EMPTY_DICT}, "member 'a/version' is missing"),
        ({"a/data.pkl": EMPTY_DICT, "a/version": b"11"}, "format version"),
        ({"a/data.pkl": EMPTY_DICT, "a/version": b"three"}, "format version"),
        ({"a/data.pkl": EMPTY_DICT, "a/version": b"9" * 5000}, "format version"),
        ({"a/data.pkl": EMPTY_DICT, "a/version": b"3", "a/byteorder": b"middle"}, "byte order"),
        ({"a/data.pkl": EMPTY_DICT, "a/version": b"3", "a/constants.pkl": b""}, "TorchScript"),
        ({"a/data.pkl": b"", "a/version": b"3"}, "corrupt or truncated pickle"),
        ({"a/data.pkl": b"\x80\x7f}.", "a/version": b"3"}, "corrupt pickle"),
        ({"a/data.pkl": b"\x80\x02.", "a/version": b"3"}, "corrupt pickle"),
        ({"x.npy": b""}, "not a torch checkpoint"),
    ],
)
def test_zip_archives_that_are_no_checkpoints(tmp_path: Path, members: dict[str, bytes], message: str) -> None:
    path = write_members(tmp_path / "x.pth", members)
    if not members:
        path.write_bytes(b"PK\x03\x04" + path.read_bytes())  # an archive without members begins otherwise
    with pytest.raises(CheckpointError, match=message):
        read_torch(path)


def test_compressed_members_and_lies_about_sizes(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    program = tensor(storage("0", "FloatStorage", 2**20), 0, (2**20,), (1,))
    write_zip(path, program, {"0": bytes(2**22)}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="compressed"):
        read_torch(path)
    write_zip(path, b"}", {})
    content = path.read_bytes()
    directory_entry = content.index(b"PK\x01\x02")
    for sizes, message in (
        (struct.pack("<II", 2**31, 2**31), "claim"),  # compressed, uncompressed
        (struct.pack("<II", 4, 2**31), "outside"),
    ):
        path.write_bytes(content[: directory_entry + 20] + sizes + content[directory_entry + 28 :])
        with pytest.raises(CheckpointError, match=message):
            read_torch(path)


def test_storages_that_are_missing(tmp_path: Path) -> None:
    program = tensor(storage("../../etc/passwd", "FloatStorage", 2), 0, (2,), (1,))
    with pytest.raises(CheckpointError, match=r"member 'archive/data/\.\./\.\./etc/passwd' is missing"):
        read_torch(write_zip(tmp_path / "x.pth", program, {}))
    program = tensor(storage("0", "FloatStorage", 2, NONE), 0, (2,), (1,))
    for storages in ({}, {"1": (2, bytes(8))}, {"0": (2, bytes(8)), "1": (2, bytes(8))}):
        with pytest.raises(CheckpointError, match="list of storage keys"):
            read_torch(write_legacy(tmp_path / "x.pth", program, storages))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "not a torch checkpoint"),
        (b"just some text", "not a torch checkpoint"),
        (b"cos\nsystem\n(S'ls'\ntR.", "not a torch checkpoint"),
        (pickle.dumps({"w": 1}), "not a torch checkpoint"),
        (pickled(integer(MAGIC_NUMBER)), "corrupt or truncated pickle"),
        (pickled(integer(MAGIC_NUMBER)) + pickled(integer(1002)), "protocol version must be 1001, and is 1002"),
        (pickled(integer(MAGIC_NUMBER)) + pickled(integer(1001)) + pickled(NONE), "system information"),
        (
            pickled(integer(MAGIC_NUMBER)) + pickled(integer(2 ** (8 * 250))),
            "protocol version must be 1001, and is a huge",
        ),
        (pickled(integer(MAGIC_NUMBER)) + pickled(b"]" * 100_000 + b"a" * 99_999), "and is a list"),
        (pickled(call("os", "system", text("ls"))), r"asks to run 'os\.system'"),
        (b"PK\x03\x04", "not a valid zip archive"),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"x\.pth: .*{message}"):
        read_torch(path)


def test_error_messages_are_short_whatever_the_file_says(tmp_path: Path) -> None:
    huge = b"\x8b" + struct.pack("<i", 10_000) + b"\x7f" * 10_000  # an integer of 24 thousand digits
    programs = [
        dict_of({"x" * 10**6: integer(1)}),
        b"}" + huge + NONE + b"s",
        named("a" * 10**6, "\x1b[31mred"),
        b"\x96" + struct.pack("<Q", 10**6) + bytes(10**6),
        tuple_of(huge, list_of(), text("x" * 10**6)) + b"Q",
        tensor(storage("0", "FloatStorage", 2), 2**2000, (), ()),
        text("x" * 10**6) + b")R",
    ]
    for program in programs:
        path = write_zip(tmp_path / "x.pth", program, {"0": bytes(8)})
        with pytest.raises(CheckpointError) as caught:
            read_torch_state_dict(path)
        message = str(caught.value).removeprefix(str(path))
        assert len(message) < 600
        assert message.isprintable()


def test_tar_missing_and_directory(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.pth", "w") as archive:
        archive.add(__file__, "storages")
    with pytest.raises(CheckpointError, match="tar archive, as torch before"):
        read_torch(tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="No such file"):
        read_torch(tmp_path / "missing.pth")
    with pytest.raises(CheckpointError, match="directory"):
        read_torch_state_dict(tmp_path)


def small_file(path: Path, file_format: str) -> bytes:
    """A file with two tensors of two storages, one a view, in an OrderedDict with metadata."""
    view = () if file_format == "zip" else (NONE,)
    entries = (
        text("w") + tensor(storage("0", "FloatStorage", 4, *view), 1, (3,), (1,))
        + text("n") + tensor(storage("1", "LongStorage", 1, *view), 0, (), ())
    )  # fmt: skip
    program = ordered_dict() + b"(" + entries + b"u" + dict_of({"_metadata": integer(1)}) + b"b"
    floats, count = struct.pack("<4f", 0, 1, 2, 3), struct.pack("<q", 7)
    if file_format == "zip":
        write_zip(path, program, {"0": floats, "1": count})
    else:
        write_legacy(path, program, {"0": (4, floats), "1": (1, count)})
    return path.read_bytes()


def read_or_refuse(path: Path) -> dict[str, Any] | None:
    """The arrays as lists, or None where they are refused; anything else fails the test."""
    try:
        return {name: array.tolist() for name, array in read_torch_state_dict(path).items()}
    except CheckpointError:
        return None


@pytest.mark.parametrize("file_format", ["zip", "legacy"])
def test_truncation_at_every_byte(tmp_path: Path, file_format: str) -> None:
    path = tmp_path / "x.pth"
    content = small_file(path, file_format)
    assert read_or_refuse(path) == {"w": [1, 2, 3], "n": 7}
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert read_or_refuse(path) is None, f"cut to {length} of {len(content)} bytes"


@pytest.mark.parametrize("file_format", ["zip", "legacy"])
@pytest.mark.parametrize("seed", range(4))
def test_flipped_bytes(tmp_path: Path, file_format: str, seed: int) -> None:
    path = tmp_path / "x.pth"
    n_refused = 0
    for content in one_byte_changed(small_file(path, file_format), n=200, seed=seed):
        path.write_bytes(content)
        n_refused += read_or_refuse(path) is None
    assert n_refused > 100


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bytes_in_the_pickle_behind_a_valid_checksum(tmp_path: Path, seed: int) -> None:
    """A zip archive's checksums hide most damage from the pickle machine; here they are made to agree with it."""
    path = tmp_path / "x.pth"
    program = ordered_dict() + b"(" + text("w") + tensor(storage("0", "FloatStorage", 4), 1, (3,), (1,)) + b"u"
    for changed in one_byte_changed(program, n=200, seed=seed):
        write_zip(path, changed, {"0": bytes(16)})
        read_or_refuse(path)


@pytest.mark.oracle
def test_module_with_hostile_code_written_by_torch(write: Any, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch, which writes the files to read, is not installed")
    for new_format in (True, False):
        hostile = {"w": torch.ones(2), "x": Calls(os.system, f"touch {CANARY}")}
        torch.save(hostile, tmp_path / "evil.pth", _use_new_zipfile_serialization=new_format)
        with pytest.raises(CheckpointError, match=r"evil\.pth: refuses to load: it asks to run 'posix\.system'"):
            read_torch(tmp_path / "evil.pth")
