"""What makes a run this run: two runs of one configuration give the same weights, bit for bit.

A configuration is a mapping of names to JSON values, which goes into every checkpoint. It holds the settings that
decide the weights, kind and hyperparameters of the optimiser, kind, names, shapes and dtypes of the model, what is
frozen, the number of samples and the content of the first, the middle and the last, the rates of the schedule, the
name of the transform, with its fields if it is a dataclass, and whatever the caller describes beside. The bodies of
functions and the initial weights are not in it, nor is the backend, whose change keeps a run exact only where its
kernels give the same bits.

The rates are compared over the steps that the run had when it was saved. More steps are the same run where the longer
schedule begins like the shorter one; `poly`, whose rates depend on the number of steps, does not.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from refdet.core.check import Array, check_number, shape_of
from refdet.data.sample import Sample, check_sample
from refdet.nn import Module, Optimiser
from refdet.nn.schedules import Schedule
from refdet.training.settings import TrainingSettings

Configuration = Mapping[str, Any]

DECIDING = ("batch_size", "seed", "max_gradient_norm")  # the settings that change the weights
NOT_A_HYPERPARAMETER = ("parameters", "state", "n_steps", "lr")  # of an optimiser: what a checkpoint restores
MOST_DIFFERENCES = 5  # that a message names


def configuration(
    *,
    model: Module,
    samples: Sequence[Sample],
    optimiser: Optimiser,
    schedule: Schedule,
    settings: TrainingSettings,
    transform: Callable[..., object] | None,
    description: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what identifies a run, as JSON values."""
    hyperparameters = {k: v for k, v in vars(optimiser).items() if k not in NOT_A_HYPERPARAMETER}
    return {
        **{f"settings.{name}": plain(getattr(settings, name)) for name in DECIDING},
        "optimiser": type(optimiser).__name__,
        **{f"optimiser.{name}": plain(value) for name, value in hyperparameters.items()},
        "optimiser trains": sorted(optimiser.parameters),
        "model": type(model).__name__,
        **{f"model.{name}": f"{a.dtype.name} {shape_of(a)}" for name, a in model.state_dict().items()},
        "frozen": sorted(name for name, p in model.named_parameters() if not p.requires_grad),
        "number of samples": len(samples),
        **{f"sample {i}": fingerprint(samples[i]) for i in sorted({0, len(samples) // 2, len(samples) - 1})},
        **_transform(transform),
        "rates": rates_digest(schedule, settings.n_steps),
        **{f"description.{name}": plain(value) for name, value in description.items()},
    }


def differences(now: Configuration, before: Configuration) -> list[str]:
    """Name what differs, each with what it is and what it was; nothing where both are the same."""
    found = []
    for name in dict.fromkeys([*now, *before]):
        if now.get(name) == before.get(name) and (name in now) == (name in before):
            continue
        if name not in now:
            found.append(f"{name} is gone")
        elif name not in before:
            found.append(f"{name} is new")
        elif name == "rates":
            found.append("the schedule gives other learning rates")
        elif name.startswith("sample "):
            found.append(f"{name} is {_sample_in_words(now[name])}, was {_sample_in_words(before[name])}")
        elif isinstance(now[name], list) and isinstance(before[name], list):
            found.append(f"{name}{_entries(now[name], before[name])}")
        elif isinstance(now[name], Mapping) and isinstance(before[name], Mapping) and now[name] and before[name]:
            within, within_before = ({f"{name}.{k}": v for k, v in x[name].items()} for x in (now, before))
            found.extend(differences(within, within_before))
        else:
            found.append(f"{name} is {now[name]!r}, was {before[name]!r}")
    return found


def in_words(differing: Sequence[str]) -> str:
    """Return the differences as part of a sentence, the first few by name.

    >>> in_words(["a is 1, was 2", *"bcdefg"])
    'a is 1, was 2; b; c; d; e; and 2 more'
    """
    rest = len(differing) - MOST_DIFFERENCES
    return "; ".join([*differing[:MOST_DIFFERENCES], *([f"and {rest} more"] if rest > 0 else [])])


def rates_digest(schedule: Schedule, n_steps: int) -> str:
    """Return a digest of the rates of the steps 0, …, n_steps − 1; refuse a rate that is not finite or below 0."""
    rates = (check_number("train", f"the schedule's rate of step {s}", schedule(s), low=0) for s in range(n_steps))
    return _digest(np.fromiter(rates, "<f8", n_steps).tobytes())


def fingerprint(sample: Sample) -> list[str]:
    """Return the name of a sample, and a digest of its picture and of all that is known about it."""
    check_sample("train", "an item of samples", sample)
    parts = []
    for name, value in sorted(vars(sample).items()):
        if isinstance(value, np.ndarray):
            parts.append(f"{name} {value.dtype.name} {shape_of(value)}".encode() + _bytes(value))
    return [sample.name, _digest(*parts)]


def plain(value: Any) -> Any:
    """Return a value as JSON holds it: what it knows no way for becomes text, a function its name."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return _name_of(value) if callable(value) else str(value)


def _transform(transform: Callable[..., object] | None) -> dict[str, Any]:
    """Return the name of a transform, and its fields if it is a dataclass."""
    if transform is None:
        return {"transform": None}
    fields = dataclasses.fields(transform) if dataclasses.is_dataclass(transform) else ()
    return {
        "transform": _name_of(transform),
        **{f"transform.{field.name}": plain(getattr(transform, field.name)) for field in fields},
    }


def _name_of(function: Callable[..., object]) -> str:
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def _sample_in_words(value: Any) -> str:
    return f"{value[0]!r} (content {value[1]})" if isinstance(value, list) and len(value) == 2 else repr(value)


def _entries(now: Sequence[Any], before: Sequence[Any]) -> str:
    new, gone = [v for v in now if v not in before], [v for v in before if v not in now]
    if (not new and not gone) or not all(isinstance(v, str) for v in [*new, *gone]):
        return f" is {now!r}, was {before!r}"
    named = (("also", new), ("no longer", gone))
    parts = [f"{word} {', '.join(names[:MOST_DIFFERENCES])}" for word, names in named if names]
    return ": " + ", ".join(parts) + (" and more" if max(len(new), len(gone)) > MOST_DIFFERENCES else "")


def _bytes(value: Array) -> bytes:
    return np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False).tobytes()


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:16]
