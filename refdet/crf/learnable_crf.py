"""A fully connected CRF as a function of a flat vector of parameters.

Three kinds of matrices in it can be learned, of every kernel m its own:

    ψ_i = U x_i              the unary potentials, from given ones (U = p I), or from features x_i of a point, so that
                             the softmax of −ψ is logistic regression (U full)
    μ⁽ᵐ⁾                     the label compatibility, which carries the weight of the kernel
    f'_i⁽ᵐ⁾ = A⁽ᵐ⁾ f_i⁽ᵐ⁾    the scale of the features (A diagonal: f' = p ∘ f, or full)

Krähenbühl & Koltun, "Parameter learning and convergent inference for dense random fields" (2013).

Conventions:

- The vector holds the parameters of the unary, then those of the compatibilities, then those of the scales, kernel by
  kernel. `slices` says which are which, by the names of their matrices: "unary", "compatibility[0]", "scale[0]", ….
- Parameters are float64. Matrices are rounded to the dtype of the image they meet, and their gradients back.
- A parameter is not bounded. Scales p and −p are the same Gaussian; a Potts weight below 0 drives labels apart.
- The features of a truncated filter have no gradient: beside one, no scale can be learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import (
    Array,
    check_choice,
    check_flag,
    check_floating,
    check_integer,
    check_rank,
    check_shape,
    integer,
    sequence,
    shape_of,
)
from refdet.crf.filters import EXPONENTS, FILTERS, Shape
from refdet.crf.learned_matrix import LearnedMatrix
from refdet.crf.mean_field import check_damping, mean_field
from refdet.crf.model import check_dtypes, check_rows


class CRFImage(NamedTuple):
    """What a CRF sees of an image; all of one dtype, float32 or float64.

    If the CRF has a matrix U, `unary` holds the F features of every point that it makes ψ from; a constant term needs a
    column of ones.
    """

    unary: Array  # (N, L), ψ itself; or (N, F)
    features: Sequence[Array] = ()  # (N, d_m) for each kernel, divided by its standard deviations or left to the scale
    shape: Shape | None = None  # (H, W), for truncated filters


@dataclass(frozen=True, eq=False)
class LearnableKernel:
    """One kernel of a CRF; an array stays as it is, a `LearnedMatrix` is learned.

    Attributes:
        compatibility: μ, (L, L), with the weight of the kernel in it.
        scale: A, (d', d), which multiplies the features of every point; None leaves them as they are.
        filter: "lattice", "exact" or "truncated" (`refdet.crf.filters`).
        normalisation: "symmetric", "none", "before" or "after".
    """

    compatibility: LearnedMatrix | Array
    scale: LearnedMatrix | Array | None = None
    filter: str = "lattice"
    normalisation: str = "symmetric"

    def __post_init__(self) -> None:
        check_choice("LearnableKernel", "filter", self.filter, FILTERS)
        check_choice("LearnableKernel", "normalisation", self.normalisation, EXPONENTS)


@dataclass(frozen=True, eq=False)
class LearnableCRF:
    """A CRF whose marginals are a differentiable function of a flat vector of parameters.

    Args:
        kernels: any number of `LearnableKernel`s.
        unary: U, (L, F), an array or a `LearnedMatrix`; None: ψ is given by the image.
        iterations, exclude_self, damping: of `refdet.crf.mean_field`.

    >>> crf = LearnableCRF([LearnableKernel(LearnedMatrix.potts(2), scale=LearnedMatrix.diagonal([3.0, 4.0]))])
    >>> crf.start, crf.slices
    (array([1., 3., 4.]), {'compatibility[0]': slice(0, 1, None), 'scale[0]': slice(1, 3, None)})
    """

    kernels: Sequence[LearnableKernel] = ()
    unary: LearnedMatrix | Array | None = None
    iterations: int = 5
    exclude_self: bool = False
    damping: float = 0.0

    def __post_init__(self) -> None:
        integer("LearnableCRF", "iterations", self.iterations, low=0)
        check_damping("LearnableCRF", self.damping)
        check_flag("LearnableCRF", "exclude_self", self.exclude_self)
        if isinstance(self.kernels, LearnableKernel):
            raise TypeError(
                "LearnableCRF: kernels must be a sequence of LearnableKernels, got a single one; write [...]"
            )
        for kernel in sequence("LearnableCRF", "kernels", self.kernels):
            if not isinstance(kernel, LearnableKernel):
                raise TypeError(f"LearnableCRF: every kernel must be a LearnableKernel, got {type(kernel).__name__}")
        learned_scales = any(isinstance(k.scale, LearnedMatrix) and len(k.scale.start) for k in self.kernels)
        if learned_scales and any(k.filter == "truncated" for k in self.kernels):
            raise ValueError(
                "LearnableCRF: beside a filter 'truncated', whose features have no gradient, no scale can be learned; "
                "use 'lattice' or 'exact', or a scale that is an array"
            )
        _ = self.families  # refuses arrays that are no matrices

    @property
    def families(self) -> dict[str, LearnedMatrix]:
        """The families of all matrices by name, in the order of their parameters."""
        given = {} if self.unary is None else {"unary": self.unary}
        given |= {f"compatibility[{m}]": kernel.compatibility for m, kernel in enumerate(self.kernels)}
        given |= {f"scale[{m}]": kernel.scale for m, kernel in enumerate(self.kernels) if kernel.scale is not None}
        return {name: _family(name, matrix) for name, matrix in given.items()}

    @property
    def start(self) -> Array:
        """The parameters to start from, (P,) float64."""
        return np.concatenate([np.zeros(0), *(family.start for family in self.families.values())])

    @property
    def slices(self) -> dict[str, slice]:
        """Where in the vector the parameters of each matrix are, for those that have any."""
        slices, end = {}, 0
        for name, family in self.families.items():
            begin, end = end, end + len(family.start)
            if end > begin:
                slices[name] = slice(begin, end)
        return slices

    def matrices(self, parameters: Tensor | Array | None = None) -> dict[str, Tensor]:
        """Return all matrices by name for a vector of parameters, by default for those to start from."""
        vector = self._vector("LearnableCRF.matrices", parameters)
        slices = self.slices
        return {
            name: family.matrix(vector[slices[name]] if name in slices else vector)
            for name, family in self.families.items()
        }

    def at(self, parameters: Array) -> LearnableCRF:
        """Return the same CRF with other parameters to start from."""
        vector = self._vector("LearnableCRF.at", parameters).data
        slices = self.slices
        families = {
            name: replace(family, start=np.copy(vector[slices[name]])) if name in slices else family
            for name, family in self.families.items()
        }
        kernels = [
            replace(k, compatibility=families[f"compatibility[{m}]"], scale=families.get(f"scale[{m}]"))
            for m, k in enumerate(self.kernels)
        ]
        return replace(self, kernels=kernels, unary=families.get("unary"))

    def marginals(self, image: CRFImage, parameters: Tensor | Array | None = None) -> Tensor:
        """Return q, (N, L), for a vector of parameters, by default for those to start from."""
        self.check_image("LearnableCRF.marginals", image)
        dtype = image.unary.dtype
        matrices = {name: matrix.astype(dtype) for name, matrix in self.matrices(parameters).items()}

        def through(name: str, rows: Array) -> Tensor:
            """Multiply every row x by the matrix of that name, if there is one."""
            return Tensor(rows) @ matrices[name].T if name in matrices else Tensor(rows)

        return mean_field(
            through("unary", image.unary),
            [through(f"scale[{m}]", features) for m, features in enumerate(image.features)],
            [matrices[f"compatibility[{m}]"] for m in range(len(self.kernels))],
            filters=[kernel.filter for kernel in self.kernels],
            normalisation=[kernel.normalisation for kernel in self.kernels],
            shape=image.shape,
            exclude_self=self.exclude_self,
            iterations=self.iterations,
            damping=self.damping,
        )

    def check_image(self, op: str, image: CRFImage, labels: Array | None = None) -> None:
        """Refuse an image, and labels of its points, that do not fit this CRF."""
        if not isinstance(image, CRFImage):
            raise TypeError(f"{op}: an image must be a CRFImage, got {type(image).__name__}")
        check_floating(op, unary=image.unary)
        check_rank(op, "unary", image.unary, "N, L")
        n_points, n_columns = shape_of(image.unary)
        if len(image.features) != len(self.kernels):
            raise ValueError(
                f"{op}: features must be one array for each of {len(self.kernels)} kernels, got {len(image.features)}"
            )
        families = self.families
        if "unary" in families:
            n_inputs = families["unary"].coefficients.shape[1]
            check_shape(op, "unary", image.unary, (n_points, n_inputs), "one column for each column of the matrix U")
            n_columns = families["unary"].coefficients.shape[0]
        for m, features in enumerate(image.features):
            check_dtypes(op, image.unary, features=features)
            check_rank(op, "features", features, "N, d")
            check_rows(op, image.unary, features)
            scale = families.get(f"scale[{m}]")
            columns = shape_of(features)[1] if scale is None else scale.coefficients.shape[1]
            check_shape(op, f"features[{m}]", features, (n_points, columns), "one column for each of the scale's")
            mu = families[f"compatibility[{m}]"].coefficients
            check_shape(op, f"compatibility[{m}]", mu, (n_columns, n_columns), f"L × L for {n_columns} labels")
        if labels is not None:
            check_integer(op, labels=labels)
            check_shape(op, "labels", labels, (n_points,), "one per point")

    def _vector(self, op: str, parameters: Tensor | Array | None) -> Tensor:
        """Return the parameters as a tensor of float64 and the right length."""
        start = self.start
        vector = parameters if isinstance(parameters, Tensor) else Tensor(start if parameters is None else parameters)
        check_shape(op, "parameters", vector.data, shape_of(start), "those of all learned matrices")
        check_floating(op, start=start, parameters=vector.data)
        if not np.isfinite(vector.data).all():
            i = int(np.argmin(np.isfinite(vector.data)))
            name = next(name for name, part in self.slices.items() if part.start <= i < part.stop)
            raise ValueError(f"{op}: parameters must be finite, got {vector.data[i]} at {i}, of {name!r}")
        return vector


def _family(name: str, matrix: LearnedMatrix | Array) -> LearnedMatrix:
    """Return the family of a matrix; an array is the only one of its family."""
    if isinstance(matrix, LearnedMatrix):
        return matrix
    try:
        return LearnedMatrix.fixed(matrix)
    except (TypeError, ValueError) as problem:
        raise type(problem)(f"LearnableCRF: {name}: {problem}") from None
