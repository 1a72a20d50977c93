"""What ``examine`` finds of an image beyond its run: the circuit of channels, and what it keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from microtome.circuits.prune import prune
from microtome.errors import UnknownArchitecture
from microtome.jobs import Job
from microtome.metrics import LinearMetric
from microtome.models.model import Model
from microtome.prompts import Question
from microtome.records.analysis import Analysis
from microtome.records.circuit import Circuit
from microtome.vision.alone import channels_alone
from microtome.vision.circuit import channel_graph

_FIRST_ALONE = "The circuit explains the first image alone."


def explain_image(
    model: Model,
    question: Question,
    metric: LinearMetric,
    *,
    edges: int,
    shown: tuple[int, float],
    keep: Callable[[Analysis], None],
    job: Job,
) -> Circuit | None:
    """The circuit of a question's image, handed out as it comes, and what its shown part keeps.

    ``shown`` are the nodes and the share of edges that are drawn at first. Of a pair it is that of
    the first image. None where the model has a step that cannot be frozen.
    """
    try:
        circuit = channel_graph(model, question.prompt, metric, keep=edges, job=job)
    except UnknownArchitecture:
        return None
    if question.corrupt is not None:
        notes = [*circuit.metadata["notes"], _FIRST_ALONE]
        circuit = replace(circuit, metadata={**circuit.metadata, "notes": notes})
    job.partial("circuit", circuit)
    nodes = prune(circuit, *shown).node_id
    # Set to zero, as the secants of the circuit go through zero.
    keep(channels_alone(model, question.prompt, nodes, metric, job=job))
    return circuit
