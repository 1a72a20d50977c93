"""What the commands of the panels of training and superposition do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from microtome.errors import InputError
from microtome_desktop.commands.command import CommandId
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.main_window import MainWindow

if TYPE_CHECKING:
    # Plots come with their panels, one at a turn.
    from microtome_desktop.views.panel import Panel
    from microtome_desktop.views.superposition_panel import SuperpositionPanel
    from microtome_desktop.views.training_panel import TrainingPanel


class TrainingCommands(QObject):
    """Hands each command on to its panel; there is none before the window is full."""

    def __init__(self, window: MainWindow, desk: Desk, panels: dict[str, Panel]) -> None:
        super().__init__(window)
        self._window, self._desk, self._panels = window, desk, panels

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """What each command does."""
        return {
            CommandId.TRAIN: self._train(lambda panel: panel.run_training()),
            CommandId.CONTINUE_TRAINING: self._train(lambda panel: panel.continue_training()),
            CommandId.TRAIN_TOY: self._superpose(lambda panel: panel.run_toy()),
            CommandId.PHASES: self._superpose(lambda panel: panel.run_phases()),
            CommandId.MEASURE_SHARING: self._superpose(lambda panel: panel.measure_layer()),
            CommandId.PROBE: self._probe,
        }

    def _train(self, act: Callable[[TrainingPanel], None]) -> Callable[[], None]:
        def run() -> None:
            from microtome_desktop.views.training_panel import TrainingPanel

            panel = self._panels.get("training")
            if isinstance(panel, TrainingPanel):
                self._window.show_panel("training")
                self._told(lambda: act(panel))

        return run

    def _superpose(self, act: Callable[[SuperpositionPanel], None]) -> Callable[[], None]:
        def run() -> None:
            from microtome_desktop.views.superposition_panel import SuperpositionPanel

            panel = self._panels.get("superposition")
            if isinstance(panel, SuperpositionPanel):
                self._window.show_panel("superposition")
                self._told(lambda: act(panel))

        return run

    def _probe(self) -> None:
        """Probe what is written; where nothing is, show the panel, which says what to write."""
        from microtome_desktop.views.probe_panel import ProbePanel

        panel = self._panels.get("probes")
        if isinstance(panel, ProbePanel):
            self._window.show_panel("probes")
            if panel.form.prompts.toPlainText().strip():
                self._told(panel.run_probe)
            else:
                panel.form.prompts.setFocus()

    def _told(self, act: Callable[[], None]) -> None:
        try:
            act()
        except InputError as error:
            self._desk.notices.warn(error.what, error.way_out)
