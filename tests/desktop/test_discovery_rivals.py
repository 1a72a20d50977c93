"""Rivals in the discovery panel: those of large models, many of them, and those that go."""

from __future__ import annotations

import pytest
from discovered import (
    EDGES,
    WAIT,
    best_of,
    drawn,
    elsewhere,
    found,
    named,
    rest,
    two_rivals,
    type_into,
)  # fmt: skip

from microtome_desktop.presenters import discovery_dial
from microtome_desktop.presenters.discovery_dial import Ranked
from microtome_desktop.views.discovery_middle import Page


@pytest.fixture
def panel(bench, qtbot):
    """Two rivals on the sample session, the later one in front."""
    made = two_rivals(bench, qtbot)
    yield made
    made.right.count = 0


def test_edges_of_a_large_model_are_sorted_by_a_worker(panel, bench, qtbot, monkeypatch):
    monkeypatch.setattr(discovery_dial, "LARGE", 100)  # scores, so that these are many
    calls = []
    monkeypatch.setattr(Ranked, "ready", elsewhere(calls, Ranked.ready))
    for seed, method in ((3, "exact"), (4, "routes")):
        for analysis in found(bench.desk.workspace.session, method, seed):
            bench.desk.workspace.add_analysis(analysis)
    bench.runner.turns.finish()
    panel.rivals.setCurrentItem(panel.rivals.topLevelItem(3))
    dial = panel.right.dial
    assert dial.edges.text() == f"Sorting {EDGES.count} edges …"
    assert not dial.isEnabled()
    assert panel.graph.nothing.text() == dial.edges.text()
    rest(bench, qtbot)
    assert calls == [False]
    type_into(dial.share, "70")
    assert drawn(panel) == named(best_of(panel, 70, signed=True))
    panel.rivals.tick(panel.contest.ids[2:])
    panel.middle.show_page(Page.COMPARE)
    rest(bench, qtbot)
    qtbot.waitUntil(lambda: panel.middle.compare.table.item(0, 2).text() != "–", timeout=WAIT)
    rest(bench, qtbot)
    assert calls == [False, False]
    masks = []
    for one in panel.contest.held[2:]:
        panel.right.front = one
        masks.append(best_of(panel, 70, signed=True))
    assert drawn(panel) == named(masks[0] | masks[1])
    shared = (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
    assert panel.middle.compare.table.item(0, 2).text() == f"{shared:.2f}"
    panel.middle.show_page(Page.GRAPH)
