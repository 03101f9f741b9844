"""Gaussian filtering in any number of dimensions, by the permutohedral lattice.

    y_i ≈ Σ_j exp(−½ |f_i − f_j|²) · x_j   over all points j, i among them

in three steps, each linear in the values x: splat them on the vertices of a lattice, blur there, slice them off again.

    y = α · Sᵀ · B_d ⋯ B_1 B_0 · S · x,        α = 1/(1 + 2^{−d})

S has the weights of `refdet.crf.lattice_embed`, B_j is one pass of `refdet.crf.lattice_blur`, and α makes a vertex's
response to itself 1 on a lattice without holes, as exp(0) is. Time grows with d² N instead of N². Adams, Baek & Davis,
"Fast high-dimensional filtering using the permutohedral lattice" (2010); Krähenbühl & Koltun, "Efficient inference in
fully connected CRFs with Gaussian edge potentials" (2011), whose code has α; deck 004.

Conventions:

- It is an approximation. Where ρ points per unit of volume lie densely, the filtered ones are
  ρ · 2^{d+1} (3/2)^{d/2} / (√(d+1) (1 + 2^{−d})) instead of ρ · (2π)^{d/2}: .9213, .8821, .8295, .7676 and .7055 of it
  in d = 1 … 5. Where points are sparse the lattice has holes, and what the blur sends there is lost. A point's response
  to itself is at most 1, and reaches it only on a vertex: elsewhere it is spread over d + 1 of them. Dividing by the
  filtered ones (`refdet.crf.filters`) makes up for most of this.
- The operator is not quite symmetric, as on a lattice with holes the order of the blur's axes matters. `transposed`
  blurs in the opposite order. The gradient with respect to the values is the transposed filter.
- Gradients with respect to the features pass through the weights, those of splatting and those of slicing. They hold
  within a simplex: where a point leaves it, the set of vertices in use changes, and with it the filter, by a jump.
- Krähenbühl's vectorised code pads N to a multiple of 4 with points at the origin, which adds vertices there; this does
  not.
"""

from __future__ import annotations

from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import Array, check_flag, check_floating, check_rank, shape_of
from refdet.crf.lattice_blur import lattice_blur
from refdet.crf.lattice_embed import check_embeddable, check_features, lattice_embed
from refdet.crf.lattice_index import lattice_index
from refdet.crf.lattice_slice import lattice_slice
from refdet.crf.lattice_splat import lattice_splat


def slice_scale(d: int) -> float:
    """Return α = 1/(1 + 2^{−d}).

    >>> slice_scale(1)
    0.6666666666666666
    """
    return 1 / (1 + 2.0**-d)


class Lattice:
    """The lattice around N points, made once to filter any number of values.

    Args:
        features: (N, d), float32 or float64, finite: the points, divided by the standard deviations of the filter.

    Attributes:
        weights: (N, d + 1), a Tensor: of each point on the corners of its simplex; it carries the features' gradient.
        ids: (N, d + 1) int64: which vertices those corners are.
        vertices: (M, d) int64: the keys of the vertices.
        neighbours: (d + 1, 2, M) int64: their neighbours along each axis, −1 where there is none.
        n_points, d, n_vertices, scale: N, d, M and α.

    A point on a vertex, alone. Its simplex has one more corner, through which a quarter of its value returns to it:
    (3 + 3/4) · 2/3. With neighbours on both sides it would be 3.

    >>> lattice = Lattice(np.zeros((1, 1)))
    >>> lattice.n_vertices, lattice.filter(np.array([[3.0]])).data.round(12)
    (2, array([[2.5]]))
    """

    def __init__(self, features: Tensor | Array) -> None:
        self.weights, keys = lattice_embed(features)
        self.vertices, self.ids, self.neighbours = lattice_index(keys)
        self.n_points, self.d = self.weights.shape[0], self.weights.shape[1] - 1
        self.n_vertices = len(self.vertices)
        self.scale = slice_scale(self.d)

    def filter(self, values: Tensor | Array, *, transposed: bool = False) -> Tensor:
        """Return the filtered values, (N, V), of `values`, (N, V), which have the dtype of the features."""
        values = as_tensor("Lattice.filter", "values", values)
        _check_values("Lattice.filter", values.data, self.weights.data)
        reverse = check_flag("Lattice.filter", "transposed", transposed)
        z = lattice_splat(values, self.weights, self.ids, self.n_vertices)
        z = lattice_blur(z, self.neighbours, reverse=reverse)
        return lattice_slice(z, self.weights, self.ids, scale=self.scale)


def _check_values(op: str, values: Array, features: Array) -> None:
    """Refuse values that are not one row per point, of the dtype of the features."""
    check_rank(op, "values", values, "N, V")
    check_floating(op, features=features, values=values)
    if len(values) != len(features):
        raise ValueError(
            f"{op}: values must have one row for each of {len(features)} points, got shape {shape_of(values)}"
        )


def permutohedral_filter(values: Tensor | Array, features: Tensor | Array, *, transposed: bool = False) -> Tensor:
    """Filter values with a Gaussian of standard deviation 1 in the space of the features, approximately.

    What is returned are sums, Σ_j exp(−½ |f_i − f_j|²) x_j, not means: they grow with the number of points nearby.

    Args:
        values: (N, V), float32 or float64.
        features: (N, d), of the same dtype, finite.
        transposed: apply the transpose of the filter, which differs from it slightly.

    Returns:
        (N, V). The sum includes the point itself.

    Three points √3/2 apart, which are neighbouring vertices of the lattice. The exact response next to the 3 is
    3 exp(−½ · ¾) = 2.06:

    >>> points = np.sqrt(3) / 2 * np.array([[-1.0], [0.0], [1.0]])
    >>> permutohedral_filter(np.array([[0.0], [3.0], [0.0]]), points).data.round(12)[:, 0]
    array([2., 3., 2.])

    A bilateral filter is a mean: divide by what becomes of ones. Here by a column of them, and the first two points are
    alike while the third is far away:

    >>> values, points = np.array([[1.0], [3.0], [70.0]]), np.array([[0.0], [0.0], [9.0]])
    >>> sums = permutohedral_filter(np.hstack([values, np.ones((3, 1))]), points).data
    >>> (sums[:, :-1] / sums[:, -1:]).round(12)[:, 0]
    array([ 2.,  2., 70.])
    """
    op = "permutohedral_filter"
    values, features = as_tensor(op, "values", values), as_tensor(op, "features", features)
    check_features(op, features.data)
    check_embeddable(op, features.data)
    _check_values(op, values.data, features.data)
    check_flag(op, "transposed", transposed)
    return Lattice(features).filter(values, transposed=transposed)
