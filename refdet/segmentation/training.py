"""Training of per-pixel classifiers, and FCN's course from coarse to fine.

    loss = Σ_i −log softmax(x_i)[y_i] / D     over the pixels i of a batch whose label y_i is not ignored

| normalize | D | Caffe |
|---|---|---|
| `"sum"` | 1 | NONE |
| `"valid"` | the number of pixels that count, at least 1 | VALID |
| `"full"` | the number of all pixels, at least 1 | FULL |
| `"batch"` | the number of images, at least 1 | BATCH_SIZE, `normalize: false` |

The authors write `normalize: false` and train on one image at a time, for which "batch" and "sum" are the same.

Stochastic gradient descent with momentum; biases learn at twice the rate and do not decay. Frozen upsampling takes no
part. The numbers of the authors' solver files: one image a batch, momentum 0.99, weight decay 5·10⁻⁴ and the rates
`REFERENCE_RATES`, which belong to the sum over the pixels of a VOC image: "sum" at rate ε goes as far as "full" at rate
ε · pixels, weight decay aside. Images are in 0 … 255 less `REFERENCE_MEAN_BGR`, blue first.

Two courses: in stages, each variant from the one before (`train_in_stages`); at once, FCN-8s alone with its pools
scaled down (`AT_ONCE_SCALES`, then `train`), in the authors' file at the rate of 32s.

Source: Long, Shelhamer & Darrell, "Fully convolutional networks for semantic segmentation" (2015), §4.3 and their
solver files.

Conventions: a run draws from one generator: the order of the samples, anew whenever all have been seen, then dropout.
One state of it gives one run, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import (
    Array,
    as_index,
    check_choice,
    check_floating,
    check_generator,
    check_integer,
    check_number,
    check_rank,
    check_shape,
    integer,
    shape_of,
)
from refdet.data.sample import Sample, check_sample
from refdet.data.transforms import network_input
from refdet.nn import SGD, Module, Multipliers
from refdet.nn.schedules import Schedule, constant
from refdet.ops.softmax_cross_entropy import softmax_cross_entropy
from refdet.segmentation.fcn import FCN, refined, variants

Pair = tuple[Array, Array]  # an image (C, H, W), as the network takes it, and its label map (H, W)

IGNORE_LABEL = 255
NORMALIZERS = ("sum", "valid", "full", "batch")
REFERENCE_RATES = {"32s": 1e-10, "16s": 1e-12, "8s": 1e-14}
REFERENCE_MEAN_BGR = (104.00699, 116.66877, 122.67892)


@dataclass(frozen=True)
class Recipe:
    """How one network is trained; rate and length are to be given, the rest is that of the authors' files.

    The rate belongs to what the loss is divided by. The defaults are the authors': a sum over all pixels, whose rates
    are `REFERENCE_RATES`, 1e-10 and less, with momentum 0.99. Usual rates belong to a mean over the pixels:

        normalize="sum" or "batch"     1e-10 or so, for VGG-16 and a VOC image of 500 × 375 in 0 … 255 less the mean
        normalize="valid" or "full"    0.01 or so, with momentum=0.9, for a new network and images in about −2 … 2

    Attributes:
        lr: the learning rate, or a schedule of `refdet.nn.schedules`; see above.
        n_steps: how many batches.
        momentum: of SGD.
        weight_decay: of all but biases.
        batch_size: images a batch; above 1 they must be of one size.
        normalize: what the loss is divided by: "sum", nothing; "valid", the number of pixels that count; "full", of all
            pixels; "batch", of images.
        ignore_label: the label of pixels that do not count, or None.
    """

    lr: float | Schedule
    n_steps: int
    momentum: float = 0.99
    weight_decay: float = 5e-4
    batch_size: int = 1
    normalize: str = "sum"
    ignore_label: int | None = IGNORE_LABEL

    def __post_init__(self) -> None:
        if not callable(self.lr):
            check_number("Recipe", "lr", self.lr, low=0)
        integer("Recipe", "n_steps", self.n_steps, low=0)
        check_number("Recipe", "momentum", self.momentum, low=0)
        check_number("Recipe", "weight_decay", self.weight_decay, low=0)
        integer("Recipe", "batch_size", self.batch_size, low=1)
        check_choice("Recipe", "normalize", self.normalize, NORMALIZERS)
        if self.ignore_label is not None and as_index(self.ignore_label) is None:
            raise TypeError(f"Recipe: ignore_label must be an integer or None, got {self.ignore_label!r}")


class Step(NamedTuple):
    """What `on_step` hears after each step: of which network, the step's number from 0, and the loss before it."""

    model: Module
    i_step: int
    loss: float


OnStep = Callable[[Step], None]


def training_pair(sample: Sample, *, mean: Sequence[float], order: str = "RGB") -> Pair:
    """Return a sample with a label map as (image (3, H, W) float32 less the mean, label map (H, W)).

    Args:
        sample: whose label map is known.
        mean: of each channel, in the order of channels; the authors' is `REFERENCE_MEAN_BGR`.
        order: "RGB", or "BGR", as the authors have it.
    """
    check_sample("training_pair", "sample", sample)
    if sample.label_map is None:
        raise ValueError(f"training_pair: sample {sample.name!r} has no label map")
    return network_input(sample.image, mean=mean, order=order), sample.label_map


def pixel_loss(
    logits: Tensor | Array,
    label_maps: Tensor | Array,
    *,
    normalize: str = "sum",
    ignore_label: int | None = IGNORE_LABEL,
) -> Tensor:
    """Return the loss of logits (N, C, H, W) and label maps (N, H, W).

    Two pixels, one ignored, two classes with equal logits:

    >>> pixel_loss(np.zeros((1, 2, 1, 2)), np.array([[[1, 255]]])).data.round(3)
    np.float64(0.693)
    """
    check_choice("pixel_loss", "normalize", normalize, NORMALIZERS)
    return softmax_cross_entropy(logits, label_maps, ignore_label=ignore_label, normalize=normalize)


def bias_multipliers(model: Module) -> dict[str, Multipliers]:
    """Return what gives every bias twice the learning rate and no weight decay."""
    return {
        name: Multipliers(lr=2.0, weight_decay=0.0)
        for name, _ in model.named_parameters()
        if name.split(".")[-1] == "bias"
    }


def train(
    model: Module,
    samples: Sequence[Pair],
    recipe: Recipe,
    *,
    rng: np.random.Generator,
    on_step: OnStep | None = None,
    multipliers: Mapping[str, Multipliers] | None = None,
) -> list[float]:
    """Train `model` in place; return the loss of each batch before its step.

    What ends a run early, an error in `on_step` or Ctrl-C, leaves the model as its last step left it. The momentum is
    gone then: another run starts from rest.

    Args:
        model: gives (N, C, H, W) for (N, 3, H, W).
        samples: (image (3, H, W) of the model's dtype, label map (H, W) of integers), at least one: what
            `training_pair` returns. A sequence that makes its items when they are asked for will do.
        recipe: rate, length and the rest.
        rng: source of order and dropout.
        on_step: called after each step.
        multipliers: parameter → `nn.Multipliers`, in place of those of `bias_multipliers`; the others keep theirs.
    """
    _check_run(model, samples, recipe)
    check_generator("train", rng)
    rate = recipe.lr if callable(recipe.lr) else constant(recipe.lr)
    optimiser = SGD(
        model.named_parameters(),
        lr=rate(0),
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        multipliers=bias_multipliers(model) | dict(multipliers or {}),
    )
    losses: list[float] = []
    indices = _endless(len(samples), rng)
    for i_step in range(recipe.n_steps):
        images, label_maps = _batch(samples, [next(indices) for _ in range(recipe.batch_size)])
        logits = model(images, training=True, rng=rng)
        loss = pixel_loss(logits, label_maps, normalize=recipe.normalize, ignore_label=recipe.ignore_label)
        optimiser.zero_grad()
        loss.backward()
        try:
            optimiser.step(lr=rate(i_step))
        except FloatingPointError as error:
            valid = "" if recipe.normalize in ("valid", "full") else "normalize='valid' with its usual rates, or "
            raise FloatingPointError(
                f"train: step {i_step}, lr={rate(i_step):g}, normalize={recipe.normalize!r}: {error}; "
                f"if the images are finite, training diverged: try {valid}a smaller rate"
            ) from error
        losses.append(float(loss.item()))
        if on_step is not None:
            on_step(Step(model, i_step, losses[-1]))
    optimiser.zero_grad()
    return losses


def train_in_stages(
    coarsest: FCN,
    samples: Sequence[Pair],
    recipes: Mapping[str, Recipe],
    *,
    rng: np.random.Generator,
    on_step: OnStep | None = None,
) -> dict[str, FCN]:
    """Train `coarsest` in place, then each next finer variant from the one before, as long as there is a recipe.

    Args:
        coarsest: the network of the first stage.
        samples: as for `train`.
        recipes: variant → recipe, one for `coarsest` and for as many finer variants, without a gap: 32s, 16s, 8s.
        rng: source of order and dropout of all stages, one after the other.
        on_step: called after each step; `step.model.variant` says in which stage.

    Returns:
        variant → trained network, coarsest first, each with parameters of its own.
    """
    order = _stages(coarsest, recipes)
    trained: dict[str, FCN] = {}
    model = coarsest
    for i_stage, variant in enumerate(order):
        model = refined(model) if i_stage else model
        train(model, samples, recipes[variant], rng=rng, on_step=on_step)
        trained[variant] = model
    return trained


def _stages(coarsest: FCN, recipes: Mapping[str, Recipe]) -> list[str]:
    """Return the variants in the order of training; refuse recipes that are not consecutive from `coarsest` on."""
    if not isinstance(coarsest, FCN):
        raise TypeError(f"train_in_stages: coarsest must be an FCN, got {type(coarsest).__name__}")
    names = variants(coarsest.plan)
    first = names.index(coarsest.variant)
    order = list(names[first : first + len(recipes)])
    if not recipes or set(order) != set(recipes):
        raise ValueError(
            f"train_in_stages: recipes must be for {coarsest.variant!r} and the variants that follow it, each half "
            f"the stride of the one before, got {', '.join(map(repr, recipes)) or 'none'}"
        )
    return order


def _check_run(model: Module, samples: Sequence[Pair], recipe: Recipe) -> None:
    if not isinstance(model, Module):
        raise TypeError(f"train: model must be a Module, got {type(model).__name__}")
    if not isinstance(recipe, Recipe):
        raise TypeError(f"train: recipe must be a Recipe, got {type(recipe).__name__}")
    if not hasattr(samples, "__len__"):
        raise TypeError(f"train: samples must be a sequence, got {type(samples).__name__}")
    if len(samples) == 0:
        raise ValueError("train: there must be at least one sample")


def _endless(n: int, rng: np.random.Generator) -> Iterator[int]:
    """Yield 0 … n − 1 in random order, again and again."""
    while True:
        yield from (int(i) for i in rng.permutation(n))


def _batch(samples: Sequence[Pair], indices: Iterable[int]) -> Pair:
    images, label_maps = [], []
    for i in indices:
        sample = samples[i]
        if not isinstance(sample, (tuple, list)) or len(sample) != 2:
            raise TypeError(
                f"train: sample {i} must be a pair (image, label map), as training_pair returns it, got "
                f"{type(sample).__name__}"
            )
        image, label_map = sample
        check_rank("train", f"image of sample {i}", image, "C, H, W")
        check_floating("train", **{f"image of sample {i}": image})
        check_integer("train", **{f"label map of sample {i}": label_map})
        check_shape("train", f"label map of sample {i}", label_map, shape_of(image)[1:], "one label per pixel")
        images.append(image)
        label_maps.append(label_map)
    sizes = {shape_of(image) for image in images}
    if len(sizes) > 1:
        raise ValueError(f"train: images of one batch must be of one size, got {sorted(sizes)}; take batch_size 1")
    return np.stack(images), np.stack(label_maps)
