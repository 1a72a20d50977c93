"""Raw graphs of circuit-tracer (``Graph.to_pt``): a matrix [target, source] of direct effects.

They hold a configuration of another tool as a pickled object, which is read as data and kept, so
that a circuit that was read from such a file can be written as one again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microtome.circuits.formats.documents import Container, Document
from microtome.circuits.formats.inert import as_plain
from microtome.circuits.formats.influence import passed_on, shares
from microtome.circuits.formats.reading import Reading
from microtome.circuits.formats.rows import EdgeColumns, NodeRow, made_circuit
from microtome.errors import GraphError
from microtome.jobs import Job
from microtome.pickles.records import Record
from microtome.records.circuit import (
    ERROR,
    FEATURE,
    OUTPUT,
    TOKEN,
    Circuit,
    EdgeKind,
)

NAME = "circuit-tracer"
_KEYS = ("input_tokens", "active_features", "selected_features", "adjacency_matrix", "cfg")
_AGAIN = ("selected_features", "adjacency_matrix")  # told by the columns
_ANEW = "Save the graph anew with circuit-tracer, or export it as JSON there."
_AT_ONCE = 256  # rows of the matrix


def fits(document: Document) -> bool:
    """Whether a document is such a graph."""
    return document.container is Container.PICKLE and document.holds(*_KEYS)


def read(document: Document, reading: Reading) -> Circuit:
    """The circuit of a raw graph. Raises GraphError for sizes that contradict each other."""
    graph = _Graph.of(document.value)
    rows = graph.rows()
    edges = graph.edges(len(rows), document.job)
    outputs = np.array([row.influence for row in rows])
    flow = passed_on(edges.source, edges.target, edges.weight, outputs)
    rows = [replace(row, influence=float(value)) for row, value in zip(rows, flow, strict=True)]
    through = shares(edges.target, edges.weight, len(rows)) * flow[edges.target]
    metadata = {
        "method": "attribution graph", **graph.told(), **reading.told(NAME),
        "source": {
            "format": NAME, "activations": graph.activations(),
            "held": graph.kept(), "behind": [row.id for row in rows[len(graph.features):]],
        },
    }  # fmt: skip
    return made_circuit(rows, reading.turned(replace(edges, influence=through)), metadata)


@dataclass(frozen=True, slots=True, eq=False)
class _Graph:
    held: dict[str, Any]
    features: NDArray[Any]  # [selected, (layer, position, feature)]
    tokens: list[int]
    n_layers: int
    matrix: NDArray[Any]
    targets: list[tuple[str, int]]
    probabilities: list[float]

    @classmethod
    def of(cls, held: dict[str, Any]) -> _Graph:
        active = _array(held, "active_features", "iu", 2)
        selected = _array(held, "selected_features", "iu", 1)
        if active.shape[1] != 3 or (
            len(selected) and not 0 <= selected.min() <= selected.max() < len(active)
        ):
            raise GraphError("selected_features names features that are not active.", _ANEW)
        tokens = _array(held, "input_tokens", "iu", 1).tolist()
        matrix = _array(held, "adjacency_matrix", "f", 2)
        targets = _targets(held.get("logit_targets", held.get("logit_tokens")))
        probabilities = _array(held, "logit_probabilities", "f", 1).astype(float).tolist()
        graph = cls(
            held, active[selected], tokens, _n_layers(held["cfg"]), matrix, targets, probabilities
        )
        graph.expect_sizes()
        return graph

    def expect_sizes(self) -> None:
        """Raise GraphError for a matrix of another size than the nodes have."""
        inner = self.n_layers * len(self.tokens) + len(self.tokens)
        count = len(self.features) + inner + len(self.targets)
        if self.matrix.shape != (count, count) or len(self.probabilities) != len(self.targets):
            raise GraphError(
                f"The matrix has the shape {self.matrix.shape}, but {len(self.features)} features, "
                f"{self.n_layers} layers, {len(self.tokens)} tokens and {len(self.targets)} logits "
                f"make {count} nodes.",
                _ANEW,
            )

    def rows(self) -> list[NodeRow]:
        """Nodes in the matrix's order: features, errors by layer, tokens, logits."""
        last = len(self.tokens) - 1
        rows = [
            NodeRow(f"{layer}_{feature}_{at}", FEATURE, layer, at, feature=feature)
            for layer, at, feature in self.features.tolist()
        ]
        rows += [
            NodeRow(f"{layer}_-1_{at}", ERROR, layer, at)
            for layer in range(self.n_layers)
            for at in range(len(self.tokens))
        ]
        rows += [
            NodeRow(f"E_{token}_{at}", TOKEN, -1, at, feature=token)
            for at, token in enumerate(self.tokens)
        ]
        top = self.n_layers + 1
        rows += [
            NodeRow(
                f"{top}_{token}_{last}", OUTPUT, top, last, feature=token,
                label=f'Output "{text}" (p={probability:.3f})', influence=probability,
            )
            for (text, token), probability in zip(self.targets, self.probabilities, strict=True)
        ]  # fmt: skip
        if len({row.id for row in rows}) != len(rows):
            raise GraphError("Two nodes of the graph are the same feature or logit.", _ANEW)
        return rows

    def edges(self, nodes: int, job: Job) -> EdgeColumns:
        """The entries of the matrix that are not zero. Raises GraphError for those not finite."""
        sources, targets, weights = [], [], []
        for start in range(0, nodes, _AT_ONCE):
            job.progress("Reading the graph", start, nodes)
            part = self.matrix[start : start + _AT_ONCE]
            if not np.isfinite(part).all():
                raise GraphError("The matrix holds numbers that are not finite.", _ANEW)
            target, source = np.nonzero(part)
            weights.append(part[target, source].astype(np.float64))
            targets.append(target + start)
            sources.append(source)
        ends = [np.concatenate(each) if each else np.zeros(0) for each in (sources, targets)]
        from_, to = (column.astype(np.int32) for column in ends)
        kinds = np.full(len(from_), EdgeKind.FEATURE, np.int8)
        weight = np.concatenate(weights) if weights else np.zeros(0)
        return EdgeColumns(from_, to, kinds, weight, np.zeros(len(from_), np.float32))

    def told(self) -> dict[str, Any]:
        """What the graph says of itself."""
        scan = self.held.get("scan")
        prompt = self.held.get("input_string")
        best = int(np.argmax(self.probabilities)) if self.probabilities else -1
        return {
            "model": ", ".join(map(str, scan))
            if isinstance(scan, list | tuple)
            else str(scan or ""),
            "prompt": prompt if isinstance(prompt, str) else "",
            "token_ids": self.tokens,
            "n_layers": self.n_layers,
            "metric": f'Output "{self.targets[best][0]}"' if best >= 0 else "",
        }

    def kept(self) -> Any:
        """All of the file but the matrix, as JSON values; what has no such form is left out."""
        rest = {key: value for key, value in self.held.items() if key not in _AGAIN}
        return {"dict": [pair for item in rest.items() if (pair := _plain_pair(*item))]}

    def activations(self) -> dict[str, float]:
        """Activations of the features, by id."""
        values = self.held.get("activation_values")
        chosen = self.held["selected_features"]
        if (
            not isinstance(values, np.ndarray)
            or values.ndim != 1
            or len(values) <= chosen.max(initial=-1)
        ):
            return {}
        ids = (f"{layer}_{feature}_{at}" for layer, at, feature in self.features.tolist())
        return dict(zip(ids, values[chosen].astype(float).tolist(), strict=True))


def _plain_pair(key: Any, value: Any) -> list[Any]:
    try:
        return [as_plain(key), as_plain(value)]
    except ValueError:
        return []


def _array(held: dict[str, Any], key: str, kinds: str, ndim: int) -> NDArray[Any]:
    found = held.get(key)
    if not isinstance(found, np.ndarray) or found.dtype.kind not in kinds or found.ndim != ndim:
        shape = getattr(found, "shape", type(found).__name__)
        raise GraphError(f"{key} is {shape}, but numbers of {ndim} axes were expected.", _ANEW)
    return found


def _n_layers(cfg: Any) -> int:
    fields = cfg.fields if isinstance(cfg, Record) else cfg if isinstance(cfg, dict) else {}
    count = fields.get("n_layers")
    if type(count) is not int or not 0 < count < 10_000:
        raise GraphError(f"The cfg says n_layers = {str(count)[:20]}.", _ANEW)
    return count


def _targets(held: Any) -> list[tuple[str, int]]:
    """Text and vocabulary id of each logit; files of before hold the ids alone."""
    if isinstance(held, np.ndarray) and held.ndim == 1 and held.dtype.kind in "iu":
        return [(str(token), token) for token in held.tolist()]
    pairs = [
        one.given or tuple(one.fields.values()) if isinstance(one, Record) else one
        for one in held or ()
    ]
    good = all(
        isinstance(one, tuple | list) and len(one) == 2
        and isinstance(one[0], str) and type(one[1]) is int
        for one in pairs
    )  # fmt: skip
    if not good or not pairs:
        raise GraphError(f"The logit_targets are {str(held)[:60]}.", _ANEW)
    return [(text, token) for text, token in pairs]
