"""The request that runs a prompt, and how its parts come on screen."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from microtome.jobs import Job
from microtome.metrics import default_metric
from microtome.prompts import Question
from microtome.records.analysis import Analysis
from microtome.records.circuit import HEAD, OUTPUT, Circuit
from microtome.records.coverage import COVERAGE, coverage_analysis
from microtome.records.marks import Marks
from microtome.records.session import Session
from microtome.records.trace import Trace
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.carried import carried_analyses
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.features import feature_notes, index_with
from microtome_desktop.state.selection import Selection
from microtome_desktop.state.workspace import Workspace

# What a new run or another model makes meaningless.
SESSION_SLOTS = frozenset(
    {
        "examine",
        "verify",
        "why",
        "share",
        "project",
        "edits",
        "edge changes",
        "generate",
        "price",
        "sweep",
        "foresee",
        "heads",
    }
)


def _new_name() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Examine(Request):
    """Put one question to the model; parts are shown as they come.

    ``example`` marks the run at the start, which nobody is asked to save. ``uuid`` names the
    session that the run makes.
    """

    slot: ClassVar[str] = "examine"
    # The self-checks wait: whoever runs a prompt does not want to.
    replaces: ClassVar[frozenset[str]] = SESSION_SLOTS | {"checks"}
    newest_parts: ClassVar[frozenset[str]] = frozenset({"circuit"})  # of a search it grows

    question: Question
    example: bool = False
    uuid: str = field(default_factory=_new_name)
    budget: int | None = None  # of activations, in bytes; None takes that of the settings
    edges: int | None = None  # into each node; None takes those of the settings

    def bound(self, desk: Desk) -> Self:
        """With the budgets that the user has chosen."""
        settings = desk.settings
        budget = settings.activations << 20 if self.budget is None else self.budget
        return replace(self, budget=budget, edges=self.edges or settings.edges)

    def memory(self, desk: Desk) -> int | None:
        """As estimated for what is typed, if that is what is run."""
        needs, text = desk.draft.reading.needs, desk.draft.text
        known = needs is not None and text.asked and text.question() == self.question
        return needs.peak if needs is not None and known else None

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return "Running the prompt"

    @property
    def missed(self) -> bool:
        """Not the example of the start."""
        return not self.example

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel."""
        return _PART_TITLES.get(name) or str(getattr(value, "title", name))

    def perform(self, engine: Engine, job: Job) -> Session:
        """The whole session; its parts are handed out before."""
        from microtome.examining import KEPT_EDGES, examine

        # An answer that cannot be used is refused before anything on screen is replaced.
        default_metric(engine.loaded, np.zeros(1), None, self.question.answer, self.question.wrong)
        edges = self.edges or KEPT_EDGES
        found = examine(engine.loaded, self.question, budget=self.budget, edges=edges, job=job)
        return replace(found, uuid=self.uuid)

    def deliver_partial(self, desk: Desk, name: str, value: Any) -> None:
        """Show the runs, the metric, the circuit and each analysis when they arrive."""
        if name == "trace":  # the old session stays on screen until there is a run to show
            show_new(desk, self._first(desk, value))
        elif name in _SHOW_PART and self._on_screen(desk):
            _SHOW_PART[name](desk, value)

    def deliver(self, desk: Desk, result: Session) -> None:
        """Add what was not handed out before."""
        if self._on_screen(desk):
            _complete(desk, result)
        else:
            before, fingerprint = desk.workspace.session, result.model.fingerprint
            held = {**carried_analyses(before, fingerprint), **result.analyses}
            marks = carried_over(before, fingerprint)
            show_new(desk, replace(result, marks=marks, analyses=held))
        if self.example:
            desk.workspace.mark_clean()

    def _first(self, desk: Desk, run: Trace) -> Session:
        """The session while it holds one run; with the reasons for panels that stay empty."""
        held = desk.library.shelf.coverage
        lacking = held is not None and held.reason("circuit")
        analyses = carried_analyses(desk.workspace.session, run.model.fingerprint)
        if held is not None and lacking:
            analyses[COVERAGE] = coverage_analysis(held)
        return Session(
            run.model, (run,), analyses=analyses, question=self.question, uuid=self.uuid,
            marks=carried_over(desk.workspace.session, run.model.fingerprint),
        )  # fmt: skip

    def _on_screen(self, desk: Desk) -> bool:
        session = desk.workspace.session
        return session is not None and session.uuid == self.uuid


def carried_over(before: Session | None, fingerprint: str) -> Marks:
    """What a new run of the same model takes over: labels and notes of features among it.

    Edits that speak of positions, or of another prompt's values, were meant for that prompt: they
    come along switched off.
    """
    if before is None or before.model.fingerprint != fingerprint:
        return Marks()
    edits = tuple(
        replace(e, on=False) if e.positions is not None or e.action == "patch" else e
        for e in before.marks.edits
    )
    held = before.marks
    return Marks(
        notes=feature_notes(held), edits=edits, edit_sets=held.edit_sets,
        hypotheses=held.hypotheses, labels=held.labels,
    )  # fmt: skip


def show_new(desk: Desk, session: Session) -> None:
    """Show a new session, with its answer selected if it has a circuit already.

    A feature stays selected where the session has an index of its dictionary.
    """
    feature = desk.selection.current.feature
    desk.selection.clear()
    desk.workspace.show(session)
    if feature is not None and index_with(session, feature[0]) is not None:
        desk.selection.update(feature=feature)
    select_answer(desk)


def _show_corrupt(desk: Desk, trace: Trace) -> None:
    session = desk.workspace.session
    if session is not None:
        desk.workspace.change("traces", traces=(*session.traces[:1], trace))


def _show_metric(desk: Desk, metric: Any) -> None:
    desk.workspace.change("metric", metric=metric)


def _show_circuit(desk: Desk, circuit: Circuit) -> None:
    desk.workspace.change("circuit", circuit=circuit)
    select_answer(desk)


def _show_analysis(desk: Desk, analysis: Analysis) -> None:
    session = desk.workspace.session
    if session is not None and session.analyses.get(analysis.id) is not analysis:
        desk.workspace.add_analysis(analysis)


_PART_TITLES = {
    "trace": "the run",
    "corrupt": "the corrupt run",
    "metric": "the metric",
    "circuit": "the circuit",
}
_SHOW_PART: dict[str, Callable[[Desk, Any], None]] = {
    "corrupt": _show_corrupt,
    "metric": _show_metric,
    "circuit": _show_circuit,
    "analysis": _show_analysis,
}


def _complete(desk: Desk, session: Session) -> None:
    """Bring the session on screen to the finished one, touching only what differs."""
    shown = desk.workspace.session
    if shown is None:
        return
    if len(shown.traces) != len(session.traces):
        desk.workspace.change("traces", traces=session.traces)
    if session.circuit is not None and shown.circuit is not session.circuit:
        _show_circuit(desk, session.circuit)
    for analysis in session.analyses.values():
        _show_analysis(desk, analysis)
    desk.workspace.change(
        "metric",
        metric=session.metric,
        created=session.created,
        versions=session.versions,
        checks=desk.library.shelf.checks,
    )


class OnScreen(Protocol):
    """Whatever has the session on screen and the selection."""

    @property
    def workspace(self) -> Workspace:
        """The session on screen."""

    @property
    def selection(self) -> Selection:
        """What is selected."""


def select_answer(desk: OnScreen) -> None:
    """Select the metric's node, and the head that writes most to it, unless a node is selected.

    What feeds the metric is the whole circuit, so nothing is dimmed at first.
    """
    session = desk.workspace.session
    circuit = session.circuit if session is not None else None
    if circuit is None or desk.selection.current.node is not None:
        return
    answer = circuit.node_kind.index(OUTPUT)
    at = int(circuit.node_position[answer])
    writers = circuit.edge_source[circuit.incoming(answer)]
    heads = [int(row) for row in writers if circuit.node_kind[row] == HEAD]
    desk.selection.update(
        node=circuit.node_id[answer],
        position=None if at < 0 else at,
        layer=int(circuit.node_layer[heads[0]]) if heads else None,
        head=int(circuit.node_head[heads[0]]) if heads else None,
    )
