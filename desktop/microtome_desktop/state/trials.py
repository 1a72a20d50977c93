"""What is known of the edits beside the list itself: which cannot be made, and how they run."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from psygnal import Signal

from microtome.records.edits import EditSpec
from microtome.records.generation import Generation
from microtome.records.session import Session

_NO_PROBLEMS: Mapping[EditSpec, str] = MappingProxyType({})
_NO_NORMS: Mapping[str, float] = MappingProxyType({})


class Trials:
    """Belongs to the session on screen, and is in no file: a run of the edits gives it again.

    ``problems`` tells of edits that were left out of the latest run, by the edit as it was then.
    ``norms`` are the mean lengths of the vectors of steered sites, by site.
    """

    changed = Signal(frozenset)  # names of what differs

    def __init__(self) -> None:
        self.problems = _NO_PROBLEMS
        self.norms = _NO_NORMS
        self.running = False
        self.running_features = False  # the edits of features
        self.generating = False
        self.before: Generation | None = None  # what is being written
        self.after: Generation | None = None

    def update(self, **fields: Any) -> None:
        """Change what is named; nothing is told when nothing differs."""
        differing = frozenset(n for n, value in fields.items() if getattr(self, n) != value)
        for name in differing:
            setattr(self, name, fields[name])
        if differing:
            self.changed.emit(differing)

    def clear(self) -> None:
        """Another session."""
        self.update(problems=_NO_PROBLEMS, norms=_NO_NORMS, running=False)
        self.update(generating=False, before=None, after=None)


def acting_edits(session: Session | None, trials: Trials) -> tuple[EditSpec, ...]:
    """The edits that are on, without those that the latest run had to leave out."""
    edits = () if session is None else session.marks.edits
    return tuple(spec for spec in edits if spec.on and spec not in trials.problems)
