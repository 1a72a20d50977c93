"""Requests about single ways through the circuit: a path patched, an edge explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.requests import OfCircuit
from microtome_desktop.state.desk import Desk


@dataclass(frozen=True, slots=True)
class PatchPath(OfCircuit):
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
class ExplainEdge(OfCircuit):
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
