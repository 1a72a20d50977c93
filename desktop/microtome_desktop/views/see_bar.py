"""What of an image is shown: kind of map, layer, method, and the class that is asked about."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from microtome_desktop.presenters.seeing import (
    ACTIVITY,
    ATTENTION,
    ATTRIBUTION,
    BASELINES,
    METHODS,
    MODES,
)
from microtome_desktop.state.seeing import AttributionWish, ClassWish
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.form_fields import choice

_NONE = -1
_LAYER, _CLASS = 150, 180  # pixels: most names of layers, whole; classes, at most


class SeeBar(QWidget):
    """Boxes in a row; ``changed`` when any of them is."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.mode = choice("see_mode", "kind of map", ())
        for name, title in MODES:
            self.mode.addItem(title, name)
        self.layer = choice("see_layer", "layer", ())
        self.layer.setMinimumWidth(_LAYER)
        self.method = choice("see_method", "method", ())
        for name, title in METHODS:
            self.method.addItem(title, name)
        self.baseline = choice("see_baseline", "what stands for nothing", BASELINES)
        self.baseline.setToolTip("What stands for nothing: where the path of the method begins")
        self.answer = choice("see_answer", "class", ())
        self.wrong = choice("see_wrong", "class that it is set against", ())
        for box in (self.layer, self.answer, self.wrong):  # other models have longer names
            box.setSizeAdjustPolicy(Choice.SizeAdjustPolicy.AdjustToContents)
        for box in (self.answer, self.wrong):
            box.setMaximumWidth(_CLASS)
        self.run = QPushButton("Map")
        self.run.setObjectName("see_run")
        self._labels = {self.layer: QLabel("in"), self.answer: QLabel("for"),
                        self.wrong: QLabel("against")}  # fmt: skip
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(6)
        for box in (self.mode, self.layer, self.method, self.baseline):
            self._add(line, box)
        line.addWidget(self.run)
        line.addStretch(1)
        for box in (self.answer, self.wrong):
            self._add(line, box)
        for box in (self.mode, self.layer, self.method, self.baseline, self.answer, self.wrong):
            box.activated.connect(self._on_changed)
        self._show_fields()

    def _add(self, line: QHBoxLayout, box: QWidget) -> None:
        if box in self._labels:
            self._labels[box].setObjectName("dim")
            line.addWidget(self._labels[box])
        line.addWidget(box)

    def _on_changed(self, *_: object) -> None:
        self._show_fields()
        self.changed.emit()

    def _show_fields(self) -> None:
        mode = self.mode.currentData()
        attributed = mode == ATTRIBUTION
        self.method.setVisible(attributed)
        self.run.setVisible(attributed)
        with_layer = mode in (ACTIVITY, ATTENTION)
        cam = attributed and self.method.currentData() == "grad-cam"
        self.baseline.setVisible(
            attributed and self.method.currentData() in ("integrated-gradients", "occlusion")
        )
        for part in (self.layer, self._labels[self.layer]):
            part.setVisible(with_layer or cam)

    # what is chosen

    @property
    def wish(self) -> AttributionWish:
        """The attribution map that the boxes say."""
        method = str(self.method.currentData())
        layer = self.layer.currentText() if method == "grad-cam" else None
        return AttributionWish(method, self.score, self.baseline.currentText(), layer or None)

    @property
    def score(self) -> ClassWish:
        """The class, and the one that it is set against."""
        answer, wrong = self.answer.currentData(), self.wrong.currentData()
        return ClassWish(
            0 if answer is None else int(answer), None if wrong in (None, _NONE) else int(wrong)
        )

    def choose(self, mode: str) -> None:
        """Show another kind of map, without telling."""
        self.mode.setCurrentIndex(max(0, self.mode.findData(mode)))
        self._show_fields()

    def offer_layers(self, names: Sequence[str], wanted: str = "") -> None:
        """Layers to choose from; what is chosen stays where it can."""
        before = wanted or self.layer.currentText()
        with QSignalBlocker(self.layer):
            self.layer.clear()
            self.layer.addItems(list(names))
            at = self.layer.findText(before)
            self.layer.setCurrentIndex(at if at >= 0 else self.layer.count() - 1)

    def offer_classes(self, names: Sequence[str], wanted: ClassWish) -> None:
        """Classes to choose from."""
        for box, number in ((self.answer, wanted.answer), (self.wrong, wanted.wrong)):
            with QSignalBlocker(box):
                box.clear()
                if box is self.wrong:
                    box.addItem("nothing", _NONE)
                for at, name in enumerate(names):
                    box.addItem(name, at)
                box.setCurrentIndex(max(0, box.findData(_NONE if number is None else number)))
