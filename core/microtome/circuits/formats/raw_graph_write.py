"""Writes raw graphs of circuit-tracer, of circuits that were read from one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microtome.circuits.formats.inert import from_plain
from microtome.circuits.formats.raw_graph import NAME
from microtome.circuits.formats.reading import sign_of_file
from microtome.circuits.formats.torch_write import saving_torch
from microtome.errors import GraphError
from microtome.jobs import Job
from microtome.records.circuit import FEATURE, Circuit

_ELSE = "Write it as attribution-graph, which any circuit can be."
_MOST = 60_000  # nodes: a matrix of 14 GB


def why_not_raw(circuit: Circuit, name: str = "A raw graph") -> str:
    """Why a circuit cannot be written as a raw graph, empty when it can."""
    source = circuit.metadata.get("source")
    if isinstance(source, dict) and source.get("format") == NAME and "held" in source:
        return ""
    told = "holds the configuration of circuit-tracer's model, and this circuit was not read from "
    return f"{name} {told}one."


def write(circuit: Circuit, path: Path, job: Job) -> None:
    """Write the matrix with all that the file held. Raises GraphError for any other circuit."""
    job.check()
    if reason := why_not_raw(circuit):
        raise GraphError(reason, _ELSE)
    source = circuit.metadata["source"]
    held = from_plain(source["held"])
    rows = _selected(circuit, held)
    with saving_torch(path) as file:
        file.update(held)
        file["selected_features"] = rows.astype(np.int64)
        file["adjacency_matrix"] = _matrix(circuit, _places(circuit, source, len(rows)))


def _selected(circuit: Circuit, held: dict[str, Any]) -> NDArray[np.int64]:
    """Which of the active features the circuit has, in its order."""
    known = {tuple(place): row for row, place in enumerate(held["active_features"].tolist())}
    kinds = np.array(circuit.node_kind) == FEATURE
    columns = (circuit.node_layer, circuit.node_position, circuit.node_feature)
    places = zip(*(column[kinds].tolist() for column in columns), strict=True)
    try:
        return np.array([known[place] for place in places], dtype=np.int64)
    except KeyError as error:
        told = f"The feature {error.args[0]} was not in the graph's file."
        raise GraphError(told, _ELSE) from None


def _places(circuit: Circuit, source: dict[str, Any], features: int) -> NDArray[np.int64]:
    """The row of each node in the matrix: features, then errors, tokens and logits of the file."""
    behind = {name: features + at for at, name in enumerate(source["behind"])}
    places, count = [], 0
    for name, kind in zip(circuit.node_id, circuit.node_kind, strict=True):
        if kind == FEATURE:
            places.append(count)
            count += 1
        elif name in behind:
            places.append(behind[name])
        else:
            raise GraphError(f"The node {name} was not in the graph's file.", _ELSE)
    return np.array([*places, features + len(behind)], dtype=np.int64)


def _matrix(circuit: Circuit, places: NDArray[np.int64]) -> NDArray[np.float32]:
    """Effects [target, source]; ``places`` ends with the number of all nodes."""
    count = int(places[-1])
    if count > _MOST:
        raise GraphError(f"A matrix of {count:,} nodes would take over 14 GB.", _ELSE)
    matrix = np.zeros((count, count), np.float32)
    weights = circuit.edge_weight * sign_of_file(circuit.metadata)
    matrix[places[circuit.edge_target], places[circuit.edge_source]] = weights
    return matrix
