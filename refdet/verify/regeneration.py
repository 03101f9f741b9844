"""Hold a stored suite against a freshly generated one.

Bytes must be equal. Three kinds of tensor may differ where the C library's functions, or the order of its sums, do:
answers and stages of the classes ulp and spread, and alternatives that are not exact, within 1 ULP; tolerances of the
class spread within a factor of 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from refdet.core.check import Array
from refdet.verify.compare import compare_tensor
from refdet.verify.generate import Generation
from refdet.verify.suite import ANSWER_ROLES, MANIFEST, StoredCase, Suite, SuiteError, tensor_bytes

SPREAD_FACTOR = 4


def differences(generation: Generation, root: Path, algorithms: Sequence[str] | None = None) -> list[str]:
    """Return one sentence for every stored case that differs from the generated one."""
    suite = Suite(root)
    ours = {e["id"]: e for e in generation.manifest["cases"] if algorithms is None or e["algorithm"] in algorithms}
    theirs = {e["id"]: e for e in suite.manifest["cases"] if algorithms is None or e["algorithm"] in algorithms}
    found = [f"{case_id}: not in the stored suite" for case_id in sorted(ours.keys() - theirs.keys())]
    found += [f"{case_id}: stored, but no longer generated" for case_id in sorted(theirs.keys() - ours.keys())]
    for case_id in sorted(ours.keys() & theirs.keys()):
        try:
            found += _case_differences(ours[case_id], generation.tensors[case_id], suite.case(case_id))
        except SuiteError as error:
            found.append(f"{case_id}: {error}")
    for key in sorted((generation.manifest.keys() | suite.manifest.keys()) - {"cases", "files"}):
        if generation.manifest.get(key) != suite.manifest.get(key):
            found.append(
                f"{MANIFEST}: {key} is {suite.manifest.get(key)!r}, generated {generation.manifest.get(key)!r}"
            )
    unlisted = {p.name for p in root.glob("*.safetensors")} - suite.manifest["files"].keys()
    return found + [f"{name}: a file that the manifest does not list" for name in sorted(unlisted)]


def _case_differences(entry: Mapping[str, Any], tensors: Mapping[str, Array], stored: StoredCase) -> Iterator[str]:
    def form(e: Mapping[str, Any]) -> Any:
        return {**e, "tensors": [{k: v for k, v in t.items() if k not in ("sha256", "hex")} for t in e["tensors"]]}

    ours, theirs = form(entry), form(stored.entry)
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) != theirs.get(key):
            yield f"{entry['id']}: {key} is {theirs.get(key)!r}, generated {ours.get(key)!r}"
    if ours["tensors"] != theirs["tensors"]:
        return
    for tensor in stored.listing:
        name = tensor["name"]
        if name not in tensors:
            yield f"{entry['id']}: {name}: stored, but no longer generated"
            continue
        generated, kept = tensors[name], stored.tensors[name]
        if tensor_bytes(generated) == tensor_bytes(kept):
            continue
        kind = entry["compare"].get(name.partition(".")[0], {}).get("kind")
        rounded = {"alt": kind != "exact"} | dict.fromkeys((*ANSWER_ROLES, "trace"), kind in ("ulp", "spread"))
        if rounded.get(tensor["role"], False):
            mismatch = compare_tensor(kept, generated, {"kind": "ulp", "ulps": 1, "floor": 0.0})
            if mismatch is None:
                continue
            yield f"{entry['id']}: {name}: {mismatch} (one tolerance is 1 ULP)"
        elif tensor["role"] == "bound" and kind == "spread":
            within = (generated <= SPREAD_FACTOR * kept) & (kept <= SPREAD_FACTOR * generated)
            if within.all():
                continue
            yield f"{entry['id']}: {name}: the spread changed by more than a factor of {SPREAD_FACTOR}"
        else:
            mismatch = compare_tensor(kept, generated, {"kind": "exact"})
            yield f"{entry['id']}: {name}: {mismatch or 'a zero changed its sign'}"
