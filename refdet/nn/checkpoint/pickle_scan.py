"""Read a pickle as a text, before it runs, and refuse it if it asks for anything that is not on the list.

A pickle is a program for a stack machine (Python's `pickletools` documents every opcode). It can name any importable
object (GLOBAL, INST, STACK_GLOBAL, EXT), call it (REDUCE, INST, OBJ, NEWOBJ) and set its attributes (BUILD); that is
how a checkpoint can run `os.system`. The scan interprets the program abstractly: it keeps a stack and a memo of
*symbols*, which say where a value came from, and computes no value. It refuses, by name,

- every global that is not on the list, whatever is done with it; dotted names too, since the pair (module, name) is
  compared as a whole, and `("torch.serialization", "os.system")` is not on any list;
- a STACK_GLOBAL whose module or name is not a literal string of the pickle, since then nobody can tell what it names;
- a call of anything but a listed function, and attributes set on anything but an OrderedDict (torch hangs `_metadata`
  on state dicts);
- INST, OBJ, NEWOBJ, EXT, text persistent ids and out-of-band buffers, which no file of arrays contains.

It also refuses what makes the real machine run away without naming anything: a memo index larger than the number of
opcodes so far (the machine allocates a table up to the index), and dictionary keys or set members that are containers
(a tuple of itself twice, forty times over, is 80 opcodes long and takes 2^40 steps to hash). What is left is linear: an
opcode of one byte makes at most an empty set, of some 200 bytes.

This is the first of two walls. The second is `RestrictedUnpickler`, which looks names up in the same list and never
imports, so that a program which this scan misreads still reaches nothing.
"""

import io
import pickletools
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from refdet.nn.checkpoint.allowed_names import ORDERED_DICT, GlobalName, refusal
from refdet.nn.checkpoint.errors import CheckpointError, described


class Symbol(NamedTuple):
    """Where a value on the abstract stack came from."""

    kind: str  # "mark", "text", "scalar", "global", "result" of a call, or "object"
    origin: Any = None  # of a text: the string; of a global: its name; of a result: the name that was called


MARK = Symbol("mark")
OBJECT = Symbol("object")
SCALAR = Symbol("scalar")
KEY_KINDS = ("text", "scalar")

TEXT_OPCODES = frozenset({"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"})
SCALAR_STACK_NAMES = frozenset({"None", "bool", "int", "int_or_bool", "float", "bytes", "bytes_or_str", "str"})
FORBIDDEN_OPCODES = frozenset(
    [
        "INST",
        "OBJ",
        "NEWOBJ",
        "NEWOBJ_EX",
        "EXT1",
        "EXT2",
        "EXT4",
        "PERSID",
        "NEXT_BUFFER",
        "READONLY_BUFFER",
        "BYTEARRAY8",
    ]
)


def scan_pickle(content: bytes, start: int, allowed: Collection[GlobalName], callables: Collection[GlobalName]) -> int:
    """Check the pickle that begins at byte `start` and return where it ends.

    `allowed` are the (module, name) pairs that it may mention, `callables` those that it may call.
    """
    machine = _AbstractMachine(allowed, callables)
    for opcode, argument, position in _opcodes(content, start):
        if opcode.name == "STOP":
            return position + 1
        try:
            machine.step(opcode, argument)
        except IndexError:
            raise CheckpointError(f"corrupt pickle: {opcode.name} at byte {position} finds its stack empty") from None
    raise CheckpointError("corrupt pickle: it has no end")


def _opcodes(content: bytes, start: int) -> Iterator[tuple[pickletools.OpcodeInfo, Any, int]]:
    """The opcodes of the pickle at `start`, with their arguments and positions."""
    stream = io.BytesIO(content)
    stream.seek(start)
    try:
        for opcode, argument, position in pickletools.genops(stream):
            yield opcode, argument, position or 0  # None only for streams that cannot tell
    except (ValueError, OverflowError, DeprecationWarning) as error:
        # An unknown opcode, an argument cut off, a malformed number or text; and a deprecated escape sequence, where
        # warnings are errors.
        raise CheckpointError(f"corrupt or truncated pickle: {error}") from error


class _AbstractMachine:
    """The stack and the memo of a pickle, with symbols in place of values."""

    def __init__(self, allowed: Collection[GlobalName], callables: Collection[GlobalName]) -> None:
        self._allowed = allowed
        self._callables = callables
        self._n_opcodes = 0
        self._stack: list[Symbol] = []
        self._memo: dict[int, Symbol] = {}

    def step(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        """Interpret one opcode."""
        self._n_opcodes += 1
        if opcode.name in FORBIDDEN_OPCODES:
            raise CheckpointError(
                f"refuses to load: {opcode.name} ({described(argument)}) has no place in a file of arrays"
            )
        match opcode.name:
            case "GLOBAL":
                module, _, name = argument.partition(" ")  # pickletools joins the two lines by a space
                self._push_global(module, name)
            case "STACK_GLOBAL":
                self._push_named_by_stack()
            case "REDUCE":
                self._call()
            case "BUILD":
                self._set_state()
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self._remember(argument)
            case "MEMOIZE":
                self._remember(len(self._memo))
            case "GET" | "BINGET" | "LONG_BINGET":
                self._stack.append(self._recall(argument))
            case "DUP":
                self._stack.append(self._stack[-1])
            case "APPEND":
                self._stack.pop()
            case "APPENDS":
                self._pop_to_mark()
            case "SETITEM":
                value, key = self._stack.pop(), self._stack.pop()
                self._check_entries([key, value])
            case "SETITEMS":
                self._check_entries(self._pop_to_mark())
            case "DICT":
                self._check_entries(self._pop_to_mark())
                self._stack.append(OBJECT)
            case "ADDITEMS":
                self._check_keys(self._pop_to_mark())
            case "FROZENSET":
                self._check_keys(self._pop_to_mark())
                self._stack.append(OBJECT)
            case _:
                self._follow_signature(opcode, argument)

    def _push_global(self, module: str, name: str) -> None:
        if (module, name) not in self._allowed:
            raise refusal(module, name)
        self._stack.append(Symbol("global", (module, name)))

    def _push_named_by_stack(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if module.kind != "text" or name.kind != "text":
            raise CheckpointError("refuses to load: it computes the name of what it asks to run (STACK_GLOBAL)")
        self._push_global(module.origin, name.origin)

    def _call(self) -> None:
        self._stack.pop()  # the arguments are checked by the function that receives them
        function = self._stack.pop()
        if function.kind != "global" or function.origin not in self._callables:
            raise CheckpointError(f"refuses to load: it asks to call {_described_symbol(function)}")
        self._stack.append(Symbol("result", function.origin))

    def _set_state(self) -> None:
        self._stack.pop()  # the state, which an OrderedDict of ours drops
        target = self._stack[-1]
        if target != Symbol("result", ORDERED_DICT):
            raise CheckpointError(f"refuses to load: it asks to set attributes (BUILD) of {_described_symbol(target)}")

    def _remember(self, index: int) -> None:
        if not 0 <= index <= self._n_opcodes:  # a pickler numbers the memo upwards, one opcode per entry
            raise CheckpointError(f"refuses to load: memo index {index} after {self._n_opcodes} opcodes of the pickle")
        self._memo[index] = self._stack[-1]

    def _recall(self, index: int) -> Symbol:
        if index not in self._memo:
            raise CheckpointError(f"corrupt pickle: memo index {index} is read before it is written")
        return self._memo[index]

    def _pop_to_mark(self) -> list[Symbol]:
        """Remove the topmost mark and return what lay above it."""
        above: list[Symbol] = []
        while (symbol := self._stack.pop()) != MARK:
            above.append(symbol)
        return above[::-1]

    def _check_entries(self, entries: list[Symbol]) -> None:
        """Entries alternate: key, value, key, value."""
        self._check_keys(entries[::2])

    def _check_keys(self, keys: list[Symbol]) -> None:
        for key in keys:
            if key.kind not in KEY_KINDS:
                raise CheckpointError(
                    f"refuses to load: a key or set member is {_described_symbol(key)}, not a plain value"
                )

    def _follow_signature(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        """Pop and push what `pickletools` says of an opcode that only moves data."""
        if pickletools.markobject in opcode.stack_before:
            self._pop_to_mark()
        else:
            for _ in opcode.stack_before:
                self._stack.pop()
        for pushed in opcode.stack_after:
            if pushed is pickletools.markobject:
                self._stack.append(MARK)
            elif opcode.name in TEXT_OPCODES:
                self._stack.append(Symbol("text", argument))
            else:
                self._stack.append(SCALAR if pushed.name in SCALAR_STACK_NAMES else OBJECT)


def _described_symbol(symbol: Symbol) -> str:
    """A symbol in the words of an error message."""
    match symbol.kind:
        case "global":
            return described(".".join(symbol.origin))
        case "result":
            return f"what {described('.'.join(symbol.origin))} returned"
        case "text":
            return f"the string {described(symbol.origin)}"
        case "scalar":
            return "a plain value"
        case _:
            return "a container or a storage"
