"""The file of an experiment's results: its settings, what the claims came to, and a record for every seed.

    {"format": …, "settings": {…}, "claims": […], "seeds": {"0": {…}, "1": {…}}}

It is replaced as a whole or not at all. A file of other settings is left alone: results are never mixed. A setting that
the file does not name has its default (`refdet.detection.model_settings`).

A record is read as it was written, or the file is refused: `ENTRIES`, `SOME` and `TIMING` say what must be in it.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from refdet.detection.model_settings import plain_settings, settings_from_plain
from refdet.nn.checkpoint.atomic_file import write_bytes_atomically

Records = dict[str, Any]  # seed, a string as JSON has it → what came of it


def _is_number(value: Any) -> bool:
    is_real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_real and abs(value) <= sys.float_info.max


def _is_time(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _are_shares(value: Any) -> bool:
    return isinstance(value, dict) and all(share is None or _is_number(share) for share in value.values())


def _are_times(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_time, value.values()))


Fields = Mapping[str, Callable[[Any], bool]]  # name → whether a value may be its

# What every entry of a record's dictionary has, what some of them have, and what the one of that name has.
ENTRIES: Mapping[str, Fields] = {
    "parts": {"losses": _is_dict},
    "scores": dict.fromkeys(("mean_iu", "pixel_accuracy", "mean_accuracy"), _is_number),
}
SOME: Fields = {"mAP": _are_shares, "examples": _is_dict}
TIMING: Fields = {"search_seconds": _is_time, "seconds": _are_times, "fc_seconds": _are_times}


class OtherExperimentError(ValueError):
    """A file of results that belongs to other settings, or is none."""


def read_results(path: Path, *, format_name: str, settings: Any, holds: str) -> Records:
    """Return the records of the seeds in a file, none if there is no file; refuse those of other settings.

    Args:
        path: of the file.
        format_name: that it must have.
        settings: a dataclass, all numbers of the experiment.
        holds: the dictionary that every record has, one of `ENTRIES`.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        fitting = content["format"] == format_name
        records: Records = content["seeds"]
        are_records = all(int(seed) >= 0 and _is_whole(record[holds], holds) for seed, record in records.items())
    except RecursionError:
        raise OtherExperimentError(f"{path} does not hold results of this experiment (nested too deeply)") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise OtherExperimentError(f"{path} does not hold results of this experiment ({error})") from None
    try:
        same = fitting and settings_from_plain(type(settings), content["settings"]) == settings
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        same = False  # it lacks some, or has some that are not, or no longer, of this experiment
    if not are_records:
        raise OtherExperimentError(f"{path} does not hold results of this experiment (a seed has no whole record)")
    if not same:
        raise OtherExperimentError(f"{path} holds results of other settings; name another folder")
    return records


def _is_whole(entries: Any, holds: str) -> bool:
    """Say whether the dictionary of a record has what such a one has."""
    return isinstance(entries, dict) and all(
        isinstance(entry, dict)
        and _has(entry, ENTRIES[holds])
        and _has(entry, {field: may_be for field, may_be in SOME.items() if field in entry})
        and (name != "timing" or _has(entry, TIMING))
        for name, entry in entries.items()
    )


def _has(entry: Mapping[str, Any], fields: Fields) -> bool:
    return all(field in entry and may_be(entry[field]) for field, may_be in fields.items())


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
