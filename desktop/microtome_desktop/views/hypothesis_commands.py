"""What the commands about hypotheses, paths and edges do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from microtome.errors import InputError
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.path_requests import ExplainEdge, PatchPath
from microtome_desktop.jobs.request import Request
from microtome_desktop.presenters.circuit_paths import marked_path
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.main_window import MainWindow

if TYPE_CHECKING:
    # Panels come one at a turn.
    from microtome_desktop.views.panel import Panel


class HypothesisCommands(QObject):
    """Hands a command on to its panel, if there is one yet, or asks the model itself."""

    def __init__(
        self,
        window: MainWindow,
        desk: Desk,
        panels: dict[str, Panel],
        ask: Callable[[Request], None],
    ) -> None:
        super().__init__(window)
        self._window, self._desk, self._panels, self._ask = window, desk, panels, ask

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """What each command does."""
        return {
            CommandId.TEST_HYPOTHESIS: self._test,
            CommandId.PATCH_PATH: self._patch_path,
            CommandId.WHY_EDGE: self._why_edge,
        }

    def _test(self) -> None:
        from microtome_desktop.views.hypothesis_panel import HypothesisPanel

        panel = self._panels.get("hypothesis")
        if isinstance(panel, HypothesisPanel):
            self._window.show_panel("hypothesis")
            panel.run()
            if reason := panel.why_not:
                self._desk.notices.warn("The hypothesis cannot be tested yet", reason)

    def _patch_path(self) -> None:
        """Select all of the path, so that it is seen, and patch it."""
        session, now = self._desk.workspace.session, self._desk.selection.current
        if session is None or session.circuit is None or now.node is None:
            return
        try:
            path, nodes = marked_path(session.circuit, (now.node, *now.others))
        except InputError as error:
            self._desk.notices.warn("This is no path", error.what, error.way_out)
            return
        others = tuple(node for node in nodes if node != now.node)
        self._desk.selection.update(others=others)
        self._ask(PatchPath(str(path)))

    def _why_edge(self) -> None:
        now = self._desk.selection.current
        edge = now.edge
        if edge is not None:
            if now.node not in edge[:2]:  # the answer stands in the card of one of its ends
                self._desk.selection.update(node=edge[1], edge=edge)
            self._window.show_panel("node_card")
            self._ask(ExplainEdge(*edge))
