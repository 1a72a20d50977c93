"""Commands about single ways through the circuit: a path patched, an edge explained.

``PROMISES`` has a check for each, as in test_every_command.py. A command without one fails.
"""

from __future__ import annotations

import pytest

from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.testing_rows import CIRCUIT_ROWS
from microtome_desktop.presenters.circuit_paths import marked_path, path_rows
from microtome_desktop.presenters.node_card import readers_of

_ID = CommandId


def patch_the_path(hand):
    (head,) = hand.select()
    hand.do(_ID.PATCH_PATH)
    (row,) = path_rows(hand.session.analyses)
    path, nodes = marked_path(hand.session.circuit, (head,))
    assert row.path == str(path)
    assert nodes[0] == head
    assert set(hand.desk.selection.current.others) == set(nodes[1:])
    assert "This path carries" in hand.desk.notices.history[-1].as_text
    card = hand.panels["node_card"]
    assert card.paths.isVisible()
    assert card.paths.heading == "Paths  1"
    # Nodes that do not hang together are named, and nothing is run.
    first, last = hand.session.circuit.node_id.index("T@0"), hand.heads(9)[-1]
    hand.desk.selection.update(node=hand.session.circuit.node_id[first], others=(last, head))
    hand.do(_ID.PATCH_PATH)
    said = hand.desk.notices.history[-1].as_text
    assert "no edge of the circuit" in said
    assert said.count("Choose nodes that hang together") == 1
    assert len(path_rows(hand.session.analyses)) == 1


def why_the_edge(hand):
    circuit, (head,) = hand.session.circuit, hand.select()
    edge = circuit.incoming(circuit.row(head))[0]
    source, kind = circuit.node_id[circuit.edge_source[edge]], int(circuit.edge_kind[edge])
    hand.desk.selection.update(edge=(source, head, kind))
    hand.do(_ID.WHY_EDGE)
    card = hand.panels["node_card"]
    assert card.readers.isVisible()
    found = readers_of(hand.session.analyses, (source, head, kind))
    weight = float(circuit.edge_weight[edge])
    assert sum(row.weight for row in found.rows) == pytest.approx(weight, rel=1e-4, abs=1e-5)
    assert not card.why_edge.isVisible()  # it is answered


PROMISES = {_ID.PATCH_PATH: patch_the_path, _ID.WHY_EDGE: why_the_edge}


@pytest.mark.parametrize("wanted", [row.id for row in CIRCUIT_ROWS])
def test_a_command_does_what_it_promises(hand, wanted):
    assert wanted in PROMISES, f"{wanted} has no check: say here what it promises"
    PROMISES[wanted](hand)
