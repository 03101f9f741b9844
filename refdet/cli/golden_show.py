"""`refdet golden show`: one golden case, as text and as a picture."""

from __future__ import annotations

import difflib
import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refdet.cli.messages import UsageProblem, console, on_a_line

if TYPE_CHECKING:
    from refdet.core.check import Array
    from refdet.verify.suite import StoredCase

WIDTH = 100  # columns of running text
MOST_MEANT = 3  # ids that a name may be the beginning of, or a part of
MOST_PRINTED = 128  # elements of a tensor that is printed whole
SECTIONS = {
    "given": ("input",),
    "expected": ("expected", "grad"),
    "stages on the way": ("trace",),
    "tolerances": ("bound",),
}  # by heading, the roles of the tensors


def show(
    case_id: Annotated[str, typer.Argument(metavar="ID", help="The id of a case, such as nms/no-boxes.")],
    picture: Annotated[Path | None, typer.Option(help="Draw it as well, into this .png, .svg or .pdf.")] = None,
) -> None:
    """Show one golden case: why it exists, parameters, tensors, and how an answer is compared.

    Of a large tensor only the corners are printed. `refdet explain ALGORITHM` lists the cases of an algorithm.

    Examples:

        refdet golden show nms/iou-equal-to-the-threshold-survives

        refdet golden show roi_align/deck-example --picture case.png
    """
    from refdet.verify.suite import load_suite

    suite = load_suite()
    if case_id not in suite.ids:
        raise _unknown_case(case_id, suite.ids)
    case = suite.case(case_id)
    if picture is not None:
        _draw(case, picture)
    for line in describe(case, suite.manifest["deviations"]):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if picture is not None:
        console.print(f"\npicture written to {on_a_line(picture)}", markup=False, highlight=False, soft_wrap=True)


def describe(case: StoredCase, deviations: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines that say everything about a case."""
    entry = case.entry
    yield entry["id"]
    yield from _paragraph(entry["why"])
    yield ""
    yield from _field("spec", entry["spec"])
    reason = f": {entry['status_reason']}" if "status_reason" in entry else ""
    yield from _field("status", entry["status"] + reason)
    if entry["tags"]:
        yield from _field("tags", ", ".join(entry["tags"]))
    yield ""
    yield "parameters"
    for name, value in entry["params"].items():
        yield f"  {name} = {json.dumps(value)}"
    absent = [name for name in entry["arguments"] if name not in case.tensors]
    if absent:
        yield f"  absent: {', '.join(absent)}"
    for heading, roles in SECTIONS.items():
        tensors = [tensor for tensor in entry["tensors"] if tensor["role"] in roles]
        if tensors:
            yield ""
            yield heading
        for tensor in tensors:
            yield from _tensor(tensor, case.tensors[tensor["name"]], _rule(entry["compare"].get(tensor["name"])))
    yield from _alternatives(case, deviations)
    yield ""
    yield from _provenance(entry["provenance"])


def _tensor(tensor: Mapping[str, Any], x: Array, rule: str) -> Iterator[str]:
    import numpy as np

    role = "gradient, " if tensor["role"] == "grad" else ""
    yield f"  {tensor['name']}  {role}{tensor['dtype']} {tuple(tensor['shape'])}{rule}"
    if x.size:
        text = np.array2string(x, max_line_width=WIDTH, threshold=MOST_PRINTED, edgeitems=3, separator=" ")
        yield textwrap.indent(text, "    ")


def _rule(rule: Mapping[str, Any] | None) -> str:
    """Return how an answer is compared, as the end of a line."""
    if rule is None:
        return ""
    kind = rule["kind"]
    if kind == "bound":
        return f", compared within γ · bound, γ = n·u / (1 − n·u), n = {rule['n']}"
    if kind == "ulp":
        return f", compared within {rule['ulps']} ulp" + (f" or {rule['floor']:g}" if rule["floor"] else "")
    return ", compared exactly" if kind == "exact" else ", compared within its bound"


def _alternatives(case: StoredCase, deviations: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield what tells deviations apart, where the suite says so."""
    entry = case.entry
    if entry["probes"]:
        yield ""
        yield "deviations that change the answer"
        for key in entry["probes"]:
            yield f"  {key}  {deviations.get(key, {}).get('title', '')}".rstrip()
    for alternative in entry.get("alternatives", ()):
        yield ""
        sets = " or ".join(" + ".join(keys) for keys in alternative["deviations"])
        what = "answer with" if alternative["tensors"] else "the same answer with"
        yield from textwrap.wrap(f"{what} {sets}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
        for tensor in case.listing:
            if tensor["role"] == "alt" and tensor["name"].endswith(f".{alternative['name']}"):
                yield from _tensor(tensor, case.tensors[tensor["name"]], "")


def _provenance(provenance: Mapping[str, Any]) -> Iterator[str]:
    yield "where the answer comes from"
    for name, source in provenance["generator"].items():
        yield f"  {name}: {source}"
    for check in provenance["cross_checked"]:
        version = f" {check['version']}" if "version" in check else ""
        yield f"  {check['implementation']}{version}: {check['verdict']} ({', '.join(check.get('tensors', ()))})"


def _field(name: str, text: str) -> Iterator[str]:
    yield from textwrap.wrap(f"{name}: {text}", WIDTH, subsequent_indent="  ")


def _paragraph(text: str) -> Iterator[str]:
    yield from textwrap.wrap(text, WIDTH)


def _unknown_case(name: str, ids: Sequence[str]) -> UsageProblem:
    """Return the problem that there is no such case, with the ids nearest to it."""
    of_algorithm = [case_id for case_id in ids if case_id.startswith(f"{name.strip('/')}/")]
    if of_algorithm:
        names = f"such as {of_algorithm[0]}; `refdet explain {name.strip('/')}` lists them"
        return UsageProblem(f"{name} is an algorithm with {len(of_algorithm)} golden cases, {names}")
    algorithm, slash, rest = name.partition("/")
    if parts := [case_id for case_id in ids if name and name in case_id]:
        parts = [case_id for case_id in parts if case_id.startswith(name)] or parts
        more = f", and {len(parts) - MOST_MEANT} more" if len(parts) > MOST_MEANT else ""
        return UsageProblem(f"there is no golden case {name!r}; did you mean {' or '.join(parts[:MOST_MEANT])}{more}?")
    near = [case_id for case_id in ids if case_id.partition("/")[0] == algorithm]
    close = difflib.get_close_matches(name, near or ids, n=3, cutoff=0.4)
    if not slash or not close:  # a name without its algorithm
        named = {case_id: case_id.partition("/")[2] for case_id in ids}
        wanted = difflib.get_close_matches(rest or name, named.values(), n=3, cutoff=0.4)
        close = close or [case_id for case_id, case_name in named.items() if case_name in wanted][:3]
    meant = f"did you mean {' or '.join(close)}?" if close else "`refdet explain ALGORITHM` lists those of an algorithm"
    return UsageProblem(f"there is no golden case {name!r}; {meant}")


def _draw(case: StoredCase, path: Path) -> None:
    from refdet.pictures.algorithms import PictureError
    from refdet.pictures.golden_case import write_case_picture

    try:
        write_case_picture(case, path)
    except PictureError as problem:
        raise UsageProblem(f"--picture: {problem}") from None
