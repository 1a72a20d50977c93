"""What every panel is: a widget that draws the workspace and the selection.

A panel subscribes to the state, holds no data of its own and knows no other panel. What needs
the model or a file it asks for by ``ask``, and draws when the state changes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtWidgets import QWidget

from microtome_desktop.commands.command import CommandId
from microtome_desktop.presenters.point_groups import token_colours
from microtome_desktop.state.albums import Albums
from microtome_desktop.state.arrays import ArrayKey
from microtome_desktop.state.book import Book
from microtome_desktop.state.course import Course
from microtome_desktop.state.dictionaries import Dictionaries
from microtome_desktop.state.draft import Draft
from microtome_desktop.state.exports import Table
from microtome_desktop.state.history import History
from microtome_desktop.state.library import Library
from microtome_desktop.state.selection import Selected, Selection
from microtome_desktop.state.settings import MemoryStore, Settings
from microtome_desktop.state.trials import Trials
from microtome_desktop.state.work import Work
from microtome_desktop.state.workspace import Workspace


@dataclass(frozen=True, slots=True)
class PanelContext:
    """All that a panel may touch.

    ``ask`` takes a request of ``microtome_desktop.jobs.requests`` and returns at once; the
    answer arrives as a change of the workspace. ``do`` runs a command of the table;
    ``stop`` ends one job by its number, ``pause`` lets it rest and ``resume`` go on.
    ``why_not`` says why it cannot be run now, empty when it can. ``later`` gives an act its own
    turn of the event loop, once for all that ask under one key; without a window it acts at once.
    """

    workspace: Workspace
    selection: Selection
    ask: Callable[[Any], None]
    draft: Draft = field(default_factory=Draft)
    library: Library = field(default_factory=Library)
    settings: Settings = field(default_factory=lambda: Settings(MemoryStore()))
    do: Callable[[CommandId], None] = lambda _: None
    why_not: Callable[[CommandId], str] = lambda _: ""
    course: Course = field(default_factory=Course)
    history: History = field(default_factory=lambda: History(Workspace()))
    work: Work = field(default_factory=Work)
    stop: Callable[[int], None] = lambda _: None
    pause: Callable[[int], None] = lambda _: None
    resume: Callable[[int], None] = lambda _: None
    book: Book = None  # type: ignore[assignment]  # one on the workspace when none is given

    def __post_init__(self) -> None:
        if self.book is None:
            object.__setattr__(self, "book", Book(self.workspace))
        if self.dictionaries is None:
            object.__setattr__(self, "dictionaries", Dictionaries(self.workspace))

    later: Callable[[Hashable, Callable[[], None]], None] = lambda _, act: act()
    trials: Trials = field(default_factory=Trials)
    dictionaries: Dictionaries = None  # type: ignore[assignment]  # as ``book``
    albums: Albums = field(default_factory=Albums)


@dataclass(slots=True)
class _Due:
    """What changed and is not drawn yet."""

    session: bool = False
    parts: list[str] = field(default_factory=list)
    model: bool = False
    arrays: list[ArrayKey] = field(default_factory=list)
    selected: frozenset[str] = frozenset()


class Panel(QWidget):
    """Base of all panels: connects the state's signals to methods a panel overrides."""

    name = ""  # object name, stable: the saved layout refers to it
    title = ""
    icon = "mdi6.square-outline"  # a qtawesome name

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(self.name)
        self.context = context
        self._due = _Due()
        self._restored = ""  # uuid of the session whose view was restored
        context.workspace.session_replaced.connect(self._on_session)
        context.workspace.part_changed.connect(self._on_part)
        context.workspace.model_changed.connect(self._on_model)
        context.workspace.arrays.arrived.connect(self._on_array)
        context.selection.changed.connect(self._on_selection)

    def _on_session(self, session: object) -> None:
        self._due.session = True
        self._ask_turn()

    def _on_part(self, part: str) -> None:
        self._due.parts.append(part)
        self._ask_turn()

    def _on_array(self, key: ArrayKey) -> None:
        self._due.arrays.append(key)
        self._ask_turn()

    def _on_model(self, model: object) -> None:
        self._due.model = True
        self._ask_turn()

    def _on_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        self._due.selected |= changed
        self._ask_turn()

    def _ask_turn(self) -> None:
        self.context.later(self, self.catch_up)

    def catch_up(self) -> None:
        """Draw all that has changed since the last time."""
        due, self._due = self._due, _Due()
        if due.session:  # shows every part
            self.show_session()
        for part in () if due.session else dict.fromkeys(due.parts):
            self.show_part(part)
        if due.model:
            self.show_model()
        for key in due.arrays:
            self.show_array(key)
        if due.selected:
            self.show_selection(self.context.selection.current, due.selected)

    @property
    def group_colours(self) -> Mapping[int, str]:
        """Position -> colour of the tokens of the run that are in a group of points."""
        return token_colours(self.context.book.marks)

    def view_state(self) -> dict[str, Any]:
        """What the panel is set to, as plain JSON that a session keeps; nothing by default."""
        return {}

    def restore_view(self, held: dict[str, Any]) -> None:
        """Set the panel as a session has it, ignoring what is not understood."""

    def exported_table(self) -> Callable[[], Table] | str:
        """What makes the table of what is shown, on another thread; or why there is none."""
        return "This panel shows no numbers."

    def exported_lines(self) -> tuple[str, ...] | str:
        """The lines of Python that repeat what is shown; or why there are none."""
        return "This panel shows no numbers."

    def shown_ids(self) -> tuple[str, ...]:
        """The ids of the analyses that are on screen, where the panel shows one of several."""
        return ()

    def restore_once(self) -> None:
        """Set the panel as the session on screen has it, the first time that it is shown."""
        session = self.context.workspace.session
        if session is None or session.uuid == self._restored:
            return
        self._restored = session.uuid
        held = session.view.get(self.name)
        if isinstance(held, dict):
            self.restore_view(held)

    def show_session(self) -> None:
        """Draw the workspace's session from scratch (None: draw the empty state)."""

    def show_part(self, part: str) -> None:
        """Redraw what depends on one part of the session."""

    def show_array(self, key: ArrayKey) -> None:
        """Draw again: an activation that was asked for has been read from the file."""

    def show_model(self) -> None:
        """Enable or disable, with the reason, what needs the model."""

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Follow the selection; ``changed`` names the fields that differ."""
