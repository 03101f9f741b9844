"""The stored suite: where it is found, what is read, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from refdet.verify import suite as suite_module
from refdet.verify.params import decode_params, encode_params
from refdet.verify.suite import MANIFEST, Suite, SuiteError, data_root, read_manifest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of two algorithms of the suite, that a test may damage."""
    for name in (MANIFEST, "add.inputs.safetensors", "add.answers.safetensors"):
        shutil.copy(data_root() / name, tmp_path / name)
    return tmp_path


def test_found_in_the_source_tree() -> None:
    assert data_root() == ROOT / "golden" / "data"


def test_the_packaged_copy_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "refdet"
    (package / "_golden").mkdir(parents=True)
    (package / "_golden" / MANIFEST).write_text('{"cases": []}')
    monkeypatch.setattr(suite_module, "package_root", lambda: package)
    assert data_root() == package / "_golden"


def test_found_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite_module, "package_root", lambda: tmp_path / "refdet")
    with pytest.raises(SuiteError, match=r"the golden suite is not installed: neither .*_golden.* nor .*golden.data"):
        data_root()


def test_a_case_as_read(copy: Path) -> None:
    case = Suite(copy).case("add/row-plus-column")
    assert case.algorithm == "add"
    assert case.params == {}
    np.testing.assert_array_equal(case.arguments[1], [10, 20, 30])
    np.testing.assert_array_equal(case.answers["z"], [[11, 21, 31], [12, 22, 32]])
    assert set(case.answers) == {"z", "dx", "dy"}
    assert case.incoming_gradient is not None
    assert case.rule("z") == {"kind": "exact"}
    assert case.tolerance("z") is None


def test_an_absent_input_is_none_and_a_bound_is_found() -> None:
    case = Suite(data_root()).case("conv2d/above-fast-path-thresholds")
    assert case.arguments[2] is None
    assert case.incoming_gradient is None
    assert case.rule("y") == {"kind": "bound", "n": 577}
    tolerance = case.tolerance("y")
    assert tolerance is not None
    assert np.all(tolerance >= np.abs(case.answers["y"]))


def test_cases_of_one_algorithm(copy: Path) -> None:
    ids = [case.id for case in Suite(copy).cases("add")]
    assert ids
    assert all(case_id.startswith("add/") for case_id in ids)


def test_a_changed_file_is_refused(copy: Path) -> None:
    path = copy / "add.answers.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(SuiteError, match=r"the SHA-256 of .*add\.answers\.safetensors is not the manifest's"):
        list(Suite(copy).cases("add"))


def test_a_changed_hash_of_a_tensor_is_refused(copy: Path) -> None:
    manifest = read_manifest(copy)
    entry = next(case for case in manifest["cases"] if case["algorithm"] == "add")
    entry["tensors"][0]["sha256"] = "0" * 64
    (copy / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(SuiteError, match="the SHA-256 of tensor"):
        Suite(copy).case(entry["id"])


def test_missing_pieces(copy: Path) -> None:
    suite = Suite(copy)
    with pytest.raises(SuiteError, match="has no case 'add/nothing-of-the-kind'"):
        suite.case("add/nothing-of-the-kind")
    with pytest.raises(SuiteError, match=r"conv2d\.inputs\.safetensors cannot be read: No such file"):
        list(suite.cases("conv2d"))
    del suite.manifest["files"]["add.inputs.safetensors"]
    with pytest.raises(SuiteError, match=r"does not list the file add\.inputs\.safetensors"):
        list(suite.cases("add"))


def test_what_is_not_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="cannot be read"):
        read_manifest(tmp_path)
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(SuiteError, match="is not JSON"):
        read_manifest(tmp_path)
    (tmp_path / MANIFEST).write_text("[]")
    with pytest.raises(SuiteError, match="is not a manifest"):
        read_manifest(tmp_path)


def test_keys_survive_json() -> None:
    key = (1, slice(None, -1, 2), None, ..., slice(3), np.array([[2, -1]]), np.array([True, False]))
    (name, decoded), *rest = decode_params(json.loads(json.dumps(encode_params({"key": key})))).items()
    assert (name, rest) == ("key", [])
    assert decoded[:5] == key[:5]
    for array, expected in zip(decoded[5:], key[5:], strict=True):
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)


def test_an_empty_array_keeps_its_shape() -> None:
    key = decode_params(encode_params({"key": np.zeros((0, 2), np.int64)}))["key"]
    assert key[0].shape == (0, 2)


def test_params_that_json_cannot_hold() -> None:
    with pytest.raises(ValueError, match="must be finite to be written as JSON, got inf"):
        encode_params({"value": float("inf")})
    with pytest.raises(TypeError, match="a parameter of type set has no JSON form"):
        encode_params({"axis": {1}})
