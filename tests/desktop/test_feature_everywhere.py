"""A feature is one thing in graph, feature space, strip of tokens and selection."""

from __future__ import annotations

import numpy as np
import pytest
from sittings import STRONGEST, WAIT, at_the_window

import microtome as mt
from microtome_desktop.jobs.direction_request import ProjectDirections
from microtome_desktop.jobs.feature_requests import OpenDictionary


@pytest.fixture
def sitting(qtbot, live):
    yield from at_the_window(qtbot, live)


def test_a_node_is_its_feature_in_the_space_and_the_other_way(sitting):
    sets = mt.load_transcoders("words-4l/transcoders")
    sitting.bench.runner.ask(OpenDictionary("words-4l/transcoders"))
    sitting.rest()
    second = sets.layers[2].identity
    session, selection = sitting.make(), sitting.desk.selection
    sitting.bench.runner.ask(ProjectDirections(second.fingerprint, second.name))
    sitting.rest()
    space = sitting.panels["feature_space"]
    sitting.click(STRONGEST)
    assert selection.current.feature == (second.fingerprint, 706)
    space.look_at(f"features of {second.name}")
    sitting.qtbot.waitUntil(lambda: space.drawing is not None, timeout=WAIT)
    circuit = session.circuit
    held = circuit.node_layer == 2
    number = next(
        int(circuit.node_feature[row])
        for row in np.argsort(-circuit.node_influence)
        if held[row] and circuit.node_kind[row] == "feature" and circuit.node_feature[row] != 706
    )
    point = int(np.flatnonzero(space.drawing.positions == number)[0])
    places = space.view.screen_places()
    space.grid.clicked.emit(space.active, point)
    sitting.rest()
    chosen = selection.current
    assert chosen.feature == (second.fingerprint, number)
    assert chosen.node is not None
    assert chosen.node.startswith(f"2_{number}_")
    assert circuit.node_position[circuit.row(chosen.node)] == chosen.position
    assert len(places) == second.d_sae
    sitting.panels["token_strip"].colour_by.setCurrentText("activation of the feature")
    row = circuit.row(chosen.node)
    sitting.qtbot.waitUntil(
        lambda: "graph" not in sitting.panels["token_strip"].explanation.text(), timeout=WAIT
    )
    values = sitting.panels["token_strip"].exported_table()().rows
    assert values[chosen.position][2] == pytest.approx(float(circuit.node_score[row]), rel=1e-3)
    absent = next(n for n in range(second.d_sae) if not (held & (circuit.node_feature == n)).any())
    selection.update(feature=(second.fingerprint, absent))
    assert selection.current.node is None  # no other feature's node stays
    sitting.panels["token_strip"].colour_by.setCurrentIndex(0)
    selection.update(feature=None)
