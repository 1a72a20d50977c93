"""Notes on the session, its tokens and the nodes of its circuit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from microtome.records.marks import SESSION_NOTE
from microtome_desktop.presenters import exports
from microtome_desktop.presenters.notes import (
    ON_SESSION,
    lines,
    selects,
    target_of,
    target_title,
    with_note,
)
from microtome_desktop.state.exports import Table
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.hover_tip import tip_lines
from microtome_desktop.views.note_field import NoteField
from microtome_desktop.views.panel import Panel, PanelContext

_TARGET = Qt.ItemDataRole.UserRole
_NOTHING = "Run a prompt first: notes belong to a session."


class NotesPanel(Panel):
    """The session's note, the note on what is selected, and the list of all."""

    name = "notes"
    title = "Notes"
    icon = "mdi6.note-text-outline"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._target = SESSION_NOTE  # of the second field
        self.whole = NoteField("note_session", "On the whole session", self._keep_whole)
        self.about = ElidedLabel()
        self.about.setObjectName("section")
        self.part = NoteField("note_part", "On what is selected", self._keep_part)
        self.list = QListWidget()
        self.list.setObjectName("note_list")
        self.list.setWordWrap(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setAccessibleName("All notes")
        self.nothing = QLabel("None yet. Notes are kept in the session's file.")
        self.nothing.setObjectName("dim")
        self.nothing.setWordWrap(True)
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._build()
        self.list.itemActivated.connect(self._on_item)
        self.list.itemClicked.connect(self._on_item)
        self.show_session()

    def _build(self) -> None:
        left, right = QVBoxLayout(), QVBoxLayout()
        for part in (_section("The session"), self.whole, self.about, self.part):
            left.addWidget(part)
        right.addWidget(_section("All notes"))
        right.addWidget(self.list, 1)
        right.addWidget(self.nothing, 1)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 6, 10, 8)
        row.setSpacing(12)
        for column in (left, right):
            column.setSpacing(4)
            row.addLayout(column, 1)

    def exported_table(self) -> Callable[[], Table] | str:
        """All notes."""
        session = self.context.workspace.session
        return partial(exports.notes_table, session) if session is not None else exports.NO_RUN

    def exported_lines(self) -> tuple[str, ...] | str:
        """None: nothing computes what somebody wrote."""
        return "Notes are written, not computed."

    def show_session(self) -> None:
        """Show the notes of another session."""
        held = self.context.workspace.session is not None
        self.whole.setEnabled(held)
        self.whole.setToolTip("" if held else _NOTHING)
        self._follow()
        self._fill()

    def show_part(self, part: str) -> None:
        """Show what was written, undone or done again."""
        if part in {"marks", "circuit"}:
            self.show_session()

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """The second field follows the selection."""
        if changed & {"node", "position"}:
            self.part.flush()
            self._follow()

    def write(self) -> None:
        """Put the cursor into the note on what is selected."""
        on_session = self._target == SESSION_NOTE
        (self.whole if on_session else self.part).setFocus()

    def flush(self) -> None:
        """Keep what was written last."""
        self.whole.flush()
        self.part.flush()

    def _follow(self) -> None:
        session, marks = self.context.workspace.session, self.context.book.marks
        self._target = target_of(self.context.selection.current)
        nothing = session is None or self._target == SESSION_NOTE
        title = "" if session is None else target_title(session, self._target)
        self.about.setText("Click a node or a token to write on it" if nothing else title)
        self.part.setEnabled(not nothing)
        self.part.show_text("" if nothing else marks.note(self._target))
        self.whole.show_text(marks.note(SESSION_NOTE))

    def _fill(self) -> None:
        self.list.clear()
        found = lines(self.context.workspace.session)
        for line in found:
            first, *more = line.text.strip().splitlines()
            text = f"{first} …" if more else first
            item = QListWidgetItem(f"{line.title}\n{text}")
            item.setData(_TARGET, line.target)
            item.setToolTip(tip_lines(line.text))
            self.list.addItem(item)
        self.list.setVisible(bool(found))
        self.nothing.setVisible(not found)

    def _on_item(self, item: QListWidgetItem) -> None:
        session = self.context.workspace.session
        if session is not None:
            self.context.selection.update(**selects(session, item.data(_TARGET)))

    def _keep_whole(self, text: str) -> None:
        self._keep(SESSION_NOTE, text)

    def _keep_part(self, text: str) -> None:
        self._keep(self._target, text)

    def _keep(self, target: str, text: str) -> None:
        session, book = self.context.workspace.session, self.context.book
        if session is None:
            return
        title = ON_SESSION if target == SESSION_NOTE else target_title(session, target)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        book.mark(f"Note on {title}", notes=with_note(book.marks, target, text, now))


def _section(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("section")
    return label
