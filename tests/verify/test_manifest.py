"""The stored manifest, linted: schema, names, hashes, sizes, and that it describes the files to the last tensor."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import golden
from refdet.verify.case import STATUSES, TAGS
from refdet.verify.catalogue import load_all
from refdet.verify.compare import KINDS
from refdet.verify.forward import forward_kernel, params_of
from refdet.verify.generate import SUITE_BYTES, core_cases
from refdet.verify.generated_case import CASE_BYTES
from refdet.verify.manifest_entry import INLINE_ELEMENTS, INLINE_ROLES
from refdet.verify.suite import ANSWER_ROLES, Suite, data_root

DATA = data_root()
SUITE = Suite(DATA)
CASES: list[dict[str, Any]] = SUITE.manifest["cases"]
ITEM_BYTES = {"float32": 4, "float64": 8, "int64": 8, "bool": 1}
load_all()


def read_by_hand(path: Path) -> tuple[dict[str, Any], bytes]:
    """Read a tensor file as golden/README.md says, without the library."""
    content = path.read_bytes()
    n = int.from_bytes(content[:8], "little")
    header: dict[str, Any] = json.loads(content[8 : 8 + n])
    return header, content[8 + n :]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((DATA / "manifest.schema.json").read_text(encoding="utf-8"))
    return read


def test_schema(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(SUITE.manifest)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("suite_version",), "one"),
        (("cases", 0, "id"), "add/Upper Case"),
        (("cases", 0, "status"), "optional"),  # without a reason
        (("cases", 0, "status_reason"), "because"),  # though it is required
        (("cases", 0, "tags"), ["unheard-of"]),
        (("cases", 0, "params"), []),
        (("cases", 0, "colour"), "blue"),
        (("cases", 0, "tensors", 0, "dtype"), "float16"),
        (("cases", 0, "tensors", 0, "sha256"), "00"),
        (("cases", 0, "compare"), {"y": {"kind": "bound"}}),  # without n
        (("cases", 0, "compare"), {"y": {"kind": "close"}}),
    ],
    ids=lambda x: "-".join(map(str, x)) if isinstance(x, tuple) else "",
)
def test_the_schema_refuses(schema: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    manifest = json.loads(json.dumps({**SUITE.manifest, "cases": CASES[:1]}))
    target = manifest
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    assert not jsonschema.Draft202012Validator(schema).is_valid(manifest)


def test_vocabularies_agree(schema: dict[str, Any]) -> None:
    """What Python knows and what the schema allows is the same."""
    case = schema["$defs"]["case"]["properties"]
    assert set(case["tags"]["items"]["enum"]) == TAGS
    assert tuple(case["status"]["enum"]) == STATUSES
    kinds = [rule["properties"]["kind"] for rule in schema["$defs"]["rule"]["oneOf"]]
    assert {k for kind in kinds for k in kind.get("enum", [kind.get("const")])} == set(KINDS)
    assert set(schema["$defs"]["tensor"]["properties"]["dtype"]["enum"]) == set(ITEM_BYTES)


def test_ids() -> None:
    ids = [case["id"] for case in CASES]
    assert not [case_id for case_id, n in Counter(ids).items() if n > 1]
    assert ids == sorted(ids)
    assert all(case["id"].startswith(f"{case['algorithm']}/") for case in CASES)


def test_version() -> None:
    assert SUITE.version == golden.SUITE_VERSION


def test_probes_are_deviations() -> None:
    assert not {probe for case in CASES for probe in case["probes"]} - SUITE.manifest["deviations"].keys()


def test_every_tag_and_class_is_used() -> None:
    assert {tag for case in CASES for tag in case["tags"]} == TAGS
    assert {rule["kind"] for case in CASES for rule in case["compare"].values()} == set(KINDS)


@pytest.mark.parametrize("name", sorted(SUITE.manifest["files"]))
def test_a_file_is_what_the_manifest_says(name: str) -> None:
    """Size, hash, no metadata, and exactly the tensors of its cases, as golden/README.md has them read."""
    listed = SUITE.manifest["files"][name]
    content = (DATA / name).read_bytes()
    assert len(content) == listed["bytes"]
    assert hashlib.sha256(content).hexdigest() == listed["sha256"]
    header, data = read_by_hand(DATA / name)
    algorithm, kind, _ = name.split(".")
    wanted = {
        f"{case['id'].split('/')[1]}/{t['name']}": t
        for case in CASES
        if case["algorithm"] == algorithm
        for t in case["tensors"]
        if (t["role"] == "input") == (kind == "inputs")
    }
    alternatives = {
        f"{case['id'].split('/')[1]}/{answer}.{alternative['name']}"
        for case in CASES
        if case["algorithm"] == algorithm and kind == "answers"
        for alternative in case["alternatives"]
        for answer in alternative["tensors"]
    }
    assert set(header) == set(wanted) | set(alternatives)
    for key in alternatives:
        assert header[key]["dtype"] == header[key.rpartition(".")[0]]["dtype"]
    for key, tensor in wanted.items():
        begin, end = header[key]["data_offsets"]
        assert header[key]["shape"] == tensor["shape"]
        assert (
            header[key]["dtype"]
            == {"float32": "F32", "float64": "F64", "int64": "I64", "bool": "BOOL"}[tensor["dtype"]]
        )
        assert end - begin == int(np.prod(tensor["shape"], dtype=np.int64)) * ITEM_BYTES[tensor["dtype"]]
        assert hashlib.sha256(data[begin:end]).hexdigest() == tensor["sha256"]
        assert tensor.get("hex", data[begin:end].hex()) == data[begin:end].hex()


def test_no_file_is_unlisted() -> None:
    assert {p.name for p in DATA.glob("*.safetensors")} == SUITE.manifest["files"].keys()


def test_the_core_tier() -> None:
    """At least 400 cases, every algorithm among them, and every deviation."""
    core = [case for case in CASES if case["tier"] == "core"]
    assert {case["id"] for case in core} == core_cases()
    assert len(core) >= 400
    assert {case["algorithm"] for case in core} == {case["algorithm"] for case in CASES}
    assert {key for case in core for key in case["probes"]} == SUITE.manifest["deviations"].keys()


def test_sizes() -> None:
    assert sum(path.stat().st_size for path in DATA.iterdir()) <= SUITE_BYTES
    for case in CASES:
        sizes = [int(np.prod(t["shape"], dtype=np.int64)) for t in case["tensors"]]
        n_bytes = sum(n * ITEM_BYTES[t["dtype"]] for n, t in zip(sizes, case["tensors"], strict=True))
        assert n_bytes <= CASE_BYTES, case["id"]
        small = (
            sum(n for n, t in zip(sizes, case["tensors"], strict=True) if t["role"] in INLINE_ROLES) <= INLINE_ELEMENTS
        )
        assert all(("hex" in t) == (small and t["role"] in INLINE_ROLES) for t in case["tensors"]), case["id"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["id"]))
def test_a_case_is_complete(case: dict[str, Any]) -> None:
    tensors = {t["name"]: t for t in case["tensors"]}
    roles = {
        role: [name for name, t in tensors.items() if t["role"] == role] for role in ("input", "bound", *ANSWER_ROLES)
    }
    assert len(tensors) == len(case["tensors"]), "two tensors of one name"

    incoming = [case["incoming_gradient"]] if case["incoming_gradient"] else []
    assert set(roles["input"]) <= {*case["arguments"], *incoming}
    assert set(incoming) <= set(roles["input"])
    assert bool(roles["grad"]) == bool(incoming)
    assert {name.removeprefix("d") for name in roles["grad"]} <= set(case["arguments"])

    answers = {*roles["expected"], *roles["grad"]}
    stages = {name for name, t in tensors.items() if t["role"] == "trace"}
    assert set(case["compare"]) - stages == answers == set(case["provenance"]["generator"])
    assert set(case["compare"]) >= stages
    measured = {name for name, rule in case["compare"].items() if rule["kind"] in ("bound", "spread")}
    assert set(roles["bound"]) == {f"{name}.bound" for name in measured}
    assert all(tensors[f"{name}.bound"]["shape"] == tensors[name]["shape"] for name in measured)

    kernel = forward_kernel(case["algorithm"])
    assert kernel is not None
    assert set(case["params"]) == params_of(kernel)
    assert all(check["verdict"] != "fail" for check in case["provenance"]["cross_checked"])


def test_refdet_is_never_where_a_value_comes_from() -> None:
    root = Path(golden.__file__).parents[1]
    for case in CASES:
        for source in case["provenance"]["generator"].values():
            assert "refdet" not in source
            assert not source.startswith("tests/oracles/") or (root / source).is_file()
