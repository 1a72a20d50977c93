"""The form of the panel Visualise: what pictures are made for, and how."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from PySide6.QtCore import QSignalBlocker
from PySide6.QtWidgets import QCheckBox, QFormLayout, QLabel, QWidget

from microtome.errors import InputError
from microtome.images.sets import image_set_names
from microtome.records.dictionary import DictionaryIdentity
from microtome.records.seen import SightOutline
from microtome.records.units import Unit
from microtome.records.visualisation import VisualSettings
from microtome_desktop.state.visualisations import VisualWish
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.form_fields import choice, spin

CLASS, UNIT, DIRECTION, FEATURE = "Class", "Unit", "Direction", "Feature"
_ROWS = {
    CLASS: ("class",),
    UNIT: ("layer", "number", "place"),
    DIRECTION: ("layer", "of", "over"),
    FEATURE: ("layer", "dictionary", "number"),
}
_OTHERS, _NOBODY, _NOTHING = "all others", "no other model", "nothing"
_ROBUST = {"none": 0.0, "some": 0.5, "usual": 1.0, "strong": 1.5}


class VisualForm(QWidget):
    """Boxes for the target and the settings; rows that a kind does not need are hidden."""

    def __init__(self) -> None:
        super().__init__()
        self.kind = choice("visual_kind", "what is maximised", _ROWS)
        self.boxes: dict[str, Choice] = {
            name: choice(f"visual_{name}", said, entries)
            for name, said, entries in (
                ("class", "class", ()), ("layer", "layer", ()),
                ("place", "where in the image", ("mean", "centre")),
                ("of", "direction to the mean of", ()), ("over", "from the mean of", (_OTHERS,)),
                ("dictionary", "dictionary", ()),
                ("robustness", "how strongly pictures are moved, turned and scaled", _ROBUST),
                ("images", "images that values are compared with", (_NOTHING,)),
                ("second", "another model that says what it sees", (_NOBODY,)),
            )
        }  # fmt: skip
        self.boxes["robustness"].setCurrentText("usual")
        self.boxes["images"].addItems(list(image_set_names()))
        self.numbers = {
            "number": spin("visual_number", "number of the unit or feature", 0, 99_999),
            "results": spin("visual_results", "results at once", 1, 16, 4),
            "steps": spin("visual_steps", "steps", 10, 5_000, VisualSettings().steps),
            "seed": spin("visual_seed", "seed", 0, 99_999),
        }
        self.negative = QCheckBox("the least of it")
        self.negative.setObjectName("visual_negative")
        self.diverse = QCheckBox("results pushed apart")
        self.diverse.setObjectName("visual_diverse")
        self._fields = self._laid_out()
        self.kind.currentIndexChanged.connect(self._show_rows)
        self._show_rows()

    def _laid_out(self) -> QFormLayout:
        fields = QFormLayout(self)
        fields.setContentsMargins(0, 0, 8, 0)
        fields.setVerticalSpacing(5)
        fields.setHorizontalSpacing(8)
        fields.addRow("make", self.kind)
        for name in ("class", "layer", "dictionary", "of", "over"):
            fields.addRow({"of": "to", "over": "from"}.get(name, name), self.boxes[name])
        fields.addRow("number", self.numbers["number"])
        fields.addRow("place", self.boxes["place"])
        fields.addRow("", self.negative)
        for name in ("results", "steps", "seed"):
            fields.addRow(name, self.numbers[name])
        fields.addRow("robustness", self.boxes["robustness"])
        fields.addRow("", self.diverse)
        fields.addRow("compare with", self.boxes["images"])
        fields.addRow("also ask", self.boxes["second"])
        return fields

    def _show_rows(self, *_: object) -> None:
        shown = _ROWS[self.kind.currentText()]
        for name in {part for row in _ROWS.values() for part in row}:
            part = self.boxes.get(name) or self.numbers[name]
            self._fields.setRowVisible(part, name in shown)

    def offer(
        self,
        outline: SightOutline | None,
        dictionaries: Sequence[DictionaryIdentity],
        models: Sequence[str],
    ) -> None:
        """What the model has to choose from; what is chosen stays where it can."""
        layers = [] if outline is None else [layer.name for layer in outline.layers]
        classes = [] if outline is None else list(outline.classes)
        _fill(self.boxes["layer"], layers)
        _fill(self.boxes["class"], classes)
        _fill(self.boxes["of"], classes)
        _fill(self.boxes["over"], [_OTHERS, *classes])
        _fill(self.boxes["second"], [_NOBODY, *models])
        _fill(self.boxes["dictionary"], [one.name for one in dictionaries])
        for at, one in enumerate(dictionaries):
            self.boxes["dictionary"].setItemData(at, one.fingerprint)

    def follow(self, unit: str) -> None:
        """Ask for the unit that is selected, where the layer is known."""
        found = Unit.parse(unit)
        at = self.boxes["layer"].findText(found.layer)
        if at >= 0:
            self.kind.setCurrentText(UNIT)
            self.boxes["layer"].setCurrentIndex(at)
            self.numbers["number"].setValue(found.index)

    def ask_for(self, dictionary: DictionaryIdentity, feature: int) -> None:
        """Ask for a feature of an open dictionary, at the layer that it reads."""
        self.kind.setCurrentText(FEATURE)
        if self.boxes["layer"].findText(dictionary.reads) < 0:  # the model's are not known yet
            self.boxes["layer"].addItem(dictionary.reads)
        for name, at in (
            ("layer", self.boxes["layer"].findText(dictionary.reads)),
            ("dictionary", self.boxes["dictionary"].findData(dictionary.fingerprint)),
        ):
            if at >= 0:
                self.boxes[name].setCurrentIndex(at)
        self.numbers["number"].setValue(feature)

    def wish(self) -> VisualWish:
        """What is asked for. Raises InputError where there is nothing to ask for."""
        kind, number = self.kind.currentText(), self.numbers["number"].value()
        layer = self._said("layer")
        target = {
            CLASS: f"class:{self._said('class')}" if self._said("class") else "",
            UNIT: f"{layer}/{number}{self._place()}" if layer else "",
        }.get(kind, layer)
        fingerprint = str(self.boxes["dictionary"].currentData() or "")
        if not target or (kind == FEATURE and not fingerprint):
            wanted = "dictionary on a layer" if kind == FEATURE else "model that sees"
            raise InputError(f"There is no {kind.lower()} to ask for.", f"Open a {wanted} first.")
        direction = kind == DIRECTION
        return VisualWish(
            target, self.numbers["results"].value(), self.numbers["seed"].value(),
            self.negative.isChecked(), self._settings(),
            of=self._said("of") if direction else "",
            over=self._said("over", _OTHERS) if direction else "",
            fingerprint=fingerprint if kind == FEATURE else "",
            feature=number if kind == FEATURE else 0,
            images=self._said("images", _NOTHING), second=self._said("second", _NOBODY),
        )  # fmt: skip

    def _settings(self) -> VisualSettings:
        return VisualSettings(
            steps=self.numbers["steps"].value(),
            robustness=_ROBUST[self.boxes["robustness"].currentText()],
            diversity=0.5 if self.diverse.isChecked() else 0.0,
        )

    def _place(self) -> str:
        place = self.boxes["place"].currentText()
        return "" if place == "mean" else f"@{place}"

    def _said(self, name: str, nothing: str = "") -> str:
        held = self.boxes[name].currentText()
        return "" if held == nothing else held

    def state(self) -> dict[str, Any]:
        """What the fields say."""
        held: dict[str, Any] = {name: box.currentText() for name, box in self.boxes.items()}
        held |= {name: box.value() for name, box in self.numbers.items()}
        return held | {
            "kind": self.kind.currentText(), "negative": self.negative.isChecked(),
            "diverse": self.diverse.isChecked(),
        }  # fmt: skip

    def restore(self, held: dict[str, Any]) -> None:
        """Set the fields as a session has them, as far as there are such entries."""
        for name, box in (*self.boxes.items(), ("kind", self.kind)):
            if isinstance(held.get(name), str) and box.findText(held[name]) >= 0:
                box.setCurrentText(held[name])
        for name, number in self.numbers.items():
            if isinstance(held.get(name), int):
                number.setValue(held[name])
        for name, check in (("negative", self.negative), ("diverse", self.diverse)):
            check.setChecked(held.get(name) is True)


def _fill(box: Choice, entries: Iterable[str]) -> None:
    wanted = list(entries)
    if wanted == [box.itemText(at) for at in range(box.count())]:
        return
    before = box.currentText()
    with QSignalBlocker(box):
        box.clear()
        box.addItems(wanted)
        box.setCurrentIndex(max(0, box.findText(before)))


def heading(text: str) -> QLabel:
    """A title of a part of the panel."""
    label = QLabel(text)
    label.setObjectName("section")
    return label
