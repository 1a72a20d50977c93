"""Probes in words and rows: what was asked, how well it was read, and where a label lies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from microtome.analysis.labelled import LabelledPrompts, parse_labelled
from microtome.errors import InputError
from microtome.records.analysis import Analysis
from microtome.records.coverage import Coverage
from microtome.records.edits import DirectionSpec, EditSpec
from microtome.records.probe import Probe
from microtome.records.session import Session
from microtome.sites import Site
from microtome_desktop.presenters.as_python import Lines, loading
from microtome_desktop.presenters.training import sites_of
from microtome_desktop.state.edit_places import first_strength
from microtome_desktop.state.exports import Table
from microtome_desktop.state.probings import STREAM

NO_PROBE = "Write labelled prompts at the left, or take an example, and probe them."
_FEW = 0.5  # share of prompts whose word comes again, below which the control says little


def kinds_of(coverage: Coverage | None) -> tuple[tuple[str, str], ...]:
    """Kinds of site that can be probed: name and title."""
    lacking = set() if coverage is None else {row.name for row in coverage.sites if not row.there}
    heads = () if "z" in lacking else (("z", "head outputs before the output matrix"),)
    return ((STREAM, "residual stream, all layers"), *sites_of(coverage), *heads)


def typed_text(text: str) -> tuple[str, bool]:
    """What was typed so far in a line, and whether it can be read."""
    if not text.strip():
        return "No prompts yet.", False
    try:
        given = parse_labelled(text)
    except InputError as error:
        return str(error), False
    return _counted(given), True


def _counted(given: LabelledPrompts) -> str:
    counts = ", ".join(f"{count} {label}" for label, count in given.counts.items())
    groups = len(set(given.groups))
    together = f" in {groups} groups" if groups < len(given.prompts) else ""
    return f"{len(given.prompts)} prompts{together}: {counts}"


def said_of(found: Probe) -> str:
    """The best site in words, and what the control task is worth."""
    best = found.sites.index(found.best)
    control = float(found.control[best].mean())
    told = (
        f"Best read at {found.best}: {found.mean[best]:.0%} right over {found.params['folds']} "
        f"folds, control {control:.0%}, chance {found.chance:.0%}, selectivity "
        f"{found.selectivity[best]:+.0%}"
    )
    unknown = [str(word) for word in found.params.get("unknown", ())]
    if unknown:
        told += f" · {unknown_text(unknown)}"
    if float(found.params.get("repeats", 1)) < _FEW:
        share = float(found.params["repeats"])
        told += (
            f" · Only {share:.0%} of the prompts end in a word that comes again in another fold: "
            "the control task can say little"
        )
    return told


def unknown_text(words: Sequence[str]) -> str:
    """That a model cannot tell some words apart."""
    named = ", ".join(f"“{word}”" for word in words[:3])
    more = f" and {len(words) - 3} more" if len(words) > 3 else ""
    return f"The tokenizer does not know {named}{more}: to the model they are one word"


def probe_table(found: Probe) -> Table:
    """A row a site: means, errors, and the accuracy of each fold."""
    folds = found.accuracy.shape[1]
    headers = ("site", "accuracy", "error", "control", "selectivity", "chance",
               *(f"fold {fold + 1}" for fold in range(folds)))  # fmt: skip
    rows = [
        (
            site, float(found.mean[at]), float(found.error[at]), float(found.control[at].mean()),
            float(found.selectivity[at]), found.chance, *found.accuracy[at].tolist(),
        )
        for at, site in enumerate(found.sites)
    ]  # fmt: skip
    return Table(headers, rows)


def probe_lines(session: Session, analysis: Analysis) -> Lines:
    """``values`` [site, fold]: the accuracies."""
    told = analysis.params
    asked = [(_prompt(prompt), label, group) for prompt, label, group in told["asked"]]
    sites = [str(site) for site in analysis.array("site").tolist()]
    return (
        "import microtome as mt",
        "",
        loading(session)[0],
        "asked = [",
        *(f"    {row!r}," for row in asked),
        "]",
        "prompts, labels, groups = map(list, zip(*asked))",
        f"found = mt.probe(model, prompts, labels, {sites!r}, groups=groups,",
        f"    position={told['position']}, folds={told['folds']}, seed={told['seed']})",
        'values = found.array("accuracy")',
    )


def _prompt(given: object) -> object:
    return tuple(given) if isinstance(given, list) else given


def steerable(found: Probe) -> tuple[str, ...]:
    """The sites whose directions an edit can add."""
    if found.direction is None:
        return ()
    return tuple(site for site in found.sites if len(Site.parse(site).kind.axes) == 2)


def steering(session: Session, found: Probe, site: str, label: str) -> EditSpec:
    """The edit that adds the direction of a label at a site, at every token.

    Raises InputError where there is no run to edit, or no direction.
    """
    if session.clean is None:
        raise InputError("There is no run to steer.", "Run a prompt first.")
    if found.direction is None or site not in steerable(found) or label not in found.labels:
        raise InputError(f"There is no direction of {label} at {site}.", "Choose another site.")
    values = found.direction[found.sites.index(site), found.labels.index(label)]
    direction = DirectionSpec("values", values=tuple(float(value) for value in np.asarray(values)))
    strength = first_strength(session.clean, site)
    return EditSpec(site, "add", strength=strength, direction=direction)
