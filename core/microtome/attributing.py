"""The graph of features of one question as a session: behind the window and the command line."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from microtome.circuits.attribution.edited import change_of, edited_graph, edited_text
from microtome.circuits.attribution.estimate import AttributionMemory, estimate_attribution
from microtome.circuits.attribution.feature_words import feature_words, features_in
from microtome.circuits.attribution.graph import MAX_FEATURE_NODES, attribution_graph
from microtome.errors import MemoryExceeded, megabytes
from microtome.examining import examine
from microtome.features.indexing import feature_indexes
from microtome.features.transcoders import Transcoders
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.prompts import Question
from microtome.records.analysis import Analysis
from microtome.records.circuit import Circuit
from microtome.records.feature_edit import FEATURE_TEXT, FeatureEditSpec
from microtome.records.feature_index import index_analysis
from microtome.records.memory import free_memory
from microtome.records.session import Session
from microtome.records.trace import Trace

_WORDS_OF = 500  # features whose words are told
_MOST_PRODUCTS = 1 << 31  # multiplications that finding them may take
_FREE_SHARE = 0.9  # of the free memory that a graph may take

Ran = tuple[Trace, Mapping[str, Any]]  # a run, and its metric as a session tells it


@dataclass(frozen=True, slots=True)
class GraphSettings:
    """What ``attribution_graph`` is asked for; ``budget`` is for direct effects, in bytes."""

    max_feature_nodes: int = MAX_FEATURE_NODES
    probability: float = 0.95
    max_logits: int = 10
    budget: int | None = None

    def estimate(
        self, model: Model, transcoders: Transcoders, question: Question, job: Job | None = None
    ) -> AttributionMemory:
        """What the graph takes of memory. Raises as ``estimate_attribution``."""
        return estimate_attribution(
            model, transcoders, question.prompt, max_feature_nodes=self.max_feature_nodes,
            max_logits=self.max_logits, budget=self.budget, job=job,
        )  # fmt: skip


def attribute(
    model: Model,
    transcoders: Transcoders,
    question: Question,
    *,
    edits: Sequence[FeatureEditSpec] = (),
    settings: GraphSettings | None = None,
    ran: Ran | None = None,
    budget: int | None = None,
    job: Job | None = None,
) -> Session:
    """The attribution graph of a question's prompt, with its run and the words of its features.

    With ``edits`` it is the graph of the run in which they act. ``ran`` is a run of the prompt
    that is there already; without it there is all that ``examine`` tells of the prompt, whose run
    keeps ``budget`` bytes of activations.
    Raises what ``graph_of`` raises.
    """
    job, question = job_or_default(job), replace(question, corrupt=None)
    circuit = graph_of(model, transcoders, question, edits=edits, settings=settings, job=job)
    words = _words(model, transcoders, circuit, job)
    if ran is None:
        made = examine(model, question, budget=budget, circuit=circuit, job=job)
    else:
        made = _session_of(model, question, ran, circuit)
    known = tuple(one.identity for one in transcoders.layers)
    held = {} if words is None else {words.id: words}
    return replace(made, analyses=MappingProxyType({**made.analyses, **held}), dictionaries=known)


def graph_of(
    model: Model,
    transcoders: Transcoders,
    question: Question,
    *,
    edits: Sequence[FeatureEditSpec] = (),
    settings: GraphSettings | None = None,
    job: Job | None = None,
) -> Circuit:
    """The attribution graph of a question's prompt, of the run in which ``edits`` act.

    The job is handed ``memory``, what the graph takes, before it is begun.
    Raises what ``attribution_graph`` raises, and MemoryExceeded where that is more than is free.
    """
    job, asked = job_or_default(job), settings or GraphSettings()
    job.progress("Estimating the memory", 0, 2)
    need = asked.estimate(model, transcoders, question, job)
    job.partial("memory", need)
    _expect_room(need.total)
    job.progress("Following features back", 1, 2)
    changes = tuple(change_of(spec) for spec in edits)
    circuit = attribution_graph(
        model, transcoders, question.prompt, changes=changes, job=job, **asdict(asked)
    )
    if not edits:
        return circuit
    told = {"feature_edits": [spec.as_json() for spec in edits]}  # the graph tells them as text
    return replace(circuit, metadata={**circuit.metadata, **told})


def with_feature_edits(
    session: Session,
    model: Model,
    transcoders: Transcoders,
    edits: Sequence[FeatureEditSpec],
    *,
    mode: str = "free",
    written: int = 0,
    job: Job | None = None,
) -> Session:
    """A session of ``attribute`` with edits of features, and what they do to its graph and prompt.

    Of ``written`` tokens or more there are two texts as well: without the edits, and with them.
    Raises what ``edited_graph`` and ``generate`` raise, InputError for a session without a graph.
    """
    changes = tuple(change_of(spec) for spec in edits if spec.on)
    circuit, question = session.circuit, session.question
    if circuit is None or question is None or not changes:
        return session
    done = edited_graph(model, transcoders, question.prompt, circuit, changes, mode=mode, job=job)
    found = {done.id: done}
    if written:
        found[FEATURE_TEXT] = edited_text(
            model, transcoders, question.prompt, changes, sampling={"n_tokens": written}, job=job
        )
    marks = replace(session.marks, feature_edits=tuple(edits), feature_mode=mode)
    return replace(session, marks=marks, analyses=MappingProxyType({**session.analyses, **found}))


def card_indexes(
    model: Model, transcoders: Transcoders, source: Any, *, limit: int, job: Job | None = None
) -> tuple[Analysis, ...]:
    """What a text shows of all features of a set, a result for each layer; one pass over the text.

    ``source`` is as in ``feature_index``. Raises CorpusError.
    """
    coders = [transcoders.coder(layer) for layer in range(transcoders.n_layers)]
    found = feature_indexes(model, coders, source, limit=limit, job=job)
    return tuple(index_analysis(one) for one in found)


def _session_of(model: Model, question: Question, ran: Ran, circuit: Circuit) -> Session:
    run, metric = ran
    return Session(
        model=model.identity,
        traces=(run,),
        circuit=circuit,
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


def _expect_room(need: int) -> None:
    free = free_memory()
    if free is not None and need > _FREE_SHARE * free:
        raise MemoryExceeded(
            f"The graph takes {megabytes(need)}, but {megabytes(free)} are free.",
            "Use a shorter prompt or fewer features, or close other programs.",
        )
