"""The search in the circuit: marks what is found and goes from one to the next."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject

from microtome_desktop.presenters.circuit_search import matches
from microtome_desktop.presenters.marking import shown_as
from microtome_desktop.views.circuit_canvas import CircuitCanvas
from microtome_desktop.views.circuit_picks import CircuitPicks, Drawn
from microtome_desktop.views.graph_search import GraphSearch
from microtome_desktop.views.panel import PanelContext


class GraphFinder(QObject):
    """Owns the field over the canvas; ``found`` are ids of drawn nodes, most influential first."""

    def __init__(
        self,
        context: PanelContext,
        canvas: CircuitCanvas,
        picks: CircuitPicks,
        drawn: Drawn,
        follow: Callable[[], None],
    ) -> None:
        super().__init__(canvas)
        self._context, self._canvas, self._picks, self._drawn = context, canvas, picks, drawn
        self._follow = follow
        self.found: tuple[str, ...] = ()
        self.field = GraphSearch(canvas)
        self.field.searched.connect(self._search)
        self.field.stepped.connect(self._step)
        self.field.closed.connect(self._end)

    def _search(self, words: str) -> None:
        circuit = self._drawn.shown
        rows = () if circuit is None else matches(circuit, self._context.book.marks, words)
        self.found = tuple(circuit.node_id[row] for row in rows) if circuit else ()
        self.field.tell(0, len(self.found))
        self._step(0)
        self._follow()

    def _step(self, step: int) -> None:
        """Select the next of the found nodes and bring it into view."""
        circuit = self._drawn.shown
        if circuit is None or not self.found:
            return
        here = shown_as(self._context.book.marks, self._context.selection.current.node)
        place = self.found.index(here) + step if here in self.found else 0
        node = self.found[place % len(self.found)]
        self.field.tell(place % len(self.found), len(self.found))
        if node in circuit.node_id:
            self._picks.select_node(circuit.row(node))
            self._canvas.bring(circuit.row(node))

    def _end(self) -> None:
        self.found = ()
        self._follow()
        self._canvas.view.setFocus()
