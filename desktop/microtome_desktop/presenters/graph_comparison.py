"""What circuits share as one drawing, as sentences, and as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import Float, Int

from microtome.circuits.comparing import Consensus, graph_consensus
from microtome.records.circuit import Circuit
from microtome_desktop.presenters.circuit import NO_MARKS, Drawing, draw, pruned
from microtome_desktop.presenters.circuit_curves import ONLY_FIRST, ONLY_SECOND, SHARED
from microtome_desktop.presenters.circuit_kinds import edge_style
from microtome_desktop.presenters.circuit_text import node_title, signed
from microtome_desktop.presenters.circuit_view import View
from microtome_desktop.state.exports import Table

NO_NUMBER = "–"  # where no file tells one
PAIR = 2  # circuits, of which each has a colour of its own
_SHAPES = {ONLY_FIRST: "\N{BLACK CIRCLE}", ONLY_SECOND: "\N{WHITE CIRCLE}"}  # as on edges
_WIDEST = 4  # level of what all of several have: among so many edges a wide one hides others


def joined(circuits: Sequence[Circuit], names: Sequence[str], view: View) -> Consensus:
    """What the sliders keep of each circuit, in one. Raises what ``graph_consensus`` raises.

    Whether what made them can be compared was asked before.
    """
    kept = [pruned(circuit, view, NO_MARKS) for circuit in circuits]
    return graph_consensus(kept, names, across=True)


def comparison_drawing(held: Consensus, room: tuple[float, float], view: View) -> Drawing:
    """The joined circuit: of two, coloured by who has what; of more, the more often the stronger.

    What all of several have is in the colour of what is shared.
    """
    made = draw(held.circuit, *room, view.placing)
    nodes, edges = hues(held, held.node_scores), hues(held, held.edge_weights)
    curves = replace(made.curves, hue=edges)
    texts = made.texts
    if len(held.names) > PAIR:
        share = (held.edge_counts - 1) / (len(held.names) - 1)
        level = np.rint(_WIDEST * share).astype(np.int64)
        curves = replace(curves, level=level, order=np.argsort(-level, kind="stable"))
        counted = zip(made.texts, held.node_counts.tolist(), strict=True)
        texts = tuple(f"{text}  {count}/{len(held.names)}" for text, count in counted)
    else:
        told = zip(made.texts, nodes.tolist(), strict=True)
        texts = tuple(f"{text} {_SHAPES.get(hue, '')}".rstrip() for text, hue in told)
    return replace(
        made, curves=curves, texts=texts, node_hue=nodes,
        node_notes=partial(_node_note, held), edge_notes=partial(_edge_note, held),
    )  # fmt: skip


def hues(held: Consensus, values: Float[np.ndarray, "circuit part"]) -> Int[np.ndarray, " part"]:
    """The row of the table of hues of each node or edge."""
    there = ~np.isnan(values)
    every = there.all(axis=0)
    if len(held.names) == PAIR:
        return np.where(every, SHARED, np.where(there[0], ONLY_FIRST, ONLY_SECOND))
    return np.where(every, SHARED, ONLY_FIRST)


def scored(held: Consensus) -> bool:
    """Whether nodes have scores; most files of other tools tell none, and all are zero then."""
    return bool(np.nan_to_num(held.node_scores).any())


def summary(held: Consensus) -> tuple[tuple[int, str], ...]:
    """Sentences with the hue that each is about."""
    nodes, edges = hues(held, held.node_scores), hues(held, held.edge_weights)

    def size(hue: int) -> str:
        sizes = int((nodes == hue).sum()), int((edges == hue).sum())
        said = zip(sizes, ("node", "edge"), strict=True)
        return ", ".join(f"{count:,} {noun}{'s' * (count != 1)}" for count, noun in said)

    if len(held.names) == PAIR:
        titles = {SHARED: "in both", ONLY_FIRST: f"{_SHAPES[ONLY_FIRST]} only in the first",
                  ONLY_SECOND: f"{_SHAPES[ONLY_SECOND]} only in the second"}  # fmt: skip
    else:
        titles = {SHARED: f"in all {len(held.names)}", ONLY_FIRST: "in some"}
    return tuple((hue, f"{title}: {size(hue)}") for hue, title in titles.items())


def node_table(held: Consensus) -> Table:
    """Every node: in how many circuits, and its score in each."""
    circuit = held.circuit
    rows = [
        (circuit.node_id[row], circuit.node_label[row], circuit.node_kind[row],
         int(held.node_counts[row]), *held.node_scores[:, row].tolist())
        for row in range(circuit.n_nodes)
    ]  # fmt: skip
    return Table(("id", "label", "kind", "count", *held.names), rows)


def whole_table(held: Consensus) -> Table:
    """The nodes, then the edges; the first column tells them apart."""
    circuit, ids = held.circuit, held.circuit.node_id
    nodes = [("node", *row[:3], "", "", *row[3:]) for row in node_table(held).rows]
    edges = [
        ("edge", "", "", edge_style(int(circuit.edge_kind[row])).title,
         ids[int(circuit.edge_source[row])], ids[int(circuit.edge_target[row])],
         int(held.edge_counts[row]), *held.edge_weights[:, row].tolist())
        for row in range(circuit.n_edges)
    ]  # fmt: skip
    first = ("what", "id", "label", "kind", "from", "to", "count")
    return Table((*first, *held.names), [*nodes, *edges])


def _node_note(held: Consensus, node: int) -> str:
    title, count = node_title(held.circuit, node), int(held.node_counts[node])
    if not scored(held):
        return f"{title}\nin {count} of {len(held.names)}"
    return f"{title}\n{_each(held, held.node_scores[:, node], 'score')}"


def _edge_note(held: Consensus, edge: int) -> str:
    circuit = held.circuit
    ends = int(circuit.edge_source[edge]), int(circuit.edge_target[edge])
    kind = edge_style(int(circuit.edge_kind[edge])).title
    title = f"{node_title(circuit, ends[0])} → {node_title(circuit, ends[1])}   {kind}"
    return f"{title}\n{_each(held, held.edge_weights[:, edge], 'weight')}"


def _each(held: Consensus, values: Float[np.ndarray, " circuit"], what: str) -> str:
    count = int((~np.isnan(values)).sum())
    if len(held.names) > PAIR:
        return f"in {count} of {len(held.names)}   mean {what} {signed(float(np.nanmean(values)))}"
    said = ["not there" if np.isnan(v) else signed(float(v)) for v in values]
    return f"{what}   first {said[0]}   second {said[1]}"
