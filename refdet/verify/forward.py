"""How the kernels of an algorithm are called, whether it has a gradient or not.

An algorithm with a gradient is the pair of kernels `X.forward` and `X.backward`; its forward pass returns outputs and a
residual. One without is a single kernel `X`, which returns its outputs alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.core.kernel import KERNELS, Kernel


def forward_kernel(algorithm: str) -> Kernel[..., Any] | None:
    """Return the kernel that computes the outputs, if there is one."""
    return KERNELS.get(f"{algorithm}.forward") or KERNELS.get(algorithm)


def params_of(kernel: Kernel[..., Any]) -> set[str]:
    """Return the names of the parameters that change what the kernel computes."""
    parameters = inspect.signature(kernel.reference).parameters.values()
    return {p.name for p in parameters if p.kind is p.KEYWORD_ONLY} - {"keep_residual"}


def run_forward(
    algorithm: str, arguments: Iterable[Array | None], params: Mapping[str, Any], *, keep_residual: bool = False
) -> tuple[tuple[Array | None, ...], Any]:
    """Run the forward kernel; return the outputs, always as a tuple, and the residual."""
    pair = KERNELS.get(f"{algorithm}.forward")
    if pair is not None:
        outputs, residual = pair(*arguments, keep_residual=keep_residual, **params)
    else:
        outputs, residual = KERNELS[algorithm](*arguments, **params), None
    return outputs if isinstance(outputs, tuple) else (outputs,), residual


def kernel_answers(
    algorithm: str,
    output_names: Sequence[str],
    arguments: Mapping[str, Array | None],
    dy: Array | None,
    params: Mapping[str, Any],
    wanted: Collection[str],
) -> dict[str, Array]:
    """Return what the active backend's kernels answer, by name, with the gradients that are `wanted`."""
    outputs, residual = run_forward(algorithm, arguments.values(), params, keep_residual=dy is not None)
    named = dict(zip(output_names, outputs, strict=True))
    if dy is not None:
        needs = tuple(f"d{name}" in wanted for name in arguments)
        gradients = KERNELS[f"{algorithm}.backward"](residual, dy, needs=needs, **params)
        named |= {f"d{name}": dx for name, dx, needed in zip(arguments, gradients, needs, strict=True) if needed}
    return {name: np.asarray(value) for name, value in named.items() if value is not None}
