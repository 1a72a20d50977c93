"""In which format, and where, the circuit on screen is written as a graph file."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLabel, QWidget

from microtome.circuits.formats.files import FORMATS, GraphFormat
from microtome.records.circuit import Circuit
from microtome.records.session import Session
from microtome_desktop.views.saving_dialog import SavingDialog, typed_path


class GraphExportDialog(SavingDialog):
    """All formats; those that cannot hold the circuit are off and say why."""

    def __init__(self, session: Session, folder: str, parent: QWidget) -> None:
        super().__init__("Export graph", Path(folder or Path.home()) / "graph", parent)
        self.setObjectName("export_graph")
        circuit = session.circuit
        if circuit is None:
            raise ValueError("A session with a circuit was expected.")
        self._rows = list(FORMATS.values())
        self._reasons = [row.why_not(circuit) for row in self._rows]
        self.formats = QComboBox()
        self.formats.setObjectName("graph_format")
        self._fill(circuit)
        self.path.setObjectName("graph_path")
        self.only_shown = QCheckBox("Only the nodes and edges that are shown")
        self.only_shown.setObjectName("graph_only_shown")
        self.only_shown.setToolTip(
            f"Without this: all {circuit.n_nodes:,} nodes and {circuit.n_edges:,} edges"
        )
        self.told = QLabel()
        self.told.setObjectName("dim")
        self.told.setWordWrap(True)
        self._lay_out()
        self.formats.currentIndexChanged.connect(self._on_format)
        self._on_format()

    def _fill(self, circuit: Circuit) -> None:
        for row, reason in zip(self._rows, self._reasons, strict=True):
            self.formats.addItem(f"{row.title}  ({row.suffix})")
            at = self.formats.count() - 1
            model = self.formats.model()
            if reason and isinstance(model, QStandardItemModel):
                model.item(at).setEnabled(False)
                model.item(at).setToolTip(reason)
        own = [row.name for row in self._rows].index
        name = circuit.metadata.get("format")
        free = self._reasons.index("")
        wanted = own(name) if name in {row.name for row in self._rows} else free
        self.formats.setCurrentIndex(free if self._reasons[wanted] else wanted)

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.addWidget(QLabel("Format"), 0, 0)
        grid.addWidget(self.formats, 0, 1)
        grid.addWidget(QLabel("File"), 1, 0)
        grid.addLayout(self.place, 1, 1)
        column = self.column()
        column.addLayout(grid)
        column.addWidget(self.only_shown)
        column.addWidget(self.told)
        column.addStretch(1)
        self.finish(column)

    @property
    def _row(self) -> GraphFormat:
        return self._rows[self.formats.currentIndex()]

    @property
    def format_chosen(self) -> str:
        """The name of the format."""
        return self._row.name

    def target(self) -> Path:
        """What was typed, with the ending of the format."""
        path = typed_path(self.path.text())
        named = path.suffix or not path.name
        return path if named else path.with_name(f"{path.name}{self._row.suffix}")

    def _on_format(self, *_: object) -> None:
        text = self.path.text().strip()
        endings = {row.suffix for row in self._rows}
        if text and Path(text).suffix in endings | {""}:
            self.path.setText(str(Path(text).with_suffix(self._row.suffix)))
        off = [f"{row.name}: {why}" for row, why in zip(self._rows, self._reasons, strict=True)
               if why]  # fmt: skip
        held = "holds heads and MLPs, without positions, pins and groups"
        page = "holds everything: pins and groups as the saved view, names as labels"
        plain = "holds nodes, edges and names; pins and groups stay in the session"
        raw = "holds the effects between the nodes of the file; marks stay in the session"
        by_name = {"attribution-graph": page, "graphml": plain, "circuit-tracer": raw}
        self.told.setText(f"This format {by_name.get(self._row.name, held)}.")
        self.told.setToolTip("\n".join(off))
        self.check()

    def kind(self) -> str:
        """Files of the format."""
        return f"{self._row.title} (*{self._row.suffix})"
