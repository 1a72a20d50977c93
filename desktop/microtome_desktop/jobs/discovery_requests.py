"""Requests of the discovery panel: a circuit with its curve, and what they would take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

from microtome.errors import InputError, MetricError, MicrotomeError
from microtome.jobs import Job, QuietPart, Steps
from microtome.prompt_sets import load_prompt_set
from microtome.prompts import Question
from microtome.records.analysis import Analysis
from microtome.records.circuit import Circuit
from microtome.records.discovery import discovery_analysis, discovery_of
from microtome.records.faithfulness import Faithfulness, faithfulness_analysis, joined
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.one_length import of_one_length
from microtome_desktop.jobs.request import Request
from microtome_desktop.jobs.sweep_requests import metrics_of
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.discoveries import CIRCUIT, SEARCH, Outlook, Search, fixed, mean_over
from microtome_desktop.state.sweeps import Wish

DISCOVERY_SLOT = "discovery"
# What may mend a search that cannot be made, by the error that it raises.
_OF_METRIC = (("method", "eap-ig"), ("metric", "logit"))
_OF_DATA = (("ablation", "zero"), ("by_position", ""))


@dataclass(frozen=True, slots=True)
class Asked:
    """What the engine takes for a search."""

    data: Any
    metric: Any
    options: dict[str, Any]
    note: str = ""  # which pairs of a set they are, where it is not the first ones


def asked_of(model: Any, search: Search) -> Asked:
    """Prompts, metrics and options of a search. Raises InputError and what the engine raises."""
    questions, note = questions_of(model, search)
    pairs = [question.pair for question in questions]
    data = [q.prompt for q in questions] if None in pairs else pairs
    if None in pairs and search.ablation == "resample":
        raise InputError(
            "There is no corrupt prompt whose values could be put in place of an edge's.",
            "Type one below the prompt, choose a prompt set, or another ablation.",
        )
    metric = metrics_of(model, Wish(None, metric=search.metric), questions)
    over = mean_over(search)
    options = {"ablation": search.ablation, **({"over": over} if over else {})}
    return Asked(data, metric, options, note)


def how_of(search: Search) -> dict[str, Any]:
    """What a method is told, and tests of its circuit are not."""
    return {"steps": search.steps, "tau": search.tau, "by_position": search.by_position}


def questions_of(model: Any, search: Search) -> tuple[Sequence[Question], str]:
    """The one pair, or the first of a set, by position of one length; a note on the choice."""
    if search.data:
        pairs, note = load_prompt_set(search.data).pairs, ""
        if search.by_position:
            pairs, note = of_one_length(model, pairs)
        some = pairs[: search.count or None]
        return [Question(p.clean, p.corrupt, p.answer, p.wrong) for p in some], note
    if search.question is None:
        raise InputError("There is no task.", "Run a prompt, or choose a prompt set.")
    return [search.question], ""


def circuit_analysis(search: Search, circuit: Circuit) -> Analysis:
    """A circuit for the session, with what was asked for beside it."""
    made = discovery_analysis(circuit)
    return replace(made, params={**made.params, SEARCH: search.as_json()})


def curve_analysis(circuit: str, curve: Faithfulness) -> Analysis:
    """A curve for the session, with the name of its circuit."""
    made = faithfulness_analysis(curve)
    return replace(made, params={**made.params, CIRCUIT: circuit})


@dataclass(frozen=True, slots=True)
class RunDiscovery(Request):
    """Score all edges, then test circuits of every size; both are drawn as they come."""

    slot: ClassVar[str] = DISCOVERY_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({DISCOVERY_SLOT})
    about_session: ClassVar[bool] = True

    search: Search

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return "Finding the circuit"

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel."""
        return {"discovery": "the first scores", "found": "all scores"}.get(name, "a first curve")

    def memory(self, desk: Desk) -> int | None:
        """As it was estimated, if it was."""
        held = desk.workspace.prepared.get(outlook_key(self.search))
        return held.bytes or None if isinstance(held, Outlook) and not held.problem else None

    def perform(self, engine: Engine, job: Job) -> tuple[Analysis, Analysis]:
        """Circuit and curve; what is there of them is handed out before."""
        from microtome.circuits.discovery.discover import discover_circuit
        from microtome.circuits.discovery.faithful import faithfulness

        search = self.search
        asked = asked_of(engine.loaded, search)
        circuit = discover_circuit(
            engine.loaded, asked.data, asked.metric, search.method,
            job=_Parts(job, partial(circuit_analysis, search)),
            **how_of(search), **asked.options,
        )  # fmt: skip
        found = circuit_analysis(search, circuit)
        job.partial("found", Part(found))
        curve = faithfulness(
            engine.loaded, circuit, asked.data, asked.metric,
            job=_Parts(job, partial(curve_analysis, found.id)), **asked.options,
        )  # fmt: skip
        return found, curve_analysis(found.id, curve)

    def deliver_partial(self, desk: Desk, name: str, value: Any) -> None:
        """Draw what there is."""
        if isinstance(value, Part):
            desk.workspace.add_analysis(value.analysis)

    def deliver(self, desk: Desk, result: tuple[Analysis, Analysis]) -> None:
        """Add both to the session."""
        for analysis in result:
            desk.workspace.add_analysis(analysis)


@dataclass(frozen=True, slots=True)
class Part:
    """A partial result as the session holds it: the engine spaces them, so none is left out."""

    analysis: Analysis


class _Parts(QuietPart):
    """The job, with what it hands out made ready here: a million edges take their time."""

    def __init__(self, whole: Job, make: Callable[[Any], Analysis]) -> None:
        super().__init__(whole)
        self._make = make

    @property
    def hears_partials(self) -> bool:
        """Whether anybody takes partial results of the whole."""
        return self._whole.hears_partials

    def progress(self, title: str, done: Steps, total: Steps, unit: str = "") -> None:
        """Progress of the whole."""
        self._whole.progress(title, done, total, unit)

    def partial(self, name: str, value: Any) -> None:
        """A part for the session."""
        self._whole.partial(name, Part(self._make(value)))


@dataclass(frozen=True, slots=True)
class ForeseeDiscovery(Request):
    """What a search would take, before anybody starts it."""

    slot: ClassVar[str] = "foresee discovery"
    replaces: ClassVar[frozenset[str]] = frozenset({"foresee discovery"})
    about_session: ClassVar[bool] = True
    quiet: ClassVar[bool] = True

    search: Search

    @property
    def title(self) -> str:
        """What is being done."""
        return "Estimating a discovery"

    def perform(self, engine: Engine, job: Job) -> Outlook:
        """The estimate, or the problem."""
        try:
            return foreseen(engine.loaded, self.search, job)
        except MicrotomeError as error:
            return Outlook(
                problem=str(error), fixes=fixes_for(engine.loaded, self.search, error, job)
            )

    def deliver(self, desk: Desk, result: Outlook) -> None:
        """Give it to the panel."""
        desk.workspace.prepared.put(outlook_key(self.search), result)

    def ended(self, desk: Desk) -> None:
        """It may be asked for again."""
        desk.workspace.prepared.forget(outlook_key(self.search))


@dataclass(frozen=True, slots=True)
class MeasureSize(Request):
    """Faithfulness of the circuit of exactly this size, as one more point of its curve."""

    slot: ClassVar[str] = "faithfulness"
    replaces: ClassVar[frozenset[str]] = frozenset({"faithfulness"})
    about_session: ClassVar[bool] = True

    search: Search
    circuit: Analysis = field(repr=False)
    curve: Faithfulness
    share: float

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Testing a circuit of {self.share:.2%} of the edges"

    def perform(self, engine: Engine, job: Job) -> Faithfulness:
        """The curve with the point on it."""
        from microtome.circuits.discovery.faithful import faithfulness

        asked = asked_of(engine.loaded, self.search)
        point = faithfulness(
            engine.loaded, discovery_of(self.circuit), asked.data, asked.metric,
            sizes=(self.share,), job=job, **asked.options,
        )  # fmt: skip
        return joined(self.curve, point)

    def deliver(self, desk: Desk, result: Faithfulness) -> None:
        """Put it in the place of the curve."""
        desk.workspace.add_analysis(curve_analysis(self.circuit.id, result))


def outlook_key(search: Search) -> tuple[str, Search]:
    """Under which the outlook of a search is kept for the panel."""
    return "discovery outlook", search


def fixes_for(
    model: Any, search: Search, error: MicrotomeError, job: Job
) -> tuple[tuple[str, str], ...]:
    """Which single changes make a search possible that the engine refused with ``error``."""
    offered = _OF_METRIC if isinstance(error, MetricError) else _OF_DATA
    return tuple(
        (name, value)
        for name, value in offered
        if fixed(search, name, value) != search
        and _possible(model, fixed(search, name, value), job)
    )


def _possible(model: Any, search: Search, job: Job) -> bool:
    from microtome.circuits.discovery.discover import expect_possible

    try:
        asked = asked_of(model, search)
        how: Any = {"job": job, **how_of(search), **asked.options}
        expect_possible(model, asked.data, asked.metric, search.method, **how)
    except MicrotomeError:
        return False
    return True


def foreseen(model: Any, search: Search, job: Job) -> Outlook:
    """What a search would take. Raises what the engine raises."""
    from microtome.circuits.discovery.discover import expect_possible
    from microtome.circuits.discovery.estimate import estimate_discovery

    asked = asked_of(model, search)
    given = model, asked.data, asked.metric, search.method
    how: Any = {"job": job, **how_of(search), **asked.options}
    expect_possible(*given, **how)
    found = estimate_discovery(*given, **how)
    curve = found.curve_seconds
    return Outlook(
        found.edges, found.examples, found.seconds + curve, found.most_seconds + curve,
        max(found.bytes, found.curve_bytes), note=asked.note,
    )  # fmt: skip
