"""What edits of the model do to the circuit on screen: which side of them is drawn, and marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microtome_desktop.presenters import circuit_look as looks
from microtome_desktop.presenters.circuit import Drawing
from microtome_desktop.presenters.edited_graph import Side, edited_drawing, is_edited
from microtome_desktop.presenters.edited_nodes import changes_of, with_changes

if TYPE_CHECKING:
    from microtome.records.marks import Marks
    from microtome_desktop.views.circuit_bar import FactLine
    from microtome_desktop.views.circuit_canvas import CircuitCanvas
    from microtome_desktop.views.panel import PanelContext


class CircuitEdits:
    """Puts what edits change into a drawing, and offers the sides of it."""

    def __init__(self, context: PanelContext, canvas: CircuitCanvas, line: FactLine) -> None:
        self._context, self._canvas, self._line = context, canvas, line
        self._drawn = Side.CHANGE

    @property
    def side(self) -> Side:
        """What the user wants to see."""
        held = looks.SIDE.of(self._context.book)
        return Side(held) if held in set(Side) else Side.CHANGE

    @property
    def stale(self) -> bool:
        """Whether another side is drawn than is wanted."""
        return self._drawn is not self.side and is_edited(self._context.workspace.session)

    def applied(self, drawing: Drawing, marks: Marks) -> Drawing:
        """The drawing with what edits change, as the user wants to see it."""
        session, self._drawn = self._context.workspace.session, self.side
        view = looks.view_of(self._context.book)
        self.tell()
        if session is None or not is_edited(session):
            return with_changes(drawing, session)
        return edited_drawing(drawing, session, view, marks, self._drawn)

    def tell(self) -> None:
        """Offer the sides where there are some."""
        self._line.side.setVisible(is_edited(self._context.workspace.session))
        self._line.side.setCurrentText(self.side.value)

    def choose(self, text: str) -> None:
        """Show another side: a step that can be taken back."""
        looks.SIDE.set(self._context.book, text)

    def show_changes(self) -> None:
        """Write other weights, where edits have changed what flows along the edges."""
        drawing, session = self._canvas.drawing, self._context.workspace.session
        if drawing is None or is_edited(session):
            return
        changes = changes_of(session, drawing.circuit)
        if changes is not None or drawing.changes is not None:
            self._canvas.show_changes(changes)
