"""Floor 3: modules, layers, initialisers, optimisers, schedules and checkpoints."""

from refdet.nn import checkpoint, init, optim, schedules
from refdet.nn.function_layers import (
    Apply,
    AvgPool2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    Sigmoid,
    Tanh,
)
from refdet.nn.layers import BatchNorm2d, Conv2d, ConvTranspose2d, L2Normalize, Linear
from refdet.nn.module import Module, Parameter
from refdet.nn.muon import Muon
from refdet.nn.optim import SGD, Adam, Multipliers, Optimiser, clip_gradients
from refdet.nn.sequential import Sequential

__all__ = [
    "SGD",
    "Adam",
    "Apply",
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2d",
    "L2Normalize",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "MaxPool2d",
    "Module",
    "Multipliers",
    "Muon",
    "Optimiser",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "checkpoint",
    "clip_gradients",
    "init",
    "optim",
    "schedules",
]
