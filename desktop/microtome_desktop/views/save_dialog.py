"""Where to save a session, what goes into it, and how large it will be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtWidgets import QCheckBox, QGridLayout, QLabel, QWidget

from microtome.records.session import Session
from microtome_desktop.jobs.file_requests import EstimateSession
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.presenters.sizes import bytes_text
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.made_by import graph_file, names_model
from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.saving_dialog import SavingDialog, place_problem, typed_path

SUFFIX = ".h5"
FILTER = "Microtome sessions (*.h5 *.hdf5);;All files (*)"
_LOGITS = "logits"


@dataclass(frozen=True, slots=True)
class SaveChoice:
    """A file, and the sites that are saved besides the usual ones."""

    path: Path
    include: tuple[str, ...]


class SaveDialog(SavingDialog):
    """Shows the size of every part before anything is written."""

    def __init__(self, desk: Desk, runner: JobRunner, session: Session, parent: QWidget) -> None:
        super().__init__("Save session", _proposed(desk, session), parent)
        self._runner, self._session, self._desk = runner, session, desk
        self.path.setObjectName("save_path")
        self.everything = QCheckBox("All captured activations and all logits")
        self.everything.setObjectName("save_everything")
        self.everything.setToolTip(
            "Without this: residual stream, patterns, attention and MLP outputs, top logits"
        )
        self.sizes = QLabel("Measuring…")
        self.sizes.setObjectName("save_sizes")
        self.sizes.setFont(mono_font(12))
        self._lay_out()
        self.everything.toggled.connect(self._measure)
        desk.sizes.changed.connect(self._show_sizes)
        self._measure()
        self.check()

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.addWidget(QLabel("File"), 0, 0)
        grid.addLayout(self.place, 0, 1)
        column = self.column()
        column.addLayout(grid)
        column.addWidget(self.everything)
        column.addWidget(self.sizes, 1)
        self.finish(column)
        self.resize(self.minimumWidth(), 320)

    def done(self, result: int) -> None:
        """Close, and hear of no sizes any more."""
        self._desk.sizes.changed.disconnect(self._show_sizes)
        super().done(result)

    def target(self) -> Path:
        """What was typed, with an ending."""
        return _with_suffix(self.path.text())

    def kind(self) -> str:
        """Sessions."""
        return FILTER

    def why_not(self) -> str:
        """What is typed without an ending may be a folder, too."""
        typed, held = self.path.text(), self._desk.workspace
        if held.note and self.target() == held.path:
            return f"{held.path.name} was {held.note}."
        return place_problem(typed, typed_path(typed), self.target())

    @property
    def choice(self) -> SaveChoice:
        """What was chosen."""
        return SaveChoice(self.target(), self._include())

    def _include(self) -> tuple[str, ...]:
        if not self.everything.isChecked():
            return ()
        sites = {name for trace in self._session.traces for name in trace.activations}
        return (*sorted(sites), _LOGITS)

    def _measure(self) -> None:
        self._runner.ask(EstimateSession(self._session, self._include()))

    def _show_sizes(self, parts: tuple[tuple[str, int], ...]) -> None:
        total = sum(size for _, size in parts)
        rows = [*parts, ("total", total)]
        width = max(len(title) for title, _ in rows) + 2
        self.sizes.setText("\n".join(f"{t:<{width}}{bytes_text(s):>10}" for t, s in rows))
        self.adjustSize()


def _with_suffix(text: str) -> Path:
    path = typed_path(text)
    return path if path.suffix else path.with_name(f"{path.name}{SUFFIX}") if path.name else path


def _proposed(desk: Desk, session: Session) -> Path:
    path = desk.workspace.path
    if path is not None:
        return path.with_name(f"{path.stem}-copy{SUFFIX}") if desk.workspace.note else path
    folder = Path(desk.settings.folder or Path.home())
    name = Path(session.model.name).name if names_model(session) else Path(graph_file(session)).stem
    stem = "".join(c if c.isalnum() or c in "-_@" else "-" for c in name)
    for number in range(1, 1000):
        path = folder / f"{stem}-{number}{SUFFIX}"
        if not path.exists():
            return path
    return folder / f"{stem}{SUFFIX}"
