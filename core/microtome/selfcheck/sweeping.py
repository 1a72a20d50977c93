"""A check that the fast ways of sweeping give what whole passes of the model give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from microtome.interventions.sweeping.cells import Cells, cells_of
from microtome.interventions.sweeping.paths import compute, path_of
from microtome.interventions.sweeping.task import Ends, Example, Put, Task
from microtome.metrics import LogitOverMean
from microtome.selfcheck.subject import DoesNotApply, Measurement, Subject, furthest

_KINDS = ("resid_pre", "z", "mlp_out")
_CELLS = 2  # of each kind: a whole pass each
_BUDGET = 1 << 30


def cells(subject: Subject) -> Iterator[Measurement]:
    """14. Cells of a sweep are what whole passes with a patch give; the model stays as it was."""
    subject.leave_out_turning_routers()
    model = subject.model
    if model.has_encoder:
        raise DoesNotApply("every sweep beside an encoder takes whole passes")
    example = _example(subject)
    kinds = [kind for kind in _KINDS if kind in model.ports]
    paths = {kind: path_of(model, kind, None, example.base, subject.job) for kind in kinds}
    if not any(path != "hooks" for path in paths.values()):
        raise DoesNotApply("every sweep of this model takes whole passes")
    for kind in kinds:
        task = Task(model, _some(subject, kind, example), (example,), Put(), True, _BUDGET)
        ours = compute(paths[kind], task, subject.job, _silent).values
        theirs = compute("hooks", task, subject.job, _silent).values
        what = f"{kind} patched on the path {paths[kind]}, against whole passes"
        yield Measurement(furthest(ours, theirs), subject.logit_goal(1e-3, 0.2), what)
    left = furthest(subject.plain(subject.ids), subject.logits)
    yield Measurement(left, 0.0, "logits after the sweeps")


def _example(subject: Subject) -> Example:
    """The prompt, patched from itself with another token in the middle."""
    tokens = subject.model.tokenize(subject.prompt)
    other = np.array(subject.prompt)
    middle = len(other) // 2
    other[middle] = other[0] if other[middle] != other[0] else other[-1]
    source = subject.model.tokenize(other.tolist())
    return Example(tokens, source, np.arange(len(tokens)), LogitOverMean(int(other[0])))


def _some(subject: Subject, kind: str, example: Example) -> Cells:
    """A few cells of a sweep, drawn by the seed among the positions that can differ."""
    whole = cells_of(subject.model, kind, len(example.base))
    begins = int(np.argmax(example.differs)) if example.differs.any() else 0
    alive = np.flatnonzero(whole.stop > begins)
    random = np.random.default_rng(subject.seed)
    return whole.chosen(random.choice(alive, min(_CELLS, len(alive)), replace=False))


def _silent(_values: object, _ends: Sequence[Ends]) -> None:
    """Nobody waits for partial results."""
