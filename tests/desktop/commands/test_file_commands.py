"""Every command of the menu File does what it promises.

``PROMISES`` has a check for each, as in test_every_command.py. A command without one fails.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtWidgets import QFileDialog

from microtome.circuits.formats.files import read_graph, write_graph
from microtome.records.marks import Marks
from microtome.session.reader import open_session
from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.table import COMMANDS
from microtome_desktop.jobs.file_requests import OpenSession

_ID = CommandId


def open_a_session(hand):
    path = hand.file()
    hand.desk.workspace.show(replace(hand.session, uuid="other"), dirty=False)
    hand.patch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    hand.do(_ID.OPEN_SESSION)
    hand.until(lambda: hand.desk.workspace.path == path)


def save(hand):
    path = hand.file()
    hand.desk.book.mark("Pin", pins=tuple(hand.heads(1)))
    assert hand.desk.workspace.dirty
    hand.do(_ID.SAVE)
    hand.until(lambda: not hand.desk.workspace.dirty)
    assert open_session(path).marks.pins == tuple(hand.heads(1))


def save_as(hand):
    path = hand.folder / "new.h5"
    hand.give(path)
    hand.do(_ID.SAVE_AS)
    hand.until(path.is_file)
    assert hand.desk.workspace.path == path


def import_a_graph(hand):
    path = hand.folder / "held.graphml"
    write_graph(path, hand.session.circuit)
    hand.patch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(path)], ""))
    hand.desk.workspace.mark_clean()
    hand.do(_ID.IMPORT_GRAPH)
    shown = hand.desk.workspace.session
    assert shown.circuit.metadata["format"] == "graphml"
    assert shown.circuit.node_id == hand.session.circuit.node_id


def export_a_graph(hand):
    path = hand.folder / "held.json"
    hand.give(path)
    hand.do(_ID.EXPORT_GRAPH)
    hand.until(path.is_file)
    assert read_graph(path).node_id == hand.session.circuit.node_id


def verify_the_file(hand):
    hand.file()
    hand.desk.notices.history.clear()
    hand.do(_ID.VERIFY_FILE)
    assert "held.h5" in hand.desk.notices.history[-1].as_text


def compact_the_file(hand):
    path = hand.file()
    with path.open("ab") as file:
        file.write(bytes(1_600_000))  # used by nothing, as what edits replace
    hand.desk.workspace.mark_clean()
    hand.bench.runner.ask(OpenSession(path))  # as it is now; what others change is not replaced
    hand.rest()
    before = path.stat().st_size
    hand.desk.notices.history.clear()
    hand.do(_ID.COMPACT_FILE)
    assert (gain := before - path.stat().st_size) > 1_500_000
    told = hand.desk.notices.history[-1]
    assert told.title == "Compacted held.h5"
    assert told.what == f"It is {gain / 1e6:,.2f} MB smaller."


def leave(hand):
    hand.desk.workspace.change("marks", marks=Marks(pins=tuple(hand.heads(1))))
    assert hand.dialog(_ID.QUIT) is not None  # what no file holds is asked about
    assert hand.window.isVisible()
    hand.desk.workspace.mark_clean()
    hand.take(_ID.QUIT)
    assert not hand.window.isVisible()
    hand.window.show()


PROMISES = {
    _ID.OPEN_SESSION: open_a_session, _ID.SAVE: save, _ID.SAVE_AS: save_as,
    _ID.VERIFY_FILE: verify_the_file, _ID.COMPACT_FILE: compact_the_file,
    _ID.IMPORT_GRAPH: import_a_graph, _ID.EXPORT_GRAPH: export_a_graph, _ID.QUIT: leave,
}  # fmt: skip


@pytest.mark.parametrize("wanted", [row.id for row in COMMANDS if row.menu == "File"])
def test_a_command_does_what_it_promises(hand, wanted):
    assert wanted in PROMISES, f"{wanted} has no check: say here what it promises"
    PROMISES[wanted](hand)
