"""Edits of features in words, what they do as rows of tables, and the words of a feature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from microtome.records.circuit import FEATURE, OUTPUT, Circuit
from microtome.records.feature_edit import (
    FEATURE_EDIT,
    FEATURE_TEXT,
    FEATURE_WORDS,
    FeatureEditSpec,
)
from microtome.records.feature_names import with_names
from microtome.records.generation import Generation, generations_of
from microtome.records.session import Session
from microtome_desktop.presenters.circuit_text import node_title
from microtome_desktop.presenters.edits import Effect
from microtome_desktop.state.exports import Table
from microtome_desktop.state.feature_acts import acting, bundles
from microtome_desktop.state.feature_nodes import shown_marks
from microtome_desktop.state.foreign import UNREADABLE

NO_FEATURE_EDIT = "No edit of a feature acts on this graph."
_LISTED = 200  # nodes that edits move, those first that are moved most
_ACTS = {"ablate": "ablate", "scale": "scale ×", "set": "set to", "steer": "steer by"}


@dataclass(frozen=True, slots=True)
class FeatureLine:
    """Edits that the list shows as one: of a feature, or of the features of a group."""

    rows: tuple[int, ...]
    text: str
    action: str
    amount: float
    on: bool
    here: bool  # at its positions alone
    tip: str

    @property
    def has_amount(self) -> bool:
        """Whether there is a number to choose."""
        return self.action != "ablate"


def act_text(action: str) -> str:
    """What an action is called before its number."""
    return _ACTS[action]


def feature_lines(session: Session | None) -> tuple[FeatureLine, ...]:
    """The edits of features of a session, in their order."""
    edits = () if session is None else session.marks.feature_edits
    return tuple(_line(session, rows, [edits[row] for row in rows]) for rows in bundles(edits))


def _line(
    session: Session | None, rows: tuple[int, ...], specs: list[FeatureEditSpec]
) -> FeatureLine:
    first = specs[0]
    names = [_called(session, spec) for spec in specs]
    what = f"{first.group} ({len(specs)} features)" if first.group else names[0]
    return FeatureLine(
        rows, what, first.action, first.amount, any(spec.on for spec in specs),
        first.positions is not None, ", ".join(names),
    )  # fmt: skip


def _called(session: Session | None, spec: FeatureEditSpec) -> str:
    circuit = None if session is None else session.circuit
    plain = f"L{spec.layer} F{spec.feature}"
    if session is None or circuit is None or spec.positions is None:
        return plain
    at = spec.positions[0] if spec.positions else 0
    node = f"{spec.layer}_{spec.feature}_{at}"
    name = shown_marks(session).names.get(node, plain)
    tokens = circuit.metadata.get("tokens", ())
    return f"{name} at “{tokens[at].strip()}” ({at})" if 0 <= at < len(tokens) else name


def feature_effects(session: Session | None) -> tuple[Effect, ...]:
    """The most probable tokens without and with the edits of features; none before they ran."""
    held = None if session is None else session.analyses.get(FEATURE_EDIT)
    if session is None or held is None:
        return ()
    ids = [session.metric.get(f"{name}_id") for name in ("answer", "wrong")]
    try:
        columns = [held.array(name).tolist() for name in _EFFECT]
    except UNREADABLE:
        return ()
    rows = sorted(zip(*columns, strict=True), key=lambda row: -max(row[2], row[3]))
    return tuple(
        Effect(str(word), before, after, token == ids[0], token == ids[1])
        for word, token, before, after in rows
    )


_EFFECT = ("word", "word_id", "probability_before", "probability_after")


@dataclass(frozen=True, slots=True)
class Moved:
    """A node whose activation or logit the edits move."""

    node: str
    label: str
    before: float
    after: float | None  # None where it is a word that the graph does not have any more


def moved_nodes(session: Session | None) -> tuple[Moved, ...]:
    """The nodes that edits of features move most."""
    held = None if session is None else session.analyses.get(FEATURE_EDIT)
    circuit = None if session is None else session.circuit
    if session is None or held is None or circuit is None:
        return ()
    try:
        before, after = held.array("before"), held.array("after")
    except UNREADABLE:
        return ()
    if len(before) != circuit.n_nodes:
        return ()
    size = np.nan_to_num(np.abs(after - before), nan=np.inf)
    order = np.argsort(-size, kind="stable")[:_LISTED].tolist()
    circuit = with_names(circuit, shown_marks(session).names)
    return tuple(_moved(circuit, row, before, after) for row in order if size[row] > 0)


def _moved(circuit: Circuit, row: int, before: np.ndarray, after: np.ndarray) -> Moved:
    now = None if np.isnan(after[row]) else float(after[row])
    return Moved(circuit.node_id[row], node_title(circuit, row), float(before[row]), now)


def feature_texts(session: Session | None) -> tuple[Generation | None, Generation | None]:
    """What was written without and with edits of features."""
    held = None if session is None else session.analyses.get(FEATURE_TEXT)
    return (None, None) if held is None else generations_of(held)


def effects_table(session: Session) -> Callable[[], Table] | str:
    """The predictions without and with the edits, and the nodes that they move."""
    rows = [("prediction", each.token, each.before, each.after)
            for each in feature_effects(session)]  # fmt: skip
    rows += [("node", each.label, each.before, each.after) for each in moved_nodes(session)]
    if not rows or not acting(session.marks):
        return NO_FEATURE_EDIT
    return lambda: Table(("what", "name", "before", "after"), tuple(rows))


@dataclass(frozen=True, slots=True)
class FeatureWords:
    """The words that a feature raises and lowers, strongest first."""

    raised: tuple[str, ...]
    lowered: tuple[str, ...]


def words_of(session: Session, node: str) -> FeatureWords | None:
    """What a feature of the graph does to the vocabulary; None where it was not looked at."""
    circuit, held = session.circuit, session.analyses.get(FEATURE_WORDS)
    if circuit is None or held is None or node not in circuit.node_id:
        return None
    row = circuit.row(node)
    if circuit.node_kind[row] != FEATURE:
        return None
    try:
        layers, numbers = held.array("layer"), held.array("number")
        own = (layers == circuit.node_layer[row]) & (numbers == circuit.node_feature[row])
        if not own.any():
            return None
        at = int(np.argmax(own))
        raised, lowered = (tuple(map(str, held.array(n)[at])) for n in ("raised", "lowered"))
    except UNREADABLE:
        return None
    return FeatureWords(raised, lowered)


def is_feature(session: Session | None, node: str | None) -> bool:
    """Whether a node of the session's graph is a feature."""
    circuit = None if session is None else session.circuit
    if circuit is None or node is None or node not in circuit.node_id:
        return False
    return circuit.node_kind[circuit.row(node)] == FEATURE


def is_answer(circuit: Circuit, row: int) -> bool:
    """Whether a node is a word."""
    return circuit.node_kind[row] == OUTPUT
