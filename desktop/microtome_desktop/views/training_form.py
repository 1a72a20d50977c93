"""What is to be trained: text, site, rule and numbers, and the folder that it is saved in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

import microtome_resources as resources
from microtome.features.training.offers import OFFERED, ONE, RULES, SKIPPED
from microtome.features.training.plan import Plan
from microtome.features.training.presets import unit_plan
from microtome.records.coverage import Coverage
from microtome.records.model import ModelIdentity
from microtome.records.seen import LayerOutline, SightOutline
from microtome_desktop.presenters.training import (
    FORMS,
    OF_UNITS,
    images_for,
    presets_of,
    rule_in,
    sites_of,
    unit_layers,
    uses_k,
)
from microtome_desktop.state.trainings import TrainWish
from microtome_desktop.views.form_fields import choice, field, make_plain, spin

_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_FILE, _FOLDER = f"A file{_ELLIPSIS}", f"A folder{_ELLIPSIS}"
_COLLECTED = "activations that are collected"
_OWN = "as set below"
_MOST = 1 << 22
_PRESSURE = (
    "How much few features count beside a small error, for rules without k: the more, the fewer "
    "are on; what is usual of the rule without a number"
)
_TIP = Qt.ItemDataRole.ToolTipRole
_NUMBERS = (
    ("width", "features", 1, _MOST, 512),
    ("k", "features that are on at a token", 1, _MOST, 16),
    ("steps", "steps", 1, 100_000_000, 2_000),
    ("batch", "tokens of a step", 2, _MOST, 512),
    ("seed", "seed", 0, 2**31 - 1, 0),
)
_PLANNED = tuple(name for name, *_ in _NUMBERS if name != "seed")


class TrainingForm(QWidget):
    """Fields under each other; ``changed`` when any of them is."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._wish = TrainWish("")  # what no field shows
        self._plans: dict[str, Plan] = {}
        self._model: ModelIdentity | None = None
        self._units: Mapping[str, LayerOutline] = {}  # of a model without sites
        self._held = ""  # the text that was chosen before a file is looked for
        self.text = choice("training_text", "text", ())
        self.form = choice("training_form", "what is trained", FORMS)
        self.site = choice("training_site", "site", ())
        self.layer = spin("training_layer", "layer", 0, 0)
        self.preset = choice("training_preset", "preset", (_OWN,))
        self.rule = choice("training_rule", "rule of sparsity", RULES)
        self.numbers = {
            name: spin(f"training_{name}", said, low, high, start)
            for name, said, low, high, start in _NUMBERS
        }
        self.limit = spin("training_limit", "tokens of the text", 0, 2_000_000_000)
        self.rate, self.pressure = QDoubleSpinBox(), QDoubleSpinBox()
        self.skip = QCheckBox("linear skip")
        self.field = field("training_field", "text")
        self.out = field("training_out", "folder that it is saved in")
        self.browse = QPushButton(_ELLIPSIS)
        self._dress()
        self._lay_out()
        self._connect()
        self.offer_texts()

    def _dress(self) -> None:
        self.rate.setObjectName("training_rate")
        self.rate.setAccessibleName("learning rate")
        self.rate.setToolTip("Learning rate")
        self.rate.setDecimals(6)
        self.rate.setRange(1e-6, 10.0)
        self.rate.setValue(1e-3)
        make_plain(self.rate)
        self.pressure.setObjectName("training_pressure")
        self.pressure.setAccessibleName("pressure")
        self.pressure.setToolTip(_PRESSURE)
        self.pressure.setDecimals(3)
        self.pressure.setRange(0.0, 1_000.0)
        self.pressure.setSpecialValueText("usual")
        make_plain(self.pressure)
        self.field.setAccessibleName("field of JSON lines and Parquet that holds the text")
        self.field.setToolTip("The field of JSON lines and Parquet that holds the text")
        self.skip.setObjectName("training_skip")
        self.skip.setToolTip("A linear path from what is read to what is written, beside features")
        self.limit.setSpecialValueText("all")
        self.browse.setObjectName("training_browse")
        self.browse.setAccessibleName("choose the folder that it is saved in")
        self.browse.setFixedWidth(34)
        for box in (self.layer, self.limit, *self.numbers.values()):
            box.setMinimumWidth(52)
        self.rate.setMinimumWidth(70)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setHorizontalSpacing(8)
        form.setVerticalSpacing(4)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        number = self.numbers
        rows: tuple[tuple[str, QWidget | QLayout], ...] = (
            ("Text", self.text), ("Train", self.form), ("Site", _side(self.site, self.layer)),
            ("Preset", self.preset), ("Rule", self.rule),
            ("Width, k", _side(number["width"], number["k"])),
            ("Steps, batch", _side(number["steps"], number["batch"])),
            ("Pressure", _side(self.pressure, self.skip)),
            ("Rate, seed", _side(self.rate, number["seed"])),
            ("Tokens, field", _side(self.limit, self.field)),
            ("Save to", _side(self.out, self.browse)),
        )  # fmt: skip
        for title, part in rows:
            form.addRow(title, part)
        self._rows = form
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 6, 0)
        column.addLayout(form)
        column.addStretch(1)

    def _connect(self) -> None:
        self.text.activated.connect(self._on_text)
        self.preset.activated.connect(self._on_preset)
        self.form.currentIndexChanged.connect(self._on_form)
        self.site.currentIndexChanged.connect(self._on_site)
        for number in (self.layer, self.limit, *self.numbers.values()):
            number.valueChanged.connect(self._on_number)
        for real in (self.rate, self.pressure):
            real.valueChanged.connect(self._on_number)
        self.skip.toggled.connect(self._on_change)
        self.rule.currentIndexChanged.connect(self._on_number)
        for line in (self.out, self.field):
            line.textChanged.connect(self._on_change)
        self.browse.clicked.connect(self.choose_out)

    # what is on offer

    def offer_texts(self) -> None:
        """Embedded texts, a file or a folder; of a model that sees sets of images or a folder."""
        seen = self._model if self._sees else None
        names = resources.text_names() if seen is None else images_for(seen)
        kind = "text" if seen is None else "images"
        with QSignalBlocker(self.text):
            self.text.clear()
            for name in names:
                self.text.addItem(f"embedded {kind} {name}", name)
            if seen is None:
                self.text.addItem(_FILE, None)
            self.text.addItem(_FOLDER, None)
        self._held = self.text.currentData() or ""
        label = self._rows.labelForField(self.text)
        if isinstance(label, QLabel):
            label.setText(kind.capitalize())

    @property
    def _sees(self) -> bool:
        return self._model is not None and self._model.sees

    def offer(
        self, model: ModelIdentity | None, coverage: Coverage | None,
        outline: SightOutline | None = None,
    ) -> None:  # fmt: skip
        """The sites, layers and presets of a model; what is chosen stays where it is there."""
        saw, self._model = self._sees, model
        if saw != self._sees:
            self.offer_texts()
        units = unit_layers(model, coverage, outline)
        if units.keys() != self._units.keys():
            self._plans = {}  # those of another kind of place
        self._units = units
        before, first = self.site.currentData(), not self._plans
        with QSignalBlocker(self.site), QSignalBlocker(self.layer), QSignalBlocker(self.preset):
            self.site.clear()
            layers_of = ((each.name, f"{each.n_units} {each.kind}s") for each in units.values())
            for name, title in (*layers_of, *sites_of(coverage)):
                self.site.addItem(name, name)
                self.site.setItemData(self.site.count() - 1, title, _TIP)
            # What was chosen may be of a model of another kind, which has none of these.
            rows = (self.site.findData(before), self.site.findData("resid_post"))
            self.site.setCurrentIndex(next((row for row in rows if row >= 0), 0))
            self.layer.setRange(0, max(0, 0 if model is None else model.n_layers - 1))
            self.layer.setVisible(not units)  # which have names that want the room
            self._offer_plans()
        if first and self._plans:
            self.layer.setValue((self.layer.maximum() + 1) // 2)
            self._fill(next(iter(self._plans)))
        self._mark_preset()
        self._show_able()

    # what is chosen

    def wish(self) -> TrainWish:
        """What the fields say."""
        site = str(self.site.currentData())
        site = site if self._units else f"{site}.{self.layer.value()}"
        plan = self._plans.get(self.preset.currentText())
        dead_after = self._wish.dead_after if plan is None else None
        numbers: dict[str, Any] = {name: box.value() for name, box in self.numbers.items()}
        return replace(
            self._wish,
            text=self.text.currentData() or "",
            images=self._sees,
            form=self._form,
            site=site,
            rule=self.rule.currentText(),
            rate=round(self.rate.value(), 6),
            limit=self.limit.value() or None,
            dead_after=dead_after,
            skip=self.skip.isChecked() and self.skip.isEnabled(),
            pressure=self.pressure.value() or None if self.pressure.isEnabled() else None,
            out=self.out.text().strip(),
            field=self.field.text().strip() if self.field.isEnabled() else "",
            **numbers,
        )

    def show_wish(self, wish: TrainWish) -> None:
        """Set every field as it was asked."""
        parts = (self.form, self.site, self.rule, self.layer, self.limit, self.rate, self.out,
                 self.pressure, self.skip, self.field, *self.numbers.values())  # fmt: skip
        blockers = [QSignalBlocker(part) for part in parts]
        self._wish = wish
        self._choose_text(wish.text)
        self.form.setCurrentText(next((t for t, f in FORMS.items() if f == wish.form), ""))
        name, _, layer = wish.site.rpartition(".")
        row = self.site.findData(wish.site if wish.site in self._units else name)
        self.site.setCurrentIndex(max(0, row))
        self._offer_plans()
        self.layer.setValue(int(layer) if layer.isdecimal() else 0)
        self.rule.setCurrentText(wish.rule)
        for each, box in self.numbers.items():
            box.setValue(getattr(wish, each))
        self.rate.setValue(wish.rate)
        self.limit.setValue(wish.limit or 0)
        self.pressure.setValue(wish.pressure or 0.0)
        self.skip.setChecked(wish.skip)
        self.field.setText(wish.field)
        self.out.setText(wish.out)
        del blockers
        self._mark_preset()
        self._on_change()

    def choose_out(self) -> bool:
        """Ask for the folder that it is saved in; whether one was chosen."""
        path = QFileDialog.getExistingDirectory(
            self, "The folder that the dictionary is saved in", self.out.text()
        )
        if path:
            self.out.setText(str(Path(path)))
        return bool(path)

    def forget_kept(self) -> None:
        """Checkpoints lie beside what is trained from now on."""
        self._wish = replace(self._wish, kept="")

    def _on_text(self, _row: int) -> None:
        title, held = self.text.currentText(), self._held
        if title == _FILE:
            held = QFileDialog.getOpenFileName(
                self, "A text", "", "Texts (*.txt *.md *.jsonl *.parquet *.json);;All files (*)"
            )[0]
        elif title == _FOLDER:
            kind = "images" if self._sees else "texts"
            held = QFileDialog.getExistingDirectory(self, f"A folder of {kind}")
        else:
            held = self.text.currentData() or ""
        self._choose_text(held or self._held)
        self._on_change()

    def _choose_text(self, text: str) -> None:
        row = self.text.findData(text) if text else -1
        if row < 0:
            title = Path(text).name if text else _COLLECTED
            self.text.insertItem(0, title, text or "")
            self.text.setItemData(0, text, _TIP)
            row = 0
        self.text.setCurrentIndex(row)
        self._held = text

    def _on_preset(self, _row: int) -> None:
        self._fill(self.preset.currentText())
        self._on_change()

    def _fill(self, title: str) -> None:
        plan = self._plans.get(title)
        if plan is None:
            return
        parts = (self.rule, self.rate, self.pressure, *self.numbers.values())
        blockers = [QSignalBlocker(part) for part in parts]
        self.rule.setCurrentText(rule_in(self._form, plan.rule))
        self.pressure.setValue(plan.pressure or 0.0)
        self.rate.setValue(plan.rate)
        for name in _PLANNED:
            self.numbers[name].setValue(getattr(plan, name))
        del blockers
        self._mark_preset()

    def _mark_preset(self) -> None:
        """Say which preset the numbers are, if they are one."""
        found = next((title for title, plan in self._plans.items() if self._is(plan)), _OWN)
        with QSignalBlocker(self.preset):
            self.preset.setCurrentText(found)

    def _is(self, plan: Plan) -> bool:
        numbers = all(self.numbers[n].value() == getattr(plan, n) for n in _PLANNED)
        rate = abs(self.rate.value() - plan.rate) < 1e-9
        alike = self.rule.currentText() == rule_in(self._form, plan.rule)
        return numbers and rate and alike and self.pressure.value() == (plan.pressure or 0.0)

    @property
    def _form(self) -> str:
        return FORMS.get(self.form.currentText(), ONE)

    def _on_form(self, _row: int) -> None:
        """Rules that the form has no file for make room for one that it has."""
        with QSignalBlocker(self.rule):
            self.rule.setCurrentText(rule_in(self._form, self.rule.currentText()))
        self._mark_preset()
        self._on_change()

    def _offer_plans(self) -> None:
        """Those of the model; of a layer of units that of its size."""
        unit = self._units.get(self.site.currentData())
        own = presets_of(self._model) if unit is None else ((OF_UNITS, unit_plan(unit.n_units)),)
        with QSignalBlocker(self.preset):
            self._plans = dict(own)
            self.preset.clear()
            self.preset.addItems([*self._plans, _OWN])
            self.preset.setCurrentText(_OWN)

    def _on_site(self, _row: int) -> None:
        """Another layer of units has its own plan, which is taken where one was."""
        if self._units:
            planned = self.preset.currentText()
            self._offer_plans()
            self._fill(planned)
            self._mark_preset()
        self._on_change()

    def _on_number(self, *_: object) -> None:
        self._mark_preset()
        self._on_change()

    def _on_change(self, *_: object) -> None:
        self._show_able()
        self.changed.emit()

    def _show_able(self) -> None:
        form, rule = self._form, self.rule.currentText()
        self.form.setEnabled(not self._units)  # transcoders are of transformers alone
        self.site.setEnabled(form == ONE)
        self.layer.setEnabled(not self._units and not replace(self._wish, form=form).is_set)
        self.numbers["k"].setEnabled(uses_k(rule))
        self.pressure.setEnabled(not uses_k(rule))
        self.skip.setEnabled(form in SKIPPED)
        own = self.text.currentData()
        self.field.setEnabled(bool(own) and not self._sees and own not in resources.text_names())
        model = self.rule.model()
        if isinstance(model, QStandardItemModel):
            for row, name in enumerate(RULES):
                model.item(row).setEnabled(name in OFFERED[form])
                tip = "" if name in OFFERED[form] else "No file format has a place for it"
                self.rule.setItemData(row, tip, _TIP)


def _side(*parts: QWidget) -> QHBoxLayout:
    line = QHBoxLayout()
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(6)
    for part in parts:
        line.addWidget(part, 0 if isinstance(part, QPushButton) else 1)
    return line
