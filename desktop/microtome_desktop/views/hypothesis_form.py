"""The fields of the box or the arrow that is picked."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from microtome.records.edges import LOGITS
from microtome.records.hypothesis import Arrow, Box, Hypothesis
from microtome.records.model import ModelIdentity
from microtome_desktop.presenters.hypothesis import (
    CLAIMS,
    READ,
    claim_problem,
    in_words,
    nodes_problem,
    readers_for,
)
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.fonts import mono_font, text_font
from microtome_desktop.views.hypothesis_canvas import Picked
from microtome_desktop.views.space_bar import small_button

_OWN = "an expression of your own"
_ARROW = "\N{RIGHTWARDS ARROW}"
_HINT = (
    "Drag from a box to what reads it, or click a box or an arrow to change it. "
    "Del takes away what is picked, Ctrl+Z brings it back."
)


class HypothesisForm(QWidget):
    """Shows what is picked, tells every change that can be read, and keeps none itself."""

    box_changed = Signal(str, object)  # the name it had, the box
    arrow_asked = Signal(str, str, str)  # source, target, reader
    reader_changed = Signal(object, str)  # the arrow, its new reader
    delete_asked = Signal()
    checked = Signal()  # what stands in the fields can be read, or not
    selected_asked = Signal()  # bind the box to what is selected in the window, too

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("hypothesis_form")
        self._model: ModelIdentity | None = None
        self._of = Hypothesis((), ())
        self._box: Box | None = None
        self._arrow: Arrow | None = None
        self.name = _field("box_name", "name of the box", "what the step is called")
        self.nodes = _field("box_nodes", "nodes of the model", "input, a0.h1, m2")
        self.from_selected = small_button("mdi6.target", "Bind it to what is selected, too")
        self.positions = _field("box_positions", "positions", "all, or 3, 5, -1")
        self.claims = Choice()
        self.claim = _field("box_claim", "claim as an expression", "token(at - 1)")
        self.problem = QLabel()
        self.to = Choice()
        self.add_arrow = QPushButton("Add")
        self.said = QLabel()
        self.reader = Choice()
        self.delete = QPushButton("Delete the arrow")
        self._dress()
        self._pages = QStackedWidget()
        for page in (self._hint_page(), self._box_page(), self._arrow_page()):
            self._pages.addWidget(page)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._pages)
        self._listen()

    def _dress(self) -> None:
        self.claims.setObjectName("box_claims")
        self.claims.setAccessibleName("what the box claims to compute")
        self.claims.addItems([*CLAIMS.values(), _OWN])
        self.claims.setToolTip("At each position; the expression stands below")
        self.problem.setObjectName("bad")
        self.problem.setFont(text_font(11))
        self.problem.setWordWrap(True)
        self.to.setObjectName("arrow_to")
        self.to.setAccessibleName("what reads this box")
        self.reader.setObjectName("arrow_reader")
        self.reader.setAccessibleName("what of the box reads")
        self.said.setWordWrap(True)

    def _listen(self) -> None:
        for field in (self.name, self.nodes, self.positions, self.claim):
            field.editingFinished.connect(self.flush)
            field.textEdited.connect(self._check)
        self.claims.activated.connect(self._on_claim)
        self.add_arrow.clicked.connect(self._on_arrow)
        self.reader.activated.connect(self._on_reader)
        self.delete.clicked.connect(self.delete_asked)
        self.from_selected.clicked.connect(self.selected_asked)

    def _hint_page(self) -> QWidget:
        page = QWidget()
        said = QLabel(_HINT)
        said.setObjectName("dim")
        said.setWordWrap(True)
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 4, 0, 0)
        column.addWidget(said)
        column.addStretch()
        return page

    def _box_page(self) -> QWidget:
        page = QWidget()
        form = _form(page)
        bound, arrow = QHBoxLayout(), QHBoxLayout()
        for row in (bound, arrow):
            row.setSpacing(4)
        bound.addWidget(self.nodes, 1)
        bound.addWidget(self.from_selected)
        arrow.addWidget(self.to, 1)
        arrow.addWidget(self.add_arrow)
        form.addRow(_dim("Name"), self.name)
        form.addRow(_dim("Nodes"), bound)
        form.addRow(_dim("Claims"), self.claims)
        form.addRow(_dim(""), self.claim)
        form.addRow(self.problem)
        form.addRow(_dim("At"), self.positions)
        form.addRow(_dim("Read by"), arrow)
        return page

    def _arrow_page(self) -> QWidget:
        page = QWidget()
        form = _form(page)
        form.addRow(self.said)
        form.addRow(_dim("Read as"), self.reader)
        form.addRow(self.delete)
        return page

    # ------------------------------------------------------------ what is shown

    def show_picked(self, of: Hypothesis, picked: Picked, model: ModelIdentity | None) -> None:
        """Show the fields of what is picked."""
        self._of, self._model = of, model
        self._box = next((each for each in of.boxes if each.name == picked), None)
        self._arrow = picked if isinstance(picked, Arrow) else None
        page = 1 if self._box is not None else 2 if self._arrow is not None else 0
        self._pages.setCurrentIndex(page)
        if self._box is not None:
            self._show_box(self._box)
        if self._arrow is not None:
            self._show_arrow(self._arrow)

    def _show_box(self, box: Box) -> None:
        _fill(self.name, box.name)
        _fill(self.nodes, ", ".join(box.nodes))
        _fill(self.positions, ", ".join(map(str, box.positions or ())))
        _fill(self.claim, box.claim)
        self._show_claim()
        held = self.to.currentData()
        with QSignalBlocker(self.to):
            self.to.clear()
            for target in (*(each.name for each in self._of.boxes), LOGITS):
                for reader in readers_for(self._of, box.name, target):
                    said = LOGITS if target == LOGITS else f"{target}: {READ[reader]}"
                    self.to.addItem(said, (target, reader))
        self.to.setCurrentIndex(max(0, self.to.findData(held)) if self.to.count() else -1)
        self.add_arrow.setEnabled(self.to.count() > 0)
        self._check()

    def _show_claim(self) -> None:
        known = list(CLAIMS).index(self.claim.text()) if self.claim.text() in CLAIMS else -1
        self.claims.setCurrentIndex(known if known >= 0 else self.claims.count() - 1)

    def _show_arrow(self, arrow: Arrow) -> None:
        claim = next((b.claim for b in self._of.boxes if b.name == arrow.source), "")
        self.said.setText(f"{arrow.source} {_ARROW} {arrow.target}\nbrings {in_words(claim)}")
        with QSignalBlocker(self.reader):
            self.reader.clear()
            free = readers_for(self._of, arrow.source, arrow.target)
            for reader in dict.fromkeys((arrow.reader, *free)):
                self.reader.addItem(READ[reader], reader)

    # ------------------------------------------------------------ what is changed

    def typed(self) -> Box:
        """The box as it stands in the fields. Raises ValueError for positions that are none."""
        places = tuple(int(part) for part in self.positions.text().replace(",", " ").split())
        nodes = tuple(self.nodes.text().replace(",", " ").split())
        return Box(self.name.text().strip(), nodes, self.claim.text().strip(), places or None)

    @property
    def why_not(self) -> str:
        """What of the fields cannot be read, empty when all can."""
        if self._box is None:
            return ""
        try:
            box = self.typed()
        except ValueError:
            return "Positions are whole numbers: 3, 5, -1 for the last; empty for all."
        others = {each.name for each in self._of.boxes} - {self._box.name}
        if not box.name or box.name == LOGITS or box.name in others:
            return "Every box needs a name of its own; logits is the output of the model."
        bound = "" if self._model is None else nodes_problem(box.nodes, self._model)
        return bound or claim_problem(box.claim)

    def _check(self) -> None:
        problem = self.why_not
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        for field, wrong in (
            (self.claim, bool(claim_problem(self.claim.text()))),
            (self.nodes, bool(problem) and not claim_problem(self.claim.text())),
        ):
            if bool(field.property("wrong")) != wrong:
                field.setProperty("wrong", wrong)
                field.style().unpolish(field)
                field.style().polish(field)
        self._show_claim()
        self.checked.emit()

    def flush(self) -> None:
        """Hand out what stands in the fields, if it can be read."""
        if self._box is None or self.why_not:
            return
        box = self.typed()
        if box != self._box:
            before, self._box = self._box.name, box
            self.box_changed.emit(before, box)

    def _on_claim(self, row: int) -> None:
        if row < len(CLAIMS):
            self.claim.setText(list(CLAIMS)[row])
            self._check()
            self.flush()
        else:
            self.claim.setFocus(Qt.FocusReason.OtherFocusReason)
            self.claim.selectAll()

    def _on_arrow(self) -> None:
        held = self.to.currentData()
        if self._box is not None and held is not None:
            self.arrow_asked.emit(self._box.name, *held)

    def _on_reader(self, row: int) -> None:
        if self._arrow is not None and self.reader.itemData(row) != self._arrow.reader:
            self.reader_changed.emit(self._arrow, self.reader.itemData(row))


def _field(name: str, said: str, hint: str) -> QLineEdit:
    field = QLineEdit()
    field.setObjectName(name)
    field.setAccessibleName(said)
    field.setPlaceholderText(hint)
    field.setFont(mono_font(12))
    return field


def _fill(field: QLineEdit, text: str) -> None:
    if field.text() != text:
        field.setText(text)


def _dim(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("dim")
    return label


def _form(page: QWidget) -> QFormLayout:
    form = QFormLayout(page)
    form.setContentsMargins(0, 4, 0, 0)
    form.setHorizontalSpacing(8)
    form.setVerticalSpacing(5)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return form
