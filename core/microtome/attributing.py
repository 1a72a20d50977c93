"""The graph of features of one question as a session: behind the window and the command line."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from microtome.circuits.attribution.edited import change_of
from microtome.circuits.attribution.estimate import estimate_attribution
from microtome.circuits.attribution.feature_words import feature_words, features_in
from microtome.circuits.attribution.graph import MAX_FEATURE_NODES, attribution_graph
from microtome.errors import MemoryExceeded, megabytes
from microtome.examining import first_run
from microtome.features.transcoders import Transcoders
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.prompts import Question
from microtome.records.analysis import Analysis
from microtome.records.circuit import Circuit
from microtome.records.feature_edit import FeatureEditSpec
from microtome.records.memory import free_memory
from microtome.records.session import Session
from microtome.records.trace import Trace

_WORDS_OF = 500  # features whose words are told
_MOST_PRODUCTS = 1 << 31  # multiplications that finding them may take
_FREE_SHARE = 0.9  # of the free memory that a graph may take

Ran = tuple[Trace, Mapping[str, Any]]  # a run, and its metric as a session tells it


def attribute(
    model: Model,
    transcoders: Transcoders,
    question: Question,
    *,
    edits: Sequence[FeatureEditSpec] = (),
    max_feature_nodes: int = MAX_FEATURE_NODES,
    ran: Ran | None = None,
    budget: int | None = None,
    job: Job | None = None,
) -> Session:
    """The attribution graph of a question's prompt, with its run and the words of its features.

    With ``edits`` it is the graph of the run in which they act. ``ran`` is a run of the prompt
    that is there already; a new one keeps ``budget`` bytes of activations.
    The job is handed ``memory``, what the graph takes, before it is begun.
    Raises what ``attribution_graph`` raises, and MemoryExceeded where that is more than is free.
    """
    job, question = job_or_default(job), replace(question, corrupt=None)
    most = max_feature_nodes
    job.progress("Estimating the memory", 0, 2)
    need = estimate_attribution(
        model, transcoders, question.prompt, max_feature_nodes=most, job=job
    )
    job.partial("memory", need)
    _expect_room(need.total)
    job.progress("Following features back", 1, 2)
    changes = tuple(change_of(spec) for spec in edits)
    circuit = attribution_graph(
        model, transcoders, question.prompt, max_feature_nodes=most, changes=changes, job=job
    )
    words = _words(model, transcoders, circuit, job)
    run, metric = first_run(model, question, budget=budget, job=job) if ran is None else ran
    return Session(
        model=model.identity,
        traces=(run,),
        circuit=_with_edits(circuit, edits),
        analyses={} if words is None else {words.id: words},
        question=question,
        metric=metric,
        uuid=str(uuid.uuid4()),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=model.identity.versions,
    )


def _words(model: Model, transcoders: Transcoders, circuit: Circuit, job: Job) -> Analysis | None:
    size = max(1, model.identity.d_model * model.identity.vocabulary)
    some = features_in(circuit, min(_WORDS_OF, max(1, _MOST_PRODUCTS // size)))
    return feature_words(model, transcoders, some, job=job)


def _with_edits(circuit: Circuit, edits: Sequence[FeatureEditSpec]) -> Circuit:
    """The edits as values: what the graph itself tells of them is text."""
    if not edits:
        return circuit
    told = {"feature_edits": [spec.as_json() for spec in edits]}
    return replace(circuit, metadata={**circuit.metadata, **told})


def _expect_room(need: int) -> None:
    free = free_memory()
    if free is not None and need > _FREE_SHARE * free:
        raise MemoryExceeded(
            f"The graph takes {megabytes(need)}, but {megabytes(free)} are free.",
            "Use a shorter prompt or fewer features, or close other programs.",
        )
