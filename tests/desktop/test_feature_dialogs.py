"""Dialogs of dictionaries: what remains of them once they are gone."""

from __future__ import annotations

import indexed

from microtome_desktop.views.dictionary_dialog import DictionaryDialog
from microtome_desktop.views.hub_dialog import HubDialog
from microtome_desktop.views.index_dialog import IndexDialog


def test_dialogs_that_are_left_by_escape_hear_nothing_more(bench, qtbot):
    bench.desk.workspace.add_analysis(indexed.index())
    panel = bench.furnishing.panels["features"]
    qtbot.waitUntil(lambda: panel.current is not None, timeout=30_000)
    desk, runner, parent = bench.desk, bench.runner, bench.window
    heard = desk.dictionaries.looked, desk.workspace.prepared.arrived, desk.hub.changed
    before = [len(signal) for signal in heard]
    dialogs = (
        DictionaryDialog(desk, runner, parent),
        IndexDialog(desk, runner, panel.current, parent),
        HubDialog(desk, runner, lambda _: None, parent),
    )
    assert [len(signal) for signal in heard] == [one + 1 for one in before]
    for made in dialogs:
        made.show()
        made.reject()  # what Escape does, which is no close
    assert [len(signal) for signal in heard] == before
