"""Which units a lesion is of: by what they answer to, by what they are needed for, by a circuit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from microtome.errors import InputError, SiteMissing
from microtome.jobs import Job
from microtome.records.lesion import ZERO, Chosen, Treatment
from microtome.records.units import Unit
from microtome.vision.bench import Bench, Cases
from microtome.vision.selectivity import selectivity_index

SELECTIVITY, NEED = "selectivity", "need"
MEASURES = (SELECTIVITY, NEED)
_TOGETHER = 64  # units whose need is measured between two checkpoints


def unit_measure(
    bench: Bench, target: str, layers: Sequence[str], by: str, job: Job
) -> Mapping[str, Float[np.ndarray, " unit"]]:
    """How much units have to do with a class, domain or task: larger is more.

    By ``selectivity`` it is the index of their activity, (mean_in − mean_out) / (sd_in + sd_out);
    by ``need`` the same index of how far the margin of the right answer falls when the unit alone
    is set to zero. Raises InputError for a target that the bench does not have.
    """
    if by not in MEASURES:
        raise InputError(f"Units cannot be chosen by {by!r}.", f"Choose {' or '.join(MEASURES)}.")
    inside = bench.cases.inside(known_target(bench.cases, target))
    if inside.all() or not inside.any():
        raise InputError(
            f"Of {len(inside)} cases {int(inside.sum())} are of {target}.",
            "Choosing needs cases of it and others.",
        )
    if by == SELECTIVITY:
        found = bench.activity(layers, job)
        return {name: selectivity_index(values, inside) for name, values in found.items()}
    falls = _falls(bench, layers, job)
    return {name: selectivity_index(values, inside) for name, values in falls.items()}


def known_target(cases: Cases, target: str) -> str:
    """The class, domain or task of a name; ``faces`` is ``face`` where there is no such one.

    Raises InputError that names what there is.
    """
    for name in (target, target.removesuffix("s")):
        if name in cases.names:
            return name
    raise InputError(
        f"There is no {cases.word} {target!r} to choose units for.",
        f"There are {', '.join(cases.names)}.",
    )


def _falls(
    bench: Bench, layers: Sequence[str], job: Job
) -> dict[str, Float[np.ndarray, "case unit"]]:
    """How far each case's margin falls without each unit."""
    counts = [bench.layers[name] for name in layers]
    units = [Unit(name, at) for name in layers for at in range(bench.layers[name])]
    lesions = [frozenset[Unit](), *(frozenset({unit}) for unit in units)]
    margins = []
    for at in range(0, len(lesions), _TOGETHER):
        some = lesions[at : at + _TOGETHER]
        margins.append(bench.run(some, Treatment(ZERO), job, (at, len(lesions))).margin)
        job.check()
    margin = np.concatenate(margins)  # [lesion, case], the first without any
    falls = np.split((margin[0] - margin[1:]).T, np.cumsum(counts)[:-1], axis=1)
    return dict(zip(layers, falls, strict=True))


def chosen_by(
    bench: Bench, target: str, layers: Sequence[str], count: int, by: str, job: Job
) -> Chosen:
    """The ``count`` units of layers that have most to do with a target, the strongest first."""
    layers = tuple(layers)
    expect_layers(bench, layers)
    available = sum(bench.layers[name] for name in layers)
    if not 1 <= count <= available:
        raise InputError(
            f"{count} units are to be chosen, and {', '.join(layers)} has {available}.",
            f"Give a number from 1 to {available}, or more layers.",
        )
    target = known_target(bench.cases, target)
    measure = unit_measure(bench, target, layers, by, job)
    units = [Unit(name, at) for name in layers for at in range(bench.layers[name])]
    values = np.concatenate([measure[name] for name in layers])
    order = np.argsort(-values, kind="stable")[:count]
    verb = "selective for" if by == SELECTIVITY else "needed for"
    return Chosen(
        tuple(units[at] for at in order), tuple(float(values[at]) for at in order),
        f"{verb} {target}",
    )  # fmt: skip


def expect_layers(bench: Bench, layers: Sequence[str]) -> None:
    """Raise InputError without layers, SiteMissing for one that the model does not have."""
    if not layers:
        raise InputError("No layer is named.", f"There are {', '.join(bench.layers)}.")
    for name in layers:
        if name not in bench.layers:
            raise SiteMissing(
                f"There is no layer of units {name!r}.", f"There are {', '.join(bench.layers)}."
            )


def expect_units(bench: Bench, units: Sequence[Unit]) -> None:
    """Raise InputError for no unit or one given twice, SiteMissing for one that is not there."""
    if not units:
        raise InputError("No unit is chosen.", "Choose one or more, such as pool/12 or z.2/3.")
    expect_layers(bench, tuple(dict.fromkeys(unit.layer for unit in units)))
    for unit in units:
        if unit.index >= bench.layers[unit.layer]:
            raise SiteMissing(
                f"{unit.layer} has no unit {unit.index}.",
                f"Its units are 0 to {bench.layers[unit.layer] - 1}.",
            )
    if len(set(units)) < len(units):
        twice = next(unit for unit in units if units.count(unit) > 1)
        raise InputError(f"The unit {twice} is chosen twice.", "Name each unit once.")
