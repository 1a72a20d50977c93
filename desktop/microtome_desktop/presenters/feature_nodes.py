"""What the card of a node says of where its feature is on in a text, and a card of its nodes."""

from __future__ import annotations

import numpy as np

from microtome.records.feature_index import index_of
from microtome.records.feature_names import in_memory
from microtome.records.session import Session
from microtome_desktop.presenters.circuit_text import place_text, signed
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.state.feature_nodes import Feature, feature_at, nodes_of
from microtome_desktop.state.features import index_with
from microtome_desktop.state.foreign import UNREADABLE

_SHOWN, _BEFORE, _AFTER = 3, 4, 2  # examples, and tokens around the strongest one of each
_NO_TEXT = "No text was looked through for examples yet: Card leads to it."


def examples_text(session: Session | None, node: str) -> str:
    """The strongest places of a node's feature in a text, in one line; what to do without one."""
    feature = feature_at(session, node)
    held = None if feature is None else index_with(session, feature[0])
    if feature is None or held is None:
        return _NO_TEXT
    places = held.arrays.get("top_place")
    if not in_memory(held) or places is None or not isinstance(places.values, np.ndarray):
        return "Its examples are in the file: Card shows them."
    try:
        return _examples(index_of(held), feature[1]) or "It is on nowhere in the text."
    except UNREADABLE:
        return _NO_TEXT


def _examples(index: object, feature: int) -> str:
    from microtome.records.feature_index import FeatureIndex

    if not isinstance(index, FeatureIndex):
        return ""
    tokens, vocabulary = index.arrays["tokens"], index.arrays["vocabulary"]
    found = []
    for place in index.row("top_place", feature).tolist()[:_SHOWN]:
        if place < 0:
            continue
        row, at = divmod(place, index.context)
        ids = np.asarray(tokens[row : row + 1])[0].tolist()
        words = [shown_token(str(np.asarray(vocabulary[i : i + 1])[0])).strip() for i in ids]
        before = " ".join(words[max(0, at - _BEFORE) : at])
        after = " ".join(words[at + 1 : at + 1 + _AFTER])
        found.append(f"{before} [{words[at]}] {after}".strip())
    return "   \N{MIDDLE DOT}   ".join(found)


def node_links(session: Session | None, feature: Feature | None) -> tuple[tuple[int, str], ...]:
    """The nodes of a feature in the graph: row, and place with its activation there."""
    circuit = None if session is None else session.circuit
    if circuit is None:
        return ()
    return tuple(
        (row, f"{place_text(circuit, row)} {signed(round(float(circuit.node_score[row]), 3))}")
        for row in nodes_of(session, feature)
    )
