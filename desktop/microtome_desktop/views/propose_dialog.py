"""Who proposes labels, for which features, how they are scored, and what that takes."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop.jobs.feature_requests import Foreseen
from microtome_desktop.jobs.label_requests import (
    INSTALLED,
    FindLabellers,
    ForeseeLabels,
    Installed,
    Labelling,
    ProposeLabels,
)
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.presenters.feature_labels import ToName
from microtome_desktop.presenters.feature_sources import FeatureSource
from microtome_desktop.presenters.sizes import seconds_text
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.form_fields import choice, spin

_REST = 200  # milliseconds without a change
_TOKENS, _ITSELF = "tokens", "itself"
_ADVICE = (
    "A label is scored by detection: who knows the label alone tells texts with the feature from "
    "texts without it. Guessing scores 0.50. Labels of your own stay."
)


class ProposeDialog(QDialog):
    """Asks who proposes; does not block the window."""

    def __init__(
        self, desk: Desk, runner: JobRunner, source: FeatureSource, to_name: ToName, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setObjectName("propose_dialog")
        self.setWindowTitle("Propose labels")
        self.setModal(False)
        self._desk, self._runner, self._source, self._to_name = desk, runner, source, to_name
        self.which = choice("propose_which", "for which features", ())
        self.who: Choice = choice("propose_who", "who proposes", ())
        self.folder = QPushButton("Model folder\N{HORIZONTAL ELLIPSIS}")
        self.folder.setObjectName("propose_folder")
        self.score = QCheckBox("with")
        self.score.setObjectName("propose_score")
        self.pairs = spin("propose_pairs", "pairs of texts", 2, 100, 10)
        self.outlook = QLabel()
        self.outlook.setObjectName("dim")
        self.outlook.setWordWrap(True)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.go = self.buttons.addButton("Propose", QDialogButtonBox.ButtonRole.AcceptRole)
        self.go.setObjectName("primary")
        self._soon = QTimer(self, singleShot=True, interval=_REST)
        self._fill()
        self._lay_out()
        self._connect()
        self._on_change()
        runner.ask(FindLabellers())

    def _fill(self) -> None:
        model, one, many = self._desk.workspace.model, self._to_name.selected, self._to_name.unnamed
        if one is not None:
            self.which.addItem(f"feature {one}", (one,))
        self.which.addItem(f"all {len(many):,} that are on and have no label", many)
        self.who.addItem("Token statistics", _TOKENS)
        if model is not None:
            self.who.addItem(f"{model.name}, the model itself", _ITSELF)
        self.score.setChecked(True)

    def _lay_out(self) -> None:
        by = QHBoxLayout()
        by.addWidget(self.who, 1)
        by.addWidget(self.folder)
        scored = QHBoxLayout()
        scored.addWidget(self.score)
        scored.addWidget(self.pairs)
        scored.addWidget(QLabel("texts with the feature, and as many without"))
        scored.addStretch(1)
        form = QFormLayout()
        form.addRow("For", self.which)
        form.addRow("Proposed by", by)
        form.addRow("Scored", scored)
        advice = QLabel(_ADVICE)
        advice.setObjectName("dim")
        advice.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setSpacing(10)
        column.addLayout(form)
        column.addWidget(advice)
        column.addWidget(self.outlook)
        column.addStretch(1)
        column.addWidget(self.buttons)
        self.resize(540, 260)

    def _connect(self) -> None:
        self.folder.clicked.connect(self._on_folder)
        for box in (self.which, self.who):
            box.currentIndexChanged.connect(self._on_change)
        self.score.toggled.connect(self._on_change)
        self.pairs.valueChanged.connect(self._on_change)
        self._soon.timeout.connect(self._foresee)
        self.buttons.accepted.connect(self._on_go)
        self.buttons.rejected.connect(self.reject)
        self._desk.workspace.prepared.arrived.connect(self._on_prepared)

    def _on_folder(self) -> None:
        settings = self._desk.settings
        chosen = QFileDialog.getExistingDirectory(self, "A folder of a model", settings.folder)
        if chosen:
            settings.folder = str(Path(chosen).parent)
            self.who.addItem(Path(chosen).name, chosen)
            self.who.setCurrentIndex(self.who.count() - 1)

    def _asked(self) -> Labelling | None:
        features, who = self.which.currentData(), str(self.who.currentData())
        pairs = self.pairs.value() if self.score.isChecked() else 0
        if not features:
            return None
        return Labelling(self._source.fingerprint, who, tuple(features), pairs)

    def _on_change(self, *_: object) -> None:
        # What tokens say stands in the table already: a score is all that can be added.
        by_tokens = self.who.currentData() == _TOKENS
        if by_tokens and not self.score.isChecked():
            self.score.setChecked(True)
        self.score.setEnabled(not by_tokens)
        self.pairs.setEnabled(self.score.isChecked())
        self._show()
        self._soon.start()

    def _foresee(self) -> None:
        asked, prepared = self._asked(), self._desk.workspace.prepared
        if asked is not None and prepared.get(ForeseeLabels(asked).key) is None:
            self._runner.ask(ForeseeLabels(asked))

    def _on_prepared(self, key: object) -> None:
        asked = self._asked()
        if key == INSTALLED:
            self._offer_installed()
        elif asked is not None and key == ForeseeLabels(asked).key:
            self._show()

    def _offer_installed(self) -> None:
        held = self._desk.workspace.prepared.get(INSTALLED)
        for name in held.names if isinstance(held, Installed) else ():
            if self.who.findData(name) < 0:
                self.who.addItem(f"{name}, installed", name)

    def _show(self) -> None:
        asked = self._asked()
        key = None if asked is None else ForeseeLabels(asked).key
        held = None if key is None else self._desk.workspace.prepared.get(key)
        bad = isinstance(held, Foreseen) and bool(held.problem)
        if asked is None:
            told = "Every feature that is on has a label already."
        elif not isinstance(held, Foreseen):
            told = "Naming one feature to see how long it takes\N{HORIZONTAL ELLIPSIS}"
        else:
            told = held.problem or (
                f"At most {seconds_text(held.seconds)}. It can be stopped: what is found stays."
            )
        self.outlook.setText(told)
        self.go.setEnabled(asked is not None and not bad)

    def _on_go(self) -> None:
        asked = self._asked()
        if asked is not None:
            self._runner.cancel(ForeseeLabels.slot)  # it would only come first
            self._runner.ask(ProposeLabels(asked))
            self.accept()

    def done(self, result: int) -> None:
        """Nobody waits for an estimate any more, however the dialog went."""
        self._desk.workspace.prepared.arrived.disconnect(self._on_prepared)
        self._runner.cancel(ForeseeLabels.slot)
        super().done(result)
        self.deleteLater()
