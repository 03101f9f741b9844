"""The npz format: a zip archive of `.npy` members, one per array, written so that equal content gives equal bytes.

Source: NumPy Enhancement Proposal 1, "A Simple File Format for NumPy Arrays". `numpy.savez` stamps each member
with the time of writing; here every member is stored uncompressed with the zip epoch as its time. The name of an
array is the member's name less `.npy`; dots, slashes and any Unicode but NUL survive. The metadata is JSON in
UTF-8, as the uint8 array `__metadata__`. `numpy.load` reads these files.

Reading never reaches NumPy's unpickler: only the header of a member is parsed by NumPy, its size is compared with
the bytes that are there, and those bytes are viewed.
"""

import io
import math
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from refdet.nn.checkpoint.elements import STORED_TYPES, ByteOrder, decode, stored_dtype
from refdet.nn.checkpoint.errors import CheckpointError
from refdet.nn.checkpoint.zip_members import ZipMembers

METADATA_NAME = "__metadata__"
SUFFIX = ".npy"
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip archive can state
UNIX_SYSTEM = 3  # "version made by" in the zip specification, 4.4.2.2; left alone, it varies with the machine


def write(file: BinaryIO, arrays: dict[str, NDArray[Any]], metadata_text: str | None) -> None:
    """Write arrays that are already little-endian and C-contiguous."""
    members = dict(arrays)
    if metadata_text is not None:
        members[METADATA_NAME] = np.frombuffer(metadata_text.encode(), np.uint8)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in members.items():
            member = zipfile.ZipInfo(name + SUFFIX, ZIP_EPOCH)
            member.create_system = UNIX_SYSTEM
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            archive.writestr(member, content.getvalue())


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read every array of a file but the metadata."""
    with path.open("rb") as file:
        members = ZipMembers(file)
        names = [_array_name(member_name) for member_name in members.names]
        return {name: _read_member(members, name) for name in names if name != METADATA_NAME}


def read_metadata_text(path: Path) -> str | None:
    """Read the JSON document stored beside the arrays, if any."""
    with path.open("rb") as file:
        members = ZipMembers(file)
        if METADATA_NAME + SUFFIX not in members.names:
            return None
        encoded = _read_member(members, METADATA_NAME)
    if encoded.dtype != np.uint8 or encoded.ndim != 1:
        raise CheckpointError(f"its metadata must be a uint8 vector, and is {encoded.dtype} of shape {encoded.shape}")
    try:
        return encoded.tobytes().decode()
    except UnicodeDecodeError as error:
        raise CheckpointError(f"its metadata is not UTF-8: {error}") from error


def _array_name(member_name: str) -> str:
    if not member_name.endswith(SUFFIX):
        raise CheckpointError(f"not a valid npz file: its member {member_name!r} is not a {SUFFIX} file")
    return member_name.removesuffix(SUFFIX)


def _read_member(members: ZipMembers, name: str) -> NDArray[Any]:
    """One array of the archive."""
    content = members.read(name + SUFFIX)
    shape, fortran_order, dtype, n_header_bytes = _read_header(name, content)
    if dtype.name not in STORED_TYPES or dtype.subdtype is not None:
        raise CheckpointError(f"array {name!r} has dtype {dtype}, which this format refuses")
    n_bytes_expected = math.prod(shape) * dtype.itemsize
    n_bytes = len(content) - n_header_bytes
    if n_bytes != n_bytes_expected:
        raise CheckpointError(
            f"array {name!r} of shape {shape} and dtype {dtype} needs {n_bytes_expected} bytes and has {n_bytes}"
        )
    byte_order: ByteOrder = "big" if dtype.str.startswith(">") else "little"
    stored = np.frombuffer(content, stored_dtype(dtype.name, byte_order), offset=n_header_bytes)
    try:
        stored = stored.reshape(shape, order="F" if fortran_order else "C")
    except ValueError as error:  # negative sizes, too many dimensions, or sizes that overflow beside a zero
        raise CheckpointError(f"array {name!r} has a shape that NumPy cannot hold: {error}") from error
    return decode(stored, dtype.name)


def _read_header(name: str, content: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, Fortran order, dtype and length of the header of a `.npy` member."""
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, fortran_order, dtype = np.lib.format.read_array_header_2_0(file)
        else:
            raise CheckpointError(f"array {name!r} is in version {version} of the .npy format; known: (1, 0), (2, 0)")
    except CheckpointError:
        raise
    except Exception as error:  # the header is a Python literal: its parser raises whatever the text provokes
        raise CheckpointError(f"array {name!r} has an invalid .npy header: {error}") from error
    return shape, fortran_order, dtype, file.tell()
