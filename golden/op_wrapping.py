"""Ways to wrap the kernels of array operations, beside those of `golden/wrapping.py`.

Arrays come by position (the inputs, or the residual and the incoming gradient), parameters by keyword, so that one
wrapper often fits both kernels of an operation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from golden.wrapping import Wrap
from refdet.core.check import Array
from refdet.verify.deviation import Body

Params = Mapping[str, Any]


def changing(change: Callable[[Params], Params]) -> Wrap:
    """Return a wrapper that takes the parameters which `change` returns in place of those that are given.

    >>> changing(lambda params: {"reverse": not params["reverse"]})(sorted)([1, 3, 2], reverse=True)
    [1, 2, 3]
    """

    def wrap(body: Body) -> Body:
        def deviating(*arrays: Any, **params: Any) -> Any:
            return body(*arrays, **{**params, **change(params)})

        return deviating

    return wrap


def pairs(forward: Wrap, backward: Wrap, *algorithms: str) -> dict[str, Wrap]:
    """Return one wrapper for the forward kernels of some algorithms, and one for the backward kernels."""
    return {f"{a}.forward": forward for a in algorithms} | {f"{a}.backward": backward for a in algorithms}


def both(wrap: Wrap, *algorithms: str) -> dict[str, Wrap]:
    """Return one wrapper for both."""
    return pairs(wrap, wrap, *algorithms)


def fitted(x: Array, shape: tuple[int, ...], fill: float = 0) -> Array:
    """Return x cropped, or extended at the end of each axis, to `shape`.

    A deviation may change the shape of an output, and is handed a gradient of the right shape all the same: it takes
    what both have, and 0 for the rest.

    >>> fitted(np.array([[1, 2], [3, 4]]), (1, 3))
    array([[1, 2, 0]])
    """
    y = np.full(shape, fill, x.dtype)
    common = tuple(slice(0, min(n, m)) for n, m in zip(x.shape, shape, strict=True))
    y[common] = x[common]
    return y
