"""The numbers of the experiment on segmentation, all of them, frozen before it is run.

They were chosen on seeds of 100 and above; `DEFAULT_SEEDS` are the seeds that count. Five take about an hour of one
processor core, twelve to thirteen minutes each: that is why the pictures are small and the networks narrow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from refdet.segmentation.vgg import VGGPlan

DEFAULT_SEEDS = 5
N_CLASSES = 7  # the background and six shapes


@dataclass(frozen=True)
class GridCandidate:
    """Parameters of a grid CRF: 1[y_i ≠ y_j] (w1 exp(−β |x_i − x_j|²) + w2), β from the picture's mean contrast."""

    w1: float
    w2: float


@dataclass(frozen=True)
class DenseCandidate:
    """Parameters of a fully connected CRF: weight of the appearance kernel, and its standard deviations."""

    weight: float
    theta_position: float  # pixels
    theta_colour: float  # of 255


NARROW = VGGPlan(
    blocks=((8, 1), (24, 1), (32, 2), (64, 2), (96, 1)),
    in_channels=6,
    padding=33,
    fc_kernel=4,
    fc_channels=96,
    dropout=0.0,
)


@dataclass(frozen=True)
class Settings:
    """Every number of the experiment, and why it is what it is.

    Attributes:
        side: of the square pictures: five poolings of 80 + 2·33 − 2 pixels leave 5 × 5, on which fc6 has 2 × 2 windows;
            with fewer, FCN-32s would have a single score for a picture. Objects are 10 to 60 pixels large.
        n_train, n_validation, n_test: scenes. The network sees each training scene a few times, mirrored and turned.
            On the validation scenes the two CRFs with parameters are tuned, on the test scenes everything is measured.
        crop_side, crop_batch_size, crop_steps, crop_lr: of the classifier that the backbone comes from. On 48 pixels an
            object is 28 to 46 pixels large, as the larger ones in scenes are.
        background_share: of the pixels of background in a batch, those that count in the loss. On average as many as
            of objects do, or somewhat more.
        plan: five blocks as VGG has, narrow. Padding 33 is the least with which FCN's crops fit for a window of 4.
            Without dropout, as nothing is seen often enough to be learned by heart.
        batch_size: small, as steps are what is scarce.
        lr: Adam's, falling in a straight line to a tenth within each stage.
        steps_32s, steps_16s, steps_8s: of each stage of FCN. The coarser networks are trained on for as many steps as
            the finer ones, with the same rates, so that all three have seen as much.
        end_to_end_steps, end_to_end_lr: of FCN-8s with the CRF as its last layer, and of the FCN-8s without it that the
            other CRFs then start from. The rate starts a little above that with which the stage before ended.
        crf_lr_factor: by how much faster the parameters of the CRF are learned: Adam's steps are of the size of the
            rate, and the weights of kernels are some ten times larger than those of the network.
        theta_smoothness, smoothness_weight: of the spatial kernel of the fully connected CRF: it joins neighbours only,
            and is not tuned, so that both CRFs have two or three tuned numbers and as many candidates.
        crf_iterations: mean-field iterations, of all fully connected CRFs, in training as well.
        grid_candidates, dense_candidates: what is tried on the validation scenes, as many for the one as for the other.
        expansion_cycles: of α-expansion, at most.
        calibration_steps, calibration_lr: of the mean field of two steps (MF-2step) with Gaussian filters, of which
            only the compatibilities are learned. The rate is high, as they start far from what the loss asks for.
        learned_steps, learned_lr: of what follows: the same goes on beside a copy whose filters are learned as well.
        filter_lr_factor: by how much slower the taps of filters are learned than compatibilities: they are at most 1,
            these about the weight of their kernel.
        filter_batch_size: scenes in one such step.
    """

    side: int = 80
    n_train: int = 1500
    n_validation: int = 24
    n_test: int = 100
    crop_side: int = 48
    crop_batch_size: int = 32
    crop_steps: int = 1700
    crop_lr: float = 2e-3
    background_share: float = 0.4
    plan: VGGPlan = NARROW
    batch_size: int = 4
    lr: float = 2e-3
    steps_32s: int = 300
    steps_16s: int = 500
    steps_8s: int = 1300
    end_to_end_steps: int = 140
    end_to_end_lr: float = 3e-4
    crf_lr_factor: float = 10.0
    theta_smoothness: float = 2.0
    smoothness_weight: float = 1.0
    crf_iterations: int = 5
    grid_candidates: tuple[GridCandidate, ...] = tuple(
        GridCandidate(w1, w2) for w1 in (0.25, 0.5, 1.0, 2.0, 4.0, 6.0) for w2 in (0.0, 0.1)
    )
    dense_candidates: tuple[DenseCandidate, ...] = tuple(
        DenseCandidate(w, position, colour)
        for w in (5.0, 10.0, 20.0)
        for position in (6.0, 9.0)
        for colour in (12.0, 20.0)
    )
    expansion_cycles: int = 3
    calibration_steps: int = 100
    calibration_lr: float = 0.1
    learned_steps: int = 120
    learned_lr: float = 0.02
    filter_lr_factor: float = 0.1
    filter_batch_size: int = 2


FULL = Settings()
# All the pieces, connected, in seconds: the scores mean nothing.
MINIATURE = Settings(
    side=48,
    n_train=16,
    n_validation=2,
    n_test=4,
    crop_side=32,
    crop_batch_size=8,
    crop_steps=8,
    plan=replace(NARROW, blocks=((4, 1), (8, 1), (8, 1), (12, 1), (12, 1)), fc_channels=16),
    steps_32s=4,
    steps_16s=4,
    steps_8s=16,
    end_to_end_steps=4,
    grid_candidates=(GridCandidate(1.0, 0.0), GridCandidate(2.0, 0.1)),
    dense_candidates=(DenseCandidate(3.0, 8.0, 16.0), DenseCandidate(8.0, 16.0, 32.0)),
    calibration_steps=3,
    learned_steps=4,
)

# Measured seconds of the stages of a seed, so that a progress bar can tell how long all of it will take.
STAGE_SECONDS = {
    "scenes": 14,
    "classifier": 135,
    "FCN-32s": 24,
    "FCN-32s, beside 16s": 41,
    "FCN-16s": 37,
    "FCN-32s, beside 8s": 108,
    "FCN-16s, beside 8s": 97,
    "FCN-8s": 111,
    "FCN-8s, longer": 12,
    "grid CRF, tuning": 28,
    "dense CRF, tuning": 12,
    "grid CRF, test": 9,
    "dense CRF, test": 4,
    "CRF-RNN": 53,
    "Gauss MF-2": 24,
    "learned MF-2": 44,
    "mean fields, test": 13,
}
