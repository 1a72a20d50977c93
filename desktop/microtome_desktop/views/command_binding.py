"""Joins every command of the table to what it does."""

from __future__ import annotations

from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.adapter_commands import AdapterCommands
from microtome_desktop.views.circuit_commands import CircuitCommands
from microtome_desktop.views.discovery_commands import DiscoveryCommands
from microtome_desktop.views.edit_commands import EditCommands
from microtome_desktop.views.feature_commands import FeatureCommands
from microtome_desktop.views.feature_graph_commands import FeatureGraphCommands
from microtome_desktop.views.graph_commands import GraphCommands
from microtome_desktop.views.handlers import Handlers
from microtome_desktop.views.head_commands import HeadCommands
from microtome_desktop.views.hypothesis_commands import HypothesisCommands
from microtome_desktop.views.image_commands import ImageCommands
from microtome_desktop.views.lesion_commands import LesionCommands
from microtome_desktop.views.main_window import MainWindow
from microtome_desktop.views.panel import Panel
from microtome_desktop.views.panel_commands import PanelCommands
from microtome_desktop.views.patching_commands import PatchingCommands
from microtome_desktop.views.provenance_window import ProvenanceCommands
from microtome_desktop.views.seeing_commands import SeeingCommands
from microtome_desktop.views.space_commands import SpaceCommands
from microtome_desktop.views.suite_commands import SuiteCommands
from microtome_desktop.views.training_commands import TrainingCommands
from microtome_desktop.views.visual_commands import VisualCommands


def bind_commands(
    window: MainWindow,
    desk: Desk,
    runner: JobRunner,
    handlers: Handlers,
    panels: dict[str, Panel],
) -> None:
    """Bind the commands of the window and of its panels, which come and go in ``panels``."""
    graphs = GraphCommands(window, desk, runner, handlers)
    images = ImageCommands(window, desk, runner, panels)
    tables = (
        handlers,
        graphs,
        images,
        CircuitCommands(window, desk, panels),
        SpaceCommands(window, panels),
        PatchingCommands(window, desk, panels),
        HeadCommands(window, desk, panels),
        DiscoveryCommands(window, desk, panels),
        HypothesisCommands(window, desk, panels, handlers.patience.ask),
        SuiteCommands(window, desk, panels),
        FeatureGraphCommands(window, desk, runner, handlers),
        FeatureCommands(window, desk, runner, panels),
        TrainingCommands(window, desk, panels),
        SeeingCommands(window, desk, panels),
        VisualCommands(window, desk, panels),
        LesionCommands(window, desk, panels),
        PanelCommands(window),
        AdapterCommands(window, desk, handlers.patience),
        EditCommands(window, desk, panels, handlers.say),
        ProvenanceCommands(window, desk, panels),
    )
    for held in tables:
        window.actions_table.bind(held.table())
    graphs.images = images
    window.may_drop = graphs.may_drop
    window.dropped.connect(graphs.open_dropped)
    window.brought.connect(images.take_dropped)
