"""Read a zip archive that nobody vouches for, without trusting what it says of itself.

Both `.npz` and torch's `.pth` are zip archives whose members are stored, not compressed. So a member is exactly as
long in the archive as in memory, and all of them together are no longer than the file: that one comparison rules
out zip bombs and invented sizes before anything is allocated. Nothing is extracted, so names are only looked up.
The checksum of each member is verified (by `zipfile`) when it is read.

Source: PKWARE, APPNOTE.TXT, ".ZIP File Format Specification", sections 4.3 and 4.4.
"""

import os
import zipfile
from typing import BinaryIO

from refdet.nn.checkpoint.errors import CheckpointError, described

ENCRYPTED = 0x1  # general purpose bit 0


class ZipMembers:
    """The members of an open zip archive, by name."""

    def __init__(self, file: BinaryIO) -> None:
        n_file_bytes = os.fstat(file.fileno()).st_size
        try:
            self._archive = zipfile.ZipFile(file)
        except Exception as error:  # zipfile lets struct, seek, decoding and its own errors through
            raise CheckpointError(f"not a valid zip archive: {error}") from error
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in self._archive.infolist():
            if member.filename in self._members:
                raise CheckpointError(f"its member {described(member.filename)} comes twice")
            self._members[member.filename] = member
        n_claimed_bytes = sum(member.compress_size for member in self._members.values())
        if n_claimed_bytes > n_file_bytes:
            raise CheckpointError(
                f"its members claim {n_claimed_bytes} bytes in all, and the whole file has {n_file_bytes}"
            )

    @property
    def names(self) -> list[str]:
        """The names of the members, in the archive's order."""
        return list(self._members)

    def read(self, name: str) -> bytes:
        """Return the content of a member, once its size can be believed."""
        if name not in self._members:
            raise CheckpointError(f"its member {described(name)} is missing")
        member = self._members[name]
        if member.flag_bits & ENCRYPTED:
            raise CheckpointError(f"its member {described(name)} is encrypted")
        if member.compress_type != zipfile.ZIP_STORED:
            raise CheckpointError(f"its member {described(name)} is compressed; only stored members are read")
        if member.file_size != member.compress_size:
            raise CheckpointError(
                f"its member {described(name)} is stored, yet claims {member.compress_size} bytes in the archive and "
                f"{member.file_size} outside"
            )
        try:
            return self._archive.read(member)
        except MemoryError:
            raise
        except Exception as error:  # wrong checksum, end of file, a local header that contradicts the directory
            raise CheckpointError(f"its member {described(name)} is damaged: {error}") from error
