"""Learning the parameters of a fully connected CRF: gradients through its mean-field iterations, and L-BFGS.

    θ* = argmax_θ 𝓛(Q⁽ᵀ⁾(θ), labels),     Q⁽ᵗ⁺¹⁾ = update(Q⁽ᵗ⁾; θ)

θ are the parameters of `LearnableCRF`: unary, compatibilities, scales of the features. It is not the likelihood of the
model that is maximised, for which its partition function would be needed, but an objective of what inference returns
after T iterations; its gradient is exact, by back-propagation (`refdet.crf.mean_field`). Krähenbühl & Koltun,
"Parameter learning and convergent inference for dense random fields" (2013).

Conventions:

- The points of all images are joined into one set, on which the objective is computed.
- The optimiser is SciPy's L-BFGS-B without bounds. It stops at `epsilon`, the largest entry of the gradient; or when a
  step no longer helps. (libLBFGS of the authors compares the length of the gradient with that of θ.)
- It starts again from where it stopped, its memory of curvature emptied, as long as that helped, at most `restarts`
  times. What it finds is a local maximum, or near one.
- Where the objective or its gradient is not finite, learning ends with an error, as L-BFGS could only go on to NaN;
  what it had reached until then `on_iteration` was told.
- With a lattice filter the objective is smooth in unary and compatibility, but only piecewise so in the scales: it
  jumps where a point enters another cell. A step that does not raise the objective is never taken, and so the result
  is never worse than the start; but the search may end early.
- Memory: (T + 1) · N · L numbers for every image at once, and what its filters need. A constant filter is built anew
  twice in every evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from refdet.autograd.tensor import Tensor, gradients
from refdet.core.check import Array, check_choice, check_floating, check_number, integer, sequence
from refdet.crf.learnable_crf import CRFImage, LearnableCRF
from refdet.crf.objectives import OBJECTIVES, Objective, labelled_points
from refdet.ops.shaping import concat


class LearningProgress(NamedTuple):
    """What is known after an iteration of L-BFGS.

    Attributes:
        iteration: 1, 2, 3 …; restarts count on.
        objective: after this iteration, larger is better.
        parameters: (P,) float64, a copy.
    """

    iteration: int
    objective: float
    parameters: Array


@dataclass(frozen=True, eq=False)
class Learned:
    """What was learned, and how; `learned["compatibility[0]"]` is a matrix by its name.

    Attributes:
        crf: the CRF, with the learned parameters as those to start from.
        parameters: (P,) float64; `crf.slices` says which are which.
        objective: what they reach.
        trace: (T + 1,) float64, the objective at the start and after each of T iterations.
        evaluations: how many of the objective and its gradient there were.
    """

    crf: LearnableCRF
    parameters: Array
    objective: float
    trace: Array
    evaluations: int

    def __getitem__(self, name: str) -> Array:
        """Return a matrix by its name, such as "compatibility[0]"."""
        matrices = self.crf.matrices()
        if name not in matrices:
            raise KeyError(f"no matrix is called {name!r}; there are {', '.join(map(repr, matrices))}")
        return matrices[name].data


def objective_and_gradient(
    crf: LearnableCRF, images: Sequence[CRFImage], labels: Sequence[Array], objective: Objective, parameters: Array
) -> tuple[float, Array]:
    """Return the objective at some parameters, and its gradient with respect to them, (P,)."""
    vector = Tensor(parameters, requires_grad=True)
    q = concat([crf.marginals(image, vector) for image in images], axis=0)
    value = objective(q, np.concatenate([of_image.astype(np.int64) for of_image in labels]))
    if not isinstance(value, Tensor):
        raise TypeError(f"learn: the objective must return a Tensor, got {type(value).__name__}")
    (gradient,) = gradients(value, [vector])
    return float(value.item()), gradient


def learn(
    crf: LearnableCRF,
    images: Sequence[CRFImage],
    labels: Sequence[Array],
    objective: str | Objective = "log_likelihood",
    *,
    max_iterations: int = 50,
    epsilon: float = 1e-6,
    restarts: int = 2,
    on_iteration: Callable[[LearningProgress], object] | None = None,
) -> Learned:
    """Maximise an objective of a CRF's marginals over its parameters.

    Args:
        crf: says what is learned, and from where.
        images: the images to learn from, of one dtype.
        labels: for every image (N,) integers; one outside 0 … L − 1 is ignored.
        objective: "log_likelihood", "hamming", "expected_iou", or a function of q, (N, L), and labels that returns a
            single number to maximise; options are given by functools.partial(hamming, power=1).
        max_iterations: of L-BFGS, in a run.
        epsilon: where every entry of the gradient is this small, a run ends.
        restarts: how many more runs there may be.
        on_iteration: called after every iteration. If it raises StopIteration, what was learned so far is returned.

    Returns:
        The learned CRF and parameters, and the trace of the objective. SciPy has to be installed.

    How much to trust potentials that prefer label 0 by 1, where it is true three times of four: p/(1 − p) = e^θ, and
    so θ = log 3. The scale of the unary starts at 0; there is no kernel.

    >>> from refdet.crf.learned_matrix import LearnedMatrix
    >>> crf = LearnableCRF(unary=LearnedMatrix.multiple(np.eye(2), 0.0))
    >>> image, labels = CRFImage(np.array([[0.0, 1.0]] * 4)), np.array([0, 0, 0, 1])
    >>> learned = learn(crf, [image], [labels])
    >>> np.exp(learned.parameters).round(4), np.exp(learned.trace[0]).round(4)
    (array([3.]), np.float64(0.5))
    """
    from scipy.optimize import OptimizeResult, minimize

    score = _objective(objective)
    max_iterations = integer("learn", "max_iterations", max_iterations, low=0)
    epsilon = check_number("learn", "epsilon", epsilon, low=0)
    restarts = integer("learn", "restarts", restarts, low=0)
    _check_examples(crf, images, labels)
    parameters, trace = crf.start, list[float]()
    evaluations, stopped = 0, False

    def loss(parameters: Array) -> tuple[float, Array]:
        nonlocal evaluations
        evaluations += 1
        value, gradient = objective_and_gradient(crf, images, labels, score, parameters)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            raise ValueError(
                f"learn: the objective must be finite, and its gradient, got {value} with the parameters {parameters}"
            )
        return -value, -gradient

    def after_iteration(intermediate_result: OptimizeResult) -> None:  # SciPy goes by the name of the argument
        nonlocal parameters, stopped
        parameters = np.copy(intermediate_result.x)
        trace.append(-float(intermediate_result.fun))
        if on_iteration is not None:
            try:
                on_iteration(LearningProgress(len(trace) - 1, trace[-1], np.copy(parameters)))
            except StopIteration:
                stopped = True
                raise

    trace.append(-loss(parameters)[0])
    # ftol = 0: a run does not end because the objective hardly rises, but only where it no longer does
    options = {"maxiter": max_iterations, "gtol": epsilon, "ftol": 0.0}
    for _ in range(restarts + 1 if max_iterations else 0):
        before = trace[-1]
        # its result is not used: where a search along a line failed, it has the value of a point that was rejected
        minimize(loss, parameters, jac=True, method="L-BFGS-B", callback=after_iteration, options=options)
        if stopped or not trace[-1] > before:
            break
    return Learned(crf.at(parameters), parameters, trace[-1], np.array(trace), evaluations)


def _objective(objective: str | Objective) -> Objective:
    if callable(objective):
        return objective
    check_choice("learn", "objective", objective, OBJECTIVES)
    return OBJECTIVES[objective]


def _check_examples(crf: LearnableCRF, images: Sequence[CRFImage], labels: Sequence[Array]) -> None:
    """Refuse images and labels that do not fit the CRF or each other, and a CRF without parameters."""
    if isinstance(images, CRFImage):  # which is a sequence, too, but of other things
        raise TypeError("learn: images must be a sequence of CRFImages, got a single one")
    images, labels = sequence("learn", "images", images), sequence("learn", "labels", labels)
    if not images or len(images) != len(labels):
        raise ValueError(f"learn: needs images with labels, at least one, got {len(images)} and {len(labels)}")
    if not len(crf.start):
        raise ValueError("learn: the CRF has no parameter; make one of its matrices a LearnedMatrix")
    for i, (image, of_image) in enumerate(zip(images, labels, strict=True)):
        crf.check_image(f"learn: image {i}", image, of_image)
    check_floating("learn", **{f"images[{i}].unary": image.unary for i, image in enumerate(images)})
    unary = crf.families.get("unary")
    n_labels = images[0].unary.shape[1] if unary is None else unary.coefficients.shape[0]
    labelled_points("learn", np.concatenate([of_image.astype(np.int64) for of_image in labels]), n_labels)
