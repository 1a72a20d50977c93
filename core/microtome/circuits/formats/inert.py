"""Objects of other tools as JSON values, and back into the pickle that they came from.

An object that was read is a record: its class is a name and is never imported. Writing names the
class again, so that the tool which has it makes its object; Microtome needs no part of that tool.
A session may come from a stranger, and another tool runs what a pickle names: only names that the
reader admits are written.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from microtome.errors import GraphError, UnsafeGraph
from microtome.pickles.arrays import TENSOR_TYPES
from microtome.pickles.records import RECORDS, Name, Record

_NUMBERS = "iufb"  # kinds of NumPy


def as_plain(value: Any) -> Any:
    """A value of a pickle as JSON values. Raises ValueError for what has no such form."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    for kind, form in _FORMS.items():
        if isinstance(value, kind):
            return form(value)
    raise ValueError(f"a {type(value).__name__}")


def _plain_array(value: np.ndarray) -> dict[str, Any]:
    if value.dtype.kind not in _NUMBERS:
        raise ValueError(f"an array of {value.dtype}")
    return {"array": [value.dtype.name, list(value.shape), value.ravel().tolist()]}


_FORMS: dict[type, Callable[[Any], Any]] = {
    list: lambda held: [as_plain(part) for part in held],
    tuple: lambda held: {"tuple": [as_plain(part) for part in held]},
    dict: lambda held: {"dict": [[as_plain(key), as_plain(p)] for key, p in held.items()]},
    np.ndarray: _plain_array,
    Name: lambda held: {"name": [held.module, held.name]},
    Record: lambda held: {
        "record": [held.module, held.kind, as_plain(list(held.given)), as_plain(held.fields)]
    },
}


def from_plain(plain: Any) -> Any:
    """The value that ``as_plain`` gave. Raises GraphError for what is none."""
    if isinstance(plain, list):
        return [from_plain(part) for part in plain]
    if not isinstance(plain, dict):
        return plain
    try:
        ((tag, held),) = plain.items()
        return _MADE[tag](held)
    except UnsafeGraph:
        raise
    except (ValueError, TypeError, KeyError) as error:
        raise GraphError(
            f"What the session keeps of the file is damaged ({str(error)[:60]}).",
            "Read the file again.",
        ) from error


def _record(held: Any) -> Record:
    module, kind, given, fields = held
    named = admitted(Name(str(module), str(kind)))
    return Record(named.name, tuple(from_plain(given)), from_plain(fields), named.module)


def admitted(name: Name) -> Name:
    """The name, if a graph file may name it. Raises UnsafeGraph for any other."""
    parts = [*name.module.split("."), name.name]
    known = (name.module.partition(".")[0], name.name) in RECORDS or name in _PLAIN
    if known and all(part.isascii() and part.isidentifier() for part in parts):
        return name
    raise UnsafeGraph(
        f"The session asks for {name.module[:60]!r}.{name.name[:60]!r}; only the known records of "
        "graphs are written.",
        "Read the graph from its own file again.",
    )


# What configurations hold beside records: types of numbers, and the device.
_PLAIN = frozenset(
    Name("torch", name) for name in (*TENSOR_TYPES, "device")
) | {Name("builtins", "slice")}  # fmt: skip


def _array(held: Any) -> np.ndarray:
    dtype, shape, values = held
    kind = np.dtype(str(dtype))
    if kind.kind not in _NUMBERS:
        raise ValueError(f"an array of {kind}")
    return np.array(values, dtype=kind).reshape([int(size) for size in shape])


_MADE: dict[str, Callable[[Any], Any]] = {
    "tuple": lambda held: tuple(from_plain(held)),
    "dict": lambda held: {from_plain(key): from_plain(part) for key, part in held},
    "array": _array,
    "name": lambda held: admitted(Name(str(held[0]), str(held[1]))),
    "record": _record,
}


# Python's own pickler in C asks whether a name can be imported before it writes it; that of the
# same library in Python takes a way of writing for each type.
_Base: Any = pickle._Pickler  # noqa: SLF001


class Pickler(_Base):  # type: ignore[misc]  # typed as an unpickler by mistake
    """Writes records and names as what they stand for; this module serves as ``pickle_module``."""

    dispatch: ClassVar[dict[type, Any]] = dict(_Base.dispatch)

    def save_name(self, name: Name) -> None:
        """A name as it was, never looked up."""
        name = admitted(name)
        self.write(pickle.GLOBAL + f"{name.module}\n{name.name}\n".encode())

    def save_record(self, record: Record) -> None:
        """The class, what it was made with, and its state."""
        self.save_name(Name(record.module, record.kind))
        self.save(record.given)
        self.write(pickle.NEWOBJ)
        if record.fields:
            self.save(record.fields)
            self.write(pickle.BUILD)

    dispatch[Name] = save_name
    dispatch[Record] = save_record
