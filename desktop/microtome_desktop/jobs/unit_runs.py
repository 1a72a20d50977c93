"""What is run of single units of a model that sees, for requests about a circuit of them."""

from __future__ import annotations

from typing import Protocol

from microtome.jobs import Job
from microtome.metrics import LinearMetric
from microtome.prompts import Question
from microtome.records.analysis import Analysis
from microtome.records.circuit import Circuit
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.state.units import unit_layers


class About(Protocol):
    """What is asked about, its circuit and its metric."""

    @property
    def question(self) -> Question:
        """The image, which a circuit of units explains also of a pair."""

    @property
    def circuit(self) -> Circuit:
        """Its circuit of units."""

    @property
    def metric(self) -> LinearMetric:
        """What the circuit is of."""


def ablated_unit(engine: Engine, about: About, node: str, job: Job) -> Analysis:
    """The effect of one unit, predicted and true."""
    from microtome.vision.alone import ablate_unit

    image = about.question.prompt
    return ablate_unit(engine.loaded, image, about.circuit, node, about.metric, job=job)


def units_alone(engine: Engine, about: About, nodes: tuple[str, ...], job: Job) -> Analysis:
    """How much of the metric some units reproduce alone."""
    from microtome.vision.alone import channels_alone

    image, layers = about.question.prompt, unit_layers(about.circuit)
    return channels_alone(engine.loaded, image, nodes, about.metric, layers=layers, job=job)
