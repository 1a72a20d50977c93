"""The patching grid: a sweep over places of the model, drawn as its cells come."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from PySide6.QtCore import QEvent, QPoint, QSignalBlocker, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from microtome.errors import InputError
from microtome.records.analysis import Analysis
from microtome.records.sweep import Sweep, sweep_of
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.fitting_request import AddFitting
from microtome_desktop.presenters import exports
from microtome_desktop.presenters.sweep_choice import entry_title
from microtome_desktop.presenters.sweep_edits import edits_of_cells, places_of_cells, why_no_cells
from microtome_desktop.presenters.sweep_map import (
    SweepGrid,
    caption_of,
    prompts_of,
    sweep_grid,
    sweep_rows,
)
from microtome_desktop.presenters.sweep_python import sweep_lines
from microtome_desktop.state.exports import Table
from microtome_desktop.state.selection import Selected
from microtome_desktop.state.sweeps import Wish, origin_of, sweep_for, sweeps_in, wish_of
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.edit_menu import offer_edits
from microtome_desktop.views.elided import TwoLines
from microtome_desktop.views.fonts import text_font
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.sweep_asking import SweepAsking
from microtome_desktop.views.sweep_plot import SweepPlot
from microtome_desktop.views.sweep_prompts import SweepPrompts

_NO_SWEEP = "There is no sweep yet: choose what is swept, and run it."
_ALL_LAYERS = "All layers"
_LOWEST = 76  # pixels of the map
_LOW = 450  # pixels of a panel with room for the settings or for the map, not for both
_SELECTED = ("layer", "head", "position", "neuron")


class PatchingPanel(Panel):
    """Asks for sweeps and shows those of the session; cells become the selection, and edits."""

    name = "patching"
    title = "Patching"
    icon = "mdi6.grid-large"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.asking = SweepAsking(context)
        self.shown = Choice()
        self.heads = Choice()
        self.map = SweepPlot()
        self.prompts = SweepPrompts(self.map)
        # Words that wrap make a map ask for its whole height: it takes what is left, and no less
        # than can be read, so that the panel scrolls on the lowest screens only.
        self.map.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        self.map.setMinimumHeight(_LOWEST)
        self.empty = QLabel(alignment=Qt.AlignmentFlag.AlignCenter)
        self.told = TwoLines()
        self.edit_button = QPushButton("Make it an edit")
        self._sweep: Sweep | None = None
        self._one = True
        self._shown_id = ""
        self._lay_out()
        self._listen()
        self.show_session()

    def _lay_out(self) -> None:
        self.shown.setObjectName("sweep_shown")
        self.shown.setAccessibleName("sweeps of the session")
        self.heads.setObjectName("sweep_heads")
        self.heads.setAccessibleName("layers of heads that are shown")
        self.edit_button.setObjectName("sweep_edit")
        self.empty.setObjectName("dim")
        self.empty.setWordWrap(True)
        self.told.setFont(text_font(11))
        choice, below = QHBoxLayout(), QHBoxLayout()
        choice.addWidget(self.shown, 1)
        choice.addWidget(self.heads)
        below.addWidget(self.told, 1)
        below.addWidget(self.edit_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 4, 6, 6)
        column.setSpacing(5)
        column.addWidget(self.asking)
        column.addLayout(choice)
        column.addWidget(self.prompts)
        column.addWidget(self.map, 1)
        column.addWidget(self.empty, 1)
        column.addLayout(below)
        column.addStretch()  # without a map everything stays at the top

    def _listen(self) -> None:
        self.asking.found.connect(self._on_found)
        self.asking.folded.connect(self._on_folded)
        self.shown.activated.connect(self._on_shown)
        self.heads.activated.connect(self._on_heads)
        self.map.chosen.connect(self._on_chosen)
        self.map.cell_hovered.connect(self._on_hover)
        self.map.edit_asked.connect(self._on_edit)
        self.map.menu_asked.connect(self._on_menu)
        self.edit_button.clicked.connect(self._on_edit)

    def run(self) -> None:
        """Start the sweep, or show it at once if the session has it."""
        if self._low:
            self.asking.put_away()
        self.asking.run()

    @property
    def why_not(self) -> str:
        """Why no sweep can be started, empty when one can."""
        return self.asking.why_not

    def _on_found(self, analysis: Analysis) -> None:
        self._show(analysis)
        self.told.setText(f"{self.told.text()} · made before in this session")

    # the room

    @property
    def _low(self) -> bool:
        """Whether settings and map do not fit below each other."""
        room = self.parentWidget()
        return room is not None and room.height() < _LOW

    def resizeEvent(self, event: QResizeEvent) -> None:
        """On a low screen the settings take the place of the map while they are open."""
        super().resizeEvent(event)
        self._fit()

    def event(self, event: QEvent) -> bool:
        """Never lower than its parts, text that wraps over several lines among them."""
        if event.type() is QEvent.Type.LayoutRequest and self.layout() is not None:
            self._fit()
        return super().event(event)

    def _fit(self) -> None:
        self._show_map()
        held = self.layout()
        wraps = held is not None and held.hasHeightForWidth()
        least = held.minimumHeightForWidth(self.width()) if held is not None and wraps else 0
        if least != self.minimumHeight():
            self.setMinimumHeight(least)

    def _on_folded(self, folded: bool) -> None:
        self._show_map()

    def _show_map(self) -> None:
        """Map and all that belongs to it, unless the settings need the room."""
        there = self._sweep is not None
        away = self._low and not self.asking.controls.isHidden()
        for part in (self.map, self.told, self.edit_button):
            part.setVisible(there and not away)
        self.prompts.setVisible(there and not away and self.prompts.has_rows)
        self.empty.setVisible(not there)

    # what is shown

    def show_session(self) -> None:
        """Offer the sweeps of the session, and show the last one."""
        self.asking.show_question()
        self.restore_once()
        self._show_sweeps()

    def show_part(self, part: str) -> None:
        """Follow a sweep that fills, and a run that changes what can be asked."""
        if part.startswith("analyses/sweep-"):
            self._show_sweeps(part.partition("/")[2])
        if part in {"traces", "metric"}:
            self.asking.show_question()
        if part == "marks":
            self._mark_groups()

    def show_model(self) -> None:
        """A sweep, and an edit, need the session's model."""
        self.asking.show_question()
        self._show_able()

    def _show_sweeps(self, changed: str = "") -> None:
        held = sweeps_in(self.context.workspace.session)
        ids = [analysis.id for analysis in held]
        with QSignalBlocker(self.shown):
            self.shown.clear()
            for analysis in held:
                self.shown.addItem(entry_title(analysis), analysis.id)
        self._one = len(held) == 1
        arrived = next((one for one in held if one.id == changed), None)
        if arrived is not None and self._is_asked(arrived):
            self._shown_id = changed
        wanted = self._shown_id if self._shown_id in ids else (ids[-1] if ids else "")
        if changed and wanted == self._shown_id != changed:
            self._choose_shown()  # another sweep than the one on screen
        else:
            self._show(next((one for one in held if one.id == wanted), None))

    def _is_asked(self, analysis: Analysis) -> bool:
        held = wish_of(analysis)
        return held is not None and self.asking.asked is not None and held == self.asking.asked

    def _choose_shown(self) -> None:
        self.shown.setCurrentIndex(self.shown.findData(self._shown_id))

    def _show(self, analysis: Analysis | None) -> None:
        session = self.context.workspace.session
        self._sweep = None if analysis is None else sweep_of(analysis)
        self._shown_id = "" if analysis is None else analysis.id
        self._choose_shown()
        asked = analysis is not None and sweep_for(session, self.asking.controls.wish()) is analysis
        self.shown.setVisible(analysis is not None and not (self._one and asked))
        self._offer_heads()
        self._draw()
        self.asking.show_map(self._shown_id)
        self._show_able()

    def _offer_heads(self) -> None:
        """A choice of layers where there are more rows than a panel has room for."""
        sweep = self._sweep
        by_head = sweep is not None and len(sweep.axes) == 3
        self.heads.setVisible(by_head)
        if sweep is None or not by_head:
            return
        names = [_ALL_LAYERS, *(f"Layer {n}" for n in range(sweep.effects.shape[0]))]
        if names != [self.heads.itemText(row) for row in range(self.heads.count())]:
            self.heads.clear()
            self.heads.addItems(names)

    def _draw(self) -> None:
        sweep = self._sweep
        self._show_map()
        if sweep is None:
            reason = _NO_SWEEP if self.context.workspace.session else "Run a prompt first."
            self.prompts.show_prompts(None)
            self.map.show_grid(None)
            self.empty.setText(reason)
            self.told.setText("")
            return
        layer = self.heads.currentIndex() - 1 if len(sweep.axes) == 3 else -1
        grid = sweep_grid(sweep, layer if layer >= 0 else None)
        prompts = prompts_of(sweep)
        self.map.show_grid(grid)
        self.map.show_column_names(on=not prompts.aligned)
        self.prompts.show_prompts(prompts)
        self._show_map()
        said = caption_of(sweep)
        self.told.setText(said.text)
        self.told.setToolTip(f"{said.text}\n{said.tip}")
        self._mark_groups()
        self._mark()

    def _mark_groups(self) -> None:
        grid = self.map.grid
        by_position = isinstance(grid, SweepGrid) and grid.by_position
        self.map.mark_groups(self.group_colours if by_position else {})

    def _on_shown(self, index: int) -> None:
        wanted = self.shown.itemData(index)
        held = sweeps_in(self.context.workspace.session)
        analysis = next((one for one in held if one.id == wanted), None)
        wish = None if analysis is None else wish_of(analysis)
        if wish is not None:
            self.asking.controls.show_wish(wish)
        self._show(analysis)
        self.asking.look()

    def _on_heads(self, index: int) -> None:
        self._draw()

    # cells

    def _on_chosen(self) -> None:
        grid, cell = self.map.grid, self.map.cell
        if not isinstance(grid, SweepGrid) or cell is None:
            return
        place = grid.place(*cell)
        now: dict[str, Any] = {name: place[name] for name in _SELECTED if name in place}
        if "position" in now:
            clean, _ = grid.in_both(now["position"])
            now["position"] = clean if clean >= 0 else None
        self.context.selection.update(node=None, **now)

    def _on_hover(self, row: int, column: int) -> None:
        grid = self.map.grid
        if isinstance(grid, SweepGrid) and grid.by_position:
            clean = grid.in_both(column)[0] if column >= 0 else -1
            self.context.selection.update(hovered_position=clean if clean >= 0 else None)
        if row < 0:
            self.map.say()

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Frame what is selected."""
        if changed & {"layer", "head", "position", "neuron"}:
            self._mark()

    def _mark(self) -> None:
        grid, now = self.map.grid, self.context.selection.current
        if not isinstance(grid, SweepGrid):
            return
        place = {} if self.map.cell is None else grid.place(*self.map.cell)
        here = {name: getattr(now, name) for name in _SELECTED}
        here["position"] = grid.column_of(now.position)
        if place and all(here.get(axis, number) == number for axis, number in place.items()):
            return  # the region stays around its cell
        row, column = grid.cell_of(**here)
        if row is not None and column is not None:
            self.map.choose((row, column))
        else:
            self.map.mark(row, column)

    def _on_edit(self) -> None:
        self.context.do(CommandId.SWEEP_EDIT)

    @property
    def _origin(self) -> Wish | None:
        """What the sweep on screen was asked for, as far as that is known."""
        session = self.context.workspace.session
        analysis = None if session is None else session.analyses.get(self._shown_id)
        return None if analysis is None or session is None else origin_of(analysis, session)

    def _show_able(self) -> None:
        """Whether cells can become edits, and why not."""
        reason = self.context.why_not(CommandId.SWEEP_EDIT) or why_no_cells(self._origin)
        self.edit_button.setEnabled(not reason)
        self.edit_button.setToolTip(reason or "Put the chosen cells on the list of edits")

    def _on_menu(self, row: int, column: int, at: QPoint) -> None:
        """Offer edits of the cell, or of the region when it is one of its cells."""
        grid, session, wish = self.map.grid, self.context.workspace.session, self._origin
        if not isinstance(grid, SweepGrid) or session is None or wish is None:
            return
        cells = self.map.cells if (row, column) in self.map.cells else ((row, column),)
        offer_edits(self.context, places_of_cells(grid, cells, wish, session), at, self)

    def make_edits(self) -> str:
        """Add the chosen cells to the list of edits; why not, as text, else empty."""
        grid, session = self.map.grid, self.context.workspace.session
        if not isinstance(grid, SweepGrid) or session is None:
            return _NO_SWEEP
        wish = self._origin
        corrupt = None if session.question is None else session.question.corrupt
        if wish is not None and wish.question is not None and wish.question.corrupt is not None:
            corrupt = wish.question.corrupt
        made = edits_of_cells(grid, self.map.cells, wish, corrupt)
        if isinstance(made, str):
            return made
        if any(spec.of_one_length for spec in made):  # whose prompts a mean of patterns takes
            self.context.ask(AddFitting(made))
        else:
            self.context.book.add_edits(made)
        return ""

    # what leaves the panel

    def view_state(self) -> dict[str, Any]:
        """What is asked for, and which sweep is shown."""
        return {"wish": self.asking.controls.wish().as_json(), "shown": self._shown_id}

    def restore_view(self, held: dict[str, Any]) -> None:
        """Ask and show as a session was saved."""
        with suppress(InputError):  # of another version
            self.asking.controls.show_wish(Wish.from_json(held.get("wish")))
        self._shown_id = str(held.get("shown", ""))
        self._show_sweeps()

    def shown_ids(self) -> tuple[str, ...]:
        """The one on screen."""
        return (self._shown_id,) if self._shown_id else ()

    def exported_table(self) -> Callable[[], Table] | str:
        """Every cell with its effect and the metric."""
        if self._sweep is None:
            return _NO_SWEEP if self.context.workspace.session else exports.NO_RUN
        return partial(_table, self._sweep)

    def exported_lines(self) -> tuple[str, ...] | str:
        """The sweep."""
        session = self.context.workspace.session
        if session is None or self._sweep is None:
            return exports.NO_RUN if session is None else _NO_SWEEP
        return sweep_lines(session, wish_of(session.analyses[self._shown_id]))


def _table(sweep: Sweep) -> Table:
    return Table(*sweep_rows(sweep))
