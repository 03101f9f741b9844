"""The file of an experiment's results: its settings, what the claims came to, and a record for every seed.

    {"format": …, "settings": {…}, "claims": […], "seeds": {"0": {…}, "1": {…}}}

It is replaced as a whole or not at all. A file of other settings is left alone: results are never mixed. A setting that
the file does not name has its default (`refdet.detection.model_settings`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from refdet.detection.model_settings import plain_settings, settings_from_plain
from refdet.nn.checkpoint.atomic_file import write_bytes_atomically

Records = dict[str, Any]  # seed, a string as JSON has it → what came of it


class OtherExperimentError(ValueError):
    """A file of results that belongs to other settings, or is none."""


def read_results(path: Path, *, format_name: str, settings: Any, holds: str) -> Records:
    """Return the records of the seeds in a file, none if there is no file; refuse those of other settings.

    Args:
        path: of the file.
        format_name: that it must have.
        settings: a dataclass, all numbers of the experiment.
        holds: the dictionary that every record has.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        fitting = content["format"] == format_name
        records: Records = content["seeds"]
        are_records = all(int(seed) >= 0 and isinstance(record[holds], dict) for seed, record in records.items())
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise OtherExperimentError(f"{path} does not hold results of this experiment ({error})") from None
    try:
        same = fitting and settings_from_plain(type(settings), content["settings"]) == settings
    except (ValueError, TypeError, KeyError):
        same = False  # it lacks some, or has some that are not, or no longer, of this experiment
    if not are_records:
        raise OtherExperimentError(f"{path} does not hold results of this experiment (a seed has no record)")
    if not same:
        raise OtherExperimentError(f"{path} holds results of other settings; name another folder")
    return records


def write_results(
    path: Path, records: Records, *, format_name: str, settings: Any, claims: Sequence[Mapping[str, Any]]
) -> None:
    """Write a file that `read_results` reads; numbers of claims that are not finite are left blank."""
    content = {
        "format": format_name,
        "settings": plain_settings(settings),
        "claims": [{name: _or_blank(value) for name, value in claim.items()} for claim in claims],
        "seeds": {seed: records[seed] for seed in sorted(records, key=int)},
    }
    write_bytes_atomically(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def _or_blank(value: Any) -> Any:
    is_infinite = isinstance(value, float) and not math.isfinite(value)
    return None if is_infinite else value  # one seed has no interval, and JSON no infinity
