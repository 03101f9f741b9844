"""CRF-as-RNN: mean-field inference in a fully connected CRF as a layer that is trained with the network below it.

    U = the logits of the network, (N, L) over the pixels, minus the unary energies
    initialise                   Q = softmax(U)
    repeat
        message passing             F⁽ᵐ⁾ = K⁽ᵐ⁾ Q / (K⁽ᵐ⁾ 1 + 1e-20)     for the spatial and the bilateral kernel
        weighting filter outputs    G = F⁽ˢ⁾ W_sᵀ + F⁽ᵇ⁾ W_bᵀ
        compatibility transform     P = G μᵀ
        adding unary potentials     H = U − P
        normalise                   Q = softmax(H)

Zheng et al., "Conditional random fields as recurrent neural networks" (2015), algorithm 1; deck 004, "CRFs as RNNs".
W_s, W_b and μ, (L, L) each, are shared by all iterations, as by the time steps of a recurrent network, and their
gradients add up over the iterations. The kernels are those of Krähenbühl & Koltun (2011), on the permutohedral lattice:

    spatial  (x, y)/θ_γ          bilateral  (x/θ_α, y/θ_α, r/θ_β, g/θ_β, b/θ_β)

Conventions:

- The layer returns the last H, unnormalised logits of the shape of its input, for a softmax or a cross-entropy after
  it; so it normalises at the start of an iteration. Without iterations it returns its input.
- `convention="caffe"` starts with μ = −I and subtracts P, as the paper and the authors' layer do. "pytorch" starts with
  +I and adds P, as the later port does. Trained values of μ go from one to the other with the opposite sign.
- W_s = 3 I and W_b = 5 I in the beginning, as in the authors' files. (The Keras port has I for both.) They act on the
  labels as matrices do, G_i = W F_i for each pixel i.
- 5 iterations in training and 10 otherwise, θ_α = 160, θ_β = 3 and θ_γ = 3, in pixels and in the unit of the image,
  0 … 255: the authors' values.
- A pixel is a neighbour of itself: the term j = i is in the sums. It is the normalisation called "after" in
  `refdet.crf.filters`, and softmax(output) is `refdet.crf.mean_field` with μ⁽ᵐ⁾ = μ W⁽ᵐ⁾ and ψ = −U.
- Neither positions, colours nor θ are learned; no gradient goes into the image. The gradient of message passing with
  respect to Q is the transposed filter, which blurs in the opposite order.
- The authors' network feeds 500 × 500 images padded with zeros, which take part in the normalisation. Here there is no
  padding but what the caller adds.
- Samples of a batch are independent, one after the other. Features are rounded to the dtype of the logits.
- Only differences of colours count, so that an image less its mean is as good. One that was divided, by 255 or by the
  standard deviations of a data set, is not: with θ_β = 3 all its colours would be alike: give θ_β in its unit.

A network and the layer trained together, as one module that takes what the network takes. The weights of the kernels
start lower than the authors', who go on from a trained network:

>>> from refdet import nn
>>> from refdet.data import Shapes
>>> from refdet.segmentation import FCN, Recipe, VGGPlan, train, training_pair
>>> class WithCRF(nn.Module):
...     def __init__(self, net, crf):
...         super().__init__()
...         self.net, self.crf = net, crf
...
...     def forward(self, x, *, training, rng):  # x: (N, 3, H, W), less the mean; its colours are the CRF's
...         images = x.data.transpose(0, 2, 3, 1)
...         return self.crf(self.net(x / 64, training=training, rng=rng), images, training=training)
>>> plan = VGGPlan(blocks=((8, 1), (16, 1)), padding=5, fc_channels=32, fc_kernel=4, dropout=0.0)
>>> rng = np.random.default_rng(0)
>>> crf = CRFasRNN(7, theta_alpha=16, theta_beta=20, spatial_weight=1, bilateral_weight=1)
>>> both = WithCRF(FCN(7, variant="2s", plan=plan, rng=rng), crf)
>>> pairs = [training_pair(scene, mean=(128, 128, 128)) for scene in Shapes(2, seed=0, size=(32, 32))]
>>> recipe = Recipe(lr=0.02, n_steps=8, momentum=0.9, normalize="valid")
>>> losses = train(both, pairs, recipe, rng=rng, multipliers={"crf.compatibility": nn.Multipliers(lr=0.1)})
>>> losses[-1] < losses[0]
True
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refdet import ops
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import Array, check_choice, check_floating, check_number, check_rank, integer, shape_of
from refdet.crf.features import bilateral_features, position_features
from refdet.crf.filters import NORM_FLOOR
from refdet.crf.lattice import Lattice
from refdet.nn.init import check_dtype
from refdet.nn.module import Module, Parameter
from refdet.nn.optim import Multipliers

CONVENTIONS = ("caffe", "pytorch")

# What the authors' training multiplies the learning rate by, which it has at 1e-13 for a loss summed over the pixels;
# for `nn.SGD(multipliers=...)`, under the names that the parameters have in this layer. Those of a module whose part
# `crf` is the layer are {f"crf.{name}": m for name, m in CRF_RNN_MULTIPLIERS.items()}.
CRF_RNN_MULTIPLIERS = {
    "spatial_weight": Multipliers(lr=1e4),
    "bilateral_weight": Multipliers(lr=1e4),
    "compatibility": Multipliers(lr=1e3),
}


def normalise(logits: Tensor) -> Tensor:
    """Return the probabilities of the labels, (N, L)."""
    return ops.softmax(logits, axis=1)


class MessagePassing:
    """One kernel: each pixel receives the mean of all, weighted by how near their features are."""

    def __init__(self, features: Array) -> None:
        self.lattice = Lattice(features)
        ones = np.ones((len(features), 1), features.dtype)
        self.inverse_norm = (1 / (self.lattice.filter(ones) + NORM_FLOOR)).data

    def __call__(self, q: Tensor) -> Tensor:
        """Return K q / (K 1 + 1e-20), (N, L)."""
        return self.lattice.filter(q) * self.inverse_norm


class CRFasRNN(Module):
    """A layer that refines logits (N, L, H, W) to agree with the edges of the images.

    It is called with logits and images, `layer(logits, images)`, and so it cannot stand in a `Sequential`; the module's
    docstring has a network and this layer trained together. Images are N arrays (H, W, 3) in 0 … 255, as `read_image`
    returns them and not as a network takes them, (N, 3, H, W) and normalised: `theta_beta` is in the unit of their
    colours, and divided ones would hardly differ.

    Args:
        n_labels: L.
        theta_alpha, theta_beta: standard deviations of the bilateral kernel, in pixels and in colour.
        theta_gamma: standard deviation of the spatial kernel, in pixels.
        iterations, training_iterations: how many, and how many with `training=True`.
        spatial_weight, bilateral_weight: what the diagonals of W_s and W_b start with.
        convention: "caffe", which starts with μ = −I and subtracts, or "pytorch", +I and adds.
        dtype: of the parameters, float32 or float64.

    Two pixels, of which one is undecided. They have the same colour, and the second follows the first:

    >>> layer = CRFasRNN(2, dtype="float64")
    >>> logits = np.array([[[[4.0, 0.0]], [[0.0, 0.0]]]])  # (1, 2, 1, 2)
    >>> ops.softmax(layer(logits, np.zeros((1, 2, 3))), axis=1).data[0, 0].round(2)
    array([[1., 1.]])
    """

    def __init__(
        self,
        n_labels: int,
        *,
        theta_alpha: float = 160.0,
        theta_beta: float = 3.0,
        theta_gamma: float = 3.0,
        iterations: int = 10,
        training_iterations: int = 5,
        spatial_weight: float = 3.0,
        bilateral_weight: float = 5.0,
        convention: str = "caffe",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        self.n_labels = integer("CRFasRNN", "n_labels", n_labels, low=1)
        self.theta_alpha, self.theta_beta, self.theta_gamma = (
            check_number("CRFasRNN", name, theta, low=0, open_low=True)
            for name, theta in (
                ("theta_alpha", theta_alpha),
                ("theta_beta", theta_beta),
                ("theta_gamma", theta_gamma),
            )
        )
        self.iterations = integer("CRFasRNN", "iterations", iterations, low=0)
        self.training_iterations = integer("CRFasRNN", "training_iterations", training_iterations, low=0)
        w_spatial = check_number("CRFasRNN", "spatial_weight", spatial_weight)
        w_bilateral = check_number("CRFasRNN", "bilateral_weight", bilateral_weight)
        check_choice("CRFasRNN", "convention", convention, CONVENTIONS)
        self.convention = convention
        identity = np.eye(self.n_labels, dtype=check_dtype("CRFasRNN", dtype))
        self.spatial_weight = Parameter(w_spatial * identity)
        self.bilateral_weight = Parameter(w_bilateral * identity)
        self.compatibility = Parameter(-identity if convention == "caffe" else identity)

    def forward(  # type: ignore[override]  # the image of the logits comes with them
        self, logits: Tensor, images: Sequence[Array], *, training: bool, rng: np.random.Generator | None
    ) -> Tensor:
        """Refine the logits of each image, and return them unnormalised, (N, L, H, W)."""
        n_iterations = self.training_iterations if training else self.iterations
        refined = [self._refine(logits[n], image, n_iterations) for n, image in enumerate(images)]
        return ops.stack(refined, axis=0) if refined else logits

    def __call__(  # type: ignore[override]
        self,
        logits: Tensor | Array,
        images: Array | Sequence[Array],
        *,
        training: bool = False,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """Refine logits.

        Args:
            logits: (N, L, H, W), of the dtype of the layer.
            images: N arrays (H, W, 3) in 0 … 255, or one for N = 1; integers of any kind, float32 or float64.
            training: whether `training_iterations` count; rng is not used.

        Returns:
            The refined logits, unnormalised, (N, L, H, W).
        """
        logits = as_tensor("CRFasRNN", "logits", logits)
        check_rank("CRFasRNN", "logits", logits.data, "N, L, H, W")
        check_floating("CRFasRNN", parameters=self.compatibility.data, logits=logits.data)
        N, L, H, W = logits.shape
        if self.n_labels != L:
            raise ValueError(f"CRFasRNN: logits must have {self.n_labels} labels, got shape {logits.shape}")
        if not isinstance(images, (np.ndarray, list, tuple)):
            raise TypeError(f"CRFasRNN: images must be an array or a list of them, got {type(images).__name__}")
        pictures = [images] if isinstance(images, np.ndarray) and images.ndim == 3 else list(images)
        if len(pictures) != N:
            raise ValueError(f"CRFasRNN: images must be one for each of {N} samples, got {len(pictures)}")
        for n, image in enumerate(pictures):
            if not isinstance(image, np.ndarray) or image.dtype.kind not in "iuf":
                got = image.dtype.name if isinstance(image, np.ndarray) else type(image).__name__
                raise TypeError(f"CRFasRNN: images[{n}] must be an array of integers or floats, got {got}")
            if shape_of(image) != (H, W, 3):
                got = shape_of(image)
                advice = "; move its channels last, with transpose(1, 2, 0)" if got == (3, H, W) else ""
                raise ValueError(f"CRFasRNN: images[{n}] must be an array of shape {(H, W, 3)}, got {got}{advice}")
        return self.forward(logits, pictures, training=training, rng=rng)

    def _refine(self, logits: Tensor, image: Array, n_iterations: int) -> Tensor:
        """Run the iterations on one sample, (L, H, W)."""
        unary = logits.reshape(self.n_labels, -1).T  # U, (N, L), a row for each pixel
        spatial, bilateral = self._kernels(image, logits.dtype)
        h = unary
        for _ in range(n_iterations):
            q = normalise(h)  # the first time: initialise
            weighted = self.weighting_filter_outputs(spatial(q), bilateral(q))
            h = self.adding_unary_potentials(unary, self.compatibility_transform(weighted))
        return h.T.reshape(logits.shape)

    def _kernels(self, image: Array, dtype: Any) -> tuple[MessagePassing, MessagePassing]:
        """Return the spatial and the bilateral kernel of an image."""
        spatial = position_features((image.shape[0], image.shape[1]), self.theta_gamma)
        bilateral = bilateral_features(image.astype(np.float64), self.theta_alpha, self.theta_beta)
        return MessagePassing(spatial.astype(dtype)), MessagePassing(bilateral.astype(dtype))

    def weighting_filter_outputs(self, spatial: Tensor, bilateral: Tensor) -> Tensor:
        """Return G, (N, L), from the messages of the two kernels."""
        return spatial @ self.spatial_weight.T + bilateral @ self.bilateral_weight.T

    def compatibility_transform(self, weighted: Tensor) -> Tensor:
        """Return P, (N, L): what the other pixels' labels mean for each label of a pixel."""
        return weighted @ self.compatibility.T

    def adding_unary_potentials(self, unary: Tensor, pairwise: Tensor) -> Tensor:
        """Return H, (N, L)."""
        return unary - pairwise if self.convention == "caffe" else unary + pairwise
