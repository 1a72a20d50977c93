"""A circuit whose search takes long is on the canvas while it grows, and says so."""

from __future__ import annotations

import threading

import pytest
from acts import PATIENCE, rest

from microtome.circuits import growing
from microtome_desktop.jobs.examine import Examine

LOWEST = 2


def told(panel):
    """The facts above the canvas, as they read."""
    return [label.text() for label in panel.facts.facts]


def drawn(panel, name):
    """What the metadata of the circuit on the canvas say, None while there is none."""
    drawing = panel.canvas.drawing
    return None if drawing is None else drawing.circuit.metadata.get(name)


@pytest.fixture
def go_on(monkeypatch):
    """Every layer is told, and the search waits after one until this is set."""
    monkeypatch.setattr(growing, "EVERY", 0.0)
    monkeypatch.setattr(growing, "TIMES", 0)
    tell, event = growing.Growing.tell, threading.Event()

    def tell_and_wait(circuits, layer, found):
        tell(circuits, layer, found)
        if layer == LOWEST:
            event.wait(PATIENCE / 1000)

    monkeypatch.setattr(growing.Growing, "tell", tell_and_wait)
    yield event
    event.set()


def grows(live, qtbot, go_on, layers):
    """The circuit of the question in the window is drawn in the midst of its search, and whole."""
    panel, question = live.furnishing.panels["circuit"], live.desk.draft.text.question()
    far = f"⚠ so far, layers {layers}"
    live.runner.ask(Examine(question))
    qtbot.waitUntil(lambda: drawn(panel, "lowest") == LOWEST, timeout=PATIENCE)
    qtbot.waitUntil(lambda: far in told(panel))
    part = panel.canvas.drawing.circuit
    assert part.n_edges
    assert part.node_layer[part.edge_target].min() >= LOWEST
    assert live.runner.under_way
    live.runner.cancel_visible()
    go_on.set()
    rest(live, qtbot)  # stopped, it stays so
    assert far in told(panel)
    live.runner.ask(Examine(question))
    rest(live, qtbot)
    whole = panel.canvas.drawing.circuit
    assert "partial" not in whole.metadata
    assert whole.node_layer[whole.edge_target].min() < LOWEST
    assert set(part.node_id) & set(whole.node_id)
    assert not any("so far" in text for text in told(panel))


def test_what_is_found_of_a_text_so_far_is_drawn_and_told(live, go_on, qtbot):
    grows(live, qtbot, go_on, "2 to 3")


def test_what_is_found_of_an_image_so_far_is_drawn_and_told(seeing, go_on, qtbot):
    grows(seeing, qtbot, go_on, "s0.b0 to pool")
