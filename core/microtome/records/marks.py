"""What the user has written onto a session: notes, names, pins, groups and views of the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from microtome.records.edits import EditSet, EditSpec
from microtome.records.feature_edit import FeatureEditSpec
from microtome.records.feature_labels import FeatureLabel
from microtome.records.hypothesis import Hypothesis

OWN_PROMPT = -1  # in place of the row of a prompt set: the prompt that was run
SESSION_NOTE = ""  # the target of the note on the whole session
_FEATURE = "feature/"
_DIGITS = 9  # of the number of a feature


@dataclass(frozen=True, slots=True)
class Note:
    """A text on a node (its id), a token (``token/3``), or the session (empty target).

    On a feature it is ``feature/``, its dictionary's fingerprint, ``/`` and its number.
    """

    target: str
    text: str
    time: str = ""  # ISO 8601, UTC


@dataclass(frozen=True, slots=True)
class Supernode:
    """Nodes of a circuit that belong together under one name, drawn as one while collapsed."""

    name: str
    nodes: tuple[str, ...]
    collapsed: bool = True


@dataclass(frozen=True, slots=True)
class PointGroup:
    """Points of the feature space under one name and colour.

    A point is the row of a prompt in its prompt set (-1: the prompt that was run) and a position.
    ``colour`` is a row of the window's palette of groups. ``prompts`` recognises the prompt set
    (empty: any), so that rows of one set are never taken for those of another.
    """

    name: str
    colour: int
    points: tuple[tuple[int, int], ...]
    prompts: str = ""


@dataclass(frozen=True, slots=True)
class GraphView:
    """A way to look at the circuit, kept under a name: plain JSON of the window."""

    name: str
    state: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Marks:
    """All that the user has made on one session. Nodes are named by their ids.

    ``edits`` are the changes of the model that the window tries on the prompt, in their order;
    ``labels`` are those of features that were typed.
    ``hypotheses`` each have a title of their own. ``feature_edits`` are those of an attribution
    graph's features, which act as ``feature_mode`` says, ``free`` or ``frozen``. ``lesion`` names
    the units that were chosen by hand for a lesion, such as ``pool/12``.
    """

    notes: tuple[Note, ...] = ()
    names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    pins: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    supernodes: tuple[Supernode, ...] = ()
    point_groups: tuple[PointGroup, ...] = ()
    views: tuple[GraphView, ...] = ()
    edits: tuple[EditSpec, ...] = ()
    edit_sets: tuple[EditSet, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    labels: tuple[FeatureLabel, ...] = ()
    feature_edits: tuple[FeatureEditSpec, ...] = ()
    feature_mode: str = "free"
    lesion: tuple[str, ...] = ()

    def note(self, target: str) -> str:
        """The text of a note, empty without one."""
        return next((note.text for note in self.notes if note.target == target), "")

    def supernode_of(self, node: str) -> Supernode | None:
        """The group that a node is in."""
        return next((group for group in self.supernodes if node in group.nodes), None)


def token_target(position: int) -> str:
    """What a note on a token names as its target."""
    return f"token/{position}"


def feature_target(dictionary: str, feature: int) -> str:
    """What a note on a feature names as its target; ``dictionary`` is a fingerprint."""
    return f"{_FEATURE}{dictionary}/{feature}"


def feature_of(target: str) -> tuple[str, int] | None:
    """The dictionary and number of the feature that a note is on, None for another target."""
    dictionary, _, number = target.removeprefix(_FEATURE).rpartition("/")
    named = target.startswith(_FEATURE) and bool(dictionary)
    # Of a strange file a number may be anything.
    usable = named and number.isascii() and number.isdecimal() and len(number) <= _DIGITS
    return (dictionary, int(number)) if usable else None
