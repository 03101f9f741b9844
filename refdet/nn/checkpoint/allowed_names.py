"""The names that a torch checkpoint may mention, and what each stands for here; all others are refused.

A name is a pair (module, name), as it stands in the pickle. Nothing is imported: each pair maps to a function or a
constant of this package. Python 2 spelled `builtins` as `__builtin__`, and torch still writes pickle protocol 2,
which uses that spelling.
"""

from collections.abc import Mapping
from typing import Any

from refdet.nn.checkpoint.elements import STORED_TYPES
from refdet.nn.checkpoint.errors import CheckpointError, described
from refdet.nn.checkpoint.storages import StorageType
from refdet.nn.checkpoint.tensors import MemoryBudget, TensorBuilder

GlobalName = tuple[str, str]

ORDERED_DICT: GlobalName = ("collections", "OrderedDict")

# torch/storage.py, `_dtype_to_storage_type_map`; the quantised ones are left out.
STORAGE_ELEMENT_TYPES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
}

BYTES_PER_ELEMENT = 100  # what a dict or a set takes per entry, roughly

SAVE_THE_STATE_DICT = "save the state_dict instead: torch.save(model.state_dict(), path)"

# Why a name that torch itself writes is refused.
REASONS: dict[GlobalName, str] = {
    ("torch._utils", "_rebuild_qtensor"): "quantised tensors are not supported",
    ("torch._utils", "_rebuild_sparse_tensor"): "sparse tensors are not supported",
    ("torch._utils", "_rebuild_nested_tensor"): "nested tensors are not supported",
    ("torch._utils", "_rebuild_meta_tensor_no_storage"): "a tensor on the meta device has no values",
    ("torch._utils", "_rebuild_wrapper_subclass"): f"tensor subclasses are not supported; {SAVE_THE_STATE_DICT}",
    ("torch._tensor", "_rebuild_from_type_v2"): f"tensor subclasses are not supported; {SAVE_THE_STATE_DICT}",
    **{
        ("torch", name): "quantised tensors are not supported"
        for name in ("QInt8Storage", "QInt32Storage", "QUInt8Storage", "QUInt4x2Storage", "QUInt2x4Storage")
    },
}


def refusal(module: str, name: str) -> CheckpointError:
    """Make the error for a name that is not on the list."""
    reason = REASONS.get(
        (module, name),
        f"which no file of arrays needs; if it holds a whole model or another Python object, {SAVE_THE_STATE_DICT}",
    )
    return CheckpointError(f"refuses to load: it asks to run {described(f'{module}.{name}')}; {reason}")


def allowed_names(budget: MemoryBudget) -> Mapping[GlobalName, Any]:
    """Return what each allowed name stands for, for one file."""
    tensors = TensorBuilder(budget)
    plain = _PlainValues(budget)
    names: dict[GlobalName, Any] = {
        ORDERED_DICT: plain.ordered_dict,
        ("_codecs", "encode"): plain.encode,
        ("torch", "Size"): plain.size,
        ("torch", "device"): plain.device,
        ("torch._utils", "_rebuild_tensor"): tensors.rebuild_v1,
        ("torch._utils", "_rebuild_tensor_v2"): tensors.rebuild_v2,
        ("torch._utils", "_rebuild_tensor_v3"): tensors.rebuild_v3,
        ("torch._utils", "_rebuild_parameter"): tensors.rebuild_parameter,
        ("torch._utils", "_rebuild_parameter_with_state"): tensors.rebuild_parameter_with_state,
        ("torch.storage", "UntypedStorage"): StorageType("UntypedStorage", "uint8"),
    }
    for module in ("builtins", "__builtin__"):
        names[module, "set"] = plain.make_set
        names[module, "frozenset"] = plain.make_frozenset
        names[module, "bytes"] = plain.empty_bytes
    for storage_name, element_type in STORAGE_ELEMENT_TYPES.items():
        for module in ("torch", "torch.cuda"):
            names[module, storage_name] = StorageType(storage_name, element_type)
    for element_type in STORED_TYPES:
        names["torch", element_type] = f"torch.{element_type}"
    return names


class OrderedDictWithoutState(dict[Any, Any]):
    """A dict that drops the attributes hung on it, such as `_metadata` on a state dict.

    Dropping them is not only convenient: an attribute called `items` would hide the method.
    """

    def __setstate__(self, state: object) -> None:
        """Ignore the state of a pickled OrderedDict."""


class _PlainValues:
    """The few builtins that torch pickles as calls, with arguments checked and their cost charged."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget

    def ordered_dict(self, pairs: object = ()) -> OrderedDictWithoutState:
        """`OrderedDict()` or, from Python 2, `OrderedDict([[key, value], ...])`."""
        ordered = OrderedDictWithoutState()
        for pair in self._elements(pairs, "OrderedDict"):
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise CheckpointError("an OrderedDict must be made of pairs")
            ordered[_hashable(pair[0])] = pair[1]
        return ordered

    def make_set(self, members: object = ()) -> set[Any]:
        """`set([...])`."""
        return {_hashable(member) for member in self._elements(members, "set")}

    def make_frozenset(self, members: object = ()) -> frozenset[Any]:
        """`frozenset([...])`."""
        return frozenset(self.make_set(members))

    def size(self, lengths: object = ()) -> tuple[Any, ...]:
        """`torch.Size((2, 3))`, as a tuple."""
        elements = tuple(self._elements(lengths, "torch.Size"))
        if not all(type(length) is int for length in elements):
            raise CheckpointError("torch.Size must be made of integers")
        return elements

    def encode(self, text: object, encoding: object) -> bytes:
        """`_codecs.encode(text, "latin1")`, which is how protocol 2 writes bytes."""
        if not isinstance(text, str) or encoding != "latin1":
            raise CheckpointError(f"'_codecs.encode' is only run on text to latin1, not to {described(encoding)}")
        self._budget.charge(len(text))
        try:
            return text.encode("latin1")
        except UnicodeEncodeError as error:
            raise CheckpointError(f"corrupt bytes: {error}") from error

    def empty_bytes(self) -> bytes:
        """`bytes()`, which is how protocol 2 writes b"" (`bytes(n)` would allocate n bytes)."""
        return b""

    def device(self, kind: object, index: object = None) -> str:
        """`torch.device("cuda", 0)`, as the string "cuda:0"."""
        if not isinstance(kind, str) or not (index is None or type(index) is int):
            raise CheckpointError("torch.device must be made of a string and an integer")
        return kind if index is None else f"{kind}:{index}"

    def _elements(self, elements: object, what: str) -> list[Any] | tuple[Any, ...]:
        """The elements of a list or tuple, charged to the budget."""
        if not isinstance(elements, list | tuple):
            raise CheckpointError(f"{what} must be made of a list or tuple, not of a {type(elements).__name__}")
        self._budget.charge(BYTES_PER_ELEMENT * len(elements))
        return elements


def _hashable(key: object) -> object:
    """A key, known to be hashed in one step (see `pickle_scan` on containers as keys)."""
    if not isinstance(key, str | bytes | int | float | None):
        raise CheckpointError(f"a key or set member is {described(key)}, not a plain value")
    return key


def callable_names(names: Mapping[GlobalName, Any]) -> frozenset[GlobalName]:
    """Return the names that stand for functions."""
    return frozenset(name for name, meaning in names.items() if callable(meaning))
