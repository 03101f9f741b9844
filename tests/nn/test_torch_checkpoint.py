"""Torch's two file formats read without torch: by hand-made files, and against torch itself where it is there."""

import struct
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet.nn.checkpoint import CheckpointError, read_torch, read_torch_state_dict
from tests.nn.handmade_torch_files import (
    FALSE,
    NONE,
    TRUE,
    call,
    dict_of,
    integer,
    list_of,
    named,
    ordered_dict,
    storage,
    tensor,
    text,
    tuple_of,
    write_legacy,
    write_zip,
)

SIX_FLOATS = struct.pack("<6f", *range(6))  # 0, 1, 2, 3, 4, 5


@pytest.fixture(params=["zip", "legacy"])
def write_floats(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Write a program that refers to one storage "0" of the floats 0 to 5."""

    def write(program: Any) -> Path:
        if request.param == "zip":
            return write_zip(tmp_path / "x.pth", program(storage("0", "FloatStorage", 6)), {"0": SIX_FLOATS})
        program = program(storage("0", "FloatStorage", 6, NONE))
        return write_legacy(tmp_path / "x.pth", program, {"0": (6, SIX_FLOATS)})

    return write


def test_hand_example(write_floats: Any) -> None:
    path = write_floats(lambda floats: dict_of({"w": tensor(floats, 0, (2, 3), (3, 1))}))
    assert read_torch(path)["w"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert read_torch(path)["w"].dtype == np.float32


@pytest.mark.parametrize(
    ("offset", "size", "stride", "expected"),
    [
        (0, (3, 2), (1, 3), [[0, 3], [1, 4], [2, 5]]),  # transposed
        (3, (3,), (1,), [3, 4, 5]),  # the second row
        (1, (2,), (2,), [1, 3]),  # every other element
        (4, (), (), 4),  # 0-d
        (5, (1, 1), (99, 99), [[5]]),  # strides of sizes 1 are never used
        (2, (2, 3), (0, 0), [[2, 2, 2], [2, 2, 2]]),  # expanded
        (0, (2, 2), (1, 1), [[0, 1], [1, 2]]),  # overlapping
        (0, (0,), (1,), []),
        (6, (2, 0), (1, 1), [[], []]),
    ],
)
def test_views(
    write_floats: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], expected: object
) -> None:
    loaded = read_torch(write_floats(lambda floats: tensor(floats, offset, size, stride)))
    assert loaded.shape == size
    assert loaded.tolist() == expected
    assert loaded.flags.owndata
    assert loaded.flags.writeable
    assert loaded.flags.c_contiguous


def test_arrays_of_one_storage_are_independent(write_floats: Any) -> None:
    loaded = read_torch(write_floats(lambda s: list_of(tensor(s, 0, (6,), (1,)), tensor(s, 0, (3, 2), (1, 3)))))
    loaded[0][:] = 9
    assert loaded[1].tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize(
    ("storage_name", "stored", "expected"),
    [
        ("DoubleStorage", np.array([1.5, -0.0]), np.array([1.5, -0.0])),
        ("HalfStorage", np.array([1.5, -0.0], "f2"), np.array([1.5, -0.0], "f2")),
        ("BFloat16Storage", np.array([0x3FC0, 0x8000], "u2"), np.array([1.5, -0.0], "f4")),
        ("LongStorage", np.array([-1, 2**40]), np.array([-1, 2**40])),
        ("IntStorage", np.array([-1, 2], "i4"), np.array([-1, 2], "i4")),
        ("ShortStorage", np.array([-1, 2], "i2"), np.array([-1, 2], "i2")),
        ("CharStorage", np.array([-1, 2], "i1"), np.array([-1, 2], "i1")),
        ("ByteStorage", np.array([255, 2], "u1"), np.array([255, 2], "u1")),
        ("BoolStorage", np.array([0, 1], "u1"), np.array([False, True])),
        ("ComplexFloatStorage", np.array([1 + 2j, 3], "c8"), np.array([1 + 2j, 3], "c8")),
        ("ComplexDoubleStorage", np.array([1 + 2j, 3]), np.array([1 + 2j, 3])),
    ],
)
def test_types_and_byte_orders(
    tmp_path: Path, storage_name: str, stored: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]
) -> None:
    little = stored.astype(stored.dtype.newbyteorder("<")).tobytes()
    big = stored.astype(stored.dtype.newbyteorder(">")).tobytes()
    in_zip = tensor(storage("7", storage_name, 2), 0, (2,), (1,))
    in_legacy = tensor(storage("7", storage_name, 2, NONE), 0, (2,), (1,))
    files = [
        write_zip(tmp_path / "little.pt", in_zip, {"7": little}),
        write_zip(tmp_path / "big.pt", in_zip, {"7": big}, byte_order="big"),
        write_legacy(tmp_path / "legacy.pt", in_legacy, {"7": (2, little)}),
        # written on a big-endian machine: its storages are little-endian all the same
        write_legacy(tmp_path / "legacy_big.pt", in_legacy, {"7": (2, little)}, little_endian=FALSE),
    ]
    for file in files:
        loaded = read_torch(file)
        assert loaded.dtype == expected.dtype
        assert loaded.tobytes() == expected.tobytes()


def test_plain_values(write_floats: Any) -> None:
    program = dict_of(
        {
            "epoch": integer(3),
            "big": integer(2**70),
            "flags": list_of(TRUE, FALSE, NONE),
            "size": call("torch", "Size", tuple_of(integer(2), integer(3))),
            "dtype": named("torch", "float16"),
            "device": call("torch", "device", text("cuda"), integer(1)),
            "set": call("__builtin__", "set", list_of(integer(1), integer(2))),
            "bytes": call("_codecs", "encode", text("\xffa"), text("latin1")),
            "no bytes": call("__builtin__", "bytes"),
        }
    )
    assert read_torch(write_floats(lambda floats: list_of(program, floats and tensor(floats, 0, (), ()))))[0] == {
        "epoch": 3,
        "big": 2**70,
        "flags": [True, False, None],
        "size": (2, 3),
        "dtype": "torch.float16",
        "device": "cuda:1",
        "set": {1, 2},
        "bytes": b"\xffa",
        "no bytes": b"",
    }


def test_state_dict_with_metadata_and_parameters(write_floats: Any) -> None:
    """`_metadata` is hung on the OrderedDict by BUILD; a Parameter wraps a tensor."""

    def program(floats: bytes) -> bytes:
        parameter = call("torch._utils", "_rebuild_parameter", tensor(floats, 0, (2,), (1,)), TRUE, ordered_dict())
        entries = b"(" + text("b") + parameter + text("a") + tensor(floats, 2, (2,), (1,)) + b"u"
        return ordered_dict() + entries + dict_of({"_metadata": dict_of({"": dict_of({"version": integer(1)})})}) + b"b"

    loaded = read_torch_state_dict(write_floats(program))
    assert list(loaded) == ["b", "a"]
    assert [array.tolist() for array in loaded.values()] == [[0, 1], [2, 3]]
    assert type(loaded) is dict


def test_parameter_with_empty_state_only(write_floats: Any) -> None:
    def program(floats: bytes, state: bytes) -> bytes:
        name = "_rebuild_parameter_with_state"
        return call("torch._utils", name, tensor(floats, 0, (2,), (1,)), TRUE, ordered_dict(), state)

    assert read_torch(write_floats(lambda floats: program(floats, dict_of({})))).tolist() == [0, 1]
    with pytest.raises(CheckpointError, match="_rebuild_parameter_with_state"):
        read_torch(write_floats(lambda floats: program(floats, dict_of({"x": integer(1)}))))


def test_old_rebuild_and_python_2(write_floats: Any) -> None:
    """`_rebuild_tensor` of torch 0.3, byte strings for text, an OrderedDict made of pairs."""

    def program(floats: bytes) -> bytes:
        old_tensor = call(
            "torch._utils", "_rebuild_tensor", floats, integer(1), tuple_of(integer(2)), tuple_of(integer(1))
        )
        return call("collections", "OrderedDict", list_of(list_of(b"U\x01w", old_tensor)))

    assert read_torch_state_dict(write_floats(program))["w"].tolist() == [1, 2]


def test_unsigned_types_in_untyped_storages(tmp_path: Path) -> None:
    untyped = (
        tuple_of(text("storage"), named("torch.storage", "UntypedStorage"), text("0"), text("cpu"), integer(4)) + b"Q"
    )
    view = (untyped, integer(0), tuple_of(integer(2)), tuple_of(integer(1)), FALSE, ordered_dict())
    program = call("torch._utils", "_rebuild_tensor_v3", *view, named("torch", "uint16"))
    loaded = read_torch(write_zip(tmp_path / "x.pt", program, {"0": struct.pack("<2H", 1, 65535)}))
    assert loaded.dtype == np.uint16
    assert loaded.tolist() == [1, 65535]


def test_legacy_storage_views(tmp_path: Path) -> None:
    """Before torch 0.4 a persistent id could point at a part of a storage: (key, offset, number of elements)."""
    view = tuple_of(text("part"), integer(2), integer(3))
    program = tensor(storage("0", "FloatStorage", 6, view), 1, (2,), (1,))
    path = write_legacy(tmp_path / "x.pt", program, {"0": (6, SIX_FLOATS)})
    assert read_torch(path).tolist() == [3, 4]
    outside = tuple_of(text("part"), integer(4), integer(3))
    program = tensor(storage("0", "FloatStorage", 6, outside), 0, (2,), (1,))
    with pytest.raises(CheckpointError, match="reaches byte 28 of 24"):
        read_torch(write_legacy(tmp_path / "x.pt", program, {"0": (6, SIX_FLOATS)}))


def test_where_a_state_dict_is_found(write_floats: Any) -> None:
    def nested(key: str) -> Path:
        state = {key: dict_of({"module.w": tensor_of_two})}
        return write_floats(lambda floats: dict_of({"epoch": integer(3), **state}).replace(HOLE, floats))  # type: ignore[no-any-return]

    HOLE = b"<floats>"
    tensor_of_two = tensor(HOLE, 0, (2,), (1,))
    for key in ("state_dict", "model", "model_state_dict", "net", "weights"):
        path = nested(key)
        assert list(read_torch_state_dict(path)) == ["module.w"]
        assert list(read_torch_state_dict(path, strip_prefix="module.")) == ["w"]
    with pytest.raises(CheckpointError, match=r"its keys are: 'epoch', 'optimizer'$"):
        read_torch_state_dict(nested("optimizer"))
    with pytest.raises(CheckpointError, match=r"the name 'module\.w' does not begin so"):
        read_torch_state_dict(nested("model"), strip_prefix="net.")
    with pytest.raises(CheckpointError, match="holds a list"):
        read_torch_state_dict(write_floats(lambda floats: list_of(tensor(floats, 0, (), ()))))
    both = dict_of({"model": dict_of({"w": tensor_of_two}), "net": dict_of({"w": tensor_of_two})})
    with pytest.raises(CheckpointError, match=r"several state dicts, under \['model', 'net'\]"):
        read_torch_state_dict(write_floats(lambda floats: both.replace(HOLE, floats)))


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="torch, which writes the files to read, is not installed")


def expected_array(value: Any, torch: Any) -> np.ndarray[Any, Any]:
    value = value.detach().resolve_conj().resolve_neg()
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy()  # type: ignore[no-any-return]


@pytest.mark.oracle
@pytest.mark.parametrize("new_format", [True, False])
def test_what_torch_writes(torch: Any, tmp_path: Path, new_format: bool) -> None:
    torch.manual_seed(0)
    base = torch.randn(4, 6)
    tensors = {
        "base": base,
        "transposed": base.t(),
        "row": base[2],
        "columns": base[:, 1::2],
        "expanded": torch.tensor([7.0]).expand(3, 4),
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 3),
        "half": base.half(),
        "bfloat16": torch.randn(3, 4).bfloat16().t(),
        "double": base.double(),
        "bool": base > 0,
        "complex": torch.randn(3, dtype=torch.complex64),
        "conjugated": torch.randn(3, dtype=torch.complex128).conj(),
        "conjugated scalar": torch.tensor(1 + 2j).conj(),
        "negated": torch.randn(3, dtype=torch.complex64).conj().imag,
        "channels last": torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "parameter": torch.nn.Parameter(torch.randn(2, 2)),
        **{
            f"{kind}{n_bits}": torch.arange(3).to(getattr(torch, f"{kind}{n_bits}"))
            for kind in ("int", "uint")
            for n_bits in (8, 16, 32, 64)
        },
    }
    rest = {"size": torch.Size([2, 3]), "dtype": torch.float32, "device": torch.device("cpu"), "list": [1, (2.5, None)]}
    torch.save({"tensors": OrderedDict(tensors), **rest}, tmp_path / "x.pth", _use_new_zipfile_serialization=new_format)
    loaded = read_torch(tmp_path / "x.pth")
    assert list(loaded["tensors"]) == list(tensors)
    for name, value in tensors.items():
        expected = expected_array(value, torch)
        assert loaded["tensors"][name].dtype == expected.dtype, name
        np.testing.assert_array_equal(loaded["tensors"][name], expected, err_msg=name)
    assert {key: loaded[key] for key in rest} == {
        "size": (2, 3),
        "dtype": "torch.float32",
        "device": "cpu",
        "list": [1, (2.5, None)],
    }


def resnet_18_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of torchvision's resnet18, in its order (He et al., CVPR 2016, table 1)."""
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (64, 3, 7, 7), **batch_norm_shapes("bn1", 64)}
    n_in = 64
    for i_layer, n_out in enumerate((64, 128, 256, 512), start=1):
        for i_block in range(2):
            block = f"layer{i_layer}.{i_block}"
            shapes[f"{block}.conv1.weight"] = (n_out, n_in, 3, 3)
            shapes |= batch_norm_shapes(f"{block}.bn1", n_out)
            shapes[f"{block}.conv2.weight"] = (n_out, n_out, 3, 3)
            shapes |= batch_norm_shapes(f"{block}.bn2", n_out)
            if n_in != n_out:
                shapes[f"{block}.downsample.0.weight"] = (n_out, n_in, 1, 1)
                shapes |= batch_norm_shapes(f"{block}.downsample.1", n_out)
            n_in = n_out
    return {**shapes, "fc.weight": (1000, 512), "fc.bias": (1000,)}


def batch_norm_shapes(name: str, n_channels: int) -> dict[str, tuple[int, ...]]:
    vectors = ("weight", "bias", "running_mean", "running_var")
    return {**{f"{name}.{vector}": (n_channels,) for vector in vectors}, f"{name}.num_batches_tracked": ()}


# Reads with torch made impossible to import, and writes what it read as raw bytes.
READ_WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from refdet.nn.checkpoint import read_torch_state_dict, save_tensors
loaded = read_torch_state_dict(sys.argv[1])
save_tensors(sys.argv[2], loaded)
print("\\n".join(loaded))
"""


@pytest.mark.oracle
@pytest.mark.parametrize("new_format", [True, False])
def test_resnet_18_without_torch(torch: Any, tmp_path: Path, new_format: bool) -> None:
    torch.manual_seed(0)
    state_dict = OrderedDict(
        (name, torch.tensor(7) if name.endswith("num_batches_tracked") else torch.randn(shape))
        for name, shape in resnet_18_shapes().items()
    )
    assert len(state_dict) == 122
    n_parameters = sum(value.numel() for name, value in state_dict.items() if "running" not in name)
    assert n_parameters - 20 == 11_689_512  # torchvision's count for resnet18; 20 are num_batches_tracked
    state_dict._metadata = OrderedDict({"": {"version": 1}})  # type: ignore[attr-defined]  # as Module.state_dict does
    path, copy = tmp_path / "resnet18.pth", tmp_path / "copy.npz"
    torch.save(state_dict, path, _use_new_zipfile_serialization=new_format)
    command = [sys.executable, "-c", READ_WITHOUT_TORCH, str(path), str(copy)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    assert printed.split() == list(state_dict)
    with np.load(copy) as loaded:
        for name, value in state_dict.items():
            assert loaded[name].dtype == value.numpy().dtype
            np.testing.assert_array_equal(loaded[name], value.numpy(), err_msg=name)


@pytest.mark.oracle
def test_torch_ignores_the_byte_order_of_the_legacy_system_information(torch: Any, tmp_path: Path) -> None:
    """Why `torch_legacy` does: the same bytes, said to come from a big-endian machine, mean the same."""
    program = tensor(storage("0", "FloatStorage", 6, NONE), 0, (2, 3), (3, 1))
    path = write_legacy(tmp_path / "x.pt", program, {"0": (6, SIX_FLOATS)}, little_endian=FALSE)
    assert torch.load(path, weights_only=True).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert read_torch(path).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.oracle
def test_handmade_files_are_what_torch_reads(torch: Any, tmp_path: Path) -> None:
    """The hand-made files of these tests are checkpoints to torch too."""
    for byte_order, code in (("little", "<"), ("big", ">")):
        content = struct.pack(f"{code}6f", *range(6))
        program = tensor(storage("0", "FloatStorage", 6), 0, (3, 2), (1, 3))
        path = write_zip(tmp_path / f"{byte_order}.pt", program, {"0": content}, byte_order=byte_order)
        assert torch.load(path, weights_only=True).tolist() == read_torch(path).tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")  # torch announces that quantisation and sparse layouts will change
@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda torch: torch.nn.Linear(2, 2), r"'torch\.nn\.modules\.linear\.Linear'.*save the state_dict instead"),
        (lambda torch: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "quantised tensors"),
        (lambda torch: torch.ones(2).to_sparse(), "sparse tensors"),
        (lambda torch: torch.nn.Buffer(torch.ones(2)), "tensor subclasses"),
        (lambda torch: torch.zeros(2, dtype=torch.float8_e4m3fn), "float8_e4m3fn"),
        (lambda torch: torch.ones(2).untyped_storage(), "bare Storage"),
        (lambda torch: torch.empty(2, device="meta"), "meta device"),
        (lambda torch: np.float64(1.5), r"numpy\._core\.multiarray\.scalar"),
    ],
)
def test_what_torch_writes_and_we_refuse(torch: Any, tmp_path: Path, new_format: bool, make: Any, message: str) -> None:
    torch.save({"x": make(torch)}, tmp_path / "x.pth", _use_new_zipfile_serialization=new_format)
    with pytest.raises(CheckpointError, match=message):
        read_torch(tmp_path / "x.pth")


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")  # torch announces the end of TorchScript
def test_torchscript_is_refused(torch: Any, tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="TorchScript"):
        read_torch(tmp_path / "x.pt")
