"""What ``examine`` finds of an image beyond its run: the circuit of channels, and what it keeps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
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

_FIRST_ALONE = (
    "The circuit explains the first image alone: a step of the model fits no rule for two runs."
)


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

    ``shown`` are the nodes and the share of edges that are drawn at first. None where the model
    has a step that cannot be frozen; where only two runs cannot be, it is that of the first image.
    """
    subjects = [each for each in (question.pair, question.prompt) if each is not None]
    for subject in subjects:
        with suppress(UnknownArchitecture):
            circuit = channel_graph(model, subject, metric, keep=edges, job=job)
            break
    else:
        return None
    if subject is not subjects[0]:
        notes = [*circuit.metadata["notes"], _FIRST_ALONE]
        circuit = replace(circuit, metadata={**circuit.metadata, "notes": notes})
    job.partial("circuit", circuit)
    nodes = prune(circuit, *shown).node_id
    # Set to zero or exchanged, as the secants of the circuit go through zero or the other run.
    keep(channels_alone(model, subject, nodes, metric, job=job))
    return circuit
