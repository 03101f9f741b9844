"""Floor 1: tensors that remember how they were made, and the check of their gradients."""

from refdet.autograd.differentiable import PAIRS, Differentiable, differentiable
from refdet.autograd.gradcheck import GradientCheck, GradientMismatchError, check_gradients, gradcheck
from refdet.autograd.tensor import Tensor, gradients, no_grad

__all__ = [
    "PAIRS",
    "Differentiable",
    "GradientCheck",
    "GradientMismatchError",
    "Tensor",
    "check_gradients",
    "differentiable",
    "gradcheck",
    "gradients",
    "no_grad",
]
