"""The lines of Python that repeat what was asked about an edge, and about paths."""

from __future__ import annotations

from microtome.records.session import Session
from microtome_desktop.presenters.circuit_paths import rows_through
from microtome_desktop.presenters.node_card import readers_of

Lines = list[str]


def way_lines(
    session: Session, node: str, edge: tuple[str, str, int] | None
) -> tuple[Lines, Lines]:
    """Imports, and lines that give ``readers`` of an edge and the ``shares`` of paths.

    They need ``model``, ``asked``, ``circuit`` and ``metric``.
    """
    imports, lines = [], []
    if edge is not None and readers_of(session.analyses, edge) is not None:
        imports.append("from microtome.circuits.why_edge import edge_readers")
        lines.append(f"found = edge_readers(model, asked, circuit, {edge!r}, metric)")
        lines.append('readers = list(zip(found.array("reader"), found.array("weight")))')
    rows = () if session.circuit is None else rows_through(session.analyses, session.circuit, node)
    if rows:
        pair = session.question is not None and session.question.pair is not None
        data, ablation = ("asked", "resample") if pair else ("[asked]", "zero")
        lines += [
            "paths = [",
            *(f"    {row.path!r}," for row in rows),
            "]",
            f"patched = mt.path_patching(model, {data}, paths, metric, ablation={ablation!r})",
            "shares = patched.share",
        ]
    return imports, lines
