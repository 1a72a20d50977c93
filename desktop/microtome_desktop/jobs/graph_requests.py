"""Requests of the IO thread: graph files of other tools, in and out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from microtome.errors import file_size
from microtome.jobs import Job
from microtome.records.circuit import Circuit
from microtome.records.session import Session
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.examine import SESSION_SLOTS
from microtome_desktop.jobs.file_requests import show_opened
from microtome_desktop.jobs.request import Request, Thread
from microtome_desktop.state.desk import Desk

Rows = NDArray[Any]  # true for those that stay
_MEMORY = 0.6  # bytes that reading takes for each byte of a file, as measured for large JSON


@dataclass(frozen=True, slots=True)
class ImportGraph(Request):
    """Read a graph file of another tool as a session to look at without a model.

    Several are read one after another; each becomes a run of the history, the last is on screen.
    """

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "import graph"
    replaces: ClassVar[frozenset[str]] = SESSION_SLOTS | {"open"}
    asks_first: ClassVar[bool] = True

    path: Path
    nbytes: int = 0
    beside: str = ""  # the other of two files that were opened together

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        size = f" ({file_size(self.nbytes)})" if self.nbytes else ""
        return f"Importing {self.path.name}{size}"

    def memory(self, desk: Desk) -> int | None:
        """Bytes that the graph takes while it is read."""
        return int(_MEMORY * self.nbytes) if self.nbytes else None

    def perform(self, engine: Engine, job: Job) -> Session:
        """The graph, with what the reader has to say of it in its metadata."""
        from microtome.circuits.formats.files import read_graph
        from microtome.circuits.formats.sessions import session_of

        return session_of(read_graph(self.path, job=job), self.path.name)

    def deliver(self, desk: Desk, result: Session) -> None:
        """Show it as a session that no file holds yet, and tell what the reader left out."""
        show_opened(desk, result, None)
        circuit = result.circuit
        if circuit is None:
            return
        size = f"{circuit.n_nodes:,} nodes, {circuit.n_edges:,} edges"
        title = f"{self.path.name}: {circuit.metadata['format']}, {size}"
        if notes := circuit.metadata.get("notes", ()):
            off = "What needs an order from input to output is off." * bool(
                circuit.metadata.get("cyclic")
            )
            desk.notices.warn(title, " ".join(notes), off)
        else:
            desk.notices.info(title, "Save the session to open it at once the next time.")
        if self.beside:
            desk.notices.info(
                f"Two graphs: {self.beside} and {self.path.name}",
                f"Choose {self.beside} in History, then Compare: both as one graph, in colours of "
                "what they share and what each has alone.",
            )


@dataclass(frozen=True, slots=True)
class ExportGraph(Request):
    """Write the circuit of a session as a graph file of another tool."""

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "export graph"

    path: Path
    format: str
    session: Session = field(repr=False)
    # What chooses a part: rows of nodes and of edges. None writes all of the circuit.
    part: Callable[[Circuit], tuple[Rows, Rows]] | None = field(default=None, repr=False)

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Exporting {self.path.name}"

    def perform(self, engine: Engine, job: Job) -> Path:
        """The file, complete and on the disk."""
        from microtome.circuits.formats.files import write_graph
        from microtome.circuits.formats.sessions import circuit_to_write

        circuit = circuit_to_write(self.session)
        if self.part is not None:
            circuit = circuit.select(*self.part(circuit))
        write_graph(self.path, circuit, self.format, job=job)
        return self.path

    def deliver(self, desk: Desk, result: Path) -> None:
        """Say so."""
        desk.notices.info(f"Exported {result.name}")
