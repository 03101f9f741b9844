"""Four scores of a semantic segmentation, from its confusion matrix n, n_ij counting pixels of class i predicted as j.

    t_i = sum_j n_ij,    IU_i = n_ii / (t_i + sum_j n_ji - n_ii)

    pixel accuracy           sum_i n_ii / sum_i t_i
    mean accuracy            mean of n_ii / t_i over the classes with t_i > 0
    mean IU                  mean of IU_i over the classes that have true or predicted pixels
    frequency weighted IU    sum_i t_i IU_i / sum_i t_i, over the classes with t_i > 0

A score that is left without classes or pixels is NaN.

Source: Long, Shelhamer and Darrell, "Fully Convolutional Networks", section 5.
"""

import numpy as np

from tests.oracles._ieee import quotient
from tests.oracles._sums import Array, Float64Array, exact_sum


def forward(confusion: Array) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
    """Return (pixel accuracy, mean accuracy, mean IU, frequency weighted IU), arrays of shape ()."""
    classes = range(len(confusion))
    n = [[int(confusion[i, j]) for j in classes] for i in classes]
    true = [sum(n[i][j] for j in classes) for i in classes]
    union = [true[i] + sum(n[j][i] for j in classes) - n[i][i] for i in classes]

    accuracies = [n[i][i] / true[i] for i in classes if true[i] > 0]
    ius = [n[i][i] / union[i] for i in classes if union[i] > 0]
    weighted_ius = [true[i] * (n[i][i] / union[i]) for i in classes if true[i] > 0]
    return (
        np.array(quotient(sum(n[i][i] for i in classes), sum(true))),
        np.array(quotient(exact_sum(accuracies), len(accuracies))),
        np.array(quotient(exact_sum(ius), len(ius))),
        np.array(quotient(exact_sum(weighted_ius), sum(true))),
    )
