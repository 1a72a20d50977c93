"""Requests about edits of features of the graph on screen: what they do, and text with them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Self

from microtome.errors import DictionaryMismatch, InputError
from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome.records.circuit import Circuit
from microtome.records.feature_edit import FEATURE_EDIT
from microtome.records.session import Session
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.feature_graph_requests import transcoders_in
from microtome_desktop.jobs.generate_request import Writing
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.feature_acts import acting
from microtome_desktop.state.feature_sets import set_of


@dataclass(frozen=True, slots=True)
class _OnGraph(Request):
    """A request about the graph of features on screen and the edits of it that act."""

    about_session: ClassVar[bool] = True

    session: Session | None = field(default=None, repr=False)
    where: str = ""

    def bound(self, desk: Desk) -> Self:
        """With the session on screen and where its transcoders are."""
        session = desk.workspace.session
        where = "" if session is None else set_of(session, desk.library)
        return replace(self, session=session, where=where)

    def _parts(
        self, engine: Engine, job: Job
    ) -> tuple[Any, Any, Session, Circuit, tuple[Any, ...]]:
        from microtome.circuits.attribution.edited import change_of

        session = self.session
        if session is None or session.circuit is None or session.clean is None or not self.where:
            raise InputError("There is no graph of features.", "Make one with Feature graph.")
        transcoders = transcoders_in(engine, self.where, job)
        made_with = session.circuit.metadata.get("transcoders_fingerprint", "")
        held = transcoders.layers[0].identity.fingerprint
        if made_with and held and made_with != held:
            raise DictionaryMismatch(
                f"The graph was made with other transcoders than {transcoders.name}, which are "
                "open: their weights differ.",
                "Open those that it was made with, or make the graph again.",
            )
        changes = tuple(change_of(spec) for spec in acting(session.marks))
        return engine.loaded, transcoders, session, session.circuit, changes


@dataclass(frozen=True, slots=True)
class TryFeatureEdits(_OnGraph):
    """What the edits of features that act do to predictions and to the graph."""

    slot: ClassVar[str] = "feature edits"
    replaces: ClassVar[frozenset[str]] = frozenset({"feature edits", "checks"})
    quiet: ClassVar[bool] = True

    @property
    def title(self) -> str:
        """What is being done."""
        return "Editing features"

    def started(self, desk: Desk) -> None:
        """The panel says so where it takes long."""
        desk.trials.update(running_features=True)

    def ended(self, desk: Desk) -> None:
        """Nothing runs any more."""
        desk.trials.update(running_features=False)

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """Predictions, nodes and edges before and after."""
        from microtome.circuits.attribution.edited import edited_graph

        model, transcoders, session, circuit, changes = self._parts(engine, job)
        return edited_graph(
            model, transcoders, _prompt(session), circuit, changes,
            mode=session.marks.feature_mode, job=job,
        )  # fmt: skip

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Keep it, unless the edits are others by now."""
        now = desk.workspace.session
        if now is not None and self.session is not None and same_edits(now, self.session):
            desk.workspace.add_analysis(result)


def same_edits(one: Session, other: Session) -> bool:
    """Whether the same edits of features act in two states of a session, in the same way."""
    a, b = one.marks, other.marks
    return (acting(a), a.feature_mode) == (acting(b), b.feature_mode)


def _prompt(session: Session) -> Any:
    if session.question is None:
        raise InputError("The session does not say what was asked.", "Make the graph again.")
    return session.question.prompt


@dataclass(frozen=True, slots=True)
class WriteWithFeatures(_OnGraph):
    """Two texts from the prompt of the graph: without and with the edits of features."""

    slot: ClassVar[str] = "feature text"
    replaces: ClassVar[frozenset[str]] = frozenset({"feature text"})

    writing: Writing = field(default_factory=Writing)

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return "Writing without and with edits of features"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """Both texts."""
        from microtome.circuits.attribution.edited import edited_text

        model, transcoders, session, _, changes = self._parts(engine, job)
        prompt, sampling = _prompt(session), asdict(self.writing)
        return edited_text(model, transcoders, prompt, changes, sampling=sampling, job=job)

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Keep both."""
        desk.workspace.add_analysis(result)


def forget_result(desk: Desk) -> None:
    """Without edits there is nothing that they do."""
    session = desk.workspace.session
    if session is not None and FEATURE_EDIT in session.analyses:
        desk.workspace.put_analyses({FEATURE_EDIT: None})
