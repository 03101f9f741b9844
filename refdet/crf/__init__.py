"""Floor 4: conditional random fields, on a grid or fully connected, and what they are made of."""

from refdet.crf.alpha_expansion import alpha_expansion
from refdet.crf.belief_propagation import belief_propagation
from refdet.crf.compatibility import diagonal, potts, pydensecrf_compatibility, symmetric
from refdet.crf.contrast_weights import contrast_weights
from refdet.crf.crf_energy import crf_energy
from refdet.crf.crf_rnn import CRF_RNN_MULTIPLIERS, CRFasRNN
from refdet.crf.dense import DenseCRF, GaussianPotential, Inference, Progress
from refdet.crf.features import bilateral_features, position_features, whiten
from refdet.crf.free_energy import free_energy
from refdet.crf.gaussian_kernel import gaussian_kernel
from refdet.crf.grid import grid_edges
from refdet.crf.icm import icm
from refdet.crf.lattice import Lattice, permutohedral_filter
from refdet.crf.lattice_blur import lattice_blur
from refdet.crf.lattice_convolve import lattice_convolve
from refdet.crf.lattice_embed import lattice_embed
from refdet.crf.lattice_index import lattice_index
from refdet.crf.lattice_neighbourhood import lattice_neighbourhood
from refdet.crf.lattice_slice import lattice_slice
from refdet.crf.lattice_splat import lattice_splat
from refdet.crf.learnable_crf import CRFImage, LearnableCRF, LearnableKernel
from refdet.crf.learned_filters import FilterLattice, PermutohedralFilter, gaussian_taps
from refdet.crf.learned_matrix import LearnedMatrix
from refdet.crf.learned_mean_field import LearnedMeanField
from refdet.crf.learning import Learned, LearningProgress, learn
from refdet.crf.mean_field import mean_field
from refdet.crf.mean_field_sequential import mean_field_sequential
from refdet.crf.objectives import class_weights, expected_iou, hamming, log_likelihood
from refdet.crf.truncated_gaussian import truncated_gaussian
from refdet.crf.unary import unary_from_labels, unary_from_probabilities

__all__ = [
    "CRF_RNN_MULTIPLIERS",
    "CRFImage",
    "CRFasRNN",
    "DenseCRF",
    "FilterLattice",
    "GaussianPotential",
    "Inference",
    "Lattice",
    "LearnableCRF",
    "LearnableKernel",
    "Learned",
    "LearnedMatrix",
    "LearnedMeanField",
    "LearningProgress",
    "PermutohedralFilter",
    "Progress",
    "alpha_expansion",
    "belief_propagation",
    "bilateral_features",
    "class_weights",
    "contrast_weights",
    "crf_energy",
    "diagonal",
    "expected_iou",
    "free_energy",
    "gaussian_kernel",
    "gaussian_taps",
    "grid_edges",
    "hamming",
    "icm",
    "lattice_blur",
    "lattice_convolve",
    "lattice_embed",
    "lattice_index",
    "lattice_neighbourhood",
    "lattice_slice",
    "lattice_splat",
    "learn",
    "log_likelihood",
    "mean_field",
    "mean_field_sequential",
    "permutohedral_filter",
    "position_features",
    "potts",
    "pydensecrf_compatibility",
    "symmetric",
    "truncated_gaussian",
    "unary_from_labels",
    "unary_from_probabilities",
    "whiten",
]
