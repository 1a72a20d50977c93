"""Opening a sparse dictionary: those that are built in, a folder, or one of the hub."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop.jobs.feature_requests import (
    FetchDictionary,
    LookAtDictionaries,
    OpenDictionary,
    PlanDictionary,
)
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.presenters.feature_sources import file_line
from microtome_desktop.presenters.hub import facts_of_dictionary, too_large
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.dictionaries import LookedAt

_ROLE = Qt.ItemDataRole.UserRole
_NOTE = (
    "A folder or file on this computer, or owner/repository/folder of the hub. The hub is asked "
    "when you press Ask the hub, and nothing is fetched before you press Download."
)


class DictionaryDialog(QDialog):
    """Lists what fits the model, shows what each is, and opens one. Does not block the window."""

    def __init__(self, desk: Desk, runner: JobRunner, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("dictionary_dialog")
        self.setWindowTitle("Open dictionary")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._desk, self._runner = desk, runner
        self._known: dict[str, LookedAt] = {}
        self._shown = ""  # the name whose answer is shown
        self.embedded = QListWidget()
        self.embedded.setObjectName("dictionary_list")
        self.embedded.setAccessibleName("built-in dictionaries")
        self.name = QLineEdit()
        self.name.setObjectName("dictionary_name")
        self.name.setAccessibleName("folder or name of a dictionary")
        self.name.setPlaceholderText("path/of/a/folder, or owner/repository/folder")
        self.browse, self.look = QPushButton("Folder…"), QPushButton("Look")
        self.browse.setObjectName("dictionary_folder")
        self.look.setObjectName("dictionary_look")
        self.facts = QFormLayout()
        self.problem = QLabel()
        self.problem.setObjectName("bad")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.go = self.buttons.addButton("Open", QDialogButtonBox.ButtonRole.AcceptRole)
        self.go.setObjectName("primary")
        self._lay_out()
        self._connect()
        self._show()
        runner.ask(LookAtDictionaries())

    def _lay_out(self) -> None:
        model = self._desk.workspace.model
        title = QLabel(f"Built in, for {model.name if model else 'the model'}")
        title.setTextFormat(Qt.TextFormat.PlainText)
        self.embedded.setMaximumHeight(132)
        asking = QHBoxLayout()
        asking.addWidget(self.name, 1)
        asking.addWidget(self.browse)
        asking.addWidget(self.look)
        note = QLabel(_NOTE)
        note.setObjectName("dim")
        for label in (note, self.problem):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
        for button in (self.browse, self.look, *self.buttons.buttons()):
            if isinstance(button, QPushButton):
                button.setAutoDefault(False)  # Return looks, it does not open
        column = QVBoxLayout(self)
        column.setSpacing(8)
        column.addWidget(title)
        column.addWidget(self.embedded)
        column.addWidget(QLabel("Another one"))
        column.addLayout(asking)
        column.addWidget(note)
        column.addLayout(self.facts)
        column.addWidget(self.problem)
        column.addStretch(1)
        column.addWidget(self.buttons)
        self.resize(580, 520)

    def _connect(self) -> None:
        self.embedded.currentItemChanged.connect(self._on_item)
        self.embedded.itemActivated.connect(self._on_activated)
        self.name.textChanged.connect(self._on_typed)
        self.name.returnPressed.connect(self._on_look)
        self.browse.clicked.connect(self._on_browse)
        self.look.clicked.connect(self._on_look)
        self.buttons.accepted.connect(self._on_go)
        self.buttons.rejected.connect(self.close)
        self.finished.connect(self._on_finished)
        self._desk.dictionaries.looked.connect(self._on_looked)

    def _on_item(self, item: QListWidgetItem | None, _before: QListWidgetItem | None) -> None:
        if item is not None:
            self._shown = str(item.data(_ROLE))
            self._show()

    def _on_activated(self, item: QListWidgetItem) -> None:
        self._on_item(item, None)
        if self.go.isEnabled():
            self._on_go()

    def _on_typed(self) -> None:
        self.embedded.setCurrentRow(-1)
        self._shown = ""
        self._show()

    def _on_browse(self) -> None:
        settings = self._desk.settings
        folder = QFileDialog.getExistingDirectory(self, "Open dictionary", settings.folder)
        if folder:
            settings.folder = folder
            self.name.setText(folder)
            self._on_look()

    def _on_look(self) -> None:
        name = self.name.text().strip()
        if name:
            self.embedded.setCurrentRow(-1)
            self._shown = name
            self._known.pop(name, None)
            self._runner.ask(LookAtDictionaries((name,)))
            self._show()

    def _on_looked(self, answer: LookedAt) -> None:
        self._known[answer.name] = answer
        if not self._shown or answer.name != self._shown:
            self._list(answer)
        self._show()

    def _list(self, answer: LookedAt) -> None:
        if answer.told is None or answer.name == self.name.text().strip():
            return
        item = QListWidgetItem(file_line(answer.told))
        item.setData(_ROLE, answer.name)
        self.embedded.addItem(item)
        if self.embedded.count() == 1 and not self.name.text():
            self.embedded.setCurrentItem(item)

    def _show(self) -> None:
        while self.facts.rowCount():
            self.facts.removeRow(0)
        answer = self._known.get(self._shown)
        told = None if answer is None else answer.told
        plans = () if answer is None else answer.plans
        rows = facts_of_dictionary(plans) if told is None else told.rows
        if self._shown and answer is None:
            rows = (("", f"Looking at {self._shown}…"),)
        for title, text in rows:
            if title != "Problem":
                value = QLabel(text)
                value.setWordWrap(True)
                value.setTextFormat(Qt.TextFormat.PlainText)
                value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
                self.facts.addRow(title, value)
        full = next((why for plan in plans if (why := too_large(plan))), "")
        problem = full if answer is None else answer.problem or full
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        absent = answer is not None and answer.absent
        self.go.setText(("Download" if plans else "Ask the hub") if absent else "Open")
        self.go.setEnabled((absent and not full) or (told is not None and not problem))
        self.look.setEnabled(bool(self.name.text().strip()))

    def _on_go(self) -> None:
        answer = self._known.get(self._shown)
        if answer is not None and answer.absent:
            self._known.pop(self._shown)
            name, plans = self._shown, answer.plans
            self._runner.ask(FetchDictionary(name, plans) if plans else PlanDictionary(name))
            self._show()
        elif answer is not None:
            self._runner.ask(OpenDictionary(self._shown))
            self.close()

    def _on_finished(self, _result: int) -> None:
        """Nobody waits for an answer any more: closed, or left by Escape, which is no close."""
        self._desk.dictionaries.looked.disconnect(self._on_looked)
        self._runner.cancel(LookAtDictionaries.slot, PlanDictionary.slot, FetchDictionary.slot)
