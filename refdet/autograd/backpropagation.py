"""Reverse-mode differentiation of a recorded graph.

Every tensor that an op made remembers a node: its inputs and a pullback, which maps ∂L/∂output to ∂L/∂input. Visiting
the nodes from the result to the leaves, each after everything that uses it, and adding up what arrives at each is the
chain rule: ∂L/∂x = Σ over uses y of x: (∂y/∂x)ᵀ ∂L/∂y.

The walk keeps its own stack, so a graph may be deeper than Python's recursion limit. Contributions are added in a fixed
order, so the same graph gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from refdet.core.check import Array, shape_of

if TYPE_CHECKING:
    from refdet.autograd.tensor import Tensor

Pullback = Callable[[Array], Sequence[Array | None]]


class Node:
    """How a tensor was made: by which op, from which inputs, and how a gradient gets back to them."""

    __slots__ = ("inputs", "op", "pullback")

    def __init__(self, op: str, inputs: tuple[Tensor | None, ...], pullback: Pullback) -> None:
        self.op = op
        self.inputs = inputs
        self.pullback: Pullback | None = pullback  # None once it was freed

    def free(self) -> None:
        """Let go of the residuals and of everything below."""
        self.inputs, self.pullback = (), None


def pull_back(
    result: Tensor, dresult: Array, *, keep: Collection[Tensor], retain_graph: bool
) -> list[tuple[Tensor, Array]]:
    """Return (t, ∂L/∂t) for every leaf t below `result`, and for the tensors to `keep`, that a gradient reaches."""
    kept = {id(tensor) for tensor in keep}
    gradients: dict[int, Array] = {id(result): dresult}
    reached: list[tuple[Tensor, Array]] = []
    for tensor in users_first(result):
        gradient = gradients.pop(id(tensor), None)
        if gradient is None:
            continue
        node = tensor.node
        if node is None or id(tensor) in kept:
            reached.append((tensor, gradient))
        if node is None:
            continue
        if node.pullback is None:
            raise RuntimeError(
                f"backward: the graph below a result of {node.op} was freed by an earlier backward; "
                "pass retain_graph=True to that one"
            )
        for i, (x, dx) in enumerate(zip(node.inputs, node.pullback(gradient), strict=True)):
            if x is None or dx is None or not x.requires_grad:
                continue
            if dx.shape != x.data.shape:
                raise ValueError(
                    f"backward of {node.op}: gradient of shape {shape_of(dx)} for input {i} of shape {x.shape}"
                )
            gradients[id(x)] = gradients[id(x)] + dx if id(x) in gradients else dx
        if not retain_graph:
            node.free()
    return reached


def users_first(result: Tensor) -> list[Tensor]:
    """Return `result` and what it was made from, each tensor before its inputs."""
    inputs_first: list[Tensor] = []
    seen: set[int] = set()
    stack: list[tuple[Tensor, bool]] = [(result, False)]
    while stack:
        tensor, inputs_done = stack.pop()
        if inputs_done:
            inputs_first.append(tensor)
        elif id(tensor) not in seen:
            seen.add(id(tensor))
            stack.append((tensor, True))
            if tensor.node is not None:
                stack.extend((x, False) for x in tensor.node.inputs if x is not None and x.requires_grad)
    return inputs_first[::-1]
