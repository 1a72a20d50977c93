"""What is run of single units of a model that sees, for requests about a circuit of them."""

from __future__ import annotations

from typing import Protocol

from microtome.jobs import Job
from microtome.metrics import LinearMetric
from microtome.prompts import Prompt, PromptPair, Question
from microtome.records.analysis import Analysis
from microtome.records.circuit import Circuit
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.state.units import unit_layers


class About(Protocol):
    """What is asked about, its circuit and its metric."""

    @property
    def question(self) -> Question:
        """The image or the pair."""

    @property
    def circuit(self) -> Circuit:
        """Its circuit of units."""

    @property
    def metric(self) -> LinearMetric:
        """What the circuit is of."""


def explained(about: About) -> Prompt | PromptPair:
    """What a circuit is of: the pair, or the image where two runs could not be frozen."""
    single = about.circuit.metadata.get("corrupt") is None
    return about.question.prompt if single else about.question.pair or about.question.prompt


def ablated_unit(engine: Engine, about: About, node: str, job: Job) -> Analysis:
    """The effect of one unit, predicted and true."""
    from microtome.vision.alone import ablate_unit

    asked = explained(about)
    return ablate_unit(engine.loaded, asked, about.circuit, node, about.metric, job=job)


def units_alone(engine: Engine, about: About, nodes: tuple[str, ...], job: Job) -> Analysis:
    """How much of the metric some units reproduce alone."""
    from microtome.vision.alone import channels_alone

    asked, layers = explained(about), unit_layers(about.circuit)
    return channels_alone(engine.loaded, asked, nodes, about.metric, layers=layers, job=job)
