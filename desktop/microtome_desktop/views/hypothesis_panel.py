"""Draw a hypothesis over the model, test it, and see what was swapped where."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from PySide6.QtCore import QPoint, QSignalBlocker, Qt
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMenu,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from microtome.errors import InputError
from microtome.records.analysis import Analysis
from microtome.records.hypothesis import Hypothesis
from microtome.records.scrubbed import Scrubbed
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.scrub_request import SCRUB_SLOT, TestHypothesis
from microtome_desktop.presenters.hypothesis import READ, nodes_problem, problem_of, readers_for
from microtome_desktop.presenters.scrubbed import (
    found_for,
    hypothesis_table,
    numbers,
    read_test,
    scrub_lines,
    scrubbed_table,
    test_told,
)
from microtome_desktop.state.exports import Table
from microtome_desktop.state.hypotheses import ScrubWish
from microtome_desktop.state.made_by import needs_model
from microtome_desktop.state.work import Piece
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.elided import TwoLines
from microtome_desktop.views.hypothesis_acts import HypothesisActs
from microtome_desktop.views.hypothesis_canvas import HypothesisCanvas, Picked
from microtome_desktop.views.hypothesis_empty import HypothesisEmpty
from microtome_desktop.views.hypothesis_form import HypothesisForm
from microtome_desktop.views.hypothesis_inputs import HypothesisInputs
from microtome_desktop.views.hypothesis_score import ScoreLine
from microtome_desktop.views.hypothesis_swaps import HypothesisSwaps
from microtome_desktop.views.icons import icon
from microtome_desktop.views.inline_field import InlineField
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.space_bar import small_button

_TEST = "Test it"
_NONE = "No hypothesis yet: begin with New."
_NO_RUN = "Run a prompt first."
_BEFORE = "the score is of the drawing before it was changed"
_UNREAD = "Its test cannot be read (another version, or damaged): test it again"
_SIDE = 292  # pixels of the fields


class HypothesisPanel(Panel):
    """Boxes and arrows of one of the session's hypotheses, its test, and the swaps."""

    name = "hypothesis"
    title = "Hypothesis"
    icon = "mdi6.head-question-outline"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.shown = Choice()
        self.new = QToolButton()
        self.rename = small_button("mdi6.rename-outline", "Rename this hypothesis")
        self.forget = small_button("mdi6.trash-can-outline", "Delete this hypothesis")
        self.add_box = QPushButton("Add a box")
        self.run_button = QPushButton(_TEST)
        self.canvas = HypothesisCanvas()
        self.empty = HypothesisEmpty()
        self.form = HypothesisForm()
        self.inputs = HypothesisInputs()
        self.swaps = HypothesisSwaps()
        self.side = QTabWidget()
        self.score = ScoreLine()
        self.told = TwoLines()
        self.acts = HypothesisActs(context, self)
        self._found: Scrubbed | None = None
        self._analysis: Analysis | None = None  # that it was read from
        self._fresh = False
        self._lay_out()
        self.naming = InlineField(self)
        self._listen()
        self.show_session()

    def _lay_out(self) -> None:
        self.shown.setObjectName("hypothesis_shown")
        self.shown.setAccessibleName("hypotheses of the session")
        self.new.setObjectName("tiny")  # without the arrow of a menu
        self.new.setText("New")
        self.new.setIcon(icon("mdi6.plus"))
        self.new.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.new.setToolTip("Begin another hypothesis")
        self.new.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.new)
        induction = "Induction: previous token, then what followed"
        menu.addAction(induction, self.acts.add_induction)
        menu.addAction("From the nodes selected in the circuit", self.acts.add_from_selected)
        menu.addAction("Empty", self.acts.add_empty)
        self._copy = menu.addAction("Copy of this one", self.acts.copy)
        self.new.setMenu(menu)
        self.run_button.setObjectName("primary")
        self.add_box.setToolTip("A box for the selected head or MLP, or for the input")
        top = QHBoxLayout()
        top.setSpacing(6)
        for part in (self.shown, self.new, self.rename, self.forget):
            top.addWidget(part)
        top.addStretch(1)
        top.addWidget(self.add_box)
        top.addWidget(self.run_button)
        self._lay_out_drawing()
        for page, said in ((self.form, "Box"), (self.inputs, "Inputs"), (self.swaps, "Swaps")):
            self.side.addTab(_scrolling(page) if page is not self.swaps else page, said)
        self.side.setObjectName("hypothesis_side")
        self.side.setFixedWidth(_SIDE)
        split = QHBoxLayout()
        split.setSpacing(10)
        split.addWidget(self._drawing, 1)
        split.addWidget(self.side)
        below = QHBoxLayout()
        below.setSpacing(12)
        below.addWidget(self.score)
        below.addWidget(self.told, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 4, 8, 6)
        column.setSpacing(5)
        column.addLayout(top)
        column.addLayout(split, 1)
        column.addLayout(below)

    def _lay_out_drawing(self) -> None:
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setWidget(self.canvas)
        self._area.viewport().setAutoFillBackground(False)
        self.canvas.setAutoFillBackground(False)
        self._drawing = QStackedWidget()
        self._drawing.addWidget(self._area)
        self._drawing.addWidget(self.empty)

    def _listen(self) -> None:
        self.shown.activated.connect(self._on_shown)
        self.rename.clicked.connect(self._on_rename)
        self.forget.clicked.connect(self.acts.forget)
        self.add_box.clicked.connect(self._on_add_box)
        self.run_button.clicked.connect(self._on_run)
        self.empty.asked.connect(self.acts.add_induction)
        self.canvas.picked.connect(self.pick)
        self.canvas.arrow_asked.connect(self._on_arrow)
        self.canvas.delete_asked.connect(self.acts.delete)
        self.canvas.edit_asked.connect(self._on_edit)
        self.form.checked.connect(self._tell)
        self.form.box_changed.connect(self.acts.change_box)
        self.form.arrow_asked.connect(self.acts.add_arrow)
        self.form.reader_changed.connect(self.acts.change_reader)
        self.form.delete_asked.connect(self.acts.delete)
        self.form.selected_asked.connect(self.acts.bind_selected)
        self.acts.changed.connect(self._show)
        self.inputs.changed.connect(self._tell)
        self.swaps.followed.connect(self.pick)
        self.context.work.changed.connect(self._on_work)
        self.context.library.changed.connect(self._on_library)

    # ------------------------------------------------------------ what there is

    @property
    def job(self) -> Piece | None:
        """The test that is under way."""
        pieces = self.context.work.pieces
        return next((p for p in pieces if p.slot == SCRUB_SLOT and p.under_way), None)

    @property
    def why_not(self) -> str:
        """Why it cannot be tested now, empty when it can."""
        session, of = self.context.workspace.session, self.acts.shown
        if session is None or of is None:
            return _NO_RUN if session is None else _NONE
        drawing = self.form.why_not or problem_of(of, session.model)
        offline = self.context.workspace.offline
        attach = needs_model(session) if offline else ""
        return drawing or self.inputs.why_not or attach

    def run(self) -> None:
        """Test it, if that is possible."""
        self.form.flush()
        of = self.acts.shown
        if of is not None and not self.why_not:
            self.context.ask(TestHypothesis(self.inputs.wish(of)))

    def _on_run(self) -> None:
        piece = self.job
        if piece is not None:
            self.context.stop(piece.number)
        else:
            self.context.do(CommandId.TEST_HYPOTHESIS)

    def _on_rename(self) -> None:
        if self.acts.shown is not None:
            at = self.shown.mapTo(self, self.shown.rect().bottomLeft()) + QPoint(100, 60)
            self.naming.ask("name of the hypothesis", self.acts.title, at, self.acts.rename)

    def _on_add_box(self) -> None:
        self.acts.add_box()
        self._on_edit()

    def _on_edit(self) -> None:
        self.side.setCurrentIndex(0)
        if self.acts.box is not None:
            self.form.name.setFocus(Qt.FocusReason.OtherFocusReason)
            self.form.name.selectAll()

    def _on_arrow(self, source: str, target: str, at: QPoint) -> None:
        """Draw an arrow; where several readers fit, ask which."""
        of = self.acts.shown
        fits = () if of is None else readers_for(of, source, target)
        if len(fits) == 1:
            self.acts.add_arrow(source, target, fits[0])
            return
        menu = QMenu(self)
        menu.setObjectName("arrow_menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for reader in fits:
            act = partial(self.acts.add_arrow, source, target, reader)
            menu.addAction(f"as {READ[reader]} ({reader})", act)
        if not fits:
            said = f"{target} does not read what {source} writes"
            menu.addAction(said).setEnabled(False)
        menu.popup(at)

    # ------------------------------------------------------------ what is shown

    def pick(self, picked: Picked) -> None:
        """Show the fields, and the swaps, of a box or an arrow."""
        self.form.flush()
        self.acts.picked = picked
        self._show()

    def _on_shown(self, row: int) -> None:
        self.acts.title, self.acts.picked = str(self.shown.itemData(row)), None
        self._show()

    def show_session(self) -> None:
        """Draw the first hypothesis of the session, or the one that the session was left on."""
        self._on_library(None, frozenset({"facts"}))
        self.restore_once()
        self._show()

    def show_part(self, part: str) -> None:
        """Follow what undo brings back, and a test whose draws come."""
        if part == "marks":
            self._show()
        elif part.startswith("analyses/scrubbed-"):
            self._show_result()  # what is being typed stays

    def show_model(self) -> None:
        """A test needs the session's model."""
        self._tell()

    def _on_library(self, shelf: object, changed: frozenset[str]) -> None:
        if "facts" in changed and isValid(self):  # a change of theme has put another in its place
            self.inputs.offer(self.context.library.shelf.facts.prompt_sets)

    def _on_work(self) -> None:
        self.context.later((self, "work"), self._tell)

    def _show(self) -> None:
        self.acts.check()
        of, session = self.acts.shown, self.context.workspace.session
        self._show_titles(of)
        self._drawing.setCurrentWidget(self.empty if of is None else self._area)
        self.empty.button.setEnabled(session is not None)
        self.new.setEnabled(session is not None)
        self.add_box.setEnabled(session is not None)
        model = None if session is None else session.model
        drawing = Hypothesis((), ()) if of is None else of
        wrong = frozenset(
            box.name
            for box in drawing.boxes
            if model is not None and nodes_problem(box.nodes, model)
        )
        self.canvas.show_hypothesis(drawing, self.acts.picked, wrong)
        self.form.show_picked(drawing, self.acts.picked, model)
        self._show_result()

    def _show_result(self) -> None:
        of, session = self.acts.shown, self.context.workspace.session
        found = None if of is None else found_for(session, of)
        analysis = None if found is None else found[0]
        if analysis is not self._analysis:  # reading one looks at every number of it
            self._analysis, self._found = analysis, read_test(analysis)
        self._fresh = found is not None and found[1]
        self.swaps.show_test(self._found, self.acts.picked)
        self._tell()

    def _show_titles(self, of: Hypothesis | None) -> None:
        with QSignalBlocker(self.shown):
            self.shown.clear()
            for each in self.acts.held:
                self.shown.addItem(each.title, each.title)
        self.shown.setCurrentIndex(self.shown.findData(self.acts.title))
        for part in (self.shown, self.rename, self.forget):
            part.setVisible(of is not None)
        self._copy.setEnabled(of is not None)

    def _tell(self) -> None:
        """The score, or what stands in the way; and what the button does."""
        piece, reason = self.job, self.why_not
        self.run_button.setText(_TEST if piece is None else "Stop")
        self.run_button.setEnabled(piece is not None or not reason)
        self.run_button.setToolTip(reason or "Read every part from inputs that agree on its claim")
        found = self._found
        self.score.show_score(found)
        self.told.setText(self._said(piece, reason))

    def _said(self, piece: Piece | None, reason: str) -> str:
        if piece is not None:
            return test_told(piece.title, piece.progress)
        changed = not self._fresh or bool(self.form.why_not)  # what is typed is no drawing yet
        if self._found is not None and changed:
            return " · ".join(filter(None, (reason, _BEFORE)))
        if self._found is None:
            return " · ".join(filter(None, (_UNREAD if self._analysis is not None else "", reason)))
        return numbers(self._found)

    # ------------------------------------------------------------ kept and handed out

    def view_state(self) -> dict[str, Any]:
        """Which hypothesis is drawn, and what its test is asked for."""
        of, picked = self.acts.shown or Hypothesis((), ()), self.acts.picked
        return {
            "asked": self.inputs.wish(of).as_json(),
            "typed": self.inputs.text.toPlainText(),
            "page": self.side.currentIndex(),
            "box": picked if isinstance(picked, str) else "",
        }

    def restore_view(self, held: dict[str, Any]) -> None:
        """Draw that one again."""
        with suppress(InputError):
            wish = ScrubWish.from_json(held.get("asked", {}))
            self.inputs.show_wish(wish, held.get("typed"))
            if wish.hypothesis.boxes:
                self.acts.title = wish.hypothesis.title
            self.acts.picked = str(held.get("box", "")) or None
        page = held.get("page")
        if isinstance(page, int) and 0 <= page < self.side.count():
            self.side.setCurrentIndex(page)
        self._show()

    def exported_table(self) -> Callable[[], Table] | str:
        """The test input by input, or the drawing where there is no test."""
        of = self.acts.shown
        if of is None:
            return _NONE
        found = found_for(self.context.workspace.session, of)
        if found is None or not found[1] or self._found is None:
            return partial(hypothesis_table, of)
        return partial(scrubbed_table, found[0])

    def exported_lines(self) -> tuple[str, ...] | str:
        """The lines that draw it, and test it if it was tested."""
        of, session = self.acts.shown, self.context.workspace.session
        if of is None or session is None:
            return _NONE
        found = found_for(session, of)
        tested = found is not None and found[1] and self._found is not None
        return scrub_lines(session, of, found[0] if found is not None and tested else None)


def _scrolling(page: QWidget) -> QScrollArea:
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(page)
    area.viewport().setAutoFillBackground(False)
    page.setAutoFillBackground(False)
    return area
