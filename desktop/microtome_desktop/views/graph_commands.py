"""What the commands about graphs of other tools do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QDialog, QFileDialog

from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.graph_requests import ExportGraph, ImportGraph
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.handlers import Handlers
from microtome_desktop.views.main_window import MainWindow

_ID = CommandId
_GRAPHS = frozenset({".json", ".pt", ".pth", ".pkl", ".graphml"})
_FILTER = f"Graphs ({' '.join(f'*{suffix}' for suffix in sorted(_GRAPHS))});;All files (*)"


class GraphCommands(QObject):
    """Brings graphs of other tools into the window, and the circuit on screen out of it."""

    def __init__(
        self, window: MainWindow, desk: Desk, runner: JobRunner, handlers: Handlers
    ) -> None:
        super().__init__(window)
        self._window, self._desk, self._runner, self._handlers = window, desk, runner, handlers

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """What each command does."""
        return {_ID.IMPORT_GRAPH: self.import_graphs, _ID.EXPORT_GRAPH: self.export_graph}

    def import_graphs(self) -> None:
        """Choose graph files and open them; the last one is on screen, all are in the history."""
        chosen, _ = QFileDialog.getOpenFileNames(
            self._window, "Import graphs", self._desk.settings.folder, _FILTER
        )
        self.import_paths([Path(path) for path in chosen])

    def import_paths(self, paths: list[Path]) -> None:
        """Open graph files one after another, once what is unsaved is dealt with."""
        if not paths or not self._handlers.unsaved_is_settled():
            return
        self._desk.settings.folder = str(paths[0].parent)
        for path in paths:
            size = path.stat().st_size if path.is_file() else 0
            self._handlers.patience.ask(ImportGraph(path, size))

    def open_dropped(self, path: str) -> None:
        """Open what was dropped on the window: a graph by its ending, else as the shell does."""
        if Path(path).suffix.lower() in _GRAPHS and not Path(path).is_dir():
            self.import_paths([Path(path)])
        else:
            self._handlers.open_dropped(path)

    def export_graph(self) -> None:
        """Ask for format and file, and write the circuit there."""
        from microtome_desktop.presenters.circuit_look import view_of
        from microtome_desktop.presenters.marking import shown_rows
        from microtome_desktop.views.graph_export_dialog import GraphExportDialog

        self._handlers.settle()
        session = self._desk.workspace.session
        if session is None or session.circuit is None:
            return
        view, marks = view_of(self._desk.book), session.marks
        part = partial(shown_rows, view=view, marks=marks)
        dialog = GraphExportDialog(session, self._desk.settings.folder, self._window)
        if dialog.exec() == QDialog.DialogCode.Accepted:
            path = dialog.path_chosen
            self._desk.settings.folder = str(path.parent)
            chosen = part if dialog.only_shown.isChecked() else None
            self._runner.ask(ExportGraph(path, dialog.format_chosen, session, chosen))
        dialog.deleteLater()
