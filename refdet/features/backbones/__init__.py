"""Convolutional networks that classify pictures, and what detectors take from them."""

from refdet.features.backbones.alexnet import alexnet, alexnet_features, alexnet_windows
from refdet.features.backbones.average_bins import AverageBins, average_bins
from refdet.features.backbones.classifier import Classifier
from refdet.features.backbones.fpn import FPN, ResNetFPN, resnet_fpn
from refdet.features.backbones.fpn_levels import fpn_level
from refdet.features.backbones.frozen_norm import FrozenBatchNorm2d
from refdet.features.backbones.googlenet import GoogLeNet, googlenet
from refdet.features.backbones.image_pyramid import ImagePyramid
from refdet.features.backbones.maps import FeatureMaps, OneMap
from refdet.features.backbones.resnet import ResNet, resnet18, resnet34, resnet50, resnet101, resnet152
from refdet.features.backbones.torchvision_names import from_torchvision
from refdet.features.backbones.vgg import (
    VGG11,
    VGG13,
    VGG16,
    VGG19,
    vgg,
    vgg11,
    vgg13,
    vgg16,
    vgg19,
    vgg_features,
    vgg_windows,
)
from refdet.features.backbones.width import scaled
from refdet.features.backbones.windows import windows, windows_until
from refdet.features.backbones.zf import zf, zf_features, zf_windows

__all__ = [
    "FPN",
    "VGG11",
    "VGG13",
    "VGG16",
    "VGG19",
    "AverageBins",
    "Classifier",
    "FeatureMaps",
    "FrozenBatchNorm2d",
    "GoogLeNet",
    "ImagePyramid",
    "OneMap",
    "ResNet",
    "ResNetFPN",
    "alexnet",
    "alexnet_features",
    "alexnet_windows",
    "average_bins",
    "fpn_level",
    "from_torchvision",
    "googlenet",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet_fpn",
    "scaled",
    "vgg",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "vgg_features",
    "vgg_windows",
    "windows",
    "windows_until",
    "zf",
    "zf_features",
    "zf_windows",
]
