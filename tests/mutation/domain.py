"""What an algorithm is asked at all: some public functions refuse what the kernels' own checks let pass.

Kernels check shapes, types and parameters. Where the values matter too, such as a compatibility that must be a metric,
the public function checks them, and its kernel may do anything with others.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from refdet.core.kernel import Backend, use_backend
from refdet.verify.catalogue import catalogue
from refdet.verify.forward import forward_kernel
from tests.mutation.answers import Question


class _Accepted(BaseException):
    """The public function has come to its kernel."""


def refused(question: Question) -> bool:
    """Whether the public function of the algorithm refuses the arguments, before it runs the kernel."""
    kernel, function = forward_kernel(question.algorithm), _public_functions().get(question.algorithm)
    if kernel is None or function is None:
        return False
    try:
        with use_backend(Backend("none", {kernel.name: _accept}, "reference")):
            function(*question.arguments, **question.params)
    except ValueError:
        return True
    except (_Accepted, TypeError):  # a function that is called in another way, such as with a list of arrays
        pass
    return False


@functools.cache
def _public_functions() -> dict[str, Callable[..., Any]]:
    return {name: entry.op.function for name, entry in catalogue().items() if entry.op is not None}


def _accept(*_: object, **__: object) -> None:
    raise _Accepted
