"""``microtome import`` and ``microtome export``: graph files into sessions and back."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from microtome.cli.given import expect_writable, progress_job


def add_import(parser: argparse.ArgumentParser) -> None:
    """The options of ``microtome import``."""
    parser.add_argument("graph", type=Path, help="the graph file; its content tells the format")
    parser.add_argument("--out", type=Path, required=True, help="the session file to write")
    parser.add_argument(
        "--opposite-sign",
        action="store_true",
        help="positive scores of the file mean that the clean content lowers the metric",
    )
    parser.add_argument("--json", action="store_true", help="print a summary as JSON")


def add_export(parser: argparse.ArgumentParser) -> None:
    """The options of ``microtome export``."""
    parser.add_argument("session", type=Path)
    parser.add_argument("--graph", type=Path, required=True, help="the graph file to write")
    parser.add_argument("--format", help="the format, where the file's ending leaves a choice")
    parser.add_argument("--json", action="store_true", help="print a summary as JSON")


def import_graph(options: argparse.Namespace) -> int:
    """Read a graph file, save it as a session, and say what it holds."""
    from microtome.circuits.formats.files import read_graph
    from microtome.circuits.formats.sessions import session_of
    from microtome.session.writer import save_session

    expect_writable(options.out)
    job = progress_job()
    circuit = read_graph(options.graph, opposite_sign=options.opposite_sign, job=job)
    save_session(options.out, session_of(circuit, Path(options.graph).name), job=job)
    _tell(circuit, options)
    return 0


def export_graph(options: argparse.Namespace) -> int:
    """Write the circuit of a session as a graph file, and say what it holds."""
    from microtome.circuits.formats.files import format_for, write_graph
    from microtome.circuits.formats.sessions import circuit_to_write
    from microtome.session.reader import open_session

    expect_writable(options.graph)
    circuit = circuit_to_write(open_session(options.session))
    chosen = format_for(options.graph, circuit, options.format)
    write_graph(options.graph, circuit, chosen.name, job=progress_job())
    _tell(circuit, options, format=chosen.name)
    return 0


def _tell(circuit: Any, options: argparse.Namespace, **more: str) -> None:
    told = circuit.metadata
    found = {
        "format": told.get("format"), "nodes": circuit.n_nodes, "edges": circuit.n_edges,
        "cyclic": bool(told.get("cyclic")), "notes": list(told.get("notes", ())),
        "file": str(options.out if options.command == "import" else options.graph), **more,
    }  # fmt: skip
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for note in found["notes"]:
        print(f"note: {note}")
    print(f"{found['format']}: {found['nodes']:,} nodes, {found['edges']:,} edges")
    print(f"saved to {found['file']}")
