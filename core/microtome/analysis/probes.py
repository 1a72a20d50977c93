"""Linear probes: at which layer a concept can be read off, beside a control task.

Logistic regression on standardised activations, cross-validated. A probe may learn words by heart
instead of reading what the model knows; the control task tells: labels are drawn at random for each
type of word, and the difference of both accuracies is the probe's selectivity (Hewitt and Liang,
"Designing and Interpreting Probes with Control Tasks", 2019).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from microtome.activations.capture import trace
from microtome.analysis.logistic import fit_logistic
from microtome.errors import InputError, expect
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.prompts import Prompt, plain_prompt
from microtome.records.analysis import Analysis
from microtome.records.probe import PROBE, Probe, probe_analysis
from microtome.sites import Site

CONTROLS = 5  # drawings of the control task
STREAM = "resid"  # the residual stream before the first layer and behind each


@small_on_one_thread
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
    ``fit_logistic``. Partial results ``probe`` are a Probe of the sites so far.
    Raises InputError for labels that do not fit, too few prompts, or a position beyond a prompt,
    and what ``trace`` raises.
    """
    job = job_or_default(job)
    expect_model(model)
    given = given_once(prompts, labels, groups)
    names = expect_enough(given, folds)
    places = probed_places(model, sites)
    held = read_rows(model, [prompt for prompt, _, _ in given], places, position, job)
    target = np.array([names.index(label) for _, label, _ in given])
    word = _word(held.ids, position, len(names))
    types = np.array([ids[word] for ids in held.ids])
    controls = list(_controls(types, target, seed))
    parts = _folds(target, np.array([group for _, _, group in given]), folds, seed)
    params = {
        "labels": names, "position": position, "control_word": word, "folds": folds, "seed": seed,
        "prompts": len(given), "types": len(set(types.tolist())), "model": model.identity.name,
        "repeats": _repeats(types, parts),
        "unknown": unknown_words(model, [prompt for prompt, _, _ in given]),
        "last": str(places[-1]),
        "method": "logistic regression, L2, standardised",
        "asked": [[plain_prompt(prompt), label, group] for prompt, label, group in given],
    }  # fmt: skip

    return probe_analysis(_fitted(places, held.rows, target, controls, parts, params, job))


def _fitted(
    places: list[Site],
    every: list[Float[np.ndarray, "prompt d"]],
    target: Int[np.ndarray, " prompt"],
    controls: list[Int[np.ndarray, " prompt"]],
    parts: Int[np.ndarray, " prompt"],
    params: dict[str, Any],
    job: Job,
) -> Probe:
    """Accuracies and directions of all sites, handed out one after another."""
    folds, counts, widths = int(parts.max()) + 1, np.bincount(target), {x.shape[1] for x in every}
    accuracy = np.zeros((len(places), folds))
    control = np.zeros((len(places), len(controls), folds))
    direction = np.zeros((len(places), len(counts), *widths)) if len(widths) == 1 else None

    def found(count: int) -> Probe:
        return Probe(
            tuple(map(str, places[:count])), accuracy[:count].copy(),
            control[:count].mean(axis=1), int(counts.max()) / len(target), params,
            None if direction is None else direction[:count].astype(np.float32),
        )  # fmt: skip

    for at, rows in enumerate(every):
        job.progress("Probing", at, len(places))
        accuracy[at] = _accuracies(rows, target, parts, job)
        for draw, other in enumerate(controls):
            control[at, draw] = _accuracies(rows, other, parts, job)
        if direction is not None:
            direction[at] = fit_logistic(rows, target).directions
        job.partial(PROBE, found(at + 1))
    job.progress("Probing", len(places), len(places))
    return found(len(places))


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """Activations of each site [prompt, d], and the token ids of each prompt."""

    rows: list[Float[np.ndarray, "prompt d"]]
    ids: list[Int[np.ndarray, " position"]]


_Given = list[tuple[Prompt, str, int]]


def given_once(
    prompts: Sequence[Prompt], labels: Sequence[str], groups: Sequence[int] | None
) -> _Given:
    """Each prompt once, with its label and group. Raises InputError for labels that do not fit."""
    expect(prompts, (list, tuple), "prompts", "a list of prompts", "Write ['…', '…'].")
    expect(labels, (list, tuple), "labels", "a list of names", "Give one for each prompt.")
    groups = range(len(prompts)) if groups is None else groups
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


def expect_enough(given: _Given, folds: int) -> list[str]:
    """The names of the labels. Raises InputError for too few prompts of one of them."""
    names = sorted({label for _, label, _ in given})
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
    return names


def probed_places(model: Model, sites: Sequence[Site | str] | None) -> list[Site]:
    """The sites; the residual stream by default. Raises InputError for one without vectors."""
    if sites is None:
        layers = range(model.identity.n_layers)
        return [Site("resid_pre", 0), *(Site("resid_post", layer) for layer in layers)]
    expect(sites, (list, tuple), "sites", "a list of sites", "Write ['resid_post.2'].")
    found = [Site.of(one) for one in sites]
    if not found:
        raise InputError("No site was given.", "Write ['resid_post.2'].")
    for site in found:
        _expect_vector(model, site)
    return found


def sites_of_kind(kind: str, layers: int) -> list[str]:
    """A kind of site at every layer; ``resid`` is the stream before the first and behind each."""
    if kind == STREAM:
        return ["resid_pre.0", *(f"resid_post.{layer}" for layer in range(layers))]
    site = Site.parse(kind)
    open_layer = site.kind.per_layer and site.layer is None
    return [f"{kind}.{layer}" for layer in range(layers)] if open_layer else [kind]


def _expect_vector(model: Model, site: Site) -> None:
    """Refuse a site that has no vector at each position, or that names no layer."""
    if site.kind.axes[0] != "position" or len(site.kind.axes) < 2:
        raise InputError(
            f"{site} holds no vector at each position that could be probed.",
            "Choose for example resid_post, attn_out, z or mlp_post.",
        )
    if site.kind.per_layer and site.layer is None:
        raise InputError(f"{site} names no layer.", f"Write for example {site.name}.0.")
    if site.layer is not None and site.layer >= model.identity.n_layers:
        raise InputError(
            f"{site} is in no layer of {model.identity.name}, which has {model.identity.n_layers}.",
            "Count layers from 0.",
        )


def read_rows(
    model: Model, prompts: list[Prompt], places: list[Site], position: int, job: Job
) -> _Held:
    """What stands at a position of each site. Raises InputError for a position beyond a prompt."""
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


def unknown_words(model: Model, prompts: Sequence[Prompt]) -> list[str]:
    """Words of the prompts that the tokenizer does not know: to the model they are all the same."""
    found: dict[str, None] = {}
    for prompt in prompts:
        if isinstance(prompt, str):
            tokens = model.tokenize(prompt)
            found |= dict.fromkeys(tokens.texts[at].strip() for at in tokens.unknown)
    return list(found)


def _word(ids: list[Int[np.ndarray, " position"]], position: int, classes: int) -> int:
    """The place whose types of token the control task labels."""
    if len({int(one[position]) for one in ids}) >= 2 * classes:
        return position
    shortest = min(map(len, ids))
    kinds = {-at: len({int(one[-at]) for one in ids}) for at in range(1, shortest + 1)}
    return max(kinds, key=lambda at: (kinds[at], at))


def _controls(
    types: Int[np.ndarray, " prompt"], target: Int[np.ndarray, " prompt"], seed: int
) -> Iterator[Int[np.ndarray, " prompt"]]:
    """Random labels of types of words, as often as the concept's own, each at least once.

    Hewitt and Liang draw them independently from these frequencies; drawn without replacement, few
    types have both labels as well.
    """
    random = np.random.default_rng(seed)
    kinds, own = np.unique(types, return_inverse=True)
    ends = np.cumsum(np.bincount(target)) / len(target)
    labels = np.searchsorted(ends, (np.arange(len(kinds)) + 0.5) / len(kinds))
    for label in range(len(ends)):
        if label not in labels and len(kinds) >= len(ends):
            labels[int(np.flatnonzero(labels == np.bincount(labels).argmax())[0])] = label
    for _ in range(CONTROLS):
        yield random.permutation(labels)[own.reshape(-1)]


def _repeats(types: Int[np.ndarray, " prompt"], parts: Int[np.ndarray, " prompt"]) -> float:
    """The share of prompts whose word is in another fold too: the control tells of those alone."""
    elsewhere = [
        (parts[types == kind] != part).any() for kind, part in zip(types, parts, strict=True)
    ]
    return float(np.mean(elsewhere))


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
