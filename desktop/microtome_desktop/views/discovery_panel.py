"""Discovery: rival circuits of a task, each with its faithfulness curve, at any size."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSplitter, QStackedLayout, QVBoxLayout, QWidget

from microtome.errors import InputError
from microtome.records.analysis import Analysis
from microtome.records.discovery import discovery_of
from microtome.records.faithfulness import Faithfulness, faithfulness_of
from microtome_desktop import palette as colours
from microtome_desktop.jobs.discovery_requests import MeasureSize
from microtome_desktop.presenters import exports
from microtome_desktop.presenters.dial_text import (
    reading,
    told_at,
    typed_count,
    typed_threshold,
)
from microtome_desktop.presenters.discovery_choice import rival_of
from microtome_desktop.presenters.discovery_dial import Ranked, count_at, step_at
from microtome_desktop.presenters.discovery_python import discovery_lines
from microtome_desktop.presenters.discovery_tables import edge_table
from microtome_desktop.state.discoveries import (
    Search,
    curve_for,
    discoveries_in,
    is_partial,
    search_of,
)
from microtome_desktop.state.exports import Table
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.dial import Dial
from microtome_desktop.views.discovery_asking import DiscoveryAsking
from microtome_desktop.views.discovery_graph import DiscoveryGraph
from microtome_desktop.views.faithfulness_plot import FaithfulnessPlot, Line
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.rival_list import RivalList
from microtome_desktop.views.text_flow import EmptyState

NO_CIRCUIT = "There is no discovered circuit yet: choose a task and a method, and find one."
_FIRST_SHARE = 0.05
_WIDTHS = (272, 480, 310)  # pixels of the three parts at first


class DiscoveryPanel(Panel):
    """Asks for circuits, lists the rivals, and shows one at the size that the dial says."""

    name = "discovery"
    title = "Discovery"
    icon = "mdi6.set-center"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.asking = DiscoveryAsking(context)
        self.rivals, self.graph = RivalList(), DiscoveryGraph()
        self.plot, self.dial = FaithfulnessPlot(), Dial()
        self.empty = EmptyState()
        self.shown_id = ""
        self.count = 0  # the dial: how many of the best edges
        self.signed = True
        self._ranked: dict[str, tuple[Analysis, Ranked]] = {}
        self._curve: Faithfulness | None = None
        self._lay_out()
        self._listen()
        self.show_session()

    def _lay_out(self) -> None:
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.plot, 1)
        column.addWidget(self.dial)
        self.split = QSplitter(Qt.Orientation.Horizontal)
        self.split.setChildrenCollapsible(False)
        for part, least, share in (
            (self.rivals, 150, 1), (self.graph, 200, 6), (right, 220, 2),
        ):  # fmt: skip
            part.setMinimumWidth(least)
            self.split.addWidget(part)
            self.split.setStretchFactor(self.split.count() - 1, share)
        self.split.setSizes(list(_WIDTHS))
        self._stack = QStackedLayout()
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self.split)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(10, 4, 8, 4)
        whole.setSpacing(5)
        whole.addWidget(self.asking)
        whole.addLayout(self._stack, 1)

    def _listen(self) -> None:
        self.asking.found.connect(self._on_found)
        self.rivals.chosen.connect(self._on_chosen)
        self.rivals.ticked.connect(self._draw_curves)
        self.graph.chosen.connect(self._on_component)
        self.graph.layer_chosen.connect(self._on_layer)
        self.plot.turned.connect(self._on_share)
        self.dial.stepped.connect(self._on_step)
        self.dial.share_typed.connect(self._on_typed)
        self.dial.threshold_typed.connect(self._on_threshold)
        self.dial.order_changed.connect(self._on_order)
        self.dial.measure_asked.connect(self.measure)

    # what is asked

    def run(self) -> None:
        """Look for the circuit, or show it at once if the session has it."""
        self.asking.run()

    @property
    def why_not(self) -> str:
        """Why no circuit can be looked for, empty when one can."""
        return self.asking.why_not

    def _on_found(self, analysis: Analysis) -> None:
        self._show(analysis.id)

    def measure(self) -> None:
        """Test a circuit of exactly the dial's size."""
        front, curve = self.front, self._curve
        search = None if front is None else search_of(front)
        if front is not None and curve is not None and search is not None and not self._why_none:
            share = self.count / self._order_of(front).count
            request = MeasureSize(search, front.id, discovery_of(front), curve, share)
            self.context.ask(request)

    @property
    def _why_none(self) -> str:
        """Why no size can be measured now."""
        workspace = self.context.workspace
        if self.front is None or self._curve is None:
            return "There is no curve to add to."
        if self._curve.params.get("partial"):
            return "The curve is not finished."
        if search_of(self.front) is None:
            return "This circuit was not found in a window: use mt.faithfulness with sizes=[…]."
        if workspace.offline and workspace.session is not None:
            return f"Needs the model {workspace.session.model.name}: attach it."
        return ""

    # what is shown

    @property
    def front(self) -> Analysis | None:
        """The circuit on screen."""
        session = self.context.workspace.session
        return None if session is None else session.analyses.get(self.shown_id)

    def show_session(self) -> None:
        """Offer the circuits of the session, and show the last one."""
        self.asking.show_question()
        self.restore_once()
        self._refresh()

    def show_part(self, part: str) -> None:
        """Follow circuits and curves that come."""
        if part.startswith(("analyses/discovery-", "analyses/faithfulness-")):
            self._refresh(part.partition("/")[2])
        if part in {"traces", "metric"}:
            self.asking.show_question()

    def show_model(self) -> None:
        """A search needs the session's model."""
        self.asking.show_question()
        self._turn(self.count)

    def _refresh(self, changed: str = "") -> None:
        held = discoveries_in(self.context.workspace.session)
        ids = [one.id for one in held]
        arrived = next((one for one in held if one.id == changed), None)
        if arrived is not None and search_of(arrived) == self.asking.asked:
            self.shown_id = changed
        if self.shown_id not in ids:
            self.shown_id = ids[-1] if ids else ""
        self._ranked = {name: pair for name, pair in self._ranked.items() if name in ids}
        self._show(self.shown_id)

    def _show(self, wanted: str) -> None:
        other, self.shown_id = wanted != self.shown_id, wanted
        front = self.front
        self._list()
        self._stack.setCurrentIndex(int(front is not None))
        if front is None:
            self._curve = None
            self.graph.show_circuit(None, None)
            session = self.context.workspace.session
            self.empty.tell(
                "No circuit yet", NO_CIRCUIT if session is not None else "Run a prompt first."
            )
            return
        held = curve_for(self.context.workspace.session, front)
        self._curve = None if held is None else faithfulness_of(held)
        ranked = self._order_of(front)
        self.graph.show_circuit(ranked, front)
        if not self.count:
            self.count = self._first_count(ranked)
        self._draw_curves()
        self._turn(min(self.count, ranked.count))
        if other:
            self.show_selection(self.context.selection.current, frozenset({"layer", "head"}))

    def _first_count(self, ranked: Ranked) -> int:
        least = None if self._curve is None else self._curve.smallest
        return max(1, int((least or _FIRST_SHARE) * ranked.count + 1e-9))

    def _order_of(self, analysis: Analysis) -> Ranked:
        """The edges of a circuit sorted, once for as long as it stays the same."""
        held = self._ranked.get(analysis.id)
        if held is None or held[0] is not analysis:
            held = self._ranked[analysis.id] = analysis, Ranked.of(analysis)
        return held[1]

    def _list(self) -> None:
        session = self.context.workspace.session
        held = discoveries_in(session)
        rows = []
        running = self.asking.job is not None
        for one in held:
            curve = curve_for(session, one)
            known = None if curve is None else faithfulness_of(curve)
            rows.append(rival_of(one, known, running=running and is_partial(one)))
        self.rivals.show_rivals(rows, self.colouring, self.shown_id)

    @property
    def colouring(self) -> dict[str, str]:
        """The colour of each rival."""
        held = discoveries_in(self.context.workspace.session)
        group = colours.POINT_GROUPS
        return {one.id: group[row % len(group)] for row, one in enumerate(held)}

    def _draw_curves(self) -> None:
        session, colouring = self.context.workspace.session, self.colouring
        lines = []
        for one in discoveries_in(session):
            front = one.id == self.shown_id
            curve = curve_for(session, one) if front or one.id in self.rivals.ticks else None
            if curve is not None:
                lines.append(Line(faithfulness_of(curve), colouring[one.id], front))
        front_one = self.front
        total = 1 if front_one is None else self._order_of(front_one).count
        self.plot.show_lines(lines, 1 / total)

    # the dial

    def _turn(self, count: int) -> None:
        """Show the circuit of so many best edges."""
        front = self.front
        if front is None:
            return
        ranked = self._order_of(front)
        self.count = count
        kept = ranked.kept(count, signed=self.signed)
        told = told_at(ranked, kept, count, self._curve, signed=self.signed)
        step = step_at(count, ranked.count)
        self.dial.tell(told, step, signed=self.signed, why_not=self._why_none)
        left = int(kept.sum())
        read = reading(self._curve, count, left, ranked.count, signed=self.signed)
        colour = self.colouring[front.id]
        self.plot.show_dial(count / ranked.count, None if read is None else read.value, colour)
        self.graph.show_size(kept)

    @property
    def _total(self) -> int:
        return 0 if self.front is None else self._order_of(self.front).count

    def _on_step(self, step: int) -> None:
        self._turn(max(1, count_at(step, self._total)))

    def _on_share(self, share: float) -> None:
        self._turn(int(np.clip(round(share * self._total), 1, self._total)))

    def _on_typed(self, text: str) -> None:
        self._turn(typed_count(text, self._total) or self.count)

    def _on_threshold(self, text: str) -> None:
        threshold, front = typed_threshold(text), self.front
        if threshold is None or front is None:
            self._turn(self.count)
            return
        self._turn(max(1, self._order_of(front).above(threshold, signed=self.signed)))

    def _on_order(self, signed: bool) -> None:
        self.signed = signed
        self._turn(self.count)

    def _on_chosen(self, wanted: str) -> None:
        if wanted != self.shown_id:
            self._show(wanted)
            search = None if self.front is None else search_of(self.front)
            if search is not None:
                self.asking.controls.show_search(search)
                self.asking.look()

    # the selection

    def _on_component(self, layer: int | None, head: int | None) -> None:
        self.context.selection.update(layer=layer, head=head, neuron=None, node=None, edge=None)

    def _on_layer(self, layer: int) -> None:
        self.context.selection.update(layer=layer, head=None, node=None, edge=None)

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Focus what is selected."""
        if changed & {"layer", "head"}:
            self.graph.show_place(selected.layer, selected.head)

    # what leaves the panel

    def view_state(self) -> dict[str, Any]:
        """What is asked for, which circuit is shown, and at which size."""
        return {
            "search": self.asking.controls.search().as_json(),
            "shown": self.shown_id,
            "count": self.count,
            "signed": self.signed,
            "ticked": list(self.rivals.ticks),
        }

    def restore_view(self, held: dict[str, Any]) -> None:
        """Ask and show as a session was saved."""
        with suppress(InputError):  # of another version
            self.asking.controls.show_search(Search.from_json(held.get("search")))
        self.shown_id = str(held.get("shown", ""))
        count = held.get("count", 0)
        self.count = count if isinstance(count, int) and count >= 0 else 0
        self.signed = bool(held.get("signed", True))
        self._refresh()
        ticked = held.get("ticked", [])
        self.rivals.tick([str(one) for one in ticked] if isinstance(ticked, list) else [])

    def exported_table(self) -> Callable[[], Table] | str:
        """Every edge with its score, and whether it is in the circuit on screen."""
        front = self.front
        if front is None:
            return NO_CIRCUIT if self.context.workspace.session else exports.NO_RUN
        ranked = self._order_of(front)
        return partial(edge_table, ranked, self.count, self.signed)

    def exported_lines(self) -> tuple[str, ...] | str:
        """The search and the curve."""
        session, front = self.context.workspace.session, self.front
        if session is None or front is None:
            return exports.NO_RUN if session is None else NO_CIRCUIT
        return discovery_lines(session, search_of(front))

    def finish_drawing(self) -> None:
        """Complete what is still being drawn: for exports and tests."""
        self.graph.canvas.finish()
