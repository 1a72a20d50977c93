"""Everything that one session holds, as a value: the window shows it, a file keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from microtome.prompts import Question
from microtome.records.analysis import Analysis
from microtome.records.checks import CheckReport
from microtome.records.circuit import Circuit
from microtome.records.dictionary import DictionaryIdentity
from microtome.records.made import stamped
from microtome.records.marks import Marks
from microtome.records.model import ModelIdentity
from microtome.records.trace import Trace

# A loaded model is accepted where its identity is meant, and a list where a tuple is; whoever
# reads a session always finds the identity and the tuple.
if TYPE_CHECKING:
    Identified: TypeAlias = ModelIdentity
    Traces: TypeAlias = tuple[Trace, ...]
else:
    Identified = object
    Traces = Sequence[Trace]


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """A question put to a model, and all that was found out.

    ``traces`` holds the clean run first, then the corrupt one if there is one. ``analyses`` is
    keyed by analysis id. ``marks`` is what the user has written onto it. ``view`` is the window's
    state as plain JSON; a reader may ignore it. ``edited`` is the clean prompt run with the edits
    of the marks that are on, None without any. ``dictionaries`` names those that were used: their
    tensors stay in their own files, which a fingerprint recognises. A circuit or an analysis that
    bears no stamp of the model that made it gets that of ``model``.
    """

    model: Identified
    traces: Traces = ()
    circuit: Circuit | None = None
    analyses: Mapping[str, Analysis] = field(default_factory=lambda: MappingProxyType({}))
    question: Question | None = None
    metric: Mapping[str, Any] = field(
        default_factory=dict
    )  # name, kind, answer ids and words, value
    checks: CheckReport | None = None
    view: Mapping[str, Any] = field(default_factory=dict)
    marks: Marks = field(default_factory=Marks)
    uuid: str = ""
    created: str = ""  # ISO 8601, UTC
    versions: Mapping[str, str] = field(default_factory=dict)
    edited: Trace | None = None
    dictionaries: tuple[DictionaryIdentity, ...] = ()

    def __post_init__(self) -> None:
        # A loaded model may be given in place of its identity.
        identity = getattr(self.model, "identity", self.model)
        object.__setattr__(self, "model", identity)
        object.__setattr__(self, "traces", tuple(self.traces))
        # Whichever way a result comes in, by window, command or program, it is stamped here.
        if any(each.made is None for each in self.analyses.values()):
            held = {name: stamped(each, identity) for name, each in self.analyses.items()}
            object.__setattr__(self, "analyses", MappingProxyType(held))
        if self.circuit is not None and self.circuit.made is None:
            object.__setattr__(self, "circuit", stamped(self.circuit, identity))

    @property
    def clean(self) -> Trace | None:
        """The run on the clean prompt."""
        return self.traces[0] if self.traces else None

    @property
    def corrupt(self) -> Trace | None:
        """The run on the corrupt prompt, None for a single prompt."""
        return self.traces[1] if len(self.traces) > 1 else None
