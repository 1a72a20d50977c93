"""The question before a run that takes more memory than there is."""

from __future__ import annotations

from PySide6.QtWidgets import QMessageBox, QWidget

from microtome_desktop.presenters.memory import too_much_text
from microtome_desktop.state.draft import Needs


def memory_is_settled(window: QWidget, needs: Needs | None) -> bool:
    """Whether a run may begin; asks when it takes more than there is."""
    if needs is None or not needs.too_much:
        return True
    box = QMessageBox(window)
    box.setObjectName("too_much")
    box.setIcon(QMessageBox.Icon.Warning)
    box.setText("There may not be enough memory for this run.")
    box.setInformativeText(too_much_text(needs))
    anyway = box.addButton("Run anyway", QMessageBox.ButtonRole.AcceptRole)
    box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
    box.exec()
    chosen = box.clickedButton()
    box.deleteLater()
    return chosen is anyway
