"""The notes on a session: what each is on, and the notes after one has changed."""

from __future__ import annotations

from dataclasses import dataclass

from microtome.records.marks import SESSION_NOTE, Marks, Note, feature_of, token_target
from microtome.records.session import Session
from microtome_desktop.presenters.circuit import selection_of
from microtome_desktop.presenters.circuit_text import node_title
from microtome_desktop.presenters.marking import group_id, named
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.state.feature_nodes import shown_marks
from microtome_desktop.state.features import index_with, labels_in
from microtome_desktop.state.selection import Selected

ON_SESSION = "the session"
_TOKEN = "token/"


@dataclass(frozen=True, slots=True)
class Line:
    """A note in the list: its target, what that is called, and its text."""

    target: str
    title: str
    text: str


def target_of(selected: Selected) -> str:
    """What a new note would be on: the selected node, else the token, else the session."""
    if selected.node is not None:
        return selected.node
    return SESSION_NOTE if selected.position is None else token_target(selected.position)


def target_title(session: Session, target: str) -> str:
    """What the target of a note is called."""
    if target == SESSION_NOTE:
        return ON_SESSION
    position = _position(target)
    if position is not None:
        tokens = () if session.clean is None else session.clean.tokens
        token = f"“{shown_token(tokens[position])}” " if position < len(tokens) else ""
        return f"token {token}({position})"
    feature = feature_of(target)
    if feature is not None:
        return _feature_title(session, *feature)
    groups = [group for group in session.marks.supernodes if group_id(group.name) == target]
    if groups:
        return f"group “{groups[0].name}”"
    circuit = session.circuit
    if circuit is None or target not in circuit.node_id:
        return target
    return node_title(named(circuit, shown_marks(session).names), circuit.row(target))


def _feature_title(session: Session, fingerprint: str, feature: int) -> str:
    index = index_with(session, fingerprint)
    of = "a dictionary" if index is None else str(index.params.get("dictionary", "a dictionary"))
    label = labels_in(session, fingerprint).get(feature, "")
    return f"feature {feature} of {of}" + (f", “{label}”" if label else "")


def lines(session: Session | None) -> tuple[Line, ...]:
    """Every note, that on the session first, then by token and node."""
    if session is None:
        return ()
    held = sorted(session.marks.notes, key=lambda note: (note.target != SESSION_NOTE, note.target))
    return tuple(Line(n.target, target_title(session, n.target), n.text) for n in held)


def selects(session: Session, target: str) -> dict[str, object]:
    """The fields of the selection that going to a note's target sets."""
    position = _position(target)
    if position is not None:
        return {"position": position, "node": None, "edge": None, "others": ()}
    feature = feature_of(target)
    if feature is not None:
        return {"feature": feature}
    circuit = session.circuit
    if circuit is not None and target in circuit.node_id:
        return {**selection_of(circuit, circuit.row(target)), "edge": None, "others": ()}
    return {"node": target or None, "edge": None, "others": ()}


def with_note(marks: Marks, target: str, text: str, time: str) -> tuple[Note, ...]:
    """The notes after the one on a target became ``text``; without it where that is empty."""
    left = tuple(note for note in marks.notes if note.target != target)
    return (*left, Note(target, text, time)) if text.strip() else left


def _position(target: str) -> int | None:
    number = target.removeprefix(_TOKEN)
    return int(number) if target.startswith(_TOKEN) and number.isdigit() else None
