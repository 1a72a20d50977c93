"""Reading and writing graph files: one row for each format."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from microtome.circuits.formats import (
    acdc,
    attribution,
    attribution_write,
    auto_circuit,
    eap,
    eap_matrices,
    graphml,
    graphml_write,
    raw_graph,
    raw_graph_write,
)
from microtome.circuits.formats.components import why_no_components
from microtome.circuits.formats.documents import Document, open_document
from microtome.circuits.formats.reading import Reading
from microtome.errors import GraphError, InputError, expect
from microtome.jobs import Job, job_or_default
from microtome.records.circuit import Circuit
from microtome.session.storage import (
    discard,
    prepare_target,
    replace_target,
    storing,
    sync_file,
    temporary_beside,
)
from microtome.triage.examination import examine as look_at
from microtome.triage.trust import remember


@dataclass(frozen=True, slots=True)
class GraphFormat:
    """A format: its name, what it is, how its files end, how it is told, read and written."""

    name: str
    title: str
    suffix: str
    fits: Callable[[Document], bool]
    read: Callable[[Document, Reading], Circuit]
    write: Callable[[Circuit, Path, Job], None]
    refuses: Callable[[Circuit, str], str] = lambda _circuit, _name: ""

    def why_not(self, circuit: Circuit) -> str:
        """Why the format cannot hold a circuit, empty when it can; told without writing."""
        return self.refuses(circuit, f"The format {self.name}")


_ROWS = (
    GraphFormat(
        attribution.NAME, "attribution graph of circuit-tracer and Neuronpedia", ".json",
        attribution.fits, attribution.read, attribution_write.write,
    ),
    GraphFormat(
        eap.NAME, "scores and circuit of EAP-IG and MIB", ".json", eap.fits, eap.read, eap.write,
        why_no_components,
    ),
    GraphFormat(
        eap_matrices.NAME, "matrices of EAP-IG", ".pt",
        eap_matrices.fits, eap_matrices.read, eap_matrices.write, why_no_components,
    ),
    GraphFormat(
        auto_circuit.NAME, "scores of auto-circuit", ".pt",
        auto_circuit.fits, auto_circuit.read, auto_circuit.write, why_no_components,
    ),
    GraphFormat(
        raw_graph.NAME, "raw graph of circuit-tracer", ".pt",
        raw_graph.fits, raw_graph.read, raw_graph_write.write, raw_graph_write.why_not_raw,
    ),
    GraphFormat(
        acdc.PRESENT, "subgraph of ACDC", ".pth",
        acdc.fits, acdc.read, acdc.write, why_no_components,
    ),
    GraphFormat(
        acdc.EFFECTS, "edges of ACDC with their effects", ".pkl",
        acdc.fits_edges, acdc.read_edges, acdc.write_edges, why_no_components,
    ),
    GraphFormat(
        graphml.NAME, "GraphML", ".graphml", graphml.fits, graphml.read, graphml_write.write,
    ),
)  # fmt: skip
FORMATS: Mapping[str, GraphFormat] = {row.name: row for row in _ROWS}


def read_graph(
    path: str | os.PathLike[str], *, opposite_sign: bool = False, job: Job | None = None
) -> Circuit:
    """The circuit of a graph file of any format in ``FORMATS``, told by what is in it.

    Weights have Microtome's sign: positive = the clean content raises the metric. A file does not
    say which function its scores are of; ``opposite_sign`` turns those of a file whose positive
    scores mean the opposite (EAP of a metric in place of a loss), and the metadata say so. They
    also hold ``format``, ``notes`` on what was left out or decided, ``cyclic`` for a graph that
    leads back to itself, and in ``source`` all that no column holds. No code of a file runs.
    Raises GraphError for a file that is damaged or of no known format, UnsafeGraph for a pickle
    that asks for more than tensors, plain containers and known records, Cancelled when the job is
    stopped.
    """
    expect(path, (str, os.PathLike), "path", "a file's path", "Write for example 'graph.json'.")
    place, work = Path(path), job_or_default(job)
    work.progress(f"Looking at {place.name}", 0, 0)
    if place.is_file():
        look_at("graph", [place], job=work)
    return _read(place, Reading(opposite_sign), work)


def examine(paths: Sequence[Path]) -> None:
    """Read a graph as ``read_graph`` does, in the child that looks at it first."""
    (path,) = paths
    _read(path, Reading(), job_or_default(None))


def _read(path: Path, reading: Reading, job: Job) -> Circuit:
    document = open_document(path, job)
    for row in FORMATS.values():
        if row.fits(document):
            try:
                return row.read(document, reading)
            except OverflowError as error:  # JSON has whole numbers without end
                raise GraphError(
                    f"{path.name} holds a number that is too large.", "Export the graph anew."
                ) from error
    known = ", ".join(f"{row.title} ({row.suffix})" for row in FORMATS.values())
    raise GraphError(
        f"{document.path.name} is a {document.container} file, but none of a known graph.",
        f"Known are: {known}.",
    )


def write_graph(
    path: str | os.PathLike[str],
    circuit: Circuit,
    format: str | None = None,  # noqa: A002  # the word that everybody looks for
    *,
    job: Job | None = None,
) -> None:
    """Write a circuit as a graph file of another tool.

    Without ``format`` the path's suffix decides; where several have it, the format that the circuit
    was read from, else the first in ``FORMATS``. The file takes its place when it is whole.
    Raises InputError for an unknown format, GraphError for a circuit that the format cannot hold,
    StorageError when the disk refuses, Cancelled when the job is stopped.
    """
    expect(path, (str, os.PathLike), "path", "a file's path", "Write for example 'graph.json'.")
    expect(circuit, Circuit, "circuit", "a Circuit", "Make one with component_graph.")
    target = prepare_target(path, 0)
    row = format_for(target, circuit, format)
    temporary = temporary_beside(target)
    try:
        with storing(target):
            row.write(circuit, temporary, job_or_default(job))
            sync_file(temporary)
            replace_target(temporary, target)
            remember(target)
    finally:
        discard(temporary)


def format_for(path: Path, circuit: Circuit, name: str | None) -> GraphFormat:
    """The format that a circuit is written in. Raises InputError for none."""
    if name is not None:
        if name not in FORMATS:
            raise InputError(f"There is no graph format {name!r}.", _choose())
        return FORMATS[name]
    fitting = [row for row in FORMATS.values() if row.suffix == path.suffix.lower()]
    if not fitting:
        raise InputError(f"{path.name} ends like no graph file.", _choose())
    own = [row for row in fitting if row.name == circuit.metadata.get("format")]
    return (own or fitting)[0]


def _choose() -> str:
    rows = FORMATS.values()
    return "Choose one of " + ", ".join(f"{row.name} ({row.suffix})" for row in rows) + "."
