"""Witnesses of the truncated Gaussian filter: two passes of one-dimensional sums, with a switch for each deviation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness


def taps(
    sigma: float, truncate: float, *, nearest: bool = False, sum_is_one: bool = False, no_middle: bool = False
) -> list[float]:
    """Return the weights from −radius to radius."""
    radius = int(truncate * sigma + 0.5) if nearest else math.ceil(truncate * sigma)
    weights = [math.exp(-(t * t) / (2 * sigma * sigma)) for t in range(-radius, radius + 1)]
    if sum_is_one:
        weights = [w / sum(weights) for w in weights]
    if no_middle:
        weights[radius] = 0.0
    return weights


def pass_over(line: list[float], weights: list[float], *, mirrored: bool) -> list[float]:
    """Return the sums over a line, with zeros beyond its ends, or its image mirrored at the edge: d c b a | a b c d."""
    n, radius = len(line), len(weights) // 2
    sums = []
    for i in range(n):
        total = 0.0
        for t, weight in enumerate(weights):
            j = i + t - radius
            if mirrored:
                j %= 2 * n
                total += weight * line[min(j, 2 * n - 1 - j)]
            elif 0 <= j < n:
                total += weight * line[j]
        sums.append(total)
    return sums


def answer(question: Question, *, mirrored: bool = False, **how: Any) -> Mapping[str, Any]:
    """Down the columns, then along the rows; a filter that is its own transpose, but for the mirror."""
    values, (vertical, horizontal) = question.arguments["values"], question.params["sigma"]
    assert values is not None
    weights = [taps(s, question.params["truncate"], **how) for s in (vertical, horizontal)]

    def run(x: Any) -> Any:
        y = np.asarray(x, np.float64).copy()
        for column, channel in np.ndindex(y.shape[1:]):
            y[:, column, channel] = pass_over(y[:, column, channel].tolist(), weights[0], mirrored=mirrored)
        for row, channel in np.ndindex(y.shape[0], y.shape[2]):
            y[row, :, channel] = pass_over(y[row, :, channel].tolist(), weights[1], mirrored=mirrored)
        return y

    answers = {"y": run(values)}
    if question.incoming_gradient is not None and not mirrored:
        answers["dvalues"] = run(question.incoming_gradient)
    return answers


def by_scipy(question: Question, *, mode: str = "constant", own_radius: bool = True, unscaled: bool = True) -> Any:
    """Answer with scipy.ndimage.gaussian_filter1d, made to differ in no more than one thing."""
    from scipy.ndimage import gaussian_filter1d

    y, truncate = np.asarray(question.arguments["values"], np.float64), question.params["truncate"]
    for axis, sigma in enumerate(question.params["sigma"]):
        radius = math.ceil(truncate * sigma) if own_radius else int(truncate * sigma + 0.5)
        given = {"radius": radius} if own_radius else {"truncate": truncate}
        y = gaussian_filter1d(y, sigma, axis, mode=mode, cval=0.0, **given)
        if unscaled:
            y *= sum(taps(sigma, radius / sigma))
    return {"y": y}


CONFORMING: list[tuple[str, Callable[[Question], Mapping[str, Any]]]] = [("truncated_gaussian", answer)]

_SCIPY = "scipy/ndimage/_filters.py, transcribed"

WITNESSES = [
    Witness("gauss.cut=nearest", "truncated_gaussian", _SCIPY, partial(answer, nearest=True)),
    Witness("gauss.edge=mirrored", "truncated_gaussian", _SCIPY, partial(answer, mirrored=True)),
    Witness(
        "gauss.middle=zero", "truncated_gaussian", "mishgon/crfseg, crfseg/model.py", partial(answer, no_middle=True)
    ),
    Witness("gauss.sum=one", "truncated_gaussian", _SCIPY, partial(answer, sum_is_one=True)),
]

if find_spec("scipy"):
    WITNESSES += [
        Witness("gauss.cut=nearest", "truncated_gaussian", "scipy", partial(by_scipy, own_radius=False)),
        Witness("gauss.edge=mirrored", "truncated_gaussian", "scipy", partial(by_scipy, mode="reflect")),
        Witness("gauss.sum=one", "truncated_gaussian", "scipy", partial(by_scipy, unscaled=False)),
    ]
