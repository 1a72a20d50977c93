"""Checks that reading leaves a model as it is, and that edits do what they say and no more."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from microtome.errors import Cancelled
from microtome.interventions.edits import Ablate, Patch
from microtome.jobs import Job
from microtome.selfcheck.subject import DoesNotApply, Measurement, Subject, furthest
from microtome.sites import Site

_PATCHED = (
    "resid_pre", "z", "attn_out", "mlp_post", "router", "mlp_out", "resid_post",
    "cross_v", "cross_out", "enc_z", "enc_resid_post",
)  # fmt: skip

# Interrupting every hook costs half a pass each; this many, evenly spread, meet all kinds.
_INTERRUPTIONS = 12


def own_values(subject: Subject) -> Iterator[Measurement]:
    """4. Patching a site with its own value changes nothing; with another value it arrives."""
    layer = subject.middle
    for name in (name for name in _PATCHED if name in subject.model.ports):
        site = Site(name, layer)
        own = subject.run.activation(site)
        same = subject.trace(sites=(), edits=(Patch(site, own),))
        yield _no_change(same.logits, subject.logits, f"{name} patched with its own value")
        other = _as_stored(subject, 1.5 * own + 0.25)
        run = subject.trace(sites=(site,), edits=(Patch(site, other),))
        arrived = furthest(run.activation(site), other)
        yield Measurement(arrived, 0.0, f"{name} against the value patched in")
        if name.startswith("resid"):
            idle = float(np.array_equal(np.asarray(run.logits), subject.logits))
            yield Measurement(idle, 0.0, f"another {name} leaves the logits as they were")


def _written(subject: Subject) -> tuple[Site, Site]:
    """Two places of one layer to set to zero: a head and the MLP, or what else the model shows."""
    layer, ports = subject.middle, subject.model.ports
    places = (
        Site("z", layer, 0),
        Site("mlp_out", layer),
        Site("resid_pre", layer),
        Site("resid_post", layer),
    )
    first, second, *_ = (place for place in places if place.name in ports)
    return first, second


def _as_stored(subject: Subject, values: np.ndarray) -> np.ndarray:
    """Values as the model's own number type can hold them."""
    rounded = torch.from_numpy(values).to(subject.model.dtype)
    return np.asarray(rounded.to(subject.wide).numpy())


def _no_change(found: object, expected: object, what: str) -> Measurement:
    return Measurement(furthest(found, expected), 0.0, what)


def after_hooks(subject: Subject) -> Iterator[Measurement]:
    """5. A run after hooks were removed is the run before."""
    before = subject.plain(subject.ids)
    subject.trace(edits=(Ablate(_written(subject)[-1]),))
    yield _no_change(subject.plain(subject.ids), before, "logits after an edited run")


def hooked(subject: Subject) -> Iterator[Measurement]:
    """10. A run with every site captured is the run without hooks."""
    yield _no_change(subject.run.logits, subject.logits, "logits of the captured run")


class _Tripwire(Job):
    """Raises at the n-th checkpoint; counts them when n is negative."""

    def __init__(self, outer: Job, at: int = -1) -> None:
        super().__init__()
        self._outer, self._at, self.passed = outer, at, 0

    def check(self) -> None:
        """Raise ``Cancelled`` at the checkpoint, or when the outer job was cancelled."""
        self._outer.check()
        self.passed += 1
        if self.passed - 1 == self._at:
            raise Cancelled


def interrupted(subject: Subject) -> Iterator[Measurement]:
    """12. No hook is left behind when a run is stopped at a hook."""
    counter = _Tripwire(subject.job)
    before = hook_count(subject.model.module)
    subject.trace(job=counter)
    if not counter.passed:
        raise DoesNotApply("the run has no checkpoint to stop at")
    left = float(abs(hook_count(subject.model.module) - before))
    yield Measurement(left, 0.0, "hooks left after a whole run")
    stops = np.unique(np.linspace(0, counter.passed - 1, _INTERRUPTIONS).astype(int))
    for stop in stops.tolist():
        _stopped_run(subject, stop)
        left = float(abs(hook_count(subject.model.module) - before))
        yield Measurement(left, 0.0, f"hooks left after a stop at checkpoint {stop}")
    yield _no_change(subject.plain(subject.ids), subject.logits, "logits after the stopped runs")


def _stopped_run(subject: Subject, stop: int) -> None:
    try:
        subject.trace(job=_Tripwire(subject.job, stop))
    except Cancelled:
        subject.job.check()  # the user's own cancel goes on, ours ends here


def hook_count(module: nn.Module) -> int:
    """How many hooks all modules hold."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(part, kind)) for part in module.modules() for kind in kinds)


def ablation(subject: Subject) -> Iterator[Measurement]:
    """13. Zero ablation gives one result, twice and in either order."""
    written = _written(subject)
    first, second = (Ablate(site) for site in written)
    sites = tuple(Site(site.name, site.layer) for site in written)
    once = subject.trace(sites=sites, edits=(first, second))
    again = subject.trace(sites=sites, edits=(first, second))
    yield _no_change(again.logits, once.logits, "the same ablation again")
    turned = subject.trace(sites=sites[::-1], edits=(second, first))
    yield _no_change(turned.logits, once.logits, "in the other order")
    for edited in (once, again, turned):
        held = max(float(np.abs(edited.activation(site)).max()) for site in written)
        yield Measurement(held, 0.0, "what an ablated site still holds")
