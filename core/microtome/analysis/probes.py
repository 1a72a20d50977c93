"""Linear probes: at which layer a concept can be read off, beside a control task.

Logistic regression on standardised activations, cross-validated. A probe may learn words by heart
instead of reading what the model knows; the control task tells: labels are drawn at random for each
type of word, and the difference of both accuracies is the probe's selectivity (Hewitt and Liang,
"Designing and Interpreting Probes with Control Tasks", 2019).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from microtome.activations.capture import trace
from microtome.analysis.logistic import fit_logistic
from microtome.errors import InputError, expect
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.prompts import Prompt
from microtome.records.analysis import Analysis
from microtome.records.probe import Probe, probe_analysis
from microtome.sites import Site

_CONTROLS = 5  # drawings of the control task


def probe(  # noqa: PLR0913  # what is labelled, and how it is cross-validated
    model: Model,
    prompts: Sequence[Prompt],
    labels: Sequence[str],
    sites: Sequence[Site | str] | None = None,
    *,
    position: int = -1,
    groups: Sequence[int] | None = None,
    folds: int = 5,
    seed: int = 0,
    job: Job | None = None,
) -> Analysis:
    """How well labels of prompts are read off each site, and how well those of the control task.

    Read is the token at ``position`` (-1: the last). ``sites`` are the residual stream before the
    first layer and behind each by default. Prompts that are there twice count once. ``groups``
    numbers prompts that belong together, such as a pair that differs in the concept alone: they
    are never on both sides of a cross-validation, or else a probe that knows nothing is wrong more
    often than chance. The control task labels the type of the token at that position; where that
    hardly varies, of the one that varies most, counted from the end. The L2 penalty is that of
    ``fit_logistic``.
    Raises InputError for labels that do not fit, too few prompts, or a position beyond a prompt,
    and what ``trace`` raises.
    """
    job = job_or_default(job)
    expect_model(model)
    expect(prompts, (list, tuple), "prompts", "a list of prompts", "Write ['…', '…'].")
    expect(labels, (list, tuple), "labels", "a list of names", "Give one for each prompt.")
    given = _once(prompts, labels, range(len(prompts)) if groups is None else groups)
    names = sorted({label for _, label, _ in given})
    _expect_enough(given, names, folds)
    places = _places(model, sites)
    held = _read(model, [prompt for prompt, _, _ in given], places, position, job)
    target = np.array([names.index(label) for _, label, _ in given])
    word = _word(held.ids, position, len(names))
    types = np.array([ids[word] for ids in held.ids])
    controls = list(_controls(types, len(names), seed))
    parts = _folds(target, np.array([group for _, _, group in given]), folds, seed)
    accuracy = np.zeros((len(places), folds))
    control = np.zeros((len(places), _CONTROLS, folds))
    for at, rows in enumerate(held.rows):
        job.progress("Probing", at, len(places))
        accuracy[at] = _accuracies(rows, target, parts, job)
        for draw, other in enumerate(controls):
            control[at, draw] = _accuracies(rows, other, parts, job)
    most = max(int((target == number).sum()) for number in range(len(names)))
    params = {
        "labels": names, "position": position, "control_word": word, "folds": folds, "seed": seed,
        "prompts": len(given), "types": len(set(types.tolist())), "model": model.identity.name,
        "method": "logistic regression, L2, standardised",
    }  # fmt: skip
    job.progress("Probing", len(places), len(places))
    return probe_analysis(
        Probe(tuple(map(str, places)), accuracy, control.mean(axis=1), most / len(given), params)
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """Activations of each site [prompt, d], and the token ids of each prompt."""

    rows: list[Float[np.ndarray, "prompt d"]]
    ids: list[Int[np.ndarray, " position"]]


_Given = list[tuple[Prompt, str, int]]


def _once(prompts: Sequence[Prompt], labels: Sequence[str], groups: Sequence[int]) -> _Given:
    for what, held in (("labels", labels), ("groups", groups)):
        if len(prompts) != len(held):
            raise InputError(
                f"{len(prompts)} prompts came with {len(held)} {what}.", "Give one for each prompt."
            )
    found: dict[Prompt, tuple[str, int]] = {}
    for prompt, label, group in zip(prompts, labels, groups, strict=True):
        known, _ = found.setdefault(prompt, (str(label), int(group)))
        if known != str(label):
            raise InputError(f"{prompt!r} is labelled {known} and {label}.", "Give it one label.")
    return [(prompt, *told) for prompt, told in found.items()]


def _expect_enough(given: _Given, names: list[str], folds: int) -> None:
    if len(names) < 2:
        raise InputError(f"All prompts are labelled {''.join(names)!r}.", "Give two or more.")
    if folds < 2:
        raise InputError(f"{folds} folds make no cross-validation.", "Ask for two or more.")
    for name in names:
        held = len({group for _, label, group in given if label == name})
        if held < folds:
            raise InputError(
                f"{held} different prompts or groups are labelled {name}, for {folds} folds.",
                "Give more prompts, or ask for fewer folds.",
            )


def _places(model: Model, sites: Sequence[Site | str] | None) -> list[Site]:
    if sites is None:
        layers = range(model.identity.n_layers)
        return [Site("resid_pre", 0), *(Site("resid_post", layer) for layer in layers)]
    expect(sites, (list, tuple), "sites", "a list of sites", "Write ['resid_post.2'].")
    return [Site.of(one) for one in sites]


def _read(
    model: Model, prompts: list[Prompt], places: list[Site], position: int, job: Job
) -> _Held:
    rows: list[list[np.ndarray]] = [[] for _ in places]
    ids = []
    for done, prompt in enumerate(prompts):
        job.progress("Running the prompts", done, len(prompts))
        run = trace(model, prompt, sites=[str(site) for site in places], job=Job())
        length = len(run.token_ids)
        if not -length <= position < length:
            raise InputError(
                f"{prompt!r} has {length} tokens, and none at position {position}.",
                "Choose a position that all prompts have; -1 is the last.",
            )
        ids.append(run.token_ids)
        for held, site in zip(rows, places, strict=True):
            held.append(np.asarray(run.activation(site)[position], np.float64).reshape(-1))
    return _Held([np.stack(held) for held in rows], ids)


def _word(ids: list[Int[np.ndarray, " position"]], position: int, classes: int) -> int:
    """The place whose types of token the control task labels."""
    if len({int(one[position]) for one in ids}) >= 2 * classes:
        return position
    shortest = min(map(len, ids))
    kinds = {-at: len({int(one[-at]) for one in ids}) for at in range(1, shortest + 1)}
    return max(kinds, key=lambda at: (kinds[at], at))


def _controls(
    types: Int[np.ndarray, " prompt"], classes: int, seed: int
) -> Iterator[Int[np.ndarray, " prompt"]]:
    """Random labels of types of words, each label for as many types."""
    random = np.random.default_rng(seed)
    kinds, own = np.unique(types, return_inverse=True)
    for _ in range(_CONTROLS):
        yield random.permutation(np.arange(len(kinds)) % classes)[own]


def _folds(
    target: Int[np.ndarray, " prompt"], groups: Int[np.ndarray, " prompt"], folds: int, seed: int
) -> Int[np.ndarray, " prompt"]:
    """The fold of each prompt, the same for all of a group; labels are spread evenly."""
    random = np.random.default_rng(seed)
    _, first, own = np.unique(groups, return_index=True, return_inverse=True)
    part = np.empty(len(first), np.int64)
    for number in np.unique(target[first]):
        rows = random.permutation(np.flatnonzero(target[first] == number))
        part[rows] = np.arange(len(rows)) % folds
    return part[own]


def _accuracies(
    rows: Float[np.ndarray, "prompt d"],
    target: Int[np.ndarray, " prompt"],
    parts: Int[np.ndarray, " prompt"],
    job: Job,
) -> Float[np.ndarray, " fold"]:
    """The share of each fold's prompts that a probe of all others is right about."""
    found = []
    for fold in range(int(parts.max()) + 1):
        job.check()
        seen = parts != fold
        fitted = fit_logistic(rows[seen], target[seen])
        found.append(float((fitted.predict(rows[~seen]) == target[~seen]).mean()))
    return np.array(found)
