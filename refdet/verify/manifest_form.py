"""Whether a manifest has the form that `golden/README.md` describes, so that whoever reads it need not ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from refdet.verify.case import STATUSES
from refdet.verify.compare import KINDS

FORMAT_VERSION = 1

# A form is a type; a set of values; a list with the form of its elements; a tuple of forms, one of which must fit; or
# an object: of the keys that must be there, or, where its only key is `str`, with any keys.
TEXT_LIST = [str]
DEVIATION = {"title": str, "effect": str, "who": TEXT_LIST, "change": str, "algorithms": TEXT_LIST}
TENSOR = {
    "name": str,
    "role": {"input", "expected", "grad", "bound", "trace"},
    "dtype": {"float32", "float64", "int64", "bool"},
    "shape": [int],
    "sha256": str,
}
CASE = {
    "id": str,
    "algorithm": str,
    "why": str,
    "spec": str,
    "params": dict,
    "arguments": TEXT_LIST,
    "incoming_gradient": (str, type(None)),
    "tensors": [TENSOR],
    "compare": {str: {"kind": set(KINDS)}},
    "status": set(STATUSES),
    "tier": {"core", "extended"},
    "tags": TEXT_LIST,
    "probes": TEXT_LIST,
    "alternatives": [{"name": str, "tensors": TEXT_LIST, "deviations": [TEXT_LIST]}],
    "provenance": {"generator": {str: str}, "cross_checked": [{"implementation": str, "verdict": str}]},
}
MANIFEST_FORM = {
    "format": {FORMAT_VERSION},
    "suite_version": str,
    "files": {str: {"sha256": str, "bytes": int}},
    "deviations": {str: DEVIATION},
    "dialects": {str: {"title": str, "deviations": TEXT_LIST}},
    "cases": [CASE],
}


def form_problem(manifest: Any) -> str:
    """Return what is wrong with the form of a manifest, as the end of a sentence; nothing if it is right."""
    problem = next(_problems(manifest, MANIFEST_FORM, "the manifest"), "")
    if problem:
        return problem
    ids = [case["id"] for case in manifest["cases"]]
    for case in manifest["cases"]:
        if case["id"].partition("/")[0] != case["algorithm"] or case["id"].count("/") != 1:
            return f"the id {case['id']!r} is not algorithm/name"
    twice = {name for name in ids if ids.count(name) > 1} if len(set(ids)) < len(ids) else ()
    return f"the id {min(twice)!r} is there twice" if twice else ""


def _problems(value: Any, form: Any, where: str) -> Iterator[str]:
    if isinstance(form, type):
        if not isinstance(value, form) or (form is int and isinstance(value, bool)):
            yield f"{where} is not of type {form.__name__}"
    elif isinstance(form, set):
        if not isinstance(value, (str, int)) or value not in form:
            yield f"{where} is {value!r}, not {' or '.join(sorted(map(repr, form)))}"
    elif isinstance(form, tuple):
        if all(next(_problems(value, one, where), "") for one in form):
            yield f"{where} has none of the types that it may have"
    elif isinstance(form, list):
        if not isinstance(value, list):
            yield f"{where} is no list"
            return
        for i, element in enumerate(value):
            yield from _problems(element, form[0], f"element {i} of {where}")
    elif not isinstance(value, dict):
        yield f"{where} is no object"
    elif set(form) == {str}:
        for key, element in value.items():
            yield from _problems(element, form[str], f"{key!r} of {where}")
    else:
        for key, part in form.items():
            if key in value:
                yield from _problems(value[key], part, f"{key!r} of {where}")
            else:
                yield f"{where} has no {key!r}"
