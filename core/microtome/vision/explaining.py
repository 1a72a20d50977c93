"""What ``examine`` finds of an image beyond its run: the circuit of channels, and what it keeps."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from microtome.circuits.prune import prune
from microtome.errors import UnknownArchitecture
from microtome.images.sets import image_set_names, load_image_set
from microtome.jobs import Job
from microtome.metrics import LinearMetric
from microtome.models.model import Model
from microtome.prompts import ImageInput, Question
from microtome.records.analysis import Analysis
from microtome.records.circuit import Circuit
from microtome.vision.alone import channels_alone
from microtome.vision.circuit import channel_graph

_REFERENCES = 4  # images of each class whose mean takes the place of what is cut


def reference_images(model: Model) -> tuple[ImageInput, ...]:
    """Images of the model's embedded set, some of each class; none for a model without a set."""
    return _references(model.identity.name)


@lru_cache(maxsize=4)
def _references(model: str) -> tuple[ImageInput, ...]:
    for name in image_set_names():
        held = load_image_set(name)
        if held.model == model:
            rows = (np.flatnonzero(held.labels == label) for label in range(len(held.classes)))
            return tuple(held.image(row) for some in rows for row in some[:_REFERENCES])
    return ()


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

    ``shown`` are the nodes and the share of edges that are drawn at first. None where a pair was
    asked, or the model has a step that cannot be frozen.
    """
    if question.corrupt is not None:
        return None
    try:
        circuit = channel_graph(model, question.prompt, metric, keep=edges, job=job)
    except UnknownArchitecture:
        return None
    job.partial("circuit", circuit)
    nodes = prune(circuit, *shown).node_id
    references = reference_images(model)
    keep(channels_alone(model, question.prompt, nodes, metric, references=references, job=job))
    return circuit
