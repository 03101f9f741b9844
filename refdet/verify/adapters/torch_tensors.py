"""Questions as torch tensors: values by a call, gradients by its autograd; for torch and torchvision.

A call gets the library, the arguments as tensors by name, and the question; it returns the one output, or outputs by
name. Every gradient that is asked for, and that autograd has, is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from refdet.verify.adapters.table import Answers, Function
from refdet.verify.question import Question

Tensors = Mapping[str, Any]
Call = Callable[[Any, Tensors, Question], Any]

REFUSALS = (RuntimeError, ValueError, IndexError)  # how torch says that it does not do something


def answering(torch: Any, library: Any, calls: Mapping[str, Call]) -> dict[str, Function]:
    """Return functions of the question alone; `library` is what the calls get first."""

    def function(call: Call) -> Function:
        return lambda question: _answer(torch, library, call, question)

    return {algorithm: function(call) for algorithm, call in calls.items()}


def _answer(torch: Any, library: Any, call: Call, question: Question) -> Answers:
    dy = question.incoming_gradient
    tensors = {name: None if x is None else torch.tensor(x) for name, x in question.arguments.items()}
    leaves = {name: t for name, t in tensors.items() if t is not None and f"d{name}" in question.gradients}
    for leaf in leaves.values():
        leaf.requires_grad_(dy is not None)
    result = call(library, tensors, question)
    outputs = result if isinstance(result, dict) else {question.outputs[0]: result}
    answers = {name: y.detach().numpy() for name, y in outputs.items() if y is not None}
    y = outputs[question.outputs[0]]
    if dy is not None and y.requires_grad:
        y.backward(torch.tensor(np.broadcast_to(dy, tuple(y.shape))))
        answers |= {f"d{name}": leaf.grad.numpy() for name, leaf in leaves.items() if leaf.grad is not None}
    return answers
