"""refdet itself: every algorithm by its kernels, in the dtype of the question, with gradients and stages.

`refdet` runs the references, `refdet:numba-cpu` the kernels of that backend, and the references where it has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points

from refdet.core.check import Array
from refdet.core.kernel import Backend, find_backend, use_backend
from refdet.verify.adapters import Adapter
from refdet.verify.adapters.table import need
from refdet.verify.forward import forward_kernel, kernel_answers
from refdet.verify.question import Question, Unavailable
from refdet.verify.traces import stages_of

# What a kernel returns as None for some arguments, and no question asks for then.
OPTIONAL_OUTPUTS = {"batch_norm": ("new_running_mean", "new_running_var")}


def load(argument: str) -> Adapter:
    """Return the adapter of the backend called `argument`; of the references where that is empty."""
    from refdet import __version__
    from refdet.verify.catalogue import catalogue

    catalogue()  # imports every module that defines kernels
    try:
        backend = find_backend(argument or "reference")
    except LookupError as error:
        raise Unavailable(str(error.args[0])) from error

    def answer(question: Question) -> Mapping[str, Array]:
        return answer_with(backend, question)

    return Adapter(
        f"refdet:{argument}" if argument else "refdet", {"refdet": __version__} | _version_of(backend), answer
    )


def answer_with(backend: Backend, q: Question) -> Mapping[str, Array]:
    """Return what refdet's kernels answer when a backend runs them: outputs, gradients, stages."""
    need(forward_kernel(q.algorithm) is not None, f"refdet has no {q.algorithm}")
    names = tuple(dict.fromkeys((*q.outputs, *OPTIONAL_OUTPUTS.get(q.algorithm, ()))))
    with use_backend(backend):
        answers = kernel_answers(q.algorithm, names, q.arguments, q.incoming_gradient, q.params, q.gradients)
        stages = stages_of(q.algorithm, q.arguments, q.params) if q.stages else {}
    return answers | {name: stages[name] for name in q.stages if name in stages}


def _version_of(backend: Backend) -> dict[str, str]:
    """Return the distribution that the backend comes from, unless it is refdet's own."""
    for entry in entry_points(group="refdet.backends"):
        if entry.name == backend.name and entry.dist is not None and entry.dist.name != "refdet":
            return {entry.dist.name: entry.dist.version}
    return {}
