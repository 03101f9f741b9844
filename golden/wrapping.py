"""Ways to wrap the bodies of kernels, for deviations that need no more than this."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refdet.verify.deviation import Body

Wrap = Callable[[Body], Body]


def setting(**fixed: Any) -> Wrap:
    """Return a wrapper that ignores what is asked for some parameters, and always takes these values.

    >>> setting(reverse=False)(sorted)([1, 3, 2], reverse=True)
    [1, 2, 3]
    """

    def wrap(body: Body) -> Body:
        def deviating(*arrays: Any, **params: Any) -> Any:
            return body(*arrays, **{**params, **fixed})

        return deviating

    return wrap


def both_passes(algorithm: str, wrap: Wrap) -> dict[str, Wrap]:
    """Return that wrapper for the forward and for the backward kernel of an algorithm."""
    return {f"{algorithm}.forward": wrap, f"{algorithm}.backward": wrap}
