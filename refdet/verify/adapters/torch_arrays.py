"""What torch does to arrays: arithmetic, reductions, and changes of shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.verify.adapters.table import need, only
from refdet.verify.adapters.torch_tensors import Call, Tensors
from refdet.verify.question import Question

MODES = {"constant": "constant", "edge": "replicate", "reflect": "reflect"}


def _of_x(name: str) -> Call:
    return lambda torch, t, q: getattr(torch, name)(t["x"])


def _of_x_and_y(name: str) -> Call:
    return lambda torch, t, q: getattr(torch, name)(t["x"], t["y"])


def _along(name: str) -> Call:
    def call(torch: Any, t: Tensors, q: Question) -> Any:
        axis = tuple(range(t["x"].ndim)) if q.params["axis"] is None else q.params["axis"]
        return getattr(torch, name)(t["x"], dim=axis, keepdim=q.params["keepdims"])

    return call


def _joined(name: str) -> Call:
    return lambda torch, t, q: getattr(torch, name)([x for x in t.values() if x is not None], dim=q.params["axis"])


def _pad(torch: Any, t: Tensors, q: Question) -> Any:
    """Torch lists the last axis first; it replicates and reflects the last axes alone, behind one of a batch."""
    padding, border = list(q.params["padding"]), q.params["border"]
    if border == "constant":
        return torch.nn.functional.pad(t["x"], _last_axis_first(padding), value=q.params["value"])
    while len(padding) > 1 and padding[0] == (0, 0):
        del padding[0]
    return torch.nn.functional.pad(t["x"][None], _last_axis_first(padding), mode=MODES[border])[0]


def _last_axis_first(padding: list[tuple[int, int]]) -> list[int]:
    return [n for ends in reversed(padding) for n in ends]


def _index(torch: Any, t: Tensors, q: Question) -> Any:
    key = q.params["key"] if isinstance(q.params["key"], tuple) else (q.params["key"],)
    backwards = any(isinstance(part, slice) and (part.step or 1) < 0 for part in key)
    need(not backwards, "torch has no slices with a negative step")
    return t["x"][tuple(torch.tensor(part) if isinstance(part, np.ndarray) else part for part in key)]


def _cast(torch: Any, t: Tensors, q: Question) -> Any:
    only("torch", q, dtype=["float32", "float64"])
    return t["x"].to(getattr(torch, q.params["dtype"]))


CALLS: dict[str, Call] = {
    "absolute": _of_x("abs"),
    "add": _of_x_and_y("add"),
    "amax": _along("amax"),
    "broadcast_to": lambda torch, t, q: torch.broadcast_to(t["x"], q.params["shape"]),
    "cast": _cast,
    "concat": _joined("cat"),
    "divide": _of_x_and_y("div"),
    "exp": _of_x("exp"),
    "gather": _index,
    "index": _index,
    "leaky_relu": lambda torch, t, q: torch.nn.functional.leaky_relu(t["x"], q.params["negative_slope"]),
    "log": _of_x("log"),
    "matmul": _of_x_and_y("matmul"),
    "maximum": _of_x_and_y("maximum"),
    "mean": _along("mean"),
    "minimum": _of_x_and_y("minimum"),
    "multiply": _of_x_and_y("mul"),
    "negative": _of_x("neg"),
    "pad": _pad,
    "power": lambda torch, t, q: torch.pow(t["x"], q.params["exponent"]),
    "relu": _of_x("relu"),
    "reshape": lambda torch, t, q: torch.reshape(t["x"], q.params["shape"]),
    "sigmoid": _of_x("sigmoid"),
    "sqrt": _of_x("sqrt"),
    "stack": _joined("stack"),
    "subtract": _of_x_and_y("sub"),
    "sum": _along("sum"),
    "tanh": _of_x("tanh"),
    "transpose": lambda torch, t, q: torch.permute(t["x"], q.params["axes"]),
}
