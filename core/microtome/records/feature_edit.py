"""Edits of features as plain values, and the names of what was found with them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from microtome.errors import InputError

FEATURE_EDIT = "feature-edit"  # id and kind of the analysis: predictions, nodes and edges
FEATURE_TEXT = "feature-text"  # id of the analysis: text without and with the edits
FEATURE_WORDS = "feature-words"  # id and kind: what features raise and lower
FEATURE_ACTIONS = ("ablate", "scale", "set", "steer")
FEATURE_MODES = ("frozen", "free")
GRAPH_METHOD = "attribution graph"  # of a circuit's metadata


@dataclass(frozen=True, slots=True)
class FeatureEditSpec:
    """One feature of a layer's transcoder, and what its activation becomes.

    ``action`` is ``ablate``, ``scale``, ``set`` or ``steer``, by ``amount``; without
    ``positions`` everywhere. ``on`` is False for an edit that waits. ``group`` is the name of the
    supernode that it was made for, empty for a feature alone.
    Raises InputError for another action or a number that is not finite.
    """

    layer: int
    feature: int
    action: str = "ablate"
    amount: float = 0.0
    positions: tuple[int, ...] | None = None
    on: bool = True
    group: str = ""

    def __post_init__(self) -> None:
        if self.action not in FEATURE_ACTIONS or not math.isfinite(self.amount):
            raise InputError(
                f"A feature cannot be edited by {self.action!r} and {self.amount}.",
                f"Known are {', '.join(FEATURE_ACTIONS)}, with a finite number.",
            )
        if self.positions is not None:
            object.__setattr__(self, "positions", tuple(int(at) for at in self.positions))

    def as_json(self) -> dict[str, Any]:
        """The edit as plain JSON values."""
        positions = None if self.positions is None else list(self.positions)
        return asdict(self) | {"positions": positions}
