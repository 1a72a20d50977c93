"""What ``microtome discover --judge`` asks about the circuit, and how it tells the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from microtome.records.judgement import Judgement, Stability

if TYPE_CHECKING:
    from microtome.models.model import Model
    from microtome.records.analysis import Analysis
    from microtome.records.circuit import Circuit

_HALVES = 2  # one example has none


@dataclass(frozen=True, slots=True)
class Judged:
    """Completeness and minimality of one size, and stability where there was data to halve."""

    judgement: Judgement
    stability: Stability | None = None

    @classmethod
    def of(
        cls, model: Model, circuit: Circuit, task: tuple[Sequence[Any], Any], **how: Any
    ) -> Judged:
        """Judge a circuit on prompts with their metrics; ``how`` has method, steps, tau as well."""
        from microtome.circuits.discovery.judging import judge_circuit, stability

        search = {name: how.pop(name) for name in ("method", "steps", "tau")}
        data, metric = task
        judgement = judge_circuit(model, circuit, data, metric, **how)
        if len(data) < _HALVES:
            return cls(judgement)
        return cls(judgement, stability(model, data, metric, **search, **how))

    def analyses(self) -> list[Analysis]:
        """Both for the session."""
        from microtome.records.judgement import judgement_analysis, stability_analysis

        stable = () if self.stability is None else (stability_analysis(self.stability),)
        return [judgement_analysis(self.judgement), *stable]

    def as_json(self) -> dict[str, Any]:
        """All numbers as plain JSON."""
        found = self.judgement
        told: dict[str, Any] = {
            "metric": found.params["metric"],
            "share": found.params["share"],
            "nodes": dict(zip(found.nodes, found.minimality.tolist(), strict=True)),
            "gaps": found.gaps.tolist(),
            "incompleteness": found.incompleteness,
        }
        if self.stability is not None:
            told["correlation"] = self.stability.correlation.tolist()
            told["overlap"] = self.stability.overlap.tolist()
        return told

    def lines(self) -> list[str]:
        """A line for each question, and the nodes that are worth least."""
        found = self.judgement
        worth = found.minimality
        least = ", ".join(f"{found.nodes[row]} {worth[row]:.3f}" for row in np.argsort(worth)[:3])
        mean, worst = found.incompleteness, found.gaps.max()
        size = f"{found.params['share']:.1%} of the edges, {len(found.nodes)} nodes"
        lines = [
            f"Judged by {found.params['metric']} at {size}",
            f"  completeness: gaps of {mean:.3f} on average, {worst:.3f} at most",
            f"  minimality: worth least {least}",
        ]
        if self.stability is not None:
            ranks, both = self.stability.correlation.mean(), self.stability.overlap.mean()
            lines.append(f"  stability on halves: rank correlation {ranks:.3f}, overlap {both:.1%}")
        return lines
