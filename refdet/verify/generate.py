"""Make the golden suite from `golden.cases`: compute every case, and write the files.

Nothing that depends on the machine, the time, or the version of a library is written, so that a second run gives the
same bytes; but see `refdet.verify.regeneration`.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.verify.case import Algorithm, Case
from refdet.verify.catalogue import catalogue, load_all
from refdet.verify.deviation import Deviation, Dialect
from refdet.verify.generated_case import GeneratedCase, generate_case
from refdet.verify.manifest_form import FORMAT_VERSION
from refdet.verify.suite import INPUT_ROLE, MANIFEST, package_root
from refdet.verify.tolerances import GenerationError

SUITE_BYTES = 8_000_000
CORE_BYTES = 5_000_000
CORE = "golden/core.txt"

Progress = Callable[[str], object]


class SourceTreeError(GenerationError):
    """The cases are not there: refdet was installed without its source tree."""


@dataclass(frozen=True)
class Generation:
    """What would be written."""

    files: dict[str, bytes]  # by name, the manifest included
    manifest: dict[str, Any]
    tensors: dict[str, dict[str, Array]]  # by case, by name
    problems: list[str]


def source_tree() -> Path:
    """Return the root of the source tree, which holds the cases."""
    root = package_root().parent
    if not (root / "golden" / "cases").is_dir():
        raise SourceTreeError(
            f"generating the golden suite needs refdet's source tree; {root} has no folder golden/cases "
            "(clone the repository and install it with: pip install -e .)"
        )
    return root


def case_names() -> list[str]:
    """Return the algorithms that have a file of cases."""
    return sorted(p.stem for p in (source_tree() / "golden" / "cases").glob("*.py") if not p.stem.startswith("_"))


def case_module(algorithm: str) -> ModuleType:
    """Import the cases of one algorithm."""
    with _importable(source_tree()):
        module = importlib.import_module(f"golden.cases.{algorithm}")
    name = getattr(getattr(module, "ALGORITHM", None), "name", None)
    if name != algorithm:
        raise GenerationError(
            f"golden/cases/{algorithm}.py: ALGORITHM must be the algorithm {algorithm!r}, got {name!r}"
        )
    return module


def core_cases() -> frozenset[str]:
    """Return the ids of the core suite."""
    lines = (source_tree() / CORE).read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def all_deviations() -> tuple[Deviation, ...]:
    """Return the deviations of the source tree."""
    with _importable(source_tree()):
        found: tuple[Deviation, ...] = importlib.import_module("golden.deviations").all_deviations()
    return found


def untold_combinations(algorithm: str) -> frozenset[frozenset[str]]:
    """Return the combinations of deviations that are not stored, as no case of the algorithm tells them."""
    with _importable(source_tree()):
        listed: list[str] = importlib.import_module("golden.untold").UNTOLD.get(algorithm, [])
    return frozenset(frozenset(text.split(" + ")) for text in listed)


def all_dialects() -> tuple[Dialect, ...]:
    """Return the dialects of the source tree."""
    with _importable(source_tree()):
        found: tuple[Dialect, ...] = importlib.import_module("golden.deviations").all_dialects()
    return found


def generate(
    algorithms: Sequence[str] | None = None, *, stored: Mapping[str, Any] | None = None, progress: Progress = str
) -> Generation:
    """Compute every file of the suite, or those of some algorithms.

    With `algorithms` only these are computed, and the rest of the `stored` manifest is kept. `progress` is called with
    the name of each algorithm before its turn.
    """
    load_all()
    names = case_names() if algorithms is None else sorted(set(algorithms))
    problems = _kernels_without_cases() if algorithms is None else []
    kept = {} if algorithms is None or stored is None else stored
    core = core_cases()
    files: dict[str, bytes] = {}
    core_files: dict[str, bytes] = {}
    entries = [entry for entry in kept.get("cases", []) if entry["algorithm"] not in names]
    tensors: dict[str, dict[str, Array]] = {}
    for name in names:
        progress(name)
        generated = generate_algorithm(case_module(name))
        problems += [g.problem for g in generated if g.problem]
        entries += [g.entry for g in generated]
        tensors |= {g.entry["id"]: g.tensors for g in generated}
        files |= _tensor_files(name, generated)
        core_files |= _tensor_files(name, [g for g in generated if g.entry["id"] in core])
    if algorithms is None and (unknown := core - {entry["id"] for entry in entries}):
        raise GenerationError(f"{CORE}: there is no case {min(unknown)}")
    manifest = _manifest(entries, files, kept)
    files[MANIFEST] = _json_bytes(manifest)
    _check_size("suite", files, SUITE_BYTES)
    core_entries = [entry for entry in entries if entry["id"] in core]
    _check_size("core suite", core_files | {MANIFEST: _json_bytes(_manifest(core_entries, {}, {}))}, CORE_BYTES)
    return Generation(files, manifest, tensors, problems)


def generate_algorithm(module: ModuleType) -> list[GeneratedCase]:
    """Compute every case of one algorithm."""
    algorithm: Algorithm = module.ALGORITHM
    cases: list[Case] = module.cases()
    names = [case.name for case in cases]
    for name in names:
        if names.count(name) > 1:
            raise GenerationError(f"{algorithm.name}/{name}: two cases have this name")
    concerned = {algorithm.name, *algorithm.composes}
    deviations = [d for d in all_deviations() if d.algorithms & concerned]
    core = core_cases()
    dialects, untold = all_dialects(), untold_combinations(algorithm.name)
    generated = [generate_case(algorithm, case, deviations, dialects, untold) for case in cases]
    for g in generated:
        g.entry["tier"] = "core" if g.entry["id"] in core else "extended"
    return generated


def write(generation: Generation, root: Path) -> None:
    """Write the files, the manifest last, each all or nothing; remove tensor files that the manifest does not list."""
    from refdet.nn.checkpoint.atomic_file import write_bytes_atomically

    root.mkdir(parents=True, exist_ok=True)
    for name in sorted(generation.files, key=lambda n: (n == MANIFEST, n)):
        path, content = root / name, generation.files[name]
        if not path.is_file() or path.read_bytes() != content:
            write_bytes_atomically(path, content)
    for path in root.glob("*.safetensors"):
        if path.name not in generation.manifest["files"]:
            path.unlink()


def _kernels_without_cases() -> list[str]:
    entries, with_cases = catalogue(), case_names()
    missing = [f"{name}: its kernels have no golden cases" for name in entries if name not in with_cases]
    return missing + [f"{name}: has golden cases but no kernel" for name in with_cases if name not in entries]


def _tensor_files(algorithm: str, generated: Sequence[GeneratedCase]) -> dict[str, bytes]:
    """Return the two files of one algorithm; without `__metadata__`, so that the bytes depend on the tensors alone."""
    import safetensors.numpy

    kinds: dict[str, dict[str, Array]] = {"inputs": {}, "answers": {}}
    for g in generated:
        name = g.entry["id"].split("/", 1)[1]
        inputs = {tensor["name"] for tensor in g.entry["tensors"] if tensor["role"] == INPUT_ROLE}
        for tensor_name, x in g.tensors.items():
            kind = "inputs" if tensor_name in inputs else "answers"
            kinds[kind][f"{name}/{tensor_name}"] = np.ascontiguousarray(x).reshape(x.shape)
    return {
        f"{algorithm}.{kind}.safetensors": safetensors.numpy.save(dict(sorted(tensors.items())))
        for kind, tensors in kinds.items()
    }


def _manifest(
    entries: Sequence[Mapping[str, Any]], files: Mapping[str, bytes], kept: Mapping[str, Any]
) -> dict[str, Any]:
    with _importable(source_tree()):
        golden = importlib.import_module("golden")
    composed = {name: frozenset(case_module(name).ALGORITHM.composes) for name in case_names()}
    listed = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)} for name, content in files.items()
    }
    return {
        "format": FORMAT_VERSION,
        "suite_version": golden.SUITE_VERSION,
        "deviations": {d.key: _texts(d, composed) for d in all_deviations()},
        "dialects": {d.name: {"title": d.title, "deviations": sorted(d.keys)} for d in all_dialects()},
        "files": {**kept.get("files", {}), **listed},
        "cases": sorted(entries, key=lambda entry: str(entry["id"])),
    }


def _texts(deviation: Deviation, composed: Mapping[str, frozenset[str]]) -> dict[str, Any]:
    """Return what the manifest says of a deviation; it concerns the algorithms that run one it wraps, too."""
    inherit = {name for name, parts in composed.items() if parts & deviation.algorithms}
    return {
        "title": deviation.title,
        "effect": deviation.effect,
        "who": list(deviation.who),
        "change": deviation.change,
        "algorithms": sorted(deviation.algorithms | inherit),
    }


def _json_bytes(manifest: Mapping[str, Any]) -> bytes:
    """Return the manifest as text for people too: keys in order, innermost lists and objects on one line."""
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    # a JSON string holds no line break, so that one after a bracket is layout
    for innermost in (r"(\[)\n([^][{}]*)\n\s*(\])", r"(\{)\n([^{}]*)\n\s*(\})"):
        text = re.sub(innermost, _on_one_line, text)
    return (text + "\n").encode()


def _on_one_line(match: re.Match[str]) -> str:
    return match[1] + " ".join(line.strip() for line in match[2].split("\n")) + match[3]


def _check_size(what: str, files: Mapping[str, bytes], most: int) -> None:
    n_bytes = sum(map(len, files.values()))
    if n_bytes > most:
        raise GenerationError(f"the {what} has {n_bytes} bytes, more than {most}")


@contextlib.contextmanager
def _importable(root: Path) -> Iterator[None]:
    """Let `golden` and `tests` be imported from the source tree, wherever Python was started."""
    added = str(root) not in sys.path
    if added:
        sys.path.insert(0, str(root))
    try:
        yield
    finally:
        if added:
            sys.path.remove(str(root))
