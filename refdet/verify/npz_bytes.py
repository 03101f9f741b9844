"""The npz format, read with suspicion: a zip archive of `.npy` members, stored or deflated as NumPy writes them.

Sizes are added up before anything is unpacked, members are unpacked no further than the size that they state, and the
bytes are viewed under the dtype that the `.npy` header names: NumPy's unpickler is never reached.

Source: NumPy Enhancement Proposal 1, "A Simple File Format for NumPy Arrays".
"""

from __future__ import annotations

import io
import warnings
import zipfile
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.nn.checkpoint.errors import described
from refdet.verify.foreign_text import one_line
from refdet.verify.tensor_elements import ELEMENT_TYPES, TensorFileError, tensor_of

SUFFIX = ".npy"
ENCRYPTED = 0x1  # general purpose bit 0 of PKWARE's APPNOTE, 4.4.4
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def parse_npz(content: bytes, limit: int) -> dict[str, Array]:
    """Return the arrays of a file that unpacks to at most `limit` bytes, in the archive's order."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except Exception as error:  # zipfile lets struct, seek, decoding and its own errors through
        raise TensorFileError(f"it is no zip archive, as npz files are: {error}") from error
    members = archive.infolist()
    n_bytes = sum(member.file_size for member in members)
    if n_bytes > limit:
        raise TensorFileError(f"it unpacks to {n_bytes} bytes; at most {limit} are read")
    arrays: dict[str, Array] = {}
    for member in members:
        name = member.filename.removesuffix(SUFFIX)
        if name == member.filename:
            raise TensorFileError(f"its member {described(name)} is no {SUFFIX} file")
        if name in arrays:
            raise TensorFileError(f"its member {described(member.filename)} comes twice")
        arrays[name] = _array(name, _unpack(archive, member))
    return arrays


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    shown = described(member.filename)
    if member.flag_bits & ENCRYPTED:
        raise TensorFileError(f"its member {shown} is encrypted")
    if member.compress_type not in METHODS:  # the others unpack without a bound
        raise TensorFileError(f"its member {shown} is packed by a method that NumPy does not write")
    try:
        with archive.open(member) as stream:
            return stream.read(member.file_size)
    except Exception as error:  # a wrong checksum, the end of the file, a local header that contradicts the directory
        raise TensorFileError(f"its member {shown} is damaged: {error}") from error


def _array(name: str, content: bytes) -> Array:
    shape, fortran_order, dtype, n_header_bytes = _npy_header(name, content)
    if dtype.hasobject:
        raise TensorFileError(f"array {described(name)} holds Python objects; save it with a numeric dtype")
    if dtype.subdtype is not None or dtype.name not in ELEMENT_TYPES.values():
        raise TensorFileError(
            f"array {described(name)} has the dtype {described(str(dtype))}; save one of "
            f"{', '.join(ELEMENT_TYPES.values())}"
        )
    return tensor_of(name, dtype, shape, memoryview(content)[n_header_bytes:], "F" if fortran_order else "C")


def _npy_header(name: str, content: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, Fortran order, dtype, and the length of the header."""
    file = io.BytesIO(content)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers that Python 2 wrote
            shape, fortran_order, dtype = readers[np.lib.format.read_magic(file)](file)
    except Exception as error:  # the header is a Python literal: its parser raises whatever the text provokes
        raise TensorFileError(
            f"array {described(name)} has no valid {SUFFIX} header: {one_line(str(error))}"
        ) from error
    return shape, fortran_order, dtype, file.tell()
