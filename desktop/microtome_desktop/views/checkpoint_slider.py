"""A slider over the training steps of a model: watch the circuit form."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSlider, QToolButton, QWidget

from microtome_desktop.presenters.checkpoints import Stop
from microtome_desktop.views.icons import icon

_PLAY_MS = 900  # a stop; long enough to see what changed


class CheckpointSlider(QWidget):
    """One position a stop; hidden for a model without checkpoints. Emits the name to load."""

    step_asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stops: tuple[Stop, ...] = ()
        title = QLabel("Training")
        title.setObjectName("dim")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setObjectName("checkpoint")
        self.slider.setAccessibleName("training step")
        self.slider.setPageStep(1)
        self.slider.setMinimumWidth(60)
        self.slider.setMaximumWidth(170)
        self.slider.setToolTip("The model as it was at this step of its training; runs again")
        self.told = QLabel()
        self.told.setFixedWidth(70)
        self.play = QToolButton()
        self.play.setObjectName("play_training")
        self.play.setIconSize(QSize(16, 16))
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 0, 0, 0)
        row.setSpacing(6)
        for part in (title, self.play, self.slider, self.told):
            row.addWidget(part)
        self._player = QTimer(self, interval=_PLAY_MS)
        self._player.timeout.connect(self._on_tick)
        self.slider.valueChanged.connect(self._on_value)
        self.play.clicked.connect(self._on_play)
        self._show_player()
        self.hide()

    def show_stops(self, stops: tuple[Stop, ...], now: int) -> None:
        """Offer these stops, standing at one of them; asks for nothing."""
        self._stops = stops
        self.setVisible(bool(stops))
        if not stops:
            self._stop_playing()
            return
        self.slider.blockSignals(True)
        self.slider.setRange(0, len(stops) - 1)
        self.slider.setValue(now)
        self.slider.blockSignals(False)
        self.told.setText(stops[now].title)

    @Slot(int)
    def _on_value(self, value: int) -> None:
        self.told.setText(self._stops[value].title)
        self.step_asked.emit(self._stops[value].name)

    @Slot()
    def _on_play(self) -> None:
        if self._player.isActive():
            self._stop_playing()
            return
        if self.slider.value() == self.slider.maximum():
            self.slider.setValue(0)
        self._player.start()
        self._show_player()

    @Slot()
    def _on_tick(self) -> None:
        self.slider.setValue(self.slider.value() + 1)
        if self.slider.value() == self.slider.maximum():
            self._stop_playing()

    def _stop_playing(self) -> None:
        self._player.stop()
        self._show_player()

    def _show_player(self) -> None:
        playing = self._player.isActive()
        self.play.setIcon(icon("mdi6.pause" if playing else "mdi6.play"))
        tip = "Stop" if playing else "Play the training from its start"
        self.play.setToolTip(tip)
        self.play.setAccessibleName(tip)
