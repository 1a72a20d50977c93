"""Finding nodes of the circuit by what is written on them."""

from __future__ import annotations

from microtome.records.circuit import Circuit
from microtome.records.marks import Marks
from microtome_desktop.presenters.circuit_kinds import node_style
from microtome_desktop.presenters.circuit_text import node_title


def matches(circuit: Circuit, marks: Marks, words: str) -> tuple[int, ...]:
    """Rows of the nodes that hold every word, the most influential first.

    Searched are label, place, id, kind, and the note on the node.
    """
    wanted = words.casefold().split()
    if not wanted:
        return ()
    found = [
        row
        for row in range(circuit.n_nodes)
        if all(word in _text(circuit, marks, row) for word in wanted)
    ]
    return tuple(sorted(found, key=lambda row: -float(circuit.node_influence[row])))


def _text(circuit: Circuit, marks: Marks, row: int) -> str:
    node = circuit.node_id[row]
    kind = node_style(circuit.node_kind[row]).title
    return f"{node_title(circuit, row)} {node} {kind} {marks.note(node)}".casefold()
