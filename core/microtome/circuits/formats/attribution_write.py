"""Any circuit as an attribution graph: a file that the published page opens.

Components become nodes that the page can draw (``published_row``); what its schema has no place
for stands under the key ``microtome`` of the file's metadata, nodes and links.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from jaxtyping import Float, Int

from microtome.circuits.formats.attribution import NAME, OWN
from microtome.circuits.formats.influence import cumulative
from microtome.circuits.formats.kept_keys import unpacked
from microtome.circuits.formats.reading import sign_of_file
from microtome.circuits.formats.rows import NodeRow, counted, node_rows
from microtome.circuits.formats.web_nodes import published_row, read_node, web_node
from microtome.errors import GraphError
from microtome.jobs import Job
from microtome.records.circuit import FEATURE, OUTPUT, Circuit, EdgeKind

_AT_ONCE = 50_000  # links written in one piece
_VIEW: dict[str, Any] = {
    "pinnedIds": [], "supernodes": [], "linkType": "both", "clickedId": "", "sg_pos": "",
}  # fmt: skip
_NOT_TOLD = ("source", "sign_read", "format")


def write(circuit: Circuit, path: Path, job: Job) -> None:
    """Write the file. Raises GraphError for numbers that JSON does not have."""
    for name in ("edge_weight", "node_score", "node_influence", "node_bias", "edge_influence"):
        if not np.isfinite(getattr(circuit, name)).all():
            raise GraphError(
                f"The circuit's {name} holds numbers that are not finite; JSON has none.",
                "Take these nodes or edges out first.",
            )
    with path.open("w", encoding="utf-8") as file:
        _Writer.of(circuit, path, job).write(file)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)


def _plain(value: Any) -> Any:
    """What metadata hold beside plain JSON: arrays, numbers of NumPy, tuples, mappings."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return dict(value) if hasattr(value, "items") else list(value)


@dataclass(slots=True, eq=False)
class _Writer:
    circuit: Circuit
    job: Job
    source: dict[str, Any]
    rows: list[NodeRow]
    published: list[NodeRow]
    slug: str
    weight: Float[np.ndarray, " edge"]

    @classmethod
    def of(cls, circuit: Circuit, path: Path, job: Job) -> _Writer:
        held = circuit.metadata.get("source")
        source = held if isinstance(held, dict) and held.get("format") == NAME else {}
        rows = list(node_rows(circuit))
        tokens = [int(token) for token in circuit.metadata.get("token_ids", ())]
        top = max((row.layer for row in rows), default=-1) + 1
        # The page has no place for a graph of one position: it stands at the second of two.
        nowhere = 0 if any(row.position >= 0 for row in rows) else 1
        published = [published_row(row, tokens, top, nowhere) for row in rows]
        slug = re.sub(r"[^a-z0-9-]+", "-", path.name.strip(".").partition(".")[0].lower()).strip(
            "-"
        )
        weight = circuit.edge_weight.astype(np.float64) * sign_of_file(circuit.metadata)
        return cls(circuit, job, source, rows, published, slug or "graph", weight)

    def write(self, file: TextIO) -> None:
        names = {row.id: web.id for row, web in zip(self.rows, self.published, strict=True)}
        if len(set(names.values())) != len(self.rows):
            raise GraphError(
                f"{counted(len(self.rows), 'node')} have {len(set(names.values()))} different ids.",
                "Give each node its own id, or write GraphML.",
            )
        file.write('{"metadata": ' + _compact(self._metadata()))
        file.write(', "qParams": ' + _compact(_named(self.source.get("qParams", _VIEW), names)))
        top = self.source.get("top", {})
        file.writelines(f", {_compact(key)}: {_compact(value)}" for key, value in top.items())
        file.write(', "nodes": [' + ", ".join(map(_compact, self._nodes())) + '], "links": [')
        done, total = 0, self.circuit.n_edges
        for number, piece in enumerate(self._links()):
            file.write((", " if number else "") + ", ".join(piece))
            done = min(total, done + _AT_ONCE)
            self.job.progress("Writing the graph", done, total)
        file.write("]}\n")

    def _metadata(self) -> dict[str, Any]:
        told = self.circuit.metadata
        made = {
            "slug": self.slug,
            "scan": str(told.get("model", "microtome")),
            "prompt": _text(told.get("prompt", "")),
            "prompt_tokens": self._tokens(),
            "transcoder_list": [],
            "node_threshold": None,
            "schema_version": 1,
        }
        held = self.source.get("metadata", made)
        if self._is_native():
            return dict(held)
        return {**held, OWN: {key: value for key, value in told.items() if key not in _NOT_TOLD}}

    def _is_native(self) -> bool:
        """Whether the file came from such a file, and so needs nothing of ours."""
        own = any(row != web for row, web in zip(self.rows, self.published, strict=True))
        return "metadata" in self.source and not own

    def _tokens(self) -> list[str]:
        tokens = [str(token) for token in self.circuit.metadata.get("tokens", ())]
        if not tokens and all(row.position < 0 for row in self.rows):
            return ["", "all positions"]
        needed = max((row.position for row in self.published), default=0) + 1
        return tokens + [""] * (needed - len(tokens))

    def _nodes(self) -> Iterator[dict[str, Any]]:
        extras = unpacked(self.source.get("nodes"), self.circuit.node_id)
        reached = cumulative(self.circuit.node_influence.astype(np.float64)).tolist()
        native = self._is_native()
        outputs = [row.influence for row in self.rows if row.kind == OUTPUT]
        best = max(outputs, default=0.0)
        for number, row in enumerate(self.rows):
            self.job.check()
            node = web_node(self.published[number])
            if not native:
                node |= _added(row, reached[number], best)
            if not native and (own := _own(row, self.published[number], number)):
                node[OWN] = own
            node |= extras[number]
            yield node

    def _links(self) -> Iterator[list[str]]:
        circuit = self.circuit
        ids = [row.id for row in self.published]
        texts = [_compact(id_) for id_ in ids]
        keys = _link_keys(self.source.get("links", ()), circuit)
        weight = self.weight
        plain = np.flatnonzero(circuit.edge_kind == EdgeKind.FEATURE)
        for at in range(0, len(plain), _AT_ONCE):
            some = plain[at : at + _AT_ONCE]
            columns = (circuit.edge_source[some], circuit.edge_target[some], weight[some])
            rows = zip(*(column.tolist() for column in columns), strict=True)
            yield [_link(texts, row, keys) for row in rows]
        merged = _merged(circuit)
        for at in range(0, len(merged), _AT_ONCE):
            yield [_compact(self._parts(edges, ids)) for edges in merged[at : at + _AT_ONCE]]

    def _parts(self, edges: Int[np.ndarray, " some"], ids: list[str]) -> dict[str, Any]:
        """One link for the edges between two components, by value, query and key."""
        circuit = self.circuit
        columns = (circuit.edge_kind, self.weight, circuit.edge_influence)
        parts = [list(part) for part in zip(*(c[edges].tolist() for c in columns), strict=True)]
        source, target = circuit.edge_source[edges[0]], circuit.edge_target[edges[0]]
        total = math.fsum(weight for _, weight, _ in parts)
        link = {"source": ids[source], "target": ids[target], "weight": total}
        return link | {OWN: {"edges": parts}}


def _text(prompt: Any) -> str:
    return prompt if isinstance(prompt, str) else " ".join(map(str, prompt or ()))


def _added(row: NodeRow, reached: float, best: float) -> dict[str, Any]:
    """What circuit-tracer writes of every node beside what the schema requires."""
    is_output = row.kind == OUTPUT
    return {
        "influence": reached,
        "activation": row.score if row.kind == FEATURE and row.score else None,
        "token_prob": row.influence if is_output else 0.0,
        "is_target_logit": is_output and row.influence == best,
        "run_idx": 0,
        "reverse_ctx_idx": 0,
    }


def _own(row: NodeRow, web: NodeRow, number: int) -> dict[str, Any]:
    """The fields that reading the published node would not give."""
    found = read_node(web_node(web), number)
    return {
        name: getattr(row, name)
        for name in NodeRow.__slots__
        if name == "influence" or getattr(row, name) != getattr(found, name)
    }


def _named(view: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The saved view with the ids of the file."""

    def name(id_: Any) -> Any:
        return names.get(id_, id_) if isinstance(id_, str) else id_

    found = dict(view)
    if isinstance(view.get("pinnedIds"), list):
        found["pinnedIds"] = [name(id_) for id_ in view["pinnedIds"]]
    if isinstance(view.get("supernodes"), list):
        found["supernodes"] = [
            [*group[:1], *map(name, group[1:])] if isinstance(group, list) else group
            for group in view["supernodes"]
        ]
    if "clickedId" in view:
        found["clickedId"] = name(view["clickedId"])
    return found


Keys = dict[tuple[int, int], list[dict[str, Any]]]


def _link_keys(kept: Any, circuit: Circuit) -> Keys:
    """The further keys of links, by the rows of their ends, in the file's order."""
    row = {id_: number for number, id_ in enumerate(circuit.node_id)}
    found: Keys = {}
    for source, target, keys in kept:
        if source in row and target in row:
            found.setdefault((row[source], row[target]), []).append(keys)
    return {ends: held[::-1] for ends, held in found.items()}


def _link(texts: list[str], row: tuple[int, int, float], keys: Keys) -> str:
    source, target, weight = row
    link = f'{{"source": {texts[source]}, "target": {texts[target]}, "weight": {weight!r}'
    held = keys.get((source, target)) if keys else None
    return f"{link}, {_compact(held.pop())[1:]}" if held else link + "}"


def _merged(circuit: Circuit) -> list[Int[np.ndarray, " some"]]:
    """Edges of components, grouped by their ends, in the order of the first of each."""
    edges = np.flatnonzero(circuit.edge_kind != EdgeKind.FEATURE)
    if not len(edges):
        return []
    ends = (
        circuit.edge_source[edges].astype(np.int64) * circuit.n_nodes + circuit.edge_target[edges]
    )
    order = np.argsort(ends, kind="stable")
    starts = np.flatnonzero(np.diff(ends[order], prepend=-1))
    groups = np.split(edges[order], starts[1:])
    return sorted(groups, key=lambda group: int(group[0]))
