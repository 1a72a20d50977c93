"""What leaves the discovery panel as a table."""

from __future__ import annotations

from microtome_desktop.presenters.discovery_dial import Ranked
from microtome_desktop.state.exports import Table


def edge_table(ranked: Ranked, count: int, signed: bool) -> Table:
    """Every edge with its score, best first, and whether it is kept at a size."""
    kept = ranked.kept(count, signed=signed)
    writers, readers = ranked.edges.writer_names, ranked.edges.reader_names
    rows = [
        (
            f"{writers[ranked.writer[row]]}->{readers[ranked.reader[row]]}",
            float(ranked.scores[row]),
            int(kept[row]),
        )
        for row in ranked.order(signed=signed)
    ]
    return Table(("edge", "score", "kept"), rows)
