"""Deviations of mean-field inference in fully connected CRFs, and of what goes into it.

The kernels of mean-field inference run the references of the filters, so that what changes a filter is wrapped here
once more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.wrapping import Wrap, both_passes, setting
from refdet.core.check import Array
from refdet.crf.mean_field import mean_field_forward
from refdet.verify.deviation import Body, Deviation

PYDENSECRF = "lucasb-eyer/pydensecrf, pydensecrf/densecrf/src"
CRF_AS_RNN = "torrvision/caffe, src/caffe/layers/meanfield_iteration.cpp"
KERAS = "sadeepj/crfasrnn_keras, src/crfrnn_layer.py, CrfRnnLayer2D"
PYTORCH = "sadeepj/crfasrnn_pytorch, crfasrnn/crfrnn.py, CrfRnn"
CONVCRF = "MarvinTeichmann/ConvCRF, convcrf/convcrf.py, MessagePassingCol"
CRFSEG = "mishgon/crfseg, crfseg/model.py, CRF"
GPU_DENSECRF = "heiwang1997/DenseCRF, include/pairwise_cpu.h, PottsPotentialCPU"
UTILS = "lucasb-eyer/pydensecrf, pydensecrf/utils.py"
INFERENCE = ("mean_field.forward", "mean_field.backward", "mean_field_sequential")


def _normalised(how: str) -> Wrap:
    def wrap(body: Body) -> Body:
        def inference(*arrays: Any, normalisation: tuple[str, ...], **params: Any) -> Any:
            return body(*arrays, normalisation=(how,) * len(normalisation), **params)

        return inference

    return wrap


def _self_left_out(body: Body) -> Body:
    def inference(*arrays: Any, exclude_self: bool, filters: tuple[str, ...], **params: Any) -> Any:
        only_exact = all(name == "exact" for name in filters)  # no other filter can leave a point out
        return body(*arrays, exclude_self=exclude_self or only_exact, filters=filters, **params)

    return inference


def _of_arguments(change: Any, gradient: Any) -> dict[str, Wrap]:
    """Return wrappers that change (unary, features, compatibilities), and their gradients accordingly.

    `change` is also told the parameters, and so is `gradient`.
    """

    def forward(body: Body) -> Body:
        def mean_field(unary: Array, features: Array, compatibilities: Array, **params: Any) -> Any:
            q, residual = body(*change(unary, features, compatibilities, **params), **params)
            given = {"unary": unary, "features": features, "compatibilities": compatibilities}
            return q, residual and residual._replace(**given)

        return mean_field

    def backward(body: Body) -> Body:
        def mean_field_backward(residual: Any, dq: Array, **params: Any) -> Any:
            unary, features, compatibilities = change(
                residual.unary, residual.features, residual.compatibilities, **params
            )
            changed = residual._replace(unary=unary, features=features, compatibilities=compatibilities)
            return gradient(*body(changed, dq, **params), **params)

        return mean_field_backward

    def sequential(body: Body) -> Body:
        def mean_field_sequential(unary: Array, features: Array, compatibilities: Array, **params: Any) -> Any:
            return body(*change(unary, features, compatibilities, **params), **params)

        return mean_field_sequential

    return dict(zip(INFERENCE, (forward, backward, sequential), strict=True))


def _rewarding(unary: Array, features: Array, compatibilities: Array, **_: Any) -> tuple[Array | None, ...]:
    return unary, features, None if compatibilities is None else -compatibilities


def _transposed(unary: Array, features: Array, compatibilities: Array, **_: Any) -> tuple[Array | None, ...]:
    return unary, features, None if compatibilities is None else compatibilities.swapaxes(1, 2)


def _symmetrised(unary: Array, features: Array, compatibilities: Array, **_: Any) -> tuple[Array | None, ...]:
    if compatibilities is None:
        return unary, features, None
    return unary, features, (compatibilities + compatibilities.swapaxes(1, 2)) / 2


def _logits(unary: Array, features: Array, compatibilities: Array, **_: Any) -> tuple[Array | None, ...]:
    return None if unary is None else -unary, features, compatibilities


def _unnormalised_lattices(factor_of_dimension: Any) -> Any:
    """Return what scales the compatibility of every lattice that no normalisation makes up for."""

    def scaled(
        unary: Array,
        features: Array,
        compatibilities: Array | None,
        *,
        dimensions: tuple[int, ...],
        normalisation: tuple[str, ...],
        filters: tuple[str, ...] = (),
        **_: Any,
    ) -> tuple[Array | None, ...]:
        if compatibilities is None or not filters:
            return unary, features, compatibilities
        factors = [
            factor_of_dimension(d) if name == "lattice" and how == "none" else 1.0
            for d, name, how in zip(dimensions, filters, normalisation, strict=True)
        ]
        of_kernel = np.array(factors, compatibilities.dtype)[:, None, None]
        return unary, features, compatibilities * of_kernel

    return scaled


def _lattices_only(change: Any) -> dict[str, Wrap]:
    wraps = _of_arguments(change, change)
    return {name: wraps[name] for name in INFERENCE[:2]}


def _in_parallel(body: Body) -> Body:
    def mean_field_sequential(unary: Array, features: Array, compatibilities: Array, **params: Any) -> Array:
        iterations = params.pop("sweeps")
        kernels = len(params["dimensions"])
        more = {"filters": ("exact",) * kernels, "shape": None, "damping": 0.0, "iterations": iterations}
        q, _ = mean_field_forward.reference(unary, features, compatibilities, keep_residual=False, **params, **more)
        return q

    return mean_field_sequential


def _whole_pairwise_energy(body: Body) -> Body:
    def free_energy(q: Array, unary: Array, pairwise: Array) -> Any:
        return body(q, unary, 2 * pairwise)

    return free_energy


def _without_floor(body: Body) -> Body:
    def unary_from_probabilities(probabilities: Array, *, floor: float) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            potentials: Array = 0.0 - np.log(probabilities)
        return potentials

    return unary_from_probabilities


def _label_0_is_unsure(body: Body) -> Body:
    def unary_from_labels(labels: Array, **params: Any) -> Any:
        return body(labels - 1, **{**params, "unsure": -1})

    return unary_from_labels


DEVIATIONS = [
    Deviation(
        key="crf.norm=none",
        title="kernels are never normalised",
        effect="The parameter `normalisation` is not read: messages are plain sums, larger where points are dense.",
        who=(
            f"{CRFSEG}, _smoothing_filter",
            "MarvinTeichmann/ConvCRF, convcrf/convcrf.py, default_conf: 'norm': 'none'",
        ),
        change="Divide by the filtered ones as `normalisation` says.",
        kernels=dict.fromkeys(INFERENCE, _normalised("none")),
    ),
    Deviation(
        key="crf.norm=after",
        title="messages are always divided by the filtered ones",
        effect="The parameter `normalisation` is not read: every point receives a mean.",
        who=(KERAS, f"{CRF_AS_RNN}, Forward_cpu", "sadeepj/crfasrnn_pytorch, crfasrnn/filters.py", GPU_DENSECRF),
        change="Multiply by n^α before and by n^β after the filter, with the exponents of `normalisation`.",
        kernels=dict.fromkeys(INFERENCE, _normalised("after")),
    ),
    Deviation(
        key="crf.norm=symmetric",
        title="kernels are always normalised symmetrically",
        effect="The parameter `normalisation` is not read: values are divided by √n before and after the filter.",
        who=(f"{PYDENSECRF}/pairwise.cpp, DenseKernel with its default NORMALIZE_SYMMETRIC", f"{CONVCRF}, norm='sym'"),
        change="Multiply by n^α before and by n^β after the filter, with the exponents of `normalisation`.",
        kernels=dict.fromkeys(INFERENCE, _normalised("symmetric")),
    ),
    Deviation(
        key="crf.self=included",
        title="a point is always among those from which it receives messages",
        effect="The parameter `exclude_self` is not read: with Potts every point strengthens its own opinion.",
        who=(f"{PYDENSECRF}/pairwise.cpp, DenseKernel", KERAS, PYTORCH, CONVCRF),
        change="Leave j = i out of the sum, that is put 0 on the diagonal of K, if `exclude_self`.",
        kernels={
            **dict.fromkeys(INFERENCE, setting(exclude_self=False)),
            **both_passes("gaussian_kernel", setting(exclude_self=False)),
        },
    ),
    Deviation(
        key="crf.self=excluded",
        title="a point never receives a message from itself",
        effect="The parameter `exclude_self` is not read, where all filters are exact.",
        who=("Krähenbühl & Koltun (2011), eq. (2), a sum over j ≠ i (their code does not do it)",),
        change="Keep j = i in the sum, that is 1 on the diagonal of K, unless `exclude_self`.",
        kernels={
            **both_passes("mean_field", _self_left_out),
            "mean_field_sequential": setting(exclude_self=True),
            **both_passes("gaussian_kernel", setting(exclude_self=True)),
        },
    ),
    Deviation(
        key="crf.compatibility=reward",
        title="compatibilities are rewards: they are added, not subtracted",
        effect="Labels that should repel attract each other, and the other way round.",
        who=(f"{PYTORCH}.forward, which begins with the identity where the others have its negative",),
        change="Subtract the pairwise energies from −ψ; or give the negative of the matrix.",
        kernels=_of_arguments(_rewarding, _rewarding),
    ),
    Deviation(
        key="crf.compatibility=symmetrised",
        title="the compatibility is replaced by the mean of itself and its transpose",
        effect="A matrix that is not symmetric counts as ½ (μ + μᵀ); others are not affected.",
        who=(f"{PYDENSECRF}/labelcompatibility.cpp, MatrixCompatibility",),
        change="Use μ(l, l') as it is given, rows l for the label that pays.",
        kernels=_of_arguments(_symmetrised, _symmetrised),
    ),
    Deviation(
        key="crf.compatibility=transposed",
        title="the compatibility is applied from the other side, as μ(l', l)",
        effect="What label l' of a neighbour costs label l is read in row l'; symmetric matrices are not affected.",
        who=(f"{CRFSEG}, _compatibility_transform ('ij..., jk -> ik...'), where its matrix is not −I",),
        change="Sum μ(l, l') times the messages of l' over the columns of row l.",
        kernels=_of_arguments(_transposed, _transposed),
    ),
    Deviation(
        key="crf.unary=logits",
        title="unary potentials are read as logits: large is likely",
        effect="What should be a cost is taken for a score, so that the least likely labels come out.",
        who=(KERAS, PYTORCH, "sadeepj/densecrf_np, densecrf_np/densecrf.py, DenseCRF.infer", CRFSEG),
        change="Give −ψ to the softmax, or negate the potentials that you hand over.",
        kernels=_of_arguments(_logits, _logits),
    ),
    Deviation(
        key="crf.at_once=yes",
        title="all points are updated at once, not one after the other",
        effect="A point does not see what became of those before it in the same sweep.",
        who=(f"{PYDENSECRF}/densecrf.cpp, DenseCRF::inference", KERAS),
        change="Update point after point, each with the newest q of the others.",
        kernels={"mean_field_sequential": _in_parallel},
    ),
    Deviation(
        key="crf.damping=none",
        title="updates are not damped",
        effect="The parameter `damping` is not read: the new q replaces the old one.",
        who=(f"{PYDENSECRF}/densecrf.cpp, DenseCRF::inference", KERAS, f"{CRFSEG}.forward"),
        change="Mix: q = damping · q + (1 − damping) · update.",
        kernels=both_passes("mean_field", setting(damping=0.0)),
    ),
    Deviation(
        key="crf.lattice_scale=one",
        title="the lattice's filter lacks the factor 1/(1 + 2^(−d))",
        effect="Where the kernel is not normalised messages are 1 + 2^(−d) times as large.",
        who=("abadams/permutohedral, cpu/permutohedral.h, slice",),
        change="Multiply what is sliced by 1/(1 + 2^(−d)).",
        kernels=_lattices_only(_unnormalised_lattices(lambda d: 1 + 2.0**-d)),
    ),
    Deviation(
        key="crf.lattice_blur=quarter",
        title="the lattice is blurred with ¼, ½, ¼ instead of ½, 1, ½",
        effect="Where the kernel is not normalised messages are 2^(d+1) times smaller.",
        who=("abadams/permutohedral, cpu/permutohedral.h, blur",),
        change="Add half of both neighbours to the value itself.",
        kernels=_lattices_only(_unnormalised_lattices(lambda d: 2.0 ** -(d + 1))),
    ),
    Deviation(
        key="crf.free_energy=whole_pairs",
        title="the pairwise term of the free energy lacks its ½",
        effect="Every pair counts twice; the value need not fall from one update to the next.",
        who=(f"{PYDENSECRF}/densecrf.cpp, DenseCRF::klDivergence",),
        change="Add half of Σ q p.",
        kernels={"free_energy": _whole_pairwise_energy},
    ),
    Deviation(
        key="unary.floor=none",
        title="probabilities are not clipped before the logarithm",
        effect="A probability of 0 costs ∞, and one a little above 1 less than nothing.",
        who=(f"{UTILS}, softmax_to_unary", "milesial/Pytorch-UNet, crf.py, dense_crf"),
        change="Clip the probabilities to [floor, 1].",
        kernels={"unary_from_probabilities": _without_floor},
    ),
    Deviation(
        key="unary.unsure=zero",
        title="label 0 means unsure, and the classes are counted from 1",
        effect="The parameter `unsure` is not read. Points of label 0 like every class alike, label l is class l − 1.",
        who=(f"{UTILS}, unary_from_labels with its default zero_unsure=True",),
        change="Let label l be column l, and only the label `unsure` unsure.",
        kernels={"unary_from_labels": _label_0_is_unsure},
    ),
    Deviation(
        key="unary.unsure=never",
        title="every label is sure",
        effect="The parameter `unsure` is not read: a point with that label is sure of it, or of no class.",
        who=(f"{UTILS}, unary_from_labels with zero_unsure=False",),
        change="Give every class the potential log L where the label is `unsure`.",
        kernels={"unary_from_labels": setting(unsure=None)},
    ),
]
