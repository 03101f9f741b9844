"""Reverse-mode differentiation of a recorded graph.

Every tensor that an op made remembers a node: its inputs and a pullback, which maps ∂L/∂output to ∂L/∂input. Visiting
the nodes from the result to the leaves, each after everything that uses it, and adding up what arrives at each is the
chain rule: ∂L/∂x = Σ over uses y of x: (∂y/∂x)ᵀ ∂L/∂y.

The walk keeps its own stack, so a graph may be deeper than Python's recursion limit. Contributions are added in a fixed
order, so the same graph gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from refdet.core.check import Array, shape_of
from refdet.core.elementwise import silently

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

    @property
    def is_freed(self) -> bool:
        """Whether an earlier backward let go of the inputs and the residuals."""
        return self.pullback is None


def pull_back(
    result: Tensor, dresult: Array, *, wanted: Sequence[Tensor] | None, retain_graph: bool
) -> list[tuple[Tensor, Array]]:
    """Return (t, ∂L/∂t) for every tensor t of `wanted` (None: every leaf) that a gradient reaches.

    Only what lies between the result and the wanted tensors is walked. It is freed once all gradients are there, so
    that an error on the way leaves the graph whole. A node that an earlier walk freed no longer knows its inputs. A
    wanted tensor may have been among them: it is an error where a gradient comes to it.
    """
    order = users_first(result)
    leaves = [tensor for tensor in order if tensor.node is None]
    targets = {id(tensor) for tensor in (leaves if wanted is None else wanted)}
    leads_to_target: set[int] = set()
    for tensor in reversed(order):
        if tensor.node is None:
            continue
        leads = any(x is not None and (id(x) in targets or id(x) in leads_to_target) for x in tensor.node.inputs)
        if leads or tensor.node.is_freed:
            leads_to_target.add(id(tensor))

    gradients: dict[int, Array] = {id(result): dresult}
    reached: list[tuple[Tensor, Array]] = []
    walked: list[Node] = []
    for tensor in order:
        gradient = gradients.pop(id(tensor), None)
        if gradient is None:
            continue
        if id(tensor) in targets:
            reached.append((tensor, gradient))
        if tensor.node is None or targets == {id(tensor)}:  # nothing below is wanted
            continue
        if tensor.node.is_freed:
            raise RuntimeError(
                f"backward: the graph below a result of {tensor.node.op} was freed by an earlier backward; "
                "pass retain_graph=True to that one"
            )
        if id(tensor) not in leads_to_target:
            continue
        walked.append(tensor.node)
        for x, dx in _gradients_of_inputs(tensor.node, gradient):
            with silently():
                gradients[id(x)] = gradients[id(x)] + dx if id(x) in gradients else dx
    if not retain_graph:
        for node in walked:
            node.free()
    return reached


def _gradients_of_inputs(node: Node, gradient: Array) -> Iterator[tuple[Tensor, Array]]:
    """Yield the inputs that need a gradient with what the pullback gives them, which must fit."""
    dinputs = node.pullback(gradient) if node.pullback else ()
    if not isinstance(dinputs, Sequence) or len(dinputs) != len(node.inputs):
        raise TypeError(
            f"backward of {node.op}: must return one gradient, or None, for each of {len(node.inputs)} inputs"
        )
    for i, (x, dx) in enumerate(zip(node.inputs, dinputs, strict=True)):
        if x is None or dx is None or not x.requires_grad:
            continue
        if dx.shape != x.data.shape or dx.dtype != x.data.dtype:
            raise ValueError(
                f"backward of {node.op}: gradient of shape {shape_of(dx)} and dtype {dx.dtype.name} for input {i} "
                f"of shape {x.shape} and dtype {x.dtype.name}"
            )
        yield x, dx


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
