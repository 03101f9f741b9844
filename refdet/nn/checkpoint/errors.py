"""The one exception of this package, the place that puts the file's name in it, and how it shows what came.

Reading walks through several layers (a zip archive, a pickle, a storage, a tensor). Each layer raises
`CheckpointError` with what it expected and what came; the public function adds, once, which file it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_SHOWN = 80  # characters of a file's own text in an error message
LONGEST_MESSAGE = 2000  # characters of a message; those of zipfile and pickletools may quote at length


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or written, told in one sentence."""


@contextmanager
def errors_name_file(path: Path) -> Iterator[None]:
    """Prefix errors with the file's name, and turn those of the machine into ours."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {str(error)[:LONGEST_MESSAGE]}") from error.__cause__
    except OSError as error:  # missing, a directory, no permission, disk full
        raise CheckpointError(f"{path}: {error.strerror or error}") from error
    except MemoryError as error:
        raise CheckpointError(f"{path}: needs more memory than this machine gives") from error


def described(value: object) -> str:
    """Show a value from a file in an error message: short, on one line, whatever it is.

    `repr` would not do: it recurses into containers, refuses integers of more than 4300 digits, and can be as long
    as the file.

    >>> described("cpu"), described(-1), described([[[]]]), described(10**5000)
    ("'cpu'", '-1', 'a list', 'a huge int')
    """
    if isinstance(value, str | bytes):
        return repr(value[:LONGEST_SHOWN])
    if isinstance(value, int) and abs(value) >= 10**LONGEST_SHOWN:
        return "a huge int"
    if isinstance(value, int | float | None):
        return repr(value)
    return f"a {type(value).__name__}"
