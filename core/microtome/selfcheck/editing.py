"""Checks that reading leaves a model as it is, and that edits do what they say and no more."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from microtome.errors import Cancelled, EditError
from microtome.interventions.edits import Ablate, Patch, Steer
from microtome.jobs import Job
from microtome.models.hooks import Tap
from microtome.models.model import Model
from microtome.selfcheck.subject import DoesNotApply, Measurement, Subject, furthest
from microtome.sites import Site

_PATCHED = (
    "resid_pre", "z", "attn_out", "mlp_post", "router", "mlp_out", "resid_post",
    "cross_v", "cross_out", "enc_z", "enc_resid_post",
)  # fmt: skip

# Stopping at every hook in turn costs half a pass each: so many at least, evenly spread, then all
# others as long as the time lasts.
_STOPS, _STOPPING_SECONDS = 12, 0.25


def own_values(subject: Subject) -> Iterator[Measurement]:
    """4. Patching a site with its own value changes nothing; with another value it arrives."""
    layer = subject.middle
    for name in (name for name in _PATCHED if name in subject.model.ports):
        site = Site(name, layer)
        own = subject.run.activation(site)
        for edit, what in _own(site, own, subject):
            same = subject.trace(sites=(), edits=(edit,))
            yield _no_change(same.logits, subject.logits, f"{name} {what}")
        other = _as_stored(subject, 1.5 * own + 0.25)
        run = subject.trace(sites=(site,), edits=(Patch(site, other),))
        arrived = furthest(run.activation(site), other)
        yield Measurement(arrived, 0.0, f"{name} against the value patched in")
        if name.startswith("resid"):
            idle = float(np.array_equal(np.asarray(run.logits), subject.logits))
            yield Measurement(idle, 0.0, f"another {name} leaves the logits as they were")


def _own(site: Site, own: np.ndarray, subject: Subject) -> tuple[tuple[Ablate | Patch, str], ...]:
    """Edits that give a site what it has anyway."""
    itself = Ablate(site, "resample", over=[subject.prompt])
    return (
        (Patch(site, own), "patched with its own value"),
        (itself, "drawn from its own prompt"),
    )


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
    """5. A run after hooks were removed is the run before, also behind edits that went wrong."""
    before = subject.plain(subject.ids)
    first, second = _written(subject)
    width = subject.run.activation(first).shape[-1]
    steer, patch = Steer(first, np.ones(width)), Patch.from_prompt(second, subject.prompt)
    subject.trace(edits=(steer, patch, Ablate(second)))
    yield _no_change(subject.plain(subject.ids), before, "logits after an edited run")
    too_wide = Patch(second, np.zeros(subject.run.activation(second).shape[-1] + 1))
    for wrong, what in ((too_wide, "a patch that does not fit"), (_Failing(second), "a failure")):
        try:
            subject.trace(edits=(steer, wrong))
        except EditError:
            subject.job.check()
        else:
            yield Measurement(1.0, 0.0, f"{what} went unnoticed")
        yield _no_change(subject.plain(subject.ids), before, f"logits after {what}")


class _Failing:
    """An edit that breaks down while the model runs; once, so that its hook may be outlived."""

    def __init__(self, site: Site) -> None:
        self._site, self._failed = site, False

    def taps(self, model: Model, positions: int, job: Job, source: int = 0) -> dict[Site, Tap]:
        """One that raises."""
        del model, positions, job, source
        return {self._site: self._fail}

    def _fail(self, values: Tensor) -> Tensor:
        if self._failed:
            return values
        self._failed = True
        raise EditError("This edit fails on purpose.")


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
    """12. No hook is left behind when a run is stopped at any hook in turn."""
    counter = _Tripwire(subject.job)
    before = hook_count(subject.model.module)
    subject.trace(job=counter)
    if not counter.passed:
        raise DoesNotApply("the run has no checkpoint to stop at")
    left = abs(hook_count(subject.model.module) - before)
    after, end = "a whole run", time.perf_counter() + _STOPPING_SECONDS
    made = 0
    for stop in _stops(counter.passed):
        if made >= _STOPS and time.perf_counter() > end:
            break
        _stopped_run(subject, stop)
        made += 1
        found = abs(hook_count(subject.model.module) - before)
        if found > left:
            left, after = found, f"a stop at hook {stop}"
    told = f", after {after}" if left else ""
    what = f"hooks left, stopped at {made} of {counter.passed} hooks{told}"
    yield Measurement(float(left), 0.0, what)
    yield _no_change(subject.plain(subject.ids), subject.logits, "logits after the stopped runs")


def _stops(count: int) -> list[int]:
    """Every hook once: some that meet all kinds first, then the others from the first on."""
    first = np.unique(np.linspace(0, count - 1, _STOPS).astype(int)).tolist()
    return [*first, *(stop for stop in range(count) if stop not in first)]


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


_STEERED = ("resid_pre", "z", "mlp_out", "resid_post", "cross_out", "enc_resid_post")


def steering(subject: Subject) -> Iterator[Measurement]:
    """17. Steering adds what it says to every position, and takes out no more than it says."""
    allowed = 1e-2 if subject.half else 1e-5
    random = np.random.default_rng(subject.seed)
    for name in (name for name in _STEERED if name in subject.model.ports):
        site = Site(name, subject.middle)
        own = subject.run.activation(site)
        direction = np.asarray(random.normal(size=own.shape[-1]))
        pushed = _steered(subject, Steer(site, direction, 2.0))
        expected = _as_stored(subject, own + _as_stored(subject, np.asarray(2.0 * direction)))
        yield _no_change(pushed, expected, f"{name} steered, against the sum")
        unit = direction / np.linalg.norm(direction)
        rest = own - (own @ unit)[..., None] * unit
        found = _steered(subject, Steer(site, direction, project_out=True))
        size = max(1.0, float(np.abs(own).max()))
        yield Measurement(
            furthest(found, rest) / size, allowed, f"{name} with a direction taken out"
        )


def _steered(subject: Subject, steer: Steer) -> np.ndarray:
    return subject.trace(sites=(steer.site,), edits=(steer,)).activation(steer.site)
