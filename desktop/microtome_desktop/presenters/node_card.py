"""The card of one node: what it is, what it is made of, and what was found out about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from microtome.records.analysis import Analysis
from microtome.records.circuit import (
    CHANNEL,
    DIMENSION,
    HEAD,
    IMAGE,
    MLP,
    NEURON,
    OUTPUT,
    POSITION,
    TOKEN,
    UNIT_HEAD,
    UNITS,
    Circuit,
)
from microtome_desktop.presenters.circuit_kinds import edge_style, node_style
from microtome_desktop.presenters.circuit_text import (
    node_title,
    percent,
    place_text,
    short_label,
    signed,
    tells_edge_influence,
    token_at,
    told_number,
)
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.state.foreign import UNREADABLE
from microtome_desktop.state.units import unit_layers, unit_text

MOST_SOURCES = 200  # pairs of the attention table that are listed, the largest

_UNTOLD = "–"  # what the file of a graph does not tell
_DESCRIPTIONS = {
    TOKEN: "token embedding",
    POSITION: "position embedding",
    HEAD: "attention head",
    MLP: "MLP",
    OUTPUT: "the metric",
    IMAGE: "all pixels of the image",
    CHANNEL: "channel",
    NEURON: "neuron",
    DIMENSION: "dimension",
    UNIT_HEAD: "attention head",
}


@dataclass(frozen=True, slots=True)
class Part:
    """One edge as seen from a node: the node at its other end, and what it carries.

    ``share`` is the part of the node's influence that passes through the edge; None where the
    node has none. Of a graph whose file tells no influence of edges it is the part of the sizes of
    all weights on that side.
    """

    node: str
    label: str
    place: str
    kind: str
    weight: float
    share: float | None
    edge: tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Card:
    """Everything that the card shows of one node, parts strongest first."""

    node: str
    kind: str
    title: str
    description: str
    score: float | None  # None where the file of the graph does not tell it
    influence: float | None
    bias: float | None
    incoming: tuple[Part, ...]
    outgoing: tuple[Part, ...]
    left_out: tuple[int, int] = (0, 0)  # weaker parts of both that are not among them
    by_weight: bool = False  # whether shares are of sizes of weights
    of_units: bool = False  # of a circuit of a model that sees

    @property
    def is_head(self) -> bool:
        """Whether there is a pattern to explain."""
        return self.kind == HEAD

    @property
    def can_be_ablated(self) -> bool:
        """Whether it writes something that can be cut out of a run."""
        return self.kind in {TOKEN, POSITION, HEAD, MLP, *UNITS}


def card_of(circuit: Circuit, node_id: str | None, most: int | None = None) -> Card | None:
    """The card of a node with all its parts, or the ``most`` strongest each way.

    None when the circuit has no such node.
    """
    if node_id is None or node_id not in circuit.node_id:
        return None
    node = circuit.row(node_id)
    kind = circuit.node_kind[node]
    where = place_text(circuit, node)
    described = _DESCRIPTIONS.get(kind, node_style(kind).title) + unit_text(circuit, node)
    edges = circuit.incoming(node), circuit.outgoing(node)
    by_weight = not tells_edge_influence(circuit)
    sides = []
    for some in edges:
        whole = float(np.abs(circuit.edge_weight[some]).sum()) if by_weight else None
        sides.append(tuple(_part(circuit, int(edge), node, whole) for edge in some[:most]))
    return Card(
        node=node_id,
        kind=kind,
        title=circuit.node_label[node],
        description=f"{described} at {where}" if where and kind != OUTPUT else described,
        score=told_number(circuit, "node_score", node),
        influence=told_number(circuit, "node_influence", node),
        bias=told_number(circuit, "node_bias", node),
        incoming=sides[0],
        outgoing=sides[1],
        left_out=(len(edges[0]) - len(sides[0]), len(edges[1]) - len(sides[1])),
        by_weight=by_weight,
        of_units=bool(unit_layers(circuit)),
    )


def _part(circuit: Circuit, edge: int, node: int, whole: float | None) -> Part:
    """``whole`` is the sum that weights are shares of, None for shares of influence."""
    source, target = int(circuit.edge_source[edge]), int(circuit.edge_target[edge])
    other = source if target == node else target
    kind = int(circuit.edge_kind[edge])
    if whole is None:
        carried, whole = float(circuit.edge_influence[edge]), float(circuit.node_influence[node])
    else:
        carried = abs(float(circuit.edge_weight[edge]))
    return Part(
        node=circuit.node_id[other],
        label=short_label(circuit, other),
        place=_short_place(circuit, other),
        kind=edge_style(kind).title,
        weight=float(circuit.edge_weight[edge]),
        share=carried / whole if whole > 0 else None,
        edge=(circuit.node_id[source], circuit.node_id[target], kind),
    )


def _short_place(circuit: Circuit, node: int) -> str:
    position = int(circuit.node_position[node])
    if position < 0 or circuit.node_kind[node] == OUTPUT:
        return ""
    if circuit.node_kind[node] in {TOKEN, POSITION}:
        return str(position)
    return f"{token_at(circuit, position)} {position}".strip()


def edge_title(circuit: Circuit, edge: tuple[str, str, int]) -> str | None:
    """A selected edge in one line; None when the circuit does not have it."""
    source, target, kind = edge
    if source not in circuit.node_id or target not in circuit.node_id:
        return None
    ends = (node_title(circuit, circuit.row(name)) for name in (source, target))
    return f"{' → '.join(ends)}   {edge_style(kind).title}"


@dataclass(frozen=True, slots=True)
class Verification:
    """Predicted beside true effect of one real ablation, in units of the metric.

    ``parts`` are further measurements by name: for a pair the two that the true one is the mean
    of.
    """

    predicted: float
    true: float
    caption: str
    parts: tuple[tuple[str, float], ...] = ()

    @property
    def bars(self) -> tuple[tuple[str, float], ...]:
        """What is drawn, in words and numbers."""
        return (("predicted", self.predicted), ("true", self.true), *self.parts)


_FURTHER = {"noised": "cut out", "denoised": "put back"}


def verification_id(node_or_edge: str | tuple[str, str, int]) -> str:
    """The id of the analysis that holds the verification of a node or edge."""
    if isinstance(node_or_edge, str):
        return f"verification/{node_or_edge}"
    source, target, kind = node_or_edge
    return f"verification/{source}>{target}/{kind}"


def verification(
    analyses: Mapping[str, Analysis], node_or_edge: str | tuple[str, str, int]
) -> Verification | None:
    """What a real ablation gave; None when there was none."""
    analysis = analyses.get(verification_id(node_or_edge))
    if analysis is None:
        return None
    values = {name: float(np.ravel(analysis.array(name))[0]) for name in analysis.arrays}
    held = analysis.params
    parts = []
    if "base" in held and "ablated" in held:
        parts.append(f"metric {signed(float(held['base']))} → {signed(float(held['ablated']))}")
    if held.get("how"):
        parts.append(str(held["how"]))
    further = tuple((name, values[key]) for key, name in _FURTHER.items() if key in values)
    if not further:
        parts.append("the prediction holds norms and patterns, the run lets them move")
    return Verification(values["predicted"], values["true"], ", ".join(parts), further)


@dataclass(frozen=True, slots=True)
class Source:
    """One term of an attention score: what the query reads times what the key reads."""

    query: str
    key: str
    score: float


@dataclass(frozen=True, slots=True)
class Sources:
    """Why a head looks where it looks: the terms of its score, largest first."""

    caption: str
    rows: tuple[Source, ...]
    unread: bool = False  # of another version, or damaged


def attention_sources(analyses: Mapping[str, Analysis], card: Card) -> Sources | None:
    """The terms of a head's attention score; None before they were asked for."""
    analysis = analyses.get(f"why/{card.node}")
    if analysis is None:
        return None
    try:
        return _sources(analysis)
    except UNREADABLE:
        return Sources(_UNREAD, (), unread=True)


_UNREAD = "What was found cannot be read. Ask why once more."


def _sources(analysis: Analysis) -> Sources:
    table = np.asarray(analysis.array("score"), dtype=float)
    queries = [str(name) for name in analysis.array("query_source")]
    keys = [str(name) for name in analysis.array("key_source")]
    if table.shape != (len(queries), len(keys)):
        raise ValueError(f"scores of {table.shape}")
    order = np.argsort(-np.abs(table), axis=None)[:MOST_SOURCES]
    rows = tuple(
        Source(queries[q], keys[k], float(table[q, k]))
        for q, k in zip(*np.unravel_index(order, table.shape), strict=True)
    )
    return Sources(_sources_caption(analysis, float(table.sum())), rows)


@dataclass(frozen=True, slots=True)
class EdgeReader:
    """One that reads on what an edge brings, by what, and its part of the weight."""

    reader: str
    kind: str
    weight: float


@dataclass(frozen=True, slots=True)
class Readers:
    """Why an edge has its weight, largest parts first."""

    caption: str
    rows: tuple[EdgeReader, ...]
    unread: bool = False  # of another version, or damaged


def readers_of(analyses: Mapping[str, Analysis], edge: tuple[str, str, int]) -> Readers | None:
    """Who reads on what an edge brings; None before that was asked for."""
    source, target, kind = edge
    analysis = analyses.get(f"why-edge/{source}>{target}/{int(kind)}")
    if analysis is None:
        return None
    try:
        columns = (analysis.array(name).tolist() for name in ("reader", "kind", "weight"))
        rows = tuple(
            EdgeReader(str(reader), str(kind), float(weight))
            for reader, kind, weight in zip(*columns, strict=True)
        )
        total = signed(float(analysis.params["total"]))
    except UNREADABLE:
        return Readers(_UNREAD, (), unread=True)
    told = f"Parts of the weight, {total}, by who reads on what {source} brings to {target}."
    return Readers(told, rows[:MOST_SOURCES])


def _sources_caption(analysis: Analysis, total: float) -> str:
    held = analysis.params
    shown = f"{signed(total)} over the mean of the visible keys"
    if held.get("key") is None:
        return f"Terms add up to {shown}."
    token = f"“{shown_token(held['key_token'])}” " if "key_token" in held else ""
    share = f" with {percent(float(held['attention']))}" if "attention" in held else ""
    return f"It looks at {token}({held['key']}){share}: terms add up to {shown}."


def stats(card: Card) -> tuple[tuple[str, str, str], ...]:
    """Name, value and meaning of the card's numbers."""
    scores = [_UNTOLD if each is None else signed(each) for each in (card.score, card.bias)]
    influence = _UNTOLD if card.influence is None else percent(card.influence)
    return (
        ("score", scores[0], "What the node contributes to the metric along all ways."),
        ("influence", influence, "Share of all that flows into the metric."),
        ("bias", scores[1], "The part of the score that constants of the model explain."),
    )
