"""Which panels there are and where they sit at first: the one table the window is built from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from microtome_desktop.views.panel import Panel


class Area(Enum):
    """Where a panel sits when the layout is reset."""

    LEFT = "left"
    STRIP = "strip"  # above the centre, not movable
    CENTRE = "centre"  # not movable
    RIGHT = "right"
    BOTTOM = "bottom"


@dataclass(frozen=True, slots=True)
class Place:
    """A row: the panel, its place, and its share of its area.

    Panels of one ``group`` share a place as tabs. ``load`` imports the class: the shell is
    painted before any panel is imported. A ``late`` panel is made when it is first shown or
    asked for, and draws what there is by then: nothing may depend on its being there.
    """

    name: str
    title: str
    icon: str
    area: Area
    load: Callable[[], type[Panel]]
    size: int = 1
    group: str = ""
    scrolls: bool = False  # higher than its place may be
    late: bool = False


def _ask() -> type[Panel]:
    from microtome_desktop.views.ask_panel import AskPanel

    return AskPanel


def _lessons() -> type[Panel]:
    from microtome_desktop.views.lesson_panel import LessonPanel

    return LessonPanel


def _history() -> type[Panel]:
    from microtome_desktop.views.history_panel import HistoryPanel

    return HistoryPanel


def _lists() -> type[Panel]:
    from microtome_desktop.views.lists_panel import ListsPanel

    return ListsPanel


def _notes() -> type[Panel]:
    from microtome_desktop.views.notes_panel import NotesPanel

    return NotesPanel


def _jobs() -> type[Panel]:
    from microtome_desktop.views.jobs_panel import JobsPanel

    return JobsPanel


def _tokens() -> type[Panel]:
    from microtome_desktop.views.token_strip import TokenStrip

    return TokenStrip


def _circuit() -> type[Panel]:
    from microtome_desktop.views.circuit import CircuitPanel

    return CircuitPanel


def _discovery() -> type[Panel]:
    from microtome_desktop.views.discovery_panel import DiscoveryPanel

    return DiscoveryPanel


def _hypothesis() -> type[Panel]:
    from microtome_desktop.views.hypothesis_panel import HypothesisPanel

    return HypothesisPanel


def _heatmap() -> type[Panel]:
    from microtome_desktop.views.heatmap_panel import HeatmapPanel

    return HeatmapPanel


def _patching() -> type[Panel]:
    from microtome_desktop.views.patching_panel import PatchingPanel

    return PatchingPanel


def _attention() -> type[Panel]:
    from microtome_desktop.views.attention_panel import AttentionPanel

    return AttentionPanel


def _space() -> type[Panel]:
    from microtome_desktop.views.feature_space_panel import FeatureSpacePanel

    return FeatureSpacePanel


def _node() -> type[Panel]:
    from microtome_desktop.views.node_card import NodeCardPanel

    return NodeCardPanel


def _neurons() -> type[Panel]:
    from microtome_desktop.views.neuron_panel import NeuronPanel

    return NeuronPanel


def _histogram() -> type[Panel]:
    from microtome_desktop.views.histogram_panel import HistogramPanel

    return HistogramPanel


def _heads() -> type[Panel]:
    from microtome_desktop.views.heads_panel import HeadsPanel

    return HeadsPanel


def _edits() -> type[Panel]:
    from microtome_desktop.views.edits_panel import EditsPanel

    return EditsPanel


def _feature_edits() -> type[Panel]:
    from microtome_desktop.views.feature_edits_panel import FeatureEditsPanel

    return FeatureEditsPanel


def _suite() -> type[Panel]:
    from microtome_desktop.views.suite_panel import SuitePanel

    return SuitePanel


def _features() -> type[Panel]:
    from microtome_desktop.views.features_panel import FeaturesPanel

    return FeaturesPanel


def _splitting() -> type[Panel]:
    from microtome_desktop.views.splitting_panel import SplittingPanel

    return SplittingPanel


def _training() -> type[Panel]:
    from microtome_desktop.views.training_panel import TrainingPanel

    return TrainingPanel


def _superposition() -> type[Panel]:
    from microtome_desktop.views.superposition_panel import SuperpositionPanel

    return SuperpositionPanel


def _probes() -> type[Panel]:
    from microtome_desktop.views.probe_panel import ProbePanel

    return ProbePanel


def _modules() -> type[Panel]:
    from microtome_desktop.views.modules_panel import ModulesPanel

    return ModulesPanel


def _see() -> type[Panel]:
    from microtome_desktop.views.see_panel import SeePanel

    return SeePanel


def _units() -> type[Panel]:
    from microtome_desktop.views.units_panel import UnitsPanel

    return UnitsPanel


def _visualise() -> type[Panel]:
    from microtome_desktop.views.visual_panel import VisualPanel

    return VisualPanel


def _lesions() -> type[Panel]:
    from microtome_desktop.views.lesion_lab import LesionLab

    return LesionLab


_LEFT, _STRIP, _CENTRE, _RIGHT, _BOTTOM = Area
PLACES = (
    Place("ask", "Prompt", "mdi6.text-box-outline", _LEFT, _ask, group="side"),
    Place("lessons", "Lessons", "mdi6.school-outline", _LEFT, _lessons, group="side"),
    Place("history", "History", "mdi6.history", _LEFT, _history, group="side"),
    Place("jobs", "Jobs", "mdi6.progress-clock", _LEFT, _jobs, group="side"),
    Place("token_strip", "Tokens", "mdi6.format-letter-spacing", _STRIP, _tokens),
    Place("circuit", "Circuit", "mdi6.graph-outline", _CENTRE, _circuit),
    Place("discovery", "Discovery", "mdi6.set-center", _CENTRE, _discovery),
    Place("hypothesis", "Hypothesis", "mdi6.head-question-outline", _CENTRE, _hypothesis),
    Place("suite", "Suite", "mdi6.clipboard-list-outline", _CENTRE, _suite),
    Place("features", "Features", "mdi6.creation", _CENTRE, _features),
    Place("splitting", "Splitting", "mdi6.source-branch", _CENTRE, _splitting, late=True),
    Place(
        "training", "Training", "mdi6.chart-bell-curve-cumulative", _CENTRE, _training, late=True
    ),
    Place(
        "superposition", "Superposition", "mdi6.vector-polyline", _CENTRE, _superposition, late=True
    ),
    Place("probes", "Probes", "mdi6.needle", _CENTRE, _probes, late=True),
    Place("see", "See", "mdi6.eye-outline", _CENTRE, _see, late=True),
    Place("units", "Units", "mdi6.view-grid-outline", _CENTRE, _units, late=True),
    Place("visualise", "Visualise", "mdi6.image-auto-adjust", _CENTRE, _visualise, late=True),
    Place("lesions", "Lesions", "mdi6.lightning-bolt-outline", _CENTRE, _lesions, late=True),
    Place("modules", "Modules", "mdi6.file-tree-outline", _CENTRE, _modules, late=True),
    Place("heatmap", "Layer × position", "mdi6.grid", _RIGHT, _heatmap, 50, "maps"),
    Place("attention", "Attention", "mdi6.eye-outline", _RIGHT, _attention, 50),
    # A tab comes last: beside a dock that is a tab already nothing can be put.
    Place("patching", "Patching", "mdi6.grid-large", _RIGHT, _patching, 50, "maps", scrolls=True),
    Place(
        "feature_edits", "Feature edits", "mdi6.hexagon-slice-3", _RIGHT, _feature_edits, 50, "maps"
    ),
    Place("feature_space", "Feature space", "mdi6.scatter-plot-outline", _BOTTOM, _space, 46),
    Place(
        "node_card", "Node", "mdi6.card-text-outline", _BOTTOM, _node, 54, "detail", scrolls=True
    ),
    Place("edits", "Edits", "mdi6.needle", _BOTTOM, _edits, 54, "detail", scrolls=True),
    Place("neurons", "Neurons", "mdi6.chart-scatter-plot", _BOTTOM, _neurons, 54, "detail"),
    Place("histogram", "Histogram", "mdi6.chart-histogram", _BOTTOM, _histogram, 54, "detail"),
    Place("heads", "Heads", "mdi6.table-eye", _BOTTOM, _heads, 54, "detail"),
    Place("lists", "List", "mdi6.format-list-bulleted", _BOTTOM, _lists, 54, "detail"),
    Place("notes", "Notes", "mdi6.note-text-outline", _BOTTOM, _notes, 54, "detail"),
)
