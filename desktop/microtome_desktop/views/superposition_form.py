"""Sliders of the superposition lab: how many features share how many dimensions, how rarely."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QSlider, QVBoxLayout, QWidget

from microtome.records.superposition import ToyPlan
from microtome_desktop.state.superpositions import spread
from microtome_desktop.views.fonts import mono_font

MODELS = 3  # beside each other at most
_LABEL, _NUMBER = 88, 40  # pixels
# Name, title, range, start, what a step of it is, and how it is written.
_Row = tuple[str, str, tuple[int, int], int, float, str]
_ROWS: tuple[_Row, ...] = (
    ("features", "features", (2, 60), 5, 1, "{:.0f}"),
    ("dimensions", "dimensions", (1, 30), 2, 1, "{:.0f}"),
    ("low", "sparsity from", (0, 99), 0, 0.01, "{:.2f}"),
    ("high", "to", (0, 99), 90, 0.01, "{:.2f}"),
    ("models", "models", (1, MODELS), 3, 1, "{:.0f}"),
    ("importance", "importance", (50, 100), 85, 0.01, "{:.2f}"),
    ("steps", "steps", (1, 100), 10, 100, "{:,.0f}"),
    ("starts", "starts of each", (1, 12), 6, 1, "{:.0f}"),
    ("seed", "seed", (0, 50), 0, 1, "{:.0f}"),
)
_TIPS = {
    "features": "How many features the data have",
    "dimensions": "How many dimensions they go through",
    "low": "Share of zeros in the data of the first model",
    "high": "Share of zeros in the data of the last model",
    "models": "How many models between these sparsities are trained at once",
    "importance": "How much the error of each next feature counts, beside the one before",
    "steps": "Steps of the training",
    "starts": "How often each model is trained from elsewhere; the one with the smallest loss "
    "is shown, because a single run often ends in another arrangement than the best",
    "seed": "Where everything random starts",
}


class ToyForm(QWidget):
    """A slider for each number of a plan; ``changed`` when any is moved."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.sliders: dict[str, QSlider] = {}
        self._numbers: dict[str, QLabel] = {}
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(5)
        for at, row in enumerate(_ROWS):
            self._add(grid, at, row)
        grid.setColumnStretch(1, 1)
        self.exact = QLabel()
        self.exact.setObjectName("dim")
        self.exact.setWordWrap(True)
        self.exact.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(grid)
        column.addWidget(self.exact)
        self._tell()

    def _add(self, grid: QGridLayout, at: int, row: _Row) -> None:
        name, title, (low, high), start, _, _ = row
        slider = QSlider(Qt.Orientation.Horizontal)
        slider.setObjectName(f"toy_{name}")
        slider.setAccessibleName(f"{_TIPS[name].lower()}")
        slider.setToolTip(_TIPS[name])
        slider.setRange(low, high)
        slider.setValue(start)
        slider.setMinimumWidth(50)
        label, number = QLabel(title), QLabel()
        label.setFixedWidth(_LABEL)
        number.setFont(mono_font(11))
        number.setFixedWidth(_NUMBER)
        number.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        for column, part in enumerate((label, slider, number)):
            grid.addWidget(part, at, column)
        self.sliders[name], self._numbers[name] = slider, number
        slider.valueChanged.connect(self._on_change)

    def value(self, name: str) -> float:
        """What a slider stands at."""
        step = next(row[4] for row in _ROWS if row[0] == name)
        return round(self.sliders[name].value() * step, 2)

    def plan(self) -> ToyPlan:
        """The plan that the sliders make."""
        whole: Callable[[str], int] = lambda name: int(self.value(name))  # noqa: E731
        return ToyPlan(
            whole("features"), whole("dimensions"),
            spread(self.value("low"), self.value("high"), whole("models")),
            self.value("importance"), whole("steps"), seed=whole("seed"), starts=whole("starts"),
        )  # fmt: skip

    def state(self) -> dict[str, int]:
        """Where each slider stands."""
        return {name: slider.value() for name, slider in self.sliders.items()}

    def restore(self, held: dict[str, Any]) -> None:
        """Put the sliders there."""
        for name, slider in self.sliders.items():
            if isinstance(held.get(name), int):
                with QSignalBlocker(slider):
                    slider.setValue(held[name])
        self._on_change()

    def _on_change(self, *_: object) -> None:
        self._tell()
        self.changed.emit()

    def _tell(self) -> None:
        for name, _, _, _, _, written in _ROWS:
            self._numbers[name].setText(written.format(self.value(name)))
        plan = self.plan()
        shares = ", ".join(f"{each:g}" for each in plan.sparsity)
        counts = f"; each next counts {plan.importance:g} times" if plan.importance < 1 else ""
        best = f"; the best of {plan.starts} starts each" if plan.starts > 1 else ""
        self.exact.setText(
            f"{plan.features} features in {plan.dimensions} dimensions, zeros with probability "
            f"{shares}{counts}{best}"
        )
