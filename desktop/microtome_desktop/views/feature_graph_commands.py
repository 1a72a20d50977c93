"""What the commands about graphs of features do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QFileDialog

from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.feature_graph_requests import MakeFeatureGraph
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.jobs.set_requests import HoldSet
from microtome_desktop.presenters.circuit import selection_of
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.feature_acts import (
    acting,
    edit_features,
    selected_features,
    specs_for,
)
from microtome_desktop.state.feature_nodes import feature_at, nodes_of
from microtome_desktop.state.feature_sets import set_of
from microtome_desktop.views.feature_edit_runs import FeatureEditRuns
from microtome_desktop.views.handlers import Handlers
from microtome_desktop.views.main_window import MainWindow

_ID = CommandId
_ACTS = {
    _ID.FEATURE_ABLATE: "ablate", _ID.FEATURE_SCALE: "scale", _ID.FEATURE_SET: "set",
    _ID.FEATURE_STEER: "steer",
}  # fmt: skip


class FeatureGraphCommands(QObject):
    """Makes graphs of features, and edits what is selected in them."""

    def __init__(
        self, window: MainWindow, desk: Desk, runner: JobRunner, handlers: Handlers
    ) -> None:
        super().__init__(window)
        self._window, self._desk, self._runner, self._handlers = window, desk, runner, handlers
        self._runs = FeatureEditRuns(self, desk, runner)

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """What each command does."""
        acts: dict[CommandId, Callable[[], None]] = {
            wanted: partial(self._act, action) for wanted, action in _ACTS.items()
        }
        return {
            **acts,
            _ID.FEATURE_GRAPH: self.make,
            _ID.OPEN_TRANSCODERS: self.open_transcoders,
            _ID.FEATURE_AFTER: self._after,
            _ID.FEATURE_CLEAR: self._clear,
            _ID.FEATURE_CARD: self.show_card,
            _ID.FEATURE_NODE: self.show_node,
        }

    def make(self, where: str = "") -> None:
        """Make the graph of the prompt that is typed, in front of the other views."""
        if where or not self._handlers.why_not(_ID.FEATURE_GRAPH):
            self._window.show_panel("circuit")
            self._runner.ask(MakeFeatureGraph(where))

    def open_transcoders(self) -> None:
        """Choose a folder, look at it, and make a graph with what it holds."""
        from microtome_desktop.views.transcoders_dialog import TranscodersDialog

        start = self._desk.settings.folder
        folder = QFileDialog.getExistingDirectory(self._window, "Open transcoders", start)
        if folder:
            self._desk.settings.folder = folder
            TranscodersDialog(folder, self._runner, self.make, self._window).show()

    def show_card(self) -> None:
        """The card of the selected node's feature, its dictionary opened again where it is not."""
        desk = self._desk
        session = desk.workspace.session
        feature = feature_at(session, desk.selection.current.node)
        if session is None or feature is None:
            return
        where = set_of(session, desk.library)
        if where and not desk.workspace.offline and not desk.dictionaries.holds(feature[0]):
            self._runner.ask(HoldSet(where))
        self._window.show_panel("features")
        desk.dictionaries.choose(feature[0])
        desk.selection.update(feature=feature)

    def show_node(self) -> None:
        """The selected feature in the graph, where it has most influence if no node is selected."""
        session, selected = self._desk.workspace.session, self._desk.selection.current
        rows = nodes_of(session, selected.feature)
        if session is None or session.circuit is None or not rows:
            return
        ids = [session.circuit.node_id[row] for row in rows]
        at = ids.index(selected.node) if selected.node in ids else 0
        self._window.show_panel("circuit")
        chosen = selection_of(session.circuit, rows[at])
        self._desk.selection.update(**chosen, edge=None)

    def _act(self, action: str) -> None:
        session, book = self._desk.workspace.session, self._desk.book
        if session is None or session.circuit is None:
            return
        features = selected_features(session, self._desk.selection.current)
        edit_features(book, specs_for(session.circuit, features, action))
        if features:
            self._window.show_panel("feature_edits")
            self._handlers.say(book.undo_title)

    def _after(self) -> None:
        if not self._handlers.why_not(_ID.FEATURE_AFTER):
            self._window.show_panel("circuit")
            self._runner.ask(MakeFeatureGraph(edits=acting(self._desk.book.marks)))

    def _clear(self) -> None:
        self._desk.book.mark("Remove all edits of features", feature_edits=())
