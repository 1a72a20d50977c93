"""The request for how much of a metric the best units of a circuit keep alone, size by size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome.records.faithfulness import faithfulness_analysis
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.requests import OfCircuit
from microtome_desktop.jobs.unit_runs import explained

CURVE_SLOT = "unit curve"


@dataclass(frozen=True, slots=True)
class UnitFaithfulness(OfCircuit):
    """The curve of the circuit of units on screen, with random units beside it."""

    slot: ClassVar[str] = CURVE_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({CURVE_SLOT})

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return "Running the best units alone"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The curve."""
        from microtome.vision.faithful import channel_faithfulness

        about = self._about
        asked, circuit = explained(about), about.circuit
        found = channel_faithfulness(engine.loaded, circuit, asked, about.metric, job=job)
        return faithfulness_analysis(found, "Faithfulness by units")
