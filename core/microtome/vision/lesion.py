"""The lesion laboratory: change units, and see what the model still does, beside random lesions."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from microtome.errors import InputError, expect
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.records.analysis import Analysis
from microtome.records.lesion import (
    DOMAIN,
    EVERY,
    LESION,
    ZERO,
    Chosen,
    Lesion,
    Treatment,
    lesion_analysis,
)
from microtome.records.units import Unit
from microtome.suites.bands import rate_band
from microtome.vision.bench import Bench, Outcome
from microtome.vision.choosing import SELECTIVITY, chosen_by, expect_units
from microtome.vision.trials import Data, bench_of, localizer_of

_DOSES = 12  # at most, of the curve; with fewer units one each
_TOGETHER = 64  # lesions between two checkpoints
CONTROLS = 20
MOST_CONTROLS = 10_000


@small_on_one_thread
def choose_units(
    model: Model,
    target: str,
    layers: str | Sequence[str],
    count: int,
    *,
    localizer: Data | None = None,
    by: str = SELECTIVITY,
    job: Job | None = None,
) -> Chosen:
    """The ``count`` units of ``layers`` that have most to do with a class, domain or task.

    ``localizer`` is a set of labelled images, or prompt sets, by name or as such; without one the
    model's own. By ``selectivity`` the units are those whose activity tells ``target`` from all
    else, by ``need`` those whose loss alone lowers the right answers of ``target`` more than
    others. Raises InputError, SiteMissing, ModelError for what cannot be asked.
    """
    expect_model(model)
    expect(target, str, "target", "a class, domain or task", "Write for example 'faces'.")
    expect(count, int, "count", "a number of units", "Write for example 12.")
    named = (layers,) if isinstance(layers, str) else tuple(layers)
    bench = localizer_of(model, localizer)
    return chosen_by(bench, target, named, count, by, job_or_default(job))


@small_on_one_thread
def lesion(
    model: Model,
    units: Chosen | Sequence[Unit | str],
    data: Data | None = None,
    *,
    how: Treatment | str = ZERO,
    over: Data | None = None,
    controls: int = CONTROLS,
    seed: int = 0,
    job: Job | None = None,
) -> Analysis:
    """What a model still does when units are changed, beside as many random ones.

    ``units`` are ``pool/12``, ``z.2/3``, ``mlp_post.1/40`` …, the strongest first, or what
    ``choose_units`` gives; ``data`` a set of labelled images, or prompt sets as tasks, by name or
    as such; without any the model's own. ``how`` is zero, mean (over ``over``, the data without
    it) or resample (the values of another case of it); ``Treatment('add', 2.0)`` raises them by
    so many standard deviations, ``Treatment('percentile', 99)`` sets them to one. The dose curve
    changes the strongest one, two … of them. Each of the ``controls`` is a random order of all
    units of the same layers, from each layer as many as are changed; the first so many of it are
    the control of a dose. Partial results are handed out by ``job.partial`` as ``lesion``.
    ``microtome.records.lesion.lesion_of`` reads the result as a ``Lesion``.
    Raises InputError for what cannot be asked, SiteMissing for units that the model does not have,
    ModelError for a model that names no classes, Cancelled when stopped.
    """
    expect_model(model)
    chosen = _chosen(units)
    expect(controls, int, "controls", "a number of random lesions", "Write controls=20.")
    expect(seed, int, "seed", "a whole number", "Write seed=0.")
    if not 0 <= controls <= MOST_CONTROLS:
        raise InputError(
            f"{controls} random lesions cannot be made.", f"Give 0 to {MOST_CONTROLS:,}."
        )
    bench = bench_of(model, data, over, seed)
    expect_units(bench, chosen.units)
    treatment = how if isinstance(how, Treatment) else Treatment(how)
    work = _Work(model, bench, chosen, treatment, controls, seed)
    return lesion_analysis(work.run(job_or_default(job)))


def _chosen(units: Chosen | Sequence[Unit | str]) -> Chosen:
    if isinstance(units, Chosen):
        return units
    example = "Write for example ['pool/12', 'pool/3']."
    expect(units, (tuple, list), "units", "a list of units", example)
    return Chosen.by_hand(tuple(Unit.of(one) for one in units))


@dataclass(slots=True, eq=False)
class _Work:
    """What is known so far."""

    model: Model
    bench: Bench
    chosen: Chosen
    treatment: Treatment
    controls: int
    seed: int
    started: float = field(default_factory=time.perf_counter)

    def run(self, job: Job) -> Lesion:
        """The lesion itself first, then its controls, then the doses between."""
        units, count = self.chosen.units, len(self.chosen.units)
        orders = [units, *self._random_orders()]
        ends = self.bench.run([frozenset(), frozenset(units)], self.treatment, job)
        shares = np.full((len(orders), count + 1, *self._shares(ends).shape[1:]), np.nan)
        shares[:, 0], shares[0, -1] = self._shares(ends)
        self._tell(job, ends, shares[:1], [0, count])
        full = [(row, count) for row in range(1, len(orders))]
        doses = self._doses()
        between = [(row, dose) for row in range(len(orders)) for dose in doses[1:-1]]
        total = len(full) + len(between)
        self._fill(shares, orders, full, job, (0, total))
        self._tell(job, ends, shares, [0, count])
        self._fill(shares, orders, between, job, (len(full), total))
        return self._record(ends, shares, doses, complete=True)

    def _fill(
        self,
        shares: Float[np.ndarray, "order dose measure group"],
        orders: Sequence[Sequence[Unit]],
        wanted: Sequence[tuple[int, int]],
        job: Job,
        progress: tuple[int, int],
    ) -> None:
        for at in range(0, len(wanted), _TOGETHER):
            some = wanted[at : at + _TOGETHER]
            lesions = [frozenset(orders[row][:dose]) for row, dose in some]
            done = (progress[0] + at, progress[1])
            outcome = self.bench.run(lesions, self.treatment, job, done)
            for (row, dose), found in zip(some, self._shares(outcome), strict=True):
                shares[row, dose] = found
            job.check()

    def _tell(self, job: Job, ends: Outcome, shares: np.ndarray, doses: list[int]) -> None:
        job.partial("lesion", lesion_analysis(self._record(ends, shares, doses, complete=False)))

    def _random_orders(self) -> list[tuple[Unit, ...]]:
        """Random units of the same layers, layer by layer in the order of the chosen ones."""
        random = np.random.default_rng(self.seed)
        found = []
        for _ in range(self.controls):
            layers = dict.fromkeys(unit.layer for unit in self.chosen.units)
            drawn = {name: iter(random.permutation(self.bench.layers[name])) for name in layers}
            found.append(
                tuple(Unit(unit.layer, int(next(drawn[unit.layer]))) for unit in self.chosen.units)
            )
        return found

    def _doses(self) -> list[int]:
        count = len(self.chosen.units)
        steps = min(count, _DOSES) + 1
        return sorted({round(dose) for dose in np.linspace(0, count, steps).tolist()})

    # groups

    def _groups(self) -> list[tuple[str, str, Bool[np.ndarray, " case"]]]:
        """Name, kind and cases of each group."""
        cases = self.bench.cases
        found = [(EVERY, EVERY, np.ones(len(cases.labels), dtype=np.bool_))]
        found += [(name, DOMAIN, cases.inside(name)) for name in dict.fromkeys(cases.domains)]
        found += [
            (name, cases.word, cases.labels == number) for number, name in enumerate(cases.classes)
        ]
        return [each for each in found if each[2].any()]  # a part of a set has not all of them

    def _shares(self, outcome: Outcome) -> Float[np.ndarray, "lesion measure group"]:
        member = np.stack([inside for _, _, inside in self._groups()])  # [group, case]
        return np.asarray((outcome.right.astype(np.float64) @ member.T) / member.sum(1))

    def _record(
        self, ends: Outcome, shares: np.ndarray, doses: list[int], *, complete: bool
    ) -> Lesion:
        groups, cases, said = self._groups(), self.bench.cases, self.bench.said
        bands = np.stack([
            np.stack([rate_band(ends.right[:, at][:, inside].T.astype(float))
                      for _, _, inside in groups], axis=1)
            for at in range(len(self.bench.measures))
        ], axis=1)  # fmt: skip
        confusion = np.zeros((2, len(cases.classes), len(said)), dtype=np.int64)
        for side in range(2):
            np.add.at(confusion[side], (cases.labels, ends.said[side]), 1)
        picked = np.moveaxis(shares[:, doses], 2, 1)  # [order, measure, dose, group]
        return Lesion(
            chosen=self.chosen,
            groups=tuple(name for name, _, _ in groups),
            kinds=tuple(kind for _, kind, _ in groups),
            counts=np.array([int(inside.sum()) for _, _, inside in groups]),
            measures=self.bench.measures,
            before=shares[0, 0],
            after=shares[0, -1],
            bands=bands,
            doses=np.array(doses),
            curve=picked[0],
            control=picked[1:],
            classes=cases.classes,
            said=said,
            confusion=confusion,
            case_class=np.asarray(cases.labels),
            case_said=ends.said,
            right=ends.right,
            params=self._params(complete=complete),
        )

    def _params(self, *, complete: bool) -> dict[str, Any]:
        told = {
            "model": self.model.identity.name,
            "fingerprint": self.model.identity.fingerprint,
            "units": [str(unit) for unit in self.chosen.units],
            "how": self.treatment.how,
            "amount": float(self.treatment.amount),
            **self.bench.told(),
            "controls": self.controls,
            "seed": self.seed,
            "interval": "95 %: Wilson for shares, 2.5th to 97.5th percentile of random lesions",
        }
        text = json.dumps(told, sort_keys=True).encode()
        return {
            **told,
            "id": f"{LESION}-{hashlib.sha256(text).hexdigest()[:12]}",
            "complete": complete,
            "seconds": time.perf_counter() - self.started,
        }
