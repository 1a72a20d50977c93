"""What the commands of the Features menu do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QFileDialog

from microtome.records.neuron_prints import neurons_fingerprint
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.export_requests import SaveTable
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.main_window import MainWindow

if TYPE_CHECKING:
    from microtome_desktop.jobs.direction_request import ProjectDirections

    # Plots come with their panels, one at a turn.
    from microtome_desktop.views.features_panel import FeaturesPanel
    from microtome_desktop.views.panel import Panel

_FILES = "Labels (*.csv *.tsv *.json *.jsonl *.json.gz *.jsonl.gz)"


class FeatureCommands(QObject):
    """Opens dialogs, and asks for what the panel then shows."""

    def __init__(
        self, window: MainWindow, desk: Desk, runner: JobRunner, panels: dict[str, Panel]
    ) -> None:
        super().__init__(window)
        self._window, self._desk, self._runner, self._panels = window, desk, runner, panels

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """What each command does."""
        return {
            CommandId.OPEN_DICTIONARY: self.open_dictionary,
            CommandId.SAVE_DICTIONARY: self.save_dictionary,
            CommandId.INDEX_FEATURES: self.look_through,
            CommandId.FEATURE_DIRECTIONS: self.show_directions,
            CommandId.FEATURE_UMAP: self.show_umap,
            CommandId.SPLIT_FEATURES: self.show_splits,
            CommandId.NEURON_CARD: self.show_neuron,
            CommandId.PROPOSE_LABELS: self.propose_labels,
            CommandId.ACCEPT_LABELS: self.accept_labels,
            CommandId.IMPORT_LABELS: self.import_labels,
            CommandId.EXPORT_LABELS: self.export_labels,
        }

    def _panel(self) -> FeaturesPanel | None:
        """The panel, in front; there is none before the window is full."""
        from microtome_desktop.views.features_panel import FeaturesPanel

        panel = self._panels.get("features")
        self._window.show_panel("features")
        return panel if isinstance(panel, FeaturesPanel) else None

    def open_dictionary(self) -> None:
        """Show what there is, and open what is chosen."""
        from microtome_desktop.views.dictionary_dialog import DictionaryDialog

        self._panel()
        DictionaryDialog(self._desk, self._runner, self._window).show()

    def save_dictionary(self) -> None:
        """Ask for format and folder, and save it there."""
        from microtome_desktop.views.dictionary_save_dialog import DictionarySaveDialog

        panel = self._panel()
        if panel is not None and panel.current is not None:
            DictionarySaveDialog(self._desk, self._runner, panel.current, self._window).show()

    def look_through(self) -> None:
        """Ask for a text, and read it; of a layer of units show the chosen images."""
        from microtome_desktop.views.index_dialog import IndexDialog

        panel = self._panel()
        if panel is not None and panel.images.alone:
            panel.images.read()
        elif panel is not None and panel.current is not None:
            IndexDialog(self._desk, self._runner, panel.current, self._window).show()

    def show_directions(self) -> None:
        """Their principal components, as points of the feature space."""
        from microtome_desktop.jobs.direction_request import ProjectDirections

        self._place(ProjectDirections)

    def show_umap(self) -> None:
        """The same directions as UMAP places them."""
        from microtome_desktop.jobs.direction_request import PlaceByUmap

        self._place(PlaceByUmap)

    def _place(self, kind: type[ProjectDirections]) -> None:
        panel = self._panel()
        if panel is not None and panel.current is not None:
            source = panel.current
            self._runner.ask(kind(source.fingerprint, source.name))
            self._window.show_panel("feature_space")

    def show_splits(self) -> None:
        """The comparison of the chosen pair, which is made where it is not there."""
        from microtome_desktop.views.splitting_panel import SplittingPanel

        panel = self._panels.get("splitting")
        self._window.show_panel("splitting")
        if isinstance(panel, SplittingPanel) and panel.comparison is None:
            panel.compare()

    def show_neuron(self) -> None:
        """The selected neuron's card, or the offer to look through a text for its layer."""
        selected, session = self._desk.selection.current, self._desk.workspace.session
        if session is None:
            return
        if selected.neuron is not None and selected.layer is not None:
            self._panel()
            layer = neurons_fingerprint(selected.layer, session.model.fingerprint)
            self._desk.dictionaries.choose(layer)
            self._desk.selection.update(feature=(layer, selected.neuron))

    def propose_labels(self) -> None:
        """Ask who is to propose, for which features."""
        from microtome_desktop.presenters.feature_labels import features_to_name
        from microtome_desktop.views.propose_dialog import ProposeDialog

        panel = self._panel()
        if panel is not None and panel.table is not None and panel.current is not None:
            asked = features_to_name(panel.table, panel.labels, panel.feature)
            ProposeDialog(self._desk, self._runner, panel.current, asked, self._window).show()

    def accept_labels(self) -> None:
        """Take every proposal, as one step; labels that are there stay."""
        from microtome_desktop.presenters.feature_labels import proposed_labels
        from microtome_desktop.state.proposals import accept_all

        panel, session = self._panel(), self._desk.workspace.session
        if panel is None or panel.table is None or panel.current is None or session is None:
            return
        found = proposed_labels(panel.table, panel.labels, panel.naming.proposals)
        if not found:
            self._desk.notices.info("Every feature with a proposal has a label already")
            return
        accept_all(self._desk.book, session, panel.current.fingerprint, found)

    def import_labels(self) -> None:
        """Take the labels of a file."""
        from microtome_desktop.jobs.label_requests import ReadLabels

        panel = self._panel()
        if panel is None or panel.table is None or panel.current is None:
            return
        settings = self._desk.settings
        chosen, _ = QFileDialog.getOpenFileName(
            self._window, "Import labels", settings.folder, _FILES
        )
        if chosen:
            settings.folder = str(Path(chosen).parent)
            print_, many = panel.current.fingerprint, panel.table.n_features
            reads = str(panel.table.index.params.get("reads", ""))
            self._runner.ask(ReadLabels(Path(chosen), print_, many, reads))

    def export_labels(self) -> None:
        """Write the user's labels."""
        from microtome_desktop.presenters.feature_labels import labels_table

        panel = self._panel()
        if panel is None or not panel.labels:
            self._desk.notices.info("No feature has a label of yours yet")
            return
        settings = self._desk.settings
        suggested = str(Path(settings.folder or Path.home()) / "labels.csv")
        chosen, _ = QFileDialog.getSaveFileName(
            self._window, "Export labels", suggested, "CSV (*.csv);;JSON (*.json)"
        )
        if chosen:
            path = Path(chosen)
            settings.folder = str(path.parent)
            path = path if path.suffix else path.with_suffix(".csv")
            self._runner.ask(SaveTable(path, partial(labels_table, panel.labels)))
