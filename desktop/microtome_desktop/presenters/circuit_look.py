"""How the circuit is looked at: what the book keeps about it, and named views of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from microtome.records.marks import GraphView, Marks
from microtome_desktop.presenters.circuit import (
    DEFAULT_EDGE_SHARE,
    DEFAULT_NODES,
    NODES,
    Placing,
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
PLACING = Look("circuit.placing", Placing.POSITION.value, "Layout of the circuit")
WEIGHTS = Look("circuit.weights", False, "Edge weights")
DOWNSTREAM = Look("circuit.downstream", False, "What it feeds")
LOOKS = (SHOWN_NODES, EDGE_SHARE, PLACING, WEIGHTS, DOWNSTREAM)
_BY_NAME = {look.name.partition(".")[2]: look for look in LOOKS}


def view_of(book: Book) -> View:
    """What the sliders and the switch of the layout say."""
    return View(SHOWN_NODES.of(book), EDGE_SHARE.of(book), Placing(PLACING.of(book)))


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
    share = float(found.get(EDGE_SHARE.name, DEFAULT_EDGE_SHARE))
    found[EDGE_SHARE.name] = min(max(share, 0.0), 1.0)
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
