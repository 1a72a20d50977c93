"""How the circuit is looked at: what the book keeps about it, and named views of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from microtome.records.marks import GraphView, Marks
from microtome_desktop.presenters.circuit_view import (
    DEFAULT_EDGE_SHARE,
    DEFAULT_NODES,
    NODES,
    Placing,
    Rule,
    View,
)
from microtome_desktop.state.book import Book


@dataclass(frozen=True, slots=True)
class Look:
    """A row: the name in the book, its first value, and what a change of it is called."""

    name: str
    first: Any
    title: str

    def of(self, book: Book) -> Any:
        """What it is now."""
        return book.look(self.name, self.first)

    def set(self, book: Book, value: Any) -> None:
        """Change it, as a step that can be taken back."""
        book.set_look(self.title, self.name, value, self.first)


SHOWN_NODES = Look("circuit.nodes", DEFAULT_NODES, "Number of nodes")
EDGE_SHARE = Look("circuit.edge_share", DEFAULT_EDGE_SHARE, "Share of edges")
NODE_INFLUENCE = Look("circuit.node_influence", View().node_influence, "Influence of nodes")
EDGE_INFLUENCE = Look("circuit.edge_influence", View().edge_influence, "Influence of edges")
PLACING = Look("circuit.placing", Placing.POSITION.value, "Layout of the circuit")
WEIGHTS = Look("circuit.weights", False, "Edge weights")
DOWNSTREAM = Look("circuit.downstream", False, "What it feeds")
SIDE = Look("circuit.side", "what changes", "Side of the edits")
LOOKS = (
    SHOWN_NODES, EDGE_SHARE, PLACING, WEIGHTS, DOWNSTREAM, NODE_INFLUENCE, EDGE_INFLUENCE, SIDE,
)  # fmt: skip
_SHARES = (EDGE_SHARE, NODE_INFLUENCE, EDGE_INFLUENCE)
_BY_NAME = {look.name.partition(".")[2]: look for look in LOOKS}


def view_of(book: Book) -> View:
    """What the sliders and the switch of the layout say."""
    return View(
        SHOWN_NODES.of(book), EDGE_SHARE.of(book), Placing(PLACING.of(book)),
        NODE_INFLUENCE.of(book), EDGE_INFLUENCE.of(book),
    )  # fmt: skip


class HasRule(Protocol):
    """Something with the rule that sliders follow now."""

    @property
    def rule(self) -> Rule:
        """The rule."""


def set_nodes(book: Book, sliders: HasRule, value: int) -> None:
    """Keep as many nodes as the first slider says, a number or percent."""
    if sliders.rule is Rule.COMPONENTS:
        SHOWN_NODES.set(book, value)
    else:
        NODE_INFLUENCE.set(book, value / 100)


def set_share(book: Book, sliders: HasRule, share: float) -> None:
    """Keep the share of edges that the second slider says."""
    (EDGE_SHARE if sliders.rule is Rule.COMPONENTS else EDGE_INFLUENCE).set(book, share)


def as_json(book: Book) -> dict[str, Any]:
    """All looks of the circuit, for a session's ``view`` and for a named view."""
    return {name: look.of(book) for name, look in _BY_NAME.items()}


def understood(held: Mapping[str, Any]) -> dict[str, Any]:
    """The looks of a stored view by their names in the book, without what makes no sense."""
    found: dict[str, Any] = {}
    for name, look in _BY_NAME.items():
        value = held.get(name, look.first)
        if type(value) is type(look.first) or (isinstance(look.first, float) and _number(value)):
            found[look.name] = value
    low, high = NODES
    found[SHOWN_NODES.name] = min(max(found.get(SHOWN_NODES.name, low), low), high)
    for look in _SHARES:
        share = float(found.get(look.name, look.first))
        found[look.name] = min(max(share, 0.0), 1.0)
    if found.get(PLACING.name) not in set(Placing):
        found[PLACING.name] = Placing.POSITION.value
    return found


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def with_view(marks: Marks, view: GraphView) -> tuple[GraphView, ...]:
    """The named views with this one added, in the place of one of the same name."""
    names = [held.name for held in marks.views]
    if view.name in names:
        return tuple(view if held.name == view.name else held for held in marks.views)
    return (*marks.views, view)


def without_view(marks: Marks, name: str) -> tuple[GraphView, ...]:
    """The named views but one."""
    return tuple(view for view in marks.views if view.name != name)
