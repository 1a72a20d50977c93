"""What the commands about graphs of other tools do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QDialog, QFileDialog

from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.file_requests import PrepareOpening
from microtome_desktop.jobs.graph_requests import ExportGraph, ImportGraph
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.presenters.graph_comparison import PAIR
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.handlers import Handlers
from microtome_desktop.views.image_commands import ImageCommands
from microtome_desktop.views.main_window import MainWindow

_ID = CommandId
_GRAPHS = frozenset({".json", ".pt", ".pth", ".pkl", ".graphml"})
_FILTER = f"Graphs ({' '.join(f'*{suffix}' for suffix in sorted(_GRAPHS))});;All files (*)"


def _is_graph(path: Path) -> bool:
    return path.suffix.lower() in _GRAPHS and not path.is_dir()


class GraphCommands(QObject):
    """Brings graphs of other tools into the window, and the circuit on screen out of it."""

    def __init__(
        self, window: MainWindow, desk: Desk, runner: JobRunner, handlers: Handlers
    ) -> None:
        super().__init__(window)
        self._window, self._desk, self._runner, self._handlers = window, desk, runner, handlers
        self.images: ImageCommands | None = None  # takes what is dropped and is no graph

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """What each command does."""
        return {_ID.IMPORT_GRAPH: self.import_graphs, _ID.EXPORT_GRAPH: self.export_graph}

    def import_graphs(self) -> None:
        """Choose graph files and open them; the last one is on screen, all are in the history."""
        self._runner.ask(PrepareOpening("graph"))
        chosen, _ = QFileDialog.getOpenFileNames(
            self._window, "Import graphs", self._desk.settings.folder, _FILTER
        )
        self.import_paths([Path(path) for path in chosen])

    def import_paths(self, paths: list[Path]) -> None:
        """Open graph files one after another, once what is unsaved is dealt with."""
        if not paths or not self._handlers.unsaved_is_settled():
            return
        self._desk.settings.folder = str(paths[0].parent)
        for number, path in enumerate(paths):
            size = path.stat().st_size if path.is_file() else 0
            beside = paths[0].name if number == 1 and len(paths) == PAIR else ""
            self._handlers.patience.ask(ImportGraph(path, size, beside))

    def may_drop(self, paths: list[str]) -> bool:
        """Whether several paths can be dropped at once: all are graphs, or all are images."""
        return self.are_graphs(paths) or (self.images is not None and self.images.takes(paths))

    def open_dropped(self, paths: list[str]) -> None:
        """Open what was dropped on the window: by its ending, else as the shell does."""
        if self.are_graphs(paths):
            self.import_paths([Path(path) for path in paths])
        elif self.images is not None and self.images.takes(paths):
            self.images.open_dropped(paths)
        else:
            self._handlers.open_dropped(paths[0])

    def are_graphs(self, paths: list[str]) -> bool:
        """Whether several paths can be dropped at once: all are graphs by their endings."""
        return all(_is_graph(Path(path)) for path in paths)

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
            path = dialog.target()
            self._desk.settings.folder = str(path.parent)
            chosen = part if dialog.only_shown.isChecked() else None
            self._runner.ask(ExportGraph(path, dialog.format_chosen, session, chosen))
        dialog.deleteLater()
