"""In which format, and in which folder, a dictionary is saved for other tools."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import (
    QCheckBox,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QMessageBox,
    QWidget,
)

from microtome.errors import StorageError, file_size
from microtome.features.formats.own_folders import expect_own_folder
from microtome_desktop.jobs.dictionary_save_requests import ForeseeSaving, SaveDictionary, Savings
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.presenters.feature_sources import NO_INDEX, FeatureSource
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.features import index_with
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.saving_dialog import SavingDialog, typed_path

if TYPE_CHECKING:
    from microtome.features.formats.save_offers import SaveOffer  # brings torch

_SIZE = (580, 290)  # pixels: reasons of two lines have room
_STRANGE = re.compile(r"[^\w.]+")
_LAYER = re.compile(r", layer \d+$")
_NO_EXAMPLES = f"Without feature-example files. {NO_INDEX}"


class DictionarySaveDialog(SavingDialog):
    """All formats; those without a place for the dictionary are off and say why."""

    def __init__(
        self, desk: Desk, runner: JobRunner, source: FeatureSource, parent: QWidget
    ) -> None:
        start = Path(desk.settings.folder or Path.home())
        super().__init__("Save dictionary", start / "dictionary", parent)
        self._desk, self._runner, self._source = desk, runner, source
        self._offers: tuple[SaveOffer, ...] = ()
        self._wanted = True  # examples, where there are any
        self._named = ""  # the name that was proposed last
        self.setObjectName("save_dictionary")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.formats = Choice()
        self.formats.setObjectName("dictionary_format")
        self.formats.setAccessibleName("format")
        self.path.setObjectName("dictionary_path")
        self.path.setAccessibleName("folder")
        self.examples = QCheckBox("With feature-example files")
        self.examples.setObjectName("dictionary_examples")
        self.told, self.off = QLabel("Looking at formats…"), QLabel()
        self.go = self.buttons.button(QDialogButtonBox.StandardButton.Save)
        self._lay_out()
        self.examples.clicked.connect(self._on_examples)
        self.formats.currentIndexChanged.connect(self._on_format)
        desk.workspace.prepared.arrived.connect(self._on_prepared)
        self._propose(source.name)
        runner.ask(self._asked)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("Dictionary", _plain(QLabel(self._source.name)))
        form.addRow("Format", self.formats)
        form.addRow("Folder", self.place)
        form.addRow("", self.examples)
        column = self.column()
        column.addLayout(form)
        for label in (self.told, self.off):
            label.setObjectName("dim")
            column.addWidget(_plain(label))
        _plain(self.problem)
        column.addStretch(1)
        self.finish(column)
        self.resize(*_SIZE)

    @property
    def _asked(self) -> ForeseeSaving:
        return ForeseeSaving(self._source.fingerprint)

    @property
    def _offer(self) -> SaveOffer | None:
        at = self.formats.currentIndex()
        return self._offers[at] if 0 <= at < len(self._offers) else None

    def _on_prepared(self, key: object) -> None:
        held = self._desk.workspace.prepared.get(self._asked.key)
        if key == self._asked.key and isinstance(held, Savings) and not self._offers:
            self._offers = held.offers
            self._fill(held.usual)

    def _fill(self, usual: str) -> None:
        model = self.formats.model()
        for at, offer in enumerate(self._offers):
            self.formats.addItem(offer.title)
            if offer.problem and isinstance(model, QStandardItemModel):
                model.item(at).setEnabled(False)
                model.item(at).setToolTip(offer.problem)
        free = [at for at, offer in enumerate(self._offers) if not offer.problem]
        wanted = [at for at in free if self._offers[at].name == usual]
        self.formats.setCurrentIndex(next(iter(wanted or free), -1))
        self.off.setText("\n".join(_reason(one) for one in self._offers if one.problem))
        self.off.setVisible(bool(self.off.text()))
        self._on_format()

    def _on_format(self, *_: object) -> None:
        offer, name = self._offer, self._source.name
        if offer is not None:
            what = "The transcoders of all layers" if offer.of_set else "This dictionary"
            self.told.setText(f"{what}: {offer.files}, {file_size(offer.nbytes)}.")
            self._propose(_LAYER.sub("", name) if offer.of_set else name)
            self._offer_examples(offer)
        else:
            self.told.setText("No format has a place for it.")
        self.check()

    def _offer_examples(self, offer: SaveOffer) -> None:
        own = self._source.fingerprint
        layers = self._desk.dictionaries.set_with(own) if offer.of_set else (own,)
        session = self._desk.workspace.session
        read = sum(index_with(session, one) is not None for one in layers)
        part = f", of {read} of {len(layers)} layers" if 0 < read < len(layers) else ""
        self.examples.setText(f"With feature-example files{part}" if read else _NO_EXAMPLES)
        self.examples.setEnabled(read > 0)
        self.examples.setChecked(read > 0 and self._wanted)

    def _on_examples(self, wanted: bool) -> None:
        self._wanted = wanted

    def _propose(self, name: str) -> None:
        """Name the folder after what is saved, unless the user named it."""
        fresh, held = _STRANGE.sub("-", name.rsplit("/", 1)[-1]), self.path.text().strip()
        if not self._named or Path(held).name == self._named:
            self.path.setText(str(Path(held).with_name(fresh)))
            self._named = fresh

    def target(self) -> Path:
        """The folder that was typed."""
        return typed_path(self.path.text())

    def why_not(self) -> str:
        """What is wrong with the place, empty when the folder can be written."""
        if not self.path.text().strip():
            return "Give the name of a folder."
        try:
            expect_own_folder(self.target())
        except StorageError as error:
            return str(error)
        return ""

    def check(self) -> None:
        """Say what is wrong with the place; nothing is saved before a format is known."""
        problem = self.why_not()
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        self.go.setEnabled(not problem and self._offer is not None)

    def _on_browse(self) -> None:
        title, start = self.windowTitle(), str(self.target().parent)
        chosen = QFileDialog.getExistingDirectory(self, title, start)
        if chosen:
            held = Path(chosen)
            self.path.setText(str(held if _is_free(held) else held / (self.target().name or "new")))

    def accept(self) -> None:
        """Save, once it may take the place of what is there."""
        offer, folder = self._offer, self.target()
        if offer is None or self.why_not():
            self.check()
            return
        if folder.is_dir() and any(folder.iterdir()) and not self._may_replace(folder):
            return
        self._desk.settings.folder = str(folder.parent)
        own = self._source.fingerprint
        self._runner.ask(SaveDictionary(own, offer.name, folder, self.examples.isChecked()))
        super().accept()

    def _may_replace(self, folder: Path) -> bool:
        box = QMessageBox(self)
        box.setObjectName("replace_dictionary")
        box.setIcon(QMessageBox.Icon.Question)
        box.setText(f"{folder.name} holds a dictionary already.")
        box.setInformativeText("It is replaced as a whole, with its examples.")
        replaces = box.addButton("Replace it", QMessageBox.ButtonRole.AcceptRole)
        box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
        box.exec()
        chosen = box.clickedButton()
        box.deleteLater()
        return chosen is replaces

    def done(self, result: int) -> None:
        """Nobody waits for an answer any more, however the dialog went."""
        self._desk.workspace.prepared.arrived.disconnect(self._on_prepared)
        self._runner.cancel(ForeseeSaving.slot)
        super().done(result)
        self.deleteLater()


def _is_free(folder: Path) -> bool:
    """Whether a folder can be saved in as it is: empty, or a dictionary's."""
    try:
        expect_own_folder(folder)
    except StorageError:
        return False
    return True


def _reason(offer: SaveOffer) -> str:
    named = offer.title in offer.problem
    return offer.problem if named else f"{offer.title}: {offer.problem}"


def _plain(label: QLabel) -> QLabel:
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    return label
