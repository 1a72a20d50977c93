"""What a command is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Only for the type: the first frame is painted before the state is imported.
    from microtome_desktop.state.desk import Desk


class CommandId(StrEnum):
    """Everything that can be done from a menu, the tool bar or the keyboard."""

    OPEN_SESSION = auto()
    SAVE = auto()
    SAVE_AS = auto()
    VERIFY_FILE = auto()
    COMPACT_FILE = auto()
    IMPORT_GRAPH = auto()
    EXPORT_GRAPH = auto()
    QUIT = auto()
    UNDO = auto()
    REDO = auto()
    SWAP_PROMPTS = auto()
    CLEAR_SELECTION = auto()
    COPY_PICTURE = auto()
    WHAT_MADE_THIS = auto()
    PALETTE = auto()
    SETTINGS = auto()
    SAVE_LAYOUT = auto()
    RESET_LAYOUT = auto()
    MAXIMISE = auto()
    NEXT_PANEL = auto()
    PREVIOUS_PANEL = auto()
    FLOAT_PANEL = auto()
    HIDE_PANEL = auto()
    EXPORT_PANEL = auto()
    FULL_SCREEN = auto()
    PIN = auto()
    RENAME = auto()
    NOTE = auto()
    HIDE = auto()
    SHOW_HIDDEN = auto()
    GROUP = auto()
    UNGROUP = auto()
    PROPOSE_GROUPS = auto()
    COLLAPSE = auto()
    SEARCH = auto()
    FIT = auto()
    ZOOM_IN = auto()
    ZOOM_OUT = auto()
    COMPACT = auto()
    WEIGHTS = auto()
    SAVE_VIEW = auto()
    LASSO = auto()
    BOX = auto()
    PLAY_LAYERS = auto()
    SITE_BESIDE = auto()
    SWEEP = auto()
    TRACE_CAUSES = auto()
    SWEEP_EDIT = auto()
    HEAD_EFFECTS = auto()
    DISCOVER = auto()
    MEASURE_SIZE = auto()
    TEST_HYPOTHESIS = auto()
    COMPARE_CIRCUITS = auto()
    JUDGE_CIRCUIT = auto()
    KNOWN_CIRCUIT = auto()
    FORGET_CIRCUIT = auto()
    PATCH_PATH = auto()
    WHY_EDGE = auto()
    SUITE = auto()
    SLICE_CIRCUITS = auto()
    REDUNDANCY = auto()
    REMOVE_PARTS = auto()
    SWAPS = auto()
    ABLATE_OUTSIDE = auto()
    FEATURE_GRAPH = auto()
    OPEN_TRANSCODERS = auto()
    FEATURE_ABLATE = auto()
    FEATURE_SCALE = auto()
    FEATURE_SET = auto()
    FEATURE_STEER = auto()
    FEATURE_AFTER = auto()
    FEATURE_CLEAR = auto()
    FEATURE_CARD = auto()
    FEATURE_NODE = auto()
    OPEN_DICTIONARY = auto()
    SAVE_DICTIONARY = auto()
    INDEX_FEATURES = auto()
    FEATURE_DIRECTIONS = auto()
    FEATURE_UMAP = auto()
    SPLIT_FEATURES = auto()
    NEURON_CARD = auto()
    PROPOSE_LABELS = auto()
    ACCEPT_LABELS = auto()
    IMPORT_LABELS = auto()
    EXPORT_LABELS = auto()
    OPEN_MODEL_FOLDER = auto()
    OPEN_MODEL_HUB = auto()
    OPEN_ADAPTER = auto()
    SHOW_MODULES = auto()
    ATTACH_MODEL = auto()
    RUN_CHECKS = auto()
    SHOW_CHECKS = auto()
    SHOW_COVERAGE = auto()
    RUN = auto()
    STOP = auto()
    PAUSE = auto()
    REPRODUCE = auto()
    FOCUS_PROMPT = auto()
    OPEN_IMAGE = auto()
    OPEN_IMAGE_FOLDER = auto()
    PASTE_IMAGE = auto()
    NEXT_IMAGE = auto()
    PREVIOUS_IMAGE = auto()
    RANDOM_IMAGE = auto()
    ABLATE_ZERO = auto()
    ABLATE_MEAN = auto()
    PATCH_CORRUPT = auto()
    STEER_DIFFERENCE = auto()
    STEER_ANSWER = auto()
    ADD_EDIT = auto()
    SWITCH_EDITS = auto()
    SAVE_EDITS = auto()
    CLEAR_EDITS = auto()
    GENERATE = auto()
    PRICE = auto()
    TRAIN = auto()
    CONTINUE_TRAINING = auto()
    TRAIN_TOY = auto()
    LESION = auto()
    ADD_TO_LESION = auto()
    PHASES = auto()
    MEASURE_SHARING = auto()
    PROBE = auto()
    ATTRIBUTE_IMAGE = auto()
    READ_UNITS = auto()
    VISUALISE = auto()
    VISUALISE_FEATURE = auto()
    USE_VISUALISATION = auto()
    START_PAGE = auto()
    DOCUMENTATION = auto()
    SHORTCUTS = auto()
    MESSAGES = auto()
    COPY_DIAGNOSTICS = auto()
    ABOUT = auto()


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides whether a command can be used: the state, and whether a job is under way."""

    desk: Desk
    busy: bool = False


def always(_: Situation) -> str:
    """Nothing stands in the way."""
    return ""


@dataclass(frozen=True, slots=True)
class Command:
    """A row of the table.

    ``blocked`` gives the reason why the command cannot be used now, empty when it can; the
    reason is shown as its tool tip.
    """

    id: CommandId
    menu: str
    title: str
    tip: str
    icon: str = ""
    shortcut: str = ""
    blocked: Callable[[Situation], str] = always
    tool_bar: bool = False
    starts_group: bool = False  # a line above it in its menu
