"""Which check looks at which kind of file, within which limits: one row for each kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from microtome.triage.limits import Budget


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: its name, the check that its child runs, the error for what breaks that.

    Beyond 2 s and 256 MB, 2 s more are for each ``pace`` MB of a file, and memory for some
    ``times`` its size; ``most`` bounds what a large one may take.
    """

    name: str
    check: str
    error: str
    pace: int = 50
    times: int = 3
    most: Budget | None = None


KINDS: Mapping[str, Kind] = MappingProxyType({
    row.name: row
    for row in (
        Kind(
            "session", "microtome.session.child:examine", "SessionDamaged",
            most=Budget(10, 1 << 30),
        ),
        Kind("graph", "microtome.circuits.formats.files:examine", "GraphError", 10, 12),
        Kind("dictionary", "microtome.features.formats.vetting:examine", "DictionaryError"),
        Kind("model", "microtome.models.vetting:examine", "ModelDamaged"),
    )
})  # fmt: skip
