"""Read what `torch.save` wrote, without torch and without trusting the file.

Three formats have existed. The zip format (`torch_zip`) and the legacy one before it (`torch_legacy`) are read; the
tar format of torch before 0.2 is recognised and refused.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refdet.nn.checkpoint.errors import CheckpointError, described, errors_name_file
from refdet.nn.checkpoint.torch_legacy import looks_legacy, read_legacy
from refdet.nn.checkpoint.torch_zip import ZIP_MAGIC, read_zip

TAR_MAGIC = b"ustar"
TAR_MAGIC_OFFSET = 257  # POSIX.1-1988, the header of the first member

STATE_DICT_KEYS = ("state_dict", "model", "model_state_dict", "net", "weights")


def read_torch(path: str | os.PathLike[str]) -> Any:
    """Read a `.pth` or `.pt` checkpoint; every tensor becomes an array.

    Returns what was saved, usually a dict, made of dict (also for OrderedDict, whose attributes such as `_metadata`
    are dropped), list, tuple (also for torch.Size), set, frozenset, int, float, bool, str (also for torch.dtype and
    torch.device, as "torch.float32" and "cuda:0"), bytes, None, and arrays. A Parameter becomes its array. bfloat16
    becomes float32, exactly. Arrays are independent copies, in native byte order and C-contiguous.

    Raises `CheckpointError` for everything else: other objects, code, quantised or sparse tensors, damaged files,
    and files that do not exist.
    """
    path = Path(path)
    with errors_name_file(path):
        with path.open("rb") as file:
            beginning = file.read(TAR_MAGIC_OFFSET + len(TAR_MAGIC))
        if beginning.startswith(ZIP_MAGIC):
            return read_zip(path)
        if looks_legacy(beginning):
            return read_legacy(path)
        if beginning[TAR_MAGIC_OFFSET:] == TAR_MAGIC:
            raise CheckpointError(
                "a tar archive, as torch before 0.2 wrote it, is not read; "
                "load it with torch and save it again with torch.save"
            )
        came = f"begins with {beginning[:8]!r}" if beginning else "is empty"
        raise CheckpointError(f"not a torch checkpoint: expected a zip archive or torch's legacy format; it {came}")


def read_torch_state_dict(path: str | os.PathLike[str], *, strip_prefix: str = "") -> dict[str, NDArray[Any]]:
    """Read the mapping of names to arrays in a `.pth` or `.pt` checkpoint, in the order saved.

    It is the saved object itself, if all its values are arrays, else the value of the one key among "state_dict",
    "model", "model_state_dict", "net" and "weights" that is such a mapping. With `strip_prefix="module."` (what
    DataParallel adds), every name must begin so, and is returned without.
    """
    loaded = read_torch(path)
    with errors_name_file(Path(path)):
        return _without_prefix(_find_state_dict(loaded), strip_prefix)


def _find_state_dict(loaded: object) -> dict[str, NDArray[Any]]:
    """The mapping of names to arrays, wherever it customarily stands."""
    if not isinstance(loaded, dict):
        raise CheckpointError(f"expected a mapping of names to arrays, and it holds a {type(loaded).__name__}")
    if _is_state_dict(loaded):
        return dict(loaded)
    found = [key for key in STATE_DICT_KEYS if _is_state_dict(loaded.get(key))]
    if len(found) == 1:
        return dict(loaded[found[0]])
    if found:
        raise CheckpointError(f"it holds several state dicts, under {found}; choose one from read_torch(path)")
    keys = ", ".join(described(key) for key in list(loaded)[:20]) + (", ..." if len(loaded) > 20 else "")
    raise CheckpointError(
        f"expected a mapping of names to arrays, itself or under one of {list(STATE_DICT_KEYS)}; its keys are: {keys}"
    )


def _is_state_dict(candidate: object) -> bool:
    return isinstance(candidate, dict) and all(
        isinstance(name, str) and isinstance(array, np.ndarray) for name, array in candidate.items()
    )


def _without_prefix(state_dict: dict[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    for name in state_dict:
        if not name.startswith(prefix):
            raise CheckpointError(f"cannot strip the prefix {prefix!r}: the name {name!r} does not begin so")
    return {name.removeprefix(prefix): array for name, array in state_dict.items()}
