"""Requests about single ways through the circuit: a path patched, an edge explained."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from microtome.errors import InputError
from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request
from microtome_desktop.jobs.requests import Subject
from microtome_desktop.state.desk import Desk


@dataclass(frozen=True, slots=True)
class _OfCircuit(Request):
    """A request whose answer is one more analysis of the session it was asked about."""

    about_session: ClassVar[bool] = True

    subject: Subject | None = field(default=None, kw_only=True, repr=False)

    def bound(self, desk: Desk) -> Self:
        """The request with what it needs of the session on screen."""
        return self if self.subject else replace(self, subject=Subject.of(desk.workspace.session))

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Add the analysis."""
        desk.workspace.add_analysis(result)

    @property
    def _about(self) -> Subject:
        if self.subject is None:
            raise InputError(f"{self.title} needs a circuit.", "Run a prompt first.")
        return self.subject


@dataclass(frozen=True, slots=True)
class PatchPath(_OfCircuit):
    """Patch one path: with the corrupt prompt's values, or with zero where there is none."""

    slot: ClassVar[str] = "path"
    replaces: ClassVar[frozenset[str]] = frozenset({"path"})

    path: str

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return "Patching a path"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """What the path carries."""
        from microtome.circuits.discovery.paths import path_patching
        from microtome.records.paths import paths_analysis

        about = self._about
        pair = about.question.pair
        found = path_patching(
            engine.loaded,
            [about.question.prompt] if pair is None else pair,
            self.path,
            about.metric,
            ablation="zero" if pair is None else "resample",
            job=job,
        )
        return paths_analysis(found)

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Keep it, and tell the share."""
        desk.workspace.add_analysis(result)
        share, effect = (float(result.array(name)[0]) for name in ("share", "effect"))
        path = self.path.replace("->", " \N{RIGHTWARDS ARROW} ")
        told = f"{share:.0%} of what all paths carry, {effect:+.3g} of the metric."
        desk.notices.info(f"This path carries {told}".replace("-", "\N{MINUS SIGN}"), path)


@dataclass(frozen=True, slots=True)
class ExplainEdge(_OfCircuit):
    """Who reads on what an edge brings: the parts of its weight."""

    slot: ClassVar[str] = "why"
    replaces: ClassVar[frozenset[str]] = frozenset({"why"})

    source: str
    target: str
    kind: int

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Explaining {self.source} \N{RIGHTWARDS ARROW} {self.target}"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The table of readers."""
        from microtome.circuits.why_edge import edge_readers

        about, edge = self._about, (self.source, self.target, self.kind)
        return edge_readers(engine.loaded, about.asked, about.circuit, edge, about.metric, job=job)
