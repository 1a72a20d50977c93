"""What is done to the hypotheses of a session: every act is one step that can be taken back."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QObject, Signal

from microtome.records.edges import INPUT
from microtome.records.hypothesis import Arrow, Box, Hypothesis
from microtome_desktop.presenters.hypothesis import nodes_problem
from microtome_desktop.state import hypotheses as drawn
from microtome_desktop.state.hypothesis_start import from_nodes
from microtome_desktop.views.hypothesis_canvas import Picked
from microtome_desktop.views.panel import PanelContext


class HypothesisActs(QObject):
    """Changes the drawing on screen through the book; ``changed`` when there is another to show.

    ``title`` says which hypothesis is on screen, ``picked`` what of it.
    """

    changed = Signal()

    def __init__(self, context: PanelContext, parent: QObject) -> None:
        super().__init__(parent)
        self._context = context
        self.title = ""
        self.picked: Picked = None

    @property
    def held(self) -> tuple[Hypothesis, ...]:
        """The hypotheses of the session."""
        return self._context.book.marks.hypotheses

    @property
    def shown(self) -> Hypothesis | None:
        """The one that is drawn."""
        return next((each for each in self.held if each.title == self.title), None)

    @property
    def box(self) -> Box | None:
        """The box that is picked."""
        of = self.shown
        boxes = () if of is None else of.boxes
        return next((each for each in boxes if each.name == self.picked), None)

    def check(self) -> None:
        """Let go of what is not there any more, and show the last one where nothing is shown."""
        titles = [each.title for each in self.held]
        if self.title not in titles:
            self.title, self.picked = (titles[-1] if titles else ""), None
        of = self.shown
        names: set[Picked] = set() if of is None else {box.name for box in of.boxes}
        if self.picked not in names | set(() if of is None else of.arrows):
            self.picked = None

    def _change(self, title: str, to: Hypothesis, picked: Picked = None) -> None:
        of = self.shown
        if of is None or to == of:
            return
        held = tuple(to if each is of else each for each in self.held)
        self.title, self.picked = to.title, picked
        self._context.book.mark(title, hypotheses=held)
        self.changed.emit()

    # ------------------------------------------------------------ whole hypotheses

    def add(self, wanted: Hypothesis) -> None:
        """One hypothesis more, and draw it."""
        title = drawn.free_title(wanted.title, (each.title for each in self.held))
        self.title, self.picked = title, None
        held = (*self.held, replace(wanted, title=title))
        self._context.book.mark(f"New hypothesis “{title}”", hypotheses=held)
        self.changed.emit()

    def add_induction(self) -> None:
        """Begin with what an induction circuit does."""
        session = self._context.workspace.session
        if session is not None:
            self.add(drawn.induction(session))

    def add_from_selected(self) -> None:
        """Begin with boxes for the nodes that are selected in the circuit, and its arrows."""
        session, now = self._context.workspace.session, self._context.selection.current
        if session is not None and session.circuit is not None and now.node is not None:
            self.add(from_nodes(session.circuit, (now.node, *now.others), "from the circuit"))

    def add_empty(self) -> None:
        """Begin with nothing but the logits."""
        self.add(Hypothesis((), (), "hypothesis"))

    def copy(self) -> None:
        """Go on with a copy, so that both can be tested."""
        if self.shown is not None:
            self.add(self.shown)

    def rename(self, title: str) -> None:
        """Give it another name."""
        of = self.shown
        if of is not None and title and title != of.title:
            free = drawn.free_title(title, (each.title for each in self.held))
            self._change(f"Rename the hypothesis to “{free}”", replace(of, title=free))

    def forget(self) -> None:
        """Delete it."""
        left = tuple(each for each in self.held if each.title != self.title)
        self._context.book.mark(f"Delete the hypothesis “{self.title}”", hypotheses=left)
        self.changed.emit()

    # ------------------------------------------------------------ boxes

    def add_box(self) -> None:
        """A box for the head or MLP that is selected in the window, or for the input."""
        if self.shown is None:
            self.add_empty()
        of = self.shown
        if of is None:
            return
        node = self._selected_node()
        bound = {each for box in of.boxes for each in box.nodes}
        node = INPUT if node is None or node in bound else node
        first = "token" if node == INPUT else node
        name = drawn.free_title(first, (each.name for each in of.boxes))
        box = Box(name, (node,), "token(at)")
        self._change(f"Add the box “{name}”", drawn.with_box(of, box), name)

    def bind_selected(self) -> None:
        """Bind the picked box to what is selected in the window, too."""
        of, box, node = self.shown, self.box, self._selected_node()
        if of is None or box is None or node is None or node in box.nodes:
            return
        kept = tuple(each for each in box.nodes if each != INPUT)
        changed = drawn.with_changed_box(of, box.name, replace(box, nodes=(*kept, node)))
        self._change(f"Bind “{box.name}” to {node}", changed, box.name)

    def _selected_node(self) -> str | None:
        now, session = self._context.selection.current, self._context.workspace.session
        if session is None or now.layer is None or now.layer < 0:
            return None
        is_mlp = now.node is not None and now.node.startswith("mlp/")
        name = f"m{now.layer}" if is_mlp else f"a{now.layer}.h{now.head}"
        return None if nodes_problem((name,), session.model) else name

    def change_box(self, before: str, box: Box) -> None:
        """Another box in the place of the one that had this name."""
        of = self.shown
        if of is not None:
            changed = drawn.with_changed_box(of, before, box)
            self._change(f"Change the box “{before}”", changed, box.name)

    # ------------------------------------------------------------ arrows

    def add_arrow(self, source: str, target: str, reader: str) -> None:
        """Draw an arrow."""
        of = self.shown
        if of is not None:
            changed = drawn.with_arrow(of, Arrow(source, target, reader))
            self._change(f"Draw an arrow to {target}", changed, self.picked)

    def change_reader(self, arrow: Arrow, reader: str) -> None:
        """Let an arrow lead into something else of its target."""
        of = self.shown
        if of is not None:
            new = replace(arrow, reader=reader)
            changed = drawn.with_arrow(drawn.without_arrow(of, arrow), new)
            self._change("Change what an arrow leads into", changed, new)

    def delete(self) -> None:
        """Take away what is picked; the arrows of a box go with it."""
        of, picked = self.shown, self.picked
        if of is None or picked is None:
            return
        if isinstance(picked, Arrow):
            title = f"Delete the arrow from {picked.source}"
            self._change(title, drawn.without_arrow(of, picked))
        else:
            self._change(f"Delete the box “{picked}”", drawn.without_box(of, picked))
