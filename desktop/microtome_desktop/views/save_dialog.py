"""Where to save a session, what goes into it, and how large it will be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from microtome.records.session import Session
from microtome_desktop.jobs.file_requests import EstimateSession
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.presenters.sizes import bytes_text
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.made_by import graph_file, names_model
from microtome_desktop.views.fonts import mono_font

SUFFIX = ".h5"
FILTER = "Microtome sessions (*.h5 *.hdf5);;All files (*)"
_LOGITS = "logits"


@dataclass(frozen=True, slots=True)
class SaveChoice:
    """A file, and the sites that are saved besides the usual ones."""

    path: Path
    include: tuple[str, ...]


class SaveDialog(QDialog):
    """Shows the size of every part before anything is written."""

    def __init__(self, desk: Desk, runner: JobRunner, session: Session, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Save session")
        self._desk, self._runner, self._session = desk, runner, session
        self.path = QLineEdit(str(_proposed(desk, session)))
        self.path.setObjectName("save_path")
        self.browse = QPushButton("Browse…")
        self.everything = QCheckBox("All captured activations and all logits")
        self.everything.setObjectName("save_everything")
        self.everything.setToolTip(
            "Without this: residual stream, patterns, attention and MLP outputs, top logits"
        )
        self.sizes = QLabel("Measuring…")
        self.sizes.setObjectName("save_sizes")
        self.sizes.setFont(mono_font(12))
        self.problem = QLabel()
        self.problem.setObjectName("bad")
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Save | QDialogButtonBox.StandardButton.Cancel
        )
        self._lay_out()
        self.browse.clicked.connect(self._on_browse)
        self.everything.toggled.connect(self._measure)
        self.path.textChanged.connect(self._check)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        desk.sizes.changed.connect(self._show_sizes)
        self._measure()
        self._check()

    def _lay_out(self) -> None:
        place = QHBoxLayout()
        place.addWidget(self.path, 1)
        place.addWidget(self.browse)
        grid = QGridLayout()
        grid.addWidget(QLabel("File"), 0, 0)
        grid.addLayout(place, 0, 1)
        layout = QVBoxLayout(self)
        layout.setSpacing(10)
        layout.addLayout(grid)
        layout.addWidget(self.everything)
        layout.addWidget(self.sizes, 1)
        layout.addWidget(self.problem)
        layout.addWidget(self.buttons)
        self.setMinimumWidth(560)  # a path can be read
        self.resize(560, 320)

    @property
    def choice(self) -> SaveChoice:
        """What was chosen."""
        return SaveChoice(_with_suffix(self.path.text()), self._include())

    def _include(self) -> tuple[str, ...]:
        if not self.everything.isChecked():
            return ()
        sites = {name for trace in self._session.traces for name in trace.activations}
        return (*sorted(sites), _LOGITS)

    def _on_browse(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(self, "Save session", self.path.text(), FILTER)
        if chosen:
            self.path.setText(chosen)

    def _measure(self) -> None:
        self._runner.ask(EstimateSession(self._session, self._include()))

    def _show_sizes(self, parts: tuple[tuple[str, int], ...]) -> None:
        total = sum(size for _, size in parts)
        rows = [*parts, ("total", total)]
        width = max(len(title) for title, _ in rows) + 2
        self.sizes.setText("\n".join(f"{t:<{width}}{bytes_text(s):>10}" for t, s in rows))
        self.adjustSize()

    def _check(self) -> None:
        problem = place_problem(self.path.text())
        path = _with_suffix(self.path.text())
        replaces = not problem and path.exists()
        note = f"{path.name} is there already and will be replaced." if replaces else ""
        self.problem.setText(problem or note)
        self.buttons.button(QDialogButtonBox.StandardButton.Save).setEnabled(not problem)


def place_problem(text: str) -> str:
    """Why a session cannot be saved there, empty when it can."""
    if not text.strip():
        return "Give a file name."
    given, path = Path(text.strip()).expanduser(), _with_suffix(text)
    if given.is_dir() or path.is_dir():
        return f"{given} is a folder."
    return "" if path.parent.is_dir() else f"There is no folder {path.parent}."


def _with_suffix(text: str) -> Path:
    path = Path(text.strip()).expanduser()
    return path if path.suffix else path.with_name(f"{path.name}{SUFFIX}") if path.name else path


def _proposed(desk: Desk, session: Session) -> Path:
    if desk.workspace.path is not None:
        return desk.workspace.path
    folder = Path(desk.settings.folder or Path.home())
    name = Path(session.model.name).name if names_model(session) else Path(graph_file(session)).stem
    stem = "".join(c if c.isalnum() or c in "-_@" else "-" for c in name)
    for number in range(1, 1000):
        path = folder / f"{stem}-{number}{SUFFIX}"
        if not path.exists():
            return path
    return folder / f"{stem}{SUFFIX}"
