"""A circuit of a file, and one of very many edges, which stay there until they are asked for."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microtome.errors import SessionDamaged
from microtome.records.circuit import Circuit
from microtome.records.made import NOT_TOLD, Made
from microtome.session.handle import Handle

_NODE_NUMBERS = ("layer", "position", "head", "feature", "score", "influence", "bias")
_TEXTS = ("node_id", "node_kind", "node_label")
_EDGES = ("edge_source", "edge_target", "edge_kind", "edge_weight", "edge_influence")
AT_ONCE = 500_000  # edges that are read when the file is opened; more take longer than a window may


def read_circuit(handle: Handle) -> Circuit | None:
    """The circuit of a file, None where it has none.

    More than ``AT_ONCE`` edges are read and compared with the nodes when one of their columns is
    first used; their shapes are compared at once. Raises SessionDamaged.
    """
    if not handle.members("/circuit"):
        return None
    path = "/circuit/{}".format
    columns: dict[str, Any] = {name: tuple(handle.texts(path(name))) for name in _TEXTS}
    columns |= {f"node_{name}": handle.read(path(f"node_{name}")) for name in _NODE_NUMBERS}
    _check_shapes({name: (len(held),) for name, held in columns.items()})
    _check_shapes({name: _shape(handle, name) for name in _EDGES})
    metadata = dict(handle.json(path("method_json")))
    if handle.kind(path("extra_json")):
        metadata["source"] = handle.json(path("extra_json"))
    made = read_stamp(handle, "/circuit")
    (count,) = _shape(handle, _EDGES[0])
    edges = StoredEdges(handle, count, len(columns["node_id"]))
    if count > AT_ONCE:
        return StoredCircuit.of(edges, **columns, metadata=metadata, made=made)
    columns |= edges.read()
    return Circuit(**columns, metadata=metadata, made=made)


def read_stamp(handle: Handle, group: str) -> Made:
    """On which model the circuit or analysis of a group was computed; older files do not say."""
    path = f"{group}/made_json"
    return NOT_TOLD if handle.kind(path) is None else Made.read(handle.json(path))


def _shape(handle: Handle, name: str) -> tuple[int, ...]:
    kind = handle.kind(f"/circuit/{name}")
    if kind is None:
        raise KeyError(f"{name} is missing")
    return kind[0]


def _check_shapes(shapes: dict[str, tuple[int, ...]]) -> None:
    expected = next(iter(shapes.values()))
    for name, shape in shapes.items():
        if shape != expected or len(shape) != 1:
            raise SessionDamaged(f"The circuit's {name} has the shape {shape}, not {expected}.")


@dataclass(slots=True, eq=False)
class StoredEdges:
    """The edges of a file's circuit, which has so many ``nodes``."""

    handle: Handle
    count: int
    nodes: int
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> dict[str, NDArray[Any]]:
        """All columns. Raises SessionDamaged where they name nodes that are not there."""
        held = {name: self.handle.read(f"/circuit/{name}") for name in _EDGES}
        for name in _EDGES[:2]:
            ends = held[name]
            fits = not self.count or 0 <= ends.min() <= ends.max() < self.nodes
            if ends.dtype.kind not in "iu" or not fits:
                raise SessionDamaged(
                    f"The circuit's {name} in {self.handle.path.name} names nodes that it does "
                    "not have.",
                    "Open another copy of the session.",
                )
        kinds = held["edge_kind"]
        held["edge_kind"] = kinds.view(np.int8) if kinds.itemsize == 1 else kinds.astype(np.int8)
        return held


class StoredCircuit(Circuit):
    """A circuit whose edges are read from the file, all of them, when one column is first used."""

    __slots__ = ("_stored",)
    _stored: StoredEdges | None

    @classmethod
    def of(cls, edges: StoredEdges, **columns: Any) -> StoredCircuit:
        """The circuit of these nodes, and of edges that stay where they are."""
        made = object.__new__(cls)
        for name, held in {**columns, "_stored": edges}.items():
            object.__setattr__(made, name, held)
        return made

    @property
    def n_edges(self) -> int:
        """How many edges there are."""
        stored = self._stored
        return len(self.edge_source) if stored is None else stored.count

    def read_edges(self) -> None:
        """Read the edges now. Raises SessionDamaged, or SessionError of a file that was closed."""
        stored = self._stored
        if stored is None:
            return
        with stored.lock:
            if self._stored is not None:
                for name, held in stored.read().items():
                    object.__setattr__(self, name, held)
                object.__setattr__(self, "_stored", None)

    def __getattr__(self, name: str) -> Any:
        """What has no value yet: a column that is still in the file."""
        if name == "_stored":
            return None  # of a copy, which is made of columns alone
        if name in _EDGES:
            self.read_edges()
        return object.__getattribute__(self, name)
