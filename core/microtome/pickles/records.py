"""What a pickle may name beside tensors: records of the tools that write graphs, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# Package and class; none is ever imported, so the record is the same whether the tool is
# installed or not. Configurations of circuit-tracer's graphs, its logit targets, and the index of
# an edge in ACDC.
RECORDS = frozenset({
    ("circuit_tracer", "UnifiedConfig"),
    ("transformer_lens", "HookedTransformerConfig"),
    ("circuit_tracer", "LogitTarget"),
    ("acdc", "TorchIndex"),
})  # fmt: skip


_MAX_KEY = 64  # parts of a tuple that is a key; hashing nested ones may take forever


def as_key(value: Any) -> Any:
    """The value, if it can be a key at a bounded cost. Raises ValueError for others."""
    waiting, seen = [value], 0
    while waiting:
        part = waiting.pop()
        seen += 1
        if seen > _MAX_KEY or isinstance(part, list | dict | set):
            raise ValueError("a key that is no plain value")
        if isinstance(part, tuple | frozenset):
            waiting += part
    return value


@dataclass(frozen=True, slots=True)
class Name:
    """A name that a pickle gave; it is never looked up."""

    module: str
    name: str


@dataclass(slots=True, eq=False)
class Record:
    """An object of another tool as inert data: its class by name, its arguments, its fields."""

    kind: str
    given: tuple[Any, ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)
    module: str = ""

    def take(self, state: Any) -> None:
        """Take over the state of a pickled object. Raises TypeError for what is none."""
        parts = state if isinstance(state, tuple) else (state,)
        for part in parts:
            if part is None:
                continue
            if not isinstance(part, dict):
                raise TypeError("a record's state is no dict")
            self.fields.update({str(key): value for key, value in part.items()})


@dataclass(frozen=True, slots=True, eq=False)
class Unfinished:
    """An array or a type of NumPy before its state has come."""

    kind: str  # "ndarray" or "dtype"
    given: tuple[Any, ...] = ()
