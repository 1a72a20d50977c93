"""Which units a lesion is of, what is done to them, and on what it is tried."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop.presenters.lesions import AMOUNTS, HOW_TITLES
from microtome_desktop.state.lesions import (
    BY,
    CIRCUIT,
    HAND,
    MEASURED,
    LesionOffer,
    LesionWish,
    NamedSet,
)
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.form_fields import choice, make_plain, spin

_SHARE = 0.375  # of a layer's units that are chosen at first: twelve of 32
_FEW = 0.125  # of heads, which do more each


class LesionForm(QWidget):
    """Fields under each other; ``changed`` when one is, ``typed`` with units by hand."""

    changed = Signal()
    typed = Signal(str)
    clear_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.offered: LesionOffer | None = None
        self.by = choice("lesion_by", "how units are chosen", ())
        for name, title in BY.items():
            self.by.addItem(title.capitalize(), name)
        self.localizer = choice("lesion_localizer", "set that units are chosen on", ())
        self.target = choice("lesion_target", "domain, class or task", ())
        self.layer = choice("lesion_layer", "layer", ())
        self.count = spin("lesion_count", "how many units, the strongest first", 1, 1_000_000, 1)
        self.beside = choice("lesion_beside", "what a second lesion is chosen for", ())
        self.beside.setToolTip("A second lesion, to compare with, has a column of its own")
        self.beside_count = spin(
            "lesion_beside_count", "units of the second lesion", 1, 1_000_000, 1
        )
        self.units = QLineEdit()
        self.units.setObjectName("lesion_units")
        self.units.setAccessibleName("units by hand")
        self.units.setPlaceholderText("pool/12, pool/3")
        self.clear = QPushButton("Clear")
        self.clear.setObjectName("lesion_clear")
        self.clear.setToolTip("Forget the units that were chosen by hand")
        self.how = choice("lesion_how", "what is done to the units", ())
        for name, title in HOW_TITLES.items():
            self.how.addItem(title, name)
        self.amount = QDoubleSpinBox()
        self.amount.setObjectName("lesion_amount")
        self.amount.setAccessibleName("dose: standard deviations or percentile")
        self.amount.setDecimals(1)
        make_plain(self.amount)
        self.data = choice("lesion_data", "set that the lesion is tried on", ())
        self.controls = spin("lesion_controls", "random lesions beside it", 0, 1000, 20)
        self.seed = spin("lesion_seed", "seed of the random lesions", 0, 2**31 - 1, 0)
        self._lay_out()
        self._connect()
        self._show_fields()

    def _lay_out(self) -> None:
        hand = QHBoxLayout()
        hand.addWidget(self.units, 1)
        hand.addWidget(self.clear)
        self.by_hand = QWidget()
        self.by_hand.setLayout(hand)
        hand.setContentsMargins(0, 0, 0, 0)
        compared = QHBoxLayout()
        compared.setContentsMargins(0, 0, 0, 0)
        compared.addWidget(self.beside, 1)
        compared.addWidget(self.beside_count)
        self.compared = QWidget()
        self.compared.setLayout(compared)
        numbers = QHBoxLayout()
        for box in (self.controls, self.seed):
            box.setMinimumWidth(48)
            numbers.addWidget(box, 1)
        self.form = QFormLayout()
        self.form.setContentsMargins(0, 0, 0, 0)
        self.form.setVerticalSpacing(5)
        rows: tuple[tuple[str, QWidget], ...] = (
            ("Lesion of", self.by), ("which is", self.target), ("found on", self.localizer),
            ("in", self.layer), ("how many", self.count), ("units", self.by_hand),
            ("beside it", self.compared),
            ("What is done", self.how), ("dose", self.amount), ("Tried on", self.data),
        )  # fmt: skip
        for title, widget in rows:
            self.form.addRow(title, widget)
        self.form.addRow("Random, seed", numbers)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(self.form)
        self.note = QLabel()
        self.note.setObjectName("dim")
        self.note.setWordWrap(True)
        self.note.setTextFormat(Qt.TextFormat.PlainText)
        column.addWidget(self.note)

    def _connect(self) -> None:
        for box in (self.by, self.target, self.data, self.beside):
            box.currentIndexChanged.connect(self._on_change)
        self.layer.currentIndexChanged.connect(self._on_layer)
        self.localizer.currentIndexChanged.connect(self._on_localizer)
        self.how.currentIndexChanged.connect(self._on_how)
        for number in (self.count, self.beside_count, self.controls, self.seed, self.amount):
            number.valueChanged.connect(self._on_change)
        self.units.editingFinished.connect(self._on_typed)
        self.clear.clicked.connect(self.clear_wanted)

    # what is offered

    def offer(self, offered: LesionOffer | None) -> None:
        """What the model has; another model's fields begin anew."""
        if offered is self.offered or offered is None:
            return
        first = self.offered is None or offered.layers != self.offered.layers
        self.offered = offered
        _fill(self.localizer, [(one.title, one.name) for one in offered.localizers])
        _fill(self.data, [(one.title, one.name) for one in offered.data])
        _fill(self.layer, [(one.title, ",".join(one.names)) for one in offered.layers])
        self._offer_targets()
        if first and offered.layers:
            self.by.setCurrentIndex(self.by.findData(offered.first))
            self.layer.setCurrentIndex(offered.layer)
            self._on_layer()
        self._show_fields()

    def _offer_targets(self) -> None:
        held = self._set(self.localizer)
        groups = [(name, name) for name in (held.groups if held else ())]
        _fill(self.target, groups)
        _fill(self.beside, [("no other", ""), *groups])

    def _set(self, box: Choice) -> NamedSet | None:
        sets = () if self.offered is None else (*self.offered.localizers, *self.offered.data)
        return next((one for one in sets if one.name == box.currentData()), None)

    # what is asked

    @property
    def kind(self) -> str:
        """How units are chosen."""
        return str(self.by.currentData())

    def wish(self, units: tuple[str, ...] = ()) -> LesionWish:
        """What the fields ask for; ``units`` are those by hand or of the circuit."""
        how = str(self.how.currentData())
        names = str(self.layer.currentData() or "")
        return LesionWish(
            by=self.kind,
            localizer=str(self.localizer.currentData() or ""),
            target=str(self.target.currentData() or ""),
            layers=tuple(names.split(",")) if names else (),
            count=self.count.value(),
            units=units,
            how=how,
            amount=self.amount.value() if how in AMOUNTS else 0.0,
            data=str(self.data.currentData() or ""),
            controls=self.controls.value(),
            seed=self.seed.value(),
            beside=str(self.beside.currentData() or ""),
            beside_count=self.beside_count.value(),
        )

    def show_wish(self, wish: LesionWish) -> None:
        """Set the fields."""
        for box, value in (
            (self.by, wish.by), (self.localizer, wish.localizer), (self.target, wish.target),
            (self.layer, ",".join(wish.layers)), (self.how, wish.how), (self.data, wish.data),
            (self.beside, wish.beside),
        ):  # fmt: skip
            if box.findData(value) >= 0:
                box.setCurrentIndex(box.findData(value))
        self.count.setValue(wish.count)
        self.beside_count.setValue(wish.beside_count)
        self.controls.setValue(wish.controls)
        self.seed.setValue(wish.seed)
        if wish.how in AMOUNTS:
            self.amount.setValue(wish.amount)

    def show_units(self, units: tuple[str, ...]) -> None:
        """Show the units that are chosen by hand."""
        if not self.units.hasFocus() or not self.units.isModified():
            self.units.setText(", ".join(units))
        self.clear.setEnabled(bool(units))

    def _on_localizer(self) -> None:
        self._offer_targets()
        self._on_change()

    def _on_layer(self) -> None:
        row = self.layer.currentIndex()
        if self.offered is not None and 0 <= row < len(self.offered.layers):
            held = self.offered.layers[row]
            heads = held.names[0].startswith("z.")
            for number in (self.count, self.beside_count):
                with QSignalBlocker(number):
                    number.setMaximum(held.count)
                    number.setValue(max(1, round((_FEW if heads else _SHARE) * held.count)))
        self._on_change()

    def _on_how(self) -> None:
        how = str(self.how.currentData())
        if how in AMOUNTS:
            low, high, first = AMOUNTS[how]
            with QSignalBlocker(self.amount):
                self.amount.setRange(low, high)
                self.amount.setValue(first)
        self._on_change()

    def _on_typed(self) -> None:
        if self.units.isModified():
            self.units.setModified(False)
            self.typed.emit(self.units.text())

    def _on_change(self, *_: object) -> None:
        self._show_fields()
        self.changed.emit()

    def _show_fields(self) -> None:
        """Those that count for the way in which units are chosen."""
        measured = self.kind in MEASURED
        for widget in (self.target, self.localizer, self.layer, self.compared):
            self.form.setRowVisible(widget, measured)
        self.form.setRowVisible(self.count, self.kind != HAND)
        self.beside_count.setVisible(bool(self.beside.currentData()))
        self.form.setRowVisible(self.by_hand, self.kind == HAND)
        self.form.setRowVisible(self.amount, str(self.how.currentData()) in AMOUNTS)
        self.note.setVisible(self.kind in {HAND, CIRCUIT})
        self.note.setText(
            "The nodes of the circuit on screen, those with the largest scores first."
            if self.kind == CIRCUIT
            else "Type units, or select them in any view and choose Add to the lesion."
        )


def _fill(box: Choice, entries: list[tuple[str, str]]) -> None:
    """Other entries; what is chosen stays where it is among them."""
    before = box.currentData()
    with QSignalBlocker(box):
        box.clear()
        for title, name in entries:
            box.addItem(title, name)
        box.setCurrentIndex(max(0, box.findData(before)) if entries else -1)
