"""Several circuits as one: a canvas in colours of who has what, and its numbers as files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedLayout,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid
from superqt.utils import qdebounced

from microtome.circuits.comparing import Consensus
from microtome.errors import InputError
from microtome.jobs import Job
from microtome.records.circuit import Circuit
from microtome.records.provenance import Provenance, provenance
from microtome.records.session import Session
from microtome_desktop import palette as colours
from microtome_desktop.jobs.drawing_request import CompareGraphs
from microtome_desktop.jobs.export_requests import SaveJson, SaveTable
from microtome_desktop.presenters.circuit import Drawing
from microtome_desktop.presenters.circuit_curves import hue_colour
from microtome_desktop.presenters.circuit_look import view_of
from microtome_desktop.presenters.circuit_text import signed
from microtome_desktop.presenters.circuit_view import View
from microtome_desktop.presenters.comparison import title
from microtome_desktop.presenters.graph_comparison import (
    NO_NUMBER,
    comparison_drawing,
    joined,
    node_table,
    scored,
    summary,
    whole_table,
)
from microtome_desktop.presenters.provenance import among, told_apart
from microtome_desktop.views.circuit_canvas import CircuitCanvas
from microtome_desktop.views.node_card_tables import Cell, CellTable
from microtome_desktop.views.panel import PanelContext
from microtome_desktop.views.text_flow import EmptyState, text_label

Found = tuple[Consensus, Drawing] | str  # or why there is none
_WAITING = ("Comparing circuits", "What the sliders of the circuit keep of each is joined.")
_STOPPED = ("The comparison was stopped", "Close this window, and compare the runs again.")


class GraphComparison(QWidget):
    """The joined circuit of some sessions, as the sliders of the circuit panel prune each."""

    def __init__(self, context: PanelContext, sessions: Sequence[Session]) -> None:
        super().__init__()
        self._context = context
        self._circuits = [session.circuit for session in sessions]
        self._names, self._apart = _named(sessions), among(sessions)
        self._made = [provenance(s.circuit, s) for s in sessions if s.circuit is not None]
        self._view = view_of(context.book)
        self.found: Consensus | None = None
        self._waiting = False
        self.taken: Callable[[Consensus], None] = lambda _: None
        self.canvas, self.empty = CircuitCanvas(), EmptyState()
        self.legend = [text_label("", colours.TEXT) for _ in range(3)]
        self.csv, self.json = QPushButton("CSV…"), QPushButton("JSON…")
        self.csv.setToolTip("Save every node and edge with its numbers in each circuit as CSV")
        self.json.setToolTip("Save the same as JSON")
        self._lay_out()
        self.canvas.resized.connect(self._redraw_soon)
        self.csv.clicked.connect(self._on_csv)
        self.json.clicked.connect(self._on_json)
        self._ask()

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        for label in self.legend:
            head.addWidget(label)
        head.addStretch(1)
        head.addWidget(self.csv)
        head.addWidget(self.json)
        held = QWidget()
        self._stack = QStackedLayout(held)
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self.canvas)
        self.empty.tell(*_WAITING)
        column = QVBoxLayout(self)
        column.addLayout(head)
        column.addWidget(held, 1)
        for button in (self.csv, self.json):
            button.setEnabled(False)

    def _ask(self) -> None:
        held = [circuit for circuit in self._circuits if circuit is not None]
        if len(held) < len(self._circuits):
            self._take("Not every run has a circuit.")
            return
        if self._apart.reasons:
            self._take(" ".join(self._apart.reasons))
            return
        if self._waiting:  # the size is looked at again when the answer is there
            return
        self._waiting = True
        make = partial(_compared, held, self._names, self._view, self.canvas.room, self.found)
        self._context.ask(CompareGraphs(make, self._take, self._gone))

    def _gone(self) -> None:
        """The work has ended; what it found, if anything, comes next."""
        self._waiting = False
        if isValid(self) and self.found is None:
            self.empty.tell(*_STOPPED)

    @qdebounced(timeout=80)
    def _redraw_soon(self) -> None:
        drawing = self.canvas.drawing if isValid(self) else None
        if drawing is None:
            return
        if (drawing.layout.width, drawing.layout.height) != self.canvas.room:
            self._ask()

    def _take(self, found: Found) -> None:
        if not isValid(self):  # the window was closed meanwhile
            return
        if isinstance(found, str):
            self.empty.tell("These circuits cannot be compared", found)
            return
        first = self.found is None
        self.found, drawing = found
        self._stack.setCurrentIndex(1)
        self.canvas.show_drawing(drawing)
        for label, (hue, text) in zip(self.legend, summary(self.found), strict=False):
            label.setText(f"● {text}")
            label.setStyleSheet(f"color: {hue_colour(hue)};")
        for button in (self.csv, self.json):
            button.setEnabled(True)
        if first:
            self.taken(self.found)
        self._redraw_soon()

    def _on_csv(self) -> None:
        path = self._path("csv")
        if path is not None and self.found is not None:
            self._context.ask(SaveTable(path, partial(whole_table, self.found)))

    def _on_json(self) -> None:
        path = self._path("json")
        if path is not None and self.found is not None:
            self._context.ask(SaveJson(path, partial(_told, self.found, self._made)))

    def _path(self, ending: str) -> Path | None:
        start = Path(self._context.settings.folder or Path.home()) / f"comparison.{ending}"
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Save the comparison", str(start), f"{ending.upper()} (*.{ending})"
        )
        path = Path(chosen)
        return (path if path.suffix else path.with_suffix(f".{ending}")) if chosen else None


class ConsensusWindow(QDialog):
    """In how many of several runs each node and edge is; does not block."""

    def __init__(self, context: PanelContext, sessions: Sequence[Session], parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("consensus")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"What {len(sessions)} runs share")
        self.told = QLabel("\n".join(
            f"{name}    {title(session)}"
            for name, session in zip(_named(sessions), sessions, strict=True)
        ) + f"\n{told_apart(among(sessions))}".rstrip())  # fmt: skip
        self.told.setObjectName("dim")
        self.graph = GraphComparison(context, sessions)
        self.nodes = CellTable(("node", "kind", "in", "mean score"), "consensus_nodes", sorted_by=2)
        self.graph.taken = self._fill
        tabs = QTabWidget()
        tabs.setDocumentMode(True)
        tabs.addTab(self.graph, "Graph")
        tabs.addTab(self.nodes, "Nodes")
        layout = QVBoxLayout(self)
        layout.addWidget(self.told)
        layout.addWidget(tabs, 1)
        self.resize(980, 680)

    def _fill(self, found: Consensus) -> None:
        total, circuit = len(found.names), found.circuit
        told = scored(found)
        self.nodes.set_rows([
            (Cell(f"{label}  {name}", name, colours.ACCENT), Cell(kind, kind, colours.TEXT_DIM),
             Cell(f"{count} of {total}", count, right=True),
             _score(circuit, row, told=told))
            for row, (name, label, kind, count, *_) in enumerate(node_table(found).rows)
        ])  # fmt: skip


def _score(circuit: Circuit, row: int, *, told: bool) -> Cell:
    score = float(circuit.node_score[row])
    return Cell(signed(score) if told else NO_NUMBER, abs(score), right=True)


def _told(found: Consensus, made: Sequence[Provenance]) -> dict[str, Any]:
    return found.told() | {"made": [each.told_plainly() for each in made]}


def _named(sessions: Sequence[Session]) -> tuple[str, ...]:
    return tuple(f"run {number}" for number in range(1, len(sessions) + 1))


def _compared(
    circuits: Sequence[Circuit],
    names: Sequence[str],
    view: View,
    room: tuple[float, float],
    held: Consensus | None,
    job: Job,
) -> Any:
    try:
        found = joined(circuits, names, view) if held is None else held
    except InputError as error:
        return f"{error.what} {error.way_out}"
    job.check()
    return found, comparison_drawing(found, room, view)
