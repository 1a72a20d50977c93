"""Fields to write an edit down: site, what is done, where, and what it needs besides."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QCompleter,
    QGridLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from microtome.errors import MicrotomeError
from microtome.prompts import Prompt
from microtome.sites import SITES
from microtome_desktop.jobs.edit_requests import SteerAlongWords
from microtome_desktop.jobs.fitting_request import AddFitting
from microtome_desktop.state.edit_places import Grounds, clean_prompt, selected_places
from microtome_desktop.state.edit_writing import ACTION_TITLES, NEEDS, Need, Written, written_spec
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.panel import PanelContext

_HINTS = {
    Need.PROMPT: "a prompt; empty: the corrupt one",
    Need.WORDS: "a word, or two: Mary, John",
    Need.COMPONENT: "0, 1, 2 …: the principal component",
}


class EditForm(QWidget):
    """Two lines of fields. ``added`` comes when the edit is in the list, or on its way."""

    added = Signal()

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self.setObjectName("edit_form")
        self._context = context
        self.site = _field("edit_site", "site", "z.2.1, resid_post.3, mlp_post.1:17")
        self.site.setCompleter(QCompleter(list(SITES), self))
        self.action = Choice()
        self.action.setObjectName("edit_action")
        self.action.addItems(list(ACTION_TITLES.values()))
        self.positions = _field("edit_positions", "positions", "all, or 3, 5, -1")
        self.over = Choice()
        self.over.setObjectName("edit_over")
        self.text = _field("edit_text", "source", "")
        self.more = QLabel()
        self.more.setObjectName("dim")
        self.problem = QLabel()
        self.problem.setObjectName("bad")
        self.problem.setWordWrap(True)
        self.done = QPushButton("Add")
        self.done.setObjectName("primary")
        self._lay_out()
        self.action.currentIndexChanged.connect(self._on_action)
        self.done.clicked.connect(self._on_done)
        for field in (self.site, self.positions, self.text):
            field.returnPressed.connect(self._on_done)
        self.offer()
        self._on_action(0)

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 2, 0, 4)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(4)
        grid.addWidget(self.site, 0, 0, 1, 2)
        grid.addWidget(self.positions, 0, 2)
        grid.addWidget(self.done, 0, 3)
        grid.addWidget(self.action, 1, 0)
        grid.addWidget(self.more, 1, 1)
        besides = QVBoxLayout()
        besides.setSpacing(4)
        besides.addWidget(self.over)
        besides.addWidget(self.text)
        grid.addLayout(besides, 1, 2, 1, 2)
        grid.addWidget(self.problem, 2, 0, 1, 4)
        grid.setRowStretch(3, 1)  # the fields stay at the top
        grid.setColumnStretch(0, 3)
        grid.setColumnStretch(2, 2)
        self.problem.hide()

    def begin(self) -> None:
        """Start with what is selected."""
        selected = self._context.selection.current
        places = selected_places(self._context.workspace.session, selected)
        if places and not self.site.text():
            place = places[0]
            alone = "" if place.neuron is None else f":{place.neuron}"
            self.site.setText(f"{place.site}{alone}")
            where = place.positions or ()
            self.positions.setText(", ".join(map(str, where)))
        self.site.setFocus()
        self.site.selectAll()

    def offer(self) -> None:
        """The prompt sets of the model that is loaded."""
        sets = self._context.library.shelf.facts.prompt_sets
        self.over.clear()
        if sets:
            self.over.addItem("all prompt sets")
        self.over.addItems([held.title for held in sets])
        self.over.addItem("the prompt itself")

    @property
    def _chosen(self) -> str:
        return list(ACTION_TITLES)[self.action.currentIndex()]

    def _on_action(self, index: int) -> None:
        needs = NEEDS[self._chosen]
        self.over.setVisible(Need.SETS in needs)
        fields = [need for need in needs if need in _HINTS]
        self.text.setVisible(bool(fields))
        self.more.setVisible(bool(needs))
        if fields:
            self.text.setPlaceholderText(_HINTS[fields[0]])
        self.more.setText("over" if Need.SETS in needs else "along" if fields else "")
        if Need.PROMPT in needs:
            self.more.setText("from")

    def _on_done(self) -> None:
        grounds = Grounds.of(self._context.workspace, self._context.library)
        written = Written(
            site=self.site.text(),
            action=self._chosen,
            positions=self.positions.text(),
            text=self.text.text(),
            prompts=self._prompts(grounds),
        )
        try:
            spec, words = written_spec(grounds, written)
        except MicrotomeError as error:
            self._tell(str(error))
            return
        self._tell("")
        if words:
            self._context.ask(SteerAlongWords(spec, words))
        elif spec.of_one_length:
            self._context.ask(AddFitting((spec,)))
        else:
            self._context.book.add_edit(spec)
        self.site.clear()
        self.text.clear()
        self.added.emit()

    def _prompts(self, grounds: Grounds) -> tuple[Prompt, ...]:
        row, sets = self.over.currentIndex(), grounds.sets
        if grounds.session is None:
            return ()
        if row == self.over.count() - 1:
            return (clean_prompt(grounds.session),)
        chosen = sets if row == 0 else sets[row - 1 : row]
        return tuple(pair.clean for held in chosen for pair in held.pairs)

    def _tell(self, problem: str) -> None:
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape puts the fields away."""
        if event.key() == Qt.Key.Key_Escape:
            self._tell("")
            self.added.emit()
            return
        super().keyPressEvent(event)


def _field(name: str, called: str, hint: str) -> QLineEdit:
    field = QLineEdit()
    field.setObjectName(name)
    field.setAccessibleName(called)
    field.setPlaceholderText(hint)
    field.setMinimumWidth(60)
    return field
