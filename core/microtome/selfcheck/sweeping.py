"""A check that patching carries a run over, and that fast sweeps give what whole passes give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from microtome.activations.capture import trace
from microtome.interventions.patch import Patch
from microtome.interventions.sweeping.cells import Cells, cells_of
from microtome.interventions.sweeping.paths import compute, path_of
from microtome.interventions.sweeping.task import Ends, Example, Put, Task
from microtome.metrics import LogitOverMean
from microtome.selfcheck.subject import DoesNotApply, Measurement, Subject, furthest
from microtome.sites import Site

_KINDS = ("resid_pre", "z", "mlp_out")
_CELLS = 2  # of each kind: a whole pass each
_BUDGET = 1 << 30


def cells(subject: Subject) -> Iterator[Measurement]:
    """15. A layer patched whole gives the other run, and cells of a sweep what whole passes give.

    The model stays as it was.
    """
    subject.leave_out_turning_routers()
    model = subject.model
    if model.has_encoder:
        raise DoesNotApply("every sweep beside an encoder takes whole passes")
    example = _example(subject)
    kinds = [kind for kind in _KINDS if kind in model.ports]
    paths = {kind: path_of(model, kind, None, example.base, subject.job) for kind in kinds}
    if not any(path != "hooks" for path in paths.values()):
        raise DoesNotApply("every sweep of this model takes whole passes")
    yield _carried_over(subject, example)
    for kind in kinds:
        task = Task(model, _some(subject, kind, example), (example,), Put(), True, _BUDGET)
        ours = compute(paths[kind], task, subject.job, _silent).values
        theirs = compute("hooks", task, subject.job, _silent).values
        what = f"{kind} patched on the path {paths[kind]}, against whole passes"
        yield Measurement(furthest(ours, theirs), subject.logit_goal(1e-3, 0.2), what)
    left = furthest(subject.plain(subject.ids), subject.logits)
    yield Measurement(left, 0.0, "logits after the sweeps")


def _carried_over(subject: Subject, example: Example) -> Measurement:
    """The logits when the whole stream before a layer is that of the other prompt."""
    assert example.source is not None  # noqa: S101
    site = Site("resid_pre", subject.middle)
    ids = example.source.ids.tolist()
    other = trace(subject.model, ids, sites=[site], top_k=1, job=subject.job)
    patched = subject.trace(sites=(), edits=(Patch(site, other.activation(site)),))
    allowed = subject.logit_goal(1e-5, 5e-2)
    return Measurement(furthest(patched.logits, other.logits), allowed, "a whole layer patched")


def _example(subject: Subject) -> Example:
    """The prompt, patched from itself with another token in the middle."""
    tokens = subject.model.tokenize(subject.prompt)
    other = np.array(subject.prompt)
    middle = len(other) // 2
    other[middle] = other[0] if other[middle] != other[0] else other[-1]
    source = subject.model.tokenize(other.tolist())
    return Example(tokens, source, np.arange(len(tokens)), LogitOverMean(0))


def _some(subject: Subject, kind: str, example: Example) -> Cells:
    """A few cells of a sweep, drawn by the seed among the positions that can differ."""
    whole = cells_of(subject.model, kind, len(example.base))
    begins = int(np.argmax(example.differs)) if example.differs.any() else 0
    alive = np.flatnonzero(whole.stop > begins)
    random = np.random.default_rng(subject.seed)
    return whole.chosen(random.choice(alive, min(_CELLS, len(alive)), replace=False))


def _silent(_values: object, _ends: Sequence[Ends]) -> None:
    """Nobody waits for partial results."""
