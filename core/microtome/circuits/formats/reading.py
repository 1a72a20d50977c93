"""What a reader is told beside the file: which sign its scores have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from microtome.circuits.formats.rows import SIGN, EdgeColumns, NodeRow
from microtome.errors import GraphError

_ANEW = "Write the file anew with Microtome."
_MOST = 1_000_000  # layers, heads or width
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


_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "tokens": list, "notes": list, "n_layers": int, "n_heads": int, "d_model": int, "method": str,
    "metric": str, "model": str, "prompt": (str, list), "token_ids": list,
}  # fmt: skip
_WHOLE = ("n_layers", "n_heads", "d_model")


def own_metadata(held: Any) -> dict[str, Any]:
    """The metadata that a file of ours carries; empty for none.

    Raises GraphError for values that no circuit of ours has.
    """
    if held is None:
        return {}
    if not isinstance(held, dict):
        raise GraphError(f"The circuit's own metadata in the file are {str(held)[:60]}.", _ANEW)
    for key, kind in _KINDS.items():
        value = held.get(key)
        wrong = key in held and (not isinstance(value, kind) or isinstance(value, bool))
        if wrong or (key in _WHOLE and value is not None and not 0 <= value < _MOST):
            raise GraphError(
                f"The circuit's own metadata in the file have {key} = {str(value)[:60]}.", _ANEW
            )
    return {key: value for key, value in held.items() if key != "source"}


def sign_of_file(metadata: dict[str, Any]) -> int:
    """What weights are multiplied with to be written as the file had them that they came from."""
    return -1 if metadata.get("sign_read") == TURNED else 1
