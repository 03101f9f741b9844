"""The lines between `refdet verify --command` and a program under test: JSON, one object a line, in UTF-8.

    →  {"type": "hello", "protocol": 1, "suite_version": "0.4.0"}
    ←  {"type": "hello", "protocol": 1, "name": "mine", "version": "1.2", "algorithms": ["nms"]}
    →  {"type": "run", "seq": 7, "id": "nms/no-boxes", "algorithm": "nms", "params": {...}, "arguments": ["boxes", ...],
        "tensors": {"boxes": {"file": "/path/nms.inputs.safetensors", "key": "no-boxes/boxes"}, ...}, "absent": [],
        "incoming_gradient": null, "outputs": ["kept"], "gradients": [], "stages": [], "answer": "/path/7.safetensors"}
    ←  {"type": "result", "seq": 7}                             the answers are in the file "answer"
    ←  {"type": "result", "seq": 7, "tensors": {"kept": {"dtype": "int64", "shape": [1], "hex": "0300000000000000"}}}
    ←  {"type": "skip", "seq": 7, "reason": "..."}
    ←  {"type": "error", "seq": 7, "message": "..."}
    →  {"type": "bye"}                                          and its standard input is closed

One question is open at a time. "params" is what the manifest says. A hello may also name a "dialect", and a URL for
"issues"; without "algorithms" it is asked everything. Fields that this page does not name are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.nn.checkpoint.errors import described
from refdet.verify.foreign_text import one_line
from refdet.verify.question import Question
from refdet.verify.safetensors_bytes import without_duplicates
from refdet.verify.suite import INPUT_ROLE
from refdet.verify.tensor_elements import ELEMENT_TYPES, NARROW, TensorFileError, tensor_of

PROTOCOL = 1


class ProtocolError(Exception):
    """A line that is not what the protocol allows; the message goes on from "the program "."""


@dataclass(frozen=True)
class Hello:
    """What a program says of itself."""

    name: str
    version: str
    algorithms: tuple[str, ...] | None  # None: not said
    dialect: str = ""
    issues: str = ""


@dataclass(frozen=True)
class Reply:
    """What a program says to a question; its tensors are not decoded yet."""

    type: str
    seq: int
    tensors: Mapping[str, Any] | None = None  # of a result
    text: str = ""  # the reason of a skip, the message of an error


def hello_line(suite_version: str) -> bytes:
    """Return the first line that a program reads."""
    return encoded({"type": "hello", "protocol": PROTOCOL, "suite_version": suite_version})


def run_line(seq: int, question: Question, entry: Mapping[str, Any], root: Path, answer: Path) -> bytes:
    """Return the line that asks a question; `entry` is what the manifest in `root` says of its case."""
    case_name = question.id.split("/", 1)[1]
    file = str((root / f"{question.algorithm}.inputs.safetensors").resolve())
    names = [tensor["name"] for tensor in entry["tensors"] if tensor["role"] == INPUT_ROLE]
    return encoded(
        {
            "type": "run",
            "seq": seq,
            "id": question.id,
            "algorithm": question.algorithm,
            "params": entry["params"],
            "arguments": entry["arguments"],
            "tensors": {name: {"file": file, "key": f"{case_name}/{name}"} for name in names},
            "absent": [name for name in entry["arguments"] if name not in names],
            "incoming_gradient": entry["incoming_gradient"],
            "outputs": question.outputs,
            "gradients": question.gradients,
            "stages": question.stages,
            "answer": str(answer),
        }
    )


def encoded(message: Mapping[str, Any]) -> bytes:
    """Return a message as a line, without its newline."""
    return json.dumps(message, separators=(",", ":")).encode()


def decoded(line: bytes) -> dict[str, Any]:
    """Return the object that a line holds."""
    try:
        message = json.loads(line.decode("utf-8"), object_pairs_hook=without_duplicates)
    except (ValueError, RecursionError) as error:
        what = "UTF-8" if isinstance(error, UnicodeDecodeError) else "JSON"
        raise ProtocolError(
            f"wrote a line that is not {what}: {_shown(line)}; standard output is for answers alone, so print other "
            "things to stderr"
        ) from error
    if not isinstance(message, dict):
        raise ProtocolError(f"wrote a line that is no JSON object: {_shown(line)}")
    return message


def parse_hello(line: bytes) -> Hello:
    """Return what the first line of a program says."""
    message = decoded(line)
    if message.get("type") != "hello":
        raise ProtocolError(f"began with {_shown(line)}; the first line must be its hello")
    if message.get("protocol") != PROTOCOL or isinstance(message["protocol"], bool):
        raise ProtocolError(f"speaks protocol {described(message.get('protocol'))}; this is protocol {PROTOCOL}")
    algorithms = message.get("algorithms")
    if algorithms is not None and not _is_list_of_text(algorithms):
        raise ProtocolError("said hello with algorithms that are no list of names")
    return Hello(
        _text(message, "name", required=True),
        _text(message, "version"),
        None if algorithms is None else tuple(one_line(name) for name in algorithms),
        _text(message, "dialect"),
        _text(message, "issues"),
    )


def parse_reply(line: bytes) -> Reply:
    """Return what a line answers, to whichever question."""
    message = decoded(line)
    kind, seq = message.get("type"), message.get("seq")
    if not isinstance(kind, str) or kind not in ("result", "skip", "error"):
        raise ProtocolError(f"wrote a line of type {described(kind)}; answers are result, skip or error")
    if type(seq) is not int:
        raise ProtocolError(f"answered with seq {described(seq)}; it must be the number of the question")
    tensors = message.get("tensors")
    if kind == "result" and tensors is not None and not isinstance(tensors, dict):
        raise ProtocolError("answered with tensors that are no JSON object of tensors by name")
    text = {"result": "", "skip": "reason", "error": "message"}[kind]
    return Reply(kind, seq, tensors, _text(message, text) if text else "")


def decode_tensors(tensors: Mapping[str, Any]) -> dict[str, Array]:
    """Return tensors that stand in a line; raises `TensorFileError`.

    >>> decode_tensors({"y": {"dtype": "float32", "shape": [1], "hex": "0000803f"}})
    {'y': array([1.], dtype=float32)}

    The dtype may also be called as in a safetensors file, F32.
    """
    return {name: _decode_tensor(name, tensor) for name, tensor in tensors.items()}


def _decode_tensor(name: str, tensor: object) -> Array:
    if not isinstance(tensor, dict):
        raise TensorFileError(f"tensor {described(name)} is {described(tensor)}; it needs dtype, shape and hex")
    dtype, digits = tensor.get("dtype"), tensor.get("hex")
    dtype = ELEMENT_TYPES.get(dtype, dtype) if isinstance(dtype, str) else dtype  # F32, as files call float32
    if not isinstance(dtype, str) or dtype not in ELEMENT_TYPES.values():
        allowed = ", ".join(word for code, word in ELEMENT_TYPES.items() if code != NARROW)
        raise TensorFileError(f"tensor {described(name)} has the dtype {described(dtype)}; write one of {allowed}")
    try:
        data = bytes.fromhex(digits) if isinstance(digits, str) else None
    except ValueError:
        data = None
    if data is None:
        raise TensorFileError(f"the hex of tensor {described(name)} must be two hexadecimal digits for each byte")
    return tensor_of(name, np.dtype(dtype).newbyteorder("<"), tensor.get("shape"), data)


def _text(message: Mapping[str, Any], key: str, *, required: bool = False) -> str:
    """Return the text under a key, fit for a report; empty where it is absent."""
    text = message.get(key)
    if (text is None and required) or not isinstance(text, (str, type(None))):
        raise ProtocolError(f"wrote a line whose {key} is {described(text)}; it must be a string")
    return one_line(text or "")


def _is_list_of_text(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _shown(line: bytes) -> str:
    return repr(one_line(line[:400].decode("utf-8", "replace"), 80))
