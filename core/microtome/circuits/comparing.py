"""What circuits of different prompts share: the difference of two, and a consensus over many.

Nodes are matched by what they are and where they stand: a head or MLP by its layer and head, a
feature by its layer and index, an embedding by its token; and by the position of the other prompt
that it is aligned with. Tokens are aligned from both ends: what begins alike and what ends alike
belongs together, and of what lies between each token with the one as far from its beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from microtome.errors import InputError, expect
from microtome.records.circuit import OUTPUT, POSITION, TOKEN, UNIT_LAYERS, Circuit
from microtome.records.provenance import differ_among, provenance

_NAMED = 3  # words of one place that are written out


@dataclass(frozen=True, slots=True, eq=False)
class Consensus:
    """One circuit of all nodes and edges of several, and which of them has each.

    ``circuit`` has the mean scores, weights and influences over those that have a node or an edge;
    ``node_scores`` and ``edge_weights`` hold those of each, NaN where it is not there. ``names``
    tell the circuits apart.
    """

    circuit: Circuit
    names: tuple[str, ...]
    node_scores: Float[np.ndarray, "circuit node"]
    edge_weights: Float[np.ndarray, "circuit edge"]

    @property
    def node_counts(self) -> Int[np.ndarray, " node"]:
        """In how many circuits each node is."""
        return np.asarray((~np.isnan(self.node_scores)).sum(axis=0))

    @property
    def edge_counts(self) -> Int[np.ndarray, " edge"]:
        """In how many circuits each edge is."""
        return np.asarray((~np.isnan(self.edge_weights)).sum(axis=0))

    def told(self) -> dict[str, Any]:
        """All of it as plain JSON: nodes and edges with their counts and their numbers in each."""
        circuit, total = self.circuit, len(self.names)
        nodes = [
            {"id": circuit.node_id[row], "label": circuit.node_label[row],
             "kind": circuit.node_kind[row], "count": int(self.node_counts[row]),
             "scores": _plain(self.node_scores[:, row])}
            for row in range(circuit.n_nodes)
        ]  # fmt: skip
        edges = [
            {"source": circuit.node_id[int(circuit.edge_source[row])],
             "target": circuit.node_id[int(circuit.edge_target[row])],
             "kind": int(circuit.edge_kind[row]), "count": int(self.edge_counts[row]),
             "weights": _plain(self.edge_weights[:, row])}
            for row in range(circuit.n_edges)
        ]  # fmt: skip
        return {"circuits": list(self.names), "total": total, "nodes": nodes, "edges": edges}


def _plain(values: Float[np.ndarray, " circuit"]) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def graph_difference(
    first: Circuit,
    second: Circuit,
    names: tuple[str, str] = ("first", "second"),
    *,
    across: bool = False,
) -> Consensus:
    """What two circuits share and what each has alone: a consensus of two.

    An edge's change is ``edge_weights[1] - edge_weights[0]``. Raises InputError for circuits that
    do not number components and features alike, one with positions and one without, and for those
    of ``graph_consensus`` that cannot be compared.
    """
    return graph_consensus((first, second), names, across=across)


def graph_consensus(
    circuits: Sequence[Circuit], names: Sequence[str] = (), *, across: bool = False
) -> Consensus:
    """Every node and edge of several circuits, and in which of them it is.

    Positions, tokens and ids are those of the first circuit that has a node. Raises InputError for
    fewer than two circuits, for circuits of which some have positions and some have none, and,
    unless ``across``, where ``differs`` gives reasons: other models, methods, number formats.
    """
    for circuit in circuits:
        expect(circuit, Circuit, "circuits", "a list of Circuit", "Read some with read_graph.")
    if len(circuits) < 2:
        raise InputError(f"{len(circuits)} circuit was given.", "Give two or more to compare.")
    placed = [bool((circuit.node_position >= 0).any()) for circuit in circuits]
    if len(set(placed)) > 1:
        raise InputError(
            "Some circuits tell positions and some do not, so that no node is in both.",
            "Compare circuits of one kind: by position, or of components.",
        )
    reasons = () if across else differ_among(map(provenance, circuits)).reasons
    if reasons:
        raise InputError(
            f"These circuits cannot be compared. {' '.join(reasons)}",
            "Give across=True to compare them all the same.",
        )
    given = tuple(names) or tuple(f"circuit {number}" for number in range(1, len(circuits) + 1))
    if len(given) != len(circuits):
        raise InputError(f"{len(given)} names for {len(circuits)} circuits.", "Name each of them.")
    return _joined(circuits, given)


def aligned(first: Sequence[str], second: Sequence[str]) -> Int[np.ndarray, " second"]:
    """The place that each token of the second text has in the first.

    Places behind the end of the first are those of what only the second has.
    """
    shorter = min(len(first), len(second))
    start = next((n for n in range(shorter) if first[n] != second[n]), shorter)
    left = shorter - start
    end = next((n for n in range(left) if first[-1 - n] != second[-1 - n]), left)
    place = np.full(len(second), -1)
    place[:start] = np.arange(start)
    place[len(second) - end :] = np.arange(len(first) - end, len(first))
    between = min(len(first), len(second)) - start - end
    place[start : start + between] = np.arange(start, start + between)
    alone = np.flatnonzero(place < 0)
    place[alone] = len(first) + np.arange(len(alone))
    return place


def _all_aligned(
    texts: Sequence[Sequence[str]],
) -> tuple[list[Int[np.ndarray, " token"]], list[str]]:
    """The places of each text's tokens, and the tokens of all places.

    What a text has beside the first one shares its place with what another text has as far behind
    the same token of the first, and with nothing else.
    """
    first = texts[0]
    all_tokens, more = list(first), dict[tuple[int, int], int]()
    found = []
    for text in texts:
        places = aligned(first, text)
        alone = np.flatnonzero(places >= len(first)).tolist()  # one after the other
        before = int(places[alone[0] - 1]) if alone and alone[0] else -1
        for nth, at in enumerate(alone):
            places[at] = more.setdefault((before, nth), len(all_tokens))
            all_tokens += [text[at]] if places[at] == len(all_tokens) else []
        found.append(places)
    return found, all_tokens


def _joined(circuits: Sequence[Circuit], names: tuple[str, ...]) -> Consensus:
    tokens = [[str(t) for t in circuit.metadata.get("tokens", ())] for circuit in circuits]
    numbers: dict[tuple[Any, ...], int] = {}
    owner: list[tuple[int, int]] = []  # circuit and row that first has each node
    rows = []
    places, all_tokens = _all_aligned(tokens)
    words: list[dict[str, None]] = [{} for _ in all_tokens]
    for which, circuit in enumerate(circuits):
        for place, token in zip(places[which].tolist(), tokens[which], strict=True):
            words[place][token] = None
        found = []
        for row, key in enumerate(_keys(circuit, places[which])):
            number = numbers.setdefault(key, len(numbers))
            if number == len(owner):
                owner.append((which, row))
            found.append(number)
        rows.append(np.array(found, np.int64))
    edges, edge_weights, through = _edges(circuits, rows, len(numbers))
    scores = np.full((len(circuits), len(numbers)), np.nan)
    influence = scores.copy()
    for which, circuit in enumerate(circuits):
        scores[which, rows[which]] = circuit.node_score
        influence[which, rows[which]] = circuit.node_influence
    columns = _columns(circuits, owner, numbers)
    columns["node_label"] = _common_labels(circuits, rows, columns)
    all_tokens = [_common(word) for word in words]
    circuit = Circuit(
        **columns, node_score=np.nanmean(scores, axis=0), node_influence=np.nanmean(influence, 0),
        node_bias=np.zeros(len(numbers)), edge_source=edges[0], edge_target=edges[1],
        edge_kind=edges[2], edge_weight=np.nanmean(edge_weights, axis=0) if edges[0].size
        else np.zeros(0), edge_influence=through, metadata=_metadata(circuits, names, all_tokens),
    )  # fmt: skip
    return Consensus(circuit, names, scores, edge_weights)


def _common(words: Iterable[str]) -> str:
    """What stands at one place in several texts: ``Mary | Anna``."""
    first = [word if number == 0 else word.strip() or word for number, word in enumerate(words)]
    more = f" | … {len(first) - _NAMED} more" if len(first) > _NAMED else ""
    return " | ".join(first[:_NAMED]) + more


def _common_labels(
    circuits: Sequence[Circuit],
    rows: Sequence[Int[np.ndarray, " node"]],
    columns: Mapping[str, Any],
) -> tuple[str, ...]:
    """Labels that are true of every circuit: tokens side by side, another metric is a metric."""
    found: list[dict[str, None]] = [{} for _ in columns["node_label"]]
    for circuit, numbers in zip(circuits, rows, strict=True):
        for number, label in zip(numbers.tolist(), circuit.node_label, strict=True):
            found[number][label] = None
    pairs = zip(columns["node_kind"], found, strict=True)
    return tuple(_common_label(kind, labels) for kind, labels in pairs)


def _common_label(kind: str, labels: Mapping[str, None]) -> str:
    if len(labels) > 1 and kind == OUTPUT:
        return "metric"
    return _common(labels) if kind in (TOKEN, POSITION) else next(iter(labels))


def _keys(circuit: Circuit, places: Int[np.ndarray, " token"]) -> list[tuple[Any, ...]]:
    """What a node is, and where: the same in another circuit means the same node."""
    columns = zip(
        circuit.node_kind, circuit.node_layer.tolist(), circuit.node_head.tolist(),
        circuit.node_feature.tolist(), circuit.node_position.tolist(), circuit.node_label,
        circuit.node_id, strict=True,
    )  # fmt: skip
    found: list[tuple[Any, ...]] = []
    seen: set[tuple[Any, ...]] = set()
    for kind, layer, head, feature, at, label, id_ in columns:
        place = int(places[at]) if 0 <= at < len(places) else at
        if kind in (TOKEN, POSITION):
            key: tuple[Any, ...] = (kind, place)
        elif kind == OUTPUT:
            key = (kind, label) if feature >= 0 else (kind,)
        else:
            key = (kind, layer, head, feature, place)
        if key in seen:  # nothing but its id tells it from another one
            key = (*key, id_)
        seen.add(key)
        found.append(key)
    return found


def _edges(
    circuits: Sequence[Circuit], rows: Sequence[Int[np.ndarray, " node"]], n_nodes: int
) -> tuple[
    tuple[Int[np.ndarray, " edge"], ...],
    Float[np.ndarray, "circuit edge"],
    Float[np.ndarray, " edge"],
]:
    kinds = 1 + max(int(circuit.edge_kind.max(initial=0)) for circuit in circuits)
    keys = [
        (row[c.edge_source] * n_nodes + row[c.edge_target]) * kinds + c.edge_kind
        for c, row in zip(circuits, rows, strict=True)
    ]
    unique, which = np.unique(np.concatenate(keys), return_inverse=True)
    weights = np.full((len(circuits), len(unique)), np.nan)
    influence = np.full((len(circuits), len(unique)), np.nan)
    at = 0
    for number, (circuit, key) in enumerate(zip(circuits, keys, strict=True)):
        here = which.reshape(-1)[at : at + len(key)]
        at += len(key)
        for table, values in ((weights, circuit.edge_weight), (influence, circuit.edge_influence)):
            table[number, here] = np.bincount(here, values, len(unique))[here]  # bundles add up
    ends, kind = np.divmod(unique, kinds)
    source, target = np.divmod(ends, n_nodes)
    through = np.nanmean(influence, axis=0) if len(unique) else np.zeros(0)
    return (
        (source.astype(np.int32), target.astype(np.int32), kind.astype(np.int8)),
        weights,
        through,
    )


def _columns(
    circuits: Sequence[Circuit],
    owner: Sequence[tuple[int, int]],
    numbers: dict[tuple[Any, ...], int],
) -> dict[str, Any]:
    texts = {
        name: tuple(getattr(circuits[which], name)[row] for which, row in owner)
        for name in ("node_kind", "node_label")
    }
    places = {
        name: np.array([getattr(circuits[which], name)[row] for which, row in owner], np.int32)
        for name in ("node_layer", "node_head", "node_feature")
    }
    at = [
        _place(key, circuits[which], row) for key, (which, row) in zip(numbers, owner, strict=True)
    ]
    ids: dict[str, None] = {}
    for which, row in owner:
        name = circuits[which].node_id[row]
        while name in ids:
            name = f"{name} (2)"
        ids[name] = None
    return {**texts, **places, "node_id": tuple(ids), "node_position": np.array(at, np.int32)}


def _place(key: tuple[Any, ...], circuit: Circuit, row: int) -> int:
    """The aligned position, which the key of a node has; that of an output is its own."""
    if key[0] in (TOKEN, POSITION):
        return int(key[1])
    return int(key[4]) if len(key) >= 5 else int(circuit.node_position[row])


def _metadata(
    circuits: Sequence[Circuit], names: tuple[str, ...], tokens: list[str]
) -> dict[str, Any]:
    layers = [int(circuit.metadata.get("n_layers") or 0) for circuit in circuits]
    units = circuits[0].metadata.get(UNIT_LAYERS)
    same = units is not None and all(c.metadata.get(UNIT_LAYERS) == units for c in circuits)
    return {
        **({UNIT_LAYERS: units} if same else {}),
        "method": "consensus", "circuits": list(names), "tokens": tokens, "n_layers": max(layers),
        "metric": " | ".join(dict.fromkeys(str(c.metadata.get("metric", "")) for c in circuits)),
        "cyclic": any(circuit.metadata.get("cyclic") for circuit in circuits),
    }  # fmt: skip
