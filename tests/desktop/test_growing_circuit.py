"""A circuit whose search takes long is on the canvas while it grows, and says so."""

from __future__ import annotations

import threading

from acts import PATIENCE, rest

from microtome.circuits import component
from microtome_desktop.jobs.examine import Examine


def told(panel):
    """The facts above the canvas, as they read."""
    return [label.text() for label in panel.facts.facts]


def drawn(panel, name):
    """What the metadata of the circuit on the canvas say, None while there is none."""
    drawing = panel.canvas.drawing
    return None if drawing is None else drawing.circuit.metadata.get(name)


def test_what_is_found_so_far_is_drawn_and_told(live, qtbot, monkeypatch):
    monkeypatch.setattr(component, "_EVERY", 0.0)
    monkeypatch.setattr(component, "_TIMES", 0)
    panel, tell = live.furnishing.panels["circuit"], component._Growing.tell
    go_on = threading.Event()

    def tell_and_wait(growing, layer, known):
        tell(growing, layer, known)
        if layer == 2:
            go_on.wait(PATIENCE / 1000)

    monkeypatch.setattr(component._Growing, "tell", tell_and_wait)
    live.runner.ask(Examine(live.desk.draft.text.question()))
    try:
        qtbot.waitUntil(lambda: drawn(panel, "lowest") == 2, timeout=PATIENCE)
        qtbot.waitUntil(lambda: "⚠ so far, layers 2 to 3" in told(panel))
        part = panel.canvas.drawing.circuit
        assert part.n_edges
        assert part.node_layer[part.edge_target].min() >= 2
        assert live.runner.under_way
    finally:
        go_on.set()
    rest(live, qtbot)
    whole = panel.canvas.drawing.circuit
    assert "partial" not in whole.metadata
    assert whole.node_layer[whole.edge_target].min() < 2
    assert not any("so far" in text for text in told(panel))
