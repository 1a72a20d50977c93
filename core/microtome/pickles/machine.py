"""Pickles as inert values: numbers, text, plain containers, tensors and a few known records.

A pickle is a program. Python's own machine calls whatever the program names; this one has no way
to call anything: names stay names, and the few constructions that files of tensors use are rows of
a table that makes plain values. Everything else is refused, and with it the whole file.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from microtome.errors import PickleError, UnsafePickle
from microtome.pickles.arrays import Construct, ndarray_state
from microtome.pickles.records import RECORDS, Name, Record, Unfinished, as_key

_MAX_OPCODES = 50_000_000
_AGAIN = "Ask for the file in a format without pickles, or export it again with its own tool."

Load = Callable[[tuple[Any, ...]], Any]


def _no_storage(_given: tuple[Any, ...]) -> Any:
    raise UnsafePickle("The pickle names data outside of it.", _AGAIN)


def load_pickle(
    data: bytes, constructs: Mapping[tuple[str, str], Construct], storage: Load = _no_storage
) -> Any:
    """The value of a pickle, built from plain values alone; no code runs.

    ``constructs`` says by module and name what may be constructed, ``storage`` gives the tensor
    data that a persistent id names. Raises UnsafePickle that names what is not allowed, PickleError
    for a pickle that is cut short or makes no sense.
    """
    machine = _Machine(constructs, storage)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(BytesIO(data))):
            if count > _MAX_OPCODES:
                raise PickleError(f"The pickle has more than {_MAX_OPCODES:,} steps.", _AGAIN)
            act = _ACTIONS.get(opcode.name)
            if act is None:
                raise UnsafePickle(
                    f"The pickle uses {opcode.name}, which no file of plain data needs.", _AGAIN
                )
            act(machine, argument)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise PickleError(
            f"The pickle is damaged or cut short ({str(error)[:80] or type(error).__name__}).",
            "Copy the file again.",
        ) from error
    if len(machine.stack) != 1:
        raise PickleError("The pickle ends before its value is whole.", "Copy the file again.")
    return machine.stack[0]


_MARK = object()


@dataclass(slots=True, eq=False)
class _Machine:
    constructs: Mapping[tuple[str, str], Construct]
    storage: Load
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    unfinished: dict[int, list[int]] = field(default_factory=dict)  # id → places in the memo

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def marked(self) -> list[Any]:
        """Take everything above the last mark, and the mark."""
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at] is _MARK:
                taken = self.stack[at + 1 :]
                del self.stack[at:]
                return taken
        raise ValueError("no mark")

    def top(self, kind: type) -> Any:
        value = self.stack[-1]
        if not isinstance(value, kind):
            raise TypeError(f"{kind.__name__} expected")
        return value

    def name(self, module: str, name: str) -> None:
        known = (module, name) in self.constructs or (module.partition(".")[0], name) in RECORDS
        if not known:
            raise UnsafePickle(
                f"The pickle asks for {module[:60]}.{name[:60]}; only tensors, plain containers "
                "and known records are read.",
                _AGAIN,
            )
        self.push(Name(module, name))

    def construct(self, named: Any, given: Any) -> None:
        if not isinstance(named, Name) or not isinstance(given, tuple):
            raise UnsafePickle("The pickle calls what is no known name.", _AGAIN)
        make = self.constructs.get((named.module, named.name))
        record = Record(named.name, given, module=named.module)
        self.push(record if make is None else make(given))

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Unfinished):
            self.stack[-1] = ndarray_state(target, state)
            # What was memorised before it was finished must not come back unfinished.
            self.memo.update(dict.fromkeys(self.unfinished.pop(id(target), ()), self.stack[-1]))
        elif isinstance(target, Record):
            target.take(state)
        # A module's state dict carries the versions of its parts, which say nothing about tensors.
        elif isinstance(target, dict) and isinstance(state, dict) and set(state) == {"_metadata"}:
            return
        else:
            raise UnsafePickle("The pickle changes a value that has no state.", _AGAIN)

    def set_items(self, target: Any, items: list[Any]) -> None:
        if not isinstance(target, dict) or len(items) % 2:
            raise TypeError("pairs for a dict expected")
        for at in range(0, len(items), 2):
            target[as_key(items[at])] = items[at + 1]


Action = Callable[[_Machine, Any], None]


def _store(machine: _Machine, at: Any) -> None:
    place, value = len(machine.memo) if at is None else int(at), machine.stack[-1]
    machine.memo[place] = value
    if isinstance(value, Unfinished):
        machine.unfinished.setdefault(id(value), []).append(place)


def _tuple(count: int) -> Action:
    def act(machine: _Machine, _: Any) -> None:
        if len(machine.stack) < count:
            raise ValueError("too few values")
        taken = tuple(machine.stack[-count:])
        del machine.stack[-count:]
        machine.push(taken)

    return act


def _global(machine: _Machine, argument: str) -> None:
    module, _, name = argument.partition(" ")
    machine.name(module, name)


def _stack_global(machine: _Machine, _: Any) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    if not (isinstance(name, str) and isinstance(module, str)):
        raise TypeError("a name expected")
    machine.name(module, name)


def _reduce(machine: _Machine, _: Any) -> None:
    given, named = machine.stack.pop(), machine.stack.pop()
    machine.construct(named, given)


def _new_object_with_names(machine: _Machine, _: Any) -> None:
    if machine.stack.pop():
        raise UnsafePickle("The pickle makes an object with named arguments.", _AGAIN)
    _reduce(machine, None)


def _set_item(machine: _Machine, _: Any) -> None:
    items = machine.stack[-2:]
    del machine.stack[-2:]
    machine.set_items(machine.stack[-1], items)


def _append(machine: _Machine, _: Any) -> None:
    value = machine.stack.pop()
    machine.top(list).append(value)


def _appends(machine: _Machine, _: Any) -> None:
    taken = machine.marked()
    machine.top(list).extend(taken)


def _set_items(machine: _Machine, _: Any) -> None:
    taken = machine.marked()
    machine.set_items(machine.stack[-1], taken)


def _dict(machine: _Machine, _: Any) -> None:
    taken, made = machine.marked(), dict[Any, Any]()
    machine.set_items(made, taken)
    machine.push(made)


def _add_items(machine: _Machine, _: Any) -> None:
    taken = machine.marked()
    machine.top(set).update(as_key(value) for value in taken)


def _frozen_set(machine: _Machine, _: Any) -> None:
    machine.push(frozenset(as_key(value) for value in machine.marked()))


def _persistent(machine: _Machine, _: Any) -> None:
    given = machine.stack.pop()
    machine.push(machine.storage(given if isinstance(given, tuple) else (given,)))


def _push_argument(machine: _Machine, argument: Any) -> None:
    machine.push(argument)


def _pushing(make: Callable[[], Any]) -> Action:
    return lambda machine, _: machine.push(make())


def _nothing(_machine: _Machine, _: Any) -> None:
    return None


_WITH_ARGUMENT = (
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING",
    "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
)  # fmt: skip
_ACTIONS: dict[str, Action] = {
    **dict.fromkeys(_WITH_ARGUMENT, _push_argument),
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), _nothing),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _store),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda m, at: m.push(m.memo[int(at)])),
    "NONE": _pushing(lambda: None),
    "NEWTRUE": _pushing(lambda: True),
    "NEWFALSE": _pushing(lambda: False),
    "EMPTY_LIST": _pushing(list),
    "EMPTY_DICT": _pushing(dict),
    "EMPTY_TUPLE": _pushing(tuple),
    "EMPTY_SET": _pushing(set),
    "MARK": _pushing(lambda: _MARK),
    "POP": lambda m, _: m.stack.__delitem__(-1),
    "POP_MARK": lambda m, _: m.marked().clear(),
    "DUP": lambda m, _: m.push(m.stack[-1]),
    "TUPLE": lambda m, _: m.push(tuple(m.marked())),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "LIST": lambda m, _: m.push(m.marked()),
    "DICT": _dict,
    "FROZENSET": _frozen_set,
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "ADDITEMS": _add_items,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,
    "NEWOBJ_EX": _new_object_with_names,
    "BUILD": lambda m, _: m.build(),
    "BINPERSID": _persistent,
}
