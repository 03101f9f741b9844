"""Floor 2: differentiable operations on tensors and arrays. Each returns a tensor; images and features are NCHW."""

from refdet.ops.activations import leaky_relu, relu, sigmoid, tanh
from refdet.ops.arithmetic import (
    absolute,
    add,
    amax,
    cast,
    divide,
    exp,
    log,
    matmul,
    maximum,
    mean,
    minimum,
    multiply,
    negative,
    power,
    sqrt,
    subtract,
    sum,
)
from refdet.ops.avg_pool2d import avg_pool2d
from refdet.ops.batch_norm import batch_norm
from refdet.ops.binary_cross_entropy import binary_cross_entropy_with_logits
from refdet.ops.conv2d import conv2d
from refdet.ops.conv_transpose2d import conv_transpose2d
from refdet.ops.dropout import dropout
from refdet.ops.global_pool import global_avg_pool2d, global_max_pool2d
from refdet.ops.hinge import hinge
from refdet.ops.l2_normalize import l2_normalize
from refdet.ops.linear import conv_as_linear, linear, linear_as_conv
from refdet.ops.local_response_norm import local_response_norm
from refdet.ops.local_response_norm_within_channel import local_response_norm_within_channel
from refdet.ops.max_pool2d import max_pool2d
from refdet.ops.max_unpool2d import max_unpool2d
from refdet.ops.regression_losses import l1, smooth_l1, squared_error
from refdet.ops.resize import resize_bicubic, resize_bilinear, resize_nearest
from refdet.ops.roi_align import roi_align
from refdet.ops.roi_pool import roi_pool
from refdet.ops.roi_sampling import roi_sampling_points
from refdet.ops.shaping import broadcast_to, concat, crop, index, pad, reshape, stack, take, transpose
from refdet.ops.softmax import log_softmax, softmax
from refdet.ops.softmax_cross_entropy import softmax_cross_entropy
from refdet.ops.spatial_pyramid_pool import spatial_pyramid_pool

__all__ = [
    "absolute",
    "add",
    "amax",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy_with_logits",
    "broadcast_to",
    "cast",
    "concat",
    "conv2d",
    "conv_as_linear",
    "conv_transpose2d",
    "crop",
    "divide",
    "dropout",
    "exp",
    "global_avg_pool2d",
    "global_max_pool2d",
    "hinge",
    "index",
    "l1",
    "l2_normalize",
    "leaky_relu",
    "linear",
    "linear_as_conv",
    "local_response_norm",
    "local_response_norm_within_channel",
    "log",
    "log_softmax",
    "matmul",
    "max_pool2d",
    "max_unpool2d",
    "maximum",
    "mean",
    "minimum",
    "multiply",
    "negative",
    "pad",
    "power",
    "relu",
    "reshape",
    "resize_bicubic",
    "resize_bilinear",
    "resize_nearest",
    "roi_align",
    "roi_pool",
    "roi_sampling_points",
    "sigmoid",
    "smooth_l1",
    "softmax",
    "softmax_cross_entropy",
    "spatial_pyramid_pool",
    "sqrt",
    "squared_error",
    "stack",
    "subtract",
    "sum",
    "take",
    "tanh",
    "transpose",
]
