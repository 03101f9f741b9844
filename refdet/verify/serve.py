"""Answer for an adapter over the protocol: the other side of `refdet verify --command`.

    refdet verify --command "/usr/bin/python3 -m refdet.verify.serve torchvision"

asks a library that is installed for another interpreter. That one needs this package on its path, and of third-party
packages NumPy and the library alone. Whatever is printed meanwhile goes to stderr.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from refdet.core.check import Array
from refdet.nn.checkpoint.errors import described
from refdet.verify.adapters import Adapter, load_adapter
from refdet.verify.ask import as_arrays, sentence_of
from refdet.verify.params import decode_params
from refdet.verify.protocol import PROTOCOL, ProtocolError, decoded, encoded
from refdet.verify.question import Question, Skipped, Unavailable
from refdet.verify.tensor_files import read_tensors, write_tensors


def serve(adapter: Adapter, requests: Iterable[bytes], replies: IO[bytes]) -> None:
    """Answer lines until one says bye, or they end."""
    answers = {"hello": _hello, "run": _run}
    for line in requests:
        request = decoded(line)
        kind = request.get("type")
        if kind == "bye":
            return
        if not isinstance(kind, str) or kind not in answers:
            raise ProtocolError(f"wrote a line of type {described(kind)}; requests are hello, run and bye")
        replies.write(encoded(answers[kind](adapter, request)) + b"\n")
        replies.flush()


def question_of_request(request: Mapping[str, Any]) -> Question:
    """Return the question of a run line, its tensors read."""
    tensors = {name: _stored(source["file"])[source["key"]] for name, source in request["tensors"].items()}
    incoming_gradient = request["incoming_gradient"]
    return Question(
        request["id"],
        request["algorithm"],
        decode_params(request["params"]),
        {name: tensors.get(name) for name in request["arguments"]},
        None if incoming_gradient is None else tensors[incoming_gradient],
        tuple(request["outputs"]),
        tuple(request["gradients"]),
        tuple(request["stages"]),
    )


def main() -> int:
    """Serve the adapter that the command line names."""
    if len(sys.argv) != 2:
        print("usage: python -m refdet.verify.serve ADAPTER", file=sys.stderr)
        return 2
    with os.fdopen(os.dup(1), "wb") as replies:
        os.dup2(2, 1)  # from here on, what libraries print is not taken for an answer
        try:
            adapter = load_adapter(sys.argv[1])
        except (LookupError, Unavailable) as error:
            print(error.args[0], file=sys.stderr)
            return 2
        try:
            serve(adapter, sys.stdin.buffer, replies)
        except ProtocolError as error:
            print(f"refdet.verify.serve: the asking side {error}", file=sys.stderr)
            return 2
    return 0


def _hello(adapter: Adapter, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hello. An adapter skips what it does not implement, and so no list of algorithms is said."""
    if request.get("protocol") != PROTOCOL:
        raise ProtocolError(f"speaks protocol {described(request.get('protocol'))}; this is protocol {PROTOCOL}")
    version = ", ".join(f"{library} {number}" for library, number in adapter.versions.items())
    return {"type": "hello", "protocol": PROTOCOL, "name": adapter.name, "version": version}


def _run(adapter: Adapter, request: Mapping[str, Any]) -> dict[str, Any]:
    seq = request.get("seq")
    try:
        with np.errstate(all="ignore"):
            answers = as_arrays(adapter.answer(question_of_request(request)))
        write_tensors(Path(request["answer"]), answers)
    except Skipped as reason:
        return {"type": "skip", "seq": seq, "reason": str(reason)}
    except NotImplementedError as error:
        return {"type": "skip", "seq": seq, "reason": str(error) or "not implemented"}
    except Exception as error:  # whatever the implementation raises is its answer to this question
        return {"type": "error", "seq": seq, "message": sentence_of(error)}
    return {"type": "result", "seq": seq}


@functools.lru_cache(maxsize=1)  # questions about one algorithm follow each other
def _stored(file: str) -> dict[str, Array]:
    return read_tensors(Path(file))


if __name__ == "__main__":
    sys.exit(main())
