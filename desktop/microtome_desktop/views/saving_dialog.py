"""What every dialog that writes a file has: where to, what is wrong with that, Save and Cancel."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

_WIDE = 560  # pixels: a path can be read


class SavingDialog(QDialog):
    """A subclass says which file is meant (`target`), what is wrong with it, and lays parts out."""

    def __init__(self, title: str, proposed: Path, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.path = QLineEdit(str(proposed))
        self.path.setAccessibleName("path that is written")
        self.browse = QPushButton("Browse…")
        self.place = QHBoxLayout()
        self.place.addWidget(self.path, 1)
        self.place.addWidget(self.browse)
        self.problem = QLabel()
        self.problem.setObjectName("bad")
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Save | QDialogButtonBox.StandardButton.Cancel
        )
        self.path.textChanged.connect(self.check)
        self.browse.clicked.connect(self._on_browse)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.setMinimumWidth(_WIDE)

    def target(self) -> Path:
        """The file to write."""
        raise NotImplementedError

    def kind(self) -> str:
        """Which files the system's dialog offers."""
        raise NotImplementedError

    def why_not(self) -> str:
        """What is wrong with the place, empty when the file can be written."""
        return place_problem(self.path.text(), self.target())

    def column(self) -> QVBoxLayout:
        """The layout of the dialog, which ends with ``finish``."""
        column = QVBoxLayout(self)
        column.setSpacing(10)
        return column

    def finish(self, column: QVBoxLayout) -> None:
        """Put the last lines below all others."""
        column.addWidget(self.problem)
        column.addWidget(self.buttons)

    def check(self) -> None:
        """Say what is wrong, or what would be replaced."""
        problem, path = self.why_not(), self.target()
        replaces = not problem and path.exists()
        note = f"{path.name} is there already and will be replaced." if replaces else ""
        self.problem.setText(problem or note)
        self.buttons.button(QDialogButtonBox.StandardButton.Save).setEnabled(not problem)

    def _on_browse(self) -> None:
        title, path = self.windowTitle(), self.path.text()
        chosen, _ = QFileDialog.getSaveFileName(self, title, path, self.kind())
        if chosen:
            self.path.setText(chosen)


def typed_path(text: str) -> Path:
    """What was typed as a path; the home of a user that is not there stays as it is."""
    path = Path(text.strip())
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def place_problem(typed: str, *paths: Path) -> str:
    """Why none of these can be the file, empty when it can; they are what was typed stands for."""
    if not typed.strip():
        return "Give a file name."
    try:
        for path in paths:
            if path.is_dir():
                return f"{path} is a folder."
        missing = [path.parent for path in paths if not path.parent.is_dir()]
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        return f"There can be no such file: {error.strerror}."
    return f"There is no folder {missing[0]}." if missing else ""
