"""Floor 5: semantic segmentation by fully convolutional networks."""

from refdet.segmentation.bilinear import BilinearUpsampling
from refdet.segmentation.fcn import AT_ONCE_SCALES, FCN, refined, variants
from refdet.segmentation.grid import Grid, image_grid, offset_onto, through
from refdet.segmentation.prediction import class_probabilities, predict
from refdet.segmentation.training import (
    REFERENCE_RATES,
    Recipe,
    Step,
    bias_multipliers,
    pixel_loss,
    train,
    train_in_stages,
    training_pair,
)
from refdet.segmentation.transplant import Transplanted, transplant
from refdet.segmentation.vgg import VGG, VGGClassifier, VGGPlan

__all__ = [
    "AT_ONCE_SCALES",
    "FCN",
    "REFERENCE_RATES",
    "VGG",
    "BilinearUpsampling",
    "Grid",
    "Recipe",
    "Step",
    "Transplanted",
    "VGGClassifier",
    "VGGPlan",
    "bias_multipliers",
    "class_probabilities",
    "image_grid",
    "offset_onto",
    "pixel_loss",
    "predict",
    "refined",
    "through",
    "train",
    "train_in_stages",
    "training_pair",
    "transplant",
    "variants",
]
