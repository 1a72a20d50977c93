"""How long probing takes: two prompts are run and one probe is fitted."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from microtome.analysis.logistic import fit_logistic
from microtome.analysis.probes import (
    CONTROLS,
    expect_enough,
    given_once,
    probed_places,
    read_rows,
)
from microtome.jobs import Job, QuietPart, job_or_default
from microtome.models.model import Model
from microtome.prompts import Prompt

_TRIED = 2


def foresee_probe(
    model: Model,
    prompts: Sequence[Prompt],
    labels: Sequence[str],
    sites: Sequence[str] | None,
    *,
    position: int = -1,
    groups: Sequence[int] | None = None,
    folds: int = 5,
    job: Job | None = None,
) -> float:
    """Seconds of ``probe``, about. Raises what ``probe`` raises of what it is asked for."""
    job = job_or_default(job)
    given = given_once(prompts, labels, groups)
    names, places = expect_enough(given, folds), probed_places(model, sites)
    began, few = time.perf_counter(), [prompt for prompt, _, _ in given[:_TRIED]]
    held = read_rows(model, few, places, position, QuietPart(job))
    each = (time.perf_counter() - began) / len(few)
    random = np.random.default_rng(0)
    seen = max(2, len(given) * (folds - 1) // folds)
    job.check()
    began = time.perf_counter()
    fit_logistic(
        random.standard_normal((seen, held.rows[0].shape[1])), np.arange(seen) % len(names)
    )
    fit = time.perf_counter() - began
    return each * len(given) + fit * len(places) * (folds * (1 + CONTROLS) + 1)
