"""One question put to a model: the engine behind the window, the command line and Python."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

from microtome.activations.capture import trace
from microtome.analysis.change import logit_change
from microtome.analysis.direct import direct_analysis, direct_logit_attribution
from microtome.analysis.heads import applies, detect, head_scores, named_detectors
from microtome.analysis.lens import lens_analysis
from microtome.analysis.placing import own_space, place
from microtome.analysis.space import feature_space
from microtome.circuits.component import component_graph
from microtome.circuits.prune import prune
from microtome.circuits.verify import reproduced_share
from microtome.errors import MemoryExceeded, PromptError, SiteMissing, expect
from microtome.jobs import Job, job_or_default
from microtome.metrics import LinearMetric, default_metric
from microtome.models.coverage import coverage
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.prompt_sets import PromptSet, load_prompt_set, prompt_set_names
from microtome.prompts import Prompt, PromptPair, Question
from microtome.records.analysis import Analysis, Labelled
from microtome.records.circuit import Circuit
from microtome.records.coverage import coverage_analysis
from microtome.records.made import stamped
from microtome.records.session import Session
from microtome.records.trace import Trace
from microtome.sites import Site
from microtome.vision.default_space import space_with
from microtome.vision.explaining import explain_image

SHOWN_NODES, SHOWN_EDGES = 40, 0.8  # what the window draws at first
KEPT_EDGES = 32  # into each node of a circuit
_REFERENCES = 2  # prompts of each set whose mean takes the place of what is cut
_REPEATING_SET, _SCORED = "induction", 12  # a closed vocabulary never saw random tokens
_EXAMPLE = "Write for example Question('Mary and John went to', answer='Mary')."
_FIRST_ALONE = (
    "The circuit explains the first prompt alone: a router may choose other experts in each prompt."
)
_SPACE_POINTS = 2500  # enough to see groups, quick enough to wait for

# Head scores and feature spaces belong to the model, not to a prompt: made once for each.
_of_model: WeakKeyDictionary[Model, dict[str, Analysis]] = WeakKeyDictionary()


@small_on_one_thread
def examine(
    model: Model,
    question: Question,
    *,
    budget: int | None = None,
    edges: int = KEPT_EDGES,
    circuit: Circuit | None = None,
    job: Job | None = None,
) -> Session:
    """Run a question and return all that the window shows of it, as one session.

    Each run keeps activations of at most ``budget`` bytes, the most useful sites first; of each
    node of the circuit the ``edges`` strongest in-edges are kept. A ``circuit`` that is there
    already takes the place of the one that would be computed.
    Partial results are handed out by ``job.partial`` as they come: ``trace`` and ``corrupt``
    (Trace), ``metric`` (a mapping), ``analysis`` (Analysis), ``circuit`` (Circuit).
    Raises PromptError, AnswerError or MetricError for a question the model cannot be asked, and
    Cancelled when the job is stopped.
    """
    job = job_or_default(job)
    expect_model(model)
    expect(question, Question, "question", "a Question", _EXAMPLE)
    traces = _traces(model, question, budget, job)
    metric, described = _metric(model, question, traces)
    job.partial("metric", described)
    found: dict[str, Analysis] = {}

    def keep(analysis: Analysis) -> None:
        found[analysis.id] = stamped(analysis, model.identity)
        job.partial("analysis", found[analysis.id])

    if not model.whole:  # first, so that panels can say at once why they stay empty
        keep(coverage_analysis(coverage(model)))
    if len(traces) > 1:
        keep(logit_change(*traces))
    # What a long prompt's activations outgrow the budget for is left out; the panels say so.
    with suppress(SiteMissing):
        keep(lens_analysis(traces[0], int(metric.answer), metric=described["name"], job=job))
    if model.whole and circuit is not None:
        _direct(metric, traces[0], keep)
    elif circuit is None:
        circuit = _explain(model, question, metric, traces[0], edges=edges, keep=keep, job=job)
    if "pattern" in model.ports:
        keep(scores_on(head_scores_of(model, question.seed, job), traces[0]))
    _space(model, traces[0], keep, job)
    return Session(
        model=model.identity,
        traces=traces,
        circuit=circuit,
        analyses=MappingProxyType(found),
        question=question,
        metric=described,
        uuid=str(uuid.uuid4()),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=model.identity.versions,
    )


def _space(model: Model, clean: Trace, keep: Callable[[Analysis], None], job: Job) -> None:
    if clean.image is not None:
        seen = space_with(model, clean.image, job)
        if seen is not None:
            keep(seen)
            return
    if "resid_post" not in model.ports:
        return
    space = default_space(model, job)
    with suppress(SiteMissing):
        keep(own_space(clean, Site("resid_post")) if space is None else place(space, clean))


def _explain(
    model: Model,
    question: Question,
    metric: LinearMetric,
    clean: Trace,
    *,
    edges: int,
    keep: Callable[[Analysis], None],
    job: Job,
) -> Circuit | None:
    """What is computed from the weights: direct attribution, the circuit, what it reproduces.

    Of a model that sees and whose weights have no known place, what a frozen run tells.
    """
    if not model.whole:
        if model.sight is None:
            return None
        part = (SHOWN_NODES, SHOWN_EDGES)
        return explain_image(model, question, metric, edges=edges, shown=part, keep=keep, job=job)
    _direct(metric, clean, keep)
    asked = _asked(model, question)
    circuit = _circuit(model, question, metric, edges, job)
    job.partial("circuit", circuit)
    shown = prune(circuit, SHOWN_NODES, SHOWN_EDGES).node_id
    with suppress(MemoryExceeded):
        others = references_of(model)
        keep(reproduced_share(model, asked, shown, metric, references=others, job=job))
    return circuit


def _direct(metric: LinearMetric, clean: Trace, keep: Callable[[Analysis], None]) -> None:
    with suppress(SiteMissing):
        keep(direct_analysis(direct_logit_attribution(clean, metric)))


def _asked(model: Model, question: Question) -> Prompt | PromptPair:
    """What the circuit is of: the pair, or the prompt where there is one or the model is routed.

    Of a model whose router chooses anew in each prompt only one prompt has an exact circuit.
    """
    pair = question.pair
    return question.prompt if pair is None or model.anatomy.routed else pair


def _circuit(
    model: Model, question: Question, metric: LinearMetric, edges: int, job: Job
) -> Circuit:
    asked, values_only = _asked(model, question), question.values_only
    found = component_graph(model, asked, metric, values_only=values_only, keep=edges, job=job)
    return found if asked == (question.pair or asked) else _with_note(found, _FIRST_ALONE)


def _with_note(circuit: Circuit, note: str) -> Circuit:
    notes = [*circuit.metadata["notes"], note]
    return replace(circuit, metadata={**circuit.metadata, "notes": notes})


def head_scores_of(model: Model, seed: int, job: Job | None = None) -> Analysis:
    """The detector scores of a model's heads, made once for each seed and remembered."""
    held = _of_model.setdefault(model, {})
    key = f"head-scores/{seed}"
    if key not in held:
        held[key] = head_scores(model, seed=seed, prompts=_repeating(model), job=job)
    return held[key]


def _repeating(model: Model) -> tuple[Prompt, ...]:
    """Prompts of the model's own kind that say tokens twice; none for a model of real text."""
    own = [held for held in prompt_sets_of(model) if held.name == _REPEATING_SET]
    return tuple(pair.clean for held in own for pair in held.pairs[:_SCORED])


def scores_on(scores: Analysis, run: Trace) -> Analysis:
    """The head scores with those on a run's own tokens beside them, if it holds its patterns."""
    if "pattern" not in run.activations:  # a long prompt's patterns outgrow the budget
        return scores
    detectors = named_detectors(scores.params["detectors"])
    own = detect(run.activation("pattern"), run.token_ids, detectors)
    beside = Labelled(
        ("detector", "layer", "head"), own, long_name="share of attention on the prompt"
    )
    params = {**scores.params, "on_prompt_applies": applies(run.token_ids, detectors).tolist()}
    return replace(scores, arrays={**scores.arrays, "on_prompt": beside}, params=params)


def default_space(model: Model, job: Job | None = None) -> Analysis | None:
    """The middle layer's residual stream over the model's prompt sets; None when it has none."""
    sets = prompt_sets_of(model)
    if not sets:
        return None
    held = _of_model.setdefault(model, {})
    if "space" not in held:
        site = Site("resid_post", model.identity.n_layers // 2)
        held["space"] = feature_space(model, site, sets, limit=_SPACE_POINTS, job=job)
    return held["space"]


def references_of(model: Model) -> tuple[Prompt, ...]:
    """Ordinary prompts of a model, whose mean activations say what a node does by default."""
    return tuple(pair.clean for held in prompt_sets_of(model) for pair in held.pairs[:_REFERENCES])


def prompt_sets_of(model: Model) -> tuple[PromptSet, ...]:
    """The embedded prompt sets made for a model."""
    return tuple(load_prompt_set(name) for name in prompt_set_names(model.identity.name))


def _traces(model: Model, question: Question, budget: int | None, job: Job) -> tuple[Trace, ...]:
    pair = question.pair
    if pair is None:
        clean = trace(model, question.prompt, budget=budget, job=job)
        job.partial("trace", clean)
        return (clean,)
    problem = model.tokenize(pair.clean).unlike(model.tokenize(pair.corrupt))
    if problem:
        raise PromptError(
            problem,
            "Both need the same number of tokens: replace words by words of as many tokens.",
        )
    clean = trace(model, pair.clean, budget=budget, job=job)
    job.partial("trace", clean)
    corrupt = trace(model, pair.corrupt, budget=budget, job=job)
    job.partial("corrupt", corrupt)
    return clean, corrupt


def _metric(
    model: Model, question: Question, traces: Sequence[Trace]
) -> tuple[LinearMetric, Mapping[str, Any]]:
    at = model.read_at(traces[0].token_ids)
    ends = [run.logits[at] for run in traces if run.logits is not None]
    other = ends[1] if len(ends) > 1 else None
    metric = default_metric(model, ends[0], other, question.answer, question.wrong, at)
    words = {
        key: model.token_text(int(getattr(metric, key)))
        for key in ("answer", "wrong")
        if hasattr(metric, key)
    }
    values = [float(metric(end.astype("float64"))) for end in ends]
    described = {
        "name": metric.name(model),
        "kind": type(metric).__name__,
        "answer_id": int(metric.answer),
        "position": metric.position,
        "value": values[0],
        **words,
    }
    if "wrong" in words:
        described["wrong_id"] = int(metric.wrong)  # type: ignore[attr-defined]
    if model.in_place:
        described["in_place"] = True
        described["read_at"] = model.read_name(at)
    if len(values) > 1:
        described["value_corrupt"] = values[1]
    return metric, described
