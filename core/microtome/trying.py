"""Trying edits on a prompt that was run: what comes first is what one waits for.

The predictions come from a run that keeps nothing else, so that a slider can be followed; the
lens, the direct contributions and the patterns of the edited model follow in a second run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from microtome.activations.capture import Edit, trace
from microtome.analysis.direct import direct_analysis, direct_logit_attribution
from microtome.analysis.lens import lens_analysis
from microtome.errors import InputError, MemoryExceeded, SiteMissing
from microtome.interventions.directions import mean_norm
from microtome.interventions.measured import remembered
from microtome.interventions.specs import edit_of
from microtome.jobs import Job, job_or_default
from microtome.metrics import LinearMetric
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.records.analysis import Analysis, Labelled
from microtome.records.edits import STEERS, EditSpec
from microtome.records.trace import Trace
from microtome.sites import Site

PREFIX = "edited-"  # of the ids of analyses of the edited run
EFFECT = f"{PREFIX}metric"  # the metric before and after
# What the lens, direct attribution and the panels of activations read.
_SITES = (
    "embed", "pos_embed", "resid_pre", "z", "pattern", "attn_out", "resid_mid", "mlp_post",
    "mlp_out", "resid_post",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """A prompt under edits: the run, what was found of it, and what was wrong with which edit.

    ``problems`` is by the row of the edit in the list that was given; such an edit was left out
    of the run. ``norms`` holds the mean length of the vectors of sites that are steered, on the
    unedited run. ``edited`` is None when no edit acted.
    """

    edited: Trace | None
    analyses: Mapping[str, Analysis] = field(default_factory=lambda: MappingProxyType({}))
    problems: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    norms: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@small_on_one_thread
def try_edits(
    model: Model,
    run: Trace,
    specs: Sequence[EditSpec],
    metric: LinearMetric,
    *,
    budget: int | None = None,
    job: Job | None = None,
) -> Tried:
    """Run the prompt of ``run`` with the edits that are on, as often as it takes to be of use.

    An edit that cannot be made is left out, and the others act. ``job.partial("tried", …)`` hands
    out the predictions first. The model is unedited afterwards.
    Raises what ``trace`` raises for other reasons than an edit, and Cancelled.
    """
    expect_model(model)
    job = job_or_default(job)
    edits, problems = _made(model, run, specs, job)
    fast = _quick(model, run, edits, problems, job)
    if fast is None:
        return Tried(None, problems=MappingProxyType(problems))
    effect = _effect(model, run, fast, metric, job)
    first = Tried(fast, _by_id(effect), MappingProxyType(dict(problems)))
    job.partial("tried", first)
    norms = _norms(model, run, specs, job)
    acting = [edit for _, edit in edits]
    whole = replace(_whole(model, run, acting, budget, job), prompt=run.prompt)
    found = (effect, *_analyses(model, whole, metric, job))
    return replace(first, edited=whole, analyses=_by_id(*found), norms=MappingProxyType(norms))


_Rows = list[tuple[int, Edit]]


def _made(
    model: Model, run: Trace, specs: Sequence[EditSpec], job: Job
) -> tuple[_Rows, dict[int, str]]:
    """The edits that are on and can be made for this prompt, and what is wrong with others."""
    edits: _Rows = []
    problems: dict[int, str] = {}
    read = 0 if run.source is None else len(run.source.token_ids)
    for row, spec in enumerate(specs):
        if not spec.on:
            continue
        try:
            edit = edit_of(model, spec, job)
            edit.taps(model, len(run.token_ids), job, read)
        except (InputError, SiteMissing, MemoryExceeded) as error:
            problems[row] = str(error)
        else:
            edits.append((row, edit))
    return edits, problems


def _quick(
    model: Model, run: Trace, edits: _Rows, problems: dict[int, str], job: Job
) -> Trace | None:
    """The predictions under the edits; those that break a run are taken out of ``edits``."""
    while edits:
        try:
            return replace(_run(model, run, edits, job), prompt=run.prompt)
        except InputError as error:
            row = _culprit(model, run, edits, job)
            problems[edits[row][0]] = str(error)
            del edits[row]
    return None


def _run(model: Model, run: Trace, edits: _Rows, job: Job) -> Trace:
    return trace(model, run.as_prompt, sites=(), edits=[edit for _, edit in edits], job=job)


def _culprit(model: Model, run: Trace, edits: _Rows, job: Job) -> int:
    """The first edit with which a run cannot be made any more."""
    for count in range(1, len(edits)):
        try:
            _run(model, run, edits[:count], job)
        except InputError:
            return count - 1
    return len(edits) - 1


def _effect(model: Model, run: Trace, edited: Trace, metric: LinearMetric, job: Job) -> Analysis:
    def before() -> float:
        # A run from a file seldom holds its logits; it is made again, once.
        held = isinstance(run.logits, np.ndarray)
        return _measured(run if held else _run(model, run, [], job), metric)

    values = [remembered(model, ("metric", run.as_prompt, metric), before)]
    values.append(_measured(edited, metric))
    arrays = {"value": Labelled(("run",), np.array(values), long_name=metric.name(model))}
    params = {"metric": metric.name(model), "edits": list(edited.edits)}
    return Analysis(EFFECT, EFFECT, "The metric without and with the edits", arrays, params)


def _measured(trace: Trace, metric: LinearMetric) -> float:
    assert trace.logits is not None  # noqa: S101 - it was made just now, or looked at
    return float(metric(np.asarray(trace.logits[metric.position], np.float64)))


def _norms(model: Model, run: Trace, specs: Sequence[EditSpec], job: Job) -> dict[str, float]:
    sites = dict.fromkeys(spec.site for spec in specs if spec.action in STEERS)
    found = {}
    for site in sites:
        # A site that is wrong was told of already, and norms themselves have no length.
        with suppress(InputError, SiteMissing):
            found[site] = float(np.mean(mean_norm(model, site, (run.as_prompt,), job=job)))
    return found


def _whole(model: Model, run: Trace, edits: Sequence[Edit], budget: int | None, job: Job) -> Trace:
    wanted = [Site(name) for name in _SITES if name in model.ports]
    try:
        return trace(model, run.as_prompt, sites=wanted, edits=edits, budget=budget, job=job)
    except MemoryExceeded:  # a long prompt: what fits, the most useful first
        return trace(model, run.as_prompt, edits=edits, budget=budget, job=job)


def _analyses(model: Model, edited: Trace, metric: LinearMetric, job: Job) -> tuple[Analysis, ...]:
    """The lens and the direct contributions, where the model and the memory have what they need."""
    found = []
    name = metric.name(model)
    with suppress(SiteMissing):
        lens = lens_analysis(edited, int(metric.answer), metric=name, job=job)
        found.append(_renamed(lens, "Logit lens with edits"))
    if model.whole:
        with suppress(SiteMissing):
            parts = direct_logit_attribution(edited, metric)
            direct = _renamed(direct_analysis(parts), "Direct contributions with edits")
            # What an edit of the stream adds comes from no head and no MLP.
            own = {"by_the_edits": parts.metric_value - parts.total}
            found.append(replace(direct, params={**direct.params, **own}))
    return tuple(found)


def _renamed(analysis: Analysis, title: str) -> Analysis:
    return replace(analysis, id=f"{PREFIX}{analysis.id}", title=title)


def _by_id(*analyses: Analysis) -> Mapping[str, Analysis]:
    return MappingProxyType({analysis.id: analysis for analysis in analyses})
