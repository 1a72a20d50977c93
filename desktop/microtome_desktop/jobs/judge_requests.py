"""The request that judges a discovered circuit at one size."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome.records.discovery import discovery_of
from microtome.records.judgement import (
    Judgement,
    Stability,
    judgement_analysis,
    stability_analysis,
)
from microtome_desktop.jobs.discovery_requests import asked_of
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.discoveries import CIRCUIT, WITH_STEPS, WITH_TAU, Search

JUDGE_SLOT = "judge"
_SLOW, _SPLITS, _FEW_SPLITS = frozenset({"exact", "acdc"}), 5, 2


@dataclass(frozen=True, slots=True)
class JudgeCircuit(Request):
    """Completeness and minimality, then, where there are examples to halve, stability."""

    slot: ClassVar[str] = JUDGE_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({JUDGE_SLOT})
    about_session: ClassVar[bool] = True

    search: Search
    circuit: Analysis = field(repr=False)
    share: float
    signed: bool

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Judging a circuit of {self.share:.2%} of the edges"

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel."""
        return "completeness and minimality" if name == "judged" else ""

    def perform(self, engine: Engine, job: Job) -> Stability | None:
        """Stability; the judgement is handed out before."""
        from microtome.circuits.discovery.judging import judge_circuit, stability

        search, model = self.search, engine.loaded
        asked = asked_of(model, search)
        size: Any = {"share": self.share, "signed": self.signed, "job": job}
        job.partial(
            "judged",
            judge_circuit(
                model, discovery_of(self.circuit), asked.data, asked.metric, **size, **asked.options
            ),
        )
        if not isinstance(asked.metric, list) or len(asked.data) < 2:
            return None
        more: Any = {"steps": search.steps} if search.method in WITH_STEPS else {}
        more["splits"] = _FEW_SPLITS if search.method in _SLOW else _SPLITS
        more |= {"tau": search.tau} if search.method in WITH_TAU else {}
        return stability(
            model, asked.data, asked.metric, search.method, **size, **more, **asked.options
        )

    def deliver_partial(self, desk: Desk, name: str, value: Any) -> None:
        """Show what there is."""
        if isinstance(value, Judgement):
            desk.workspace.add_analysis(_of(judgement_analysis(value), self.circuit.id))

    def deliver(self, desk: Desk, result: Stability | None) -> None:
        """Add the rest to the session."""
        if result is not None:
            desk.workspace.add_analysis(_of(stability_analysis(result), self.circuit.id))


def _of(analysis: Analysis, circuit: str) -> Analysis:
    return replace(analysis, params={**analysis.params, CIRCUIT: circuit})
