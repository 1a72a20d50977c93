"""Edits of features as clicks make them: what is selected, and what an act writes down for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from microtome.records.circuit import FEATURE, Circuit
from microtome.records.feature_edit import FeatureEditSpec
from microtome.records.marks import Marks
from microtome.records.session import Session
from microtome_desktop.state.book import Book
from microtome_desktop.state.selection import Selected

DOUBLE = 2.0  # what a scaling is at first
_GROUP = "group/"


def selected_features(session: Session, selected: Selected) -> tuple[tuple[int, str], ...]:
    """Rows of the selected features of a graph, each with the name of its group."""
    circuit = session.circuit
    if circuit is None:
        return ()
    wanted = [node for node in (selected.node, *selected.others) if node is not None]
    return features_of(circuit, session.marks, wanted)


def features_of(
    circuit: Circuit, marks: Marks, nodes: Iterable[str]
) -> tuple[tuple[int, str], ...]:
    """Rows of the features among some nodes, those of groups too."""
    names: dict[str, str] = {}
    for node in nodes:
        group = next((g for g in marks.supernodes if node == f"{_GROUP}{g.name}"), None)
        held = (node,) if group is None else group.nodes
        names |= dict.fromkeys(held, "" if group is None else group.name)
    if not names:
        return ()
    rows = {name: row for row, name in enumerate(circuit.node_id) if name in names}
    return tuple(
        (rows[name], group)
        for name, group in names.items()
        if name in rows and circuit.node_kind[rows[name]] == FEATURE
    )


def specs_for(
    circuit: Circuit, features: Iterable[tuple[int, str]], action: str
) -> tuple[FeatureEditSpec, ...]:
    """The edits that an act makes of features, at their positions: amounts to begin with."""
    made = []
    for row, group in features:
        layer, number, at = (
            int(column[row])
            for column in (circuit.node_layer, circuit.node_feature, circuit.node_position)
        )
        active = round(float(circuit.node_score[row]), 2)
        amount = {"ablate": 0.0, "scale": DOUBLE}.get(action, active)
        made.append(FeatureEditSpec(layer, number, action, amount, (at,), group=group))
    return tuple(made)


def edit_features(book: Book, specs: tuple[FeatureEditSpec, ...]) -> None:
    """Write edits down as one step; a feature that is edited there already is edited anew."""
    if not specs:
        return
    places = {(spec.layer, spec.feature) for spec in specs}
    held = [
        spec
        for spec in book.marks.feature_edits
        if (spec.layer, spec.feature) not in places or not _meet(spec, specs)
    ]
    book.mark(title_of(specs), feature_edits=(*held, *specs))


def _meet(one: FeatureEditSpec, others: Iterable[FeatureEditSpec]) -> bool:
    """Whether an edit acts where one of others does."""
    for other in others:
        same = (one.layer, one.feature) == (other.layer, other.feature)
        everywhere = one.positions is None or other.positions is None
        if same and (everywhere or set(one.positions or ()) & set(other.positions or ())):
            return True
    return False


def title_of(specs: tuple[FeatureEditSpec, ...]) -> str:
    """What edits are called, for undo."""
    first = specs[0]
    what = first.group and f"“{first.group}”"
    if not what:
        many = len(specs) > 1
        what = f"{len(specs)} features" if many else f"L{first.layer} F{first.feature}"
    return f"{first.action.capitalize()} {what}"


def bundles(specs: tuple[FeatureEditSpec, ...]) -> tuple[tuple[int, ...], ...]:
    """Rows of edits that are shown as one: those of a group by one act."""
    found: dict[object, list[int]] = {}
    for row, spec in enumerate(specs):
        key = (spec.group, spec.action) if spec.group else row
        found.setdefault(key, []).append(row)
    return tuple(tuple(rows) for rows in found.values())


def changed(
    specs: tuple[FeatureEditSpec, ...], rows: Iterable[int], **fields: object
) -> tuple[FeatureEditSpec, ...]:
    """Edits with other fields in some rows."""
    wanted = set(rows)
    return tuple(
        replace(spec, **fields) if row in wanted else spec  # type: ignore[arg-type]
        for row, spec in enumerate(specs)
    )


def acting(marks: Marks) -> tuple[FeatureEditSpec, ...]:
    """The edits of features that are on."""
    return tuple(spec for spec in marks.feature_edits if spec.on)
