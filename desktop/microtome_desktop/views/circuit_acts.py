"""What the user does to the circuit: pin, hide, rename, group, keep a view. Every act is a step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Protocol

from PySide6.QtCore import QRectF

from microtome.records.circuit import Circuit
from microtome.records.marks import GraphView, Marks, Supernode
from microtome_desktop.presenters import circuit_look as looks
from microtome_desktop.presenters.circuit_text import node_title
from microtome_desktop.presenters.circuit_view import Placing
from microtome_desktop.presenters.marking import (
    can_be_grouped,
    group_id,
    group_of,
    members,
    shown_as,
)
from microtome_desktop.views.panel import PanelContext


class Graph(Protocol):
    """What the acts need of the panel that draws the circuit."""

    @property
    def shown(self) -> Circuit | None:
        """The circuit that is drawn."""

    @property
    def frame(self) -> QRectF | None:
        """The part of the layout in view, None for all."""

    def show_frame(self, frame: QRectF | None) -> None:
        """Show a part of the layout."""

    def ask_name(self, hint: str, text: str, node: str, take: Callable[[str], None]) -> None:
        """Ask for a name beside a node."""


class CircuitActs:
    """Acts on the selected nodes of the circuit, through the book."""

    def __init__(self, context: PanelContext, graph: Graph) -> None:
        self._context, self._graph = context, graph

    @property
    def _marks(self) -> Marks:
        return self._context.book.marks

    @property
    def chosen(self) -> tuple[str, ...]:
        """The selected nodes as they are drawn, the one of the card first."""
        selected = self._context.selection.current
        wanted = (selected.node, *selected.others)
        return tuple(dict.fromkeys(node for node in wanted if node is not None))

    def _called(self, nodes: tuple[str, ...]) -> str:
        circuit = self._graph.shown
        if len(nodes) == 1:
            known = circuit is not None and nodes[0] in circuit.node_id
            return node_title(circuit, circuit.row(nodes[0])) if circuit and known else nodes[0]
        return f"{len(nodes)} nodes"

    def pin(self) -> None:
        """Pin the selected nodes, or let them go when all are pinned."""
        nodes = members(self._marks, self.chosen)
        if not nodes:
            return
        held = self._marks.pins
        if set(nodes) <= set(held):
            left = tuple(node for node in held if node not in nodes)
            self._context.book.mark(f"Unpin {self._called(self.chosen)}", pins=left)
        else:
            new = (*held, *(node for node in nodes if node not in held))
            self._context.book.mark(f"Pin {self._called(self.chosen)}", pins=new)

    def hide(self) -> None:
        """Hide the selected nodes; what is hidden is not selected any more."""
        nodes = members(self._marks, self.chosen)
        if nodes:
            new = (*self._marks.hidden, *(n for n in nodes if n not in self._marks.hidden))
            self._context.book.mark(f"Hide {self._called(self.chosen)}", hidden=new)
            self._context.selection.update(node=None, edge=None, others=())

    def show_hidden(self) -> None:
        """Show all that was hidden."""
        count = len(self._marks.hidden)
        self._context.book.mark(f"Show {count} hidden nodes", hidden=())

    def rename(self) -> None:
        """Ask for another name of the selected node or group."""
        if not self.chosen:
            return
        node = self.chosen[0]
        group = group_of(self._marks, node)
        now = group.name if group is not None else self._marks.names.get(node, "")
        give = self._rename_group if group is not None else self._rename_node
        self._graph.ask_name(f"Name of {self._called((node,))}", now, node, _for(give, node))

    def _rename_node(self, node: str, name: str) -> None:
        names = {key: held for key, held in self._marks.names.items() if key != node}
        if name:
            names[node] = name
        title = f"Name {node} “{name}”" if name else f"Take the name from {node}"
        self._context.book.mark(title, names=MappingProxyType(names))

    def _rename_group(self, node: str, name: str) -> None:
        group = group_of(self._marks, node)
        if group is None or not name or name == group.name:
            return
        new = replace(group, name=self._free_name(name))
        self._replace(f"Name the group “{new.name}”", group, new)
        self._context.selection.update(node=group_id(new.name), others=())

    def group(self) -> None:
        """Put the selected nodes together under a name."""
        circuit = self._context.workspace.session and self._context.workspace.session.circuit
        nodes = members(self._marks, self.chosen)
        if not circuit or len(can_be_grouped(circuit, nodes)) < 2:
            return
        held = can_be_grouped(circuit, nodes)
        first = self._free_name("group")
        self._graph.ask_name("Name of the group", first, self.chosen[0], _for(self.group_as, held))

    def group_as(self, nodes: tuple[str, ...], name: str) -> None:
        """Make nodes a group of this name; those that were in another one leave it."""
        if not name:
            return
        marks = self._marks
        left = (
            replace(group, nodes=tuple(n for n in group.nodes if n not in nodes))
            for group in marks.supernodes
        )
        new = Supernode(self._free_name(name), nodes)
        held = (*(group for group in left if group.nodes), new)
        self._context.book.mark(f"Group “{new.name}”", supernodes=held)
        self._context.selection.update(node=group_id(new.name), others=(), edge=None)

    def _free_name(self, wanted: str) -> str:
        taken = {group.name for group in self._marks.supernodes}
        number, name = 2, wanted
        while name in taken:
            name, number = f"{wanted} {number}", number + 1
        return name

    @property
    def group_at_hand(self) -> Supernode | None:
        """The group that is selected, or that the selected node is in."""
        for node in self.chosen:
            held = group_of(self._marks, node) or self._marks.supernode_of(node)
            if held is not None:
                return held
        return None

    def ungroup(self) -> None:
        """Take the group apart."""
        group = self.group_at_hand
        if group is not None:
            left = tuple(held for held in self._marks.supernodes if held != group)
            self._context.book.mark(f"Take the group “{group.name}” apart", supernodes=left)
            self._select_members(group)

    def collapse(self) -> None:
        """Draw the group as one node, or as its nodes again."""
        group = self.group_at_hand
        if group is None:
            return
        what = "Expand" if group.collapsed else "Collapse"
        self._replace(
            f"{what} “{group.name}”", group, replace(group, collapsed=not group.collapsed)
        )
        if group.collapsed:
            self._select_members(group)
        else:
            self._context.selection.update(node=group_id(group.name), others=(), edge=None)

    def _select_members(self, group: Supernode) -> None:
        first, *rest = group.nodes
        self._context.selection.update(node=first, others=tuple(rest), edge=None)

    def _replace(self, title: str, old: Supernode, new: Supernode) -> None:
        held = tuple(new if group == old else group for group in self._marks.supernodes)
        self._context.book.mark(title, supernodes=held)

    # ------------------------------------------------------------ looks

    def switch_layout(self) -> None:
        """From by position to compact, and back."""
        compact = looks.PLACING.of(self._context.book) == Placing.COMPACT
        new = Placing.POSITION if compact else Placing.COMPACT
        looks.PLACING.set(self._context.book, new.value)
        self._graph.show_frame(None)

    def switch_weights(self) -> None:
        """Write the weights onto the edges, or take them away."""
        looks.WEIGHTS.set(self._context.book, not looks.WEIGHTS.of(self._context.book))

    def save_view(self) -> None:
        """Ask for a name and keep what is seen under it."""
        name = f"View {len(self._marks.views) + 1}"
        self._graph.ask_name("Name of this view", name, "", self._save_view)

    def _save_view(self, name: str) -> None:
        if not name:
            return
        frame, selected = self._graph.frame, self._context.selection.current
        state: dict[str, Any] = {
            **looks.as_json(self._context.book),
            "frame": None if frame is None else _numbers(frame),
            "node": selected.node,
        }
        views = looks.with_view(self._marks, GraphView(name, state))
        self._context.book.mark(f"Save the view “{name}”", views=views)

    def show_view(self, name: str) -> None:
        """Look at the circuit as it was kept under a name."""
        view = next((view for view in self._marks.views if view.name == name), None)
        if view is None:
            return
        first = {look.name: look.first for look in looks.LOOKS}
        self._context.book.set_looks(f"View “{name}”", looks.understood(view.state), first)
        node = view.state.get("node")
        if isinstance(node, str):
            self._context.selection.update(node=node, edge=None, others=())
        frame = view.state.get("frame")
        numbers = isinstance(frame, list | tuple) and len(frame) == 4
        self._graph.show_frame(QRectF(*map(float, frame)) if numbers and frame else None)

    def delete_view(self, name: str) -> None:
        """Forget a named view."""
        left = looks.without_view(self._marks, name)
        self._context.book.mark(f"Delete the view “{name}”", views=left)

    # ------------------------------------------------------------ several nodes

    def add(self, node: str) -> None:
        """Add a node to those selected, or take it away."""
        selected = self._context.selection.current
        drawn = shown_as(self._marks, selected.node)
        if drawn is None:
            self._context.selection.update(node=node, others=())
        elif node in (drawn, selected.node):
            first = selected.others[0] if selected.others else None
            self._context.selection.update(node=first, others=selected.others[1:], edge=None)
        elif node in selected.others:
            left = tuple(other for other in selected.others if other != node)
            self._context.selection.update(others=left)
        else:
            self._context.selection.update(node=node, others=(drawn, *selected.others), edge=None)

    def add_all(self, nodes: tuple[str, ...]) -> None:
        """Add the nodes of a rubber band to those selected."""
        held = dict.fromkeys((*self.chosen, *nodes))
        if held:
            first, *rest = held
            self._context.selection.update(node=first, others=tuple(rest), edge=None)


def _numbers(frame: QRectF) -> list[float]:
    return [frame.x(), frame.y(), frame.width(), frame.height()]


def _for(act: Callable[[Any, str], None], about: Any) -> Callable[[str], None]:
    """The act for this node or these nodes, still without the name."""

    def named(name: str) -> None:
        act(about, name)

    return named
