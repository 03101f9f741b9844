"""The golden suite as it is stored: where it lies, and reading it.

    golden/data/manifest.json                    every case, its parameters, and how its answer is compared
    golden/data/X.inputs.safetensors             the inputs of algorithm X, named `case/tensor`
    golden/data/X.answers.safetensors            its answers and their tolerances, named likewise

`golden/README.md` describes the format for those who read it without this module.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refdet.core.check import Array
from refdet.verify.manifest_form import form_problem
from refdet.verify.params import decode_params
from refdet.verify.safetensors_bytes import parse_safetensors
from refdet.verify.tensor_elements import TensorFileError

MANIFEST = "manifest.json"
INPUT_ROLE = "input"
ANSWER_ROLES = ("expected", "grad")  # what an implementation under test must produce


class SuiteError(Exception):
    """The suite is not there, or is not what its manifest says."""


@dataclass(frozen=True)
class StoredCase:
    """One case, as read."""

    entry: Mapping[str, Any]  # what the manifest says of it
    tensors: Mapping[str, Array]

    @property
    def id(self) -> str:
        """`algorithm/name`."""
        return str(self.entry["id"])

    @property
    def algorithm(self) -> str:
        """The name that its kernels begin with."""
        return str(self.entry["algorithm"])

    @property
    def params(self) -> dict[str, Any]:
        """The keyword arguments of the kernel, as Python values."""
        return decode_params(self.entry["params"])

    @property
    def arguments(self) -> tuple[Array | None, ...]:
        """The arrays in the kernel's order; None where an optional one is absent."""
        return tuple(self.tensors.get(name) for name in self.entry["arguments"])

    @property
    def incoming_gradient(self) -> Array | None:
        """The gradient of the first output, where gradients are asked for."""
        return self.tensors.get(self.entry["incoming_gradient"]) if self.entry["incoming_gradient"] else None

    @property
    def answers(self) -> dict[str, Array]:
        """Outputs and gradients, by name."""
        return {t["name"]: self.tensors[t["name"]] for t in self.entry["tensors"] if t["role"] in ANSWER_ROLES}

    @property
    def listing(self) -> list[dict[str, Any]]:
        """Name, role, dtype and shape of every tensor: as the manifest lists them, then those of the alternatives."""
        alternatives = [f"{name}.{a['name']}" for a in self.entry["alternatives"] for name in a["tensors"]]
        return [*self.entry["tensors"]] + [
            {"name": name, "role": "alt", "dtype": x.dtype.name, "shape": list(x.shape)}
            for name, x in ((name, self.tensors[name]) for name in alternatives)
        ]

    @property
    def probes(self) -> frozenset[str]:
        """The deviations that change the answer, alone or beside others."""
        return frozenset(self.entry["probes"])

    @functools.cached_property
    def alternatives(self) -> dict[frozenset[str], dict[str, Array]]:
        """The answers under sets of probes, complete; a set that is not here leaves the case silent."""
        found: dict[frozenset[str], dict[str, Array]] = {}
        for alternative in self.entry["alternatives"]:
            changed = {name: self.tensors.get(f"{name}.{alternative['name']}", x) for name, x in self.answers.items()}
            found |= {frozenset(keys): changed for keys in alternative["deviations"]}
        return found

    def rule(self, tensor: str) -> Mapping[str, Any]:
        """Return how the tensor of that name is compared."""
        rule: Mapping[str, Any] = self.entry["compare"][tensor]
        return rule

    def tolerance(self, tensor: str) -> Array | None:
        """Return the stored tolerances of the tensor of that name, if its class has any."""
        return self.tensors.get(f"{tensor}.bound")


class Suite:
    """A manifest, and the tensors beside it; files are read, and their hashes checked, when they are needed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.manifest = read_manifest(root)
        self._file = functools.cache(self._read_file)

    @property
    def version(self) -> str:
        """The version of the suite, by SemVer: see golden/README.md."""
        return str(self.manifest["suite_version"])

    @property
    def ids(self) -> list[str]:
        """Every case."""
        return [entry["id"] for entry in self.manifest["cases"]]

    def cases(self, algorithm: str | None = None) -> Iterator[StoredCase]:
        """Read every case, or those of one algorithm."""
        for entry in self.manifest["cases"]:
            if algorithm in (None, entry["algorithm"]):
                yield self._read_case(entry)

    def case(self, case_id: str) -> StoredCase:
        """Read one case."""
        for entry in self.manifest["cases"]:
            if entry["id"] == case_id:
                return self._read_case(entry)
        raise SuiteError(f"the golden suite {self.version} has no case {case_id!r}")

    def _read_case(self, entry: Mapping[str, Any]) -> StoredCase:
        tensors = {}
        for tensor in entry["tensors"]:
            x = self._tensor(entry, "inputs" if tensor["role"] == INPUT_ROLE else "answers", tensor["name"])
            if tensor_hash(x) != tensor["sha256"]:
                raise SuiteError(
                    f"golden suite: the SHA-256 of tensor {tensor['name']!r} of {entry['id']} is not the manifest's"
                )
            tensors[tensor["name"]] = x
        return StoredCase(entry, tensors | self._under_deviations(entry))

    def _under_deviations(self, entry: Mapping[str, Any]) -> dict[str, Array]:
        """Return the alternatives' tensors, for which only the hash of the whole file vouches."""
        names = [f"{name}.{a['name']}" for a in entry["alternatives"] for name in a["tensors"]]
        return {name: self._tensor(entry, "answers", name) for name in names}

    def _tensor(self, entry: Mapping[str, Any], kind: str, name: str) -> Array:
        file_name = f"{entry['algorithm']}.{kind}.safetensors"
        key = f"{entry['id'].split('/', 1)[1]}/{name}"
        stored = self._file(file_name)
        if key not in stored:
            raise SuiteError(f"golden suite: {self.root / file_name} has no tensor {key!r}")
        return stored[key]

    def _read_file(self, name: str) -> dict[str, Array]:
        path = self.root / name
        if name not in self.manifest["files"]:
            raise SuiteError(f"golden suite: {self.root / MANIFEST} does not list the file {name}")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SuiteError(f"golden suite: {path} cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != self.manifest["files"][name]["sha256"]:
            raise SuiteError(
                f"golden suite: the SHA-256 of {path} is not the manifest's; the file was changed or is incomplete"
            )
        try:
            return parse_safetensors(content)
        except TensorFileError as error:
            raise SuiteError(f"golden suite: {path} is not what the format says: {error}") from error


def foreign_suite(root: Path) -> Suite:
    """Return a suite that anybody may have made: one of another form is refused."""
    suite = Suite(root)
    if problem := form_problem(suite.manifest):
        raise SuiteError(f"golden suite: {root / MANIFEST} is not in the format of this version: {problem}")
    return suite


def read_manifest(root: Path) -> dict[str, Any]:
    """Read the manifest that lies in `root`."""
    path = root / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SuiteError(f"golden suite: {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SuiteError(f"golden suite: {path} is not JSON: {error}") from error
    if not isinstance(manifest, dict) or "cases" not in manifest:
        raise SuiteError(f"golden suite: {path} is not a manifest")
    return manifest


def tensor_hash(x: Array) -> str:
    """Return the SHA-256 of the elements, little-endian, in row-major order."""
    return hashlib.sha256(tensor_bytes(x)).hexdigest()


def tensor_bytes(x: Array) -> bytes:
    """Return the elements, little-endian, in row-major order."""
    return x.astype(x.dtype.newbyteorder("<"), copy=False).tobytes("C")


def data_root() -> Path:
    """Return the folder of the suite: the packaged `_golden`, else the source tree's `golden/data`."""
    packaged, in_source = package_root() / "_golden", data_folder(package_root().parent)
    for root in (packaged, in_source):
        if (root / MANIFEST).is_file():
            return root
    raise SuiteError(
        f"the golden suite is not installed: neither {packaged / MANIFEST} nor {in_source / MANIFEST} exists; "
        "reinstall refdet, or in its source tree run: refdet golden generate"
    )


def package_root() -> Path:
    """Return the folder of the package `refdet`."""
    return Path(__file__).resolve().parent.parent


def data_folder(source_tree: Path) -> Path:
    """Return where a source tree keeps the suite."""
    return source_tree / "golden" / "data"


@functools.cache
def load_suite() -> Suite:
    """Return the installed suite."""
    return Suite(data_root())
