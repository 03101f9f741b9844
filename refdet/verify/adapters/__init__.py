"""Implementations that `refdet verify --adapter` can ask, each in a file of its own.

A module `X.py` here has `load(argument) -> Adapter`, which imports its library, and raises `Unavailable` where that is
not installed. What an adapter does not implement exactly it skips, with a reason; it never answers something similar.

Any other implementation in Python is named `package.module:function`: a function that takes a `Question` and returns
answers by name, or raises `Skipped` (`from refdet.verify.question import Skipped`) or `NotImplementedError`.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from refdet.core.check import Array
from refdet.verify.foreign_text import one_line
from refdet.verify.question import Question, Unavailable

# Name on the command line → module here.
ADAPTERS = {
    "refdet": "refdet_kernels",
    "legacy": "legacy",
    "torch": "torch",
    "torchvision": "torchvision",
    "onnxruntime": "onnxruntime",
    "opencv": "opencv",
    "scipy": "scipy",
    "skimage": "skimage",
    "pycocotools": "pycocotools",
    "faster-coco-eval": "faster_coco_eval",
    "pydensecrf": "pydensecrf",
}


@dataclass(frozen=True)
class Adapter:
    """An implementation that answers questions."""

    name: str
    versions: Mapping[str, str]  # of the libraries that answer
    answer: Callable[[Question], Mapping[str, Array]]  # outputs, and if it likes gradients and stages; raises Skipped


def load_adapter(name: str) -> Adapter:
    """Return the adapter called `name`, `name:argument`, or `package.module:function`."""
    base, _, argument = name.partition(":")
    if base in ADAPTERS:
        module = importlib.import_module(f"{__name__}.{ADAPTERS[base]}")
        adapter: Adapter = module.load(argument)
        return adapter
    if not argument:
        raise LookupError(
            f"no adapter is called {name!r}; there are {', '.join(ADAPTERS)}, and package.module:function"
        )
    return _of_function(base, argument)


def _of_function(module_name: str, function_name: str) -> Adapter:
    """Return the adapter of a function of the user's, which may lie in the current folder."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise Unavailable(f"the module {module_name!r} does not import: {error}") from error
    except (Exception, SystemExit) as error:  # of whatever runs when it is imported
        what = f"{type(error).__name__}: {one_line(str(error))}"
        raise Unavailable(f"the module {module_name!r} does not import: it raises {what}") from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise Unavailable(f"the module {module_name!r} has no function {function_name!r}")
    versions = {module_name: str(v)} if (v := getattr(module, "__version__", "")) else {}
    return Adapter(f"{module_name}:{function_name}", versions, function)
