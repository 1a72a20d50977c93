"""What a reader is told beside the file: which sign its scores have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from microtome.circuits.formats.rows import SIGN, EdgeColumns, NodeRow

AS_READ, TURNED = "as written", "turned: in the file positive = the clean content lowers the metric"


@dataclass(frozen=True, slots=True)
class Reading:
    """How to take a file's scores; ``opposite`` turns their sign."""

    opposite: bool = False

    @property
    def factor(self) -> int:
        """What scores of the file are multiplied with."""
        return -1 if self.opposite else 1

    def told(self, name: str) -> dict[str, Any]:
        """What metadata say of the format and of the sign."""
        return {"format": name, "sign": SIGN, "sign_read": TURNED if self.opposite else AS_READ}

    def turned(self, edges: EdgeColumns) -> EdgeColumns:
        """Edges with Microtome's sign."""
        return replace(edges, weight=-edges.weight) if self.opposite else edges

    def turned_row(self, row: NodeRow) -> NodeRow:
        """A node with Microtome's sign."""
        return replace(row, score=-row.score) if self.opposite else row


def sign_of_file(metadata: dict[str, Any]) -> int:
    """What weights are multiplied with to be written as the file had them that they came from."""
    return -1 if metadata.get("sign_read") == TURNED else 1
