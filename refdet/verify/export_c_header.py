"""A golden case as a header of C99: its tensors as arrays, its parameters as macros.

    #define REFDET_NMS_NO_BOXES_THRESHOLD 0x1p-1
    #define REFDET_NMS_NO_BOXES_HAS_SCORES 1
    #define REFDET_NMS_NO_BOXES_SCORES_SIZE 3
    static const int32_t refdet_nms_no_boxes_scores_shape[1] = {3};
    static const float refdet_nms_no_boxes_scores[3] = {0x1.ccccccp-1f, ...};

Floats are hexadecimal, and so exact; NaN and ±∞ are the macros of <math.h>. C has no arrays without elements: a tensor
of size 0 has one that means nothing, and the shape of a single number likewise. Booleans are `bool`. A parameter that
is a list of numbers is what stands between braces; those that are not given, or nested in other ways, stand in the
comment alone, where all of them are as JSON. An input that is absent has no array, and 0 for its `HAS_`. Above an
answer under deviations stand the sets of deviations that give it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.verify.suite import StoredCase

C_TYPES = {"float32": "float", "float64": "double", "int64": "int64_t", "bool": "bool"}
LONGEST_LINE = 120


def identifier(*parts: str) -> str:
    """Return an identifier of C made from parts of names.

    >>> identifier("nms/no-boxes", "y.bound")
    'refdet_nms_no_boxes_y_bound'
    """
    return re.sub(r"[^a-z0-9]", "_", "_".join(("refdet", *parts)).lower())


def c_header(case: StoredCase) -> str:
    """Return the text of the header, in ASCII."""
    entry, guard = case.entry, identifier(case.id, "h").upper()
    comment = [
        entry["id"],
        entry["why"],
        *(f"{key}: {json.dumps(entry[key])}" for key in ("params", "compare", "status")),
    ]
    lines = [
        *_comment(comment),
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
        *(f"#include <{name}.h>" for name in ("math", "stdbool", "stdint")),
        "",
    ]
    for name, value in entry["params"].items():
        if (text := _parameter(value)) is not None:
            lines.append(f"#define {identifier(case.id, name).upper()} {text}")
    for name in entry["arguments"]:
        lines.append(f"#define {identifier(case.id, 'has', name).upper()} {int(name in case.tensors)}")
    under = {f"{name}.{a['name']}": a["deviations"] for a in entry["alternatives"] for name in a["tensors"]}
    for tensor in case.listing:
        x = case.tensors[tensor["name"]]
        lines += ["", *_heading(tensor, under), *_array(identifier(case.id, tensor["name"]), x)]
    return "\n".join([*lines, "", f"#endif /* {guard} */", ""])


def c_number(value: bool | int | float, dtype: str) -> str:
    """Return a number as a constant of C.

    >>> c_number(-0.75, "float32"), c_number(3.0, "float64"), c_number(float("-inf"), "float32"), c_number(5, "int64")
    ('-0x1.8p-1f', '0x1.8p+1', '-INFINITY', 'INT64_C(5)')
    """
    if dtype == "bool":
        return "true" if value else "false"
    if dtype == "int64":
        least = value == -(2**63)  # no constant of C is negative, and 2⁶³ is too large for one
        return "(-INT64_C(9223372036854775807) - 1)" if least else f"INT64_C({value})"
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return re.sub(r"\.?0*p", "p", float(value).hex()) + ("f" if dtype == "float32" else "")


def _heading(tensor: Mapping[str, Any], under: Mapping[str, Sequence[Sequence[str]]]) -> Iterator[str]:
    """Yield what a tensor is, as a comment; of an answer under deviations, all sets of them that give it."""
    sets = under.get(tensor["name"], ()) if tensor["role"] == "alt" else ()
    if sets:
        yield from _comment(["alt: the answer under", *(" + ".join(keys) for keys in sets)])
    else:
        yield f"/* {tensor['role']} */"


def _array(name: str, x: Array) -> Iterator[str]:
    """Yield the declarations of one tensor."""
    elements = [c_number(value, x.dtype.name) for value in x.ravel().tolist()]
    yield f"#define {name.upper()}_SIZE {x.size}"
    yield f"static const int32_t {name}_shape[{max(x.ndim, 1)}] = {{{', '.join(map(str, x.shape)) or '0'}}};"
    yield f"static const {C_TYPES[x.dtype.name]} {name}[{max(x.size, 1)}] = {{"
    yield from _wrapped(elements or ["0"])
    yield "};"


def _parameter(value: Any) -> str | None:
    """Return a parameter as the text of a macro; None where C has no such thing."""
    if isinstance(value, str):
        return json.dumps(value) if value.isascii() else None
    if isinstance(value, bool):
        return c_number(value, "bool")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return c_number(value, "float64")
    if isinstance(value, list):
        flat = np.array(value, object).ravel().tolist() if value else []
        texts = [_parameter(element) for element in flat if isinstance(element, (bool, int, float))]
        return f"{{{', '.join(t for t in texts if t)}}}" if flat and len(texts) == len(flat) else None
    return None


def _wrapped(elements: Iterable[str]) -> Iterator[str]:
    line = "   "
    for element in elements:
        if len(line) + len(element) + 2 > LONGEST_LINE:
            yield line
            line = "   "
        line += f" {element},"
    yield line


def _comment(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines as a comment; what is not ASCII is written as in JSON."""
    for i, line in enumerate(lines):
        text = line.encode("ascii", "backslashreplace").decode().replace("*/", "* /").replace("/*", "/ *")
        yield f"{'/*' if i == 0 else ' *'} {text}"
    yield " */"
