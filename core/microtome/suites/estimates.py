"""What suites, their circuits and the search for what can go will take, before they start."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from microtome.circuits.discovery.estimate import estimate_discovery
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.prompts import PromptPair
from microtome.records.removal import HEADS, MLPS, Part
from microtome.records.suite import Suite
from microtome.suites.masked import Masked
from microtome.suites.redundancy import CANDIDATES, all_parts
from microtome.suites.running import asked_of
from microtome.suites.slices import LIMIT, metric_of, paired

_TIMED = 8  # cases whose pass is timed, of middle length
_TOGETHER = 4  # choices of parts that go through together, as they do in the search


@dataclass(frozen=True, slots=True)
class SuiteEstimate:
    """Runs of a prompt, and seconds on this machine."""

    runs: int
    seconds: float


def estimate_suite(
    model: Model, suite: Suite, *, sides: int = 1, job: Job | None = None
) -> SuiteEstimate:
    """What ``run_suite`` will take; ``sides`` is 2 where edits act. One pass is timed."""
    return _of_runs(model, suite, sides, job)


def estimate_redundancy(
    model: Model,
    suite: Suite,
    *,
    parts: Sequence[str] = (HEADS, MLPS),
    candidates: int = CANDIDATES,
    job: Job | None = None,
) -> SuiteEstimate:
    """What ``redundancy`` will take: every part alone, then ``candidates`` a round.

    One pass is timed. Means that parts are set to are not counted.
    """
    every = all_parts(model)
    rounds = sum(part.kind in parts for part in every)
    tried = sum(min(candidates, left) for left in range(1, rounds + 1))
    found = _of_runs(model, suite, 1 + len(every) + tried, job)
    # From the layer of a part on, of all layers alike; and what is shared is run once a round.
    layers = model.identity.n_layers
    share = (layers + 1) / (2 * layers)
    gone_through = 1 + share * (len(every) + tried + rounds)
    return replace(found, seconds=found.seconds * gone_through / (1 + len(every) + tried))


def estimate_slice_circuits(
    model: Model, suite: Suite, slices: Sequence[str], *, job: Job | None = None
) -> SuiteEstimate:
    """What ``slice_circuits`` will take by its usual method. Raises what that raises at first."""
    runs, seconds = 0, 0.0
    for name in slices:
        cases = paired(model, suite.of_slice(name), name)[:LIMIT]
        pairs = [PromptPair(case.prompt, case.corrupt) for case in cases if case.corrupt]
        metrics = [metric_of(case) for case in cases]
        seconds += estimate_discovery(model, pairs, metrics, job=job_or_default(job)).seconds
        runs += 2 * len(cases)
    return SuiteEstimate(runs, seconds)


def _of_runs(model: Model, suite: Suite, times: int, job: Job | None) -> SuiteEstimate:
    """Every case so many times, by the time that a token takes in a batch of usual size."""
    asked = sorted(asked_of(model, suite), key=lambda one: len(one.tokens))
    first = max(0, (len(asked) - _TIMED) // 2)
    chosen = asked[first : first + _TIMED]
    some = [replace(one, number=at) for at, one in enumerate(chosen)]
    masked = Masked(model, some, "zero", (), job_or_default(job))
    gone = [frozenset({Part(MLPS, 0)})] * _TOGETHER
    masked.measured(gone[:1])  # what a first pass sets up
    started = time.perf_counter()
    masked.measured(gone)
    taken = time.perf_counter() - started
    timed = len(gone) * sum(len(one.tokens) for one in some)
    tokens = times * sum(len(one.tokens) for one in asked)
    return SuiteEstimate(times * len(asked), taken * tokens / timed)
