"""Write torch checkpoints by hand, opcode by opcode, so that the formats are tested where torch is absent.

The functions up to `pickled` return pieces of a pickle program, to be put together; see `pickletools` for the
opcodes. Hostile files are made of the same pieces.
"""

import io
import struct
import zipfile
from pathlib import Path

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
TRUE, FALSE, NONE = b"\x88", b"\x89", b"N"


def text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def integer(value: int) -> bytes:
    encoded = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(encoded)]) + encoded


def tuple_of(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def list_of(*items: bytes) -> bytes:
    return b"](" + b"".join(items) + b"e"


def dict_of(entries: dict[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(name) + value for name, value in entries.items()) + b"u"


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def call(module: str, name: str, *arguments: bytes) -> bytes:
    return named(module, name) + tuple_of(*arguments) + b"R"


def ordered_dict() -> bytes:
    return call("collections", "OrderedDict")


def storage(key: str, storage_name: str, n_elements: int, *view: bytes) -> bytes:
    """A persistent id; the legacy format wants a fifth field, the view or `NONE`."""
    kind = named("torch", storage_name)
    return tuple_of(text("storage"), kind, text(key), text("cpu"), integer(n_elements), *view) + b"Q"


def tensor(storage_id: bytes, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    lengths, steps = (tuple_of(*map(integer, numbers)) for numbers in (size, stride))
    arguments = (storage_id, integer(offset), lengths, steps, FALSE, ordered_dict())
    return call("torch._utils", "_rebuild_tensor_v2", *arguments)


def pickled(program: bytes) -> bytes:
    return b"\x80\x02" + program + b"."


def write_zip(
    path: Path,
    program: bytes,
    storages: dict[str, bytes],
    *,
    byte_order: str = "little",
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """Write a checkpoint in the zip format."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled(program))
        archive.writestr("archive/byteorder", byte_order)
        for key, content in storages.items():
            archive.writestr(f"archive/data/{key}", content)
        archive.writestr("archive/version", "3\n")
    return path


def write_legacy(
    path: Path, program: bytes, storages: dict[str, tuple[int, bytes]], *, little_endian: bytes = TRUE
) -> Path:
    """Write a checkpoint in the legacy format; storages are (number of elements, bytes)."""
    file = io.BytesIO()
    file.write(pickled(integer(MAGIC_NUMBER)))
    file.write(pickled(integer(1001)))
    file.write(pickled(dict_of({"protocol_version": integer(1001), "little_endian": little_endian})))
    file.write(pickled(program))
    file.write(pickled(list_of(*map(text, storages))))
    for n_elements, content in storages.values():
        file.write(struct.pack("<q", n_elements) + content)
    path.write_bytes(file.getvalue())
    return path
