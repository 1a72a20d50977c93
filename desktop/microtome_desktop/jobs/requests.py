"""Requests of the panels: run a prompt, and look closer at what a run found.

A panel names only what it points at; ``bound`` adds question, circuit and metric of the session
on screen, so that the request can travel.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from microtome.analysis.memory import space_memory
from microtome.errors import InputError, MemoryExceeded, megabytes
from microtome.jobs import Job
from microtome.metrics import LinearMetric, LogitDifference, LogitOverMean
from microtome.prompts import Prompt, PromptPair, Question
from microtome.records.analysis import Analysis
from microtome.records.circuit import Circuit
from microtome.records.memory import free_memory
from microtome.records.session import Session
from microtome.records.trace import Trace
from microtome.sites import Site
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.request import Request
from microtome_desktop.jobs.unit_runs import ablated_unit, units_alone
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.library import Library
from microtome_desktop.state.units import is_unit, unit_layers
from microtome_desktop.state.workspace import Workspace

__all__ = [
    "AblateEdge",
    "AblateNode",
    "Examine",
    "ExplainAttention",
    "ProjectSite",
    "ReproducedShare",
    "Subject",
]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a closer look is about: the question, its circuit and its metric."""

    question: Question
    circuit: Circuit
    metric: LinearMetric

    @property
    def asked(self) -> Prompt | PromptPair:
        """The pair, or the single prompt."""
        return self.question.pair or self.question.prompt

    @classmethod
    def of(cls, session: Session | None) -> Subject:
        """The subject of the session on screen.

        Raises InputError when it holds no circuit yet.
        """
        if session is None or session.question is None or session.circuit is None:
            raise InputError("There is no circuit on screen.", "Run a prompt first.")
        return cls(session.question, session.circuit, metric_of(session))


def metric_of(session: Session) -> LinearMetric:
    """The metric of a session, with token ids."""
    held = session.metric
    position = int(held.get("position", -1))
    if "wrong_id" in held:
        return LogitDifference(int(held["answer_id"]), int(held["wrong_id"]), position)
    return LogitOverMean(int(held["answer_id"]), position)


@dataclass(frozen=True, slots=True)
class OfCircuit(Request):
    """A request whose answer is one more analysis of the session it was asked about."""

    about_session: ClassVar[bool] = True

    subject: Subject | None = field(default=None, kw_only=True, repr=False)

    def bound(self, desk: Desk) -> Self:
        """The request with what it needs of the session on screen."""
        return self if self.subject else replace(self, subject=Subject.of(desk.workspace.session))

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel."""
        return "a first picture" if name == "analysis" else ""

    def deliver_partial(self, desk: Desk, name: str, value: Any) -> None:
        """Show a first picture of the analysis."""
        if name == "analysis":
            desk.workspace.add_analysis(value)

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Add the analysis."""
        desk.workspace.add_analysis(result)

    @property
    def _about(self) -> Subject:
        if self.subject is None:
            raise InputError(f"{self.title} needs a circuit.", "Run a prompt first.")
        return self.subject


@dataclass(frozen=True, slots=True)
class AblateNode(OfCircuit):
    """Ablate one node of the circuit for real: predicted beside true effect."""

    slot: ClassVar[str] = "verify"

    node: str

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Ablating {self.node}"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """A verification."""
        from microtome.circuits.verify import ablate_node

        about = self._about
        if is_unit(about.circuit, self.node):
            return ablated_unit(engine, about, self.node, job)
        return ablate_node(
            engine.loaded, about.asked, about.circuit, self.node, about.metric, job=job
        )


@dataclass(frozen=True, slots=True)
class AblateEdge(OfCircuit):
    """Ablate one edge for real. ``kind`` is the edge kind's number."""

    slot: ClassVar[str] = "verify"

    source: str
    target: str
    kind: int

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Ablating {self.source} \N{RIGHTWARDS ARROW} {self.target}"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """A verification."""
        from microtome.circuits.verify import ablate_edge

        about, edge = self._about, (self.source, self.target, self.kind)
        return ablate_edge(engine.loaded, about.asked, about.circuit, edge, about.metric, job=job)


@dataclass(frozen=True, slots=True)
class ExplainAttention(OfCircuit):
    """Why a head looks from ``query`` to ``key``: the exact table of sources."""

    slot: ClassVar[str] = "why"
    replaces: ClassVar[frozenset[str]] = frozenset({"why"})

    layer: int
    head: int
    query: int
    key: int | None = None

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Explaining where L{self.layer}H{self.head} looks"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The query-source × key-source table."""
        from microtome.circuits.why import attention_sources

        place = (self.layer, self.head, self.query, self.key)
        return attention_sources(engine.loaded, self._about.asked, *place, job=job)


@dataclass(frozen=True, slots=True)
class ReproducedShare(OfCircuit):
    """How much of the metric the given nodes alone reproduce."""

    slot: ClassVar[str] = "share"
    replaces: ClassVar[frozenset[str]] = frozenset({"share"})

    nodes: tuple[str, ...]

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Running {len(self.nodes)} nodes alone"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The share, in the analysis' params."""
        from microtome.circuits.verify import reproduced_share
        from microtome.examining import references_of

        about, model = self._about, engine.loaded
        if unit_layers(about.circuit):
            return units_alone(engine, about, self.nodes, job)
        references = references_of(model)
        return reproduced_share(
            model, about.asked, self.nodes, about.metric, references=references, job=job
        )


def space_needs(site: str, points: int, workspace: Workspace, library: Library) -> int | None:
    """Bytes that a projection takes, by the model's shapes and its prompts' words; None offline."""
    model, session = workspace.model, workspace.session
    if model is None or model.sees:  # layers of units are no sites, and small
        return None
    sets = library.shelf.facts.prompt_sets
    words = [len(str(pair.clean).split()) for held in sets for pair in held.pairs]
    own = 0 if session is None or session.clean is None else len(session.clean.tokens)
    longest = max(2 * max(words, default=0), own)
    return space_memory(model, Site.parse(site), points, longest)


@dataclass(frozen=True, slots=True)
class ProjectSite(OfCircuit):
    """The PCA of one site over a prompt set; None takes all sets made for the model."""

    slot: ClassVar[str] = "project"
    replaces: ClassVar[frozenset[str]] = frozenset({"project"})

    site: str
    prompt_set: str | None = None
    run: Trace | None = None
    points: int | None = None  # at most; None takes those of the settings

    def bound(self, desk: Desk) -> Self:
        """With the run on screen, whose own tokens are placed among the others.

        Raises MemoryExceeded, before anything is run, for more than there is.
        """
        session, points = desk.workspace.session, self.points or desk.settings.points
        made = replace(self, run=None if session is None else session.clean, points=points)
        needed, free = made.memory(desk), free_memory()
        if needed is not None and free is not None and needed > free:
            raise MemoryExceeded(
                f"{self.title} takes about {megabytes(needed)} of memory, but {megabytes(free)} "
                "are free.",
                "Choose fewer points in the settings, one layer instead of all, or another model.",
            )
        return made

    def memory(self, desk: Desk) -> int | None:
        """As estimated from shapes."""
        points = self.points or desk.settings.points
        return space_needs(self.site, points, desk.workspace, desk.library)

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Projecting {self.site}"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """A projection."""
        from microtome.analysis.placing import own_space, place
        from microtome.analysis.space import DEFAULT_POINTS, feature_space
        from microtome.examining import prompt_sets_of
        from microtome.prompt_sets import load_prompt_set

        model, chosen = engine.loaded, self.prompt_set
        sets = prompt_sets_of(model) if chosen is None else (load_prompt_set(chosen),)
        site, run = Site.parse(self.site), self.run
        holds = run is not None and site.name in run.activations
        if run is not None and holds and not sets:
            return own_space(run, site)
        space = feature_space(model, site, sets, limit=self.points or DEFAULT_POINTS, job=job)
        return place(space, run) if run is not None and holds else space
